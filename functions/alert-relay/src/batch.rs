//! Reads the notices in the messages of the queue.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use syncwatch::notice::Body;
use syncwatch::runtime::batch::Message;

use crate::route::Place;

/// A notice of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued<'m> {
    /// The id of its message.
    pub message: &'m str,
    /// The unchanged message.
    pub text: &'m str,
    pub notice: Body,
    /// When the relay gave it up (UTC), if it comes from the dead letters.
    pub parked_at: Option<Timestamp>,
}

impl Queued<'_> {
    /// The name under which its posts are counted: its key and place, and when it was parked, so that a redrive counts from 1.
    pub fn post(&self) -> String {
        let Body { dedup_key, generation, sequence, opened_at, .. } = &self.notice;
        let parked = self.parked_at.map(|at| format!("@{at}")).unwrap_or_default();
        format!("{dedup_key}#{generation}.{sequence}@{opened_at}{parked}")
    }

    /// The message for the dead letters: in an envelope like that of SNS, with the time at which it was given up.
    pub fn parked(&self, at: Timestamp) -> String {
        let envelope = serde_json::from_str(self.text).ok().filter(Value::is_object);
        let envelope = envelope.filter(|envelope: &Value| envelope.get("Type") == Some(&json!(NOTIFICATION)));
        let mut envelope = envelope.unwrap_or_else(|| json!({ "Type": NOTIFICATION, "Message": self.text }));
        if let Some(envelope) = envelope.as_object_mut() {
            envelope.insert(PARKED_AT.to_owned(), json!(at));
        }
        envelope.to_string()
    }
}

const NOTIFICATION: &str = "Notification";
const PARKED_AT: &str = "SyncwatchParkedAt";

/// Reads the notice in a message (in the envelope of SNS, or bare if the subscription delivers it raw), and when it was parked.
fn read_notice(body: &str) -> anyhow::Result<(Body, Option<Timestamp>)> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "Type")]
        kind: String,
        #[serde(rename = "Message")]
        message: String,
        #[serde(rename = "SyncwatchParkedAt", default)]
        parked_at: Option<Timestamp>,
    }
    let envelope = serde_json::from_str(body).ok();
    let envelope = envelope.filter(|Envelope { kind, .. }| kind == NOTIFICATION);
    let (notice, parked_at) = match &envelope {
        Some(Envelope { message, parked_at, .. }) => (Body::parse(message)?, *parked_at),
        None => (Body::parse(body)?, None),
    };
    // Without a key, PagerDuty would open an alert that cannot be resolved.
    anyhow::ensure!(
        !notice.dedup_key.trim().is_empty(),
        "the notice has no dedup_key; only notices of Syncwatch belong on this queue, so find its sender"
    );
    Ok((notice, parked_at))
}

/// The notices of a batch, in the order in which they are to be sent.
#[derive(Debug)]
pub struct Batch<'m> {
    /// By key, and the oldest of each key first.
    pub notices: Vec<Queued<'m>>,
    /// Messages without a notice. They are logged, and become dead letters.
    pub unreadable: Vec<&'m str>,
}

impl<'m> Batch<'m> {
    /// Reads and sorts the notices of these messages.
    pub fn of(messages: &'m [Message]) -> Self {
        let mut batch = Self { notices: Vec::new(), unreadable: Vec::new() };
        for Message { id, body, .. } in messages {
            match read_notice(body) {
                Ok((notice, parked_at)) => {
                    batch.notices.push(Queued { message: id, text: body, notice, parked_at });
                }
                Err(why) => {
                    tracing::error!(message = %id, %why, "message is not a notice; it becomes a dead letter");
                    batch.unreadable.push(id);
                }
            }
        }
        batch.notices.sort_by(|a, b| {
            (&a.notice.dedup_key, Place::of(&a.notice)).cmp(&(&b.notice.dedup_key, Place::of(&b.notice)))
        });
        batch
    }
}

#[cfg(test)]
mod tests;
