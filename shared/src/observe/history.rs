//! Reads the history of a pipeline from the audit log.

use jiff::civil::Date;

use crate::history::{CompletedRuns, History, MOST_ROWS, ObjectDay, Reads};
use crate::pipeline::Snapshot;
use crate::sql::{Answer, BadName, Dialect, Error as SqlError, Statement};
use crate::warehouse::Limits;

/// Why the history was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("[snapshot]: {0}")]
    Name(#[from] BadName),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// The limits of statements that read the audit log.
pub fn limits() -> Limits {
    Limits { rows: MOST_ROWS, bytes: 48 << 20, ..Limits::default() }
}

/// Reads the figures of a span of days, both ends included, with two statements.
pub async fn history(
    ask: impl AsyncFn(&Statement) -> Result<Answer, SqlError>,
    pipeline: &str,
    snapshot: &Snapshot,
    dialect: Dialect,
    (from, to): (Date, Date),
) -> Result<History, Error> {
    let reads = reads(pipeline, snapshot, dialect)?;
    let days = ask(&reads.days(from, to)).await?;
    let syncs = ask(&reads.syncs(from, to)).await?;
    Ok(History::read(&days, &syncs))
}

/// Reads how objects compared on the days of a span, both ends included; empty without a log of objects.
pub async fn object_days(
    ask: impl AsyncFn(&Statement) -> Result<Answer, SqlError>,
    pipeline: &str,
    snapshot: &Snapshot,
    dialect: Dialect,
    (from, to): (Date, Date),
) -> Result<Vec<ObjectDay>, Error> {
    match reads(pipeline, snapshot, dialect)?.object_days(from, to) {
        Some(statement) => Ok(ObjectDay::read(&ask(&statement).await?)),
        None => Ok(Vec::new()),
    }
}

/// Reads the completed runs of a span of days, both ends included, page by page.
pub async fn completed(
    ask: impl AsyncFn(&Statement) -> Result<Answer, SqlError>,
    reads: &Reads<'_>,
    (from, to): (Date, Date),
) -> Result<CompletedRuns, String> {
    let (mut runs, mut behind) = (CompletedRuns::default(), String::new());
    loop {
        let page = ask(&reads.completed(from, to, &behind)).await;
        match runs.add(&page.map_err(|error| error.to_string())?)? {
            Some(last) => behind = last,
            None => return Ok(runs),
        }
    }
}

fn reads<'p>(pipeline: &'p str, snapshot: &Snapshot, dialect: Dialect) -> Result<Reads<'p>, BadName> {
    Reads::new(pipeline, &snapshot.audit_log, dialect)?
        .with_objects(snapshot.reconciliation_log.as_deref(), dialect)
}
