use serde_json::{Value, json};

use super::{TOKEN, World, fixture, ok, settings, status, writer_with};
use crate::census::ErrorKind;
use crate::observation::{RunId, SyncId};
use crate::pipeline::ApiVersion;

fn accepted() -> Value {
    json!({ "status": "cancelled", "data": {} })
}

#[tokio::test]
async fn resume_sends_only_its_key() {
    for (version, below) in [(ApiVersion::V1, "/api/v1"), (ApiVersion::V2, "/api/v2")] {
        let world = World::of(version, vec![ok(fixture!("v1-old/sync-updated.json"))]).await;
        assert_eq!(world.writer.resume(SyncId(61)).await, Ok(()));
        assert_eq!(world.server.lines().await, [format!("PATCH {below}/syncs/61")]);
        let requests = world.server.requests().await;
        assert_eq!(requests[0].body, br#"{"paused":false}"#);
        assert_eq!(requests[0].headers["authorization"], format!("Bearer {TOKEN}").as_str());
    }
}

#[tokio::test]
async fn resume_is_retried_as_it_is_idempotent() {
    let world = World::new(vec![status(502), status(429), ok(fixture!("v1-old/sync-updated.json"))]).await;
    assert_eq!(world.writer.resume(SyncId(61)).await, Ok(()));
    assert_eq!(world.server.lines().await, ["PATCH /api/v1/syncs/61"; 3]);
    for (code, kind) in
        [(403, ErrorKind::Forbidden), (404, ErrorKind::NotFound { what: "syncs/61".to_owned() })]
    {
        let world = World::new(vec![status(code)]).await;
        assert_eq!(world.writer.resume(SyncId(61)).await, Err(kind.of("resume sync")));
        assert_eq!(world.server.lines().await.len(), 1);
    }
}

#[tokio::test]
async fn cancel_names_the_run_and_sends_no_body() {
    for (version, below) in [(ApiVersion::V1, "/api/v1"), (ApiVersion::V2, "/api/v2")] {
        let world = World::of(version, vec![ok(accepted())]).await;
        assert_eq!(world.writer.cancel(RunId(94)).await, Ok(()));
        assert_eq!(world.server.lines().await, [format!("POST {below}/sync_runs/94/cancel")]);
        assert!(world.server.requests().await[0].body.is_empty());
    }
}

#[tokio::test]
async fn cancel_of_an_ended_run_quotes_the_refusal() {
    let answer = json!({ "status": "error", "message": "The sync run has ended" });
    let world = World::new(vec![status(400).set_body_json(answer)]).await;
    let error = world.writer.cancel(RunId(94)).await.unwrap_err();
    assert_eq!(error.to_string(), "cancel run: Census answered 400 (The sync run has ended)");
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn cancel_is_retried_only_without_an_effect() {
    let answers = [status(500), status(502), status(503).insert_header("retry-after", "1"), status(429)];
    for (answer, attempts) in answers.into_iter().zip([1, 1, 1, 2]) {
        let world = World::new(vec![answer, ok(accepted())]).await;
        assert_eq!(world.writer.cancel(RunId(94)).await.is_ok(), attempts == 2);
        assert_eq!(world.server.lines().await.len(), attempts);
    }
}

#[test]
fn writer_shows_no_token() {
    let (writer, _) = writer_with(&settings("https://app.getcensus.com".to_owned(), ApiVersion::V2));
    let shown = format!("{writer:?} {writer:#?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("arandomstring"), "{shown}");
}
