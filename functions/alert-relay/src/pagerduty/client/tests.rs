use std::time::Duration;

use serde_json::json;
use syncwatch::aws::secrets::SecretValues;
use syncwatch::finding::Severity;
use syncwatch::http;
use syncwatch::incident::NoticeKind;
use syncwatch_testing::{Receiver, text};
use wiremock::ResponseTemplate;

use super::*;
use crate::key::choose;
use crate::pagerduty::render;
use crate::route::Action;
use crate::tests::samples::{impatient, notice};

const KEY: &str = "0123456789abcdef0123456789ABCDEF";
const SECRET: &str = "syncwatch/pagerduty";
const TAKEN: &str = r#"{"status":"success","message":"Event processed","dedup_key":"a"}"#;

fn key() -> RoutingKey {
    let values = SecretValues { current: KEY.into(), previous: None, webhook_id: None };
    choose(SECRET, &values, Action::Trigger, None).unwrap()
}

/// What comes of one event, and in how many requests.
async fn outcome(answers: Vec<ResponseTemplate>) -> (Result<(), PostError>, Receiver) {
    let server = Receiver::in_turn(answers).await;
    let client = PagerDuty::new(http::client().unwrap(), &server.uri(), impatient()).unwrap();
    let event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    (client.enqueue(&event, &key(), SECRET).await, server)
}

#[tokio::test]
async fn an_event_goes_to_the_documented_path_with_the_routing_key_in_it() {
    let (sent, server) = outcome(vec![text(202, TAKEN)]).await;
    sent.unwrap();
    let request = server.only_request().await;
    assert_eq!(request.url.path(), "/v2/enqueue");
    assert_eq!(request.headers["content-type"], "application/json");
    let body = request.json();
    assert_eq!(body["routing_key"], KEY);
    assert_eq!(body["event_action"], "trigger");
    assert_eq!(body["payload"]["severity"], "critical");
}

#[tokio::test]
async fn a_400_is_sent_once_and_told_in_pagerdutys_words() {
    let words = json!({
        "status": "invalid event", "message": "Event object is invalid",
        "errors": [format!("'routing_key' {KEY} is unknown")],
    });
    let (sent, server) = outcome(vec![text(400, words)]).await;
    let error = sent.unwrap_err();
    assert!(!error.kind.is_transient() && !error.is_of_the_channel());
    assert_eq!(server.requests().await.len(), 1);
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn an_overloaded_or_broken_pagerduty_is_asked_again_a_few_times() {
    for refused in [500, 502, 503, 504, 408] {
        let (sent, server) = outcome(vec![text(refused, ""), text(refused, ""), text(202, TAKEN)]).await;
        sent.unwrap();
        assert_eq!(server.requests().await.len(), 3, "{refused}");

        let (sent, server) = outcome(vec![text(refused, "")]).await;
        let error = sent.unwrap_err();
        assert!(error.kind.is_transient() && error.is_of_the_channel(), "{error}");
        assert_eq!(server.requests().await.len(), 3, "{refused}");
    }
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_patience_or_not_told_is_left_to_the_queue() {
    let (sent, server) = outcome(vec![text(429, "")]).await;
    assert!(matches!(sent.unwrap_err().kind, ErrorKind::Limited { asked_for: None }));
    assert_eq!(server.requests().await.len(), 1);
    let (sent, server) = outcome(vec![text(429, "").insert_header("retry-after", "120")]).await;
    let asked_for = Some(Duration::from_secs(120));
    assert_eq!(sent.unwrap_err().kind, ErrorKind::Limited { asked_for });
    assert_eq!(server.requests().await.len(), 1);
    let (sent, server) =
        outcome(vec![text(429, "").insert_header("retry-after", "0"), text(202, TAKEN)]).await;
    sent.unwrap();
    assert_eq!(server.requests().await.len(), 2);
}

#[tokio::test]
async fn an_answer_that_pagerduty_does_not_document_is_no_success() {
    for other in [200, 204, 301, 401, 403, 404] {
        let (sent, server) = outcome(vec![text(other, "<html>")]).await;
        let error = sent.unwrap_err();
        assert!(
            !error.kind.is_transient() && error.to_string().contains("SYNCWATCH_PAGERDUTY_URL"),
            "{error}"
        );
        assert_eq!(server.requests().await.len(), 1);
    }
}

#[tokio::test]
async fn silence_is_transient_and_tells_nothing_of_the_event() {
    // Nothing listens on port 1 of this machine.
    let client = PagerDuty::new(http::client().unwrap(), "http://127.0.0.1:1", impatient()).unwrap();
    let event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    let error = client.enqueue(&event, &key(), SECRET).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoAnswer { .. }) && error.kind.is_transient(), "{error}");
    let shown = format!("{error} {error:?} {:?}", key());
    assert!(!shown.contains(KEY) && !shown.contains("12%"), "{shown}");
}

#[tokio::test]
async fn an_event_beyond_the_limit_is_not_sent() {
    let server = Receiver::in_turn(vec![text(202, TAKEN)]).await;
    let client = PagerDuty::new(http::client().unwrap(), &server.uri(), impatient()).unwrap();
    let mut event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    event.dedup_key = "x".repeat(EVENT_LIMIT);
    let error = client.enqueue(&event, &key(), SECRET).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge { .. }), "{error}");
    assert_eq!(server.requests().await.len(), 0);
}

#[test]
fn the_routing_key_is_sent_by_https_or_to_this_machine_only() {
    let http = http::client().unwrap();
    for base in ["https://events.pagerduty.com", "https://events.eu.pagerduty.com/", "http://127.0.0.1:9000"]
    {
        assert!(PagerDuty::new(http.clone(), base, impatient()).is_ok(), "{base}");
    }
    for base in [
        "http://events.pagerduty.com",
        "events.pagerduty.com",
        "https://user:hush@events.pagerduty.com",
        "https://events.pagerduty.com?key=hush",
        "",
    ] {
        let error = PagerDuty::new(http.clone(), base, impatient()).unwrap_err().to_string();
        assert!(error.contains("SYNCWATCH_PAGERDUTY_URL") && !error.contains("hush"), "{error}");
    }
}
