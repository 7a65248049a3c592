//! Kills real processes (SIGKILL) between two steps of a notice. The steps are: written as pending, published, recorded.
//!
//! The topic accepts a message and never answers, so a process that waits for it is provably between two steps. The notice
//! stays pending with a lease of two minutes; the rounds after the crash run in this process, because their time is an argument.

use jiff::{SignedDuration, Timestamp};
use schedule_verification::App;
use serde_json::{Value, json};
use syncwatch::pipeline::Pipeline;
use syncwatch_lab::aws::Schedules;
use syncwatch_lab::census::{Fault, HttpFault, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::receivers::Publishing;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;
use webhook_intake::delivery::queue_message;

use crate::engines::{CREATE, LIMIT, PIPELINE, deliveries_queue, minutes};

const POLL: &str = "schedule-verification";
const WORKER: &str = "webhook-worker";
const KEY: &str = "properties/run-failed/properties-create";

/// Sets a stage at wall time where the newest runs of a sync failed and no notice was sent yet.
async fn stage() -> Stage {
    let clock = LabClock::wall();
    let stage = Stage::set(World::seed_pipeline(clock.now(), 11), clock, Schedules::None).await.unwrap();
    stage.census.break_door(HttpFault::WebhooksLost);
    let message = "A mapped source column has been deleted".to_owned();
    let fault = Fault::Fail { sync: CREATE, code: "X".to_owned(), message };
    stage.census.with_world(|world| fault.inject(world)).unwrap();
    // Enough runs failed to be critical at once, so that no worsened notice follows.
    stage.census.jump(minutes(150));
    stage
}

/// Kills the process of a function's zip while it waits for the topic.
async fn kill_while_publishing(stage: &Stage, function: &str, publishing: Publishing) {
    stage.mail.set(publishing);
    let work = async {
        if function == POLL {
            // The way ministack reports the death of the process does not matter here.
            drop(stage.deployment.invoke(POLL, &json!({ "task": "verify" })).await);
        } else {
            let run = stage.census.with_world(|world| world.runs(CREATE).next().unwrap().id);
            let body = json!({ "event": "sync.failed", "sync_id": CREATE, "sync_run_id": run }).to_string();
            let message = queue_message(body.as_bytes(), Timestamp::now());
            stage.deployment.send(&deliveries_queue(), &message).await.unwrap();
        }
    };
    let kill = async {
        stage.mail.publishers_waiting(1, LIMIT).await.unwrap();
        stage.aws.kill_at_work(function).unwrap();
        if function == POLL {
            // The invocation ends with its process.
            return;
        }
        let died = async || {
            let log = std::fs::read_to_string(stage.aws.log_path())?;
            let died = |line: &str| line.contains(WORKER) && line.contains("Runtime.ExitError");
            Ok(log.lines().any(died).then_some(()))
        };
        until(LIMIT, "the death of the worker", died).await.unwrap();
    };
    futures::join!(work, kill);
    stage.mail.set(Publishing::Answers);
}

fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

/// Runs the poll at a time after the crash and returns the notices that it sent. The world does not advance: within three
/// minutes no run is late.
async fn round(stage: &Stage, later: SignedDuration) -> Vec<Value> {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let site = stage.deployment.site(POLL, pipeline, stage.mail.url(), &[]).unwrap();
    let answer = App(site).run(json!({ "task": "verify" }), Timestamp::now() + later).await.unwrap();
    // The later time makes our clock run ahead of Census's, which is another finding.
    let is_ours = |notice: &&Value| notice["incident"] != "properties/clock-skew/census";
    answer["notices"].as_array().unwrap().iter().filter(is_ours).cloned().collect()
}

/// Lists the pending notices in the table, by incident.
async fn pending(stage: &Stage) -> Vec<String> {
    let incidents = stage.deployment.incidents().await.unwrap();
    let pending = incidents.iter().filter_map(|incident| {
        Some(format!("{} {}", incident["pending_kind"].as_str()?, incident["check_subject"].as_str()?))
    });
    pending.collect()
}

/// Lists the notices that the subscriber received, as `kind key id`.
async fn delivered(stage: &Stage, count: usize) -> Vec<String> {
    if let Some(last) = count.checked_sub(1) {
        stage.subscriber.wait_for(last, LIMIT, "a notice", |_| true).await.unwrap();
    }
    let notices = stage.subscriber.notifications();
    let notices = notices.iter().filter(|notice| notice.text("check") != "clock-skew");
    notices.map(|n| format!("{} {} {}", n.text("kind"), n.text("dedup_key"), n.text("id"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn process_killed_before_publishing_loses_no_notice() {
    for function in [POLL, WORKER] {
        let stage = stage().await;
        kill_while_publishing(&stage, function, Publishing::Hangs).await;
        assert_eq!(pending(&stage).await, ["opened run-failed/properties-create"], "{function}");
        assert_eq!(delivered(&stage, 0).await, [""; 0], "{function}");

        assert_eq!(round(&stage, seconds(60)).await, [Value::Null; 0], "{function}: within the lease");
        let sent = round(&stage, seconds(150)).await;
        assert_eq!((sent.len(), &sent[0]["incident"], &sent[0]["kind"]), (1, &json!(KEY), &json!("opened")));
        assert_eq!(round(&stage, seconds(180)).await, [Value::Null; 0], "{function}: already sent");
        assert_eq!((delivered(&stage, 1).await.len(), pending(&stage).await.len()), (1, 0), "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_killed_before_recording_repeats_the_notice_once() {
    for function in [POLL, WORKER] {
        let stage = stage().await;
        kill_while_publishing(&stage, function, Publishing::LosesAnswers).await;
        let first = delivered(&stage, 1).await;
        assert_eq!((first.len(), pending(&stage).await.len()), (1, 1), "{function}: {first:?}");

        assert_eq!(round(&stage, seconds(60)).await, [Value::Null; 0], "{function}: within the lease");
        assert_eq!(round(&stage, seconds(150)).await.len(), 1, "{function}");
        assert_eq!(round(&stage, seconds(180)).await, [Value::Null; 0], "{function}: already recorded");
        let all = delivered(&stage, 2).await;
        // The equal ids let a receiver recognise the duplicate.
        assert_eq!(all, [first.clone(), first].concat(), "{function}");
        assert_eq!(pending(&stage).await, [""; 0], "{function}");
    }
}
