//! The incoming webhook of a chat. Its address is its only secret.

use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use syncwatch::http::{Answer, private_url};

use super::Message;
use crate::post::{ErrorKind, Patience, Post, PostError};
use crate::route::Channel;

const CHANNEL: Channel = Channel::Chat;
/// Slack answers an error with one word, such as `invalid_payload`.
const WORD_LIMIT: usize = 60;

/// Posts messages to one webhook.
pub struct Webhook<'a> {
    http: &'a reqwest::Client,
    url: Url,
    secret: &'a str,
    patience: Patience,
}

impl<'a> Webhook<'a> {
    /// The webhook at this address, which comes from the secret of this name.
    ///
    /// # Errors
    /// The secret holds no address that notices may be sent to.
    pub fn new(
        http: &'a reqwest::Client,
        address: &SecretString,
        secret: &'a str,
        patience: Patience,
    ) -> Result<Self, PostError> {
        let url = private_url(address.expose_secret()).ok_or_else(|| {
            let correct = format!("the secret {secret}: put the incoming webhook's URL as bare text");
            ErrorKind::Address { place: "a webhook address", correct }.of(CHANNEL)
        })?;
        Ok(Self { http, url, secret, patience })
    }

    /// Posts a message.
    ///
    /// # Errors
    /// See [`PostError`]. 429, 5xx and silence are sent again, within the patience.
    pub async fn post(&self, message: &Message) -> Result<(), PostError> {
        let judge = |answer| judge(&answer, self.secret);
        let (url, patience) = (&self.url, self.patience);
        Post { channel: CHANNEL, url, key: None, patience, judge }.send(self.http, json!(message)).await
    }
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
        _ => format!("that is no incoming webhook; correct the URL in the secret {secret}"),
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
