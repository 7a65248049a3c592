//! Reads the history of a pipeline from the audit log.

use jiff::civil::Date;

use crate::history::{History, Reads};
use crate::pipeline::Snapshot;
use crate::sql::{Answer, BadName, Dialect, Error as SqlError, Statement};

/// Why the history was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("[snapshot]: {0}")]
    Name(#[from] BadName),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// Reads the figures of a span of days, both ends included, with two statements.
pub async fn history(
    ask: impl AsyncFn(&Statement) -> Result<Answer, SqlError>,
    pipeline: &str,
    snapshot: &Snapshot,
    dialect: Dialect,
    (from, to): (Date, Date),
) -> Result<History, Error> {
    let reads = Reads::new(pipeline, &snapshot.audit_log, dialect)?
        .with_objects(snapshot.reconciliation_log.as_deref(), dialect)?;
    let days = ask(&reads.days(from, to)).await?;
    let syncs = ask(&reads.syncs(from, to)).await?;
    Ok(History::read(&days, &syncs))
}
