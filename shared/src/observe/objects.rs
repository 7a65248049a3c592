//! Compares the objects of the pipeline in the warehouse, and reads what their syncs did.

use std::time::Duration;

use jiff::Timestamp;

use super::streams;
pub use super::streams::Progress;
use crate::census::Client;
use crate::observation::{Run, RunStatus};
use crate::pipeline::Pipeline;
use crate::reconcile::{
    Coverage, Horizon, MOST_JUDGED, NotCompared, Object, Reconciliation, Record, Sent, Statements,
    check_copy, copied, read_records,
};
use crate::warehouse::{Databases, Limits, Warehouse};

/// The limits of one statement of a comparison: it may join tables of millions of rows.
pub const COMPARE_LIMITS: Limits = Limits {
    time: Duration::from_secs(300),
    rows: 3 * (MOST_JUDGED + 1),
    bytes: 64 << 20,
    value_bytes: 16 << 10,
};
/// The most rejected records that are read of a run: Census lists at most so many.
const MOST_REJECTED: u32 = 100;

/// Compares the covered records of an object on both sides: by three statements if they are in one database, else as two streams.
///
/// # Errors
/// The copy is stale, a statement failed, or the counts do not add up: then nothing is known, and nothing is wrong.
pub async fn compare(
    databases: &Databases,
    object: &Object,
    sent: &Sent,
    coverage: Coverage,
    progress: Progress,
    now: Timestamp,
) -> Result<Reconciliation, NotCompared> {
    let of_source = databases.of(&object.source)?;
    if object.source.connection != object.destination.connection {
        let sides = [of_source, databases.of(&object.destination)?];
        return streams::compare(sides, object, sent, coverage, progress, now).await;
    }
    compare_in_one(of_source, object, sent, coverage, now)
        .await
        .map_err(|why| why.of(object.source.connection.as_deref()))
}

/// Reads the rows of one key of an object, on both sides. `None` if the key is not of the object's kind of key.
///
/// # Errors
/// A statement failed.
pub async fn one_key(
    databases: &Databases,
    object: &Object,
    key: &str,
    sent: &Sent,
    now: Timestamp,
) -> Result<Option<Vec<Record>>, NotCompared> {
    let of_source = databases.of(&object.source)?;
    if object.source.connection != object.destination.connection {
        let sides = [of_source, databases.of(&object.destination)?];
        return streams::one_key(sides, object, key, sent, now).await;
    }
    let statements = Statements::new(object, of_source.dialect(), Horizon::of(object, sent, now));
    let Some(statement) = statements.one_key(key)? else { return Ok(None) };
    let records = match of_source.query(&statement).await {
        Ok(answer) => read_records(object, key, sent, &answer),
        Err(error) => Err(error),
    };
    records.map(Some).map_err(|error| NotCompared::from(error).of(object.source.connection.as_deref()))
}

async fn compare_in_one(
    warehouse: &Warehouse,
    object: &Object,
    sent: &Sent,
    coverage: Coverage,
    now: Timestamp,
) -> Result<Reconciliation, NotCompared> {
    let horizon = Horizon::of(object, sent, now);
    let statements = Statements::new(object, warehouse.dialect(), horizon).covering(coverage);
    let repeated = warehouse.query(&statements.repeated_keys()?).await?;
    let any = !repeated.is_empty();
    let counts = warehouse.query(&statements.counts(any)?).await?;
    check_copy(object, sent, copied(object, &counts)?, now)?;
    let samples = warehouse.query(&statements.samples(any, MOST_JUDGED)?).await?;
    Reconciliation::read(object, &statements, sent, [&repeated, &counts, &samples], MOST_JUDGED)
}

/// Reads the newest runs of an object's syncs, and the records that the newest run with any rejected. What cannot be read is left
/// out and logged: the comparison then knows less, and is not wrong.
pub async fn sent(census: &Client, pipeline: &Pipeline, object: &Object) -> Sent {
    let mut sent = Sent::default();
    for sync in object.syncs.iter().filter_map(|key| pipeline.sync(key)) {
        let history = match census.newest_runs(sync.id).await {
            Ok(history) => history,
            Err(error) => {
                tracing::warn!(sync = %sync.key, %error, "runs not read for the reconciliation");
                continue;
            }
        };
        sent.add_runs(&sync.key, &history);
        let rejects = |run: &&Run| {
            run.status == RunStatus::Completed
                && run.counts.failed.unwrap_or(0) + run.counts.invalid.unwrap_or(0) > 0
        };
        let Some(run) = history.runs.iter().find(rejects) else { continue };
        match census.rejected_records(run.id, MOST_REJECTED).await {
            Ok(records) => sent.add_rejected(object.key, &records),
            Err(error) => {
                tracing::warn!(sync = %sync.key, run = %run.id, %error, "rejected records not read");
            }
        }
    }
    sent
}
