//! The contract with the vendor: what is sent, what is made of the answers, and when a call is made again.

// Cases read better when the JSON that they are about is written where it is handed over.
#![allow(clippy::needless_pass_by_value)]

mod any_json;
mod calls;
mod errors;
mod paging;
mod parsing;
mod retries;
mod secrets;
mod waiting;
mod webhooks;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::{Client, Settings};
use crate::http::retry::Watch;
use crate::pipeline::ApiVersion;

const TOKEN: &str = "secret-token:arandomstring";
const GROUP: &str = "wandering_aimlessly";

/// A documented answer.
macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/fixtures/census/",
            $name
        )))
        .unwrap()
    };
}
use fixture;

/// A watch on which sleep takes no time: it is noted, and the hands are moved on.
#[derive(Debug, Default)]
struct Skipping {
    naps: Mutex<Vec<Duration>>,
    skipped: Mutex<Duration>,
}

impl Skipping {
    fn naps(&self) -> Vec<Duration> {
        self.naps.lock().unwrap().clone()
    }

    fn pass(&self, time: Duration) {
        *self.skipped.lock().unwrap() += time;
    }
}

impl Watch for Skipping {
    fn now(&self) -> Instant {
        // Time that really passes does not count, so that waits come out exactly.
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + *self.skipped.lock().unwrap()
    }

    fn sleep_until(&self, then: Instant) -> BoxFuture<'_, ()> {
        let nap = then.saturating_duration_since(self.now());
        self.naps.lock().unwrap().push(nap);
        self.pass(nap);
        Box::pin(tokio::task::yield_now())
    }
}

fn settings(base_url: String, version: ApiVersion) -> Settings {
    Settings {
        base_url,
        version,
        group_id: Some(GROUP.to_owned()),
        token: SecretString::from(TOKEN),
        timeout: Duration::from_secs(15),
        retry_budget: Duration::from_secs(20),
    }
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn client_with(settings: &Settings) -> (Client, Arc<Skipping>) {
    let watch = Arc::new(Skipping::default());
    let http = crate::http::client().unwrap();
    (Client::with_watch(http, settings, now(), watch.clone()).unwrap(), watch)
}

/// Gives its answers in turn, the last one for ever.
struct InTurn(Mutex<Vec<ResponseTemplate>>);

impl Respond for InTurn {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut answers = self.0.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }
}

/// A Census that gives these answers, and a client of it.
struct World {
    server: MockServer,
    client: Client,
    watch: Arc<Skipping>,
}

impl World {
    async fn new(answers: Vec<ResponseTemplate>) -> Self {
        Self::of(ApiVersion::V1, answers).await
    }

    async fn of(version: ApiVersion, answers: Vec<ResponseTemplate>) -> Self {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(InTurn(Mutex::new(answers))).mount(&server).await;
        let (client, watch) = client_with(&settings(server.uri(), version));
        Self { server, client, watch }
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// Method, path and query of each request.
    async fn lines(&self) -> Vec<String> {
        let line = |request: &Request| {
            let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{} {}{query}", request.method, request.url.path())
        };
        self.requests().await.iter().map(line).collect()
    }
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}
