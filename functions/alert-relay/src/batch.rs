//! The notices in the messages of the queue.

use serde::Deserialize;
use syncwatch::notice::{Body, BodyError};
use syncwatch::runtime::batch::Message;

use crate::route::Place;

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

/// Reads the notice in a message: within the envelope of SNS, or bare if the subscription delivers it raw.
///
/// # Errors
/// See [`Unreadable`].
fn read_notice(body: &str) -> Result<Body, Unreadable> {
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

/// The notices of a batch, in the order in which they are to be sent.
#[derive(Debug)]
pub struct Batch<'m> {
    /// By the id of their message. Those of one key side by side, the oldest first.
    pub notices: Vec<(&'m str, Body)>,
    /// Messages that hold no notice. They are logged, and end as dead letters.
    pub unreadable: Vec<&'m str>,
}

impl<'m> Batch<'m> {
    /// Reads the messages of a batch.
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
