//! The gates of a remedy: all of them must let it through, at the proposal and again at the moment of acting.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::choose::next_start;
use super::limits::{Breaker, breaker, ready_at, spent};
use super::proof::unshown;
use super::{Observed, Plan, Record, State, Stop, Target, ViewSeen, WIDE_FOR};
use crate::finding::show_as_stored;
use crate::incident::Incident;
use crate::observation::{SyncObservation, WarehouseState};
use crate::pipeline::{Level, Pipeline, RemedyKind};
use crate::text::{minute_utc, words};

/// An observation that is older proves nothing.
const FRESH_FOR: SignedDuration = SignedDuration::from_mins(5);
/// A sync that was changed within this duration is in a person's hands.
const PERSON_AT_WORK: SignedDuration = SignedDuration::from_hours(2);
/// A person who refused a remedy has it for so long.
const HANDS_OFF: SignedDuration = SignedDuration::from_hours(24);
/// How far the rows of a view may change, in percent.
const MOST_ROWS_PERCENT: u64 = 20;
/// A view is not replaced so shortly before a run reads it.
const BEFORE_RUN: SignedDuration = SignedDuration::from_mins(3);
/// The share of ill syncs above which the cause is shared, in percent; one ill sync is always allowed.
const MOST_ILL_PERCENT: usize = 50;

/// A condition on every act. They are judged in this order, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The kill switch is off.
    Switch,
    /// The level is `act`.
    Mode,
    /// The observation is fresh and complete.
    Fresh,
    /// The incident is open, not silenced, and no person has it.
    Incident,
    /// The class of the error allows it. [`super::choose`] proposes nothing else; a stored plan may be older.
    Class,
    /// No run of the sync, or of another one on the same object, is queued or working.
    Running,
    /// No person changed the sync recently.
    PersonAtWork,
    /// The sync, or the warehouse, is in the state that the remedy is for.
    Condition,
    /// The next scheduled start is not near.
    Gain,
    Budget,
    Cooldown,
    /// Few syncs are ill, so the cause is the sync's own.
    BlastRadius,
    /// A run that may create records cannot create duplicates.
    CreateProof,
    Breaker,
    /// Enough people approved the present plan.
    Approval,
    /// This function holds the turn of the pipeline.
    Lease,
}

show_as_stored!(Gate);

/// A gate that says no, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    pub gate: Gate,
    pub why: String,
}

/// The result of all gates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Verdict {
    /// In the order of [`Gate`]; none if the remedy may act.
    pub failing: Vec<Failing>,
}

impl Verdict {
    /// Returns whether the remedy may act.
    pub fn may_act(&self) -> bool {
        self.failing.is_empty()
    }

    /// Returns whether this gate alone says no.
    pub fn only(&self, gate: Gate) -> bool {
        matches!(&self.failing[..], [only] if only.gate == gate)
    }

    /// Returns the first reason, for a short text.
    pub fn why(&self) -> String {
        self.failing.first().map_or_else(|| "all gates are open".to_owned(), |first| first.why.clone())
    }

    fn no(&mut self, gate: Gate, why: impl Into<String>) {
        self.failing.push(Failing { gate, why: why.into() });
    }
}

/// How many declared syncs are ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ill {
    pub ill: usize,
    pub declared: usize,
}

/// The world as far as it decides about a remedy.
#[derive(Debug, Clone, Copy)]
pub struct World<'w> {
    pub pipeline: &'w Pipeline,
    /// The kill switches that are on; `Err` says why they could not be read.
    pub stops: Result<&'w [Stop], &'w str>,
    /// The incident as stored now; `None` if it is gone.
    pub incident: Option<&'w Incident>,
    /// The id of the silence or maintenance window that covers the incident.
    pub silenced_by: Option<&'w str>,
    pub observed: &'w Observed,
    /// The stored remedies of the pipeline; the judged one may be among them.
    pub records: &'w [Record],
    pub ill: Ill,
    /// Whether the turn of the pipeline is held.
    pub has_turn: bool,
}

/// Judges all gates of a remedy.
pub fn may(record: &Record, world: &World<'_>, now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    switch(record, world, &mut verdict);
    mode(record, world, &mut verdict);
    fresh(record, world, now, &mut verdict);
    incident(record, world, now, &mut verdict);
    if let Target::Sync { key, creates, .. } = &record.plan.target {
        if let Ok(observed) = &world.observed.sync {
            of_sync(record, key, observed, world, now, &mut verdict);
        }
        if *creates && record.plan.kind.starts_run() {
            let points = unshown(world.observed.proof.as_deref(), now);
            points.into_iter().for_each(|point| verdict.no(Gate::CreateProof, point));
        }
    }
    if record.plan.kind == RemedyKind::StartWarehouse {
        match &world.observed.warehouse {
            Ok(state) if state.is_stopped() && state.auto_stop_mins.is_none_or(|minutes| minutes == 0) => {
                verdict.no(Gate::Condition, "the warehouse would never stop by itself");
            }
            Ok(state) if !state.is_stopped() => {
                verdict.no(Gate::Condition, format!("the warehouse is {}, not stopped", state.power));
            }
            _ => {}
        }
    }
    if let (RemedyKind::RecreateView, Ok(seen)) = (record.plan.kind, &world.observed.view) {
        of_view(seen, world, now, &mut verdict);
    }
    limits(record, world, now, &mut verdict);
    if !world.has_turn {
        verdict.no(Gate::Lease, "another round acts on this pipeline");
    }
    verdict.failing.sort_by_key(|failing| failing.gate);
    verdict
}

fn switch(record: &Record, world: &World<'_>, verdict: &mut Verdict) {
    match world.stops {
        Err(why) => verdict.no(Gate::Switch, format!("the kill switch could not be read: {why}")),
        Ok(stops) => {
            let on = stops.iter().find(|stop| stop.covers(record.plan.kind));
            if let Some(Stop { by, at, why, .. }) = on {
                verdict.no(Gate::Switch, format!("{by} stopped it at {}: {why}", minute_utc(*at)));
            }
        }
    }
}

fn mode(record: &Record, world: &World<'_>, verdict: &mut Verdict) {
    let level = world.pipeline.remedies.level_of(record.plan.kind);
    if level < Level::Act {
        verdict.no(Gate::Mode, format!("its level is {level}"));
    }
}

fn fresh(record: &Record, world: &World<'_>, now: Timestamp, verdict: &mut Verdict) {
    let observed = world.observed;
    let age = now.duration_since(observed.at);
    if age.abs() > FRESH_FOR {
        verdict.no(Gate::Fresh, format!("the observation is {} old", words(age)));
        return;
    }
    let missing = match &record.plan.target {
        Target::Sync { .. } => {
            let own = observed.sync.as_ref().map_err(String::as_str).and_then(complete);
            let siblings = observed.siblings.iter();
            let siblings =
                siblings.map(|(_, sibling)| sibling.as_ref().map_err(String::as_str).and_then(complete));
            own.and_then(|()| siblings.collect::<Result<(), &str>>()).err().map(str::to_owned)
        }
        Target::Warehouse { .. } | Target::Clusters { .. } => observed.warehouse.as_ref().err().cloned(),
        Target::Webhook { .. } => observed.webhook.as_ref().err().cloned(),
        Target::View { .. } => {
            let readers = observed.siblings.iter();
            let mut readers =
                readers.map(|(_, seen)| seen.as_ref().map_err(String::as_str).and_then(complete));
            let unread = readers.find_map(|reader| reader.err().map(str::to_owned));
            observed.view.as_ref().err().cloned().or(unread)
        }
        Target::DeadLetters => observed.dead_letters.as_ref().err().cloned(),
    };
    if let Some(why) = missing {
        verdict.no(Gate::Fresh, format!("the observation is not complete: {why}"));
    }
}

/// Whether the observation of a sync has all that the gates rely on.
fn complete(observed: &SyncObservation) -> Result<(), &str> {
    if observed.sync.paused.is_none() {
        return Err("Census did not state whether the sync is paused");
    }
    if observed.sync.updated_at.is_none() {
        return Err("Census did not state when the sync was last changed");
    }
    match &observed.runs {
        Ok(_) => Ok(()),
        Err(_) => Err("the runs could not be read"),
    }
}

fn incident(record: &Record, world: &World<'_>, now: Timestamp, verdict: &mut Verdict) {
    let Some(stored) = world.incident.filter(|incident| record.is_about(incident)) else {
        verdict.no(Gate::Incident, "the incident has ended");
        return;
    };
    if !stored.state.is_open() {
        verdict.no(Gate::Incident, format!("the incident is {}", stored.state));
    }
    if let Some(silence) = world.silenced_by {
        verdict.no(Gate::Incident, format!("silence {silence} covers it"));
    }
    // An acknowledgement that has expired paused reminders; the person may still be at work.
    if let Some(by) = &stored.acknowledged {
        verdict.no(Gate::Incident, format!("{} has it", by.by));
    }
    let refused = world.records.iter().find(|other| {
        other.plan.incident == record.plan.incident
            && other.state == State::Refused
            && now.duration_since(other.since()) < HANDS_OFF
    });
    if refused.is_some() {
        verdict.no(Gate::Incident, "a person refused a remedy of it within 24 hours");
    }
    // The other half of the class: `choose` judges the incident again before every judgement.
    if record.plan.kind.starts_run() && world.observed.healthy == Some(true) {
        verdict.no(Gate::Class, "the fault is gone");
    }
}

fn of_sync(
    record: &Record,
    key: &str,
    observed: &SyncObservation,
    world: &World<'_>,
    now: Timestamp,
    verdict: &mut Verdict,
) {
    let kind = record.plan.kind;
    let own = (key, Some(observed));
    let siblings = world.observed.siblings.iter().map(|(key, seen)| (key.as_str(), seen.as_ref().ok()));
    let all = std::iter::once(own).chain(siblings);
    let working = all.filter_map(|(key, seen)| Some((key, seen?.runs.as_ref().ok()?.at_work().next()?)));
    if kind != RemedyKind::CancelHung {
        for (key, run) in working {
            verdict.no(Gate::Running, format!("run {} of {key} is {}", run.id, run.status));
        }
    }
    let changed = observed.sync.updated_at.filter(|at| now.duration_since(*at) < PERSON_AT_WORK);
    // A pause is such a change, and the person who approves the end of it knows.
    if let Some(at) = changed.filter(|_| kind != RemedyKind::Resume) {
        verdict.no(Gate::PersonAtWork, format!("the sync was changed at {}", minute_utc(at)));
    }
    let paused = observed.sync.paused == Some(true);
    match kind {
        RemedyKind::Resume if !paused => verdict.no(Gate::Condition, "it is not paused"),
        RemedyKind::Resume => {}
        RemedyKind::CancelHung => {
            match observed.runs.as_ref().ok().and_then(|history| history.at_work().next()) {
                None => verdict.no(Gate::Condition, "no run is in progress"),
                Some(run) => {
                    let age = now.duration_since(run.created_at);
                    let limit = world.pipeline.sync(key).map_or(SignedDuration::MAX, |sync| sync.stuck_after);
                    if age <= limit {
                        let why = format!("run {} has worked for {} of {}", run.id, words(age), words(limit));
                        verdict.no(Gate::Condition, why);
                    }
                }
            }
        }
        _ if paused => verdict.no(Gate::Condition, "it is paused; a person did that"),
        _ => {}
    }
    if record.plan.kind.starts_run() {
        let newest = world.observed.newest_run();
        let sync = world.pipeline.sync(key);
        let next = sync.and_then(|sync| next_start(sync, newest.map(|run| run.created_at), now));
        let min = world.pipeline.remedies.min_gain;
        if let Some(next) = next.filter(|next| next.duration_since(now) < min) {
            let why = format!("the schedule starts it at {}, in less than {}", minute_utc(next), words(min));
            verdict.no(Gate::Gain, why);
        }
    }
}

/// Judges whether the definition that a file declares may replace that of a view.
fn of_view(seen: &ViewSeen, world: &World<'_>, now: Timestamp, verdict: &mut Verdict) {
    if let [first, ..] = &seen.lost_columns[..] {
        let lost = seen.lost_columns.len();
        verdict.no(Gate::Condition, format!("the declared view lacks {lost} columns of syncs, as {first}"));
    }
    match (seen.rows, &seen.declared_rows) {
        (_, Err(why)) => verdict.no(Gate::Condition, format!("the declared view fails: {why}")),
        (None, _) if seen.found.is_some() => {
            verdict.no(Gate::BlastRadius, "the rows of the present view could not be counted");
        }
        (Some(rows), Ok(declared)) if rows.abs_diff(*declared) * 100 > rows * MOST_ROWS_PERCENT => {
            let why = format!("the declared view has {declared} rows, the present one {rows}");
            verdict.no(Gate::BlastRadius, why);
        }
        _ => {}
    }
    for (key, reader) in &world.observed.siblings {
        let Some(runs) = reader.as_ref().ok().and_then(|seen| seen.runs.as_ref().ok()) else { continue };
        if let Some(run) = runs.at_work().next() {
            verdict.no(Gate::Running, format!("run {} of {key} is {}", run.id, run.status));
        }
        let newest = runs.runs.iter().map(|run| run.created_at).max();
        let next = world.pipeline.sync(key).and_then(|sync| next_start(sync, newest, now));
        if let Some(next) = next.filter(|next| next.duration_since(now) < BEFORE_RUN) {
            verdict.no(Gate::Running, format!("{key} reads it at {}", minute_utc(next)));
        }
    }
}

/// Returns the most that an act may cost, in US cents: a start runs the warehouse for its idle time, and an hour is assumed; more clusters run for
/// their two hours.
pub fn cents(plan: &Plan, pipeline: &Pipeline, state: Option<&WarehouseState>) -> u64 {
    let idle = || f64::from(state.and_then(|state| state.auto_stop_mins).unwrap_or_default());
    let hours = match plan.target {
        Target::Warehouse { .. } => 1.0 + idle() / 60.0,
        Target::Clusters { from, to, .. } => {
            WIDE_FOR.as_secs_f64() / 3_600.0 * f64::from(to.saturating_sub(from))
        }
        _ => return 0,
    };
    let Some(usd) = pipeline.remedies.usd_per_hour else { return 0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let cents = (usd * hours * 100.0).ceil().clamp(0.0, 1e8) as u64;
    cents
}

fn limits(record: &Record, world: &World<'_>, now: Timestamp, verdict: &mut Verdict) {
    let remedies = &world.pipeline.remedies;
    let cost = cents(&record.plan, world.pipeline, world.observed.warehouse.as_ref().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a declared price is positive and small"
    )]
    let most = remedies.usd_per_day.map(|usd| (usd * 100.0) as u64);
    if let Some(why) = spent(record, world.records, cost, most, now) {
        verdict.no(Gate::Budget, why);
    }
    let ready = ready_at(record, world.records, fault_at(record, world));
    if now < ready {
        verdict.no(Gate::Cooldown, format!("not before {}", minute_utc(ready)));
    }
    let Ill { ill, declared } = world.ill;
    let of_sync = matches!(record.plan.target, Target::Sync { .. });
    if of_sync && ill > 1 && ill * 100 > declared * MOST_ILL_PERCENT {
        verdict.no(Gate::BlastRadius, format!("{ill} of {declared} syncs are ill, so the cause is shared"));
    }
    let mut needed = record.plan.approvals;
    match breaker(record, world.records, now) {
        Breaker::Closed => {}
        Breaker::Open { until } => {
            let why = format!("two tries did not help; the breaker is open until {}", minute_utc(until));
            verdict.no(Gate::Breaker, why);
        }
        Breaker::HalfOpen => needed = needed.max(1),
    }
    let given = record.approvers(now).len();
    if given < needed {
        verdict.no(Gate::Approval, format!("{given} of {needed} approvals"));
    }
}

/// When the fault was last seen (UTC): the end of the newest run, else the opening of the incident.
fn fault_at(record: &Record, world: &World<'_>) -> Timestamp {
    let opened = record.plan.opened_at;
    if !record.plan.kind.starts_run() {
        return opened;
    }
    let newest =
        world.observed.history().and_then(|history| history.runs.iter().find(|run| run.status.is_terminal()));
    newest.map_or(opened, |run| run.completed_at.unwrap_or(run.created_at).max(opened))
}
