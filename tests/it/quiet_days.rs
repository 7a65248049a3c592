//! Many syncs through the real round: healthy days of a workspace that changes while it is read, and findings among 250 syncs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator};
use syncwatch_lab::census::{Fault, HttpFault, SimSchedule, Traffic, World};
use webhook_intake::delivery::queue_message;

use crate::engines::{Engines, PIPELINE, batch_event, minutes};

/// The id of the first sync in addition to those of the seed; further ids follow.
const FIRST: u64 = 5_000_000;
/// The id of the first undeclared sync. These are newer than the declared ones: they come and go on the first page.
const OTHERS: u64 = 6_000_000;
/// Days of the simulation, which include both clock changes of Los Angeles.
const DAYS: i64 = 145;
const FROM: &str = "2026-10-25T00:07:00Z";
/// The mornings on which the clocks changed, in UTC.
const CHANGES: [&str; 2] = ["2026-11-01T09:00:30Z", "2027-03-14T10:00:30Z"];

/// Builds the repository's pipeline with this many syncs, and its workspace with 20 undeclared syncs.
fn workspace(syncs: u64, from: Timestamp) -> (String, World) {
    let mut world = World::seed_pipeline(from - SignedDuration::from_hours(26), 11);
    let mut pipeline = PIPELINE.replacen("[census]", "[census]\nundeclared_syncs = \"ignore\"", 1);
    for number in 0..syncs - 2 {
        let traffic = Traffic { runtime: minutes(1), records: 40, creates: false };
        // After the minimum slot, 02:00 in Los Angeles, in summer and in winter.
        let cron = format!("{} 9,10 * * *", number % 50 + 2);
        let (rule, schedule) = match number % 10 {
            0 => ("every = \"15m\"".to_owned(), SimSchedule::QuarterHourly),
            _ => (format!("cron = \"{cron}\", time_zone = \"UTC\""), SimSchedule::cron(&cron).unwrap()),
        };
        world.add_sync(FIRST + number, &format!("Sync {number}"), schedule, traffic);
        pipeline += &format!(
            "\n[[syncs]]\nkey = \"sync-{number}\"\nid = {}\nrole = \"update\"\nschedule = {{ {rule}, grace = \"5m\" }}\n",
            FIRST + number
        );
    }
    for number in 0..20 {
        Fault::UndeclaredSync { sync: OTHERS + number }.inject(&mut world).unwrap();
    }
    world.advance_to(from);
    (pipeline, world)
}

/// Returns the change of the list while this poll reads it.
fn moves(poll: u64) -> Option<HttpFault> {
    match poll % 4 {
        0 => Some(HttpFault::DeletedAfterFirstPage { sync: OTHERS + poll % 20 }),
        1 => Some(HttpFault::AddedAfterFirstPage { sync: OTHERS + 1_000 + poll }),
        2 => Some(HttpFault::ReorderedAfterFirstPage),
        _ => None,
    }
}

/// Polls in pairs, two minutes apart: `SYNCWATCH_QUIET_PAIRS` sets how many. They are spread over the days at different times of
/// day, and over the hours of the clock changes. A poll every two minutes on all days would be 104,400.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_days_of_150_syncs_that_move_send_no_notice() {
    let pairs: i64 = std::env::var("SYNCWATCH_QUIET_PAIRS").map_or(12, |pairs| pairs.parse().unwrap());
    let from: Timestamp = FROM.parse().unwrap();
    let step = SignedDuration::from_secs(DAYS * 86_400 / pairs + 2_220);
    let mut times: Vec<Timestamp> =
        (0..pairs).map(|pair| from + step * i32::try_from(pair).unwrap()).collect();
    times.extend(CHANGES.map(|change| change.parse::<Timestamp>().unwrap()));
    times.sort();

    let (pipeline, world) = workspace(150, from);
    let engines = Engines::set(&pipeline, world).await;
    let census = &engines.stage.census;
    census.with_world(World::delete_webhooks);
    let mut poll = 0;
    for at in times {
        for at in [at, at + minutes(2)] {
            census.jump(at.duration_since(engines.now()));
            poll += 1;
            let moved = moves(poll);
            moved.iter().for_each(|fault| census.break_door(fault.clone()));
            // Every third poll gets slow answers.
            census.set_delay(if poll.is_multiple_of(3) { Duration::from_millis(40) } else { Duration::ZERO });
            let answer = engines.verify().await;
            assert_eq!(answer["notices"], json!([]), "poll {poll} at {at}, {moved:?}: {answer}");
            assert_eq!(answer["counts"]["unhealthy"], 0, "poll {poll} at {at}, {moved:?}: {answer}");
            let judged = answer["counts"]["healthy"].as_u64().unwrap();
            assert!(judged > 150 * 5, "poll {poll} at {at}, {moved:?}: {answer}");
            moved.iter().for_each(|fault| census.heal_door(fault));
            let back = Fault::UndeclaredSync { sync: OTHERS + poll % 20 };
            engines.inject(&back);
        }
    }
    assert_eq!(
        engines.incidents().await.iter().filter(|incident| !incident.starts_with("resolved")).count(),
        0
    );
    assert_eq!(engines.notices().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_worker_and_status_reach_each_of_250_syncs() {
    let (pipeline, world) = workspace(250, "2026-11-24T12:10:00Z".parse().unwrap());
    let engines = Engines::set(&pipeline, world).await;
    let census = &engines.stage.census;
    census.break_door(HttpFault::WebhooksLost);
    // The oldest sync is on the last of three pages, the other on the first.
    let (oldest, newest) = (crate::engines::CREATE, FIRST + 240);
    assert_eq!(engines.verify().await["counts"]["unhealthy"], 0);
    let fails =
        [oldest, newest].map(|sync| Fault::Fail { sync, code: "X".to_owned(), message: "no".to_owned() });
    fails.iter().for_each(|fault| engines.inject(fault));
    engines.pass(70);

    // One delivery of each sync, in batches as the queue passes them on: the worker reads each sync once.
    let ids: Vec<u64> =
        census.with_world(|world| world.syncs().map(|sync| sync.id).filter(|id| *id < OTHERS).collect());
    let body = |sync: &u64| {
        let run = census.with_world(|world| world.runs(*sync).next().unwrap().id);
        let body = json!({ "event": "sync.alert.raised", "sync_id": sync, "sync_run_id": run, "alert_instance_id": run });
        queue_message(body.to_string().as_bytes(), engines.now())
    };
    let messages: Vec<String> = ids.iter().map(body).collect();
    assert_eq!(messages.len(), 250);
    let worker = engines.worker();
    for batch in messages.chunks(10) {
        let answer = worker.run(batch_event(batch), engines.now()).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let mut notices = engines.notices().await;
    notices.sort();
    let expected =
        ["opened properties/run-failed/properties-create", "opened properties/run-failed/sync-240"];
    assert_eq!(notices, expected);
    // The poll, whose list has three pages, finds the same and sends no further notice.
    let answer = engines.verify().await;
    assert_eq!((&answer["notices"], &answer["counts"]["unhealthy"]), (&json!([]), &json!(2)), "{answer}");

    let settings = [
        ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
        ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
        ("SYNCWATCH_CENSUS_BASE_URL", census.url()),
    ];
    let sdk = syncwatch::aws::Sdk::for_endpoint(engines.stage.aws.endpoint()).unwrap();
    let parsed = Pipeline::parse(&pipeline).unwrap();
    let operator = Operator::with(Env::from_map(settings), parsed, sdk, engines.now());
    let (_, output) = operator.output(&Command::parse(&["status"]).unwrap()).await.unwrap();
    // `status` reads every sync and shows the first ten.
    assert!(output.contains("\nand 240 more\n"), "{output}");
    assert!(!output.contains("Unknown:") && output.contains("run-failed/sync-240"), "{output}");
}
