//! The client of PagerDuty's Events API v2: sends one event at a time.

use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use syncwatch::http::{Answer, base_url};
use syncwatch::pipeline::Channel;

use super::{EVENT_LIMIT, Outgoing};
use crate::key::RoutingKey;
use crate::post::{ErrorKind, Patience, Post, PostError};
use crate::text::cut;

const WORDS_LIMIT: usize = 300;

/// Sends events to PagerDuty.
#[derive(Debug, Clone)]
pub struct PagerDuty {
    http: reqwest::Client,
    alerts: Url,
    changes: Url,
    patience: Patience,
}

#[derive(Serialize)]
struct Enqueued<'a> {
    routing_key: &'a str,
    #[serde(flatten)]
    event: &'a Outgoing,
}

/// PagerDuty's answer to an event that it refuses.
#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

impl PagerDuty {
    /// Creates a client for an address without a path: `https://events.pagerduty.com`. Fails if a routing key must not be sent
    /// there.
    pub fn new(http: reqwest::Client, base: &str, patience: Patience) -> Result<Self, ErrorKind> {
        let url = |path| {
            base_url(&format!("{}{path}", base.trim_end_matches('/'))).ok_or_else(|| {
                let correct = "SYNCWATCH_PAGERDUTY_URL (infra/functions.json)".to_owned();
                ErrorKind::Address { place: "a base URL", correct }
            })
        };
        let (alerts, changes) = (url("/v2/enqueue")?, url("/v2/change/enqueue")?);
        Ok(Self { http, alerts, changes, patience })
    }

    /// Sends an event with a routing key, which is in `place`: a secret, or a channel of a secret. PagerDuty answers when the
    /// event is queued, before it pages. A 400 is not retried; 429, 5xx and no answer are, within the patience.
    pub async fn enqueue(
        &self,
        channel: &Channel,
        event: &Outgoing,
        key: &RoutingKey,
        place: &str,
    ) -> Result<(), PostError> {
        let body = json!(Enqueued { routing_key: key.value.expose_secret(), event });
        let bytes = body.to_string().len();
        if bytes >= EVENT_LIMIT {
            return Err(ErrorKind::TooLarge { bytes }.of(channel));
        }
        let judge = |answer| judge(answer, place);
        let url = match event {
            Outgoing::Alert(_) => &self.alerts,
            Outgoing::Change(_) => &self.changes,
        };
        let (key, patience) = (Some(&key.value), self.patience);
        Post { channel, url, key, patience, judge }.send(&self.http, body).await
    }
}

fn judge(answer: Answer, place: &str) -> Result<(), ErrorKind> {
    let status = answer.status.as_u16();
    match answer.status {
        StatusCode::ACCEPTED => Ok(()),
        StatusCode::BAD_REQUEST => Err(ErrorKind::Refused {
            status,
            words: words(answer),
            remedy: format!(
                "If this names the routing key, correct the secret {place}; else please report it"
            ),
        }),
        // PagerDuty documents 202, 400, 429 and 5xx, so another answer is probably not PagerDuty's.
        _ => Err(ErrorKind::Closed {
            status,
            words: words(answer),
            remedy: format!("correct SYNCWATCH_PAGERDUTY_URL, or the routing key in the secret {place}"),
        }),
    }
}

/// PagerDuty's reasons for a refusal.
fn words(answer: Answer) -> String {
    let refusal = answer.json.and_then(|json| serde_json::from_value(json).ok());
    let Some(Refusal { message, errors }) = refusal else { return "no reason in JSON".to_owned() };
    let words: Vec<_> = message.into_iter().chain(errors).collect();
    if words.is_empty() {
        return "no reason given".to_owned();
    }
    cut(&words.join(", "), WORDS_LIMIT)
}

#[cfg(test)]
mod tests;
