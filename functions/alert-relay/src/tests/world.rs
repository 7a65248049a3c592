//! AWS, PagerDuty and a chat, as far as the function uses them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use syncwatch::aws::Sdk;
use syncwatch::finding::Severity;
use syncwatch::notice::Body;
use syncwatch::pipeline::{Channels, Pipeline};
use syncwatch::runtime::{Site, env};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::App;
use crate::samples::{impatient, status};

pub(super) const OLD_KEY: &str = "0123456789abcdef0123456789ABCDEF";
pub(super) const NEW_KEY: &str = "R123456789abcdef0123456789ABCDEF";
pub(super) const CHAT_PATH: &str = "/services/T000/B000/hunter2";

pub(super) fn now() -> Timestamp {
    "2026-11-24T11:13:00Z".parse().unwrap()
}

pub(super) fn both() -> Channels {
    Channels { pagerduty: Some(Severity::Critical), chat: Some(Severity::Warning) }
}

/// The messages that are to be tried again.
pub(super) fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

pub(super) struct World {
    app: App,
    aws: MockServer,
    account: Account,
    pub(super) pagerduty: Receiver,
    pub(super) chat: Receiver,
}

impl World {
    pub(super) async fn start(channels: Channels) -> Self {
        let (aws, account) = (MockServer::start().await, Account::default());
        Mock::given(any()).respond_with(account.clone()).mount(&aws).await;
        let pagerduty = Receiver::answering(status(202, r#"{"status":"success"}"#)).await;
        let chat = Receiver::answering(status(200, "ok")).await;
        let settings = [
            (env::RELAY_TABLE, "syncwatch-relay".to_owned()),
            (env::PAGERDUTY_SECRET, "pagerduty".to_owned()),
            (env::CHAT_SECRET, "chat".to_owned()),
            (env::PAGERDUTY_URL, pagerduty.uri()),
        ];
        let settings = settings.map(|(setting, value)| (setting.name.to_owned(), value)).into();
        let mut pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        pipeline.channels = channels;
        let site = Site::with(settings, pipeline, Sdk::for_endpoint(&aws.uri()).unwrap());
        let app = App::new(site, impatient()).unwrap();
        let world = Self { app, aws, account, pagerduty, chat };
        world.put_secret("pagerduty", OLD_KEY);
        world.put_secret("chat", &format!("{}{CHAT_PATH}\n", world.chat.uri()));
        world
    }

    pub(super) async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        self.app.run(event, now).await
    }

    pub(super) async fn relay(&self, notices: &[Body]) -> Value {
        self.relay_at(notices, now()).await
    }

    /// Delivers notices in one batch, each in the envelope of SNS.
    pub(super) async fn relay_at(&self, notices: &[Body], now: Timestamp) -> Value {
        let record = |(index, notice): (usize, &Body)| {
            let message = serde_json::to_string(notice).unwrap();
            let envelope = json!({ "Type": "Notification", "TopicArn": "arn", "Message": message });
            json!({ "messageId": format!("message-{index}"), "body": envelope.to_string() })
        };
        let records: Vec<_> = notices.iter().enumerate().map(record).collect();
        self.run(json!({ "Records": records }), now).await.unwrap()
    }

    pub(super) fn put_secret(&self, name: &str, value: &str) {
        self.account.secrets.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn put_item(&self, id: &str, item: &Value) {
        self.account.items.lock().unwrap().insert(id.to_owned(), item.as_object().unwrap().clone());
    }

    /// What AWS was asked, with the name of the secret where it was one.
    pub(super) async fn aws_calls(&self) -> Vec<String> {
        let requests = self.aws.received_requests().await.unwrap();
        let call = |request: &Request| {
            let body: Value = request.body_json().unwrap();
            format!("{} {}", target(request), body["SecretId"].as_str().unwrap_or_default())
        };
        requests.iter().map(|request| call(request).trim().to_owned()).collect()
    }
}

fn target(request: &Request) -> String {
    request.headers["x-amz-target"].to_str().unwrap().to_owned()
}

/// A table and the secrets of an account.
#[derive(Clone, Default)]
struct Account {
    items: Arc<Mutex<BTreeMap<String, Map<String, Value>>>>,
    secrets: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Respond for Account {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let (code, answer) = match target(request).as_str() {
            "secretsmanager.GetSecretValue" => {
                let name = body["SecretId"].as_str().unwrap();
                let secrets = self.secrets.lock().unwrap();
                (200, json!({ "Name": name, "SecretString": secrets[name] }))
            }
            "DynamoDB_20120810.GetItem" => {
                match self.items.lock().unwrap().get(body["Key"]["id"]["S"].as_str().unwrap()) {
                    Some(item) => (200, json!({ "Item": item })),
                    None => (200, json!({})),
                }
            }
            "DynamoDB_20120810.UpdateItem" => self.update(&body),
            other => panic!("{other} is not allowed to the function"),
        };
        status(code, &answer.to_string())
    }
}

impl Account {
    fn update(&self, body: &Value) -> (u16, Value) {
        let id = body["Key"]["id"]["S"].as_str().unwrap();
        let name =
            |placeholder: &str| body["ExpressionAttributeNames"][placeholder].as_str().unwrap().to_owned();
        let value = |placeholder: &str| body["ExpressionAttributeValues"][placeholder].clone();
        let mut items = self.items.lock().unwrap();
        let old = items.get(id).cloned();
        let mut item = old.clone().unwrap_or_default();
        let millisecond = |value: &Value| value["N"].as_str().unwrap().parse::<i64>().unwrap();
        let holds = match body["ConditionExpression"].as_str().unwrap() {
            "#leased_by = :holder" => item.get("leased_by") == Some(&value(":holder")),
            "attribute_not_exists(#leased_until) OR #leased_until < :now" => {
                item.get("leased_until").is_none_or(|until| millisecond(until) < millisecond(&value(":now")))
            }
            other => panic!("the table knows no condition {other}"),
        };
        if !holds {
            let error = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
            return (400, json!({ "__type": error, "message": "no", "Item": old }));
        }
        item.insert("id".to_owned(), json!({ "S": id }));
        let expression = format!(" {}", body["UpdateExpression"].as_str().unwrap());
        let (sets, removes) = expression.split_once(" REMOVE ").unwrap_or((&expression, ""));
        for set in sets.trim_start_matches(" SET ").split(", #").filter(|set| !set.is_empty()) {
            let (left, right) = set.split_once(" = ").unwrap();
            let left = name(&format!("#{}", left.trim_start_matches('#')));
            match right.strip_prefix("if_not_exists(") {
                Some(rest) => {
                    let right = rest.trim_end_matches(')').split_once(", ").unwrap().1;
                    item.entry(left).or_insert_with(|| value(right));
                }
                None => drop(item.insert(left, value(right))),
            }
        }
        for remove in removes.split(", ").filter(|remove| !remove.is_empty()) {
            item.remove(&name(remove));
        }
        items.insert(id.to_owned(), item.clone());
        (200, json!({ "Attributes": item }))
    }
}

/// A vendor that takes everything, once its script is at its end.
pub(super) struct Receiver {
    server: MockServer,
    script: Script,
}

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<ResponseTemplate>>>,
    taken: Arc<Mutex<Vec<Value>>>,
    usual: ResponseTemplate,
}

impl Respond for Script {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            return answer;
        }
        self.taken.lock().unwrap().push(request.body_json().unwrap());
        self.usual.clone()
    }
}

impl Receiver {
    async fn answering(usual: ResponseTemplate) -> Self {
        let script = Script { answers: Arc::default(), taken: Arc::default(), usual };
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(script.clone()).mount(&server).await;
        Self { server, script }
    }

    pub(super) fn uri(&self) -> String {
        self.server.uri()
    }

    /// Gives these answers first.
    pub(super) async fn script(&self, answers: Vec<ResponseTemplate>) {
        self.script.answers.lock().unwrap().extend(answers);
    }

    /// Everything that arrived, refused or not.
    pub(super) async fn requests(&self) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|request| request.body_json().unwrap()).collect()
    }

    pub(super) async fn paths(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|request| request.url.path().to_owned()).collect()
    }

    /// What was taken does, in turn.
    pub(super) async fn actions(&self) -> Vec<String> {
        let taken = self.script.taken.lock().unwrap();
        taken.iter().map(|event| event["event_action"].as_str().unwrap().to_owned()).collect()
    }

    /// What is open, by routing key and dedup key.
    pub(super) async fn open_alerts(&self) -> Vec<(String, String)> {
        let mut open = BTreeSet::new();
        for event in self.script.taken.lock().unwrap().iter() {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let alert = (text("routing_key"), text("dedup_key"));
            match event["event_action"].as_str().unwrap() {
                "trigger" => open.insert(alert),
                "resolve" => open.remove(&alert),
                other => panic!("{other}"),
            };
        }
        open.into_iter().collect()
    }
}
