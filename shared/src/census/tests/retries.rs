use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use wiremock::ResponseTemplate;

use super::{World, client_with, fixture, ok, settings, status, writer_with};
use crate::census::{ErrorKind, NewWebhook, Webhook};
use crate::observation::{RunId, SyncId};
use crate::pipeline::ApiVersion;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn limited(retry_after: &str) -> ResponseTemplate {
    status(429).insert_header("retry-after", retry_after)
}

fn sync() -> ResponseTemplate {
    ok(fixture!("v1-new/sync.json"))
}

#[tokio::test]
async fn read_is_retried_after_a_5xx_with_growing_waits() {
    let world = World::new(vec![status(500), status(503), sync()]).await;
    assert_eq!(world.client.get_sync(SyncId(15135)).await.unwrap().id, SyncId(15135));
    let naps = world.watch.naps();
    assert_eq!(naps.len(), 2);
    // Doubling from 1 s, each plus at most as much jitter.
    assert!(naps[0] >= seconds(1) && naps[0] <= seconds(2), "{naps:?}");
    assert!(naps[1] >= seconds(2) && naps[1] <= seconds(4), "{naps:?}");
}

#[tokio::test]
async fn read_fails_after_four_attempts() {
    let world = World::new(vec![status(500)]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Status { status: 500, .. }));
    assert_eq!(world.server.lines().await.len(), 4);
}

#[tokio::test]
async fn update_is_retried_after_a_5xx_as_it_is_idempotent() {
    let updated = json!({ "data": { "id": 7 } });
    let world = World::new(vec![status(502), ok(updated)]).await;
    let webhook = Webhook { id: 7, name: None, endpoint: None, events: Vec::new() };
    assert_eq!(world.writer.update_webhook(&webhook).await, Ok(webhook));
    assert_eq!(world.server.lines().await, ["PATCH /api/v1/webhooks/7"; 2]);
    for request in world.server.requests().await {
        assert_eq!(request.body, br#"{"events":[]}"#, "members that Census did not show are omitted");
    }
}

#[tokio::test]
async fn permanent_failure_is_not_retried() {
    for code in [400, 401, 403, 404, 410, 422] {
        let world = World::new(vec![status(code)]).await;
        world.client.get_sync(SyncId(1)).await.unwrap_err();
        assert_eq!(world.server.lines().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn trigger_that_may_have_taken_effect_is_not_retried() {
    let maybe_taken = [status(500), status(502), limited("1").insert_header("x", "y")];
    for (answer, attempts) in maybe_taken.into_iter().zip([1, 1, 2]) {
        // A 429 comes from a gate before the work, so the last trigger had no effect.
        let world = World::new(vec![answer, ok(fixture!("v1-new/trigger.json"))]).await;
        let answer = world.writer.trigger(SyncId(61)).await;
        assert_eq!(world.server.lines().await.len(), attempts);
        assert_eq!(answer.is_ok(), attempts == 2);
    }
    let world = World::new(vec![status(503).insert_header("retry-after", "1")]).await;
    world.writer.trigger(SyncId(61)).await.unwrap_err();
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn trigger_without_an_answer_is_not_retried() {
    let world = World::new(vec![ok(json!({})).set_delay(seconds(30))]).await;
    let mut settings = settings(world.server.uri(), ApiVersion::V1);
    settings.timeout = Duration::from_millis(60);
    let (writer, watch) = writer_with(&settings);
    let error = writer.trigger(SyncId(61)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout { .. }), "{error:?}");
    assert!(watch.naps().is_empty());
}

#[tokio::test]
async fn webhook_is_not_created_twice_after_a_500() {
    let world = World::new(vec![status(500)]).await;
    let webhook = NewWebhook {
        name: "n".to_owned(),
        description: "d".to_owned(),
        endpoint: "https://example.org".to_owned(),
        events: vec![],
    };
    world.writer.create_webhook(&webhook).await.unwrap_err();
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn trigger_is_retried_after_a_refused_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (writer, watch) = writer_with(&settings(base_url.clone(), ApiVersion::V1));
    let error = writer.trigger(SyncId(61)).await.unwrap_err();
    assert_eq!(watch.naps().len(), 3);
    let message = error.to_string();
    assert!(message.starts_with("trigger sync: Census cannot be reached ("), "{message}");
    assert!(!message.contains(&base_url) && !message.contains("force_full_sync"), "{message}");
}

#[tokio::test]
async fn retry_after_in_seconds_sets_the_wait() {
    let world = World::new(vec![limited("7"), sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(7)]);
}

#[tokio::test]
async fn retry_after_date_is_relative_to_the_answers_date() {
    // Their clock is an hour ahead of ours; the wait is still 5 s.
    let answer =
        limited("Tue, 24 Nov 2026 13:00:05 GMT").insert_header("date", "Tue, 24 Nov 2026 13:00:00 GMT");
    let world = World::new(vec![answer, sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(5)]);
}

#[tokio::test]
async fn rate_limit_beyond_the_budget_fails_at_once() {
    let world = World::new(vec![limited("3600")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 1, retry_after: Some(seconds(3600)) }.of("get sync");
    assert_eq!(error, expected);
    assert!(world.watch.naps().is_empty());
}

#[tokio::test]
async fn no_call_is_sent_until_a_long_rate_limit_ends() {
    let world = World::new(vec![limited("3600"), ok(fixture!("v1-new/run.json"))]).await;
    world.client.get_sync(SyncId(1)).await.unwrap_err();
    world.watch.pass(seconds(600));
    let error = world.client.get_run(RunId(94)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 0, retry_after: Some(seconds(3000)) }.of("get run");
    assert_eq!(error, expected);
    assert_eq!(world.server.lines().await.len(), 1);
    world.watch.pass(seconds(3000));
    world.client.get_run(RunId(94)).await.unwrap();
}

#[tokio::test]
async fn absurd_retry_after_does_not_panic() {
    for absurd in
        [u64::MAX.to_string(), "-5".to_owned(), "soon".to_owned(), "Fri, 31 Dec 9999 23:59:59 GMT".to_owned()]
    {
        let world = World::new(vec![limited(&absurd)]).await;
        let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::RateLimited { .. }), "{absurd}: {error:?}");
    }
}

#[tokio::test]
async fn calls_share_one_budget() {
    let world = World::new(vec![limited("12"), sync(), limited("12")]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    // 8 s of the 20 s are left, also for a clone.
    let error = world.client.clone().get_sync(SyncId(15135)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::RateLimited { attempts: 1, .. }), "{error:?}");
    assert_eq!(world.watch.naps(), [seconds(12)]);
}

#[tokio::test]
async fn persistent_rate_limit_reports_its_attempts() {
    // A wait of 0 s costs no budget, so the attempts run out first.
    let world = World::new(vec![limited("0")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 4, retry_after: Some(Duration::ZERO) }.of("get sync");
    assert_eq!(error, expected);
    assert_eq!(world.server.lines().await.len(), 4);
    // 20 s cover two waits of 7 s, but not a third.
    let world = World::new(vec![limited("7")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    assert_eq!(error, ErrorKind::RateLimited { attempts: 3, retry_after: Some(seconds(7)) }.of("get sync"));
    assert_eq!(world.watch.naps(), [seconds(7), seconds(7)]);
}

#[tokio::test]
async fn rate_limit_of_the_last_attempt_applies_to_later_calls() {
    let answers = vec![limited("0"), limited("0"), limited("0"), limited("3600"), sync()];
    let world = World::new(answers).await;
    world.client.get_sync(SyncId(1)).await.unwrap_err();
    let error = world.client.get_sync(SyncId(15135)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 0, retry_after: Some(seconds(3600)) }.of("get sync");
    assert_eq!(error, expected);
    assert_eq!(world.server.lines().await.len(), 4);
    // A wait within the budget is waited for.
    let answers = vec![limited("0"), limited("0"), limited("0"), limited("5"), sync()];
    let world = World::new(answers).await;
    world.client.get_sync(SyncId(1)).await.unwrap_err();
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps().last(), Some(&seconds(5)));
}

#[tokio::test]
async fn retry_after_of_a_503_sets_the_wait() {
    let world = World::new(vec![status(503).insert_header("retry-after", "7"), sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(7)]);
}

#[tokio::test]
async fn read_without_an_answer_is_retried() {
    let world = World::new(vec![sync().set_delay(seconds(30)), sync()]).await;
    let mut settings = settings(world.server.uri(), ApiVersion::V1);
    settings.timeout = Duration::from_millis(50);
    let (client, watch) = client_with(&settings);
    client.get_sync(SyncId(15135)).await.unwrap();
    assert!(!watch.naps().is_empty());
}

#[tokio::test]
async fn trigger_whose_connection_breaks_is_not_retried() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicU32::new(0));
    let counted = taken.clone();
    // Reads the request and closes the connection, like a server that crashes during its work.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            std::io::Read::read(&mut connection, &mut [0; 4096]).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (writer, waits) = writer_with(&settings(base_url.clone(), ApiVersion::V1));
    let (client, watch) = client_with(&settings(base_url, ApiVersion::V1));
    let error = writer.trigger(SyncId(61)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport { .. }), "{error:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    assert!(waits.naps().is_empty());
    // A read is safe, so all attempts are used.
    client.get_sync(SyncId(61)).await.unwrap_err();
    assert_eq!(taken.load(Ordering::SeqCst), 5);
    assert_eq!(watch.naps().len(), 3);
}
