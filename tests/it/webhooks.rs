//! From a delivery of Census to a notice, on the lab's AWS: a storm with crashes, losses, and poison messages.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::{Fate, Fault, HttpFault, Storm, StormDelivery, World, runs_json, sign};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::receivers::Notification;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;
use webhook_intake::delivery::{Parsed, parse, queue_message};

use crate::engines::{
    CREATE, Engines, LIMIT, UPDATE, deliveries_queue, incidents, minutes, request, webhook_secret,
};

const INTAKE: &str = "webhook-intake";
const WORKER: &str = "webhook-worker";
/// The concurrency of the Function URL: further requests would get a 429.
const CLIENTS: usize = 5;

/// Sets a stage at wall time, for the zips, which use the machine's clock.
async fn stage() -> Stage {
    let clock = LabClock::wall();
    let world = World::seed_pipeline(clock.now(), 11);
    Stage::set(world, clock, Schedules::None).await.unwrap()
}

fn failure(sync: u64) -> Fault {
    let message = "A mapped source column has been deleted".to_owned();
    Fault::Fail { sync, code: "X".to_owned(), message }
}

/// Posts deliveries to the Function URL; returns each with the status of its answer.
async fn post<'d>(stage: &Stage, deliveries: &'d [StormDelivery]) -> Vec<(&'d StormDelivery, u16)> {
    let (http, url) = (syncwatch::http::client().unwrap(), stage.deployment.url_of(INTAKE).unwrap());
    let post_one = async |delivery: &'d StormDelivery| {
        let mut request = http.post(&url).header("Content-Type", "application/json");
        if let Some(signature) = &delivery.signature {
            request = request.header("X-Signature", signature);
        }
        (delivery, request.body(delivery.body.clone()).send().await.unwrap().status().as_u16())
    };
    stream::iter(deliveries).map(post_one).buffer_unordered(CLIENTS).collect().await
}

/// Returns the id of a delivery in the table of deliveries, which is the same for every copy.
fn key(body: &[u8]) -> String {
    match parse(&queue_message(body, Timestamp::UNIX_EPOCH)).unwrap() {
        Parsed::Known(delivery) => delivery.key(),
        Parsed::Unknown(event) => event.key(),
        Parsed::Refused(refused) => panic!("{refused:?}"),
    }
}

/// Reads the ids in the table of deliveries.
async fn handled(stage: &Stage) -> BTreeSet<String> {
    let items = stage.deployment.items(&ResourceId::table("deliveries")).await.unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until every delivery has left the queue.
async fn until_queue_is_empty(stage: &Stage) {
    let emptied = async || {
        let (visible, in_flight) = stage.deployment.queue_depth(&deliveries_queue()).await?;
        Ok((visible + in_flight == 0).then_some(()))
    };
    until(LIMIT, "an empty queue", emptied).await.unwrap();
}

/// Receives the raw bodies from the dead-letter queue, sorted.
async fn dead_letters(stage: &Stage) -> Vec<Vec<u8>> {
    let messages = stage.deployment.receive(&ResourceId::queue("webhook-deliveries-dead")).await.unwrap();
    let body = |message: &String| {
        let message: Value = serde_json::from_str(message).unwrap();
        message["body"].as_str().unwrap().as_bytes().to_vec()
    };
    let mut bodies: Vec<Vec<u8>> = messages.iter().map(body).collect();
    bodies.sort();
    bodies
}

/// Counts the batches in which the worker's process died, by the log of ministack.
fn deaths(stage: &Stage) -> usize {
    let log = std::fs::read_to_string(stage.aws.log_path()).unwrap();
    let died = |line: &&str| line.contains("webhook-worker failed") && line.contains("Runtime.ExitError");
    log.lines().filter(died).count()
}

/// Kills every worker while it reads Census, in the middle of a batch.
///
/// The processes of the real zips are killed with SIGKILL, because a dropped future would still clean up. Census answers slowly,
/// so that no worker gets past reading. Call this only when no notice is pending: a worker that dies between writing an
/// incident and recording its notice leaves a lease of two minutes, which a test at wall time cannot wait for. `incidents`
/// tests that crash at simulated time.
async fn kill_workers_mid_batch(stage: &Stage) {
    stage.census.set_delay(Duration::from_secs(1));
    let (asked, died) = (stage.census.requests().total, deaths(stage));
    let reads = async || Ok((stage.census.requests().total > asked).then_some(()));
    until(LIMIT, "a worker that reads Census", reads).await.unwrap();
    stage.aws.kill_at_work(WORKER).unwrap();
    let dead = async || Ok((deaths(stage) > died).then_some(()));
    until(LIMIT, "a worker to die in the middle of a batch", dead).await.unwrap();
    stage.census.set_delay(Duration::ZERO);
}

/// Waits for a notice of this kind for each cause, and until it is recorded as sent.
async fn until_notified(stage: &Stage, kind: &str, causes: &[&str]) {
    for cause in causes {
        let wanted =
            |notice: &Notification| notice.text("kind") == kind && notice.text("dedup_key") == *cause;
        stage.subscriber.wait_for(0, LIMIT, &format!("{kind} {cause}"), wanted).await.unwrap();
    }
    let recorded = async || {
        let incidents = stage.deployment.incidents().await?;
        Ok(incidents.iter().all(|incident| incident.get("pending_kind").is_none()).then_some(()))
    };
    until(LIMIT, "the notices to be recorded as sent", recorded).await.unwrap();
}

/// Lists the causes of all notices of this kind, sorted; a cause with two notices is listed twice.
fn notified(stage: &Stage, kind: &str) -> Vec<String> {
    let notices = stage.subscriber.notifications();
    let notices = notices.iter().filter(|notice| notice.text("kind") == kind);
    let mut causes: Vec<String> = notices.map(|notice| notice.text("dedup_key").to_owned()).collect();
    causes.sort();
    causes
}

/// Sends 10,000 deliveries through the Function URL, the queue and the zips. The first 6,000 report three causes; then all are
/// healed, and 4,000 more report the recovery among late copies of the failures.
#[tokio::test(flavor = "multi_thread")]
async fn storm_with_crashes_notifies_once_per_cause_and_loses_nothing() {
    const CAUSES: [&str; 3] = [
        "properties/error-rate/properties-update",
        "properties/run-failed/properties-create",
        "properties/vendor-alerts/properties-update",
    ];
    let stage = stage().await;
    let census = &stage.census;
    stage.deployment.hide_messages_for(&deliveries_queue(), 3).await.unwrap();
    // The storm consists of six days of deliveries.
    census.break_door(HttpFault::WebhooksLost);
    census.jump(minutes(6 * 24 * 60));
    let faults = [
        failure(CREATE),
        Fault::Reject { sync: UPDATE, percent: 12, message: None },
        Fault::LooseAlerts { sync: UPDATE, percent: 75 },
    ];
    for fault in &faults {
        census.with_world(|world| fault.inject(world)).unwrap();
    }
    // Enough runs fail to be critical at once, so that no worsened notice follows.
    census.jump(minutes(2 * 60));
    let mut truths = census.take_lost();
    let secret = webhook_secret(&stage);
    let storm = Storm::new(&secret, 1, &truths, 6_000);
    let disturb = async {
        kill_workers_mid_batch(&stage).await;
        kill_workers_mid_batch(&stage).await;
        until_notified(&stage, "opened", &CAUSES).await;
        kill_workers_mid_batch(&stage).await;
    };
    let (mut answers, ()) = futures::join!(post(&stage, &storm.deliveries), disturb);

    for fault in &faults {
        census.with_world(|world| fault.heal(world));
    }
    census.jump(minutes(60));
    let news = census.take_lost();
    let again: Vec<Vec<u8>> = news.iter().chain(truths.iter().rev().take(2_000)).cloned().collect();
    truths.extend(news);
    let aftermath = Storm::new(&secret, 2, &again, 4_000);
    let disturb = async {
        until_notified(&stage, "resolved", &CAUSES).await;
        kill_workers_mid_batch(&stage).await;
    };
    let (late, ()) = futures::join!(post(&stage, &aftermath.deliveries), disturb);
    answers.extend(late);
    // Poison messages are retried until they reach the dead-letter queue; a short timeout speeds this up.
    stage.deployment.hide_messages_for(&deliveries_queue(), 1).await.unwrap();
    until_queue_is_empty(&stage).await;

    assert_eq!(answers.len(), 10_000);
    for (delivery, status) in &answers {
        let expected = match delivery.fate {
            Fate::Accepted | Fate::Poison => 202,
            Fate::Refused => 401,
        };
        assert_eq!(*status, expected, "{delivery:?}");
    }
    assert!(deaths(&stage) >= 4, "workers died in {} batches", deaths(&stage));
    for kind in ["opened", "resolved"] {
        assert_eq!(notified(&stage, kind), CAUSES, "{kind}");
    }
    // The mail tap between the functions and SNS records every published notice.
    assert_eq!(stage.mail.mails().len(), 2 * CAUSES.len());
    let resolved = CAUSES.map(|cause| cause.replacen("properties/", "resolved ", 1));
    assert_eq!(incidents(&stage).await, resolved);
    assert_eq!(handled(&stage).await, truths.iter().map(|body| key(body)).collect::<BTreeSet<_>>());
    let poison = answers.iter().filter(|(delivery, _)| delivery.fate == Fate::Poison);
    let mut poison: Vec<Vec<u8>> = poison.map(|(delivery, _)| delivery.body.clone()).collect();
    poison.sort();
    assert_eq!((dead_letters(&stage).await, poison.len()), (poison, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_notifies_by_duplicated_and_shuffled_webhooks_alone() {
    let stage = stage().await;
    let census = &stage.census;
    census.break_door(HttpFault::WebhooksDuplicated);
    census.break_door(HttpFault::WebhooksShuffled);
    let fault = failure(UPDATE);
    census.with_world(|world| fault.inject(world)).unwrap();
    census.jump(minutes(30));
    until_notified(&stage, "opened", &["properties/run-failed/properties-update"]).await;
    census.with_world(|world| fault.heal(world));
    census.jump(minutes(30));
    until_notified(&stage, "resolved", &["properties/run-failed/properties-update"]).await;
    // Any delivery about the sync makes the worker read it, so that of the failure itself may arrive after the notice.
    let both_handled = async || {
        let handled = handled(&stage).await;
        let all =
            ["sync.failed", "sync.success"].iter().all(|event| handled.iter().any(|key| key.contains(event)));
        Ok(all.then_some(()))
    };
    until(LIMIT, "the deliveries of failure and success", both_handled).await.unwrap();
    until_queue_is_empty(&stage).await;

    assert_eq!(stage.mail.mails().len(), 2, "{:?}", stage.mail.mails());
    let polls = stage.deployment.function_log("schedule-verification").await.unwrap();
    assert_eq!(polls, [""; 0], "no poll has run");
    let logged_by_worker = async || {
        let log = stage.deployment.function_log(WORKER).await?;
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let notices: u64 =
            lines.filter_map(|line| line["notices"].as_u64().or(line["fields"]["notices"].as_u64())).sum();
        Ok((notices == 2).then_some(()))
    };
    until(LIMIT, "two notices in the log of the worker", logged_by_worker).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_unprocessable_deliveries_reach_the_dead_letter_queue() {
    let stage = stage().await;
    stage.deployment.hide_messages_for(&deliveries_queue(), 1).await.unwrap();
    stage.census.break_door(HttpFault::WebhooksLost);
    let run = stage.census.with_world(|world| world.runs(CREATE).next().unwrap().id);
    let event = |event: &str, sync: u64, run: u64| {
        json!({ "event": event, "sync_id": sync, "sync_run_id": run }).to_string().into_bytes()
    };
    let unreadable = b"<html>502 Bad Gateway</html>".to_vec();
    let unknown_run = event("sync.failed", CREATE, 1);
    let run_of_another = event("sync.failed", UPDATE, run);
    let unknown_event = event("sync.daydreamed", CREATE, run);
    let known = event("sync.started", CREATE, run);
    let undeclared = event("sync.failed", 4_000_000, 1);
    let bodies = [&unreadable, &unknown_run, &run_of_another, &unknown_event, &known, &undeclared];
    let secret = webhook_secret(&stage);
    let signed = |body: &&Vec<u8>| StormDelivery {
        body: (*body).clone(),
        signature: Some(sign(&secret, body)),
        fate: Fate::Accepted,
    };
    for (delivery, status) in post(&stage, &bodies.iter().map(signed).collect::<Vec<_>>()).await {
        assert_eq!(status, 202, "{delivery:?}");
    }
    until_queue_is_empty(&stage).await;

    let mut poison = vec![unreadable, unknown_run, run_of_another];
    poison.sort();
    assert_eq!(dead_letters(&stage).await, poison);
    assert_eq!(handled(&stage).await, BTreeSet::from([key(&unknown_event), key(&known)]));
    // The intake counts deliveries of undeclared syncs and does not queue them.
    let log = stage.deployment.function_log(INTAKE).await.unwrap();
    assert_eq!(log.iter().filter(|line| line.contains("unknown-sync")).count(), 1, "{log:?}");
    let log = stage.deployment.function_log(WORKER).await.unwrap();
    assert!(log.iter().all(|line| !line.contains("4000000")), "{log:?}");
    assert_eq!(stage.mail.mails(), []);
}

/// A fault, its begin in minutes after noon, its notice, and the test whether Census shows it already.
struct Trouble {
    fault: Fault,
    begins: i64,
    notice: &'static str,
    shows: fn(&World) -> bool,
}

/// Whether one of the newest runs of a sync passes a test of its JSON.
fn any_run(world: &World, sync: u64, test: fn(&Value) -> bool) -> bool {
    let runs = runs_json(world, sync, 5, SignedDuration::ZERO);
    runs["data"].as_array().unwrap().iter().any(test)
}

fn troubles() -> [Trouble; 4] {
    [
        Trouble {
            fault: failure(UPDATE),
            begins: 2,
            notice: "opened properties/run-failed/properties-update",
            shows: |world| any_run(world, UPDATE, |run| run["status"] == "failed"),
        },
        Trouble {
            fault: Fault::Reject { sync: CREATE, percent: 12, message: None },
            begins: 15,
            notice: "opened properties/error-rate/properties-create",
            // A run has some 40 records, of which a healthy one has at most one rejected.
            shows: |world| any_run(world, CREATE, |run| run["records_failed"].as_u64() > Some(2)),
        },
        Trouble {
            fault: Fault::Pause { sync: UPDATE },
            begins: 40,
            notice: "opened properties/sync-paused/properties-update",
            shows: |_| true,
        },
        Trouble {
            fault: Fault::LooseAlerts { sync: CREATE, percent: 75 },
            begins: 51,
            notice: "opened properties/vendor-alerts/properties-create",
            shows: |_| true,
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_covers_lost_webhooks_and_late_ones_do_not_notify_again() {
    let engines = Engines::at_noon().await;
    engines.stage.census.break_door(HttpFault::WebhooksLost);
    let troubles = troubles();
    let mut shown: [Option<i64>; 4] = [None; 4];
    let mut found: [Option<i64>; 4] = [None; 4];
    for minute in 0..60 {
        engines.pass(1);
        for (trouble, shown) in troubles.iter().zip(&mut shown) {
            if trouble.begins == minute {
                engines.inject(&trouble.fault);
            }
            if trouble.begins <= minute && engines.stage.census.with_world(|world| (trouble.shows)(world)) {
                shown.get_or_insert(minute);
            }
        }
        if minute % 2 == 1 {
            continue;
        }
        engines.verify().await;
        let notices = engines.notices().await;
        for (trouble, found) in troubles.iter().zip(&mut found) {
            if notices.iter().any(|notice| notice == trouble.notice) {
                found.get_or_insert(minute);
            }
        }
    }
    for ((trouble, shown), found) in troubles.iter().zip(shown).zip(found) {
        let (shown, found) = (shown.expect(trouble.notice), found.expect(trouble.notice));
        assert!(
            shown <= found && found - shown <= 5,
            "{}: shown at {shown}, found at {found}",
            trouble.notice
        );
    }
    assert!(handled(&engines.stage).await.is_empty());
    let opened = engines.notices().await;
    assert_eq!(opened.len(), troubles.len(), "{opened:?}");

    // The lost webhooks arrive late and in reverse order.
    let mut late = engines.stage.census.take_lost();
    late.reverse();
    engines.deliver(&late).await;
    assert_eq!(handled(&engines.stage).await, late.iter().map(|body| key(body)).collect());
    assert_eq!(engines.notices().await, opened);

    for trouble in &troubles {
        engines.heal(&trouble.fault);
    }
    engines.pass(60);
    engines.deliver_lost().await;
    engines.verify().await;
    let mut ended = engines.notices().await.split_off(opened.len());
    ended.sort();
    let mut expected = opened.clone();
    expected.iter_mut().for_each(|notice| *notice = notice.replace("opened", "resolved"));
    expected.sort();
    assert_eq!(ended, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_webhooks_notify_once_and_resolve_once_accepted() {
    let engines = Engines::at_noon().await;
    engines.stage.census.break_door(HttpFault::WebhooksLost);
    let about_newest = |event: &str| {
        let run = engines.stage.census.with_world(|world| world.runs(CREATE).next().unwrap().id);
        json!({ "sync_id": CREATE, "sync_run_id": run, "event": event }).to_string().into_bytes()
    };
    engines.deliver(&[about_newest("sync.completed")]).await;
    let intake = engines.intake().await;
    for _ in 0..5 {
        engines.pass(15);
        // Census signs with another secret now.
        let forged = request("another secret", &about_newest("sync.success"));
        assert_eq!(intake.run(forged, engines.now()).await.unwrap()["statusCode"], 401);
        engines.deliver(&[]).await;
        engines.verify().await;
    }
    assert_eq!(engines.notices().await, ["opened properties/webhooks-arrive/syncwatch"]);
    let notice = engines.stage.subscriber.notifications().pop().unwrap();
    assert!(notice.text("summary").contains("wrong-signature"), "{}", notice.text("summary"));
    assert_eq!(notice.text("severity"), "warning");
    engines.deliver(&[about_newest("sync.success")]).await;
    engines.verify().await;
    assert_eq!(engines.notices().await[1..], ["resolved properties/webhooks-arrive/syncwatch"]);
}
