//! Measures the reconciliation of two tables in one PostgreSQL beside a bare FULL JOIN of the same tables.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use syncwatch::data_checks::object_name;
use syncwatch::observe::objects::compare;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{Coverage, MOST_JUDGED, Object, Reconciliation, Sent, Statements};
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::{Databases, Warehouse};
use syncwatch_lab::aws::workspace_root;
use syncwatch_lab::engines::Postgres;

use crate::report::{Report, Spread};

const ROWS: u64 = 1_000_000;
const RUNS: usize = 5;
/// Every so many rows, one differs: few rows, or a fifth of them.
pub(crate) const FEW: u64 = 100_000;
/// Limit for one statement.
const LIMIT: Duration = Duration::from_secs(300);
/// Of the bare join's time.
const GOAL: f64 = 2.0;
const EXTRA: u64 = 7;

/// Five fields of other kinds; the number is a decimal in the source and a double in the destination.
const OBJECT: &str = r#"
[[objects]]
name = "homes"
key = { source = "home_id", destination = "home_id_c" }
changed = { source = "changed" }
fields = [
  { source = "company", destination = "company_c", kind = "text", max_length = 80 },
  { source = "status", destination = "status_c", kind = "choice" },
  { source = "rent", destination = "rent_c", kind = "number", scale = 2 },
  { source = "live", destination = "live_c", kind = "flag" },
  { source = "opened", destination = "opened_c", kind = "instant" },
]
source = { table = "crm.bench.homes" }
destination = { table = "crm.bench.home" }
"#;

/// The rows that are planted to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planted {
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) different: u64,
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(one_warehouse(report))
}

/// Measures both tables in one warehouse: three statements beside the bare join, in turns.
async fn one_warehouse(report: &mut Report) -> Result<()> {
    report.part(&format!(
        "Reconciliation in one warehouse: {ROWS} rows of 5 fields in PostgreSQL over ODBC, in turns with a bare FULL JOIN"
    ));
    let server = Postgres::start()?;
    let databases = Databases { warehouse: server.warehouse_with(LIMIT)?, connections: BTreeMap::new() };
    let warehouse = &databases.warehouse;
    make_schema(warehouse).await?;
    make_source(warehouse, ROWS).await?;
    let planted = make_destination(warehouse, ROWS, FEW).await?;
    let object = parsed(Dialect::PostgreSql, OBJECT)?;
    let now = Timestamp::now();
    let statements = Statements::new(&object, Dialect::PostgreSql, now);
    let counts = statements.counts(false)?;
    let (repeated, samples) = (statements.repeated_keys()?, statements.samples(false, MOST_JUDGED)?);
    let mut took = [const { Vec::new() }; 5];
    for _ in 0..RUNS {
        for (took, statement) in took.iter_mut().zip([&bare_join()?, &counts, &repeated, &samples]) {
            let begun = Instant::now();
            warehouse.query(statement).await?;
            took.push(begun.elapsed().as_secs_f64());
        }
        let begun = Instant::now();
        let found =
            compare(&databases, &object, &Sent::default(), Coverage::All, Arc::new(|_| ()), now).await?;
        took[4].push(begun.elapsed().as_secs_f64());
        ensure!(wrong(&found) == planted, "planted {planted:?}, found {found:?}");
    }
    let [bare, counts, repeated, samples, all] = took.map(Spread::of);
    let names = ["bare join", "counts", "repeated keys", "samples", "all three, judged"];
    for (name, spread) in names.into_iter().zip([bare, counts, repeated, samples, all]) {
        let Spread { median, least, most } = spread;
        report.line(&format!("{name:<20} {median:>6.2} s (from {least:.2} to {most:.2})"));
    }
    for (name, spread) in [("counts over the bare join", counts), ("all three over the bare join", all)] {
        let ratio = spread.median / bare.median;
        report.goal(name, &format!("{ratio:.2} x"), &format!("<= {GOAL} x"), ratio <= GOAL);
    }
    Ok(())
}

/// Returns the wrong rows that were found.
pub(crate) fn wrong(found: &Reconciliation) -> Planted {
    Planted { missing: found.missing, extra: found.extra, different: found.different }
}

/// Parses the declaration of an object beside the seed's syncs.
pub(crate) fn parsed(dialect: Dialect, object: &str) -> Result<Object> {
    let text = fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
    let (head, _) = text.split_once("[warehouse]").context("infra/pipeline.toml has no [warehouse]")?;
    let dialect = format!("{dialect:?}").to_lowercase();
    let text = format!("{head}[warehouse]\ndriver = \"odbc\"\ndialect = \"{dialect}\"\n{object}");
    Pipeline::parse(&text)?.objects.pop().context("no object")
}

/// Creates the schema of the tables.
pub(crate) async fn make_schema(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute(&Statement::new("a schema", "CREATE SCHEMA IF NOT EXISTS bench")).await?;
    Ok(())
}

/// Creates the source with so many rows, generated in PostgreSQL.
pub(crate) async fn make_source(warehouse: &Warehouse, rows: u64) -> Result<()> {
    let select = format!(
        "SELECT CAST('P-' || n AS VARCHAR(20)) AS home_id, CAST('Company ' || (n % 50000) AS VARCHAR(80)) AS company, \
         CAST(CASE n % 3 WHEN 0 THEN 'active' WHEN 1 THEN 'sold' ELSE 'leased' END AS VARCHAR(20)) AS status, \
         CAST((n % 100000) / 100.0 AS NUMERIC(20, 2)) AS rent, n % 2 = 0 AS live, \
         TIMESTAMP '2026-01-01' + n * INTERVAL '1 second' AS opened, \
         TIMESTAMP '2026-11-01' + (n % 1000) * INTERVAL '1 second' AS changed FROM generate_series(1, {rows}) AS s(n)"
    );
    make(warehouse, "crm.bench.homes", &select).await
}

/// Creates the destination of a source of so many rows: about one row in 10,000 is missing, seven are extra, and one in
/// `different_every` differs.
pub(crate) async fn make_destination(
    warehouse: &Warehouse,
    rows: u64,
    different_every: u64,
) -> Result<Planted> {
    let select = format!(
        "SELECT CAST('P-' || n AS VARCHAR(20)) AS home_id_c, \
         CAST(CASE WHEN n % {different_every} = 1 THEN 'edited' ELSE 'Company ' || (n % 50000) END AS VARCHAR(80)) AS company_c, \
         CAST(CASE n % 3 WHEN 0 THEN 'active' WHEN 1 THEN 'sold' ELSE 'leased' END AS VARCHAR(20)) AS status_c, \
         CAST((n % 100000) / 100.0 AS DOUBLE PRECISION) AS rent_c, n % 2 = 0 AS live_c, \
         TIMESTAMP '2026-01-01' + n * INTERVAL '1 second' AS opened_c FROM generate_series(1, {}) AS s(n) \
         WHERE n % 10007 <> 3",
        rows + EXTRA
    );
    make(warehouse, "crm.bench.home", &select).await?;
    let (mut missing, mut different) = (0, 0);
    for n in 1..=rows {
        missing += u64::from(n % 10_007 == 3);
        different += u64::from(n % 10_007 != 3 && n % different_every == 1);
    }
    Ok(Planted { missing, extra: EXTRA, different })
}

async fn make(warehouse: &Warehouse, table: &str, select: &str) -> Result<()> {
    let name = object_name(warehouse.dialect(), table)?;
    for sql in [
        format!("DROP TABLE IF EXISTS {name}"),
        format!("CREATE UNLOGGED TABLE {name} AS {select}"),
        // As on a server in use: otherwise the first reader pays for it.
        format!("VACUUM ANALYZE {name}"),
    ] {
        warehouse.execute(&Statement::new("a table", sql)).await?;
    }
    Ok(())
}

/// A join as it is written by hand: it counts missing, extra and different rows by the columns as they are.
fn bare_join() -> Result<Statement> {
    let [source, destination] =
        ["crm.bench.homes", "crm.bench.home"].map(|table| object_name(Dialect::PostgreSql, table));
    let fields = ["company", "status", "rent", "live", "opened"].map(|field| {
        format!(
            "COUNT(CASE WHEN s.home_id IS NOT NULL AND d.home_id_c IS NOT NULL AND s.{field} IS DISTINCT FROM d.{field}_c THEN 1 END)"
        )
    });
    let sql = format!(
        "SELECT COUNT(*), COUNT(CASE WHEN d.home_id_c IS NULL THEN 1 END), COUNT(CASE WHEN s.home_id IS NULL THEN 1 END), {} \
         FROM {} AS s FULL OUTER JOIN {} AS d ON s.home_id = d.home_id_c",
        fields.join(", "),
        source?,
        destination?
    );
    Ok(Statement::new("bare join", sql))
}
