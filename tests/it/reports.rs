//! The weekly digest, by the function in this process and the lab's AWS and warehouse.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reports::App;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::data_checks::object_name;
use syncwatch::http::client;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::{Env, env};
use syncwatch::sql::{Dialect, Statement};
use syncwatch_cli::{Command, Operator};
use syncwatch_lab::aws::Schedules;
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::{Pace, PropertyWorld};
use syncwatch_lab::stage::Stage;

use crate::tidy::table;

const UPDATE: u64 = 3_394_041;
const LIMIT: Duration = Duration::from_secs(10);

/// Thursday 23:59 in Los Angeles.
const THURSDAY: &str = "2026-11-27T07:59:00Z";
/// The Monday after it, at 08:00.
const MONDAY: &str = "2026-11-30T16:00:00Z";

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The lab with a failed run of ten minutes on Friday, and the snapshots of Thursday to Sunday.
async fn week() -> Stage {
    let start = at(THURSDAY);
    let properties = PropertyWorld::with(start, 11, 800, 790, 10).at_pace(Pace::OF_SEED);
    let world = World::seed_pipeline(start, 11).carrying(properties);
    let stage = Stage::set(world, LabClock::set_to(start), Schedules::None).await.unwrap();
    // The deployed worker uses the machine's clock.
    stage.census.break_door(HttpFault::WebhooksLost);
    let changed = [(env::DATABRICKS_URL.name, stage.warehouse.as_ref().unwrap().url())];
    let site = |function| stage.deployment.site(function, pipeline(), stage.mail.url(), &changed).unwrap();
    let (watcher, snapshot) = (
        schedule_verification::App(site("schedule-verification")),
        nightly_snapshot::App(site("nightly-snapshot")),
    );
    let now = || stage.census.clock().now();
    for night in 0..4 {
        snapshot.run(json!({ "task": "snapshot" }), now()).await.unwrap();
        stage.census.jump(SignedDuration::from_hours(2));
        snapshot.run(json!({ "task": "snapshot" }), now()).await.unwrap();
        if night == 0 {
            let (code, message) = ("X".to_owned(), "no".to_owned());
            stage.census.inject(Fault::Fail { sync: UPDATE, code, message }).unwrap();
            stage.census.jump(SignedDuration::from_mins(40));
            watcher.run(json!({ "task": "verify" }), now()).await.unwrap();
            stage.census.heal_all();
            stage.census.break_door(HttpFault::WebhooksLost);
            stage.census.jump(SignedDuration::from_mins(40));
            watcher.run(json!({ "task": "verify" }), now()).await.unwrap();
            stage.census.jump(SignedDuration::from_mins(1_240));
        } else {
            stage.census.jump(SignedDuration::from_hours(22));
        }
    }
    stage
}

async fn send(stage: &Stage, now: Timestamp, databricks: &str) -> Value {
    run(stage, json!({ "task": "digest" }), now, databricks).await.unwrap()
}

async fn run(stage: &Stage, event: Value, now: Timestamp, databricks: &str) -> Result<Value, String> {
    let changed = [(env::DATABRICKS_URL.name, databricks)];
    let app = App(stage.deployment.site("reports", pipeline(), stage.mail.url(), &changed).unwrap());
    app.run(event, now).await.map_err(|error| error.to_string())
}

fn operator(stage: &Stage, now: Timestamp) -> Operator {
    let settings = [
        ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
        ("SYNCWATCH_WAREHOUSE_SECRET", "syncwatch/warehouse"),
        (env::PAGES_BUCKET.name, "syncwatch-pages"),
        (env::DATABRICKS_URL.name, stage.warehouse.as_ref().unwrap().url()),
    ];
    let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
    Operator::with(Env::from_map(settings), pipeline(), sdk, now)
}

/// The subjects of the digests that were mailed.
fn digests(stage: &Stage) -> Vec<String> {
    let mails = stage.mail.mails().into_iter().map(|mail| mail.subject);
    mails.filter(|subject| subject.starts_with("[INFO] Week")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_of_a_week_is_sent_once_and_printed_again() {
    let stage = week().await;
    let databricks = stage.warehouse.as_ref().unwrap().url();
    let sent = send(&stage, at(MONDAY), databricks).await;
    assert_eq!((&sent["report"], &sent["sent"]), (&json!("digest/2026-W48"), &json!(true)), "{sent}");
    let lines = sent["digest"]["lines"].as_array().unwrap();
    let line =
        |topic: &str| lines.iter().find(|line| line["topic"] == topic).unwrap()["text"].as_str().unwrap();
    assert!(
        line("alerts").contains("1 healed by itself. failed run of properties-update (Fri 27 Nov"),
        "{sent}"
    );
    // The lab has no history from before Thursday.
    assert!(line("scoreboard").contains("Successful runs (no row of 2026-11-23)"), "{sent}");
    // Retried, and on the next day.
    for hours in [0, 24, 6 * 24] {
        let again = send(&stage, at(MONDAY) + SignedDuration::from_hours(hours), databricks).await;
        assert_eq!(again["sent"], false, "{again}");
    }
    let mails = digests(&stage);
    assert!(mails.len() == 1 && mails[0].starts_with("[INFO] Week 2026-W48 of properties: "), "{mails:?}");
    let is_digest = |n: &syncwatch_lab::receivers::Notification| n.text("kind") == "report";
    let (_, notice) = stage.subscriber.wait_for(0, LIMIT, "the digest", is_digest).await.unwrap();
    assert_eq!((notice.text("check"), notice.text("severity")), ("digest", "info"));
    let figures = notice.message["figures"].as_array().unwrap();
    assert_eq!(figures.len(), lines.len());
    assert!(figures.iter().any(|figure| figure["text"] == line("alerts")), "{figures:?}");

    let operator = operator(&stage, at(MONDAY));
    let command = Command::parse(&["report", "--week", "2026-W48"]).unwrap();
    let printed = operator.carry_out(&command, &mut |_| {}).await.unwrap();
    assert_eq!(printed.json, sent["digest"]);
    let unended = Command::parse(&["report", "--week", "2026-W49"]).unwrap();
    let refused = operator.carry_out(&unended, &mut |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("has not ended"), "{refused}");

    // A week later, without a warehouse: its reason is in the digest.
    let next = send(&stage, at(MONDAY) + SignedDuration::from_hours(7 * 24), "http://127.0.0.1:9").await;
    assert_eq!((&next["report"], &next["sent"]), (&json!("digest/2026-W49"), &json!(true)), "{next}");
    let headline = next["digest"]["headline"].as_str().unwrap();
    assert!(headline.starts_with("scoreboard unknown, 0 alerts, "), "{headline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn month_is_printed_and_written_as_a_page() {
    let stage = week().await;
    let log = object_name(Dialect::Sqlite, "crm.sfdc_dbx.reconciliation_log").unwrap();
    let row = |day: &str, missing: u64| {
        format!(
            "('object/properties/properties/{day}', 'properties', 'properties', '{day}', '{day} 11:05:00', 800, {missing}, 2, 3, \
             '{{\"rejected\": {missing}}}', 'reconciliation')"
        )
    };
    let rows = format!(
        "INSERT INTO {log} (audit_id, pipeline, object_name, snapshot_date, compared_at, source_rows, missing_rows, \
         extra_rows, different_rows, by_fault, executed_by) VALUES {}, {}, {}",
        row("2026-11-28", 40),
        row("2026-11-29", 12),
        row("2026-12-01", 99),
    );
    let warehouse = stage.warehouse.as_ref().unwrap().direct();
    warehouse.execute(&Statement::new("compared objects", rows)).await.unwrap();
    let operator = operator(&stage, at(MONDAY) + SignedDuration::from_hours(7 * 24));
    let page = tempfile::NamedTempFile::new().unwrap();
    let line = ["report", "--month", "2026-11", "--html", page.path().to_str().unwrap()];
    let answer = operator.carry_out(&Command::parse(&line).unwrap(), &mut |_| {}).await.unwrap();
    // The first snapshot also writes the day before, Wednesday.
    let text = &answer.text;
    assert!(text.starts_with("properties, 2026-11 (5 of 30 days recorded)\n"), "{text}");
    let records = "2026-11-29: of 800 records 12 missing, 2 orphaned, 3 different (causes: rejected 12)";
    assert!(text.contains(records), "{text}");
    assert!(text.contains("1 alert: healed without people 1 (0 by a remedy)"), "{text}");
    assert!(text.contains("The speed of syncs is unknown: "), "no token of Census is set: {text}");
    let html = std::fs::read_to_string(page.path()).unwrap();
    assert!(html.contains(records) && html.matches("<svg").count() == 3, "{html}");
    // Sent once, from the first Monday after it on.
    let databricks = stage.warehouse.as_ref().unwrap().url();
    let event = json!({ "task": "monthly" });
    let early = run(&stage, event.clone(), at("2026-12-06T16:10:00Z"), databricks).await.unwrap();
    assert_eq!((&early["report"], &early["sent"]), (&json!("monthly/2026-11"), &json!(false)), "{early}");
    let monday = at("2026-12-07T16:10:00Z");
    let sent = run(&stage, event.clone(), monday, databricks).await.unwrap();
    assert_eq!(sent["sent"], true, "{sent}");
    assert!(
        sent["monthly"]["alerts"] == answer.json["alerts"]
            && sent["monthly"]["syncs"] == answer.json["syncs"],
        "{sent}"
    );
    for hours in [0, 24] {
        let again =
            run(&stage, event.clone(), monday + SignedDuration::from_hours(hours), databricks).await.unwrap();
        assert_eq!(again["sent"], false, "{again}");
    }
    let is_month = |n: &syncwatch_lab::receivers::Notification| n.text("check") == "monthly";
    let (_, notice) = stage.subscriber.wait_for(0, LIMIT, "the month", is_month).await.unwrap();
    assert_eq!((notice.text("kind"), notice.text("severity")), ("report", "info"));
    assert!(notice.message["figures"].to_string().contains(records), "{:?}", notice.message);
    let command = Command::parse(&["page", "--month", "2026-11"]).unwrap();
    let link = operator.carry_out(&command, &mut |_| {}).await.unwrap();
    let page =
        client().unwrap().get(link.json["url"].as_str().unwrap()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(records) && page.matches("<svg").count() == 3, "{page}");
    let unended = json!({ "task": "monthly", "month": "2026-12" });
    let refused = run(&stage, unended, monday, databricks).await.unwrap_err();
    assert_eq!(refused, "no ended month is named 2026-12: name one such as 2026-11");

    let unended = Command::parse(&["report", "--month", "2026-12"]).unwrap();
    let refused = operator.carry_out(&unended, &mut |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("2026-12 has not ended"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_is_kept_once_and_the_next_is_compared() {
    let stage = week().await;
    let users = object_name(Dialect::Sqlite, "crm.salesforce.user").unwrap();
    let warehouse = stage.warehouse.as_ref().unwrap().direct();
    for sql in [
        format!("CREATE TABLE {users} (id VARCHAR(18), last_login_date TIMESTAMP, is_active BOOLEAN)"),
        format!("INSERT INTO {users} VALUES ('005A0000000SyncIAC', '2026-11-20 10:00:00', TRUE)"),
    ] {
        warehouse.execute(&Statement::new("users", sql)).await.unwrap();
    }
    let text = include_str!("../../infra/pipeline.toml").replace(
        "# integration_users = [\"005...\"]\n",
        "modified_by = \"last_modified_by_id\"\nintegration_users = [\"005A0000000Sync\"]\nusers = \"crm.salesforce.user\"\n",
    );
    let run = async |line: &[&str], now: Timestamp| {
        let settings = [
            ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
            ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
            ("SYNCWATCH_WAREHOUSE_SECRET", "syncwatch/warehouse"),
            ("SYNCWATCH_CENSUS_BASE_URL", stage.census.url()),
            (env::DATABRICKS_URL.name, stage.warehouse.as_ref().unwrap().url()),
        ];
        let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
        let pipeline = Pipeline::parse(&text).unwrap();
        let operator = Operator::with(Env::from_map(settings), pipeline, sdk, now);
        operator.carry_out(&Command::parse(line).unwrap(), &mut |_| {}).await
    };
    let row = |audit: &Value, subject: &str| -> Value {
        let mut rows = audit["rows"].as_array().unwrap().iter();
        rows.find(|row| row["subject"] == subject).unwrap_or_else(|| panic!("{subject}: {audit:#}")).clone()
    };
    let (now, next) = (at(MONDAY), at("2027-02-01T16:00:00Z"));
    let page = tempfile::NamedTempFile::new().unwrap();
    let line = ["audit", "--html", page.path().to_str().unwrap()];
    let first = run(&line, now).await.unwrap();
    let audit = &first.json;
    assert_eq!((&audit["quarter"], &audit["recorded"]), (&json!("2026-Q4"), &json!("5 of 92 days recorded")));
    for (subject, state, evidence) in [
        ("schedule of properties-update", "unknown", "5 days recorded"),
        ("integration user 005A0000000Sync", "ok", "last login 2026-11-20 10:00 UTC"),
        ("run-failed of properties-update", "ok", "1 alert since 2026-10-01, none marked"),
        ("drift of syncs", "action", "no definition is accepted"),
        ("drills of the quarter", "action", "none recorded"),
        ("advisories", "unknown", "no file was given"),
        ("our IAM roles", "unknown", ""),
    ] {
        let row = row(audit, subject);
        let found = row["evidence"].as_str().unwrap();
        assert!(row["state"] == state && found.contains(evidence), "{subject}: {row}");
    }
    let token = row(audit, "age of secret syncwatch/census-token");
    assert!(token["evidence"].as_str().unwrap().starts_with("stored "), "the age is read: {token}");
    let html = std::fs::read_to_string(page.path()).unwrap();
    assert!(html.contains("none recorded") && !html.contains("<script"), "{html}");

    let drill = ["audit", "--drill", "quiet-create", "--by", "Ada", "--tried", "sync-paused"];
    assert_eq!(run(&drill, now).await.unwrap().json["tried"], json!(["sync-paused"]));
    let keep = ["audit", "--keep", "--by", "Ada"];
    let kept = run(&keep, now + SignedDuration::from_hours(1)).await.unwrap();
    assert_eq!(row(&kept.json, "drills of the quarter")["evidence"], "1 drill: Ada 1");
    assert!(kept.text.contains("Kept by Ada") && kept.json["before"].is_null(), "{}", kept.text);
    for again in [&keep[..], &["audit", "--keep", "--by", "Bob", "--quarter", "2026-Q3"]] {
        let refused = run(again, now).await.unwrap_err().to_string();
        assert!(refused.contains("nothing was kept: 2026-Q4 was kept by Ada"), "{refused}");
    }

    run(&["baseline", "accept", "--by", "Ada", "--why", "first"], next).await.unwrap();
    let later = run(&["audit", "--quarter"], next).await.unwrap();
    let before = &later.json["before"];
    assert_eq!((&later.json["quarter"], &before["quarter"]), (&json!("2027-Q1"), &json!("2026-Q4")));
    let ended = ["done", "unknown"].map(|what| before[what].to_string()).concat();
    assert!(ended.contains("field-mappings: drift of syncs"), "{before}");
    assert!(before["new"].as_array().unwrap().contains(&json!("drills: drills of the quarter")), "{before}");
    assert_eq!(row(&later.json, "checks that never fired")["open_since"], "2026-Q4");
    let unbegun = run(&["audit", "--quarter", "2027-Q2"], next).await.unwrap_err();
    assert!(unbegun.to_string().contains("2027-Q2 has not begun"), "{unbegun}");
}

#[test]
fn digest_fires_in_the_zone_of_the_pipeline() {
    let schedule = table().functions["reports"].schedule.clone().unwrap();
    assert_eq!(schedule.expression, "cron(0 8 * * ? *)");
    assert_eq!(Some(schedule.time_zone.as_str()), pipeline().time_zone.iana_name());
}
