//! The clients for warehouses: two drivers behind one small interface.
//!
//! * The **Databricks SQL Statement Execution API**, over HTTPS: nothing to package, and the default for Databricks.
//! * **ODBC**, for every other warehouse, for SQLite, and for Databricks where REST is blocked. It is the feature `odbc`
//!   of this crate, off by default, so that a function which does not ask for it links none of it.
//!
//! [`Warehouse::query`] answers with all rows or an error, never with some of them. Statements, answers and errors are
//! those of [`crate::sql`].
//!
//! # Time
//!
//! Instants travel in UTC. The API gets them with their `Z`; sessions over ODBC are set to UTC when they are opened. Civil
//! timestamps (PostgreSQL's `timestamp`, Databricks's `TIMESTAMP_NTZ`, text in SQLite) count as UTC. In SQLite an instant is text of
//! the form `2026-11-24 08:00:00.25`: no zone, and no zeros at the end of the fraction, so that text compares as time does.
//!
//! # The licence of what the feature `odbc` links in
//!
//! `odbc-api` is MIT. Its feature `vendored-unix-odbc` compiles unixODBC's driver manager (LGPL-2.1-or-later) into the program,
//! statically, so that a zip needs no `libodbc.so`. To run such a program in one's own account asks for nothing. Who hands the
//! program on to others must let them exchange that part: give them this repository's source (Apache-2.0) and its lock file,
//! by which they can build it with another unixODBC, with the LGPL's text and a note that it is in use. Or link it
//! dynamically: without `vendored-unix-odbc` (in `shared/Cargo.toml`) the program wants `libodbc.so.2` of the system, as a container image
//! with `unixodbc` has it. That is also the build for drivers that look for `libodbcinst.so` themselves, as those of Simba do. The drivers
//! have licences of their own.

mod databricks;
#[cfg(feature = "odbc")]
mod odbc;
mod sentence;
mod settings;

use serde::Serialize;

use crate::sql::{Answer, Dialect, Error, Statement, render};

pub use databricks::Databricks;
#[cfg(feature = "odbc")]
pub use odbc::Odbc;
pub use settings::{
    DatabricksAuth, DatabricksSettings, Limits, OdbcSettings, Settings, SettingsError, TextEncoding,
};

/// A warehouse. Make one for each process and keep it: connections and tokens are reused.
#[derive(Debug)]
pub enum Warehouse {
    Databricks(Databricks),
    #[cfg(feature = "odbc")]
    Odbc(Odbc),
}

/// What became of a warehouse that was to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmUp {
    Running,
    /// It was asleep, and starts now.
    Starting,
    /// It starts within seconds whenever it is asked, so it is left asleep.
    Serverless,
}

/// The label of the statement that has a warehouse start.
const WARM_UP: &str = "warm-up of the warehouse";
/// Reads nothing; a statement from an account that may use a warehouse starts it.
const WAKING: &str = "SELECT 1";

impl Warehouse {
    /// Opens a warehouse. Nothing is sent yet. `http` is the HTTP stack that is shared with others.
    ///
    /// # Errors
    /// A setting cannot be used, or the driver is not part of this program.
    pub fn open(settings: Settings, http: reqwest::Client) -> Result<Self, SettingsError> {
        match settings {
            Settings::Databricks(settings) => Ok(Self::Databricks(Databricks::new(http, settings)?)),
            #[cfg(feature = "odbc")]
            Settings::Odbc(settings) => Ok(Self::Odbc(Odbc::new(settings)?)),
            #[cfg(not(feature = "odbc"))]
            Settings::Odbc(_) => Err(SettingsError::of(
                "driver",
                "asks for ODBC, which this program was built without: build it with the feature `odbc`",
            )),
        }
    }

    /// Whose SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Databricks(_) => Dialect::Databricks,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.dialect(),
        }
    }

    /// Asks a statement that only reads. It may be sent a second time if its answer was lost.
    pub async fn query(&self, statement: &Statement) -> Result<Answer, Error> {
        match self {
            Self::Databricks(databricks) => databricks.query(statement).await,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.query(statement).await,
        }
    }

    /// Has a warehouse that may be asleep start, without waiting for it. A driver of ODBC waits as long as it does for any
    /// statement.
    pub async fn warm_up(&self) -> Result<WarmUp, Error> {
        match self {
            Self::Databricks(databricks) => databricks.warm_up().await,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => {
                let statement = Statement::new(WARM_UP, WAKING);
                odbc.query(&statement).await.map(|_| WarmUp::Running)
            }
        }
    }

    /// Runs a statement that writes. It is sent again only if it was surely not taken. Answers with the number of rows
    /// that it touched, if the engine says so.
    ///
    /// # Errors
    /// See [`Error`]. After `Unreachable` and `Timeout` it may have been done: write by key, so that
    /// doing it again is harmless.
    pub async fn execute(&self, statement: &Statement) -> Result<Option<u64>, Error> {
        let affected = self.execute_all(std::slice::from_ref(statement)).await?;
        Ok(affected.first().copied().flatten())
    }

    /// Runs statements that write, in order: all or none of them where the engine has transactions
    /// ([`Dialect::has_transactions`]). Databricks has none across statements: there those before the one that failed
    /// are done, and the caller does all of them again, by key.
    ///
    /// # Errors
    /// See [`Error`] and [`Warehouse::execute`].
    pub async fn execute_all(&self, statements: &[Statement]) -> Result<Vec<Option<u64>>, Error> {
        // Before any of them is done.
        for statement in statements {
            render(statement, self.dialect())?;
        }
        match self {
            Self::Databricks(databricks) => {
                let mut affected = Vec::with_capacity(statements.len());
                for statement in statements {
                    affected.push(databricks.execute(statement).await?);
                }
                Ok(affected)
            }
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.execute_all(statements).await,
        }
    }
}
