//! The nightly checks on the lab's AWS, against a Databricks that answers what a test wants.

use daily_validation::App;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::{Site, env};
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::World;
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::{Pace, PropertyFault, PropertyWorld};
use syncwatch_lab::stage::Stage;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// 03:00 in Los Angeles.
fn three() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

/// Answers each statement with the seed's figures, column by column.
struct Warehouse {
    found: u32,
}

impl Respond for Warehouse {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let sql = body["statement"].as_str().unwrap();
        assert_eq!(body["warehouse_id"], "0123456789abcdef");
        let (mut columns, mut row) = (Vec::new(), Vec::new());
        let select = sql.strip_prefix("SELECT ").unwrap().split(" FROM `crm`").next().unwrap();
        for (index, expression) in select.split(", ").enumerate() {
            let (expression, name) = expression.rsplit_once(" AS ").unwrap();
            assert_eq!(name, format!("f{index}"));
            // A figure of the table beside is defined in a subquery, under the name that is read here.
            let beside = expression.strip_prefix("MAX(j1.").and_then(|name| name.strip_suffix(')'));
            let defined =
                beside.and_then(|name| sql.split(&format!(" AS {name}")).next()).unwrap_or_default();
            let (kind, value) = if expression.starts_with("COUNT") || expression.contains(".n") {
                let count = match expression {
                    // Nothing is dated in the future; the filters keep all that there is.
                    future if future.contains("_at` >= :p") => 0,
                    _ if defined.ends_with(">= :p1 THEN 1 END)") => 0,
                    found if found.contains("j0.k IS NOT NULL") => self.found,
                    nulls if nulls.contains("company_name_c` IS NULL") => 0,
                    "COUNT(*)" => 3,
                    _ => 20_247,
                };
                ("LONG", json!(count.to_string()))
            } else if expression.starts_with("MIN") {
                ("TIMESTAMP", Value::Null)
            } else {
                ("TIMESTAMP", json!("2026-11-24T10:00:00.000Z"))
            };
            columns.push(json!({ "name": name, "type_name": kind, "type_text": kind, "position": index }));
            row.push(value);
        }
        ResponseTemplate::new(200).set_body_json(json!({
            "statement_id": "01ef-1",
            "status": { "state": "SUCCEEDED" },
            "manifest": {
                "format": "JSON_ARRAY",
                "schema": { "column_count": columns.len(), "columns": columns },
                "total_row_count": 1, "total_chunk_count": 1, "truncated": false,
            },
            "result": { "chunk_index": 0, "row_offset": 0, "row_count": 1, "data_array": [row] },
        }))
    }
}

async fn databricks(found: u32) -> MockServer {
    let server = MockServer::start().await;
    let post = Mock::given(method("POST")).and(path("/api/2.0/sql/statements"));
    post.respond_with(Warehouse { found }).mount(&server).await;
    server
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

fn nightly(stage: &Stage, databricks: &str) -> App {
    App::new(site(stage, "daily-validation", pipeline(), databricks))
}

fn watcher(stage: &Stage) -> schedule_verification::App {
    schedule_verification::App(stage.site("schedule-verification", pipeline()).unwrap())
}

fn site(stage: &Stage, function: &str, pipeline: Pipeline, databricks: &str) -> Site {
    let changed = [(env::DATABRICKS_URL.name, databricks)];
    stage.deployment.site(function, pipeline, stage.aws.endpoint(), &changed).unwrap()
}

fn notices(answer: &Value) -> Vec<String> {
    let text = |notice: &Value, key: &str| notice[key].as_str().unwrap().to_owned();
    let notices = answer["notices"].as_array().unwrap().iter();
    notices.map(|notice| format!("{} {}", text(notice, "kind"), text(notice, "incident"))).collect()
}

/// The incidents about data checks in what the watcher says; of Census it says more as its clock jumps.
fn about_data(answer: &Value) -> Vec<String> {
    let about = |line: &String| line.contains("checks-ran") || line.contains("coverage");
    notices(answer).into_iter().filter(about).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nightly_round_tells_what_is_wrong_once_and_somebody_else_tells_when_it_does_not_run() {
    let clock = LabClock::set_to(three());
    let stage = Stage::set(World::seed_pipeline(three(), 11), clock, Schedules::None).await.unwrap();
    let watcher = watcher(&stage);
    let watch = async |now| watcher.run(json!({ "task": "verify" }), now).await.unwrap();
    assert_eq!(about_data(&watch(three()).await), [""; 0], "never ran is nothing to tell yet");

    let poor = databricks(18_722).await;
    let app = nightly(&stage, &poor.uri());
    let validate = json!({ "task": "validate" });
    let first = app.run(validate.clone(), three()).await.unwrap();
    assert_eq!(notices(&first), ["opened properties/coverage/properties-coverage"], "{first}");
    assert_eq!(first["statements"], 4);
    assert_eq!(poor.received_requests().await.unwrap().len(), 4, "one statement for each table");
    let table = first["table"].as_str().unwrap();
    assert!(table.contains("92.47% (good, not excellent): 18,722 of 20,247 keys"), "{table}");
    assert_eq!(table.lines().count(), 10, "{table}");
    assert_eq!(notices(&app.run(validate.clone(), three()).await.unwrap()), [""; 0]);

    // The function that looks every two minutes knows nothing of data, so it says nothing of its incidents.
    let hours = SignedDuration::from_hours;
    assert_eq!(about_data(&watch(three() + hours(5)).await), [""; 0]);
    assert_eq!(about_data(&watch(three() + hours(27)).await), ["opened properties/checks-ran/syncwatch"]);
    assert_eq!(about_data(&watch(three() + hours(51)).await), ["worsened properties/checks-ran/syncwatch"]);

    // By hand for one check: it ends its incident, and is no round.
    let good = databricks(20_000).await;
    let app = nightly(&stage, &good.uri());
    let one = json!({ "task": "validate", "check": "properties-coverage" });
    let by_hand = app.run(one, three() + hours(52)).await.unwrap();
    assert_eq!(notices(&by_hand), ["resolved properties/coverage/properties-coverage"]);
    assert_eq!(about_data(&watch(three() + hours(52)).await), [""; 0]);
    app.run(validate, three() + hours(53)).await.unwrap();
    assert_eq!(about_data(&watch(three() + hours(53)).await), ["resolved properties/checks-ran/syncwatch"]);
    let error = app.run(json!({ "task": "validate", "check": "nonsense" }), three()).await.unwrap_err();
    assert!(error.to_string().contains("properties-coverage"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_refuses_us_is_one_notice() {
    let clock = LabClock::set_to(three());
    let stage = Stage::set(World::seed_pipeline(three(), 11), clock, Schedules::None).await.unwrap();
    let server = MockServer::start().await;
    let refusal = json!({ "error_code": "UNAUTHENTICATED", "message": "no" });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(401).set_body_json(refusal))
        .mount(&server)
        .await;
    let answer = nightly(&stage, &server.uri()).run(json!({ "task": "validate" }), three()).await.unwrap();
    assert_eq!(notices(&answer), ["opened properties/warehouse-reachable/warehouse"]);
    // Eight checks, six of them with filters.
    assert_eq!(answer["counts"]["not_evaluated"], 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_without_checks_of_data_says_nothing_of_a_warehouse_that_only_its_snapshot_asks() {
    let clock = LabClock::set_to(three());
    let stage = Stage::set(World::seed_pipeline(three(), 11), clock, Schedules::None).await.unwrap();
    let mut without_checks = pipeline();
    without_checks.checks.clear();
    assert!(without_checks.snapshot.is_some());
    let nobody = "http://127.0.0.1:9";
    // Its secret is taken away, which is found without a look at the network.
    stage.deployment.put_secret(&ResourceId::secret("warehouse"), "{}").await.unwrap();
    let snapshot = nightly_snapshot::App(site(&stage, "nightly-snapshot", without_checks.clone(), nobody));
    let answer = snapshot.run(json!({ "task": "snapshot" }), three()).await.unwrap();
    assert_eq!(notices(&answer), ["opened properties/warehouse-reachable/warehouse"], "{answer}");

    let checks = App::new(site(&stage, "daily-validation", without_checks, nobody));
    let later = three() + SignedDuration::from_hours(25);
    let answer = checks.run(json!({ "task": "validate" }), later).await.unwrap();
    let said = notices(&answer);
    assert!(said.iter().all(|said| said.starts_with("reminder")), "neither over nor silent: {answer}");
    assert_eq!((&answer["statements"], &answer["open_incidents"]), (&json!(0), &json!(1)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_broken_view_loses_are_told_until_they_are_restored_though_every_run_completes() {
    let clock = LabClock::set_to(three());
    let properties = PropertyWorld::with(three(), 11, 800, 790, 10).at_pace(Pace::OF_SEED);
    let world = World::seed_pipeline(three(), 11).carrying(properties);
    let stage = Stage::set(world, clock, Schedules::None).await.unwrap();
    let app = nightly(&stage, stage.warehouse.as_ref().unwrap().url());
    let watcher = watcher(&stage);
    let (validate, verify) = (json!({ "task": "validate" }), json!({ "task": "verify" }));
    let now = || stage.census.clock().now();
    let told = async || notices(&app.run(validate.clone(), now()).await.unwrap());
    // So many of the day's records, and so large a share of all.
    let names = ["properties/null-count/company-names", "properties/null-rate/company-name-quality"];
    assert_eq!(told().await, [""; 0]);

    stage.census.spoil(PropertyFault::ViewBug).unwrap();
    stage.census.jump(SignedDuration::from_hours(2));
    assert_eq!(told().await, names.map(|name| format!("opened {name}")));
    assert_eq!(notices(&watcher.run(verify, now()).await.unwrap()), [""; 0], "no run can tell");
    // A view that is mended restores no data.
    stage.census.heal_all();
    stage.census.jump(SignedDuration::from_hours(2));
    assert_eq!(told().await, [""; 0]);
    stage.census.repair().unwrap();
    stage.census.jump(SignedDuration::from_mins(30));
    assert_eq!(told().await, names.map(|name| format!("resolved {name}")));
}
