//! The JSON of Census, read leniently into observations. Pure.

use jiff::Timestamp;
use jiff::civil::Weekday;
use serde_json::Value;

use super::error::Error;
use crate::observation::{
    Counts, ObservedSchedule, ObservedSync, RejectedRecord, Run, RunError, RunHistory, RunId, RunStatus,
    SyncId, VendorAlerts,
};

/// Words of the vendor are kept up to this length where they are not understood.
const KEPT_CHARS: usize = 80;

/// An entry of a list that could not be read; the others of the page were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEntry {
    /// Its id, if that much could be read.
    pub id: Option<u64>,
    /// Where in the answer, and what was there.
    pub found: String,
}

/// One page of the list of syncs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncPage {
    /// The syncs.
    pub syncs: Vec<ObservedSync>,
    /// Entries that could not be read.
    pub unreadable: Vec<UnreadableEntry>,
    /// The number of the next page, if there is one.
    pub next: Option<u32>,
    /// How many syncs the workspace has, if the answer said.
    pub total: Option<u64>,
}

/// Where in an answer something was unexpected.
struct Place<'a> {
    operation: &'static str,
    path: &'a str,
}

impl Place<'_> {
    fn unexpected(&self, key: &str, value: Option<&Value>) -> Error {
        let path = if key.is_empty() { self.path.to_owned() } else { format!("{}.{key}", self.path) };
        Error::Shape { operation: self.operation, path, found: kind(value).to_owned() }
    }

    fn id(&self, object: &Value, key: &str) -> Result<u64, Error> {
        integer(object.get(key)).ok_or_else(|| self.unexpected(key, object.get(key)))
    }

    fn instant(&self, object: &Value, key: &str) -> Result<Timestamp, Error> {
        instant(object.get(key)).ok_or_else(|| self.unexpected(key, object.get(key)))
    }
}

/// Reads a page of `GET /syncs`.
///
/// # Errors
/// The answer has no list.
pub fn parse_syncs_page(answer: &Value, asked_for: u32) -> Result<SyncPage, Error> {
    let operation = "list syncs";
    let entries = list(answer, operation)?;
    let mut page = SyncPage {
        // After an empty page there is nothing, whatever the answer says: else a walk might never end.
        next: next_page(answer, asked_for).filter(|_| !entries.is_empty()),
        total: integer(answer.pointer("/pagination/total_records")),
        ..SyncPage::default()
    };
    for (index, entry) in entries.iter().enumerate() {
        match parse_sync_at(entry, operation, &format!("data[{index}]")) {
            Ok(sync) => page.syncs.push(sync),
            Err(error) => {
                page.unreadable
                    .push(UnreadableEntry { id: integer(entry.get("id")), found: error.to_string() });
            }
        }
    }
    Ok(page)
}

/// Reads a page of `GET /syncs/{id}/sync_runs`, newest first whatever order it came in.
///
/// # Errors
/// The answer has no list, or one of its runs cannot be read: a gap in a history would be judged as if it were none.
pub fn parse_runs_page(answer: &Value, asked_for: u32) -> Result<RunHistory, Error> {
    let operation = "list runs";
    let mut runs = list(answer, operation)?
        .iter()
        .enumerate()
        .map(|(index, entry)| parse_run_at(entry, operation, &format!("data[{index}]")))
        .collect::<Result<Vec<_>, _>>()?;
    runs.sort_by(|a, b| (b.created_at, b.id).cmp(&(a.created_at, a.id)));
    Ok(RunHistory { runs, complete: next_page(answer, asked_for).is_none() })
}

/// Reads one sync.
///
/// # Errors
/// It is no object, or has no id.
pub fn parse_sync(value: &Value) -> Result<ObservedSync, Error> {
    parse_sync_at(value, "get sync", "data")
}

fn parse_sync_at(value: &Value, operation: &'static str, path: &str) -> Result<ObservedSync, Error> {
    let place = Place { operation, path };
    if !value.is_object() {
        return Err(place.unexpected("", Some(value)));
    }
    Ok(ObservedSync {
        id: SyncId(place.id(value, "id")?),
        label: text(value.get("label")).or_else(|| text(value.get("resource_identifier"))),
        paused: value.get("paused").and_then(Value::as_bool),
        schedule: schedule(value),
        alerts: alerts(value),
        created_at: instant(value.get("created_at")),
        updated_at: instant(value.get("updated_at")),
    })
}

/// Reads one run.
///
/// # Errors
/// It is no object, or lacks its id, status or time of creation.
pub fn parse_run(value: &Value) -> Result<Run, Error> {
    parse_run_at(value, "get run", "data")
}

fn parse_run_at(value: &Value, operation: &'static str, path: &str) -> Result<Run, Error> {
    let place = Place { operation, path };
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
        // What status a cancelled run carries is documented nowhere; the flag decides.
        status: if canceled { RunStatus::Cancelled } else { run_status(&word) },
        created_at: place.instant(value, "created_at")?,
        completed_at: instant(value.get("completed_at")),
        scheduled_for: instant(value.get("scheduled_execution_time")),
        counts: Counts {
            source: integer(value.get("source_record_count")),
            processed: integer(value.get("records_processed")),
            updated: integer(value.get("records_updated")),
            failed: integer(value.get("records_failed")),
            invalid: integer(value.get("source_record_invalids"))
                .or_else(|| integer(value.get("records_invalid"))),
        },
        error: (error != RunError::default()).then_some(error),
        full_sync: value.get("full_sync").and_then(Value::as_bool),
    })
}

fn run_status(word: &str) -> RunStatus {
    match word.to_ascii_lowercase().as_str() {
        // `preparing` and `new` are deprecated words for queued, `retrying` for working (Census docs, "Sync runs").
        "queued" | "preparing" | "new" => RunStatus::Queued,
        "working" | "retrying" => RunStatus::Working,
        "completed" => RunStatus::Completed,
        "failed" => RunStatus::Failed,
        "skipped" => RunStatus::Skipped,
        "cancelled" | "canceled" => RunStatus::Cancelled,
        _ => RunStatus::Unknown(kept(word)),
    }
}

/// Reads the records of `GET /sync_runs/{id}/records` that did not arrive. Payloads are not even looked at.
///
/// # Errors
/// The answer has no list.
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

fn schedule(sync: &Value) -> ObservedSchedule {
    let mode = sync.get("mode").filter(|mode| mode.is_object());
    if let Some(mode) = mode
        && text(mode.get("type")).is_some_and(|kind| kind.eq_ignore_ascii_case("live"))
    {
        return ObservedSchedule::Triggered("a live source".to_owned());
    }
    let triggers = mode.and_then(|mode| mode.get("triggers")).or_else(|| sync.get("triggers"));
    let nested =
        triggers.and_then(|triggers| triggers.get("schedule")).filter(|schedule| schedule.is_object());
    let by_clock = match nested {
        Some(nested) => clock_schedule(nested, "", sync),
        None => clock_schedule(sync, "schedule_", sync),
    };
    match by_clock {
        // No clock starts it: then perhaps something else does.
        Some(ObservedSchedule::Manual) | None => other_trigger(triggers).or(by_clock).unwrap_or_else(|| {
            if mode.is_some() {
                ObservedSchedule::Manual
            } else {
                ObservedSchedule::Unreadable("the answer names no schedule".to_owned())
            }
        }),
        Some(schedule) => schedule,
    }
}

fn other_trigger(triggers: Option<&Value>) -> Option<ObservedSchedule> {
    const NAMES: [(&str, &str); 3] =
        [("dbt_cloud", "dbt Cloud"), ("fivetran", "Fivetran"), ("sync_sequence", "another sync")];
    let triggers = triggers?;
    let present = |key: &str| triggers.get(key).is_some_and(|trigger| !trigger.is_null());
    let by = NAMES.iter().find(|(key, _)| present(key)).map(|(_, name)| (*name).to_owned())?;
    Some(ObservedSchedule::Triggered(by))
}

/// A schedule in either generation: `{frequency, day, hour, minute, cron_expression}` below `mode`, or the same keys
/// with a prefix on the sync itself. `None` when there is no frequency at all.
fn clock_schedule(holder: &Value, prefix: &str, sync: &Value) -> Option<ObservedSchedule> {
    let field = |name: &str| holder.get(format!("{prefix}{name}"));
    let frequency = text(field("frequency"))?;
    let small = |value: Option<&Value>| integer(value).and_then(|number| u8::try_from(number).ok());
    let (hour, minute) = (small(field("hour")), small(field("minute")));
    let unreadable = |what: &str| ObservedSchedule::Unreadable(format!("{} {what}", kept(&frequency)));
    Some(match frequency.to_ascii_lowercase().as_str() {
        "never" | "manual" => ObservedSchedule::Manual,
        "continuous" => ObservedSchedule::Continuous,
        "quarter_hourly" => ObservedSchedule::QuarterHourly,
        "hourly" => ObservedSchedule::Hourly { minute },
        // The documented answer to setting just the frequency fills hour and minute in with 0.
        "daily" => ObservedSchedule::Daily { hour: hour.unwrap_or(0), minute: minute.unwrap_or(0) },
        "weekly" => match weekday(field("day")) {
            Some(day) => {
                ObservedSchedule::Weekly { day, hour: hour.unwrap_or(0), minute: minute.unwrap_or(0) }
            }
            None => unreadable("without a weekday"),
        },
        "expression" => {
            let nested = text(holder.get("cron_expression"));
            match nested.or_else(|| text(sync.get("cron_expression"))) {
                Some(expression) => ObservedSchedule::Cron(expression),
                None => unreadable("without a cron_expression"),
            }
        }
        _ => unreadable("is no frequency that we know"),
    })
}

/// A weekday by its English name; or by number, as the vendor's Terraform client types it, counted from Sunday.
fn weekday(value: Option<&Value>) -> Option<Weekday> {
    const DAYS: [(&str, Weekday); 7] = [
        ("sunday", Weekday::Sunday),
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
    ];
    if let Some(number) = integer(value) {
        return DAYS.get(usize::try_from(number).ok()?).map(|(_, day)| *day);
    }
    let name = text(value)?.to_ascii_lowercase();
    DAYS.iter().find(|(day, _)| *day == name).map(|(_, day)| *day)
}

/// The vendor's alerts: `alert_attributes` where it is there, for it wins over the older flags.
fn alerts(sync: &Value) -> VendorAlerts {
    if let Some(alerts) = sync.get("alert_attributes").and_then(Value::as_array) {
        let of = |name: &'static str| {
            alerts.iter().filter(move |alert| text(alert.get("type")).is_some_and(|kind| kind == name))
        };
        let rejected_percent = of("InvalidRecordPercentAlertConfiguration")
            .filter_map(|alert| number(alert.pointer("/options/threshold")))
            .min_by(f64::total_cmp);
        return VendorAlerts::Known {
            failed_run: of("FailureAlertConfiguration").next().is_some(),
            rejected_percent,
        };
    }
    let flag = |name: &str| sync.get(name).and_then(Value::as_bool);
    let failed_run = flag("failed_run_notifications_enabled");
    let failed_records = flag("failed_record_notifications_enabled");
    let (Some(failed_run), Some(failed_records)) = (failed_run, failed_records) else {
        return VendorAlerts::Unknown;
    };
    let threshold = number(sync.get("failed_record_notifications_threshold_percent"));
    // The documented default where the flag is on and no threshold is named.
    let rejected_percent = failed_records.then(|| threshold.unwrap_or(75.0));
    VendorAlerts::Known { failed_run, rejected_percent }
}

fn list<'a>(answer: &'a Value, operation: &'static str) -> Result<&'a Vec<Value>, Error> {
    let data = answer.get("data");
    data.and_then(Value::as_array).ok_or_else(|| Error::Shape {
        operation,
        path: "data".to_owned(),
        found: kind(data).to_owned(),
    })
}

/// The object below `data`.
pub(super) fn object<'a>(answer: &'a Value, operation: &'static str) -> Result<&'a Value, Error> {
    let data = answer.get("data");
    data.filter(|data| data.is_object()).ok_or_else(|| Error::Shape {
        operation,
        path: "data".to_owned(),
        found: kind(data).to_owned(),
    })
}

/// The list below `data`, and the number of the next page.
pub(super) fn page<'a>(
    answer: &'a Value,
    operation: &'static str,
    asked_for: u32,
) -> Result<(&'a Vec<Value>, Option<u32>), Error> {
    Ok((list(answer, operation)?, next_page(answer, asked_for)))
}

/// The next page's number, if it is further on than the one asked for: an answer that points back would never end.
fn next_page(answer: &Value, asked_for: u32) -> Option<u32> {
    let next = integer(answer.pointer("/pagination/next_page"))?;
    u32::try_from(next).ok().filter(|next| *next > asked_for)
}

/// An id below an object of the answer.
pub(super) fn id_at(object: &Value, key: &str, operation: &'static str) -> Result<u64, Error> {
    Place { operation, path: "data" }.id(object, key)
}

/// A text that is there and not empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn kept(word: &str) -> String {
    word.chars().take(KEPT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A whole number of at least 0, also as text.
fn integer(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

fn instant(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.trim().parse().ok()
}

fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a truth value",
        Some(Value::Number(_)) => "a number of the wrong kind",
        Some(Value::String(_)) => "a text of the wrong kind",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}
