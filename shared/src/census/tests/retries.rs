use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use wiremock::ResponseTemplate;

use super::{World, client_with, fixture, ok, settings, status};
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
async fn a_read_is_made_again_after_a_5xx_with_growing_waits() {
    let world = World::new(vec![status(500), status(503), sync()]).await;
    assert_eq!(world.client.get_sync(SyncId(15135)).await.unwrap().id, SyncId(15135));
    let naps = world.watch.naps();
    assert_eq!(naps.len(), 2);
    // Doubling from a second, each with as much jitter at the most.
    assert!(naps[0] >= seconds(1) && naps[0] <= seconds(2), "{naps:?}");
    assert!(naps[1] >= seconds(2) && naps[1] <= seconds(4), "{naps:?}");
}

#[tokio::test]
async fn a_read_is_given_up_after_four_attempts() {
    let world = World::new(vec![status(500)]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Status { status: 500, .. }));
    assert_eq!(world.server.lines().await.len(), 4);
}

#[tokio::test]
async fn update_is_made_again_after_a_5xx_since_it_sets_what_it_would_set_again() {
    let updated = json!({ "data": { "id": 7 } });
    let world = World::new(vec![status(502), ok(updated)]).await;
    let webhook = Webhook { id: 7, name: None, endpoint: None, events: Vec::new() };
    assert_eq!(world.client.update_webhook(&webhook).await, Ok(webhook));
    assert_eq!(world.server.lines().await, ["PATCH /api/v1/webhooks/7"; 2]);
    for request in world.server.requests().await {
        assert_eq!(request.body, br#"{"events":[]}"#, "what Census did not show is left out");
    }
}

#[tokio::test]
async fn what_will_not_help_is_not_tried_again() {
    for code in [400, 401, 403, 404, 410, 422] {
        let world = World::new(vec![status(code)]).await;
        world.client.get_sync(SyncId(1)).await.unwrap_err();
        assert_eq!(world.server.lines().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_trigger_that_may_have_been_taken_is_never_made_again() {
    let maybe_taken = [status(500), status(502), limited("1").insert_header("x", "y")];
    for (answer, attempts) in maybe_taken.into_iter().zip([1, 1, 2]) {
        // A 429 is the answer of a gate before the work, so the last one is surely not taken.
        let world = World::new(vec![answer, ok(fixture!("v1-new/trigger.json"))]).await;
        let answer = world.client.trigger(SyncId(61)).await;
        assert_eq!(world.server.lines().await.len(), attempts);
        assert_eq!(answer.is_ok(), attempts == 2);
    }
    let world = World::new(vec![status(503).insert_header("retry-after", "1")]).await;
    world.client.trigger(SyncId(61)).await.unwrap_err();
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn a_trigger_without_an_answer_is_never_made_again() {
    let world = World::new(vec![ok(json!({})).set_delay(seconds(30))]).await;
    let mut settings = settings(world.server.uri(), ApiVersion::V1);
    settings.timeout = Duration::from_millis(60);
    let (client, watch) = client_with(&settings);
    let error = client.trigger(SyncId(61)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout { .. }), "{error:?}");
    assert!(watch.naps().is_empty());
}

#[tokio::test]
async fn a_webhook_is_not_made_twice_after_a_500() {
    let world = World::new(vec![status(500)]).await;
    let webhook = NewWebhook {
        name: "n".to_owned(),
        description: "d".to_owned(),
        endpoint: "https://example.org".to_owned(),
        events: vec![],
    };
    world.client.create_webhook(&webhook).await.unwrap_err();
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn a_refused_connection_took_nothing_so_even_a_trigger_is_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (client, watch) = client_with(&settings(base_url.clone(), ApiVersion::V1));
    let error = client.trigger(SyncId(61)).await.unwrap_err();
    assert_eq!(watch.naps().len(), 3);
    let message = error.to_string();
    assert!(message.starts_with("trigger sync: Census cannot be reached ("), "{message}");
    assert!(!message.contains(&base_url) && !message.contains("force_full_sync"), "{message}");
}

#[tokio::test]
async fn retry_after_in_seconds_is_waited_for() {
    let world = World::new(vec![limited("7"), sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(7)]);
}

#[tokio::test]
async fn retry_after_as_a_date_is_measured_from_the_answers_own_date() {
    // Their clock is an hour ahead of ours; the wait is still the five seconds that they mean.
    let answer =
        limited("Tue, 24 Nov 2026 13:00:05 GMT").insert_header("date", "Tue, 24 Nov 2026 13:00:00 GMT");
    let world = World::new(vec![answer, sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(5)]);
}

#[tokio::test]
async fn a_rate_limit_that_outlasts_the_budget_is_told_at_once() {
    let world = World::new(vec![limited("3600")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 1, retry_after: Some(seconds(3600)) }.of("get sync");
    assert_eq!(error, expected);
    assert!(world.watch.naps().is_empty());
}

#[tokio::test]
async fn while_such_a_rate_limit_lasts_nobody_asks_again_and_afterwards_they_do() {
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
async fn an_absurd_retry_after_is_no_panic() {
    for absurd in
        [u64::MAX.to_string(), "-5".to_owned(), "soon".to_owned(), "Fri, 31 Dec 9999 23:59:59 GMT".to_owned()]
    {
        let world = World::new(vec![limited(&absurd)]).await;
        let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::RateLimited { .. }), "{absurd}: {error:?}");
    }
}

#[tokio::test]
async fn all_calls_share_one_budget() {
    let world = World::new(vec![limited("12"), sync(), limited("12")]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    // 8 of the 20 s are left, also for a clone.
    let error = world.client.clone().get_sync(SyncId(15135)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::RateLimited { attempts: 1, .. }), "{error:?}");
    assert_eq!(world.watch.naps(), [seconds(12)]);
}

#[tokio::test]
async fn a_rate_limit_that_stays_is_told_with_its_attempts() {
    // A wait of nothing costs no budget, so the attempts run out first.
    let world = World::new(vec![limited("0")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 4, retry_after: Some(Duration::ZERO) }.of("get sync");
    assert_eq!(error, expected);
    assert_eq!(world.server.lines().await.len(), 4);
    // Of 20 s, two waits of 7 s can be sat out, and no third.
    let world = World::new(vec![limited("7")]).await;
    let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
    assert_eq!(error, ErrorKind::RateLimited { attempts: 3, retry_after: Some(seconds(7)) }.of("get sync"));
    assert_eq!(world.watch.naps(), [seconds(7), seconds(7)]);
}

#[tokio::test]
async fn the_rate_limit_of_the_last_attempt_holds_for_the_calls_after_it() {
    let answers = vec![limited("0"), limited("0"), limited("0"), limited("3600"), sync()];
    let world = World::new(answers).await;
    world.client.get_sync(SyncId(1)).await.unwrap_err();
    let error = world.client.get_sync(SyncId(15135)).await.unwrap_err();
    let expected = ErrorKind::RateLimited { attempts: 0, retry_after: Some(seconds(3600)) }.of("get sync");
    assert_eq!(error, expected);
    assert_eq!(world.server.lines().await.len(), 4);
    // One that the budget can wait for is waited for.
    let answers = vec![limited("0"), limited("0"), limited("0"), limited("5"), sync()];
    let world = World::new(answers).await;
    world.client.get_sync(SyncId(1)).await.unwrap_err();
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps().last(), Some(&seconds(5)));
}

#[tokio::test]
async fn a_503_may_ask_for_its_wait_as_well() {
    let world = World::new(vec![status(503).insert_header("retry-after", "7"), sync()]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(7)]);
}

#[tokio::test]
async fn a_read_without_an_answer_is_made_again() {
    let world = World::new(vec![sync().set_delay(seconds(30)), sync()]).await;
    let mut settings = settings(world.server.uri(), ApiVersion::V1);
    settings.timeout = Duration::from_millis(50);
    let (client, watch) = client_with(&settings);
    client.get_sync(SyncId(15135)).await.unwrap();
    assert!(!watch.naps().is_empty());
}

#[tokio::test]
async fn a_trigger_whose_connection_breaks_is_never_made_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicU32::new(0));
    let counted = taken.clone();
    // Takes what it is sent and hangs up, as a server that dies over its work.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            std::io::Read::read(&mut connection, &mut [0; 4096]).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (client, watch) = client_with(&settings(base_url, ApiVersion::V1));
    let error = client.trigger(SyncId(61)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport { .. }), "{error:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    // Reading does no harm, so it is tried as often as it may be.
    client.get_sync(SyncId(61)).await.unwrap_err();
    assert_eq!(taken.load(Ordering::SeqCst), 5);
    assert_eq!(watch.naps().len(), 3);
}
