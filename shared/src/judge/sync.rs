//! The judge of one declared sync: what schedule-verification polls and what a webhook hints at.

use jiff::{SignedDuration, Timestamp};

use super::{judge_runs, unread};
use crate::figure::Value;
use crate::finding::{About, Check, Evidence, Finding, Judge, Severity, SubjectKind};
use crate::observation::{
    Look, ObservedSchedule, ObservedSync, Run, RunHistory, RunStatus, SyncObservation, Unread, VendorAlerts,
};
use crate::pipeline::{Objectives, Sync};
use crate::schedule::{Comparison, Rule, Schedule};
use crate::text::{minute_utc, percent, words};

/// How much earlier than its slot a run may have been created and still be the run of that slot: clocks differ.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// A run that is overdue this long is no longer just late.
const LATE_IS_ERROR: SignedDuration = SignedDuration::from_hours(1);
/// A run that is overdue this long means that data stopped.
const LATE_IS_CRITICAL: SignedDuration = SignedDuration::from_hours(24);
/// From this many slots in a row without a run on, data stopped.
const MISSED_IS_CRITICAL: i64 = 4;
/// The vendor's clock may differ from ours by this much before instants of the two are compared with care.
pub const CLOCK_SKEW_LIMIT: SignedDuration = SignedDuration::from_mins(2);

/// Judges one declared sync by what there was to see of it.
pub fn judge_look(look: &Look, sync: &Sync, objectives: &Objectives, now: Timestamp) -> Vec<Finding> {
    match look {
        Look::Found(observed) => judge_sync(observed, sync, objectives, now),
        Look::Unread(why) => judge_absent(sync, Some(why)),
        Look::Gone => judge_absent(sync, None),
    }
}

/// Judges one declared sync that exists.
///
/// * it is paused                                             => `sync-paused`; due runs are held under it
/// * its schedule at Census differs or will differ from ours  => `schedule-drift`
/// * no run since the slot that is past its grace             => `run-due`: late, or slots missed
/// * no run since the last slot of the minimum schedule       => `minimum-schedule`, or held under `run-due`
/// * Census's own alerts are off or looser than ours          => `vendor-alerts`
/// * its runs                                                 => see [`judge_runs`]
pub fn judge_sync(
    observed: &SyncObservation,
    sync: &Sync,
    objectives: &Objectives,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = vec![
        exists(&observed.sync, sync),
        paused(&observed.sync, sync),
        schedule_drift(&observed.sync.schedule, sync, now),
        vendor_alerts(observed.sync.alerts, sync),
    ];
    match &observed.runs {
        Ok(history) => {
            findings.extend(due_and_minimum(&observed.sync, history, sync, objectives, now));
            findings.extend(judge_runs(history, sync, now));
        }
        Err(why) => {
            let of_runs = Check::of(Judge::ScheduleVerification, SubjectKind::Runs);
            findings.extend(of_runs.map(|check| check.about(&sync.key).not_evaluated(unread(why))));
        }
    }
    findings
}

/// Judges a declared sync that could not be looked at: because of this trouble or, by Census's own answer to the question for
/// this one, because it does not exist. A list that does not show it proves nothing, as lists change while they are read.
pub fn judge_absent(sync: &Sync, trouble: Option<&Unread>) -> Vec<Finding> {
    let judge = |check: Check| {
        let about = check.about(&sync.key);
        match trouble {
            Some(why) => about.not_evaluated(unread(why)),
            None if check != Check::SyncExists => about.under(Check::SyncExists),
            None => {
                let id = sync.id.to_string();
                let evidence = Evidence::new(format!("Census has no sync {id}")).with("sync id", id);
                let cause =
                    "It was deleted, it moved to another workspace, or the token is of another workspace";
                about.unhealthy(Severity::Critical, evidence, cause)
            }
        }
    };
    let kinds = [SubjectKind::Sync, SubjectKind::Runs].into_iter();
    kinds.flat_map(|kind| Check::of(Judge::ScheduleVerification, kind)).map(judge).collect()
}

/// The instant by which a sync is judged: ours, unless the clock of Census, which stamps the runs, is clearly another.
pub fn judging_time(now: Timestamp, vendor_clock_ahead: Option<SignedDuration>) -> Timestamp {
    let ahead = vendor_clock_ahead.filter(|ahead| ahead.abs() > CLOCK_SKEW_LIMIT).unwrap_or_default();
    now.saturating_add(ahead).unwrap_or(now)
}

fn exists(observed: &ObservedSync, sync: &Sync) -> Finding {
    let label = observed.label.as_ref().map_or(String::new(), |label| format!(", \"{label}\""));
    Check::SyncExists.about(&sync.key).healthy(format!("Census lists sync {}{label}", sync.id))
}

fn paused(observed: &ObservedSync, sync: &Sync) -> Finding {
    let about = Check::SyncPaused.about(&sync.key);
    match observed.paused {
        None => about.unknown("whether it is paused"),
        Some(false) => about.healthy("not paused"),
        Some(true) => {
            let evidence = Evidence::new("paused at Census; no run starts until somebody resumes it")
                .with_some("last changed", observed.updated_at);
            let cause = "Somebody paused it in Census, or Census did after repeated failures";
            about.unhealthy(Severity::Error, evidence, cause)
        }
    }
}

fn schedule_drift(actual: &ObservedSchedule, sync: &Sync, now: Timestamp) -> Finding {
    let about = Check::ScheduleDrift.about(&sync.key);
    let evidence = |summary: String| {
        Evidence::new(summary)
            .with("declared", sync.schedule.to_string())
            .with("at Census", actual.to_string())
    };
    let slot = |instant: Option<Timestamp>| instant.map_or(Value::from("none"), Value::Instant);
    match sync.schedule.compare(actual, now) {
        Comparison::Same => about.healthy(evidence(format!("{actual} at Census, as declared"))),
        Comparison::Different { example } => {
            let mut evidence = evidence(format!("declared {}, at Census {actual}", sync.schedule));
            if let Some(pair) = example {
                evidence = evidence
                    .with("next slot declared", slot(pair.declared))
                    .with("next slot at Census", slot(pair.actual));
            }
            let cause = "Somebody changed the schedule in Census; Census keeps its times in UTC";
            about.unhealthy(Severity::Error, evidence, cause)
        }
        Comparison::Drifts { from } => {
            let first = from.declared.or(from.actual).map_or("none".to_owned(), minute_utc);
            let evidence = evidence(format!("as declared today, but not from {first} on"))
                .with("slot declared", slot(from.declared))
                .with("slot at Census", slot(from.actual));
            let cause =
                "Census keeps its times in UTC, so a promise in local time moves when the clocks change";
            about.unhealthy(Severity::Warning, evidence, cause)
        }
        Comparison::Unreadable { found } => about.unreadable(format!("schedule {found}")),
    }
}

fn vendor_alerts(alerts: VendorAlerts, sync: &Sync) -> Finding {
    let about = Check::VendorAlerts.about(&sync.key);
    let VendorAlerts::Known { failed_run, rejected_percent } = alerts else {
        return about.unknown("the alerts of Census");
    };
    let limit = sync.error_rate_percent;
    let mut faults = Vec::new();
    if !failed_run {
        faults.push("no alert on failed runs".to_owned());
    }
    match rejected_percent {
        None => faults.push("no alert on failed records".to_owned()),
        Some(percent) if percent > limit => {
            faults.push(format!("failed records alert only above {percent}%, ours at {limit}%"));
        }
        Some(_) => {}
    }
    if faults.is_empty() {
        return about.healthy("alerts of Census are on, and no looser than ours");
    }
    let on_records = rejected_percent.map_or("off".to_owned(), |share| format!("above {}", percent(share)));
    let evidence = Evidence::new(faults.join("; "))
        .with("alert on failed runs", if failed_run { "on" } else { "off" })
        .with("alert on failed records", on_records)
        .with("our limit", Value::Percent(limit));
    let cause = "Census's own default is 75%; its alerts are the second net should ours be down";
    about.unhealthy(Severity::Warning, evidence, cause)
}

/// Judges whether the due run happened, and whether the minimum schedule was kept. Both look at the same runs, and
/// the first explains the second.
fn due_and_minimum(
    observed: &ObservedSync,
    history: &RunHistory,
    sync: &Sync,
    objectives: &Objectives,
    now: Timestamp,
) -> [Finding; 2] {
    let held = |check: Check, cause| check.about(&sync.key).under(cause);
    if observed.paused == Some(true) {
        return [held(Check::RunDue, Check::SyncPaused), held(Check::MinimumSchedule, Check::SyncPaused)];
    }
    let seen = DueRunEvidence {
        newest: history.runs.iter().find(|run| run.status != RunStatus::Cancelled),
        changed_at: observed.updated_at.max(observed.created_at),
    };
    let due = match sync.schedule.rule {
        Rule::OnDemand => Check::RunDue.about(&sync.key).not_declared(),
        Rule::Every(period) => due_by_period(&seen, period, sync, now),
        Rule::Daily(_) | Rule::Weekly(..) | Rule::Cron(_) => {
            due_by_slot(Check::RunDue, &seen, &sync.schedule, sync, now)
        }
    };
    let minimum = match (&objectives.minimum_schedule, &sync.schedule.rule) {
        (None, _) | (_, Rule::OnDemand) => Check::MinimumSchedule.about(&sync.key).not_declared(),
        _ if due.is_unhealthy() => held(Check::MinimumSchedule, Check::RunDue),
        (Some(minimum), _) => due_by_slot(Check::MinimumSchedule, &seen, minimum, sync, now),
    };
    [due, minimum]
}

/// What there is to tell a due run by.
struct DueRunEvidence<'a> {
    /// The newest run that was not cancelled. A skipped one counts: it shows that the schedule fires.
    newest: Option<&'a Run>,
    /// When the sync was last changed or resumed: what was due before that is not owed any more.
    changed_at: Option<Timestamp>,
}

impl<'a> DueRunEvidence<'a> {
    /// The run that is at work, behind which a due one waits.
    fn at_work(&self) -> Option<&'a Run> {
        self.newest.filter(|run| !run.status.is_terminal())
    }

    fn counted_from(&self) -> Option<Timestamp> {
        self.newest.map(|run| run.created_at).max(self.changed_at)
    }
}

fn due_by_period(seen: &DueRunEvidence<'_>, period: SignedDuration, sync: &Sync, now: Timestamp) -> Finding {
    let about = Check::RunDue.about(&sync.key);
    let Some(from) = seen.counted_from() else {
        return about.nothing_yet("the first run");
    };
    let since = now.duration_since(from);
    let overdue = since - period;
    if overdue <= sync.schedule.grace {
        return about.healthy(format!("last run or change {} ago, due {}", words(since), sync.schedule));
    }
    if let Some(run) = seen.at_work() {
        return about.healthy(format!("run {} is at work since {}", run.id, minute_utc(run.created_at)));
    }
    let missed = since.as_secs() / period.as_secs().max(1);
    overdue_finding(about, seen, &sync.schedule, overdue, missed, now)
}

fn due_by_slot(
    check: Check,
    seen: &DueRunEvidence<'_>,
    schedule: &Schedule,
    sync: &Sync,
    now: Timestamp,
) -> Finding {
    let about = check.about(&sync.key);
    let ended_grace = now.saturating_sub(schedule.grace).ok().and_then(|instant| schedule.last_slot(instant));
    let Some(slot) = ended_grace else {
        return about.nothing_yet(format!("the first slot of {schedule}"));
    };
    let earliest = slot.saturating_sub(EARLY).unwrap_or(slot);
    if let Some(run) = seen.newest.filter(|run| run.created_at >= earliest) {
        let (created, slot) = (minute_utc(run.created_at), minute_utc(slot));
        return about.healthy(format!("run {} of {created} covers the slot of {slot}", run.id));
    }
    if let Some(run) = seen.at_work() {
        return about.healthy(format!("run {} is at work since {}", run.id, minute_utc(run.created_at)));
    }
    if let Some(changed) = seen.changed_at.filter(|changed| *changed >= earliest) {
        let changed = minute_utc(changed);
        return about.healthy(format!("no slot has passed since the sync was changed at {changed}"));
    }
    if seen.counted_from().is_none() {
        return about.nothing_yet("the first run");
    }
    let missed = missed_slots(schedule, slot, seen.counted_from());
    overdue_finding(about, seen, schedule, now.duration_since(slot), missed, now)
}

/// How many slots up to this one had no run; counting ends where it would not change the judgement.
fn missed_slots(schedule: &Schedule, slot: Timestamp, counted_from: Option<Timestamp>) -> i64 {
    const ENOUGH: usize = 50;
    let uncovered = |slot: &Timestamp| counted_from.is_none_or(|from| *slot > from);
    let earlier =
        |slot: &Timestamp| schedule.last_slot(slot.saturating_sub(SignedDuration::from_secs(1)).ok()?);
    let count = std::iter::successors(Some(slot), earlier).take_while(uncovered).take(ENOUGH).count();
    i64::try_from(count).unwrap_or(1).max(1)
}

fn overdue_finding(
    about: About<'_>,
    seen: &DueRunEvidence<'_>,
    schedule: &Schedule,
    overdue: SignedDuration,
    missed: i64,
    now: Timestamp,
) -> Finding {
    let last = seen.newest.map_or("never".to_owned(), |run| minute_utc(run.created_at));
    let summary = if missed > 1 {
        format!("{missed} runs missed, the last was created {last}")
    } else {
        format!("the run is {} overdue, the last was created {last}", words(overdue))
    };
    let mut evidence = Evidence::new(summary)
        .with("due", schedule.to_string())
        .with("overdue by", overdue)
        .with("grace", schedule.grace)
        .with("slots missed", missed.unsigned_abs())
        .with("last run", seen.newest.map_or(Value::from("never"), |run| Value::Instant(run.created_at)))
        .with_some("sync last changed", seen.changed_at);
    evidence.since = now.checked_sub(overdue).ok();
    let severity = if missed >= MISSED_IS_CRITICAL || overdue > LATE_IS_CRITICAL {
        Severity::Critical
    } else if missed > 1 || overdue > LATE_IS_ERROR || about.check == Check::MinimumSchedule {
        Severity::Error
    } else {
        Severity::Warning
    };
    let cause = "The scheduler of Census does not start the sync: its schedule changed, the source connection was \
                 lost, or Census is in trouble without saying so";
    about.unhealthy(severity, evidence, cause)
}

#[cfg(test)]
mod tests;
