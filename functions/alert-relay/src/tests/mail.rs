//! Mail by SES: which notices are mailed, and what follows when SES refuses one.

use std::time::Duration;

use serde_json::json;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channels;
use syncwatch_testing::text;
use wiremock::ResponseTemplate;

use super::samples::{chat, impatient, mail, notice};
use super::world::{World, failures, mailed};
use super::{of_key, queued_for_a_day};
use crate::post::Patience;

fn refused(code: u16, name: &str, message: &str) -> ResponseTemplate {
    text(code, json!({ "message": message })).insert_header("x-amzn-errortype", name)
}

fn owned(owner: &str) -> Body {
    Body { owner: Some(owner.to_owned()), ..notice(NoticeKind::Opened, Severity::Critical, 1) }
}

#[tokio::test]
async fn mail_goes_beside_the_chat_and_by_owner() {
    for (owner, expected) in [
        ("Finance", ["chat", "mail to data-operations@example.com"]),
        ("Legal", ["chat", "mail to legal@example.com"]),
    ] {
        let world = World::start(mailed()).await;
        assert_eq!(failures(&world.relay(&[owned(owner)]).await), [""; 0]);
        assert_eq!(world.arrived().await, expected, "{owner}");
    }
}

#[tokio::test]
async fn mail_channel_needs_no_secret() {
    let world = World::start(Channels(vec![mail()])).await;
    assert_eq!(failures(&world.relay(&[of_key("a")]).await), [""; 0]);
    let calls = world.aws_calls().await;
    assert!(calls.iter().all(|call| !call.contains("Secret")), "{calls:?}");
    assert_eq!(world.mails().await.len(), 1);
}

#[tokio::test]
async fn incident_is_mailed_from_opened_to_resolved_in_one_thread() {
    let world = World::start(Channels(vec![mail()])).await;
    for (kind, sequence) in [
        (NoticeKind::Opened, 1),
        (NoticeKind::Acknowledged, 2),
        (NoticeKind::Reminder, 3),
        (NoticeKind::Reminder, 3),
        (NoticeKind::Resolved, 4),
    ] {
        world.relay(&[notice(kind, Severity::Critical, sequence)]).await;
    }
    world.relay(&[of_key("b")]).await;
    let mails = world.mails().await;
    let simple = |index: usize, member: &str| mails[index]["Content"]["Simple"][member].clone();
    assert_eq!(mails.len(), 5);
    for mail in 1..4 {
        assert_eq!(simple(mail, "Headers"), simple(0, "Headers"));
        assert_ne!(simple(mail, "Subject"), simple(0, "Subject"));
    }
    assert_ne!(simple(4, "Headers"), simple(0, "Headers"));
}

#[tokio::test]
async fn notice_is_mailed_at_most_three_times() {
    for (answer, mails, minutes) in [
        (refused(400, "MessageRejected", "Email address is not verified."), 3, 18),
        (refused(403, "AccessDeniedException", "no"), 3, 18),
        (refused(400, "SendingPausedException", "no"), 3, 18),
        (text(500, ""), 3, 18),
        (refused(400, "MessageRejected", "Illegal content"), 1, 0),
        (refused(400, "BadRequestException", "Local address contains control or whitespace"), 1, 0),
    ] {
        let world = World::start(Channels(vec![mail()])).await;
        world.script_mails(vec![answer; 20]).await;
        assert_eq!(queued_for_a_day(&world, &of_key("a")).await, Some(minutes));
        assert_eq!(world.mails().await.len(), mails);
        assert_eq!(world.dead_letters().await.len(), 1);
    }
}

#[tokio::test]
async fn mail_survives_hours_of_a_used_up_quota() {
    let world = World::start(Channels(vec![mail()])).await;
    let limited = refused(429, "TooManyRequestsException", "Daily message quota exceeded");
    world.script_mails(vec![limited; 300]).await;
    // Three attempts at each delivery.
    assert_eq!(queued_for_a_day(&world, &of_key("a")).await, Some(300));
    assert_eq!(world.dead_letters().await, [""; 0]);
}

#[tokio::test]
async fn hanging_ses_does_not_block_other_channels() {
    let short = Duration::from_millis(500);
    let world =
        World::with_patience(Channels(vec![chat(), mail()]), Patience { attempt: short, ..impatient() })
            .await;
    world.script_mails(vec![text(200, "").set_delay(Duration::from_secs(60)); 2]).await;
    let batch = ["a", "b", "c"].map(of_key);
    // The third is left to the next delivery.
    assert_eq!(failures(&world.relay(&batch).await), ["message-0", "message-1", "message-2"]);
    assert_eq!((world.chat.requests().await.len(), world.mails().await.len()), (3, 2));
}
