//! Any database, by its ODBC driver and unixODBC's driver manager.
//!
//! ODBC calls block, and a driver may hang in one for ever. Each connection lives on a thread of its own; whoever waits for it
//! waits no longer than the limit, and then leaves thread and connection to themselves. The statement's own timeout is set
//! as well, so that a driver which heeds it (PostgreSQL's does, SQLite's does not) stops the server's work too.
//!
//! All columns are read as text and parsed by the type that the driver tells: drivers convert to text alike, and to
//! everything else each in its own way (SQLite's makes 0 of a text that is no number).

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
use crate::sql::{Answer, Dialect, Error, ErrorKind, Statement};
use worker::{Session, Worker};

/// How much longer than a statement's limit we wait, for a driver that heeds the limit itself and has more to tell.
const GRACE: Duration = Duration::from_secs(1);
/// Threads that were left hanging in a driver. With so many the driver is beyond hope, and memory is not.
const MOST_LEFT_HANGING: usize = 4;

/// One database, on one connection at a time.
#[derive(Debug)]
pub struct Odbc {
    settings: Arc<OdbcSettings>,
    /// Locked while a statement runs; empty before the first one, and after one that was given up.
    worker: Mutex<Option<Worker>>,
    /// Each thread holds one more of it.
    threads: Arc<()>,
}

impl Odbc {
    /// A database. Nothing is connected yet.
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

    pub(super) async fn execute_all(&self, statements: &[Statement]) -> Result<Vec<Option<u64>>, Error> {
        let Some(first) = statements.first() else { return Ok(Vec::new()) };
        let written = statements.to_vec();
        self.run(first.label(), move |session| session.execute_all(&written)).await
    }

    /// Hands a job to the thread, and waits for it no longer than the limit. Dropped or too late, the thread is left alone.
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
        // When it was given up meanwhile, the answer is dropped.
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
                let what = "the driver, which was left alone";
                Err(ErrorKind::Timeout { seconds: limit.as_secs(), what }.of(label))
            }
        }
    }

    fn start(&self, label: &str) -> Result<Worker, Error> {
        let unreachable = |detail: String| ErrorKind::Unreachable { detail }.of(label);
        // One of them is our own.
        let hanging = Arc::strong_count(&self.threads) - 1;
        if hanging >= MOST_LEFT_HANGING {
            return Err(unreachable(format!("{hanging} earlier statements still hang in the driver")));
        }
        worker::start(self.settings.clone(), self.threads.clone())
            .map_err(|error| unreachable(format!("no thread for the ODBC driver: {error}")))
    }
}
