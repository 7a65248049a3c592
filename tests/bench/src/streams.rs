//! Compares an object in two PostgreSQL databases as streams over ODBC, beside `reladiff` on the same tables in the same run, and
//! without it on more rows. Each program runs alone, so that its memory is its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::observe::objects::compare;
use syncwatch::reconcile::{Coverage, Sent};
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Databases;
use syncwatch_lab::engines::Postgres;

use crate::reconcile::parsed;
use crate::report::{Report, Spread, resident};

/// The rows of each side that are compared with `reladiff`, and alone.
const ROWS: u64 = 1_000_000;
const MANY: u64 = 6_500_000;
const LIMIT: Duration = Duration::from_secs(600);
/// The goals: how many times quicker than `reladiff`, the most memory, and the most time for many rows.
const TIMES: f64 = 3.0;
const MEGABYTES: f64 = 128.0;
const SECONDS: f64 = 40.0;

const OBJECT: &str = r#"
[connections.crm]
driver = "odbc"
dialect = "postgresql"
[[objects]]
name = "homes"
key = { source = "id", destination = "id", kind = "integer" }
fields = [
  { source = "name", destination = "name", kind = "text" },
  { source = "city", destination = "city", kind = "text" },
  { source = "rent", destination = "rent", kind = "number", scale = 2 },
  { source = "changed", destination = "changed", kind = "instant" },
]
source = { connection = "crm", table = "public.homes" }
destination = { table = "public.homes" }
"#;

#[derive(Args)]
pub(crate) struct Beside {
    /// For `streams`: the program `reladiff`, for the same comparison.
    #[arg(long)]
    reladiff: Option<PathBuf>,
    /// For `streams`: also compare 6.5 million rows a side, which needs 2 GB on disk.
    #[arg(long)]
    many: bool,
    /// Compare only, in the databases at these ports.
    #[arg(long, num_args = 2, hide = true)]
    ports: Vec<u16>,
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Found {
    missing: u64,
    extra: u64,
    different: u64,
    equal_normalised: u64,
    seconds: f64,
    megabytes: f64,
}

/// Planted differences: each `step`-th row from the third differs; some rows are missing or extra.
#[derive(Debug, Clone, Copy)]
struct Planted {
    name: &'static str,
    step: u64,
    apart: u64,
    /// Whether each instant of the source has a fraction of a second, as a column of a database does and Salesforce does not.
    fractions: bool,
}

pub(crate) fn measure(report: &mut Report, beside: &Beside) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tenth = Planted { name: "110 differences", step: ROWS / 90, apart: 10, fractions: false };
    let fifth = Planted { name: "20% differ", step: 5, ..tenth };
    let fractions = Planted { name: "every instant has a fraction", fractions: true, ..tenth };
    let program = beside.reladiff.as_deref();
    for (planted, program) in [(tenth, program), (fifth, program), (fractions, None)] {
        runtime.block_on(compare_both(report, program, planted, ROWS))?;
    }
    if beside.many {
        let many = Planted { step: MANY / 90, ..tenth };
        runtime.block_on(compare_both(report, None, many, MANY))?;
    }
    Ok(())
}

/// Compares alone, if ports are given, and prints what was found. Returns whether it did.
pub(crate) fn only_compares(beside: &Beside) -> Result<bool> {
    let [source, destination] = beside.ports.as_slice() else { return Ok(false) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", serde_json::to_string(&runtime.block_on(streams(*source, *destination))?)?);
    Ok(true)
}

/// Fills both databases and measures the programs in turns.
async fn compare_both(
    report: &mut Report,
    program: Option<&Path>,
    planted: Planted,
    rows: u64,
) -> Result<()> {
    report.part(&format!("Streams: {rows} rows a side in two PostgreSQL databases, {}", planted.name));
    let (source, destination) = (Postgres::start()?, Postgres::start()?);
    fill(&source, rows, planted, true).await?;
    fill(&destination, rows, planted, false).await?;
    let different = (rows - 3 - planted.apart) / planted.step + 1;
    // With many differences `reladiff` takes minutes.
    let runs = if rows == ROWS && different < rows / 100 { 3 } else { 1 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let found = alone(&source, &destination)?;
        let counts = (found.missing, found.extra, found.different);
        let expected = (planted.apart, planted.apart, different);
        ensure!(counts == expected, "found {counts:?}, not {expected:?}");
        ours.push(found);
        if let Some(program) = program {
            theirs.push(reladiff(program, [&source, &destination], 2 * different + 2 * planted.apart)?);
        }
    }
    let seconds = Spread::of(ours.iter().map(|found| found.seconds)).median;
    let megabytes = Spread::of(ours.iter().map(|found| found.megabytes)).most;
    report.goal(
        "peak memory",
        &format!("{megabytes:.0} MB"),
        &format!("{MEGABYTES} MB"),
        megabytes <= MEGABYTES,
    );
    if rows == MANY {
        report.goal("time", &format!("{seconds:.1} s"), &format!("{SECONDS} s"), seconds <= SECONDS);
    } else {
        report.line(&format!("{seconds:.2} s"));
    }
    if program.is_some() {
        let their_seconds = Spread::of(theirs.iter().map(|(seconds, _)| *seconds)).median;
        let their_megabytes = Spread::of(theirs.iter().map(|(_, megabytes)| *megabytes)).most;
        report.line(&format!("reladiff: {their_seconds:.2} s, {their_megabytes:.0} MB"));
        let times = their_seconds / seconds;
        report.goal(
            "times quicker than reladiff",
            &format!("{times:.1}"),
            &format!("{TIMES}"),
            times >= TIMES,
        );
    }
    Ok(())
}

async fn fill(server: &Postgres, rows: u64, planted: Planted, is_source: bool) -> Result<()> {
    let Planted { step, apart, fractions, .. } = planted;
    let (low, high) = if is_source { (1, rows) } else { (1 + apart, rows + apart) };
    let name = match is_source {
        true => "'Home ' || n".to_owned(),
        false => format!(
            "CASE WHEN (n - 3 - {apart}) % {step} = 0 AND n BETWEEN 3 + {apart} AND {rows} THEN 'Other ' ELSE 'Home ' END || n"
        ),
    };
    let fraction = if is_source && fractions { " + INTERVAL '0.25 seconds'" } else { "" };
    let table =
        "CREATE TABLE homes (id BIGINT, name TEXT, city TEXT, rent NUMERIC(12, 2), changed TIMESTAMP)";
    let insert = format!(
        "INSERT INTO homes SELECT n, {name}, 'City ' || n % 1000, n % 100000 / 100.0, \
         TIMESTAMP '2026-01-01' + n % 10000000 * INTERVAL '1 second'{fraction} FROM GENERATE_SERIES({low}, {high}) AS n"
    );
    let warehouse = server.warehouse_with(LIMIT)?;
    let index = "ALTER TABLE homes ADD PRIMARY KEY (id)".to_owned();
    for sql in [table.to_owned(), insert, index, "ANALYZE homes".to_owned()] {
        warehouse.execute(&Statement::new("tables", sql)).await?;
    }
    Ok(())
}

/// Runs the comparison in a process of its own.
fn alone(source: &Postgres, destination: &Postgres) -> Result<Found> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["streams", "--ports"]).args([source, destination].map(|server| server.port().to_string()));
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Compares as the function does.
async fn streams(source: u16, destination: u16) -> Result<Found> {
    let open = |port| Postgres::warehouse_at(port, LIMIT);
    let databases = Databases {
        warehouse: open(destination)?,
        connections: [("crm".to_owned(), Ok(open(source)?))].into(),
    };
    let begun = Instant::now();
    let object = parsed(Dialect::PostgreSql, OBJECT)?;
    let found =
        compare(&databases, &object, &Sent::default(), Coverage::All, Arc::new(|_| ()), Timestamp::now())
            .await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Found {
        missing: found.missing,
        extra: found.extra,
        different: found.different,
        equal_normalised: found.equal_normalised,
        seconds,
        megabytes: resident(false)? as f64 / 1_000.0,
    })
}

/// Runs `reladiff` with its defaults; returns its seconds and megabytes.
fn reladiff(program: &Path, servers: [&Postgres; 2], lines: u64) -> Result<(f64, f64)> {
    let url = |server: &Postgres| format!("postgresql://syncwatch:x@127.0.0.1:{}/postgres", server.port());
    let [source, destination] = servers;
    let mut command = Command::new("/usr/bin/env");
    command.arg("python3").arg("-c").arg(
        "import resource, subprocess, sys; out = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True).stdout; \
         print(out.count(b'\\n'), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
    );
    command.arg(program).args([url(source), "homes".to_owned(), url(destination), "homes".to_owned()]);
    command.args(["-k", "id", "-c", "name", "-c", "city", "-c", "rent", "-c", "changed"]);
    let begun = Instant::now();
    let output = command.output()?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(output.status.success(), "reladiff: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(found)), Some(Ok(kilobytes))) = (figures.next(), figures.next()) else {
        bail!("reladiff printed {text}");
    };
    ensure!(found == lines, "reladiff found {found} lines, not {lines}");
    Ok((seconds, kilobytes as f64 / 1_000.0))
}
