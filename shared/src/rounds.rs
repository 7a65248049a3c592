//! Records that whole rounds leave behind, by which others judge whether they happen. Pure.

use jiff::Timestamp;

use crate::observation::{DeadLetters, TopicSubscribers};

/// The record of the last whole round of data checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedRound {
    /// When it began (UTC).
    pub at: Timestamp,
    pub checks: Vec<String>,
}

/// What is recorded of the snapshots of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// When the last whole one began that was written (UTC); `None` if none ever was.
    pub written_at: Option<Timestamp>,
    /// Why the one after it was not.
    pub failure: Option<SnapshotFailure>,
    /// Why the last one that was written has not the state of the data, in words; `None` if it has.
    pub without_data: Option<String>,
}

/// What became of a whole snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotOutcome {
    Written {
        /// When it began (UTC).
        at: Timestamp,
        /// What became of the figures of the data.
        data: SnapshotData,
    },
    Failed(SnapshotFailure),
}

/// What became of the figures of the data in a snapshot that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotData {
    /// They are there, or `pipeline.toml` names no view of them.
    There,
    /// They are not, in words why.
    Missing(String),
    /// The warehouse did not answer in that moment, and the next snapshot of the same day asks again: what was known
    /// before stands.
    AsBefore,
}

/// A snapshot that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFailure {
    /// When it began (UTC).
    pub at: Timestamp,
    pub what: String,
    /// Whether it is the warehouse as a whole, which has a finding of its own.
    pub of_warehouse: bool,
}

/// What is recorded of webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookRecord {
    /// When the newest one was handled that the intake accepted (UTC).
    pub accepted_at: Option<Timestamp>,
    /// When the newest one was refused that looks like one of Census about a declared sync, and why, by the intake's own word.
    pub refused: Option<(Timestamp, String)>,
}

/// What Syncwatch left behind of itself; or why that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Itself {
    pub dead_letters: Vec<DeadLetters>,
    /// Of each topic.
    pub subscribers: Vec<TopicSubscribers>,
    /// The last whole round of data checks, if there was one.
    pub validated: Result<Option<ValidatedRound>, String>,
    /// What is recorded of snapshots, if anything.
    pub snapshot: Result<Option<SnapshotRecord>, String>,
    /// What is recorded of webhooks, if any was ever taken in or refused.
    pub webhooks: Result<Option<WebhookRecord>, String>,
    /// When runs ended of which webhooks should have told by now (UTC): the newest few.
    pub ended: Vec<Timestamp>,
}
