//! The address, credentials and limits of a warehouse.

use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::sql::Dialect;

/// The settings of a warehouse, by driver.
#[derive(Debug, Clone)]
pub enum Settings {
    Databricks(DatabricksSettings),
    /// Needs the feature `odbc`.
    Odbc(OdbcSettings),
}

/// The limits of one statement. Exceeding one is an error; answers are never truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub time: Duration,
    pub rows: usize,
    /// Bytes of all values in an answer.
    pub bytes: usize,
    /// Bytes of one value (over ODBC: the size of a buffer, in which wide characters count twice).
    pub value_bytes: usize,
}

impl Default for Limits {
    /// 60 s, 10,000 rows, 8 MiB, 16 KiB: checks count in the warehouse and return few rows.
    fn default() -> Self {
        Self { time: Duration::from_secs(60), rows: 10_000, bytes: 8 << 20, value_bytes: 16 << 10 }
    }
}

/// The settings of a Databricks SQL warehouse.
#[derive(Debug, Clone)]
pub struct DatabricksSettings {
    /// Scheme and host of the workspace, such as `https://dbc-1.cloud.databricks.com`; no path, no credentials, no
    /// query.
    pub base_url: String,
    pub warehouse_id: String,
    /// The default catalog of names.
    pub catalog: Option<String>,
    /// The default schema of names.
    pub schema: Option<String>,
    pub auth: DatabricksAuth,
    /// The zone of `TIMESTAMP` values without an offset: the `TIMEZONE` of the warehouse, UTC by default.
    /// `TIMESTAMP_NTZ` is always read as UTC.
    pub time_zone: TimeZone,
    /// The limits of one statement. `time` excludes the start of the warehouse.
    pub limits: Limits,
    /// How long a statement may wait for the warehouse to start. Serverless warehouses take seconds, others minutes.
    pub start_limit: Duration,
    /// The total time of waits between attempts and of unanswered attempts, over all calls of one statement.
    pub retry_budget: Duration,
}

/// How Syncwatch authenticates to Databricks.
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
    /// Creates the default settings for a warehouse.
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
    /// Creates the credentials of a service principal.
    pub fn service_principal(client_id: impl Into<String>, client_secret: SecretString) -> Self {
        Self::ServicePrincipal { client_id: client_id.into(), client_secret }
    }
}

/// The encoding of text between Syncwatch and an ODBC driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8 in narrow characters: for the drivers of SQLite and PostgreSQL on Linux.
    Narrow,
    /// UTF-16 in wide characters: for drivers whose narrow characters depend on a locale. The SQL stays narrow.
    Wide,
}

/// The settings of a database behind an ODBC driver.
#[derive(Debug, Clone)]
pub struct OdbcSettings {
    /// The path of the driver's library, or its name in `odbcinst.ini`.
    pub driver: String,
    pub dialect: Dialect,
    /// The keywords and values of the connection string, in order. Any may be secret, depending on the driver.
    pub attributes: Vec<(String, SecretString)>,
    pub encoding: TextEncoding,
    /// The limits of one statement. `time` includes connecting.
    pub limits: Limits,
    pub connect_limit: Duration,
}

impl OdbcSettings {
    /// Creates the settings of a database behind any driver.
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

    /// Creates the settings of a SQLite file, for its ODBC driver (Debian's `libsqliteodbc`).
    pub fn sqlite(driver: impl Into<String>, file: impl Into<String>) -> Self {
        Self::new(driver, Dialect::Sqlite)
            .with("Database", file.into())
            // In milliseconds, for another connection's lock.
            .with("Timeout", "5000")
    }

    /// Creates the settings of a PostgreSQL database, for psqlODBC (Debian's `odbc-postgresql`). The server needs a
    /// valid certificate for its name, unless it is local.
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
            // Booleans as booleans, not as text.
            .with("BoolsAsChar", "0")
            // Fetches rows by a cursor, so that the driver does not first read the whole of a too long answer.
            .with("UseDeclareFetch", "1")
            .with("Fetch", "1000")
    }

    /// Sets an attribute, replacing one of the same keyword.
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

/// An invalid setting. Never holds the setting's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting {setting} of the warehouse {problem}")]
pub struct SettingsError {
    pub setting: String,
    /// The problem and the remedy.
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
    fn settings_do_not_show_secrets() {
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
    fn attribute_is_set_once() {
        let settings = OdbcSettings::new("d", Dialect::Sqlite).with("SSLmode", "a").with("sslMODE", "b");
        assert_eq!(settings.attributes.len(), 1);
    }
}
