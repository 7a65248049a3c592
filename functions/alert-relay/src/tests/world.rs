//! The parts of AWS, PagerDuty and chats that the function uses, on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use syncwatch::aws::Sdk;
use syncwatch::finding::Severity;
use syncwatch::notice::Body;
use syncwatch::pipeline::{ChannelKind, Channels, Contact, Pipeline};
use syncwatch::runtime::{Site, env};
use syncwatch_testing::{Asked, Receiver, condition_failed, of_aws, text};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt;
use wiremock::matchers::{any, path};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::App;
use crate::post::Patience;
use crate::tests::samples::{channel, chat, impatient, mail, mail_to, pagerduty};

pub(super) const OLD_KEY: &str = "0123456789abcdef0123456789ABCDEF";
pub(super) const NEW_KEY: &str = "R123456789abcdef0123456789ABCDEF";
pub(super) const SALES_KEY: &str = "S123456789abcdef0123456789ABCDEF";
const DEAD_LETTERS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/syncwatch-notices-relay-dead";
pub(super) const CHAT_PATH: &str = "/services/T000/B000/hunter2";
const SALES_PATH: &str = "/workflows/0/triggers/manual/paths/invoke?sig=hunter3";
const SES_PATH: &str = "/v2/email/outbound-emails";
/// The Slack user group of every owner.
pub(super) const SLACK: &str = "S0123ABCDE";
/// The owners, each with the names of the own channels.
const OWNERS: [(&str, &[&str]); 5] = [
    ("Sales", &["sales-chat", "sales-pager"]),
    ("Support", &["sales-chat"]),
    ("Night shift", &["sales-pager"]),
    ("Finance", &[]),
    ("Legal", &["legal-mail"]),
];

pub(super) fn now() -> Timestamp {
    "2026-11-24T11:13:00Z".parse().unwrap()
}

/// The default pager and the default chat.
pub(super) fn both() -> Channels {
    Channels(vec![chat(), pagerduty()])
}

/// The default chat and the default mail channel, and that of an owner.
pub(super) fn mailed() -> Channels {
    Channels(vec![chat(), mail_to("legal-mail", "legal@example.com"), mail()])
}

/// The default channels, and a chat and a pager of owners.
pub(super) fn all() -> Channels {
    let sales_chat = channel("sales-chat", ChannelKind::Teams, Severity::Warning);
    let sales_pager = channel("sales-pager", ChannelKind::PagerDuty, Severity::Critical);
    Channels(vec![chat(), pagerduty(), sales_chat, sales_pager])
}

/// The messages that are to be retried.
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
    pub(super) sales_chat: Vendor,
}

impl World {
    pub(super) async fn start(channels: Channels) -> Self {
        Self::with_patience(channels, impatient()).await
    }

    pub(super) async fn with_patience(channels: Channels, patience: Patience) -> Self {
        LazyLock::force(&LISTENING);
        let (aws, items) = (Receiver::start().await, Items::default());
        aws.answer(Mock::given(any()), items.clone()).await;
        aws.answer(Mock::given(path(SES_PATH)), text(200, json!({ "MessageId": "m-1" }))).await;
        let pagerduty = Vendor::answering(text(202, r#"{"status":"success"}"#)).await;
        let chat = Vendor::answering(text(200, "ok")).await;
        let sales_chat = Vendor::answering(text(202, "")).await;
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
        pipeline.contacts.extend(OWNERS.map(|(name, channels)| Contact {
            name: name.to_owned(),
            channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
            slack: Some(SLACK.to_owned()),
            ..Contact::default()
        }));
        let site = Site::with(settings, pipeline, Sdk::for_endpoint(&aws.uri()).unwrap());
        let app = App::new(site, patience).unwrap();
        let world = Self { app, aws, items, pagerduty, chat, sales_chat };
        world.put_secret("pagerduty", OLD_KEY).await;
        world.put_secret("chat", &format!("{}{CHAT_PATH}\n", world.chat.uri())).await;
        world
    }

    /// Answers the next mails with these.
    pub(super) async fn script_mails(&self, answers: Vec<ResponseTemplate>) {
        self.aws.answer_once(|| Mock::given(path(SES_PATH)), answers).await;
    }

    /// The mails that SES was sent, also those that it refused.
    pub(super) async fn mails(&self) -> Vec<Value> {
        let requests = self.aws.requests().await;
        requests.iter().filter(|request| request.url.path() == SES_PATH).map(Asked::json).collect()
    }

    /// All channels, each with a value in its secret.
    pub(super) async fn with_owners() -> Self {
        let world = Self::start(all()).await;
        let key = json!({ "current": OLD_KEY, "channels": { "sales-pager": SALES_KEY } });
        world.put_secret("pagerduty", &key.to_string()).await;
        world.put_chat_secret(&json!({ "sales-chat": world.sales_address() })).await;
        world
    }

    pub(super) fn sales_address(&self) -> String {
        format!("{}{SALES_PATH}", self.sales_chat.uri())
    }

    /// Stores the address of the default chat, with these values of other channels.
    pub(super) async fn put_chat_secret(&self, channels: &Value) {
        let current = format!("{}{CHAT_PATH}", self.chat.uri());
        self.put_secret("chat", &json!({ "current": current, "channels": channels }).to_string()).await;
    }

    /// The notices that arrived so far, as `destination: action`, sorted. A routing key is the destination of an event.
    pub(super) async fn arrived(&self) -> Vec<String> {
        let mut arrived = Vec::new();
        for (name, chat) in [("chat", &self.chat), ("sales chat", &self.sales_chat)] {
            arrived.extend(chat.requests().await.iter().map(|_| name.to_owned()));
        }
        arrived.extend(self.pagerduty.bodies().await.iter().map(|event| {
            let key = match event["routing_key"].as_str() {
                Some(OLD_KEY) => "pager",
                Some(SALES_KEY) => "sales pager",
                other => panic!("unknown routing key {other:?}"),
            };
            format!("{key}: {}", event["event_action"].as_str().unwrap())
        }));
        arrived.extend(
            self.mails()
                .await
                .iter()
                .map(|mail| format!("mail to {}", mail["Destination"]["ToAddresses"][0].as_str().unwrap())),
        );
        arrived.sort();
        arrived
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

    /// The messages among the dead letters.
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

    /// The calls of AWS, with the name of the secret that a call read.
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
            other => panic!("the function lacks the permission for {other}"),
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
        let met = match body["ConditionExpression"].as_str() {
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
            Some(other) => panic!("unknown condition {other}"),
        };
        if !met {
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

/// A vendor that accepts everything, after the answers of its script.
pub(super) struct Vendor {
    server: Receiver,
    accepted: Arc<Mutex<Vec<Value>>>,
}

impl Deref for Vendor {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.server
    }
}

impl Vendor {
    async fn answering(usual: ResponseTemplate) -> Self {
        let (server, accepted) = (Receiver::start().await, Arc::<Mutex<Vec<Value>>>::default());
        let record = Arc::clone(&accepted);
        let accept = move |request: &Request| {
            record.lock().unwrap().push(request.body_json().unwrap());
            usual.clone()
        };
        server.answer(Mock::given(any()), accept).await;
        Self { server, accepted }
    }

    /// Answers with these first.
    pub(super) async fn script(&self, answers: Vec<ResponseTemplate>) {
        self.answer_once(|| Mock::given(any()), answers).await;
    }

    /// The actions of the accepted events, in order.
    pub(super) async fn actions(&self) -> Vec<String> {
        let accepted = self.accepted.lock().unwrap();
        accepted.iter().map(|event| event["event_action"].as_str().unwrap().to_owned()).collect()
    }

    /// The open alerts, by routing key and dedup key.
    pub(super) async fn open_alerts(&self) -> Vec<(String, String)> {
        let mut open = BTreeSet::new();
        for event in self.accepted.lock().unwrap().iter() {
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

/// Without any subscriber, `tracing` turns a line of code off when a thread first logs there, which may be during [`Log::start`]
/// of another thread. This one keeps all lines on, and drops what they write.
static LISTENING: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(fmt().with_writer(io::sink).finish()));

/// The log of this thread, as long as this lives.
pub(super) struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Log {
    pub(super) fn start() -> Self {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let written = Arc::clone(&text);
        let log = fmt().json().with_writer(move || Writer(Arc::clone(&written))).finish();
        Self { text, _guard: tracing::subscriber::set_default(log) }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
