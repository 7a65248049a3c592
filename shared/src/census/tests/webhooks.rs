use serde_json::{Value, json};

use super::{World, fixture, ok, status};
use crate::census::{EVENTS, ErrorKind, Webhook};
use crate::pipeline::ApiVersion;

fn webhook(events: &[&str]) -> Webhook {
    Webhook {
        id: 123,
        name: Some("syncwatch".to_owned()),
        endpoint: Some("https://example.org/hook".to_owned()),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
    }
}

#[test]
fn webhook_without_events_receives_all() {
    assert_eq!(webhook(&[]).missing_events(), [""; 0]);
    assert_eq!(webhook(&EVENTS).missing_events(), [""; 0]);
    assert_eq!(webhook(&["sync.unheard-of"]).missing_events(), EVENTS);
    assert_eq!(webhook(&EVENTS[1..]).missing_events(), ["sync.alert.raised"]);
}

#[tokio::test]
async fn update_sends_the_whole_webhook_and_its_group_in_v2() {
    let updated = json!({ "status": "updated", "data": {
        "id": 123, "name": "syncwatch", "endpoint": "https://example.org/hook", "events": EVENTS,
    } });
    for (version, below) in [(ApiVersion::V1, "/api/v1"), (ApiVersion::V2, "/api/v2")] {
        let world = World::of(version, vec![ok(updated.clone())]).await;
        assert_eq!(world.writer.update_webhook(&webhook(&EVENTS)).await, Ok(webhook(&EVENTS)));
        assert_eq!(world.server.lines().await, [format!("PATCH {below}/webhooks/123")]);
        let sent: Value = serde_json::from_slice(&world.server.requests().await[0].body).unwrap();
        let mut expected =
            json!({ "name": "syncwatch", "endpoint": "https://example.org/hook", "events": EVENTS });
        if version == ApiVersion::V2 {
            expected["group_id"] = json!("wandering_aimlessly");
        }
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn missing_webhook_counts_as_deleted() {
    let answers = [
        ok(json!({ "status": "deleted" })),
        status(204),
        status(200),
        status(404).set_body_json(fixture!("errors/404-integer.json")),
        status(410),
    ];
    for answer in answers {
        let world = World::new(vec![answer]).await;
        assert_eq!(world.writer.delete_webhook(123).await, Ok(()));
        assert_eq!(world.server.lines().await, ["DELETE /api/v1/webhooks/123"]);
    }
    let world = World::of(ApiVersion::V2, vec![ok(json!({ "status": "deleted" }))]).await;
    world.writer.delete_webhook(7).await.unwrap();
    assert_eq!(world.server.lines().await, ["DELETE /api/v2/webhooks/7?group_id=wandering_aimlessly"]);
}

#[tokio::test]
async fn forbidden_deletion_fails_and_a_500_is_retried() {
    let world = World::new(vec![status(403)]).await;
    let error = world.writer.delete_webhook(123).await.unwrap_err();
    assert_eq!(error, ErrorKind::Forbidden.of("delete webhook"));
    let world = World::new(vec![status(500), ok(json!({ "status": "deleted" }))]).await;
    assert_eq!(world.writer.delete_webhook(123).await, Ok(()));
}
