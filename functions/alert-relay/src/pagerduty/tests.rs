use proptest::prelude::*;
use serde_json::Value;
use syncwatch::incident::NoticeKind;

use super::*;
use crate::tests::samples::{any_texts, figure, notice, stuffed};

fn json(event: &Outgoing) -> Value {
    serde_json::to_value(event).unwrap()
}

#[test]
fn trigger_fills_every_documented_field() {
    let mut worsened = notice(NoticeKind::Worsened, Severity::Critical, 2);
    worsened.figures.push(figure("subject", "run-failed/a"));
    worsened.figures.push(figure("subject", "run-failed/b"));
    insta::assert_json_snapshot!(json(&render(&worsened, Action::Trigger)));
}

#[test]
fn resolve_and_acknowledgement_have_only_the_key() {
    for (kind, action, word) in [
        (NoticeKind::Resolved, Action::Resolve, "resolve"),
        (NoticeKind::Acknowledged, Action::Acknowledge, "acknowledge"),
    ] {
        let event = json(&render(&notice(kind, Severity::Critical, 3), action));
        let key = "properties/error-rate/properties-create";
        let expected = serde_json::json!({ "client": "Syncwatch", "dedup_key": key, "event_action": word });
        assert_eq!(event, expected);
    }
}

#[test]
fn trigger_has_the_note_of_its_kind() {
    for kind in [NoticeKind::StoppedReporting, NoticeKind::Flapping] {
        let notice = notice(kind, Severity::Critical, 2);
        let event = json(&render(&notice, Action::Trigger));
        assert_eq!(event["payload"]["custom_details"]["note"], notice.note.unwrap());
    }
}

#[test]
fn severity_keeps_its_name() {
    for severity in ["info", "warning", "error", "critical"] {
        let notice = notice(NoticeKind::Opened, serde_json::from_value(severity.into()).unwrap(), 1);
        assert_eq!(json(&render(&notice, Action::Trigger))["payload"]["severity"], severity);
    }
}

#[test]
fn triggers_and_resolves_of_an_incident_share_their_key() {
    let mut key = "properties/error-rate/".to_owned();
    key.push_str(&"\u{e4}".repeat(300));
    let keys: Vec<_> = NoticeKind::ALL
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let mut notice = notice(*kind, Severity::Error, u32::try_from(index).unwrap());
            notice.dedup_key.clone_from(&key);
            let action = if *kind == NoticeKind::Resolved { Action::Resolve } else { Action::Trigger };
            json(&render(&notice, action))["dedup_key"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert!(keys[0].len() <= 255 && keys[0].starts_with("properties/error-rate/\u{e4}"), "{}", keys[0]);
}

#[test]
fn long_keys_with_different_ends_stay_different() {
    let long = "x".repeat(300);
    assert_ne!(bounded_key(&format!("{long}a")), bounded_key(&format!("{long}b")));
    assert_eq!(bounded_key(&long).len(), 255);
    let short = "x".repeat(255);
    assert_eq!(bounded_key(&short), short);
}

fn units(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

proptest! {
    #[test]
    fn any_text_is_within_the_documented_limits(texts in any_texts(), kind in prop::sample::select(&NoticeKind::ALL[..])) {
        let notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        let event = json(&render(&notice, Action::Trigger));
        // The routing key is added when the event is sent.
        prop_assert!(event.to_string().len() + 64 < EVENT_LIMIT, "{}", event.to_string().len());
        prop_assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
        let payload = &event["payload"];
        prop_assert!((1..=1_024).contains(&units(&payload["summary"])));
        prop_assert!(!payload["source"].as_str().unwrap().is_empty());
        prop_assert!(payload["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        for link in event["links"].as_array().into_iter().flatten() {
            prop_assert!(link["href"].as_str().unwrap().starts_with("http"));
        }
    }
}

#[test]
fn note_is_a_change_event_without_an_action_or_a_key() {
    let event = json(&render(&notice(NoticeKind::Note, Severity::Info, 1), Action::Change));
    let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["links", "payload"]);
    let members: Vec<_> = event["payload"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["custom_details", "source", "summary", "timestamp"]);
}
