//! The notices in the messages of the queue.

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
    /// The message as it is.
    pub text: &'m str,
    pub notice: Body,
    /// When the relay gave it up, if it comes from the dead letters (UTC).
    pub parked_at: Option<Timestamp>,
}

impl Queued<'_> {
    /// The name under which its posts are counted: its key and place, and another one after each time that a person sends it
    /// again.
    pub fn post(&self) -> String {
        let Body { dedup_key, generation, sequence, opened_at, .. } = &self.notice;
        let parked = self.parked_at.map(|at| format!("@{at}")).unwrap_or_default();
        format!("{dedup_key}#{generation}.{sequence}@{opened_at}{parked}")
    }

    /// The message for the dead letters: in an envelope like that of SNS, which says when it was given up.
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

/// Reads the notice in a message: within the envelope of SNS, or bare if the subscription delivers it raw. And when it was
/// parked.
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
        "the notice has no dedup_key; only notices of Syncwatch belong on this queue, so look for its sender"
    );
    Ok((notice, parked_at))
}

/// The notices of a batch, in the order in which they are to be sent.
#[derive(Debug)]
pub struct Batch<'m> {
    /// Those of one key side by side, the oldest first.
    pub notices: Vec<Queued<'m>>,
    /// Messages that hold no notice. They are logged, and end as dead letters.
    pub unreadable: Vec<&'m str>,
}

impl<'m> Batch<'m> {
    /// Reads the messages.
    pub fn of(messages: &'m [Message]) -> Self {
        let mut batch = Self { notices: Vec::new(), unreadable: Vec::new() };
        for Message { id, body, .. } in messages {
            match read_notice(body) {
                Ok((notice, parked_at)) => {
                    batch.notices.push(Queued { message: id, text: body, notice, parked_at });
                }
                Err(why) => {
                    tracing::error!(message = %id, "not a notice, so it will end as a dead letter: {why}");
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
