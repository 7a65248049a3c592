//! Arbitrary JSON never makes a parser panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::census::wire::{parse_rejected, parse_run, parse_runs_page, parse_sync, parse_syncs_page};

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop_oneof![
        prop::sample::select(vec![
            "id",
            "status",
            "created_at",
            "canceled",
            "mode",
            "type",
            "triggers",
            "schedule",
            "frequency",
            "day",
            "hour",
            "minute",
            "schedule_frequency",
            "schedule_day",
            "schedule_hour",
            "cron_expression",
            "alert_attributes",
            "options",
            "threshold",
            "data",
            "pagination",
            "next_page",
            "next",
            "records_processed",
            "sync_sequence",
            "dbt_cloud",
            "schedule_minute",
            "total_records",
            "identifier",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["daily", "weekly", "expression", "triggered", "2026-11-24T00:00:00Z", "7"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An object with an id and a random subset of these keys.
fn shaped(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let fields = prop::collection::hash_map(prop::sample::select(keys), any_json(), 0..keys.len());
    (any::<u64>(), fields).prop_map(|(id, fields)| {
        let mut object = json!({ "id": id });
        for (key, value) in fields {
            object[key] = value;
        }
        object
    })
}

fn any_sync() -> impl Strategy<Value = Value> {
    shaped(&[
        "label",
        "resource_identifier",
        "paused",
        "mode",
        "triggers",
        "cron_expression",
        "schedule_frequency",
        "schedule_day",
        "schedule_hour",
        "schedule_minute",
        "alert_attributes",
        "failed_run_notifications_enabled",
        "failed_record_notifications_enabled",
        "failed_record_notifications_threshold_percent",
        "created_at",
        "updated_at",
    ])
}

fn any_run() -> impl Strategy<Value = Value> {
    let rest = shaped(&[
        "sync_id",
        "canceled",
        "completed_at",
        "scheduled_execution_time",
        "source_record_count",
        "source_record_invalids",
        "records_processed",
        "records_updated",
        "records_failed",
        "records_invalid",
        "error_code",
        "error_message",
        "error_detail",
        "full_sync",
    ]);
    (rest, "[a-z]{1,12}", 0_i64..4_000_000_000).prop_map(|(mut run, status, second)| {
        run["status"] = json!(status);
        run["created_at"] = json!(jiff::Timestamp::from_second(second).unwrap().to_string());
        run
    })
}

/// A list with some valid entries and some of arbitrary JSON.
fn list_of(entry: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let entries = prop::collection::vec(prop_oneof![4 => entry, 1 => any_json()], 0..5);
    let next = prop_oneof![Just(Value::Null), any::<u32>().prop_map(Value::from), any_json()];
    (entries, next)
        .prop_map(|(entries, next)| json!({ "data": entries, "pagination": { "next_page": next } }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parsers_do_not_panic_on_any_json(value in any_json(), page in any::<u32>()) {
        let _ = parse_sync(&value);
        let _ = parse_run(&value);
        let _ = parse_rejected(&value);
        let _ = parse_syncs_page(&value, page);
        let _ = parse_runs_page(&value, page);
    }

    #[test]
    fn sync_with_an_id_is_always_read(sync in any_sync()) {
        prop_assert_eq!(json!(parse_sync(&sync).unwrap().id), sync["id"].clone());
    }

    #[test]
    fn run_with_its_required_members_is_always_read(run in any_run()) {
        prop_assert_eq!(json!(parse_run(&run).unwrap().id), run["id"].clone());
    }

    #[test]
    fn page_loses_no_sync_and_its_next_page_advances(
        answer in list_of(any_sync()),
        page in any::<u32>(),
    ) {
        if let Ok(read) = parse_syncs_page(&answer, page) {
            prop_assert_eq!(read.syncs.len() + read.unreadable.len(), answer["data"].as_array().unwrap().len());
            prop_assert!(read.next.is_none_or(|next| next > page));
        }
    }

    #[test]
    fn page_of_runs_is_read_whole_and_newest_first(answer in list_of(any_run()), page in any::<u32>()) {
        if let Ok(history) = parse_runs_page(&answer, page) {
            prop_assert_eq!(history.runs.len(), answer["data"].as_array().unwrap().len());
            prop_assert!(history.runs.is_sorted_by(|one, other| one.created_at >= other.created_at));
        }
    }

    #[test]
    fn records_of_any_shape_are_read(
        answer in list_of(shaped(&["status", "identifier", "operation", "status_message"])),
    ) {
        prop_assert!(parse_rejected(&answer).is_ok());
    }
}
