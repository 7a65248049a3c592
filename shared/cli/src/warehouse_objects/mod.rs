//! Makes the tables and views of a pipeline: `infra/warehouse/`, applied in order, and once.
//!
//! A file is called `010_properties_to_create.sql`, or `010_properties_to_create.databricks.sql` where a dialect must
//! differ. It names objects as `${crm.sfdc_dbx.sync_audit_log}`. File 000 is run each time; it makes the table in which the
//! others are recorded, with the SHA-256 of their text:
//!
//! * not recorded                    => run and recorded
//! * recorded, and the same          => left alone
//! * a file of views that changed    => run again: `CREATE OR REPLACE VIEW` loses nothing
//! * any other file that changed     => an error before anything is run: what ran cannot be changed, add a file
//!
//! Statement and record are one transaction where the engine has such. Databricks has none: there a file that broke off
//! is run again as a whole, which is why every statement must be harmless to repeat (`IF NOT EXISTS`, `OR REPLACE`).

mod folder;
mod plan;
mod script;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;

pub use folder::{FolderError, ObjectFile, read, select};
pub use plan::{Drift, Reason, Recorded, Step, plan, restore};
pub use script::{Problem, expand, statements};

use syncwatch::data_checks::object_name;
use syncwatch::sql;
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;

/// Where it is recorded what ran.
pub const HISTORY: &str = "crm.sfdc_dbx.schema_history";

/// Why the objects could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What ran and what is there now do not fit.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// The text of a file cannot be used.
    #[error("{file}: {problem}")]
    Script {
        file: String,
        /// What is wrong with it, and the remedy.
        problem: Problem,
    },
    /// The warehouse refused. The statement is named by its file and its place in it.
    #[error(transparent)]
    Warehouse(#[from] sql::Error),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Files that were run, in order, and why.
    pub applied: Vec<(String, Reason)>,
    pub unchanged: usize,
}

/// One line for each file that was run, and one for the others.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, reason) in &self.applied {
            writeln!(f, "{file}: applied, {reason}")?;
        }
        writeln!(f, "{} unchanged", self.unchanged)
    }
}

/// Reads the files of a folder and applies them to a warehouse: what `syncwatch warehouse-apply` does.
///
/// # Errors
/// See [`Error`]. Files before the one that failed are applied and recorded.
pub async fn apply_folder(warehouse: &Warehouse, folder: &Path, now: Timestamp) -> Result<Report, Error> {
    let files = read(folder, warehouse.dialect())?;
    apply(warehouse, &files, now).await
}

/// Applies files, in order.
///
/// # Errors
/// See [`Error`]. Files before the one that failed are applied and recorded.
pub async fn apply(warehouse: &Warehouse, files: &[ObjectFile], now: Timestamp) -> Result<Report, Error> {
    run(warehouse, files, now, plan).await
}

/// The same for a folder, and puts every view back as it is written, whoever changed it in the warehouse.
///
/// # Errors
/// See [`Error`]. Files before the one that failed are applied and recorded.
pub async fn restore_folder(warehouse: &Warehouse, folder: &Path, now: Timestamp) -> Result<Report, Error> {
    let files = read(folder, warehouse.dialect())?;
    run(warehouse, &files, now, restore).await
}

/// What is to be run of files, by what was recorded.
type Planner = for<'f> fn(&[&'f ObjectFile], &[Recorded]) -> Result<Vec<Step<'f>>, Drift>;

async fn run(
    warehouse: &Warehouse,
    files: &[ObjectFile],
    now: Timestamp,
    plan: Planner,
) -> Result<Report, Error> {
    let dialect = warehouse.dialect();
    // All of them first: a file that cannot be read must not stop us half way.
    let mut scripts = Vec::with_capacity(files.len());
    for file in files {
        scripts.push((file, script(file, dialect)?));
    }
    for (_, statements) in scripts.iter().filter(|(file, _)| file.number == 0) {
        warehouse.execute_all(statements).await?;
    }
    let numbered: Vec<&ObjectFile> = files.iter().filter(|file| file.number > 0).collect();
    let recorded = recorded(warehouse).await?;
    let steps = plan(&numbered, &recorded)?;
    let mut report = Report { applied: Vec::new(), unchanged: numbered.len() - steps.len() };
    for step in steps {
        let statements = scripts.iter().find(|(file, _)| file.number == step.file.number);
        let mut statements = statements.map(|(_, statements)| statements.clone()).unwrap_or_default();
        statements.push(record(&step, dialect, now)?);
        warehouse.execute_all(&statements).await?;
        report.applied.push((step.file.file_name.clone(), step.reason));
    }
    Ok(report)
}

/// The statements of a file, as the dialect wants them.
///
/// # Errors
/// The text cannot be used.
pub fn script(file: &ObjectFile, dialect: Dialect) -> Result<Vec<Statement>, Error> {
    let problem = |problem| Error::Script { file: file.file_name.clone(), problem };
    let expanded = expand(&file.text, dialect).map_err(problem)?;
    let statements = statements(&expanded, dialect).map_err(problem)?;
    Ok(statements
        .into_iter()
        .enumerate()
        .map(|(index, sql)| Statement::new(format!("{}, statement {}", file.file_name, index + 1), sql))
        .collect())
}

async fn recorded(warehouse: &Warehouse) -> Result<Vec<Recorded>, Error> {
    let history = history(warehouse.dialect())?;
    let sql = format!("SELECT number, revision, name, sha256 FROM {history} ORDER BY number, revision");
    let answer = warehouse.query(&Statement::new("what was applied", sql)).await?;
    let mut recorded = Vec::with_capacity(answer.len());
    for row in answer.rows() {
        recorded.push(Recorded {
            number: row.get("number")?,
            revision: row.get("revision")?,
            name: row.get("name")?,
            sha256: row.get("sha256")?,
        });
    }
    Ok(recorded)
}

fn record(step: &Step<'_>, dialect: Dialect, now: Timestamp) -> Result<Statement, Error> {
    let history = history(dialect)?;
    let sql = format!(
        "INSERT INTO {history} (number, revision, name, sha256, applied_at) \
         VALUES (:number, :revision, :name, :sha256, :applied_at)"
    );
    Ok(Statement::new(format!("{}, its record", step.file.file_name), sql)
        .bind("number", step.file.number)
        .bind("revision", step.revision)
        .bind("name", step.file.name.clone())
        .bind("sha256", step.file.sha256.clone())
        .bind("applied_at", now))
}

fn history(dialect: Dialect) -> Result<String, Error> {
    object_name(dialect, HISTORY).map_err(|source| Error::Script {
        file: HISTORY.to_owned(),
        problem: Problem::BadName { name: HISTORY.to_owned(), source },
    })
}
