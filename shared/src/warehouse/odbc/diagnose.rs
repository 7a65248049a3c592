//! Classifies the errors of ODBC drivers.

use odbc_api::Error as OdbcError;
use secrecy::ExposeSecret;

use crate::sql::{Dialect, Error, ErrorKind, Statement};
use crate::warehouse::sentence::{from_sql_state, sentence};
use crate::warehouse::settings::OdbcSettings;

/// A failed statement, and whether its connection was lost.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) connection_lost: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, connection_lost: false }
    }
}

impl Failure {
    /// Creates a failure that keeps the connection.
    pub(super) fn of(statement: &Statement, kind: ErrorKind) -> Self {
        kind.of(statement.label()).into()
    }
}

/// Attributes of a connection string that are not secret and useful in a message.
const PLAIN: [&str; 8] = ["Server", "Host", "Port", "Database", "Schema", "HTTPPath", "SSLmode", "Fetch"];

/// A driver's error report.
struct Words {
    state: String,
    native: i32,
    message: String,
}

impl Words {
    fn of(error: &OdbcError, settings: &OdbcSettings) -> Self {
        let (state, native, message) = match error {
            OdbcError::Diagnostics { record, .. }
            | OdbcError::InvalidRowArraySize { record, .. }
            | OdbcError::UnsupportedOdbcApiVersion(record)
            | OdbcError::UnableToRepresentNull(record)
            | OdbcError::OracleOdbcDriverDoesNotSupport64Bit(record) => {
                let message = String::from_utf8_lossy(&record.message).into_owned();
                (record.state.as_str().to_owned(), record.native_error, message)
            }
            OdbcError::NoDiagnostics { function } => {
                ("HY000".to_owned(), 0, format!("{function} failed without a message"))
            }
            _ => ("HY000".to_owned(), 0, "the driver manager failed".to_owned()),
        };
        // Some drivers quote the connection string. Values of up to 3 characters are not treated as secrets.
        let message = settings
            .attributes
            .iter()
            .filter(|(key, _)| !PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(key)))
            .map(|(_, value)| value.expose_secret())
            .filter(|value| value.len() > 3)
            .fold(message, |text, secret| text.replace(secret, "[hidden]"));
        Self { state, native, message }
    }

    fn mentions(&self, words: &str) -> bool {
        self.message.contains(words)
    }
}

/// Classifies a failure to connect.
pub(super) fn connecting(statement: &Statement, settings: &OdbcSettings, error: &OdbcError) -> Failure {
    let words = Words::of(error, settings);
    let detail = || sentence(statement, &words.message);
    let kind = match words.state.as_str() {
        // The driver manager's codes: unknown driver; not loadable; not initialized.
        "IM002" | "IM003" | "IM004" | "IM005" => ErrorKind::DriverMissing { detail: detail() },
        "01000" if words.mentions("Can't open lib") => {
            ErrorKind::DriverMissing { detail: format!("{} cannot be loaded", settings.driver) }
        }
        "HYT00" | "HYT01" => {
            ErrorKind::Timeout { seconds: settings.connect_limit.as_secs(), what: "the connection" }
        }
        "28000" | "28P01" => ErrorKind::Refused,
        // psqlODBC reports 08001 for everything; libpq's message has the cause.
        _ if words.mentions("authentication failed") || words.mentions("no password supplied") => {
            ErrorKind::Refused
        }
        // Without password authentication, a missing role is reported as such.
        _ if words.mentions("FATAL:") && words.mentions("role \"") => ErrorKind::Refused,
        _ if words.mentions("FATAL:") && words.mentions("does not exist") => {
            ErrorKind::MissingObject { message: detail() }
        }
        _ => ErrorKind::Unreachable { detail: detail() },
    };
    Failure { error: kind.of(statement.label()), connection_lost: true }
}

/// Classifies a failed statement on a connection.
pub(super) fn running(statement: &Statement, settings: &OdbcSettings, error: &OdbcError) -> Failure {
    let words = Words::of(error, settings);
    let timeout = || ErrorKind::Timeout { seconds: settings.limits.time.as_secs(), what: "the answer" };
    let lost = words.state.starts_with("08")
        || matches!(words.state.as_str(), "57P01" | "57P02" | "57P03")
        // libpq's messages for a lost server.
        || ["server closed the connection", "terminating connection", "no connection to the server", "could not receive data"]
            .iter()
            .any(|text| words.mentions(text));
    if lost {
        let detail = sentence(statement, &words.message);
        let error = ErrorKind::Unreachable { detail }.of(statement.label());
        return Failure { error, connection_lost: true };
    }
    let kind = match words.state.as_str() {
        "HYT00" | "HYT01" => timeout(),
        "57014" if words.mentions("statement timeout") => timeout(),
        "57014" => ErrorKind::Cancelled,
        _ if settings.dialect == Dialect::Sqlite => from_sqlite(statement, &words),
        state => from_sql_state(statement, state, &words.message),
    };
    Failure::of(statement, kind)
}

/// Classifies an error of SQLite, whose driver has one SQLSTATE: by SQLite's own code (sqlite.org/rescode.html), and
/// for missing objects by the message.
fn from_sqlite(statement: &Statement, words: &Words) -> ErrorKind {
    let code = match words.native {
        _ if words.mentions("no such table") => "42S02",
        _ if words.mentions("no such column") => "42S22",
        _ if words.mentions("no such function") => "42883",
        3 | 8 | 23 => "42501",
        5 => "SQLITE_BUSY",
        6 => "SQLITE_LOCKED",
        11 | 26 => "SQLITE_CORRUPT",
        13 => "SQLITE_FULL",
        14 => "SQLITE_CANTOPEN",
        _ => "HY000",
    };
    from_sql_state(statement, code, words.message.strip_prefix("[unixODBC]").unwrap_or(&words.message))
}
