//! The world in Census's JSON. `shift` moves every timestamp back: see [`crate::clock::LabClock::ahead_of_wall`].

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::world::{Generation, LeftBehind, Outcome, SimRun, SimSync, World};

/// The most entries per page; more is clamped (Census docs, "Pagination").
const LARGEST_PAGE: u64 = 100;
const USUAL_PAGE: u64 = 25;

/// The requested page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: u64,
    pub(super) per_page: u64,
    pub(super) ascending: bool,
}

impl Default for Paging {
    fn default() -> Self {
        Self { page: 1, per_page: USUAL_PAGE, ascending: false }
    }
}

impl Paging {
    pub(super) fn of(field: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
        Self {
            // 0 is treated as 1, and values above the maximum are clamped.
            page: number("page").unwrap_or(1).max(1),
            per_page: number("per_page").unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE),
            ascending: field("order").is_some_and(|order| order == "asc"),
        }
    }
}

/// The envelope of a list. `next_url` is the full address of the list, for V1's deprecated `next`.
pub(super) fn paged<T>(
    items: impl DoubleEndedIterator<Item = T> + ExactSizeIterator,
    paging: Paging,
    next_url: Option<&str>,
    render: impl Fn(T) -> Value,
) -> Value {
    let total = items.len() as u64;
    let last = total.div_ceil(paging.per_page).max(1);
    let skip = usize::try_from((paging.page - 1).saturating_mul(paging.per_page)).unwrap_or(usize::MAX);
    let take = usize::try_from(paging.per_page).unwrap_or(usize::MAX);
    // Items come newest first, which is the default order.
    let data: Vec<Value> = if paging.ascending {
        items.rev().skip(skip).take(take).map(render).collect()
    } else {
        items.skip(skip).take(take).map(render).collect()
    };
    let next = (paging.page < last).then(|| paging.page + 1);
    let mut answer = json!({
        "status": "success",
        "data": data,
        "pagination": {
            "total_records": total,
            "per_page": paging.per_page,
            "prev_page": (paging.page > 1).then(|| paging.page - 1),
            "page": paging.page,
            "next_page": next,
            "last_page": last,
        },
    });
    if let (Some(url), Some(answer)) = (next_url, answer.as_object_mut()) {
        let next = next.map(|next| format!("{url}?page={next}&per_page={}", paging.per_page));
        answer.insert("next".to_owned(), json!(next));
    }
    answer
}

fn shown(instant: Timestamp, shift: SignedDuration) -> Value {
    let shown = instant.saturating_sub(shift).unwrap_or(instant);
    json!(shown.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// How far shown timestamps are moved back, the world's clock skew included.
fn total_shift(world: &World, shift: SignedDuration) -> SignedDuration {
    shift.saturating_sub(world.skew)
}

/// A page of `GET /syncs`, newest first.
#[must_use]
pub fn syncs_json(world: &World, page: u64, per_page: u64, shift: SignedDuration) -> Value {
    syncs_page(world, Paging { page, per_page, ascending: false }, shift)
}

/// The same, oldest first.
pub(super) fn syncs_oldest_first(world: &World, page: u64, per_page: u64, shift: SignedDuration) -> Value {
    syncs_page(world, Paging { page, per_page, ascending: true }, shift)
}

fn syncs_page(world: &World, paging: Paging, shift: SignedDuration) -> Value {
    let syncs: Vec<&SimSync> = world.syncs().rev().collect();
    paged(syncs.into_iter(), paging, None, |sync| sync_json(world, sync, shift))
}

/// A page of `GET /syncs/{id}/sync_runs`, newest first.
#[must_use]
pub fn runs_json(world: &World, sync_id: u64, per_page: u64, shift: SignedDuration) -> Value {
    let runs: Vec<&SimRun> = world.runs(sync_id).collect();
    let paging = Paging { page: 1, per_page, ascending: false };
    paged(runs.into_iter(), paging, None, |run| run_json(world, run, shift))
}

/// One sync.
#[must_use]
pub fn sync_json(world: &World, sync: &SimSync, shift: SignedDuration) -> Value {
    let shift = total_shift(world, shift);
    let last = world.runs(sync.id).find(|run| run.has_ended(world.now()) && run.outcome != Outcome::Skipped);
    let words = match (last.map(|run| run.outcome), sync.generation) {
        (None, Generation::Flat) => "Ready",
        (None, Generation::Nested) => "ready",
        (Some(Outcome::Failed), Generation::Flat) => "Failing",
        (Some(Outcome::Failed), Generation::Nested) => "failing",
        (Some(_), Generation::Flat) => "Up to Date",
        (Some(_), Generation::Nested) => "up to date",
    };
    let mut json = json!({
        "id": sync.id,
        "label": sync.label,
        "status": words,
        "operation": sync.operation,
        "paused": sync.paused,
        "created_at": shown(sync.created_at, shift),
        "updated_at": shown(sync.updated_at, shift),
        "source_attributes": { "connection_id": 4, "object": { "type": "table", "table_catalog": "crm",
                               "table_schema": "sfdc_dbx", "table_name": "properties" } },
        "destination_attributes": { "connection_id": 15, "object": "Property__c", "lead_union_insert_to": null },
        "mappings": sync.mappings,
        "field_behavior": "specific_properties",
        "field_normalization": null,
        "advanced_configuration": {},
        "failed_run_notifications_enabled": sync.alerts.failed_run,
        "failed_record_notifications_enabled": sync.alerts.rejected_percent.is_some(),
        "failed_record_notifications_threshold_percent": sync.alerts.rejected_percent,
    });
    if let Some(json) = json.as_object_mut() {
        match sync.generation {
            Generation::Flat => flat(sync, json),
            Generation::Nested => nested(sync, json),
        }
    }
    json
}

fn flat(sync: &SimSync, json: &mut Map<String, Value>) {
    let schedule = sync.schedule.to_json();
    for key in ["frequency", "day", "hour", "minute"] {
        json.insert(format!("schedule_{key}"), schedule.get(key).cloned().unwrap_or_default());
    }
    json.insert("cron_expression".to_owned(), schedule.get("cron_expression").cloned().unwrap_or_default());
}

fn nested(sync: &SimSync, json: &mut Map<String, Value>) {
    let schedule = sync.schedule.to_json();
    json.insert("cron_expression".to_owned(), schedule.get("cron_expression").cloned().unwrap_or_default());
    json.insert("mode".to_owned(), json!({ "type": "triggered", "triggers": { "schedule": schedule } }));
    let mut alerts = Vec::new();
    if sync.alerts.failed_run {
        alerts.push(json!({ "id": 1, "type": "FailureAlertConfiguration", "send_for": "first_time",
                            "should_send_recovery": true, "options": null }));
    }
    if let Some(threshold) = sync.alerts.rejected_percent {
        alerts.push(
            json!({ "id": 2, "type": "InvalidRecordPercentAlertConfiguration", "send_for": "first_time",
                            "should_send_recovery": true, "options": { "threshold": threshold } }),
        );
    }
    json.insert("alert_attributes".to_owned(), json!(alerts));
}

/// One run.
#[must_use]
pub fn run_json(world: &World, run: &SimRun, shift: SignedDuration) -> Value {
    let now = world.now();
    let shift = total_shift(world, shift);
    let ended = run.has_ended(now);
    let failed = ended && run.outcome == Outcome::Failed;
    let counts = run.counts.filter(|_| ended);
    let count = |of: fn(&super::world::SimCounts) -> u64| counts.as_ref().map(of);
    let (code, message) = run.error.clone().filter(|_| failed).unzip();
    let mut json = json!({
        "id": run.id,
        "sync_id": run.sync_id,
        "source_record_count": count(|counts| counts.source),
        "source_record_updates": count(|counts| counts.processed),
        "source_record_deletes": counts.map(|_| 0),
        "source_record_invalids": count(|counts| counts.invalid),
        "records_processed": count(|counts| counts.processed),
        "records_updated": count(|counts| counts.updated),
        "records_failed": count(|counts| counts.failed),
        "created_at": shown(run.created_at, shift),
        "updated_at": shown(run.ends_at.filter(|_| ended).unwrap_or(run.starts_at), shift),
        // The only documented sample of a failed run has null here, and null counts.
        "completed_at": run.ends_at.filter(|_| ended && !failed).map(|end| shown(end, shift)),
        "scheduled_execution_time": run.scheduled_for.map(|slot| shown(slot, shift)),
        "error_code": code,
        "error_message": message.clone(),
        "error_detail": message,
        "status": run.status_at(now),
        "canceled": run.canceled,
        "full_sync": run.full,
    });
    if let (false, Some(json)) = (ended, json.as_object_mut()) {
        json.insert("current_step".to_owned(), json!("Running sync"));
    }
    json
}

/// The records of a run that did not arrive, with a payload in Census's format.
pub(super) fn rejected_records(run: &SimRun) -> Vec<Value> {
    let counts = run.counts.unwrap_or(super::world::SimCounts {
        source: 0,
        processed: 0,
        updated: 0,
        failed: 0,
        invalid: 0,
    });
    let made_up =
        |number: u64| format!("P-{:08}", run.id.wrapping_mul(1_000).wrapping_add(number) % 100_000_000);
    let known = run.left_behind.clone().unwrap_or_else(|| LeftBehind {
        rejected: (0..counts.failed).map(made_up).collect(),
        invalid: (0..counts.invalid).map(|number| made_up(10_000 + number)).collect(),
    });
    let record = |identifier: &String, status: &str, message: &str| {
        json!({
            "record_payload": { "PROPERTY_ID": identifier, "COMPANY_NAME": null, "OWNER_EMAIL": "owner@example.com" },
            "identifier": identifier,
            "batch_started_at": run.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "batch_completed_at": run.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "operation": "upsert",
            "status": status,
            "status_message": message,
        })
    };
    let rejected = known.rejected.iter().map(|key| record(key, "rejected", &run.reject_message));
    let invalid = known.invalid.iter().map(|key| record(key, "invalid", "Invalid value in PROPERTY_ID"));
    rejected.chain(invalid).collect()
}
