//! What went wrong at Census, in terms of what a person can do about it.

use std::time::Duration;

use reqwest::StatusCode;

use crate::observation::Unread;

/// Longer sentences of the vendor are cut: they may quote records, and notices are read on telephones.
const MESSAGE_CHARS: usize = 300;

/// A call to Census that failed. Never holds the token, an address with a query, or the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token was refused. Emitted by every call; never retried.
    #[error(
        "{operation}: Census does not accept the token; put a valid one into the secret of the Census token"
    )]
    Unauthorized { operation: &'static str },
    /// The token may not do this. Emitted by every call; never retried.
    #[error("{operation}: the token may not do this; give it the rights, or use another one")]
    Forbidden { operation: &'static str },
    /// There is no such thing. Emitted by every call on one sync, run or webhook.
    #[error("{operation}: {what} does not exist in this workspace; correct its id in pipeline.toml")]
    NotFound {
        operation: &'static str,
        /// What was not found.
        what: String,
    },
    /// It existed and was deleted. Emitted by `rejected_records`, for runs whose records are no longer kept.
    #[error("{operation}: {what} is no longer kept by Census")]
    Gone { operation: &'static str, what: String },
    /// Census asks for fewer requests, also after waiting as long as the budget allows. Emitted by every call, also by
    /// those after it while the wait lasts (then with 0 attempts). Leave it to the next round.
    #[error(
        "{operation}: rate limited after {attempts} attempts{}; the next round tries again",
        retry_after.map_or(String::new(), |wait| format!(", Census asks to wait {} s", wait.as_secs()))
    )]
    RateLimited {
        operation: &'static str,
        attempts: u32,
        /// How long Census asked us to wait, if it said; at most a day.
        retry_after: Option<Duration>,
    },
    /// Any other answer that is no success. Emitted by every call; a 5xx was retried where that is safe.
    #[error("{operation}: Census answered {status}{}", message.as_ref().map_or(String::new(), |m| format!(" ({m})")))]
    Status {
        operation: &'static str,
        status: u16,
        /// Census's sentence, if it sent one: one line, at most 300 characters.
        message: Option<String>,
    },
    /// No answer in time. Emitted by every call; a trigger may have been taken nevertheless.
    #[error("{operation}: Census did not answer within {seconds} s; look at its status page if this goes on")]
    Timeout {
        operation: &'static str,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// No connection, or one that broke. Emitted by every call.
    #[error("{operation}: Census cannot be reached ({detail}); check census.base_url and the way to it")]
    Transport { operation: &'static str, detail: String },
    /// The answer was not what we model: the API has changed, or it is not Census. Carries the place, never the content.
    #[error("{operation}: unexpected answer at {path}: {found}")]
    Shape {
        operation: &'static str,
        /// Where in the JSON, such as `data[3].status`.
        path: String,
        found: String,
    },
    /// A success without a body. Emitted by every call. The vendor's own client treats this as a hard error too.
    #[error("{operation}: Census answered {status} without a body")]
    EmptyBody { operation: &'static str, status: u16 },
    /// A success whose body is no JSON: a proxy or a login page answers in the place of Census.
    #[error(
        "{operation}: the answer ({status}, {content_type}) is no JSON; does census.base_url lead to Census?"
    )]
    NotJson { operation: &'static str, status: u16, content_type: String },
    /// The base URL is none, holds credentials or a query, or is HTTP to another machine. Emitted when the client is built.
    #[error(
        "the base URL of Census is not a plain https URL such as https://app.getcensus.com; correct census.base_url or SYNCWATCH_CENSUS_BASE_URL"
    )]
    InvalidBaseUrl,
    /// The token cannot be put into a header. Emitted when the client is built.
    #[error(
        "the Census token has characters that no HTTP header may have; correct the secret of the Census token"
    )]
    InvalidToken,
}

impl Error {
    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Gone { .. }
            | Self::Shape { .. }
            | Self::EmptyBody { .. }
            | Self::NotJson { .. }
            | Self::InvalidBaseUrl
            | Self::InvalidToken => false,
        }
    }

    /// The same, after so many attempts.
    pub(super) fn after(self, made: u32) -> Self {
        match self {
            Self::RateLimited { operation, retry_after, .. } => {
                Self::RateLimited { operation, attempts: made, retry_after }
            }
            other => other,
        }
    }

    /// The same as an observation: what could not be read, and which of the causes that a judge tells apart it is.
    pub fn to_unread(&self) -> Unread {
        let text = self.to_string();
        match self {
            Self::Unauthorized { .. } | Self::Forbidden { .. } => Unread::Refused(text),
            Self::InvalidToken => Unread::NoCredentials(text),
            Self::RateLimited { .. }
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::Transport { .. }
            | Self::InvalidBaseUrl => Unread::Unreachable(text),
            Self::NotFound { .. }
            | Self::Gone { .. }
            | Self::Shape { .. }
            | Self::EmptyBody { .. }
            | Self::NotJson { .. } => Unread::Unreadable(text),
        }
    }
}

/// The error of an answer that is no success. Its body is JSON with a `status` that is a word or a number and a
/// `message` that may be missing, or no JSON at all; only the message is kept, from which the caller took the token.
pub(super) fn refusal(
    operation: &'static str,
    path: &str,
    status: StatusCode,
    message: Option<&str>,
    retry_after: Option<Duration>,
) -> Error {
    let what = path.to_owned();
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { operation },
        StatusCode::FORBIDDEN => Error::Forbidden { operation },
        StatusCode::NOT_FOUND => Error::NotFound { operation, what },
        StatusCode::GONE => Error::Gone { operation, what },
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { operation, attempts: 1, retry_after },
        _ => Error::Status { operation, status: status.as_u16(), message: message.map(one_line) },
    }
}

/// A sentence of the vendor as one line of limited length, without control characters that a terminal would obey.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(MESSAGE_CHARS).collect()
}
