//! One POST to a channel: its limits, and when it is made again.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use secrecy::SecretString;
use serde_json::Value as Json;
use syncwatch::http::retry::{Backoff, RetryBudget};
use syncwatch::http::{self, Answer, Authorized, Call, Failed, NoAnswer, Vendor};

use crate::route::Channel;

/// How long a channel is waited for. All of it fits several times into the function's timeout (`infra/functions.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub attempt: Duration,
    /// Between attempts. A vendor that asks for more is left to the queue, which tries again minutes later.
    pub backoff: Backoff,
    /// For one notice, all attempts together.
    pub notice: Duration,
    /// For all notices of an invocation; none is begun after it.
    pub batch: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(4),
            backoff: Backoff {
                attempts: 3,
                first: Duration::from_millis(500),
                longest: Duration::from_secs(3),
            },
            notice: Duration::from_secs(9),
            batch: Duration::from_secs(12),
        }
    }
}

/// Why a channel did not take a notice. Holds no secret, no address that is one, and nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{channel} {kind}")]
pub struct PostError {
    pub channel: Channel,
    pub kind: ErrorKind,
}

/// How a channel did not take a notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// No secret may be sent to the address.
    #[error("has {place} that is not a plain https URL; correct {correct}")]
    Address { place: &'static str, correct: String },
    /// The notice is beyond the vendor's limit, so it was not sent.
    #[error("does not take {bytes} bytes. This is a defect of Syncwatch: please report it")]
    TooLarge { bytes: usize },
    /// The vendor read it and refuses it: the same again would be refused again.
    #[error("refused it with {status}: {words}. {remedy}")]
    Refused { status: u16, words: String, remedy: String },
    /// Nothing that is sent there will arrive.
    #[error("answered {status} ({words}): {remedy}")]
    Closed { status: u16, words: String, remedy: String },
    #[error("asks for less (429); the queue tries again in some minutes")]
    Limited { asked_for: Option<Duration> },
    #[error("answered {status}; the queue tries again in some minutes")]
    Unavailable { status: u16 },
    /// No answer, so it may have arrived or not.
    #[error("did not answer ({detail}); the queue tries again in some minutes")]
    NoAnswer {
        detail: String,
        /// No connection came about, so it was not sent.
        unsent: bool,
    },
}

impl PostError {
    /// Whether the next notice would likely fare no better on this channel.
    pub fn is_of_the_channel(&self) -> bool {
        !self.is_of_the_notice()
    }

    /// Whether the same notice would be refused again, whenever it is sent.
    pub fn is_of_the_notice(&self) -> bool {
        matches!(self.kind, ErrorKind::TooLarge { .. } | ErrorKind::Refused { .. })
    }

    /// Whether the channel surely has nothing of it, so that this was no post. PagerDuty documents 429 and 5xx as not taken;
    /// before a chat stand gateways that answer so after it took a message.
    pub fn is_surely_not_taken(&self) -> bool {
        match self.kind {
            ErrorKind::Address { .. } | ErrorKind::TooLarge { .. } | ErrorKind::Limited { .. } => true,
            ErrorKind::Unavailable { .. } => self.channel == Channel::PagerDuty,
            ErrorKind::NoAnswer { unsent, .. } => unsent,
            ErrorKind::Refused { .. } | ErrorKind::Closed { .. } => false,
        }
    }
}

impl ErrorKind {
    /// The error of this channel.
    pub fn of(self, channel: Channel) -> PostError {
        PostError { channel, kind: self }
    }

    /// Whether the same may well be taken a little later, with nothing changed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable { .. } | Self::NoAnswer { .. })
    }
}

/// A POST to a channel, again within the patience if surely nothing of it was taken.
pub struct Post<'a, J> {
    pub channel: Channel,
    /// Where to; may be a secret.
    pub url: &'a Url,
    /// The routing key, which no error may quote.
    pub key: Option<&'a SecretString>,
    pub patience: Patience,
    /// Reads an answer that is neither 429, 408 nor 5xx.
    pub judge: J,
}

impl<J: Fn(Answer) -> Result<(), ErrorKind> + Sync> Post<'_, J> {
    /// Sends a body, again where that can help.
    pub async fn send(&self, http: &Client, body: Json) -> Result<(), PostError> {
        let timeout = self.patience.attempt;
        let call = Call { method: Method::POST, body: Some(body), timeout, ..Call::get("") };
        let budget = RetryBudget::new(self.patience.notice);
        let sent = tokio::time::timeout(self.patience.notice, http::send(http, &budget, self, &call)).await;
        let late = || ErrorKind::NoAnswer { detail: "no time is left for it".to_owned(), unsent: false };
        sent.unwrap_or_else(|_| Err(late())).map_err(|kind| kind.of(self.channel))
    }
}

impl<J: Fn(Answer) -> Result<(), ErrorKind> + Sync> Vendor for Post<'_, J> {
    type Value = ();
    type Error = ErrorKind;
    /// No answer that is read is nearly as long.
    const LARGEST_ANSWER: usize = 16 << 10;
    const HIDDEN: &'static str = "[routing key]";

    fn address(&self) -> &Url {
        self.url
    }

    async fn authorize(&self, request: RequestBuilder) -> Result<Authorized, Failed<ErrorKind>> {
        Ok((request, self.key.cloned().into_iter().collect()))
    }

    fn read(&self, _: &Call, _: u32, outcome: Result<Answer, NoAnswer>) -> Result<(), ErrorKind> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(NoAnswer::Gate(closed)) => return Err(ErrorKind::Limited { asked_for: Some(closed) }),
            Err(NoAnswer::Lost { detail, not_taken: unsent, .. }) => {
                return Err(ErrorKind::NoAnswer { detail, unsent });
            }
        };
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS => Err(ErrorKind::Limited { asked_for: answer.asked_for }),
            status if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() => {
                Err(ErrorKind::Unavailable { status: status.as_u16() })
            }
            _ => (self.judge)(answer),
        }
    }

    /// A vendor that does not say for how long means minutes (PagerDuty developer docs, Events API v2 overview), which the
    /// queue waits.
    fn may_repeat(&self, error: &ErrorKind) -> bool {
        let not_taken = error.clone().of(self.channel).is_surely_not_taken();
        error.is_transient() && not_taken && !matches!(error, ErrorKind::Limited { asked_for: None })
    }

    fn backoff(&self) -> Backoff {
        self.patience.backoff
    }
}
