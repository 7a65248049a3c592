//! The contract with the vendor: requests, parsed answers and retries.

// Cases are easier to read with their JSON inline.
#![allow(clippy::needless_pass_by_value)]

mod answers;
mod auth;
mod calls;
mod keeper;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value as Json, json};
use syncwatch_testing::{Receiver, ok, status};
use wiremock::matchers::{path, path_regex};
use wiremock::{Mock, ResponseTemplate};

use super::Databricks;
use crate::http::skipping::Skipping;
use crate::sql::Statement;
use crate::warehouse::{DatabricksAuth, DatabricksSettings, Limits, SettingsError};

const TOKEN: &str = "dapi-0123456789";
const SECRET: &str = "dose-client-secret";

/// A simulated workspace with scripted answers, and its client.
struct World {
    server: Receiver,
    client: Databricks,
    watch: Arc<Skipping>,
}

impl World {
    async fn new(answers: Vec<ResponseTemplate>) -> Self {
        Self::with(answers, |_| {}).await
    }

    async fn with(answers: Vec<ResponseTemplate>, alter: impl FnOnce(&mut DatabricksSettings)) -> Self {
        let server = Receiver::start().await;
        server.answer_in_turn(|| Mock::given(path_regex("^/api/")), answers).await;
        let mut settings = settings(&server.uri());
        alter(&mut settings);
        let watch = Arc::new(Skipping::default());
        let client = Databricks::with_watch(crate::http::client().unwrap(), settings, watch.clone()).unwrap();
        Self { server, client, watch }
    }

    /// Uses a service principal, with scripted answers of the token endpoint.
    async fn with_oauth(answers: Vec<ResponseTemplate>, tokens: Vec<ResponseTemplate>) -> Self {
        let principal = DatabricksAuth::service_principal("client-1", SecretString::from(SECRET));
        let world = Self::with(answers, |settings| settings.auth = principal).await;
        world.server.answer_in_turn(|| Mock::given(path("/oidc/v1/token")), tokens).await;
        world
    }
}

fn settings(base_url: &str) -> DatabricksSettings {
    let mut settings =
        DatabricksSettings::new(base_url, "abc123", DatabricksAuth::Token(SecretString::from(TOKEN)));
    settings.limits = Limits { time: seconds(60), rows: 3, bytes: 1_000, ..Limits::default() };
    settings
}

fn statement() -> Statement {
    Statement::new("coverage of properties", "SELECT 1")
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn in_state(state: &str) -> ResponseTemplate {
    ok(json!({ "statement_id": "01ef-1", "status": { "state": state } }))
}

/// A finished statement with columns (name, type) and rows.
fn done(columns: &[(&str, &str)], rows: Json) -> Json {
    let columns: Vec<Json> = columns
        .iter()
        .enumerate()
        .map(|(position, (name, type_name))| {
            json!({ "name": name, "position": position, "type_name": type_name.split('(').next(), "type_text": type_name })
        })
        .collect();
    let count = rows.as_array().unwrap().len();
    json!({
        "statement_id": "01ef-1",
        "status": { "state": "SUCCEEDED" },
        "manifest": {
            "format": "JSON_ARRAY",
            "schema": { "column_count": columns.len(), "columns": columns },
            "total_chunk_count": 1,
            "total_row_count": count,
            "truncated": false,
        },
        "result": { "chunk_index": 0, "row_offset": 0, "row_count": count, "data_array": rows },
    })
}

fn one() -> ResponseTemplate {
    ok(done(&[("n", "BIGINT")], json!([["1"]])))
}

#[test]
fn token_is_sent_over_https_only() {
    let http = crate::http::client().unwrap();
    let open = |url: &str| Databricks::new(http.clone(), settings(url)).map(|_| ());
    for url in
        ["https://dbc-1.cloud.databricks.com", "https://dbc-1.cloud.databricks.com/", "http://127.0.0.1:8080"]
    {
        assert_eq!(open(url), Ok(()), "{url}");
    }
    for url in [
        "http://dbc-1.cloud.databricks.com",
        "http://127.0.0.1.example.com",
        "https://user:pw@dbc-1.cloud.databricks.com",
        "https://dbc-1.cloud.databricks.com/?o=1",
        "https://dbc-1.cloud.databricks.com/sql",
        "dbc-1.cloud.databricks.com",
        "",
    ] {
        let SettingsError { setting, problem } = open(url).unwrap_err();
        assert!(setting == "base_url" && !problem.contains("pw@"), "{url}");
    }
}

#[test]
fn invalid_credentials_are_refused_without_showing_them() {
    let http = crate::http::client().unwrap();
    let principal =
        |id: &str, secret: &str| DatabricksAuth::service_principal(id, SecretString::from(secret));
    for auth in [
        DatabricksAuth::Token(SecretString::from(" ")),
        DatabricksAuth::Token(SecretString::from("s3cret\u{7}")),
        principal("", "s3cret"),
        principal("id", " "),
        principal("id:s3cret", "x"),
    ] {
        let error = Databricks::new(http.clone(), DatabricksSettings::new("https://x.example", "abc", auth))
            .unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let token = DatabricksAuth::Token(SecretString::from(TOKEN));
    assert!(Databricks::new(http, DatabricksSettings::new("https://x.example", "", token)).is_err());
}
