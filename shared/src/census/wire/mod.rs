//! Parses the JSON of Census leniently into observations. Pure.

mod definition;
mod page;
mod run;
mod schedule;
mod value;

use jiff::Timestamp;
use serde_json::Value;

use super::error::{Error, ErrorKind};
use crate::observation::{ObservedSync, SyncId, VendorAlerts};
use value::{instant, integer, kind, number};

pub use definition::parse_definition;
pub(super) use page::page;
pub use page::{SyncPage, UnreadableEntry, parse_runs_page, parse_syncs_page};
use run::parse_run_at;
pub use run::{parse_rejected, parse_run};
pub(super) use value::text;

/// The documented default threshold, in percent, of an alert on rejected records.
const DEFAULT_REJECTED_PERCENT: f64 = 75.0;

/// A place in an answer, for errors.
struct Place<'a> {
    operation: &'static str,
    path: &'a str,
}

impl Place<'_> {
    fn unexpected(&self, key: &str, value: Option<&Value>) -> Error {
        let path = if key.is_empty() { self.path.to_owned() } else { format!("{}.{key}", self.path) };
        ErrorKind::Shape { path, found: kind(value).to_owned() }.of(self.operation)
    }

    fn id(&self, object: &Value, key: &str) -> Result<u64, Error> {
        integer(object.get(key)).ok_or_else(|| self.unexpected(key, object.get(key)))
    }

    fn instant(&self, object: &Value, key: &str) -> Result<Timestamp, Error> {
        instant(object.get(key)).ok_or_else(|| self.unexpected(key, object.get(key)))
    }
}

/// Parses a sync, in either generation of its JSON.
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
        schedule: schedule::schedule(value),
        alerts: alerts(value),
        created_at: instant(value.get("created_at")),
        updated_at: instant(value.get("updated_at")),
    })
}

/// Reads the vendor's alerts: from `alert_attributes` if present, as it overrides the older flags.
fn alerts(sync: &Value) -> VendorAlerts {
    if let Some(alerts) = sync.get("alert_attributes").and_then(Value::as_array) {
        let of = |name: &'static str| {
            alerts.iter().filter(move |alert| text(alert.get("type")).is_some_and(|kind| kind == name))
        };
        let rejected_percent = of("InvalidRecordPercentAlertConfiguration")
            .map(|alert| number(alert.pointer("/options/threshold")).unwrap_or(DEFAULT_REJECTED_PERCENT))
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
    let rejected_percent = failed_records.then(|| threshold.unwrap_or(DEFAULT_REJECTED_PERCENT));
    VendorAlerts::Known { failed_run, rejected_percent }
}

/// Returns the object at `data`.
pub(super) fn object<'a>(answer: &'a Value, operation: &'static str) -> Result<&'a Value, Error> {
    let data = answer.get("data");
    data.filter(|data| data.is_object()).ok_or_else(|| Place { operation, path: "data" }.unexpected("", data))
}

/// Reads an id of an object at `data`.
pub(super) fn id_at(object: &Value, key: &str, operation: &'static str) -> Result<u64, Error> {
    Place { operation, path: "data" }.id(object, key)
}
