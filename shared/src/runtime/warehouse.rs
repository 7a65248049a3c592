//! Opens the warehouse of `pipeline.toml` with the credentials in its secret.
//!
//! The secret is one JSON object of strings:
//!
//! * Databricks: `{"client_id", "client_secret"}` of a service principal, or `{"token"}`
//! * ODBC, any driver: `{"connection_string": "Driver=...;..."}`
//! * ODBC, PostgreSQL: `{"driver", "host", "port", "database", "user", "password"}`
//! * ODBC, SQLite: `{"driver", "file"}`

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::aws::secrets::{SecretError, SecretStore};
use crate::pipeline::{self, Pipeline};
use crate::reconcile::Object;
use crate::sql::{self, Answer, Dialect, ErrorKind, Statement};
use crate::warehouse::{
    Databases, DatabricksAuth, DatabricksSettings, Limits, OdbcSettings, Settings, SettingsError, Warehouse,
    WarehouseKeeper,
};

/// The warehouse cannot be opened. Holds no part of the secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The secret does not hold credentials of this driver.
    #[error("secret {name}: {problem}. Store a JSON object of strings: {wanted}")]
    Credentials { name: String, problem: String, wanted: &'static str },
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Limits on the waiting of a nightly round for the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Limit for all statements of a round together, including the start of the warehouse.
    pub round: Duration,
    /// Limit for one statement.
    pub statement: Duration,
}

impl Default for Patience {
    /// 80 s and 60 s: the rest of a function's time is for other reads and for acting on the findings.
    fn default() -> Self {
        Self { round: Duration::from_secs(80), statement: Duration::from_secs(60) }
    }
}

const DATABRICKS: &str = r#"{"client_id": "...", "client_secret": "..."}, or {"token": "..."}"#;
const ODBC: &str = r#"{"connection_string": "Driver=...;..."}"#;
const POSTGRESQL: &str = r#"{"driver": "...", "host": "...", "port": "5432", "database": "...", "user": "...", "password": "..."}, or {"connection_string": "Driver=...;..."}"#;
const SQLITE: &str = r#"{"driver": "...", "file": "..."}, or {"connection_string": "Driver=...;..."}"#;

type Texts = BTreeMap<String, SecretString>;

/// The address, credentials and limits with which the warehouse is opened.
#[derive(Debug, Clone)]
pub struct Access<'a> {
    /// Its declaration in `pipeline.toml`.
    pub warehouse: &'a pipeline::Warehouse,
    /// The name of the secret that holds its credentials.
    pub secret: &'a str,
    /// Replaces the workspace's own address, for a lab or a proxy.
    pub base_url: Option<&'a str>,
    pub limits: Limits,
    /// The time for Databricks to start the warehouse, or for a driver to connect.
    pub start_limit: Duration,
}

/// Opens the warehouse without sending a statement.
pub async fn open(
    access: &Access<'_>,
    secrets: &SecretStore,
    http: reqwest::Client,
) -> Result<Warehouse, Error> {
    let text = secrets.text(access.secret).await?;
    Ok(Warehouse::open(settings(access, &text)?, http)?)
}

/// Opens the keeper of the warehouse without sending anything; `None` if it is not reached over the API of Databricks.
pub async fn open_keeper(
    access: &Access<'_>,
    secrets: &SecretStore,
    http: reqwest::Client,
) -> Result<Option<WarehouseKeeper>, Error> {
    let text = secrets.text(access.secret).await?;
    match settings(access, &text)? {
        Settings::Databricks(settings) => Ok(Some(WarehouseKeeper::new(http, settings)?)),
        Settings::Odbc(_) => Ok(None),
    }
}

/// Returns the name of a connection's secret: beside that of the warehouse, such as `syncwatch/connection-crm`.
pub fn connection_secret(warehouse_secret: &str, name: &str) -> String {
    let folder =
        warehouse_secret.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    format!("{folder}connection-{name}")
}

/// Opens the warehouse, and the connections that objects need; `access` is that of the warehouse. A connection that cannot be
/// opened fails only its objects.
pub async fn open_databases(
    pipeline: &Pipeline,
    objects: &[&Object],
    access: &Access<'_>,
    secrets: &SecretStore,
    http: reqwest::Client,
) -> Result<Databases, Error> {
    let mut connections = BTreeMap::new();
    let sides = objects.iter().flat_map(|object| [&object.source, &object.destination]);
    for name in sides.filter_map(|side| side.connection.as_ref()) {
        let Some(warehouse) = pipeline.connections.get(name).filter(|_| !connections.contains_key(name))
        else {
            continue;
        };
        let secret = &connection_secret(access.secret, name);
        let opened = open(&Access { warehouse, secret, ..*access }, secrets, http.clone()).await;
        connections.insert(name.clone(), opened.map_err(|error| error.to_string()));
    }
    Ok(Databases { warehouse: open(access, secrets, http).await?, connections })
}

/// The name, in a timeout, of a whole round.
pub const ALL_STATEMENTS: &str = "all statements of the round";

/// Runs statements on the warehouse until the deadline of a round.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'w> {
    warehouse: &'w Warehouse,
    deadline: Instant,
    budget: Duration,
}

impl<'w> Asker<'w> {
    /// Creates an asker with a deadline `budget` from now.
    pub fn new(warehouse: &'w Warehouse, budget: Duration) -> Self {
        Self { warehouse, deadline: Instant::now() + budget, budget }
    }

    /// Runs one query. At the deadline it is dropped, which cancels it.
    pub async fn ask(self, statement: &Statement) -> Result<Answer, sql::Error> {
        timeout_at(self.deadline, self.warehouse.query(statement))
            .await
            .unwrap_or_else(|_| Err(self.too_late(statement.label())))
    }

    /// Runs statements that write, in order, in one transaction if the warehouse has transactions. Otherwise, after an
    /// error, some may have been executed; each one is atomic.
    pub async fn write(self, statements: &[Statement]) -> Result<(), sql::Error> {
        let label = statements.first().map_or("nothing", Statement::label);
        match timeout_at(self.deadline, self.warehouse.execute_all(statements)).await {
            Ok(done) => done.map(|_| ()),
            Err(_) => Err(self.too_late(label)),
        }
    }

    fn too_late(self, label: &str) -> sql::Error {
        ErrorKind::Timeout { seconds: self.budget.as_secs(), what: ALL_STATEMENTS }.of(label)
    }
}

/// Returns whether the error is the timeout of the round rather than that of one statement.
pub fn is_out_of_time(error: &sql::Error) -> bool {
    matches!(error.kind, ErrorKind::Timeout { what, .. } if what == ALL_STATEMENTS)
}

fn settings(access: &Access<'_>, secret: &SecretString) -> Result<Settings, Error> {
    let wanted = match access.warehouse {
        pipeline::Warehouse::Databricks { .. } => DATABRICKS,
        pipeline::Warehouse::Odbc { dialect: Dialect::PostgreSql } => POSTGRESQL,
        pipeline::Warehouse::Odbc { dialect: Dialect::Sqlite } => SQLITE,
        pipeline::Warehouse::Odbc { dialect: Dialect::Databricks } => ODBC,
    };
    let refused = |problem: String| Error::Credentials { name: access.secret.to_owned(), problem, wanted };
    // serde's error would quote the value, so it is dropped.
    let texts: Texts = serde_json::from_str(secret.expose_secret())
        .map_err(|_| refused("not a JSON object of strings".to_owned()))?;
    let needed = |key: &str| {
        let text = texts.get(key).filter(|text| !text.expose_secret().trim().is_empty());
        text.cloned().ok_or_else(|| refused(format!("{key} is missing")))
    };
    let plain = |key: &str| needed(key).map(|text| text.expose_secret().trim().to_owned());
    match access.warehouse {
        pipeline::Warehouse::Databricks { host, warehouse_id } => {
            let auth = match texts.get("token") {
                Some(_) => DatabricksAuth::Token(needed("token")?),
                None => DatabricksAuth::service_principal(plain("client_id")?, needed("client_secret")?),
            };
            let url = access.base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
            let mut settings = DatabricksSettings::new(url, warehouse_id, auth);
            settings.limits = access.limits;
            settings.start_limit = access.start_limit;
            Ok(Settings::Databricks(settings))
        }
        pipeline::Warehouse::Odbc { dialect } => {
            let mut settings = match (dialect, texts.get("connection_string")) {
                (_, Some(text)) => from_connection_string(*dialect, text)
                    .ok_or_else(|| refused("connection_string has no Driver, or is malformed".to_owned()))?,
                (Dialect::Sqlite, None) => OdbcSettings::sqlite(plain("driver")?, plain("file")?),
                (Dialect::PostgreSql, None) => {
                    let port = plain("port")?;
                    let port = port.parse().map_err(|_| refused("port is not a number".to_owned()))?;
                    OdbcSettings::postgresql(
                        plain("driver")?,
                        plain("host")?,
                        port,
                        plain("database")?,
                        plain("user")?,
                        needed("password")?,
                    )
                }
                (Dialect::Databricks, None) => {
                    return Err(refused("connection_string is missing".to_owned()));
                }
            };
            settings.limits = access.limits;
            settings.connect_limit = settings.connect_limit.min(access.start_limit);
            Ok(Settings::Odbc(settings))
        }
    }
}

/// Parses a connection string: `key=value` separated by `;`; a value in braces is literal, with `}}` for a brace.
fn from_connection_string(dialect: Dialect, text: &SecretString) -> Option<OdbcSettings> {
    let (mut driver, mut attributes) = (None, Vec::new());
    let mut rest = text.expose_secret().trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        let key = key.trim();
        if key.is_empty() {
            return None;
        }
        match key.eq_ignore_ascii_case("driver") {
            true => driver = Some(value),
            false => attributes.push((key, value)),
        }
        rest = after.trim_start();
    }
    let driver = driver.filter(|driver| !driver.is_empty())?;
    let settings = OdbcSettings::new(driver, dialect);
    Some(attributes.into_iter().fold(settings, |settings, (key, value)| settings.with(key, value)))
}

/// Splits off the value that begins here, and its `;`.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(mut inner) = text.strip_prefix('{') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    loop {
        let (part, after) = inner.split_once('}')?;
        value.push_str(part);
        match after.strip_prefix('}') {
            Some(more) => {
                value.push('}');
                inner = more;
            }
            None => {
                let after = after.trim_start();
                return match after.strip_prefix(';') {
                    Some(rest) => Some((value, rest)),
                    None => after.is_empty().then_some((value, "")),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn databricks() -> pipeline::Warehouse {
        pipeline::Warehouse::Databricks {
            host: "dbc-1.cloud.databricks.com".to_owned(),
            warehouse_id: "abc".to_owned(),
        }
    }

    fn odbc(dialect: Dialect) -> pipeline::Warehouse {
        pipeline::Warehouse::Odbc { dialect }
    }

    fn of(warehouse: &pipeline::Warehouse, secret: &str) -> Result<Settings, Error> {
        let access = Access {
            warehouse,
            secret: "syncwatch/warehouse",
            base_url: None,
            limits: Limits::default(),
            start_limit: Duration::from_secs(60),
        };
        settings(&access, &SecretString::from(secret))
    }

    #[test]
    fn each_driver_accepts_its_credentials() {
        let token = of(&databricks(), r#"{"token": "hunter2"}"#).unwrap();
        assert!(matches!(&token, Settings::Databricks(s) if matches!(s.auth, DatabricksAuth::Token(_))));
        let principal = of(&databricks(), r#"{"client_id": "a", "client_secret": "hunter2"}"#).unwrap();
        assert!(
            matches!(&principal, Settings::Databricks(s) if s.base_url == "https://dbc-1.cloud.databricks.com")
        );
        let parts =
            r#"{"driver":"d","host":"h","port":"5432","database":"b","user":"u","password":"hunter2"}"#;
        assert!(matches!(of(&odbc(Dialect::PostgreSql), parts), Ok(Settings::Odbc(s)) if s.driver == "d"));
        let file = r#"{"driver": "d", "file": "f"}"#;
        assert!(matches!(of(&odbc(Dialect::Sqlite), file), Ok(Settings::Odbc(_))));
        for settings in [token, principal] {
            assert!(!format!("{settings:?}").contains("hunter2"));
        }
    }

    #[test]
    fn secret_of_a_connection_is_beside_that_of_the_warehouse() {
        assert_eq!(connection_secret("syncwatch/warehouse", "crm"), "syncwatch/connection-crm");
        assert_eq!(connection_secret("warehouse", "crm"), "connection-crm");
    }

    #[test]
    fn connection_string_is_parsed_as_drivers_do() {
        let parsed = |text: &str| {
            let settings = from_connection_string(Dialect::PostgreSql, &SecretString::from(text))?;
            let attributes: Vec<String> = settings
                .attributes
                .iter()
                .map(|(key, value)| format!("{key}={}", value.expose_secret()))
                .collect();
            Some(format!("{} {}", settings.driver, attributes.join(" ")))
        };
        assert_eq!(
            parsed("Driver=/a.so;Server=h;PWD={a;b}}c}; Port = 1").unwrap(),
            "/a.so Server=h PWD=a;b}c Port=1"
        );
        assert_eq!(parsed("DRIVER={PostgreSQL Unicode};UID=me;").unwrap(), "PostgreSQL Unicode UID=me");
        for malformed in
            ["", "Server=h", "Driver=;Server=h", "Driver", "Driver={a", "Driver={a}b;", "=x;Driver=d"]
        {
            assert_eq!(parsed(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn unusable_secret_is_named_with_the_remedy_and_not_shown() {
        for (warehouse, secret) in [
            (databricks(), "hunter2"),
            (databricks(), r#"{"client_id": "hunter2"}"#),
            (databricks(), r#"{"token": ""}"#),
            (databricks(), r#"{"token": ["hunter2"]}"#),
            (odbc(Dialect::PostgreSql), r#"{"connection_string": "PWD=hunter2"}"#),
            (odbc(Dialect::PostgreSql), r#"{"driver":"d","host":"h","port":"hunter2"}"#),
            (odbc(Dialect::Databricks), r#"{"token": "hunter2"}"#),
        ] {
            let error = of(&warehouse, secret).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(
                shown.contains("syncwatch/warehouse") && shown.contains("Store a JSON object"),
                "{shown}"
            );
        }
    }
}
