use syncwatch::finding::Severity;
use syncwatch::http;
use syncwatch::incident::NoticeKind;
use syncwatch_testing::{Receiver, text};
use wiremock::ResponseTemplate;

use super::*;
use crate::chat::render;
use crate::tests::samples::{impatient, notice};

const SECRET: &str = "syncwatch/chat";
const PATH: &str = "/services/T000/B000/hunter2";

async fn post_to(base: &str) -> Result<(), PostError> {
    let http = http::client().unwrap();
    let address = SecretString::from(format!("{base}{PATH}"));
    let message = render(&notice(NoticeKind::Opened, Severity::Critical, 1));
    post(&http, &address, SECRET, impatient(), &message).await
}

async fn outcome(answers: Vec<ResponseTemplate>) -> (Result<(), PostError>, Receiver) {
    let server = Receiver::in_turn(answers).await;
    (post_to(&server.uri()).await, server)
}

#[tokio::test]
async fn a_message_goes_to_the_address_in_the_secret() {
    let (sent, server) = outcome(vec![text(200, "ok")]).await;
    sent.unwrap();
    let request = server.only_request().await;
    assert_eq!(request.url.path(), PATH);
    let body = request.json();
    assert!(body["text"].is_string() && body["blocks"].is_array());
}

#[tokio::test]
async fn what_the_chat_refuses_is_sent_once_and_told_with_the_remedy() {
    let mut texts = Vec::new();
    for (code, body) in [
        (400, "invalid_payload"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (410, "channel_is_archived"),
        (200, "<html>sign in at https://hooks.example.com/services/T000/B000/hunter2</html>"),
        (302, ""),
    ] {
        let (sent, server) = outcome(vec![text(code, body)]).await;
        let error = sent.unwrap_err();
        assert!(!error.kind.is_transient(), "{error}");
        assert_eq!(error.is_of_the_channel(), code != 400);
        assert_eq!(server.requests().await.len(), 1);
        texts.push(error.to_string());
    }
    let text = texts.join("\n");
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn an_overloaded_or_broken_chat_is_asked_again() {
    let limited = || text(429, "rate_limited").insert_header("retry-after", "0");
    let (sent, server) = outcome(vec![limited(), text(503, ""), text(200, "ok")]).await;
    sent.unwrap();
    assert_eq!(server.requests().await.len(), 3);
    let (sent, server) = outcome(vec![text(429, "").insert_header("retry-after", "30")]).await;
    assert!(sent.unwrap_err().kind.is_transient());
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn the_address_is_in_no_error() {
    // Nothing listens on port 1 of this machine.
    for base in
        ["http://127.0.0.1:1", "http://hooks.example.com", "ftp://hooks.example.com", "hooks.example.com"]
    {
        let error = post_to(base).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("B000") && !shown.contains("hooks"), "{shown}");
        assert_eq!(error.kind.is_transient(), base.starts_with("http://127"), "{shown}");
    }
}
