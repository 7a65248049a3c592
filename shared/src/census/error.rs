//! Census errors, by remedy.

use std::time::Duration;

use crate::observation::Unread;

/// A failed call to Census. Never holds the token, an address with a query, or the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {kind}")]
pub struct Error {
    pub operation: &'static str,
    pub kind: ErrorKind,
}

/// The kind of a failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    #[error("Census does not accept the token; store a valid one in the Census token secret")]
    Unauthorized,
    #[error("the Census token lacks this permission; grant it, or use another token")]
    Forbidden,
    #[error("{what} does not exist in this workspace; correct its id in pipeline.toml")]
    NotFound { what: String },
    /// Existed and was deleted, such as the records of an old run.
    #[error("{what} is no longer kept by Census")]
    Gone { what: String },
    /// Census still limits requests after all waits that the budget allows. Until its wait ends, further calls fail
    /// with 0 attempts.
    #[error(
        "rate limited after {attempts} attempts{}; the next round retries",
        retry_after.map_or(String::new(), |wait| format!(", Census asks to wait {} s", wait.as_secs()))
    )]
    RateLimited {
        attempts: u32,
        /// The wait that Census requested, if any; at most a day.
        retry_after: Option<Duration>,
    },
    #[error("Census answered {status}{}", message.as_ref().map_or(String::new(), |m| format!(" ({m})")))]
    Status {
        status: u16,
        /// Census's message, if any, without values that it may quote from records ([`crate::classify::scrub`]).
        message: Option<String>,
    },
    /// A trigger may still have taken effect.
    #[error("Census did not answer within {seconds} s; check its status page if this persists")]
    Timeout { seconds: u64 },
    /// No connection, or a broken one.
    #[error("Census cannot be reached ({detail}); check census.base_url and the network")]
    Transport { detail: String },
    /// The answer has an unknown shape: the API changed, or the server is not Census. Holds the place, never the
    /// content.
    #[error("unexpected answer at {path}: {found}")]
    Shape {
        /// Where in the JSON, such as `data[3].status`.
        path: String,
        found: String,
    },
    /// A success without a body. The vendor's own client treats it as an error too.
    #[error("Census answered {status} without a body")]
    EmptyBody { status: u16 },
    /// A success whose body is not JSON: a proxy or a login page answered instead of Census.
    #[error("the answer ({status}, {content_type}) is not JSON; check that census.base_url leads to Census")]
    NotJson { status: u16, content_type: String },
    /// The base URL is invalid, has credentials or a query, or is HTTP to another machine.
    #[error(
        "the base URL of Census is not a plain https URL such as https://app.getcensus.com; correct census.base_url or SYNCWATCH_CENSUS_BASE_URL"
    )]
    InvalidBaseUrl,
    #[error(
        "the Census token has characters that are invalid in an HTTP header; correct the Census token secret"
    )]
    InvalidToken,
}

impl Error {
    /// Converts it to the reason for which an observation is missing, as the checks distinguish reasons.
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
    /// Builds the error of this operation.
    pub fn of(self, operation: &'static str) -> Error {
        Error { operation, kind: self }
    }

    /// Returns whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}
