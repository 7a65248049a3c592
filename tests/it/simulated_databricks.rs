//! The lab's Databricks behaves as the vendor documents, and the client gets along with it.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value as Json, json};
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Error, Settings, Statement, Warehouse};
use syncwatch_lab::databricks::{
    CLIENT_ID, CLIENT_SECRET, DatabricksFault, DatabricksServer, TOKEN, WAREHOUSE_ID,
};
use syncwatch_lab::engines;

async fn server() -> (DatabricksServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    (DatabricksServer::start(database).await.unwrap(), folder)
}

fn settings(server: &DatabricksServer) -> DatabricksSettings {
    let auth = DatabricksAuth::service_principal(CLIENT_ID, SecretString::from(CLIENT_SECRET));
    DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth)
}

fn open(settings: DatabricksSettings) -> Warehouse {
    Warehouse::open(Settings::Databricks(settings), syncwatch::aws::http::client().unwrap()).unwrap()
}

fn one() -> Statement {
    Statement::new("one", "SELECT 1 AS one")
}

async fn post(server: &DatabricksServer, path: &str, body: &Json) -> (u16, Json) {
    let http = syncwatch::aws::http::client().unwrap();
    let request = http.post(format!("{}{path}", server.url())).bearer_auth(TOKEN).body(body.to_string());
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_documented_form_with_every_value_a_text() {
    let (server, _folder) = server().await;
    let body = json!({
        "statement": "SELECT :n AS n, :none AS none, CAST('2026-11-24' AS VARCHAR(10)) AS d",
        "warehouse_id": WAREHOUSE_ID,
        "parameters": [{ "name": "n", "type": "INT", "value": "5" }, { "name": "none", "type": "STRING" }],
    });
    let (status, answer) = post(&server, "/api/2.0/sql/statements", &body).await;
    assert_eq!((status, &answer["status"]["state"]), (200, &json!("SUCCEEDED")), "{answer}");
    assert_eq!(answer["result"]["data_array"], json!([["5", null, "2026-11-24"]]));
    let columns = &answer["manifest"]["schema"]["columns"];
    assert_eq!((&columns[0]["name"], &columns[0]["type_name"]), (&json!("n"), &json!("BIGINT")));
    assert_eq!(columns[2]["type_name"], "DATE");
    assert_eq!(answer["manifest"]["total_row_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_the_documentation_is_refused_and_a_wrong_statement_fails_inside_a_200() {
    let (server, _folder) = server().await;
    let sent = |change: &dyn Fn(&mut Json)| {
        let mut body = json!({ "statement": "SELECT 1", "warehouse_id": WAREHOUSE_ID });
        change(&mut body);
        body
    };
    for (wrong, expected) in [
        (sent(&|body| body["wait_timeout"] = json!("3s")), 400),
        (sent(&|body| body["disposition"] = json!("EXTERNAL_LINKS")), 400),
        (sent(&|body| body["statement"] = json!("")), 400),
        (sent(&|body| body["warehouse_id"] = json!("another")), 404),
        (sent(&|body| body["parameters"] = json!([{ "name": "n", "type": "INT", "value": "five" }])), 400),
    ] {
        let (status, answer) = post(&server, "/api/2.0/sql/statements", &wrong).await;
        assert_eq!(status, expected, "{answer}");
        assert!(answer["error_code"].is_string() && answer["message"].is_string(), "{answer}");
    }
    for (sql, state) in [
        ("SELECT * FROM crm.ops.nosuch", "42P01"),
        ("SELECT nosuch", "42703"),
        ("SELEKT 1", "42601"),
        ("PRAGMA user_version", "42601"),
        ("SELECT :unbound", "42P02"),
    ] {
        let body = json!({ "statement": sql, "warehouse_id": WAREHOUSE_ID });
        let (status, answer) = post(&server, "/api/2.0/sql/statements", &body).await;
        assert_eq!((status, &answer["status"]["state"]), (200, &json!("FAILED")), "{sql}: {answer}");
        assert_eq!(answer["status"]["sql_state"], state, "{sql}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_once_and_again_when_it_has_expired() {
    let (server, _folder) = server().await;
    let warehouse = open(settings(&server));
    warehouse.query(&one()).await.unwrap();
    warehouse.query(&one()).await.unwrap();
    assert_eq!(server.tokens_given(), 1);
    server.expire_tokens();
    warehouse.query(&one()).await.unwrap();
    assert_eq!(server.tokens_given(), 2);
    server.inflict(DatabricksFault::Unauthorized);
    let error = warehouse.query(&one()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_wakes_up_and_refusals_that_pass_are_waited_for() {
    let (server, _folder) = server().await;
    let warehouse = open(settings(&server));
    for fault in [
        DatabricksFault::Starting { looks: 2 },
        DatabricksFault::RateLimited { times: 1, retry_after: 0 },
        DatabricksFault::Unavailable { times: 1, retry_after: 0 },
        DatabricksFault::Slow { ms: 50 },
    ] {
        server.inflict(fault.clone());
        let answer = warehouse.query(&one()).await;
        assert_eq!(answer.unwrap().len(), 1, "{fault:?}");
        server.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_failure_is_told_once_in_its_own_words() {
    let (server, _folder) = server().await;
    let warehouse = open(settings(&server));
    server.inflict(DatabricksFault::Fails {
        error_code: "BAD_REQUEST".to_owned(),
        message: "[INSUFFICIENT_PERMISSIONS] Insufficient privileges".to_owned(),
        sql_state: "42501".to_owned(),
    });
    let error = warehouse.query(&one()).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
    warehouse.query(&one()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_hangs_is_given_up_and_told_to_stop() {
    let (server, _folder) = server().await;
    let mut settings = settings(&server);
    settings.limits.time = Duration::from_secs(1);
    server.inflict(DatabricksFault::Hangs);
    let error = open(settings).query(&one()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(server.cancelled().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_in_chunks_and_one_beyond_the_limit_is_an_error() {
    let (server, _folder) = server().await;
    server.set_rows_a_chunk(3);
    let numbers =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n";
    let statement = Statement::new("ten", numbers);
    let answer = open(settings(&server)).query(&statement).await.unwrap();
    let read: Vec<i64> = answer.rows().map(|row| row.get("i").unwrap()).collect();
    assert_eq!(read, (1..=10).collect::<Vec<_>>());
    let mut few = settings(&server);
    few.limits.rows = 9;
    let error = open(few).query(&statement).await.unwrap_err();
    assert!(matches!(error, Error::TooManyRows { limit: 9, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_writes_says_how_many_rows_it_touched() {
    let (server, _folder) = server().await;
    let warehouse = open(settings(&server));
    let run = |sql: &str| Statement::new("a write", sql);
    warehouse.execute(&run("CREATE SCHEMA IF NOT EXISTS crm.ops")).await.unwrap();
    warehouse.execute(&run("CREATE TABLE IF NOT EXISTS crm.ops.t (a BIGINT) CLUSTER BY (a)")).await.unwrap();
    let inserted = warehouse.execute(&run("INSERT INTO crm.ops.t VALUES (1), (2)")).await.unwrap();
    assert_eq!(inserted, Some(2));
    let deleted = warehouse.execute(&run("DELETE FROM crm.ops.t WHERE a = 1")).await.unwrap();
    assert_eq!(deleted, Some(1));
    assert_eq!(server.statements().len(), 4);
}
