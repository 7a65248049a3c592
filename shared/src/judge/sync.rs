//! Judges one declared sync, for polls of schedule-verification and for webhooks.

use jiff::{SignedDuration, Timestamp};

use super::silent::{Habits, judge_silence};
use super::{judge_runs, unread};
use crate::figure::{Figure, Value};
use crate::finding::{About, Check, Evidence, Finding, Judge, LABEL, Outcome, Severity, SubjectKind};
use crate::observation::{
    Look, ObservedSchedule, ObservedSync, Run, RunHistory, RunStatus, SyncObservation, Unread, VendorAlerts,
};
use crate::pipeline::{Objectives, Sync};
use crate::schedule::{Comparison, Rule, Schedule};
use crate::text::{minute_utc, percent, words};

/// A run may be created this much before its slot and still count for it, as clocks differ.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// A run that is overdue this long is an error.
const LATE_IS_ERROR: SignedDuration = SignedDuration::from_hours(1);
/// A run that is overdue this long is critical: data stopped.
const LATE_IS_CRITICAL: SignedDuration = SignedDuration::from_hours(24);
/// This many slots in a row without a run are critical: data stopped.
const MISSED_IS_CRITICAL: i64 = 4;
/// The vendor's clock may differ from ours by this much before runs are judged by the vendor's.
pub const CLOCK_SKEW_LIMIT: SignedDuration = SignedDuration::from_mins(2);

/// Judges one declared sync by the result of looking it up.
pub fn judge_look(
    look: &Look,
    sync: &Sync,
    objectives: &Objectives,
    habits: &Habits<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    match look {
        Look::Found(observed) => judge_sync(observed, sync, objectives, habits, now),
        Look::Unread(why) => judge_absent(sync, Some(why)),
        Look::Gone => judge_absent(sync, None),
    }
}

/// Judges one declared sync that exists.
///
/// * paused                                                     => `sync-paused`, which blocks `run-due`
/// * its schedule in Census differs or will differ from ours    => `schedule-drift`
/// * no run since the last slot, and its grace has passed       => `run-due`: late, or slots missed
/// * no run since the last slot of the minimum schedule         => `minimum-schedule`, or blocked by `run-due`
/// * Census's own alerts are off or looser than ours            => `vendor-alerts`
/// * its runs                                                   => see [`judge_runs`]
/// * no records at hours at which its runs usually move some    => `silent-runs`
pub fn judge_sync(
    observed: &SyncObservation,
    sync: &Sync,
    objectives: &Objectives,
    habits: &Habits<'_>,
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
            findings.push(judge_silence(history, sync, habits, &findings, now));
        }
        Err(why) => {
            let of_runs = Check::of(Judge::ScheduleVerification, SubjectKind::Runs);
            findings.extend(of_runs.map(|check| check.about(&sync.key).not_evaluated(unread(why))));
        }
    }
    // People know the sync by its name there.
    for finding in &mut findings {
        if let (Outcome::Unhealthy { evidence, .. }, Some(label)) =
            (&mut finding.outcome, &observed.sync.label)
        {
            evidence.figures.push(Figure::new(LABEL, label));
        }
    }
    findings
}

/// Judges a declared sync that could not be read because of this trouble or, without one, that Census reports as missing when
/// asked for it alone. Its absence from a list proves nothing, as lists change while they are read.
pub fn judge_absent(sync: &Sync, trouble: Option<&Unread>) -> Vec<Finding> {
    let judge = |check: Check| {
        let about = check.about(&sync.key);
        match trouble {
            Some(why) => about.not_evaluated(unread(why)),
            None if check != Check::SyncExists => about.under(Check::SyncExists),
            None => {
                let id = sync.id.to_string();
                let evidence = Evidence::new(format!("not found in Census (sync {id})")).with("sync id", id);
                let cause = "The sync was deleted or moved to another workspace, or the token belongs to another workspace";
                about.unhealthy(Severity::Critical, evidence, cause)
            }
        }
    };
    let kinds = [SubjectKind::Sync, SubjectKind::Runs].into_iter();
    kinds.flat_map(|kind| Check::of(Judge::ScheduleVerification, kind)).map(judge).collect()
}

/// Returns the instant to judge a sync at: ours, or that of Census's clock, which stamps the runs, if the two clearly differ.
pub fn judging_time(now: Timestamp, vendor_clock_ahead: Option<SignedDuration>) -> Timestamp {
    let ahead = vendor_clock_ahead.filter(|ahead| ahead.abs() > CLOCK_SKEW_LIMIT).unwrap_or_default();
    now.saturating_add(ahead).unwrap_or(now)
}

fn exists(observed: &ObservedSync, sync: &Sync) -> Finding {
    let label = observed.label.as_ref().map_or(String::new(), |label| format!(", \"{label}\""));
    Check::SyncExists.about(&sync.key).healthy(format!("found in Census (sync {}{label})", sync.id))
}

fn paused(observed: &ObservedSync, sync: &Sync) -> Finding {
    let about = Check::SyncPaused.about(&sync.key);
    match observed.paused {
        None => about.unknown("pause state"),
        Some(false) => about.healthy("not paused"),
        Some(true) => {
            let evidence = Evidence::new("paused in Census; no run starts until it is resumed")
                .with_some("last changed", observed.updated_at);
            let cause = "A user paused it in Census, or Census did after repeated failures";
            about.unhealthy(Severity::Error, evidence, cause)
        }
    }
}

fn schedule_drift(actual: &ObservedSchedule, sync: &Sync, now: Timestamp) -> Finding {
    let about = Check::ScheduleDrift.about(&sync.key);
    let evidence = |summary: String| {
        Evidence::new(summary)
            .with("declared", sync.schedule.to_string())
            .with("in Census", actual.to_string())
    };
    let slot = |instant: Option<Timestamp>| instant.map_or(Value::from("none"), Value::Instant);
    match sync.schedule.compare(actual, now) {
        Comparison::Same => about.healthy(evidence(format!("schedule in Census is {actual}, as declared"))),
        Comparison::Different { example } => {
            let mut evidence =
                evidence(format!("schedule in Census is {actual} (declared {})", sync.schedule));
            if let Some(pair) = example {
                evidence = evidence
                    .with("next slot declared", slot(pair.declared))
                    .with("next slot in Census", slot(pair.actual));
            }
            let cause = "The schedule was changed in Census, which keeps its times in UTC";
            about.unhealthy(Severity::Error, evidence, cause)
        }
        Comparison::Drifts { from } => {
            let first = from.declared.or(from.actual).map_or("none".to_owned(), minute_utc);
            let evidence =
                evidence(format!("schedule in Census matches today but will differ from {first} on"))
                    .with("slot declared", slot(from.declared))
                    .with("slot in Census", slot(from.actual));
            let cause = "Census keeps its times in UTC, so a local time shifts when the clocks change";
            about.unhealthy(Severity::Warning, evidence, cause)
        }
        Comparison::Unreadable { found } => about.unreadable(format!("schedule {found}")),
    }
}

fn vendor_alerts(alerts: VendorAlerts, sync: &Sync) -> Finding {
    let about = Check::VendorAlerts.about(&sync.key);
    let VendorAlerts::Known { failed_run, rejected_percent } = alerts else {
        return about.unknown("Census alert settings");
    };
    let limit = sync.error_rate_percent;
    let mut faults = Vec::new();
    if !failed_run {
        faults.push("no Census alert on failed runs".to_owned());
    }
    match rejected_percent {
        None => faults.push("no Census alert on rejected records".to_owned()),
        Some(percent) if percent > limit => {
            faults.push(format!(
                "Census alerts on rejected records only above {percent}% (our limit {limit}%)"
            ));
        }
        Some(_) => {}
    }
    if faults.is_empty() {
        return about.healthy("Census alerts are on and no looser than ours");
    }
    let on_records = rejected_percent.map_or("off".to_owned(), |share| format!("above {}", percent(share)));
    let evidence = Evidence::new(faults.join("; "))
        .with("alert on failed runs", if failed_run { "on" } else { "off" })
        .with("alert on rejected records", on_records)
        .with("our limit", Value::Percent(limit));
    let cause = "Census's own alerts are the backup if Syncwatch is down. Their default limit is 75%";
    about.unhealthy(Severity::Warning, evidence, cause)
}

/// Judges whether the last scheduled run started, and whether the minimum schedule was kept. Both read the same runs, and
/// the first explains the second.
fn due_and_minimum(
    observed: &ObservedSync,
    history: &RunHistory,
    sync: &Sync,
    objectives: &Objectives,
    now: Timestamp,
) -> [Finding; 2] {
    let blocked = |check: Check, cause| check.about(&sync.key).under(cause);
    if observed.paused == Some(true) {
        return [
            blocked(Check::RunDue, Check::SyncPaused),
            blocked(Check::MinimumSchedule, Check::SyncPaused),
        ];
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
        _ if due.is_unhealthy() => blocked(Check::MinimumSchedule, Check::RunDue),
        (Some(minimum), _) => due_by_slot(Check::MinimumSchedule, &seen, minimum, sync, now),
    };
    [due, minimum]
}

/// The evidence for or against an overdue run.
struct DueRunEvidence<'a> {
    /// The newest run that was not cancelled. A skipped run counts, as it shows that the schedule fires.
    newest: Option<&'a Run>,
    /// When the sync was last changed or resumed: slots before that do not count.
    changed_at: Option<Timestamp>,
}

impl<'a> DueRunEvidence<'a> {
    /// The run in progress, which delays the next one.
    fn in_progress(&self) -> Option<&'a Run> {
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
        return about.healthy(format!("last run or change {} ago (due {})", words(since), sync.schedule));
    }
    if let Some(run) = seen.in_progress() {
        return about.healthy(format!("run {} in progress since {}", run.id, minute_utc(run.created_at)));
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
        return about.healthy(format!("run {} of {created} covers the slot at {slot}", run.id));
    }
    if let Some(run) = seen.in_progress() {
        return about.healthy(format!("run {} in progress since {}", run.id, minute_utc(run.created_at)));
    }
    if let Some(changed) = seen.changed_at.filter(|changed| *changed >= earliest) {
        let changed = minute_utc(changed);
        return about.healthy(format!("no slot since the sync was changed at {changed}"));
    }
    if seen.counted_from().is_none() {
        return about.nothing_yet("the first run");
    }
    let missed = missed_slots(schedule, slot, seen.counted_from());
    overdue_finding(about, seen, schedule, now.duration_since(slot), missed, now)
}

/// Counts the slots up to this one that had no run, up to a number that no longer changes the judgement.
fn missed_slots(schedule: &Schedule, slot: Timestamp, counted_from: Option<Timestamp>) -> i64 {
    const ENOUGH: usize = 50;
    let uncovered =
        |slot: &Timestamp| counted_from.is_none_or(|from| slot.saturating_sub(EARLY).unwrap_or(*slot) > from);
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
        format!("{missed} scheduled runs missed; last run {last}")
    } else {
        format!("run is {} overdue (grace {}); last run {last}", words(overdue), words(schedule.grace))
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
    let cause = "Census's scheduler does not start the sync: the schedule changed, the source connection was lost, \
                 or Census has an unreported outage";
    about.unhealthy(severity, evidence, cause)
}

#[cfg(test)]
mod tests;
