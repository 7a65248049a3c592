//! Many syncs through the real round: ninety quiet days of a workspace that changes while it is read, and where 250 syncs lead.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator};
use syncwatch_lab::census::{Fault, HttpFault, SimSchedule, Traffic, World};
use webhook_intake::delivery::queue_message;

use crate::engines::{Engines, PIPELINE, batch_event, minutes};

/// The id of the first sync beside those of the seed; each one more counts on.
const FIRST: u64 = 5_000_000;
/// Syncs of other people, newer than all of ours: they come and go on the first page.
const OTHERS: u64 = 6_000_000;
/// Days of the simulation: both changes of the clocks of Los Angeles are in them.
const DAYS: i64 = 145;
const FROM: &str = "2026-10-25T00:07:00Z";
/// The mornings on which the clocks changed, in UTC.
const CHANGES: [&str; 2] = ["2026-11-01T09:00:30Z", "2027-03-14T10:00:30Z"];

/// The repository's pipeline with so many syncs, and the workspace that it declares, with 20 syncs of other people in it.
fn workspace(syncs: u64, from: Timestamp) -> (String, World) {
    let mut world = World::seed_pipeline(from - SignedDuration::from_hours(26), 11);
    let mut pipeline = PIPELINE.replacen("[census]", "[census]\nundeclared_syncs = \"ignore\"", 1);
    for number in 0..syncs - 2 {
        let traffic = Traffic { runtime: minutes(1), records: 40, creates: false };
        // Behind the minimum slot, 02:00 in Los Angeles, in summer and in winter.
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

/// What happens to the list while it is read at this look.
fn moves(look: u64) -> Option<HttpFault> {
    match look % 4 {
        0 => Some(HttpFault::DeletedAfterFirstPage { sync: OTHERS + look % 20 }),
        1 => Some(HttpFault::AddedAfterFirstPage { sync: OTHERS + 1_000 + look }),
        2 => Some(HttpFault::ReorderedAfterFirstPage),
        _ => None,
    }
}

/// Polls in pairs, two minutes apart, as many as `SYNCWATCH_QUIET_PAIRS` says: spread over the days, at another time of day each
/// time, and in the hours in which the clocks change. A poll of each two minutes of all days would be 104,400.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_days_of_150_syncs_that_move_while_they_are_read_send_no_notice() {
    let pairs: i64 = std::env::var("SYNCWATCH_QUIET_PAIRS").map_or(12, |pairs| pairs.parse().unwrap());
    let from: Timestamp = FROM.parse().unwrap();
    let step = SignedDuration::from_secs(DAYS * 86_400 / pairs + 2_220);
    let mut looks: Vec<Timestamp> =
        (0..pairs).map(|pair| from + step * i32::try_from(pair).unwrap()).collect();
    looks.extend(CHANGES.map(|change| change.parse::<Timestamp>().unwrap()));
    looks.sort();

    let (pipeline, world) = workspace(150, from);
    let engines = Engines::set(&pipeline, world).await;
    let census = &engines.stage.census;
    census.with_world(World::delete_webhooks);
    let mut look = 0;
    for at in looks {
        for at in [at, at + minutes(2)] {
            census.jump(at.duration_since(engines.now()));
            look += 1;
            let moved = moves(look);
            moved.iter().for_each(|fault| census.break_door(fault.clone()));
            // Each answer takes its time at every third look.
            census.set_delay(if look.is_multiple_of(3) { Duration::from_millis(40) } else { Duration::ZERO });
            let answer = engines.verify().await;
            assert_eq!(answer["notices"], json!([]), "look {look} at {at}, {moved:?}: {answer}");
            assert_eq!(answer["counts"]["unhealthy"], 0, "look {look} at {at}, {moved:?}: {answer}");
            let judged = answer["counts"]["healthy"].as_u64().unwrap();
            assert!(judged > 150 * 5, "look {look} at {at}, {moved:?}: {answer}");
            moved.iter().for_each(|fault| census.mend_door(fault));
            let back = Fault::UndeclaredSync { sync: OTHERS + look % 20 };
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

    // One delivery of each sync, in batches as the queue gives them: the worker looks at each sync once.
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
    let mut told = engines.notices().await;
    told.sort();
    let expected =
        ["opened properties/run-failed/properties-create", "opened properties/run-failed/sync-240"];
    assert_eq!(told, expected);
    // The poll, whose list has three pages, sees the same and has nothing to add.
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
    let (_, said) = operator.say(&Command::parse(&["status"]).unwrap()).await.unwrap();
    // It asks of each, and shows the first ten.
    assert!(said.contains("\nand 240 more\n"), "{said}");
    assert!(!said.contains("Unknown:") && said.contains("run-failed/sync-240"), "{said}");
}
