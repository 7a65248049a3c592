use std::time::Duration;

use serde_json::json;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch_testing::{Receiver, text};
use wiremock::ResponseTemplate;

use super::*;
use crate::mail::{Mail, render};
use crate::tests::samples::{impatient, mail, notice};

fn sample() -> Mail {
    let html = "<p>b</p>".to_owned();
    Mail { subject: "s".to_owned(), text: "t".to_owned(), html, thread: "0123".to_owned() }
}

async fn send_to(url: &str, patience: Patience, mail_of: &Mail) -> Result<(), PostError> {
    let channel = mail();
    let addresses = channel.mail.clone().unwrap();
    Ses::new(&Sdk::for_endpoint(url).unwrap(), patience).send(&channel, &addresses, mail_of).await
}

async fn outcome(answers: Vec<ResponseTemplate>) -> (Result<(), PostError>, usize) {
    let server = Receiver::in_turn(answers).await;
    let sent = send_to(&server.uri(), impatient(), &sample()).await;
    (sent, server.requests().await.len())
}

fn refused(code: u16, name: &str) -> ResponseTemplate {
    text(code, json!({ "message": "hunter2@example.com" })).insert_header("x-amzn-errortype", name)
}

fn accepted() -> ResponseTemplate {
    text(200, json!({ "MessageId": "m-1" }))
}

#[tokio::test]
async fn mail_is_sent_with_both_parts_and_its_thread() {
    let server = Receiver::in_turn(vec![accepted()]).await;
    send_to(&server.uri(), impatient(), &sample()).await.unwrap();
    let request = server.only_request().await;
    assert_eq!(request.line(), "POST /v2/email/outbound-emails");
    assert!(request.header("authorization").contains("/us-east-1/ses/aws4_request"));
    insta::assert_json_snapshot!(request.json());
}

#[tokio::test]
async fn each_refusal_has_its_reason_and_remedy() {
    let verified =
        text(400, json!({ "message": "Email address is not verified. The following identities ..." }))
            .insert_header("x-amzn-errortype", "MessageRejected");
    let by_body = text(400, json!({ "__type": "com.amazonaws.ses#BadRequestException", "message": "no" }));
    let refusals = [
        refused(400, "MessageRejected"),
        verified,
        refused(400, "BadRequestException"),
        by_body,
        refused(400, "MailFromDomainNotVerifiedException"),
        refused(400, "AccountSuspendedException"),
        refused(400, "SendingPausedException"),
        refused(404, "NotFoundException"),
        refused(403, "AccessDeniedException"),
        refused(403, "UnrecognizedClientException"),
        text(302, ""),
        text(403, "<html>hunter2</html>"),
    ];
    let mut texts = Vec::new();
    for refusal in refusals {
        let (sent, calls) = outcome(vec![refusal]).await;
        let error = sent.unwrap_err();
        assert!(!error.kind.is_transient() && calls == 1, "{error}");
        // SES's message may quote an address.
        assert!(!format!("{error:?}").contains("hunter2"));
        let scope = if error.is_of_the_notice() { "never again" } else { "after three posts" };
        texts.push(format!("{error}\n    parked: {scope}"));
    }
    let text = texts.join("\n");
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn throttled_mail_is_retried_at_once_and_not_counted() {
    for name in
        ["TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException", "Other"]
    {
        let limited = || refused(429, name);
        let (sent, calls) = outcome(vec![limited(), limited(), accepted()]).await;
        assert_eq!((sent, calls), (Ok(()), 3), "{name}");
        let (sent, calls) = outcome(vec![limited()]).await;
        let error = sent.unwrap_err();
        assert!(error.kind.is_transient() && error.is_surely_not_taken() && calls == 3, "{name}: {error}");
    }
    let (sent, calls) = outcome(vec![refused(400, "LimitExceededException"), accepted()]).await;
    assert_eq!((sent, calls), (Ok(()), 2));
}

#[tokio::test]
async fn mail_that_ses_may_have_accepted_is_sent_once() {
    let unreadable = || text(200, "<html>sign in</html>");
    for answer in [text(500, ""), text(502, "<html>"), refused(503, "ServiceUnavailable"), unreadable()] {
        let (sent, calls) = outcome(vec![answer, accepted()]).await;
        let error = sent.unwrap_err();
        assert!(error.kind.is_transient() && !error.is_surely_not_taken(), "{error}");
        assert_eq!(calls, 1, "{error}");
    }
}

#[tokio::test]
async fn hanging_ses_is_given_up_after_one_attempt() {
    let server = Receiver::in_turn(vec![accepted().set_delay(Duration::from_secs(60))]).await;
    let patience = Patience { attempt: Duration::from_millis(50), ..impatient() };
    let error = send_to(&server.uri(), patience, &sample()).await.unwrap_err();
    assert!(error.kind.is_transient() && !error.is_surely_not_taken(), "{error}");
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn mail_without_a_connection_is_not_counted() {
    // Nothing listens on port 1 of this machine.
    let error = send_to("http://127.0.0.1:1", impatient(), &sample()).await.unwrap_err();
    assert!(error.kind.is_transient() && error.is_surely_not_taken(), "{error:?}");
}

#[tokio::test]
async fn every_notice_makes_headers_within_the_limits_of_ses() {
    let pipeline =
        syncwatch::pipeline::Pipeline::parse(include_str!("../../../../../infra/pipeline.toml")).unwrap();
    for kind in NoticeKind::ALL {
        let mut notice = notice(kind, Severity::Error, 1);
        notice.dedup_key = "a\r\nBcc: eve@example.com".repeat(100);
        notice.title = "x\r\nBcc: eve@example.com".to_owned();
        let mail = render(&notice, &pipeline);
        assert!(mail.subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", mail.subject);
        assert!((1..100).contains(&mail.subject.len()));
        for header in message(&mail, "syncwatch@example.com").headers() {
            let value = header.value();
            assert!(value.len() <= 870 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value}");
        }
    }
}
