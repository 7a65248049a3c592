//! Compares the objects of the pipeline in the warehouse, and reads what their syncs did.

use std::time::Duration;

use jiff::Timestamp;

use crate::census::Client;
use crate::observation::{Run, RunStatus};
use crate::pipeline::Pipeline;
use crate::reconcile::{
    Horizon, MOST_JUDGED, NotCompared, Object, Reconciliation, Sent, Statements, check_copy, copied,
};
use crate::warehouse::{Limits, Warehouse};

/// The limits of one statement of a comparison: it may join tables of millions of rows.
pub const COMPARE_LIMITS: Limits = Limits {
    time: Duration::from_secs(300),
    rows: 3 * (MOST_JUDGED + 1),
    bytes: 64 << 20,
    value_bytes: 16 << 10,
};
/// The most rejected records that are read of a run: Census lists at most so many.
const MOST_REJECTED: u32 = 100;

/// Compares the records of an object on both sides, by three statements.
///
/// # Errors
/// The copy is stale, a statement failed, or the counts do not add up: then nothing is known, and nothing is wrong.
pub async fn compare(
    warehouse: &Warehouse,
    object: &Object,
    sent: &Sent,
    now: Timestamp,
) -> Result<Reconciliation, NotCompared> {
    let statements = Statements::new(object, warehouse.dialect(), Horizon::of(object, sent, now));
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
