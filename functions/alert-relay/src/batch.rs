//! The notices in the messages of the queue.

use serde::Deserialize;
use syncwatch::notice::Body;
use syncwatch::runtime::batch::Message;

use crate::route::Place;

/// Reads the notice in a message: within the envelope of SNS, or bare if the subscription delivers it raw.
fn read_notice(body: &str) -> anyhow::Result<Body> {
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
    // Without a key, PagerDuty would open an alert that cannot be resolved.
    anyhow::ensure!(
        !notice.dedup_key.trim().is_empty(),
        "the notice has no dedup_key; only notices of Syncwatch belong on this queue, so look for its sender"
    );
    Ok(notice)
}

/// The notices of a batch, in the order in which they are to be sent.
#[derive(Debug)]
pub struct Batch<'m> {
    /// By the id of their message. Those of one key side by side, the oldest first.
    pub notices: Vec<(&'m str, Body)>,
    /// Messages that hold no notice. They are logged, and end as dead letters.
    pub unreadable: Vec<&'m str>,
}

impl<'m> Batch<'m> {
    /// Reads the messages.
    pub fn of(messages: &'m [Message]) -> Self {
        let mut batch = Self { notices: Vec::new(), unreadable: Vec::new() };
        for Message { id, body, .. } in messages {
            match read_notice(body) {
                Ok(notice) => batch.notices.push((id, notice)),
                Err(why) => {
                    tracing::error!(message = %id, "not a notice, so it will end as a dead letter: {why}");
                    batch.unreadable.push(id);
                }
            }
        }
        batch
            .notices
            .sort_by(|(_, a), (_, b)| (&a.dedup_key, Place::of(a)).cmp(&(&b.dedup_key, Place::of(b))));
        batch
    }
}

#[cfg(test)]
mod tests;
