//! Budgets, cooldowns and breakers. They are computed from the stored records, so a restart forgets none.

use jiff::{SignedDuration, Timestamp};

use super::{Record, State};
use crate::pipeline::RemedyKind;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Undelivered notices that are sent again in an hour.
const MESSAGES_PER_HOUR: u64 = 500;
/// Runs that remedies start in 24 hours, in the whole pipeline.
const RUNS_PER_DAY: usize = 6;
/// So many acts in a row that did not help open the breaker.
const BREAKER: usize = 2;

/// The limits of one remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Acts on one target in 24 hours.
    pub per_day: usize,
    /// The waits before the first, second and each later attempt, since the fault or the last act.
    pub waits: [SignedDuration; 3],
}

/// Returns the limits of a remedy.
pub fn limits(kind: RemedyKind) -> Limits {
    let minutes = |waits: [i64; 3]| waits.map(SignedDuration::from_mins);
    let (per_day, waits) = match kind {
        // It has no act, so nothing limits it.
        RemedyKind::Wait => (usize::MAX, minutes([0, 0, 0])),
        RemedyKind::RunAgain => (3, minutes([5, 15, 45])),
        RemedyKind::RunAfterLimit => (2, minutes([60, 60, 60])),
        RemedyKind::StartWarehouse => (4, minutes([0, 15, 45])),
        RemedyKind::ReplayDeadLetters => (usize::MAX, minutes([10, 2, 2])),
        RemedyKind::WidenWarehouse
        | RemedyKind::Resume
        | RemedyKind::CancelHung
        | RemedyKind::RegisterWebhook => (1, minutes([0, 0, 0])),
        // The person who changed it may still be at work.
        RemedyKind::RecreateView => (1, minutes([120, 120, 120])),
    };
    Limits { per_day, waits }
}

fn within(record: &Record, span: SignedDuration, now: Timestamp) -> bool {
    // An act of the future, by a clock that was wrong, counts too.
    record.acted_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Returns why the budget does not allow another act like that of `record`; `None` if it does. `cents` is what the act may cost,
/// and `most_cents` what all acts may cost in 24 hours.
pub(super) fn spent(
    record: &Record,
    records: &[Record],
    cents: u64,
    most_cents: Option<u64>,
    now: Timestamp,
) -> Option<String> {
    let kind = record.plan.kind;
    let others = || records.iter().filter(|other| other.id != record.id);
    let today = || others().filter(|other| within(other, DAY, now));
    let same = today().filter(|other| record.is_of_same_act(other));
    let (same, most) = (same.count(), limits(kind).per_day);
    if same >= most {
        return Some(format!("{same} of {most} tries in 24 hours are used"));
    }
    let runs = today().filter(|other| other.plan.kind.starts_run()).count();
    if kind.starts_run() && runs >= RUNS_PER_DAY {
        return Some(format!("{runs} of {RUNS_PER_DAY} runs of the pipeline in 24 hours are used"));
    }
    if kind == RemedyKind::ReplayDeadLetters {
        let moved: u64 = others().filter(|other| within(other, HOUR, now)).map(|other| other.moved).sum();
        return (moved >= MESSAGES_PER_HOUR).then(|| format!("{moved} messages were sent again in an hour"));
    }
    let cost: u64 = today().map(|other| other.cents).sum();
    let cost = cost.saturating_add(cents);
    most_cents
        .filter(|most| cents > 0 && cost > *most)
        .map(|most| format!("it could cost {cost} US cents in 24 hours; the limit is {most}"))
}

/// Returns when the remedy may act at the earliest (UTC): after the fault or the last act on its target, with a spread of up to a
/// fifth, by the id, so that several syncs do not act at once.
pub(super) fn ready_at(record: &Record, records: &[Record], fault_at: Timestamp) -> Timestamp {
    let same = |other: &&Record| record.is_of_same_act(other);
    let last = records.iter().filter(same).filter_map(|other| other.acted_at).max();
    // Tries since the fault began to be healed; older ones were about other faults.
    let tried = records.iter().filter(same).filter(|other| {
        other.plan.incident == record.plan.incident
            && other.plan.opened_at == record.plan.opened_at
            && other.acted_at.is_some()
    });
    let [first, second, later] = limits(record.plan.kind).waits;
    let wait = match tried.count() {
        0 => first,
        1 => second,
        _ => later,
    };
    let spread = u32::from_str_radix(record.id.get(..4).unwrap_or_default(), 16).unwrap_or_default() % 200;
    let wait = SignedDuration::from_secs(wait.as_secs() + wait.as_secs() * i64::from(spread) / 1_000);
    fault_at.max(last.unwrap_or(fault_at)).saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The breaker of a remedy on its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    Closed,
    /// Until this instant (UTC).
    Open {
        until: Timestamp,
    },
    /// A person must approve the next try.
    HalfOpen,
}

/// The other attempts of the same act that have ended, newest first.
fn ended<'r>(record: &Record, records: &'r [Record]) -> Vec<&'r Record> {
    let has_ended = |other: &&Record| matches!(other.state, State::Healed | State::Failed);
    let mut ended: Vec<&Record> =
        records.iter().filter(|other| record.is_of_same_act(other)).filter(has_ended).collect();
    ended.sort_by_key(|other| std::cmp::Reverse((other.acted_at, other.id.as_str())));
    ended
}

fn failed_in_a_row(newest_first: &[&Record]) -> usize {
    newest_first.iter().take_while(|record| record.state == State::Failed).count()
}

/// Returns whether an act that does not help opens the breaker, so that it is not tried again by itself.
pub fn gives_up(record: &Record, records: &[Record]) -> bool {
    record.harm.is_some() || failed_in_a_row(&ended(record, records)) + 1 >= BREAKER
}

/// Computes the breaker: it opens after two acts in a row that did not help, or one that did harm, and is half-open a day later,
/// until an act helps.
pub(super) fn breaker(record: &Record, records: &[Record], now: Timestamp) -> Breaker {
    let same = ended(record, records);
    let Some(last) = same.first() else { return Breaker::Closed };
    let failed = failed_in_a_row(&same);
    if failed < BREAKER && last.harm.is_none() {
        return Breaker::Closed;
    }
    let until = last.since().saturating_add(DAY).unwrap_or(Timestamp::MAX);
    if now < until { Breaker::Open { until } } else { Breaker::HalfOpen }
}
