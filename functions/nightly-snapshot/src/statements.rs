//! The SQL of a snapshot: the same for Databricks, PostgreSQL and SQLite but for quotes. Pure.
//!
//! Rows are written by their key without `MERGE`, which is not portable: stored rows are updated, the others inserted where no
//! row has their key. One statement writes whole rows, so none is ever half written.

use jiff::civil::Date;
use syncwatch::data_checks::object_name;
use syncwatch::pipeline::Snapshot;
use syncwatch::sql::{BadName, Dialect, Statement};

use crate::rows::{Columns, DayRow, LogRow, RunRow};

/// Rows of one `INSERT`: more bound values than some 200 are not taken for granted of an engine.
pub const ROWS_A_STATEMENT: usize = 10;

/// The statements of one pipeline.
#[derive(Debug, Clone)]
pub struct Statements<'p> {
    pipeline: &'p str,
    log: String,
    view: Option<String>,
}

impl<'p> Statements<'p> {
    /// Quotes the names, which never fails for those of a validated `pipeline.toml`.
    pub fn new(pipeline: &'p str, snapshot: &Snapshot, dialect: Dialect) -> Result<Self, BadName> {
        let view = snapshot.health_view.as_deref();
        Ok(Self {
            pipeline,
            log: object_name(dialect, &snapshot.audit_log)?,
            view: view.map(|view| object_name(dialect, view)).transpose()?,
        })
    }

    /// Rows of one kind of this pipeline.
    fn select(&self, label: &str, columns: &str, kind: &str, and: &str) -> Statement {
        let log = &self.log;
        let sql =
            format!("SELECT {columns} FROM {log} WHERE pipeline = :pipeline AND row_kind = '{kind}'{and}");
        Statement::new(label, sql).bind("pipeline", self.pipeline)
    }

    /// The first and the newest day that has a row, as `first_day` and `newest_day`.
    pub fn span(&self) -> Statement {
        let columns = "MIN(snapshot_date) AS first_day, MAX(snapshot_date) AS newest_day";
        self.select("the days of the audit log", columns, "day", "")
    }

    /// The rows of days from one day on, and of one more day.
    pub fn days(&self, from: Date, also: Option<Date>) -> Statement {
        let or = if also.is_some() { " OR snapshot_date = :also" } else { "" };
        let and = format!(" AND (snapshot_date >= :from{or})");
        let columns = DayRow::names("").join(", ");
        let statement = self.select("day rows of the audit log", &columns, "day", &and).bind("from", from);
        also.into_iter().fold(statement, |statement, also| statement.bind("also", also))
    }

    /// The rows of the runs of these days.
    pub fn runs(&self, days: &[Date]) -> Statement {
        let markers: Vec<String> = (0..days.len()).map(|index| format!(":d{index}")).collect();
        let and = format!(" AND snapshot_date IN ({})", markers.join(", "));
        let statement = self.select("run rows of the audit log", &RunRow::names("").join(", "), "run", &and);
        let numbered = days.iter().enumerate();
        numbered.fold(statement, |statement, (index, day)| statement.bind(format!("d{index}"), *day))
    }

    /// How the runs of each day of a span ended, by sync: `snapshot_date`, `sync_name`, `status`, `runs`.
    pub fn outcomes(&self, from: Date, to: Date) -> Statement {
        let columns = "snapshot_date, sync_name, status, COUNT(*) AS runs";
        let and =
            " AND snapshot_date >= :from AND snapshot_date <= :to GROUP BY snapshot_date, sync_name, status";
        let statement = self.select("outcomes of runs in the audit log", columns, "run", and);
        statement.bind("from", from).bind("to", to)
    }

    /// The one row of the health view, if there is a view. Selects all columns: one that a custom view lacks is a missing figure,
    /// not a failed statement.
    pub fn health(&self) -> Option<Statement> {
        let view = self.view.as_ref()?;
        Some(Statement::new("the health view", format!("SELECT * FROM {view}")))
    }

    /// Writes one row over the stored one.
    pub fn update<R: LogRow>(&self, row: &R) -> Statement {
        let columns = R::names("");
        let changes: Vec<String> =
            columns.iter().skip(1).map(|column| format!("{column} = :{column}")).collect();
        let sql = format!("UPDATE {} SET {} WHERE audit_id = :audit_id", self.log, changes.join(", "));
        let statement = Statement::new(format!("the row {}", row.audit_id()), sql);
        let values = columns.into_iter().zip(row.values());
        values.fold(statement, |statement, (column, value)| statement.bind(column, value))
    }

    /// Inserts rows, each unless its key is stored. The empty part of the table in front gives the bound values their types,
    /// which PostgreSQL does not guess.
    pub fn insert<R: LogRow>(&self, rows: &[&R]) -> Statement {
        let (log, list) = (&self.log, R::names("").join(", "));
        let (mut selects, mut bound) = (String::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let values = row.values().into_iter().enumerate();
            let named: Vec<_> = values.map(|(column, value)| (format!("v{index}_{column}"), value)).collect();
            let markers: Vec<String> = named.iter().map(|(name, _)| format!(":{name}")).collect();
            selects.push_str(&format!(" UNION ALL SELECT {}", markers.join(", ")));
            bound.extend(named);
        }
        let sql = format!(
            "INSERT INTO {log} ({list}) SELECT {list} FROM (SELECT {list} FROM {log} WHERE 1 = 0{selects}) fresh \
             WHERE NOT EXISTS (SELECT 1 FROM {log} present WHERE present.audit_id = fresh.audit_id)"
        );
        let label = match rows {
            [row] => format!("the row {}", row.audit_id()),
            rows => format!("{} rows of runs", rows.len()),
        };
        let statement = Statement::new(label, sql);
        bound.into_iter().fold(statement, |statement, (name, value)| statement.bind(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_binds_a_bounded_number_of_values_and_quotes_names_by_dialect() {
        let snapshot =
            Snapshot { audit_log: "crm.ops.a`log".to_owned(), health_view: Some("crm.ops.h".to_owned()) };
        for (dialect, log) in [
            (Dialect::Databricks, "`crm`.`ops`.`a``log`"),
            (Dialect::PostgreSql, "\"ops\".\"a`log\""),
            (Dialect::Sqlite, "`ops.a``log`"),
        ] {
            let statements = Statements::new("properties", &snapshot, dialect).unwrap();
            let run = RunRow::default();
            let insert = statements.insert(&[&run; ROWS_A_STATEMENT]);
            assert!(insert.parameters().len() <= 200, "{}", insert.parameters().len());
            assert_eq!(insert.sql().matches(log).count(), 3, "{}", insert.sql());
            let update = statements.update(&run);
            assert!(
                update.sql().starts_with(&format!("UPDATE {log} SET pipeline = :pipeline, ")),
                "{}",
                update.sql()
            );
            assert!(update.sql().ends_with(" WHERE audit_id = :audit_id"), "{}", update.sql());
        }
    }

    #[test]
    fn a_pipeline_without_a_view_asks_none() {
        let snapshot = Snapshot { audit_log: "ops.log".to_owned(), health_view: None };
        assert_eq!(Statements::new("p", &snapshot, Dialect::Sqlite).unwrap().health(), None);
    }
}
