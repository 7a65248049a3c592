//! What the queue hands over: messages, each with a notice in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::notice::{Body, BodyError};

use crate::route::Place;

/// A message of the queue, as Lambda's event source hands it over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub message_id: String,
    pub body: String,
}

/// What Lambda's event source reads: the messages that are to be tried again. It asks for `ReportBatchItemFailures` in
/// the event source mapping, without which Lambda deletes the whole batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The messages that are to be tried again.
    pub batch_item_failures: Vec<Failure>,
}

/// A message that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub item_identifier: String,
}

impl Answer {
    /// The answer that names these messages.
    pub fn naming<'a>(failed: impl IntoIterator<Item = &'a str>) -> Self {
        let name = |id: &str| Failure { item_identifier: id.to_owned() };
        Self { batch_item_failures: failed.into_iter().map(name).collect() }
    }
}

/// Why an event is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("the event is neither a batch of the queue (`Records`) nor {{\"task\": \"ping\"}}")]
    Unknown,
    /// A record lacks what every message of a queue has. Without its id nobody could ask for it again, so all of them fail.
    #[error("the batch holds what is no message of a queue: {0}")]
    NoMessage(#[source] serde_json::Error),
}

/// Why a message holds no notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no notice of the version that is understood.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Without a key, PagerDuty would open an alert that nobody can resolve.
    #[error(
        "the notice has no dedup_key; only notices of Syncwatch belong on this queue, so look for its sender"
    )]
    NoKey,
}

/// Reads what the function was called with.
///
/// # Errors
/// See [`EventError`].
pub fn read_event(mut event: Value) -> Result<Vec<Record>, EventError> {
    let records = event.get_mut("Records").map(Value::take).ok_or(EventError::Unknown)?;
    serde_json::from_value(records).map_err(EventError::NoMessage)
}

/// Reads the notice in a message: within the envelope of SNS, or bare if the subscription delivers it raw.
///
/// # Errors
/// See [`Unreadable`].
pub fn read_notice(body: &str) -> Result<Body, Unreadable> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "Type")]
        kind: String,
        #[serde(rename = "Message")]
        message: String,
    }
    let envelope = serde_json::from_str(body).ok();
    let envelope = envelope.filter(|Envelope { kind, .. }| kind == "Notification");
    let notice = match &envelope {
        Some(Envelope { message, .. }) => Body::parse(message)?,
        None => Body::parse(body)?,
    };
    if notice.dedup_key.trim().is_empty() {
        return Err(Unreadable::NoKey);
    }
    Ok(notice)
}

/// Puts notices in the order in which they are to be told: those of one key side by side, the oldest first.
pub fn put_in_order<T>(notices: &mut [(T, Body)]) {
    notices.sort_by(|(_, a), (_, b)| (&a.dedup_key, Place::of(a)).cmp(&(&b.dedup_key, Place::of(b))));
}

#[cfg(test)]
mod tests;
