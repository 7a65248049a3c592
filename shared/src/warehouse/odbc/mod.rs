//! Any database, through its ODBC driver and unixODBC's driver manager.
//!
//! ODBC calls block, and a driver may hang in one forever. Each connection has its own thread; a caller waits at most
//! until the limit, and then abandons thread and connection. The statement's own timeout is set too, so that a driver
//! that supports it (PostgreSQL's does, SQLite's does not) also stops the server's work.
//!
//! All columns are read as text and parsed by the type that the driver reports: drivers agree on conversions to text,
//! but not on others (SQLite's converts non-numeric text to 0).

mod bind;
mod connection_string;
mod diagnose;
mod fetch;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::lock::Mutex;

use super::settings::{OdbcSettings, SettingsError};
use crate::sql::{Answer, Dialect, Error, ErrorKind, Sink, Statement};
use worker::{Session, Worker};

/// The extra wait after a statement's limit, for the more precise error of a driver that enforces the limit itself.
const GRACE: Duration = Duration::from_secs(1);
/// The most threads that may hang in a driver. Beyond, a further one would only cost memory.
const MOST_LEFT_HANGING: usize = 4;

/// One database, on one connection at a time.
#[derive(Debug)]
pub struct Odbc {
    settings: Arc<OdbcSettings>,
    /// Locked while a statement runs; empty before the first one, and after an abandoned one.
    worker: Mutex<Option<Worker>>,
    /// Counts threads: each holds a clone.
    threads: Arc<()>,
}

impl Odbc {
    /// Creates a client without connecting.
    pub fn new(settings: OdbcSettings) -> Result<Self, SettingsError> {
        connection_string::write(&settings)?;
        Ok(Self { settings: Arc::new(settings), worker: Mutex::new(None), threads: Arc::new(()) })
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.settings.dialect
    }

    pub(super) async fn query(&self, statement: &Statement) -> Result<Answer, Error> {
        let asked = statement.clone();
        self.run(statement.label(), move |session| session.query(&asked)).await
    }

    pub(super) async fn stream(&self, statement: &Statement, sink: Sink) -> Result<(), Error> {
        let asked = statement.clone();
        self.run(statement.label(), move |session| session.stream(&asked, sink)).await
    }

    pub(super) async fn execute_all(&self, statements: &[Statement]) -> Result<Vec<Option<u64>>, Error> {
        let Some(first) = statements.first() else { return Ok(Vec::new()) };
        let written = statements.to_vec();
        self.run(first.label(), move |session| session.execute_all(&written)).await
    }

    /// Sends a job to the thread, and waits for it until the limit. If dropped or too late, it abandons the thread.
    async fn run<T: Send + 'static>(
        &self,
        label: &str,
        act: impl FnOnce(&mut Session<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut slot = self.worker.lock().await;
        let worker = match slot.take() {
            Some(worker) => worker,
            None => self.start(label)?,
        };
        let (reply, answer) = oneshot::channel();
        let ended = || {
            let detail = "the thread of the ODBC driver ended unexpectedly".to_owned();
            ErrorKind::Unreachable { detail }.of(label)
        };
        // The answer is dropped if the job was abandoned.
        let job = move |session: &mut Session<'_>| drop(reply.send(act(session)));
        worker.send(Box::new(job)).map_err(|_| ended())?;
        let limit = self.settings.limits.time;
        match tokio::time::timeout(limit + GRACE, answer).await {
            Ok(Ok(result)) => {
                *slot = Some(worker);
                result
            }
            Ok(Err(oneshot::Canceled)) => Err(ended()),
            Err(_) => {
                let what = "the ODBC driver, whose thread was abandoned";
                Err(ErrorKind::Timeout { seconds: limit.as_secs(), what }.of(label))
            }
        }
    }

    fn start(&self, label: &str) -> Result<Worker, Error> {
        let unreachable = |detail: String| ErrorKind::Unreachable { detail }.of(label);
        // One clone is our own.
        let hanging = Arc::strong_count(&self.threads) - 1;
        if hanging >= MOST_LEFT_HANGING {
            return Err(unreachable(format!("{hanging} earlier statements still hang in the driver")));
        }
        worker::start(self.settings.clone(), self.threads.clone())
            .map_err(|error| unreachable(format!("no thread for the ODBC driver: {error}")))
    }
}
