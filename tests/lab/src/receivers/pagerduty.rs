//! PagerDuty's Events API v2, as documented: fields, limits, and the life of an alert.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Router, routing};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::loopback;

/// The largest event (PagerDuty developer docs, Events API v2 overview).
const LARGEST_EVENT: usize = 512 * 1024;

/// A routing key in the format of an integration key; the service accepts any of this length.
pub const ROUTING_KEY: &str = "1ab01ab01ab01ab01ab01ab01ab01ab0";

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagerDutyEvent {
    /// `trigger`, `acknowledge` or `resolve`.
    pub action: String,
    pub routing_key: String,
    pub dedup_key: String,
    /// The `payload` of a trigger.
    pub payload: Value,
    /// The whole event, with `links`, `client` and every other field.
    pub body: Value,
}

/// The service. Dropping it stops it.
#[derive(Debug)]
pub struct PagerDuty {
    url: String,
    books: Arc<Mutex<Books>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Books {
    events: Vec<PagerDutyEvent>,
    changes: Vec<Value>,
    /// Open alerts by (routing key, dedup key).
    open: BTreeMap<(String, String), Alert>,
    /// The number of opened alerts by dedup key; each one pages people.
    pages: BTreeMap<String, usize>,
    /// Statuses of the next answers, before an event is accepted.
    refusals: Vec<u16>,
    unnamed: u64,
}

/// An open alert.
#[derive(Debug, Default)]
struct Alert {
    acknowledged: bool,
}

impl PagerDuty {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let (listener, url) = loopback::bind().await?;
        let books = Arc::new(Mutex::new(Books::default()));
        let router = Router::new()
            .route("/v2/enqueue", routing::post(enqueue))
            .route("/v2/change/enqueue", routing::post(enqueue_change))
            .with_state(Arc::clone(&books));
        let server = loopback::serve(listener, router, "the simulated PagerDuty");
        Ok(Self { url, books, server })
    }

    /// The base URL; the path is `/v2/enqueue`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The accepted events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<PagerDutyEvent> {
        lock(&self.books).events.clone()
    }

    /// The accepted change events, oldest first.
    #[must_use]
    pub fn changes(&self) -> Vec<Value> {
        lock(&self.books).changes.clone()
    }

    /// The dedup keys of an integration's open alerts.
    #[must_use]
    pub fn open_alerts(&self, routing_key: &str) -> Vec<String> {
        let books = lock(&self.books);
        books
            .open
            .keys()
            .filter(|(routing, _)| routing == routing_key)
            .map(|(_, dedup)| dedup.clone())
            .collect()
    }

    /// The dedup keys of an integration's acknowledged alerts.
    #[must_use]
    pub fn acknowledged(&self, routing_key: &str) -> Vec<String> {
        let books = lock(&self.books);
        let acknowledged =
            books.open.iter().filter(|((routing, _), alert)| routing == routing_key && alert.acknowledged);
        acknowledged.map(|((_, dedup), _)| dedup.clone()).collect()
    }

    /// The number of pages for a dedup key: one for each alert that opened under it.
    #[must_use]
    pub fn pages(&self, dedup_key: &str) -> usize {
        lock(&self.books).pages.get(dedup_key).copied().unwrap_or_default()
    }

    /// Resolves an alert as a person does in PagerDuty's web app, without an event; returns whether it was open.
    pub fn resolve_by_hand(&self, routing_key: &str, dedup_key: &str) -> bool {
        lock(&self.books).open.remove(&(routing_key.to_owned(), dedup_key.to_owned())).is_some()
    }

    /// Answers the next events with these statuses in turn, such as 429 or 500.
    pub fn refuse_next(&self, statuses: &[u16]) {
        lock(&self.books).refusals.extend(statuses.iter().rev());
    }
}

impl Drop for PagerDuty {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn enqueue(State(books): State<Arc<Mutex<Books>>>, body: Bytes) -> Response {
    let mut books = lock(&books);
    let (status, answer) = match books.refusals.pop() {
        Some(status) => {
            (status, json!({ "status": "throttled or broken", "message": "scripted by the lab" }))
        }
        None => match read(&body) {
            Err(errors) => (
                400,
                json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors }),
            ),
            Ok(mut event) => {
                if event.dedup_key.is_empty() {
                    // Documented: PagerDuty makes its own key, which the sender cannot resolve by.
                    books.unnamed += 1;
                    event.dedup_key = format!("unnamed-{}", books.unnamed);
                }
                let dedup_key = event.dedup_key.clone();
                books.take(event);
                (202, json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key }))
            }
        },
    };
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Takes a change event (PagerDuty developer docs, "Send a Change Event").
async fn enqueue_change(State(books): State<Arc<Mutex<Books>>>, body: Bytes) -> Response {
    let mut books = lock(&books);
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let is_valid = text("/routing_key").chars().count() == 32
        && (1..=1_024).contains(&text("/payload/summary").chars().count());
    let (status, answer) = match books.refusals.pop() {
        Some(status) => {
            (status, json!({ "status": "throttled or broken", "message": "scripted by the lab" }))
        }
        None if is_valid => {
            books.changes.push(event.clone());
            (202, json!({ "status": "success", "message": "Change event processed" }))
        }
        None => (400, json!({ "status": "invalid event", "message": "Event object is invalid" })),
    };
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

impl Books {
    fn take(&mut self, event: PagerDutyEvent) {
        let key = (event.routing_key.clone(), event.dedup_key.clone());
        match event.action.as_str() {
            // Added to the open alert, without a notification.
            "trigger" if self.open.contains_key(&key) => {}
            "trigger" => {
                *self.pages.entry(key.1.clone()).or_default() += 1;
                self.open.insert(key, Alert::default());
            }
            // Without an open alert of the same routing key, these are dropped silently.
            "resolve" => {
                self.open.remove(&key);
            }
            _ => {
                if let Some(alert) = self.open.get_mut(&key) {
                    alert.acknowledged = true;
                }
            }
        }
        self.events.push(event);
    }
}

fn read(body: &[u8]) -> Result<PagerDutyEvent, Vec<String>> {
    if body.len() > LARGEST_EVENT {
        return Err(vec!["the event is larger than 512 KB".to_owned()]);
    }
    let event: Value = serde_json::from_slice(body).map_err(|_| vec!["the body is not JSON".to_owned()])?;
    let mut errors = Vec::new();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let action = text("/event_action");
    if !matches!(action.as_str(), "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' must be trigger, acknowledge or resolve".to_owned());
    }
    let routing_key = text("/routing_key");
    if routing_key.chars().count() != 32 {
        errors.push("'routing_key' must have 32 characters".to_owned());
    }
    let dedup_key = text("/dedup_key");
    if dedup_key.chars().count() > 255 {
        errors.push("'dedup_key' has more than 255 characters".to_owned());
    }
    if action == "trigger" {
        let summary = text("/payload/summary");
        if summary.is_empty() || summary.chars().count() > 1_024 {
            errors.push("'payload.summary' must have 1 to 1024 characters".to_owned());
        }
        if text("/payload/source").is_empty() {
            errors.push("'payload.source' is missing".to_owned());
        }
        if !matches!(text("/payload/severity").as_str(), "critical" | "error" | "warning" | "info") {
            errors.push("'payload.severity' must be critical, error, warning or info".to_owned());
        }
    } else if dedup_key.is_empty() {
        errors.push("'dedup_key' is required".to_owned());
    }
    if errors.is_empty() {
        let payload = event.get("payload").cloned().unwrap_or_default();
        Ok(PagerDutyEvent { action, routing_key, dedup_key, payload, body: event })
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = ROUTING_KEY;

    fn event(action: &str, routing_key: &str, dedup_key: &str) -> Value {
        json!({
            "event_action": action, "routing_key": routing_key, "dedup_key": dedup_key,
            "payload": { "summary": "late", "source": "census", "severity": "error" },
        })
    }

    async fn post(service: &PagerDuty, event: &Value) -> u16 {
        let http = syncwatch::http::client().unwrap();
        let answer =
            http.post(format!("{}/v2/enqueue", service.url())).body(event.to_string()).send().await.unwrap();
        answer.status().as_u16()
    }

    #[tokio::test]
    async fn alert_folds_triggers_and_resolves_only_by_its_routing_key() {
        let service = PagerDuty::start().await.unwrap();
        assert_eq!(post(&service, &event("trigger", KEY, "a")).await, 202);
        assert_eq!(post(&service, &event("trigger", KEY, "a")).await, 202);
        assert_eq!(service.open_alerts(KEY), ["a"]);
        let other = KEY.replace('0', "f");
        assert_eq!(post(&service, &event("resolve", &other, "a")).await, 202);
        assert_eq!(service.open_alerts(KEY), ["a"]);
        assert_eq!(post(&service, &event("resolve", KEY, "a")).await, 202);
        assert_eq!(service.open_alerts(KEY), [""; 0]);
    }

    #[tokio::test]
    async fn trigger_pages_once_until_a_person_or_event_resolves() {
        let service = PagerDuty::start().await.unwrap();
        for action in ["acknowledge", "trigger", "trigger", "acknowledge", "trigger"] {
            assert_eq!(post(&service, &event(action, KEY, "a")).await, 202);
        }
        assert_eq!((service.pages("a"), service.acknowledged(KEY)), (1, vec!["a".to_owned()]));
        assert!(service.resolve_by_hand(KEY, "a"));
        assert!(!service.resolve_by_hand(KEY, "a"));
        assert_eq!(post(&service, &event("trigger", KEY, "a")).await, 202);
        assert_eq!((service.pages("a"), service.acknowledged(KEY)), (2, vec![]));
    }

    #[tokio::test]
    async fn event_is_kept_whole() {
        let service = PagerDuty::start().await.unwrap();
        let mut sent = event("trigger", KEY, "a");
        sent["links"] = json!([{ "href": "https://example.com", "text": "the sync" }]);
        sent["payload"]["custom_details"] = json!({ "rejected": 12 });
        assert_eq!(post(&service, &sent).await, 202);
        assert_eq!(service.events()[0].body, sent);
    }

    #[tokio::test]
    async fn event_beyond_documented_fields_or_limits_is_refused() {
        let service = PagerDuty::start().await.unwrap();
        let mut long = event("trigger", KEY, "a");
        long["payload"]["summary"] = json!("x".repeat(1_025));
        let mut severe = event("trigger", KEY, "a");
        severe["payload"]["severity"] = json!("fatal");
        for wrong in [
            event("open", KEY, "a"),
            event("trigger", "short", "a"),
            event("trigger", KEY, &"x".repeat(256)),
            event("resolve", KEY, ""),
            long,
            severe,
        ] {
            assert_eq!(post(&service, &wrong).await, 400, "{wrong}");
        }
        assert_eq!(service.events(), []);
    }

    #[tokio::test]
    async fn scripted_refusals_come_in_order() {
        let service = PagerDuty::start().await.unwrap();
        service.refuse_next(&[429, 500]);
        let trigger = event("trigger", KEY, "a");
        let answers =
            [post(&service, &trigger).await, post(&service, &trigger).await, post(&service, &trigger).await];
        assert_eq!(answers, [429, 500, 202]);
    }
}
