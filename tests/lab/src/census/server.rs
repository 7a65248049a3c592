//! The API over HTTP on loopback, with a front door that can be broken, and an admin API under `/lab/`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::api::{Request, answer};
use super::deliver::{RetrySchedule, Senders, deliver_all, deliver_queued};
use super::faults::{Fault, HttpFault};
use super::render;
use super::webhooks::Delivery;
use super::world::World;
use super::writes::{Interruption, Write, asks_for_full_sync};
use crate::clock::LabClock;
use crate::loopback;
use crate::properties::{PropertyFault, PropertyWorld};

/// The token that the lab's Census accepts, in the format of a workspace key.
pub const TOKEN: &str = "secret-token:the-lab";
/// A personal access token, the only kind that V2 accepts (Census docs, "Migrate V1 to V2").
pub const PERSONAL_TOKEN: &str = "personal-token-of-the-lab";

/// The interval at which the world advances without requests, so that webhooks are posted in time.
const PULSE: Duration = Duration::from_millis(100);

/// A running Census. Dropping it stops it.
#[derive(Debug)]
pub struct CensusServer {
    url: String,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// The data that a Census moves, for code that keeps them in an engine. Outlives the server.
#[derive(Debug, Clone)]
pub struct DataFeed(Arc<Shared>);

impl DataFeed {
    /// Calls `act` with the current data and the clock's lead over the wall clock; `None` without data.
    pub fn with_data<T>(&self, act: impl FnOnce(&mut PropertyWorld, SignedDuration) -> T) -> Option<T> {
        let mut door = self.0.door();
        // The clock does not jump while the door is held.
        let ahead = self.0.clock.ahead_of_wall();
        door.world.properties_mut().map(|data| act(data, ahead))
    }
}

/// The requests to the server so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    pub total: u64,
    /// By method and path, with ids replaced by `*`.
    pub by_path: BTreeMap<String, u64>,
    /// The most requests in progress at the same time.
    pub most_at_once: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    clock: LabClock,
    base: String,
    state: Mutex<Door>,
    pub(super) http: reqwest::Client,
    pub(super) senders: Senders,
}

#[derive(Debug)]
struct Door {
    world: World,
    faults: Vec<Fault>,
    http_faults: Vec<HttpFault>,
    delay: Duration,
    retry: RetrySchedule,
    lost: Vec<Delivery>,
    requests: Requests,
    writes: Vec<Write>,
    interruptions: Vec<Interruption>,
    at_once: u64,
}

impl Shared {
    /// The state, with the world advanced to the present.
    fn door(&self) -> MutexGuard<'_, Door> {
        let mut door = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        door.world.advance_to(self.clock.now());
        door
    }

    /// Lets time pass at once, between two answers and never within one.
    fn jump(&self, by: SignedDuration) {
        let mut door = self.door();
        self.clock.jump(by);
        door.world.advance_to(self.clock.now());
    }

    pub(super) fn retry_schedule(&self) -> RetrySchedule {
        self.door().retry.clone()
    }

    pub(super) fn take_deliveries(&self) -> Vec<Delivery> {
        let mut door = self.door();
        lose_webhooks(&mut door);
        let mut queued: Vec<Delivery> = door.world.deliveries.drain(..).collect();
        let has = |fault: &HttpFault| door.http_faults.contains(fault);
        if has(&HttpFault::WebhooksDuplicated) {
            queued = queued.into_iter().flat_map(|delivery| [delivery.clone(), delivery]).collect();
        }
        if has(&HttpFault::WebhooksShuffled) {
            // The worst order, and the same each time.
            queued.reverse();
        }
        self.senders.add(queued.len());
        queued
    }
}

impl CensusServer {
    /// Serves a world on a free loopback port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(world: World, clock: LabClock) -> Result<Self> {
        let (listener, url) = loopback::bind().await?;
        let door = Door {
            world,
            faults: Vec::new(),
            http_faults: Vec::new(),
            delay: Duration::ZERO,
            retry: RetrySchedule::default(),
            lost: Vec::new(),
            requests: Requests::default(),
            writes: Vec::new(),
            interruptions: Vec::new(),
            at_once: 0,
        };
        let http = syncwatch::http::client()?;
        let shared = Arc::new(Shared {
            clock,
            base: url.clone(),
            state: Mutex::new(door),
            http,
            senders: Senders::new(),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = loopback::serve(listener, router, "the simulated Census");
        let pulse = Arc::clone(&shared);
        let deliverer = tokio::spawn(async move {
            loop {
                deliver_queued(&pulse);
                tokio::time::sleep(PULSE).await;
            }
        });
        Ok(Self { url, shared, tasks: [server, deliverer] })
    }

    /// The base URL, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The lab's clock.
    #[must_use]
    pub fn clock(&self) -> &LabClock {
        &self.shared.clock
    }

    /// Reads or changes the world at the present time.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.shared.door().world)
    }

    /// Injects a fault of the world.
    ///
    /// # Errors
    /// See [`Fault::inject`].
    pub fn inject(&self, fault: Fault) -> Result<()> {
        let mut door = self.shared.door();
        fault.inject(&mut door.world)?;
        door.faults.push(fault);
        Ok(())
    }

    /// Injects a fault of the data.
    ///
    /// # Errors
    /// The world carries no data.
    pub fn spoil(&self, fault: PropertyFault) -> Result<()> {
        spoil(&mut self.shared.door(), fault)
    }

    /// Repairs the data, past harm included; see [`PropertyWorld::repair`].
    ///
    /// # Errors
    /// The world carries no data.
    pub fn repair(&self) -> Result<()> {
        data(&mut self.shared.door()).map(PropertyWorld::repair)
    }

    /// The data that it moves, for code that keeps them in an engine.
    #[must_use]
    pub fn feed(&self) -> DataFeed {
        DataFeed(Arc::clone(&self.shared))
    }

    /// Injects a fault of the front door.
    pub fn break_door(&self, fault: HttpFault) {
        self.shared.door().http_faults.push(fault);
    }

    /// Ends one fault of [`CensusServer::break_door`]. Webhooks that were lost stay lost.
    pub fn heal_door(&self, fault: &HttpFault) {
        let mut door = self.shared.door();
        lose_webhooks(&mut door);
        door.http_faults.retain(|known| known != fault);
    }

    /// Ends every fault of [`CensusServer::inject`], [`CensusServer::break_door`] and [`CensusServer::spoil`]. The harm to
    /// the data stays.
    pub fn heal_all(&self) {
        heal_all(&mut self.shared.door());
    }

    /// Lets this much Census time pass at once.
    pub fn jump(&self, by: SignedDuration) {
        self.shared.jump(by);
    }

    /// Delivers the webhooks that `webhooks-lost` kept, in their order; returns their number. Call it within a Tokio runtime,
    /// as each is posted by its own task.
    pub fn deliver_lost(&self) -> usize {
        deliver_lost(&self.shared)
    }

    /// Takes the bodies of the webhooks that `webhooks-lost` kept, to deliver them in another way: see [`Storm`](super::Storm).
    #[must_use]
    pub fn take_lost(&self) -> Vec<Vec<u8>> {
        let mut door = self.shared.door();
        lose_webhooks(&mut door);
        std::mem::take(&mut door.lost).into_iter().map(|delivery| delivery.body).collect()
    }

    /// Waits until the webhook of every event was accepted or given up. Does not wait for lost ones.
    pub async fn have_delivered_all(&self) {
        deliver_queued(&self.shared);
        self.shared.senders.have_delivered_all().await;
    }

    /// Delays each answer by this much.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.door().delay = delay;
    }

    /// Sets when failed webhooks are retried.
    pub fn set_retry_schedule(&self, schedule: RetrySchedule) {
        self.shared.door().retry = schedule;
    }

    /// The requests so far that change something, oldest first.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.shared.door().writes.clone()
    }

    /// The number of requests so far that asked for a full sync, even if they had no effect.
    #[must_use]
    pub fn full_syncs_requested(&self) -> usize {
        self.shared.door().writes.iter().filter(|write| write.full_sync).count()
    }

    /// Lets another party act just before the next request of this kind is answered, once. `request` is such as
    /// `POST /api/v1/syncs/*/trigger`, where `*` stands for one segment.
    pub fn before_next(&self, request: &str, act: impl FnOnce(&mut World) + Send + 'static) {
        let interruption = Interruption { before: request.to_owned(), act: Box::new(act) };
        self.shared.door().interruptions.push(interruption);
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.door().requests.clone()
    }
}

impl Drop for CensusServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Moves the queued webhooks to the lost ones while webhooks are lost.
fn lose_webhooks(door: &mut Door) {
    if door.http_faults.contains(&HttpFault::WebhooksLost) {
        door.lost.extend(door.world.deliveries.drain(..));
    }
}

fn deliver_lost(shared: &Arc<Shared>) -> usize {
    let lost = {
        let mut door = shared.door();
        lose_webhooks(&mut door);
        shared.senders.add(door.lost.len());
        std::mem::take(&mut door.lost)
    };
    let count = lost.len();
    deliver_all(shared, lost);
    count
}

fn heal_all(door: &mut Door) {
    // Webhooks of events before the healing are lost, even if they were not posted yet.
    lose_webhooks(door);
    for fault in std::mem::take(&mut door.faults).iter().rev() {
        fault.heal(&mut door.world);
    }
    door.http_faults.clear();
    if let Some(data) = door.world.properties_mut() {
        data.heal();
    }
}

fn data(door: &mut Door) -> Result<&mut PropertyWorld> {
    door.world
        .properties_mut()
        .context("this Census carries no data; use the stage of `make demo`, as `census` alone has none")
}

fn spoil(door: &mut Door, fault: PropertyFault) -> Result<()> {
    data(door).map(|data| data.inflict(fault))
}

/// A fault of any kind, as the admin API takes it.
enum AnyFault {
    World(Fault),
    Door(HttpFault),
    Data(PropertyFault),
}

impl AnyFault {
    /// Parses one. The error is from the kind that has a fault of this name.
    fn read(asked: &Value) -> Result<Self, String> {
        let read = [
            Fault::deserialize(asked).map(Self::World),
            HttpFault::deserialize(asked).map(Self::Door),
            PropertyFault::deserialize(asked).map(Self::Data),
        ];
        let mut problem = None;
        for fault in read {
            match fault.map_err(|error| error.to_string()) {
                Ok(fault) => return Ok(fault),
                Err(error) if error.starts_with("unknown variant") => {
                    problem = problem.or(Some(error));
                }
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_default())
    }

    fn happen(self, door: &mut Door) -> Result<()> {
        match self {
            Self::World(fault) => {
                fault.inject(&mut door.world)?;
                door.faults.push(fault);
            }
            Self::Door(fault) => door.http_faults.push(fault),
            Self::Data(fault) => spoil(door, fault)?,
        }
        Ok(())
    }
}

/// Counts a request while it is being answered, even if the caller disconnects.
struct BeingAnswered(Arc<Shared>);

impl Drop for BeingAnswered {
    fn drop(&mut self) {
        self.0.door().at_once -= 1;
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(path) = uri.path().strip_prefix("/lab/") {
        return admin(&shared, &method, path, &body);
    }
    let mut response = outside(&shared, &method, &uri, &headers, &body).await;
    // An answer of the broken front door has a date too.
    if !response.headers().contains_key(header::DATE) {
        let door = shared.door();
        let (now, shift, ahead) = (shared.clock.now(), shared.clock.ahead_of_wall(), door.world.skew);
        drop(door);
        set_date(&mut response, now, shift, ahead);
    }
    response
}

/// Answers a request to the simulated API.
async fn outside(
    shared: &Arc<Shared>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let (query, body) = (query_pairs(uri), serde_json::from_slice(body).unwrap_or(Value::Null));
    let (delay, fault, write) = {
        let mut door = shared.door();
        let write = (method != Method::GET).then_some(door.writes.len());
        if write.is_some() {
            door.writes.push(Write {
                at: shared.clock.now(),
                method: method.to_string(),
                path: uri.path().to_owned(),
                body: body.clone(),
                full_sync: asks_for_full_sync(&query, &body),
                taken: false,
            });
        }
        door.requests.total += 1;
        let path = without_ids(uri.path());
        *door.requests.by_path.entry(format!("{method} {path}")).or_default() += 1;
        door.at_once += 1;
        door.requests.most_at_once = door.requests.most_at_once.max(door.at_once);
        (door.delay, next_http_fault(&mut door), write)
    };
    let _answering = BeingAnswered(Arc::clone(shared));
    tokio::time::sleep(delay).await;
    match fault {
        None => {}
        Some(HttpFault::Slow { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(HttpFault::SlowFailure { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            return broken(&HttpFault::SlowFailure { ms });
        }
        Some(fault) => return broken(&fault),
    }
    if !authorized(headers, uri.path()) {
        // Documented: an integer status and nothing else.
        return json_response(401, &json!({ "status": 401 }));
    }
    let (v2, path) = match (uri.path().strip_prefix("/api/v1/"), uri.path().strip_prefix("/api/v2/")) {
        (Some(path), _) => (false, path),
        (_, Some(path)) => (true, path),
        _ => return json_response(404, &json!({ "status": 404 })),
    };
    let request = Request {
        method: method.as_str(),
        path: path.trim_end_matches('/'),
        query,
        body,
        v2,
        base: &format!("{}/api/v1", shared.base),
    };
    let mut door = shared.door();
    // One answer shows one moment: the clock does not jump while the door is held.
    let (now, shift) = (shared.clock.now(), shared.clock.ahead_of_wall());
    interrupt(&mut door, method.as_str(), uri.path());
    let (mut status, mut answer) = answer(&mut door.world, &request, shift);
    if let Some(write) = write.and_then(|number| door.writes.get_mut(number)).filter(|_| status < 300) {
        write.taken = true;
        if let Some(fault) = fault_after_effect(&mut door) {
            return broken(&fault);
        }
    }
    spoil_answer(&mut door, &request, shift, &mut status, &mut answer);
    let ahead = door.world.skew;
    drop(door);
    let mut response = json_response(status, &answer);
    set_date(&mut response, now, shift, ahead);
    response
}

/// Runs the acts that wait for this request.
fn interrupt(door: &mut Door, method: &str, path: &str) {
    let due = door.interruptions.extract_if(.., |waiting| waiting.is_before(method, path));
    for interruption in due.collect::<Vec<_>>() {
        (interruption.act)(&mut door.world);
    }
}

/// The answer in place of that of a request that took effect.
fn fault_after_effect(door: &mut Door) -> Option<HttpFault> {
    let position = door.http_faults.iter().position(|fault| {
        matches!(fault, HttpFault::AnswerLost { .. } | HttpFault::ErrorAfterEffect { .. })
    })?;
    use_up(door, position)
}

/// Counts one use of a fault, and removes it after its last one.
fn use_up(door: &mut Door, position: usize) -> Option<HttpFault> {
    let fault = door.http_faults.get(position)?.clone();
    if let Some(
        HttpFault::RateLimited { times, .. }
        | HttpFault::AnswerLost { times }
        | HttpFault::ErrorAfterEffect { times },
    ) = door.http_faults.get_mut(position)
    {
        if *times <= 1 {
            door.http_faults.remove(position);
        } else {
            *times -= 1;
        }
    }
    Some(fault)
}

/// Applies the faults of single answers to one.
fn spoil_answer(
    door: &mut Door,
    request: &Request<'_>,
    shift: SignedDuration,
    status: &mut u16,
    answer: &mut Value,
) {
    let lists_syncs = request.method == "GET" && request.path == "syncs";
    let number = |name: &str| {
        let value = request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let page = number("page").unwrap_or(1);
    let first_page = page == 1;
    for fault in door.http_faults.clone() {
        match fault {
            HttpFault::DeletedAfterFirstPage { sync } if lists_syncs && first_page => {
                door.world.delete(sync);
            }
            HttpFault::AddedAfterFirstPage { sync } if lists_syncs && first_page => {
                // A workspace without syncs has no first page, so adding one behind it is skipped.
                drop(Fault::UndeclaredSync { sync }.inject(&mut door.world));
            }
            HttpFault::ReorderedAfterFirstPage if lists_syncs && !first_page => {
                let per_page = number("per_page").unwrap_or(25);
                *answer = render::syncs_oldest_first(&door.world, page, per_page, shift);
            }
            HttpFault::NoPagination => {
                if let Some(answer) = answer.as_object_mut() {
                    answer.remove("pagination");
                    answer.remove("next");
                }
            }
            HttpFault::UnreadableId { sync } if lists_syncs => {
                let entries = answer.get_mut("data").and_then(Value::as_array_mut);
                for entry in entries.into_iter().flatten().filter(|entry| entry["id"] == json!(sync)) {
                    entry["id"] = json!({});
                }
            }
            HttpFault::ForbiddenRuns { sync } if request.path == format!("syncs/{sync}/sync_runs") => {
                (*status, *answer) = (403, json!({ "status": 403 }));
            }
            HttpFault::ForbiddenWrites if request.method != "GET" => {
                (*status, *answer) = (403, json!({ "status": 403 }));
            }
            HttpFault::NoRunsInV2 if request.v2 && request.path.contains("sync_runs") => {
                (*status, *answer) = (404, json!({ "status": 404 }));
            }
            _ => {}
        }
    }
}

/// Sets the `Date` of the answer, by Census's clock as the functions see it.
fn set_date(response: &mut Response, now: Timestamp, shift: SignedDuration, ahead: SignedDuration) {
    let shown = now.saturating_sub(shift).and_then(|now| now.saturating_add(ahead)).unwrap_or(now);
    let text = shown.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::DATE, value);
    }
}

fn next_http_fault(door: &mut Door) -> Option<HttpFault> {
    let about_the_door = |fault: &HttpFault| match fault {
        HttpFault::Down
        | HttpFault::RateLimited { .. }
        | HttpFault::Unauthorized
        | HttpFault::Slow { .. }
        | HttpFault::SlowFailure { .. }
        | HttpFault::MalformedJson
        | HttpFault::EmptyBody
        | HttpFault::Dropped => true,
        HttpFault::AnswerLost { .. }
        | HttpFault::ErrorAfterEffect { .. }
        | HttpFault::WebhooksLost
        | HttpFault::WebhooksDuplicated
        | HttpFault::WebhooksShuffled
        | HttpFault::DeletedAfterFirstPage { .. }
        | HttpFault::AddedAfterFirstPage { .. }
        | HttpFault::ReorderedAfterFirstPage
        | HttpFault::NoPagination
        | HttpFault::UnreadableId { .. }
        | HttpFault::ForbiddenRuns { .. }
        | HttpFault::ForbiddenWrites
        | HttpFault::NoRunsInV2 => false,
    };
    let position = door.http_faults.iter().position(about_the_door)?;
    use_up(door, position)
}

fn broken(fault: &HttpFault) -> Response {
    let raw = |status: StatusCode, kind: &'static str, body: &'static str| {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    match fault {
        HttpFault::RateLimited { retry_after, .. } => {
            let mut response = json_response(429, &json!({ "status": 429 }));
            if let Ok(value) = HeaderValue::from_str(retry_after)
                && !retry_after.is_empty()
            {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        HttpFault::Unauthorized => json_response(401, &json!({ "status": 401 })),
        HttpFault::MalformedJson => {
            raw(StatusCode::OK, "application/json", r#"{"status":"success","data":[{"id":"#)
        }
        HttpFault::EmptyBody => raw(StatusCode::OK, "application/json", ""),
        HttpFault::Dropped | HttpFault::AnswerLost { .. } => {
            // A failing body makes the server close the connection in the middle of the answer.
            let torn =
                futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped by the lab")) });
            Response::new(Body::from_stream(torn))
        }
        HttpFault::SlowFailure { .. } => {
            raw(StatusCode::BAD_GATEWAY, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")
        }
        _ => raw(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/html",
            "<html><body><h1>We're sorry, but something went wrong.</h1></body></html>",
        ),
    }
}

fn authorized(headers: &HeaderMap, path: &str) -> bool {
    let expected = if path.starts_with("/api/v2/") { PERSONAL_TOKEN } else { TOKEN };
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    if let Some(token) = value.strip_prefix("Bearer ") {
        return token == expected;
    }
    // Basic with the user `bearer`: the token contains colons, so split at the first.
    let basic = value.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok());
    basic.as_deref().and_then(|text| text.split_once(':')).is_some_and(|pair| pair == ("bearer", expected))
}

fn json_response(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://lab/") else { return Vec::new() };
    url.set_query(uri.query());
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn without_ids(path: &str) -> String {
    let star =
        |segment: &str| if segment.parse::<u64>().is_ok() { "*".to_owned() } else { segment.to_owned() };
    path.split('/').map(star).collect::<Vec<_>>().join("/")
}

/// The admin API, for `curl`: `POST /lab/fault`, `/lab/heal`, `/lab/repair`, `/lab/jump`,
/// `/lab/deliver-lost`, `GET /lab/state`.
fn admin(shared: &Arc<Shared>, method: &Method, path: &str, body: &Bytes) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let ok = json!({ "done": path });
    match (method.as_str(), path) {
        ("POST", "fault") => {
            let happened = AnyFault::read(&asked)
                .and_then(|fault| fault.happen(&mut shared.door()).map_err(|error| error.to_string()));
            match happened {
                Err(error) => json_response(400, &json!({ "error": error })),
                Ok(()) => json_response(200, &ok),
            }
        }
        ("POST", "heal") => {
            heal_all(&mut shared.door());
            json_response(200, &ok)
        }
        ("POST", "repair") => match data(&mut shared.door()).map(PropertyWorld::repair) {
            Err(error) => json_response(400, &json!({ "error": error.to_string() })),
            Ok(()) => json_response(200, &ok),
        },
        ("POST", "deliver-lost") => {
            json_response(200, &json!({ "done": path, "deliveries": deliver_lost(shared) }))
        }
        ("POST", "jump") => match asked
            .get("minutes")
            .and_then(Value::as_i64)
            .filter(|minutes| (1..=100_000).contains(minutes))
        {
            None => json_response(400, &json!({ "error": "give {\"minutes\": 30}, from 1 to 100000" })),
            Some(minutes) => {
                shared.jump(SignedDuration::from_mins(minutes));
                json_response(200, &ok)
            }
        },
        ("GET", "state") => {
            let door = shared.door();
            let shift = shared.clock.ahead_of_wall();
            let syncs: Vec<Value> = door
                .world
                .syncs()
                .take(100)
                .map(|sync| {
                    let last = door
                        .world
                        .runs(sync.id)
                        .next()
                        .map(|run| super::render::run_json(&door.world, run, shift));
                    json!({ "id": sync.id, "label": sync.label, "paused": sync.paused, "last_run": last })
                })
                .collect();
            let data = door.world.properties();
            let faults = json!({
                "world": door.faults, "door": door.http_faults, "data": data.map_or(&[][..], PropertyWorld::faults),
            });
            let health = data.map(PropertyWorld::health);
            let destination = door.world.destination;
            let moved = json!({ "created": destination.created, "updated": destination.updated, "rejected": destination.rejected });
            json_response(
                200,
                &json!({
                    "syncs": syncs, "faults": faults, "salesforce": moved, "data": health,
                    "requests": door.requests.total,
                }),
            )
        }
        _ => json_response(
            404,
            &json!({ "error": "unknown path; the lab has POST fault, heal, repair, jump, deliver-lost and GET state" }),
        ),
    }
}
