//! The records that the scoreboard is computed from.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::ScoreRow;
use crate::history::History;
pub use crate::marks::MarkVerdict;

/// Records of one kind, or why they could not be read or are not recorded.
pub type Source<T> = Result<Kept<T>, String>;

/// Records of one kind. Order does not matter, and a record that is there twice counts once.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept<T> {
    /// All records from this instant on are there (UTC).
    pub since: Timestamp,
    pub records: Vec<T>,
}

/// Everything that the scoreboard is computed from.
#[derive(Debug, Clone)]
pub struct Records {
    /// The days of the audit log. Of two rows of a day, or of a sync and day, the first counts.
    pub history: Result<History, String>,
    /// Days whose rows lack figures.
    pub gaps: BTreeMap<Date, Gap>,
    /// The keys of the syncs that must run every day. Runs of other syncs do not count.
    pub syncs: Vec<String>,
    /// Whether objects are declared: then the quality of the data is the agreement of their fields.
    pub compares_objects: bool,
    pub alerts: Source<Alert>,
    pub notices: Source<Notice>,
    pub marks: Source<Mark>,
    pub lag: Source<LagSample>,
    /// Manual acts (UTC). A kind that is absent is not recorded; one of [`Manual::REQUIRED`] must not be.
    pub manual: BTreeMap<Manual, Source<Timestamp>>,
    /// The scoreboard's own rows.
    pub scores: Result<Vec<ScoreRow>, String>,
}

/// The figures that the row of a day lacks, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gap {
    pub runs: Option<String>,
    pub data: Option<String>,
}

/// One period in which an incident was open and had alerted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// The key of the incident.
    pub incident: String,
    /// When its first notice was decided (UTC).
    pub told_at: Timestamp,
    /// When SNS accepted that notice (UTC); `None` if that is not recorded.
    pub sent_at: Option<Timestamp>,
    /// When the fault began by its evidence, or else when it was first found (UTC).
    pub began_at: Timestamp,
    /// When it was found healthy again (UTC).
    pub resolved_at: Option<Timestamp>,
}

/// A notice that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Stays the same when the notice is sent again.
    pub id: String,
    /// When it was sent (UTC).
    pub sent_at: Timestamp,
}

/// A person's verdict on an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The key of the incident.
    pub incident: String,
    /// When that alert was sent (UTC).
    pub told_at: Timestamp,
    /// When it was marked (UTC); the newest mark of an alert counts.
    pub at: Timestamp,
    pub verdict: MarkVerdict,
}

/// How long the oldest change had been waiting for its arrival in the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagSample {
    /// When it was measured (UTC).
    pub at: Timestamp,
    /// Zero if no change was waiting.
    pub lag: SignedDuration,
}

/// A kind of manual act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manual {
    Acknowledgement,
    ApprovedRemedy,
    RunStarted,
    Pause,
    SilenceAdded,
}

impl Manual {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Acknowledgement, Self::ApprovedRemedy, Self::RunStarted, Self::Pause, Self::SilenceAdded];
    /// The kinds that days without a manual act cannot do without; approved remedies are always known with the others.
    pub const REQUIRED: [Self; 4] =
        [Self::Acknowledgement, Self::RunStarted, Self::Pause, Self::SilenceAdded];
}

impl fmt::Display for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledgement => "acknowledgements",
            Self::ApprovedRemedy => "approved remedies",
            Self::RunStarted => "runs started by hand",
            Self::Pause => "pauses",
            Self::SilenceAdded => "silences added",
        })
    }
}
