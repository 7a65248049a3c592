//! Tests of the lab's AWS, with a small script as the function.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Router, body::Bytes, routing::post};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;

use super::*;

const SCRIPT: &str = r#"#!/usr/bin/env python3
import json, os, urllib.parse, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as response:
        event, request = json.load(response), response.headers["Lambda-Runtime-Aws-Request-Id"]
    print("fired with", json.dumps(event), flush=True)
    task = event.get("task")
    if task == "publish":
        query = {"Action": "Publish", "TopicArn": os.environ["SYNCWATCH_TOPIC_ARN"], "Message": "a notice"}
        urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/", urllib.parse.urlencode(query).encode())
    answer = {"pid": os.getpid(), "env": dict(os.environ), "pipeline": open(os.environ["SYNCWATCH_PIPELINE"]).read(),
              "at_root": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"]}
    outcome = "error" if task == "fail" else "response"
    if outcome == "error":
        answer = {"errorType": "Sample", "errorMessage": "as asked"}
    urllib.request.urlopen(urllib.request.Request(api + request + "/" + outcome, json.dumps(answer).encode()))
"#;

/// Answers a call of its URL with the event, and sends the body to its queue; fails each message `bad`.
const ENTRY_SCRIPT: &str = r#"#!/usr/bin/env python3
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
while True:
    with urllib.request.urlopen(api + "next") as response:
        event, request = json.load(response), response.headers["Lambda-Runtime-Aws-Request-Id"]
    print("fired with", json.dumps(event), flush=True)
    if "Records" in event:
        failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        answer = {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
    else:
        message = {"QueueUrl": os.environ["SYNCWATCH_DELIVERIES_QUEUE"], "MessageBody": event["body"]}
        url = os.environ["AWS_ENDPOINT_URL"] + "/"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(message).encode(), headers))
        answer = {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
    urllib.request.urlopen(urllib.request.Request(api + request + "/response", json.dumps(answer).encode()))
"#;

fn write_zip(path: &Path, files: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, zip.finish().unwrap().into_inner()).unwrap();
}

fn options(zips: &Path) -> DeploymentOptions {
    DeploymentOptions {
        zips: zips.to_path_buf(),
        overrides: BTreeMap::from([("SYNCWATCH_CENSUS_BASE_URL".to_owned(), "http://census.lab".to_owned())]),
        secrets: ["census-token", "census-webhook", "pagerduty", "chat", "warehouse"]
            .map(|key| (ResourceId::secret(key), "a-token".to_owned()))
            .into(),
        schedules: Schedules::None,
        ..DeploymentOptions::default()
    }
}

/// The table with the one function that the test deploys.
fn one_function() -> FunctionsTable {
    let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
    table.functions.retain(|name, _| name == "schedule-verification");
    table
}

/// A receiver of SNS deliveries, and its address.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let sender = Arc::new(sender);
    let take = move |body: Bytes| {
        sender.send(serde_json::from_slice(&body).unwrap()).unwrap();
        async {}
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sns", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/sns", post(take))).await });
    (url, receiver)
}

async fn next(deliveries: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(10), deliveries.recv()).await.expect("no delivery").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn function_runs_with_its_settings_and_ends_with_the_lab() {
    let zips = tempfile::tempdir().unwrap();
    let zip = zips.path().join("schedule-verification/bootstrap.zip");
    write_zip(&zip, &[("bootstrap", SCRIPT), ("pipeline.toml", "name = \"lab\"")]);
    let ministack = Ministack::start().await.unwrap();
    let with_schedules = DeploymentOptions { schedules: Schedules::AsDeclared, ..options(zips.path()) };
    let deployment = Deployment::apply(&ministack, &one_function(), &with_schedules).await.unwrap();

    // Three firings, of which the last two are then cancelled. The declared schedule is minutes away.
    deployment.poll_every_sweep("schedule-verification", 3).await.unwrap();

    let ran = deployment.invoke("schedule-verification", &json!({ "task": "ping" })).await.unwrap();
    assert_eq!(ran.error, None);
    assert_eq!(ran.value["pipeline"], json!("name = \"lab\""));
    assert_eq!(ran.value["at_root"], json!(true));
    let env = &ran.value["env"];
    assert_eq!(env["SYNCWATCH_TOPIC_ARN"], json!("arn:aws:sns:us-east-1:000000000000:syncwatch-notices"));
    assert_eq!(env["SYNCWATCH_INCIDENTS_TABLE"], json!("syncwatch-incidents"));
    assert_eq!(env["SYNCWATCH_CENSUS_SECRET"], json!("syncwatch/census-token"));
    assert_eq!(env["SYNCWATCH_CENSUS_BASE_URL"], json!("http://census.lab"));
    // Through the gate, so that calls outside the role are refused.
    assert!(env["AWS_ENDPOINT_URL"].as_str().unwrap().ends_with("/schedule-verification"), "{env}");
    assert_eq!(env["AWS_REGION"], json!("us-east-1"));
    assert_eq!(env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], json!("256"));
    assert!(ran.log.unwrap().contains("fired with"));

    let failed = deployment.invoke("schedule-verification", &json!({ "task": "fail" })).await.unwrap();
    assert!(failed.error.is_some());
    assert_eq!(failed.value["errorMessage"], json!("as asked"));

    let topic = ResourceId::topic("notices");
    let (url, mut deliveries) = receiver().await;
    deployment.subscribe_http(&topic, &url, None).await.unwrap();
    let confirmation = next(&mut deliveries).await;
    assert_eq!(confirmation["Type"], json!("SubscriptionConfirmation"));
    deployment.confirm(&topic, confirmation["Token"].as_str().unwrap()).await.unwrap();
    deployment.invoke("schedule-verification", &json!({ "task": "publish" })).await.unwrap();
    assert_eq!(next(&mut deliveries).await["Message"], json!("a notice"));
    let published = Call { action: "sns:Publish".to_owned(), resource: "syncwatch-notices".to_owned() };
    assert_eq!(deployment.used()["schedule-verification"], BTreeSet::from([published]));

    assert_eq!(deployment.incidents().await.unwrap(), Vec::<Value>::new());

    // By the scheduler, with the input of the table.
    let started = Instant::now();
    while !deployment.function_log("schedule-verification").await.unwrap().join("\n").contains(r#""verify""#)
    {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", ministack.log_tail(4_000));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }

    assert!(deployment.stop_polling("schedule-verification").await.unwrap() >= 1);
    assert_eq!(deployment.stop_polling("schedule-verification").await.unwrap(), 0);

    let function = format!("/proc/{}", ran.value["pid"]);
    assert!(Path::new(&function).exists());
    let directory = ministack.log_path().parent().unwrap().to_path_buf();
    drop(ministack);
    assert!(!directory.exists());
    let started = Instant::now();
    while Path::new(&function).exists() {
        assert!(started.elapsed() < Duration::from_secs(5), "the function outlived the lab");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notice_fires_the_function_that_subscribes_to_its_topic() {
    let zips = tempfile::tempdir().unwrap();
    let names = ["schedule-verification", "status-page"];
    for name in names {
        let zip = zips.path().join(name).join("bootstrap.zip");
        write_zip(&zip, &[("bootstrap", SCRIPT), ("pipeline.toml", "name = \"lab\"")]);
    }
    let ministack = Ministack::start().await.unwrap();
    let mut table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
    table.functions.retain(|name, _| names.contains(&name.as_str()));
    let with_schedules = DeploymentOptions { schedules: Schedules::AsDeclared, ..options(zips.path()) };
    let deployment = Deployment::apply(&ministack, &table, &with_schedules).await.unwrap();
    deployment.invoke("schedule-verification", &json!({ "task": "publish" })).await.unwrap();
    let started = Instant::now();
    loop {
        let log = deployment.function_log("status-page").await.unwrap().join("\n");
        if log.contains(r#""EventSource": "aws:sns""#) && log.contains(r#""Message": "a notice""#) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{log} {}", ministack.log_tail(4_000));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The functions that a URL or a queue fires, with two receives before a message is a dead letter.
fn functions_with_queues() -> FunctionsTable {
    let mut table = FunctionsTable::parse(include_str!("../../../../infra/functions.json")).unwrap();
    table.functions.retain(|name, _| name != "schedule-verification");
    for spec in table.resources.values_mut() {
        if let ResourceSpec::Queue(queue) = spec {
            queue.max_receives = queue.max_receives.map(|_| 2);
        }
    }
    let Some(ResourceSpec::Queue(notices)) = table.resources.get_mut(&ResourceId::queue("notices")) else {
        panic!("the table has no queue of notices");
    };
    notices.filter_policy = Some(serde_json::from_value(json!({ "severity": ["critical"] })).unwrap());
    table
}

/// Waits for a line in a function's log that contains a text.
async fn until_logged(deployment: &Deployment, function: &str, wanted: &str) -> String {
    let started = Instant::now();
    loop {
        let log = deployment.function_log(function).await.unwrap();
        if let Some(line) = log.iter().find(|line| line.contains(wanted)) {
            return line.clone();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{function} never logged {wanted}: {log:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn url_and_queues_fire_functions_and_failures_become_dead() {
    let zips = tempfile::tempdir().unwrap();
    let table = functions_with_queues();
    for name in table.functions.keys() {
        let files = [("bootstrap", ENTRY_SCRIPT), ("pipeline.toml", "")];
        write_zip(&zips.path().join(name).join("bootstrap.zip"), &files);
    }
    let options = DeploymentOptions { overrides: BTreeMap::new(), ..options(zips.path()) };
    let ministack = Ministack::start().await.unwrap();
    let deployment = Deployment::apply(&ministack, &table, &options).await.unwrap();
    let deliveries = ResourceId::queue("webhook-deliveries");

    // The queue waits while its trigger is off.
    deployment.let_queue_fire("webhook-worker", false).await.unwrap();
    let url = deployment.url_of("webhook-intake").unwrap();
    let http = syncwatch::http::client().unwrap();
    let call = http.post(&url).header("Content-Type", "application/json").header("X-Signature", "c2lnbmVk");
    let answer = call.body(r#"{"event":"é"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let event: Value = answer.json().await.unwrap();
    assert_eq!((&event["version"], &event["rawPath"]), (&json!("2.0"), &json!("/webhooks/census")));
    assert_eq!(event["requestContext"]["http"]["method"], json!("POST"));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(r#"{"event":"é"}"#), &json!(false)));
    assert_eq!(event["headers"]["x-signature"], json!("c2lnbmVk"));
    assert_eq!(deployment.queue_depth(&deliveries).await.unwrap(), (1, 0));

    deployment.hide_messages_for(&deliveries, 1).await.unwrap();
    deployment.send(&deliveries, "bad").await.unwrap();
    deployment.let_queue_fire("webhook-worker", true).await.unwrap();
    until_logged(&deployment, "webhook-worker", r#"{\"event\":\""#).await;
    let dead = ResourceId::queue("webhook-deliveries-dead");
    let started = Instant::now();
    while deployment.queue_depth(&dead).await.unwrap() != (1, 0) {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", ministack.log_tail(4_000));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(deployment.queue_depth(&deliveries).await.unwrap(), (0, 0));
    assert_eq!(deployment.receive(&dead).await.unwrap(), ["bad"]);
    assert_eq!(deployment.queue_depth(&dead).await.unwrap(), (0, 0));

    // From the topic, in SNS's envelope, and only messages that pass the filter.
    let sns = aws_sdk_sns::Client::new(&ministack.sdk_config().unwrap());
    let topic = deployment.topic_arn(&ResourceId::topic("notices")).unwrap();
    for severity in ["info", "critical"] {
        let attribute = aws_sdk_sns::types::MessageAttributeValue::builder()
            .data_type("String")
            .string_value(severity)
            .build()
            .unwrap();
        let bodies = json!({ "default": "a notice", "sqs": format!("{severity} for machines") });
        let publish = sns.publish().topic_arn(topic).message_structure("json").message(bodies.to_string());
        publish.message_attributes("severity", attribute).send().await.unwrap();
    }
    let fired = until_logged(&deployment, "alert-relay", "critical for machines").await;
    assert!(fired.contains(r#"\"Type\": \"Notification\""#), "{fired}");
    let log = deployment.function_log("alert-relay").await.unwrap().join("\n");
    assert!(!log.contains("info for machines"), "{log}");

    deployment.let_queue_fire("webhook-worker", false).await.unwrap();
    deployment.send(&deliveries, "unwanted").await.unwrap();
    deployment.purge(&deliveries).await.unwrap();
    assert_eq!(deployment.queue_depth(&deliveries).await.unwrap(), (0, 0));
    assert!(deployment.url_of("alert-relay").is_err());
    assert!(deployment.queue_url(&ResourceId::queue("other")).is_err());
}

#[tokio::test]
async fn deployment_errors_name_the_remedy() {
    let error = Ministack::start_from(Path::new("/nonexistent")).await.unwrap_err();
    assert!(error.to_string().contains("make setup"), "{error}");

    let zips = tempfile::tempdir().unwrap();
    let zip = zips.path().join("schedule-verification/bootstrap.zip");
    let ministack = Ministack::start().await.unwrap();
    let table = one_function();

    let unknown = DeploymentOptions {
        overrides: BTreeMap::from([("SYNCWATCH_TYPO".to_owned(), String::new())]),
        ..options(zips.path())
    };
    let error = Deployment::apply(&ministack, &table, &unknown).await.unwrap_err();
    assert!(format!("{error:#}").contains("SYNCWATCH_TYPO"), "{error:#}");

    let without_token = DeploymentOptions { secrets: BTreeMap::new(), ..options(zips.path()) };
    let error = Deployment::apply(&ministack, &table, &without_token).await.unwrap_err();
    assert!(format!("{error:#}").contains("secret:census-token"), "{error:#}");

    // Each attempt needs a new ministack, as a failed one leaves resources behind.
    drop(ministack);
    let ministack = Ministack::start().await.unwrap();
    let error = Deployment::apply(&ministack, &table, &options(zips.path())).await.unwrap_err();
    assert!(format!("{error:#}").contains("make lab-zips"), "{error:#}");

    drop(ministack);
    let ministack = Ministack::start().await.unwrap();
    write_zip(&zip, &[("bootstrap", SCRIPT)]);
    let error = Deployment::apply(&ministack, &table, &options(zips.path())).await.unwrap_err();
    assert!(format!("{error:#}").contains("pipeline.toml"), "{error:#}");
}
