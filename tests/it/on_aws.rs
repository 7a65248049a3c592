//! schedule-verification on the lab's AWS: DynamoDB's conditions, SNS's deliveries, the real zip.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schedule_verification::App;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::{Expected, IncidentStore, WriteOutcome};
use syncwatch::aws::table::attribute;
use syncwatch::finding::{Check, Evidence, Finding, Judge, Severity};
use syncwatch::incident::{Course, Incident, IncidentKey, NoticeKind, Pending, State};
use syncwatch::pipeline::Pipeline;
use syncwatch::round::{Report, Round};
use syncwatch::runtime::{Env, Site, env};
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::stage::Stage;

const FUNCTION: &str = "schedule-verification";
const CREATE: u64 = 3_394_022;
const LIMIT: Duration = Duration::from_secs(10);

/// Sets a stage at wall time, for the zip, which uses the machine's clock.
async fn stage() -> Stage {
    stage_by(LabClock::wall()).await
}

/// Sets a stage whose clock advances only on request, for functions in this process.
async fn stage_at_fixed_time() -> Stage {
    stage_by(LabClock::set_to("2026-11-24T12:00:00Z".parse().unwrap())).await
}

async fn stage_by(clock: LabClock) -> Stage {
    let world = World::seed_pipeline(clock.now(), 11);
    Stage::set(world, clock, Schedules::None).await.unwrap()
}

/// Creates the function in this process, so that the time can be an argument.
fn app(stage: &Stage) -> App {
    app_with(stage, &[])
}

/// Creates the function with settings that differ from those of the deployment.
fn app_with(stage: &Stage, changed: &[(&str, &str)]) -> App {
    let pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
    App(stage.deployment.site("schedule-verification", pipeline, stage.aws.endpoint(), changed).unwrap())
}

async fn verify(app: &App, now: Timestamp) -> Value {
    app.run(json!({ "task": "verify" }), now).await.unwrap()
}

/// Lists the notices of an answer, as `kind key`.
fn notices(answer: &Value) -> Vec<String> {
    let notices = answer["notices"].as_array().unwrap().iter();
    notices
        .map(|notice| {
            format!("{} {}", notice["kind"].as_str().unwrap(), notice["incident"].as_str().unwrap())
        })
        .collect()
}

/// Lists the unhealthy findings of an answer, as `check subject`.
fn unhealthy(answer: &Value) -> Vec<String> {
    let findings = answer["unhealthy"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            format!("{} {}", finding["check"].as_str().unwrap(), finding["subject"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn zip_notifies_once_per_fault_and_once_per_recovery() {
    let stage = stage().await;
    let run = async || {
        let answer = stage.deployment.invoke(FUNCTION, &json!({ "task": "verify" })).await.unwrap();
        assert_eq!(answer.error, None, "{}", answer.value);
        notices(&answer.value)
    };
    assert_eq!(run().await, [""; 0]);
    let log = stage.deployment.function_log(FUNCTION).await.unwrap();
    let metrics: Vec<Value> = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line.get("_aws").is_some())
        .collect();
    assert_eq!(metrics.len(), 1, "one line of metrics for a round: {log:#?}");
    assert_eq!((&metrics[0]["Rounds"], &metrics[0]["Pipeline"]), (&json!(1.0), &json!("properties")));
    stage.census.inject(Fault::Pause { sync: CREATE }).unwrap();
    assert_eq!(run().await, ["opened properties/sync-paused/properties-create"]);
    assert_eq!(run().await, [""; 0]);
    stage.census.heal_all();
    assert_eq!(run().await, ["resolved properties/sync-paused/properties-create"]);
    assert_eq!(run().await, [""; 0]);

    let (_, opened) =
        stage.subscriber.wait_for(0, LIMIT, "a notice", |n| n.text("kind") == "opened").await.unwrap();
    assert_eq!(opened.text("dedup_key"), "properties/sync-paused/properties-create");
    assert!(
        opened.attributes.contains(&("severity".to_owned(), "error".to_owned())),
        "{:?}",
        opened.attributes
    );
    let mail = stage.mail.mails();
    assert_eq!(mail.len(), 2);
    assert!(mail[0].text.contains("paused in Census") && mail[0].subject.starts_with("[ERROR]"), "{mail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_functions_open_one_incident_and_send_one_notice() {
    let stage = stage_at_fixed_time().await;
    // Without webhooks the deployed worker does not judge as well.
    stage.census.break_door(HttpFault::WebhooksLost);
    stage.census.inject(Fault::Pause { sync: CREATE }).unwrap();
    let apps: Vec<App> = (0..8).map(|_| app(&stage)).collect();
    for kind in ["opened", "resolved", "opened"] {
        let now = stage.census.clock().now();
        let answers = futures::future::join_all(apps.iter().map(|app| verify(app, now))).await;
        let sent: Vec<String> = answers.iter().flat_map(notices).collect();
        assert_eq!(sent, [format!("{kind} properties/sync-paused/properties-create")]);
        match kind {
            "opened" => {
                stage.census.heal_all();
                stage.census.break_door(HttpFault::WebhooksLost);
            }
            _ => stage.census.inject(Fault::Pause { sync: CREATE }).unwrap(),
        }
        stage.census.jump(SignedDuration::from_mins(5));
    }
    let mut incidents = stage.deployment.incidents().await.unwrap();
    incidents.retain(|item| item["pipeline"] == json!("properties"));
    assert_eq!(incidents.len(), 1);
    assert_eq!((&incidents[0]["state"], &incidents[0]["generation"]), (&json!("open"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsent_notice_is_sent_after_its_lease_expires() {
    let stage = stage_at_fixed_time().await;
    stage.census.inject(Fault::Pause { sync: CREATE }).unwrap();
    let now = stage.census.clock().now();
    let topic_arn =
        stage.deployment.topic_arn(&ResourceId::topic("notices")).unwrap().replace("notices", "gone");
    let broken = app_with(&stage, &[(env::TOPIC_ARN.name, &topic_arn)]);
    let error = broken.run(json!({ "task": "verify" }), now).await.unwrap_err().to_string();
    assert!(error.contains("syncwatch-gone") && error.contains("sync-paused"), "{error}");

    let working = app(&stage);
    let later = async |seconds| {
        stage.census.jump(SignedDuration::from_secs(seconds));
        notices(&verify(&working, stage.census.clock().now()).await)
    };
    assert_eq!(later(60).await, [""; 0]);
    assert_eq!(later(61).await, ["opened properties/sync-paused/properties-create"]);
    assert_eq!(later(1).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_census_api_fault_is_the_only_finding() {
    let stage = stage().await;
    let app = app(&stage);
    // The slow answers take far longer than the time for reading, so they never arrive.
    let (never, reading) = (600_000, Duration::from_secs(2));
    let doors = [
        (HttpFault::Unauthorized, "token-accepted census"),
        (HttpFault::MalformedJson, "api-reachable census"),
        (HttpFault::EmptyBody, "api-reachable census"),
        (HttpFault::Down, "api-reachable census"),
        (HttpFault::Dropped, "api-reachable census"),
        (HttpFault::RateLimited { retry_after: String::new(), times: 100 }, "api-reachable census"),
        (HttpFault::Slow { ms: never }, "api-reachable census"),
        (HttpFault::SlowFailure { ms: never }, "api-reachable census"),
    ];
    for (fault, finding) in doors {
        stage.census.break_door(fault.clone());
        let report = app.verify(Timestamp::now(), reading).await.unwrap();
        let answer = serde_json::to_value(&report).unwrap();
        assert_eq!(unhealthy(&answer), [finding], "{fault:?}: {answer}");
        // Healthy are only the dead letters, the subscribers and the checks of Census that the fault does not affect.
        assert!(report.counts.healthy <= 4, "{fault:?}: {answer}");
        stage.census.heal_all();
        assert_eq!(unhealthy(&verify(&app, Timestamp::now()).await), [""; 0], "after {fault:?}");
    }
}

/// Sets a stage with more syncs, all newer than the declared ones and so before them in the list.
async fn stage_with_newer_syncs(count: u64) -> Stage {
    let stage = stage_at_fixed_time().await;
    for sync in NEWER..NEWER + count {
        stage.census.inject(Fault::UndeclaredSync { sync }).unwrap();
    }
    stage
}

const NEWER: u64 = 4_000_000;

/// Lists the syncs that have a check without a judgement in an answer.
fn unjudged_syncs(answer: &Value) -> BTreeSet<&str> {
    let findings = answer["not_evaluated"].as_array().unwrap().iter();
    // Before the first night, no usual runs are known.
    let subjects = findings
        .filter(|finding| finding["why"] != "nothing-yet")
        .map(|finding| finding["subject"].as_str().unwrap());
    subjects.filter(|subject| subject.starts_with("properties-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_without_a_declared_sync_proves_no_deletion() {
    let stage = stage_with_newer_syncs(100).await;
    let app = app(&stage);
    let now = stage.census.clock().now();
    let doors = [
        HttpFault::DeletedAfterFirstPage { sync: NEWER },
        HttpFault::NoPagination,
        HttpFault::UnreadableId { sync: CREATE },
    ];
    for fault in doors {
        stage.census.break_door(fault.clone());
        let answer = verify(&app, now).await;
        let about_syncs = unhealthy(&answer).into_iter().filter(|finding| !finding.ends_with(" census"));
        assert_eq!(about_syncs.collect::<Vec<_>>(), [""; 0], "{fault:?}: {answer}");
        assert_eq!(unjudged_syncs(&answer), BTreeSet::new(), "{fault:?}: {answer}");
        stage.census.heal_all();
        stage.census.inject(Fault::UndeclaredSync { sync: NEWER }).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_sync_is_found_beyond_the_first_page() {
    let stage = stage_with_newer_syncs(100).await;
    stage.census.inject(Fault::Delete { sync: CREATE }).unwrap();
    let answer = verify(&app(&stage), stage.census.clock().now()).await;
    assert!(unhealthy(&answer).contains(&"sync-exists properties-create".to_owned()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_runs_of_one_sync_leave_the_others_judged() {
    let stage = stage_at_fixed_time().await;
    stage.census.break_door(HttpFault::ForbiddenRuns { sync: CREATE });
    let app = app(&stage);
    let answer = verify(&app, stage.census.clock().now()).await;
    assert_eq!(unhealthy(&answer), [""; 0], "{answer}");
    assert_eq!(unjudged_syncs(&answer), BTreeSet::from(["properties-create"]), "{answer}");

    // A token that may not read the runs of any sync is a refused token.
    for sync in app.0.pipeline.syncs.iter().map(|sync| sync.id.0) {
        stage.census.break_door(HttpFault::ForbiddenRuns { sync });
    }
    let answer = verify(&app, stage.census.clock().now()).await;
    assert_eq!(unhealthy(&answer), ["token-accepted census"], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_is_waited_for_and_not_a_finding() {
    let stage = stage().await;
    stage.census.break_door(HttpFault::RateLimited { retry_after: "0".to_owned(), times: 2 });
    assert_eq!(unhealthy(&verify(&app(&stage), Timestamp::now()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_census_clock_is_one_finding_and_no_late_run() {
    let stage = stage().await;
    stage.census.inject(Fault::ClockSkew { seconds: -2_400 }).unwrap();
    assert_eq!(unhealthy(&verify(&app(&stage), Timestamp::now()).await), ["clock-skew census"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_and_resources_are_named_with_the_remedy() {
    let little = Env::from_map([("SYNCWATCH_PIPELINE", "pipeline.toml")]);
    let error = Site::connect(&little, schedule_verification::NEEDS).await.unwrap_err().to_string();
    for setting in [
        "SYNCWATCH_TOPIC_ARN",
        "SYNCWATCH_INCIDENTS_TABLE",
        "SYNCWATCH_CENSUS_SECRET",
        "infra/functions.json",
    ] {
        assert!(error.contains(setting), "{error}");
    }

    let stage = stage().await;
    let now = Timestamp::now();
    let no_table = app_with(&stage, &[(env::INCIDENTS_TABLE.name, "no-table")]);
    let error = no_table.run(json!({ "task": "verify" }), now).await.unwrap_err().to_string();
    assert!(error.contains("no-table") && error.contains("terraform apply"), "{error}");

    // A missing token is a finding, so that it sends a notice.
    let no_secret = app_with(&stage, &[(env::CENSUS_SECRET.name, "no-secret")]);
    let answer = verify(&no_secret, now).await;
    assert_eq!(unhealthy(&answer), ["token-accepted census"]);
    assert!(answer["unhealthy"][0].to_string().contains("no-secret"), "{answer}");
    // A finding about a remote service needs two rounds before a notice is sent.
    assert_eq!(notices(&answer), [""; 0]);
    let answer = verify(&no_secret, now + SignedDuration::from_mins(2)).await;
    assert_eq!(notices(&answer), ["opened properties/token-accepted/census"]);

    let error = app(&stage).run(json!({ "task": "dance" }), now).await.unwrap_err().to_string();
    assert!(error.contains("verify") && error.contains("ping"), "{error}");
}

/// Parses the repository's pipeline with this many syncs instead of its own.
fn pipeline_of(syncs: u64) -> Pipeline {
    let (head, _) = include_str!("../../infra/pipeline.toml").split_once("[[syncs]]").unwrap();
    let sync = |id| {
        format!(
            "[[syncs]]\nkey = \"sync-{id}\"\nid = {id}\nrole = \"update\"\nschedule = {{ every = \"15m\", grace = \"5m\" }}\n"
        )
    };
    Pipeline::parse(&(head.to_owned() + &(1..=syncs).map(sync).collect::<String>())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn round_of_any_size_judges_every_sync_despite_census_faults() {
    let reading = Duration::from_millis(500);
    for count in [1, 100, 1_000] {
        let clock = LabClock::set_to("2026-11-24T12:00:00Z".parse().unwrap());
        let stage = Stage::set(World::many(clock.now(), 11, 1, count), clock, Schedules::None).await.unwrap();
        let site = stage.deployment.site(FUNCTION, pipeline_of(count), stage.aws.endpoint(), &[]).unwrap();
        let app = App(site);
        let of_syncs =
            |report: &Report| report.counts.healthy + report.counts.unhealthy + report.counts.not_evaluated;
        let whole = Box::pin(app.verify(stage.census.clock().now(), LIMIT)).await.unwrap();
        assert_eq!(whole.unhealthy, [], "{count} healthy syncs");
        let door = [
            HttpFault::Slow { ms: 1_000_000 },
            HttpFault::Slow { ms: 150 },
            HttpFault::Dropped,
            HttpFault::SlowFailure { ms: 13_000 },
            HttpFault::SlowFailure { ms: 100 },
        ];
        for fault in door {
            stage.census.break_door(fault.clone());
            let report = Box::pin(app.verify(stage.census.clock().now(), reading)).await.unwrap();
            stage.census.heal_all();
            assert_eq!(of_syncs(&report), of_syncs(&whole), "{count} syncs behind {fault:?}");
            let wrong: BTreeSet<Check> = report.unhealthy.iter().map(|finding| finding.check).collect();
            assert!(wrong.iter().all(|check| *check == Check::ApiReachable), "{count} {fault:?}: {wrong:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_token_is_used_by_the_next_round() {
    let stage = stage().await;
    let secret = ResourceId::secret("census-token");
    stage.deployment.put_secret(&secret, "secret-token:revoked").await.unwrap();
    let app = app(&stage);
    assert_eq!(unhealthy(&verify(&app, Timestamp::now()).await), ["token-accepted census"]);
    stage.deployment.put_secret(&secret, syncwatch_lab::census::TOKEN).await.unwrap();
    assert_eq!(unhealthy(&verify(&app, Timestamp::now()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_found_in_any_answer_notice_or_log() {
    let stage = stage().await;
    stage.census.break_door(HttpFault::Unauthorized);
    let mut answer = stage.deployment.invoke(FUNCTION, &json!({ "task": "verify" })).await.unwrap();
    assert_eq!(unhealthy(&answer.value), ["token-accepted census"]);
    answer = stage.deployment.invoke(FUNCTION, &json!({ "task": "verify" })).await.unwrap();
    let (_, notice) = stage.subscriber.wait_for(0, LIMIT, "a notice", |_| true).await.unwrap();
    let log = stage.deployment.function_log(FUNCTION).await.unwrap();
    // The log has searchable fields, in the format that the function uses in AWS.
    let fields =
        |line: &String| serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"].is_string());
    assert!(log.iter().any(fields), "{log:?}");
    let log = log.join("\n");
    for text in
        [answer.value.to_string(), notice.message.to_string(), log, stage.mail.mails()[0].text.clone()]
    {
        assert!(!text.contains("the-lab"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_cause_in_two_syncs_sends_one_notice_concurrently() {
    let stage = stage_at_fixed_time().await;
    let site = app(&stage).0;
    let now = stage.census.clock().now();
    let failed = |sync: &str| {
        let evidence = Evidence::new("the run failed");
        Check::RunFailed.about(sync).unhealthy(Severity::Error, evidence, "expired").grouped("auth")
    };
    // Every round has read the open incidents before any of them acts.
    let begin = || Round::begin(&site, Judge::ScheduleVerification, now);
    let rounds = futures::future::try_join_all((0..20).map(|_| begin())).await.unwrap();
    let acted = rounds.into_iter().enumerate().map(|(n, mut round)| {
        let sync = if n % 2 == 0 { "properties-create" } else { "properties-update" };
        let finding = failed(sync);
        async move {
            round.act_on(&[finding]).await;
            assert_eq!(round.failures(), [""; 0]);
            round.notices().len()
        }
    });
    let sent: usize = futures::future::join_all(acted).await.into_iter().sum();
    assert_eq!(sent, 1);
    let mut states: Vec<String> = stage
        .deployment
        .incidents()
        .await
        .unwrap()
        .iter()
        .filter_map(|item| item.get("state"))
        .map(|state| state.as_str().unwrap().to_owned())
        .collect();
    states.sort();
    assert_eq!(states, ["held", "open"]);

    // The first incident resolves and the second does not, so the second is notified now.
    let mut round = begin().await.unwrap();
    let open = stage.deployment.incidents().await.unwrap();
    let open = open.iter().find(|item| item["state"] == "open").unwrap()["subject"].as_str().unwrap();
    let other = if open == "properties-create" { "properties-update" } else { "properties-create" };
    let healthy = Check::RunFailed.about(open).healthy(Evidence::new("completed"));
    round.act_on(&[healthy, failed(other)]).await;
    let notices: Vec<String> =
        round.notices().iter().map(|sent| format!("{:?} {}", sent.kind, sent.incident)).collect();
    assert_eq!(
        notices,
        [format!("Resolved properties/run-failed/{open}"), format!("Opened properties/run-failed/{other}")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_subscriber_is_an_incident_until_restored() {
    let stage = stage_at_fixed_time().await;
    let turn = async || {
        stage.census.jump(SignedDuration::from_mins(5));
        let answer = verify(&app(&stage), stage.census.clock().now()).await;
        (unhealthy(&answer), notices(&answer))
    };
    let none = || (Vec::new(), Vec::new());
    assert_eq!(turn().await, none());

    let relay = stage.deployment.unsubscribe(&ResourceId::topic("notices"), "sqs").await.unwrap();
    let found = vec!["subscribers-confirmed syncwatch".to_owned()];
    let key = "properties/subscribers-confirmed/syncwatch";
    assert_eq!(turn().await, (found.clone(), vec![format!("opened {key}")]));
    assert_eq!(turn().await, (found, Vec::new()));
    stage.deployment.subscribe_queue(&ResourceId::topic("notices"), &relay).await.unwrap();
    assert_eq!(turn().await, (Vec::new(), vec![format!("resolved {key}")]));
    assert_eq!(turn().await, none());
}

/// After a rollback, the older release finds an open incident of a check that it does not know.
#[tokio::test(flavor = "multi_thread")]
async fn open_incident_of_a_new_check_is_kept_after_a_rollback() {
    let stage = stage_at_fixed_time().await;
    stage.deployment.unsubscribe(&ResourceId::topic("notices"), "sqs").await.unwrap();
    let verify_now = async || verify(&app(&stage), stage.census.clock().now()).await;
    assert_eq!(notices(&verify_now().await), ["opened properties/subscribers-confirmed/syncwatch"]);

    // A name that this version does not know stands for a check that the older version does not know.
    let (incidents, unknown) = (ResourceId::table("incidents"), "check-of-tomorrow/syncwatch");
    let items = stage.deployment.items(&incidents).await.unwrap();
    let opened = items.iter().find(|item| item["check_subject"] == "subscribers-confirmed/syncwatch");
    let fields = opened.unwrap().as_object().unwrap().iter();
    let fields = fields.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let renamed = fields.map(|(name, value)| (name, if name == "check_subject" { unknown } else { value }));
    stage.deployment.put_item(&incidents, &renamed.collect::<Vec<_>>()).await.unwrap();
    for _ in 0..2 {
        stage.census.jump(SignedDuration::from_hours(3));
        assert_eq!(verify_now().await["unknown_incidents"], json!(1));
    }
    let kept = stage.deployment.items(&incidents).await.unwrap();
    let kept = kept.iter().find(|item| item["check_subject"] == unknown).unwrap();
    assert_eq!(kept["state"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_check_keeps_its_incident_and_fails_no_round() {
    let stage = stage_at_fixed_time().await;
    let item = [
        ("pipeline", "properties"),
        ("check_subject", "check-of-tomorrow/properties-create"),
        ("state", "open"),
        ("shape", "of tomorrow"),
    ];
    let incidents = ResourceId::table("incidents");
    stage.deployment.put_item(&incidents, &item).await.unwrap();
    for minutes in [0, 5, 180] {
        stage.census.jump(SignedDuration::from_mins(minutes));
        let answer = verify(&app(&stage), stage.census.clock().now()).await;
        assert_eq!((&answer["unknown_incidents"], notices(&answer).len()), (&json!(1), 0), "{answer}");
    }
    let kept = stage.deployment.incidents().await.unwrap();
    assert!(kept.iter().any(|item| item["shape"] == "of tomorrow"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_of_an_undeclared_check_is_withdrawn() {
    let stage = stage_at_fixed_time().await;
    let now = stage.census.clock().now();
    let site = |edit: fn(&mut Pipeline)| {
        let mut pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
        edit(&mut pipeline);
        stage.deployment.site("daily-validation", pipeline, stage.aws.endpoint(), &[]).unwrap()
    };
    let declared = site(|_| {});
    let coverage = declared.pipeline.checks.iter().find(|check| check.check() == Check::Coverage).unwrap();
    let evidence = Evidence::new("80% are there");
    let finding = Check::Coverage.about(&coverage.name).unhealthy(Severity::Error, evidence, "a view");
    let open = async |site: &Site, findings: &[Finding], at| {
        let mut round = Round::begin(site, Judge::DailyValidation, at).await.unwrap();
        round.act_on(findings).await;
        round.conclude().await;
        let report = round.finish(&[]).unwrap();
        report.notices.iter().map(|sent| format!("{} {:?}", sent.kind, sent.reason)).collect::<Vec<_>>()
    };
    assert_eq!(open(&declared, &[finding], now).await, ["opened Some(FirstFound)"]);
    // A declared check that was not judged in this round keeps its incident without a notice.
    assert_eq!(open(&declared, &[], now + SignedDuration::from_mins(1)).await, [""; 0]);
    // The name is the same, but it is another check now.
    let another = site(|pipeline| {
        for check in &mut pipeline.checks {
            check.rule = syncwatch::data_checks::Rule::RowCount { min: Some(1), max: None };
        }
    });
    let withdrawn = open(&another, &[], now + SignedDuration::from_mins(2)).await;
    assert_eq!(withdrawn, ["resolved Some(Withdrawn)"]);
}

/// Creates an incident of a subject in a state.
fn incident(subject: &str, state: State, pending: Option<NoticeKind>) -> Incident {
    let at: Timestamp = "2026-11-24T11:00:00Z".parse().unwrap();
    Incident {
        key: IncidentKey {
            pipeline: "properties".to_owned(),
            check: Check::RunFailed,
            subject: subject.to_owned(),
        },
        generation: 1,
        version: 1,
        state,
        severity: Severity::Error,
        opened_at: at,
        resolved_at: (state == State::Resolved).then_some(at),
        evidence: Evidence::new("the newest 3 runs failed").with("runs failed", 3_u64),
        cause: "A mapped source column has been deleted. ".repeat(20),
        class: None,
        group: None,
        pending: pending.map(|kind| Pending { kind, since: at }),
        hold: None,
        acknowledged: None,
        course: Course::default(),
    }
}

/// Creates an incident for each state, with and without a pending notice.
fn of_every_state(prefix: &str) -> Vec<Incident> {
    let states = [State::Watching, State::Open, State::Held, State::Resolved];
    let pending = [None, Some(NoticeKind::Opened), Some(NoticeKind::Resolved)];
    let all = states.into_iter().flat_map(|state| pending.map(|pending| (state, pending)));
    all.enumerate().map(|(n, (state, pending))| incident(&format!("{prefix}-{n}"), state, pending)).collect()
}

/// Lists the live incidents as a round reads them, in the order of their keys.
async fn live(store: &IncidentStore) -> Vec<String> {
    let (live, unreadable) = store.live_incidents("properties").await.unwrap();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let mut live: Vec<String> = live.iter().map(|incident| incident.key.to_string()).collect();
    live.sort();
    live
}

/// Lists the live incidents of the whole partition, as an older version reads them.
async fn live_in_the_partition(store: &IncidentStore) -> Vec<String> {
    let (all, _) = store.all_incidents("properties").await.unwrap();
    let live = all.iter().filter(|incident| incident.state != State::Resolved || incident.pending.is_some());
    let mut live: Vec<String> = live.map(|incident| incident.key.to_string()).collect();
    live.sort();
    live
}

#[tokio::test(flavor = "multi_thread")]
async fn live_incidents_are_found_through_an_upgrade_and_a_rollback() {
    let stage = stage_at_fixed_time().await;
    let incidents = ResourceId::table("incidents");
    let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
    let store = IncidentStore::new(sdk.dynamodb(), "syncwatch-incidents");
    let write = async |prefix: &str| {
        for incident in of_every_state(prefix) {
            assert_eq!(store.write(&incident, Expected::Absent).await.unwrap(), WriteOutcome::Written);
        }
    };
    // An older version has no index; its items are found as soon as there is one.
    stage.deployment.have_indexes(&incidents, false).await.unwrap();
    write("older").await;
    let expected = live_in_the_partition(&store).await;
    assert_eq!(expected.len(), 11, "all twelve but the resolved one without a pending notice");
    assert_eq!(live(&store).await, expected, "a new version before its deployment has finished");
    stage.deployment.have_indexes(&incidents, true).await.unwrap();
    assert_eq!(live(&store).await, expected, "upgraded");
    write("newer").await;
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
    // Roll back to an older version, which writes more incidents, and upgrade again.
    stage.deployment.have_indexes(&incidents, false).await.unwrap();
    write("rolled-back").await;
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
    stage.deployment.have_indexes(&incidents, true).await.unwrap();
    assert_eq!(live(&store).await.len(), 33);
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
}

/// `SYNCWATCH_RESOLVED` sets the number of resolved incidents.
#[tokio::test(flavor = "multi_thread")]
async fn live_incidents_cost_the_same_however_many_are_resolved() {
    let count: usize = std::env::var("SYNCWATCH_RESOLVED").map_or(300, |count| count.parse().unwrap());
    let stage = stage_at_fixed_time().await;
    let dynamodb = Sdk::for_endpoint(stage.aws.endpoint()).unwrap().dynamodb();
    let store = IncidentStore::new(dynamodb.clone(), "syncwatch-incidents");
    for incident in of_every_state("live") {
        assert_eq!(store.write(&incident, Expected::Absent).await.unwrap(), WriteOutcome::Written);
    }
    let text = |text: &str| attribute(text).unwrap();
    // The pages, items and read units of a query.
    let cost = async |index: Option<&str>, condition: &str| {
        let mut query =
            dynamodb.query().table_name("syncwatch-incidents").set_index_name(index.map(str::to_owned));
        query = query
            .consistent_read(index.is_none())
            .return_consumed_capacity("TOTAL".into())
            .key_condition_expression(format!("#p = :p{condition}"))
            .expression_attribute_names("#p", "pipeline")
            .expression_attribute_values(":p", text("properties"));
        if !condition.is_empty() {
            query = query
                .expression_attribute_names("#s", "state")
                .expression_attribute_values(":r", text("resolved"));
        }
        let (mut pages, mut items, mut units) = (0, 0, 0.0);
        let mut next = None;
        loop {
            let page = query.clone().set_exclusive_start_key(next).send().await.unwrap();
            pages += 1;
            items += page.scanned_count();
            let capacity = page.consumed_capacity();
            units += capacity.map_or(0.0, |used| used.capacity_units().unwrap_or_default());
            next = page.last_evaluated_key;
            if next.is_none() {
                return (pages, items, units);
            }
        }
    };
    let by_index = async || {
        let mut all = (0, 0, 0.0);
        for (index, condition) in
            [("by-state", " AND #s < :r"), ("by-state", " AND #s > :r"), ("by-pending", "")]
        {
            let one = cost(Some(index), condition).await;
            all = (all.0 + one.0, all.1 + one.1, all.2 + one.2);
        }
        all
    };
    let (before, found) = (by_index().await, live(&store).await);
    for chunk in (0..count).collect::<Vec<_>>().chunks(20) {
        let writes = chunk.iter().map(async |number| {
            let resolved = incident(&format!("resolved-{number:05}"), State::Resolved, None);
            assert_eq!(store.write(&resolved, Expected::Absent).await.unwrap(), WriteOutcome::Written);
        });
        futures::future::join_all(writes).await;
    }
    let (after, partition) = (by_index().await, cost(None, "").await);
    assert_eq!((after, live(&store).await), (before, found));
    assert_eq!(usize::try_from(partition.1).unwrap(), count + 12);
}
