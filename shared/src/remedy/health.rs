//! Whether an act helped, by an observation that is newer than the act.

use jiff::{SignedDuration, Timestamp};

use super::{Observed, Record, Target, WebhookSeen, proof, widen};
use crate::observation::{Run, RunId, RunStatus};
use crate::pipeline::RemedyKind;
use crate::text::words;

/// The effect of an act so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not seen yet, and there is still time.
    Waiting,
    Healed(String),
    Failed(String),
}

/// Judges the effect of an act. `runtime` is the usual runtime of the target's runs.
pub fn health(record: &Record, observed: &Observed, runtime: SignedDuration, now: Timestamp) -> Health {
    if record.acted_at.is_some_and(|acted| observed.at <= acted) {
        return Health::Waiting;
    }
    let seen = match record.plan.kind {
        RemedyKind::Wait => match observed.healthy {
            Some(true) => Health::Healed("a scheduled run succeeded".to_owned()),
            _ => Health::Waiting,
        },
        RemedyKind::RunAgain | RemedyKind::RunAfterLimit => of_run(record, observed),
        RemedyKind::StartWarehouse => match &observed.warehouse {
            Ok(state) if state.is_running() => Health::Healed("the warehouse runs".to_owned()),
            _ => Health::Waiting,
        },
        RemedyKind::WidenWarehouse => widen::judged(record, observed, now),
        RemedyKind::ReplayDeadLetters => match observed.dead_letters {
            Ok(0) => Health::Healed("all undelivered notices were sent again".to_owned()),
            _ => Health::Waiting,
        },
        RemedyKind::Resume => resumed(record, observed),
        RemedyKind::CancelHung if has_ended(record, observed) => Health::Healed("the run ended".to_owned()),
        RemedyKind::CancelHung => Health::Waiting,
        RemedyKind::RegisterWebhook => {
            let accepted = observed.webhook.as_ref().ok().and_then(|seen| seen.accepted_at);
            match accepted {
                Some(at) if record.acted_at.is_some_and(|acted| at > acted) => {
                    Health::Healed("a delivery was accepted".to_owned())
                }
                _ => Health::Waiting,
            }
        }
        RemedyKind::RecreateView => match &observed.view {
            Ok(seen) if seen.as_declared => Health::Healed(
                "the view is as its file declares; the next run of each sync that reads it is watched"
                    .to_owned(),
            ),
            _ => Health::Waiting,
        },
    };
    let within = within(record.plan.kind, runtime);
    match (seen, record.acted_at) {
        (Health::Waiting, Some(acted)) if now.duration_since(acted) > within => {
            Health::Failed(format!("its effect was not seen within {}", words(within)))
        }
        (seen, _) => seen,
    }
}

/// How long the effect of an act may take.
fn within(kind: RemedyKind, runtime: SignedDuration) -> SignedDuration {
    let minutes = SignedDuration::from_mins;
    match kind {
        // More clusters go on until they are taken away; what is not in time is harm.
        RemedyKind::Wait | RemedyKind::WidenWarehouse => SignedDuration::MAX,
        RemedyKind::RunAgain | RemedyKind::RunAfterLimit => runtime.saturating_mul(2).max(minutes(5)),
        RemedyKind::StartWarehouse => minutes(10),
        RemedyKind::ReplayDeadLetters | RemedyKind::CancelHung => minutes(30),
        RemedyKind::RecreateView => minutes(10),
        RemedyKind::Resume | RemedyKind::RegisterWebhook => SignedDuration::from_hours(24),
    }
}

fn runs(observed: &Observed) -> &[Run] {
    observed.history().map_or(&[], |history| &history.runs)
}

fn has_ended(record: &Record, observed: &Observed) -> bool {
    runs(observed).iter().any(|run| Some(run.id) == record.run && run.status.is_terminal())
}

fn of_run(record: &Record, observed: &Observed) -> Health {
    let Some(run) = runs(observed).iter().find(|run| Some(run.id) == record.run) else {
        return Health::Waiting;
    };
    let sent = run.counts.updated.map_or(String::new(), |count| format!(", {count} records sent"));
    match (&run.status, observed.healthy) {
        (RunStatus::Completed, Some(true)) => Health::Healed(format!("run {} completed{sent}", run.id)),
        (RunStatus::Completed, Some(false)) => {
            Health::Failed(format!("run {} completed, but the fault is still there", run.id))
        }
        (RunStatus::Failed | RunStatus::Skipped | RunStatus::Cancelled, _) => {
            Health::Failed(format!("run {} {}", run.id, run.status))
        }
        _ => Health::Waiting,
    }
}

fn resumed(record: &Record, observed: &Observed) -> Health {
    let paused = observed.sync.as_ref().ok().and_then(|sync| sync.sync.paused);
    let later = runs(observed).iter().filter(|run| record.newest_before.is_none_or(|before| run.id > before));
    let ended = later.filter(|run| run.status.is_terminal()).max_by_key(|run| run.id);
    match (paused, ended) {
        (Some(true), _) => Health::Failed("it is paused again".to_owned()),
        (Some(false), Some(run)) if run.status == RunStatus::Completed => {
            Health::Healed(format!("run {} completed", run.id))
        }
        _ => Health::Waiting,
    }
}

/// Looks for the effect of a call without a clear answer. Returns the run, if the act starts one, and a sentence; `None` if the
/// effect is not seen.
pub fn adopted(record: &Record, observed: &Observed) -> Option<(Option<RunId>, String)> {
    let without_run = |seen: bool, what: &str| seen.then(|| (None, what.to_owned()));
    match record.plan.kind {
        RemedyKind::Wait => None,
        RemedyKind::RunAgain | RemedyKind::RunAfterLimit => {
            let ours = |run: &&Run| {
                record.newest_before.is_none_or(|before| run.id > before) && run.scheduled_for.is_none()
            };
            // The oldest: a person may have started another one since.
            let run = runs(observed).iter().filter(ours).map(|run| run.id).min()?;
            Some((Some(run), format!("run {run} was found")))
        }
        RemedyKind::StartWarehouse => {
            let starts = observed.warehouse.as_ref().is_ok_and(|state| !state.is_stopped());
            without_run(starts, "the warehouse starts")
        }
        // Messages that were moved are gone from the queue, and those left are moved by the next attempt.
        RemedyKind::ReplayDeadLetters => without_run(observed.dead_letters == Ok(0), "the queue is empty"),
        RemedyKind::WidenWarehouse => {
            let wide = |to| observed.warehouse.as_ref().is_ok_and(|state| state.max_clusters == Some(to));
            let is = matches!(record.plan.target, Target::Clusters { to, .. } if wide(to));
            without_run(is, "the warehouse has the wanted number of clusters")
        }
        RemedyKind::RegisterWebhook => {
            let is_new = |seen: &WebhookSeen| match (&record.plan.target, &seen.ours[..]) {
                (Target::Webhook { old }, ours) => seen.whole && old[..] != *ours,
                _ => false,
            };
            without_run(observed.webhook.as_ref().is_ok_and(is_new), "a new webhook is there")
        }
        RemedyKind::RecreateView => {
            without_run(observed.view.as_ref().is_ok_and(|seen| seen.as_declared), "the view is as declared")
        }
        RemedyKind::Resume => {
            let paused = observed.sync.as_ref().ok().and_then(|sync| sync.sync.paused);
            without_run(paused == Some(false), "the sync is not paused")
        }
        RemedyKind::CancelHung => without_run(has_ended(record, observed), "the run ended"),
    }
}

/// Looks for harm that an act did; `None` if there is none.
pub fn harm(record: &Record, observed: &Observed, now: Timestamp) -> Option<String> {
    if let Some(harm) = widen::harm(record, observed, now) {
        return Some(harm);
    }
    let ours = runs(observed).iter().find(|run| Some(run.id) == record.run)?;
    let sync = &observed.sync.as_ref().ok()?.sync;
    if sync.paused == Some(true) && sync.updated_at.is_some_and(|at| at < ours.created_at) {
        return Some(format!("run {} was started although the sync was paused", ours.id));
    }
    if ours.status == RunStatus::Skipped {
        return None;
    }
    if let Some(harm) = proof::harm(record, ours, observed) {
        return Some(harm);
    }
    let ends = |run: &Run| run.completed_at.unwrap_or(Timestamp::MAX);
    let overlaps = |run: &&Run| {
        run.id != ours.id
            && run.status != RunStatus::Skipped
            && run.created_at < ends(ours)
            && ours.created_at < ends(run)
    };
    let other = runs(observed)
        .iter()
        .filter(overlaps)
        .find(|run| run.completed_at.is_some() || !run.status.is_terminal())?;
    Some(format!("runs {} and {} worked at the same time", ours.id, other.id))
}
