//! The nightly checks on the lab's AWS, against a Databricks with scripted answers.

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
            // A figure of the joined table is defined in a subquery, under the name that is read here.
            let beside = expression.strip_prefix("MAX(j1.").and_then(|name| name.strip_suffix(')'));
            let defined =
                beside.and_then(|name| sql.split(&format!(" AS {name}")).next()).unwrap_or_default();
            let (kind, value) = if expression.starts_with("COUNT") || expression.contains(".n") {
                let count = match expression {
                    // No record is dated in the future, and the filters keep every row.
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

/// Lists the watcher's notices about data checks. As the clock jumps, it also notifies about Census.
fn about_data(answer: &Value) -> Vec<String> {
    let about = |line: &String| line.contains("checks-ran") || line.contains("coverage");
    notices(answer).into_iter().filter(about).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nightly_findings_notify_once_and_missed_rounds_are_reported() {
    let clock = LabClock::set_to(three());
    let stage = Stage::set(World::seed_pipeline(three(), 11), clock, Schedules::None).await.unwrap();
    let watcher = watcher(&stage);
    let watch = async |now| watcher.run(json!({ "task": "verify" }), now).await.unwrap();
    assert_eq!(about_data(&watch(three()).await), [""; 0], "no notice before the first round");

    let poor = databricks(18_722).await;
    let app = nightly(&stage, &poor.uri());
    let validate = json!({ "task": "validate" });
    let first = app.run(validate.clone(), three()).await.unwrap();
    assert_eq!(notices(&first), ["opened properties/coverage/properties-coverage"], "{first}");
    assert_eq!(first["statements"], 4);
    assert_eq!(poor.received_requests().await.unwrap().len(), 4, "one statement for each table");
    let table = first["table"].as_str().unwrap();
    assert!(table.contains("92.47% coverage (target 95%, minimum 90%); 18,722 of 20,247 keys"), "{table}");
    assert_eq!(table.lines().count(), 10, "{table}");
    assert_eq!(notices(&app.run(validate.clone(), three()).await.unwrap()), [""; 0]);

    // The poll does not judge data, so it leaves the incidents of the data checks unchanged.
    let hours = SignedDuration::from_hours;
    assert_eq!(about_data(&watch(three() + hours(5)).await), [""; 0]);
    assert_eq!(about_data(&watch(three() + hours(27)).await), ["opened properties/checks-ran/syncwatch"]);
    assert_eq!(about_data(&watch(three() + hours(51)).await), ["worsened properties/checks-ran/syncwatch"]);

    // A manual run of one check resolves its incident and does not count as a round.
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
async fn refused_warehouse_sends_one_notice() {
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
async fn pipeline_without_data_checks_keeps_the_snapshots_incident() {
    let clock = LabClock::set_to(three());
    let stage = Stage::set(World::seed_pipeline(three(), 11), clock, Schedules::None).await.unwrap();
    let mut without_checks = pipeline();
    without_checks.checks.clear();
    assert!(without_checks.snapshot.is_some());
    let unreachable = "http://127.0.0.1:9";
    // An unusable secret is found without a request.
    stage.deployment.put_secret(&ResourceId::secret("warehouse"), "{}").await.unwrap();
    let snapshot =
        nightly_snapshot::App(site(&stage, "nightly-snapshot", without_checks.clone(), unreachable));
    let answer = snapshot.run(json!({ "task": "snapshot" }), three()).await.unwrap();
    assert_eq!(notices(&answer), ["opened properties/warehouse-reachable/warehouse"], "{answer}");

    let checks = App::new(site(&stage, "daily-validation", without_checks, unreachable));
    let later = three() + SignedDuration::from_hours(25);
    let answer = checks.run(json!({ "task": "validate" }), later).await.unwrap();
    let sent = notices(&answer);
    assert!(sent.iter().all(|notice| notice.starts_with("reminder")), "neither resolved nor lost: {answer}");
    assert_eq!((&answer["statements"], &answer["open_incidents"]), (&json!(0), &json!(1)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_names_stay_reported_until_restored_though_runs_complete() {
    let clock = LabClock::set_to(three());
    let properties = PropertyWorld::with(three(), 11, 800, 790, 10).at_pace(Pace::OF_SEED);
    let world = World::seed_pipeline(three(), 11).carrying(properties);
    let stage = Stage::set(world, clock, Schedules::None).await.unwrap();
    let app = nightly(&stage, stage.warehouse.as_ref().unwrap().url());
    let watcher = watcher(&stage);
    let (validate, verify) = (json!({ "task": "validate" }), json!({ "task": "verify" }));
    let now = || stage.census.clock().now();
    let sent = async || notices(&app.run(validate.clone(), now()).await.unwrap());
    // One limits the number of the day's records, the other the share of all.
    let names = ["properties/null-count/company-names", "properties/null-rate/company-name-quality"];
    assert_eq!(sent().await, [""; 0]);

    stage.census.spoil(PropertyFault::ViewBug).unwrap();
    stage.census.jump(SignedDuration::from_hours(2));
    assert_eq!(sent().await, names.map(|name| format!("opened {name}")));
    assert_eq!(notices(&watcher.run(verify, now()).await.unwrap()), [""; 0], "the runs show no failure");
    // Fixing the view does not restore the lost names.
    stage.census.heal_all();
    stage.census.jump(SignedDuration::from_hours(2));
    assert_eq!(sent().await, [""; 0]);
    stage.census.repair().unwrap();
    stage.census.jump(SignedDuration::from_mins(30));
    assert_eq!(sent().await, names.map(|name| format!("resolved {name}")));
}
