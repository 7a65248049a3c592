//! Routing by owner: which notices arrive where.

use jiff::SignedDuration;
use serde_json::json;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::{CHAT, ChannelKind, Channels};
use syncwatch_testing::text;

use super::samples::{channel, notice};
use super::world::{Log, NEW_KEY, OLD_KEY, SALES_KEY, SLACK, World, failures, now};

/// A critical notice about a subject of this owner.
fn owned(kind: NoticeKind, sequence: u32, owner: Option<&str>) -> Body {
    Body { owner: owner.map(str::to_owned), ..notice(kind, Severity::Critical, sequence) }
}

#[tokio::test]
async fn each_owner_gets_notices_in_own_channels_else_the_defaults() {
    for (owner, expected) in [
        (Some("Sales"), ["sales chat", "sales pager: trigger"]),
        (Some("Support"), ["pager: trigger", "sales chat"]),
        (Some("Night shift"), ["chat", "sales pager: trigger"]),
        (Some("Finance"), ["chat", "pager: trigger"]),
        (Some("Left the company"), ["chat", "pager: trigger"]),
        (None, ["chat", "pager: trigger"]),
    ] {
        let world = World::with_owners().await;
        let answer = world.relay(&[owned(NoticeKind::Opened, 1, owner)]).await;
        assert_eq!(failures(&answer), [""; 0]);
        assert_eq!(world.arrived().await, expected, "{owner:?}");
    }
}

#[tokio::test]
async fn each_chat_gets_the_message_of_its_kind() {
    let world = World::with_owners().await;
    world.relay(&[owned(NoticeKind::Opened, 1, Some("Sales"))]).await;
    world.relay(&[owned(NoticeKind::Reminder, 2, Some("Finance"))]).await;
    let card = world.sales_chat.bodies().await.remove(0);
    assert_eq!(card["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
    let message = world.chat.bodies().await.remove(0);
    assert_eq!(message["blocks"][0]["type"], "header");
    assert!(message.to_string().contains(&format!("*Owner:* Finance <!subteam^{SLACK}>")), "{message}");
}

#[tokio::test]
async fn incident_is_resolved_in_the_channels_of_a_former_owner() {
    let world = World::with_owners().await;
    for (kind, sequence, owner) in [
        (NoticeKind::Opened, 1, Some("Sales")),
        (NoticeKind::Reminder, 2, None),
        (NoticeKind::Resolved, 3, None),
    ] {
        assert_eq!(failures(&world.relay(&[owned(kind, sequence, owner)]).await), [""; 0]);
    }
    let expected = [
        "chat",
        "chat",
        "pager: resolve",
        "pager: trigger",
        "sales chat",
        "sales chat",
        "sales pager: resolve",
        "sales pager: trigger",
    ];
    assert_eq!(world.arrived().await, expected);
    assert_eq!(world.pagerduty.open_alerts().await, []);
}

#[tokio::test]
async fn acknowledgement_reaches_the_channels_of_a_former_owner() {
    let world = World::with_owners().await;
    world.relay(&[owned(NoticeKind::Opened, 1, Some("Sales"))]).await;
    world.relay(&[owned(NoticeKind::Acknowledged, 2, None)]).await;
    let expected = ["sales chat", "sales chat", "sales pager: acknowledge", "sales pager: trigger"];
    assert_eq!(world.arrived().await, expected);
}

#[tokio::test]
async fn late_trigger_for_a_former_owner_is_not_sent() {
    let world = World::with_owners().await;
    world.relay(&[owned(NoticeKind::Resolved, 2, None)]).await;
    assert_eq!(failures(&world.relay(&[owned(NoticeKind::Opened, 1, Some("Sales"))]).await), [""; 0]);
    assert_eq!(world.arrived().await, ["chat", "pager: resolve"]);
}

#[tokio::test]
async fn channel_without_a_value_fails_alone_and_is_named() {
    let world = World::with_owners().await;
    world.put_chat_secret(&json!({ "support-chat": "https://example.com" })).await;
    let (log, opened) = (Log::start(), [owned(NoticeKind::Opened, 1, Some("Sales"))]);
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    assert_eq!(world.arrived().await, ["sales pager: trigger"]);
    let log = log.text();
    assert!(log.contains("secret chat: no value for channel sales-chat. Store {"), "{log}");
    // The secret is cached, and a value that the cache lacks is read again.
    world.put_chat_secret(&json!({ "sales-chat": world.sales_address() })).await;
    assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    assert_eq!(world.arrived().await, ["sales chat", "sales pager: trigger"]);
}

#[tokio::test]
async fn pager_without_a_valid_value_fails_alone_and_is_named() {
    for (channels, named) in [
        (json!({}), "secret pagerduty: no value for channel sales-pager"),
        (
            json!({ "sales-pager": "hunter2" }),
            "secret pagerduty, channel sales-pager: its current value is not a routing key",
        ),
    ] {
        let world = World::with_owners().await;
        world.put_secret("pagerduty", &json!({ "current": OLD_KEY, "channels": channels }).to_string()).await;
        let log = Log::start();
        let answer = world.relay(&[owned(NoticeKind::Opened, 1, Some("Sales"))]).await;
        assert_eq!(failures(&answer), ["message-0"]);
        assert_eq!(world.arrived().await, ["sales chat"]);
        let log = log.text();
        assert!(log.contains(named) && !log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn failing_channel_of_one_owner_does_not_block_the_others() {
    let world = World::with_owners().await;
    world.sales_chat.script(vec![text(500, ""); 2]).await;
    let mut other = owned(NoticeKind::Opened, 1, Some("Finance"));
    other.dedup_key = "properties/run-failed/b".to_owned();
    let batch = [owned(NoticeKind::Opened, 1, Some("Sales")), other];
    assert_eq!(failures(&world.relay(&batch).await), ["message-0"]);
    let expected = ["chat", "pager: trigger", "sales chat", "sales pager: trigger"];
    assert_eq!(world.arrived().await, expected);
}

#[tokio::test]
async fn own_pager_resolves_through_its_key_before_a_rotation() {
    let world = World::with_owners().await;
    world.relay(&[owned(NoticeKind::Opened, 1, Some("Night shift"))]).await;
    let rotated = json!({ "current": NEW_KEY, "previous": SALES_KEY });
    let secret = json!({ "current": OLD_KEY, "channels": { "sales-pager": rotated } });
    world.put_secret("pagerduty", &secret.to_string()).await;
    let later = now() + SignedDuration::from_mins(20);
    world.relay_at(&[owned(NoticeKind::Resolved, 2, Some("Night shift"))], later).await;
    assert_eq!(world.arrived().await, ["chat", "chat", "sales pager: resolve", "sales pager: trigger"]);
}

#[tokio::test]
async fn generic_webhook_gets_the_notice_as_json() {
    let generic = channel(CHAT, ChannelKind::Webhook, Severity::Info);
    let world = World::start(Channels(vec![generic])).await;
    for kind in NoticeKind::ALL {
        let mut notice = owned(kind, 1, Some("Finance"));
        notice.dedup_key = format!("properties/run-failed/{kind}");
        let taken = world.chat.requests().await.len();
        assert_eq!(failures(&world.relay(std::slice::from_ref(&notice)).await), [""; 0]);
        let bodies = world.chat.requests().await;
        let sent = bodies.get(taken).map(|request| String::from_utf8(request.body.clone()).unwrap());
        // No channel gets the acknowledgement of an incident that was not sent to it.
        let expected = (kind != NoticeKind::Acknowledged).then_some(notice);
        assert_eq!(sent.map(|body| Body::parse(&body).unwrap()), expected);
    }
}
