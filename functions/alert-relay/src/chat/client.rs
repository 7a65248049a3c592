//! The incoming webhook of a chat. Its address is its only secret.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use syncwatch::http::{Answer, private_url};

use super::Message;
use crate::post::{ErrorKind, Patience, Post, PostError};
use crate::route::Channel;

const CHANNEL: Channel = Channel::Chat;
/// Slack answers an error with one word, such as `invalid_payload`.
const WORD_LIMIT: usize = 60;

/// Posts a message to the webhook at this address, which comes from the secret of this name. 429, 5xx and silence are sent
/// again, within the patience.
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
    let (status, words) = (answer.status.as_u16(), word(&text));
    let remedy = match answer.status {
        StatusCode::OK if text.trim() == "ok" => return Ok(()),
        StatusCode::BAD_REQUEST => {
            let remedy = "This is a defect of Syncwatch: please report it".to_owned();
            return Err(ErrorKind::Refused { status, words, remedy });
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
            format!("the webhook is revoked or its channel is closed; put a new URL into the secret {secret}")
        }
        _ => format!("that is not an incoming webhook; correct the URL in the secret {secret}"),
    };
    Err(ErrorKind::Closed { status, words, remedy })
}

/// The answer if it is a word of Slack's. Any other text may quote the address.
fn word(answer: &str) -> String {
    let answer = answer.trim();
    let is_word = !answer.is_empty()
        && answer.len() <= WORD_LIMIT
        && answer.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { answer.to_owned() } else { "no word that we know".to_owned() }
}

#[cfg(test)]
mod tests;
