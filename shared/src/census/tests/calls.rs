use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{TOKEN, World, client_with, fixture, ok, settings, status};
use crate::census::{ErrorKind, NewWebhook};
use crate::observation::{RunId, SyncId};
use crate::pipeline::ApiVersion;

fn body(request: &wiremock::Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn webhook(events: &[&str]) -> NewWebhook {
    NewWebhook {
        name: "syncwatch".to_owned(),
        description: "starts a round".to_owned(),
        endpoint: "https://example.org/hook".to_owned(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
    }
}

#[tokio::test]
async fn token_is_sent_as_a_bearer_with_its_prefix() {
    let world = World::new(vec![ok(fixture!("v1-new/sync.json"))]).await;
    world.client.get_sync(SyncId(15135)).await.unwrap();
    let requests = world.server.requests().await;
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {TOKEN}").as_str());
    assert_eq!(requests[0].headers["accept"], "application/json");
}

#[tokio::test]
async fn trigger_never_requests_a_full_sync() {
    for version in [ApiVersion::V1, ApiVersion::V2] {
        let world = World::of(version, vec![ok(fixture!("v2/trigger.json"))]).await;
        assert_eq!(world.writer.trigger(SyncId(61)).await, Ok(RunId(1_234_567_890)));
        let line = world.server.lines().await.remove(0);
        assert!(line.starts_with("POST /api/v") && line.ends_with("/syncs/61/trigger?force_full_sync=false"));
        assert!(world.server.requests().await[0].body.is_empty());
    }
}

#[tokio::test]
async fn rejected_and_invalid_records_are_read_without_duplicates() {
    // The documented answer mixes all statuses, like a server that ignores the filter.
    let world = World::new(vec![ok(fixture!("v1-new/records.json"))]).await;
    let records = world.client.rejected_records(RunId(94), 10).await.unwrap();
    assert_eq!(records.len(), 4);
    let expected = [
        "GET /api/v1/sync_runs/94/records?page=1&per_page=10&status=rejected",
        "GET /api/v1/sync_runs/94/records?page=1&per_page=10&status=invalid",
    ];
    assert_eq!(world.server.lines().await, expected);
}

#[tokio::test]
async fn sample_of_rejected_records_keeps_its_limit() {
    let world = World::new(vec![ok(fixture!("v1-new/records.json"))]).await;
    assert_eq!(world.client.rejected_records(RunId(94), 2).await.unwrap().len(), 2);
    assert_eq!(world.client.rejected_records(RunId(94), 0).await, Ok(vec![]));
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn group_is_sent_in_v2_only() {
    let answers = || vec![ok(fixture!("v2/syncs-page.json")), ok(fixture!("v2/webhooks-page.json"))];
    let world = World::of(ApiVersion::V2, answers()).await;
    world.client.list_syncs_page(1, 100).await.unwrap();
    let webhooks = world.client.list_webhooks().await.unwrap();
    assert_eq!((webhooks[0].id, webhooks[0].events.len()), (123, 2));
    let expected = [
        "GET /api/v2/syncs?page=1&per_page=100&group_id=wandering_aimlessly",
        "GET /api/v2/webhooks?page=1&per_page=100&group_id=wandering_aimlessly",
    ];
    assert_eq!(world.server.lines().await, expected);
    let world = World::of(ApiVersion::V1, answers()).await;
    world.client.list_syncs_page(1, 100).await.unwrap();
    assert_eq!(world.server.lines().await, ["GET /api/v1/syncs?page=1&per_page=100"]);
}

#[tokio::test]
async fn created_webhook_has_its_group_and_returns_its_secret() {
    let answer = status(201).set_body_json(fixture!("v2/webhook-created.json"));
    let world = World::of(ApiVersion::V2, vec![answer]).await;
    let created = world.writer.create_webhook(&webhook(&["sync.failed"])).await.unwrap();
    assert_eq!((created.id, created.secret.expose_secret()), (123, "my123secret"));
    let sent = body(&world.server.requests().await[0]);
    assert_eq!(sent["group_id"], "wandering_aimlessly");
    assert_eq!(sent["events"], json!(["sync.failed"]));
}

#[tokio::test]
async fn webhook_for_all_events_sends_no_list_and_needs_a_secret() {
    let mut answer = fixture!("v1-new/webhook-created.json");
    answer["data"]["secret"] = Value::Null;
    let world = World::new(vec![status(201).set_body_json(answer)]).await;
    let error = world.writer.create_webhook(&webhook(&[])).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { path, .. } if path == "data.secret"));
    let sent = body(&world.server.requests().await[0]);
    assert!(sent.get("events").is_none() && sent.get("group_id").is_none());
}

#[tokio::test]
async fn clock_of_census_is_compared_with_ours() {
    let answer = ok(fixture!("v1-new/run.json")).insert_header("date", "Tue, 24 Nov 2026 12:01:30 GMT");
    let world = World::new(vec![answer]).await;
    assert_eq!(world.client.clock_ahead(), None);
    world.client.get_run(RunId(94)).await.unwrap();
    assert_eq!(world.client.clock_ahead().unwrap().as_secs(), 90);
}

#[tokio::test]
async fn calls_use_their_version_and_only_some_name_the_group() {
    for (version, below) in [(ApiVersion::V1, "/api/v1"), (ApiVersion::V2, "/api/v2")] {
        let answers = vec![
            ok(fixture!("v1-new/sync.json")),
            ok(fixture!("v1-new/runs-last-page.json")),
            ok(fixture!("v1-new/run.json")),
            ok(fixture!("v1-new/records.json")),
            status(201).set_body_json(fixture!("v1-new/webhook-created.json")),
        ];
        let world = World::of(version, answers).await;
        world.client.get_sync(SyncId(7)).await.unwrap();
        world.client.runs_of_sync(SyncId(7), 3).await.unwrap();
        world.client.get_run(RunId(94)).await.unwrap();
        world.client.rejected_records(RunId(94), 1).await.unwrap();
        world.writer.create_webhook(&webhook(&[])).await.unwrap();
        let expected = [
            format!("GET {below}/syncs/7"),
            format!("GET {below}/syncs/7/sync_runs?page=1&per_page=3&order=desc"),
            format!("GET {below}/sync_runs/94"),
            format!("GET {below}/sync_runs/94/records?page=1&per_page=1&status=rejected"),
            format!("POST {below}/webhooks"),
        ];
        assert_eq!(world.server.lines().await, expected);
        for request in world.server.requests().await {
            assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}").as_str());
        }
        assert_eq!(
            body(&world.server.requests().await[4]).get("group_id").is_some(),
            version == ApiVersion::V2
        );
    }
}

#[tokio::test]
async fn trailing_slash_of_the_base_url_is_ignored() {
    let world = World::new(vec![ok(fixture!("v1-new/run.json"))]).await;
    let (client, _) = client_with(&settings(format!("{}/", world.server.uri()), ApiVersion::V1));
    client.get_run(RunId(94)).await.unwrap();
    assert_eq!(world.server.lines().await, ["GET /api/v1/sync_runs/94"]);
}

#[tokio::test]
async fn clock_that_is_behind_is_negative_and_needs_a_valid_date() {
    let date = |date: &str| ok(fixture!("v1-new/run.json")).insert_header("date", date);
    let world = World::new(vec![date("Tue, 24 Nov 2026 11:59:00 GMT"), date("today")]).await;
    for _ in 0..2 {
        world.client.get_run(RunId(94)).await.unwrap();
        assert_eq!(world.client.clock_ahead().unwrap().as_secs(), -60);
    }
}
