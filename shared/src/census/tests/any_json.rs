//! No answer, however absurd, makes a parser panic.

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

/// An object that has its id and such of these keys as chance gives it.
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

/// A list with some entries that are what they should be and some that are anything.
fn list_of(entry: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let entries = prop::collection::vec(prop_oneof![4 => entry, 1 => any_json()], 0..5);
    let next = prop_oneof![Just(Value::Null), any::<u32>().prop_map(Value::from), any_json()];
    (entries, next)
        .prop_map(|(entries, next)| json!({ "data": entries, "pagination": { "next_page": next } }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_json_makes_a_parser_panic(value in any_json(), page in any::<u32>()) {
        let _ = parse_sync(&value);
        let _ = parse_run(&value);
        let _ = parse_rejected(&value);
        let _ = parse_syncs_page(&value, page);
        let _ = parse_runs_page(&value, page);
    }

    #[test]
    fn a_sync_with_an_id_is_read_whatever_else_it_has(sync in any_sync()) {
        prop_assert_eq!(json!(parse_sync(&sync).unwrap().id), sync["id"].clone());
    }

    #[test]
    fn a_run_with_what_it_needs_is_read_whatever_else_it_has(run in any_run()) {
        prop_assert_eq!(json!(parse_run(&run).unwrap().id), run["id"].clone());
    }

    #[test]
    fn no_sync_of_a_page_is_lost_and_the_next_page_is_further_on(
        answer in list_of(any_sync()),
        page in any::<u32>(),
    ) {
        if let Ok(read) = parse_syncs_page(&answer, page) {
            prop_assert_eq!(read.syncs.len() + read.unreadable.len(), answer["data"].as_array().unwrap().len());
            prop_assert!(read.next.is_none_or(|next| next > page));
        }
    }

    #[test]
    fn all_runs_of_a_page_are_read_newest_first_or_none(answer in list_of(any_run()), page in any::<u32>()) {
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
