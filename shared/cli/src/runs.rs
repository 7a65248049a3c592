//! Lists the last runs of a sync.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Operator;
use super::error::Error;
use syncwatch::classify::{ErrorClass, classify};
use syncwatch::observation::{Run, RunStatus, records_to_deliver};
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::text::{grouped, table, words};

/// Minimum likeness of a suggested key (0 to 1).
const NEAR_FROM: f64 = 0.5;

/// The last runs of a sync, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    pub pipeline: String,
    pub sync: String,
    /// The pipeline's time zone, in which the starts are shown.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub time_zone: TimeZone,
    pub runs: Vec<RunLine>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// Census's id of the run.
    pub run: u64,
    /// Census's status, such as `completed`.
    pub state: String,
    /// Creation time (UTC).
    pub started_at: Timestamp,
    /// Duration; `None` while the run works.
    pub duration_seconds: Option<i64>,
    /// Records to deliver; `None` if Census did not count them.
    pub records: Option<u64>,
    /// Rejected and invalid records.
    pub failed: Option<u64>,
    /// Error class of a failed run.
    pub class: Option<String>,
}

impl RunLine {
    pub(crate) fn of(run: &Run) -> Self {
        let counts = run.counts;
        // For a run without counts, Census often still sends 0 invalid records.
        let counted = counts.failed.map(|failed| failed.saturating_add(counts.invalid.unwrap_or(0)));
        let failed = counted.or(counts.invalid.filter(|invalid| *invalid > 0));
        let has_failed = run.status == RunStatus::Failed || run.error.is_some();
        // Matches the classification of the judge of runs.
        let class =
            || run.error.as_ref().map_or(ErrorClass::Unknown, |error| classify(error).class).id().to_owned();
        Self {
            run: run.id.0,
            state: run.status.to_string(),
            started_at: run.created_at,
            duration_seconds: run.completed_at.map(|at| at.duration_since(run.created_at).as_secs()),
            records: counts
                .processed
                .map(|processed| records_to_deliver(processed, counts.updated, failed.unwrap_or(0))),
            failed,
            class: has_failed.then(class),
        }
    }

    fn row(&self, zone: &TimeZone) -> [String; 6] {
        let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), grouped);
        let duration = self.duration_seconds.map(|seconds| words(SignedDuration::from_secs(seconds)));
        [
            self.started_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
            self.state.clone(),
            duration.unwrap_or_default(),
            count(self.records),
            count(self.failed),
            self.class.clone().unwrap_or_default(),
        ]
    }
}

impl fmt::Display for RunList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return write!(f, "{} has never run.", self.sync);
        }
        let rows: Vec<_> = self.runs.iter().map(|run| run.row(&self.time_zone)).collect();
        f.write_str(&table(["start", "state", "duration", "records", "failed", "class"], &rows))
    }
}

impl Operator {
    pub(super) async fn runs(&self, sync: &str, last: u32) -> Result<RunList, Error> {
        let sync = declared(&self.pipeline, sync)?;
        let history = self.census().await?.runs_of_sync(sync.id, last).await?;
        // Census may return more than requested.
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        Ok(RunList {
            pipeline: self.pipeline.name.clone(),
            sync: sync.key.clone(),
            time_zone: self.pipeline.time_zone.clone(),
            runs: history.runs.iter().take(last).map(RunLine::of).collect(),
        })
    }
}

pub(crate) fn declared<'p>(pipeline: &'p Pipeline, key: &str) -> Result<&'p Sync, Error> {
    let sync = pipeline.syncs.iter().find(|sync| sync.key == key || sync.id.to_string() == key);
    sync.ok_or_else(|| {
        let keys = pipeline.syncs.iter().map(|sync| sync.key.as_str());
        let likeness = |other: &str| strsim::normalized_damerau_levenshtein(key, other);
        let near = keys.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let hint = match near.filter(|near| likeness(near) >= NEAR_FROM) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", keys.collect::<Vec<_>>().join(", ")),
        };
        Error::new(format!("unknown sync `{key}`"), hint)
    })
}
