//! The commands on the wire: their requests to Census and AWS, in order, and their output.

use serde_json::{Value, json};
use syncwatch_testing::{
    Asked, Receiver, SECRET_READ, condition_failed, of_aws, ok, page, published, refused, text,
};
use wiremock::matchers::{body_partial_json, body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::*;

const NEW_SECRET: &str = "my123secret";
const OLD_SECRET: &str = "yesterdays-secret";
const TOKEN: &str = "secret-token:arandomstring";
const URL: &str = "https://abc.on.aws/webhooks/census";

fn now() -> Timestamp {
    "2026-11-24T10:00:30Z".parse().unwrap()
}

/// Census and AWS on one server.
struct World(Receiver);

impl std::ops::Deref for World {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.0
    }
}

impl World {
    /// Starts a Census with these webhooks; our secret has a value and every request is granted.
    async fn with(webhooks: Value) -> Self {
        let world = Self(Receiver::start().await);
        world.secret("syncwatch/census-token", TOKEN).await;
        world
            .has_secret(&json!({ "current": OLD_SECRET, "previous": "older", "webhook_id": 7 }).to_string())
            .await;
        world.aws("secretsmanager.PutSecretValue", 200, json!({ "Name": "s", "VersionId": "v" })).await;
        world.aws("DynamoDB_20120810.UpdateItem", 200, json!({})).await;
        world.lists(webhooks).await;
        let created = json!({ "status": "created", "data": {
            "id": 12, "name": "Syncwatch", "endpoint": URL, "events": [], "secret": NEW_SECRET,
        } });
        world.api("POST", "/api/v1/webhooks", 201, created).await;
        for id in [7, 8, 12] {
            world.api("DELETE", &format!("/api/v1/webhooks/{id}"), 200, json!({ "status": "deleted" })).await;
        }
        world
    }

    async fn has_secret(&self, text: &str) {
        self.secret("syncwatch/census-webhook", text).await;
    }

    async fn cloudwatch(&self, operation: &str, answer: Value) {
        let path = format!("/service/GraniteServiceVersion20100801/operation/{operation}");
        let answer = ResponseTemplate::new(200)
            .insert_header("smithy-protocol", "rpc-v2-cbor")
            .set_body_raw(cbor(&answer), "application/cbor");
        self.answer(Mock::given(wiremock::matchers::path(path)), answer).await;
    }

    async fn has_no_secret(&self) {
        let message = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT";
        let body = json!({ "__type": "ResourceNotFoundException", "message": message });
        self.secret_answer("syncwatch/census-webhook", 400, body).await;
    }

    async fn lists(&self, webhooks: Value) {
        self.api("GET", "/api/v1/webhooks", 200, page(&webhooks)).await;
    }

    fn operator(&self) -> Operator {
        let settings = [
            ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
            ("SYNCWATCH_WEBHOOK_SECRET", "syncwatch/census-webhook"),
            ("SYNCWATCH_INCIDENTS_TABLE", "syncwatch-incidents"),
            ("SYNCWATCH_PAGES_BUCKET", "syncwatch-pages-1"),
            ("SYNCWATCH_TOPIC_ARN", "arn:aws:sns:us-east-1:1:notices"),
            ("SYNCWATCH_CENSUS_BASE_URL", &self.uri()),
        ];
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let sdk = Sdk::for_endpoint(&self.uri()).unwrap();
        Operator::with(Env::from_map(settings), pipeline, sdk, now())
    }

    /// Returns a command's outcome and output. Neither contains a secret.
    async fn run(&self, line: &[&str]) -> (Result<Outcome, String>, String) {
        let command = Command::parse(line).unwrap();
        let mut lines = Vec::new();
        let answer = self.operator().carry_out(&command, &mut |line| lines.push(line.to_owned())).await;
        let debug = format!("{answer:?}");
        let outcome = match answer {
            Ok(answer) => {
                lines.push(answer.text);
                Ok(answer.outcome)
            }
            Err(error) => Err(error.lines()),
        };
        let output = lines.join("\n");
        for shown in [&output, &debug, &format!("{outcome:?}")] {
            for secret in [NEW_SECRET, OLD_SECRET, TOKEN] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
        (outcome, output)
    }

    /// Accepts this many messages and refuses all others.
    async fn publishes_only(&self, times: usize) {
        let publication = || Mock::given(body_string_contains("Action=Publish"));
        let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>\
                      <Message>no</Message></Error></ErrorResponse>";
        self.answer(publication(), text(403, denied)).await;
        if times > 0 {
            self.answer_once(publication, vec![published(); times]).await;
        }
    }

    /// Returns the machine-readable bodies of the published messages.
    async fn published(&self) -> Vec<Value> {
        let forms = self.requests().await.into_iter().map(|request| request.form());
        let bodies = forms.filter_map(|form| serde_json::from_str::<Value>(form.get("Message")?).ok());
        bodies.map(|bodies| serde_json::from_str(bodies["default"].as_str().unwrap()).unwrap()).collect()
    }

    async fn register(&self, flags: &[&str]) -> (Result<Outcome, String>, String) {
        self.run(&[&["webhook-register", "--url", URL], flags].concat()).await
    }

    /// Returns the requests, except reads of our secrets.
    async fn asked(&self) -> Vec<String> {
        let name = |request: &Asked| match request.operation() {
            "" => format!("{} {}", request.method, request.url.path()),
            operation => operation.to_owned(),
        };
        self.requests().await.iter().map(name).filter(|name| name != "GetSecretValue").collect()
    }
}

fn webhook(id: u64, endpoint: &str, events: &[&str]) -> Value {
    json!({ "id": id, "name": "Syncwatch", "endpoint": endpoint, "events": events })
}

const LIST: &str = "GET /api/v1/webhooks";
const MAKE: &str = "POST /api/v1/webhooks";
const STORE: &str = "PutSecretValue";

fn denied() -> Value {
    json!({ "__type": "AccessDeniedException", "message": format!("you may not put {NEW_SECRET}") })
}

#[tokio::test]
async fn webhook_is_created_after_its_plan_with_the_old_secret_kept() {
    let world = World::with(json!([webhook(3, "https://elsewhere.on.aws/webhooks/census", &[])])).await;
    let (outcome, output) = world.register(&[]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @r"
    Plan: no webhook posts to this endpoint; create one for all events and store its secret, keeping the current value as the previous one.
    Note: webhook 3 (Syncwatch) posts to https://elsewhere.on.aws/webhooks/census. Delete it in Census if that is no longer your intake.
    Done: webhook 12 created, secret stored in syncwatch/census-webhook.
    ");
    assert_eq!(world.asked().await, [LIST, MAKE, STORE]);
    let stored = world.sent(STORE).await.remove(0);
    assert_eq!(stored["SecretId"], "syncwatch/census-webhook");
    assert_eq!(
        stored["SecretString"],
        json!({ "current": NEW_SECRET, "endpoint": URL, "previous": OLD_SECRET, "webhook_id": 12 })
            .to_string()
    );
}

#[tokio::test]
async fn first_secret_has_no_previous_one() {
    let world = World::with(json!([])).await;
    world.has_no_secret().await;
    assert_eq!(world.register(&[]).await.0, Ok(Outcome::Done));
    let stored = world.sent(STORE).await.remove(0);
    let expected = json!({ "current": NEW_SECRET, "endpoint": URL, "webhook_id": 12 });
    assert_eq!(stored["SecretString"], expected.to_string());
}

#[tokio::test]
async fn check_changes_nothing_and_its_outcome_shows_pending_work() {
    for (webhooks, expected) in [
        (json!([]), Outcome::ToDo),
        (json!([webhook(7, URL, &["sync.failed"])]), Outcome::ToDo),
        (json!([webhook(7, URL, &[])]), Outcome::Done),
    ] {
        let world = World::with(webhooks).await;
        assert_eq!(world.register(&["--check"]).await.0, Ok(expected));
        assert_eq!(world.asked().await, [LIST]);
    }
}

#[tokio::test]
async fn correct_webhook_is_left_unchanged() {
    let world = World::with(json!([webhook(7, URL, &[])])).await;
    let (outcome, output) = world.register(&[]).await;
    assert_eq!((outcome, world.asked().await.len()), (Ok(Outcome::Done), 1));
    assert!(output.contains("nothing was changed"), "{output}");
}

#[tokio::test]
async fn webhook_with_a_possibly_foreign_secret_is_refused() {
    // An interrupted registration without its secret; or a secret that was stored by hand.
    for (held, reason) in [
        (json!({ "current": OLD_SECRET, "webhook_id": 6 }), "our secret is that of webhook 6"),
        (json!({ "current": OLD_SECRET }), "our secret has no webhook id"),
    ] {
        let world = World::with(json!([webhook(7, URL, &[])])).await;
        world.has_secret(&held.to_string()).await;
        for arguments in [&["--check"][..], &[]] {
            let error = world.register(arguments).await.0.unwrap_err();
            assert!(error.contains(reason) && error.contains("--rotate"), "{error}");
        }
        assert_eq!(world.asked().await, [LIST, LIST]);
    }
}

#[tokio::test]
async fn webhook_gets_missing_events_and_keeps_its_others() {
    let world = World::with(json!([webhook(7, URL, &["sync.failed", "sync.new"])])).await;
    let updated = json!({ "status": "updated", "data": webhook(7, URL, &census::EVENTS) });
    world.api("PATCH", "/api/v1/webhooks/7", 200, updated).await;
    assert_eq!(world.register(&[]).await.0, Ok(Outcome::Done));
    assert_eq!(world.asked().await, [LIST, "PATCH /api/v1/webhooks/7"]);
    let sent = world.bodies().await.pop().unwrap();
    assert_eq!(sent["events"].as_array().unwrap().len(), 8);
    assert_eq!(sent["events"][1], "sync.new");

    let unmoved = json!({ "status": "updated", "data": webhook(7, URL, &["sync.failed"]) });
    world.api("PATCH", "/api/v1/webhooks/7", 200, unmoved).await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("sync.success") && error.contains("--rotate"), "{error}");
}

#[tokio::test]
async fn missing_secret_is_reported_before_any_change() {
    let world = World::with(json!([])).await;
    let missing = json!({ "__type": "ResourceNotFoundException", "message": "can't find the secret" });
    world.secret_answer("syncwatch/census-webhook", 400, missing).await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("syncwatch/census-webhook") && error.contains("terraform apply"), "{error}");
    assert_eq!(world.asked().await, [""; 0]);
}

#[tokio::test]
async fn webhook_whose_secret_cannot_be_stored_is_deleted() {
    let world = World::with(json!([])).await;
    world.aws("secretsmanager.PutSecretValue", 400, denied()).await;
    let error = world.register(&[]).await.0.unwrap_err();
    insta::assert_snapshot!(error, @r"
    error: the secret of the new webhook 12 could not be stored (secret syncwatch/census-webhook: AWS denied access. Your own credentials need secretsmanager:PutSecretValue on it; a function's permissions do not apply to you). The webhook was deleted again; nothing has changed
    hint: fix that, then run this again
    ");
    assert_eq!(world.asked().await, [LIST, MAKE, STORE, "DELETE /api/v1/webhooks/12"]);
}

#[tokio::test]
async fn failed_undo_is_reported_with_the_command_for_it() {
    let world = World::with(json!([])).await;
    world.aws("secretsmanager.PutSecretValue", 400, denied()).await;
    world.api("DELETE", "/api/v1/webhooks/12", 403, json!({ "status": 403 })).await;
    let error = world.register(&[]).await.0.unwrap_err();
    let error = error.replace(&world.uri(), "https://census");
    insta::assert_snapshot!(error, @r#"
    error: the secret of the new webhook 12 could not be stored (secret syncwatch/census-webhook: AWS denied access. Your own credentials need secretsmanager:PutSecretValue on it; a function's permissions do not apply to you), and the webhook could not be deleted (delete webhook: the Census token lacks this permission; grant it, or use another token). Its deliveries are refused while it exists, because its secret is lost
    hint: fix that, then delete it: `curl -X DELETE -H "Authorization: Bearer $CENSUS_TOKEN" https://census/api/v1/webhooks/12`
    "#);
}

#[tokio::test]
async fn stored_secret_with_a_lost_response_counts_as_stored() {
    let world = World::with(json!([])).await;
    world.has_no_secret().await;
    // It is read before the plan, and again just before the creation.
    let nothing_yet = json!({ "__type": "ResourceNotFoundException", "message": "no staging label" });
    world.has_secret(&json!({ "current": NEW_SECRET, "webhook_id": 12 }).to_string()).await;
    let of_secret =
        || of_aws(SECRET_READ).and(body_partial_json(json!({ "SecretId": "syncwatch/census-webhook" })));
    world.answer_once(of_secret, vec![text(400, nothing_yet); 2]).await;
    world.aws("secretsmanager.PutSecretValue", 500, refused("InternalServiceError")).await;
    assert_eq!(world.register(&[]).await.0, Ok(Outcome::Done));
    assert!(!world.asked().await.contains(&"DELETE /api/v1/webhooks/12".to_owned()));
}

#[tokio::test]
async fn lost_creation_response_is_checked_before_it_is_reported() {
    let world = World::with(json!([])).await;
    world.api("POST", "/api/v1/webhooks", 502, json!({})).await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("It was not created"), "{error}");
    assert_eq!(world.asked().await, [LIST, MAKE, LIST]);

    // It was created beside the webhook to be replaced.
    let world = World::with(json!([webhook(7, URL, &[])])).await;
    world.lists(json!([webhook(7, URL, &[]), webhook(13, URL, &[])])).await;
    let lists = || Mock::given(method("GET")).and(path("/api/v1/webhooks"));
    world.answer_once(lists, vec![ok(page(&json!([webhook(7, URL, &[])])))]).await;
    world.api("POST", "/api/v1/webhooks", 502, json!({})).await;
    let error = world.register(&["--rotate"]).await.0.unwrap_err();
    assert!(error.contains("(13)") && error.contains("--rotate"), "{error}");
    assert!(world.asked().await.iter().all(|asked| !asked.starts_with("DELETE") && asked != STORE));
}

#[tokio::test]
async fn refused_creation_changes_nothing() {
    let world = World::with(json!([])).await;
    let refused = json!({ "status": "error", "message": "endpoint is not reachable" });
    world.api("POST", "/api/v1/webhooks", 400, refused).await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("endpoint is not reachable"), "{error}");
    assert_eq!(world.asked().await, [LIST, MAKE]);
}

#[tokio::test]
async fn rotation_deletes_old_webhooks_after_storing_the_new_secret() {
    let world = World::with(json!([webhook(7, URL, &[]), webhook(8, URL, &[])])).await;
    let (outcome, output) = world.register(&["--rotate"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @r#"
    Plan: a new secret was requested; create a second webhook, store its secret, keeping the current value as the previous one, then delete 7, 8.
    Done: webhook 12 created, secret stored in syncwatch/census-webhook, 7, 8 deleted. The intake accepts the new and the previous secret.
    "#);
    let order = [LIST, MAKE, STORE, "DELETE /api/v1/webhooks/7", "DELETE /api/v1/webhooks/8"];
    assert_eq!(world.asked().await, order);

    world.aws("secretsmanager.PutSecretValue", 400, denied()).await;
    world.register(&["--rotate"]).await.0.unwrap_err();
    let asked = world.asked().await;
    assert_eq!(asked[order.len()..], [LIST, MAKE, STORE, "DELETE /api/v1/webhooks/12"]);
}

#[tokio::test]
async fn leftover_webhook_is_reported_with_its_delete_command() {
    let world = World::with(json!([webhook(7, URL, &[])])).await;
    world.api("DELETE", "/api/v1/webhooks/7", 403, json!({ "status": 403 })).await;
    let error = world.register(&["--rotate"]).await.0.unwrap_err();
    let error = error.replace(&world.uri(), "https://census");
    insta::assert_snapshot!(error, @r#"
    error: webhook 12 was created and its secret stored, but the old webhook 7 could not be deleted (delete webhook: the Census token lacks this permission; grant it, or use another token). Until then every event arrives twice, which is harmless while its secret is the previous one
    hint: delete it: `curl -X DELETE -H "Authorization: Bearer $CENSUS_TOKEN" https://census/api/v1/webhooks/7`
    "#);
}

#[tokio::test]
async fn lost_secret_and_several_webhooks_need_a_decision() {
    let world = World::with(json!([webhook(7, URL, &[])])).await;
    world.has_no_secret().await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("webhook 7") && error.contains("--rotate"), "{error}");
    assert_eq!(world.asked().await, [LIST]);
    let world = World::with(json!([webhook(7, URL, &[]), webhook(8, URL, &[])])).await;
    let error = world.register(&[]).await.0.unwrap_err();
    assert!(error.contains("webhooks 7, 8") && error.contains("--rotate"), "{error}");
}

#[tokio::test]
async fn alert_test_publishes_both_notices_and_lists_arrivals() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    let (outcome, output) = world.run(&["alert-test", "--resolve-after", "0s"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    for part in
        ["properties/alert-test/20261124T100030Z", "m-1", "PagerDuty", "chat", "mail", "resolved notice"]
    {
        assert!(output.contains(part), "{part} in {output}");
    }
    let requests = world.requests().await;
    let kinds: Vec<bool> = requests
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).contains("resolved_at%5C%22%3Anull"))
        .collect();
    assert_eq!(kinds, [true, false]);
    assert!(requests.iter().all(|request| String::from_utf8_lossy(&request.body).contains("critical")));
}

/// Encodes JSON without numbers as CBOR, the format of CloudWatch (RFC 8949).
fn cbor(value: &Value) -> Vec<u8> {
    let head = |major: u8, count: usize| match u8::try_from(count).unwrap() {
        count @ 0..24 => vec![(major << 5) | count],
        count => vec![(major << 5) | 24, count],
    };
    match value {
        Value::Bool(flag) => vec![0xf4 + u8::from(*flag)],
        Value::String(text) => [head(3, text.len()), text.as_bytes().to_vec()].concat(),
        Value::Array(values) => {
            values.iter().fold(head(4, values.len()), |bytes, value| [bytes, cbor(value)].concat())
        }
        Value::Object(fields) => fields.iter().fold(head(5, fields.len()), |bytes, (name, value)| {
            [bytes, cbor(&json!(name)), cbor(value)].concat()
        }),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn alarm_test_triggers_only_with_yes_and_shows_each_topic() {
    let world = World::with(json!([])).await;
    let arn = |topic: &str| format!("arn:aws:sns:us-east-1:1:syncwatch-{topic}");
    let cloudwatch = async |operation: &str, answer: Value| world.cloudwatch(operation, answer).await;
    let alarm = |name: &str, topics: &[&str]| {
        let actions: Vec<String> = topics.iter().map(|topic| arn(topic)).collect();
        json!({ "AlarmName": name, "ActionsEnabled": true, "AlarmActions": actions, "StateValue": "OK" })
    };
    let (throttles, depth) = ("syncwatch-alert-relay-throttles", "syncwatch-failed-alarms-depth");
    let alarms = json!([alarm(throttles, &["alarms"]), alarm(depth, &["alarms", "page"])]);
    cloudwatch("DescribeAlarms", json!({ "MetricAlarms": alarms })).await;
    cloudwatch("SetAlarmState", json!({})).await;
    let item = |alarm: &str, summary: String| json!({ "AlarmName": alarm, "HistoryItemType": "Action", "HistorySummary": summary });
    let denied = "CloudWatch Alarms is not authorized to perform: SNS:Publish";
    let history = json!([
        item(depth, format!("Failed to execute action {}. Received error: \"{denied}\"", arn("page"))),
        item(depth, format!("Successfully executed action {}", arn("alarms"))),
        item(throttles, format!("Successfully executed action {}", arn("alarms"))),
        item("another-alarm", format!("Failed to execute action {}", arn("alarms"))),
    ]);
    cloudwatch("DescribeAlarmHistory", json!({ "AlarmHistoryItems": history })).await;
    let subscribers = "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions><member>\
        <Protocol>email</Protocol><Endpoint>ada@example.com</Endpoint><SubscriptionArn>PendingConfirmation\
        </SubscriptionArn></member></Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>";
    world
        .answer(
            Mock::given(wiremock::matchers::body_string_contains("ListSubscriptions")),
            text(200, subscribers),
        )
        .await;
    let triggered = async || {
        let requests = world.requests().await;
        requests.iter().filter(|request| request.url.path().ends_with("SetAlarmState")).count()
    };

    let (outcome, output) = world.run(&["alarm-test"]).await;
    assert_eq!((outcome, triggered().await), (Ok(Outcome::ToDo), 0), "{output}");
    let (outcome, output) = world.run(&["alarm-test", "--yes"]).await;
    assert_eq!((outcome, triggered().await), (Ok(Outcome::ToDo), 2), "{output}");
    insta::assert_snapshot!(output);
}

#[tokio::test]
async fn alert_test_shows_its_end_command_before_sending() {
    let world = World::with(json!([])).await;
    world.publishes_only(0).await;
    let (outcome, output) = world.run(&["alert-test"]).await;
    assert!(outcome.is_err());
    assert_eq!(
        output,
        "If this is interrupted, end the test: syncwatch alert-test --resolve properties/alert-test/20261124T100030Z"
    );
}

#[tokio::test]
async fn alert_test_goes_to_the_channels_of_a_declared_owner_only() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    let owner = "Revenue operations";
    let key = "properties/alert-test/20261124T100030Z";
    let (outcome, output) = world.run(&["alert-test", "--owner", owner, "--resolve-after", "0s"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    assert!(output.contains(&format!("--resolve {key} --owner='{owner}'\n")), "{output}");
    let ended = world.run(&["alert-test", "--owner", owner, "--resolve", key]).await.0;
    assert_eq!(ended, Ok(Outcome::Done));
    let owners: Vec<Value> = world.published().await.iter().map(|body| body["owner"].clone()).collect();
    assert_eq!(owners, [json!(owner), json!(owner), json!(owner)]);

    for line in
        [["alert-test", "--owner", "Ada"].as_slice(), &["alert-test", "--owner", "Ada", "--resolve", key]]
    {
        let error = world.run(line).await.0.unwrap_err();
        let expected =
            "error: unknown contact `Ada`\nhint: use one of `Data operations`, `Revenue operations`";
        assert_eq!(error, expected);
    }
    assert_eq!(world.published().await.len(), 3);
}

#[tokio::test]
async fn unresolved_test_names_its_key_and_the_command() {
    let world = World::with(json!([])).await;
    world.publishes_only(1).await;
    let error = world.run(&["alert-test", "--resolve-after", "0s"]).await.0.unwrap_err();
    let key = "properties/alert-test/20261124T100030Z";
    assert!(error.starts_with(&format!("error: test {key} was not resolved")), "{error}");
    assert!(error.ends_with(&format!("\nhint: syncwatch alert-test --resolve {key}")), "{error}");
}

#[tokio::test]
async fn interrupted_test_is_resolved_by_its_key() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    let key = "properties/alert-test/20261124T095900Z";
    assert_eq!(world.run(&["alert-test", "--resolve", key]).await.0, Ok(Outcome::Done));
    let bodies = world.published().await;
    let of = |name: &str| bodies[0][name].clone();
    assert_eq!((bodies.len(), of("kind"), of("dedup_key")), (1, json!("resolved"), json!(key)));
    assert_eq!((of("sequence"), of("opened_at")), (json!(2), json!("2026-11-24T09:59:00Z")));
    for wrong in [
        "contacts/alert-test/20261124T095900Z",
        "properties/alert-test/20261124T110000Z",
        "properties/alert-test/yesterday",
        "properties/run-failed/a",
    ] {
        let error = world.run(&["alert-test", "--resolve", wrong]).await.0.unwrap_err();
        assert!(error.contains(wrong) && error.contains("20261124T100030Z"), "{error}");
    }
    assert_eq!(world.published().await.len(), 1);
}

/// Sends the real signal to this process; the command and this test both listen.
#[tokio::test]
async fn interrupt_during_the_wait_resolves_the_test() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    let listens = tokio::spawn(tokio::signal::ctrl_c());
    let interrupt = async {
        while world.published().await.is_empty() {
            tokio::task::yield_now().await;
        }
        let id = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        listens.await.unwrap().unwrap();
    };
    let ((outcome, _), ()) = tokio::join!(world.run(&["alert-test", "--resolve-after", "10m"]), interrupt);
    assert_eq!(outcome, Ok(Outcome::Done));
    let kinds: Vec<Value> = world.published().await.iter().map(|body| body["kind"].clone()).collect();
    assert_eq!(kinds, [json!("opened"), json!("resolved")]);
}

#[tokio::test]
async fn acknowledgement_is_published_with_the_next_sequence() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    let mut stored = stored_incident(4);
    stored["course"]["S"] = json!(r#"{"sequence":2}"#);
    world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": stored })).await;
    let key = "properties/run-failed/properties-create";
    let line = ["acknowledge", key, "--by", "Ada", "--for", "8h"];
    assert_eq!(world.run(&line).await.0, Ok(Outcome::Done));
    let body = world.published().await.remove(0);
    assert_eq!((&body["kind"], &body["dedup_key"]), (&json!("acknowledged"), &json!(key)));
    assert_eq!((&body["generation"], &body["sequence"]), (&json!(1), &json!(3)));
    let title = "[ACKNOWLEDGED] properties-create by Ada until 2026-11-24 18:00 UTC: run 7 failed";
    assert_eq!(body["title"], title);
    let course = world.sent("UpdateItem").await[0]["ExpressionAttributeValues"][":course"].to_string();
    assert!(course.contains(r#"\"sequence\":3"#), "{course}");

    world.publishes_only(0).await;
    let error = world.run(&line).await.0.unwrap_err();
    assert!(error.contains("is acknowledged by Ada") && error.contains("PagerDuty"), "{error}");
}

fn unusual_incident(version: u64) -> Value {
    let mut stored = stored_incident(version);
    stored["check_subject"] = json!({"S": "unusual-volume/properties-create"});
    stored
}

#[tokio::test]
async fn figure_marked_as_fine_is_left_out_and_its_incident_resolved() {
    let world = World::with(json!([])).await;
    world.publishes().await;
    world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": unusual_incident(4) })).await;
    let key = "properties/unusual-volume/properties-create";
    let line = ["mark", key, "fine", "--by", "Ada", "--why", "launch"];
    let (outcome, output) = world.run(&line).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @"properties/unusual-volume/properties-create marked as fine by Ada. For expectations, the figure of 2026-11-23 is left out. The incident is resolved.");
    let sent = world.sent("UpdateItem").await;
    let written = |at: usize, name: &str| sent[at]["ExpressionAttributeValues"][name].clone();
    assert_eq!(sent[0]["Key"]["pipeline"], json!({"S": "properties/marks"}));
    assert_eq!(
        (written(0, ":verdict"), written(0, ":marked_by")),
        (json!({"S": "fine"}), json!({"S": "Ada"}))
    );
    assert_eq!(written(1, ":state"), json!({"S": "resolved"}));
    assert!(sent[2]["UpdateExpression"].as_str().unwrap().contains("REMOVE"), "recorded as sent");
    let body = world.published().await.remove(0);
    assert_eq!((&body["kind"], &body["dedup_key"]), (&json!("resolved"), &json!(key)));
    assert!(body["title"].as_str().unwrap().contains("marked as fine by Ada: launch"), "{body}");
}

#[tokio::test]
async fn mark_of_a_real_fault_leaves_the_incident_open() {
    let world = World::with(json!([])).await;
    world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": unusual_incident(4) })).await;
    let line = |verdict, key| ["mark", key, verdict, "--by", "Ada", "--why", "x", "--since", "2026-11-20"];
    let key = "properties/unusual-volume/properties-create";
    let (outcome, output) = world.run(&line("real", key)).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @"properties/unusual-volume/properties-create marked as real by Ada. For expectations, the figures from 2026-11-20 until the recovery are left out.");
    assert_eq!(world.sent("UpdateItem").await.len(), 1, "only the mark");
    // An incident of a check that judges no figure has no level.
    world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": stored_incident(4) })).await;
    let error =
        world.run(&line("new-normal", "properties/run-failed/properties-create")).await.0.unwrap_err();
    assert!(error.contains("run-failed judges no level"), "{error}");
}

#[tokio::test]
async fn readable_silences_are_listed_before_the_error() {
    let world = World::with(json!([])).await;
    let mut broken = stored_silence("ada-0", "2026-11-24T12:00:30Z");
    broken["until"] = json!({"S": "tomorrow"});
    let readable = stored_silence("ada-1", "2026-11-24T12:00:30Z");
    world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [broken, readable] })).await;
    let (outcome, output) = world.run(&["silence", "list"]).await;
    let error = outcome.unwrap_err();
    assert!(error.contains("ada-0") && error.contains("until"), "{error}");
    assert!(output.contains("ada-1") && !output.contains("ada-0"), "{output}");
}

fn stored_silence(id: &str, until: &str) -> Value {
    json!({
        "pipeline": {"S": "properties/silences"},
        "check_subject": {"S": id},
        "owner": {"S": "Ada"},
        "reason": {"S": "release weekend"},
        "scope": {"S": r#"{"checks":["run-failed"],"subjects":["properties-create"]}"#},
        "from": {"S": "2026-11-24T08:00:00Z"},
        "until": {"S": until},
        "held_back": {"N": "3"},
        "incidents": {"SS": ["run-failed/properties-create"]},
    })
}

#[tokio::test]
async fn silence_gets_a_free_id_and_shows_its_end() {
    let world = World::with(json!([])).await;
    let taken = stored_silence("ada-20261124T1000Z", "2026-11-24T11:00:00Z");
    world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [taken] })).await;
    let line =
        ["silence", "add", "--owner", "Ada", "--reason", "release", "--for", "2h", "--check", "run-failed"];
    let (outcome, output) = world.run(&line).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @r"
    Silence ada-20261124T1000Z-2 suppresses run-failed of all subjects until 2026-11-24 12:00 UTC (2h). When it ends, you get the number of suppressed notices.
    To end it early: syncwatch silence end ada-20261124T1000Z-2
    ");
    let stored = world.sent("UpdateItem").await.remove(0);
    assert_eq!(stored["Key"]["check_subject"]["S"], "ada-20261124T1000Z-2");
    assert_eq!(stored["ExpressionAttributeValues"][":until"]["S"], "2026-11-24T12:00:30Z");

    let (outcome, _) = world.run(&[&line[..], &["--subject", "propertys"]].concat()).await;
    insta::assert_snapshot!(outcome.unwrap_err(), @r"
    error: pipeline.toml has no subject `propertys`
    hint: use one of properties-create, properties-update, properties, census, syncwatch
    ");
    assert_eq!(world.sent("UpdateItem").await.len(), 1);
}

#[tokio::test]
async fn silences_are_listed_and_ended_once() {
    let world = World::with(json!([])).await;
    let (active, expired) =
        (stored_silence("ada-1", "2026-11-24T12:00:30Z"), stored_silence("ada-0", "2026-11-24T09:00:00Z"));
    world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [active, expired] })).await;
    insta::assert_snapshot!(world.run(&["silence", "list"]).await.1, @r"
    silence  covers                           until                 left  suppressed  owner  reason
    ada-1    run-failed of properties-create  2026-11-24 12:00 UTC  2h    3           Ada    release weekend
    1 expired in the last 90 days: syncwatch silence list --all
    ");
    assert!(world.run(&["silence", "list", "--all"]).await.1.contains("ada-0"));

    let (outcome, output) = world.run(&["silence", "end", "ada-1"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @r"Silence ada-1 ended. It suppressed 3 notices of 1 incident; the next round reports them.");
    let stored = world.sent("UpdateItem").await.remove(0);
    assert_eq!(stored["ExpressionAttributeValues"][":until"]["S"], "2026-11-24T10:00:30Z");
    for (id, why) in
        [("ada-0", "already expired at 2026-11-24 09:00 UTC"), ("ada-2", "syncwatch silence list")]
    {
        let error = world.run(&["silence", "end", id]).await.0.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(world.sent("UpdateItem").await.len(), 1);
}

#[tokio::test]
async fn declared_silence_is_listed_and_ends_only_in_the_file() {
    let world = World::with(json!([])).await;
    world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [] })).await;
    let declared = "\n[[silences]]\nname = \"move\"\nowner = \"Ada\"\nreason = \"the move\"\n\
                    from = \"2026-11-24T00:00:00Z\"\nuntil = \"2026-11-25T00:00:00Z\"\n";
    let text = include_str!("../../../infra/pipeline.toml").to_owned() + declared;
    let operator = Operator { pipeline: Pipeline::parse(&text).unwrap(), ..world.operator() };
    let list = Command::parse(&["silence", "list"]).unwrap();
    let (outcome, output) = operator.output(&list).await.unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert!(output.contains("move (pipeline.toml)"), "{output:?}");
    for id in ["move", "move@2026-11-24T00:00Z"] {
        let end = Command::parse(&["silence", "end", id]).unwrap();
        let error = operator.output(&end).await.unwrap_err().to_string();
        assert!(error.contains("infra/pipeline.toml"), "{error}");
    }
}

fn stored_incident(version: u64) -> Value {
    json!({
        "pipeline": {"S": "properties"},
        "check_subject": {"S": "run-failed/properties-create"},
        "subject": {"S": "properties-create"},
        "state": {"S": "open"},
        "severity": {"S": "error"},
        "opened_at": {"S": "2026-11-24T08:00:00Z"},
        "generation": {"N": "1"},
        "version": {"N": version.to_string()},
        "summary": {"S": "run 7 failed"},
        "figures": {"S": "[]"},
        "cause": {"S": "unknown"},
        "course": {"S": "{}"},
    })
}

#[tokio::test]
async fn incidents_are_listed_worst_first_with_silence_and_owner() {
    let world = World::with(json!([])).await;
    let mut held = stored_incident(1);
    held["check_subject"]["S"] = json!("run-due/properties-update");
    held["subject"]["S"] = json!("properties-update");
    held["state"]["S"] = json!("held");
    held["severity"]["S"] = json!("critical");
    held["hold"] = json!({"S": r#"{"by":"silence","id":"ada-1"}"#});
    let mut acknowledged = stored_incident(1);
    acknowledged["acknowledged"] =
        json!({"S": r#"{"by":"Ada","at":"2026-11-24T09:00:00Z","until":"2026-11-24T17:00:00Z"}"#});
    world.live(&json!([held, acknowledged])).await;
    insta::assert_snapshot!(world.run(&["incidents"]).await.1, @r#"
    incident                                 state  severity  since                 for  suppressed by  acknowledged
    properties/run-failed/properties-create  open   error     2026-11-24 08:00 UTC  2h                  Ada until 2026-11-24 17:00 UTC
    properties/run-due/properties-update     held   critical  2026-11-24 08:00 UTC  2h   silence ada-1
    "#);
    world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [] })).await;
    assert_eq!(world.run(&["incidents"]).await.1, "No open incidents in properties.");
    let denied = refused("AccessDeniedException");
    world.aws("DynamoDB_20120810.Query", 400, denied).await;
    let error = world.run(&["incidents"]).await.0.unwrap_err();
    assert!(error.contains("Your own credentials need dynamodb:Query"), "{error}");
}

#[tokio::test]
async fn acknowledgement_is_repeated_after_a_lost_version_race() {
    let world = World::with(json!([])).await;
    let key = "properties/run-failed/properties-create";
    let line = ["acknowledge", key, "--by", "Ada", "--for", "8h"];
    world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": stored_incident(4) })).await;
    world.publishes().await;
    let lost = text(400, condition_failed(Some(stored_incident(9))));
    world.answer_once(|| of_aws("DynamoDB_20120810.UpdateItem"), vec![lost]).await;
    let (outcome, output) = world.run(&line).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output, @r"properties/run-failed/properties-create acknowledged by Ada until 2026-11-24 18:00 UTC. Reminders are paused; a worse severity still alerts. Its PagerDuty alert, if any, is acknowledged too.");
    let expected: Vec<Value> = world.sent("UpdateItem").await;
    let versions: Vec<&Value> =
        expected.iter().map(|sent| &sent["ExpressionAttributeValues"][":expected"]["N"]).collect();
    assert_eq!(versions, ["4", "9"]);

    let mut sending = stored_incident(4);
    sending["pending_kind"] = json!({"S": "worsened"});
    sending["pending_since"] = json!({"S": "2026-11-24T10:00:00Z"});
    let mut resolved = stored_incident(4);
    resolved["state"]["S"] = json!("resolved");
    for (answer, why) in [
        (json!({ "Item": sending }), "being sent"),
        (json!({ "Item": resolved }), "is not open"),
        (json!({}), "is not open"),
    ] {
        world.aws("DynamoDB_20120810.GetItem", 200, answer).await;
        let error = world.run(&line).await.0.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let other = ["acknowledge", "contacts/run-failed/a", "--by", "Ada", "--for", "8h"];
    let error = world.run(&other).await.0.unwrap_err();
    assert!(error.contains("does not belong to the pipeline properties"), "{error}");
    assert_eq!(world.sent("UpdateItem").await.len(), 2);
}

#[tokio::test]
async fn acknowledgement_names_the_channels_of_the_owner() {
    let seed = include_str!("../../../infra/pipeline.toml");
    let owned = seed
        .replace("[channels]\n", "[channels]\nops-chat = { kind = \"teams\" }\n")
        .replace("\nescalate_to", "\nchannels = [\"ops-chat\"]\nescalate_to");
    let chat_only: Vec<&str> = owned.lines().filter(|line| !line.starts_with("pagerduty = ")).collect();
    let no_chat: Vec<&str> = seed.lines().filter(|line| !line.starts_with("chat = ")).collect();
    let again = "hint: run this again";
    let pager = "hint: run this again, or acknowledge the alert in PagerDuty";
    for (file, channels, hint, acknowledged) in [
        (owned.clone(), "PagerDuty and ops-chat (Teams)", pager, true),
        (chat_only.join("\n"), "ops-chat (Teams)", again, false),
        (no_chat.join("\n"), "PagerDuty", pager, true),
    ] {
        let world = World::with(json!([])).await;
        world.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": stored_incident(4) })).await;
        world.publishes_only(0).await;
        let operator = Operator { pipeline: Pipeline::parse(&file).unwrap(), ..world.operator() };
        let key = "properties/run-failed/properties-create";
        let command = Command::parse(&["acknowledge", key, "--by", "Ada", "--for", "8h"]).unwrap();
        let error = operator.output(&command).await.unwrap_err().lines();
        let expected = format!("until 2026-11-24 18:00 UTC, but {channels} could not be notified: ");
        assert!(error.contains(&expected) && error.ends_with(hint), "{error}");
        world.publishes().await;
        let (_, output) = operator.output(&command).await.unwrap();
        assert_eq!(output.contains("PagerDuty alert, if any, is acknowledged"), acknowledged, "{output}");
    }
}

#[tokio::test]
async fn names_come_from_functions_json_unless_set_in_the_environment() {
    let world = World::with(json!([webhook(7, URL, &[])])).await;
    let census = world.uri();
    let bare = Operator { env: Env::from_map([("SYNCWATCH_CENSUS_BASE_URL", &census)]), ..world.operator() };
    let register = Command::parse(&["webhook-register", "--url", URL, "--check"]).unwrap();
    assert_eq!(bare.output(&register).await.unwrap().0, Outcome::Done);
    let other =
        [("SYNCWATCH_CENSUS_BASE_URL", census.as_str()), ("SYNCWATCH_WEBHOOK_SECRET", "other/secret")];
    let missing = json!({ "__type": "ResourceNotFoundException", "message": "can't find the secret" });
    world.secret_answer("other/secret", 400, missing).await;
    let other = Operator { env: Env::from_map(other), ..world.operator() };
    let error = other.output(&register).await.unwrap_err().to_string();
    assert!(error.contains("other/secret"), "{error}");
}

#[tokio::test]
async fn topic_comes_from_a_function_unless_the_environment_has_it() {
    let world = World::with(json!([])).await;
    let bare = Operator { env: Env::from_map([("", "")]), ..world.operator() };
    let test = Command::parse(&["alert-test", "--resolve-after", "0s"]).unwrap();
    let function = |variables: Value| json!({ "State": "Active", "Environment": { "Variables": variables } });
    let configuration = || {
        let asked = "/2015-03-31/functions/syncwatch-[a-z-]+/configuration";
        Mock::given(method("GET")).and(wiremock::matchers::path_regex(asked))
    };
    world.answer(configuration(), ok(function(json!({})))).await;
    let error = bare.output(&test).await.unwrap_err();
    assert!(error.what.contains("has no SYNCWATCH_TOPIC_ARN") && error.hint.is_some(), "{error}");

    let arn = "arn:aws:sns:us-east-1:1:deployed";
    world.answer(configuration(), ok(function(json!({ "SYNCWATCH_TOPIC_ARN": arn })))).await;
    world.publishes().await;
    assert_eq!(bare.output(&test).await.unwrap().0, Outcome::Done);
    let requests = world.requests().await;
    let published = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    assert!(published.contains("deployed"), "{published}");
}

fn run(id: u64, status: &str, created: &str, completed: Option<&str>, counts: [Option<u64>; 3]) -> Value {
    let [processed, updated, failed] = counts;
    let error = (status == "failed").then(|| format!("session expired or invalid: {TOKEN}"));
    json!({
        "id": id, "sync_id": 3_394_022, "status": status, "created_at": created, "completed_at": completed,
        "records_processed": processed, "records_updated": updated, "records_failed": failed, "records_invalid": 0,
        "error_message": error,
    })
}

const SYNCS: [u64; 2] = [3_394_022, 3_394_041];

impl World {
    async fn ran(&self, sync: u64, runs: Value) {
        self.api("GET", &format!("/api/v1/syncs/{sync}/sync_runs"), 200, page(&runs)).await;
    }

    /// Starts a pipeline with one paused sync, one open incident and two functions with a finished round.
    async fn alive() -> Self {
        let world = Self::with(json!([])).await;
        for (sync, paused) in SYNCS.into_iter().zip([false, true]) {
            let data = json!({ "id": sync, "label": "Properties of the CRM", "paused": paused });
            let body = json!({ "status": "success", "data": data });
            world.api("GET", &format!("/api/v1/syncs/{sync}"), 200, body).await;
            let counts = [Some(1_250), Some(1_250), Some(0)];
            let runs = [run(1, "completed", "2026-11-24T09:30:00Z", Some("2026-11-24T09:32:05Z"), counts)];
            world.ran(sync, json!(runs)).await;
        }
        let round = |function: &str, at: &str| json!({ "pipeline": {"S": "properties/rounds"}, "check_subject": {"S": function}, "began_at": {"S": at} });
        let rounds = json!([
            round("daily-validation", "2026-11-24T08:00:00Z"),
            round("schedule-verification", "2026-11-24T09:59:00Z"),
        ]);
        world.stored(json!([stored_incident(1)]), rounds).await;
        world
    }

    /// Stores incidents for queries by index and by key.
    async fn live(&self, incidents: &Value) {
        self.aws("DynamoDB_20120810.Query", 200, json!({ "Items": incidents })).await;
        for incident in incidents.as_array().into_iter().flatten() {
            let key = json!({ "Key": { "check_subject": incident["check_subject"] } });
            let asked = of_aws("DynamoDB_20120810.GetItem").and(body_partial_json(key));
            self.answer(asked, ok(json!({ "Item": incident }))).await;
        }
    }

    /// Stores the incidents and the round records that queries find.
    async fn stored(&self, incidents: Value, rounds: Value) {
        self.live(&incidents).await;
        let of_rounds = json!({ "ExpressionAttributeValues": { ":pipeline": { "S": "properties/rounds" } } });
        let asked = of_aws("DynamoDB_20120810.Query").and(body_partial_json(of_rounds));
        self.answer(asked, ok(json!({ "Items": rounds }))).await;
    }
}

#[tokio::test]
async fn runs_are_listed_with_counts_and_class_in_the_pipelines_zone() {
    let world = World::with(json!([])).await;
    let counts = [Some(1_250), Some(1_200), Some(50)];
    let runs = json!([
        run(4, "working", "2026-11-24T10:00:00Z", None, [None, None, None]),
        run(3, "failed", "2026-11-24T09:30:00Z", Some("2026-11-24T09:31:00Z"), [None, None, None]),
        run(2, "completed", "2026-11-24T09:00:00Z", Some("2026-11-24T09:02:05Z"), counts),
        run(
            1,
            "completed",
            "2026-11-24T08:30:00Z",
            Some("2026-11-24T08:30:07Z"),
            [Some(0), Some(0), Some(0)]
        ),
    ]);
    world.ran(SYNCS[0], runs).await;
    let (outcome, output) = world.run(&["runs", "properties-create"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    insta::assert_snapshot!(output);
    let (_, output) = world.run(&["runs", "3394022", "--last", "2"]).await;
    assert_eq!(output.lines().count(), 3, "{output}");
    world.ran(SYNCS[0], json!([])).await;
    assert_eq!(world.run(&["runs", "properties-create"]).await.1, "properties-create has never run.");
    for (key, hint) in
        [("properties-craete", "did you mean `properties-create`?"), ("x", "properties-update")]
    {
        let error = world.run(&["runs", key]).await.0.unwrap_err();
        assert!(
            error.starts_with(&format!("error: unknown sync `{key}`\nhint: ")) && error.contains(hint),
            "{error}"
        );
    }
}

#[tokio::test]
async fn status_shows_syncs_incidents_and_rounds_on_one_screen() {
    let world = World::alive().await;
    let (outcome, output) = world.run(&["status"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    insta::assert_snapshot!(output);
    assert!(output.lines().all(|line| line.chars().count() <= 80), "{output}");
    world.stored(json!([]), json!([])).await;
    let (outcome, output) = world.run(&["status"]).await;
    assert_eq!(outcome, Ok(Outcome::Done), "{output}");
}

#[tokio::test]
async fn status_names_unknown_parts_and_shows_the_rest() {
    let world = World::alive().await;
    for sync in SYNCS {
        world.api("GET", &format!("/api/v1/syncs/{sync}"), 401, json!({ "status": "unauthorized" })).await;
    }
    let (outcome, output) = world.run(&["status"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    insta::assert_snapshot!("status_without_census", output);

    let world = World::alive().await;
    let denied = refused("AccessDeniedException");
    world.aws("DynamoDB_20120810.Query", 400, denied.clone()).await;
    let (outcome, output) = world.run(&["status"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    insta::assert_snapshot!("status_without_incidents", output);

    let world = World::alive().await;
    world.secret_answer("syncwatch/census-token", 400, denied).await;
    let (_, output) = world.run(&["status"]).await;
    assert!(
        output.contains("Unknown: syncs: ") && output.contains("run-failed/properties-create"),
        "{output}"
    );
    assert!(output.lines().all(|line| line.chars().count() <= 80), "{output}");
}

/// Answers a sync of the pipeline as Census documents it, with these mappings.
fn defined_sync(id: u64, operation: &str, mappings: &[(&str, &str, bool)]) -> Value {
    let mapping = |(from, to, key): &(&str, &str, bool)| json!({ "from": { "type": "column", "data": from }, "to": to, "is_primary_identifier": key });
    let mappings: Vec<Value> = mappings.iter().map(mapping).collect();
    json!({ "status": "success", "data": {
        "id": id, "label": "Properties of the CRM", "paused": false, "operation": operation,
        "schedule_frequency": "quarter_hourly", "alert_attributes": [],
        "source_attributes": { "connection_id": 4, "object": { "type": "model", "name": "properties",
            "query": "SELECT id FROM t WHERE token = 'hush'" } },
        "destination_attributes": { "connection_id": 15, "object": "Property__c" },
        "mappings": mappings,
    } })
}

const KEY_AND_NAME: [(&str, &str, bool); 2] = [("id", "Id__c", true), ("name", "Name", false)];

impl World {
    /// Starts a Census whose syncs have these mappings, without an accepted definition.
    async fn defined(mappings: &[(&str, &str, bool)]) -> Self {
        let world = Self::with(json!([])).await;
        for id in SYNCS {
            world.api("GET", &format!("/api/v1/syncs/{id}"), 200, defined_sync(id, "upsert", mappings)).await;
        }
        world.aws("DynamoDB_20120810.GetItem", 200, json!({})).await;
        world.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [] })).await;
        world.aws("DynamoDB_20120810.TransactWriteItems", 200, json!({})).await;
        world
    }

    /// Stores as accepted what was last sent to be stored.
    async fn accept_sent(&self) {
        let sent = self.sent("TransactWriteItems").await.pop().unwrap();
        let values = &sent["TransactItems"][0]["Update"]["ExpressionAttributeValues"];
        let mut item = sent["TransactItems"][0]["Update"]["Key"].clone();
        for name in ["number", "accepted_at", "accepted_by", "why", "changes", "definition"] {
            item[name] = values[format!(":{name}")].clone();
        }
        self.aws("DynamoDB_20120810.GetItem", 200, json!({ "Item": item })).await;
        self.aws("DynamoDB_20120810.Query", 200, json!({ "Items": [item] })).await;
    }
}

const ACCEPT: [&str; 6] = ["baseline", "accept", "--by", "Ada", "--why", "first"];

#[tokio::test]
async fn lost_mapping_differs_until_it_is_accepted() {
    let world = World::defined(&KEY_AND_NAME).await;
    let (outcome, output) = world.run(&["baseline", "diff"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    assert!(output.starts_with("No definition of properties is accepted yet"), "{output}");
    let (outcome, output) = world.run(&ACCEPT).await;
    assert_eq!(outcome, Ok(Outcome::Done), "{output}");
    assert!(output.starts_with("Stored no. 1, accepted by Ada at 2026-11-24 10:00 UTC: first"), "{output}");
    world.accept_sent().await;

    // The schedule differs from the declared one from the beginning: the file wins.
    let [create, update] = SYNCS;
    world
        .api(
            "GET",
            &format!("/api/v1/syncs/{create}"),
            200,
            defined_sync(create, "upsert", &KEY_AND_NAME[..1]),
        )
        .await;
    world.api("GET", &format!("/api/v1/syncs/{update}"), 404, json!({ "status": 404 })).await;
    let (outcome, output) = world.run(&["baseline", "diff"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    let changes: Vec<&str> = output.lines().filter(|line| !line.starts_with("Unknown")).collect();
    insta::assert_snapshot!(changes.join("\n"));

    let (_, output) = world.run(&["baseline", "accept", "--by", "Bob", "--why", "name is gone"]).await;
    assert!(output.starts_with("Stored no. 2, accepted by Bob"), "{output}");
    let sent = world.sent("TransactWriteItems").await.pop().unwrap();
    assert_eq!(
        sent["TransactItems"][0]["Update"]["ExpressionAttributeValues"][":expected"],
        json!({ "N": "1" })
    );
    world.accept_sent().await;
    let (_, output) = world.run(&["baseline", "diff"]).await;
    assert!(!output.contains("mapping lost") && !output.contains("does not exist"), "{output}");
    let before = world.sent("TransactWriteItems").await.len();
    let (outcome, output) = world.run(&ACCEPT).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    assert!(output.starts_with("Nothing to accept, the definition is still no. 2"), "{output}");
    assert_eq!(world.sent("TransactWriteItems").await.len(), before);
}

#[tokio::test]
async fn accepted_definition_is_shown_without_literals() {
    let world = World::defined(&KEY_AND_NAME).await;
    let (outcome, output) = world.run(&["baseline", "show"]).await;
    assert_eq!(
        (outcome, output.as_str()),
        (Ok(Outcome::Done), "No definition of properties is accepted yet.")
    );
    assert_eq!(world.run(&ACCEPT).await.0, Ok(Outcome::Done));
    world.accept_sent().await;
    let answer =
        world.operator().carry_out(&Command::parse(&["baseline", "show"]).unwrap(), &mut |_| ()).await;
    let Answer { text, json, .. } = answer.unwrap();
    assert!(text.contains("model properties -> Property__c, upsert, 2 mappings"), "{text}");
    let query = &json["definition"]["syncs"]["properties-create"]["known"]["query"]["known"];
    assert_eq!(query, "select id\nfrom t\nwhere token = '…'");
    assert!(!json.to_string().contains("hush"));
}

#[tokio::test]
async fn unread_part_is_no_change_but_needs_attention_if_accepted() {
    let world = World::defined(&KEY_AND_NAME).await;
    assert_eq!(world.run(&ACCEPT).await.0, Ok(Outcome::Done));
    world.accept_sent().await;
    let [create, _] = SYNCS;
    world.api("GET", &format!("/api/v1/syncs/{create}"), 403, json!({ "status": 403 })).await;
    let command = Command::parse(&["baseline", "diff"]).unwrap();
    let answer = world.operator().carry_out(&command, &mut |_| ()).await.unwrap();
    let compared: baseline::Compared = serde_json::from_value(answer.json).unwrap();
    assert!(
        compared.changes.iter().all(|change| change.subject == "sync properties-update"),
        "{}",
        answer.text
    );
    let of_sync = compared.unknown.iter().find(|part| part.what == "sync properties-create").unwrap();
    assert!(of_sync.accepted && !compared.is_good(), "{of_sync:?}");
    // The warehouse was never read, so nothing of it was accepted.
    let of_warehouse: Vec<_> =
        compared.unknown.iter().filter(|part| part.what.starts_with("relation")).collect();
    assert!(of_warehouse.len() > 3 && of_warehouse.iter().all(|part| !part.accepted), "{of_warehouse:?}");
}

#[tokio::test]
async fn removed_alarm_and_changed_function_differ() {
    let world = World::defined(&KEY_AND_NAME).await;
    let function = json!({
        "FunctionName": "syncwatch-alert-relay", "MemorySize": 256, "Timeout": 30, "CodeSha256": "aaa",
        "Environment": { "Variables": { "SYNCWATCH_CHAT_SECRET": "hush" } },
    });
    let functions = async |function: &Value| {
        let asked = Mock::given(method("GET"))
            .and(wiremock::matchers::path_regex("^/2015-03-31/functions/syncwatch-.*/configuration$"));
        world.answer(asked, ResponseTemplate::new(200).set_body_json(function)).await;
    };
    let alarm = |name: &str, enabled: bool| json!({ "AlarmName": name, "ActionsEnabled": enabled, "AlarmActions": ["arn:aws:sns:us-east-1:1:syncwatch-alarms"] });
    functions(&function).await;
    let (errors, throttles) = ("syncwatch-alert-relay-errors", "syncwatch-alert-relay-throttles");
    let both = json!({ "MetricAlarms": [alarm(errors, true), alarm(throttles, true)] });
    world.cloudwatch("DescribeAlarms", both).await;
    assert_eq!(world.run(&ACCEPT).await.0, Ok(Outcome::Done));
    world.accept_sent().await;
    let (_, output) = world.run(&["baseline", "diff"]).await;
    // Every function has the answer of one, so only its own limits are those that the table declares.
    let others = [" schedule changed", " memory of function ", " timeout of function "];
    let news =
        output.lines().filter(|line| line.contains(": ") && !others.iter().any(|other| line.contains(other)));
    assert_eq!(news.filter(|line| line.contains(" changed")).count(), 0, "{output}");

    world.cloudwatch("DescribeAlarms", json!({ "MetricAlarms": [alarm(throttles, false)] })).await;
    let mut changed = function.clone();
    (changed["Environment"]["Variables"], changed["CodeSha256"]) = (json!({ "NEW": "hush" }), json!("bbb"));
    functions(&changed).await;
    let (outcome, output) = world.run(&["baseline", "diff"]).await;
    assert_eq!(outcome, Ok(Outcome::ToDo));
    for line in [
        "error: deployment: does not exist: alarm alert-relay-errors",
        "error: deployment: actions of the alarm changed: actions of alarm alert-relay-throttles",
        "    + disabled",
        "warning: deployment: setting changed: environment of function alert-relay",
        "    - SYNCWATCH_CHAT_SECRET",
        "    + NEW",
        "info: deployment: another version is deployed: code of function alert-relay",
    ] {
        assert!(output.lines().any(|found| found == line), "{line}: {output}");
    }
    assert!(!output.contains("hush"), "{output}");
}

#[tokio::test]
async fn acceptance_that_came_second_stores_nothing() {
    let world = World::defined(&KEY_AND_NAME).await;
    let reasons = json!([{ "Code": "ConditionalCheckFailed" }, { "Code": "None" }]);
    let cancelled = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "cancelled",
        "CancellationReasons": reasons,
    });
    world.aws("DynamoDB_20120810.TransactWriteItems", 400, cancelled).await;
    let error = world.run(&ACCEPT).await.0.unwrap_err();
    assert!(
        error.contains("accepted meanwhile") && error.contains("hint: syncwatch baseline diff"),
        "{error}"
    );
}

#[tokio::test]
async fn acceptance_with_nothing_read_is_refused() {
    let world = World::defined(&KEY_AND_NAME).await;
    for id in SYNCS {
        world.api("GET", &format!("/api/v1/syncs/{id}"), 403, json!({ "status": 403 })).await;
    }
    let error = world.run(&ACCEPT).await.0.unwrap_err();
    assert!(error.starts_with("error: nothing could be read: "), "{error}");
    assert_eq!(world.sent("TransactWriteItems").await.len(), 0);
}

#[tokio::test]
async fn link_to_the_page_is_signed_for_an_hour_and_needs_no_request() {
    let world = World::with(json!([])).await;
    let (outcome, output) = world.run(&["page"]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    let link = output.lines().next().unwrap();
    assert!(link.starts_with(&format!("{}/syncwatch-pages-1/properties/index.html?", world.uri())), "{link}");
    assert!(link.contains("X-Amz-Expires=3600") && link.contains("X-Amz-Signature="), "{link}");
    assert!(output.contains("valid until 2026-11-24 11:00 UTC"), "{output}");
    assert_eq!(world.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn page_is_written_though_nothing_can_be_read() {
    let world = World::with(json!([])).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page");
    let (outcome, output) = world.run(&["page", "--out", out.to_str().unwrap()]).await;
    assert_eq!(outcome, Ok(Outcome::Done));
    assert!(output.starts_with("State unknown: the incidents cannot be read\n"), "{output}");
    for name in ["index.html", "live.html", "status.json", "badge.svg", "incidents.atom"] {
        assert!(out.join(name).exists(), "{name}");
    }
    let html = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(html.contains("Figures of the audit log") && html.contains("Sync properties-create"), "{html}");
}

/// Returns the JSON examples of the README by the command in their heading.
fn examples() -> std::collections::BTreeMap<&'static str, Value> {
    let (_, shapes) = include_str!("../README.md").split_once("\n## JSON\n").unwrap();
    let example = |section: &'static str| {
        let (heading, rest) = section.split_once('\n').unwrap();
        let json = rest.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
        (heading.trim_matches('`'), serde_json::from_str(json).unwrap())
    };
    shapes.split("\n### ").skip(1).map(example).collect()
}

#[test]
fn readme_json_shapes_match_the_answers() {
    fn is<T: Serialize + serde::de::DeserializeOwned>(example: &Value) -> Result<(), String> {
        let shape: T = serde_json::from_value(example.clone()).map_err(|error| error.to_string())?;
        let json = serde_json::to_value(shape).unwrap();
        if json == *example { Ok(()) } else { Err(format!("{json:#}")) }
    }
    let examples = examples();
    for (command, example) in &examples {
        let result = match *command {
            "status" => is::<status::Status>(example),
            "incidents" => is::<incidents::IncidentList>(example),
            "runs" => is::<runs::RunList>(example),
            "expectations" => is::<expectations::ExpectationList>(example),
            "advise" => is::<syncwatch::advise::AdviceList>(example),
            "scoreboard" => is::<scoreboard::Scores>(example),
            "report --week" => is::<syncwatch::report::Digest>(example),
            "report --month" => is::<syncwatch::report::Monthly>(example),
            "audit" => is::<syncwatch::audit::Audit>(example),
            "audit --drill" => is::<syncwatch::audit::DrillDone>(example),
            "page" => is::<page::PageAnswer>(example),
            "reconcile" => is::<reconcile::Compared>(example),
            "reconcile --key" => is::<reconcile::ComparedKey>(example),
            "doctor" => is::<doctor::Diagnosis>(example),
            "baseline show" => is::<baseline::Shown>(example),
            "baseline diff" => is::<baseline::Compared>(example),
            "baseline accept" => is::<baseline::AcceptedNow>(example),
            "remedies list" => is::<remedies::RemedyList>(example),
            "remedies approve" => is::<remedies::Answered>(example),
            "remedies stop" => is::<remedies::Switched>(example),
            "remedies simulate" => is::<remedies::Simulated>(example),
            "objects propose" => is::<objects::Proposal>(example),
            "mark" => is::<mark::Marked>(example),
            "silence list" => is::<silences::SilenceList>(example),
            "check-config" => is::<config::ConfigCheck>(example),
            "webhook-register" => is::<WebhookAnswer>(example),
            "warehouse-apply" => is::<warehouse_objects::Report>(example),
            "alert-test" => is::<alert_test::AlertTest>(example),
            "alarm-test" => is::<alarm_test::AlarmTest>(example),
            "census probe" => is::<probe::Probed>(example),
            "explain" => is::<runbook::Explanation>(example),
            other => panic!("no command has the shape {other}"),
        };
        result.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
    assert_eq!(examples.len(), 31);
}

#[tokio::test]
async fn json_answers_match_the_text() {
    let world = World::alive().await;
    let json = async |line: &[&str]| {
        let command = Command::parse(line).unwrap();
        world.operator().carry_out(&command, &mut |_| ()).await.unwrap().json
    };
    assert_eq!(
        json(&["incidents"]).await["incidents"][0]["incident"],
        "properties/run-failed/properties-create"
    );
    assert_eq!(json(&["runs", "properties-create"]).await["runs"][0]["duration_seconds"], 125);
    let status = json(&["status"]).await;
    assert_eq!((&status["syncs"][1]["paused"], &status["unknown"]), (&json!(true), &json!([])));
    assert_eq!(json(&["webhook-register", "--url", URL, "--check"]).await["todo"], true);
    assert_eq!(json(&["explain", "run-due"]).await["name"], "run-due");
}

#[tokio::test]
async fn commands_without_aws_need_no_credentials_or_region() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra");
    let (valid, invalid) = (format!("{folder}/pipeline.toml"), format!("{folder}/functions.json"));
    let table = [
        (vec!["check-config", &valid], Outcome::Done, "Pipeline properties"),
        (vec!["check-config", &invalid], Outcome::ToDo, "error: "),
        (vec!["check-config", "--pipeline", &valid], Outcome::Done, "Pipeline properties"),
        (vec!["explain"], Outcome::Done, "run-failed"),
        (vec!["explain", "run-failed"], Outcome::Done, "STEPS"),
        (vec!["completions", "fish"], Outcome::Done, "syncwatch"),
    ];
    for (line, outcome, output) in table {
        let (arguments, no_variables) = (Arguments::read(&line).unwrap(), Env::from_map([("", "")]));
        let answer = super::run(&arguments, no_variables, now(), &mut |_| ()).await.unwrap();
        assert_eq!(answer.outcome, outcome, "{line:?}");
        assert!(answer.text.contains(output), "{}", answer.text);
    }
    let mut pipeline = read_pipeline(Path::new(&valid)).unwrap();
    assert!(pipeline.declared_views.is_empty(), "other commands read no SQL files");
    read_declared_views(&mut pipeline, Path::new(&valid)).unwrap();
    let declared = pipeline.declared_views;
    let views = ["daily_health_check", "properties_to_create", "properties_to_update"];
    assert!(declared.keys().eq(&views.map(|view| format!("crm.sfdc_dbx.{view}"))), "{declared:?}");
    let error = read_pipeline(Path::new("/nowhere/pipeline.toml")).unwrap_err().lines();
    assert!(error.contains("/nowhere/pipeline.toml") && error.contains("SYNCWATCH_PIPELINE"), "{error}");
}

#[test]
fn token_is_the_first_line_of_a_pipe() {
    use secrecy::ExposeSecret as _;
    let read = |input: &str| token_of(input.as_bytes());
    assert_eq!(read(" pat-1 \nmore").unwrap().expose_secret(), "pat-1");
    for empty in ["", "\n", "  \npat-1"] {
        assert!(read(empty).unwrap_err().to_string().starts_with("no token on standard input"));
    }
}
