//! Counts the statements of data checks, and compares one statement per table with one per check.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use daily_validation::observe::ask_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use syncwatch::data_checks::{compile, object_name};
use syncwatch::finding::{Check, Finding, Outcome, WAREHOUSE};
use syncwatch::judge::data::{Extent, Looked, judge_round};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};
use syncwatch_lab::aws::workspace_root;
use syncwatch_lab::databricks::{DatabricksServer, TOKEN, WAREHOUSE_ID};
use syncwatch_lab::engines::{self, Postgres};

use crate::report::{Report, Spread};

const TABLES: usize = 10;
const CHECKS: usize = 100;
/// Rows of each of the ten tables, and of the large one, which needs about 700 MB on disk.
const FEW: u64 = 100;
const MANY: u64 = 5_000_000;
/// Limit for all statements of one measurement.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(count(report))?;
    runtime.block_on(time(report))
}

/// Counts the statements for 1,000 checks on ten tables, where they arrive.
async fn count(report: &mut Report) -> Result<()> {
    report.part(&format!(
        "Data checks: statements for {CHECKS} checks on each of {TABLES} tables, counted by the simulated Databricks"
    ));
    let folder = tempfile::tempdir()?;
    let database = engines::sqlite(&folder.path().join("warehouse.sqlite"))?;
    let now = Timestamp::now();
    fill_cities(&database).await?;
    for number in 0..TABLES {
        fill(&database, &table_name(number), FEW, now).await?;
    }
    let server = DatabricksServer::start(database).await?;
    let auth = DatabricksAuth::Token(SecretString::from(TOKEN));
    let settings = DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth);
    let warehouse = Warehouse::open(Settings::Databricks(settings), syncwatch::http::client()?)?;

    let pipeline = pipeline(Dialect::Databricks, TABLES)?;
    let (findings, _) = by_table(&warehouse, &pipeline, now).await?;
    let statements = server.statements().len();
    // Those of the filters are beside those of the checks.
    let checks = findings.iter().filter(|finding| finding.check != Check::FilterKeepsRows).count();
    report.goal("checks", &checks.to_string(), "1000", checks == TABLES * CHECKS);
    report.goal("statements", &statements.to_string(), "10", statements == TABLES);
    Ok(())
}

/// Measures the checks of one large table in PostgreSQL over ODBC, in one statement and in one per check.
async fn time(report: &mut Report) -> Result<()> {
    report.part(&format!(
        "Data checks: {CHECKS} checks on a table of {MANY} rows in PostgreSQL over ODBC, in one statement, in one for \
         each, and in one statement again"
    ));
    let server = Postgres::start()?;
    let warehouse = server.warehouse_with(LIMIT)?;
    let now = Timestamp::now();
    let begun = Instant::now();
    fill_cities(&warehouse).await?;
    fill(&warehouse, &table_name(0), MANY, now).await?;
    let pipeline = pipeline(Dialect::PostgreSql, 1)?;
    report.line(&format!("table filled in {:.0} s", begun.elapsed().as_secs_f64()));

    // Measured before and after, so that other load on the machine favours neither.
    let (before, first) = by_table(&warehouse, &pipeline, now).await?;
    let (each, apart) = by_check(&warehouse, &pipeline, now).await?;
    let (after, last) = by_table(&warehouse, &pipeline, now).await?;
    ensure!(before == each && each == after, "the two ways differ in their findings");
    let (together, apart) = (Spread::of([first, last].map(|took| took.as_secs_f64())), apart.as_secs_f64());
    report.line(&format!(
        "in one statement  {:>7.1} s (from {:.1} to {:.1})",
        together.median, together.least, together.most
    ));
    report.line(&format!("in one for each   {apart:>7.1} s"));
    let faster = apart / together.median;
    report.goal("faster than one for each check", &format!("{faster:.1} x"), ">= 5 x", faster >= 5.0);
    Ok(())
}

/// Runs the checks as the function does, all of one table together; returns the findings and the time.
async fn by_table(
    warehouse: &Warehouse,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Result<(Vec<Finding>, Duration)> {
    let scans = compile(&pipeline.checks, warehouse.dialect(), &pipeline.time_zone, now)?;
    let begun = Instant::now();
    let looked = ask_all(Asker::new(warehouse, LIMIT), scans).await;
    let took = begun.elapsed();
    Ok((judged(&looked, now)?, took))
}

/// Runs the checks with a statement for each; returns the findings and the time.
async fn by_check(
    warehouse: &Warehouse,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Result<(Vec<Finding>, Duration)> {
    let mut scans = Vec::new();
    for check in &pipeline.checks {
        scans.extend(compile(std::iter::once(check), warehouse.dialect(), &pipeline.time_zone, now)?);
    }
    let begun = Instant::now();
    let looked = ask_all(Asker::new(warehouse, LIMIT), scans).await;
    let took = begun.elapsed();
    Ok((judged(&looked, now)?, took))
}

/// Returns the findings about data. All must be healthy, because an early failure would be fast.
fn judged(looked: &[Looked<'_>], now: Timestamp) -> Result<Vec<Finding>> {
    let findings = judge_round(looked, Extent::Whole, now);
    if let Some(finding) = findings.iter().find(|finding| !matches!(finding.outcome, Outcome::Healthy { .. }))
    {
        anyhow::bail!("{finding}");
    }
    Ok(findings.into_iter().filter(|finding| finding.subject != WAREHOUSE).collect())
}

fn table_name(number: usize) -> String {
    format!("crm.bench.properties_{number}")
}

const CITIES: &str = "crm.bench.cities";

/// Creates a table and fills it with this many different properties, generated in the engine.
async fn fill(warehouse: &Warehouse, table: &str, rows: u64, now: Timestamp) -> Result<()> {
    let dialect = warehouse.dialect();
    let name = object_name(dialect, table)?;
    let numbers = match dialect {
        Dialect::PostgreSql => format!("generate_series(1, {rows}) AS s(n)"),
        _ => format!(
            "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows}) SELECT n FROM g) AS s"
        ),
    };
    let (unlogged, instant) = match dialect {
        Dialect::PostgreSql => ("UNLOGGED ", "TIMESTAMP WITH TIME ZONE"),
        _ => ("", "TEXT"),
    };
    let create = format!(
        "CREATE {unlogged}TABLE {name} (property_id VARCHAR(20), company_name VARCHAR(80), address VARCHAR(80), \
         city VARCHAR(80), status VARCHAR(20), email VARCHAR(80), region BIGINT, created_at {instant})"
    );
    let insert = format!(
        "INSERT INTO {name} SELECT 'P-' || n, CASE WHEN n % 1000 <> 7 THEN 'Company ' || (n % 50000) END, \
         n || ' Main Street', 'City ' || (n % 50), CASE n % 3 WHEN 0 THEN 'active' WHEN 1 THEN 'sold' ELSE 'leased' END, \
         'owner-' || n || '@example.com', n % 16, CASE WHEN n % 3 = 0 THEN :today ELSE :yesterday END FROM {numbers}"
    );
    let insert = Statement::new("rows", insert)
        .bind("today", now)
        .bind("yesterday", now - SignedDuration::from_hours(24));
    warehouse.execute(&Statement::new("a table", create)).await?;
    warehouse.execute(&insert).await?;
    if dialect == Dialect::PostgreSql {
        // As on a server in use: otherwise the first reader pays for it.
        warehouse.execute(&Statement::new("a table", format!("VACUUM ANALYZE {name}"))).await?;
    }
    Ok(())
}

/// Creates the table of cities that the `referential` checks refer to.
async fn fill_cities(warehouse: &Warehouse) -> Result<()> {
    let name = object_name(warehouse.dialect(), CITIES)?;
    if warehouse.dialect() == Dialect::PostgreSql {
        warehouse.execute(&Statement::new("a schema", "CREATE SCHEMA bench")).await?;
    }
    let create = format!("CREATE TABLE {name} (city VARCHAR(80))");
    let rows: Vec<String> = (0..50).map(|number| format!("('City {number}')")).collect();
    let insert = format!("INSERT INTO {name} VALUES {}", rows.join(", "));
    warehouse.execute(&Statement::new("cities", create)).await?;
    warehouse.execute(&Statement::new("cities", insert)).await?;
    Ok(())
}

/// Builds the repository's pipeline with the checks of this many tables instead of its own.
fn pipeline(dialect: Dialect, tables: usize) -> Result<Pipeline> {
    let text = fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
    let (head, rest) = text.split_once("[warehouse]").context("infra/pipeline.toml has no [warehouse]")?;
    let (databricks, _) = rest.split_once("[[checks]]").context("infra/pipeline.toml has no [[checks]]")?;
    let warehouse = match dialect {
        Dialect::Databricks => databricks,
        Dialect::PostgreSql => "\ndriver = \"odbc\"\ndialect = \"postgresql\"\n",
        Dialect::Sqlite => "\ndriver = \"odbc\"\ndialect = \"sqlite\"\n",
    };
    let mut text = format!("{head}[warehouse]{warehouse}");
    for table in 0..tables {
        for number in 0..CHECKS {
            // Writing into a string cannot fail.
            _ = writeln!(
                text,
                "[[checks]]\nname = \"check-{table}-{number}\"\ntable = \"{}\"\n{}",
                table_name(table),
                rule(number)
            );
        }
    }
    Ok(Pipeline::parse(&text)?)
}

/// Builds a different check for each number, on all rows or on those of one region.
fn rule(number: usize) -> String {
    const COLUMNS: [&str; 8] =
        ["property_id", "company_name", "address", "city", "status", "email", "region", "created_at"];
    let region = if number < 96 { number / COLUMNS.len() } else { 0 };
    let of_region = match region {
        0 => String::new(),
        region => format!("where = [{{ column = \"region\", equals = {region} }}]\n"),
    };
    let column = COLUMNS.get(number % COLUMNS.len()).copied().unwrap_or_default();
    let rule = match number {
        0..40 => format!("kind = \"null-count\"\ncolumn = \"{column}\"\nlimit = 1000000"),
        40..56 => format!("kind = \"null-rate\"\ncolumn = \"{column}\"\nlimit_percent = 5"),
        56..72 => format!(
            "kind = \"accepted-values\"\ncolumn = \"status\"\nvalues = [\"active\", \"sold\", \"leased\", \"{number}\"]"
        ),
        72..80 => {
            format!("kind = \"pattern\"\ncolumn = \"property_id\"\nlike = \"P-%\"\nmax_length = {number}")
        }
        80..88 => {
            format!("kind = \"pattern\"\ncolumn = \"email\"\nlike = \"%@example.com\"\nmax_length = {number}")
        }
        88..96 => format!(
            "kind = \"row-count\"\nmin = 1\nmax = 10000{number}\nwindow = {{ day = \"{}\", column = \"created_at\" }}",
            if number.is_multiple_of(2) { "today" } else { "yesterday" }
        ),
        96 | 97 => "kind = \"queue-size\"\nlimit = 100000000".to_owned(),
        98 => "kind = \"duplicates\"\nkey = \"property_id\"".to_owned(),
        _ => format!(
            "kind = \"referential\"\ncolumn = \"city\"\nreferences = {{ table = \"{CITIES}\", key = \"city\" }}"
        ),
    };
    format!("{of_region}{rule}")
}
