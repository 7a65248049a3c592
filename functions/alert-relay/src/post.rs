//! One POST to a vendor: its limits, and its repetition where that can help.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use syncwatch::http::chain;

use crate::route::Channel;

/// No answer that we read is nearly as long.
const ANSWER_LIMIT: usize = 16 * 1024;
/// Attempts of one POST in all.
const ATTEMPTS: usize = 3;

/// How long a channel is waited for. All of it fits several times into the function's timeout (`infra/functions.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub attempt: Duration,
    /// Before the second attempt; doubles, with jitter.
    pub first_wait: Duration,
    /// Between two attempts at most. A vendor that asks for more is left to the queue, which tries again minutes later.
    pub longest_wait: Duration,
    /// For one notice, all attempts together.
    pub notice: Duration,
    /// For all notices of an invocation; none is begun after it.
    pub batch: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(4),
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(3),
            notice: Duration::from_secs(9),
            batch: Duration::from_secs(12),
        }
    }
}

impl Patience {
    /// The waits before the second, third, ... attempt.
    pub fn waits(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(ATTEMPTS - 1)
            .with_jitter()
    }
}

/// Why a channel did not take a notice. No variant holds a secret, an address that is one, or what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The address is none that a secret may be sent to.
    #[error("{place} is not a plain https URL; correct {correct}")]
    Address { place: &'static str, correct: String },
    /// The notice is beyond the vendor's limit, so it was not sent.
    #[error("{bytes} bytes are more than {channel} takes. This is a defect of Syncwatch: please report it")]
    TooLarge { channel: Channel, bytes: usize },
    /// The vendor read it and refuses it: the same again would be refused again.
    #[error("{channel} refused it with {status}: {words}. {remedy}")]
    Refused { channel: Channel, status: u16, words: String, remedy: String },
    /// Nothing that is sent there will arrive.
    #[error("{channel} answered {status} ({words}): {remedy}")]
    Closed { channel: Channel, status: u16, words: String, remedy: String },
    #[error("{channel} asks for less (429); the queue tries again in some minutes")]
    Limited { channel: Channel, asked_for: Option<Duration> },
    #[error("{channel} answered {status}; the queue tries again in some minutes")]
    Unavailable { channel: Channel, status: u16 },
    /// No answer, so it may have arrived or not.
    #[error("{channel} did not answer ({detail}); the queue tries again in some minutes")]
    NoAnswer { channel: Channel, detail: String },
}

impl PostError {
    /// Whether the same may well be taken a little later, with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Unavailable { .. } | Self::NoAnswer { .. } => true,
            Self::Address { .. } | Self::TooLarge { .. } | Self::Refused { .. } | Self::Closed { .. } => {
                false
            }
        }
    }

    /// Whether the next notice would fare no better on this channel.
    pub fn is_of_the_channel(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }

    fn asks_for(&self) -> Option<Duration> {
        match self {
            Self::Limited { asked_for, .. } => *asked_for,
            _ => None,
        }
    }
}

/// A POST that is ready to go, as often as it takes.
pub struct Post<'a> {
    pub http: &'a reqwest::Client,
    pub channel: Channel,
    /// Where to; may be a secret.
    pub url: &'a Url,
    /// JSON; may hold a secret.
    pub body: &'a SecretString,
    pub patience: Patience,
}

impl Post<'_> {
    /// Sends it, again where that can help. `judge` reads an answer that is neither 429, 408 nor 5xx.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn send(
        &self,
        judge: impl Fn(StatusCode, &str) -> Result<(), PostError>,
    ) -> Result<(), PostError> {
        let longest_wait = self.patience.longest_wait;
        let all = (|| self.attempt(&judge))
            .retry(self.patience.waits().build())
            .when(PostError::is_transient)
            .adjust(|error: &PostError, wait| match error.asks_for() {
                // Who does not say for how long means minutes (PagerDuty developer docs, Events API v2 overview), which
                // the queue waits.
                None if matches!(error, PostError::Limited { .. }) => None,
                // Asking earlier than it was told to would only prolong it.
                Some(asked_for) if asked_for > longest_wait => None,
                asked_for => wait.map(|wait| asked_for.unwrap_or(wait)),
            });
        match tokio::time::timeout(self.patience.notice, all).await {
            Ok(sent) => sent,
            Err(_) => Err(self.no_answer("no time is left for it".to_owned())),
        }
    }

    async fn attempt(
        &self,
        judge: impl Fn(StatusCode, &str) -> Result<(), PostError>,
    ) -> Result<(), PostError> {
        let channel = self.channel;
        let request = self
            .http
            .post(self.url.clone())
            .timeout(self.patience.attempt)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(self.body.expose_secret().to_owned());
        // The address of a chat is its secret, and an error would show it.
        let lost = |error: reqwest::Error| self.no_answer(chain(&error.without_url()));
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                Err(PostError::Limited { channel, asked_for: retry_after(&response) })
            }
            StatusCode::REQUEST_TIMEOUT => Err(PostError::Unavailable { channel, status: status.as_u16() }),
            status if status.is_server_error() => {
                Err(PostError::Unavailable { channel, status: status.as_u16() })
            }
            status => judge(status, &answer(response).await.map_err(lost)?),
        }
    }

    fn no_answer(&self, detail: String) -> PostError {
        PostError::NoAnswer { channel: self.channel, detail }
    }
}

/// Seconds, which is what both vendors send. A date is as good as nothing said.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The beginning of an answer, as text.
async fn answer(mut response: Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LIMIT {
            body.truncate(ANSWER_LIMIT);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
