//! The function on the lab's AWS: DynamoDB's conditions, SNS's deliveries, the real zip.

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

/// A stage at wall time, for the zip, whose clock is the machine's.
async fn stage() -> Stage {
    stage_by(LabClock::wall()).await
}

/// A stage whose clock stands still, for functions in this process.
async fn stage_out_of_time() -> Stage {
    stage_by(LabClock::set_to("2026-11-24T12:00:00Z".parse().unwrap())).await
}

async fn stage_by(clock: LabClock) -> Stage {
    let world = World::seed_pipeline(clock.now(), 11);
    Stage::set(world, clock, Schedules::None).await.unwrap()
}

/// The function in this process, so that the time can be an argument.
fn app(stage: &Stage) -> App {
    app_with(stage, &[])
}

/// The same with other settings than those of the deployment.
fn app_with(stage: &Stage, changed: &[(&str, &str)]) -> App {
    let pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
    App(stage.deployment.site("schedule-verification", pipeline, stage.aws.endpoint(), changed).unwrap())
}

async fn verify(app: &App, now: Timestamp) -> Value {
    app.run(json!({ "task": "verify" }), now).await.unwrap()
}

/// The notices of an answer, as `kind key`.
fn notices(answer: &Value) -> Vec<String> {
    let notices = answer["notices"].as_array().unwrap().iter();
    notices
        .map(|notice| {
            format!("{} {}", notice["kind"].as_str().unwrap(), notice["incident"].as_str().unwrap())
        })
        .collect()
}

/// The unhealthy findings of an answer, as `check subject`.
fn unhealthy(answer: &Value) -> Vec<String> {
    let findings = answer["unhealthy"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            format!("{} {}", finding["check"].as_str().unwrap(), finding["subject"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zip_tells_a_fault_once_and_its_end_once_however_often_it_runs() {
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
    assert_eq!((&metrics[0]["Rounds"], &metrics[0]["Pipeline"]), (&json!(1), &json!("properties")));
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
    assert!(mail[0].text.contains("paused at Census") && mail[0].subject.starts_with("[error]"), "{mail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_judge_at_the_same_moment_open_one_incident_and_send_one_notice() {
    let stage = stage_out_of_time().await;
    // The deployed worker would judge too, at some moment of its own.
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
async fn a_notice_whose_sending_failed_is_sent_by_a_later_round_once_its_lease_ended() {
    let stage = stage_out_of_time().await;
    stage.census.inject(Fault::Pause { sync: CREATE }).unwrap();
    let now = stage.census.clock().now();
    let topic_arn =
        stage.deployment.topic_arn(&ResourceId::topic("notices")).unwrap().replace("notices", "gone");
    let broken = app_with(&stage, &[(env::TOPIC_ARN.name, &topic_arn)]);
    let error = broken.run(json!({ "task": "verify" }), now).await.unwrap_err().to_string();
    assert!(error.contains("syncwatch-gone") && error.contains("sync-paused"), "{error}");

    let mended = app(&stage);
    let later = async |seconds| {
        stage.census.jump(SignedDuration::from_secs(seconds));
        notices(&verify(&mended, stage.census.clock().now()).await)
    };
    assert_eq!(later(60).await, [""; 0]);
    assert_eq!(later(61).await, ["opened properties/sync-paused/properties-create"]);
    assert_eq!(later(1).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_the_front_door_breaks_is_one_finding_and_nothing_else_is_judged() {
    let stage = stage().await;
    let app = app(&stage);
    // Longer than any answer may take here, so that what never comes is what is tested.
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
        // The dead letters and the subscribers, and what of Census has no part in the fault.
        assert!(report.counts.healthy <= 4, "{fault:?}: {answer}");
        stage.census.heal_all();
        assert_eq!(unhealthy(&verify(&app, Timestamp::now()).await), [""; 0], "after {fault:?}");
    }
}

/// A stage with so many more syncs, all newer than the declared ones, which are so the first ones after them in the list.
async fn stage_with_newer_syncs(count: u64) -> Stage {
    let stage = stage_out_of_time().await;
    for sync in NEWER..NEWER + count {
        stage.census.inject(Fault::UndeclaredSync { sync }).unwrap();
    }
    stage
}

const NEWER: u64 = 4_000_000;

/// The syncs of which an answer leaves a check unjudged.
fn unjudged_syncs(answer: &Value) -> BTreeSet<&str> {
    let findings = answer["not_evaluated"].as_array().unwrap().iter();
    let subjects = findings.map(|finding| finding["subject"].as_str().unwrap());
    subjects.filter(|subject| subject.starts_with("properties-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_leaves_out_a_declared_sync_proves_no_deletion() {
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
async fn sync_that_census_itself_does_not_have_is_found_also_behind_the_first_page() {
    let stage = stage_with_newer_syncs(100).await;
    stage.census.inject(Fault::Delete { sync: CREATE }).unwrap();
    let answer = verify(&app(&stage), stage.census.clock().now()).await;
    assert!(unhealthy(&answer).contains(&"sync-exists properties-create".to_owned()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_whose_runs_the_token_may_not_read_blinds_no_other_and_is_not_a_refused_token() {
    let stage = stage_out_of_time().await;
    stage.census.break_door(HttpFault::ForbiddenRuns { sync: CREATE });
    let app = app(&stage);
    let answer = verify(&app, stage.census.clock().now()).await;
    assert_eq!(unhealthy(&answer), [""; 0], "{answer}");
    assert_eq!(unjudged_syncs(&answer), BTreeSet::from(["properties-create"]), "{answer}");

    // The token may read none at all: that is the token.
    for sync in app.0.pipeline.syncs.iter().map(|sync| sync.id.0) {
        stage.census.break_door(HttpFault::ForbiddenRuns { sync });
    }
    let answer = verify(&app, stage.census.clock().now()).await;
    assert_eq!(unhealthy(&answer), ["token-accepted census"], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_and_is_no_finding() {
    let stage = stage().await;
    stage.census.break_door(HttpFault::RateLimited { retry_after: "0".to_owned(), times: 2 });
    assert_eq!(unhealthy(&verify(&app(&stage), Timestamp::now()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_census_that_is_wrong_is_one_finding_and_makes_no_run_late() {
    let stage = stage().await;
    stage.census.inject(Fault::ClockSkew { seconds: -2_400 }).unwrap();
    assert_eq!(unhealthy(&verify(&app(&stage), Timestamp::now()).await), ["clock-skew census"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_is_named_with_the_remedy() {
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

    // A missing token must reach people, so it is a finding and a notice.
    let no_secret = app_with(&stage, &[(env::CENSUS_SECRET.name, "no-secret")]);
    let answer = verify(&no_secret, now).await;
    assert_eq!(unhealthy(&answer), ["token-accepted census"]);
    assert!(answer["unhealthy"][0].to_string().contains("no-secret"), "{answer}");
    // Seen through a network, so looked at twice before people hear of it.
    assert_eq!(notices(&answer), [""; 0]);
    let answer = verify(&no_secret, now + SignedDuration::from_mins(2)).await;
    assert_eq!(notices(&answer), ["opened properties/token-accepted/census"]);

    let error = app(&stage).run(json!({ "task": "dance" }), now).await.unwrap_err().to_string();
    assert!(error.contains("verify") && error.contains("ping"), "{error}");
}

/// The repository's pipeline with so many syncs in the place of its own.
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
async fn round_of_any_size_ends_and_judges_every_sync_whatever_the_vendor_does() {
    let reading = Duration::from_millis(500);
    for count in [1, 100, 1_000] {
        let clock = LabClock::set_to("2026-11-24T12:00:00Z".parse().unwrap());
        let stage = Stage::set(World::many(clock.now(), 11, 1, count), clock, Schedules::None).await.unwrap();
        let site = stage.deployment.site(FUNCTION, pipeline_of(count), stage.aws.endpoint(), &[]).unwrap();
        let app = App(site);
        let of_syncs =
            |report: &Report| report.counts.healthy + report.counts.unhealthy + report.counts.not_evaluated;
        let whole = Box::pin(app.verify(stage.census.clock().now(), LIMIT)).await.unwrap();
        assert_eq!(whole.unhealthy, [], "{count} syncs, all well");
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
async fn a_replaced_token_is_taken_up_by_the_round_after_the_one_that_was_refused() {
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
    // Fields to search by, in the log format that the function has in AWS.
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
async fn functions_that_meet_a_shared_cause_in_different_syncs_at_the_same_moment_tell_it_once() {
    let stage = stage_out_of_time().await;
    let site = app(&stage).0;
    let now = stage.census.clock().now();
    let failed = |sync: &str| {
        let evidence = Evidence::new("the run failed");
        Check::RunFailed.about(sync).unhealthy(Severity::Error, evidence, "expired").grouped("auth")
    };
    // All of them have looked at what is open before any of them acts.
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

    // The first is over and the second is not: people hear of that one now.
    let mut round = begin().await.unwrap();
    let open = stage.deployment.incidents().await.unwrap();
    let open = open.iter().find(|item| item["state"] == "open").unwrap()["subject"].as_str().unwrap();
    let other = if open == "properties-create" { "properties-update" } else { "properties-create" };
    let healthy = Check::RunFailed.about(open).healthy(Evidence::new("completed"));
    round.act_on(&[healthy, failed(other)]).await;
    let said: Vec<String> =
        round.notices().iter().map(|sent| format!("{:?} {}", sent.kind, sent.incident)).collect();
    assert_eq!(
        said,
        [format!("Resolved properties/run-failed/{open}"), format!("Opened properties/run-failed/{other}")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_that_lost_a_subscriber_is_an_incident_until_it_is_back() {
    let stage = stage_out_of_time().await;
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

/// A release brings the check; rolled back, the older one meets its open incident.
#[tokio::test(flavor = "multi_thread")]
async fn open_incident_of_a_new_check_is_kept_after_a_rollback() {
    let stage = stage_out_of_time().await;
    stage.deployment.unsubscribe(&ResourceId::topic("notices"), "sqs").await.unwrap();
    let verify_now = async || verify(&app(&stage), stage.census.clock().now()).await;
    assert_eq!(notices(&verify_now().await), ["opened properties/subscribers-confirmed/syncwatch"]);

    // The older version knows the check as little as this one knows another name.
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
async fn incident_of_a_check_of_another_version_is_kept_and_fails_no_round() {
    let stage = stage_out_of_time().await;
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
async fn incident_of_a_check_that_is_not_declared_any_more_is_withdrawn() {
    let stage = stage_out_of_time().await;
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
    // Still declared and not judged in this round: nothing is said yet.
    assert_eq!(open(&declared, &[], now + SignedDuration::from_mins(1)).await, [""; 0]);
    // Of the same name, and another check now.
    let another = site(|pipeline| {
        for check in &mut pipeline.checks {
            check.rule = syncwatch::data_checks::Rule::RowCount { min: Some(1), max: None };
        }
    });
    let withdrawn = open(&another, &[], now + SignedDuration::from_mins(2)).await;
    assert_eq!(withdrawn, ["resolved Some(Withdrawn)"]);
}

/// An incident of a subject in a state.
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

/// Every state, with and without a notice yet to be sent.
fn of_every_state(prefix: &str) -> Vec<Incident> {
    let states = [State::Watching, State::Open, State::Held, State::Resolved];
    let pending = [None, Some(NoticeKind::Opened), Some(NoticeKind::Resolved)];
    let all = states.into_iter().flat_map(|state| pending.map(|pending| (state, pending)));
    all.enumerate().map(|(n, (state, pending))| incident(&format!("{prefix}-{n}"), state, pending)).collect()
}

/// The incidents that a round begins with, in the order of their keys.
async fn live(store: &IncidentStore) -> Vec<String> {
    let (live, unreadable) = store.live_incidents("properties").await.unwrap();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let mut live: Vec<String> = live.iter().map(|incident| incident.key.to_string()).collect();
    live.sort();
    live
}

/// The same as the store has them: what an older version reads.
async fn live_in_the_partition(store: &IncidentStore) -> Vec<String> {
    let (all, _) = store.all_incidents("properties").await.unwrap();
    let live = all.iter().filter(|incident| incident.state != State::Resolved || incident.pending.is_some());
    let mut live: Vec<String> = live.map(|incident| incident.key.to_string()).collect();
    live.sort();
    live
}

#[tokio::test(flavor = "multi_thread")]
async fn live_incidents_are_found_through_an_upgrade_and_a_rollback() {
    let stage = stage_out_of_time().await;
    let incidents = ResourceId::table("incidents");
    let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
    let store = IncidentStore::new(sdk.dynamodb(), "syncwatch-incidents");
    let write = async |prefix: &str| {
        for incident in of_every_state(prefix) {
            assert_eq!(store.write(&incident, Expected::Absent).await.unwrap(), WriteOutcome::Written);
        }
    };
    // An older version has no index, and its items are found once there is one.
    stage.deployment.have_indexes(&incidents, false).await.unwrap();
    write("older").await;
    let expected = live_in_the_partition(&store).await;
    assert_eq!(expected.len(), 11, "of twelve, one is resolved and told");
    assert_eq!(live(&store).await, expected, "a new version before its deployment is through");
    stage.deployment.have_indexes(&incidents, true).await.unwrap();
    assert_eq!(live(&store).await, expected, "upgraded");
    write("newer").await;
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
    // Back to an older version, which writes on, and forward again.
    stage.deployment.have_indexes(&incidents, false).await.unwrap();
    write("rolled-back").await;
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
    stage.deployment.have_indexes(&incidents, true).await.unwrap();
    assert_eq!(live(&store).await.len(), 33);
    assert_eq!(live(&store).await, live_in_the_partition(&store).await);
}

/// `SYNCWATCH_RESOLVED` says how many.
#[tokio::test(flavor = "multi_thread")]
async fn live_incidents_cost_the_same_however_many_are_resolved() {
    let count: usize = std::env::var("SYNCWATCH_RESOLVED").map_or(300, |count| count.parse().unwrap());
    let stage = stage_out_of_time().await;
    let dynamodb = Sdk::for_endpoint(stage.aws.endpoint()).unwrap().dynamodb();
    let store = IncidentStore::new(dynamodb.clone(), "syncwatch-incidents");
    for incident in of_every_state("live") {
        assert_eq!(store.write(&incident, Expected::Absent).await.unwrap(), WriteOutcome::Written);
    }
    let text = |text: &str| attribute(text).unwrap();
    // Pages, items and read units of the queries of a round.
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
