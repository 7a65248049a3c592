//! Maps the rows of the audit log in `infra/warehouse`, one line for each column. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use syncwatch::columns;
use syncwatch::days::day_of;
use syncwatch::remedy::Record;
use syncwatch::sql::{self, Columns, ParameterValue, Row as Answered, Unreadable};

use crate::missing::{Missing, cut};

/// The longest name and the longest notes of the table, in characters.
const NAME_CHARS: usize = 100;
const NOTES_CHARS: usize = 2_000;

/// The value of the column `executed_by`.
pub const EXECUTED_BY: &str = "nightly-snapshot";

columns! {
    /// Records to deliver, of one run or of all runs of a day. An unknown count is `None`, never 0.
    #[derive(Copy)]
    pub struct Records {
        processed "records_processed": Option<i64>,
        succeeded "records_succeeded": Option<i64>,
        /// Records that the destination refused, plus those that Census left out for bad data.
        failed "records_failed": Option<i64>,
        /// Percent of the records to deliver; `None` if there were none.
        error_rate: Option<f64>,
    }
}

columns! {
    /// The state of the data at one moment, from the columns of the health view. It does not describe delivery.
    #[derive(Copy)]
    pub struct DataFigures {
        total "total_properties": Option<i64>,
        synced "synced_properties": Option<i64>,
        /// `None` if there are no properties.
        coverage "coverage_percentage": Option<f64>,
        create_queue "create_queue_count": Option<i64>,
        update_queue "update_queue_count": Option<i64>,
        null_companies "null_company_count": Option<i64>,
        duplicates "duplicate_count": Option<i64>,
    }
}

columns! {
    /// Incidents of a day. The times are means in seconds, `None` without such an incident.
    #[derive(Copy)]
    pub struct IncidentFigures {
        /// Incidents whose first notice was sent on the day.
        opened "incidents_opened": Option<i64>,
        resolved "incidents_resolved": Option<i64>,
        /// From the beginning of an incident until its first notice, over those opened.
        time_to_detect "time_to_detect_seconds": Option<i64>,
        /// From the beginning of an incident until its recovery, over those resolved.
        time_to_recover "time_to_recover_seconds": Option<i64>,
    }
}

columns! {
    /// One run of one sync.
    pub struct RunRow {
        /// The key: `run/<sync>/<run>`.
        audit_id: String,
        pipeline: String,
        @row_kind = "run",
        /// The day on which the run began, in the pipeline's zone.
        snapshot_date: Date,
        sync_name: Option<String>,
        /// `create`, `update` or `other`.
        sync_type: Option<String>,
        run_id: Option<String>,
        /// The status of the run, as Census names it.
        status: Option<String>,
        /// When the run began (UTC).
        execution_timestamp: Timestamp,
        duration_seconds: Option<i64>,
        records: Records,
        @executed_by = EXECUTED_BY,
        notes: Option<String>,
    }
}

columns! {
    /// The figures of one day.
    pub struct DayRow {
        /// The key: `day/<pipeline>/<date>`.
        audit_id: String,
        pipeline: String,
        @row_kind = "day",
        /// The day in the pipeline's zone.
        snapshot_date: Date,
        /// When the figures of the data were taken (UTC).
        execution_timestamp: Timestamp,
        /// The sum over all runs of the day that ended.
        duration_seconds: Option<i64>,
        records: Records,
        data: DataFigures,
        incidents: IncidentFigures,
        figures_missing: Missing,
        @executed_by = EXECUTED_BY,
        notes: Option<String>,
    }
}

columns! {
    /// One act of a remedy.
    pub struct RemedyRow {
        /// The key: `remedy/<pipeline>/<id>`.
        audit_id: String,
        pipeline: String,
        @row_kind = "remedy",
        /// The day of the act in the pipeline's zone.
        snapshot_date: Date,
        /// The target: the key of a sync, the name of a view, `warehouse`, `webhook` or `dead-letters`.
        sync_name: Option<String>,
        /// The kind of the remedy.
        sync_type: Option<String>,
        run_id: Option<String>,
        /// The state of the remedy, such as `healed`.
        status: Option<String>,
        /// When it acted (UTC).
        execution_timestamp: Timestamp,
        /// From the act to its end; `None` while it is verified.
        duration_seconds: Option<i64>,
        @executed_by = "remedies",
        /// The incident, the act, the last reason, harm, and the people who approved it.
        notes: Option<String>,
    }
}

impl DataFigures {
    /// Whether any figure is known.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl RemedyRow {
    /// Builds the row of an act; `None` for a remedy that has not acted.
    pub fn of(record: &Record, pipeline: &str, zone: &TimeZone) -> Option<Self> {
        let acted = record.acted_at?;
        let ended = (!record.state.is_active()).then(|| record.since().duration_since(acted).as_secs());
        let why = record.steps.last().map_or("", |step| step.why.as_str());
        let mut notes = format!("{}: {}; {why}", record.plan.incident, record.plan.act());
        if let Some(harm) = &record.harm {
            notes.push_str(&format!("; harm: {harm}"));
        }
        let by: Vec<&str> = record.approvals.iter().map(|approval| approval.by.as_str()).collect();
        if !by.is_empty() {
            notes.push_str(&format!("; approved by {}", by.join(", ")));
        }
        Some(Self {
            audit_id: format!("remedy/{pipeline}/{}", record.id),
            pipeline: pipeline.to_owned(),
            snapshot_date: day_of(acted, zone),
            sync_name: Some(cut(record.plan.target.name(), NAME_CHARS)),
            sync_type: Some(record.plan.kind.to_string()),
            run_id: record.run.map(|run| run.to_string()),
            status: Some(record.state.to_string()),
            execution_timestamp: acted,
            duration_seconds: ended,
            notes: Some(cut(&notes, NOTES_CHARS)),
        })
    }
}

impl LogRow for RemedyRow {
    const MOMENT_MATTERS: bool = true;

    fn audit_id(&self) -> &str {
        &self.audit_id
    }
}

/// A row of the audit log.
pub trait LogRow: Columns {
    /// Whether two rows differ if only their `execution_timestamp` differs.
    const MOMENT_MATTERS: bool;

    /// The key of the row.
    fn audit_id(&self) -> &str;

    /// Reads a whole row; fails if the table is not that of `infra/warehouse`.
    fn read_whole(row: &Answered<'_>) -> Result<Self, sql::Error> {
        let mut unreadable = Unreadable::new();
        let read = Self::read("", row, &mut unreadable);
        unreadable.into_iter().next().map_or(Ok(read), |(_, error)| Err(error))
    }

    /// Whether a stored row has the same values, within the precision of the engines.
    fn has_same_values(&self, stored: &Self) -> bool {
        let mut pairs = self.values().into_iter().zip(stored.values());
        pairs.all(|pair| match pair {
            (ParameterValue::Double(Some(a)), ParameterValue::Double(Some(b))) => (a - b).abs() < 1e-6,
            (ParameterValue::Timestamp(Some(a)), ParameterValue::Timestamp(Some(b))) => {
                !Self::MOMENT_MATTERS || a.as_millisecond() == b.as_millisecond()
            }
            (a, b) => a == b,
        })
    }
}

impl LogRow for RunRow {
    const MOMENT_MATTERS: bool = true;

    fn audit_id(&self) -> &str {
        &self.audit_id
    }
}

impl LogRow for DayRow {
    /// The first snapshot with these figures stays: otherwise each snapshot would rewrite the row.
    const MOMENT_MATTERS: bool = false;

    fn audit_id(&self) -> &str {
        &self.audit_id
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Builds the row of a day without figures.
    pub(crate) fn day_row(day: Date) -> DayRow {
        DayRow { audit_id: format!("day/properties/{day}"), snapshot_date: day, ..DayRow::default() }
    }

    #[test]
    fn columns_match_the_table_in_its_order() {
        for sql in [
            include_str!("../../../infra/warehouse/001_sync_audit_log.sql"),
            include_str!("../../../infra/warehouse/001_sync_audit_log.databricks.sql"),
        ] {
            let words = sql.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
            let table: Vec<&str> = words.filter(|word| *word != "--" && *word != "PRIMARY").collect();
            let (run, day, remedy) = (RunRow::names(""), DayRow::names(""), RemedyRow::names(""));
            let of_table = |names: &[&str]| -> Vec<&str> {
                table.iter().copied().filter(|column| names.contains(column)).collect()
            };
            assert_eq!((run.len(), day.len(), remedy.len()), (16, 24, 12));
            assert_eq!(of_table(&remedy), remedy);
            assert_eq!((of_table(&run), of_table(&day)), (run.clone(), day.clone()));
            assert!(table.iter().all(|column| run.contains(column) || day.contains(column)), "{table:?}");
        }
    }

    #[test]
    fn row_has_one_value_for_each_column() {
        assert_eq!(RunRow::default().values().len(), RunRow::names("").len());
        let row = day_row("2026-11-24".parse().unwrap());
        let value_of = |column| {
            let values = DayRow::names("").into_iter().zip(row.values());
            values.filter(|(name, _)| *name == column).map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(row.values().len(), DayRow::names("").len());
        assert!(value_of("row_kind") == ["day".into()] && value_of("executed_by") == [EXECUTED_BY.into()]);
        assert!(value_of("snapshot_date") == [row.snapshot_date.into()]);
    }

    #[test]
    fn execution_time_alone_changes_rows_of_runs_but_not_of_days() {
        let day = day_row("2026-11-24".parse().unwrap());
        let mut later = day.clone();
        later.execution_timestamp = "2026-11-25T07:59:00Z".parse().unwrap();
        assert!(later.has_same_values(&day));
        later.data.coverage = Some(92.47);
        assert!(!later.has_same_values(&day));
        let mut read = later.clone();
        read.data.coverage = Some(92.470_000_001);
        assert!(later.has_same_values(&read));
        let run = |at: &str| RunRow { execution_timestamp: at.parse().unwrap(), ..RunRow::default() };
        assert!(run("2026-11-25T07:59:00.123456Z").has_same_values(&run("2026-11-25T07:59:00.123Z")));
        assert!(!run("2026-11-25T07:59:00Z").has_same_values(&run("2026-11-25T07:59:01Z")));
    }
}
