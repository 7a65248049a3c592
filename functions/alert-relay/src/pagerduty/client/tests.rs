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
use crate::pagerduty::{Outgoing, render};
use crate::route::Action;
use crate::tests::samples::{impatient, notice, pagerduty};

const KEY: &str = "0123456789abcdef0123456789ABCDEF";
const SECRET: &str = "syncwatch/pagerduty";
const ACCEPTED: &str = r#"{"status":"success","message":"Event processed","dedup_key":"a"}"#;

fn key() -> RoutingKey {
    let values = SecretValues::only(KEY.into());
    choose(SECRET, &values, Action::Trigger, None).unwrap()
}

/// The outcome of one event, with the server that got it.
async fn outcome(answers: Vec<ResponseTemplate>) -> (Result<(), PostError>, Receiver) {
    let server = Receiver::in_turn(answers).await;
    let client = PagerDuty::new(http::client().unwrap(), &server.uri(), impatient()).unwrap();
    let event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    (client.enqueue(&pagerduty(), &event, &key(), SECRET).await, server)
}

#[tokio::test]
async fn event_goes_to_the_documented_path_with_its_routing_key() {
    let (sent, server) = outcome(vec![text(202, ACCEPTED)]).await;
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
async fn refused_event_is_sent_once_and_quotes_pagerduty() {
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
async fn temporary_failure_is_retried_twice() {
    for refused in [500, 502, 503, 504, 408] {
        let (sent, server) = outcome(vec![text(refused, ""), text(refused, ""), text(202, ACCEPTED)]).await;
        sent.unwrap();
        assert_eq!(server.requests().await.len(), 3, "{refused}");

        let (sent, server) = outcome(vec![text(refused, "")]).await;
        let error = sent.unwrap_err();
        assert!(error.kind.is_transient() && error.is_of_the_channel(), "{error}");
        assert_eq!(server.requests().await.len(), 3, "{refused}");
    }
}

#[tokio::test]
async fn long_or_unknown_wait_is_left_to_the_queue() {
    let (sent, server) = outcome(vec![text(429, "")]).await;
    assert!(matches!(sent.unwrap_err().kind, ErrorKind::Limited { asked_for: None }));
    assert_eq!(server.requests().await.len(), 1);
    let (sent, server) = outcome(vec![text(429, "").insert_header("retry-after", "120")]).await;
    let asked_for = Some(Duration::from_secs(120));
    assert_eq!(sent.unwrap_err().kind, ErrorKind::Limited { asked_for });
    assert_eq!(server.requests().await.len(), 1);
    let (sent, server) =
        outcome(vec![text(429, "").insert_header("retry-after", "0"), text(202, ACCEPTED)]).await;
    sent.unwrap();
    assert_eq!(server.requests().await.len(), 2);
}

#[tokio::test]
async fn undocumented_answer_is_not_a_success() {
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
async fn missing_answer_is_transient_and_quotes_no_event() {
    // Nothing listens on port 1 of this machine.
    let client = PagerDuty::new(http::client().unwrap(), "http://127.0.0.1:1", impatient()).unwrap();
    let event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    let error = client.enqueue(&pagerduty(), &event, &key(), SECRET).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoAnswer { .. }) && error.kind.is_transient(), "{error}");
    let shown = format!("{error} {error:?} {:?}", key());
    assert!(!shown.contains(KEY) && !shown.contains("12%"), "{shown}");
}

#[tokio::test]
async fn event_beyond_the_limit_is_not_sent() {
    let server = Receiver::in_turn(vec![text(202, ACCEPTED)]).await;
    let client = PagerDuty::new(http::client().unwrap(), &server.uri(), impatient()).unwrap();
    let event = render(&notice(NoticeKind::Opened, Severity::Critical, 1), Action::Trigger);
    let Outgoing::Alert(mut event) = event else { panic!("an alert") };
    event.dedup_key = "x".repeat(EVENT_LIMIT);
    let event = Outgoing::Alert(event);
    let error = client.enqueue(&pagerduty(), &event, &key(), SECRET).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge { .. }), "{error}");
    assert_eq!(server.requests().await.len(), 0);
}

#[test]
fn routing_key_is_sent_only_by_https_or_to_this_machine() {
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
