//! What is to be run, decided from the files and from what was recorded.

use std::fmt;

use super::folder::ObjectFile;
use super::script;

/// A record of a file that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub number: i64,
    /// How often it had run, this time included.
    pub revision: i64,
    pub name: String,
    /// The SHA-256 of its text then.
    pub sha256: String,
}

/// A file to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'f> {
    pub file: &'f ObjectFile,
    /// The number that its record is to have.
    pub revision: i64,
    pub reason: Reason,
}

/// Why a file is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It never was.
    New,
    /// It holds views, and their definitions changed.
    ViewsChanged,
    /// It holds views, and they are to be as they are written, whoever changed them in the warehouse.
    Restored,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::ViewsChanged => "its views changed",
            Self::Restored => "its views put back",
        })
    }
}

/// What ran and what is there now do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Drift {
    /// A file that ran has another text now.
    #[error(
        "{file} was changed after it ran: take the change back, and put it into a new file with a higher number"
    )]
    Changed { file: String },
    #[error("{file} has the number of {recorded}, which ran: give it a number of its own")]
    Renumbered { file: String, recorded: String },
}

/// Decides what is to be run, in order. `recorded` may have several records of a file; the one of the highest revision counts.
///
/// # Errors
/// See [`Drift`].
pub fn plan<'f>(files: &[&'f ObjectFile], recorded: &[Recorded]) -> Result<Vec<Step<'f>>, Drift> {
    let mut steps = Vec::new();
    for file in files.iter().copied() {
        let last = recorded.iter().filter(|r| r.number == file.number).max_by_key(|r| r.revision);
        match last {
            None => steps.push(Step { file, revision: 1, reason: Reason::New }),
            Some(last) if last.name != file.name => {
                return Err(Drift::Renumbered { file: file.file_name.clone(), recorded: last.name.clone() });
            }
            Some(last) if last.sha256 == file.sha256 => {}
            Some(last) if script::has_only_views(&file.text) => {
                steps.push(Step { file, revision: last.revision + 1, reason: Reason::ViewsChanged });
            }
            Some(_) => return Err(Drift::Changed { file: file.file_name.clone() }),
        }
    }
    Ok(steps)
}

/// The same, and every file of views besides: somebody may have changed one in the warehouse, which no record tells.
///
/// # Errors
/// See [`Drift`].
pub fn restore<'f>(files: &[&'f ObjectFile], recorded: &[Recorded]) -> Result<Vec<Step<'f>>, Drift> {
    let mut steps = plan(files, recorded)?;
    for file in files.iter().copied().filter(|file| script::has_only_views(&file.text)) {
        if steps.iter().all(|step| step.file.number != file.number) {
            let last = recorded.iter().filter(|r| r.number == file.number).map(|r| r.revision).max();
            steps.push(Step { file, revision: last.unwrap_or(0) + 1, reason: Reason::Restored });
        }
    }
    steps.sort_by_key(|step| step.file.number);
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: i64, text: &str) -> ObjectFile {
        ObjectFile {
            number,
            name: "a".to_owned(),
            file_name: format!("{number:03}_a.sql"),
            text: text.to_owned(),
            sha256: format!("hash of {text}"),
        }
    }

    fn record(file: &ObjectFile, revision: i64) -> Recorded {
        let ObjectFile { number, name, sha256, .. } = file.clone();
        Recorded { number, revision, name, sha256 }
    }

    #[test]
    fn only_what_is_new_is_run() {
        let (first, second) = (file(1, "CREATE TABLE a"), file(2, "CREATE TABLE b"));
        let steps = plan(&[&first, &second], &[record(&first, 1)]).unwrap();
        assert_eq!(steps, [Step { file: &second, revision: 1, reason: Reason::New }]);
        assert_eq!(plan(&[&first, &second], &[record(&first, 1), record(&second, 1)]).unwrap(), []);
    }

    #[test]
    fn a_changed_file_is_run_again_only_if_all_it_has_are_views() {
        let view = "CREATE OR REPLACE VIEW v AS SELECT 1;";
        let (old, new) = (file(1, view), file(1, &view.replace('1', "2")));
        // The older record, which has the same text, is not the one that counts.
        let steps = plan(&[&new], &[record(&new, 1), record(&old, 2)]).unwrap();
        assert_eq!(steps, [Step { file: &new, revision: 3, reason: Reason::ViewsChanged }]);
        let mixed = file(1, &format!("{view} CREATE TABLE t (a INTEGER);"));
        let drift = plan(&[&mixed], &[record(&old, 1)]).unwrap_err();
        assert_eq!(drift, Drift::Changed { file: "001_a.sql".to_owned() });
    }

    #[test]
    fn views_are_put_back_though_nothing_changed_and_nothing_else_is_run() {
        let (table, view) = (file(1, "CREATE TABLE a"), file(2, "CREATE OR REPLACE VIEW v AS SELECT 1;"));
        let new = file(3, "CREATE TABLE b");
        let recorded = [record(&table, 1), record(&view, 4)];
        let steps = restore(&[&table, &view, &new], &recorded).unwrap();
        assert_eq!(
            steps,
            [
                Step { file: &view, revision: 5, reason: Reason::Restored },
                Step { file: &new, revision: 1, reason: Reason::New },
            ]
        );
    }

    #[test]
    fn a_number_belongs_to_one_file_for_ever() {
        let mut other = file(1, "CREATE TABLE a");
        other.name = "b".to_owned();
        let drift = plan(&[&file(1, "CREATE TABLE a")], &[record(&other, 1)]).unwrap_err();
        assert_eq!(
            drift.to_string(),
            "001_a.sql has the number of b, which ran: give it a number of its own"
        );
    }
}
