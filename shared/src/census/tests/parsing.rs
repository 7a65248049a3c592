use jiff::civil::Weekday;
use serde_json::{Value, json};

use super::fixture;
use crate::census::ErrorKind;
use crate::census::wire::{
    parse_definition, parse_rejected, parse_run, parse_runs_page, parse_sync, parse_syncs_page,
};
use crate::observation::{Counts, ObservedSchedule, RunId, RunStatus, SyncId, VendorAlerts};

fn schedule_of(fields: Value) -> ObservedSchedule {
    let mut sync = json!({ "id": 1 });
    sync.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    parse_sync(&sync).unwrap().schedule
}

fn triggered(schedule: Value) -> ObservedSchedule {
    schedule_of(json!({ "mode": { "type": "triggered", "triggers": { "schedule": schedule } } }))
}

fn alerts_of(fields: Value) -> VendorAlerts {
    let mut sync = json!({ "id": 1 });
    sync.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    parse_sync(&sync).unwrap().alerts
}

fn run_with(fields: Value) -> Value {
    let mut run = json!({ "id": 1, "status": "completed", "created_at": "2026-11-24T00:00:00Z" });
    run.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    run
}

fn is_unreadable(schedule: &ObservedSchedule) -> bool {
    matches!(schedule, ObservedSchedule::Unreadable(_))
}

#[test]
fn older_generation_of_a_sync_is_read() {
    let sync = parse_sync(&fixture!("v1-old/sync.json")["data"]).unwrap();
    assert_eq!(sync.id, SyncId(61));
    assert_eq!(sync.label, None);
    assert_eq!(sync.paused, Some(false));
    assert_eq!(sync.schedule, ObservedSchedule::Triggered("dbt Cloud".to_owned()));
    assert_eq!(sync.alerts, VendorAlerts::Known { failed_run: true, rejected_percent: Some(75.0) });
    assert_eq!(sync.created_at, Some("2021-10-22T00:40:11.246Z".parse().unwrap()));
    let sync = parse_sync(&fixture!("v1-old/sync-updated.json")["data"]).unwrap();
    assert_eq!(sync.schedule, ObservedSchedule::Daily { hour: 0, minute: 0 });
    assert_eq!(sync.paused, Some(true));
}

#[test]
fn source_is_read_where_census_shows_a_table() {
    let object = |fields: Value| json!({ "source_attributes": { "connection_id": 4, "object": fields } });
    let named = |name: &str| {
        object(json!({ "type": "table", "table_catalog": "crm", "table_schema": "ops", "table_name": name }))
    };
    let table = [
        (named("v"), Some("crm.ops.v")),
        (named("a.b"), None),
        (named(""), None),
        (object(json!({ "type": "table", "table_catalog": null, "table_name": "v" })), Some("v")),
        (object(json!({ "type": "table", "id": 7 })), None),
        (object(json!({ "type": "model", "id": 15, "name": "v", "query": "select 1" })), None),
        (object(json!(7)), None),
        (json!({}), None),
    ];
    let read = |mut sync: Value| {
        sync["id"] = json!(1);
        parse_definition(&sync).unwrap().1
    };
    for (sync, expected) in table {
        assert_eq!(read(sync.clone()).table(), expected, "{sync}");
    }
    let mapping =
        |from: Value, is_key: bool| json!({ "from": from, "to": "a", "is_primary_identifier": is_key });
    let column = |name: &str| json!({ "type": "column", "data": name });
    let liquid = json!({ "type": "liquid_template", "data": "{{ a }}" });
    let table = [
        (vec![mapping(column("a"), false), mapping(column("b"), true)], Some("b")),
        (vec![mapping(liquid, true)], None),
        (vec![mapping(json!(null), true), json!(7)], None),
        (vec![mapping(column("a"), true), mapping(column("b"), true)], Some("a")),
        (Vec::new(), None),
    ];
    for (mappings, expected) in table {
        let sync = json!({ "mappings": mappings });
        assert_eq!(read(sync.clone()).key_column(), expected, "{sync}");
    }
    for (operation, expected) in
        [(json!("mirror"), Some(true)), (json!("upsert"), Some(false)), (json!(7), None)]
    {
        assert_eq!(read(json!({ "operation": operation })).mirrors(), expected);
    }
    let older = read(fixture!("v1-old/sync.json")["data"].clone());
    assert_eq!((older.table(), older.mirrors()), (None, Some(false)));
}

#[test]
fn newer_sync_uses_its_frequency_over_a_cron_expression() {
    let sync = parse_sync(&fixture!("v1-new/sync.json")["data"]).unwrap();
    assert_eq!(sync.schedule, ObservedSchedule::Daily { hour: 10, minute: 30 });
    assert_eq!(sync.label.as_deref(), Some("New Signups to Leads"));
    // `alert_attributes` has 10, the older flag 75: the former wins.
    assert_eq!(sync.alerts, VendorAlerts::Known { failed_run: true, rejected_percent: Some(10.0) });
}

#[test]
fn documented_frequencies_are_read_in_both_generations() {
    let cases = [
        (json!({ "frequency": "never" }), ObservedSchedule::Manual),
        (json!({ "frequency": "continuous" }), ObservedSchedule::Continuous),
        (json!({ "frequency": "quarter_hourly" }), ObservedSchedule::QuarterHourly),
        (json!({ "frequency": "hourly", "minute": 5 }), ObservedSchedule::Hourly { minute: Some(5) }),
        (json!({ "frequency": "Hourly" }), ObservedSchedule::Hourly { minute: None }),
        (
            json!({ "frequency": "daily", "hour": 24, "minute": "0" }),
            ObservedSchedule::Daily { hour: 24, minute: 0 },
        ),
        (
            json!({ "frequency": "weekly", "day": "Saturday", "hour": 2, "minute": 59 }),
            ObservedSchedule::Weekly { day: Weekday::Saturday, hour: 2, minute: 59 },
        ),
        (
            json!({ "frequency": "weekly", "day": 1, "hour": null, "minute": null }),
            ObservedSchedule::Weekly { day: Weekday::Monday, hour: 0, minute: 0 },
        ),
    ];
    for (nested, expected) in cases {
        let flat: serde_json::Map<String, Value> = nested
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (format!("schedule_{key}"), value.clone()))
            .collect();
        assert_eq!(schedule_of(Value::Object(flat)), expected, "{nested}");
        assert_eq!(triggered(nested), expected);
    }
}

#[test]
fn expression_frequency_reads_either_cron_expression() {
    let cron = ObservedSchedule::Cron("*/30 * * * *".to_owned());
    assert_eq!(triggered(json!({ "frequency": "expression", "cron_expression": "*/30 * * * *" })), cron);
    let flat = json!({ "schedule_frequency": "expression", "cron_expression": "*/30 * * * *" });
    assert_eq!(schedule_of(flat), cron);
    let mode = json!({ "type": "triggered", "triggers": { "schedule": { "frequency": "expression" } } });
    assert_eq!(schedule_of(json!({ "mode": mode, "cron_expression": "*/30 * * * *" })), cron);
    assert!(is_unreadable(&schedule_of(json!({ "mode": mode }))));
}

#[test]
fn syncs_with_another_trigger_are_triggered() {
    let by = |triggers: Value| schedule_of(json!({ "mode": { "type": "triggered", "triggers": triggers } }));
    let named = |name: &str| ObservedSchedule::Triggered(name.to_owned());
    assert_eq!(schedule_of(json!({ "mode": { "type": "Live" } })), named("a live source"));
    assert_eq!(by(json!({ "fivetran": { "job_id": "a", "job_name": "b" } })), named("Fivetran"));
    assert_eq!(by(json!({ "sync_sequence": { "sync_id": 7 } })), named("another sync"));
    assert_eq!(by(json!({ "dbt_cloud": null, "schedule": null })), ObservedSchedule::Manual);
    let both = json!({ "schedule": { "frequency": "hourly" }, "sync_sequence": { "sync_id": 7 } });
    assert_eq!(by(both), ObservedSchedule::Hourly { minute: None });
}

#[test]
fn unknown_schedule_is_unreadable_and_never_manual() {
    let unreadable = [
        json!({}),
        json!({ "schedule_frequency": "fortnightly" }),
        json!({ "schedule_frequency": 7 }),
        json!({ "schedule_frequency": "daily", "schedule_hour": 25 }),
        json!({ "schedule_frequency": "daily", "schedule_hour": "noon" }),
        json!({ "schedule_frequency": "daily", "schedule_hour": -1 }),
        json!({ "schedule_frequency": "hourly", "schedule_minute": 60 }),
        json!({ "schedule_frequency": "weekly", "schedule_day": "Caturday" }),
        json!({ "schedule_frequency": "weekly" }),
        json!({ "mode": "soon" }),
        json!({ "mode": { "type": "batch", "triggers": { "schedule": { "frequency": "daily" } } } }),
        json!({ "mode": { "type": 3 } }),
        json!({ "mode": { "type": "triggered", "triggers": "daily" } }),
        json!({ "mode": { "type": "triggered", "triggers": { "schedule": {} } } }),
        json!({ "mode": { "type": "triggered", "triggers": { "schedule": "daily" } } }),
        json!({ "mode": { "type": "triggered", "triggers": { "airflow": { "dag": "x" } } } }),
    ];
    for fields in unreadable {
        let schedule = schedule_of(fields.clone());
        assert!(is_unreadable(&schedule), "{fields}: {schedule:?}");
    }
}

#[test]
fn vendor_alerts_are_known_only_when_the_answer_lists_them() {
    let known = |failed_run, rejected_percent| VendorAlerts::Known { failed_run, rejected_percent };
    let percent = |options: Value| json!({ "alert_attributes": [{ "type": "InvalidRecordPercentAlertConfiguration", "options": options }] });
    assert_eq!(alerts_of(json!({})), VendorAlerts::Unknown);
    assert_eq!(alerts_of(json!({ "alert_attributes": null })), VendorAlerts::Unknown);
    assert_eq!(alerts_of(json!({ "alert_attributes": [] })), known(false, None));
    assert_eq!(alerts_of(percent(json!({ "threshold": 5 }))), known(false, Some(5.0)));
    assert_eq!(alerts_of(percent(json!({ "threshold": "12.5" }))), known(false, Some(12.5)));
    // An alert without a threshold has the documented default; it does not mean "no alert".
    assert_eq!(alerts_of(percent(Value::Null)), known(false, Some(75.0)));
    let flags = json!({
        "failed_run_notifications_enabled": false,
        "failed_record_notifications_enabled": true,
        "failed_record_notifications_threshold_percent": "20",
    });
    assert_eq!(alerts_of(flags), known(false, Some(20.0)));
}

#[test]
fn newest_form_of_a_run_is_read() {
    let run = parse_run(&fixture!("v1-new/run.json")["data"]).unwrap();
    assert_eq!((run.id, run.sync_id), (RunId(94), Some(SyncId(52))));
    let counts = Counts {
        source: Some(15),
        processed: Some(14),
        updated: Some(13),
        failed: Some(1),
        invalid: Some(1),
    };
    assert_eq!(run.counts, counts);
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.error.unwrap().code.as_deref(), Some("JSON_ARRAY_ERROR"));
    assert_eq!(run.full_sync, Some(true));
    assert_eq!(run.scheduled_for, Some("2021-10-20T02:52:29.234Z".parse().unwrap()));
    assert_eq!(run.by_hand, Some(false));
}

#[test]
fn run_by_hand_is_known_from_its_reason_or_its_slot() {
    let slot = json!("2021-10-20T02:52:29.234Z");
    for (reason, scheduled, expected) in [
        (json!({ "ui_tag": "Manual" }), Value::Null, Some(true)),
        (json!({ "ui_tag": "manual" }), slot.clone(), Some(true)),
        (json!({ "ui_tag": "Schedule" }), Value::Null, Some(false)),
        (json!({ "ui_detail": "?" }), slot.clone(), Some(false)),
        (Value::Null, slot, Some(false)),
        (Value::Null, Value::Null, None),
        (json!("Manual"), Value::Null, None),
    ] {
        let fields = json!({ "sync_trigger_reason": reason, "scheduled_execution_time": scheduled });
        assert_eq!(parse_run(&run_with(fields)).unwrap().by_hand, expected, "{reason}");
    }
}

#[test]
fn older_failed_run_has_unknown_counts_and_no_end() {
    let run = parse_run(&fixture!("v1-old/run-failed-null-counts.json")["data"]).unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.counts, Counts { invalid: Some(0), ..Counts::default() });
    assert_eq!((run.completed_at, run.scheduled_for, run.by_hand), (None, None, Some(true)));
    let error = run.error.unwrap();
    assert_eq!((error.code, error.message.as_deref()), (None, Some("The connection was refused")));
}

#[test]
fn count_that_is_not_a_whole_number_is_unknown() {
    let cases = [
        (json!(7), Some(7)),
        (json!("7"), Some(7)),
        (Value::Null, None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!("many"), None),
        (json!(true), None),
        (json!([7]), None),
    ];
    for (found, expected) in cases {
        let run = parse_run(&run_with(json!({ "records_failed": found }))).unwrap();
        assert_eq!(run.counts.failed, expected, "{found}");
    }
}

#[test]
fn statuses_ignore_case_and_unknown_ones_are_not_terminal() {
    let cases = [
        ("queued", RunStatus::Queued),
        ("preparing", RunStatus::Queued),
        ("new", RunStatus::Queued),
        ("Working", RunStatus::Working),
        ("retrying", RunStatus::Working),
        ("COMPLETED", RunStatus::Completed),
        ("failed", RunStatus::Failed),
        ("skipped", RunStatus::Skipped),
        ("cancelled", RunStatus::Cancelled),
        ("canceled", RunStatus::Cancelled),
        ("Pondering", RunStatus::Unknown("Pondering".to_owned())),
    ];
    for (word, expected) in cases {
        let run = parse_run(&run_with(json!({ "status": word }))).unwrap();
        assert_eq!(run.status, expected);
    }
    assert!(!RunStatus::Unknown("Pondering".to_owned()).is_terminal());
}

#[test]
fn cancelled_flag_overrides_the_status() {
    for word in ["working", "completed", "failed", "unheard-of"] {
        let run = parse_run(&run_with(json!({ "status": word, "canceled": true }))).unwrap();
        assert_eq!(run.status, RunStatus::Cancelled);
    }
}

#[test]
fn ids_may_be_strings_and_timestamps_may_have_offsets() {
    let fields = json!({ "id": "42", "sync_id": "7", "created_at": "2026-11-24T02:30:00+02:00" });
    let run = parse_run(&run_with(fields)).unwrap();
    assert_eq!((run.id, run.sync_id), (RunId(42), Some(SyncId(7))));
    assert_eq!(run.created_at, "2026-11-24T00:30:00Z".parse().unwrap());
}

#[test]
fn shape_error_names_the_place_and_never_the_content() {
    let error = parse_run(&run_with(json!({ "created_at": "confidential" }))).unwrap_err();
    let (path, found) = ("data.created_at".to_owned(), "a text of the wrong kind".to_owned());
    assert_eq!(error, ErrorKind::Shape { path, found }.of("get run"));
    assert!(!error.to_string().contains("confidential"));
}

#[test]
fn unreadable_entries_are_listed_beside_the_good_ones() {
    let page = parse_syncs_page(&fixture!("v1-new/syncs-page-1.json"), 1).unwrap();
    assert_eq!(page.syncs.iter().map(|sync| sync.id.0).collect::<Vec<_>>(), [15135, 15136]);
    let found: Vec<_> = page.unreadable.iter().map(|entry| entry.found.as_str()).collect();
    let expected = [
        "list syncs: unexpected answer at data[2].id: nothing",
        "list syncs: unexpected answer at data[3]: a text of the wrong kind",
    ];
    assert_eq!(found, expected);
    assert_eq!((page.next, page.total), (Some(2), Some(5)));
}

#[test]
fn history_with_an_unreadable_run_is_an_error() {
    let mut answer = fixture!("v1-old/runs-page.json");
    answer["data"][1]["status"] = Value::Null;
    let error = parse_runs_page(&answer, 1).unwrap_err();
    assert_eq!(error.to_string(), "list runs: unexpected answer at data[1].status: null");
}

#[test]
fn records_omit_arrived_ones_and_all_payloads() {
    let records = parse_rejected(&fixture!("v1-new/records.json")).unwrap();
    let statuses: Vec<_> = records.iter().map(|record| record.status.as_str()).collect();
    assert_eq!(statuses, ["Rejected", "invalid", "NULL", "DUPLICATE"]);
    assert!(!format!("{records:?}").contains("Hello World"));
}
