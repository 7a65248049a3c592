//! Measures a night of 100,000 runs: inserted, read back, and updated.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use jiff::civil::Date;
use nightly_snapshot::plan::{Change, DayPlan};
use nightly_snapshot::rows::{DayRow, Records, RunRow};
use nightly_snapshot::statements::{RUNS_A_PAGE, Statements};
use nightly_snapshot::{WAREHOUSE_LIMIT, act, observe};
use secrecy::SecretString;
use syncwatch::pipeline::Snapshot;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Limits, Settings, Warehouse};
use syncwatch_cli::warehouse_objects::apply_folder;
use syncwatch_lab::databricks::{DatabricksServer, TOKEN, WAREHOUSE_ID};
use syncwatch_lab::engines::{self, Postgres};
use syncwatch_lab::properties::{make_sources, sql_folder};

use crate::report::{Report, mb, resident};

const RUNS: u64 = 100_000;
const GOAL: Duration = Duration::from_secs(60);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let server = Postgres::start()?;
        night(report, "PostgreSQL over ODBC", &server.warehouse()?, &server.warehouse()?).await?;

        let folder = tempfile::tempdir()?;
        let file = folder.path().join("warehouse.sqlite");
        let server = DatabricksServer::start(engines::sqlite(&file)?).await?;
        let auth = DatabricksAuth::Token(SecretString::from(TOKEN));
        let mut settings = DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth);
        settings.limits = Limits { rows: RUNS_A_PAGE + 1, bytes: 48 << 20, ..settings.limits };
        let databricks = Warehouse::open(Settings::Databricks(settings), syncwatch::http::client()?)?;
        night(report, "the simulated Databricks", &databricks, &engines::sqlite(&file)?).await?;
        let writes = server.statements().iter().filter(|sql| sql.starts_with("INSERT")).count();
        report.line(&format!("{writes} statements inserted them"));
        Ok(())
    })
}

async fn night(report: &mut Report, engine: &str, warehouse: &Warehouse, direct: &Warehouse) -> Result<()> {
    report.part(&format!("Nightly snapshot: {RUNS} runs of one day in {engine}"));
    let day: Date = "2026-11-24".parse()?;
    make_sources(direct).await?;
    apply_folder(warehouse, &sql_folder(), Timestamp::now()).await?;
    let snapshot = Snapshot {
        audit_log: "crm.sfdc_dbx.sync_audit_log".to_owned(),
        health_view: None,
        reconciliation_log: None,
    };
    let statements = Statements::new("properties", &snapshot, warehouse.dialect())?;

    let runs: Vec<RunRow> = (0..RUNS).map(|id| run(day, id, "completed")).collect::<Result<_>>()?;
    let log = DayRow { audit_id: format!("day/properties/{day}"), snapshot_date: day, ..DayRow::default() };
    let mut plan = DayPlan {
        day: DayRow { pipeline: "properties".to_owned(), ..log },
        day_change: Change::Insert,
        runs: runs.into_iter().map(|run| (run, Change::Insert)).collect(),
    };
    let before = resident(true)?;
    let took = write(warehouse, &statements, &plan).await?;
    let peak = resident(false)?.saturating_sub(before);
    report.goal("inserted", &seconds(took), &format!("<= {} s", GOAL.as_secs()), took <= GOAL);
    report.line(&format!("{:.0} MB in addition to the rows", mb(peak)));

    let begun = Instant::now();
    let stored = observe::stored_runs(Asker::new(warehouse, WAREHOUSE_LIMIT), &statements, &[day]).await?;
    let took = begun.elapsed();
    ensure!(stored.len() == plan.runs.len(), "{} runs are stored", stored.len());
    report.goal("read back", &seconds(took), &format!("<= {} s", GOAL.as_secs()), took <= GOAL);

    plan.day_change = Change::Unchanged;
    for (run, change) in &mut plan.runs {
        run.status = Some("failed".to_owned());
        *change = Change::Update;
    }
    let took = write(warehouse, &statements, &plan).await?;
    report.goal("all updated", &seconds(took), &format!("<= {} s", GOAL.as_secs()), took <= GOAL);
    Ok(())
}

async fn write(warehouse: &Warehouse, statements: &Statements<'_>, plan: &DayPlan) -> Result<Duration> {
    let begun = Instant::now();
    let written =
        act::write(Asker::new(warehouse, WAREHOUSE_LIMIT), statements, std::slice::from_ref(plan)).await;
    let took = begun.elapsed();
    written.failure.map_or(Ok(took), |failure| Err(failure.into()))
}

fn run(day: Date, id: u64, status: &str) -> Result<RunRow> {
    let sync = format!("properties-sync-{:03}", id % 150);
    Ok(RunRow {
        audit_id: format!("run/{sync}/{}", 400_000_000 + id),
        pipeline: "properties".to_owned(),
        snapshot_date: day,
        sync_name: Some(sync),
        sync_type: Some("update".to_owned()),
        run_id: Some((400_000_000 + id).to_string()),
        status: Some(status.to_owned()),
        execution_timestamp: "2026-11-24T10:00:00.123Z".parse()?,
        duration_seconds: Some(90),
        records: Records {
            processed: Some(100),
            succeeded: Some(97),
            failed: Some(3),
            error_rate: Some(3.0),
        },
        notes: id.is_multiple_of(10).then(|| "error class validation".to_owned()),
    })
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
