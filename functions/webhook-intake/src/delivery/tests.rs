use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn parsed(body: &str) -> Result<Parsed, Poison> {
    parse(&queue_message(body.as_bytes(), now()))
}

fn known(body: &str) -> Delivery {
    match parsed(body).unwrap() {
        Parsed::Known(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

#[test]
fn documented_deliveries_are_parsed() {
    let lifecycle = |rest: &str| {
        format!(r#"{{"workspace_id":3167,"sync_id":3167956,"sync_run_id":324399613,"event":{rest}}}"#)
    };
    // The status of a `sync.completed` is ignored, because the result of the run is read from the API.
    let table = [
        (r#""sync.triggered""#, Event::Triggered, false),
        (r#""sync.started""#, Event::Started, false),
        (r#""sync.completed","status":"ok""#, Event::Completed, true),
        (r#""sync.completed","status":"emergency""#, Event::Completed, true),
        (r#""sync.completed","status":"fine""#, Event::Completed, true),
        (r#""sync.completed""#, Event::Completed, true),
        (r#""sync.success""#, Event::Success, true),
        (r#""sync.failed""#, Event::Failed, true),
        (r#""sync.alert.raised""#, Event::AlertRaised, false),
        (r#""sync.alert.resolved""#, Event::AlertResolved, false),
    ];
    for (rest, event, ended) in table {
        let delivery = known(&lifecycle(rest));
        assert_eq!((delivery.event, delivery.event.is_end_of_run()), (event, ended), "{rest}");
        assert_eq!((delivery.sync_id, delivery.run_id), (SyncId(3_167_956), RunId(324_399_613)));
        assert_eq!(delivery.received_at, now());
        assert!(rest.starts_with(&format!("\"{}\"", event.word())));
    }
}

#[test]
fn alert_keeps_its_id_and_kind_and_no_texts() {
    let body = r#"{"workspace_id":3167,"sync_id":3167956,"sync_run_id":324402082,"alert_instance_id":626248,
        "alert_type":"FailureAlertConfiguration","message":"Sync Failed",
        "details":"Sync has failed with error: hunter2","followup_url":"https://app.getcensus.com/x",
        "event":"sync.alert.raised"}"#;
    let delivery = known(body);
    assert_eq!(delivery.alert, Some(626_248));
    assert_eq!(delivery.alert_type.as_deref(), Some("FailureAlertConfiguration"));
    assert_eq!(delivery.key(), "census/324402082/sync.alert.raised/626248");
    assert!(!format!("{delivery:?}").contains("hunter2"));
}

#[test]
fn ids_may_be_texts_and_unknown_fields_are_ignored() {
    let delivery = known(r#"{"sync_id":"52","sync_run_id":" 94 ","event":"sync.failed","new":{"a":[1]}}"#);
    assert_eq!((delivery.sync_id, delivery.run_id, delivery.alert), (SyncId(52), RunId(94), None));
    assert_eq!(delivery.key(), "census/94/sync.failed/-");
}

#[test]
fn undocumented_event_is_kept_with_its_ids() {
    let Parsed::Unknown(event) = parsed(r#"{"sync_id":52,"sync_run_id":94,"event":"sync.skipped"}"#).unwrap()
    else {
        panic!("known")
    };
    assert_eq!(
        (event.fields.event.as_deref(), event.fields.sync_id),
        (Some("sync.skipped"), Some(SyncId(52)))
    );
    assert_eq!(event.key(), "census/94/sync.skipped/-");

    let body = json!({ "event": format!("connection.lost\n{}", "x".repeat(200)) }).to_string();
    let Parsed::Unknown(event) = parsed(&body).unwrap() else { panic!("known") };
    let word = event.fields.event.as_deref().unwrap();
    assert_eq!((word.chars().count(), word.contains('\n')), (80, false));
    assert!(event.key().starts_with("census/-/connection.lost x"));
}

#[test]
fn poison_error_gives_the_reason_without_content() {
    let table = [
        ("hunter2", "the body is not a JSON object"),
        ("[]", "the body is not a JSON object"),
        (r#"{"sync_id":52,"sync_run_id":94}"#, "the body has no valid `event`"),
        (r#"{"sync_id":52,"sync_run_id":94,"event":7}"#, "the body has no valid `event`"),
        (r#"{"sync_run_id":94,"event":"sync.failed"}"#, "the body has no valid `sync_id`"),
        (r#"{"sync_id":-1,"sync_run_id":94,"event":"sync.failed"}"#, "the body has no valid `sync_id`"),
        (r#"{"sync_id":52,"event":"sync.failed"}"#, "the body has no valid `sync_run_id`"),
    ];
    for (body, expected) in table {
        assert_eq!(parsed(body).unwrap_err().to_string(), expected, "{body}");
    }
    let ours = |member: &str| {
        format!(r#"{{"schema":"syncwatch.delivery/1","received_at":"2026-11-24T10:00:00Z",{member}}}"#)
    };
    for message in [
        String::new(),
        "{}".to_owned(),
        ours(r#""text":"{}""#),
        ours(r#""body_base64":"*""#),
        ours(r#""body":7"#),
        ours(r#""body":"{}""#).replace("/1", "/2"),
        ours(r#""body":"{}""#).replace("2026", "then"),
    ] {
        assert_eq!(parse(&message), Err(Poison::NotOurs), "{message}");
    }
}

#[test]
fn characters_that_sqs_refuses_travel_as_base64() {
    let body = "{\"sync_id\":52,\"sync_run_id\":94,\"event\":\"sync.failed\",\"message\":\"\u{ffff}\"}";
    let message = queue_message(body.as_bytes(), now());
    assert!(message.contains("body_base64") && !message.contains('\u{ffff}'), "{message}");
    assert_eq!(known(body).run_id, RunId(94));
    // Control characters are escaped by JSON itself.
    assert!(!queue_message(b"\x00\x1f", now()).contains(['\u{0}', '\u{1f}']));
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused(message in ".{0,200}") {
        prop_assert_eq!(parse(&message), Err(Poison::NotOurs));
    }

    #[test]
    fn any_body_passes_the_queue_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let message: Value = serde_json::from_str(&queue_message(&bytes, now())).unwrap();
        let back = match (message["body"].as_str(), message["body_base64"].as_str()) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(text)) => STANDARD.decode(text).unwrap(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(back, bytes);
    }

    #[test]
    fn deliveries_have_equal_keys_only_if_they_are_copies(
        run in 0_u64..3, other_run in 0_u64..3, alert in prop::option::of(0_u64..2), failed in any::<bool>(),
    ) {
        let body = |run: u64, failed: bool| {
            let event = if failed { "sync.failed" } else { "sync.success" };
            json!({ "sync_id": 1, "sync_run_id": run, "event": event, "alert_instance_id": alert }).to_string()
        };
        let (one, other) = (known(&body(run, failed)), known(&body(other_run, true)));
        prop_assert_eq!(one.key() == other.key(), run == other_run && failed);
    }
}
