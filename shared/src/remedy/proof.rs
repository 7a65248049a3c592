//! The proof that another run of a sync that may create records cannot create duplicates. Nothing is taken for granted: what is
//! unknown is not shown.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Observed, Record, State};
use crate::baseline::SyncDefinition;
use crate::observation::{Run, RunHistory, RunId, RunStatus};
use crate::pipeline::Sync;
use crate::reconcile::{Object, bare_name};
use crate::text::{counted, minute_utc, words};

/// An older observation proves nothing.
const PROVES_FOR: SignedDuration = SignedDuration::from_mins(10);
/// The queue may be so many times as long as the longest that a recent run worked off.
const USUAL_QUEUES: u64 = 3;
/// The copy is asked for duplicates until so long after the act has ended.
const LOOKED_FOR: SignedDuration = SignedDuration::from_hours(24);
const OPERATION: &str = "upsert";

/// The observations before a run that may create records. `Err` says why something is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When reading began (UTC), by our clock.
    pub at: Timestamp,
    /// Such as `upsert`, in Census's words.
    pub operation: Result<String, String>,
    /// The field of the destination by which the sync matches records.
    pub identifier: Result<String, String>,
    /// The column of the declared key in the copy.
    pub external_id: Result<String, String>,
    /// Whether people declared that the external id is unique in the destination.
    pub declared_unique: bool,
    pub last_run: Result<LastRun, String>,
    /// The usual delay of the copy: `settle` of the object.
    pub delay: SignedDuration,
    pub copy: CopySeen,
    pub queue: Result<Queue, String>,
    /// The most records that one of the newest runs worked off.
    pub usual_queue: Result<u64, String>,
    /// The runs at work of this sync and of those on the same object.
    pub working: Result<Vec<String>, String>,
}

/// The last run that may have created records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    pub id: RunId,
    /// UTC, by Census's clock, as `ended`.
    pub began: Timestamp,
    pub ended: Timestamp,
    /// Records that it wrote.
    pub wrote: u64,
}

/// The copy of the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopySeen {
    /// Records beyond the first of each id, ignoring case.
    pub duplicates: Result<u64, String>,
    /// Records without an id that the syncs made.
    pub null_ids: Result<u64, String>,
    /// When it last synced (UTC).
    pub synced: Result<Timestamp, String>,
    /// Records that were created during the last run.
    pub created: Result<u64, String>,
}

impl CopySeen {
    /// Nothing of it is known, for this reason.
    pub fn unknown(why: &str) -> Self {
        let why = || why.to_owned();
        Self { duplicates: Err(why()), null_ids: Err(why()), synced: Err(why()), created: Err(why()) }
    }
}

/// The rows that the sync would create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    pub rows: u64,
    /// Rows whose key is missing, or is that of an earlier row, ignoring case.
    pub without_own_key: u64,
}

impl Proof {
    /// Begins a proof with what Census says; `unread` is why the warehouse is not read yet.
    pub fn begin(
        sync: &Sync,
        object: Result<&Object, String>,
        definition: Result<&SyncDefinition, String>,
        observed: &Observed,
        unread: &str,
    ) -> Self {
        let operation = definition.clone().and_then(|definition| {
            let operation = definition.operation.known();
            operation.cloned().ok_or_else(|| "Census did not state the operation of the sync".to_owned())
        });
        let identifier = definition.and_then(|definition| {
            let mut keys = definition.mappings.known().into_iter().flatten().filter(|mapping| mapping.key);
            match (keys.next(), keys.next()) {
                (Some(key), None) if key.is_column() => Ok(key.to.clone()),
                _ => Err("Census did not state one column as the primary identifier".to_owned()),
            }
        });
        let history = history(observed);
        Self {
            at: observed.at,
            operation,
            identifier,
            external_id: object.clone().map(|object| object.destination.key.clone()),
            declared_unique: sync.unique_external_id,
            last_run: history.clone().and_then(last_run),
            delay: object.map_or(SignedDuration::ZERO, |object| object.settle),
            copy: CopySeen::unknown(unread),
            queue: Err(unread.to_owned()),
            usual_queue: history.and_then(usual_queue),
            working: working(&sync.key, observed),
        }
    }

    /// Returns whether the warehouse can still complete it: all else is shown, and the copy has had time for its delay. Statements
    /// cost money and keep the warehouse awake.
    pub fn needs_warehouse(&self) -> bool {
        let due = self.last_run.as_ref().is_ok_and(|run| self.at > copied_after(run.ended, self.delay));
        due && self.unshown_by_census().is_empty()
    }

    fn unshown_by_census(&self) -> Vec<String> {
        let mut points = Points::default();
        points.show("the operation of the sync", &self.operation, |operation| {
            let is_upsert = operation.eq_ignore_ascii_case(OPERATION);
            (!is_upsert).then(|| format!("the sync's operation is {operation}, not {OPERATION}"))
        });
        points.show("the declared external id", &self.external_id, |_| None);
        points.show("the primary identifier", &self.identifier, |field| {
            let declared = self.external_id.as_ref().ok()?;
            let differs = bare_name(field) != bare_name(declared);
            differs.then(|| format!("the primary identifier is {field}, not the declared {declared}"))
        });
        if !self.declared_unique {
            let missing = "it is not declared that the external id is unique in the destination: check it there, then add \
                           unique_external_id = true to the sync in pipeline.toml";
            points.0.push(missing.to_owned());
        }
        points.show("the last run", &self.last_run, |_| None);
        points.show("the usual length of the queue", &self.usual_queue, |_| None);
        points.show("other runs at work", &self.working, |runs| {
            (!runs.is_empty()).then(|| format!("at work: {}", runs.join(", ")))
        });
        points.0
    }

    fn unshown_by_warehouse(&self) -> Vec<String> {
        let mut points = Points::default();
        let CopySeen { duplicates, null_ids, synced, created } = &self.copy;
        points.show("duplicates in the copy", duplicates, |count| {
            (*count > 0).then(|| format!("the copy has {} of the external id", counted(*count, "duplicate")))
        });
        points.show("records without an id", null_ids, |count| {
            (*count > 0)
                .then(|| format!("the copy has {} of the syncs without an id", counted(*count, "record")))
        });
        points.show("the age of the copy", synced, |synced| {
            let after = copied_after(self.last_run.as_ref().ok()?.ended, self.delay);
            let delay = words(self.delay);
            (*synced <= after).then(|| {
                format!(
                    "the copy last synced at {}, not {delay} after the end of the last run",
                    minute_utc(*synced)
                )
            })
        });
        points.show("records of the last run in the copy", created, |created| {
            let LastRun { id, wrote, .. } = self.last_run.as_ref().ok()?;
            (created < wrote).then(|| format!("the copy has {created} of the {wrote} records of run {id}"))
        });
        points.show("the queue", &self.queue, |queue| {
            let count = queue.without_own_key;
            (count > 0).then(|| format!("{} of the queue without a key of its own", counted(count, "row")))
        });
        points.show("the length of the queue", &self.queue, |queue| {
            let usual = *self.usual_queue.as_ref().ok()?;
            (queue.rows > usual.saturating_mul(USUAL_QUEUES)).then(|| {
                format!(
                    "{} wait, more than {USUAL_QUEUES} times the usual {usual}",
                    counted(queue.rows, "row")
                )
            })
        });
        points.0
    }
}

/// The points that are not shown.
#[derive(Default)]
struct Points(Vec<String>);

impl Points {
    /// Adds a point that is unknown, or that a known value does not show.
    fn show<T>(&mut self, what: &str, seen: &Result<T, String>, fault: impl FnOnce(&T) -> Option<String>) {
        match seen {
            Err(why) => self.0.push(format!("{what}: unknown ({why})")),
            Ok(value) => self.0.extend(fault(value)),
        }
    }
}

/// Returns every point that is not shown, as a sentence; none if another run cannot create duplicates.
pub fn unshown(proof: Option<&Proof>, now: Timestamp) -> Vec<String> {
    let Some(proof) = proof else {
        return vec!["nothing was read to prove that another run cannot create duplicates".to_owned()];
    };
    let mut points = [proof.unshown_by_census(), proof.unshown_by_warehouse()].concat();
    let age = now.duration_since(proof.at);
    if age.abs() > PROVES_FOR {
        points.push(format!("the proof is {} old", words(age)));
    }
    points
}

/// Returns why an act did harm by what its proof and its run say; `None` if it did not.
pub(super) fn harm(record: &Record, ours: &Run, observed: &Observed) -> Option<String> {
    let before = record.proof.as_ref()?.queue.as_ref().ok()?.rows;
    if let Some(wrote) = ours.counts.updated.filter(|wrote| *wrote > before) {
        return Some(format!("run {} wrote {wrote} records, but {before} waited before it", ours.id));
    }
    duplicates(*observed.proof.as_ref()?.copy.duplicates.as_ref().ok()?)
}

/// Returns after which sync of its copy (UTC) the effect of an act is all in it, if the copy is still to be asked for duplicates.
pub fn look_after(record: &Record, now: Timestamp) -> Option<Timestamp> {
    let proof = record.proof.as_ref()?;
    // A refused act started no run, so later duplicates are not its own.
    let ended = matches!(record.state, State::Healed | State::Failed) && record.run.is_some();
    if !ended || record.looked || record.harm.is_some() {
        return None;
    }
    let after = copied_after(record.since(), proof.delay);
    // Later by the delay again, so that one look usually suffices.
    let due = copied_after(after, proof.delay);
    (now > due && now.duration_since(due) < LOOKED_FOR).then_some(after)
}

/// Returns the record after the copy, with its effect, was asked for duplicates.
pub fn looked(record: &Record, copy: &CopySeen, after: Timestamp) -> Option<Record> {
    let (Ok(count), Ok(synced)) = (&copy.duplicates, &copy.synced) else { return None };
    (*synced > after).then(|| Record {
        looked: true,
        harm: duplicates(*count),
        version: record.version + 1,
        ..record.clone()
    })
}

fn duplicates(count: u64) -> Option<String> {
    (count > 0).then(|| format!("the copy has {} of the external id after it", counted(count, "duplicate")))
}

fn copied_after(ended: Timestamp, delay: SignedDuration) -> Timestamp {
    ended.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

fn history(observed: &Observed) -> Result<&RunHistory, String> {
    let sync = observed.sync.as_ref().map_err(Clone::clone)?;
    sync.runs.as_ref().map_err(ToString::to_string)
}

fn last_run(history: &RunHistory) -> Result<LastRun, String> {
    // A skipped run wrote nothing.
    let runs = history.runs.iter().filter(|run| run.status != RunStatus::Skipped);
    let Some(run) = runs.max_by_key(|run| run.id) else {
        return Err("no run of the sync is known".to_owned());
    };
    let Run { id, created_at: began, .. } = *run;
    match (run.status.is_terminal(), run.completed_at, run.counts.updated) {
        (false, ..) => Err(format!("run {id} is {}", run.status)),
        (_, None, _) => Err(format!("Census did not state when run {id} ended")),
        (_, _, None) => Err(format!("Census did not state how many records run {id} wrote")),
        (_, Some(ended), Some(wrote)) => Ok(LastRun { id, began, ended, wrote }),
    }
}

fn usual_queue(history: &RunHistory) -> Result<u64, String> {
    let completed = history.runs.iter().filter(|run| run.status == RunStatus::Completed);
    let most = completed.filter_map(|run| run.counts.processed).max();
    most.ok_or_else(|| "Census stated for no completed run how many records it processed".to_owned())
}

fn working(key: &str, observed: &Observed) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let own = std::iter::once((key, &observed.sync));
    for (key, seen) in own.chain(observed.siblings.iter().map(|(key, seen)| (key.as_str(), seen))) {
        let runs = seen.as_ref().map_err(Clone::clone)?.runs.as_ref().map_err(ToString::to_string)?;
        found.extend(runs.at_work().map(|run| format!("run {} of {key}", run.id)));
    }
    Ok(found)
}
