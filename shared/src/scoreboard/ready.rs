//! Production-ready: every goal met on each of seven days, by the rows of those days.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::days::Window;
use super::{Metric, Outcome, Score, Value};

/// The days on which every goal must be met.
pub const READY_DAYS: i64 = 7;

/// One metric on one day, as the audit log records it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    pub day: Date,
    pub metric: Metric,
    /// Stored as [`Value::number`], read back by [`Metric::value`].
    pub value: Option<Value>,
    /// The goal that it was computed with.
    pub goal: Option<f64>,
    pub outcome: Outcome,
    pub samples: u64,
    /// The reason for a missing value.
    pub reason: Option<String>,
    /// When it was written (UTC). Of two rows of a metric and day, the newest counts.
    pub written_at: Timestamp,
}

impl ScoreRow {
    pub(super) fn of(score: &Score, day: Date, written_at: Timestamp) -> Self {
        Self {
            day,
            metric: score.metric,
            value: score.reading.value,
            goal: score.goal.map(|goal| goal.value.number()),
            outcome: score.outcome,
            samples: score.reading.samples,
            reason: score.reading.reason.as_ref().map(ToString::to_string),
            written_at,
        }
    }
}

/// Whether the pipeline is production-ready.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadyState {
    Ready {
        /// The first day of the unbroken days on which every goal was met, as far as rows go back.
        met_since: Date,
        /// The seventh of them.
        since: Date,
    },
    NotReady {
        /// The first day on which it can be ready, if every goal is met from now on.
        earliest: Date,
        missing: Vec<Missing>,
    },
    /// The rows could not be read.
    Unknown { reason: String },
}

impl ReadyState {
    /// Returns it in one word: `ready`, `not-ready` or `unknown`.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::NotReady { .. } => "not-ready",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// A metric whose goal was not met on some of the last seven days.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    pub metric: Metric,
    /// The newest of these days.
    pub day: Date,
    /// The number of these days.
    pub days: u64,
    pub lack: Lack,
}

/// Why a goal was not met on a day.
#[derive(Debug, Clone, PartialEq)]
pub enum Lack {
    NotMet {
        value: Option<Value>,
        goal: Option<f64>,
    },
    Unknown(String),
    NoRow,
    /// The metric had no goal on that day.
    NoGoal,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMet { value: Some(value), goal } => write!(f, "{}, not met", value.text(*goal)),
            Self::NotMet { value: None, .. } => f.write_str("not met"),
            Self::Unknown(why) => write!(f, "unknown, {why}"),
            Self::NoRow => f.write_str("not recorded"),
            Self::NoGoal => f.write_str("recorded without a goal"),
        }
    }
}

impl ReadyState {
    /// Judges the seven days that end with this one. The scores of the day itself replace its rows, which may have been
    /// written before it ended.
    pub(super) fn of(scores: &[Score], rows: Result<&[ScoreRow], &String>, day: Date) -> Self {
        let today: Vec<ScoreRow> =
            scores.iter().map(|score| ScoreRow::of(score, day, Timestamp::MAX)).collect();
        let rows = match rows {
            Ok(rows) => rows,
            Err(why) => return Self::Unknown { reason: why.clone() },
        };
        let mut newest: BTreeMap<(Metric, Date), &ScoreRow> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.day != day).chain(&today) {
            let place = newest.entry((row.metric, row.day)).or_insert(row);
            // Of two rows of the same time, the worse counts.
            if (row.written_at, place.outcome) > (place.written_at, row.outcome) {
                *place = row;
            }
        }
        let needed: Vec<Metric> =
            scores.iter().filter(|score| score.goal.is_some()).map(|score| score.metric).collect();
        let lack = |metric: Metric, day: Date| lack(newest.get(&(metric, day)).copied());
        let week: Vec<Date> = Window::ending(day, READY_DAYS).days().collect();
        let missing: Vec<Missing> = needed
            .iter()
            .filter_map(|metric| {
                let lacking: Vec<(Date, Lack)> =
                    week.iter().filter_map(|day| Some((*day, lack(*metric, *day)?))).collect();
                let days = u64::try_from(lacking.len()).unwrap_or(u64::MAX);
                let (day, lack) = lacking.into_iter().next_back()?;
                Some(Missing { metric: *metric, day, days, lack })
            })
            .collect();
        if let Some(last) = missing.iter().map(|missing| missing.day).max() {
            return Self::NotReady { earliest: last.saturating_add(READY_DAYS.days()), missing };
        }
        let all_met = |day: Date| needed.iter().all(|metric| lack(*metric, day).is_none());
        let mut met_since = Window::ending(day, READY_DAYS).from;
        // Without any goal, every day would count.
        while let Some(before) = met_since.yesterday().ok().filter(|day| !needed.is_empty() && all_met(*day))
        {
            met_since = before;
        }
        Self::Ready { met_since, since: met_since.saturating_add((READY_DAYS - 1).days()) }
    }
}

/// Why a row does not show a goal that was met.
fn lack(row: Option<&ScoreRow>) -> Option<Lack> {
    let Some(row) = row else { return Some(Lack::NoRow) };
    match row.outcome {
        Outcome::Met => None,
        Outcome::NotMet => Some(Lack::NotMet { value: row.value, goal: row.goal }),
        Outcome::Unknown => Some(Lack::Unknown(row.reason.clone().unwrap_or_default())),
        Outcome::NoGoal => Some(Lack::NoGoal),
    }
}
