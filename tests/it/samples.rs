//! Rejected records are sampled where they tell why, nowhere else, and never to anybody's harm.

use jiff::{SignedDuration, Timestamp};
use schedule_verification::observe::{Looked, READING_LIMIT, Walk};
use serde_json::json;
use syncwatch::census::{Client, Settings};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::judge_look;
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

fn an_hour() -> SignedDuration {
    SignedDuration::from_mins(60)
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

fn client(pipeline: &Pipeline, url: &str) -> Client {
    let settings = Settings::of(&pipeline.census, Some(url), TOKEN.to_owned().into());
    Client::new(syncwatch::http::client().unwrap(), settings, start()).unwrap()
}

/// What a round finds of the declared syncs, and of the workspace.
async fn round(pipeline: &Pipeline, url: &str, now: Timestamp) -> (Vec<Finding>, Workspace) {
    let census = client(pipeline, url);
    let mut walk = Walk::new(&census, pipeline, now, tokio::time::Instant::now() + READING_LIMIT);
    let mut looked = Vec::new();
    while let Some(page) = walk.next_page().await {
        looked.extend(page);
    }
    let (workspace, rest) = walk.finish().await;
    looked.extend(rest);
    let judge = |looked: &Looked<'_>| judge_look(&looked.look, looked.declared, &pipeline.objectives, now);
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
async fn a_notice_tells_the_class_of_what_the_destination_says_and_nothing_of_payloads() {
    let pipeline = pipeline();
    let census =
        CensusServer::start(World::seed_pipeline(start(), 3), LabClock::set_to(start())).await.unwrap();
    census.jump(an_hour());
    let (findings, _) = round(&pipeline, census.url(), start() + an_hour()).await;
    assert!(!error_rate(&findings, "properties-create").is_unhealthy());
    assert_eq!(requests_for_records(&census), 0, "healthy traffic costs no request more");

    let message = "DUPLICATE_VALUE:duplicate value found: Owner_Email__c duplicates value on record with id: \
                   001Vr00000m4eGC for somebody@example.com";
    let message = Some(message.to_owned());
    census.inject(Fault::Reject { sync: CREATE, percent: 25, message }).unwrap();
    census.jump(an_hour());
    let (findings, workspace) = round(&pipeline, census.url(), start() + an_hour() + an_hour()).await;
    let finding = error_rate(&findings, "properties-create");
    let told = serde_json::to_string(finding).unwrap();
    for part in ["\"unique-value\"", " samples: duplicate value", "P-", "Owner_Email__c", "001Vr00000m4eGC"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    assert!(!told.contains("somebody") && !told.contains("record_payload"), "{told}");
    assert!(!error_rate(&findings, "properties-update").is_unhealthy());
    assert_eq!((workspace.trouble, workspace.unread_runs), (None, 0));
    // Rejected and invalid ones of one sync's one run.
    assert!((1..=2).contains(&requests_for_records(&census)));
}

#[tokio::test]
async fn a_census_that_gives_no_samples_harms_no_round_and_is_not_pressed_for_them() {
    let pipeline = pipeline();
    let mut world = World::seed_pipeline(start(), 3);
    for sync in [CREATE, UPDATE] {
        Fault::Reject { sync, percent: 25, message: None }.inject(&mut world).unwrap();
    }
    let now = start() + an_hour();
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
            let told = serde_json::to_string(error_rate(&findings, subject)).unwrap();
            assert!(
                told.contains("The destination refuses records") && !told.contains("error class"),
                "{told}"
            );
        }
        assert_eq!((workspace.trouble, workspace.unread_runs), (None, 0), "{status}");
        let requests = server.received_requests().await.unwrap();
        let asked = requests.iter().filter(|request| request.url.path().ends_with("/records")).count();
        assert!(asked <= most_requests, "{status}: asked {asked} times");
    }
}
