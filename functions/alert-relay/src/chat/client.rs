//! The incoming webhook of a chat. Its address is its only secret.
//!
//! Chats that take Slack's JSON answer in words of their own, so every 2xx is a success but for three kinds of body, each
//! seen (`tests/fixtures/chat` has them with their sources):
//!
//! * JSON that says no: Slack's triggers and its Web API (`"ok":false`), Rocket.Chat (`"success":false`), Zulip
//!   (`"result":"error"`)
//! * Microsoft Teams' "Webhook message delivery failed with error: ... HTTP error 429", which its connectors send with 200
//! * a page of HTML: a login page or a proxy answers in the chat's place. By the body, not by the content type: Slack sends
//!   its words as `text/html`.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use syncwatch::http::{Answer, private_url};

use super::Message;
use crate::post::{ErrorKind, Patience, Post, PostError};
use crate::route::Channel;

const CHANNEL: Channel = Channel::Chat;
/// Slack answers an error with one word, such as `invalid_payload`.
const WORD_LIMIT: usize = 60;

/// How an Office 365 connector begins to say that Teams did not take a message, with status 200 (`MicrosoftDocs/msteams-docs`,
/// issues 1810 and 9064).
const TEAMS_FAILED: &str = "webhook message delivery failed with error";

/// Posts a message to the webhook at this address, which comes from the secret of this name. A 429 that asks for a short
/// wait, and a connection that does not come about, are repeated within the patience.
pub async fn post(
    http: &reqwest::Client,
    address: &SecretString,
    secret: &str,
    patience: Patience,
    message: &Message,
) -> Result<(), PostError> {
    let url = private_url(address.expose_secret()).ok_or_else(|| {
        let correct = format!("the secret {secret}: put the incoming webhook's URL as bare text");
        ErrorKind::Address { place: "a webhook address", correct }.of(CHANNEL)
    })?;
    let judge = |answer| judge(&answer, secret);
    Post { channel: CHANNEL, url: &url, key: None, patience, judge }.send(http, json!(message)).await
}

fn judge(answer: &Answer, secret: &str) -> Result<(), ErrorKind> {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let (status, words) = (answer.status.as_u16(), words(text, answer.json.as_ref()));
    let no_chat = || format!("that is not an incoming webhook; correct the URL in the secret {secret}");
    match answer.status {
        accepted if accepted.is_success() => match objection(text, answer.json.as_ref()) {
            None => {
                if text != "ok" {
                    tracing::info!(status, words, "chat accepted with an answer other than ok");
                }
                Ok(())
            }
            Some(Objection::Page) => Err(ErrorKind::Closed { status, words, remedy: no_chat() }),
            Some(Objection::Refusal(said)) => Err(refused(said.unwrap_or(status), words, secret)),
        },
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::GONE => Err(refused(status, words, secret)),
        _ => Err(ErrorKind::Closed { status, words, remedy: no_chat() }),
    }
}

/// The error of a message that was refused, with the status that the chat has for it.
fn refused(status: u16, words: String, secret: &str) -> ErrorKind {
    match status {
        429 => ErrorKind::Limited { asked_for: None },
        500.. => ErrorKind::Unavailable { status },
        401 | 403 | 404 | 410 => {
            let remedy = format!(
                "the webhook is revoked or its channel is closed; put a new URL into the secret {secret}"
            );
            ErrorKind::Closed { status, words, remedy }
        }
        _ => {
            let remedy = format!(
                "If the chat takes Slack's JSON, please report it; else put another URL into the secret {secret}"
            );
            ErrorKind::Refused { status, words, remedy }
        }
    }
}

/// What speaks against a 2xx.
enum Objection {
    /// A page for people.
    Page,
    /// The chat says no, perhaps with the status that it did not answer with.
    Refusal(Option<u16>),
}

fn objection(text: &str, json: Option<&Value>) -> Option<Objection> {
    if text.starts_with('<') {
        return Some(Objection::Page);
    }
    let lower = text.to_ascii_lowercase();
    if let Some(why) = lower.strip_prefix(TEAMS_FAILED) {
        let status = why.split_once("http error ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        // Without a status, the connector did not reach Teams.
        return Some(Objection::Refusal(status.or(Some(502))));
    }
    let json = json?;
    let is = |name: &str, value: Value| json.get(name) == Some(&value);
    let says_no = is("ok", false.into())
        || is("success", false.into())
        || is("isSuccessStatusCode", false.into())
        || is("result", "error".into())
        || is("status", "error".into());
    says_no.then_some(Objection::Refusal(None))
}

/// The answer if it is a word, or the word by which JSON names its error. Any other text may quote the address.
fn words(text: &str, json: Option<&Value>) -> String {
    let error = json.and_then(|json| json.get("error")?.as_str());
    let word = error.unwrap_or(text);
    let is_word = !word.is_empty()
        && word.len() <= WORD_LIMIT
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
    if is_word { word.to_owned() } else { "no word that we know".to_owned() }
}

#[cfg(test)]
mod tests;
