//! Warehouse errors, by remedy.

use std::time::Duration;

use super::dialect::Dialect;
use super::placeholders::{self, Problem, Rendered};
use super::statement::Statement;

/// A failed statement, by its label. Never holds a value of a row or parameter, a credential or a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{statement}: {kind}")]
pub struct Error {
    pub statement: String,
    pub kind: ErrorKind,
}

/// The kind of a failed statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// No connection, a broken one, or a service that is down. A statement that writes may have been executed.
    #[error("the warehouse cannot be reached ({detail}); check its address and the network")]
    Unreachable { detail: String },
    #[error("the warehouse does not accept the credentials; renew the warehouse secret")]
    Refused,
    /// The warehouse answers no request from Syncwatch's network: an IP access list, a network policy, a private link.
    #[error(
        "the warehouse refuses the network of Syncwatch ({message}); allow the IP address of its functions"
    )]
    Blocked { message: String },
    /// The account is valid, but may not use the warehouse.
    #[error("the account of Syncwatch may not use the warehouse ({message}); grant the account CAN USE")]
    NoAccess { message: String },
    /// The account may use the warehouse, but not the objects of the statement.
    #[error("not permitted ({message}); grant the right to Syncwatch's account")]
    PermissionDenied { message: String },
    /// A table, view, column, schema, catalog or warehouse does not exist.
    #[error("an object is missing ({message}); create it, or correct its name")]
    MissingObject { message: String },
    /// No answer in time. The statement was cancelled; one that writes may still have been executed.
    #[error("no answer within {seconds} s, waiting for {what}; check the load of the warehouse")]
    Timeout { seconds: u64, what: &'static str },
    #[error("cancelled from outside; if this persists, ask the warehouse administrator")]
    Cancelled,
    /// The warehouse still limits requests after all waits that the budget allows.
    #[error(
        "rate limited{}; the next round retries",
        retry_after.map_or(String::new(), |wait| format!(", the warehouse asks to wait {} s", wait.as_secs()))
    )]
    RateLimited { retry_after: Option<Duration> },
    #[error("returned more than {limit} rows; narrow the query, or count in the warehouse")]
    TooManyRows { limit: usize },
    #[error("{what} has more than {limit} bytes; select less")]
    TooLarge { what: String, limit: usize },
    #[error("column {column} holds {found}, expected {expected}; correct the view or the check")]
    WrongType { column: String, expected: &'static str, found: &'static str },
    /// The warehouse cannot compare or convert a value, because of its type.
    #[error("types do not match ({message}); correct the view, or the column that the check names")]
    TypeMismatch { message: String },
    /// A statement that must return one row returned none or several, or one of another form.
    #[error("returned {found}, expected {expected}; correct the statement or the data that it reads")]
    NotTheForm { expected: &'static str, found: String },
    #[error("the warehouse reports {code}: {message}")]
    Sql {
        /// The SQLSTATE, or the vendor's own code.
        code: String,
        /// The vendor's message, without the data that it quotes.
        message: String,
    },
    #[error("the ODBC driver is missing ({detail}); install it, or correct its path")]
    DriverMissing { detail: String },
    /// The answer has an unknown shape, or not the one that the check expects. Holds the place, never the content.
    #[error("unexpected answer at {place}: {found}")]
    Shape {
        /// Such as `result.data_array[3]`.
        place: String,
        found: String,
    },
    /// The statement's text and parameters do not match. Returned before anything is sent.
    #[error("invalid statement: {problem}; correct it")]
    InvalidStatement { problem: Problem },
}

/// The vendors' codes of transient errors.
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
    /// Builds the error of the statement with this label.
    pub fn of(self, statement: &str) -> Error {
        Error { statement: statement.to_owned(), kind: self }
    }

    /// Returns whether the same statement may succeed later, with nothing changed. This does not make a retry safe: a
    /// statement that writes may have been executed.
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

/// Checks placeholders against parameters, and renders the SQL with positional placeholders.
///
/// # Errors
/// [`ErrorKind::InvalidStatement`], with the problem.
pub fn render(statement: &Statement, dialect: Dialect) -> Result<Rendered<'_>, Error> {
    placeholders::render(statement, dialect)
        .map_err(|problem| ErrorKind::InvalidStatement { problem }.of(statement.label()))
}
