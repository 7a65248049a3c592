//! No answer, however absurd, makes a parser panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::census::wire::{parse_rejected, parse_run, parse_runs_page, parse_sync, parse_syncs_page};
use crate::observation::SyncId;

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

proptest! {
    #[test]
    fn no_json_makes_a_parser_panic(value in any_json(), page in any::<u32>()) {
        let _ = parse_sync(&value);
        let _ = parse_run(&value);
        let _ = parse_rejected(&value);
        let _ = parse_syncs_page(&value, page);
        let _ = parse_runs_page(&value, page);
    }

    #[test]
    fn a_sync_with_an_id_is_read_whatever_else_it_has(mut value in any_json(), id in any::<u64>()) {
        prop_assume!(value.is_object());
        value["id"] = json!(id);
        prop_assert_eq!(parse_sync(&value).unwrap().id, SyncId(id));
    }
}
