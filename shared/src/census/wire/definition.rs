//! Parses the definition of a sync: its mappings, operation, source and destination, in both generations of the JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parse_sync;
use super::value::{integer, present, text};
use crate::baseline::{Mapping, Part, SyncDefinition};
use crate::census::error::Error;
use crate::observation::{ObservedSchedule, ObservedSync, VendorAlerts};

/// The reason for which a part of an answer is unknown.
const ABSENT: &str = "not in Census's answer";

/// Parses a sync with its definition. What Census does not send, or sends in another form, is unknown.
pub fn parse_definition(value: &Value) -> Result<(ObservedSync, SyncDefinition), Error> {
    let sync = parse_sync(value)?;
    let (source, query) = source(value);
    let definition = SyncDefinition {
        operation: Part::of(text(value.get("operation")), ABSENT),
        mappings: mappings(value),
        schedule: match &sync.schedule {
            ObservedSchedule::Unreadable(found) => Part::Unknown(found.clone()),
            schedule => Part::Known(schedule.to_string()),
        },
        alerts: alerts(value, &sync.alerts),
        source,
        query,
        destination: Part::of(destination(value), ABSENT),
    };
    Ok((sync, definition))
}

/// Reads the mappings. One that cannot be read makes all unknown: it would look like a lost one.
fn mappings(sync: &Value) -> Part<Vec<Mapping>> {
    let Some(entries) = sync.get("mappings").and_then(Value::as_array) else {
        return Part::Unknown(ABSENT.to_owned());
    };
    let mapping = |entry: &Value| {
        let data = present(entry.get("from")?, "data");
        Some(Mapping {
            from: match data {
                // A constant: {"value": ..., "basic_type": ...}.
                Some(data) if data.is_object() => plain(data.get("value").unwrap_or(data)),
                Some(data) => plain(data),
                None => String::new(),
            },
            kind: kind(entry)?,
            to: text(entry.get("to"))?,
            key: entry.get("is_primary_identifier").and_then(Value::as_bool).unwrap_or(false),
        })
    };
    Part::of(entries.iter().map(mapping).collect(), "a mapping in Census's answer has an unknown form")
}

/// Reads the kind in words, such as `column`, or `column looked up by Account.Domain__c`.
fn kind(entry: &Value) -> Option<String> {
    let kind = text(entry.pointer("/from/type"))?;
    let [object, field] = ["lookup_object", "lookup_field"].map(|key| text(entry.get(key)));
    let Some(object) = object else { return Some(kind) };
    Some(format!("{kind} looked up by {object}.{}", field.unwrap_or_default()))
}

/// Reads the source in words, and the SQL of a model.
fn source(sync: &Value) -> (Part<String>, Part<String>) {
    let Some(object) = sync.pointer("/source_attributes/object").filter(|object| object.is_object()) else {
        return (Part::Unknown(ABSENT.to_owned()), Part::Unknown(ABSENT.to_owned()));
    };
    let kind = text(object.get("type")).unwrap_or_else(|| "object".to_owned());
    let of_table = ["table_catalog", "table_schema"].map(|key| text(object.get(key)));
    let table = text(object.get("table_name"))
        .map(|table| of_table.into_iter().flatten().chain([table]).map(quoted).collect::<Vec<_>>().join("."));
    let name = table.or_else(|| text(object.get("name")));
    let name = name.or_else(|| integer(object.get("id")).map(|id| format!("#{id}")));
    let source = Part::of(name.map(|name| format!("{kind} {name}")), ABSENT);
    // Only the older generation sends the SQL of a model.
    let query = match text(object.get("query")) {
        Some(query) => Part::Known(query),
        None if kind == "model" => Part::Unknown("Census does not send the SQL of the model".to_owned()),
        None => Part::Known(String::new()),
    };
    (source, query)
}

/// Quotes a part of a name that has a dot.
fn quoted(part: String) -> String {
    if part.contains('.') { format!("\"{part}\"") } else { part }
}

fn destination(sync: &Value) -> Option<String> {
    let attributes = sync.get("destination_attributes")?;
    let object = text(attributes.get("object"))?;
    let insert =
        text(attributes.get("lead_union_insert_to")).or_else(|| text(sync.get("lead_union_insert_to")));
    Some(insert.map_or_else(|| object.clone(), |insert| format!("{object}, inserted as {insert}")))
}

/// Reads the alerts in words; of the older generation the two flags.
fn alerts(sync: &Value, flags: &VendorAlerts) -> Part<BTreeSet<String>> {
    if let Some(alerts) = sync.get("alert_attributes").and_then(Value::as_array) {
        let words = |alert: &Value| {
            let recovery = alert.get("should_send_recovery").and_then(Value::as_bool).unwrap_or(false);
            let options = present(alert, "options").map(|options| format!(" {options}"));
            Some(format!(
                "{} {}{}{}",
                text(alert.get("type"))?,
                text(alert.get("send_for")).unwrap_or_default(),
                if recovery { " and recovery" } else { "" },
                options.unwrap_or_default(),
            ))
        };
        return Part::of(
            alerts.iter().map(words).collect(),
            "an alert in Census's answer has an unknown form",
        );
    }
    match flags {
        VendorAlerts::Unknown => Part::Unknown(ABSENT.to_owned()),
        VendorAlerts::Known { failed_run, rejected_percent } => {
            let failed = failed_run.then(|| "failed run".to_owned());
            let rejected = rejected_percent.map(|percent| format!("rejected records above {percent}%"));
            Part::Known([failed, rejected].into_iter().flatten().collect())
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Fields and values of Census's documentation, in its older and its newer generation.
    fn older() -> Value {
        json!({
            "id": 61, "label": null, "schedule_frequency": "never", "operation": "upsert", "paused": false,
            "failed_run_notifications_enabled": true, "failed_record_notifications_enabled": true,
            "failed_record_notifications_threshold_percent": 75,
            "source_attributes": { "connection_id": 4, "object": {
                "type": "model", "id": 15, "name": "braze_test", "query": "select email from users" } },
            "destination_attributes": { "connection_id": 15, "object": "user" },
            "mappings": [{ "from": { "type": "column", "data": "EMAIL" }, "to": "external_id",
                "is_primary_identifier": true, "generate_field": false, "operation": null }]
        })
    }

    fn newer() -> Value {
        json!({
            "id": 15135, "operation": "mirror", "paused": false,
            "mode": { "type": "triggered", "triggers": { "schedule": { "frequency": "daily", "hour": 10, "minute": 30 } } },
            "source_attributes": { "connection_id": 12, "object": { "type": "model", "name": "test_ads" } },
            "destination_attributes": { "connection_id": 15, "object": "Lead", "lead_union_insert_to": "Contact" },
            "alert_attributes": [
                { "type": "FailureAlertConfiguration", "send_for": "first_time", "should_send_recovery": true, "options": null },
                { "type": "InvalidRecordPercentAlertConfiguration", "send_for": "every_time",
                  "should_send_recovery": false, "options": { "threshold": 10 } }
            ],
            "mappings": [
                { "from": { "type": "column", "data": "list_id" }, "to": "list_id", "lookup_object": "user_list",
                  "lookup_field": "name" },
                { "from": { "type": "constant_value", "data": { "value": "cohort_1", "basic_type": "text" } }, "to": "cohort" }
            ]
        })
    }

    fn known(text: &str) -> Part<String> {
        Part::Known(text.to_owned())
    }

    #[test]
    fn definition_is_read_in_both_generations() {
        let mapping = |from: &str, kind: &str, to: &str, key| Mapping {
            from: from.to_owned(),
            kind: kind.to_owned(),
            to: to.to_owned(),
            key,
        };
        let alerts = |alerts: [&str; 2]| Part::Known(alerts.map(str::to_owned).into());
        let (sync, definition) = parse_definition(&older()).unwrap();
        assert_eq!(sync.paused, Some(false));
        let expected = SyncDefinition {
            operation: known("upsert"),
            mappings: Part::Known(vec![mapping("EMAIL", "column", "external_id", true)]),
            schedule: known("manual"),
            alerts: alerts(["failed run", "rejected records above 75%"]),
            source: known("model braze_test"),
            query: known("select email from users"),
            destination: known("user"),
        };
        assert_eq!(definition, expected);
        let expected = SyncDefinition {
            operation: known("mirror"),
            mappings: Part::Known(vec![
                mapping("list_id", "column looked up by user_list.name", "list_id", false),
                mapping("cohort_1", "constant_value", "cohort", false),
            ]),
            schedule: known("daily at 10:30 UTC"),
            alerts: alerts([
                "FailureAlertConfiguration first_time and recovery",
                "InvalidRecordPercentAlertConfiguration every_time {\"threshold\":10}",
            ]),
            source: known("model test_ads"),
            query: Part::Unknown("Census does not send the SQL of the model".to_owned()),
            destination: known("Lead, inserted as Contact"),
        };
        assert_eq!(parse_definition(&newer()).unwrap().1, expected);
    }

    #[test]
    fn missing_or_garbled_parts_are_unknown() {
        let (_, definition) = parse_definition(&json!({ "id": 1 })).unwrap();
        let is_unknown =
            [&definition.operation, &definition.source, &definition.destination, &definition.schedule];
        assert!(is_unknown.iter().all(|part| part.known().is_none()), "{definition:?}");
        assert!(definition.mappings.known().is_none() && definition.alerts.known().is_none());
        let mut garbled = older();
        garbled["mappings"] =
            json!([{ "from": { "type": "column", "data": "a" }, "to": "b" }, { "to": "c" }]);
        assert!(parse_definition(&garbled).unwrap().1.mappings.known().is_none());
        let mut of_table = older();
        of_table["source_attributes"]["object"] =
            json!({ "type": "table", "table_catalog": "crm", "table_schema": "s", "table_name": "t" });
        let (_, definition) = parse_definition(&of_table).unwrap();
        assert_eq!((definition.source, definition.query), (known("table crm.s.t"), known("")));
    }
}
