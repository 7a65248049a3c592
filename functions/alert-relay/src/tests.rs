//! The function as a whole, with servers on this machine in place of AWS, PagerDuty and chats.

mod mail;
mod owners;
pub(crate) mod renderings;
pub(crate) mod samples;
mod world;

use serde_json::json;
use syncwatch::aws::Sdk;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::{Channels, Pipeline};
use syncwatch::runtime::Site;
use syncwatch_testing::text;
use wiremock::Mock;
use wiremock::matchers::{any, body_string_contains};

use crate::App;
use samples::{chat, impatient, notice, pagerduty};
use world::{CHAT_PATH, NEW_KEY, OLD_KEY, World, both, failures, now};

#[tokio::test]
async fn incident_is_sent_from_opened_to_resolved() {
    let world = World::start(both()).await;
    for (kind, sequence) in [
        (NoticeKind::Opened, 1),
        (NoticeKind::Worsened, 2),
        (NoticeKind::Reminder, 3),
        (NoticeKind::Resolved, 4),
    ] {
        let answer = world.relay(&[notice(kind, Severity::Critical, sequence)]).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(world.pagerduty.actions().await, ["trigger", "trigger", "trigger", "resolve"]);
    assert_eq!(world.chat.requests().await.len(), 4);
    assert!(world.pagerduty.open_alerts().await.is_empty());
}

#[tokio::test]
async fn shuffled_batch_is_sent_in_order_and_once() {
    let world = World::start(both()).await;
    let opened = notice(NoticeKind::Opened, Severity::Critical, 1);
    let resolved = notice(NoticeKind::Resolved, Severity::Critical, 2);
    let batch = [resolved.clone(), opened.clone(), resolved, opened];
    assert_eq!(failures(&world.relay(&batch).await), [""; 0]);
    assert_eq!(world.pagerduty.actions().await, ["trigger", "resolve"]);
    assert_eq!(world.chat.requests().await.len(), 2);
}

#[tokio::test]
async fn notice_below_a_channels_severity_goes_to_the_other() {
    let world = World::start(both()).await;
    assert_eq!(failures(&world.relay(&[notice(NoticeKind::Opened, Severity::Warning, 1)]).await), [""; 0]);
    assert_eq!(world.pagerduty.requests().await.len(), 0);
    assert_eq!(world.chat.requests().await.len(), 1);
}

#[tokio::test]
async fn failing_channel_does_not_block_others_and_is_retried_alone() {
    let world = World::start(both()).await;
    world.pagerduty.script(vec![text(503, ""), text(503, ""), text(503, "")]).await;
    let opened = [notice(NoticeKind::Opened, Severity::Critical, 1)];
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    assert_eq!(world.chat.requests().await.len(), 1);
    assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 1);
    assert_eq!(world.chat.requests().await.len(), 1);
}

#[tokio::test]
async fn failing_channel_gets_at_most_two_notices_of_a_batch() {
    let world = World::start(both()).await;
    world.pagerduty.script(vec![text(503, ""); 6]).await;
    let batch = ["a", "b", "c"].map(of_key);
    assert_eq!(failures(&world.relay(&batch).await), ["message-0", "message-1", "message-2"]);
    assert_eq!(world.pagerduty.requests().await.len(), 6);
    assert_eq!(world.chat.requests().await.len(), 3);
    assert_eq!(failures(&world.relay(&batch).await), [""; 0]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 3);
}

/// A notice of another incident than the sample's.
fn of_key(subject: &str) -> Body {
    let mut notice = notice(NoticeKind::Opened, Severity::Critical, 1);
    notice.dedup_key = format!("properties/run-failed/{subject}");
    notice.id = format!("{}#1.1", notice.dedup_key);
    notice
}

/// Delivers a notice like the queue, every three minutes for a day or until it is done. Returns after how many minutes it was.
async fn queued_for_a_day(world: &World, notice: &Body) -> Option<i64> {
    for delivery in 0..480 {
        let minutes = 3 * delivery;
        let at = now() + jiff::SignedDuration::from_mins(minutes);
        if failures(&world.relay_at(std::slice::from_ref(notice), at).await).is_empty() {
            return Some(minutes);
        }
    }
    None
}

#[tokio::test]
async fn notice_is_posted_to_a_chat_at_most_three_times() {
    for (answer, posts, minutes) in [
        (text(200, "<html>sign in</html>"), 3, 18),
        (text(404, "no_service"), 3, 18),
        (text(500, ""), 3, 18),
        (text(302, ""), 3, 18),
        (text(400, "invalid_payload"), 1, 0),
        (text(200, r#"{"success":false}"#), 1, 0),
    ] {
        let world = World::start(Channels(vec![chat()])).await;
        world.chat.answer(Mock::given(any()), answer).await;
        assert_eq!(queued_for_a_day(&world, &of_key("a")).await, Some(minutes));
        assert_eq!(world.chat.requests().await.len(), posts);
        assert_eq!(world.dead_letters().await.len(), 1);
    }
}

#[tokio::test]
async fn poison_event_is_posted_once_and_parked() {
    let world = World::start(both()).await;
    world.pagerduty.answer(Mock::given(any()), text(400, r#"{"message":"Event object is invalid"}"#)).await;
    assert_eq!(queued_for_a_day(&world, &of_key("a")).await, Some(0));
    assert_eq!(world.pagerduty.requests().await.len(), 1);
    assert_eq!(world.dead_letters().await.len(), 1);
    // The chat got it once.
    assert_eq!(world.chat.requests().await.len(), 1);
}

#[tokio::test]
async fn page_survives_a_long_outage_of_pagerduty() {
    let world = World::start(Channels(vec![pagerduty()])).await;
    let outage = [text(503, ""), text(500, ""), text(429, "")];
    world.pagerduty.script(outage.into_iter().cycle().take(300).collect()).await;
    let minutes = queued_for_a_day(&world, &of_key("a")).await.unwrap();
    assert!(minutes > 240, "{minutes}");
    assert_eq!(world.pagerduty.actions().await, ["trigger"]);
    assert_eq!(world.dead_letters().await, [""; 0]);
}

#[tokio::test]
async fn redriven_notice_is_posted_again() {
    let world = World::start(both()).await;
    world.chat.answer_once(|| Mock::given(any()), vec![text(400, "invalid_payload")]).await;
    assert_eq!(failures(&world.relay(&[of_key("a")]).await), [""; 0]);
    let parked = world.dead_letters().await.remove(0);
    let later = now() + jiff::SignedDuration::from_hours(5);
    assert_eq!(failures(&world.redeliver(&parked, later).await), [""; 0]);
    assert_eq!(world.chat.requests().await.len(), 2);
    assert_eq!(world.pagerduty.actions().await, ["trigger"]);
    assert_eq!(world.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn parking_waits_while_another_channel_is_tried() {
    let world = World::start(both()).await;
    world.chat.answer(Mock::given(any()), text(400, "invalid_payload")).await;
    world.pagerduty.script(vec![text(503, ""); 3]).await;
    let opened = [of_key("a")];
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    assert_eq!(world.dead_letters().await, [""; 0]);
    assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    assert_eq!(world.pagerduty.actions().await, ["trigger"]);
    assert_eq!((world.chat.requests().await.len(), world.dead_letters().await.len()), (1, 1));
}

#[tokio::test]
async fn notice_that_always_fails_does_not_block_others() {
    let world = World::start(Channels(vec![chat()])).await;
    world.chat.answer(Mock::given(body_string_contains("run-failed/a#")), text(500, "")).await;
    let batch = ["a", "b", "c"].map(of_key);
    assert_eq!(failures(&world.relay(&batch).await), ["message-0"]);
    assert_eq!(world.chat.requests().await.len(), 3);
}

#[tokio::test]
async fn message_that_cannot_be_parked_stays_in_the_queue() {
    let world = World::start(Channels(vec![chat()])).await;
    world.chat.answer(Mock::given(any()), text(400, "invalid_payload")).await;
    world.refuse_dead_letters_once().await;
    let opened = [of_key("a")];
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    assert_eq!((world.chat.requests().await.len(), world.dead_letters().await.len()), (1, 2));
}

#[tokio::test]
async fn acknowledgement_is_sent_only_where_its_incident_is_open() {
    let world = World::start(both()).await;
    // Its incident was not sent to any channel.
    let mut early = of_key("b");
    (early.kind, early.sequence) = (NoticeKind::Acknowledged, 2);
    assert_eq!(failures(&world.relay(&[early]).await), [""; 0]);
    for (kind, sequence) in [
        (NoticeKind::Opened, 1),
        (NoticeKind::Acknowledged, 2),
        (NoticeKind::Acknowledged, 2),
        (NoticeKind::Reminder, 3),
        (NoticeKind::Resolved, 4),
        (NoticeKind::Acknowledged, 2),
    ] {
        let answer = world.relay(&[notice(kind, Severity::Critical, sequence)]).await;
        assert_eq!(failures(&answer), [""; 0]);
    }
    assert_eq!(world.pagerduty.actions().await, ["trigger", "acknowledge", "trigger", "resolve"]);
    assert_eq!(world.chat.requests().await.len(), 4);
    assert!(world.pagerduty.open_alerts().await.is_empty());
}

#[tokio::test]
async fn refused_notice_fails_alone() {
    let world = World::start(both()).await;
    world.pagerduty.script(vec![text(400, r#"{"message":"Event object is invalid"}"#)]).await;
    let mut other = notice(NoticeKind::Opened, Severity::Critical, 1);
    other.dedup_key = "properties/run-failed/b".to_owned();
    let batch = [notice(NoticeKind::Opened, Severity::Critical, 1), other];
    assert_eq!(failures(&world.relay(&batch).await), [""; 0]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 1);
    assert_eq!(world.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn resolve_uses_the_triggering_key_after_a_rotation() {
    let world = World::start(both()).await;
    world.relay(&[notice(NoticeKind::Opened, Severity::Critical, 1)]).await;
    world.put_secret("pagerduty", &json!({ "current": NEW_KEY, "previous": OLD_KEY }).to_string()).await;
    // While the old secret is cached, and after that.
    for (sequence, minutes) in [(2, 1), (3, 20)] {
        let worsened = notice(NoticeKind::Worsened, Severity::Critical, sequence);
        let at = now() + jiff::SignedDuration::from_mins(minutes);
        assert_eq!(failures(&world.relay_at(&[worsened], at).await), [""; 0]);
    }
    let later = now() + jiff::SignedDuration::from_mins(21);
    let mut other = notice(NoticeKind::Opened, Severity::Critical, 1);
    other.dedup_key = "properties/run-failed/b".to_owned();
    world.relay_at(&[notice(NoticeKind::Resolved, Severity::Critical, 4), other], later).await;
    let keys: Vec<_> =
        world.pagerduty.bodies().await.iter().map(|event| event["routing_key"].clone()).collect();
    assert_eq!(keys, [OLD_KEY, OLD_KEY, OLD_KEY, OLD_KEY, NEW_KEY]);
    assert_eq!(
        world.pagerduty.open_alerts().await,
        [(NEW_KEY.to_owned(), "properties/run-failed/b".to_owned())]
    );
}

#[tokio::test]
async fn resolve_waits_until_its_missing_key_is_back() {
    let world = World::start(both()).await;
    world.relay(&[notice(NoticeKind::Opened, Severity::Critical, 1)]).await;
    world.put_secret("pagerduty", NEW_KEY).await;
    let later = now() + jiff::SignedDuration::from_mins(20);
    let resolved = [notice(NoticeKind::Resolved, Severity::Critical, 2)];
    assert_eq!(failures(&world.relay_at(&resolved, later).await), ["message-0"]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 1);
    world.put_secret("pagerduty", &json!({ "current": NEW_KEY, "previous": OLD_KEY }).to_string()).await;
    // A key that the cache lacks is read again.
    assert_eq!(failures(&world.relay_at(&resolved, later).await), [""; 0]);
    assert_eq!(world.pagerduty.open_alerts().await, []);
    // The chat got it at the first delivery.
    assert_eq!(world.chat.requests().await.len(), 2);
}

#[tokio::test]
async fn notice_leased_by_another_invocation_is_retried_later() {
    let world = World::start(both()).await;
    let opened = [notice(NoticeKind::Opened, Severity::Critical, 1)];
    let id = "pagerduty/properties/error-rate/properties-create";
    let until = (now() + jiff::SignedDuration::from_mins(1)).as_millisecond().to_string();
    world.put_item(id, &json!({ "leased_by": {"S": "another"}, "leased_until": {"N": until} }));
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    assert_eq!(world.pagerduty.requests().await.len(), 0);
    // The other invocation died, and its lease has expired.
    let later = now() + jiff::SignedDuration::from_mins(3);
    assert_eq!(failures(&world.relay_at(&opened, later).await), [""; 0]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 1);
}

#[tokio::test]
async fn concurrent_invocations_send_a_notice_once() {
    let world = World::start(both()).await;
    let opened = [notice(NoticeKind::Opened, Severity::Critical, 1)];
    let (one, two) = futures::future::join(world.relay(&opened), world.relay(&opened)).await;
    // One of them may have found the other's lease; SQS then retries the message.
    if !(failures(&one).is_empty() && failures(&two).is_empty()) {
        assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    }
    assert_eq!(world.pagerduty.actions().await, ["trigger"]);
    assert_eq!(world.chat.requests().await.len(), 1);
}

#[tokio::test]
async fn message_that_is_not_a_notice_fails_alone() {
    let world = World::start(both()).await;
    let good = serde_json::to_string(&notice(NoticeKind::Opened, Severity::Critical, 1)).unwrap();
    let event = json!({ "Records": [
        { "messageId": "bad", "body": "hello" },
        { "messageId": "good", "body": good },
    ]});
    let answer = world.run(event, now()).await.unwrap();
    assert_eq!(failures(&answer), ["bad"]);
    assert_eq!(world.pagerduty.open_alerts().await.len(), 1);
}

#[tokio::test]
async fn messages_are_done_when_no_channel_is_declared() {
    let world = World::start(Channels::default()).await;
    for (kind, test) in NoticeKind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let notice = Body { test, ..notice(kind, Severity::Critical, 1) };
        assert_eq!(failures(&world.relay(&[notice]).await), [""; 0]);
    }
    assert_eq!(world.aws_calls().await, [""; 0]);
    assert_eq!(world.pagerduty.requests().await.len() + world.chat.requests().await.len(), 0);
}

#[tokio::test]
async fn only_the_secret_of_a_declared_channel_is_read() {
    let world = World::start(Channels(vec![chat()])).await;
    assert_eq!(failures(&world.relay(&[notice(NoticeKind::Opened, Severity::Critical, 1)]).await), [""; 0]);
    let read: Vec<_> = world.aws_calls().await.into_iter().filter(|call| call.contains("Secret")).collect();
    assert_eq!(read, ["secretsmanager.GetSecretValue chat"]);
}

#[tokio::test]
async fn declared_channel_without_a_setting_fails_at_start() {
    let start = |channels| {
        let mut pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        pipeline.channels = channels;
        let site = Site::with([].into(), pipeline, Sdk::for_endpoint("http://127.0.0.1:1").unwrap());
        App::new(site, impatient()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(start(Channels::default()), Ok(()));
    let error = start(Channels(vec![chat()])).unwrap_err();
    assert!(error.starts_with("1 setting is missing: SYNCWATCH_CHAT_SECRET"), "{error}");
    let error = start(both()).unwrap_err();
    assert!(error.starts_with("2 settings are missing: SYNCWATCH_PAGERDUTY_SECRET"), "{error}");
}

#[tokio::test]
async fn invalid_secret_fails_only_its_channel() {
    let world = World::start(both()).await;
    world.put_secret("pagerduty", "too-short").await;
    assert_eq!(
        failures(&world.relay(&[notice(NoticeKind::Opened, Severity::Critical, 1)]).await),
        ["message-0"]
    );
    assert_eq!(world.chat.requests().await.len(), 1);
    world.put_secret("pagerduty", NEW_KEY).await;
    assert_eq!(failures(&world.relay(&[notice(NoticeKind::Opened, Severity::Critical, 1)]).await), [""; 0]);
}

#[tokio::test]
async fn replaced_webhook_is_used_at_the_next_delivery() {
    let world = World::start(both()).await;
    world.chat.script(vec![text(404, "no_service")]).await;
    let opened = [notice(NoticeKind::Opened, Severity::Critical, 1)];
    assert_eq!(failures(&world.relay(&opened).await), ["message-0"]);
    world.put_secret("chat", &format!("{}{CHAT_PATH}/new", world.chat.uri())).await;
    assert_eq!(failures(&world.relay(&opened).await), [""; 0]);
    assert_eq!(world.chat.lines().await, [format!("POST {CHAT_PATH}"), format!("POST {CHAT_PATH}/new")]);
    assert_eq!(world.pagerduty.actions().await, ["trigger"]);
}
