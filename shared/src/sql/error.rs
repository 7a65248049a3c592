//! What went wrong at a warehouse, in terms of what a person can do about it.

use std::time::Duration;

use super::dialect::Dialect;
use super::placeholders::{self, Problem, Rendered};
use super::statement::Statement;

/// A statement that failed, by its label. Never holds a value of a row or a parameter, a credential or a connection
/// string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{statement}: {kind}")]
pub struct Error {
    pub statement: String,
    pub kind: ErrorKind,
}

/// How a statement failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// No connection, one that broke, or a service that is down. A statement that writes may have been taken.
    #[error("the warehouse cannot be reached ({detail}); check its address and the way to it")]
    Unreachable { detail: String },
    #[error("the warehouse does not accept the credentials; renew the secret of the warehouse")]
    Refused,
    /// The warehouse answers no request from where Syncwatch is: an IP access list, a network policy, a private link.
    #[error(
        "the warehouse refuses the network of Syncwatch ({message}); allow the address that its functions call from"
    )]
    Blocked { message: String },
    /// The account is known, and may not use the warehouse at all.
    #[error("the account of Syncwatch may not use the warehouse ({message}); grant it CAN USE on it")]
    NoAccess { message: String },
    /// The account may use the warehouse, but not what the statement asks for.
    #[error("not permitted ({message}); grant it to the account of Syncwatch")]
    PermissionDenied { message: String },
    /// A table, view, column, schema, catalog or warehouse does not exist.
    #[error("something is missing ({message}); make it, or correct its name")]
    MissingObject { message: String },
    /// No answer in time. The statement was told to stop; one that writes may have been done nevertheless.
    #[error("no answer within {seconds} s, waiting for {what}; look at the load of the warehouse")]
    Timeout { seconds: u64, what: &'static str },
    #[error("stopped from outside; ask who administers the warehouse if this goes on")]
    Cancelled,
    /// The warehouse asks for fewer requests, also after waiting as long as the budget allows.
    #[error(
        "rate limited{}; the next round tries again",
        retry_after.map_or(String::new(), |wait| format!(", the warehouse asks to wait {} s", wait.as_secs()))
    )]
    RateLimited { retry_after: Option<Duration> },
    #[error("returns more than {limit} rows; narrow it, or count in the warehouse")]
    TooManyRows { limit: usize },
    #[error("{what} has more than {limit} bytes; select less")]
    TooLarge { what: String, limit: usize },
    #[error("column {column} holds {found} where {expected} is expected; correct the view or the check")]
    WrongType { column: String, expected: &'static str, found: &'static str },
    /// The warehouse compares or reads a value as a type that it is not of.
    #[error("types do not fit ({message}); correct the view, or the column that the check names")]
    TypeMismatch { message: String },
    /// A statement that is to answer one row answers none or several, or one of another form.
    #[error("answers {found} where there must be {expected}; correct the statement or what it reads")]
    NotTheForm { expected: &'static str, found: String },
    #[error("the warehouse says {code}: {message}")]
    Sql {
        /// The SQLSTATE, or the vendor's own code.
        code: String,
        /// The vendor's sentence, without what it quotes of data.
        message: String,
    },
    #[error("the ODBC driver is missing ({detail}); install it, or correct its path")]
    DriverMissing { detail: String },
    /// The answer was not what we model, or not what the check expects. Carries the place, never the content.
    #[error("unexpected answer at {place}: {found}")]
    Shape {
        /// Where, such as `result.data_array[3]`.
        place: String,
        found: String,
    },
    /// The text of the statement and its parameters do not fit. Emitted before anything is sent.
    #[error("the statement cannot be used: {problem}; correct it")]
    InvalidStatement { problem: Problem },
}

/// Codes of the vendors for "not now".
const PASSING: [&str; 13] = [
    // Databricks (its SDK's `ServiceErrorCode`).
    "ABORTED",
    "INTERNAL_ERROR",
    "IO_ERROR",
    "RESOURCE_EXHAUSTED",
    "SERVICE_UNDER_MAINTENANCE",
    "TEMPORARILY_UNAVAILABLE",
    "WORKSPACE_TEMPORARILY_UNAVAILABLE",
    // SQLite: another connection holds the lock.
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    // PostgreSQL: serialization, deadlock, memory, connections.
    "40001",
    "40P01",
    "53200",
    "53300",
];

impl ErrorKind {
    /// The error of the statement with this label.
    pub fn of(self, statement: &str) -> Error {
        Error { statement: statement.to_owned(), kind: self }
    }

    /// Whether the same statement may well succeed a little later, with nothing changed. That it may be sent again is
    /// another question: one that writes may have been done.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Cancelled | Self::RateLimited { .. } => {
                true
            }
            Self::Sql { code, .. } => PASSING.contains(&code.as_str()),
            _ => false,
        }
    }
}

/// Checks placeholders against parameters, and writes the SQL with positional placeholders.
///
/// # Errors
/// [`ErrorKind::InvalidStatement`], with the problem.
pub fn render(statement: &Statement, dialect: Dialect) -> Result<Rendered<'_>, Error> {
    placeholders::render(statement, dialect)
        .map_err(|problem| ErrorKind::InvalidStatement { problem }.of(statement.label()))
}
