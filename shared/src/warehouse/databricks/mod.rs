//! The Databricks SQL Statement Execution API 2.0.
//!
//! A statement is posted and waited for on the server, then polled. Its failure comes as a success of HTTP with the state
//! `FAILED`, so the state is what counts. A warehouse that is asleep is woken by the statement, which is `PENDING` meanwhile;
//! that wait has a limit of its own. Giving up is telling the server so: stopping to poll would let the statement run on.
//!
//! The API has no key of idempotency: a statement that writes is posted again only if it was surely not taken.
//!
//! Facts by the vendor's SDK for Python (`databricks/sdk/service/sql.py`, 0.162.0); nothing here was run against a real
//! workspace.

mod auth;
mod refusal;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::settings::{DatabricksSettings, Limits, SettingsError};
use super::{WAKING, WARM_UP, WarmUp};
use crate::http::retry::{RetryBudget, RuntimeWatch, Watch};
use crate::http::{ATTEMPT, Call, Repeat};
use crate::sql::{self, Answer, Dialect, Error, ErrorKind, Statement, Value};
use transport::Transport;
use wire::{Outcome, State, shape};

/// How long the server may hold the first answer back. It allows 5 to 50 s; our HTTP stack gives up on a server that
/// is silent for 30 s.
const LONGEST_HOLD: Duration = Duration::from_secs(20);
const SHORTEST_HOLD: Duration = Duration::from_secs(5);
/// The waits between polls: the server takes up to 5 s to tell a new state anyway.
const FIRST_POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// How long to wait for the answer to a cancellation, and for the state after it.
const LAST_WORDS: Duration = Duration::from_secs(5);
const STATEMENTS: &str = "/api/2.0/sql/statements";
const WAREHOUSES: &str = "/api/2.0/sql/warehouses";

/// One SQL warehouse. Clones share the connection pool and the token.
#[derive(Debug, Clone)]
pub struct Databricks {
    transport: Transport,
    settings: Arc<DatabricksSettings>,
    watch: Arc<dyn Watch>,
}

impl Databricks {
    /// A client on an HTTP stack that is shared with others.
    pub fn new(http: reqwest::Client, settings: DatabricksSettings) -> Result<Self, SettingsError> {
        Self::with_watch(http, settings, Arc::new(RuntimeWatch))
    }

    /// The same, with a watch of the caller's for all waiting.
    fn with_watch(
        http: reqwest::Client,
        settings: DatabricksSettings,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SettingsError> {
        let transport = Transport::new(http, &settings, watch.clone())?;
        Ok(Self { transport, settings: Arc::new(settings), watch })
    }

    /// Asks a statement that only reads.
    pub(super) async fn query(&self, statement: &Statement) -> Result<Answer, Error> {
        let budget = self.budget(self.settings.retry_budget);
        let answer = async {
            let outcome = self.run(statement, Repeat::Safe, &budget).await?;
            self.answer(statement, outcome, &budget).await
        };
        answer.await.map_err(|kind| kind.of(statement.label()))
    }

    /// Runs a statement that writes.
    pub(super) async fn execute(&self, statement: &Statement) -> Result<Option<u64>, Error> {
        let budget = self.budget(self.settings.retry_budget);
        let outcome = self.run(statement, Repeat::OnlyIfNotTaken, &budget).await;
        outcome.map(|outcome| wire::affected_rows(&outcome)).map_err(|kind| kind.of(statement.label()))
    }

    /// Has the warehouse start if it is none that starts within seconds. By a statement and not by `.../start`: the right to
    /// query is enough for it, and a warehouse that runs is kept from stopping.
    pub(super) async fn warm_up(&self) -> Result<WarmUp, Error> {
        let statement = Statement::new(WARM_UP, WAKING);
        let budget = self.budget(self.settings.retry_budget);
        let started = async {
            if self.is_serverless(&statement, &budget).await? {
                return Ok(WarmUp::Serverless);
            }
            let call = Call {
                method: Method::POST,
                body: Some(wire::request(&statement, &self.settings, Duration::ZERO)),
                ..Call::get(STATEMENTS)
            };
            let outcome = Outcome::parse(self.transport.send(&statement, &call, &budget).await?)?;
            // It runs to its end, and no caller waits for it.
            let waits = outcome.state == State::Pending;
            outcome.succeeded(&statement).map(|_| if waits { WarmUp::Starting } else { WarmUp::Running })
        };
        started.await.map_err(|kind| kind.of(WARM_UP))
    }

    /// `false` for one that the account may use but not look at, as a token of the scope `sql:restricted-query`.
    async fn is_serverless(&self, statement: &Statement, budget: &RetryBudget) -> Result<bool, ErrorKind> {
        let id = &self.settings.warehouse_id;
        if !wire::is_plain(id) {
            return Ok(false);
        }
        match self.transport.send(statement, &Call::get(format!("{WAREHOUSES}/{id}")), budget).await {
            Ok(warehouse) => Ok(warehouse.get("enable_serverless_compute") == Some(&Json::Bool(true))),
            Err(ErrorKind::NoAccess { .. } | ErrorKind::MissingObject { .. }) => Ok(false),
            Err(kind) => Err(kind),
        }
    }

    fn budget(&self, total: Duration) -> RetryBudget {
        RetryBudget::with_watch(total, self.watch.clone())
    }

    /// Posts the statement and waits for its end.
    async fn run(
        &self,
        statement: &Statement,
        repeat: Repeat,
        budget: &RetryBudget,
    ) -> Result<Outcome, ErrorKind> {
        // For the check only: the server finds the placeholders itself.
        sql::render(statement, Dialect::Databricks).map_err(|error| error.kind)?;
        let limits = self.settings.limits;
        let begun = self.watch.now();
        let hold = hold(limits);
        let call = Call {
            method: Method::POST,
            body: Some(wire::request(statement, &self.settings, hold)),
            repeat,
            timeout: hold + ATTEMPT,
            ..Call::get(STATEMENTS)
        };
        let answer = self.transport.send(statement, &call, budget).await?;
        let mut outcome = Outcome::parse(answer)?;
        let mut guard = CancelOnDrop { id: Some(outcome.id.clone()), databricks: self.clone() };
        let (time, start) = (limits.time, self.settings.start_limit);
        let mut clock = Clock { time, start, begun, running_since: begun };
        let mut wait = FIRST_POLL;
        while matches!(outcome.state, State::Pending | State::Running) {
            let now = self.watch.now();
            let Some(left) = clock.left(outcome.state, now) else {
                guard.disarm();
                return self.give_up(statement, &outcome, &clock).await;
            };
            self.watch.sleep_until(now + wait.min(left)).await;
            wait = (wait * 2).min(LONGEST_POLL);
            let poll = Call::get(format!("{STATEMENTS}/{}", outcome.id));
            outcome = Outcome::parse(self.transport.send(statement, &poll, budget).await?)?;
        }
        guard.disarm();
        outcome.succeeded(statement)
    }

    /// Cancels the statement, and looks whether it was done nevertheless: a write that was must not be reported as lost.
    async fn give_up(
        &self,
        statement: &Statement,
        outcome: &Outcome,
        clock: &Clock,
    ) -> Result<Outcome, ErrorKind> {
        let timed_out = ErrorKind::Timeout {
            seconds: clock.limit(outcome.state).as_secs(),
            what: match outcome.state {
                State::Pending => "the warehouse to start",
                _ => "the answer",
            },
        };
        // None of the two may fail louder than the timeout itself.
        self.cancel(statement, &outcome.id).await;
        let last = Call { timeout: LAST_WORDS, ..Call::get(format!("{STATEMENTS}/{}", outcome.id)) };
        let last = self.transport.send(statement, &last, &self.budget(Duration::ZERO)).await;
        match last.and_then(Outcome::parse) {
            Ok(outcome) if outcome.state == State::Succeeded => Ok(outcome),
            _ => Err(timed_out),
        }
    }

    async fn cancel(&self, statement: &Statement, id: &str) {
        let path = format!("{STATEMENTS}/{id}/cancel");
        let call = Call { method: Method::POST, timeout: LAST_WORDS, ..Call::get(path) };
        if let Err(error) = self.transport.send(statement, &call, &self.budget(Duration::ZERO)).await {
            tracing::warn!(statement = statement.label(), "could not be cancelled: {error}");
        }
    }

    /// Reads all chunks of the answer.
    async fn answer(
        &self,
        statement: &Statement,
        outcome: Outcome,
        budget: &RetryBudget,
    ) -> Result<Answer, ErrorKind> {
        if outcome.state == State::Closed {
            return Err(shape("status.state", "CLOSED, its result is no longer kept"));
        }
        let manifest = wire::Manifest::parse(&outcome)?;
        let mut rows = Rows { manifest: &manifest, settings: &self.settings, rows: Vec::new(), bytes: 0 };
        let mut next = rows.take_chunk(outcome.result())?;
        let mut chunks = 1;
        while let Some(chunk) = next {
            let call = Call::get(format!("{STATEMENTS}/{}/result/chunks/{chunk}", outcome.id));
            let answer = self.transport.send(statement, &call, budget).await?;
            next = rows.take_chunk(&answer)?;
            chunks += 1;
            // A server that leads back would keep us for ever.
            if next.is_some_and(|next| next <= chunk) {
                return Err(shape("next_chunk_index", "a chunk that was read before"));
            }
        }
        if manifest.truncated {
            return Err(rows.too_large());
        }
        if manifest.chunks.is_some_and(|said| said > chunks) {
            return Err(shape("next_chunk_index", "nothing, though there are more chunks"));
        }
        let Rows { rows, .. } = rows;
        if manifest.rows.is_some_and(|said| said != rows.len()) {
            return Err(shape("manifest.total_row_count", "another number of rows than there are"));
        }
        Ok(Answer::new(
            statement,
            Dialect::Databricks,
            manifest.columns.into_iter().map(|c| c.column).collect(),
            rows,
        ))
    }
}

/// How long to let the server hold its first answer back.
fn hold(limits: Limits) -> Duration {
    // Shorter than it can: asynchronously then.
    if limits.time < SHORTEST_HOLD { Duration::ZERO } else { limits.time.min(LONGEST_HOLD) }
}

/// The two limits of a statement: waiting for the warehouse, and running.
struct Clock {
    time: Duration,
    start: Duration,
    begun: Instant,
    /// When it was last seen waiting: its own time begins no earlier.
    running_since: Instant,
}

impl Clock {
    /// How long it may still be in this state; `None` when that is used up.
    fn left(&mut self, state: State, now: Instant) -> Option<Duration> {
        let since = if state == State::Pending {
            self.running_since = now;
            self.begun
        } else {
            self.running_since
        };
        self.limit(state).checked_sub(now.duration_since(since)).filter(|left| !left.is_zero())
    }

    fn limit(&self, state: State) -> Duration {
        if state == State::Pending { self.start } else { self.time }
    }
}

/// The rows of an answer, taken chunk by chunk within the limits.
struct Rows<'r> {
    manifest: &'r wire::Manifest,
    settings: &'r DatabricksSettings,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Rows<'_> {
    /// Takes the rows of a chunk, and says which one is next.
    fn take_chunk(&mut self, chunk: &Json) -> Result<Option<u64>, ErrorKind> {
        let limits = self.settings.limits;
        for row in wire::rows_of(chunk)? {
            if self.rows.len() >= limits.rows {
                return Err(ErrorKind::TooManyRows { limit: limits.rows });
            }
            let (values, bytes) = self.manifest.read_row(row, self.rows.len(), &self.settings.time_zone)?;
            self.bytes += bytes;
            if self.bytes > limits.bytes {
                return Err(self.too_large());
            }
            self.rows.push(values);
        }
        Ok(wire::next_chunk(chunk))
    }

    fn too_large(&self) -> ErrorKind {
        ErrorKind::TooLarge { what: "the answer".to_owned(), limit: self.settings.limits.bytes }
    }
}

/// Cancels the statement when the caller no longer waits for it.
struct CancelOnDrop {
    id: Option<String>,
    databricks: Databricks,
}

impl CancelOnDrop {
    fn disarm(&mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let databricks = self.databricks.clone();
        // Without a runtime it cannot be sent.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let statement = Statement::new("a statement that nobody waits for", "-");
                databricks.cancel(&statement, &id).await;
            });
        }
    }
}
