//! What went wrong at Census, in terms of what a person can do about it.

use std::time::Duration;

use crate::observation::Unread;

/// A call to Census that failed. Never holds the token, an address with a query, or the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {kind}")]
pub struct Error {
    pub operation: &'static str,
    pub kind: ErrorKind,
}

/// How a call to Census failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The token was refused. Emitted by every call; never retried.
    #[error("Census does not accept the token; put a valid one into the secret of the Census token")]
    Unauthorized,
    /// The token may not do this. Emitted by every call; never retried.
    #[error("the token may not do this; give it the rights, or use another one")]
    Forbidden,
    /// There is no such thing. Emitted by every call on one sync, run or webhook.
    #[error("{what} does not exist in this workspace; correct its id in pipeline.toml")]
    NotFound {
        /// What was not found.
        what: String,
    },
    /// It existed and was deleted. Emitted by `rejected_records`, for runs whose records are no longer kept.
    #[error("{what} is no longer kept by Census")]
    Gone { what: String },
    /// Census asks for fewer requests, also after waiting as long as the budget allows. Emitted by every call, also by
    /// those after it while the wait lasts (then with 0 attempts). Leave it to the next round.
    #[error(
        "rate limited after {attempts} attempts{}; the next round tries again",
        retry_after.map_or(String::new(), |wait| format!(", Census asks to wait {} s", wait.as_secs()))
    )]
    RateLimited {
        attempts: u32,
        /// How long Census asked us to wait, if it said; at most a day.
        retry_after: Option<Duration>,
    },
    /// Any other answer that is no success. Emitted by every call; a 5xx was retried where that is safe.
    #[error("Census answered {status}{}", message.as_ref().map_or(String::new(), |m| format!(" ({m})")))]
    Status {
        status: u16,
        /// Census's sentence, if it sent one: one line, at most 300 characters.
        message: Option<String>,
    },
    /// No answer in time. Emitted by every call; a trigger may have been taken nevertheless.
    #[error("Census did not answer within {seconds} s; look at its status page if this goes on")]
    Timeout {
        /// The limit, in seconds.
        seconds: u64,
    },
    /// No connection, or one that broke. Emitted by every call.
    #[error("Census cannot be reached ({detail}); check census.base_url and the way to it")]
    Transport { detail: String },
    /// The answer was not what we model: the API has changed, or it is not Census. Carries the place, never the content.
    #[error("unexpected answer at {path}: {found}")]
    Shape {
        /// Where in the JSON, such as `data[3].status`.
        path: String,
        found: String,
    },
    /// A success without a body. Emitted by every call. The vendor's own client treats this as a hard error too.
    #[error("Census answered {status} without a body")]
    EmptyBody { status: u16 },
    /// A success whose body is no JSON: a proxy or a login page answers in the place of Census.
    #[error("the answer ({status}, {content_type}) is no JSON; does census.base_url lead to Census?")]
    NotJson { status: u16, content_type: String },
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
        self.kind.is_transient()
    }

    /// The same as an observation: what could not be read, and which of the causes that a judge tells apart it is.
    pub fn to_unread(&self) -> Unread {
        let text = self.to_string();
        match self.kind {
            ErrorKind::Unauthorized | ErrorKind::Forbidden => Unread::Refused(text),
            ErrorKind::InvalidToken => Unread::NoCredentials(text),
            ErrorKind::RateLimited { .. }
            | ErrorKind::Status { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::InvalidBaseUrl => Unread::Unreachable(text),
            ErrorKind::NotFound { .. }
            | ErrorKind::Gone { .. }
            | ErrorKind::Shape { .. }
            | ErrorKind::EmptyBody { .. }
            | ErrorKind::NotJson { .. } => Unread::Unreadable(text),
        }
    }
}

impl ErrorKind {
    /// The error of this operation.
    pub fn of(self, operation: &'static str) -> Error {
        Error { operation, kind: self }
    }

    /// See [`Error::is_transient`].
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}
