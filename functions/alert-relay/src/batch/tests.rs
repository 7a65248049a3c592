use proptest::prelude::*;
use serde_json::json;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;

use super::*;
use crate::tests::samples::notice;

fn text(notice: &Body) -> String {
    serde_json::to_string(notice).unwrap()
}

fn envelope(message: &str) -> String {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:syncwatch-notices",
        "Subject": "late",
        "Message": message,
        "Timestamp": "2026-11-24T11:12:31.000Z",
        "SignatureVersion": "1",
        "MessageAttributes": { "severity": { "Type": "String", "Value": "error" } },
    })
    .to_string()
}

#[test]
fn notice_is_read_in_an_envelope_and_bare() {
    let notice = notice(NoticeKind::Opened, Severity::Error, 1);
    assert_eq!(read_notice(&envelope(&text(&notice))).unwrap(), (notice.clone(), None));
    assert_eq!(read_notice(&text(&notice)).unwrap(), (notice, None));
}

#[test]
fn parked_message_is_read_back_and_counts_from_one() {
    let notice = notice(NoticeKind::Opened, Severity::Error, 1);
    let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    for body in [envelope(&text(&notice)), text(&notice)] {
        let message = Message { id: "m".to_owned(), body, receives: 1 };
        let batch = Batch::of(std::slice::from_ref(&message));
        let queued = &batch.notices[0];
        let parked = queued.parked(at);
        assert_eq!(read_notice(&parked).unwrap(), (notice.clone(), Some(at)));
        let again = Message { body: parked, ..message.clone() };
        let batch = Batch::of(std::slice::from_ref(&again));
        assert_eq!(batch.notices[0].post(), format!("{}@2026-11-24T12:00:00Z", queued.post()));
    }
}

#[test]
fn message_that_is_not_a_notice_has_a_reason() {
    let mut keyless = notice(NoticeKind::Opened, Severity::Error, 1);
    keyless.dedup_key = " ".to_owned();
    let other = text(&notice(NoticeKind::Opened, Severity::Error, 1)).replace("notice/2", "notice/3");
    for body in [String::new(), "{}".to_owned(), envelope("hello"), envelope(&other), text(&keyless)] {
        let error = read_notice(&body).unwrap_err().to_string();
        assert!(error.contains("sender") || error.contains("deploy"), "{error}");
    }
}

#[test]
fn notices_are_sorted_by_key_and_age() {
    let message = |key: &str, generation, sequence| {
        let mut notice = notice(NoticeKind::Opened, Severity::Error, sequence);
        (notice.dedup_key, notice.generation) = (key.to_owned(), generation);
        let id = format!("{key} {generation} {sequence}");
        Message { id, body: text(&notice), receives: 1 }
    };
    let mut messages = vec![message("b", 1, 2), message("a", 2, 1), message("b", 1, 1), message("a", 1, 3)];
    messages.push(Message { id: "broken".to_owned(), body: "{}".to_owned(), receives: 1 });
    let batch = Batch::of(&messages);
    let order: Vec<&str> = batch.notices.iter().map(|queued| queued.message).collect();
    assert_eq!(order, ["a 1 3", "a 2 1", "b 1 1", "b 1 2"]);
    assert_eq!(batch.unreadable, ["broken"]);
}

proptest! {
    #[test]
    fn body_of_any_text_is_refused(body in any::<String>()) {
        prop_assert!(read_notice(&body).is_err());
        prop_assert!(read_notice(&envelope(&body)).is_err());
    }
}
