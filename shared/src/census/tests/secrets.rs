use secrecy::SecretString;

use super::{TOKEN, World, client_with, fixture, now, ok, settings, status};
use crate::census::{Client, CreatedWebhook, ErrorKind};
use crate::observation::SyncId;
use crate::pipeline::ApiVersion;

fn holds_no_token(shown: &str) {
    assert!(!shown.contains(TOKEN) && !shown.contains("arandomstring"), "{shown}");
}

#[test]
fn token_is_in_no_debug_text() {
    let settings = settings("https://app.getcensus.com".to_owned(), ApiVersion::V2);
    holds_no_token(&format!("{settings:?} {settings:#?}"));
    let (client, _) = client_with(&settings);
    holds_no_token(&format!("{client:?} {client:#?}"));
}

#[test]
fn webhook_secret_is_in_no_debug_text() {
    let created = CreatedWebhook { id: 1, secret: SecretString::from("my123secret") };
    assert!(!format!("{created:?}").contains("my123secret"));
}

#[test]
fn token_invalid_in_a_header_is_refused_without_showing_it() {
    let mut settings = settings("https://app.getcensus.com".to_owned(), ApiVersion::V1);
    settings.token = SecretString::from(format!("{TOKEN}\nX-Evil: 1"));
    let error = Client::new(crate::http::client().unwrap(), settings, now()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidToken);
    holds_no_token(&format!("{error} {error:?}"));
}

#[tokio::test]
async fn token_is_in_no_error() {
    let answers = [
        status(400).set_body_json(fixture!("errors/400-word.json")),
        status(401).set_body_json(fixture!("errors/401-integer.json")),
        status(403),
        status(404),
        status(410),
        status(429),
        status(500),
        status(204),
        ok(serde_json::json!({ "data": null })),
        status(200).set_body_string("<html>"),
    ];
    for answer in answers {
        let world = World::new(vec![answer]).await;
        let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
        holds_no_token(&format!("{error} {error:?} {:?}", error.to_unread()));
    }
    // Nothing listens on the discard port.
    let (client, _) = client_with(&settings("http://127.0.0.1:9".to_owned(), ApiVersion::V1));
    let error = client.get_sync(SyncId(1)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport { .. }), "{error:?}");
    holds_no_token(&format!("{error} {error:?}"));
}

#[tokio::test]
async fn token_quoted_by_an_answer_is_in_no_error() {
    let message = format!("{}bad header: Bearer {TOKEN}", "x".repeat(270));
    for code in [200, 400, 500] {
        let answer = serde_json::json!({ "status": "error", "message": message });
        let world = World::new(vec![status(code).set_body_json(answer)]).await;
        let error = world.client.get_sync(SyncId(1)).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Status { message: Some(_), .. }), "{error:?}");
        // Not even the part left where the message is cut.
        assert!(!format!("{error} {error:?}").contains("secret-t"), "{error}");
    }
}
