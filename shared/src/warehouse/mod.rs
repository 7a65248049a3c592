//! Warehouse clients: two drivers behind one small interface.
//!
//! * The **Databricks SQL Statement Execution API**, over HTTPS: the default for Databricks, with nothing to package.
//! * **ODBC**, for all other warehouses, for SQLite, and for Databricks where REST is blocked. It is the feature `odbc`
//!   of this crate, off by default, so that functions without it do not link it.
//!
//! [`Warehouse::query`] returns all rows or an error, never some of the rows. Statements, answers and errors are those
//! of [`crate::sql`].
//!
//! # Time
//!
//! Instants are sent in UTC: with their `Z` to the API, and in ODBC sessions that are set to UTC when they open. Civil
//! timestamps (PostgreSQL's `timestamp`, Databricks's `TIMESTAMP_NTZ`, text in SQLite) count as UTC. In SQLite an
//! instant is text of the form `2026-11-24 08:00:00.25`, without a zone or trailing zeros, so that text sorts by time.
//!
//! # Licences of the feature `odbc`
//!
//! `odbc-api` is MIT. Its feature `vendored-unix-odbc` links unixODBC's driver manager (LGPL-2.1-or-later) statically
//! into the program, so that a zip needs no `libodbc.so`. Running the program in your own account has no requirements.
//! If you distribute it, recipients must be able to replace that part: give them this repository's source (Apache-2.0)
//! and its lock file, with which they can build it with another unixODBC, plus the LGPL's text and a notice of its use.
//! Or link it dynamically: without `vendored-unix-odbc` (in `shared/Cargo.toml`) the program needs the system's
//! `libodbc.so.2`, as in a container image with `unixodbc`. Drivers that load `libodbcinst.so` themselves, such as
//! Simba's, need this build too. The drivers have their own licences.

mod databases;
mod databricks;
#[cfg(feature = "odbc")]
mod odbc;
mod sentence;
mod settings;

use jiff::Timestamp;
use serde::Serialize;

use crate::observation::WarehouseState;
use crate::sql::{Answer, Dialect, Error, Sink, Statement, render};

pub use databases::Databases;
pub use databricks::{Databricks, Resize, WarehouseKeeper};
#[cfg(feature = "odbc")]
pub use odbc::Odbc;
pub use settings::{
    DatabricksAuth, DatabricksSettings, Limits, OdbcSettings, Settings, SettingsError, TextEncoding,
};

/// A warehouse. Create one per process and keep it, to reuse connections and tokens.
#[derive(Debug)]
pub enum Warehouse {
    Databricks(Databricks),
    #[cfg(feature = "odbc")]
    Odbc(Odbc),
}

/// The result of starting a warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmUp {
    Running,
    /// It was stopped, and starts now.
    Starting,
    /// It starts within seconds on demand, so it stays stopped.
    Serverless,
}

/// The label of the statement that starts a warehouse.
const WARM_UP: &str = "warm-up of the warehouse";
/// Reads nothing; any statement of an account with CAN USE starts the warehouse.
const WAKING: &str = "SELECT 1";

impl Warehouse {
    /// Opens a warehouse without sending anything. `http` is the shared HTTP stack.
    ///
    /// # Errors
    /// A setting is invalid, or the driver is not built into this program.
    pub fn open(settings: Settings, http: reqwest::Client) -> Result<Self, SettingsError> {
        match settings {
            Settings::Databricks(settings) => Ok(Self::Databricks(Databricks::new(http, settings)?)),
            #[cfg(feature = "odbc")]
            Settings::Odbc(settings) => Ok(Self::Odbc(Odbc::new(settings)?)),
            #[cfg(not(feature = "odbc"))]
            Settings::Odbc(_) => Err(SettingsError::of(
                "driver",
                "needs ODBC, which this program lacks: build it with the feature `odbc`",
            )),
        }
    }

    /// Returns its SQL dialect.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Databricks(_) => Dialect::Databricks,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.dialect(),
        }
    }

    /// Runs a statement that only reads. It may be sent again if its answer was lost.
    pub async fn query(&self, statement: &Statement) -> Result<Answer, Error> {
        match self {
            Self::Databricks(databricks) => databricks.query(statement).await,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.query(statement).await,
        }
    }

    /// Runs a statement that only reads, and hands on its rows as they arrive, in bounded memory, until the sink breaks. Never
    /// retries once rows were handed on. The limit on rows is that of Databricks only.
    pub async fn stream(&self, statement: &Statement, sink: Sink) -> Result<(), Error> {
        match self {
            Self::Databricks(databricks) => databricks.stream(statement, sink).await,
            #[cfg(feature = "odbc")]
            Self::Odbc(odbc) => odbc.stream(statement, sink).await,
        }
    }

    /// Starts a stopped warehouse without waiting for it. An ODBC driver waits as for any statement.
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

    /// Reads its state and size without starting it; `None` over ODBC, which has no such call.
    pub async fn state(&self) -> Result<Option<WarehouseState>, Error> {
        match self {
            Self::Databricks(databricks) => databricks.warehouse_state().await.map(Some),
            #[cfg(feature = "odbc")]
            Self::Odbc(_) => Ok(None),
        }
    }

    /// Counts the newest queries since this instant that waited because it was full; `None` over ODBC.
    pub async fn queued(&self, since: Timestamp) -> Result<Option<usize>, Error> {
        match self {
            Self::Databricks(databricks) => databricks.queued(since).await.map(Some),
            #[cfg(feature = "odbc")]
            Self::Odbc(_) => Ok(None),
        }
    }

    /// Runs a statement that writes. It is sent again only if it certainly had no effect. Returns the number of
    /// affected rows, if the engine reports it.
    ///
    /// # Errors
    /// See [`Error`]. After `Unreachable` and `Timeout` it may have been executed: write by key, so that a repetition
    /// is harmless.
    pub async fn execute(&self, statement: &Statement) -> Result<Option<u64>, Error> {
        let affected = self.execute_all(std::slice::from_ref(statement)).await?;
        Ok(affected.first().copied().flatten())
    }

    /// Runs statements that write, in order, in one transaction if the engine has transactions
    /// ([`Dialect::has_transactions`]). Databricks has none across statements: after a failure, the statements before
    /// it remain executed, and the caller must repeat all, by key.
    ///
    /// # Errors
    /// See [`Error`] and [`Warehouse::execute`].
    pub async fn execute_all(&self, statements: &[Statement]) -> Result<Vec<Option<u64>>, Error> {
        // Checks all before it runs any.
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
