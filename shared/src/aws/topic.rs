//! The SNS topic that notices are published to.
//!
//! SNS rejects messages beyond some limits and silently drops parts beyond others (it ignores a body for an unknown
//! protocol); emulators check almost none. So [`check_limits`] checks them all before sending.

use std::collections::BTreeMap;

use aws_sdk_sns::types::MessageAttributeValue;

use super::error::{AwsError, Kind};
use crate::notice::Message;
use crate::observation::{Subscribers, TopicSubscribers};

/// A Subject must be shorter than 100 characters (AWS SNS API reference, `Publish`).
const SUBJECT_LIMIT: usize = 100;
/// Bytes of all bodies and attributes together.
const TOTAL_LIMIT: usize = 262_144;
/// With more attributes, SNS drops the message for subscriptions with raw delivery.
const ATTRIBUTES_LIMIT: usize = 10;
/// The keys besides `default` that SNS supports. It ignores others.
const PROTOCOLS: &[&str] =
    &["application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"];

const TOPIC: Kind = Kind { name: "topic", correct: "SYNCWATCH_TOPIC_ARN (infra/functions.json)" };

/// A message that was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("topic {arn}: message not sent: {limit}. This is a bug in Syncwatch: please report it")]
    Limit { arn: String, limit: String },
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// The tag that lists a topic's required subscriptions, set by Terraform (`infra/topics.tf`).
const EXPECTED: &str = "expected-subscribers";

/// One subscription of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub protocol: String,
    /// A mail address, a URL or an ARN. A URL may contain a key: never show it.
    pub endpoint: String,
    pub confirmed: bool,
}

/// Publishes notices to one topic, and reads its subscriptions.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    /// Creates a client for the topic with this ARN.
    pub fn new(client: aws_sdk_sns::Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes one message and returns its SNS id.
    pub async fn publish(&self, message: &Message) -> Result<String, PublishError> {
        check_limits(message).map_err(|limit| PublishError::Limit { arn: self.arn.clone(), limit })?;
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&message.subject)
            .message_structure("json")
            .message(joined(&message.bodies));
        for (name, value) in &message.attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            // The builder fails only without a data type.
            if let Ok(value) = value {
                request = request.message_attributes(*name, value);
            }
        }
        let answer = request.send().await.map_err(|error| TOPIC.failed(&self.arn, "sns:Publish", &error))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Returns the last part of its ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// Lists all subscriptions. A page has up to 100, and an account may request 30 pages per second (AWS SNS API
    /// reference, `ListSubscriptionsByTopic`).
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, AwsError> {
        let mut pages =
            self.client.list_subscriptions_by_topic().topic_arn(&self.arn).into_paginator().send();
        let mut subscriptions = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| TOPIC.failed(&self.arn, "sns:ListSubscriptionsByTopic", &error))?;
            subscriptions.extend(page.subscriptions.unwrap_or_default().into_iter().map(|found| {
                Subscription {
                    protocol: found.protocol.unwrap_or_default(),
                    endpoint: found.endpoint.unwrap_or_default(),
                    // SNS sends `PendingConfirmation` instead of an ARN.
                    confirmed: found.subscription_arn.is_some_and(|arn| arn.starts_with("arn:")),
                }
            }));
        }
        Ok(subscriptions)
    }

    /// Reads the required confirmed subscriptions from its tag; `None` without a readable tag.
    pub async fn needed(&self) -> Result<Option<Subscribers>, AwsError> {
        let answer = self.client.list_tags_for_resource().resource_arn(&self.arn).send().await;
        let answer = answer.map_err(|error| TOPIC.failed(&self.arn, "sns:ListTagsForResource", &error))?;
        let tag = answer.tags.unwrap_or_default().into_iter().find(|tag| tag.key == EXPECTED);
        Ok(tag.and_then(|tag| Subscribers::parse(&tag.value)))
    }

    /// Counts its confirmed subscriptions, beside the required ones.
    pub async fn subscribers(&self) -> TopicSubscribers {
        let counted = |subscriptions: Vec<Subscription>| {
            let confirmed = subscriptions.iter().filter(|subscription| subscription.confirmed);
            Subscribers::counted(confirmed.map(|subscription| subscription.protocol.as_str()))
        };
        // Sequential, on one connection: a handshake costs more than a call.
        let read = async { Ok::<_, AwsError>((self.needed().await?, counted(self.subscriptions().await?))) };
        let found = read.await;
        TopicSubscribers { topic: self.name().to_owned(), found: found.map_err(|error| error.to_string()) }
    }
}

/// Checks that SNS accepts this message and delivers it unchanged; the error names the exceeded limit.
pub fn check_limits(message: &Message) -> Result<(), String> {
    let Message { subject, bodies, attributes } = message;
    let printable = subject.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    if !printable || subject.is_empty() || subject.starts_with(' ') || subject.len() >= SUBJECT_LIMIT {
        return Err(format!(
            "the Subject {subject:?} must be 1 to 99 printable ASCII characters, without a space at the beginning"
        ));
    }
    if !bodies.contains_key("default") {
        return Err("the body `default` is missing".to_owned());
    }
    if let Some(protocol) = bodies.keys().find(|key| **key != "default" && !PROTOCOLS.contains(key)) {
        return Err(format!("SNS does not support the protocol {protocol:?}"));
    }
    if attributes.len() > ATTRIBUTES_LIMIT {
        return Err(format!("{} attributes exceed the limit of {ATTRIBUTES_LIMIT}", attributes.len()));
    }
    if let Some((name, _)) =
        attributes.iter().find(|(name, value)| value.is_empty() || !is_attribute_name(name))
    {
        return Err(format!(
            "the attribute {name:?} needs a value and a name of letters, digits, `_`, `-` and single `.`"
        ));
    }
    let attributes = attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
    let found = joined(bodies).len() + attributes.sum::<usize>();
    if found > TOTAL_LIMIT {
        return Err(format!("{found} bytes of bodies and attributes exceed the limit of {TOTAL_LIMIT}"));
    }
    Ok(())
}

/// Builds the JSON object with one body per protocol.
fn joined(bodies: &BTreeMap<&'static str, String>) -> String {
    serde_json::json!(bodies).to_string()
}

/// Allows letters, digits, `_`, `-` and `.`; no dot at either end or next to another, and no reserved prefix.
fn is_attribute_name(name: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

#[cfg(test)]
mod tests;
