//! Creates the tables and views of a pipeline: applies the files of `infra/warehouse/` in order, each once.
//!
//! A file is named `010_properties_to_create.sql`, or `010_properties_to_create.databricks.sql` where a dialect
//! differs. It refers to objects as `${crm.sfdc_dbx.sync_audit_log}`. File 000 runs each time and creates the table
//! that records the others, with the SHA-256 of their text:
//!
//! * not recorded                    => run and recorded
//! * recorded and unchanged          => skipped
//! * a changed file of views         => run again: `CREATE OR REPLACE VIEW` loses nothing
//! * any other changed file          => an error before anything runs: add a new file instead
//!
//! The statements and the record of a file are one transaction where the engine has transactions. Databricks has
//! none: an interrupted file runs again as a whole, so every statement must be repeatable (`IF NOT EXISTS`,
//! `OR REPLACE`).

mod plan;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use plan::Reason;
use plan::{Recorded, Step};

use crate::error::Error;
pub use syncwatch::baseline::files::ObjectFile;
use syncwatch::baseline::script::{self, FileError};
use syncwatch::observe::definition::sql_files;
use syncwatch::sql::{Dialect, Row, Statement};
use syncwatch::warehouse::Warehouse;

/// Table that records the files that ran.
pub const HISTORY: &str = "crm.sfdc_dbx.schema_history";

/// Result of applying files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Files that ran, in order.
    pub applied: Vec<Applied>,
    pub unchanged: usize,
}

/// A file that ran, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub file: String,
    pub reason: Reason,
}

/// Writes one line per file that ran, and one for the others.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Applied { file, reason } in &self.applied {
            writeln!(f, "{file}: applied, {reason}")?;
        }
        write!(f, "{} unchanged", self.unchanged)
    }
}

/// Reads the `.sql` files of a folder in their variants for a dialect, in order.
pub fn read(folder: &Path, dialect: Dialect) -> Result<Vec<ObjectFile>, Error> {
    let files = sql_files(folder, dialect)?;
    // Without files, nothing would be created and the command would succeed.
    if files.is_empty() {
        let folder = folder.display();
        return Err(Error::new(
            format!("{folder} has no SQL files"),
            "give the path of the folder with them",
        ));
    }
    Ok(files)
}

/// Reads the files of a folder and applies them to a warehouse, as `syncwatch warehouse-apply` does.
pub async fn apply_folder(warehouse: &Warehouse, folder: &Path, now: Timestamp) -> Result<Report, Error> {
    apply(warehouse, &read(folder, warehouse.dialect())?, now).await
}

/// Applies files in order. After an error, the files before the failed one are applied and recorded.
pub async fn apply(warehouse: &Warehouse, files: &[ObjectFile], now: Timestamp) -> Result<Report, Error> {
    run(warehouse, files, now, false).await
}

/// Applies a folder and restores every view to its file's definition, even if it was changed in the warehouse.
pub async fn restore_folder(warehouse: &Warehouse, folder: &Path, now: Timestamp) -> Result<Report, Error> {
    run(warehouse, &read(folder, warehouse.dialect())?, now, true).await
}

async fn run(
    warehouse: &Warehouse,
    files: &[ObjectFile],
    now: Timestamp,
    restores: bool,
) -> Result<Report, Error> {
    let dialect = warehouse.dialect();
    // Parse all files first, so that an invalid one does not stop the run half way.
    let scripts = files.iter().map(|file| Ok((file, script(file, dialect)?)));
    let scripts: Vec<_> = scripts.collect::<Result<_, Error>>()?;
    for (_, statements) in scripts.iter().filter(|(file, _)| file.number == 0) {
        warehouse.execute_all(statements).await?;
    }
    let numbered: Vec<&ObjectFile> = files.iter().filter(|file| file.number > 0).collect();
    let steps = plan::plan(&numbered, &recorded(warehouse).await?, restores)?;
    let mut report = Report { applied: Vec::new(), unchanged: numbered.len() - steps.len() };
    for step in steps {
        let statements = scripts.iter().find(|(file, _)| file.number == step.file.number);
        let mut statements = statements.map(|(_, statements)| statements.clone()).unwrap_or_default();
        statements.push(record(&step, dialect, now)?);
        warehouse.execute_all(&statements).await?;
        report.applied.push(Applied { file: step.file.file_name.clone(), reason: step.reason });
    }
    Ok(report)
}

/// Splits a file into statements of the dialect.
pub fn script(file: &ObjectFile, dialect: Dialect) -> Result<Vec<Statement>, Error> {
    let name = &file.file_name;
    let expanded = script::expand(&file.text, dialect);
    let statements = expanded.and_then(|text| script::statements(&text, dialect));
    let statements = statements.map_err(|problem: FileError| Error::plain(format!("{name}: {problem}")))?;
    let numbered = statements.into_iter().enumerate();
    Ok(numbered.map(|(index, sql)| Statement::new(format!("{name}, statement {}", index + 1), sql)).collect())
}

async fn recorded(warehouse: &Warehouse) -> Result<Vec<Recorded>, Error> {
    let sql = format!("SELECT number, revision, name, sha256 FROM ${{{HISTORY}}} ORDER BY number, revision");
    let sql = script::expand(&sql, warehouse.dialect())?;
    let answer = warehouse.query(&Statement::new("the applied files", sql)).await?;
    let record = |row: Row<'_>| -> Result<Recorded, Error> {
        Ok(Recorded {
            number: row.get("number")?,
            revision: row.get("revision")?,
            name: row.get("name")?,
            sha256: row.get("sha256")?,
        })
    };
    answer.rows().map(record).collect()
}

fn record(step: &Step<'_>, dialect: Dialect, now: Timestamp) -> Result<Statement, Error> {
    let sql = format!(
        "INSERT INTO ${{{HISTORY}}} (number, revision, name, sha256, applied_at) \
         VALUES (:number, :revision, :name, :sha256, :applied_at)"
    );
    let sql = script::expand(&sql, dialect)?;
    Ok(Statement::new(format!("{}, its record", step.file.file_name), sql)
        .bind("number", step.file.number)
        .bind("revision", step.revision)
        .bind("name", step.file.name.clone())
        .bind("sha256", step.file.sha256.clone())
        .bind("applied_at", now))
}
