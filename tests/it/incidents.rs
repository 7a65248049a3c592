//! Incidents on the lab's AWS: functions that judge concurrently, crashes, common causes and silences.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::aws::incidents::{Expected, WriteOutcome};
use syncwatch::finding::{Check, Judge};
use syncwatch::incident::{Acknowledged, Decision, acknowledge};
use syncwatch::round::Round;
use syncwatch::rounds::WebhookRecord;
use syncwatch::silence::{Scope, Silence};
use syncwatch_lab::census::{Fault, HttpFault, SimSchedule, Traffic, World};
use webhook_intake::delivery::queue_message;

use crate::engines::{CREATE, Engines, LIMIT, PIPELINE, UPDATE, batch_event, minutes};

fn failure(sync: u64, code: &str) -> Fault {
    Fault::Fail { sync, code: code.to_owned(), message: "no".to_owned() }
}

/// Runs functions concurrently, polls and workers in turn, each worker with a separate delivery about the create sync. Returns
/// the number of notices that the polls report as suppressed.
async fn all_at_once(engines: &Engines, functions: usize) -> u64 {
    let now = engines.now();
    // The intake does not run here, so record that webhooks arrive.
    let arrive = WebhookRecord { accepted_at: Some(now), refused: None };
    engines.store().record_webhooks("properties", &arrive).await.unwrap();
    let run = engines.stage.census.with_world(|world| world.runs(CREATE).next().unwrap().id);
    let one = async |number: usize| {
        if number.is_multiple_of(2) {
            let answer = engines.poll().run(json!({ "task": "verify" }), now).await.unwrap();
            return answer["held_back"].as_u64().unwrap();
        }
        // Different alert ids make the deliveries different.
        let body = json!({
            "event": "sync.alert.raised", "sync_id": CREATE, "sync_run_id": run,
            "alert_instance_id": now.as_second() * 100 + i64::try_from(number).unwrap(),
        });
        let event = batch_event(&[queue_message(body.to_string().as_bytes(), now)]);
        let answer = engines.worker().run(event, now).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
        0
    };
    join_all((0..functions).map(one)).await.iter().sum()
}

async fn poll_by(engines: &Engines, ahead: SignedDuration) {
    engines.poll().run(json!({ "task": "verify" }), engines.now() + ahead).await.unwrap();
}

/// Polls by all clocks concurrently, then by each clock again in the reverse order.
async fn polls_by(engines: &Engines, clocks: &[SignedDuration]) {
    join_all(clocks.iter().map(|ahead| poll_by(engines, *ahead))).await;
    for ahead in clocks.iter().rev() {
        poll_by(engines, *ahead).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_whose_clocks_differ_send_each_notice_once() {
    // The differences are within the lease of a notice, which is two minutes.
    let clocks = [-50, 0, 35, 50].map(SignedDuration::from_secs);
    for order in [clocks, [clocks[3], clocks[1], clocks[0], clocks[2]]] {
        let engines = Engines::at_noon().await;
        let fault = failure(CREATE, "X");
        let mut expected = Vec::new();
        for (turn, minutes) in [("opened", 36), ("worsened", 60), ("resolved", 36), ("opened", 36)] {
            match turn {
                "opened" => engines.inject(&fault),
                "resolved" => engines.heal(&fault),
                _ => {}
            }
            engines.pass(minutes);
            polls_by(&engines, &order).await;
            expected.push(format!("{turn} properties/run-failed/properties-create"));
            assert_eq!(engines.notices().await, expected, "{order:?}");
            // No time passes, and the world is the same.
            polls_by(&engines, &order).await;
            assert_eq!(engines.notices().await, expected, "{order:?}: again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clock_does_not_undo_a_later_finding() {
    let engines = Engines::at_noon().await;
    let pause = Fault::Pause { sync: CREATE };
    // The slow poll begins before the sync is paused, and ends after the poll that finds the pause.
    let slow = engines.poll();
    let early = engines.now() - SignedDuration::from_secs(90);
    engines.inject(&pause);
    engines.verify().await;
    engines.heal(&pause);
    slow.run(json!({ "task": "verify" }), early).await.unwrap();
    let opened = "opened properties/sync-paused/properties-create";
    assert_eq!(engines.notices().await, [opened], "an older poll decides nothing");
    engines.pass(1);
    engines.verify().await;
    assert_eq!(engines.notices().await, [opened, "resolved properties/sync-paused/properties-create"]);
}

fn silence(id: &str, subject: &str, from: Timestamp, lasts: SignedDuration) -> Silence {
    Silence {
        id: id.to_owned(),
        owner: "Ada".to_owned(),
        reason: "release".to_owned(),
        scope: Scope { checks: Vec::new(), subjects: vec![subject.to_owned()] },
        from,
        until: from + lasts,
        declared: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_polls_and_workers_notify_each_change_once() {
    for functions in [2, 20] {
        let engines = Engines::at_noon().await;
        let fault = failure(CREATE, "X");
        let mut expected = Vec::new();
        // One failed run is an error; three in a row are critical.
        for (turn, minutes) in [("opened", 36), ("worsened", 60), ("resolved", 36)] {
            match turn {
                "opened" => engines.inject(&fault),
                "resolved" => engines.heal(&fault),
                _ => {}
            }
            engines.pass(minutes);
            all_at_once(&engines, functions).await;
            all_at_once(&engines, functions).await;
            expected.push(format!("{turn} properties/run-failed/properties-create"));
            assert_eq!(engines.notices().await, expected, "{functions} functions");
        }
        assert_eq!(engines.incidents().await, ["resolved run-failed/properties-create"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_functions_count_a_suppressed_notice_once() {
    for functions in [2, 20] {
        let engines = Engines::at_noon().await;
        let store = engines.store();
        let quiet = silence("release", "properties-create", engines.now(), minutes(120));
        store.put_silence("properties", &quiet).await.unwrap();
        let held_back = async || store.silences("properties").await.unwrap().0[0].held_back;

        let fault = failure(CREATE, "X");
        engines.inject(&fault);
        engines.pass(36);
        all_at_once(&engines, functions).await;
        all_at_once(&engines, functions).await;
        assert_eq!(held_back().await, 1, "{functions} functions");
        engines.pass(60);
        all_at_once(&engines, functions).await;
        assert_eq!(held_back().await, 2, "{functions} functions: after it worsened");
        assert_eq!(engines.notices().await, [""; 0]);
        assert_eq!(engines.incidents().await, ["held run-failed/properties-create"]);

        engines.pass(24);
        all_at_once(&engines, functions).await;
        all_at_once(&engines, functions).await;
        let mut notices = engines.notices().await;
        notices.sort();
        let expected =
            ["held-back properties/silence/release", "opened properties/run-failed/properties-create"];
        assert_eq!(notices, expected, "{functions} functions");
        engines.heal(&fault);
        engines.pass(36);
        all_at_once(&engines, functions).await;
        assert_eq!(engines.notices().await[2..], ["resolved properties/run-failed/properties-create"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_within_a_silence_is_counted_and_never_sent() {
    let engines = Engines::at_noon().await;
    let quiet = silence("release", "properties-update", engines.now(), minutes(60));
    engines.store().put_silence("properties", &quiet).await.unwrap();
    let fault = Fault::Pause { sync: UPDATE };
    engines.inject(&fault);
    engines.verify().await;
    engines.heal(&fault);
    engines.pass(10);
    engines.verify().await;
    assert_eq!(engines.incidents().await, ["resolved sync-paused/properties-update"]);
    engines.pass(50);
    engines.verify().await;
    assert_eq!(engines.notices().await, ["held-back properties/silence/release"]);
}

/// Adds a silence for the create sync until 13:20 to the pipeline.
fn with_a_silence() -> String {
    let silence = r#"
        [[silences]]
        name = "salesforce-release"
        owner = "Revenue operations"
        reason = "release weekend"
        subjects = ["properties-create"]
        from = "2026-11-24T12:00:00Z"
        until = "2026-11-24T13:20:00Z"
    "#;
    format!("{PIPELINE}\n{silence}")
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_and_added_silences_suppress_and_report_at_their_end() {
    let world = World::seed_pipeline("2026-11-24T12:00:00Z".parse().unwrap(), 11);
    let engines = Engines::set(&with_a_silence(), world).await;
    engines.stage.census.break_door(HttpFault::WebhooksLost);
    let quiet = silence("on-call-asked", "properties-update", engines.now(), minutes(40));
    engines.store().put_silence("properties", &quiet).await.unwrap();
    let (fails, loose) = (failure(CREATE, "X"), Fault::LooseAlerts { sync: CREATE, percent: 75 });
    for fault in [&fails, &loose, &Fault::Pause { sync: UPDATE }] {
        engines.inject(fault);
    }
    // Two concurrent polls each time, and the webhooks of the runs.
    let two_at_once = async || {
        let answers = join_all([engines.verify(), engines.verify()]).await;
        engines.deliver_lost().await;
        answers
    };
    let counted =
        |answers: &[Value]| answers.iter().map(|answer| answer["held_back"].as_u64().unwrap()).sum::<u64>();

    // The incidents are found and counted as unhealthy, but not notified.
    let answers = two_at_once().await;
    assert_eq!(counted(&answers), 2);
    assert!(answers.iter().all(|answer| answer["counts"]["unhealthy"] == 2), "{answers:?}");
    engines.pass(38);
    assert_eq!(counted(&two_at_once().await), 1);
    assert_eq!(
        engines.incidents().await,
        [
            "held run-failed/properties-create",
            "held sync-paused/properties-update",
            "held vendor-alerts/properties-create",
        ]
    );
    assert_eq!(engines.notices().await, [""; 0]);

    // 12:40: the silence that was added at run time expires, and the sync is still paused.
    engines.pass(2);
    two_at_once().await;
    let mut sent = engines.notices().await;
    sent.sort();
    assert_eq!(
        sent,
        ["held-back properties/silence/on-call-asked", "opened properties/sync-paused/properties-update"]
    );

    // 13:20: the declared silence expires, after the failures ended.
    engines.heal(&fails);
    engines.pass(36);
    assert_eq!(counted(&two_at_once().await), 0);
    engines.pass(4);
    two_at_once().await;
    let mut sent = engines.notices().await.split_off(2);
    sent.sort();
    assert_eq!(
        sent,
        [
            "held-back properties/silence/salesforce-release",
            "opened properties/vendor-alerts/properties-create"
        ]
    );
    let (tallies, _) = engines.store().silences("properties").await.unwrap();
    let declared = tallies.iter().find(|tally| tally.silence.id == "salesforce-release").unwrap();
    assert_eq!(declared.incidents, ["run-failed/properties-create", "vendor-alerts/properties-create"]);
    assert_eq!(declared.held_back, 2);

    engines.pass(2);
    two_at_once().await;
    assert_eq!(engines.notices().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn unrecorded_notice_is_sent_again_with_the_same_id() {
    let engines = Engines::at_noon().await;
    let quiet = silence("release", "properties-update", engines.now(), minutes(1));
    engines.store().put_silence("properties", &quiet).await.unwrap();
    engines.inject(&Fault::Pause { sync: UPDATE });
    engines.verify().await;
    engines.heal(&Fault::Pause { sync: UPDATE });
    engines.verify().await;
    engines.pass(1);

    let pause = Fault::Pause { sync: CREATE };
    let stage = &engines.stage;
    for kind in ["held-back", "opened", "resolved"] {
        match kind {
            "opened" => engines.inject(&pause),
            "resolved" => engines.heal(&pause),
            _ => {}
        }
        let got = stage.subscriber.notifications().len();
        stage.mail.lose_answers(true);
        let died_waiting = {
            let poll = engines.poll();
            let round = poll.run(json!({ "task": "verify" }), engines.now());
            let arrival = stage.subscriber.wait_for(got, LIMIT, kind, |_| true);
            // The round is dropped when the notice is delivered, before it records the notice as sent.
            tokio::select! {
                answer = round => panic!("the round ended: {answer:?}"),
                arrival = arrival => arrival.unwrap().1,
            }
        };
        stage.mail.lose_answers(false);
        engines.pass(1);
        engines.verify().await;
        assert_eq!(
            engines.notices().await.len(),
            got + 1,
            "within the lease the sender may still be at work"
        );
        stage.census.jump(SignedDuration::from_secs(61));
        engines.verify().await;
        engines.verify().await;
        assert_eq!(engines.notices().await.len(), got + 2);
        let again = stage.subscriber.notifications().pop().unwrap();
        assert_eq!((again.text("kind"), again.text("id")), (kind, died_waiting.text("id")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_that_loses_a_race_is_repeated_in_the_same_round() {
    let engines = Engines::at_noon().await;
    engines.inject(&Fault::Pause { sync: CREATE });
    engines.verify().await;
    assert_eq!(engines.notices().await, ["opened properties/sync-paused/properties-create"]);
    engines.pass(2);
    let site = engines.site("schedule-verification");
    let mut round = Round::begin(&site, Judge::ScheduleVerification, engines.now()).await.unwrap();
    // The on-call person acknowledges the incident while the round reads Census.
    let store = engines.store();
    let (stored, _) = store.live_incidents("properties").await.unwrap();
    let by = Acknowledged { by: "Ada".to_owned(), at: engines.now(), until: engines.now() + minutes(60) };
    let Decision::Note { incident, replaces, .. } = acknowledge(&stored[0], by) else { panic!("it is open") };
    let written = store.write(&incident, Expected::Version(replaces.unwrap())).await.unwrap();
    assert_eq!(written, WriteOutcome::Written);

    round.act_on(&[Check::SyncPaused.about("properties-create").healthy("not paused")]).await;
    assert_eq!(round.failures(), [""; 0]);
    assert_eq!(engines.notices().await[1..], ["resolved properties/sync-paused/properties-create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_longer_than_the_promised_lag_pages_once() {
    let engines = Engines::at_noon().await;
    engines.inject(&Fault::Pause { sync: CREATE });
    let mut sent = vec!["opened properties/sync-paused/properties-create".to_owned()];
    for (minutes, more) in [(0, 0), (120, 0), (2, 1), (2, 0), (60, 0)] {
        engines.pass(minutes);
        engines.verify().await;
        sent.extend((0..more).map(|_| "worsened properties/sync-paused/properties-create".to_owned()));
        assert_eq!(engines.notices().await, sent);
    }
    let notice = engines.stage.subscriber.notifications().pop().unwrap();
    assert_eq!(notice.text("severity"), "critical");
}

/// Adds two syncs whose runs start and end with those of the others.
fn with_contacts() -> (String, World) {
    let more = r#"
        [[syncs]]
        key = "contacts-create"
        id = 3394100
        role = "create"
        schedule = { every = "15m", grace = "5m" }

        [[syncs]]
        key = "contacts-update"
        id = 3394101
        role = "update"
        schedule = { every = "15m", grace = "5m" }
    "#;
    let mut world = World::seed_pipeline("2026-11-24T11:00:00Z".parse().unwrap(), 11);
    for id in CONTACTS {
        let traffic = Traffic { runtime: minutes(1), records: 60, creates: false };
        world.add_sync(id, "Contacts", SimSchedule::QuarterHourly, traffic);
    }
    world.advance_to("2026-11-24T12:10:00Z".parse().unwrap());
    (format!("{PIPELINE}\n{more}"), world)
}

const CONTACTS: [u64; 2] = [3_394_100, 3_394_101];

#[tokio::test(flavor = "multi_thread")]
async fn shared_cause_is_one_notice_and_remaining_failures_follow() {
    let (pipeline, world) = with_contacts();
    let engines = Engines::set(&pipeline, world).await;
    engines.stage.census.break_door(HttpFault::WebhooksLost);
    let faults = CONTACTS.map(|sync| failure(sync, "INVALID_SESSION_ID"));
    let both_fail = async || {
        faults.iter().for_each(|fault| engines.inject(fault));
        engines.pass(15);
        engines.deliver_lost().await;
        assert_eq!(
            engines.incidents().await,
            ["open run-failed/contacts-create", "held run-failed/contacts-update",]
        );
    };
    let [first, second] = &faults;

    both_fail().await;
    let mut expected = vec!["opened properties/run-failed/contacts-create"];
    assert_eq!(engines.notices().await, expected);
    engines.heal(first);
    engines.heal(second);
    engines.pass(15);
    engines.deliver_lost().await;
    expected.push("resolved properties/run-failed/contacts-create");
    assert_eq!(engines.notices().await, expected, "the second resolved with the first");

    both_fail().await;
    engines.heal(first);
    engines.pass(15);
    engines.deliver_lost().await;
    engines.heal(second);
    engines.pass(15);
    engines.deliver_lost().await;
    expected.extend([
        "opened properties/run-failed/contacts-create",
        "resolved properties/run-failed/contacts-create",
        "opened properties/run-failed/contacts-update",
        "resolved properties/run-failed/contacts-update",
    ]);
    assert_eq!(engines.notices().await, expected, "the second outlasted the first");
}
