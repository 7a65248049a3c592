use syncwatch::finding::Severity;
use syncwatch::http;
use syncwatch::incident::NoticeKind;
use syncwatch_testing::{Receiver, text};
use wiremock::ResponseTemplate;

use super::*;
use crate::slack::render;
use crate::tests::samples::{channel, chat, impatient, notice};

const SECRET: &str = "syncwatch/chat";
const PATH: &str = "/services/T000/B000/hunter2";

async fn post_to(base: &str) -> Result<(), PostError> {
    let http = http::client().unwrap();
    let address = SecretString::from(format!("{base}{PATH}"));
    let message = serde_json::json!(render(&notice(NoticeKind::Opened, Severity::Critical, 1), None));
    post(&http, &address, SECRET, impatient(), &chat(), message).await
}

async fn outcome(answers: Vec<ResponseTemplate>) -> (Result<(), PostError>, Receiver) {
    let server = Receiver::in_turn(answers).await;
    (post_to(&server.uri()).await, server)
}

#[tokio::test]
async fn message_goes_to_the_address_in_the_secret() {
    let (sent, server) = outcome(vec![text(200, "ok")]).await;
    sent.unwrap();
    let request = server.only_request().await;
    assert_eq!(request.url.path(), PATH);
    let body = request.json();
    assert!(body["text"].is_string() && body["blocks"].is_array());
}

#[tokio::test]
async fn refused_message_is_sent_once_and_names_the_remedy() {
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

#[test]
fn remedy_of_a_refusal_fits_the_kind_of_the_channel() {
    for (kind, remedy) in [
        (ChannelKind::Teams, "If this is a webhook of kind Teams, please report it; else correct its kind"),
        (ChannelKind::Webhook, "Correct its receiver, or the URL in the secret chat, channel x"),
    ] {
        let error = refused(400, "bad".to_owned(), "chat, channel x", kind);
        let error = error.of(&channel("x", kind, Severity::Info)).to_string();
        assert!(error.starts_with(&format!("x ({kind}) refused the notice (400: bad). {remedy}")), "{error}");
    }
}

#[tokio::test]
async fn only_a_short_rate_limit_is_retried_at_once() {
    let limited = || text(429, "rate_limited").insert_header("retry-after", "0");
    let (sent, server) = outcome(vec![limited(), limited(), text(200, "ok")]).await;
    sent.unwrap();
    assert_eq!(server.requests().await.len(), 3);
    // A gateway may answer so after the chat accepted it, so a retry at once could show it twice.
    for code in [500, 502, 503, 504] {
        let (sent, server) = outcome(vec![text(code, ""), text(200, "ok")]).await;
        let error = sent.unwrap_err();
        assert!(error.kind.is_transient() && !error.is_surely_not_taken());
        assert_eq!(server.requests().await.len(), 1);
    }
    let (sent, server) = outcome(vec![text(429, "").insert_header("retry-after", "30")]).await;
    assert!(sent.unwrap_err().kind.is_transient());
    assert_eq!(server.requests().await.len(), 1);
}

/// A recorded answer of a real chat, see `tests/fixtures/chat`.
#[derive(Debug, serde::Deserialize)]
struct Seen {
    chat: String,
    source: String,
    status: u16,
    body: String,
    content_type: Option<String>,
    means: String,
}

impl Seen {
    async fn is_read_as(&self) -> &'static str {
        let answer = match &self.content_type {
            Some(kind) => ResponseTemplate::new(self.status).set_body_raw(self.body.clone(), kind),
            None => text(self.status, self.body.clone()),
        };
        match outcome(vec![answer]).await.0.map_err(|error| error.kind) {
            Ok(()) => "taken",
            Err(ErrorKind::Refused { .. }) => "refused",
            Err(ErrorKind::Closed { .. }) => "closed",
            Err(ErrorKind::Limited { .. }) => "limited",
            Err(ErrorKind::Unavailable { .. }) => "unavailable",
            Err(other) => panic!("{other}"),
        }
    }
}

/// The answers that are read in another sense than the recorded one.
async fn misread(fixture: &str) -> (usize, Vec<String>) {
    let answers: Vec<Seen> = serde_json::from_str(fixture).unwrap();
    let mut wrong = Vec::new();
    for answer in &answers {
        let read = answer.is_read_as().await;
        if read != answer.means {
            wrong.push(format!("{} {}: {read}, not {}", answer.chat, answer.source, answer.means));
        }
    }
    (answers.len(), wrong)
}

#[tokio::test]
async fn real_answers_of_chats_are_read_correctly() {
    let (all, wrong) = misread(include_str!("../../../../tests/fixtures/chat/seen.json")).await;
    assert_eq!((all, wrong), (31, Vec::new()));
    let (all, wrong) = misread(include_str!("../../../../tests/fixtures/chat/unseen.json")).await;
    assert!(all >= 10 && wrong.len() <= 1, "{} of {all}: {wrong:#?}", wrong.len());
}

#[tokio::test]
async fn ok_of_slack_is_a_success_despite_its_content_type() {
    let html = ResponseTemplate::new(200).set_body_raw("ok", "text/html");
    outcome(vec![html]).await.0.unwrap();
}

#[tokio::test]
async fn no_error_quotes_the_address() {
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
