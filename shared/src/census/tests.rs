//! The contract with the vendor: requests, parsed answers and retries.

// Cases are easier to read with their JSON inline.
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
mod writes;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use syncwatch_testing::{Receiver, ok, status};
use wiremock::ResponseTemplate;

use super::{Client, Settings, Writer};
use crate::http::skipping::Skipping;
use crate::pipeline::ApiVersion;

const TOKEN: &str = "secret-token:arandomstring";
const GROUP: &str = "wandering_aimlessly";

/// Loads a documented answer.
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

fn writer_with(settings: &Settings) -> (Writer, Arc<Skipping>) {
    let watch = Arc::new(Skipping::default());
    let http = crate::http::client().unwrap();
    (Writer::with_watch(http, settings, now(), watch.clone()).unwrap(), watch)
}

/// A simulated Census with scripted answers, and its clients. The watch is that of the reader.
struct World {
    server: Receiver,
    client: Client,
    writer: Writer,
    watch: Arc<Skipping>,
}

impl World {
    async fn new(answers: Vec<ResponseTemplate>) -> Self {
        Self::of(ApiVersion::V1, answers).await
    }

    async fn of(version: ApiVersion, answers: Vec<ResponseTemplate>) -> Self {
        let server = Receiver::in_turn(answers).await;
        let settings = settings(server.uri(), version);
        let (client, watch) = client_with(&settings);
        let (writer, _) = writer_with(&settings);
        Self { server, client, writer, watch }
    }
}
