//! The nightly snapshot: the figures of the day, in the warehouse.

use anyhow::{Context as _, Result, ensure};
use secrecy::SecretString;
use syncwatch::data_checks::object_name;
use syncwatch::http;
use syncwatch::sql::{Row, Statement};
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};

use syncwatch_lab::databricks::{TOKEN, WAREHOUSE_ID};
use syncwatch_lab::wait::until;

use super::{Demo, LIMIT, SNAPSHOT};

const AUDIT_LOG: &str = "crm.sfdc_dbx.sync_audit_log";

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    demo.settle().await?;
    demo.nothing_new("the last act")?;
    println!();
    demo.line("NIGHT   48 quiet hours later, at 23:59, the Scheduler fires the snapshot, once");
    // The snapshots read the runs since yesterday. Without the quiet hours, the failures of the earlier acts would push the
    // success rate below its limit, and yesterday would not be as usual.
    demo.pass(48 * 60);
    demo.settle().await?;
    demo.stage.deployment.poll_every_sweep(SNAPSHOT, 1).await?;
    let written = async || {
        let rows = day(demo).await?;
        Ok((!rows.is_empty()).then_some(rows))
    };
    let day = until(LIMIT, "the row of the day in sync_audit_log", written).await?;
    demo.quote("sync_audit_log, row of the day:", &day);
    let runs = runs(demo).await?;
    ensure!(!runs.is_empty(), "the day has no rows of runs");
    demo.quote("sync_audit_log, newest runs:", &runs);
    demo.settle().await?;
    demo.nothing_new("the snapshot")
}

/// The figures of the newest day, one per line; empty before the first snapshot.
async fn day(demo: &Demo) -> Result<String> {
    const FIGURES: [&str; 11] = [
        "records_processed",
        "records_failed",
        "total_properties",
        "synced_properties",
        "create_queue_count",
        "update_queue_count",
        "null_company_count",
        "duplicate_count",
        "incidents_opened",
        "incidents_resolved",
        "time_to_recover_seconds",
    ];
    let columns = format!("snapshot_date, coverage_percentage, figures_missing, {}", FIGURES.join(", "));
    let rows = ask(demo, &columns, "row_kind = 'day' ORDER BY snapshot_date DESC", |row| {
        let date: jiff::civil::Date = row.get("snapshot_date")?;
        let coverage: Option<f64> = row.get("coverage_percentage")?;
        let missing: Option<String> = row.get("figures_missing")?;
        let mut lines = vec![format!("{:<24} {date}", "day")];
        for figure in FIGURES {
            let value: Option<i64> = row.get(figure)?;
            lines.push(format!("{figure:<24} {}", known(value)));
        }
        lines.push(format!("{:<24} {}", "coverage_percentage", known(coverage)));
        lines.push(format!("{:<24} {}", "figures_missing", missing.unwrap_or_else(|| "none".to_owned())));
        Ok(lines.join("\n"))
    });
    Ok(rows.await?.into_iter().next().unwrap_or_default())
}

/// The newest runs, one per line.
async fn runs(demo: &Demo) -> Result<String> {
    let columns = "execution_timestamp, sync_name, status, records_processed, records_failed";
    let rows = ask(demo, columns, "row_kind = 'run' ORDER BY execution_timestamp DESC, audit_id", |row| {
        let (at, sync, status): (jiff::Timestamp, String, String) =
            (row.get("execution_timestamp")?, row.get("sync_name")?, row.get("status")?);
        let processed: Option<i64> = row.get("records_processed")?;
        let failed: Option<i64> = row.get("records_failed")?;
        Ok(format!(
            "{} {sync:<18} {status:<10} {:>6} records, {:>4} failed",
            at.strftime("%H:%M UTC"),
            known(processed),
            known(failed),
        ))
    });
    Ok(rows.await?.join("\n"))
}

fn known<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

/// The warehouse through its API, as the functions use it, so that times read as they saw them.
pub(super) fn warehouse(demo: &Demo) -> Result<Warehouse> {
    let url = demo.stage.warehouse.as_ref().context("the stage has no warehouse")?.url();
    let auth = DatabricksAuth::Token(SecretString::from(TOKEN));
    let settings = DatabricksSettings::new(url, WAREHOUSE_ID, auth);
    Ok(Warehouse::open(Settings::Databricks(settings), http::client()?)?)
}

/// Up to five rows of the audit log, as text.
async fn ask(
    demo: &Demo,
    columns: &str,
    which: &str,
    text: impl Fn(&Row<'_>) -> Result<String, syncwatch::sql::Error>,
) -> Result<Vec<String>> {
    let warehouse = warehouse(demo)?;
    let table = object_name(warehouse.dialect(), AUDIT_LOG)?;
    let sql = format!("SELECT {columns} FROM {table} WHERE {which} LIMIT 5");
    let answer = warehouse.query(&Statement::new("the audit log", sql)).await?;
    Ok(answer.rows().map(|row| text(&row)).collect::<Result<_, _>>()?)
}
