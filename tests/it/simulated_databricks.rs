//! The lab's Databricks behaves as the vendor documents, and the client works with it.

use std::time::Duration;

use daily_validation::observe::ask_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use syncwatch::data_checks::compile;
use syncwatch::judge::data::{Extent, judge_round};
use syncwatch::observation::{WarehousePower, WarehouseState};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::{ErrorKind, Statement};
use syncwatch::warehouse::{
    DatabricksAuth, DatabricksSettings, Resize, Settings, Warehouse, WarehouseKeeper,
};
use syncwatch_lab::census::{CensusServer, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks::{
    CLIENT_ID, CLIENT_SECRET, DatabricksFault, DatabricksServer, TOKEN, WAREHOUSE_ID,
};
use syncwatch_lab::engines;
use syncwatch_lab::properties::{Pace, PropertyFault, PropertyWorld};
use syncwatch_lab::stage::LivingWarehouse;

async fn server() -> (DatabricksServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
    (DatabricksServer::start(database).await.unwrap(), folder)
}

pub(crate) fn settings(server: &DatabricksServer) -> DatabricksSettings {
    let auth = DatabricksAuth::service_principal(CLIENT_ID, SecretString::from(CLIENT_SECRET));
    DatabricksSettings::new(server.url(), WAREHOUSE_ID, auth)
}

pub(crate) fn open(settings: DatabricksSettings) -> Warehouse {
    Warehouse::open(Settings::Databricks(settings), syncwatch::http::client().unwrap()).unwrap()
}

fn one() -> Statement {
    Statement::new("one", "SELECT 1 AS one")
}

async fn post(server: &DatabricksServer, path: &str, body: &Json) -> (u16, Json) {
    let http = syncwatch::http::client().unwrap();
    let request = http.post(format!("{}{path}", server.url())).bearer_auth(TOKEN).body(body.to_string());
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

async fn get(server: &DatabricksServer, path: &str) -> Json {
    let http = syncwatch::http::client().unwrap();
    let answer = http.get(format!("{}{path}", server.url())).bearer_auth(TOKEN).send().await.unwrap();
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_has_the_documented_form_with_text_values() {
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
    assert_eq!((&columns[0]["name"], &columns[0]["type_name"]), (&json!("n"), &json!("LONG")));
    assert_eq!(columns[0]["type_text"], "BIGINT");
    assert_eq!(columns[2]["type_name"], "DATE");
    assert_eq!(answer["manifest"]["total_row_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_request_is_refused_and_invalid_sql_fails_in_a_200() {
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
        (sent(&|body| body["warehouse_id"] = json!("other")), 400),
        (sent(&|body| body["warehouse_id"] = json!("fedcba9876543210")), 403),
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
async fn token_is_fetched_once_and_again_after_it_expired() {
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
    assert!(matches!(error.kind, ErrorKind::Refused), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_warehouse_and_temporary_refusals_are_waited_for() {
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
async fn stopped_warehouse_starts_when_asked_and_runs_later() {
    let (server, _folder) = server().await;
    let path = format!("/api/2.0/sql/warehouses/{WAREHOUSE_ID}");
    let state = async || get(&server, &path).await["state"].as_str().unwrap().to_owned();
    assert_eq!(get(&server, "/api/2.0/sql/warehouses").await["warehouses"][0]["id"], WAREHOUSE_ID);
    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    assert_eq!(state().await, "STOPPED");
    let (status, _) = post(&server, &format!("{path}/start"), &json!({})).await;
    assert_eq!((status, state().await.as_str()), (200, "STARTING"));
    server.pass(Duration::from_secs(300));
    assert_eq!(state().await, "RUNNING");

    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    let body = json!({ "statement": "SELECT 1", "warehouse_id": WAREHOUSE_ID, "wait_timeout": "0s" });
    let (_, asked) = post(&server, "/api/2.0/sql/statements", &body).await;
    assert_eq!((&asked["status"]["state"], state().await.as_str()), (&json!("PENDING"), "STARTING"));
    server.pass(Duration::from_secs(300));
    let warehouse = open(settings(&server));
    assert_eq!(warehouse.query(&one()).await.unwrap().len(), 1);
}

fn keeper(server: &DatabricksServer) -> WarehouseKeeper {
    WarehouseKeeper::new(syncwatch::http::client().unwrap(), settings(server)).unwrap()
}

async fn state(server: &DatabricksServer) -> WarehouseState {
    open(settings(server)).state().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeper_starts_a_stopped_warehouse() {
    let (server, _folder) = server().await;
    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    assert_eq!(state(&server).await.power, WarehousePower::Stopped);
    keeper(&server).start().await.unwrap();
    assert_eq!(state(&server).await.power, WarehousePower::Starting);
    server.pass(Duration::from_secs(300));
    assert_eq!(state(&server).await.power, WarehousePower::Running);
    assert_eq!(server.writes(), [("start", json!({}))]);
    assert!(server.statements().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn start_that_never_ends_or_is_refused_is_seen_as_such() {
    let (server, _folder) = server().await;
    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    server.inflict(DatabricksFault::StartRefused);
    let error = keeper(&server).start().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoAccess { .. }), "{error}");
    assert_eq!(state(&server).await.power, WarehousePower::Stopped);
    assert_eq!(server.writes().len(), 1);
    server.heal();
    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    server.inflict(DatabricksFault::NeverStarts);
    keeper(&server).start().await.unwrap();
    server.pass(Duration::from_secs(86_400));
    assert_eq!(state(&server).await.power, WarehousePower::Starting);
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_waits_for_a_warehouse_without_auto_start() {
    let (server, _folder) = server().await;
    server.inflict(DatabricksFault::Stopped { start_s: 300 });
    server.inflict(DatabricksFault::NoAutoStart);
    let body = json!({ "statement": "SELECT 1", "warehouse_id": WAREHOUSE_ID, "wait_timeout": "0s" });
    let (_, asked) = post(&server, "/api/2.0/sql/statements", &body).await;
    assert_eq!(asked["status"]["state"], "PENDING");
    server.pass(Duration::from_secs(300));
    assert_eq!(state(&server).await.power, WarehousePower::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn resize_changes_one_field_and_nothing_of_others() {
    let (server, _folder) = server().await;
    server.set_warehouse("auto_stop_mins", json!(15));
    let path = format!("/api/2.0/sql/warehouses/{WAREHOUSE_ID}");
    let mut expected = get(&server, &path).await;
    assert_eq!(keeper(&server).resize(1, 3).await, Ok(Resize::Done));
    expected["max_num_clusters"] = json!(3);
    assert_eq!(get(&server, &path).await, expected);
    // A person widens it further; putting back the old size would fight this.
    server.set_warehouse("max_num_clusters", json!(5));
    assert_eq!(keeper(&server).resize(3, 1).await, Ok(Resize::ChangedByOther { max_clusters: 5 }));
    assert_eq!(state(&server).await.max_clusters, Some(5));
    assert!(keeper(&server).resize(5, 41).await.is_err());
    server.inflict(DatabricksFault::EditRefused);
    let error = keeper(&server).resize(5, 6).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PermissionDenied { .. }), "{error}");
    assert_eq!(state(&server).await.max_clusters, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_resets_the_fields_that_it_does_not_get() {
    let (server, _folder) = server().await;
    let path = format!("/api/2.0/sql/warehouses/{WAREHOUSE_ID}");
    let body = json!({ "name": "ops", "cluster_size": "Medium", "max_num_clusters": 2 });
    assert_eq!(post(&server, &format!("{path}/edit"), &body).await, (200, json!({})));
    let shown = get(&server, &path).await;
    assert_eq!((&shown["auto_stop_mins"], &shown["warehouse_type"]), (&json!(120), &json!("CLASSIC")));
    for wrong in [
        json!({ "name": "ops" }),
        json!({ "name": "ops", "cluster_size": "Medium", "auto_stop_mins": 3 }),
        json!({ "name": "ops", "cluster_size": "Medium", "min_num_clusters": 2, "max_num_clusters": 1 }),
    ] {
        assert_eq!(post(&server, &format!("{path}/edit"), &wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripted_failure_is_returned_once() {
    let (server, _folder) = server().await;
    let warehouse = open(settings(&server));
    server.inflict(DatabricksFault::Fails {
        error_code: "BAD_REQUEST".to_owned(),
        message: "[INSUFFICIENT_PERMISSIONS] Insufficient privileges".to_owned(),
        sql_state: "42501".to_owned(),
    });
    let error = warehouse.query(&one()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PermissionDenied { .. }), "{error}");
    warehouse.query(&one()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_statement_is_given_up_and_cancelled() {
    let (server, _folder) = server().await;
    let mut settings = settings(&server);
    settings.limits.time = Duration::from_secs(1);
    server.inflict(DatabricksFault::Hangs);
    let error = open(settings).query(&one()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout { .. }), "{error}");
    assert_eq!(server.cancelled().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answer_is_read_in_chunks_and_fails_beyond_the_limit() {
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
    assert!(matches!(error.kind, ErrorKind::TooManyRows { limit: 9, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn write_statement_returns_the_affected_row_count() {
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

/// Starts a Census at wall speed that moves data, and the warehouse that follows it.
async fn living() -> (CensusServer, LivingWarehouse, Warehouse) {
    let clock = LabClock::wall();
    let properties = PropertyWorld::with(clock.now(), 9, 800, 790, 10).at_pace(Pace::OF_SEED);
    let world = World::seed_pipeline(clock.now(), 9).carrying(properties);
    let census = CensusServer::start(world, clock).await.unwrap();
    let living = LivingWarehouse::start(census.feed()).await.unwrap().unwrap();
    let warehouse = open(settings(&living.databricks));
    (census, living, warehouse)
}

/// Lists the unhealthy checks of the pipeline file, as a function at wall time finds them.
async fn unhealthy(warehouse: &Warehouse) -> Vec<String> {
    let pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
    let now = Timestamp::now();
    let scans = compile(&pipeline.checks, warehouse.dialect(), &pipeline.time_zone, now).unwrap();
    let answers = ask_all(Asker::new(warehouse, Duration::from_secs(60)), scans).await;
    let findings = judge_round(&answers, Extent::Whole, now);
    findings.iter().filter(|finding| finding.is_unhealthy()).map(|finding| finding.subject.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_follows_the_clock_of_census() {
    let (census, _living, warehouse) = living().await;
    let hours = SignedDuration::from_hours;
    let newest = Statement::new("newest", "SELECT MAX(updated_at) AS at FROM crm.rds.properties");
    let since =
        Statement::new("since", "SELECT COUNT(*) AS n FROM crm.rds.properties WHERE updated_at > :since");
    for jumped in [0, 1, 26] {
        census.jump(hours(jumped));
        // Without new records the warehouse's answers equal the known state.
        census.spoil(PropertyFault::SourceStalls).unwrap();
        let ahead = census.clock().ahead_of_wall();
        let known: Vec<Timestamp> = census.with_world(|world| {
            world
                .properties()
                .unwrap()
                .properties()
                .iter()
                .map(|property| property.updated_at - ahead)
                .collect()
        });
        let answer = warehouse.query(&newest).await.unwrap();
        let shown: Timestamp = answer.only_row().unwrap().get("at").unwrap();
        assert_eq!(Some(shown), known.iter().max().copied(), "after a jump of {jumped} h");
        let from = Timestamp::now() - hours(2);
        let answer = warehouse.query(&since.clone().bind("since", from)).await.unwrap();
        let count: i64 = answer.only_row().unwrap().get("n").unwrap();
        assert_eq!(usize::try_from(count).unwrap(), known.iter().filter(|at| **at > from).count());
        assert_eq!(unhealthy(&warehouse).await, [""; 0], "after a jump of {jumped} h");
        census.heal_all();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_fault_is_found_by_its_check_and_resolves_after_repair() {
    let leak = PropertyFault::CoverageLeak { city: "Fresno".to_owned() };
    for (fault, found, and_maybe) in [
        (PropertyFault::ViewBug, "company-names", "company-name-quality"),
        (PropertyFault::CopyStalls, "changes-arrive", "properties-coverage create-queue update-queue"),
        (PropertyFault::DuplicateCreation { percent: 20 }, "unique-property-ids", ""),
        (leak, "properties-coverage", ""),
        (
            PropertyFault::Backlog { per_run: 2 },
            "create-queue",
            "properties-coverage update-queue changes-arrive",
        ),
    ] {
        let (census, _living, warehouse) = living().await;
        census.spoil(fault.clone()).unwrap();
        census.jump(SignedDuration::from_hours(10));
        let harmed = unhealthy(&warehouse).await;
        assert!(harmed.iter().any(|subject| subject == found), "{fault:?}: {harmed:?}");
        let expected = |subject: &String| subject == found || and_maybe.contains(subject.as_str());
        assert!(harmed.iter().all(expected), "{fault:?}: {harmed:?}");
        census.heal_all();
        census.repair().unwrap();
        census.jump(SignedDuration::from_hours(2));
        assert_eq!(unhealthy(&warehouse).await, [""; 0], "{fault:?}");
    }
}
