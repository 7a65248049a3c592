//! What went wrong at a warehouse, in terms of what a person can do about it.

use std::time::Duration;

use super::placeholders::Problem;
use super::statement::{ParameterValue, Statement};
use crate::classify::scrub;

/// A statement that failed. Names the statement by its label; never holds a value of a row or a parameter, a
/// credential or a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, one that broke, or a service that is down. A statement that writes may have been taken.
    #[error("{statement}: the warehouse cannot be reached ({detail}); check its address and the way to it")]
    Unreachable {
        /// The label of the statement.
        statement: String,
        /// What the connection said.
        detail: String,
    },
    /// The credentials were not accepted.
    #[error("{statement}: the warehouse does not accept the credentials; renew the secret of the warehouse")]
    Refused {
        /// The label of the statement.
        statement: String,
    },
    /// The account may not do this.
    #[error("{statement}: not permitted ({message}); grant it to the account of Syncwatch")]
    PermissionDenied {
        /// The label of the statement.
        statement: String,
        /// The warehouse's sentence.
        message: String,
    },
    /// A table, view, column, schema, catalog or warehouse does not exist.
    #[error("{statement}: something is missing ({message}); make it, or correct its name")]
    MissingObject {
        /// The label of the statement.
        statement: String,
        /// The warehouse's sentence.
        message: String,
    },
    /// No answer in time. The statement was told to stop; one that writes may have been done nevertheless.
    #[error(
        "{statement}: no answer within {seconds} s, waiting for {what}; look at the load of the warehouse"
    )]
    Timeout {
        /// The label of the statement.
        statement: String,
        /// The limit, in seconds.
        seconds: u64,
        /// What was waited for.
        what: &'static str,
    },
    /// Somebody else stopped it.
    #[error("{statement}: stopped from outside; ask who administers the warehouse if this goes on")]
    Cancelled {
        /// The label of the statement.
        statement: String,
    },
    /// The warehouse asks for fewer requests, also after waiting as long as the budget allows.
    #[error(
        "{statement}: rate limited{}; the next round tries again",
        retry_after.map_or(String::new(), |wait| format!(", the warehouse asks to wait {} s", wait.as_secs()))
    )]
    RateLimited {
        /// The label of the statement.
        statement: String,
        /// How long the warehouse asked us to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// More rows than a check can sensibly want.
    #[error("{statement}: returns more than {limit} rows; narrow it, or count in the warehouse")]
    TooManyRows {
        /// The label of the statement.
        statement: String,
        /// The limit.
        limit: usize,
    },
    /// More bytes than a function should hold.
    #[error("{statement}: {what} has more than {limit} bytes; select less")]
    TooLarge {
        /// The label of the statement.
        statement: String,
        /// What is too large.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// A value is of another type than the check reads it as.
    #[error(
        "{statement}: column {column} holds {found} where {expected} is expected; correct the view or the check"
    )]
    WrongType {
        /// The label of the statement.
        statement: String,
        /// The column.
        column: String,
        /// The type that is read.
        expected: &'static str,
        /// The type that is there.
        found: &'static str,
    },
    /// The warehouse compares or reads a value as a type that it is not of.
    #[error(
        "{statement}: types do not fit ({message}); correct the view, or the column that the check names"
    )]
    TypeMismatch {
        /// The label of the statement.
        statement: String,
        /// The warehouse's sentence.
        message: String,
    },
    /// A statement that is to answer one row answers none or several, or one of another form.
    #[error(
        "{statement}: answers {found} where there must be {expected}; correct the statement or what it reads"
    )]
    NotTheForm {
        /// The label of the statement.
        statement: String,
        /// What there must be, such as `one row`.
        expected: &'static str,
        /// What is there, never its content.
        found: String,
    },
    /// The warehouse refused or failed the statement for any other reason.
    #[error("{statement}: the warehouse says {code}: {message}")]
    Sql {
        /// The label of the statement.
        statement: String,
        /// The SQLSTATE, or the vendor's own code.
        code: String,
        /// The vendor's sentence, without what it quotes of data.
        message: String,
    },
    /// The ODBC driver is not there, or not in this program.
    #[error("{statement}: the ODBC driver is missing ({detail}); install it, or correct its path")]
    DriverMissing {
        /// The label of the statement.
        statement: String,
        /// What is missing.
        detail: String,
    },
    /// The answer was not what we model, or not what the check expects. Carries the place, never the content.
    #[error("{statement}: unexpected answer at {place}: {found}")]
    Shape {
        /// The label of the statement.
        statement: String,
        /// Where, such as `result.data_array[3]`.
        place: String,
        /// What kind of thing was there.
        found: String,
    },
    /// The text of the statement and its parameters do not fit. Emitted before anything is sent.
    #[error("{statement}: the statement cannot be used: {problem}; correct it")]
    InvalidStatement {
        /// The label of the statement.
        statement: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// Why a warehouse cannot be opened with these settings. Never holds the setting's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting {setting} of the warehouse {problem}")]
pub struct SettingsError {
    /// Which setting.
    pub setting: String,
    /// What is wrong with it, and the remedy.
    pub problem: &'static str,
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

impl Error {
    /// Whether the same statement may well succeed a little later, with nothing changed. That it may be sent again is
    /// another question: one that writes may have been done.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Cancelled { .. }
            | Self::RateLimited { .. } => true,
            Self::Sql { code, .. } => PASSING.contains(&code.as_str()),
            Self::Refused { .. }
            | Self::PermissionDenied { .. }
            | Self::MissingObject { .. }
            | Self::TooManyRows { .. }
            | Self::TooLarge { .. }
            | Self::WrongType { .. }
            | Self::TypeMismatch { .. }
            | Self::NotTheForm { .. }
            | Self::DriverMissing { .. }
            | Self::Shape { .. }
            | Self::InvalidStatement { .. } => false,
        }
    }

    /// The label of the statement that failed.
    pub fn statement(&self) -> &str {
        match self {
            Self::Unreachable { statement, .. }
            | Self::Refused { statement }
            | Self::PermissionDenied { statement, .. }
            | Self::MissingObject { statement, .. }
            | Self::Timeout { statement, .. }
            | Self::Cancelled { statement }
            | Self::RateLimited { statement, .. }
            | Self::TooManyRows { statement, .. }
            | Self::TooLarge { statement, .. }
            | Self::WrongType { statement, .. }
            | Self::TypeMismatch { statement, .. }
            | Self::NotTheForm { statement, .. }
            | Self::Sql { statement, .. }
            | Self::DriverMissing { statement, .. }
            | Self::Shape { statement, .. }
            | Self::InvalidStatement { statement, .. } => statement,
        }
    }
}

/// What a vendor's SQLSTATE or code and its sentence say.
pub(super) fn from_sql_state(statement: &Statement, code: &str, message: &str) -> Error {
    let label = statement.label().to_owned();
    let message = sentence(statement, message);
    match code {
        // 42KD1: the token is for reading only (Databricks docs, "API scopes").
        "42501" | "42KD1" | "INSUFFICIENT_PERMISSIONS" | "PERMISSION_DENIED" => {
            Error::PermissionDenied { statement: label, message }
        }
        // PostgreSQL has no operator for two types that do not fit; and an undefined function, by the same code.
        "42883" if message.contains("operator does not exist") => {
            Error::TypeMismatch { statement: label, message }
        }
        // PostgreSQL's "datatype mismatch", text that reads as no number or instant; Spark's DATATYPE_MISMATCH and
        // CAST_INVALID_INPUT.
        "42804" | "42K09" | "22P02" | "22007" | "22018" => Error::TypeMismatch { statement: label, message },
        // Table, column, function, type; catalog, schema; the same from drivers that speak ODBC's own.
        "42P01" | "42703" | "42883" | "42704" | "3D000" | "3F000" | "42S02" | "42S22" => {
            Error::MissingObject { statement: label, message }
        }
        "28000" | "28P01" | "UNAUTHENTICATED" => Error::Refused { statement: label },
        "HY008" | "CANCELLED" => Error::Cancelled { statement: label },
        _ => Error::Sql { statement: label, code: code.to_owned(), message },
    }
}

/// Shorter texts are everywhere, and say nothing of anybody.
const TELLING_CHARS: usize = 3;

/// A vendor's sentence, without its details and without what it quotes of data.
pub(super) fn sentence(statement: &Statement, message: &str) -> String {
    // Behind these, PostgreSQL and Spark show the row that failed, the SQL and the plan.
    const DETAILS: [&str; 7] =
        ["DETAIL:", "CONTEXT:", "HINT:", "QUERY:", "== SQL", "== DataFrame", "Error while executing"];
    let end = DETAILS.iter().filter_map(|mark| message.find(mark)).min().unwrap_or(message.len());
    let mut text = message.get(..end).unwrap_or_default().to_owned();
    for parameter in statement.parameters() {
        if let ParameterValue::Text(Some(value)) = &parameter.value
            && value.chars().count() >= TELLING_CHARS
        {
            text = text.replace(value.as_str(), "[hidden]");
        }
    }
    match scrub(&text).trim_end_matches([';', ' ', '.']) {
        "" => "no reason given".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement::new("coverage of properties", "SELECT :name").bind("name", "Mary Miller")
    }

    #[test]
    fn a_vendors_sentence_keeps_names_of_objects_and_loses_data() {
        let sentence = |message| sentence(&statement(), message);
        assert_eq!(
            sentence("ERROR: relation \"ops.nosuch\" does not exist;\nError while executing the query"),
            "ERROR: relation \"ops.nosuch\" does not exist"
        );
        assert_eq!(
            sentence("ERROR: invalid input syntax for type integer: \"4711-secret\""),
            "ERROR: invalid input syntax for type integer: \"[hidden]\""
        );
        assert_eq!(
            sentence("ERROR: duplicate key\nDETAIL: Failing row contains (1, Ann Other)"),
            "ERROR: duplicate key"
        );
        assert_eq!(sentence("no value Mary Miller here"), "no value [hidden] here");
        assert_eq!(
            sentence(
                "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`x` cannot be found. == SQL == SELECT 'secret'"
            ),
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`x` cannot be found"
        );
    }

    #[test]
    fn each_code_becomes_what_a_person_does_about_it() {
        let error = |code| from_sql_state(&statement(), code, "message");
        assert!(matches!(error("42501"), Error::PermissionDenied { .. }));
        assert!(matches!(error("42KD1"), Error::PermissionDenied { .. }));
        assert!(matches!(error("42P01"), Error::MissingObject { .. }));
        assert!(matches!(error("42703"), Error::MissingObject { .. }));
        assert!(matches!(error("22P02"), Error::TypeMismatch { .. }));
        assert!(matches!(error("42K09"), Error::TypeMismatch { .. }));
        let compared =
            from_sql_state(&statement(), "42883", "ERROR: operator does not exist: text > timestamp");
        assert!(matches!(compared, Error::TypeMismatch { .. }));
        assert!(matches!(error("42883"), Error::MissingObject { .. }));
        assert!(matches!(error("28P01"), Error::Refused { .. }));
        assert!(matches!(error("HY008"), Error::Cancelled { .. }));
        assert!(!error("42601").is_transient());
        assert!(error("TEMPORARILY_UNAVAILABLE").is_transient());
        assert_eq!(error("42601").to_string(), "coverage of properties: the warehouse says 42601: message");
    }
}
