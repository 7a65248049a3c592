//! The operator's commands against the lab: the functions use what the commands set up.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator, Outcome};
use syncwatch_lab::aws::{ResourceId, Schedules};
use syncwatch_lab::census::{Fault, HttpFault, PERSONAL_TOKEN, World, sign};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::properties::PropertyWorld;
use syncwatch_lab::receivers::ROUTING_KEY;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;
use webhook_intake::intake::Intake;

const CREATE: u64 = 3_394_022;
const LIMIT: Duration = Duration::from_secs(20);

async fn stage() -> Stage {
    let clock = LabClock::set_to("2026-11-24T12:10:00Z".parse().unwrap());
    Stage::set(World::seed_pipeline(clock.now(), 5), clock, Schedules::None).await.unwrap()
}

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

/// Runs a command and returns its output.
async fn command(stage: &Stage, line: &[&str], now: Timestamp) -> Result<String, String> {
    let topic = stage.deployment.topic_arn(&ResourceId::topic("notices")).unwrap();
    let settings = [
        ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
        ("SYNCWATCH_WEBHOOK_SECRET", "syncwatch/census-webhook"),
        ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
        ("SYNCWATCH_TOPIC_ARN", topic),
        ("SYNCWATCH_CENSUS_BASE_URL", stage.census.url()),
    ];
    let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
    let operator = Operator::with(Env::from_map(settings), pipeline(), sdk, now);
    match operator.output(&Command::parse(line).unwrap()).await {
        Ok((Outcome::Done, output)) => Ok(output),
        Ok((Outcome::ToDo, output)) => Err(output),
        Err(error) => Err(error.to_string()),
    }
}

/// An inbox of webhooks that replaces the Function URL: tests pass its deliveries to the intake in this process, so that the
/// time can be an argument.
struct Inbox(wiremock::MockServer);

impl Inbox {
    async fn open() -> Self {
        let server = wiremock::MockServer::start().await;
        let take = wiremock::Mock::given(wiremock::matchers::any());
        take.respond_with(wiremock::ResponseTemplate::new(202)).mount(&server).await;
        Self(server)
    }

    fn url(&self) -> String {
        format!("{}/webhooks/census", self.0.uri())
    }

    /// Waits for a webhook signed with this secret.
    async fn signed_with(&self, secret: &SecretString) -> Delivered {
        let arrived = async {
            loop {
                let requests = self.0.received_requests().await.unwrap_or_default();
                let mut signed = requests.iter().filter_map(|request| {
                    let signature = sign(secret.expose_secret(), &request.body);
                    (request.headers["X-Signature"] == *signature).then_some((signature, &request.body))
                });
                if let Some((signature, body)) = signed.next() {
                    return Delivered { signature, body: String::from_utf8(body.clone()).unwrap() };
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, arrived)
            .await
            .expect("Census delivered no webhook signed with this secret")
    }
}

/// A webhook as Census signed it.
struct Delivered {
    signature: String,
    body: String,
}

impl Delivered {
    fn event(&self) -> Value {
        json!({
            "version": "2.0",
            "rawPath": "/webhooks/census",
            "headers": { "content-type": "application/json", "x-signature": self.signature },
            "requestContext": { "http": { "method": "POST", "path": "/webhooks/census", "sourceIp": "192.0.2.1" } },
            "body": self.body,
            "isBase64Encoded": false,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn intake_accepts_both_secrets_after_a_rotation() {
    let stage = stage().await;
    let inbox = Inbox::open().await;
    let now = stage.census.clock().now();
    let intake = Intake::new(stage.site("webhook-intake", pipeline()).unwrap()).await;
    let status = async |delivered: &Delivered, now| {
        intake.run(delivered.event(), now).await.unwrap()["statusCode"].as_u64().unwrap()
    };
    let secrets = SecretStore::new(Sdk::for_endpoint(stage.aws.endpoint()).unwrap().secrets());
    let url = inbox.url();
    let register = ["webhook-register", "--url", &url];
    let checked = command(&stage, &[&register[..], &["--check"]].concat(), now).await.unwrap_err();
    assert!(checked.contains("no webhook posts to this endpoint"), "{checked}");

    command(&stage, &register, now).await.unwrap();
    let checked = command(&stage, &[&register[..], &["--check"]].concat(), now).await.unwrap();
    assert!(checked.contains("nothing to do; webhook"), "{checked}");
    stage.census.jump(SignedDuration::from_mins(30));
    let registered = secrets.read("syncwatch/census-webhook").await.unwrap();
    let first = inbox.signed_with(&registered.current).await;
    assert_eq!(status(&first, now).await, 202);

    let later = now + SignedDuration::from_mins(2);
    let output = command(&stage, &[&register[..], &["--rotate"]].concat(), later).await.unwrap();
    assert!(output.contains("Done"), "{output}");
    let checked = command(&stage, &[&register[..], &["--check"]].concat(), later).await;
    assert!(checked.is_ok(), "the old webhook still exists: {checked:?}");
    let rotated = secrets.read("syncwatch/census-webhook").await.unwrap();
    assert_eq!(rotated.previous.unwrap().expose_secret(), registered.current.expose_secret());
    stage.census.jump(SignedDuration::from_mins(30));
    let second = inbox.signed_with(&rotated.current).await;
    assert_eq!([status(&second, later).await, status(&first, later).await], [202, 202]);
    let forged = Delivered { signature: first.signature, body: second.body };
    assert_eq!(status(&forged, later).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_suppresses_until_ended_and_incident_is_acknowledged() {
    let stage = stage().await;
    let function = schedule_verification::App(stage.site("schedule-verification", pipeline()).unwrap());
    let kinds = async |now: Timestamp| {
        let answer = function.run(json!({ "task": "verify" }), now).await.unwrap();
        let kinds = answer["notices"].as_array().unwrap().iter();
        kinds.map(|notice| notice["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let clock = stage.census.clock().clone();
    let minutes = |n| SignedDuration::from_mins(n);
    let add = [
        "silence",
        "add",
        "--owner",
        "Ada",
        "--reason",
        "repair",
        "--for",
        "2h",
        "--subject",
        "properties-create",
    ];
    let output = command(&stage, &add, clock.now()).await.unwrap();
    let id = "ada-20261124T1210Z";
    assert!(output.contains(id), "{output}");
    stage.census.inject(Fault::Pause { sync: CREATE }).unwrap();
    assert_eq!(kinds(clock.now()).await, [""; 0]);
    let key = "properties/sync-paused/properties-create";
    let listed = command(&stage, &["incidents"], clock.now()).await.unwrap();
    assert!(listed.contains(key) && listed.contains(&format!("silence {id}")), "{listed}");
    let acknowledge = ["acknowledge", key, "--by", "Ada", "--for", "8h"];
    let error = command(&stage, &acknowledge, clock.now()).await.unwrap_err();
    assert!(error.contains("is not open"), "{error}");

    stage.census.jump(minutes(5));
    command(&stage, &["silence", "end", id], clock.now()).await.unwrap();
    assert_eq!(kinds(clock.now()).await, ["opened", "held-back"]);
    command(&stage, &acknowledge, clock.now()).await.unwrap();
    let listed = command(&stage, &["incidents"], clock.now()).await.unwrap();
    assert!(listed.contains("Ada until 2026-11-24 20:15 UTC"), "{listed}");
    let silences = command(&stage, &["silence", "list"], clock.now()).await.unwrap();
    assert!(silences.starts_with("No active silences."), "{silences}");
}

/// Runs the relay's real zip, from the topic to the simulated PagerDuty.
#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_gets_acknowledgements_and_pages_again_if_resolved() {
    let stage = stage().await;
    let function = schedule_verification::App(stage.site("schedule-verification", pipeline()).unwrap());
    let round = async |minutes| {
        stage.census.jump(SignedDuration::from_mins(minutes));
        let answer = function.run(json!({ "task": "verify" }), stage.census.clock().now()).await.unwrap();
        answer["notices"].to_string()
    };
    let key = "properties/token-accepted/census";
    let pages = async |n| {
        let paged = async || Ok((stage.pagerduty.pages(key) == n).then_some(()));
        until(LIMIT, "the page", paged).await.unwrap();
    };
    stage.census.break_door(HttpFault::Unauthorized);
    for _ in 0..2 {
        round(2).await;
    }
    pages(1).await;

    let acknowledge = ["acknowledge", key, "--by", "Ada", "--for", "1h"];
    let output = command(&stage, &acknowledge, stage.census.clock().now()).await.unwrap();
    assert!(output.contains("PagerDuty"), "{output}");
    let acknowledged = async || Ok((stage.pagerduty.acknowledged(ROUTING_KEY) == [key]).then_some(()));
    until(LIMIT, "the acknowledgement at PagerDuty", acknowledged).await.unwrap();

    assert!(stage.pagerduty.resolve_by_hand(ROUTING_KEY, key));
    let notices = round(25 * 60).await;
    assert!(notices.contains("reminder"), "{notices}");
    pages(2).await;
    assert_eq!(stage.pagerduty.open_alerts(ROUTING_KEY), [key]);
    // The chat receives all three notices, the acknowledgement as one line.
    let in_chat = async || Ok((stage.chat.messages().len() >= 3).then_some(stage.chat.messages()));
    let messages = until(LIMIT, "the chat", in_chat).await.unwrap();
    assert!(
        messages.iter().any(|message| message.text.starts_with("[ACKNOWLEDGED] census by Ada")),
        "{messages:?}"
    );
}

/// Lists the rows that fail in the doctor's report.
async fn red(stage: &Stage, now: Timestamp) -> Vec<String> {
    let url = stage.deployment.url_of("webhook-intake").unwrap();
    let report = match command(stage, &["doctor", "--bare-names", "--url", &url], now).await {
        Ok(_) => return Vec::new(),
        Err(report) => report,
    };
    let rows = report.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    rows.map(|(row, _)| row.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_a_healthy_deployment_and_each_fault() {
    let (clock, now) = (LabClock::wall(), Timestamp::now());
    let world = World::seed_pipeline(now, 5).carrying(PropertyWorld::with(now, 1, 300, 300, 0));
    let stage = Stage::set(world, clock, Schedules::AsDeclared).await.unwrap();
    // No function has run a round yet.
    let rounds = [
        "configuration-audit",
        "daily-validation",
        "nightly-snapshot",
        "reconciliation",
        "remedies",
        "reports",
        "schedule-verification",
        "status-page",
    ];
    let never = rounds.map(|function| format!("last round of {function}"));
    let settled = async || Ok((red(&stage, now).await == never).then_some(()));
    let waited = until(LIMIT, "all functions to be created", settled).await;
    assert!(waited.is_ok(), "{:?}", red(&stage, now).await);
    for (function, task) in rounds.into_iter().zip([
        "audit",
        "validate",
        "snapshot",
        "reconcile",
        "heal",
        "digest",
        "verify",
        "publish",
    ]) {
        let answer = stage.deployment.invoke(function, &json!({ "task": task })).await.unwrap();
        assert_eq!(answer.error, None, "{}", answer.value);
    }
    assert_eq!(red(&stage, Timestamp::now()).await, [""; 0]);

    // No round has run for an hour.
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(
        red(&stage, later).await,
        [
            "clock",
            "last round of remedies",
            "last round of schedule-verification",
            "last round of status-page"
        ]
    );
    for (secret, value) in [("warehouse", r#"{"token": "no more"}"#), ("chat", " ")] {
        stage.deployment.put_secret(&ResourceId::secret(secret), value).await.unwrap();
    }
    stage.census.break_door(HttpFault::Unauthorized);
    let broken =
        ["secret syncwatch/chat", "Census", "clock", "warehouse", "webhook at Census"].map(str::to_owned);
    assert_eq!(red(&stage, Timestamp::now()).await, broken);
}

/// Returns the outcome of `census probe` and its rows of one API, each as status and verdict.
async fn probed(stage: &Stage, token: Option<&str>, api: &str) -> (Outcome, Vec<(Value, Value)>) {
    let token = token.map(|token| ("CENSUS_TOKEN", token));
    let settings = [("SYNCWATCH_CENSUS_BASE_URL", stage.census.url())].into_iter().chain(token);
    let sdk = Sdk::for_endpoint(stage.aws.endpoint()).unwrap();
    let operator = Operator::with(Env::from_map(settings), pipeline(), sdk, stage.census.clock().now());
    let command = Command::parse(&["census", "probe", "--group-id", "wandering_aimlessly"]).unwrap();
    let answer = operator.carry_out(&command, &mut |_| {}).await.unwrap();
    assert!(!answer.text.contains("the-lab") && !answer.text.contains("of-the-lab"), "{}", answer.text);
    let rows = answer.json["endpoints"].as_array().unwrap().iter();
    let of_api = rows.filter(|row| row["api"] == api);
    (answer.outcome, of_api.map(|row| (row["status"].clone(), row["verdict"].clone())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn census_probe_shows_which_api_answers_and_only_reads() {
    let stage = stage().await;
    let answers = vec![(json!(200), json!("answers")); 6];
    let refused = (json!(401), json!("refused"));
    let not_asked = (Value::Null, json!("not-asked"));

    // The stored token is a workspace key, which only V1 accepts.
    let (outcome, of_v1) = probed(&stage, None, "v1").await;
    assert_eq!((outcome, &of_v1), (Outcome::ToDo, &answers));
    let (_, of_v2) = probed(&stage, None, "v2").await;
    assert_eq!(of_v2, [&refused, &refused, &refused, &not_asked, &not_asked, &refused].map(Clone::clone));

    // V2 accepts a personal access token.
    let (outcome, of_v2) = probed(&stage, Some(PERSONAL_TOKEN), "v2").await;
    assert_eq!((outcome, &of_v2), (Outcome::Done, &answers));

    stage.census.break_door(HttpFault::NoRunsInV2);
    let (outcome, of_v2) = probed(&stage, Some(PERSONAL_TOKEN), "v2").await;
    let missing = (json!(404), json!("missing"));
    assert_eq!(outcome, Outcome::ToDo);
    assert_eq!(of_v2[2..5], [missing, not_asked.clone(), not_asked]);
    let asked = stage.census.requests().by_path;
    assert!(asked.keys().all(|path| path.starts_with("GET ")), "{asked:?}");
}
