//! `make bench-streams`: compares an object in two PostgreSQL databases as streams over ODBC, beside `reladiff` on the same
//! tables in the same run, and without it on more rows.
//!
//! Machines differ, so the ratio of two figures counts. Each program runs alone, so that its memory is its own.

#![expect(clippy::print_stdout, reason = "the purpose of this program is to print figures")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncwatch::observe::objects::compare;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{Object, Sent};
use syncwatch::sql::Statement;
use syncwatch::warehouse::Databases;
use syncwatch_lab::engines::Postgres;

/// The rows of each side that are compared with `reladiff`, and alone.
const ROWS: u64 = 1_000_000;
const MANY: u64 = 6_500_000;
const LIMIT: Duration = Duration::from_secs(600);
/// The goals: how many times quicker than `reladiff`, the most memory, and the most time for many rows.
const TIMES: f64 = 3.0;
const MEGABYTES: f64 = 128.0;
const SECONDS: f64 = 40.0;

/// Exits with 1 if a goal is missed or a measurement fails.
#[derive(Parser)]
struct Arguments {
    /// The program `reladiff`, for the same comparison.
    #[arg(long)]
    reladiff: Option<PathBuf>,
    /// Also compare 6.5 million rows a side, which needs 2 GB on disk.
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

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let [source, destination] = arguments.ports.as_slice() {
        println!("{}", serde_json::to_string(&runtime.block_on(streams(*source, *destination))?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut is_good = true;
    let tenth = Planted { name: "110 differences", step: ROWS / 90, apart: 10, fractions: false };
    let fifth = Planted { name: "20% differ", step: 5, ..tenth };
    let fractions = Planted { name: "every instant has a fraction", fractions: true, ..tenth };
    for planted in [tenth, fifth, fractions] {
        is_good &= runtime.block_on(beside(&arguments, planted, ROWS))?;
    }
    if arguments.many {
        let many = Planted { name: "110 differences", step: MANY / 90, ..tenth };
        is_good &= runtime.block_on(beside(&Arguments { reladiff: None, ..arguments }, many, MANY))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fills both databases and measures the programs in turns.
async fn beside(arguments: &Arguments, planted: Planted, rows: u64) -> Result<bool> {
    let (source, destination) = (Postgres::start()?, Postgres::start()?);
    fill(&source, rows, planted, true).await?;
    fill(&destination, rows, planted, false).await?;
    println!("\n{rows} + {rows} rows of five columns in two PostgreSQL databases: {}", planted.name);
    let different = (rows - 3 - planted.apart) / planted.step + 1;
    // With many differences `reladiff` takes minutes.
    let runs = if rows == ROWS && different < rows / 100 { 3 } else { 1 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let found = alone(&source, &destination)?;
        let counts = (found.missing, found.extra, found.different);
        ensure!(
            counts == (planted.apart, planted.apart, different),
            "found {counts:?}, not {different} and {}",
            planted.apart
        );
        ours.push(found);
        if let Some(program) = arguments.reladiff.as_ref().filter(|_| !planted.fractions) {
            theirs.push(reladiff(program, [&source, &destination], 2 * different + 2 * planted.apart)?);
        }
    }
    let seconds = median(ours.iter().map(|found| found.seconds));
    let megabytes = ours.iter().map(|found| found.megabytes).fold(0.0, f64::max);
    println!("  streams   {seconds:>7.2} s  {megabytes:>5.0} MB");
    let mut is_good = megabytes <= MEGABYTES;
    if rows == MANY {
        is_good &= seconds <= SECONDS;
    }
    if !theirs.is_empty() {
        let their_seconds = median(theirs.iter().map(|(seconds, _)| *seconds));
        let their_megabytes = theirs.iter().map(|(_, megabytes)| *megabytes).fold(0.0, f64::max);
        println!("  reladiff  {their_seconds:>7.2} s  {their_megabytes:>5.0} MB");
        println!("  {:.1} times quicker; the goal is {TIMES}", their_seconds / seconds);
        is_good &= their_seconds >= TIMES * seconds;
    }
    println!("  {}", if is_good { "pass" } else { "FAIL" });
    Ok(is_good)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
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
    command.arg("--ports").args([source, destination].map(|server| server.port().to_string()));
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
    let found = compare(&databases, &object()?, &Sent::default(), Arc::new(|_| ()), Timestamp::now()).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Found {
        missing: found.missing,
        extra: found.extra,
        different: found.different,
        equal_normalised: found.equal_normalised,
        seconds,
        megabytes: peak("self")?,
    })
}

/// Reads the most memory that a process had, in megabytes.
fn peak(process: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse::<f64>()? / 1_000.0)
}

fn object() -> Result<Object> {
    let text = r#"
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
    let seed = include_str!("../../../../infra/pipeline.toml");
    let (before, rest) = seed.split_once("driver = \"databricks\"").context("another driver")?;
    let after = rest.split_once("\n\n").context("no end of [warehouse]")?.1;
    let odbc = "driver = \"odbc\"\ndialect = \"postgresql\"";
    Pipeline::parse(&format!("{before}{odbc}\n\n{after}{text}"))?.objects.pop().context("no object")
}

/// Runs `reladiff` with its defaults; returns its seconds and megabytes.
fn reladiff(program: &PathBuf, servers: [&Postgres; 2], lines: u64) -> Result<(f64, f64)> {
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
