//! Runs the functions in this process on the lab's AWS, so that the time can be an argument.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schedule_verification::App;
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::finding::{Evidence, Severity};
use syncwatch::incident::{Course, Incident, IncidentKey, State};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Site;
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::{Fault, World, sign};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;
use webhook_intake::intake::Intake;
use webhook_intake::verify::PATH;
use webhook_intake::worker::{Patience, Worker};

pub(crate) const CREATE: u64 = 3_394_022;
pub(crate) const UPDATE: u64 = 3_394_041;
pub(crate) const PIPELINE: &str = include_str!("../../infra/pipeline.toml");
/// Longest wait for an immediate event, on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const INCIDENTS: &str = "syncwatch-incidents";

pub(crate) fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// The queue of deliveries between the intake and the worker.
pub(crate) fn deliveries_queue() -> ResourceId {
    ResourceId::queue("webhook-deliveries")
}

/// Returns the secret with which Census signs webhooks.
pub(crate) fn webhook_secret(stage: &Stage) -> String {
    stage.census.with_world(|world| world.webhooks()[0].secret.clone())
}

/// Lists the incidents as `state check/subject`, in the order of their keys.
pub(crate) async fn incidents(stage: &Stage) -> Vec<String> {
    let items = stage.deployment.incidents().await.unwrap();
    // Silences and claims of causes are in the same table and have no state.
    let incidents =
        items.iter().filter_map(|item| Some((item["state"].as_str()?, item["check_subject"].as_str()?)));
    incidents.map(|(state, check_subject)| format!("{state} {check_subject}")).collect()
}

/// An open incident, as if a function had just found it.
pub(crate) fn opened(key: &str, now: Timestamp) -> Incident {
    Incident {
        key: IncidentKey::parse(key).unwrap(),
        generation: 1,
        version: 1,
        state: State::Open,
        severity: Severity::Warning,
        opened_at: now,
        resolved_at: None,
        evidence: Evidence::new("found by a test"),
        cause: String::new(),
        class: None,
        group: None,
        pending: None,
        hold: None,
        acknowledged: None,
        course: Course::default(),
    }
}

/// A stage whose clock advances only on request, and the functions on it.
pub(crate) struct Engines {
    pub(crate) stage: Stage,
    pub(crate) pipeline: Pipeline,
}

impl Engines {
    /// Sets the stage around a world. The zips are deployed and nothing triggers them.
    pub(crate) async fn set(pipeline: &str, world: World) -> Self {
        let clock = LabClock::set_to(world.now());
        let stage = Stage::set(world, clock, Schedules::None).await.unwrap();
        stage.deployment.let_queue_fire("webhook-worker", false).await.unwrap();
        Self { stage, pipeline: Pipeline::parse(pipeline).unwrap() }
    }

    /// Sets a stage for the repository's pipeline at noon of a day.
    pub(crate) async fn at_noon() -> Self {
        Self::set(PIPELINE, World::seed_pipeline("2026-11-24T12:00:00Z".parse().unwrap(), 11)).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.stage.census.clock().now()
    }

    /// Advances the clock by a number of minutes.
    pub(crate) fn pass(&self, n: i64) {
        self.stage.census.jump(minutes(n));
    }

    pub(crate) fn inject(&self, fault: &Fault) {
        self.stage.census.with_world(|world| fault.inject(world)).unwrap();
    }

    pub(crate) fn heal(&self, fault: &Fault) {
        self.stage.census.with_world(|world| fault.heal(world));
    }

    /// Connects to AWS through the mail tap, which records every published notice.
    fn sdk(&self) -> Sdk {
        Sdk::for_endpoint(self.stage.mail.url()).unwrap()
    }

    pub(crate) fn store(&self) -> IncidentStore {
        IncidentStore::new(self.sdk().dynamodb(), INCIDENTS)
    }

    pub(crate) fn site(&self, function: &str) -> Site {
        let (deployment, pipeline) = (&self.stage.deployment, self.pipeline.clone());
        deployment.site(function, pipeline, self.stage.mail.url(), &[]).unwrap()
    }

    /// Creates schedule-verification, the poll.
    pub(crate) fn poll(&self) -> App {
        App(self.site("schedule-verification"))
    }

    /// Runs one round of the poll and returns its report.
    pub(crate) async fn verify(&self) -> Value {
        self.poll().run(json!({ "task": "verify" }), self.now()).await.unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        // A second read shows nothing new while the clock stands still.
        let patience = Patience { reread_after: Vec::new(), ..Patience::default() };
        Worker::new(self.site("webhook-worker")).with_patience(patience)
    }

    pub(crate) async fn intake(&self) -> Intake {
        Intake::new(self.site("webhook-intake")).await
    }

    /// Delivers bodies, signed as Census signs them, through the intake and the queue to the worker, all at the current time.
    pub(crate) async fn deliver(&self, bodies: &[Vec<u8>]) {
        let (intake, secret) = (self.intake().await, webhook_secret(&self.stage));
        for body in bodies {
            let answer = intake.run(request(&secret, body), self.now()).await.unwrap();
            assert_eq!(answer["statusCode"], 202, "{answer}");
        }
        let messages = self.stage.deployment.receive(&deliveries_queue()).await.unwrap();
        let worker = self.worker();
        for batch in messages.chunks(10) {
            let answer = worker.run(batch_event(batch), self.now()).await.unwrap();
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
    }

    /// Delivers the webhooks that Census has lost so far.
    pub(crate) async fn deliver_lost(&self) {
        self.deliver(&self.stage.census.take_lost()).await;
    }

    /// Lists every notice so far as `kind key`, in the order of delivery, once all published notices have arrived.
    pub(crate) async fn notices(&self) -> Vec<String> {
        let arrived = async || {
            let notices = self.stage.subscriber.notifications();
            Ok((notices.len() >= self.stage.mail.mails().len()).then_some(notices))
        };
        let notices = until(LIMIT, "all published notices to arrive", arrived).await.unwrap();
        notices.iter().map(|n| format!("{} {}", n.text("kind"), n.text("dedup_key"))).collect()
    }

    pub(crate) async fn incidents(&self) -> Vec<String> {
        incidents(&self.stage).await
    }
}

/// Builds a request as a Function URL passes it to a function.
pub(crate) fn request(secret: &str, body: &[u8]) -> Value {
    json!({
        "rawPath": PATH,
        "requestContext": { "http": { "method": "POST", "path": PATH, "sourceIp": "127.0.0.1" } },
        "headers": { "content-type": "application/json", "x-signature": sign(secret, body) },
        "body": std::str::from_utf8(body).unwrap(),
        "isBase64Encoded": false,
    })
}

/// Builds a batch as an SQS event source passes it to a function on the first receive.
pub(crate) fn batch_event(messages: &[String]) -> Value {
    let record = |(number, body): (usize, &String)| {
        json!({
            "messageId": number.to_string(),
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1" },
        })
    };
    json!({ "Records": messages.iter().enumerate().map(record).collect::<Vec<_>>() })
}
