//! The judge of a sync's newest runs: what schedule-verification polls and what a webhook hints at.

use jiff::{SignedDuration, Timestamp};

use super::reason;
use crate::figure::{Figure, Value};
use crate::finding::{Check, Evidence, Finding, Severity, WhyNot};
use crate::observation::{Counts, Run, RunHistory, RunId, RunStatus, error_percent, records_to_deliver};
use crate::pipeline::Sync;
use crate::text::{minute_utc, rounded, words};

/// From this many failures in a row on, data has stopped rather than stumbled.
const FAILURES_CRITICAL: usize = 3;
/// Below the declared number of records a share means little, but this many rejected of as many sent means much.
const ALL_REJECTED_MIN: u64 = 3;

/// Judges the newest runs of a sync.
///
/// * a run that works longer than `stuck_after`            => `run-stuck`
/// * the newest run that ended by itself failed            => `run-failed`, with the number in a row and the class of
///   its error; grouped by the class where syncs have it in common
/// * `skipped_runs_limit` runs skipped one after the other => `runs-skipped`, or held under `run-stuck`; skipped runs
///   whose way is free again do not count
/// * failed and invalid records over those to deliver      => `error-rate`, with the class of the samples if there are
///   any; unknown counts are not evaluated
/// * the time from creation to end over its target         => `runtime`, or held under `run-stuck`
pub fn judge_runs(history: &RunHistory, sync: &Sync, now: Timestamp) -> Vec<Finding> {
    let stuck = run_stuck(history, sync, now);
    let under_stuck = |check: Check| check.about(&sync.key).under(Check::RunStuck);
    let (skipped, runtime) = if stuck.is_unhealthy() {
        (under_stuck(Check::RunsSkipped), under_stuck(Check::Runtime))
    } else {
        (runs_skipped(history, sync), runtime(history, sync, now))
    };
    vec![stuck, run_failed(history, sync), skipped, error_rate(history, sync), runtime]
}

/// The oldest run at work, and its age. One that is older than a completed run is left over in the answer, not at work:
/// Census does not let runs of a sync overlap.
fn oldest_at_work(history: &RunHistory, now: Timestamp) -> Option<(&Run, SignedDuration)> {
    let newer = history.runs.iter().take_while(|run| run.status != RunStatus::Completed);
    newer
        .filter(|run| !run.status.is_terminal())
        .map(|run| (run, now.duration_since(run.created_at)))
        .max_by_key(|(_, age)| *age)
}

fn run_stuck(history: &RunHistory, sync: &Sync, now: Timestamp) -> Finding {
    let about = Check::RunStuck.about(&sync.key);
    let limit = sync.stuck_after;
    let Some((run, age)) = oldest_at_work(history, now) else {
        let only_skipped = history.runs.iter().all(|run| run.status == RunStatus::Skipped);
        if only_skipped && !history.complete && !history.runs.is_empty() {
            // What they wait for is older than the page: to call that healthy would resolve the very incident.
            return about
                .unknown(format!("the run that the newest {} skipped ones wait for", history.runs.len()));
        }
        return about.healthy("no run is at work");
    };
    let evidence =
        Evidence::new(format!("run {} is {} for {}, limit {}", run.id, run.status, words(age), words(limit)))
            .with("run", run.id.to_string())
            .with("status", run.status.to_string())
            .with("since", run.created_at)
            .with("working for", age)
            .with("limit", limit)
            .since(run.created_at);
    if age <= limit {
        return about.healthy(evidence);
    }
    let severity = if age > limit.saturating_mul(2) { Severity::Critical } else { Severity::Error };
    let cause = match &run.status {
        RunStatus::Queued => "Census has not begun the run; its queue or its workers are held up",
        RunStatus::Unknown(_) => "Census reports a state that we do not know and count as still running",
        _ => "The source query or the destination does not answer, and every later run is skipped behind it",
    };
    about.unhealthy(severity, evidence, cause)
}

fn run_failed(history: &RunHistory, sync: &Sync) -> Finding {
    let about = Check::RunFailed.about(&sync.key);
    // A skipped or cancelled run says nothing of whether the sync can succeed.
    let mut ended =
        history.runs.iter().filter(|run| matches!(run.status, RunStatus::Completed | RunStatus::Failed));
    let Some(last) = ended.next() else {
        return about.nothing_yet("a run that completed or failed");
    };
    if last.status == RunStatus::Completed {
        return about.healthy(format!("run {} of {} completed", last.id, minute_utc(last.created_at)));
    }
    let before: Vec<&Run> = ended.take_while(|run| run.status == RunStatus::Failed).collect();
    let in_a_row = before.len() + 1;
    let first = before.last().copied().unwrap_or(last);
    let nothing_better_known =
        !history.complete && first.id == history.runs.last().map_or(first.id, |run| run.id);
    let count = Figure::new("failed in a row", in_a_row).at_least(nothing_better_known);
    let mut summary = format!("run {} failed", last.id);
    if in_a_row > 1 {
        summary += &format!(", {} in a row since {}", count.text(), minute_utc(first.created_at));
    }
    let evidence = Evidence::new(summary)
        .with("run", last.id.to_string())
        .with_figure(count)
        .with("first failure", first.created_at)
        .since(first.created_at);
    let reason = reason::of_run(last);
    let severity = if in_a_row >= FAILURES_CRITICAL { Severity::Critical } else { Severity::Error };
    let evidence = reason.figures.into_iter().fold(evidence, Evidence::with_figure);
    let finding = about.unhealthy(severity, evidence, reason.cause).classed(reason.class.id());
    // Syncs that share a cause get one notice. A guess groups none: it could suppress the notices of other syncs.
    if reason.is_sure && reason.class.is_shared() {
        finding.grouped(reason.class.family().id())
    } else {
        finding
    }
}

fn runs_skipped(history: &RunHistory, sync: &Sync) -> Finding {
    let about = Check::RunsSkipped.about(&sync.key);
    let ended = history.runs.iter().filter(|run| run.status.is_terminal());
    let mut skipped: Vec<&Run> = ended.take_while(|run| run.status == RunStatus::Skipped).collect();
    // What was skipped before the run in the way ended is over with it; what is skipped without one goes on.
    let in_the_way =
        history.runs.iter().find(|run| run.status.is_terminal() && run.status != RunStatus::Skipped);
    if let Some(over) = in_the_way.and_then(|run| run.completed_at) {
        skipped.retain(|run| run.created_at > over);
    }
    let limit = sync.skipped_runs_limit;
    let count = skipped.len();
    let evidence = Evidence::new(format!("{count} runs skipped in a row, limit {limit}"))
        .with("skipped in a row", count)
        .with("limit", limit);
    if count < limit {
        return about.healthy(evidence);
    }
    let since = skipped.last().map(|first| first.created_at);
    let evidence = Evidence { since, ..evidence.with_some("since", since) };
    let severity = if count >= limit.saturating_mul(2) { Severity::Error } else { Severity::Warning };
    let cause = "Runs take longer than the time between them, or one run does not end";
    about.unhealthy(severity, evidence, cause)
}

/// Failed and invalid records over those to deliver.
#[derive(Default)]
struct Rejected {
    bad: u64,
    processed: u64,
    /// See [`records_to_deliver`].
    records: u64,
}

impl Rejected {
    /// What the counts of a run say; `true` if only that at least so many were bad.
    fn of(counts: &Counts) -> Option<(Self, bool)> {
        let processed = counts.processed?;
        let (bad, at_least) = match (counts.failed, counts.invalid) {
            (Some(failed), Some(invalid)) => (failed.saturating_add(invalid), false),
            (failed, invalid) => (failed.or(invalid)?, true),
        };
        let records = records_to_deliver(processed, counts.updated, bad);
        Some((Self { bad, processed, records }, at_least))
    }

    fn add(&mut self, other: &Self) {
        self.bad = self.bad.saturating_add(other.bad);
        self.processed = self.processed.saturating_add(other.processed);
        self.records = self.records.saturating_add(other.records);
    }

    /// In percent, at the most 100.
    fn percent(&self) -> f64 {
        error_percent(self.bad, self.records).unwrap_or_default()
    }
}

/// The share of records that did not arrive.
struct Share<'h> {
    is_over: bool,
    newest: &'h Run,
    /// The newest of the runs judged together that has bad records.
    worth_a_look: &'h Run,
    rejected: Rejected,
    runs_together: usize,
    at_least: bool,
}

/// What the newest completed runs say of the share of records that did not arrive.
fn share<'h>(history: &'h RunHistory, sync: &Sync) -> Result<Share<'h>, WhyNot> {
    let (limit, min_records) = (sync.error_rate_percent, sync.error_rate_min_records);
    let completed = || history.runs.iter().filter(|run| run.status == RunStatus::Completed);
    let awaited = || WhyNot::NothingYet { awaited: "a completed run".to_owned() };
    let newest = completed().next().ok_or_else(awaited)?;
    let over = |rejected: &Rejected| rejected.percent() > limit;
    match Rejected::of(&newest.counts) {
        Some((_, false)) => {}
        Some((rejected, true)) if rejected.records >= min_records && over(&rejected) => {
            let (is_over, worth_a_look, runs_together, at_least) = (true, newest, 1, true);
            return Ok(Share { is_over, newest, worth_a_look, rejected, runs_together, at_least });
        }
        _ => return Err(WhyNot::UnknownFigures { what: format!("the record counts of run {}", newest.id) }),
    }
    // Small runs are judged together, newest first, until there are enough records to speak of a share.
    let mut pooled = Rejected::default();
    let mut runs_together = 0_usize;
    let mut worth_a_look = None;
    for run in completed() {
        if let Some((rejected, false)) = Rejected::of(&run.counts) {
            pooled.add(&rejected);
            runs_together += 1;
            if rejected.bad > 0 {
                worth_a_look.get_or_insert(run);
            }
        }
        if pooled.records >= min_records {
            break;
        }
    }
    let Rejected { bad, records, .. } = pooled;
    let enough = records >= min_records;
    let all_rejected = bad == records && bad >= ALL_REJECTED_MIN;
    let is_over = over(&pooled) && (enough || all_rejected);
    if !is_over && !enough && bad > 0 {
        let what = format!("a share worth the name ({bad} of only {records} records failed)");
        return Err(WhyNot::UnknownFigures { what });
    }
    let worth_a_look = worth_a_look.unwrap_or(newest);
    Ok(Share { is_over, newest, worth_a_look, rejected: pooled, runs_together, at_least: false })
}

/// The run whose rejected and invalid records are worth asking for: the newest that brings the share over the limit.
///
/// `None` while the share is within its limit, so that healthy traffic costs no request more.
pub fn run_to_sample(history: &RunHistory, sync: &Sync) -> Option<RunId> {
    share(history, sync).ok().filter(|share| share.is_over).map(|share| share.worth_a_look.id)
}

fn error_rate(history: &RunHistory, sync: &Sync) -> Finding {
    let about = Check::ErrorRate.about(&sync.key);
    let Share { is_over, newest, rejected, runs_together, at_least, .. } = match share(history, sync) {
        Ok(share) => share,
        Err(why) => return about.not_evaluated(why),
    };
    let limit = sync.error_rate_percent;
    let (percent, records) = (rejected.percent(), rejected.records);
    let share = Figure::new("share", Value::Percent(rounded(percent, 1, &[limit]))).at_least(at_least);
    let summary = format!("{} of {records} records failed or were invalid, limit {limit}%", share.text());
    if !is_over {
        return about.healthy(summary);
    }
    let evidence = Evidence::new(summary)
        .with("newest run", newest.id.to_string())
        .with("failed or invalid", rejected.bad)
        .with("processed", rejected.processed)
        .with_figure(share)
        .with("limit", Value::Percent(limit))
        .with("runs judged together", runs_together)
        .since(newest.created_at);
    let severity = if percent >= 50.0 { Severity::Critical } else { Severity::Error };
    let reason = history.samples.as_ref().and_then(reason::of_samples);
    let Some(reason) = reason else {
        let cause = "The destination refuses records (a validation rule, a missing field, a duplicate) or the source \
                     sends bad ones; the rejected records of the run name the reason";
        return about.unhealthy(severity, evidence, cause);
    };
    // Not grouped, whatever the class: samples may be had in one round and not in the next, and a finding that moves
    // between groups would be told again and again.
    let evidence = reason.figures.into_iter().fold(evidence, Evidence::with_figure);
    about.unhealthy(severity, evidence, reason.cause).classed(reason.class.id())
}

fn runtime(history: &RunHistory, sync: &Sync, now: Timestamp) -> Finding {
    let about = Check::Runtime.about(&sync.key);
    let Some(target) = sync.runtime_target else {
        return about.not_declared();
    };
    if let Some((run, age)) = oldest_at_work(history, now).filter(|(_, age)| *age > target) {
        return slow(sync, run, age, target, "is still at work after");
    }
    let Some(last) = history.runs.iter().find(|run| run.status == RunStatus::Completed) else {
        return about.nothing_yet("a completed run");
    };
    let Some(ended) = last.completed_at else {
        return about.unknown(format!("the end of run {}", last.id));
    };
    let took = ended.duration_since(last.created_at);
    if took > target {
        return slow(sync, last, took, target, "took");
    }
    about.healthy(format!("run {} took {}, target {}", last.id, words(took), words(target)))
}

fn slow(sync: &Sync, run: &Run, took: SignedDuration, target: SignedDuration, verb: &str) -> Finding {
    let evidence = Evidence::new(format!("run {} {verb} {}, target {}", run.id, words(took), words(target)))
        .with("run", run.id.to_string())
        .with("created", run.created_at)
        .with("time", took)
        .with("target", target);
    let cause = "More records than usual, a slow source query, or a destination that limits its rate";
    Check::Runtime.about(&sync.key).unhealthy(Severity::Warning, evidence, cause)
}

#[cfg(test)]
mod tests;
