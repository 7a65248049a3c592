mod figures;
mod naive;
mod readiness;
mod stored;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::*;
use crate::history::{DataDay, History, SyncDay, Tally};

const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3_600;

pub(super) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The zone of the tables.
pub(super) fn los_angeles() -> TimeZone {
    zone("America/Los_Angeles")
}

pub(super) const DAY: &str = "2026-11-26";

pub(super) fn kept<T>(records: Vec<T>) -> Source<T> {
    Ok(Kept { since: at("2026-01-01T00:00:00Z"), records })
}

/// An alert that began at noon UTC of a day, with its delay and recovery in minutes.
pub(super) fn alert(incident: &str, day: &str, delay: i64, recovery: Option<i64>) -> Alert {
    let began_at = at(&format!("{day}T12:00:00Z"));
    let after = |minutes: i64| began_at + SignedDuration::from_mins(minutes);
    let (incident, told_at, resolved_at) = (incident.to_owned(), after(delay), recovery.map(after));
    Alert { incident, told_at, sent_at: Some(told_at), began_at, resolved_at }
}

pub(super) fn mark(alert: &Alert, verdict: MarkVerdict) -> Mark {
    let Alert { incident, told_at, .. } = alert.clone();
    Mark { incident, told_at, at: told_at + SignedDuration::from_hours(1), verdict }
}

/// Records of 60 days that meet every goal: 48 runs of each of two syncs a day, 98% coverage.
pub(super) fn good() -> Records {
    let days = (0..60).map(|back| date(DAY) - back.days());
    let of_sync = |sync: &str| {
        let runs = Tally { completed: 48, failed: 0 };
        (
            sync.to_owned(),
            days.clone().map(|day| SyncDay { day, outcomes: runs, ..SyncDay::default() }).collect(),
        )
    };
    let row = |day| DataDay {
        day,
        total: Some(1_000.0),
        synced: Some(980.0),
        null_companies: Some(0.0),
        duplicates: Some(0.0),
        ..DataDay::default()
    };
    let history = History {
        days: days.clone().map(row).collect(),
        syncs: ["create", "update"].into_iter().map(of_sync).collect(),
        ..History::default()
    };
    let sample = |day: Date| LagSample {
        at: at(&format!("{day}T12:00:00Z")),
        lag: SignedDuration::from_secs(20 * MINUTE),
    };
    Records {
        history: Ok(history),
        gaps: BTreeMap::new(),
        syncs: vec!["create".to_owned(), "update".to_owned()],
        compares_objects: false,
        alerts: kept(Vec::new()),
        notices: kept(Vec::new()),
        marks: kept(Vec::new()),
        lag: kept(days.map(sample).collect()),
        manual: Manual::ALL.into_iter().map(|kind| (kind, kept(Vec::new()))).collect(),
        scores: Ok(Vec::new()),
    }
}

pub(super) fn board(records: &Records) -> Scoreboard {
    Scoreboard::compute("properties", records, &Goals::default(), &los_angeles(), date(DAY))
}

pub(super) fn score(board: &Scoreboard, metric: Metric) -> Score {
    board.metrics.iter().find(|score| score.metric == metric).unwrap().clone()
}

/// `98% Met of 672`, or `Unknown: no row of 2026-11-26`.
pub(super) fn shown(records: &Records, metric: Metric) -> String {
    let Score { reading, goal, outcome, .. } = score(&board(records), metric);
    match (reading.value, reading.reason) {
        (Some(value), None) => {
            let text = value.text(goal.map(|goal| goal.value.number()));
            format!("{text} {outcome:?} of {}", reading.samples)
        }
        (None, Some(reason)) => format!("{outcome:?}: {reason}"),
        other => panic!("a value or a reason: {other:?}"),
    }
}
