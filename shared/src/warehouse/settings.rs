//! Where a warehouse is, how to speak to it, and how much of it to take.

use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::sql::Dialect;

/// A warehouse, by one of the two ways to it.
#[derive(Debug, Clone)]
pub enum Settings {
    Databricks(DatabricksSettings),
    /// An ODBC driver. Needs the feature `odbc`.
    Odbc(OdbcSettings),
}

/// How much a statement may take. What is beyond is an error, never a part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub time: Duration,
    pub rows: usize,
    /// Bytes of all values of an answer.
    pub bytes: usize,
    /// Bytes of one value (over ODBC: the size of the buffers, where wide characters count twice).
    pub value_bytes: usize,
}

impl Default for Limits {
    /// A minute, 10,000 rows, 8 MiB, 16 KiB: checks count in the warehouse and answer with a few rows.
    fn default() -> Self {
        Self { time: Duration::from_secs(60), rows: 10_000, bytes: 8 << 20, value_bytes: 16 << 10 }
    }
}

/// A SQL warehouse of Databricks.
#[derive(Debug, Clone)]
pub struct DatabricksSettings {
    /// Scheme and host of the workspace, such as `https://dbc-1.cloud.databricks.com`; no path, no credentials, no query.
    pub base_url: String,
    pub warehouse_id: String,
    /// The catalog of names that have none.
    pub catalog: Option<String>,
    /// The schema of names that have none.
    pub schema: Option<String>,
    pub auth: DatabricksAuth,
    /// The zone of `TIMESTAMP` values that come without an offset: the `TIMEZONE` of the warehouse, which is UTC unless
    /// somebody set another. `TIMESTAMP_NTZ` is always read as UTC.
    pub time_zone: TimeZone,
    /// What a statement may take. Waiting for a warehouse to start is not part of `time`.
    pub limits: Limits,
    /// How long a statement may wait for the warehouse to start. Serverless ones take seconds, others minutes.
    pub start_limit: Duration,
    /// How long one statement may wait between attempts and for answers that never come, all its calls together.
    pub retry_budget: Duration,
}

/// How Syncwatch shows Databricks who it is.
#[derive(Debug, Clone)]
pub enum DatabricksAuth {
    Token(SecretString),
    /// A service principal, by OAuth (machine to machine).
    ServicePrincipal {
        client_id: String,
        client_secret: SecretString,
    },
}

impl DatabricksSettings {
    /// The usual settings for a warehouse.
    pub fn new(base_url: impl Into<String>, warehouse_id: impl Into<String>, auth: DatabricksAuth) -> Self {
        Self {
            base_url: base_url.into(),
            warehouse_id: warehouse_id.into(),
            catalog: None,
            schema: None,
            auth,
            time_zone: TimeZone::UTC,
            limits: Limits::default(),
            start_limit: Duration::from_secs(300),
            retry_budget: Duration::from_secs(30),
        }
    }
}

impl DatabricksAuth {
    /// A service principal.
    pub fn service_principal(client_id: impl Into<String>, client_secret: SecretString) -> Self {
        Self::ServicePrincipal { client_id: client_id.into(), client_secret }
    }
}

/// How text is handed to an ODBC driver and taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8 in narrow characters: what the drivers of SQLite and PostgreSQL have on Linux.
    Narrow,
    /// UTF-16 in wide characters: for drivers whose narrow characters follow a locale. SQL itself stays narrow.
    Wide,
}

/// A database behind an ODBC driver.
#[derive(Debug, Clone)]
pub struct OdbcSettings {
    /// The path of the driver's library, or its name in `odbcinst.ini`.
    pub driver: String,
    pub dialect: Dialect,
    /// The keywords and values of the connection string, in order. Which of them are secret, only the driver knows.
    pub attributes: Vec<(String, SecretString)>,
    pub encoding: TextEncoding,
    /// What a statement may take, connecting included.
    pub limits: Limits,
    pub connect_limit: Duration,
}

impl OdbcSettings {
    /// A database behind any driver.
    pub fn new(driver: impl Into<String>, dialect: Dialect) -> Self {
        Self {
            driver: driver.into(),
            dialect,
            attributes: Vec::new(),
            encoding: TextEncoding::Narrow,
            limits: Limits::default(),
            connect_limit: Duration::from_secs(10),
        }
    }

    /// A file of SQLite, by its ODBC driver (Debian's `libsqliteodbc`).
    pub fn sqlite(driver: impl Into<String>, file: impl Into<String>) -> Self {
        Self::new(driver, Dialect::Sqlite)
            .with("Database", file.into())
            // Waits so many milliseconds for another connection's lock.
            .with("Timeout", "5000")
    }

    /// A database of PostgreSQL, by psqlODBC (Debian's `odbc-postgresql`). The server must show a certificate that is
    /// good for its name, unless it is on this machine.
    pub fn postgresql(
        driver: impl Into<String>,
        host: impl Into<String>,
        port: u16,
        database: impl Into<String>,
        user: impl Into<String>,
        password: SecretString,
    ) -> Self {
        let host = host.into();
        let local = matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1") || host.starts_with('/');
        Self::new(driver, Dialect::PostgreSql)
            .with("Server", host)
            .with("Port", port.to_string())
            .with("Database", database.into())
            .with("UID", user.into())
            .with("PWD", password)
            .with("SSLmode", if local { "prefer" } else { "verify-full" })
            // Booleans as such, not as text.
            .with("BoolsAsChar", "0")
            // Rows by a cursor, so that an answer that is far too long is not first read as a whole.
            .with("UseDeclareFetch", "1")
            .with("Fetch", "1000")
    }

    /// Sets an attribute, in the place of one of the same keyword.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<SecretString>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.attributes.iter_mut().find(|(old, _)| old.eq_ignore_ascii_case(&key)) {
            Some(old) => *old = (key, value),
            None => self.attributes.push((key, value)),
        }
        self
    }
}

/// Why a warehouse cannot be opened with these settings. Never holds the setting's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting {setting} of the warehouse {problem}")]
pub struct SettingsError {
    pub setting: String,
    /// What is wrong with it, and the remedy.
    pub problem: &'static str,
}

impl SettingsError {
    pub(super) fn of(setting: &str, problem: &'static str) -> Self {
        Self { setting: setting.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_shows_a_secret() {
        let databricks = DatabricksSettings::new(
            "https://x",
            "abc",
            DatabricksAuth::service_principal("id", SecretString::from("s3cret")),
        );
        let token = DatabricksAuth::Token(SecretString::from("s3cret"));
        let odbc = OdbcSettings::postgresql("d", "h", 5432, "db", "me", SecretString::from("s3cret"));
        assert!(!format!("{databricks:?} {token:?} {odbc:?}").contains("s3cret"));
    }

    #[test]
    fn an_attribute_is_set_once() {
        let settings = OdbcSettings::new("d", Dialect::Sqlite).with("SSLmode", "a").with("sslMODE", "b");
        assert_eq!(settings.attributes.len(), 1);
    }
}
