//! The scoreboard: every success metric of a pipeline, and whether it is production-ready. Pure: no I/O and no clock, and
//! never fails.
//!
//! * A figure is computed from records, and is unknown with a reason where one of them is missing. Unknown is never met.
//! * A day is a calendar day in the pipeline's zone: 23 or 25 hours when the clocks change.
//! * A record that is there twice, such as the row of a night that ran again, counts once.
//! * Ready means that every goal was met on each of [`READY_DAYS`] days by the rows of those days ([`ScoreRow`]), not only
//!   by the window that ends now.

mod by_hand;
mod days;
mod measure;
mod ready;
mod records;
mod show;
mod stored;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::days::days_before;
pub use crate::judge::success::FEWEST_RUNS;
pub use by_hand::RunsByHand;
pub use days::Window;
pub use ready::{Lack, Missing, READY_DAYS, ReadyState, ScoreRow};
pub use records::{Alert, Gap, Kept, LagSample, Manual, Mark, MarkVerdict, Notice, Records, Source};
pub use show::table;
pub use stored::{DAYS, KEPT_DAYS, Stored};
pub use value::{Bound, Goal, Value};

/// The weeks of a trend.
pub const TREND_WEEKS: i64 = 4;

/// Declares the metrics: name, id, title, unit, days of the window, goal.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal, $unit:expr, $days:literal, $goal:expr;)*) => {
        /// A success metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric { $($(#[$doc])* $name,)* }

        impl Metric {
            /// All metrics, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name as it is stored.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// The name for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The days of its window. A week for rates and durations; one day for states, as seven of them make a ready week.
            pub fn days(self) -> i64 {
                match self { $(Self::$name => $days,)* }
            }

            /// A limit of the metric that people must know.
            pub fn note(self) -> Option<&'static str> {
                match self {
                    Self::Lag => Some("measured once a night, by the freshness checks"),
                    Self::DataQuality => Some("the share of fields that agree, where [[objects]] are declared"),
                    _ => None,
                }
            }

            /// Types a stored number: percent, seconds, or a count.
            pub fn value(self, number: f64) -> Value {
                match self { $(Self::$name => $unit(number),)* }
            }

            /// Whether its goal is a lower or an upper limit, and the limit by default.
            fn limit(self) -> Limit {
                match self { $(Self::$name => $goal,)* }
            }
        }
    };
}

metrics! {
    /// The share of the completed and failed runs that completed.
    SuccessRate = "success-rate", "Successful runs", Value::Percent, 7, at_least(95.0);
    /// From the beginning of a fault by its evidence until SNS accepted its first notice: the 90th percentile of the alerts.
    AlertDelay = "alert-delay", "Alert delay, p90", Value::seconds, 7, at_most(15.0 * 60.0);
    /// From the beginning of a fault to its recovery, over those that recovered. One that is still open counts with its age
    /// once that exceeds the goal: otherwise the longest fault would not count before it ends.
    RecoveryMean = "recovery-mean", "Recovery, mean", Value::seconds, 7, at_most(TWO_HOURS);
    /// The 90th percentile of the same durations.
    RecoveryP90 = "recovery-p90", "Recovery, p90", Value::seconds, 7, at_most(TWO_HOURS);
    /// The share of the compared values that agree on both sides, if objects are declared. Otherwise the share of the records in
    /// the destination without a flaw: a missing company name or a duplicate key. A record with both counts twice, so this is a
    /// lower bound. The lowest day counts.
    DataQuality = "data-quality", "Data quality", Value::Percent, 1, at_least(95.0);
    /// The share of the records that are in the destination. The lowest day counts.
    Coverage = "coverage", "Coverage", Value::Percent, 1, at_least(90.0);
    /// The completed runs of the sync that has the fewest, on the day that has the fewest.
    DailyRuns = "daily-runs", "Daily runs, fewest", Value::count, 1, at_least(1.0);
    /// The longest time that a change waited for its arrival in the destination, by the measurements of each night.
    Lag = "lag", "Lag, longest", Value::seconds, 1, at_most(TWO_HOURS);
    /// The whole days in a row without a manual act.
    DaysUnattended = "days-unattended", "Without manual act", Value::days, 1, at_least(7.0);
    /// The share of the alerts marked real among those marked real or fine.
    AlertPrecision = "alert-precision", "Alert precision", Value::Percent, 28, (Bound::AtLeast, None);
    /// The notices that were sent, each once.
    Notices = "notices", "Notices", Value::count, 7, (Bound::AtMost, None);
}

const TWO_HOURS: f64 = 2.0 * 3_600.0;

type Limit = (Bound, Option<f64>);

fn at_least(limit: f64) -> Limit {
    (Bound::AtLeast, Some(limit))
}

fn at_most(limit: f64) -> Limit {
    (Bound::AtMost, Some(limit))
}

/// The goals. A limit itself meets its goal, as in the checks. A metric without a goal is for information only.
#[derive(Debug, Clone, PartialEq)]
pub struct Goals(BTreeMap<Metric, f64>);

impl Default for Goals {
    fn default() -> Self {
        Self(Metric::ALL.iter().filter_map(|metric| Some((*metric, metric.limit().1?))).collect())
    }
}

impl Goals {
    /// Sets the limit of a metric, in percent, seconds or a count; `None` removes its goal.
    #[must_use]
    pub fn with(mut self, metric: Metric, limit: Option<f64>) -> Self {
        self.0.remove(&metric);
        self.0.extend(limit.map(|limit| (metric, limit)));
        self
    }

    /// Returns the goal of a metric.
    pub fn of(&self, metric: Metric) -> Option<Goal> {
        let limit = *self.0.get(&metric)?;
        Some(Goal { bound: metric.limit().0, value: metric.value(limit) })
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No alert was sent or recovered: nothing to measure, which meets the goal.
    NoAlert,
    /// The records could not be read, or are not recorded.
    Unavailable(String),
    /// The records begin on this day, after the beginning of the window.
    Begins(Date),
    /// The audit log has no row of the day.
    NoRow(Date),
    /// The row of the day lacks the figure.
    Gap(Date, String),
    /// No notice of an alert of this incident is recorded as sent.
    NotSent(String),
    /// Lag was not measured on the day.
    NoSample(Date),
    /// `pipeline.toml` declares no sync.
    NoSync,
    FewRuns(u64),
    /// None of so many alerts is marked real or fine.
    NoMark(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAlert => f.write_str("no alert"),
            Self::Unavailable(why) => f.write_str(why),
            Self::Begins(day) => write!(f, "records begin on {day}"),
            Self::NoRow(day) => write!(f, "no row of {day}"),
            Self::Gap(day, why) => write!(f, "{day}: {why}"),
            Self::NotSent(incident) => write!(f, "no sent notice recorded of {incident}"),
            Self::NoSample(day) => write!(f, "no lag measured on {day}"),
            Self::NoSync => f.write_str("no sync declared"),
            Self::FewRuns(runs) => write!(f, "{runs} of at least {FEWEST_RUNS} runs"),
            Self::NoMark(alerts) => write!(f, "0 of {alerts} alerts marked"),
        }
    }
}

/// Whether a metric meets its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    NotMet,
    Unknown,
    /// It has no goal, and is not needed to be ready.
    NoGoal,
    Met,
}

crate::finding::show_as_stored!(Outcome);

/// A metric over some days.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub window: Window,
    pub value: Option<Value>,
    /// The reason for a missing value.
    pub reason: Option<Reason>,
    /// The runs, alerts, days, measurements, marks or notices that it is computed from.
    pub samples: u64,
}

/// A metric, its goal and its trend.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub metric: Metric,
    pub title: &'static str,
    pub reading: Reading,
    pub goal: Option<Goal>,
    pub outcome: Outcome,
    /// The same metric over each of the last [`TREND_WEEKS`] weeks, oldest first.
    pub trend: Vec<Reading>,
}

/// All metrics as of the end of a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoreboard {
    pub pipeline: String,
    /// The last day of every window, in the pipeline's zone.
    pub day: Date,
    /// The IANA name of the zone, if it has one.
    pub time_zone: Option<String>,
    pub metrics: Vec<Score>,
    pub ready: ReadyState,
}

impl Records {
    /// Returns the last day to compute a scoreboard of: yesterday if the audit log has its runs, else the day before, because
    /// the row that is written shortly before midnight is completed in the next night.
    pub fn last_day(&self, today: Date) -> Date {
        let yesterday = days_before(today, 1);
        let rows = self.history.as_ref().map_or(&[][..], |history| &history.days);
        let whole = rows.iter().any(|row| row.day == yesterday)
            && self.gaps.get(&yesterday).is_none_or(|gap| gap.runs.is_none());
        if whole { yesterday } else { days_before(today, 2) }
    }
}

impl Scoreboard {
    /// Computes the metrics as of the end of a day. Records of a later time do not change them.
    pub fn compute(pipeline: &str, records: &Records, goals: &Goals, zone: &TimeZone, day: Date) -> Self {
        let measurer = measure::Measurer::new(records, goals, zone);
        let score = |metric: Metric| {
            let reading = measurer.read(metric, Window::ending(day, metric.days()));
            let goal = goals.of(metric);
            let weeks = (0..TREND_WEEKS).rev().map(|week| Window::ending(days_before(day, 7 * week), 7));
            let trend = weeks.map(|week| measurer.read(metric, week)).collect();
            Score { metric, title: metric.title(), outcome: reading.outcome(goal), reading, goal, trend }
        };
        let metrics: Vec<Score> = Metric::ALL.iter().copied().map(score).collect();
        let ready = ReadyState::of(&metrics, records.scores.as_deref(), day);
        let time_zone = zone.iana_name().map(str::to_owned);
        Self { pipeline: pipeline.to_owned(), day, time_zone, metrics, ready }
    }

    /// Reads all metrics over any span of days, both ends included.
    pub fn over(
        records: &Records,
        goals: &Goals,
        zone: &TimeZone,
        (from, to): (Date, Date),
    ) -> Vec<(Metric, Reading)> {
        let measurer = measure::Measurer::new(records, goals, zone);
        let read = |metric: &Metric| (*metric, measurer.read(*metric, Window { from, to }));
        Metric::ALL.iter().map(read).collect()
    }

    /// Returns the rows to record for its day: one for each metric.
    pub fn rows(&self, now: Timestamp) -> Vec<ScoreRow> {
        self.metrics.iter().map(|score| ScoreRow::of(score, self.day, now)).collect()
    }
}

impl Reading {
    /// Whether the value is missing because records are.
    fn reason_is_unknown(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| *reason != Reason::NoAlert)
    }

    /// Returns whether the reading meets this goal.
    pub fn outcome(&self, goal: Option<Goal>) -> Outcome {
        match (goal, self.value, &self.reason) {
            (None, ..) => Outcome::NoGoal,
            (Some(goal), Some(value), _) if goal.is_met_by(value) => Outcome::Met,
            (Some(_), Some(_), _) => Outcome::NotMet,
            (Some(_), None, Some(Reason::NoAlert)) => Outcome::Met,
            (Some(_), None, _) => Outcome::Unknown,
        }
    }
}
