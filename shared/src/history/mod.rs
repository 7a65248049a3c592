//! The history of a pipeline: figures of each day, and of each sync on each day, from the rows of the audit log. Pure.
//!
//! Days are calendar days in the pipeline's time zone. A figure that was not written is `None`, never 0, and an unreadable
//! value spoils only itself.

mod runs;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::data_checks::object_name;
use crate::sql::{Answer, BadName, Dialect, FromValue, Row, Statement};

pub use runs::{CompletedRuns, RUN_DAYS, StoredUsual, UsualRuns, run_days, silence_limits};
pub use series::Figure;

/// The days of figures that expectations rest on. Rules need 70, and drift is found when it begins: judging the last day of 70
/// alone misses some that a longer replay finds (`make expectations ONLY=windows`).
pub const DAYS: i64 = 130;

/// The most rows of an answer of [`Reads`]: [`DAYS`] days of 384 syncs.
pub const MOST_ROWS: usize = 50_000;

/// The number of runs of a sync by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Ended without an error of their own.
    pub completed: u64,
    /// Ended with an error. Skipped and cancelled runs do not show whether the sync can succeed.
    pub failed: u64,
}

impl Tally {
    /// Counts runs of a status, as the audit log names it.
    pub fn count(&mut self, status: &str, runs: u64) {
        match status {
            "completed" => self.completed += runs,
            "failed" => self.failed += runs,
            _ => {}
        }
    }
}

/// The state of the data on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DataDay {
    pub day: Date,
    /// Records that should be in the destination.
    pub total: Option<f64>,
    /// Records that are.
    pub synced: Option<f64>,
    pub null_companies: Option<f64>,
    /// Records of the destination beyond the first of each key.
    pub duplicates: Option<f64>,
    pub create_queue: Option<f64>,
    pub update_queue: Option<f64>,
    pub incidents_opened: Option<f64>,
    pub incidents_resolved: Option<f64>,
    /// From the beginning of an incident until its first notice: the mean over those opened on the day, in seconds.
    pub time_to_detect: Option<f64>,
    /// From the beginning of an incident until its recovery: the mean over those resolved on the day, in seconds.
    pub time_to_recover: Option<f64>,
    /// Values of all objects that were compared; `None` if no object was.
    pub fields_compared: Option<f64>,
    pub fields_agreeing: Option<f64>,
}

impl DataDay {
    /// The share of the records that are in the destination, in percent; `None` without records.
    pub fn coverage(&self) -> Option<f64> {
        share(self.synced?, self.total?)
    }

    /// The share of the records in the destination without a company name, in percent.
    pub fn null_rate(&self) -> Option<f64> {
        share(self.null_companies?, self.synced?)
    }

    /// The share of the compared values that agree, in percent.
    pub fn agreement(&self) -> Option<f64> {
        share(self.fields_agreeing?, self.fields_compared?)
    }

    /// The records that wait for both syncs.
    pub fn queue(&self) -> Option<f64> {
        Some(self.create_queue? + self.update_queue?)
    }
}

/// The runs of one sync that began on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncDay {
    pub day: Date,
    pub outcomes: Tally,
    /// Records to deliver, of all runs; `None` if no run has a count.
    pub processed: Option<f64>,
    /// Records that did not arrive, of all runs; `None` if no run has a count.
    pub failed: Option<f64>,
    /// The median duration of the completed runs, in seconds.
    pub median_seconds: Option<f64>,
}

impl SyncDay {
    /// The share of the records that did not arrive, in percent; `None` without records.
    pub fn error_rate(&self) -> Option<f64> {
        share(self.failed?, self.processed?).map(|rate| rate.min(100.0))
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

/// How the records of an object compared on a day; figures are `None` where it was not compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectDay {
    pub object: String,
    pub day: Date,
    /// UTC.
    pub compared_at: Option<Timestamp>,
    pub source_rows: Option<u64>,
    pub destination_rows: Option<u64>,
    /// In the source only.
    pub missing_rows: Option<u64>,
    /// In the destination only.
    pub extra_rows: Option<u64>,
    pub different_rows: Option<u64>,
    /// Changed too recently to be judged.
    pub pending_rows: Option<u64>,
    /// The share of the compared values that agree, in percent.
    pub agreement: Option<f64>,
    /// Wrong records by their causes.
    pub by_fault: BTreeMap<String, u64>,
    /// Why they were not compared.
    pub not_compared: Option<String>,
}

impl ObjectDay {
    /// Reads the answer of [`Reads::object_days`]; of two rows of an object and day, the later counts.
    pub fn read(answer: &Answer) -> Vec<Self> {
        let mut days: Vec<Self> = Vec::new();
        for row in answer.rows() {
            let Some((object, day)) = value(&row, "object_name").zip(value(&row, "snapshot_date")) else {
                continue;
            };
            let figure = |column| value::<i64>(&row, column).and_then(|rows| u64::try_from(rows).ok());
            let agreeing = value::<i64>(&row, "fields_agreeing").zip(value::<i64>(&row, "fields_compared"));
            let faults = value::<String>(&row, "by_fault").unwrap_or_default();
            days.pop_if(|last: &mut Self| last.object == object && last.day == day);
            days.push(Self {
                object,
                day,
                compared_at: value(&row, "compared_at"),
                source_rows: figure("source_rows"),
                destination_rows: figure("destination_rows"),
                missing_rows: figure("missing_rows"),
                extra_rows: figure("extra_rows"),
                different_rows: figure("different_rows"),
                pending_rows: figure("pending_rows"),
                agreement: agreeing.and_then(|(agreeing, compared)| share(agreeing as f64, compared as f64)),
                by_fault: serde_json::from_str(&faults).unwrap_or_default(),
                not_compared: value(&row, "not_compared"),
            });
        }
        days
    }

    /// Returns the newest of each object, by its name.
    pub fn newest(days: Vec<Self>) -> BTreeMap<String, Self> {
        // They are sorted by object and day, so the last one stays.
        days.into_iter().map(|day| (day.object.clone(), day)).collect()
    }
}

/// The figures of a span of days, oldest first. A day without a row is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub days: Vec<DataDay>,
    /// By the key of the sync.
    pub syncs: BTreeMap<String, Vec<SyncDay>>,
    /// The figures that the rows of days lack, with the reasons: `runs: 1 of 48 still running; data: no longer available`.
    pub missing: BTreeMap<Date, String>,
}

/// Builds the statements that read a history.
#[derive(Debug, Clone)]
pub struct Reads<'p> {
    pipeline: &'p str,
    log: String,
    /// The quoted name of the log of compared objects.
    objects: Option<String>,
}

impl<'p> Reads<'p> {
    /// Quotes the name of the audit log. This never fails for that of a validated `pipeline.toml`.
    pub fn new(pipeline: &'p str, audit_log: &str, dialect: Dialect) -> Result<Self, BadName> {
        Ok(Self { pipeline, log: object_name(dialect, audit_log)?, objects: None })
    }

    /// Reads the compared objects too, from this log.
    pub fn with_objects(self, log: Option<&str>, dialect: Dialect) -> Result<Self, BadName> {
        Ok(Self { objects: log.map(|log| object_name(dialect, log)).transpose()?, ..self })
    }

    /// Selects the state of the data on each day of a span, both ends included.
    pub fn days(&self, from: Date, to: Date) -> Statement {
        let (columns, objects) = match &self.objects {
            None => ("", String::new()),
            Some(objects) => (
                ", o.fields_compared, o.fields_agreeing",
                format!(
                    " LEFT JOIN (SELECT pipeline, snapshot_date, SUM(fields_compared) AS fields_compared, \
                     SUM(fields_agreeing) AS fields_agreeing FROM (SELECT DISTINCT audit_id, pipeline, snapshot_date, \
                     fields_compared, fields_agreeing FROM {objects}) AS kept GROUP BY pipeline, snapshot_date) AS o \
                     ON o.pipeline = l.pipeline AND o.snapshot_date = l.snapshot_date"
                ),
            ),
        };
        let sql = format!(
            "SELECT l.snapshot_date, total_properties, synced_properties, null_company_count, duplicate_count, \
             create_queue_count, update_queue_count, figures_missing, incidents_opened, incidents_resolved, \
             time_to_detect_seconds, time_to_recover_seconds{columns} FROM {} AS l{objects} WHERE l.pipeline = :pipeline \
             AND row_kind = 'day' AND l.snapshot_date >= :from AND l.snapshot_date <= :to ORDER BY l.snapshot_date",
            self.log
        );
        self.bound("days of the audit log", sql, from, to)
    }

    /// Selects the runs of each sync on each day of a span, both ends included, in one row.
    ///
    /// The median is taken by window functions, because `MEDIAN` and `PERCENTILE_CONT` are not in every engine. Engines
    /// differ in where they sort NULL, so the statement says it. A duplicate row counts once: Databricks enforces no keys.
    pub fn syncs(&self, from: Date, to: Date) -> Statement {
        let sql = format!(
            "SELECT snapshot_date, sync_name, COUNT(CASE WHEN status = 'completed' THEN 1 END) AS completed_runs, \
             COUNT(CASE WHEN status = 'failed' THEN 1 END) AS failed_runs, SUM(records_processed) AS processed, \
             SUM(records_failed) AS failed, AVG(CASE WHEN status = 'completed' AND 2 * place >= places \
             AND 2 * place <= places + 2 THEN duration_seconds END) AS median_seconds \
             FROM (SELECT snapshot_date, sync_name, status, records_processed, records_failed, duration_seconds, \
             ROW_NUMBER() OVER (PARTITION BY snapshot_date, sync_name, status \
             ORDER BY CASE WHEN duration_seconds IS NULL THEN 1 ELSE 0 END, duration_seconds) AS place, \
             COUNT(duration_seconds) OVER (PARTITION BY snapshot_date, sync_name, status) AS places \
             FROM (SELECT DISTINCT audit_id, snapshot_date, sync_name, status, records_processed, records_failed, \
             duration_seconds FROM {} WHERE pipeline = :pipeline AND row_kind = 'run' AND snapshot_date >= :from \
             AND snapshot_date <= :to) AS kept) AS placed \
             GROUP BY snapshot_date, sync_name ORDER BY snapshot_date, sync_name",
            self.log
        );
        self.bound("runs of the audit log by day", sql, from, to)
    }

    /// Selects a page of the completed runs of a span of days, both ends included, in the order of their keys, after the key
    /// `behind`: [`CompletedRuns::add`] reads it.
    pub fn completed(&self, from: Date, to: Date, behind: &str) -> Statement {
        let sql = format!(
            "SELECT audit_id, sync_name, execution_timestamp, records_processed FROM {} WHERE pipeline = :pipeline \
             AND row_kind = 'run' AND status = 'completed' AND snapshot_date >= :from AND snapshot_date <= :to \
             AND audit_id > :behind ORDER BY audit_id LIMIT {}",
            self.log,
            runs::PAGE
        );
        self.bound("completed runs of the audit log", sql, from, to).bind("behind", behind)
    }

    /// Selects the comparisons of each object on each day of a span, both ends included; `None` without a log of objects.
    pub fn object_days(&self, from: Date, to: Date) -> Option<Statement> {
        let sql = format!(
            "SELECT object_name, snapshot_date, compared_at, source_rows, destination_rows, missing_rows, extra_rows, \
             different_rows, pending_rows, fields_compared, fields_agreeing, by_fault, not_compared FROM {} WHERE pipeline = :pipeline AND snapshot_date >= :from AND snapshot_date <= :to \
             ORDER BY object_name, snapshot_date, compared_at",
            self.objects.as_ref()?
        );
        Some(self.bound("compared objects by day", sql, from, to))
    }

    fn bound(&self, label: &str, sql: String, from: Date, to: Date) -> Statement {
        Statement::new(label, sql).bind("pipeline", self.pipeline).bind("from", from).bind("to", to)
    }
}

impl History {
    /// Returns the figures from this day on.
    #[must_use]
    pub fn since(&self, from: Date) -> Self {
        let of_sync = |days: &Vec<SyncDay>| days.iter().filter(|day| day.day >= from).copied().collect();
        Self {
            days: self.days.iter().filter(|day| day.day >= from).copied().collect(),
            syncs: self.syncs.iter().map(|(sync, days)| (sync.clone(), of_sync(days))).collect(),
            missing: self.missing.range(from..).map(|(day, why)| (*day, why.clone())).collect(),
        }
    }

    /// Reads the answers of [`Reads::days`] and [`Reads::syncs`]. Rows without a readable day, and rows of runs without a sync,
    /// are left out.
    pub fn read(days: &Answer, syncs: &Answer) -> Self {
        let mut history = Self::default();
        for row in days.rows() {
            let Some(day) = value(&row, "snapshot_date") else { continue };
            if let Some(missing) = value(&row, "figures_missing") {
                history.missing.entry(day).or_insert(missing);
            }
            history.days.push(DataDay {
                day,
                total: value(&row, "total_properties"),
                synced: value(&row, "synced_properties"),
                null_companies: value(&row, "null_company_count"),
                duplicates: value(&row, "duplicate_count"),
                create_queue: value(&row, "create_queue_count"),
                update_queue: value(&row, "update_queue_count"),
                incidents_opened: value(&row, "incidents_opened"),
                incidents_resolved: value(&row, "incidents_resolved"),
                time_to_detect: value(&row, "time_to_detect_seconds"),
                time_to_recover: value(&row, "time_to_recover_seconds"),
                fields_compared: value(&row, "fields_compared"),
                fields_agreeing: value(&row, "fields_agreeing"),
            });
        }
        // Engines that enforce no keys may have a row twice.
        history.days.dedup_by_key(|row| row.day);
        for row in syncs.rows() {
            let sync = value::<String>(&row, "sync_name");
            let (Some(sync), Some(day)) = (sync, value(&row, "snapshot_date")) else { continue };
            history.syncs.entry(sync).or_default().push(SyncDay {
                day,
                outcomes: Tally {
                    completed: runs(&row, "completed_runs"),
                    failed: runs(&row, "failed_runs"),
                },
                processed: value(&row, "processed"),
                failed: value(&row, "failed"),
                median_seconds: value(&row, "median_seconds"),
            });
        }
        history
    }
}

fn runs(row: &Row<'_>, column: &str) -> u64 {
    value::<i64>(row, column).and_then(|runs| u64::try_from(runs).ok()).unwrap_or(0)
}

fn value<T: FromValue>(row: &Row<'_>, column: &str) -> Option<T> {
    row.get::<Option<T>>(column).ok().flatten()
}
