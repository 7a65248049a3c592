//! One POST to a channel: its limits, and when it is made again.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use secrecy::SecretString;
use serde_json::Value as Json;
use syncwatch::http::retry::{Backoff, RetryBudget};
use syncwatch::http::{self, Answer, Authorized, Call, Failed, NoAnswer, Vendor};

use syncwatch::pipeline::{Channel, ChannelKind};

/// How long to wait for a channel. The function's timeout (`infra/functions.json`) is some times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub attempt: Duration,
    /// Between attempts. A longer wait that a vendor asks for is left to SQS, which retries minutes later.
    pub backoff: Backoff,
    /// For one notice, all attempts together.
    pub notice: Duration,
    /// For all notices of an invocation; no post begins after it.
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
            batch: Duration::from_secs(8),
        }
    }
}

/// Why a channel did not accept a notice. Contains no secret, no address that is one, and no part of the notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{channel} {kind}")]
pub struct PostError {
    pub channel: Channel,
    pub kind: ErrorKind,
}

/// The way in which a channel did not accept a notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// No secret may be sent to the address.
    #[error("has {place} that is not a plain https URL; correct {correct}")]
    Address { place: &'static str, correct: String },
    /// The notice exceeds the vendor's limit, so it was not sent.
    #[error("does not accept {bytes} bytes. This is a bug in Syncwatch: please report it")]
    TooLarge { bytes: usize },
    /// The vendor read it and refused it: a retry would be refused too.
    #[error("refused the notice ({status}: {words}). {remedy}")]
    Refused { status: u16, words: String, remedy: String },
    /// Nothing that is sent there will arrive.
    #[error("answered {status} ({words}): {remedy}")]
    Closed { status: u16, words: String, remedy: String },
    #[error("rate limited us (429); SQS will retry")]
    Limited { asked_for: Option<Duration> },
    #[error("answered {status}; SQS will retry")]
    Unavailable { status: u16 },
    /// No answer, so it may have arrived or not.
    #[error("did not answer ({detail}); SQS will retry")]
    NoAnswer {
        detail: String,
        /// There was no connection, so it was not sent.
        unsent: bool,
    },
}

impl PostError {
    /// Whether the next notice would probably fail on this channel too.
    pub fn is_of_the_channel(&self) -> bool {
        !self.is_of_the_notice()
    }

    /// Whether every retry of this notice would be refused.
    pub fn is_of_the_notice(&self) -> bool {
        matches!(self.kind, ErrorKind::TooLarge { .. } | ErrorKind::Refused { .. })
    }

    /// Whether the channel surely did not accept any of it, so that it does not count as a post. PagerDuty documents 429 and
    /// 5xx as not accepted; a gateway before a chat may answer 5xx after the chat accepted a message, and so may SES.
    pub fn is_surely_not_taken(&self) -> bool {
        match self.kind {
            ErrorKind::Address { .. } | ErrorKind::TooLarge { .. } | ErrorKind::Limited { .. } => true,
            ErrorKind::Unavailable { .. } => self.channel.kind == ChannelKind::PagerDuty,
            ErrorKind::NoAnswer { unsent, .. } => unsent,
            ErrorKind::Refused { .. } | ErrorKind::Closed { .. } => false,
        }
    }
}

impl ErrorKind {
    /// Attributes the error to a channel.
    pub fn of(self, channel: &Channel) -> PostError {
        PostError { channel: channel.clone(), kind: self }
    }

    /// Whether a retry may succeed without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable { .. } | Self::NoAnswer { .. })
    }
}

/// A POST to a channel, repeated within the patience if the channel surely did not accept it.
pub struct Post<'a, J> {
    pub channel: &'a Channel,
    /// May be a secret.
    pub url: &'a Url,
    /// The routing key, which errors must not quote.
    pub key: Option<&'a SecretString>,
    pub patience: Patience,
    /// Reads an answer that is neither 429, 408 nor 5xx.
    pub judge: J,
}

impl<J: Fn(Answer) -> Result<(), ErrorKind> + Sync> Post<'_, J> {
    /// Sends a body, and retries where that can help.
    pub async fn send(&self, http: &Client, body: Json) -> Result<(), PostError> {
        let timeout = self.patience.attempt;
        let call = Call { method: Method::POST, body: Some(body), timeout, ..Call::get("") };
        let budget = RetryBudget::new(self.patience.notice);
        let sent = tokio::time::timeout(self.patience.notice, http::send(http, &budget, self, &call)).await;
        let late = || ErrorKind::NoAnswer { detail: "no time left".to_owned(), unsent: false };
        sent.unwrap_or_else(|_| Err(late())).map_err(|kind| kind.of(self.channel))
    }
}

impl<J: Fn(Answer) -> Result<(), ErrorKind> + Sync> Vendor for Post<'_, J> {
    type Value = ();
    type Error = ErrorKind;
    /// Known answers are much shorter.
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

    /// A 429 without a wait means minutes (PagerDuty developer docs, Events API v2 overview), which are left to SQS.
    fn may_repeat(&self, error: &ErrorKind) -> bool {
        let not_taken = error.clone().of(self.channel).is_surely_not_taken();
        error.is_transient() && not_taken && !matches!(error, ErrorKind::Limited { asked_for: None })
    }

    fn backoff(&self) -> Backoff {
        self.patience.backoff
    }
}
