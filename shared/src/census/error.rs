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
    #[error("Census does not accept the token; put a valid one into the secret of the Census token")]
    Unauthorized,
    #[error("the token may not do this; give it the rights, or use another one")]
    Forbidden,
    #[error("{what} does not exist in this workspace; correct its id in pipeline.toml")]
    NotFound { what: String },
    /// It existed and was deleted, such as the records of an old run.
    #[error("{what} is no longer kept by Census")]
    Gone { what: String },
    /// Census asks for fewer requests, also after waiting as long as the budget allows. Calls after it fail with 0 attempts
    /// while the wait lasts.
    #[error(
        "rate limited after {attempts} attempts{}; the next round tries again",
        retry_after.map_or(String::new(), |wait| format!(", Census asks to wait {} s", wait.as_secs()))
    )]
    RateLimited {
        attempts: u32,
        /// How long Census asked us to wait, if it said; at most a day.
        retry_after: Option<Duration>,
    },
    #[error("Census answered {status}{}", message.as_ref().map_or(String::new(), |m| format!(" ({m})")))]
    Status {
        status: u16,
        /// Census's sentence, if it sent one, without what it may quote of records ([`crate::classify::scrub`]).
        message: Option<String>,
    },
    /// A trigger may have been taken nevertheless.
    #[error("Census did not answer within {seconds} s; look at its status page if this goes on")]
    Timeout { seconds: u64 },
    /// No connection, or one that broke.
    #[error("Census cannot be reached ({detail}); check census.base_url and the way to it")]
    Transport { detail: String },
    /// The answer was not what we model: the API has changed, or it is not Census. Carries the place, never the content.
    #[error("unexpected answer at {path}: {found}")]
    Shape {
        /// Where in the JSON, such as `data[3].status`.
        path: String,
        found: String,
    },
    /// A success without a body. The vendor's own client treats this as a hard error too.
    #[error("Census answered {status} without a body")]
    EmptyBody { status: u16 },
    /// A success whose body is no JSON: a proxy or a login page answers in the place of Census.
    #[error("the answer ({status}, {content_type}) is no JSON; does census.base_url lead to Census?")]
    NotJson { status: u16, content_type: String },
    /// The base URL is none, holds credentials or a query, or is HTTP to another machine.
    #[error(
        "the base URL of Census is not a plain https URL such as https://app.getcensus.com; correct census.base_url or SYNCWATCH_CENSUS_BASE_URL"
    )]
    InvalidBaseUrl,
    #[error(
        "the Census token has characters that no HTTP header may have; correct the secret of the Census token"
    )]
    InvalidToken,
}

impl Error {
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

    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}
