//! AWS, PagerDuty and a chat, as far as the function uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use syncwatch::aws::Sdk;
use syncwatch::finding::Severity;
use syncwatch::notice::Body;
use syncwatch::pipeline::{Channels, Pipeline};
use syncwatch::runtime::{Site, env};
use syncwatch_testing::{Asked, Receiver, condition_failed, of_aws, text};
use wiremock::matchers::any;
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::App;
use crate::tests::samples::impatient;

pub(super) const OLD_KEY: &str = "0123456789abcdef0123456789ABCDEF";
pub(super) const NEW_KEY: &str = "R123456789abcdef0123456789ABCDEF";
const DEAD_LETTERS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-notices-relay-dead";
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
    aws: Receiver,
    items: Items,
    pub(super) pagerduty: Vendor,
    pub(super) chat: Vendor,
}

impl World {
    pub(super) async fn start(channels: Channels) -> Self {
        let (aws, items) = (Receiver::start().await, Items::default());
        aws.answer(Mock::given(any()), items.clone()).await;
        let pagerduty = Vendor::answering(text(202, r#"{"status":"success"}"#)).await;
        let chat = Vendor::answering(text(200, "ok")).await;
        let settings = [
            (env::RELAY_TABLE, "syncwatch-relay".to_owned()),
            (env::PAGERDUTY_SECRET, "pagerduty".to_owned()),
            (env::CHAT_SECRET, "chat".to_owned()),
            (env::PAGERDUTY_URL, pagerduty.uri()),
            (env::NOTICES_DEAD_LETTERS, DEAD_LETTERS.to_owned()),
        ];
        let settings = settings.map(|(setting, value)| (setting.name.to_owned(), value)).into();
        let mut pipeline = Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap();
        pipeline.channels = channels;
        let site = Site::with(settings, pipeline, Sdk::for_endpoint(&aws.uri()).unwrap());
        let app = App::new(site, impatient()).unwrap();
        let world = Self { app, aws, items, pagerduty, chat };
        world.put_secret("pagerduty", OLD_KEY).await;
        world.put_secret("chat", &format!("{}{CHAT_PATH}\n", world.chat.uri())).await;
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

    /// Delivers one message as it is, such as one from the dead letters.
    pub(super) async fn redeliver(&self, body: &str, now: Timestamp) -> Value {
        self.run(json!({ "Records": [{ "messageId": "message-0", "body": body }] }), now).await.unwrap()
    }

    /// Refuses one message for the dead letters.
    pub(super) async fn refuse_dead_letters_once(&self) {
        let refused = text(400, json!({ "__type": "AccessDenied", "message": "no" }));
        self.aws.answer_once(|| of_aws("AmazonSQS.SendMessage"), vec![refused]).await;
    }

    /// The messages that were put among the dead letters.
    pub(super) async fn dead_letters(&self) -> Vec<String> {
        let sent = self.aws.sent("SendMessage").await;
        sent.iter()
            .map(|sent| {
                assert_eq!(sent["QueueUrl"], DEAD_LETTERS);
                sent["MessageBody"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    pub(super) async fn put_secret(&self, name: &str, value: &str) {
        self.aws.secret(name, value).await;
    }

    pub(super) fn put_item(&self, id: &str, item: &Value) {
        self.items.0.lock().unwrap().insert(id.to_owned(), item.as_object().unwrap().clone());
    }

    /// What AWS was asked, with the name of the secret where it was one.
    pub(super) async fn aws_calls(&self) -> Vec<String> {
        let call = |request: &Asked| {
            format!("{} {}", request.target(), request.json()["SecretId"].as_str().unwrap_or_default())
        };
        self.aws.requests().await.iter().map(|request| call(request).trim().to_owned()).collect()
    }
}

/// The items of the function's table.
#[derive(Clone, Default)]
struct Items(Arc<Mutex<BTreeMap<String, Map<String, Value>>>>);

impl Respond for Items {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let (code, answer) = match request.headers["x-amz-target"].to_str().unwrap() {
            "DynamoDB_20120810.GetItem" => {
                match self.0.lock().unwrap().get(body["Key"]["id"]["S"].as_str().unwrap()) {
                    Some(item) => (200, json!({ "Item": item })),
                    None => (200, json!({})),
                }
            }
            "DynamoDB_20120810.UpdateItem" => self.update(&body),
            "AmazonSQS.SendMessage" => (200, json!({ "MessageId": "m-1" })),
            other => panic!("{other} is not allowed to the function"),
        };
        text(code, answer)
    }
}

impl Items {
    fn update(&self, body: &Value) -> (u16, Value) {
        let id = body["Key"]["id"]["S"].as_str().unwrap();
        let name =
            |placeholder: &str| body["ExpressionAttributeNames"][placeholder].as_str().unwrap().to_owned();
        let value = |placeholder: &str| body["ExpressionAttributeValues"][placeholder].clone();
        let mut items = self.0.lock().unwrap();
        let old = items.get(id).cloned();
        let mut item = old.clone().unwrap_or_default();
        let number = |value: &Value| value["N"].as_str().unwrap().parse::<i64>().unwrap();
        let below = |name: &str, limit: &str| {
            item.get(name).is_some_and(|stored| number(stored) < number(&value(limit)))
        };
        let holds = match body["ConditionExpression"].as_str() {
            None => true,
            Some("#leased_by = :holder") => item.get("leased_by") == Some(&value(":holder")),
            Some("attribute_not_exists(#leased_until) OR #leased_until < :now") => {
                !item.contains_key("leased_until") || below("leased_until", ":now")
            }
            Some(
                "attribute_not_exists(#posts) OR #posts < :last OR (#posts < :most AND #posted_at <= :before)",
            ) => {
                !item.contains_key("posts")
                    || below("posts", ":last")
                    || (below("posts", ":most") && number(&item["posted_at"]) <= number(&value(":before")))
            }
            Some(other) => panic!("the table knows no condition {other}"),
        };
        if !holds {
            return (400, condition_failed(old.map(Value::Object)));
        }
        item.insert("id".to_owned(), json!({ "S": id }));
        let expression = format!(" {}", body["UpdateExpression"].as_str().unwrap());
        let (sets, removes) = expression.split_once(" REMOVE ").unwrap_or((&expression, ""));
        for set in sets.trim_start_matches(" SET ").split(", #").filter(|set| !set.is_empty()) {
            let (left, right) = set.split_once(" = ").unwrap();
            let left = name(&format!("#{}", left.trim_start_matches('#')));
            match right.strip_prefix("if_not_exists(") {
                Some(rest) => {
                    let (absent, added) = rest.split_once(')').unwrap();
                    let absent = value(absent.split_once(", ").unwrap().1);
                    let stored = item.entry(left).or_insert(absent);
                    if let Some(added) = added.strip_prefix(" + ") {
                        let sum = number(stored) + number(&value(added));
                        *stored = json!({ "N": sum.to_string() });
                    }
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
pub(super) struct Vendor {
    server: Receiver,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Deref for Vendor {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.server
    }
}

impl Vendor {
    async fn answering(usual: ResponseTemplate) -> Self {
        let (server, taken) = (Receiver::start().await, Arc::<Mutex<Vec<Value>>>::default());
        let record = Arc::clone(&taken);
        let take = move |request: &Request| {
            record.lock().unwrap().push(request.body_json().unwrap());
            usual.clone()
        };
        server.answer(Mock::given(any()), take).await;
        Self { server, taken }
    }

    /// Gives these answers first.
    pub(super) async fn script(&self, answers: Vec<ResponseTemplate>) {
        self.answer_once(|| Mock::given(any()), answers).await;
    }

    /// What was taken does, in turn.
    pub(super) async fn actions(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|event| event["event_action"].as_str().unwrap().to_owned()).collect()
    }

    /// What is open, by routing key and dedup key.
    pub(super) async fn open_alerts(&self) -> Vec<(String, String)> {
        let mut open = BTreeSet::new();
        for event in self.taken.lock().unwrap().iter() {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let alert = (text("routing_key"), text("dedup_key"));
            match event["event_action"].as_str().unwrap() {
                "trigger" => open.insert(alert),
                "resolve" => open.remove(&alert),
                "acknowledge" => open.contains(&alert),
                other => panic!("{other}"),
            };
        }
        open.into_iter().collect()
    }
}
