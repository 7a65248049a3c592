//! Reads what the remedies of an incident rely on.

use futures::future::join_all;
use jiff::Timestamp;

use super::proof;
use crate::census::Client;
use crate::finding::{Check, Outcome};
use crate::incident::IncidentKey;
use crate::judge::{Habits, judge_sync, judging_time};
use crate::observation::{SyncObservation, Unread, WarehouseState};
use crate::pipeline::{Pipeline, Role, Sync};
use crate::remedy::{Observed, siblings};
use crate::warehouse::Warehouse;

/// Reads the sync of an incident and those on the same object, and the warehouse, the queue of undelivered notices, or the proof
/// that a run creates no duplicates, if the check needs them. `at` is the time when reading begins (UTC); `warehouse` opens the
/// warehouse.
pub async fn observe(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    key: &IncidentKey,
    at: Timestamp,
    warehouse: impl Future<Output = Result<Warehouse, String>>,
    dead_letters: impl Future<Output = Result<u64, String>>,
) -> Observed {
    const NOT_READ: &str = "not read for this check";
    let own = async {
        match pipeline.sync(&key.subject) {
            Some(sync) => read(census, sync).await,
            None => Err(format!("{} is not a sync", key.subject)),
        }
    };
    let others = siblings(pipeline, &key.subject).into_iter();
    let others = join_all(others.map(async |sync| (sync.key.clone(), read(census, sync).await)));
    let needs_state = matches!(key.check, Check::RunFailed | Check::WarehouseReachable);
    let is_run = matches!(key.check, Check::RunFailed | Check::RunDue | Check::MinimumSchedule);
    let creating = pipeline.sync(&key.subject).filter(|sync| is_run && sync.role != Role::Update);
    let warehouse = async {
        if !needs_state && creating.is_none() {
            return (Err(NOT_READ.to_owned()), Err(NOT_READ.to_owned()));
        }
        let opened = warehouse.await;
        let state = match &opened {
            Ok(warehouse) if needs_state => state_of(warehouse).await,
            Ok(_) => Err(NOT_READ.to_owned()),
            Err(why) => Err(why.clone()),
        };
        (opened, state)
    };
    let dead_letters =
        async { if key.check == Check::DeadLetters { dead_letters.await } else { Err(NOT_READ.to_owned()) } };
    let (sync, siblings, (opened, warehouse), dead_letters) =
        futures::join!(own, others, warehouse, dead_letters);
    let mut observed = Observed { at, sync, siblings, warehouse, dead_letters, healthy: None, proof: None };
    observed.healthy = is_healthy(pipeline, census, key, &observed);
    if let Some(sync) = creating {
        observed.proof = Some(Box::new(proof::read(pipeline, census, sync, &observed, &opened).await));
    }
    observed
}

async fn state_of(warehouse: &Warehouse) -> Result<WarehouseState, String> {
    let state = warehouse.state().await.map_err(|error| error.to_string())?;
    state.ok_or_else(|| "its driver does not say whether it runs".to_owned())
}

async fn read(census: Result<&Client, &Unread>, sync: &Sync) -> Result<SyncObservation, String> {
    let census = census.map_err(ToString::to_string)?;
    let (observed, runs) = futures::join!(census.get_sync(sync.id), census.newest_runs(sync.id));
    let observed = observed.map_err(|error| error.to_string())?;
    Ok(SyncObservation { sync: observed, runs: runs.map_err(|error| error.to_unread()) })
}

/// Judges the incident's own check by this observation; `None` if it cannot be.
fn is_healthy(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    key: &IncidentKey,
    observed: &Observed,
) -> Option<bool> {
    match key.check {
        Check::WarehouseReachable => observed.warehouse.as_ref().ok().map(WarehouseState::is_running),
        Check::DeadLetters => observed.dead_letters.as_ref().ok().map(|count| *count == 0),
        check => {
            let sync = pipeline.sync(&key.subject)?;
            let now = judging_time(observed.at, census.ok()?.clock_ahead());
            let seen = observed.sync.as_ref().ok()?;
            let findings = judge_sync(seen, sync, &pipeline.objectives, &Habits::default(), now);
            match findings.iter().find(|finding| finding.check == check)?.outcome {
                Outcome::Healthy { .. } => Some(true),
                Outcome::Unhealthy { .. } => Some(false),
                Outcome::NotEvaluated { .. } => None,
            }
        }
    }
}
