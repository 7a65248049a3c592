//! The SNS topic to which notices go.
//!
//! SNS answers a message beyond its limits with an error at best, and drops parts of it silently at worst (a body for
//! an unknown protocol is ignored); emulators check next to nothing. So [`check_limits`] checks them all, and first.

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

/// Why SNS would not take a message, or would not deliver it as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The Subject is empty, too long, not ASCII, begins with a space, or has control characters.
    #[error(
        "the Subject {subject:?} must be 1 to 99 printable ASCII characters that do not begin with a space"
    )]
    Subject { subject: String },
    /// The body `default` is missing.
    #[error("the body `default` is missing")]
    NoDefault,
    /// A body for a protocol that SNS does not know.
    #[error("SNS knows no protocol {protocol:?}")]
    UnknownProtocol { protocol: &'static str },
    /// An attribute's name is not as SNS allows, or its value is empty.
    #[error("the attribute {name:?} needs a value, and a name of letters, digits, `_`, `-` and single `.`")]
    Attribute { name: &'static str },
    #[error("{found} attributes are more than {ATTRIBUTES_LIMIT}")]
    TooManyAttributes { found: usize },
    /// The bodies and attributes together are too large.
    #[error("{found} bytes of bodies and attributes are more than {TOTAL_LIMIT}")]
    TooLarge {
        /// How many bytes there are.
        found: usize,
    },
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is beyond the limits of SNS, so it was not sent.
    #[error(
        "topic {arn}: the message was not sent, for {limit}. This is a defect of Syncwatch: please report it"
    )]
    Limit { arn: String, limit: LimitError },
    /// AWS did not take it.
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
            .message(bodies(message));
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

/// Whether SNS takes this message and delivers it as it is meant.
pub fn check_limits(message: &Message) -> Result<(), LimitError> {
    let subject = &message.subject;
    let printable = subject.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    if !printable || subject.is_empty() || subject.starts_with(' ') || subject.len() >= SUBJECT_LIMIT {
        return Err(LimitError::Subject { subject: subject.clone() });
    }
    if !message.bodies.contains_key("default") {
        return Err(LimitError::NoDefault);
    }
    if let Some(protocol) = message.bodies.keys().find(|key| **key != "default" && !PROTOCOLS.contains(key)) {
        return Err(LimitError::UnknownProtocol { protocol });
    }
    if message.attributes.len() > ATTRIBUTES_LIMIT {
        return Err(LimitError::TooManyAttributes { found: message.attributes.len() });
    }
    if let Some((name, _)) =
        message.attributes.iter().find(|(name, value)| value.is_empty() || !is_attribute_name(name))
    {
        return Err(LimitError::Attribute { name });
    }
    let attributes = message.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
    let found = bodies(message).len() + attributes.sum::<usize>();
    if found > TOTAL_LIMIT {
        return Err(LimitError::TooLarge { found });
    }
    Ok(())
}

/// The JSON object that carries one string for each protocol.
fn bodies(message: &Message) -> String {
    let bodies = message.bodies.iter().map(|(protocol, body)| ((*protocol).to_owned(), body.as_str().into()));
    serde_json::Value::Object(bodies.collect()).to_string()
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
