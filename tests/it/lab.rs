//! The lab's Census behaves as the vendor documents, so that tests against it are meaningful.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch_lab::census::{
    CensusServer, Fault, HttpFault, PERSONAL_TOKEN, RetrySchedule, SimSchedule, TOKEN, Traffic, World,
    run_json, sign,
};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::PropertyWorld;

const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Some minutes after a slot, when no run is working.
fn start() -> Timestamp {
    at("2026-11-24T12:10:00Z")
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// Starts a Census whose clock advances only on request.
async fn census() -> CensusServer {
    CensusServer::start(World::seed_pipeline(start(), 3), LabClock::set_to(start())).await.unwrap()
}

async fn ask(census: &CensusServer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let http = syncwatch::http::client().unwrap();
    let token = if path.starts_with("v2/") { PERSONAL_TOKEN } else { TOKEN };
    let mut request =
        http.request(method.parse().unwrap(), format!("{}/api/{path}", census.url())).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

async fn get(census: &CensusServer, path: &str) -> Value {
    let (status, answer) = ask(census, "GET", path, None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[test]
fn schedules_fall_due_at_the_documented_instants() {
    // Clocks in Los Angeles change on 2027-03-14; cron in UTC is not affected.
    let cron = |text| SimSchedule::cron(text).unwrap();
    let table = [
        (SimSchedule::QuarterHourly, "2026-11-24T12:00:00Z", "2026-11-24T12:15:00Z"),
        (SimSchedule::Continuous, "2026-11-24T12:00:20Z", "2026-11-24T12:01:00Z"),
        (SimSchedule::Hourly { minute: 20 }, "2026-11-24T12:20:00Z", "2026-11-24T13:20:00Z"),
        (SimSchedule::Daily { hour: 2, minute: 30 }, "2026-11-24T12:00:00Z", "2026-11-25T02:30:00Z"),
        (cron("0 10 * * *"), "2027-03-14T00:00:00Z", "2027-03-14T10:00:00Z"),
        (cron("30 6 * * 1,3"), "2026-11-24T12:00:00Z", "2026-11-25T06:30:00Z"),
    ];
    for (schedule, after, due) in table {
        assert_eq!(schedule.next_after(at(after)), Some(at(due)), "{schedule:?}");
    }
    let weekly = json!({ "frequency": "weekly", "day": "Monday", "hour": 24, "minute": 5 });
    assert_eq!(
        SimSchedule::from_json(&weekly).unwrap().next_after(start()),
        Some(at("2026-11-30T00:05:00Z"))
    );
    assert_eq!(SimSchedule::Never.next_after(start()), None);
}

#[test]
fn same_seed_makes_the_same_runs() {
    let runs = |seed| {
        let world = World::seed_pipeline(start(), seed);
        world
            .runs(CREATE)
            .map(|run| run_json(&world, run, SignedDuration::ZERO).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(runs(5), runs(5));
    assert_ne!(runs(5), runs(6));
}

#[test]
fn run_due_while_another_is_working_is_skipped() {
    let mut world = World::new(start(), 1);
    let long = Traffic { runtime: minutes(40), records: 40, creates: false };
    world.add_sync(1, "long", SimSchedule::QuarterHourly, long);
    world.advance_to(start() + minutes(40));
    let statuses: Vec<String> = world
        .runs(1)
        .map(|run| run_json(&world, run, SignedDuration::ZERO)["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(statuses, ["skipped", "skipped", "working"]);
}

#[test]
fn runs_missed_while_paused_or_held_are_not_made_up() {
    for fault in [Fault::Pause { sync: UPDATE }, Fault::HoldSchedule { sync: UPDATE }] {
        let mut world = World::seed_pipeline(start(), 2);
        let before = world.runs(UPDATE).count();
        fault.inject(&mut world).unwrap();
        world.advance_to(start() + minutes(61));
        assert_eq!(world.runs(UPDATE).count(), before, "{fault:?}");
        fault.heal(&mut world);
        world.advance_to(start() + minutes(67));
        assert_eq!(world.runs(UPDATE).count(), before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn bearer_and_basic_authorization_are_accepted_and_no_other() {
    let census = census().await;
    let http = syncwatch::http::client().unwrap();
    let url = format!("{}/api/v1/syncs", census.url());
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(http.get(&url).bearer_auth(TOKEN)).await, 200);
    assert_eq!(status(http.get(&url).basic_auth("bearer", Some(TOKEN))).await, 200);
    assert_eq!(status(http.get(&url)).await, 401);
    assert_eq!(status(http.get(&url).bearer_auth("wrong")).await, 401);
    assert_eq!(status(http.get(&url).basic_auth("user", Some(TOKEN))).await, 401);
}

#[tokio::test]
async fn pages_are_counted_and_clamped_as_documented() {
    let world = World::many(start(), 1, 1, 130);
    let census = CensusServer::start(world, LabClock::set_to(start())).await.unwrap();
    let pagination = async |path: &str| get(&census, path).await["pagination"].clone();
    let first = pagination("v1/syncs").await;
    let expected = json!({ "total_records": 130, "per_page": 25, "prev_page": null, "page": 1, "next_page": 2, "last_page": 6 });
    assert_eq!(first, expected);
    assert_eq!(pagination("v1/syncs?page=0").await, first);
    assert_eq!(pagination("v1/syncs?per_page=1000").await["per_page"], 100);
    assert_eq!(pagination("v1/syncs?page=2&per_page=100").await["next_page"], Value::Null);
    assert_eq!(get(&census, "v1/syncs?order=asc").await["data"][0]["id"], 1);
    let next = get(&census, "v1/syncs").await["next"].as_str().unwrap().to_owned();
    assert!(next.ends_with("/api/v1/syncs?page=2&per_page=25"), "{next}");
    assert_eq!(get(&census, "v2/syncs").await.get("next"), None);
    assert_eq!(get(&census, "v2/syncs").await["data"][0]["group_id"], "wandering_aimlessly");
}

#[tokio::test]
async fn unknown_id_returns_the_documented_404() {
    let census = census().await;
    for path in ["v1/syncs/1", "v1/syncs/1/sync_runs", "v1/sync_runs/1", "v2/syncs/1", "v1/nonsense"] {
        assert_eq!(ask(&census, "GET", path, None).await, (404, json!({ "status": 404 })), "{path}");
    }
}

#[tokio::test]
async fn patch_merges_fields_and_replaces_nested_objects() {
    let census = census().await;
    let path = format!("v1/syncs/{CREATE}");
    let (status, answer) = ask(&census, "PATCH", &path, Some(json!({ "paused": true }))).await;
    assert_eq!(
        (status, &answer["status"], &answer["data"]["paused"]),
        (200, &json!("updated"), &json!(true))
    );
    assert_eq!(answer["data"]["mode"]["triggers"]["schedule"]["frequency"], "expression");
    let (_, answer) =
        ask(&census, "PATCH", &path, Some(json!({ "mode": { "type": "triggered", "triggers": {} } }))).await;
    assert_eq!(answer["data"]["mode"]["triggers"]["schedule"]["frequency"], "never");
    let (_, answer) = ask(&census, "PATCH", &path, Some(json!({ "schedule_frequency": "daily" }))).await;
    assert_eq!(
        answer["data"]["mode"]["triggers"]["schedule"],
        json!({ "frequency": "daily", "hour": 0, "minute": 0 })
    );
    let (status, answer) = ask(&census, "PATCH", &path, Some(json!({ "alert_attributes": "none" }))).await;
    assert_eq!((status, &answer["message"]), (400, &json!("sync_alert_configurations is invalid")));
}

#[tokio::test]
async fn failed_run_has_null_counts_and_rejected_records_have_samples() {
    let census = census().await;
    let fault = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: "gone".to_owned() };
    census.inject(fault).unwrap();
    census.inject(Fault::Reject { sync: CREATE, percent: 25, message: None }).unwrap();
    census.jump(minutes(60));
    let failed = &get(&census, &format!("v1/syncs/{UPDATE}/sync_runs?per_page=3")).await["data"][1];
    assert_eq!(
        (&failed["status"], &failed["records_processed"], &failed["completed_at"], &failed["error_message"]),
        (&json!("failed"), &Value::Null, &Value::Null, &json!("gone"))
    );
    let runs = get(&census, &format!("v1/syncs/{CREATE}/sync_runs?per_page=3")).await;
    let run = runs["data"].as_array().unwrap().iter().find(|run| run["status"] == "completed").unwrap();
    let (rejected, processed) =
        (run["records_failed"].as_u64().unwrap(), run["records_processed"].as_u64().unwrap());
    assert_eq!(rejected, (processed * 25).div_ceil(100));
    let path = format!("v1/sync_runs/{}/records?status=rejected&per_page=100", run["id"]);
    assert_eq!(
        get(&census, &path).await["data"].as_array().unwrap().len(),
        usize::try_from(rejected).unwrap()
    );
}

/// Sends the requests of the published clients and checks the fields that they read (reference: section "published clients").
#[tokio::test]
async fn published_clients_find_the_fields_that_they_read() {
    let census = census().await;
    // Airflow: the connection test, a trigger without a body, then the run's status.
    assert_eq!(get(&census, "v1/syncs?page=1&per_page=1").await["status"], "success");
    let (_, triggered) = ask(&census, "POST", &format!("v1/syncs/{UPDATE}/trigger"), None).await;
    let run = triggered["data"]["sync_run_id"].as_u64().unwrap();
    assert!(get(&census, &format!("v1/sync_runs/{run}")).await["data"]["status"].is_string());
    // Dagster: Basic, a versioned content type, the flag in the body; a run behind another ends skipped.
    let http = syncwatch::http::client().unwrap();
    let answer = http
        .post(format!("{}/api/v1/syncs/{UPDATE}/trigger", census.url()))
        .basic_auth("bearer", Some(TOKEN))
        .header("Content-Type", "application/json;version=2")
        .body(json!({ "force_full_sync": true }).to_string());
    let answer: Value = serde_json::from_slice(&answer.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let second = answer["data"]["sync_run_id"].as_u64().unwrap();
    let second = get(&census, &format!("v1/sync_runs/{second}")).await;
    assert_eq!((&second["data"]["status"], &second["data"]["full_sync"]), (&json!("skipped"), &json!(true)));
    assert_eq!(get(&census, "v1/syncs").await["pagination"]["last_page"], 1);
    // Prefect: the flag in the query. The embedded demo: the newest run only.
    let (status, _) =
        ask(&census, "POST", &format!("v1/syncs/{CREATE}/trigger?force_full_sync=false"), None).await;
    assert_eq!(status, 200);
    assert_eq!(
        get(&census, &format!("v1/syncs/{CREATE}/sync_runs?per_page=1")).await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Terraform: the answer to a cancellation says "cancelled", the run has "canceled".
    let (_, cancelled) = ask(&census, "POST", &format!("v1/sync_runs/{run}/cancel"), None).await;
    assert_eq!(cancelled, json!({ "status": "cancelled", "data": {} }));
    assert_eq!(get(&census, &format!("v1/sync_runs/{run}")).await["data"]["canceled"], true);
}

#[test]
fn signature_is_base64_of_hmac_sha256_over_the_raw_body() {
    let body = br#"{"workspace_id":3167,"sync_id":3167956,"sync_run_id":324399613,"event":"sync.triggered"}"#;
    assert_eq!(sign("my123secret", body), "lsTi/NrVX6f+SU1YcxCf9OZ0PuJgqZczdhrXT6VGmHg=");
}

#[tokio::test]
async fn webhooks_are_signed_and_retried_and_report_a_failure_twice() {
    let inbox = wiremock::MockServer::start().await;
    // Refuse the first attempt.
    let refuse =
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(wiremock::ResponseTemplate::new(500));
    refuse.up_to_n_times(1).mount(&inbox).await;
    let take =
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(wiremock::ResponseTemplate::new(200));
    take.mount(&inbox).await;
    let census = census().await;
    census.set_retry_schedule(RetrySchedule { waits: vec![Duration::ZERO; 3], ..RetrySchedule::default() });
    let hook = json!({ "name": "test", "endpoint": format!("{}/hook", inbox.uri()) });
    let (status, created) = ask(&census, "POST", "v1/webhooks", Some(hook)).await;
    assert_eq!(status, 201);
    let secret = created["data"]["secret"].as_str().unwrap().to_owned();
    assert!(!get(&census, "v1/webhooks").await.to_string().contains(&secret), "the secret is shown once");
    let fault = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: "gone".to_owned() };
    census.inject(fault).unwrap();
    census.jump(minutes(19));
    let wanted = ["sync.triggered", "sync.started", "sync.completed", "sync.failed", "sync.alert.raised"];
    let arrived = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let requests = inbox.received_requests().await.unwrap_or_default();
            let of_update = |request: &&wiremock::Request| {
                serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body["sync_id"] == UPDATE)
            };
            let all = |event: &&str| {
                let mut texts =
                    requests.iter().filter(of_update).map(|r| String::from_utf8_lossy(&r.body).into_owned());
                texts.any(|text| text.contains(&format!("\"{event}\"")))
            };
            if wanted.iter().all(all) {
                return requests;
            }
            tokio::task::yield_now().await;
        }
    });
    let arrived = arrived.await.unwrap();
    for request in &arrived {
        assert_eq!(request.headers["X-Signature"].to_str().unwrap(), sign(&secret, &request.body));
    }
    let refused =
        ask(&census, "POST", "v1/webhooks", Some(json!({ "name": "n", "endpoint": "http://example.com" })))
            .await;
    assert_eq!(refused.0, 400);
}

#[tokio::test]
async fn http_answers_use_the_labs_clock_and_faults_are_fixed_singly() {
    let census = census().await;
    census.break_door(HttpFault::Unauthorized);
    census.break_door(HttpFault::WebhooksLost);
    let http = syncwatch::http::client().unwrap();
    let ask = async |token: &str| {
        let request = http.get(format!("{}/api/v1/syncs", census.url())).bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers()["Date"].to_str().unwrap().to_owned())
    };
    let date = "Tue, 24 Nov 2026 12:10:00 GMT".to_owned();
    assert_eq!(ask(TOKEN).await, (401, date.clone()));
    census.heal_door(&HttpFault::Unauthorized);
    assert_eq!(ask(TOKEN).await, (200, date.clone()));
    assert_eq!(ask("other").await, (401, date));
    census.with_world(|world| world.add_webhook("test", "http://127.0.0.1:1/hook", Vec::new()).id);
    census.jump(minutes(30));
    assert!(!census.take_lost().is_empty(), "the other fault was fixed too");
}

/// Starts an inbox that accepts every delivery.
async fn inbox() -> wiremock::MockServer {
    let inbox = wiremock::MockServer::start().await;
    let take =
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(wiremock::ResponseTemplate::new(200));
    take.mount(&inbox).await;
    inbox
}

#[tokio::test]
async fn new_webhook_receives_no_past_events() {
    let census = census().await;
    census.break_door(HttpFault::WebhooksLost);
    census.with_world(|world| world.add_webhook("test", "http://127.0.0.1:9/hook", Vec::new()).id);
    assert_eq!(census.take_lost().len(), 0);
    census.jump(minutes(9));
    let lost = census.take_lost();
    let last = lost.iter().map(|body| serde_json::from_slice::<Value>(body).unwrap()).next_back().unwrap();
    assert_eq!((&last["event"], &last["sync_id"]), (&json!("sync.success"), &json!(UPDATE)));
}

#[tokio::test]
async fn lost_webhooks_stay_lost_until_delivered_late() {
    let inbox = inbox().await;
    let census = census().await;
    let endpoint = format!("{}/hook", inbox.uri());
    census.with_world(|world| world.add_webhook("test", &endpoint, vec!["sync.success".to_owned()]).id);
    census.break_door(HttpFault::WebhooksLost);
    census.jump(minutes(9));
    census.heal_all();
    census.jump(minutes(15));
    let runs: Vec<u64> = census.with_world(|world| world.runs(UPDATE).take(2).map(|run| run.id).collect());
    // The runs of the update sync whose webhooks arrived, in the order of arrival.
    let received = async |count: usize| {
        let arrived = async {
            loop {
                let requests = inbox.received_requests().await.unwrap_or_default();
                let bodies = requests.iter().map(|r| serde_json::from_slice::<Value>(&r.body).unwrap());
                let ids: Vec<u64> = bodies
                    .filter(|body| body["sync_id"] == UPDATE)
                    .map(|body| body["sync_run_id"].as_u64().unwrap())
                    .collect();
                if ids.len() >= count {
                    return ids;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap()
    };
    assert_eq!(received(1).await, [runs[0]]);
    assert_eq!(census.deliver_lost(), 1);
    assert_eq!(received(2).await, [runs[0], runs[1]]);
    assert_eq!(census.deliver_lost(), 0);
}

#[tokio::test]
async fn wait_for_deliveries_covers_duplicated_and_shuffled_ones() {
    let inbox = inbox().await;
    let census = census().await;
    let endpoint = format!("{}/hook", inbox.uri());
    census.with_world(|world| world.add_webhook("test", &endpoint, vec!["sync.triggered".to_owned()]).id);
    census.break_door(HttpFault::WebhooksDuplicated);
    census.break_door(HttpFault::WebhooksShuffled);
    census.jump(minutes(60));
    tokio::time::timeout(Duration::from_secs(20), census.have_delivered_all()).await.unwrap();
    let since = start();
    let runs =
        |sync| census.with_world(|world| world.runs(sync).filter(|run| run.created_at > since).count());
    assert_eq!(inbox.received_requests().await.unwrap().len(), 2 * (runs(CREATE) + runs(UPDATE)));
    assert_eq!((runs(CREATE), runs(UPDATE)), (2, 4));
}

#[tokio::test]
async fn jump_of_a_wall_speed_clock_makes_older_runs_look_older() {
    let clock = LabClock::wall();
    let census = CensusServer::start(World::seed_pipeline(clock.now(), 4), clock).await.unwrap();
    let newest = async || {
        let runs = get(&census, &format!("v1/syncs/{UPDATE}/sync_runs?per_page=1")).await;
        at(runs["data"][0]["created_at"].as_str().unwrap())
    };
    census.inject(Fault::HoldSchedule { sync: UPDATE }).unwrap();
    let before = newest().await;
    census.jump(minutes(60));
    assert_eq!(before.duration_since(newest().await), minutes(60));
}

#[tokio::test]
async fn admin_api_injects_and_heals_faults_and_names_unknown_ones() {
    let census = census().await;
    let http = syncwatch::http::client().unwrap();
    let post = async |path: &str, body: &str| {
        let url = format!("{}/lab/{path}", census.url());
        let answer = http.post(url).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
    };
    assert_eq!(post("fault", r#"{"fault": "pause", "sync": 3394022}"#).await.0, 200);
    assert_eq!(get(&census, &format!("v1/syncs/{CREATE}")).await["data"]["paused"], true);
    assert_eq!(post("heal", "").await.0, 200);
    assert_eq!(get(&census, &format!("v1/syncs/{CREATE}")).await["data"]["paused"], false);
    assert_eq!(post("fault", r#"{"fault": "down"}"#).await.0, 200);
    assert_eq!(ask(&census, "GET", "v1/syncs", None).await.0, 500);
    assert_eq!(post("heal", "").await.0, 200);
    let (status, text) = post("fault", r#"{"fault": "earthquake"}"#).await;
    assert!(status == 400 && text.contains("earthquake"), "{text}");
    let (status, text) = post("fault", r#"{"fault": "pause", "sync": 1}"#).await;
    assert!(status == 400 && text.contains("no sync 1"), "{text}");
    assert_eq!(post("jump", r#"{"minutes": -5}"#).await.0, 400);
    let (status, text) = post("deliver-lost", "").await;
    assert!(status == 200 && text.contains(r#""deliveries":0"#), "{text}");
}

#[tokio::test]
async fn admin_api_takes_data_faults_only_with_data() {
    let data = PropertyWorld::with(start(), 3, 300, 290, 10);
    let world = World::seed_pipeline(start(), 3).carrying(data);
    let with_data = CensusServer::start(world, LabClock::set_to(start())).await.unwrap();
    let without = census().await;
    let http = syncwatch::http::client().unwrap();
    let post = async |census: &CensusServer, path: &str, body: &str| {
        let url = format!("{}/lab/{path}", census.url());
        let answer = http.post(url).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
    };
    let state = async |census: &CensusServer| -> Value {
        let answer = http.get(format!("{}/lab/state", census.url())).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let faults = [
        r#"{"fault": "view-bug"}"#,
        r#"{"fault": "source-stalls"}"#,
        r#"{"fault": "copy-stalls"}"#,
        r#"{"fault": "duplicate-creation", "percent": 10}"#,
        r#"{"fault": "coverage-leak", "city": "Fresno"}"#,
        r#"{"fault": "backlog", "per_run": 5}"#,
        r#"{"fault": "validation-errors", "percent": 10}"#,
    ];
    for fault in faults {
        assert_eq!(post(&with_data, "fault", fault).await.0, 200, "{fault}");
        let (status, text) = post(&without, "fault", fault).await;
        assert!(status == 400 && text.contains("carries no data"), "{text}");
    }
    let faulty = state(&with_data).await;
    assert_eq!(faulty["faults"]["data"].as_array().unwrap().len(), faults.len());
    assert_eq!((&faulty["data"]["total"], &faulty["data"]["synced"]), (&json!(300), &json!(290)));
    assert_eq!(state(&without).await["data"], Value::Null);
    assert_eq!(post(&with_data, "heal", "").await.0, 200);
    assert_eq!(state(&with_data).await["faults"]["data"], json!([]));
    assert_eq!(post(&with_data, "repair", "").await.0, 200);
    assert_eq!(post(&without, "repair", "").await.0, 400);
    assert_eq!(post(&with_data, "jump", r#"{"minutes": 60}"#).await.0, 200);
    assert!(state(&with_data).await["data"]["synced"].as_u64().unwrap() > 290);
    // The error of a known fault names the missing field.
    let (status, text) = post(&with_data, "fault", r#"{"fault": "backlog"}"#).await;
    assert!(status == 400 && text.contains("per_run"), "{text}");
}

#[tokio::test]
async fn rate_limit_ends_after_the_given_number_of_answers() {
    let census = census().await;
    census.break_door(HttpFault::RateLimited { retry_after: "7".to_owned(), times: 2 });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&census, "GET", "v1/syncs", None).await.0);
    }
    assert_eq!(statuses, [429, 429, 200]);
    assert_eq!(census.requests().by_path["GET /api/v1/syncs"], 3);
}

const TRIGGER: &str = "v1/syncs/3394041/trigger?force_full_sync=false";

/// Triggers a run and returns the status of the answer; `None` if the connection is closed without one.
async fn trigger(census: &CensusServer) -> Option<u16> {
    let http = syncwatch::http::client().unwrap();
    let request = http.post(format!("{}/api/{TRIGGER}", census.url())).bearer_auth(TOKEN);
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

fn runs_of(census: &CensusServer) -> usize {
    census.with_world(|world| world.runs(UPDATE).count())
}

#[tokio::test]
async fn trigger_takes_effect_although_its_answer_is_lost() {
    let faults =
        [(HttpFault::AnswerLost { times: 1 }, None), (HttpFault::ErrorAfterEffect { times: 1 }, Some(500))];
    for (fault, status) in faults {
        let census = census().await;
        let before = runs_of(&census);
        census.break_door(fault.clone());
        assert_eq!(trigger(&census).await, status);
        assert_eq!(runs_of(&census), before + 1, "{fault:?}");
        assert!(census.writes().iter().all(|write| write.taken));
        // Only once; a second trigger is accepted too, and its run is skipped.
        assert_eq!(trigger(&census).await, Some(200));
        let newest = &get(&census, "v1/syncs/3394041/sync_runs").await["data"][0];
        assert_eq!(newest["status"], "skipped");
    }
}

#[tokio::test]
async fn reads_are_answered_while_answers_to_writes_are_lost() {
    let census = census().await;
    census.break_door(HttpFault::AnswerLost { times: 1 });
    get(&census, "v1/syncs").await;
    // Neither is a refused write one that took effect.
    assert_eq!(ask(&census, "POST", "v1/syncs/1/trigger", None).await.0, 404);
    assert_eq!(trigger(&census).await, None);
    assert_eq!(trigger(&census).await, Some(200));
}

#[tokio::test]
async fn writes_are_recorded_and_full_syncs_counted_on_sight() {
    let census = census().await;
    get(&census, "v1/syncs").await;
    ask(&census, "PATCH", "v1/syncs/3394041", Some(json!({ "paused": false }))).await;
    ask(&census, "POST", TRIGGER, None).await;
    assert_eq!(census.full_syncs_requested(), 0);
    census.break_door(HttpFault::Down);
    ask(&census, "POST", "v1/syncs/3394041/trigger?force_full_sync=true", None).await;
    ask(&census, "POST", "v1/syncs/3394041/trigger", Some(json!({ "force_full_sync": true }))).await;
    assert_eq!(census.full_syncs_requested(), 2);
    let writes = census.writes();
    let shown: Vec<(&str, &str, bool)> =
        writes.iter().map(|write| (write.method.as_str(), write.path.as_str(), write.taken)).collect();
    let trigger = "/api/v1/syncs/3394041/trigger";
    assert_eq!(
        shown,
        [
            ("PATCH", "/api/v1/syncs/3394041", true),
            ("POST", trigger, true),
            ("POST", trigger, false),
            ("POST", trigger, false),
        ]
    );
    assert_eq!((&writes[0].body, &writes[1].body), (&json!({ "paused": false }), &Value::Null));
    assert_eq!(writes[0].at, start());
}

#[tokio::test]
async fn late_listed_run_is_found_by_its_id_only() {
    let census = census().await;
    census.inject(Fault::ListedLate { sync: UPDATE, seconds: 30 }).unwrap();
    let (_, answer) = ask(&census, "POST", TRIGGER, None).await;
    let run = &answer["data"]["sync_run_id"];
    let newest = async || get(&census, "v1/syncs/3394041/sync_runs").await["data"][0]["id"].clone();
    assert_ne!(newest().await, *run);
    assert_eq!(get(&census, &format!("v1/sync_runs/{run}")).await["data"]["id"], *run);
    census.jump(SignedDuration::from_secs(29));
    assert_ne!(newest().await, *run);
    census.jump(SignedDuration::from_secs(1));
    assert_eq!(newest().await, *run);
}

#[tokio::test]
async fn person_acts_between_two_requests_once() {
    let census = census().await;
    census.before_next("POST /api/v1/syncs/*/trigger", |world| {
        Fault::Pause { sync: UPDATE }.inject(world).unwrap();
        world.trigger(UPDATE, false).unwrap();
    });
    assert_eq!(get(&census, "v1/syncs/3394041").await["data"]["paused"], false);
    ask(&census, "POST", TRIGGER, None).await;
    let sync = &get(&census, "v1/syncs/3394041").await["data"];
    assert_eq!(sync["paused"], true);
    let runs = get(&census, "v1/syncs/3394041/sync_runs").await;
    assert_eq!(
        (&runs["data"][0]["status"], &runs["data"][1]["status"]),
        (&json!("skipped"), &json!("queued"))
    );
    let before = runs_of(&census);
    ask(&census, "POST", TRIGGER, None).await;
    assert_eq!(runs_of(&census), before + 1);
}
