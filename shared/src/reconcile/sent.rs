//! The work of the syncs of an object: until when a change must have arrived, and which records were rejected.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::kind::KeyKind;
use super::object::Object;
use super::verdict::NotCompared;
use crate::classify::{ErrorClass, classify_record};
use crate::observation::{RejectedRecord, Run, RunHistory, RunStatus};

/// A change shortly before the start of a run may not be visible to it.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// The work of the syncs of an object, as far as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The start of the last successful run of each sync that was read (UTC); `None` if no run that was read succeeded.
    pub runs: BTreeMap<String, Option<Timestamp>>,
    /// The start of the newest successful run of each sync that moved records, or may have (UTC).
    pub moved: BTreeMap<String, Timestamp>,
    /// The records that the newest runs rejected, by key as the sides are joined.
    pub rejected: BTreeMap<String, ErrorClass>,
}

impl Sent {
    /// Adds the newest runs of a sync.
    pub fn add_runs(&mut self, sync: &str, history: &RunHistory) {
        let successful = || history.runs.iter().filter(|run| run.status == RunStatus::Completed);
        self.runs.insert(sync.to_owned(), successful().map(|run| run.created_at).max());
        let may_have_moved =
            |run: &&Run| run.counts.updated.or(run.counts.processed).is_none_or(|records| records > 0);
        if let Some(moved) = successful().filter(may_have_moved).map(|run| run.created_at).max() {
            self.moved.insert(sync.to_owned(), moved);
        }
    }

    /// Adds rejected records whose identifiers are keys of this kind.
    pub fn add_rejected(&mut self, kind: KeyKind, records: &[RejectedRecord]) {
        for record in records {
            if let Some(key) = &record.identifier {
                self.rejected.insert(kind.joined(key), classify_record(record).class);
            }
        }
    }

    /// The last successful runs of an object's syncs that were read.
    fn of<'s>(&'s self, object: &'s Object) -> impl Iterator<Item = Option<Timestamp>> + 's {
        object.syncs.iter().filter_map(|sync| self.runs.get(sync).copied())
    }
}

/// The instants by which the rows of an object are judged (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// A change of the source after it is pending.
    pub settled: Timestamp,
    /// A pending change at or before it is late.
    pub late: Option<Timestamp>,
    /// A change after it was in no successful run of each sync.
    pub ran: Option<Timestamp>,
}

/// Only `settled`: nothing is late.
impl From<Timestamp> for Horizon {
    fn from(settled: Timestamp) -> Self {
        Self { settled, late: None, ran: None }
    }
}

impl Horizon {
    /// Finds the instants: `settled` is the earliest of the start of the last successful run of each sync, less two minutes, and
    /// now less `settle`. The copy's last sync is the third bound; the statements read it. A sync without a successful run leaves
    /// every change pending; one that was not read sets no bound.
    pub fn of(object: &Object, sent: &Sent, now: Timestamp) -> Self {
        let before =
            |instant: Timestamp, by: SignedDuration| instant.saturating_sub(by).unwrap_or(Timestamp::MIN);
        let ran =
            sent.of(object).map(|run| run.map_or(Timestamp::UNIX_EPOCH, |run| before(run, MARGIN))).min();
        let settle = before(now, object.settle);
        Self {
            settled: ran.map_or(settle, |ran| ran.min(settle)),
            late: object.pending_for.map(|limit| before(now, limit)),
            ran,
        }
    }
}

/// Checks that the copy is not older than the newest run that moved records by more than its limit: a copy syncs only rows that
/// changed, so it may be old on a quiet day. If no run was read, its age now counts.
///
/// # Errors
/// It is older: a comparison would show differences that are not in the destination.
pub fn check_copy(
    object: &Object,
    sent: &Sent,
    copied: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), NotCompared> {
    let moved = object.syncs.iter().filter_map(|sync| sent.moved.get(sync).copied()).max();
    let newest = if sent.of(object).next().is_none() { Some(now) } else { moved };
    match (copied, newest) {
        (Some(copied), Some(newest)) if newest.duration_since(copied) > object.copy_limit => {
            Err(NotCompared::Stale { copied, newest, limit: object.copy_limit })
        }
        _ => Ok(()),
    }
}
