//! Rejected records are sampled only for findings that need a reason; missing samples fail no round.

use jiff::{SignedDuration, Timestamp};
use schedule_verification::observe::{Looked, READING_LIMIT, Walk};
use serde_json::json;
use syncwatch::census::{Client, Settings};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::{Habits, judge_look};
use syncwatch::observation::Workspace;
use syncwatch::pipeline::Pipeline;
use syncwatch_lab::census::{CensusServer, Fault, TOKEN, World, runs_json, syncs_json};
use syncwatch_lab::clock::LabClock;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const CREATE: u64 = 3_394_022;
const UPDATE: u64 = 3_394_041;

fn start() -> Timestamp {
    "2026-11-24T12:10:00Z".parse().unwrap()
}

fn hour() -> SignedDuration {
    SignedDuration::from_mins(60)
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

fn client(pipeline: &Pipeline, url: &str) -> Client {
    let settings = Settings::of(&pipeline.census, Some(url), TOKEN.to_owned().into());
    Client::new(syncwatch::http::client().unwrap(), settings, start()).unwrap()
}

/// Runs a round and returns the findings about the declared syncs, and the workspace.
async fn round(pipeline: &Pipeline, url: &str, now: Timestamp) -> (Vec<Finding>, Workspace) {
    let census = client(pipeline, url);
    let mut walk = Walk::new(&census, pipeline, now, tokio::time::Instant::now() + READING_LIMIT);
    let mut looked = Vec::new();
    while let Some(page) = walk.next_page().await {
        looked.extend(page);
    }
    let (workspace, rest) = walk.finish().await;
    looked.extend(rest);
    let judge = |looked: &Looked<'_>| {
        judge_look(&looked.look, looked.declared, &pipeline.objectives, &Habits::default(), now)
    };
    (looked.iter().flat_map(judge).collect(), workspace)
}

fn error_rate<'f>(findings: &'f [Finding], subject: &str) -> &'f Finding {
    findings.iter().find(|finding| finding.check == Check::ErrorRate && finding.subject == subject).unwrap()
}

fn requests_for_records(census: &CensusServer) -> u64 {
    let by_path = census.requests().by_path;
    by_path.iter().filter(|(path, _)| path.contains("/records")).map(|(_, count)| *count).sum()
}

#[tokio::test]
async fn finding_names_the_error_class_and_hides_payloads() {
    let pipeline = pipeline();
    let census =
        CensusServer::start(World::seed_pipeline(start(), 3), LabClock::set_to(start())).await.unwrap();
    census.jump(hour());
    let (findings, _) = round(&pipeline, census.url(), start() + hour()).await;
    assert!(!error_rate(&findings, "properties-create").is_unhealthy());
    assert_eq!(requests_for_records(&census), 0, "healthy traffic needs no request for records");

    let message = "DUPLICATE_VALUE:duplicate value found: Owner_Email__c duplicates value on record with id: \
                   001Vr00000m4eGC for mary@example.com";
    let message = Some(message.to_owned());
    census.inject(Fault::Reject { sync: CREATE, percent: 25, message }).unwrap();
    census.jump(hour());
    let (findings, workspace) = round(&pipeline, census.url(), start() + hour() + hour()).await;
    let finding = error_rate(&findings, "properties-create");
    let text = serde_json::to_string(finding).unwrap();
    for part in ["\"unique-value\"", " samples: duplicate value", "P-", "Owner_Email__c", "001Vr00000m4eGC"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains("mary@") && !text.contains("record_payload"), "{text}");
    assert!(!error_rate(&findings, "properties-update").is_unhealthy());
    assert_eq!((workspace.trouble, workspace.unread_runs), (None, 0));
    // At most two requests: for rejected and for invalid records of one run of one sync.
    assert!((1..=2).contains(&requests_for_records(&census)));
}

#[tokio::test]
async fn round_without_samples_succeeds_and_makes_few_requests() {
    let pipeline = pipeline();
    let mut world = World::seed_pipeline(start(), 3);
    for sync in [CREATE, UPDATE] {
        Fault::Reject { sync, percent: 25, message: None }.inject(&mut world).unwrap();
    }
    let now = start() + hour();
    world.advance_to(now);
    for (status, most_requests) in [(410, 2), (404, 2), (403, 2), (500, 2), (503, 2), (200, 2)] {
        let server = MockServer::start().await;
        let answer = |body| ResponseTemplate::new(200).set_body_json(body);
        let listed = answer(syncs_json(&world, 1, 100, SignedDuration::ZERO));
        Mock::given(method("GET")).and(path_regex("/syncs$")).respond_with(listed).mount(&server).await;
        for sync in [CREATE, UPDATE] {
            let runs = answer(runs_json(&world, sync, 25, SignedDuration::ZERO));
            let path = path_regex(format!("/syncs/{sync}/sync_runs$"));
            Mock::given(method("GET")).and(path).respond_with(runs).mount(&server).await;
        }
        let records = ResponseTemplate::new(status).set_body_json(json!({ "status": status }));
        Mock::given(method("GET")).and(path_regex("/records$")).respond_with(records).mount(&server).await;

        let (findings, workspace) = round(&pipeline, &server.uri(), now).await;
        for subject in ["properties-create", "properties-update"] {
            let text = serde_json::to_string(error_rate(&findings, subject)).unwrap();
            assert!(
                text.contains("The destination rejects records") && !text.contains("error class"),
                "{text}"
            );
        }
        assert_eq!((workspace.trouble, workspace.unread_runs), (None, 0), "{status}");
        let requests = server.received_requests().await.unwrap();
        let asked = requests.iter().filter(|request| request.url.path().ends_with("/records")).count();
        assert!(asked <= most_requests, "{status}: {asked} requests for records");
    }
}
