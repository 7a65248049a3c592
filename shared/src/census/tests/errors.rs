use std::time::Duration;

use serde_json::json;
use wiremock::ResponseTemplate;

use super::{World, client_with, fixture, ok, settings, status};
use crate::census::{Client, Error, ErrorKind};
use crate::observation::{RunId, SyncId, Unread};
use crate::pipeline::ApiVersion;

async fn answered(answer: ResponseTemplate) -> Error {
    World::new(vec![answer]).await.client.get_sync(SyncId(7)).await.unwrap_err()
}

#[tokio::test]
async fn error_status_is_read_as_a_word_and_as_a_number() {
    let operation = "get sync";
    let error = answered(status(400).set_body_json(fixture!("errors/400-word.json"))).await;
    let message = Some("sync_alert_configurations is invalid".to_owned());
    assert_eq!(error, ErrorKind::Status { status: 400, message }.of(operation));
    let error = answered(status(401).set_body_json(fixture!("errors/401-integer.json"))).await;
    assert_eq!(error, ErrorKind::Unauthorized.of(operation));
    let error = answered(status(403).set_body_json(fixture!("errors/403-integer-and-message.json"))).await;
    assert_eq!(error, ErrorKind::Forbidden.of(operation));
    let error = answered(status(404).set_body_json(fixture!("errors/404-integer.json"))).await;
    assert_eq!(error, ErrorKind::NotFound { what: "syncs/7".to_owned() }.of(operation));
    assert!(error.to_string().contains("syncs/7") && error.to_string().contains("pipeline.toml"));
}

#[tokio::test]
async fn error_inside_a_success_is_an_error() {
    let error = answered(ok(fixture!("errors/400-word.json"))).await;
    assert!(matches!(error.kind, ErrorKind::Status { status: 200, message: Some(_), .. }), "{error:?}");
    let error = answered(ok(fixture!("errors/404-integer.json"))).await;
    assert!(matches!(error.kind, ErrorKind::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn deleted_records_are_gone() {
    let world = World::new(vec![status(410)]).await;
    let error = world.client.rejected_records(RunId(94), 5).await.unwrap_err();
    assert_eq!(error, ErrorKind::Gone { what: "sync_runs/94/records".to_owned() }.of("list records"));
}

#[tokio::test]
async fn samples_are_not_retried() {
    for code in [429, 500, 503] {
        let world = World::new(vec![status(code)]).await;
        world.client.rejected_records(RunId(94), 5).await.unwrap_err();
        assert_eq!(world.server.lines().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn proxy_page_is_reported_by_status_without_its_content() {
    let html = "<html><body>Bad gateway at 10.0.0.1</body></html>";
    let error = answered(status(502).set_body_raw(html, "text/html")).await;
    assert_eq!(error, ErrorKind::Status { status: 502, message: None }.of("get sync"));
    let error = answered(status(200).set_body_raw(html, "text/html; charset=utf-8")).await;
    let content_type = "text/html; charset=utf-8".to_owned();
    assert_eq!(error, ErrorKind::NotJson { status: 200, content_type }.of("get sync"));
    assert!(!error.to_string().contains("gateway"));
}

#[tokio::test]
async fn empty_success_is_an_error() {
    for code in [200, 204] {
        let error = answered(status(code)).await;
        assert_eq!(error, ErrorKind::EmptyBody { status: code }.of("get sync"));
    }
    let error = answered(status(200).set_body_string(" \n")).await;
    assert!(matches!(error.kind, ErrorKind::EmptyBody { .. }));
}

#[tokio::test]
async fn answer_without_data_names_the_place() {
    let error = answered(ok(json!({ "status": "success", "data": [] }))).await;
    assert_eq!(error.to_string(), "get sync: unexpected answer at data: a list");
}

#[tokio::test]
async fn message_of_the_vendor_becomes_one_short_line() {
    let message = format!("first\nsecond\u{1b}[31m {}", "é".repeat(1000));
    let error = answered(status(422).set_body_json(json!({ "status": "error", "message": message }))).await;
    let ErrorKind::Status { message: Some(message), .. } = error.kind else { panic!("{error:?}") };
    assert!(message.starts_with("first second [31m é"));
    assert_eq!(message.chars().count(), 301);
    assert!(message.ends_with('…'));
}

/// The message reaches all recipients through `api-reachable`.
#[tokio::test]
async fn message_of_a_failed_call_loses_quoted_record_values() {
    let message = "Record ann@example.com of \"Mary Miller\" is invalid";
    let error = answered(status(422).set_body_json(json!({ "status": "error", "message": message }))).await;
    assert_eq!(
        error.to_string(),
        "get sync: Census answered 422 (Record [e-mail] of \"[hidden]\" is invalid)"
    );
}

#[tokio::test]
async fn answer_larger_than_the_limit_is_refused() {
    let huge = ok(json!({ "data": { "id": 7, "label": "x".repeat(9 * 1024 * 1024) } }));
    let error = answered(huge).await;
    assert!(
        matches!(&error.kind, ErrorKind::Shape { found, .. } if found == "more than 8388608 bytes"),
        "{error:?}"
    );
}

#[tokio::test]
async fn missing_answer_is_a_timeout() {
    let world = World::new(vec![ok(json!({})).set_delay(Duration::from_secs(30))]).await;
    let mut settings = settings(world.server.uri(), ApiVersion::V1);
    settings.timeout = Duration::from_millis(40);
    settings.retry_budget = Duration::ZERO;
    let (client, _) = client_with(&settings);
    let error = client.get_sync(SyncId(7)).await.unwrap_err();
    assert!(error.operation == "get sync" && matches!(error.kind, ErrorKind::Timeout { .. }), "{error:?}");
    assert!(error.kind.is_transient());
    // In whole seconds, as in a function's settings.
    let error = ErrorKind::Timeout { seconds: 15 }.of("get sync");
    assert!(error.to_string().contains("did not answer within 15 s"));
}

#[test]
fn base_url_with_credentials_query_or_plain_http_is_refused() {
    let wrong = [
        "",
        "app.getcensus.com",
        "ftp://app.getcensus.com",
        "http://app.getcensus.com",
        "http://127.0.0.1.example.com",
        "https://bearer:hush@app.getcensus.com",
        "https://app.getcensus.com?token=hush",
        "https://app.getcensus.com#here",
    ];
    for base_url in wrong {
        let settings = settings(base_url.to_owned(), ApiVersion::V1);
        let client = Client::new(crate::http::client().unwrap(), settings, super::now());
        let error = client.unwrap_err();
        assert_eq!(error, ErrorKind::InvalidBaseUrl.of("connect to Census"), "{base_url}");
        assert!(!error.to_string().contains("hush"));
    }
}

#[test]
fn errors_map_to_the_reasons_that_checks_distinguish() {
    let operation = "list syncs";
    let refused = [ErrorKind::Unauthorized.of(operation), ErrorKind::Forbidden.of(operation)];
    assert!(refused.iter().all(|error| matches!(error.to_unread(), Unread::Refused(_))));
    // Nothing was sent, so Census did not refuse.
    let unusable = ErrorKind::InvalidToken.of(operation);
    assert!(matches!(unusable.to_unread(), Unread::NoCredentials(_)) && !unusable.kind.is_transient());
    let unreachable = [
        ErrorKind::RateLimited { attempts: 4, retry_after: None }.of(operation),
        ErrorKind::Status { status: 500, message: None }.of(operation),
        ErrorKind::Timeout { seconds: 15 }.of(operation),
        ErrorKind::Transport { detail: "connection refused".to_owned() }.of(operation),
    ];
    assert!(unreachable.iter().all(|error| matches!(error.to_unread(), Unread::Unreachable(_))));
    assert!(unreachable.iter().all(|error| error.kind.is_transient()));
    let unreadable = [
        ErrorKind::EmptyBody { status: 200 }.of(operation),
        ErrorKind::NotJson { status: 200, content_type: "text/html".to_owned() }.of(operation),
        ErrorKind::NotFound { what: "syncs/7".to_owned() }.of(operation),
    ];
    assert!(unreadable.iter().all(|error| matches!(error.to_unread(), Unread::Unreadable(_))));
    assert!(!unreadable.iter().chain(&refused).any(|error| error.kind.is_transient()));
}
