//! The notices in the messages of the queue.

use serde::Deserialize;
use syncwatch::notice::{Body, BodyError};

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
