//! Records of whole rounds, by which other functions judge whether these rounds happen. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::observation::{DeadLetters, TopicSubscribers};

/// A status page that was not renewed for so long is out of date.
pub const PAGE_OUT_OF_DATE: SignedDuration = SignedDuration::from_mins(15);

/// The record of the last whole round of data checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedRound {
    /// When it began (UTC).
    pub at: Timestamp,
    pub checks: Vec<String>,
}

/// The record of the comparisons of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReconciledRound {
    /// When the last whole round began (UTC); a round that ran out of time is one. `None` if there was none.
    pub at: Option<Timestamp>,
    /// By the name of the object.
    pub objects: BTreeMap<String, Tried>,
}

/// When an object was last tried, and last compared (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub at: Timestamp,
    pub compared: Option<Timestamp>,
}

impl ReconciledRound {
    /// Records a comparison that began at `now`; the time of the last good one stays.
    pub fn add(&mut self, object: &str, was_compared: bool, now: Timestamp) {
        let before = self.objects.get(object).and_then(|tried| tried.compared);
        let compared = if was_compared { Some(now) } else { before };
        self.objects.insert(object.to_owned(), Tried { at: now, compared });
    }

    /// Returns when an object was last tried; the longest untried one comes first in a round.
    pub fn tried_at(&self, object: &str) -> Option<Timestamp> {
        self.objects.get(object).map(|tried| tried.at)
    }
}

/// The record of the snapshots of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// When the last written snapshot began (UTC); `None` if none was ever written.
    pub written_at: Option<Timestamp>,
    /// Why the snapshot after it was not written.
    pub failure: Option<SnapshotFailure>,
    /// Why the last written snapshot lacks the state of the data; `None` if it has it.
    pub without_data: Option<String>,
}

/// The outcome of a whole snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotOutcome {
    Written {
        /// When it began (UTC).
        at: Timestamp,
        data: SnapshotData,
    },
    Failed(SnapshotFailure),
}

/// The outcome of the data figures in a written snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotData {
    /// They were written, or `pipeline.toml` names no view for them.
    There,
    /// They are missing, with the reason.
    Missing(String),
    /// The warehouse did not answer, and the next snapshot of the same day retries: the earlier record stays valid.
    AsBefore,
}

/// A snapshot that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFailure {
    /// When it began (UTC).
    pub at: Timestamp,
    pub what: String,
    /// Whether the warehouse as a whole failed, which has its own finding.
    pub of_warehouse: bool,
}

/// The record of webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookRecord {
    /// When the newest accepted webhook was processed (UTC).
    pub accepted_at: Option<Timestamp>,
    /// When the newest webhook was refused that appears to be from Census about a declared sync, and the intake's reason.
    pub refused: Option<(Timestamp, String)>,
}

/// The state of Syncwatch itself, or why parts of it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Itself {
    pub dead_letters: Vec<DeadLetters>,
    pub subscribers: Vec<TopicSubscribers>,
    /// The last whole round of data checks, if there was one.
    pub validated: Result<Option<ValidatedRound>, String>,
    /// The record of compared objects, if there is one.
    pub reconciled: Result<Option<ReconciledRound>, String>,
    /// The record of snapshots, if there is one.
    pub snapshot: Result<Option<SnapshotRecord>, String>,
    /// The record of webhooks, if any was ever accepted or refused.
    pub webhooks: Result<Option<WebhookRecord>, String>,
    /// When the status page was last renewed (UTC), if it ever was.
    pub page: Result<Option<Timestamp>, String>,
    /// When the newest few runs ended whose webhooks are due (UTC).
    pub ended: Vec<Timestamp>,
}
