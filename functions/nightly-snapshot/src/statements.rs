//! Builds the SQL of a snapshot. Dialects differ only in quotes and in how rows are unpacked. Pure.
//!
//! Rows are written by their key: stored rows are updated, the others inserted where no row has their key. A statement writes
//! whole rows, so a row is never half written.

use jiff::civil::Date;
use syncwatch::data_checks::object_name;
use syncwatch::history::Reads;
use syncwatch::pipeline::Snapshot;
use syncwatch::sql::{BadName, Columns, Dialect, Statement, bulk};

use crate::rows::{DayRow, LogRow, RunRow};

/// Runs in one answer: about 5 MB. Databricks fails a statement whose inline answer is larger than 25 MiB.
pub const RUNS_A_PAGE: usize = 20_000;

/// The statements of one pipeline.
#[derive(Debug, Clone)]
pub struct Statements<'p> {
    pipeline: &'p str,
    dialect: Dialect,
    log: String,
    view: Option<String>,
    history: Reads<'p>,
}

impl<'p> Statements<'p> {
    /// Quotes the names. This never fails for those of a validated `pipeline.toml`.
    pub fn new(pipeline: &'p str, snapshot: &Snapshot, dialect: Dialect) -> Result<Self, BadName> {
        let view = snapshot.health_view.as_deref();
        Ok(Self {
            pipeline,
            dialect,
            log: object_name(dialect, &snapshot.audit_log)?,
            view: view.map(|view| object_name(dialect, view)).transpose()?,
            history: Reads::new(pipeline, &snapshot.audit_log, dialect)?
                .with_objects(snapshot.reconciliation_log.as_deref(), dialect)?,
        })
    }

    /// Returns the statements that read the figures of many days.
    pub fn history(&self) -> &Reads<'p> {
        &self.history
    }

    /// Whether the statements of a day are applied all or not at all.
    pub fn has_transactions(&self) -> bool {
        self.dialect.has_transactions()
    }

    /// Selects rows of one kind of this pipeline.
    fn select(&self, label: &str, columns: &str, kind: &str, and: &str) -> Statement {
        let log = &self.log;
        let sql =
            format!("SELECT {columns} FROM {log} WHERE pipeline = :pipeline AND row_kind = '{kind}'{and}");
        Statement::new(label, sql).bind("pipeline", self.pipeline)
    }

    /// Selects the first and the newest day that has a row, as `first_day` and `newest_day`.
    pub fn span(&self) -> Statement {
        let columns = "MIN(snapshot_date) AS first_day, MAX(snapshot_date) AS newest_day";
        self.select("the days of the audit log", columns, "day", "")
    }

    /// Selects the rows of days since a day, and of one more day.
    pub fn days(&self, from: Date, also: Option<Date>) -> Statement {
        let or = if also.is_some() { " OR snapshot_date = :also" } else { "" };
        let and = format!(" AND (snapshot_date >= :from{or})");
        let columns = DayRow::names("").join(", ");
        let statement = self.select("day rows of the audit log", &columns, "day", &and).bind("from", from);
        also.into_iter().fold(statement, |statement, also| statement.bind("also", also))
    }

    /// Selects a page of [`RUNS_A_PAGE`] runs of these days in the order of their keys, after the key `behind`.
    pub fn runs(&self, days: &[Date], behind: &str) -> Statement {
        let markers: Vec<String> = (0..days.len()).map(|index| format!(":d{index}")).collect();
        let and = format!(
            " AND snapshot_date IN ({}) AND audit_id > :behind ORDER BY audit_id LIMIT {RUNS_A_PAGE}",
            markers.join(", ")
        );
        let statement = self.select("run rows of the audit log", &RunRow::names("").join(", "), "run", &and);
        let statement = statement.bind("behind", behind);
        let numbered = days.iter().enumerate();
        numbered.fold(statement, |statement, (index, day)| statement.bind(format!("d{index}"), *day))
    }

    /// Counts the runs of a span of days by day, sync and status: `snapshot_date`, `sync_name`, `status`, `runs`.
    pub fn outcomes(&self, from: Date, to: Date) -> Statement {
        let columns = "snapshot_date, sync_name, status, COUNT(*) AS runs";
        let and =
            " AND snapshot_date >= :from AND snapshot_date <= :to GROUP BY snapshot_date, sync_name, status";
        let statement = self.select("outcomes of runs in the audit log", columns, "run", and);
        statement.bind("from", from).bind("to", to)
    }

    /// Selects the one row of the health view, if there is a view. It selects `*`, so that a column which a custom view lacks
    /// is a missing figure and not a failed statement.
    pub fn health(&self) -> Option<Statement> {
        let view = self.view.as_ref()?;
        Some(Statement::new("the health view", format!("SELECT * FROM {view}")))
    }

    /// Updates the stored rows that have these keys, in as many statements as the rows need.
    pub fn update<'r, R: LogRow + Default + 'r>(
        &self,
        rows: impl IntoIterator<Item = &'r R>,
    ) -> impl Iterator<Item = Statement> {
        bulk::update(&self.log, self.dialect, rows)
    }

    /// Inserts rows whose keys are not stored, in as many statements as the rows need.
    pub fn insert<'r, R: LogRow + Default + 'r>(
        &self,
        rows: impl IntoIterator<Item = &'r R>,
    ) -> impl Iterator<Item = Statement> {
        bulk::insert(&self.log, self.dialect, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_binds_one_value_for_all_rows_in_every_dialect() {
        let snapshot = Snapshot {
            audit_log: "crm.ops.a`log".to_owned(),
            health_view: Some("crm.ops.h".to_owned()),
            reconciliation_log: None,
        };
        for (dialect, log) in [
            (Dialect::Databricks, "`crm`.`ops`.`a``log`"),
            (Dialect::PostgreSql, "\"ops\".\"a`log\""),
            (Dialect::Sqlite, "`ops.a``log`"),
        ] {
            let statements = Statements::new("properties", &snapshot, dialect).unwrap();
            let run = RunRow::default();
            let inserts: Vec<Statement> = statements.insert([&run; 1_000]).collect();
            let [insert] = &inserts[..] else { panic!("{inserts:?}") };
            assert_eq!((insert.parameters().len(), insert.label()), (1, "1000 rows of the audit log"));
            assert_eq!(insert.sql().matches(log).count(), 2, "{}", insert.sql());
            let update = statements.update([&run]).next().unwrap();
            let begins = match dialect {
                Dialect::Databricks => format!("MERGE INTO {log} AS present USING (SELECT "),
                _ => format!("UPDATE {log} AS present SET pipeline = fresh.pipeline, "),
            };
            assert!(update.sql().starts_with(&begins), "{}", update.sql());
            assert_eq!(update.sql().matches(log).count(), 1, "{}", update.sql());
        }
    }

    #[test]
    fn pipeline_without_a_view_has_no_statement_for_it() {
        let snapshot =
            Snapshot { audit_log: "ops.log".to_owned(), health_view: None, reconciliation_log: None };
        assert_eq!(Statements::new("p", &snapshot, Dialect::Sqlite).unwrap().health(), None);
    }
}
