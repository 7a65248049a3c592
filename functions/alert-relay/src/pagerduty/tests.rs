use proptest::prelude::*;
use serde_json::Value;
use syncwatch::incident::NoticeKind;

use super::*;
use crate::tests::samples::{KINDS, any_texts, figure, notice, stuffed};

fn json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

#[test]
fn a_trigger_fills_every_field_that_pagerduty_documents() {
    let mut worsened = notice(NoticeKind::Worsened, Severity::Critical, 2);
    worsened.figures.push(figure("held back", "run-failed/a"));
    worsened.figures.push(figure("held back", "run-failed/b"));
    insta::assert_json_snapshot!(json(&render(&worsened, Action::Trigger)));
}

#[test]
fn a_resolve_says_the_key_and_no_more() {
    let resolved = notice(NoticeKind::Resolved, Severity::Critical, 3);
    insta::assert_json_snapshot!(json(&render(&resolved, Action::Resolve)), @r#"
    {
      "client": "Syncwatch",
      "dedup_key": "properties/error-rate/properties-create",
      "event_action": "resolve"
    }
    "#);
}

#[test]
fn acknowledgement_says_the_key_and_no_more() {
    let acknowledged = notice(NoticeKind::Acknowledged, Severity::Critical, 3);
    insta::assert_json_snapshot!(json(&render(&acknowledged, Action::Acknowledge)), @r#"
    {
      "client": "Syncwatch",
      "dedup_key": "properties/error-rate/properties-create",
      "event_action": "acknowledge"
    }
    "#);
}

#[test]
fn severities_keep_their_names() {
    for severity in ["info", "warning", "error", "critical"] {
        let notice = notice(NoticeKind::Opened, serde_json::from_value(severity.into()).unwrap(), 1);
        assert_eq!(json(&render(&notice, Action::Trigger))["payload"]["severity"], severity);
    }
}

#[test]
fn triggers_and_resolves_of_an_incident_share_their_key() {
    let mut key = "properties/error-rate/".to_owned();
    key.push_str(&"\u{e4}".repeat(300));
    let keys: Vec<_> = KINDS
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let mut notice = notice(*kind, Severity::Error, u32::try_from(index).unwrap());
            notice.dedup_key.clone_from(&key);
            let action = if *kind == NoticeKind::Resolved { Action::Resolve } else { Action::Trigger };
            render(&notice, action).dedup_key
        })
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert!(keys[0].len() <= 255 && keys[0].starts_with("properties/error-rate/\u{e4}"), "{}", keys[0]);
}

#[test]
fn long_keys_that_differ_at_their_end_stay_apart() {
    let long = "x".repeat(300);
    assert_ne!(bounded_key(&format!("{long}a")), bounded_key(&format!("{long}b")));
    assert_eq!(bounded_key(&long).len(), 255);
    let short = "x".repeat(255);
    assert_eq!(bounded_key(&short), short);
}

#[test]
fn what_is_no_address_for_a_browser_is_no_link() {
    let mut notice = notice(NoticeKind::Opened, Severity::Error, 1);
    for href in ["javascript:alert(1)", "runbook.md", "https://example.com/a b", ""] {
        notice.runbook = Some(href.to_owned());
        let links = render(&notice, Action::Trigger).links;
        assert_eq!(links.len(), 1, "{href}");
        assert_eq!(links[0].text, "The sync in Census");
    }
}

fn units(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

proptest! {
    #[test]
    fn any_text_is_within_the_published_limits(texts in any_texts(), kind in prop::sample::select(&KINDS[..])) {
        let notice = stuffed(notice(kind, Severity::Error, 1), &texts);
        let event = json(&render(&notice, Action::Trigger));
        // The routing key joins at sending.
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
