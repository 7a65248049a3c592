//! The first runs of the syncs that read a recreated view: a definition that selects other records shows only in them.

use jiff::{SignedDuration, Timestamp};

use super::{Record, State, Target};
use crate::observation::{Run, RunHistory, RunStatus, SyncObservation};
use crate::text::grouped;

/// A first run may move so many times as many records as the largest of the newest runs before.
const USUAL_RUNS: u64 = 3;
/// The first runs are awaited for so long after the act.
const WATCHED_FOR: SignedDuration = SignedDuration::from_hours(48);

/// Returns whether the first runs after a view was recreated are still to be judged.
pub fn is_watched(record: &Record, now: Timestamp) -> bool {
    let recent = record.acted_at.is_some_and(|acted| now.duration_since(acted) < WATCHED_FOR);
    let ended = matches!(record.state, State::Healed | State::Failed);
    let view = matches!(record.plan.target, Target::View { .. });
    view && ended && recent && !record.looked && record.harm.is_none() && !record.readers.is_empty()
}

/// Returns the record after the first runs of the syncs that read its view were judged; `None` while one of them is awaited or
/// unknown, unless another one did harm.
pub fn watched(record: &Record, readers: &[(String, Result<SyncObservation, String>)]) -> Option<Record> {
    let acted = record.acted_at?;
    let judged = |key: &String| {
        let (_, seen) = readers.iter().find(|(known, _)| known == key)?;
        first_run(key, seen.as_ref().ok()?.runs.as_ref().ok()?, acted)
    };
    let judged: Vec<Option<Result<(), String>>> = record.readers.iter().map(judged).collect();
    let harm = judged.iter().flatten().find_map(|judged| judged.clone().err());
    let complete = judged.iter().all(Option::is_some);
    (complete || harm.is_some()).then(|| Record {
        looked: true,
        harm,
        version: record.version + 1,
        ..record.clone()
    })
}

/// Judges the runs from the act to the first completed one; `Err` is harm, `None` if there is none yet, or no usual amount is
/// known.
fn first_run(key: &str, history: &RunHistory, acted: Timestamp) -> Option<Result<(), String>> {
    let (mut after, before): (Vec<&Run>, Vec<&Run>) =
        history.runs.iter().partition(|run| run.created_at > acted);
    let completed = |run: &&Run| run.status == RunStatus::Completed;
    let usual = before.into_iter().filter(completed).filter_map(moved).max().filter(|usual| *usual > 0)?;
    after.sort_by_key(|run| run.id);
    for run in after {
        if let Some(moved) = moved(run).filter(|moved| *moved > usual.saturating_mul(USUAL_RUNS)) {
            return Some(Err(format!(
                "run {} of {key}, the first with the recreated view, moved {} records, more than {USUAL_RUNS} times the usual {}",
                run.id,
                grouped(moved),
                grouped(usual)
            )));
        }
        if completed(&run) {
            return Some(Ok(()));
        }
    }
    None
}

/// The records that a run moved; a working run counts what it has moved so far.
fn moved(run: &Run) -> Option<u64> {
    run.counts.processed.or(run.counts.updated)
}
