//! Reads one sync, and the states of the runs that deliveries name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future;
use syncwatch::census::{Client, Error, ErrorKind};
use syncwatch::observation::{Run, RunHistory, RunId, SyncObservation};
use syncwatch::observe::Sampler;
use syncwatch::pipeline::Sync;

use crate::delivery::Delivery;
use crate::triage::Hint;

/// The result of reading a sync.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// The sync with its newest runs.
    pub(crate) observation: SyncObservation,
    pub(crate) runs: BTreeMap<RunId, RunState>,
}

/// The state of a run that a delivery names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// Among the newest runs, ended.
    Ended,
    /// Among the newest runs and still running; or too new for the list.
    AtWork,
    /// Older than the newest runs: the delivery is late.
    Old,
    /// Census does not know the run.
    Unknown,
    /// It is a run of another sync.
    OfAnotherSync,
}

/// Reads a sync for the deliveries about it. If a delivery reports the end of a run that is still running, the runs are read
/// again after each of `waits`, because the API may lag behind the webhook.
pub(crate) async fn read(
    census: &Client,
    sampler: &Sampler<'_>,
    declared: &Sync,
    hints: &[Hint<Delivery>],
    waits: &[Duration],
) -> Result<Reading, Error> {
    let sync_id = declared.id;
    let (sync, mut history) = future::try_join(census.get_sync(sync_id), census.newest_runs(sync_id)).await?;
    let named: BTreeSet<RunId> = hints.iter().map(|hint| hint.payload.run_id).collect();
    let ended: Vec<RunId> = hints
        .iter()
        .filter(|hint| hint.payload.event.is_end_of_run())
        .map(|hint| hint.payload.run_id)
        .collect();
    // Runs that are not on the page are read one by one.
    let mut others: BTreeMap<RunId, Option<Run>> = BTreeMap::new();
    for id in named.iter().filter(|id| on_page(&history, **id).is_none()) {
        let run = match census.get_run(*id).await {
            Ok(run) => Some(run),
            Err(Error { kind: ErrorKind::NotFound { .. }, .. }) => None,
            Err(error) => return Err(error),
        };
        others.insert(*id, run);
    }
    let seen = |history: &RunHistory, id: RunId| match (on_page(history, id), others.get(&id)) {
        (Some(run), _) => at_work_or(run, RunState::Ended),
        (None, Some(Some(run))) if run.sync_id.is_some_and(|of| of != sync_id) => RunState::OfAnotherSync,
        // A run that is newer than the page will appear on it soon.
        (None, Some(Some(run)))
            if history.runs.first().is_none_or(|newest| run.created_at > newest.created_at) =>
        {
            RunState::AtWork
        }
        (None, Some(Some(run))) => at_work_or(run, RunState::Old),
        (None, Some(None)) => RunState::Unknown,
        // It was on the page a moment ago.
        (None, None) => RunState::Old,
    };
    for wait in waits {
        if !ended.iter().any(|id| seen(&history, *id) == RunState::AtWork) {
            break;
        }
        tokio::time::sleep(*wait).await;
        // If this read fails, the earlier answer is still good.
        let Ok(newer) = census.newest_runs(sync_id).await else { break };
        history = newer;
    }
    history.samples = sampler.sample(&history, declared).await;
    let runs = named.into_iter().map(|id| (id, seen(&history, id))).collect();
    Ok(Reading { observation: SyncObservation { sync, runs: Ok(history) }, runs })
}

fn on_page(history: &RunHistory, id: RunId) -> Option<&Run> {
    history.runs.iter().find(|run| run.id == id)
}

fn at_work_or(run: &Run, ended: RunState) -> RunState {
    if run.status.is_terminal() { ended } else { RunState::AtWork }
}
