//! The client of incoming webhooks: of Slack, Teams, other chats, and of any URL. The address is the only secret.
//!
//! Chats that take Slack's JSON have different words for success, so every 2xx is a success except three kinds of body
//! (`tests/fixtures/chat` has examples with their sources):
//!
//! * JSON that reports an error: Slack's triggers and its Web API (`"ok":false`), Rocket.Chat (`"success":false`), Zulip
//!   (`"result":"error"`)
//! * "Webhook message delivery failed with error: ... HTTP error 429", which connectors of Microsoft Teams send with 200
//! * a page of HTML: a login page or a proxy answers in place of the chat. The body decides, not the content type: Slack sends
//!   its words as `text/html`.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use syncwatch::http::{Answer, private_url};
use syncwatch::pipeline::{Channel, ChannelKind};

use crate::post::{ErrorKind, Patience, Post, PostError};

/// Slack answers an error with one word, such as `invalid_payload`.
const WORD_LIMIT: usize = 60;

/// The beginning of a 200 of an Office 365 connector whose message Teams did not accept (`MicrosoftDocs/msteams-docs`, issues
/// 1810 and 9064).
const TEAMS_FAILED: &str = "webhook message delivery failed with error";

/// Posts a message to the webhook at this address, which is in `place`: a secret, or a channel of a secret. Retries within the
/// patience after a 429 with a short wait, and when there was no connection.
pub async fn post(
    http: &reqwest::Client,
    address: &SecretString,
    place: &str,
    patience: Patience,
    channel: &Channel,
    message: Value,
) -> Result<(), PostError> {
    let url = private_url(address.expose_secret()).ok_or_else(|| {
        let correct = format!("the secret {place}: its value must be the webhook's URL");
        ErrorKind::Address { place: "a webhook address", correct }.of(channel)
    })?;
    let judge = |answer| judge(&answer, place, channel.kind);
    Post { channel, url: &url, key: None, patience, judge }.send(http, message).await
}

fn judge(answer: &Answer, place: &str, kind: ChannelKind) -> Result<(), ErrorKind> {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let (status, words) = (answer.status.as_u16(), words(text, answer.json.as_ref()));
    let not_a_webhook = || format!("not an incoming webhook; correct the URL in the secret {place}");
    match answer.status {
        accepted if accepted.is_success() => match objection(text, answer.json.as_ref()) {
            None => {
                if kind == ChannelKind::Slack && text != "ok" {
                    tracing::info!(status, words, "notice accepted with an answer other than ok");
                }
                Ok(())
            }
            Some(Objection::Page) => Err(ErrorKind::Closed { status, words, remedy: not_a_webhook() }),
            Some(Objection::Refusal(meant)) => Err(refused(meant.unwrap_or(status), words, place, kind)),
        },
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::GONE => Err(refused(status, words, place, kind)),
        _ => Err(ErrorKind::Closed { status, words, remedy: not_a_webhook() }),
    }
}

/// The error of a message that was refused, by the status that the chat means.
fn refused(status: u16, words: String, place: &str, kind: ChannelKind) -> ErrorKind {
    match status {
        429 => ErrorKind::Limited { asked_for: None },
        500.. => ErrorKind::Unavailable { status },
        401 | 403 | 404 | 410 => {
            let remedy = format!(
                "the webhook was revoked or its channel closed; put a new URL into the secret {place}"
            );
            ErrorKind::Closed { status, words, remedy }
        }
        _ => {
            let remedy = match kind {
                ChannelKind::Webhook => format!("Correct its receiver, or the URL in the secret {place}"),
                _ => format!(
                    "If this is a webhook of kind {kind}, please report it; else correct its kind in pipeline.toml, or the \
                     URL in the secret {place}"
                ),
            };
            ErrorKind::Refused { status, words, remedy }
        }
    }
}

/// The reason why a 2xx is not a success.
enum Objection {
    /// A page of HTML.
    Page,
    /// An error, with the status that the chat means if it names one.
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
    let is_error = is("ok", false.into())
        || is("success", false.into())
        || is("isSuccessStatusCode", false.into())
        || is("result", "error".into())
        || is("status", "error".into());
    is_error.then_some(Objection::Refusal(None))
}

/// The answer if it is one word, or the word by which JSON names its error. Any other text may quote the address.
fn words(text: &str, json: Option<&Value>) -> String {
    let error = json.and_then(|json| json.get("error")?.as_str());
    let word = error.unwrap_or(text);
    let is_word = !word.is_empty()
        && word.len() <= WORD_LIMIT
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
    if is_word { word.to_owned() } else { "unknown answer".to_owned() }
}

#[cfg(test)]
mod tests;
