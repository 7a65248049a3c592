//! The SNS topic to which notices go.
//!
//! SNS answers a message beyond its limits with an error at best, and drops parts of it silently at worst (a body for
//! an unknown protocol is ignored); emulators check next to nothing. So [`check_limits`] checks them all, and first.

use std::collections::BTreeMap;

use aws_sdk_sns::types::MessageAttributeValue;

use super::error::{AwsError, Kind};
use crate::notice::Message;

/// A Subject has less than 100 characters (AWS SNS API reference, `Publish`).
const SUBJECT_LIMIT: usize = 100;
/// All bodies and attributes together.
const TOTAL_LIMIT: usize = 262_144;
/// More than ten attributes make SNS drop the message for subscriptions with raw delivery.
const ATTRIBUTES_LIMIT: usize = 10;
/// The keys that SNS knows beside `default`. It ignores any other.
const PROTOCOLS: &[&str] =
    &["application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"];

const TOPIC: Kind = Kind { name: "topic", correct: "SYNCWATCH_TOPIC_ARN (infra/functions.json)" };

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(
        "topic {arn}: the message was not sent, for {limit}. This is a defect of Syncwatch: please report it"
    )]
    Limit { arn: String, limit: String },
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// Publishes notices to one topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    /// The topic with this ARN.
    pub fn new(client: aws_sdk_sns::Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes one message and answers with the id that SNS gave it.
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
            // The builder refuses only a missing data type, which is there.
            if let Ok(value) = value {
                request = request.message_attributes(*name, value);
            }
        }
        let answer = request.send().await.map_err(|error| TOPIC.failed(&self.arn, "sns:Publish", &error))?;
        Ok(answer.message_id.unwrap_or_default())
    }
}

/// Whether SNS takes this message and delivers it as it is meant; else which limit it is beyond.
pub fn check_limits(message: &Message) -> Result<(), String> {
    let Message { subject, bodies, attributes } = message;
    let printable = subject.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    if !printable || subject.is_empty() || subject.starts_with(' ') || subject.len() >= SUBJECT_LIMIT {
        return Err(format!(
            "the Subject {subject:?} must be 1 to 99 printable ASCII characters that do not begin with a space"
        ));
    }
    if !bodies.contains_key("default") {
        return Err("the body `default` is missing".to_owned());
    }
    if let Some(protocol) = bodies.keys().find(|key| **key != "default" && !PROTOCOLS.contains(key)) {
        return Err(format!("SNS knows no protocol {protocol:?}"));
    }
    if attributes.len() > ATTRIBUTES_LIMIT {
        return Err(format!("{} attributes are more than {ATTRIBUTES_LIMIT}", attributes.len()));
    }
    if let Some((name, _)) =
        attributes.iter().find(|(name, value)| value.is_empty() || !is_attribute_name(name))
    {
        return Err(format!(
            "the attribute {name:?} needs a value, and a name of letters, digits, `_`, `-` and single `.`"
        ));
    }
    let attributes = attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
    let found = joined(bodies).len() + attributes.sum::<usize>();
    if found > TOTAL_LIMIT {
        return Err(format!("{found} bytes of bodies and attributes are more than {TOTAL_LIMIT}"));
    }
    Ok(())
}

/// The JSON object that carries one string for each protocol.
fn joined(bodies: &BTreeMap<&'static str, String>) -> String {
    serde_json::json!(bodies).to_string()
}

/// Letters, digits, `_`, `-` and `.`, no dot at either end or beside another, none of the reserved prefixes.
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
