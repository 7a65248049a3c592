//! The rows of the audit log, as `infra/warehouse` has them. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use syncwatch::sql::{self, ParameterValue, Row as Answered};

/// Who writes the rows.
pub const EXECUTED_BY: &str = "nightly-snapshot";
/// What the column holds at the most.
const MISSING_CHARS: usize = 1_000;
/// A single one of the missing figures, with its reason.
const ONE_MISSING_CHARS: usize = 300;
/// Begins what is missing of runs. It may be had later: the day is looked at again.
const RUNS: &str = "runs: ";

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Run,
    Day,
}

impl Kind {
    /// The word in the column `row_kind`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Day => "day",
        }
    }
}

/// Records that were to be delivered, of a run or of all runs of a day. What is not known is `None`, never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Records {
    pub processed: Option<i64>,
    pub succeeded: Option<i64>,
    /// Those that it refused, and those that Census left out for bad data.
    pub failed: Option<i64>,
    /// Those that failed, in percent; `None` if there were none to deliver.
    pub error_rate: Option<f64>,
}

/// The state of the data at one moment, as the health view has it. Nothing of it is about delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DataFigures {
    /// `total_properties`.
    pub total: Option<i64>,
    /// `synced_properties`.
    pub synced: Option<i64>,
    /// `coverage_percentage`; `None` if there is nothing to cover.
    pub coverage: Option<f64>,
    /// `create_queue_count`.
    pub create_queue: Option<i64>,
    /// `update_queue_count`.
    pub update_queue: Option<i64>,
    /// `null_company_count`.
    pub null_companies: Option<i64>,
    /// `duplicate_count`.
    pub duplicates: Option<i64>,
}

impl DataFigures {
    /// Whether any of them is known.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// Incidents of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncidentFigures {
    /// Of which people were told on the day.
    pub opened: Option<i64>,
    /// Which were found healthy again on the day.
    pub resolved: Option<i64>,
    /// From the beginning until people were told, mean over those opened, in seconds; `None` if there were none.
    pub time_to_detect: Option<i64>,
    /// From the beginning until it was healthy again, mean over those resolved, in seconds; `None` if there were none.
    pub time_to_recover: Option<i64>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The key: `run/<sync>/<run>` or `day/<pipeline>/<date>`.
    pub audit_id: String,
    pub kind: Kind,
    /// The day in the pipeline's zone; a run counts for the day on which it began.
    pub snapshot_date: Date,
    pub sync_name: Option<String>,
    /// `create`, `update` or `other`, of a run.
    pub sync_type: Option<String>,
    pub run_id: Option<String>,
    /// How a run ended, in Census's word; or how it is.
    pub status: Option<String>,
    /// When the run began, or when the figures of the day were taken (UTC).
    pub execution_timestamp: Timestamp,
    /// How long the run took, or all runs of the day together that ended, in seconds.
    pub duration_seconds: Option<i64>,
    pub records: Records,
    /// The state of the data, of a day.
    pub data: DataFigures,
    pub incidents: IncidentFigures,
    /// Which figures of a day are missing, and why.
    pub figures_missing: Option<String>,
    pub notes: Option<String>,
}

/// The columns that a run fills, the key first.
pub const RUN_COLUMNS: [&str; 16] = [
    "audit_id",
    "pipeline",
    "row_kind",
    "snapshot_date",
    "sync_name",
    "sync_type",
    "run_id",
    "status",
    "execution_timestamp",
    "duration_seconds",
    "records_processed",
    "records_succeeded",
    "records_failed",
    "error_rate",
    "executed_by",
    "notes",
];

/// The columns that a day fills, the key first.
pub const DAY_COLUMNS: [&str; 24] = [
    "audit_id",
    "pipeline",
    "row_kind",
    "snapshot_date",
    "execution_timestamp",
    "duration_seconds",
    "records_processed",
    "records_succeeded",
    "records_failed",
    "error_rate",
    "total_properties",
    "synced_properties",
    "coverage_percentage",
    "create_queue_count",
    "update_queue_count",
    "null_company_count",
    "duplicate_count",
    "incidents_opened",
    "incidents_resolved",
    "time_to_detect_seconds",
    "time_to_recover_seconds",
    "figures_missing",
    "executed_by",
    "notes",
];

impl Row {
    /// The values of its columns, in the order of [`RUN_COLUMNS`] or [`DAY_COLUMNS`].
    pub fn values(&self, pipeline: &str) -> Vec<ParameterValue> {
        let head: [ParameterValue; 4] = [
            self.audit_id.clone().into(),
            pipeline.into(),
            self.kind.word().into(),
            self.snapshot_date.into(),
        ];
        let figures: [ParameterValue; 6] = [
            self.execution_timestamp.into(),
            self.duration_seconds.into(),
            self.records.processed.into(),
            self.records.succeeded.into(),
            self.records.failed.into(),
            self.records.error_rate.into(),
        ];
        let tail: [ParameterValue; 2] = [EXECUTED_BY.into(), self.notes.clone().into()];
        let middle: Vec<ParameterValue> = match self.kind {
            Kind::Run => vec![
                self.sync_name.clone().into(),
                self.sync_type.clone().into(),
                self.run_id.clone().into(),
                self.status.clone().into(),
            ],
            Kind::Day => Vec::new(),
        };
        let of_day: Vec<ParameterValue> = match self.kind {
            Kind::Run => Vec::new(),
            Kind::Day => vec![
                self.data.total.into(),
                self.data.synced.into(),
                self.data.coverage.into(),
                self.data.create_queue.into(),
                self.data.update_queue.into(),
                self.data.null_companies.into(),
                self.data.duplicates.into(),
                self.incidents.opened.into(),
                self.incidents.resolved.into(),
                self.incidents.time_to_detect.into(),
                self.incidents.time_to_recover.into(),
                self.figures_missing.clone().into(),
            ],
        };
        head.into_iter().chain(middle).chain(figures).chain(of_day).chain(tail).collect()
    }

    /// Reads a row of a run.
    ///
    /// # Errors
    /// A column is missing or holds another type: the table is not that of `infra/warehouse`.
    pub fn read_run(row: &Answered<'_>) -> Result<Self, sql::Error> {
        Ok(Self {
            sync_name: row.get("sync_name")?,
            sync_type: row.get("sync_type")?,
            run_id: row.get("run_id")?,
            status: row.get("status")?,
            ..Self::read(row, Kind::Run)?
        })
    }

    /// Reads a row of a day.
    ///
    /// # Errors
    /// See [`Row::read_run`].
    pub fn read_day(row: &Answered<'_>) -> Result<Self, sql::Error> {
        Ok(Self {
            data: DataFigures {
                total: row.get("total_properties")?,
                synced: row.get("synced_properties")?,
                coverage: row.get("coverage_percentage")?,
                create_queue: row.get("create_queue_count")?,
                update_queue: row.get("update_queue_count")?,
                null_companies: row.get("null_company_count")?,
                duplicates: row.get("duplicate_count")?,
            },
            incidents: IncidentFigures {
                opened: row.get("incidents_opened")?,
                resolved: row.get("incidents_resolved")?,
                time_to_detect: row.get("time_to_detect_seconds")?,
                time_to_recover: row.get("time_to_recover_seconds")?,
            },
            figures_missing: row.get("figures_missing")?,
            ..Self::read(row, Kind::Day)?
        })
    }

    fn read(row: &Answered<'_>, kind: Kind) -> Result<Self, sql::Error> {
        Ok(Self {
            audit_id: row.get("audit_id")?,
            kind,
            snapshot_date: row.get("snapshot_date")?,
            sync_name: None,
            sync_type: None,
            run_id: None,
            status: None,
            execution_timestamp: row.get("execution_timestamp")?,
            duration_seconds: row.get("duration_seconds")?,
            records: Records {
                processed: row.get("records_processed")?,
                succeeded: row.get("records_succeeded")?,
                failed: row.get("records_failed")?,
                error_rate: row.get("error_rate")?,
            },
            data: DataFigures::default(),
            incidents: IncidentFigures::default(),
            figures_missing: None,
            notes: row.get("notes")?,
        })
    }

    /// Whether a stored row says the same. When figures were taken is no difference by itself: the first look that found
    /// them so stands, or each look would write the row anew.
    pub fn says_the_same(&self, stored: &Self) -> bool {
        let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-6,
            (a, b) => a.is_none() && b.is_none(),
        };
        let same_moment = match self.kind {
            Kind::Run => {
                self.execution_timestamp.as_millisecond() == stored.execution_timestamp.as_millisecond()
            }
            Kind::Day => true,
        };
        let level = |row: &Self| {
            let mut row = row.clone();
            row.execution_timestamp = Timestamp::UNIX_EPOCH;
            row.records.error_rate = None;
            row.data.coverage = None;
            row
        };
        same_moment
            && close(self.records.error_rate, stored.records.error_rate)
            && close(self.data.coverage, stored.data.coverage)
            && level(self) == level(stored)
    }
}

/// Whether something of the runs of this day is yet to come, or could not be had when it was written.
pub fn must_be_looked_at_again(day: &Row) -> bool {
    day.figures_missing.as_deref().is_some_and(|missing| missing.split("; ").any(|one| one.starts_with(RUNS)))
}

/// What is missing of a day, as the column has it: `<figures>: <why>; ...`.
#[derive(Debug, Default)]
pub struct Missing(Vec<String>);

impl Missing {
    /// Something of the runs: the day is looked at again.
    pub fn of_runs(&mut self, why: &str) {
        self.push(RUNS, why);
    }

    /// Anything else.
    pub fn of(&mut self, figures: &str, why: &str) {
        self.push(&format!("{figures}: "), why);
    }

    fn push(&mut self, lead: &str, why: &str) {
        // The divider stands between entries only, and vendors' sentences may have lines.
        let why: String = why.chars().map(|c| if c == ';' || c.is_control() { ',' } else { c }).collect();
        let entry = cut(&format!("{lead}{why}"), ONE_MISSING_CHARS);
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }

    /// The text of the column; `None` if nothing is missing.
    pub fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| cut(&self.0.join("; "), MISSING_CHARS))
    }
}

/// The first characters of a text, with a mark where some are left out.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of a day that has nothing.
    pub(crate) fn day_row(day: Date) -> Row {
        Row {
            audit_id: format!("day/properties/{day}"),
            kind: Kind::Day,
            snapshot_date: day,
            sync_name: None,
            sync_type: None,
            run_id: None,
            status: None,
            execution_timestamp: Timestamp::UNIX_EPOCH,
            duration_seconds: None,
            records: Records::default(),
            data: DataFigures::default(),
            incidents: IncidentFigures::default(),
            figures_missing: None,
            notes: None,
        }
    }

    #[test]
    fn a_row_has_a_value_for_each_column_of_its_kind() {
        let mut row = day_row("2026-11-24".parse().unwrap());
        assert_eq!(row.values("p").len(), DAY_COLUMNS.len());
        row.kind = Kind::Run;
        assert_eq!(row.values("p").len(), RUN_COLUMNS.len());
    }

    #[test]
    fn rows_say_the_same_whenever_the_figures_of_a_day_were_taken() {
        let day = day_row("2026-11-24".parse().unwrap());
        let mut later = day.clone();
        later.execution_timestamp = "2026-11-25T07:59:00Z".parse().unwrap();
        assert!(later.says_the_same(&day));
        later.data.coverage = Some(92.47);
        assert!(!later.says_the_same(&day));
        let mut read = later.clone();
        read.data.coverage = Some(92.470_000_001);
        assert!(later.says_the_same(&read));
        let run = |at: &str| Row { kind: Kind::Run, execution_timestamp: at.parse().unwrap(), ..day.clone() };
        assert!(run("2026-11-25T07:59:00.123456Z").says_the_same(&run("2026-11-25T07:59:00.123Z")));
        assert!(!run("2026-11-25T07:59:00Z").says_the_same(&run("2026-11-25T07:59:01Z")));
    }

    #[test]
    fn what_is_missing_fits_its_column_and_tells_whether_to_look_again() {
        let mut missing = Missing::default();
        assert_eq!(missing.text(), None);
        missing.of("data", "no view; none\nat all");
        assert_eq!(missing.text().unwrap(), "data: no view, none,at all");
        let mut row = day_row("2026-11-24".parse().unwrap());
        row.figures_missing = missing.text();
        assert!(!must_be_looked_at_again(&row));
        for n in 0..9 {
            missing.of("incidents", &format!("{n}{}", "ä".repeat(400)));
        }
        assert_eq!(missing.text().unwrap().chars().count(), MISSING_CHARS);
        let mut missing = Missing::default();
        missing.of_runs("1 is at work");
        missing.of_runs("1 is at work");
        row.figures_missing = missing.text();
        assert_eq!(row.figures_missing.as_deref(), Some("runs: 1 is at work"));
        assert!(must_be_looked_at_again(&row));
    }
}
