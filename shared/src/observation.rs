//! Observations: data as read from vendors and AWS, before any judgement.
//!
//! Clients produce these types and judges read them. They are lenient by design: a figure that the vendor did not send is
//! `None`, and an unknown word is kept unchanged.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The vendor's identifier of a Census sync (an integer in API V1 and V2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SyncId(pub u64);

impl fmt::Display for SyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The vendor's identifier of one run of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One sync as Census describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedSync {
    pub id: SyncId,
    /// The vendor's display name; Census allows it to be null.
    pub label: Option<String>,
    /// `None` if the answer had no such field.
    pub paused: Option<bool>,
    pub schedule: ObservedSchedule,
    pub alerts: VendorAlerts,
    /// When the sync was created (UTC).
    pub created_at: Option<Timestamp>,
    /// When its configuration was last changed (UTC); a PATCH, so also a resume, moves it.
    pub updated_at: Option<Timestamp>,
}

/// A schedule as the Census API returns it.
///
/// Census cron expressions are in UTC (Census docs, "Triggering syncs"). No source states the zone of the `hour` of
/// `daily` and `weekly`; we read it as UTC too, and the evidence of a finding says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedSchedule {
    /// `never`: runs only when a user starts it.
    Manual,
    /// `continuous`: Census checks for changes about every minute.
    Continuous,
    QuarterHourly,
    /// `hourly`, at this minute (0 to 59) if the vendor sent one.
    Hourly {
        minute: Option<u8>,
    },
    /// `daily`.
    Daily {
        /// Hour of the day, 0 to 24 (the documented range; 24 is read as midnight).
        hour: u8,
        /// Minute of the hour, 0 to 59.
        minute: u8,
    },
    /// `weekly`.
    Weekly {
        day: jiff::civil::Weekday,
        /// Hour of the day, 0 to 24.
        hour: u8,
        /// Minute of the hour, 0 to 59.
        minute: u8,
    },
    /// `expression`: a five-field cron expression in UTC.
    Cron(String),
    /// Started by an event: a live source, dbt Cloud, Fivetran or another sync.
    Triggered(String),
    /// The answer cannot be read as a schedule; holds its text.
    Unreadable(String),
}

impl fmt::Display for ObservedSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::Continuous => f.write_str("continuous"),
            Self::QuarterHourly => f.write_str("every 15 minutes"),
            Self::Hourly { minute: Some(minute) } => write!(f, "hourly at minute {minute}"),
            Self::Hourly { minute: None } => f.write_str("hourly"),
            Self::Daily { hour, minute } => write!(f, "daily at {hour:02}:{minute:02} UTC"),
            Self::Weekly { day, hour, minute } => write!(f, "weekly on {day:?} at {hour:02}:{minute:02} UTC"),
            Self::Cron(expression) => write!(f, "cron {expression} UTC"),
            Self::Triggered(by) => write!(f, "triggered by {by}"),
            Self::Unreadable(found) => write!(f, "unreadable ({found})"),
        }
    }
}

/// The alerts that Census itself sends for a sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VendorAlerts {
    Known {
        failed_run: bool,
        /// The share of rejected and invalid records, in percent, above which it alerts; `None`: no such alert.
        rejected_percent: Option<f64>,
    },
    Unknown,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    Queued,
    Working,
    /// Ended without a run error; records may still have been rejected.
    Completed,
    Failed,
    /// Not executed, as an earlier run of the sync was still in progress.
    Skipped,
    /// Stopped by a user, with any `status` word.
    Cancelled,
    /// An unknown word, which counts as in progress: `preparing` once appeared unannounced (dagster-io/dagster#14543), and to
    /// assume an end would be the dangerous guess.
    Unknown(String),
}

impl RunStatus {
    /// Returns whether the run has ended.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled => true,
            Self::Queued | Self::Working | Self::Unknown(_) => false,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Unknown(word) => word,
        })
    }
}

/// Record counts of a run. Each is `None` if Census did not send it, which is common for failed runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the source object at run time.
    pub source: Option<u64>,
    /// Records sent to the destination (newer API) or read as changed from the source (older API).
    pub processed: Option<u64>,
    pub updated: Option<u64>,
    pub failed: Option<u64>,
    /// Records that Census did not send because of invalid data (`source_record_invalids`, formerly `records_invalid`).
    pub invalid: Option<u64>,
}

/// Returns the number of records to deliver: those processed, or those with a known result if these are more. `rejected` are
/// the failed and the invalid ones: the newer API does not count invalid records as processed, the older one did.
pub fn records_to_deliver(processed: u64, updated: Option<u64>, rejected: u64) -> u64 {
    processed.max(updated.unwrap_or(0).saturating_add(rejected))
}

/// Returns the share of records that did not arrive, in percent; `None` if there were none to deliver.
pub fn error_percent(rejected: u64, to_deliver: u64) -> Option<f64> {
    if to_deliver == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
    let percent = 100.0 * rejected as f64 / to_deliver as f64;
    Some(percent)
}

/// The error of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunError {
    /// The vendor's code, such as `JSON_ARRAY_ERROR`; Census publishes no list of codes.
    pub code: Option<String>,
    pub message: Option<String>,
    pub detail: Option<String>,
}

/// One execution of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    /// `None` if the answer had no such field.
    pub sync_id: Option<SyncId>,
    pub status: RunStatus,
    /// When the run was created (UTC). Census has no separate start time.
    pub created_at: Timestamp,
    /// When it ended (UTC); Census sends null for some failed runs.
    pub completed_at: Option<Timestamp>,
    /// Its slot of the schedule (UTC); null for runs started by hand.
    pub scheduled_for: Option<Timestamp>,
    /// Whether a person started it; `None` if the answer does not state it.
    pub by_hand: Option<bool>,
    pub counts: Counts,
    pub error: Option<RunError>,
    pub full_sync: Option<bool>,
}

/// One record that did not arrive. It has no payload, which is the customer's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    pub identifier: Option<String>,
    /// `upsert` or `delete`, in Census's words.
    pub operation: Option<String>,
    /// `rejected`, `invalid`, `NULL` or `DUPLICATE`, in Census's words.
    pub status: String,
    pub message: Option<String>,
}

/// One declared sync, as found in Census.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncObservation {
    pub sync: ObservedSync,
    /// Its newest runs, or why they could not be read.
    pub runs: Result<RunHistory, Unread>,
}

/// The newest runs of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunHistory {
    /// Newest first.
    pub runs: Vec<Run>,
    /// Whether these are all runs of the sync; if not, older ones exist.
    pub complete: bool,
    /// Records that did not arrive, of the one run to sample; `None` if there is no such run, or they could not be read.
    pub samples: Option<Samples>,
}

impl RunHistory {
    /// Returns the runs that are queued or working, by the vendor's own words, newest first.
    pub fn at_work(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| !run.status.is_terminal())
    }
}

/// Some of the records of a run that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    pub run: RunId,
    pub records: Vec<RejectedRecord>,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The service did not answer, or answered with a server error.
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Refused(String),
    /// There are no credentials to send, so no request was made.
    #[error("{0}")]
    NoCredentials(String),
    #[error("{0}")]
    Unreadable(String),
}

/// The result of looking up a declared sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// It exists, with its runs as far as they could be read.
    Found(SyncObservation),
    /// It could not be looked up, or its data cannot be read.
    Unread(Unread),
    /// Census reports it as missing when asked for it alone.
    Gone,
}

/// Whether a SQL warehouse of Databricks runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarehousePower {
    Running,
    Starting,
    Stopped,
    Stopping,
    Deleting,
    Deleted,
    /// Another word of the vendor.
    Other(String),
}

impl WarehousePower {
    /// Reads the vendor's word.
    pub fn of(word: &str) -> Self {
        match word {
            "RUNNING" => Self::Running,
            "STARTING" => Self::Starting,
            "STOPPED" => Self::Stopped,
            "STOPPING" => Self::Stopping,
            "DELETING" => Self::Deleting,
            "DELETED" => Self::Deleted,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for WarehousePower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
            Self::Deleting => "being deleted",
            Self::Deleted => "deleted",
            Self::Other(word) => word,
        })
    }
}

/// A SQL warehouse of Databricks, as read; `None` where the vendor sent nothing, or something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseState {
    pub power: WarehousePower,
    /// Idle minutes until it stops by itself; 0 means never.
    pub auto_stop_mins: Option<u32>,
    /// Such as `2X-Small`.
    pub cluster_size: Option<String>,
    pub min_clusters: Option<u32>,
    pub max_clusters: Option<u32>,
}

impl WarehouseState {
    /// Returns whether it is stopped, and not on its way to be.
    pub fn is_stopped(&self) -> bool {
        self.power == WarehousePower::Stopped
    }

    /// Returns whether it answers queries.
    pub fn is_running(&self) -> bool {
        self.power == WarehousePower::Running
    }
}

/// The workspace as a whole, as read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workspace {
    pub listed: usize,
    /// Declared syncs whose runs could not be read.
    pub unread_runs: usize,
    pub read_to_end: bool,
    /// Why a request to Census failed, if one did.
    pub trouble: Option<Unread>,
    /// How far Census's clock is ahead of ours; negative if it is behind.
    pub vendor_clock_ahead: Option<SignedDuration>,
    /// Ids of the first few undeclared syncs.
    pub undeclared: Vec<SyncId>,
    pub undeclared_count: usize,
    /// When the newest few runs of declared syncs ended whose webhooks are due (UTC).
    pub ended: Vec<Timestamp>,
}

/// The content of a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterKind {
    /// Webhooks that the worker cannot process.
    Deliveries,
    /// Notices that the relay could not deliver.
    Notices,
}

/// A dead-letter queue, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    pub kind: DeadLetterKind,
    /// The number of messages, `None` if SQS did not send it; or why it could not be read.
    pub count: Result<Option<u64>, String>,
}

/// The number of confirmed subscriptions by protocol that a topic has, or needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribers(BTreeMap<String, usize>);

impl Subscribers {
    /// Parses the tag of a topic, such as `email=3 sqs=1`; `None` if it is malformed.
    pub fn parse(tag: &str) -> Option<Self> {
        let one = |word: &str| {
            let (protocol, count) = word.split_once('=')?;
            Some((protocol.to_owned(), count.parse().ok()?))
        };
        tag.split_whitespace().map(one).collect::<Option<_>>().map(Self)
    }

    /// Counts subscriptions by their protocols.
    pub fn counted<'p>(protocols: impl IntoIterator<Item = &'p str>) -> Self {
        let mut counts = BTreeMap::new();
        for protocol in protocols {
            *counts.entry(protocol.to_owned()).or_default() += 1;
        }
        Self(counts)
    }

    /// Returns the missing ones if only `confirmed` exist, such as `2 of 3 email`; `None` if none is missing.
    pub fn missing(&self, confirmed: &Self) -> Option<String> {
        let short = self.0.iter().filter_map(|(protocol, needed)| {
            let there = confirmed.0.get(protocol).copied().unwrap_or(0);
            (there < *needed).then(|| format!("{there} of {needed} {protocol}"))
        });
        let short: Vec<String> = short.collect();
        (!short.is_empty()).then(|| short.join(", "))
    }

    /// Returns whether some subscriptions are needed, and none of their protocols has a confirmed one.
    pub fn is_all_missing(&self, confirmed: &Self) -> bool {
        let needed = || self.0.iter().filter(|(_, needed)| **needed > 0);
        needed().next().is_some()
            && needed().all(|(protocol, _)| confirmed.0.get(protocol).is_none_or(|there| *there == 0))
    }
}

/// The subscribers of a topic, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSubscribers {
    pub topic: String,
    /// Those that it needs, `None` without a tag, and those that are confirmed; or why they could not be read.
    pub found: Result<(Option<Subscribers>, Subscribers), String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_are_read_from_the_tag_and_compared_by_protocol() {
        let needed = Subscribers::parse("email=3 sqs=1 https=0").unwrap();
        let table: [(&[&str], Option<&str>, bool); 5] = [
            (&["email", "email", "email", "sqs"], None, false),
            (&["email", "sqs", "email", "sqs", "email", "email", "https"], None, false),
            (&["email", "email", "sqs"], Some("2 of 3 email"), false),
            (&["email"], Some("1 of 3 email, 0 of 1 sqs"), false),
            (&["https"], Some("0 of 3 email, 0 of 1 sqs"), true),
        ];
        for (confirmed, missing, all) in table {
            let confirmed = Subscribers::counted(confirmed.iter().copied());
            assert_eq!(needed.missing(&confirmed).as_deref(), missing, "{confirmed:?}");
            assert_eq!(needed.is_all_missing(&confirmed), all, "{confirmed:?}");
        }
        let none = Subscribers::parse("https=0").unwrap();
        assert!(!none.is_all_missing(&Subscribers::default()));
        assert_eq!(Subscribers::parse(""), Some(Subscribers::default()));
        for garbled in ["email", "email=many", "email=-1", "email=1,sqs=1"] {
            assert_eq!(Subscribers::parse(garbled), None, "{garbled}");
        }
    }
}
