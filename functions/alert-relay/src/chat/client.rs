//! The incoming webhook of a chat. Its address is its only secret.

use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use syncwatch::http::keeps_secrets;

use super::Message;
use crate::post::{Patience, Post, PostError};
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
        let url = Url::parse(address.expose_secret()).ok().filter(keeps_secrets);
        let url = url.ok_or_else(|| PostError::Address {
            place: "the address of the chat's webhook",
            correct: format!("the secret {secret}: put the incoming webhook's URL as bare text"),
        })?;
        Ok(Self { http, url, secret, patience })
    }

    /// Posts a message.
    ///
    /// # Errors
    /// See [`PostError`]. 429, 5xx and silence are sent again, within the patience.
    pub async fn post(&self, message: &Message) -> Result<(), PostError> {
        // A struct of texts has no way to fail.
        let body = SecretString::from(serde_json::to_string(message).unwrap_or_default());
        let (http, url, patience) = (self.http, &self.url, self.patience);
        Post { http, channel: CHANNEL, url, body: &body, patience }
            .send(|status, answer| judge(status, answer, self.secret))
            .await
    }
}

fn judge(status: StatusCode, answer: &str, secret: &str) -> Result<(), PostError> {
    let (channel, code, words) = (CHANNEL, status.as_u16(), word(answer));
    match status {
        StatusCode::OK if answer.trim() == "ok" => Ok(()),
        StatusCode::BAD_REQUEST => Err(PostError::Refused {
            channel,
            status: code,
            words,
            remedy: "This is a defect of Syncwatch: please report it".to_owned(),
        }),
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => Err(PostError::Closed {
            channel,
            status: code,
            words,
            remedy: format!(
                "the webhook is revoked or its channel is closed; put a new URL into the secret {secret}"
            ),
        }),
        _ => Err(PostError::Closed {
            channel,
            status: code,
            words,
            remedy: format!("that is no incoming webhook; correct the URL in the secret {secret}"),
        }),
    }
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
