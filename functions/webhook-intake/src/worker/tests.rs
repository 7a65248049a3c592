use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use wiremock::matchers::any;
use wiremock::{Mock, Request, ResponseTemplate};

use serde_json::json;
use syncwatch::aws::Sdk;
use syncwatch::pipeline::Pipeline;
use syncwatch_testing::{Receiver, ok, page, published, refused, status};

use super::*;
use crate::delivery::queue_message;

const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// A stub of Census and AWS in one server, which distinguishes them by path and header.
struct World {
    server: Receiver,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The successive answers of each list of runs; the last one repeats.
    lists: BTreeMap<u64, Vec<Value>>,
    /// Runs that can be read only by id: run => (sync, creation).
    old: BTreeMap<u64, (u64, &'static str)>,
    /// The status of every answer of Census, if it is down.
    census_down: Option<u16>,
    /// Whether Census answers too late.
    census_silent: bool,
    /// The AWS operation that is denied.
    denied: Option<&'static str>,
    recorded: HashSet<String>,
    /// The requests so far, in order.
    asked: Vec<String>,
}

impl World {
    /// Each sync has one run that completed: 94 of the create sync, 95 of the update sync.
    async fn new() -> Self {
        let mut state = State::default();
        state.lists.insert(CREATE, vec![json!([run(94, CREATE, "completed", "2026-11-24T09:55:00Z")])]);
        state.lists.insert(UPDATE, vec![json!([run(95, UPDATE, "completed", "2026-11-24T09:55:00Z")])]);
        let world = Self { server: Receiver::start().await, state: Arc::new(Mutex::new(state)) };
        let state = Arc::clone(&world.state);
        let answer = move |request: &Request| state.lock().unwrap().answer(request);
        world.server.answer(Mock::given(any()), answer).await;
        world
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn runs(&self, sync: u64, lists: &[Value]) {
        self.set(|state| state.lists.extend([(sync, lists.to_vec())]));
    }

    fn old(&self, id: u64, run: (u64, &'static str)) {
        self.set(|state| state.old.extend([(id, run)]));
    }

    /// Counts the requests with this prefix.
    fn asked(&self, prefix: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| asked.starts_with(prefix)).count()
    }

    fn recorded(&self) -> Vec<String> {
        let mut recorded: Vec<String> = self.state.lock().unwrap().recorded.iter().cloned().collect();
        recorded.sort();
        recorded
    }

    fn worker(&self) -> Worker {
        let settings = [
            (env::TOPIC_ARN, "arn:aws:sns:us-east-1:123456789012:syncwatch-notices"),
            (env::INCIDENTS_TABLE, "incidents"),
            (env::DELIVERIES_TABLE, "deliveries"),
            (env::CENSUS_SECRET, "syncwatch/census-token"),
            (env::CENSUS_BASE_URL, &self.server.uri()),
        ];
        let settings = settings.map(|(setting, value)| (setting.name.to_owned(), value.to_owned())).into();
        let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        let site = Site::with(settings, pipeline, Sdk::for_endpoint(&self.server.uri()).unwrap());
        let reread_after = vec![Duration::ZERO; 2];
        Worker::new(site).with_patience(Patience { reread_after, ..Patience::default() })
    }

    /// Runs the worker and returns the ids of the messages that SQS must deliver again.
    async fn failures(&self, records: &[Value]) -> Vec<String> {
        let answer = self.worker().run(json!({ "Records": records }), now()).await.unwrap();
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        let failures = answer["batchItemFailures"].as_array().unwrap();
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        if let Some(path) = path.strip_prefix("/api/v1/") {
            self.asked.push(path.to_owned());
            return match self.census_down {
                Some(code) => status(code),
                None if self.census_silent => status(500).set_delay(Duration::from_secs(3600)),
                // Runs are judged by the clock of Census, which this header sets.
                None => self.census(path).insert_header("date", "Tue, 24 Nov 2026 10:00:00 GMT"),
            };
        }
        let target =
            request.headers.get("x-amz-target").map_or("SNS.Publish", |target| target.to_str().unwrap());
        let operation = target.rsplit('.').next().unwrap();
        self.asked.push(operation.to_owned());
        if self.denied == Some(operation) {
            return status(400).set_body_json(refused("AccessDeniedException"));
        }
        self.aws(operation, request)
    }

    fn census(&mut self, path: &str) -> ResponseTemplate {
        let answer = |data: Value| ok(page(&data));
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["syncs", id] => answer(json!({
                "id": id.parse::<u64>().unwrap(),
                "label": "Properties",
                "paused": false,
                "schedule_frequency": "expression",
                "cron_expression": if id.ends_with("22") { "*/30 * * * *" } else { "*/15 * * * *" },
                "failed_run_notifications_enabled": true,
                "failed_record_notifications_enabled": true,
                "failed_record_notifications_threshold_percent": 5,
                "created_at": "2026-01-01T00:00:00Z",
            })),
            ["syncs", id, "sync_runs"] => {
                let lists = self.lists.get_mut(&id.parse().unwrap()).unwrap();
                answer(if lists.len() > 1 { lists.remove(0) } else { lists[0].clone() })
            }
            ["sync_runs", id] => match self.old.get(&id.parse().unwrap()) {
                Some((sync, created_at)) => answer(run(id.parse().unwrap(), *sync, "completed", created_at)),
                None => status(404),
            },
            other => panic!("{other:?}"),
        }
    }

    fn aws(&mut self, operation: &str, request: &Request) -> ResponseTemplate {
        let asked: Value = request.body_json().unwrap_or_default();
        match operation {
            "GetSecretValue" => ok(json!({ "Name": "s", "SecretString": "token" })),
            "BatchGetItem" => {
                let keys = asked["RequestItems"]["deliveries"]["Keys"].as_array().unwrap();
                let known =
                    keys.iter().filter(|key| self.recorded.contains(key["id"]["S"].as_str().unwrap()));
                let items: Vec<&Value> = known.collect();
                ok(json!({ "Responses": { "deliveries": items } }))
            }
            "PutItem" => {
                assert_eq!(asked["TableName"], "deliveries");
                self.recorded.insert(asked["Item"]["id"]["S"].as_str().unwrap().to_owned());
                ok(json!({}))
            }
            "Query" => ok(json!({ "Items": [] })),
            "Publish" => published(),
            _ => ok(json!({})),
        }
    }
}

fn run(id: u64, sync: u64, status: &str, created_at: &str) -> Value {
    json!({
        "id": id, "sync_id": sync, "status": status, "created_at": created_at,
        "completed_at": if status == "working" { Value::Null } else { json!("2026-11-24T09:56:00Z") },
        "records_processed": 50, "records_updated": 50, "records_failed": 0, "records_invalid": 0,
    })
}

fn record(id: &str, body: &Value, receives: u32) -> Value {
    json!({
        "messageId": id,
        "body": queue_message(body.to_string().as_bytes(), now()),
        "attributes": { "ApproximateReceiveCount": receives.to_string() },
    })
}

fn delivery(id: &str, sync: u64, run: u64, event: &str) -> Value {
    record(id, &json!({ "sync_id": sync, "sync_run_id": run, "event": event }), 1)
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn sync_is_read_once_for_all_its_deliveries() {
    let world = World::new().await;
    let records: Vec<Value> = ["sync.triggered", "sync.started", "sync.completed", "sync.success"]
        .iter()
        .flat_map(|event| [(CREATE, 94), (UPDATE, 95)].map(|(sync, run)| (sync, run, event)))
        .map(|(sync, run, event)| delivery(&format!("{run}-{event}"), sync, run, event))
        .collect();
    assert_eq!(world.failures(&records).await, NONE);
    for once in ["syncs/3394022/", "syncs/3394041/", "GetSecretValue", "BatchGetItem"] {
        assert_eq!(world.asked(once), 1, "{once}");
    }
    assert_eq!(world.asked("sync_runs/"), 0, "both runs are on the page");
    assert_eq!((world.recorded().len(), world.asked("Publish")), (8, 0));
}

#[tokio::test]
async fn failed_run_is_reported_in_the_same_batch() {
    let world = World::new().await;
    world.runs(CREATE, &[json!([run(94, CREATE, "failed", "2026-11-24T09:55:00Z")])]);
    let failed = [delivery("a", CREATE, 94, "sync.completed"), delivery("b", CREATE, 94, "sync.failed")];
    assert_eq!(world.failures(&failed).await, NONE);
    assert_eq!(world.asked("Publish"), 1);
    assert_eq!(world.recorded(), ["census/94/sync.completed/-", "census/94/sync.failed/-"]);
}

#[tokio::test]
async fn handled_delivery_is_a_duplicate_in_any_batch() {
    let world = World::new().await;
    let copies = [delivery("a", CREATE, 94, "sync.success"), delivery("b", CREATE, 94, "sync.success")];
    assert_eq!(world.failures(&copies).await, NONE);
    assert_eq!((world.asked("syncs/3394022/"), world.asked("PutItem")), (1, 1));
    assert_eq!(world.failures(&copies).await, NONE);
    assert_eq!((world.asked("syncs/3394022/"), world.asked("PutItem")), (1, 1));
}

#[tokio::test]
async fn undeclared_syncs_and_unknown_events_are_not_read() {
    let world = World::new().await;
    let records = [delivery("a", 1, 94, "sync.failed"), delivery("b", CREATE, 94, "sync.skipped")];
    assert_eq!(world.failures(&records).await, NONE);
    assert_eq!(world.asked("sync"), 0);
    assert_eq!(world.recorded(), ["census/94/sync.skipped/-"]);
}

#[tokio::test]
async fn poison_is_returned_and_does_not_block_others() {
    let world = World::new().await;
    world.old(50, (UPDATE, "2026-11-20T00:00:00Z"));
    let records = [
        json!({ "messageId": "no delivery", "body": "x" }),
        record("no run", &json!({ "sync_id": CREATE, "event": "sync.failed" }), 5),
        delivery("a run that Census does not know", CREATE, 1, "sync.failed"),
        delivery("a run of another sync", CREATE, 50, "sync.failed"),
        delivery("good", CREATE, 94, "sync.success"),
    ];
    assert_eq!(
        world.failures(&records).await,
        ["no delivery", "no run", "a run that Census does not know", "a run of another sync"]
    );
    assert_eq!(world.recorded(), ["census/94/sync.success/-"]);
}

#[tokio::test]
async fn late_delivery_is_handled_by_the_newest_state() {
    let world = World::new().await;
    world.old(50, (CREATE, "2026-11-20T00:00:00Z"));
    assert_eq!(world.failures(&[delivery("a", CREATE, 50, "sync.failed")]).await, NONE);
    assert_eq!((world.asked("sync_runs/50"), world.asked("Publish")), (1, 0));
    assert_eq!(world.recorded(), ["census/50/sync.failed/-"]);
}

#[tokio::test]
async fn run_is_read_again_while_the_api_lags() {
    let world = World::new().await;
    let list = |status| json!([run(94, CREATE, status, "2026-11-24T09:55:00Z")]);
    let records = [delivery("a", CREATE, 94, "sync.failed")];
    world.runs(CREATE, &[list("working"), list("working"), list("failed")]);
    assert_eq!(world.failures(&records).await, NONE);
    assert_eq!((world.asked("syncs/3394022/"), world.asked("Publish")), (3, 1));
    assert_eq!(world.recorded(), ["census/94/sync.failed/-"]);
}

#[tokio::test]
async fn unfinished_run_is_left_to_the_poll_and_not_recorded() {
    let world = World::new().await;
    world.runs(CREATE, &[json!([run(94, CREATE, "working", "2026-11-24T09:55:00Z")])]);
    let records = [delivery("a", CREATE, 94, "sync.failed"), delivery("b", CREATE, 94, "sync.started")];
    assert_eq!(world.failures(&records).await, NONE);
    assert_eq!(world.asked("syncs/3394022/"), 3);
    assert_eq!(
        world.recorded(),
        ["census/94/sync.started/-"],
        "a later copy may find that the run has ended"
    );
}

#[tokio::test]
async fn run_missing_from_the_list_is_waited_for() {
    let world = World::new().await;
    world.old(96, (CREATE, "2026-11-24T09:59:00Z"));
    let newer = json!([run(96, CREATE, "failed", "2026-11-24T09:59:00Z")]);
    world.set(|state| state.lists.get_mut(&CREATE).unwrap().push(newer));
    assert_eq!(world.failures(&[delivery("a", CREATE, 96, "sync.failed")]).await, NONE);
    assert_eq!(world.asked("Publish"), 1);
}

#[tokio::test]
async fn deliveries_are_retried_and_then_left_while_census_refuses() {
    for status in [401, 403, 404] {
        let world = World::new().await;
        world.set(|state| state.census_down = Some(status));
        let body = json!({ "sync_id": CREATE, "sync_run_id": 94, "event": "sync.failed" });
        let other = json!({ "sync_id": UPDATE, "sync_run_id": 95, "event": "sync.failed" });
        let records = [record("first try", &body, 1), record("last try", &other, 4)];
        assert_eq!(world.failures(&records).await, ["first try"], "{status}");
        assert_eq!(
            (world.asked("PutItem"), world.asked("UpdateItem"), world.recorded().len()),
            (0, 1, 0),
            "no finding is recorded, but the arrival of webhooks is"
        );
    }
}

#[tokio::test]
async fn slow_census_is_given_up_at_the_limit() {
    let world = World::new().await;
    world.set(|state| state.census_silent = true);
    let patience = Patience { reading_limit: Duration::ZERO, ..Patience::default() };
    let records = json!({ "Records": [delivery("a", CREATE, 94, "sync.failed")] });
    let answer = world.worker().with_patience(patience).run(records, now()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "a" }] }));
}

#[tokio::test]
async fn deliveries_are_retried_without_a_token() {
    let world = World::new().await;
    world.set(|state| state.denied = Some("GetSecretValue"));
    assert_eq!(world.failures(&[delivery("a", CREATE, 94, "sync.failed")]).await, ["a"]);
    assert_eq!(world.asked("sync"), 0);
}

#[tokio::test]
async fn failure_at_aws_retries_the_delivery_with_its_copies() {
    for operation in ["BatchGetItem", "Query", "UpdateItem", "PutItem"] {
        let world = World::new().await;
        world.runs(CREATE, &[json!([run(94, CREATE, "failed", "2026-11-24T09:55:00Z")])]);
        let records = [delivery("a", CREATE, 94, "sync.failed"), delivery("b", CREATE, 94, "sync.failed")];
        world.set(|state| state.denied = Some(operation));
        assert_eq!(world.failures(&records).await, ["a", "b"], "{operation}");
        assert!(world.recorded().is_empty(), "{operation}");
        world.set(|state| state.denied = None);
        assert_eq!(world.failures(&records).await, NONE, "{operation}");
        assert_eq!(world.recorded(), ["census/94/sync.failed/-"], "{operation}");
    }
}

#[tokio::test]
async fn failure_at_aws_on_the_last_try_is_left_to_the_poll() {
    let unknown = json!({ "sync_id": CREATE, "sync_run_id": 94, "event": "sync.imagined" });
    let failed = json!({ "sync_id": CREATE, "sync_run_id": 94, "event": "sync.failed" });
    let records = |receives| {
        [
            record("hint", &failed, receives),
            record("copy", &failed, receives),
            record("unknown", &unknown, receives),
            record("poison", &json!("not a delivery"), receives),
        ]
    };
    for (operation, retried) in [
        ("BatchGetItem", vec!["copy", "hint", "poison", "unknown"]),
        ("Query", vec!["copy", "hint", "poison"]),
        ("UpdateItem", vec!["copy", "hint", "poison"]),
        ("SNS.Publish", vec!["copy", "hint", "poison"]),
        ("PutItem", vec!["copy", "hint", "poison", "unknown"]),
        ("GetSecretValue", vec!["copy", "hint", "poison"]),
    ] {
        let world = World::new().await;
        world.runs(CREATE, &[json!([run(94, CREATE, "failed", "2026-11-24T09:55:00Z")])]);
        world.set(|state| state.denied = Some(operation.trim_start_matches("SNS.")));
        let failures = async |receives| {
            let mut failures = world.failures(&records(receives)).await;
            failures.sort();
            failures
        };
        assert_eq!(failures(3).await, retried, "{operation}");
        assert_eq!(failures(4).await, ["poison"], "{operation}");
    }
}

#[tokio::test]
async fn failure_of_one_sync_does_not_block_others() {
    let world = World::new().await;
    world.runs(CREATE, &[json!([run(94, CREATE, "failed", "2026-11-24T09:55:00Z")])]);
    world.set(|state| state.denied = Some("UpdateItem"));
    let records = [delivery("a", CREATE, 94, "sync.failed"), delivery("b", UPDATE, 95, "sync.success")];
    assert_eq!(world.failures(&records).await, ["a"]);
    assert_eq!(world.recorded(), ["census/95/sync.success/-"]);
}

#[tokio::test]
async fn record_without_a_message_id_fails_the_whole_event() {
    let worker = World::new().await.worker();
    let error = worker.run(json!({ "Records": [{ "body": "x" }] }), now()).await.unwrap_err();
    assert!(error.to_string().contains("messageId"), "{error}");
}

/// A subscriber that keeps the counts of log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl tracing::field::Visit for Log {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.0.lock().unwrap().insert(field.name(), value);
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn batch_log_line_counts_each_fate_under_its_name() {
    let fates = [
        ("handled", Fate::Handled),
        ("late", Fate::Late),
        ("duplicates", Fate::Duplicate),
        ("unknown_syncs", Fate::UnknownSync),
        ("unknown_events", Fate::UnknownEvent),
        ("refusals", Fate::Refusal),
        ("left_to_poll", Fate::LeftToPoll(Left::StillAtWork)),
        ("poison", Fate::Poison(Poison::NotJson)),
        ("failed", Fate::Failed("table x: AWS denied access".to_owned())),
    ];
    let message = Message { id: "a".to_owned(), body: String::new(), receives: 1 };
    let (mut settled, mut expected) = (Vec::new(), BTreeMap::from([("findings", 20), ("notices", 30)]));
    for (count, (name, fate)) in (1..).zip(fates) {
        expected.insert(name, count);
        settled.extend((0..count).map(|_| (message.clone(), fate.clone())));
    }
    let log = Log::default();
    let same = tracing::subscriber::with_default(log.clone(), || report(settled.clone(), 20, 30));
    assert_eq!((same, log.0.lock().unwrap().clone()), (settled, expected));
}
