//! Parses runs and their records.

use serde_json::Value;

use super::Place;
use super::page::list;
use super::value::{instant, integer, kept, text};
use crate::census::error::Error;
use crate::observation::{Counts, RejectedRecord, Run, RunError, RunId, RunStatus, SyncId};

/// Parses a run.
pub fn parse_run(value: &Value) -> Result<Run, Error> {
    parse_run_at(value, "get run", "data")
}

pub(super) fn parse_run_at(value: &Value, operation: &'static str, path: &str) -> Result<Run, Error> {
    let place = Place { operation, path };
    if !value.is_object() {
        return Err(place.unexpected("", Some(value)));
    }
    let word = text(value.get("status")).ok_or_else(|| place.unexpected("status", value.get("status")))?;
    let canceled = value.get("canceled").and_then(Value::as_bool).unwrap_or(false);
    let error = RunError {
        code: text(value.get("error_code")),
        message: text(value.get("error_message")),
        detail: text(value.get("error_detail")),
    };
    Ok(Run {
        id: RunId(place.id(value, "id")?),
        sync_id: integer(value.get("sync_id")).map(SyncId),
        // The status of a cancelled run is undocumented; the flag decides.
        status: if canceled { RunStatus::Cancelled } else { run_status(&word) },
        created_at: place.instant(value, "created_at")?,
        completed_at: instant(value.get("completed_at")),
        scheduled_for: instant(value.get("scheduled_execution_time")),
        by_hand: by_hand(value),
        counts: counts(value),
        error: (error != RunError::default()).then_some(error),
        full_sync: value.get("full_sync").and_then(Value::as_bool),
    })
}

/// Newer answers have no reason of the trigger; a run with a slot was started by its schedule.
fn by_hand(run: &Value) -> Option<bool> {
    let tag = run.get("sync_trigger_reason").and_then(|reason| text(reason.get("ui_tag")));
    let scheduled = instant(run.get("scheduled_execution_time")).map(|_| false);
    tag.map(|tag| tag.eq_ignore_ascii_case("manual")).or(scheduled)
}

fn counts(run: &Value) -> Counts {
    let count = |name: &str| integer(run.get(name));
    Counts {
        source: count("source_record_count"),
        processed: count("records_processed"),
        updated: count("records_updated"),
        failed: count("records_failed"),
        invalid: count("source_record_invalids").or_else(|| count("records_invalid")),
    }
}

fn run_status(word: &str) -> RunStatus {
    match word.to_ascii_lowercase().as_str() {
        // `preparing` and `new` are deprecated names of queued, `retrying` of working (Census docs, "Sync runs").
        "queued" | "preparing" | "new" => RunStatus::Queued,
        "working" | "retrying" => RunStatus::Working,
        "completed" => RunStatus::Completed,
        "failed" => RunStatus::Failed,
        "skipped" => RunStatus::Skipped,
        "cancelled" | "canceled" => RunStatus::Cancelled,
        _ => RunStatus::Unknown(kept(word)),
    }
}

/// Parses the records of `GET /sync_runs/{id}/records` that did not arrive. Never reads payloads.
pub fn parse_rejected(answer: &Value) -> Result<Vec<RejectedRecord>, Error> {
    let records = list(answer, "list records")?.iter().filter_map(|record| {
        let status = text(record.get("status"))?;
        let arrived = status.eq_ignore_ascii_case("succeeded");
        (!arrived).then(|| RejectedRecord {
            identifier: text(record.get("identifier"))
                .or_else(|| integer(record.get("identifier")).map(|id| id.to_string())),
            operation: text(record.get("operation")),
            status,
            message: text(record.get("status_message")),
        })
    });
    Ok(records.collect())
}
