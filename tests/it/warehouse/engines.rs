//! The engines that the cases run on.

use std::fs;
use std::path::PathBuf;

use secrecy::SecretString;
use syncwatch::http;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::{OdbcSettings, Settings, Warehouse};
use tempfile::TempDir;

use super::postgres::{PASSWORD, Postgres};

/// An engine, with the settings of its connection.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) settings: OdbcSettings,
    pub(super) instant: &'static str,
    server: Option<Postgres>,
    _directory: Option<TempDir>,
}

impl Engine {
    pub(super) fn sqlite() -> Self {
        let directory = tempfile::Builder::new().prefix("syncwatch sqlite ").tempdir().unwrap();
        let file = directory.path().join("warehouse.db").display().to_string();
        let settings = OdbcSettings::sqlite(driver("libsqlite3odbc.so"), file);
        Self { name: "SQLite", settings, instant: "TIMESTAMP", server: None, _directory: Some(directory) }
    }

    pub(super) fn postgresql() -> Self {
        let server = Postgres::start();
        let settings = Self::postgresql_settings(&server, "postgres", PASSWORD);
        let instant = "TIMESTAMP WITH TIME ZONE";
        Self { name: "PostgreSQL", settings, instant, server: Some(server), _directory: None }
    }

    fn postgresql_settings(server: &Postgres, user: &str, password: &str) -> OdbcSettings {
        let driver = driver("psqlodbcw.so");
        OdbcSettings::postgresql(
            driver,
            "127.0.0.1",
            server.port,
            "postgres",
            user,
            SecretString::from(password),
        )
    }

    /// Returns the server of PostgreSQL; panics for SQLite.
    pub(super) fn server(&self) -> &Postgres {
        self.server.as_ref().unwrap()
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.settings.dialect
    }

    pub(super) fn warehouse(&self) -> Warehouse {
        self.warehouse_with(|_| {})
    }

    /// Opens the warehouse with changed settings.
    pub(super) fn warehouse_with(&self, alter: impl FnOnce(&mut OdbcSettings)) -> Warehouse {
        let mut settings = self.settings.clone();
        alter(&mut settings);
        Warehouse::open(Settings::Odbc(settings), http::client().unwrap()).unwrap()
    }

    /// Opens the warehouse as another user.
    pub(super) fn warehouse_as(&self, user: &str, password: &str) -> Warehouse {
        let (user, password) = (user.to_owned(), SecretString::from(password));
        self.warehouse_with(|settings| *settings = settings.clone().with("UID", user).with("PWD", password))
    }

    /// Runs statements that prepare a case.
    pub(super) async fn prepare(&self, statements: &[&str]) {
        let warehouse = self.warehouse();
        for sql in statements {
            warehouse.execute(&Statement::new("prepare", *sql)).await.unwrap();
        }
    }
}

/// Finds an ODBC driver where Debian installs it, for any processor.
fn driver(library: &str) -> String {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let candidates = folders.map(|folder| folder.unwrap().path().join("odbc").join(library));
    let found: Option<PathBuf> = candidates.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{library} is missing: make setup")).display().to_string()
}
