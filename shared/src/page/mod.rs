//! The status page of a pipeline: a typed model of its state, and the page, feed, badge and JSON that show it. Pure.
//!
//! [`Page::of`] computes no figure by itself: those of the scoreboard, of expectations and of remedies come from their own
//! modules, all others from records as they are. What could not be read is listed with its reason, and never counts as healthy.
//! Texts of vendors and people are put into one bounded line here; templates escape every value.

mod incidents;
mod of;
mod parts;
mod render;
mod words;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::Severity;
use crate::history::{DAYS, History, ObjectDay};
use crate::observation::Run;
use crate::pipeline::{Level, Terms};
use crate::remedy::{Score, State as RemedyState};
pub use crate::rounds::PAGE_OUT_OF_DATE as OUT_OF_DATE;
use crate::rounds::ReconciledRound;
use crate::scoreboard::{Outcome, Stored};

pub use incidents::{Episode, Wrong};
pub use render::{File, RenderError, STYLE};
use words::line;

/// The version of the JSON's shape; `status.schema.json` beside this file describes it. A change that breaks readers raises it.
pub const SCHEMA: &str = "syncwatch.status/1";
/// How often the page is renewed.
pub const RENEWED_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// The state is unknown if the syncs were not checked for so long; they are checked every two minutes.
pub const UNCHECKED: SignedDuration = SignedDuration::from_mins(10);
/// The days of figures and incidents that the page shows.
pub const SHOWN_DAYS: i64 = 90;
/// The days of runs that the page shows.
pub const RUN_DAYS: i64 = 30;
/// The days of the audit log that the page needs, before today.
pub const HISTORY_DAYS: i64 = DAYS;

/// The figures of the audit log, as read at one moment. They change once a night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When they were read (UTC).
    pub read_at: Timestamp,
    /// [`HISTORY_DAYS`] days and today.
    pub history: History,
    /// The newest comparison of each object.
    pub objects: BTreeMap<String, ObjectDay>,
    /// Why newer figures could not be read.
    #[serde(skip)]
    pub unrenewed: Option<String>,
}

/// A round of the snapshot or of reconciliation has written its rows so long after it began.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_mins(5);

impl Recorded {
    /// Returns whether it has the rows of rounds that began at these instants, as far as there were any.
    pub fn is_current(&self, rounds: impl IntoIterator<Item = Timestamp>) -> bool {
        rounds.into_iter().all(|began| self.read_at.duration_since(began) > WRITTEN_WITHIN)
    }
}

/// A sync as Census has it now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    pub label: Option<String>,
    pub paused: Option<bool>,
    pub last_run: Option<Run>,
}

/// Everything that a page is built from; an error is the reason why a part could not be read.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub stored: Result<Stored, String>,
    /// When the last whole round of each function began (UTC).
    pub rounds: Result<BTreeMap<String, Timestamp>, String>,
    pub reconciled: Result<Option<ReconciledRound>, String>,
    pub recorded: Result<Recorded, String>,
    /// By the key of the sync.
    pub syncs: BTreeMap<String, Result<Live, String>>,
}

/// The state of a pipeline, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Healthy,
    /// Nothing but incidents for information.
    Info,
    Warning,
    Error,
    Critical,
    /// It was not checked recently, or the incidents could not be read.
    Unknown,
}

impl From<Severity> for State {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
            Severity::Critical => Self::Critical,
        }
    }
}

/// The page. Serialized, it is `status.json`. Instants are UTC; days are of the pipeline's zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    pub schema: &'static str,
    pub pipeline: String,
    /// The IANA name of the pipeline's zone, if it has one.
    pub time_zone: Option<String>,
    pub terms: Words,
    /// When the page was made.
    pub at: Timestamp,
    /// The page is out of date if it was not renewed until then.
    pub out_of_date_at: Timestamp,
    pub state: State,
    /// The state in a few words, such as `3 problems (worst: critical)`.
    pub headline: String,
    /// Since when that is so; `None` if it is unknown.
    pub since: Option<Timestamp>,
    /// When the syncs were last checked.
    pub checked_at: Option<Timestamp>,
    /// Headline, beginning and check in one sentence.
    pub sentence: String,
    /// Open incidents, the worst first.
    pub wrong: Vec<Wrong>,
    /// In the order of `pipeline.toml`.
    pub syncs: Vec<SyncState>,
    /// Coverage, quality and queue by day.
    pub figures: Vec<Trend>,
    pub objects: Vec<Compared>,
    pub remedies: Option<Remedies>,
    pub scoreboard: Option<Board>,
    /// The periods of the last 90 days in which an incident was open, newest first.
    pub incidents: Vec<Episode>,
    /// The parts that could not be read or checked now.
    pub unknown: Vec<Gap>,
    /// The parts that are not watched, by declaration or by a silence.
    pub unwatched: Vec<Gap>,
}

/// The pipeline's nouns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    pub records: String,
    pub destination: String,
    pub audience: String,
}

impl From<&Terms> for Words {
    fn from(terms: &Terms) -> Self {
        let Terms { records, destination, audience, .. } = terms;
        Self { records: line(records), destination: line(destination), audience: line(audience) }
    }
}

/// One sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncState {
    pub sync: String,
    /// Census's name of it.
    pub label: Option<String>,
    pub role: String,
    pub paused: Option<bool>,
    /// The state by its open incidents.
    pub state: State,
    pub last_run: Option<LastRun>,
    pub next_run: Option<Timestamp>,
    /// Why Census's part of it is unknown.
    pub unread: Option<String>,
    /// The last 30 days, oldest first, the last one yesterday.
    pub days: Vec<RunDay>,
}

/// The newest run of a sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastRun {
    /// Census's word, such as `completed`.
    pub state: String,
    pub started_at: Timestamp,
    /// `None` while it works.
    pub seconds: Option<i64>,
}

/// The runs of a sync that began on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDay {
    pub day: Date,
    pub outcome: DayOutcome,
    pub completed: u64,
    pub failed: u64,
    /// Records to deliver.
    pub records: Option<f64>,
    /// The median duration of the completed runs.
    pub seconds: Option<f64>,
}

/// The runs of a day in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayOutcome {
    /// The audit log lacks the runs of the day.
    Unrecorded,
    NoRuns,
    AllCompleted,
    SomeFailed,
    AllFailed,
}

/// A figure of the data over the last 90 days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// `coverage`, `null_rate`, `queue` or `agreement`.
    pub figure: &'static str,
    pub title: String,
    /// `percent` or `records`.
    pub unit: &'static str,
    /// The newest known day.
    pub day: Option<Date>,
    pub value: Option<f64>,
    /// The value as text.
    pub shown: Option<String>,
    /// The declared limits; each as number and text.
    pub limits: Vec<ShownLimit>,
    /// The expected range of the last day, as text.
    pub expected: Option<String>,
    /// The finding of the rules about the last day, or why they do not judge it; `None` if it is as expected.
    pub note: Option<String>,
    /// When a limit will be passed, or why no day is forecast.
    pub forecast: Option<String>,
    /// Oldest first.
    pub days: Vec<TrendDay>,
}

/// A declared limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownLimit {
    pub value: f64,
    pub shown: String,
}

/// A figure on a day, with its expected range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrendDay {
    pub day: Date,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// The newest comparison of an object on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    pub object: String,
    /// `None` if it is not in the audit log yet.
    pub comparison: Option<ObjectDay>,
    /// When it was last compared.
    pub last_compared_at: Option<Timestamp>,
}

/// Remedies at work, and their score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remedies {
    pub level: Level,
    /// Those that can still change, the newest first.
    pub active: Vec<Act>,
    /// Of the last 30 days.
    pub score: Score,
}

/// A remedy at work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Act {
    pub id: String,
    /// Such as `run properties-update again`.
    pub act: String,
    pub state: RemedyState,
    pub why: String,
    pub since: Timestamp,
    /// The command that approves it, if it waits for a person.
    pub approve: Option<String>,
}

/// The scoreboard of the last whole day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Board {
    pub day: Date,
    /// `ready`, `not-ready` or `unknown`.
    pub ready: &'static str,
    /// Since when it is production-ready, or what is missing.
    pub says: Vec<String>,
    pub metrics: Vec<Metric>,
}

/// One metric. Figures are percent, seconds or counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    pub metric: &'static str,
    pub title: &'static str,
    pub value: Option<f64>,
    /// The value as text, or the reason why there is none.
    pub shown: String,
    /// The goal as text.
    pub goal: Option<String>,
    pub outcome: Outcome,
    /// The days of the window.
    pub days: i64,
    /// Each of the last four weeks, oldest first.
    pub trend: Vec<Option<f64>>,
    /// The same as text.
    pub shown_trend: Vec<String>,
}

/// A part of the pipeline that is not known or not watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub what: String,
    pub why: String,
}
