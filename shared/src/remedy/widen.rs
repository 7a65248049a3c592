//! More clusters for the SQL warehouse, for two hours: when they help, and when they are taken away again.
//!
//! The intention to take them away is that of the act itself: its target names both numbers. To set a number is idempotent, so
//! that call is repeated until the number is seen; a number that another party set is left alone.

use jiff::{SignedDuration, Timestamp};

use super::{Health, Observed, Record, Target, UNKNOWN_FOR};
use crate::observation::{Run, RunStatus};
use crate::pipeline::Remedies;

/// The time for which the warehouse has more clusters.
pub const WIDE_FOR: SignedDuration = SignedDuration::from_hours(2);
/// After this long they should have been taken away.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(3);
/// Once they are gone, the fault must be judged within this time after the act.
const JUDGED_WITHIN: SignedDuration = SignedDuration::from_hours(4);
/// The ended runs in a row that must have failed.
const FAILED_RUNS: usize = 3;

/// Returns the present and the wanted number of clusters, if more of them may help: the last runs failed, queries waited because
/// the warehouse was full, and it may have more.
pub(super) fn widened(observed: &Observed, remedies: &Remedies) -> Option<(u32, u32)> {
    let state = observed.warehouse.as_ref().ok().filter(|state| state.is_running())?;
    let (from, to) = (state.max_clusters?, remedies.max_clusters?);
    let runs = &observed.history()?.runs;
    let mut ended: Vec<&Run> = runs.iter().filter(|run| run.status.is_terminal()).collect();
    ended.sort_by_key(|run| std::cmp::Reverse(run.id));
    let failed = ended.iter().take_while(|run| run.status == RunStatus::Failed).count();
    (failed >= FAILED_RUNS && observed.queued.is_some_and(|queued| queued > 0) && from < to)
        .then_some((from, to))
}

/// The numbers of clusters of an act: before it, and by it.
fn clusters(record: &Record) -> Option<(u32, u32)> {
    match record.plan.target {
        Target::Clusters { from, to, .. } => Some((from, to)),
        _ => None,
    }
}

/// The result of the first run since the act that ended; `None` if none did.
fn helped(record: &Record, observed: &Observed) -> Option<bool> {
    let later = |run: &&Run| record.newest_before.is_none_or(|before| run.id > before);
    let ended = |run: &&Run| matches!(run.status, RunStatus::Completed | RunStatus::Failed);
    observed
        .history()?
        .runs
        .iter()
        .filter(later)
        .filter(ended)
        .min_by_key(|run| run.id)
        .map(|run| run.status == RunStatus::Completed)
}

/// Returns why the clusters of an act are taken away now; `None` if they are not, or are not there.
pub fn put_back(record: &Record, observed: &Observed, now: Timestamp) -> Option<&'static str> {
    let (_, to) = clusters(record)?;
    let acted = record.acted_at?;
    if observed.warehouse.as_ref().ok()?.max_clusters != Some(to) {
        return None;
    }
    if helped(record, observed) == Some(false) {
        return Some("the next run failed, too");
    }
    // A clock that was set back must not keep them for ever.
    (now.duration_since(acted).abs() >= WIDE_FOR).then_some("two hours have passed")
}

/// Judges the effect of more clusters: they are gone again, and a run completed while they were there. While they are there, or it
/// is not known whether they are, the act goes on, for however long.
pub(super) fn judged(record: &Record, observed: &Observed, now: Timestamp) -> Health {
    let seen = observed.warehouse.as_ref().ok().and_then(|state| state.max_clusters);
    let (Some((_, to)), Some(acted), Some(seen)) = (clusters(record), record.acted_at, seen) else {
        return Health::Waiting;
    };
    let since = now.duration_since(acted).abs();
    // The vendor may show the new number late.
    if seen == to || since < UNKNOWN_FOR {
        return Health::Waiting;
    }
    match (helped(record, observed), observed.healthy) {
        (Some(true), Some(true)) => {
            Health::Healed(format!("a run completed; the warehouse has up to {seen} clusters"))
        }
        (Some(true), None) if since < JUDGED_WITHIN => Health::Waiting,
        (Some(true), None) => Health::Failed("whether its fault is gone is not known".to_owned()),
        (Some(true), Some(false)) => {
            Health::Failed("a run completed, and the fault is there again".to_owned())
        }
        (Some(false), _) => Health::Failed("the next run failed, too".to_owned()),
        (None, _) => Health::Failed(format!("no run ended before the warehouse had up to {seen} clusters")),
    }
}

/// Returns the harm of clusters that were not taken away in time.
pub(super) fn harm(record: &Record, observed: &Observed, now: Timestamp) -> Option<String> {
    let (from, to) = clusters(record)?;
    let stays = observed.warehouse.as_ref().is_ok_and(|state| state.max_clusters == Some(to));
    let late = record.acted_at.is_some_and(|acted| now.duration_since(acted).abs() >= LATE_AFTER);
    (stays && late).then(|| format!("the SQL warehouse still has up to {to} clusters instead of {from}"))
}
