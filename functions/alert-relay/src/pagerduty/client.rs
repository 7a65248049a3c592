//! PagerDuty's Events API v2, as far as we use it: one event at a time.

use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use syncwatch::http::keeps_secrets;

use super::{EVENT_LIMIT, Event};
use crate::key::RoutingKey;
use crate::post::{Patience, Post, PostError};
use crate::route::Channel;
use crate::text::cut;

const CHANNEL: Channel = Channel::PagerDuty;
const WORDS_LIMIT: usize = 300;

/// Sends events to PagerDuty.
#[derive(Debug, Clone)]
pub struct PagerDuty {
    http: reqwest::Client,
    enqueue: Url,
    patience: Patience,
}

#[derive(Serialize)]
struct Enqueued<'a> {
    routing_key: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// What PagerDuty says of an event that it refuses.
#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

impl PagerDuty {
    /// PagerDuty at this address, without a path: `https://events.pagerduty.com`.
    ///
    /// # Errors
    /// The address is not one that a routing key may be sent to.
    pub fn new(http: reqwest::Client, base: &str, patience: Patience) -> Result<Self, PostError> {
        let url = Url::parse(&format!("{}/v2/enqueue", base.trim_end_matches('/')));
        let url =
            url.ok().filter(|url| keeps_secrets(url) && url.query().is_none() && url.fragment().is_none());
        let enqueue = url.ok_or(PostError::Address {
            place: "the base URL of PagerDuty",
            correct: "SYNCWATCH_PAGERDUTY_URL (infra/functions.json)".to_owned(),
        })?;
        Ok(Self { http, enqueue, patience })
    }

    /// Sends an event through an integration. That it was taken says that it is queued at PagerDuty; it is answered before
    /// anybody is paged.
    ///
    /// # Errors
    /// See [`PostError`]. A 400 is never sent again; 429, 5xx and silence are, within the patience.
    pub async fn enqueue(&self, event: &Event, key: &RoutingKey, secret: &str) -> Result<(), PostError> {
        let routing_key = key.value().expose_secret();
        // A struct of texts and numbers has no way to fail.
        let body = serde_json::to_string(&Enqueued { routing_key, event }).unwrap_or_default();
        if body.len() >= EVENT_LIMIT {
            return Err(PostError::TooLarge { channel: CHANNEL, bytes: body.len() });
        }
        let body = SecretString::from(body);
        let (http, url, patience) = (&self.http, &self.enqueue, self.patience);
        Post { http, channel: CHANNEL, url, body: &body, patience }
            .send(|status, answer| judge(status, answer, routing_key, secret))
            .await
    }
}

fn judge(status: StatusCode, answer: &str, routing_key: &str, secret: &str) -> Result<(), PostError> {
    let (channel, code) = (CHANNEL, status.as_u16());
    match status {
        StatusCode::ACCEPTED => Ok(()),
        StatusCode::BAD_REQUEST => Err(PostError::Refused {
            channel,
            status: code,
            words: words(answer, routing_key),
            remedy: format!(
                "If it names the routing key, correct the secret {secret}; else please report it"
            ),
        }),
        // Documented are 202, 400, 429 and 5xx: who answers otherwise is hardly PagerDuty.
        _ => Err(PostError::Closed {
            channel,
            status: code,
            words: words(answer, routing_key),
            remedy: format!("correct SYNCWATCH_PAGERDUTY_URL, or the routing key in the secret {secret}"),
        }),
    }
}

/// What PagerDuty says, without the routing key if it quotes it.
fn words(answer: &str, routing_key: &str) -> String {
    let Ok(Refusal { message, errors }) = serde_json::from_str(answer) else {
        return "no JSON that says why".to_owned();
    };
    let words: Vec<_> = message.into_iter().chain(errors).collect();
    if words.is_empty() {
        return "no reason given".to_owned();
    }
    cut(&words.join(", ").replace(routing_key, "[routing key]"), WORDS_LIMIT)
}

#[cfg(test)]
mod tests;
