//! The status page: right by the scoreboard and the audit log, small, safe, and readable as data.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use status_page::App;
use syncwatch::days::{day_of, days_before};
use syncwatch::history::Tally;
use syncwatch::marks::Exceptions;
use syncwatch::page::{DayOutcome, Page, State};
use syncwatch::pipeline::Pipeline;
use syncwatch::scoreboard::{DAYS, Scoreboard};
use syncwatch::text::grouped;
use syncwatch_cli::expectations::{ExpectationLine, ExpectationList};
use syncwatch_cli::scoreboard::Scores;
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, ResourceKind, Schedules,
};
use syncwatch_lab::census::{CensusServer, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::pages::{Sample, samples};
use tokio::sync::OnceCell;

/// The samples, built once for all tests.
async fn all() -> &'static BTreeMap<&'static str, Sample> {
    static SAMPLES: OnceCell<BTreeMap<&'static str, Sample>> = OnceCell::const_new();
    let build = async || samples().await.unwrap().into_iter().map(|sample| (sample.name, sample)).collect();
    SAMPLES.get_or_init(build).await
}

fn html(sample: &Sample) -> String {
    sample.page().html(&sample.pipeline.time_zone).unwrap()
}

#[tokio::test]
async fn page_shows_the_figures_of_the_scoreboard() {
    for sample in all().await.values() {
        let (stored, recorded) =
            (sample.inputs.stored.as_ref().unwrap(), sample.inputs.recorded.as_ref().unwrap());
        let today = day_of(sample.now, &sample.pipeline.time_zone);
        let history = recorded.history.since(days_before(today, 2 * DAYS));
        let records = stored.records(&sample.pipeline, history, sample.now);
        let scores = Scores::of(&Scoreboard::of_last_day(&sample.pipeline, records, sample.now));
        let board = sample.page().scoreboard.unwrap();
        assert_eq!((board.day, board.ready), (scores.day, scores.ready.as_str()), "{}", sample.name);
        assert_eq!(board.metrics.len(), scores.metrics.len());
        for (shown, line) in board.metrics.iter().zip(&scores.metrics) {
            let of_page = (shown.metric, shown.value, shown.outcome, shown.days, &shown.trend);
            assert_eq!(of_page, (line.metric.as_str(), line.value, line.outcome, line.days, &line.trend));
            assert!(html(sample).contains(&shown.title.to_owned()), "{}", shown.title);
        }
    }
}

#[tokio::test]
async fn page_shows_the_runs_of_the_audit_log() {
    for sample in all().await.values() {
        let history = &sample.inputs.recorded.as_ref().unwrap().history;
        let yesterday = days_before(day_of(sample.now, &sample.pipeline.time_zone), 1);
        for (sync, declared) in sample.page().syncs.iter().zip(&sample.pipeline.syncs) {
            assert_eq!((sync.days.len(), sync.days[29].day), (30, yesterday));
            let rows = history.syncs.get(&declared.key).map(Vec::as_slice).unwrap_or_default();
            for day in &sync.days {
                let row = rows.iter().find(|row| row.day == day.day).copied().unwrap_or_default();
                let of_page =
                    (Tally { completed: day.completed, failed: day.failed }, day.records, day.seconds);
                assert_eq!(
                    of_page,
                    (row.outcomes, row.processed, row.median_seconds),
                    "{} {}",
                    sync.sync,
                    day.day
                );
                assert_eq!(day.outcome == DayOutcome::AllCompleted, day.completed > 0 && day.failed == 0);
            }
        }
    }
}

#[tokio::test]
async fn page_shows_figures_and_ranges_as_expectations_have_them() {
    for sample in all().await.values() {
        let pipeline = &sample.pipeline;
        let history = &sample.inputs.recorded.as_ref().unwrap().history;
        let last = days_before(day_of(sample.now, &pipeline.time_zone), 1);
        let list = ExpectationList::of(pipeline, history, last, &Exceptions::default(), None, false);
        let page = sample.page();
        for trend in page.figures.iter().filter(|trend| trend.figure != "agreement") {
            let of_pipeline = |line: &&_| {
                let line: &ExpectationLine = line;
                line.subject == pipeline.name && line.figure == trend.figure
            };
            let line = list.figures.iter().find(of_pipeline).unwrap();
            let newest = trend.days.last().unwrap();
            assert_eq!((newest.value, newest.low, newest.high), (line.value, line.low, line.high));
            assert_eq!(trend.forecast, line.forecast, "{} {}", sample.name, trend.figure);
            let rows: Vec<_> = history.days.iter().filter(|row| row.day > days_before(last, 90)).collect();
            for row in rows.iter().filter(|row| row.day <= last && trend.figure == "coverage") {
                let shown = trend.days.iter().find(|day| day.day == row.day).unwrap();
                assert_eq!(shown.value, row.coverage(), "{}", row.day);
            }
        }
    }
    let leaking = &all().await["warning"].page();
    let coverage = &leaking.figures[0];
    assert!(coverage.forecast.as_ref().unwrap().contains("falls under 95%"), "{coverage:?}");
    assert!(coverage.note.as_ref().unwrap().contains("lower than it was"), "{coverage:?}");
}

#[tokio::test]
async fn sentence_names_state_beginning_and_check() {
    let sentences = all().await.values().map(|sample| format!("{}: {}", sample.name, sample.page().sentence));
    insta::assert_snapshot!(sentences.collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn page_fits_its_budget() {
    for sample in all().await.values() {
        let (size, limit) =
            (html(sample).len(), if sample.pipeline.syncs.len() > 2 { 400_000 } else { 100_000 });
        assert!(size <= limit, "{} has {size} bytes", sample.name);
    }
}

#[tokio::test]
async fn texts_of_people_and_vendors_are_escaped_in_every_file() {
    let sample = &all().await["markup"];
    for file in sample.page().files(&sample.pipeline.time_zone).unwrap() {
        let markup = file.name != "status.json";
        assert!(!markup || !file.text.contains("<script"), "{}", file.name);
        assert!(!markup || !file.text.contains("<b>bold"), "{}", file.name);
        assert!(!file.text.contains(['\u{202e}', '\u{202c}']), "{} changes the text direction", file.name);
        if file.name != "badge.svg" {
            assert!(file.text.contains("alert("), "{} lacks the name", file.name);
        }
    }
    let html = html(sample);
    assert!(html.contains("&lt;script&gt;alert(&#x27;x&#x27;)&lt;&#x2f;script&gt; &quot;quoted&quot; &amp;"));
    assert!(!html.contains("\"\"quoted"), "an attribute ends early");
}

#[tokio::test]
async fn page_loads_and_runs_nothing_and_reveals_no_sample() {
    for sample in all().await.values() {
        let mut sample = sample.clone();
        for incident in &mut sample.inputs.stored.as_mut().unwrap().incidents {
            incident.evidence = incident.evidence.clone().with("sample keys", "0031x00000SECRET");
        }
        for file in sample.page().files(&sample.pipeline.time_zone).unwrap() {
            assert!(!file.text.contains("0031x00000SECRET"), "{} shows a record", file.name);
            let html = file.name == "index.html";
            for part in ["<script", " src=", " style=", "@import", "url(", "onload", "<iframe", "<img"] {
                assert!(!html || !file.text.contains(part), "{} has {part}", sample.name);
            }
        }
        let html = html(&sample);
        assert!(html.contains("content=\"default-src 'none'; style-src 'sha256-"), "no policy");
        assert!(!html.contains("http-equiv=\"refresh\""), "a reload interrupts a screen reader");
        let live = sample.page().live_html(&sample.pipeline.time_zone).unwrap();
        assert!(live.contains("<meta http-equiv=\"refresh\" content=\"300\">"));
    }
}

#[tokio::test]
async fn page_that_is_not_renewed_says_when_it_is_out_of_date() {
    let html = html(&all().await["healthy"]);
    let says =
        "This page is renewed every 5 minutes. If that time is more than 15 minutes ago, it is out of date.";
    assert!(html.contains(says));
    let made = "Made <time datetime=\"2026-11-27T10:03:20-08:00\" title=\"2026-11-27 18:03 UTC\">Fri 27 Nov 10:03</time>";
    assert!(html.contains(made), "{html}");
}

#[tokio::test]
async fn state_is_unknown_when_checks_are_old_or_incidents_unreadable() {
    let healthy = &all().await["healthy"];
    let state = |sample: &Sample| sample.page().state;
    assert_eq!(state(healthy), State::Healthy);
    let later = Sample { now: healthy.now + SignedDuration::from_mins(10), ..healthy.clone() };
    assert_eq!((state(&later), later.page().since), (State::Unknown, None));
    let mut unread = healthy.clone();
    unread.inputs.stored.as_mut().unwrap().unread_incidents = Some("1 incident cannot be read".to_owned());
    assert_eq!(state(&unread), State::Unknown);
    unread.inputs.stored = Err("table syncwatch-incidents: AWS denied access".to_owned());
    let page = unread.page();
    assert_eq!((page.state, page.wrong.len()), (State::Unknown, 0));
    assert!(html(&unread).contains("No open incident is known."), "unknown incidents are not none");
    let mut unchecked = healthy.clone();
    unchecked.inputs.rounds = Ok(BTreeMap::new());
    assert_eq!(unchecked.page().sentence, "State unknown: the syncs were never checked");
}

#[tokio::test]
async fn parts_that_cannot_be_read_are_named() {
    let mut sample = all().await["healthy"].clone();
    sample.inputs.recorded = Err("warehouse: the audit log does not exist".to_owned());
    sample.inputs.reconciled = Err("table: denied".to_owned());
    let page = sample.page();
    let what: Vec<&str> = page.unknown.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(what[..2], ["Comparisons of records", "Figures of the audit log"]);
    assert!(page.scoreboard.is_none() && page.figures.is_empty() && page.syncs[0].days.is_empty());
    assert!(html(&sample).contains("the audit log does not exist"));
}

#[tokio::test]
async fn status_follows_its_schema() {
    let schema = serde_json::from_str(include_str!("../../shared/src/page/status.schema.json")).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for sample in all().await.values() {
        let status = serde_json::from_str(&sample.page().json()).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&status)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{}", sample.name);
    }
}

#[tokio::test]
async fn feed_changes_only_with_incidents_and_has_each_of_them() {
    let sample = &all().await["error"];
    let feed = |sample: &Sample| sample.page().atom(&sample.pipeline.time_zone).unwrap();
    let later = Sample { now: sample.now + SignedDuration::from_mins(5), ..sample.clone() };
    assert_eq!(feed(sample), feed(&later));
    let page: Page = sample.page();
    assert_eq!(feed(sample).matches("<entry>").count(), page.incidents.len());
    assert!(feed(sample).contains("[ERROR] properties-create, error rate"), "{}", feed(sample));
    assert_ne!(feed(sample), feed(&all().await["healthy"]));
}

#[tokio::test]
async fn badge_has_the_word_of_the_state() {
    let words = all().await.values().map(|sample| {
        let badge = sample.page().badge(&sample.pipeline.time_zone).unwrap();
        let label = badge.split("aria-label=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        format!("{}: {}", sample.name, label.rsplit(": ").next().unwrap())
    });
    insta::assert_snapshot!(words.collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn old_incidents_beyond_the_page_are_counted() {
    let sample = &all().await["many-incidents"];
    let all = sample.page().incidents.len();
    assert!(all >= 200, "{all}");
    assert!(html(sample).contains(&format!("{} older ones are in status.json.", grouped((all - 60) as u64))));
}

/// The lab's AWS, for the function in this process. Census does not answer, so the syncs are unknown on the page.
async fn aws() -> (Ministack, Deployment) {
    let aws = Ministack::start().await.unwrap();
    let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
    table.functions.clear();
    let secrets = ["census-token", "census-webhook", "warehouse"];
    let options = DeploymentOptions {
        secrets: secrets.map(|key| (ResourceId::secret(key), "a-token".to_owned())).into(),
        schedules: Schedules::None,
        ..DeploymentOptions::default()
    };
    let deployment = Deployment::apply(&aws, &table, &options).await.unwrap();
    (aws, deployment)
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

fn publisher(aws: &Ministack, deployment: &Deployment) -> App {
    let changed = [("SYNCWATCH_CENSUS_BASE_URL", "http://127.0.0.1:9")];
    App(deployment.site("status-page", pipeline(), aws.endpoint(), &changed).unwrap())
}

/// As SNS invokes a function.
fn notice() -> Value {
    json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:000000000000:syncwatch-notices:1",
        "Sns": { "Type": "Notification", "MessageId": "1", "Message": "{}", "MessageAttributes": {} },
    }] })
}

/// The time of each stored file that shows it.
async fn stored_at(app: &App) -> Vec<Timestamp> {
    let mut times = Vec::new();
    for file in ["status.json", "index.html", "live.html"] {
        let text = app.0.pages().get(&format!("properties/{file}"), Timestamp::UNIX_EPOCH).await.unwrap();
        let text = String::from_utf8(text.unwrap().to_vec()).unwrap();
        let mark = if file == "status.json" { "\"at\":" } else { "Made <time datetime=" };
        let (_, rest) = text.split_once(mark).unwrap();
        times.push(rest.split('"').nth(1).unwrap().parse().unwrap());
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn older_page_never_replaces_a_newer_one() {
    let (aws, deployment) = aws().await;
    let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let at = |seconds| noon + SignedDuration::from_secs(seconds);
    let app = publisher(&aws, &deployment);
    let first = app.run(notice(), at(0)).await.unwrap();
    assert_eq!(first["files"].as_array().unwrap().len(), 5, "{first}");
    let older = app.run(json!({ "task": "publish" }), at(-60)).await.unwrap();
    assert_eq!(older["files"], json!([]), "{older}");
    assert_eq!(app.0.incidents().page_renewed_at("properties").await.unwrap(), Some(noon));

    // Notices and the schedule at the same time, in any order.
    let publish = async |seconds| publisher(&aws, &deployment).run(notice(), at(seconds)).await.unwrap();
    let answers = futures::join!(publish(40), publish(10), publish(50), publish(20), publish(30));
    assert_eq!(answers.2["files"].as_array().unwrap().len(), 5, "{}", answers.2);
    assert_eq!(stored_at(&app).await, [at(50); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_event_fails_and_names_the_known_ones() {
    let (aws, deployment) = aws().await;
    let app = publisher(&aws, &deployment);
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let from_queue = json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{}" }] });
    let of_other = json!({ "Records": [{ "EventSource": "aws:s3" }] });
    for event in [from_queue, of_other, json!({ "Records": [] }), json!({ "Records": {} }), json!({})] {
        let error = format!("{:#}", app.run(event.clone(), now).await.unwrap_err());
        assert!(error.contains(r#"{"task": "publish"}, or an event of SNS"#), "{event}: {error}");
    }
    assert_eq!(app.0.pages().get("properties/status.json", now).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_without_its_right_says_that_it_is_old_and_alerts() {
    let (_aws, deployment) = aws().await;
    let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let at = |minutes| start + SignedDuration::from_mins(minutes);
    let census = CensusServer::start(World::seed_pipeline(start, 11), LabClock::set_to(start)).await.unwrap();
    let changed = [("SYNCWATCH_CENSUS_BASE_URL", census.url())];
    let site =
        |function| deployment.site(function, pipeline(), &deployment.gate_of(function), &changed).unwrap();
    let (page, watcher) =
        (App(site("status-page")), schedule_verification::App(site("schedule-verification")));
    let publish = async |minutes| page.run(json!({ "task": "publish" }), at(minutes)).await;
    let alerts = async |minutes| {
        let report = watcher.run(json!({ "task": "verify" }), at(minutes)).await.unwrap();
        let unhealthy = report["unhealthy"].as_array().unwrap().iter();
        let found = unhealthy.filter(|finding| finding["check"] == "page-renewed").count();
        let open = deployment.incidents().await.unwrap();
        let open = open.iter().filter(|item| item["check_subject"] == "page-renewed/syncwatch");
        let states: Vec<String> = open.map(|item| item["state"].as_str().unwrap().to_owned()).collect();
        (found, states.join(" "))
    };
    publish(0).await.unwrap();
    let files = ResourceId { kind: ResourceKind::Bucket, key: "pages".to_owned() };
    deployment.permit("status-page", "s3:PutObject", &files, false).unwrap();
    for minutes in [5, 10, 15] {
        let error = format!("{:#}", publish(minutes).await.unwrap_err());
        assert!(error.contains("s3:PutObject"), "{error}");
    }
    assert_eq!(alerts(15).await, (0, String::new()));
    assert_eq!(alerts(16).await, (1, "open".to_owned()));
    // The page is that of noon, and says until when it is to be believed.
    assert_eq!(stored_at(&page).await, [start; 3]);
    let stored = page.0.pages().get("properties/status.json", start).await.unwrap().unwrap();
    let status: Value = serde_json::from_slice(&stored).unwrap();
    let old_at: Timestamp = status["out_of_date_at"].as_str().unwrap().parse().unwrap();
    assert!(at(5) < old_at && old_at <= at(15), "{old_at}");

    deployment.permit("status-page", "s3:PutObject", &files, true).unwrap();
    publish(20).await.unwrap();
    assert_eq!(alerts(20).await, (0, "resolved".to_owned()));
    assert_eq!(stored_at(&page).await, [at(20); 3]);
}
