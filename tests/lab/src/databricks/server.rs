//! The API over HTTP on loopback.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use syncwatch::warehouse::Warehouse;
use tokio::sync::{MutexGuard, watch};
use tokio::task::JoinHandle;

use super::statement::{Asked, Ended, chunk, failed, manifest};
use crate::loopback;

/// An accepted personal access token.
pub const TOKEN: &str = "dapi-the-lab";
/// The client id of the service principal.
pub const CLIENT_ID: &str = "00000000-0000-4000-8000-00000000c11e";
/// The client secret of the service principal.
pub const CLIENT_SECRET: &str = "dose-the-lab";
/// The only SQL warehouse: the one in `infra/pipeline.toml`.
pub const WAREHOUSE_ID: &str = "0123456789abcdef";

/// The default number of rows per chunk.
const ROWS_A_CHUNK: usize = 1_000;
/// The vendor's limit on the text of a statement, in bytes.
const LONGEST_STATEMENT: usize = 16 << 20;

/// The faults, by name. Those with `times` apply in the order of their injection.
///
/// As JSON: `{"fault": "starting", "looks": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DatabricksFault {
    /// The warehouse starts: the next statement is `PENDING` for this many answers.
    Starting {
        /// The number of answers, the one to the first request included.
        looks: u32,
    },
    /// The warehouse is stopped, and takes `start_s` to start once it is started or gets a statement.
    Stopped {
        /// Seconds by the clock of the warehouse; see [`DatabricksServer::pass`].
        start_s: u64,
    },
    /// Statements do not start a stopped warehouse, but wait until it runs, until this is healed.
    NoAutoStart,
    /// A warehouse that starts keeps starting, until this is healed.
    NeverStarts,
    /// The caller may not start the warehouse, until this is healed. Statements still start it.
    StartRefused,
    /// The caller may not edit the warehouse, until this is healed.
    EditRefused,
    /// The warehouse is full: the history shows this many queries that waited, until this is healed.
    Full { queries: u32 },
    /// The next statement fails, inside a 200.
    Fails {
        /// Such as `BAD_REQUEST`.
        error_code: String,
        message: String,
        sql_state: String,
    },
    /// The next `times` requests get a 429.
    RateLimited {
        times: u32,
        /// The `Retry-After` header, in seconds.
        retry_after: u32,
    },
    /// The next `times` requests get a 503.
    Unavailable {
        times: u32,
        /// The `Retry-After` header, in seconds.
        retry_after: u32,
    },
    /// Statements are delayed, until this is healed.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// Statements run until they are cancelled or this is healed.
    Hangs,
    /// No token is accepted or issued, until this is healed.
    Unauthorized,
    /// Every token has expired, which Databricks answers with a 403, until this is healed.
    Expired,
    /// An IP access list blocks the caller, at the token endpoint too, until this is healed.
    IpBlocked,
    /// The caller may not use the warehouse, until this is healed.
    NoGrant,
}

/// Keeps the database behind the API up to date.
pub trait Upkeep: std::fmt::Debug + Send + Sync {
    /// Writes the changes since the last call. The database does not change again until the answer is dropped.
    fn keep_up(&self) -> BoxFuture<'_, Result<Present<'_>>>;
}

/// An up-to-date database, for one statement.
#[derive(Debug)]
pub struct Present<'u> {
    /// How far the data's time is ahead of the caller's: see [`crate::clock::LabClock::ahead_of_wall`].
    pub ahead: SignedDuration,
    /// Held until the statement has ended.
    pub turn: MutexGuard<'u, ()>,
}

/// A running API. Dropping it stops it.
#[derive(Debug)]
pub struct DatabricksServer {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    warehouse: Warehouse,
    upkeep: Option<Box<dyn Upkeep>>,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    statements: BTreeMap<String, Running>,
    /// The texts of the statements, oldest first.
    asked: Vec<String>,
    cancelled: Vec<String>,
    tokens: BTreeSet<String>,
    issued: u64,
    rows_a_chunk: usize,
    /// Scripted refusals: the status, and the seconds to wait.
    refusals: VecDeque<(u16, u32)>,
    failures: VecDeque<Ended>,
    starting: Option<u32>,
    power: Power,
    auto_starts: bool,
    /// The queries that waited since the warehouse was full.
    waited: u32,
    never_starts: bool,
    /// The calls that are refused: `start` and `edit`.
    refused: BTreeSet<&'static str>,
    /// The calls that change the warehouse, refused ones included, oldest first.
    writes: Vec<(&'static str, Json)>,
    /// The settings of the warehouse, in the API's JSON.
    warehouse: Map<String, Json>,
    /// The lead of the warehouse's clock over this machine's.
    passed: Duration,
    slow: Duration,
    hangs: bool,
    /// A fault of authentication that lasts until it is healed.
    door: Option<DatabricksFault>,
}

/// The power state of the warehouse.
#[derive(Debug, Clone, Copy)]
enum Power {
    Running,
    Stopped { start: Duration },
    Starting { since: Instant, start: Duration },
}

impl Books {
    /// The state of the warehouse, in the names of the vendor's SDK (`State`).
    fn state(&mut self) -> &'static str {
        if let Power::Starting { since, start } = self.power
            && !self.never_starts
            && since.elapsed() + self.passed >= start
        {
            self.power = Power::Running;
        }
        match self.power {
            Power::Running => "RUNNING",
            Power::Stopped { .. } => "STOPPED",
            Power::Starting { .. } => "STARTING",
        }
    }

    fn start(&mut self) {
        if let Power::Stopped { start } = self.power {
            self.passed = Duration::ZERO;
            self.power = Power::Starting { since: Instant::now(), start };
        }
    }

    /// The warehouse in the API's JSON (`EndpointInfo` of the SDK).
    fn warehouse(&mut self) -> Json {
        let state = self.state();
        let mut warehouse = self.warehouse.clone();
        warehouse.extend(fields(&json!({
            "id": WAREHOUSE_ID, "state": state, "num_clusters": u8::from(state == "RUNNING"),
        })));
        Json::Object(warehouse)
    }

    /// Edits the warehouse. Whether Databricks keeps or resets left-out fields is not documented: the lab resets them, so
    /// that a client that leaves some out fails its test.
    fn edit(&mut self, asked: &Json) -> Result<(), &'static str> {
        let number = |key: &str, default: u64| asked.get(key).map_or(Some(default), Json::as_u64);
        let fewest = number("min_num_clusters", 1).filter(|fewest| (1..=30).contains(fewest));
        let fewest = fewest.ok_or("min_num_clusters must be from 1 to 30")?;
        let most = number("max_num_clusters", fewest).filter(|most| (fewest..=40).contains(most));
        let most = most.ok_or("max_num_clusters must be from min_num_clusters to 40")?;
        let idle = number("auto_stop_mins", 120).filter(|minutes| *minutes == 0 || *minutes >= 10);
        let idle = idle.ok_or("auto_stop_mins must be 0 or at least 10")?;
        let text = |key: &str| asked.get(key).filter(|text| text.is_string());
        let mut edited = fields(&json!({
            "name": text("name").ok_or("name is required")?,
            "cluster_size": text("cluster_size").ok_or("cluster_size is required")?,
            "warehouse_type": "CLASSIC",
            "enable_serverless_compute": false,
        }));
        edited.extend(fields(asked));
        edited.extend(fields(&json!({
            "min_num_clusters": fewest, "max_num_clusters": most, "auto_stop_mins": idle,
        })));
        self.warehouse = edited;
        Ok(())
    }
}

/// The members of an object; none of another value.
fn fields(object: &Json) -> Map<String, Json> {
    object.as_object().cloned().unwrap_or_default()
}

#[derive(Debug)]
struct Running {
    pending_answers: u32,
    /// Whether the warehouse ran at an earlier request.
    begun: bool,
    row_limit: usize,
    ended: watch::Sender<Option<Ended>>,
}

impl DatabricksServer {
    /// Listens on a free loopback port, over a SQLite database (see [`crate::engines::sqlite`]).
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(warehouse: Warehouse) -> Result<Self> {
        Self::serve(warehouse, None).await
    }

    /// The same, but `upkeep` updates the database before each statement.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start_living(warehouse: Warehouse, upkeep: impl Upkeep + 'static) -> Result<Self> {
        Self::serve(warehouse, Some(Box::new(upkeep))).await
    }

    async fn serve(warehouse: Warehouse, upkeep: Option<Box<dyn Upkeep>>) -> Result<Self> {
        let (listener, url) = loopback::bind().await?;
        let books = Books {
            statements: BTreeMap::new(),
            asked: Vec::new(),
            cancelled: Vec::new(),
            tokens: BTreeSet::from([TOKEN.to_owned()]),
            issued: 0,
            rows_a_chunk: ROWS_A_CHUNK,
            refusals: VecDeque::new(),
            failures: VecDeque::new(),
            starting: None,
            power: Power::Running,
            auto_starts: true,
            waited: 0,
            never_starts: false,
            refused: BTreeSet::new(),
            writes: Vec::new(),
            warehouse: fields(&json!({
                "name": "the lab",
                "cluster_size": "2X-Small",
                "min_num_clusters": 1,
                "max_num_clusters": 1,
                "auto_stop_mins": 10,
                "warehouse_type": "PRO",
                "enable_serverless_compute": false,
                "tags": { "custom_tags": [{ "key": "team", "value": "data" }] },
            })),
            passed: Duration::ZERO,
            slow: Duration::ZERO,
            hangs: false,
            door: None,
        };
        let shared = Arc::new(Shared { warehouse, upkeep, books: Mutex::new(books) });
        let router = Router::new()
            .route("/oidc/v1/token", routing::post(token))
            .route("/.well-known/databricks-config", routing::get(host_metadata))
            .route("/oidc/.well-known/oauth-authorization-server", routing::get(oauth_server))
            .route("/api/2.0/sql/statements", routing::post(execute))
            .route("/api/2.0/sql/statements/{id}", routing::get(look))
            .route("/api/2.0/sql/statements/{id}/result/chunks/{index}", routing::get(result_chunk))
            .route("/api/2.0/sql/statements/{id}/cancel", routing::post(cancel))
            .route("/api/2.0/sql/history/queries", routing::get(query_history))
            .route("/api/2.0/sql/warehouses", routing::get(list_warehouses))
            .route("/api/2.0/sql/warehouses/{id}", routing::get(show_warehouse))
            .route("/api/2.0/sql/warehouses/{id}/start", routing::post(start_warehouse))
            .route("/api/2.0/sql/warehouses/{id}/edit", routing::post(edit_warehouse))
            .layer(axum::extract::DefaultBodyLimit::max(LONGEST_STATEMENT + (1 << 20)))
            .with_state(Arc::clone(&shared));
        let server = loopback::serve(listener, router, "the simulated Databricks");
        Ok(Self { url, shared, server })
    }

    /// The base URL, as in the settings.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The texts of the accepted statements, oldest first.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.shared.books().asked.clone()
    }

    /// The ids of the cancelled statements, oldest first.
    #[must_use]
    pub fn cancelled(&self) -> Vec<String> {
        self.shared.books().cancelled.clone()
    }

    /// The number of issued tokens.
    #[must_use]
    pub fn tokens_given(&self) -> u64 {
        self.shared.books().issued
    }

    /// Expires every issued token.
    pub fn expire_tokens(&self) {
        self.shared.books().tokens.retain(|token| token == TOKEN);
    }

    /// Sets the number of rows per chunk, at least one.
    pub fn set_rows_a_chunk(&self, rows: usize) {
        self.shared.books().rows_a_chunk = rows.max(1);
    }

    /// Moves the clock of a starting warehouse forward.
    pub fn pass(&self, time: Duration) {
        self.shared.books().passed += time;
    }

    /// Sets whether the warehouse is serverless.
    pub fn set_serverless(&self, serverless: bool) {
        self.set_warehouse("enable_serverless_compute", json!(serverless));
    }

    /// Sets a field of the warehouse in the API's JSON, such as `auto_stop_mins`, as a person does.
    pub fn set_warehouse(&self, field: &str, value: Json) {
        self.shared.books().warehouse.insert(field.to_owned(), value);
    }

    /// The calls that change the warehouse, `start` or `edit`, each with its body, oldest first. Refused ones count.
    #[must_use]
    pub fn writes(&self) -> Vec<(&'static str, Json)> {
        self.shared.books().writes.clone()
    }

    /// Injects a fault.
    pub fn inflict(&self, fault: DatabricksFault) {
        let mut books = self.shared.books();
        match fault {
            DatabricksFault::Starting { looks } => books.starting = Some(looks),
            DatabricksFault::Stopped { start_s } => {
                books.power = Power::Stopped { start: Duration::from_secs(start_s) };
            }
            DatabricksFault::NoAutoStart => books.auto_starts = false,
            DatabricksFault::Full { queries } => books.waited = queries,
            DatabricksFault::NeverStarts => books.never_starts = true,
            DatabricksFault::StartRefused => drop(books.refused.insert("start")),
            DatabricksFault::EditRefused => drop(books.refused.insert("edit")),
            DatabricksFault::Fails { error_code, message, sql_state } => {
                books.failures.push_back(failed(&error_code, &sql_state, message));
            }
            DatabricksFault::RateLimited { times, retry_after } => {
                books.refusals.extend((0..times).map(|_| (429, retry_after)));
            }
            DatabricksFault::Unavailable { times, retry_after } => {
                books.refusals.extend((0..times).map(|_| (503, retry_after)));
            }
            DatabricksFault::Slow { ms } => books.slow = Duration::from_millis(ms),
            DatabricksFault::Hangs => books.hangs = true,
            DatabricksFault::Unauthorized
            | DatabricksFault::Expired
            | DatabricksFault::IpBlocked
            | DatabricksFault::NoGrant => books.door = Some(fault),
        }
    }

    /// Ends every fault. A hanging statement keeps hanging.
    pub fn heal(&self) {
        let mut books = self.shared.books();
        books.refusals.clear();
        books.failures.clear();
        books.starting = None;
        books.power = Power::Running;
        books.auto_starts = true;
        books.waited = 0;
        books.never_starts = false;
        books.refused.clear();
        books.slow = Duration::ZERO;
        books.hangs = false;
        books.door = None;
    }
}

impl Drop for DatabricksServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, asked: &Asked) -> Ended {
        let Some(upkeep) = &self.upkeep else {
            return asked.run(&self.warehouse, SignedDuration::ZERO).await;
        };
        match upkeep.keep_up().await {
            Ok(Present { ahead, turn: _turn }) => asked.run(&self.warehouse, ahead).await,
            Err(error) => {
                failed("INTERNAL_ERROR", "", format!("the lab could not write its data: {error:#}"))
            }
        }
    }

    /// The refusal of a request before it is handled, if any.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let mut books = self.books();
        if let Some((status, seconds)) = books.refusals.pop_front() {
            let code = if status == 429 { "RESOURCE_EXHAUSTED" } else { "TEMPORARILY_UNAVAILABLE" };
            let mut response = refuse(status, code, "scripted by the lab");
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return Some(response);
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|given| given.strip_prefix("Bearer ")).unwrap_or_default();
        match books.door {
            Some(DatabricksFault::IpBlocked) => Some(ip_blocked()),
            Some(DatabricksFault::Expired) => Some(invalid_token()),
            Some(DatabricksFault::Unauthorized) => {
                Some(refuse(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type"))
            }
            _ if !books.tokens.contains(token) => Some(invalid_token()),
            Some(DatabricksFault::NoGrant) => {
                Some(refuse(403, "PERMISSION_DENIED", "You do not have permission to use the SQL Warehouse."))
            }
            _ => None,
        }
    }

    /// Answers with the state of a statement, and its result once it has ended.
    fn show(&self, id: &str) -> Response {
        let mut books = self.books();
        let size = books.rows_a_chunk;
        let Some(running) = books.statements.get_mut(id) else { return no_such_statement(id) };
        let ended = running.ended.borrow().clone();
        let waits = ended != Some(Ended::Canceled) && !running.begun;
        if waits && books.state() != "RUNNING" {
            return answer(200, &json!({ "statement_id": id, "status": { "state": "PENDING" } }));
        }
        let Some(running) = books.statements.get_mut(id) else { return no_such_statement(id) };
        running.begun = true;
        if ended != Some(Ended::Canceled) && running.pending_answers > 0 {
            running.pending_answers -= 1;
            return answer(200, &json!({ "statement_id": id, "status": { "state": "PENDING" } }));
        }
        let Some(ended) = ended else {
            return answer(200, &json!({ "statement_id": id, "status": { "state": "RUNNING" } }));
        };
        let mut body = json!({ "statement_id": id, "status": { "state": ended.state() } });
        match &ended {
            Ended::Succeeded { columns, rows } => {
                let taken = rows.get(..running.row_limit).unwrap_or(rows);
                let truncated = taken.len() < rows.len();
                body = json!({
                    "statement_id": id,
                    "status": { "state": ended.state() },
                    "manifest": manifest(columns, taken.len(), size, truncated),
                    "result": chunk(id, taken, size, 0),
                });
            }
            Ended::Failed { error_code, message, sql_state } => {
                body = json!({
                    "statement_id": id,
                    "status": {
                        "state": ended.state(),
                        "error": { "error_code": error_code, "message": message },
                        "sql_state": sql_state,
                    },
                });
            }
            Ended::Canceled => {}
        }
        answer(200, &body)
    }
}

fn answer(status: u16, body: &Json) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: u16, error_code: &str, message: &str) -> Response {
    answer(status, &json!({ "error_code": error_code, "message": message }))
}

/// Refuses an invalid or expired token. Only here the code is a number (`tests/fixtures/databricks`).
fn invalid_token() -> Response {
    answer(403, &json!({ "error_code": 403, "message": "Invalid access token." }))
}

fn ip_blocked() -> Response {
    let message =
        "Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for workspace: 1234567890123456";
    answer(403, &json!({ "error_code": 403, "message": message }))
}

/// Refuses another warehouse. An unknown one is refused like one that the caller may not use (recorded by the authors of a
/// public driver).
fn other_warehouse(id: &str) -> Option<Response> {
    let is_id = id.len() == WAREHOUSE_ID.len() && id.chars().all(|c| c.is_ascii_hexdigit());
    match id {
        WAREHOUSE_ID => None,
        _ if is_id => {
            Some(refuse(403, "PERMISSION_DENIED", "You do not have permission to use the SQL Warehouse."))
        }
        _ => Some(refuse(400, "INVALID_PARAMETER_VALUE", &format!("{id} is not a valid endpoint id."))),
    }
}

fn no_such_statement(id: &str) -> Response {
    refuse(404, "NOT_FOUND", &format!("The statement {id} was not found."))
}

/// The host, as the client called it.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Answers with the document that names the OAuth server of a workspace (`HostMetadata` of databricks-sdk-py).
async fn host_metadata(headers: HeaderMap) -> Response {
    answer(200, &json!({ "oidc_endpoint": format!("http://{}/oidc", host(&headers)) }))
}

/// Answers with the OAuth endpoints, for clients that discover them (the vendor's SDK, `oauth.py`).
async fn oauth_server(headers: HeaderMap) -> Response {
    let at = |path: &str| format!("http://{}/oidc/v1/{path}", host(&headers));
    answer(200, &json!({ "authorization_endpoint": at("authorize"), "token_endpoint": at("token") }))
}

/// Issues a token, OAuth machine to machine: credentials in Basic authentication, the grant in a form.
async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = String::from_utf8_lossy(&body).into_owned();
    let fields: BTreeSet<&str> = form.split('&').collect();
    let has_scope =
        fields.iter().any(|field| field.strip_prefix("scope=").is_some_and(|scope| !scope.is_empty()));
    let mut books = shared.books();
    if books.door == Some(DatabricksFault::IpBlocked) {
        return ip_blocked();
    }
    if books.door == Some(DatabricksFault::Unauthorized) || given != Some(expected.as_str()) {
        return answer(
            401,
            &json!({ "error": "invalid_client", "error_description": "Client authentication failed" }),
        );
    }
    if !fields.contains("grant_type=client_credentials") || !has_scope {
        return answer(
            400,
            &json!({ "error": "invalid_request", "error_description": "grant_type or scope" }),
        );
    }
    books.issued += 1;
    let token = format!("eyJ-the-lab-{}", books.issued);
    books.tokens.insert(token.clone());
    answer(
        200,
        &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "all-apis" }),
    )
}

async fn execute(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = shared.refusal(&headers) {
        return refusal;
    }
    let bad = |message: &str| refuse(400, "BAD_REQUEST", message);
    let Ok(body) = serde_json::from_slice::<Json>(&body) else { return bad("the body is not JSON") };
    let text = |key: &str, default: &str| body.get(key).and_then(Json::as_str).unwrap_or(default).to_owned();
    let asked = match Asked::read(&body) {
        Ok(asked) if asked.sql().len() <= LONGEST_STATEMENT => asked,
        Ok(_) => return bad("the statement is longer than 16 MiB"),
        Err(problem) => return bad(&problem),
    };
    if let Some(refusal) = other_warehouse(&text("warehouse_id", "")) {
        return refusal;
    }
    if text("disposition", "INLINE") != "INLINE" || text("format", "JSON_ARRAY") != "JSON_ARRAY" {
        return bad("the lab supports only INLINE and JSON_ARRAY");
    }
    let hold = text("wait_timeout", "10s").strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    let Some(hold) = hold.filter(|seconds| *seconds == 0 || (5..=50).contains(seconds)) else {
        return bad("wait_timeout must be 0s, or from 5s to 50s");
    };
    let cancels = text("on_wait_timeout", "CONTINUE") == "CANCEL";
    let row_limit =
        body.get("row_limit").and_then(Json::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let (ended, mut seen) = watch::channel(None);
    let (id, pending) = {
        let mut books = shared.books();
        books.asked.push(asked.sql().to_owned());
        let id = format!("01ef0000-0000-1000-8000-{:012x}", books.asked.len());
        let pending_answers = books.starting.take().unwrap_or(0);
        let running = Running {
            pending_answers,
            begun: false,
            row_limit: row_limit.unwrap_or(usize::MAX),
            ended: ended.clone(),
        };
        books.statements.insert(id.clone(), running);
        // A statement starts a stopped warehouse.
        if books.auto_starts {
            books.start();
        }
        (id, pending_answers > 0 || books.state() != "RUNNING")
    };
    let task = run(Arc::clone(&shared), asked, ended);
    tokio::spawn(task);
    // While the warehouse starts, the answer is immediate, so that tests do not wait.
    if hold > 0 && !pending {
        let ended = seen.wait_for(Option::is_some);
        if tokio::time::timeout(Duration::from_secs(hold), ended).await.is_err() && cancels {
            end(&shared, &id, Ended::Canceled);
        }
    }
    shared.show(&id)
}

/// Runs a statement to its end, unless it is cancelled before.
async fn run(shared: Arc<Shared>, asked: Asked, ended: watch::Sender<Option<Ended>>) {
    let (slow, hangs, scripted) = {
        let mut books = shared.books();
        (books.slow, books.hangs, books.failures.pop_front())
    };
    if hangs {
        return;
    }
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    // Cancelled before it started.
    if ended.borrow().is_some() {
        return;
    }
    let outcome = match scripted {
        Some(scripted) => scripted,
        None => shared.run(&asked).await,
    };
    ended.send_if_modified(|ended| {
        let first = ended.is_none();
        if first {
            *ended = Some(outcome);
        }
        first
    });
}

fn end(shared: &Shared, id: &str, how: Ended) -> bool {
    let books = shared.books();
    let Some(running) = books.statements.get(id) else { return false };
    running.ended.send_if_modified(|ended| {
        let first = ended.is_none();
        if first {
            *ended = Some(how);
        }
        first
    });
    true
}

async fn look(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    shared.refusal(&headers).unwrap_or_else(|| shared.show(&id))
}

async fn result_chunk(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path((id, index)): Path<(String, usize)>,
) -> Response {
    if let Some(refusal) = shared.refusal(&headers) {
        return refusal;
    }
    let books = shared.books();
    let Some(running) = books.statements.get(&id) else { return no_such_statement(&id) };
    let ended = running.ended.borrow();
    let found = match ended.as_ref() {
        Some(Ended::Succeeded { rows, .. }) => {
            chunk(&id, rows.get(..running.row_limit).unwrap_or(rows), books.rows_a_chunk, index)
        }
        _ => None,
    };
    found.map_or_else(|| refuse(404, "NOT_FOUND", "There is no such chunk."), |chunk| answer(200, &chunk))
}

/// Cancels a statement. The empty answer only confirms the request; the state shows the result.
async fn cancel(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(refusal) = shared.refusal(&headers) {
        return refusal;
    }
    if !end(&shared, &id, Ended::Canceled) {
        return no_such_statement(&id);
    }
    shared.books().cancelled.push(id);
    answer(200, &json!({}))
}

async fn list_warehouses(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let list = || answer(200, &json!({ "warehouses": [shared.books().warehouse()] }));
    shared.refusal(&headers).unwrap_or_else(list)
}

async fn show_warehouse(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let refusal = shared.refusal(&headers).or_else(|| other_warehouse(&id));
    refusal.unwrap_or_else(|| answer(200, &shared.books().warehouse()))
}

/// The newest queries of the warehouse (`ListQueriesResponse` of the SDK): one that never waited, and those that did.
async fn query_history(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    if let Some(refusal) = shared.refusal(&headers) {
        return refusal;
    }
    let of = asked.get("filter_by.warehouse_ids").map(String::as_str);
    if of.is_some_and(|id| id != WAREHOUSE_ID) {
        return answer(200, &json!({ "has_next_page": false }));
    }
    let most = asked.get("max_results").map_or(Ok(100), |most| most.parse::<usize>());
    let Some(most) = most.ok().filter(|most| *most < 1_000) else {
        return refuse(400, "INVALID_PARAMETER_VALUE", "max_results must be less than 1000");
    };
    let with_metrics = asked.get("include_metrics").is_some_and(|wanted| wanted == "true");
    let start =
        asked.get("filter_by.query_start_time_range.start_time_ms").and_then(|ms| ms.parse::<i64>().ok());
    let start = start.unwrap_or_default();
    let query = |number: u32, waited: bool| {
        let mut metrics =
            json!({ "query_compilation_start_timestamp": start + 1_000, "total_time_ms": 2_000 });
        if let (true, Some(metrics)) = (waited, metrics.as_object_mut()) {
            metrics.insert("overloading_queue_start_timestamp".to_owned(), json!(start));
        }
        let mut query = json!({
            "query_id": format!("query-{number}"),
            "warehouse_id": WAREHOUSE_ID,
            "status": "FINISHED",
            "query_start_time_ms": start,
        });
        if let (true, Some(query)) = (with_metrics, query.as_object_mut()) {
            query.insert("metrics".to_owned(), metrics);
        }
        query
    };
    let waited = shared.books().waited;
    let all = (1..=waited).map(|number| query(number, true)).chain([query(0, false)]);
    answer(200, &json!({ "has_next_page": false, "res": all.take(most).collect::<Vec<_>>() }))
}

/// Starts the warehouse. The empty answer only confirms the request; the state shows the result.
async fn start_warehouse(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    change_warehouse(&shared, &headers, &id, "start", &body, |books, _| {
        books.start();
        Ok(())
    })
}

async fn edit_warehouse(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    change_warehouse(&shared, &headers, &id, "edit", &body, Books::edit)
}

fn change_warehouse(
    shared: &Shared,
    headers: &HeaderMap,
    id: &str,
    what: &'static str,
    body: &[u8],
    change: impl FnOnce(&mut Books, &Json) -> Result<(), &'static str>,
) -> Response {
    let body = serde_json::from_slice(body).unwrap_or(Json::Null);
    shared.books().writes.push((what, body.clone()));
    if let Some(refusal) = shared.refusal(headers).or_else(|| other_warehouse(id)) {
        return refusal;
    }
    let mut books = shared.books();
    if books.refused.contains(what) {
        let message = format!("You do not have permission to {what} the SQL Warehouse.");
        return refuse(403, "PERMISSION_DENIED", &message);
    }
    match change(&mut books, &body) {
        Ok(()) => answer(200, &json!({})),
        Err(problem) => refuse(400, "INVALID_PARAMETER_VALUE", problem),
    }
}
