//! The Databricks SQL Statement Execution API 2.0.
//!
//! A statement is posted, with a wait on the server, and then polled. A failed statement is an HTTP success with the
//! state `FAILED`, so only the state counts. The statement starts a stopped warehouse and is `PENDING` until then, with
//! its own time limit. At its limit a statement is cancelled explicitly: without that, it would run on.
//!
//! The API has no idempotency key: a statement that writes is posted again only if it certainly had no effect.
//!
//! Source: the vendor's SDK for Python (`databricks/sdk/service/sql.py`, 0.162.0). This client was not tested against a
//! real workspace.

mod auth;
mod keeper;
mod refusal;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::settings::{DatabricksSettings, Limits, SettingsError};
use super::{WAKING, WARM_UP, WarmUp};
use crate::http::retry::{RetryBudget, RuntimeWatch, Watch};
use crate::http::{ATTEMPT, Call, Repeat};
use crate::observation::WarehouseState;
use crate::sql::{self, Answer, Block, Dialect, Error, ErrorKind, Sink, Statement, Value};
use transport::Transport;
use wire::{Outcome, State, shape};

pub use keeper::{Resize, WarehouseKeeper};

/// The longest wait on the server for the first answer. The API allows 5 to 50 s; our HTTP stack times out after 30 s
/// without data.
const LONGEST_HOLD: Duration = Duration::from_secs(20);
const SHORTEST_HOLD: Duration = Duration::from_secs(5);
/// The first and the longest wait between polls: the server takes up to 5 s to show a new state anyway.
const FIRST_POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// The time limit of a cancellation, and of the poll after it.
const LAST_WORDS: Duration = Duration::from_secs(5);
const STATEMENTS: &str = "/api/2.0/sql/statements";
const STATE: &str = "state of the warehouse";
const HISTORY: &str = "/api/2.0/sql/history/queries";
const QUEUED: &str = "queries that waited";
/// The queries of one page of the history; the vendor allows less than 1,000.
const QUERIES_READ: usize = 200;
const WAREHOUSES: &str = "/api/2.0/sql/warehouses";

/// One SQL warehouse. Clones share the connection pool and the token.
#[derive(Debug, Clone)]
pub struct Databricks {
    transport: Transport,
    settings: Arc<DatabricksSettings>,
    watch: Arc<dyn Watch>,
}

impl Databricks {
    /// Creates a client on a shared HTTP stack.
    pub fn new(http: reqwest::Client, settings: DatabricksSettings) -> Result<Self, SettingsError> {
        Self::with_watch(http, settings, Arc::new(RuntimeWatch))
    }

    /// Creates a client that waits by this clock.
    fn with_watch(
        http: reqwest::Client,
        settings: DatabricksSettings,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SettingsError> {
        let transport = Transport::new(http, &settings, watch.clone())?;
        Ok(Self { transport, settings: Arc::new(settings), watch })
    }

    /// Runs a statement that only reads.
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

    /// Starts the warehouse unless it is serverless. Uses a statement instead of `.../start`: it needs only the right
    /// to query, and keeps a running warehouse from stopping.
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
            // It runs to its end without a waiting caller.
            let waits = outcome.state == State::Pending;
            outcome.succeeded(&statement).map(|_| if waits { WarmUp::Starting } else { WarmUp::Running })
        };
        started.await.map_err(|kind| kind.of(WARM_UP))
    }

    /// Reads the state and size of the warehouse, without starting it.
    pub async fn warehouse_state(&self) -> Result<WarehouseState, Error> {
        let read = self.read_warehouse(STATE).await;
        read.and_then(|warehouse| wire::warehouse_state(&warehouse)).map_err(|kind| kind.of(STATE))
    }

    /// Counts the queries since this instant that waited because the warehouse was full, among the newest
    /// 200. Needs CAN MONITOR or CAN MANAGE to see those of other accounts.
    pub async fn queued(&self, since: Timestamp) -> Result<usize, Error> {
        let read = async {
            // The path checks the id.
            self.warehouse_path()?;
            let query = vec![
                ("filter_by.warehouse_ids", self.settings.warehouse_id.clone()),
                ("filter_by.query_start_time_range.start_time_ms", since.as_millisecond().to_string()),
                ("include_metrics", true.to_string()),
                ("max_results", QUERIES_READ.to_string()),
            ];
            self.send(QUEUED, &Call { query, ..Call::get(HISTORY) }).await
        };
        read.await.map(|list| wire::queued(&list)).map_err(|kind: ErrorKind| kind.of(QUEUED))
    }

    /// Reads the warehouse in the API's JSON.
    async fn read_warehouse(&self, label: &str) -> Result<Json, ErrorKind> {
        self.send(label, &Call::get(self.warehouse_path()?)).await
    }

    fn warehouse_path(&self) -> Result<String, ErrorKind> {
        let id = &self.settings.warehouse_id;
        if wire::is_plain(id) {
            return Ok(format!("{WAREHOUSES}/{id}"));
        }
        let message = "the id of the warehouse has characters that an id cannot have".to_owned();
        Err(ErrorKind::MissingObject { message })
    }

    /// Sends a call that runs no statement.
    async fn send(&self, label: &str, call: &Call) -> Result<Json, ErrorKind> {
        let budget = self.budget(self.settings.retry_budget);
        self.transport.send(&Statement::new(label, "-"), call, &budget).await
    }

    /// Returns `false` also if the account may use the warehouse but not read its settings, as with the token scope
    /// `sql:restricted-query`.
    async fn is_serverless(&self, statement: &Statement, budget: &RetryBudget) -> Result<bool, ErrorKind> {
        let seen = match self.warehouse_path() {
            Ok(path) => self.transport.send(statement, &Call::get(path), budget).await,
            Err(kind) => Err(kind),
        };
        match seen {
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
        // Only checks: the server itself replaces the placeholders.
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

    /// Cancels the statement, and polls once more: a write that succeeded after all must not be reported as failed.
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
        // Errors of the two calls must not replace the timeout.
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
            tracing::warn!(statement = statement.label(), %error, "statement not cancelled");
        }
    }

    /// Reads all chunks of the answer.
    async fn answer(
        &self,
        statement: &Statement,
        outcome: Outcome,
        budget: &RetryBudget,
    ) -> Result<Answer, ErrorKind> {
        let manifest = wire::Manifest::parse(&outcome)?;
        let mut rows = Rows { manifest: &manifest, settings: &self.settings, rows: Vec::new(), bytes: 0 };
        self.chunks(statement, &outcome, &manifest, budget, |chunk| {
            rows.take_chunk(chunk).map(ControlFlow::Continue)
        })
        .await?;
        let Rows { rows, .. } = rows;
        Ok(Answer::new(
            statement,
            Dialect::Databricks,
            manifest.columns.into_iter().map(|c| c.column).collect(),
            rows,
        ))
    }

    /// Runs a statement that only reads, and hands on each chunk of its answer.
    pub(super) async fn stream(&self, statement: &Statement, mut sink: Sink) -> Result<(), Error> {
        let budget = self.budget(self.settings.retry_budget);
        let streamed = async {
            let outcome = self.run(statement, Repeat::Safe, &budget).await?;
            let manifest = wire::Manifest::parse(&outcome)?;
            let (columns, zones) = manifest.columns_and_zones(&self.settings.time_zone);
            self.chunks(statement, &outcome, &manifest, &budget, |chunk| {
                let rows = wire::rows_of(chunk)?;
                let cells = manifest.cells(rows)?;
                let block = Block { dialect: Dialect::Databricks, columns: &columns, zones: &zones, cells };
                Ok(sink(&block).map_continue(|()| rows.len()))
            })
            .await
        };
        streamed.await.map_err(|kind| kind.of(statement.label()))
    }

    /// Passes each chunk of an answer on, until `take` breaks; it returns the number of rows.
    async fn chunks(
        &self,
        statement: &Statement,
        outcome: &Outcome,
        manifest: &wire::Manifest,
        budget: &RetryBudget,
        mut take: impl FnMut(&Json) -> Result<ControlFlow<(), usize>, ErrorKind>,
    ) -> Result<(), ErrorKind> {
        let (mut rows, mut chunks) = (0, 1);
        let mut next = wire::next_chunk(outcome.result());
        match take(outcome.result())? {
            ControlFlow::Continue(taken) => rows += taken,
            ControlFlow::Break(()) => return Ok(()),
        }
        while let Some(chunk) = next {
            let call = Call::get(format!("{STATEMENTS}/{}/result/chunks/{chunk}", outcome.id));
            let answer = self.transport.send(statement, &call, budget).await?;
            next = wire::next_chunk(&answer);
            match take(&answer)? {
                ControlFlow::Continue(taken) => rows += taken,
                ControlFlow::Break(()) => return Ok(()),
            }
            chunks += 1;
            // A server whose chunks go back would loop forever.
            if next.is_some_and(|next| next <= chunk) {
                return Err(shape("next_chunk_index", "an earlier chunk"));
            }
        }
        if manifest.truncated {
            return Err(too_large(&self.settings));
        }
        if manifest.chunks.is_some_and(|declared| declared > chunks) {
            return Err(shape("next_chunk_index", "nothing, although there are more chunks"));
        }
        if manifest.rows.is_some_and(|declared| declared != rows) {
            return Err(shape("manifest.total_row_count", "not the number of rows that were sent"));
        }
        Ok(())
    }
}

/// Returns the wait on the server for its first answer.
fn hold(limits: Limits) -> Duration {
    // Below the API's minimum, the call is asynchronous.
    if limits.time < SHORTEST_HOLD { Duration::ZERO } else { limits.time.min(LONGEST_HOLD) }
}

/// The two time limits of a statement: starting the warehouse, and running.
struct Clock {
    time: Duration,
    start: Duration,
    begun: Instant,
    /// When it was last seen `PENDING`, where its running time begins.
    running_since: Instant,
}

impl Clock {
    /// Returns the time left in this state; `None` if it is used up.
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

/// The rows of an answer, collected chunk by chunk within the limits.
struct Rows<'r> {
    manifest: &'r wire::Manifest,
    settings: &'r DatabricksSettings,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Rows<'_> {
    /// Adds the rows of a chunk, and returns their number.
    fn take_chunk(&mut self, chunk: &Json) -> Result<usize, ErrorKind> {
        let limits = self.settings.limits;
        let rows = wire::rows_of(chunk)?;
        for row in rows {
            if self.rows.len() >= limits.rows {
                return Err(ErrorKind::TooManyRows { limit: limits.rows });
            }
            let (values, bytes) = self.manifest.read_row(row, self.rows.len(), &self.settings.time_zone)?;
            self.bytes += bytes;
            if self.bytes > limits.bytes {
                return Err(too_large(self.settings));
            }
            self.rows.push(values);
        }
        Ok(rows.len())
    }
}

fn too_large(settings: &DatabricksSettings) -> ErrorKind {
    ErrorKind::TooLarge { what: "the answer".to_owned(), limit: settings.limits.bytes }
}

/// Cancels the statement when its caller stops waiting.
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
        // Without a runtime, the cancellation cannot be sent.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let statement = Statement::new("abandoned statement", "-");
                databricks.cancel(&statement, &id).await;
            });
        }
    }
}
