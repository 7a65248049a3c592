use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use proptest::prelude::*;
use sha2::Sha256;
use syncwatch::aws::Sdk;
use syncwatch_testing::{Receiver, refused};

use super::*;

const BODY: &str = r#"{"workspace_id":3167,"sync_id":3394022,"sync_run_id":94,"event":"sync.failed"}"#;
const QUEUE: &str = "http://queue/1/deliveries";
const SECRET: &str = "syncwatch/census-webhook";

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// A stub of AWS with a secret and a queue.
struct Aws(Receiver);

impl Aws {
    async fn with_secret(text: &str) -> Self {
        let aws = Self::start().await;
        aws.secret(SECRET, text).await;
        aws
    }

    /// Starts AWS with a queue and no secret.
    async fn start() -> Self {
        let aws = Receiver::start().await;
        aws.aws("AmazonSQS.SendMessage", 200, json!({ "MessageId": "m-1" })).await;
        Self(aws)
    }

    async fn secret_reads(&self) -> usize {
        self.sent("GetSecretValue").await.len()
    }

    async fn intake(&self) -> Intake {
        let settings = [(env::DELIVERIES_QUEUE, QUEUE), (env::WEBHOOK_SECRET, SECRET)];
        let settings = settings.map(|(setting, value)| (setting.name.to_owned(), value.to_owned())).into();
        let pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        Intake::new(Site::with(settings, pipeline, Sdk::for_endpoint(&self.uri()).unwrap())).await
    }
}

impl std::ops::Deref for Aws {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.0
    }
}

fn post(body: &str, secret: &str) -> Value {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    json!({
        "version": "2.0",
        "rawPath": "/webhooks/census",
        "headers": { "content-type": "application/json", "x-signature": signature },
        "requestContext": { "http": { "method": "POST", "path": "/webhooks/census", "sourceIp": "192.0.2.1" } },
        "body": body,
        "isBase64Encoded": false,
    })
}

async fn status(intake: &Intake, event: Value, now: Timestamp) -> u64 {
    intake.run(event, now).await.unwrap()["statusCode"].as_u64().unwrap()
}

#[tokio::test]
async fn signed_delivery_is_queued_unchanged_and_accepted() {
    let aws = Aws::with_secret("s").await;
    let answer = aws.intake().await.run(post(BODY, "s"), now()).await.unwrap();
    assert_eq!(
        answer,
        json!({
            "statusCode": 202,
            "headers": { "content-type": "application/json" },
            "body": r#"{"status":"accepted"}"#,
        })
    );
    let sent = aws.sent("SendMessage").await;
    assert_eq!((sent.len(), &sent[0]["QueueUrl"]), (1, &json!(QUEUE)));
    let message: Value = serde_json::from_str(sent[0]["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(
        message,
        json!({ "schema": "syncwatch.delivery/1", "received_at": "2026-11-24T10:00:00Z", "body": BODY })
    );
}

#[tokio::test]
async fn delivery_about_undeclared_sync_is_accepted_and_not_queued() {
    let aws = Aws::with_secret("s").await;
    let body = BODY.replace("3394022", "1");
    assert_eq!(status(&aws.intake().await, post(&body, "s"), now()).await, 202);
    assert!(aws.sent("SendMessage").await.is_empty());
}

/// Lists the messages that were sent to the queue.
async fn queued(aws: &Aws) -> Vec<Value> {
    let sent = aws.sent("SendMessage").await;
    sent.iter().map(|sent| serde_json::from_str(sent["MessageBody"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn forged_requests_cause_one_secret_read_a_minute() {
    let aws = Aws::with_secret("s").await;
    let intake = aws.intake().await;
    for second in 0..120 {
        let answer = intake.run(post(BODY, "forged"), after(second)).await.unwrap();
        assert_eq!(
            (&answer["statusCode"], &answer["body"]),
            (&json!(401), &json!(r#"{"status":"refused"}"#))
        );
        let mut unsigned = post(BODY, "s");
        unsigned["headers"] = json!({});
        assert_eq!(status(&intake, unsigned, after(second)).await, 401);
    }
    // One read at the start, and one per minute.
    assert_eq!(aws.secret_reads().await, 3);
    // The report to the worker has the reason of the refusal and nothing of the request.
    let refusal = json!({ "schema": "syncwatch.refusal/1", "refused_at": now(), "why": "wrong-signature" });
    assert_eq!(queued(&aws).await, [refusal]);
    let mut get = post(BODY, "s");
    get["requestContext"]["http"]["method"] = json!("GET");
    let answer = intake.run(get, now()).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["headers"]["allow"]), (&json!(405), &json!("POST")));
}

#[tokio::test]
async fn refused_deliveries_are_reported_to_the_worker_every_10_min() {
    let aws = Aws::with_secret("s").await;
    let intake = aws.intake().await;
    let signed = |body: &str, signature: &str| {
        let mut request = post(body, "s");
        request["headers"]["x-signature"] = json!(signature);
        request
    };
    let undeclared = BODY.replace("3394022", "7");
    for stranger in [signed("{}", "x"), signed("not JSON", "x"), signed(&undeclared, "x")] {
        assert_eq!(status(&intake, stranger, now()).await, 401);
    }
    assert!(aws.sent("SendMessage").await.is_empty());
    let hex = "96".repeat(32);
    for (second, signature) in [(0, "x"), (599, "x"), (600, hex.as_str()), (1_200, "sha256=abc=")] {
        assert_eq!(status(&intake, signed(BODY, signature), after(second)).await, 401);
    }
    let why: Vec<Value> = queued(&aws).await.iter().map(|message| message["why"].clone()).collect();
    assert_eq!(why, ["garbled-signature", "hex-signature", "prefixed-signature"]);
}

#[tokio::test]
async fn rotated_secret_is_read_at_the_first_delivery_it_signed() {
    let aws = Aws::with_secret("old").await;
    let intake = aws.intake().await;
    assert_eq!(status(&intake, post(BODY, "old"), now()).await, 202);
    aws.secret(SECRET, r#"{"current": "new", "previous": "old"}"#).await;
    for secret in ["new", "old"] {
        assert_eq!(status(&intake, post(BODY, secret), after(1)).await, 202, "{secret}");
    }
    assert_eq!((aws.sent("SendMessage").await.len(), aws.secret_reads().await), (3, 2));
}

#[tokio::test]
async fn refusal_by_the_queue_is_answered_with_503() {
    let aws = Aws::with_secret("s").await;
    let intake = aws.intake().await;
    aws.aws("AmazonSQS.SendMessage", 400, refused("AccessDeniedException")).await;
    let answer = intake.run(post(BODY, "s"), now()).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(503), &json!(r#"{"status":"try again"}"#)));
    // A forged request is refused before it reaches the queue.
    assert_eq!(status(&intake, post(BODY, "forged"), now()).await, 401);
}

#[tokio::test]
async fn empty_secret_is_refused_until_it_is_replaced() {
    let empty = "secret syncwatch/census-webhook: it is empty. Store a value: aws secretsmanager put-secret-value \
                 --secret-id syncwatch/census-webhook";
    for text in ["", " \n", r#"{"current": ""}"#] {
        let aws = Aws::with_secret(text).await;
        let intake = aws.intake().await;
        assert_eq!(intake.keyring.trouble(), Some(NoKeys::Unusable(empty.to_owned())), "{text:?}");
        // Any client can sign with an empty key.
        for key in ["", " \n"] {
            let error = intake.run(post(BODY, key), now()).await.unwrap_err();
            assert_eq!(error.to_string(), empty);
        }
        assert_eq!(aws.secret_reads().await, 2, "the second event reads no secret");
        aws.secret(SECRET, "s").await;
        assert_eq!(status(&intake, post(BODY, "s"), after(5)).await, 202);
    }
}

#[tokio::test]
async fn unusable_secret_is_named_in_the_error() {
    for (status, body, expected) in [
        (200, json!({ "Name": "s", "SecretString": r#"{"secret": "x"}"# }), "it begins like JSON"),
        (200, json!({ "Name": "s", "SecretBinary": "eA==" }), "it is binary"),
        (400, refused("ResourceNotFoundException"), "it does not exist"),
    ] {
        let aws = Aws::start().await;
        aws.secret_answer(SECRET, status, body).await;
        let error = aws.intake().await.run(post(BODY, "s"), now()).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("secret syncwatch/census-webhook: {expected}")), "{error}");
    }
}

#[tokio::test]
async fn secret_not_read_at_the_start_is_read_by_a_later_request() {
    let aws = Aws::start().await;
    aws.secret_answer(SECRET, 400, refused("ThrottlingException")).await;
    let intake = aws.intake().await;
    assert_eq!(status(&intake, post(BODY, "s"), now()).await, 503);
    aws.secret(SECRET, "s").await;
    assert_eq!(status(&intake, post(BODY, "s"), after(5)).await, 202);
}

#[tokio::test]
async fn old_secret_stays_in_use_while_aws_does_not_answer() {
    let aws = Aws::with_secret("s").await;
    let intake = aws.intake().await;
    assert_eq!(status(&intake, post(BODY, "s"), now()).await, 202);
    aws.secret_answer(SECRET, 400, refused("ThrottlingException")).await;
    let reads = aws.secret_reads().await;
    assert_eq!(status(&intake, post(BODY, "s"), after(900)).await, 202);
    assert!(aws.secret_reads().await > reads);
    // A withdrawn secret is not used again.
    aws.secret(SECRET, " ").await;
    assert!(intake.run(post(BODY, "s"), after(960)).await.is_err());
}

#[tokio::test]
async fn error_of_a_foreign_event_names_the_function_url() {
    let aws = Aws::with_secret("s").await;
    let intake = aws.intake().await;
    let error = intake.run(json!({ "Records": [] }), now()).await.unwrap_err();
    assert!(error.to_string().contains("Function URL"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Each case has many requests, because each starts its own AWS.
    #[test]
    fn any_request_is_accepted_or_refused_while_aws_answers(
        requests in prop::collection::vec(
            (
                prop_oneof![3 => Just("POST".to_owned()), 1 => ".{0,8}"],
                prop_oneof![3 => Just("/webhooks/census".to_owned()), 1 => ".{0,30}"],
                prop::collection::hash_map("(?i)(x-signature|.{0,12})", ".{0,50}", 0..3),
                prop::option::of(prop_oneof![Just(BODY.to_owned()), ".{0,100}"]),
                prop::option::of(any::<bool>()),
                prop::option::of(prop_oneof![Just("s"), Just("forged")]),
            ),
            1..20,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let statuses = runtime.block_on(async {
            let aws = Aws::with_secret("s").await;
            let intake = aws.intake().await;
            let mut statuses = Vec::new();
            for (method, path, headers, body, is_base64, signed_with) in requests {
                let mut event = post(body.as_deref().unwrap_or_default(), signed_with.unwrap_or_default());
                event["requestContext"]["http"]["method"] = json!(method);
                event["rawPath"] = json!(path);
                event["body"] = json!(body);
                event["isBase64Encoded"] = json!(is_base64);
                if signed_with.is_none() {
                    event["headers"] = json!(headers);
                }
                statuses.push(status(&intake, event, now()).await);
            }
            statuses
        });
        prop_assert!(statuses.iter().all(|status| matches!(status, 200..300 | 400..500)), "{statuses:?}");
    }
}
