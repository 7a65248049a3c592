//! Decides which files to run, from the files and the records.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use syncwatch::baseline::files::ObjectFile;
use syncwatch::baseline::script::has_only_views;

/// The record of a file that ran.
pub(super) struct Recorded {
    pub(super) number: i64,
    /// Number of its runs, this one included.
    pub(super) revision: i64,
    pub(super) name: String,
    /// SHA-256 of its text at that run.
    pub(super) sha256: String,
}

/// A file to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step<'f> {
    pub(super) file: &'f ObjectFile,
    /// Revision of its new record.
    pub(super) revision: i64,
    pub(super) reason: Reason,
}

/// Reason to run a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    #[serde(rename = "new")]
    New,
    #[serde(rename = "its views changed")]
    ViewsChanged,
    /// Its views are restored to the file's definitions, even if they were changed in the warehouse.
    #[serde(rename = "its views put back")]
    Restored,
}

/// The same text as in JSON.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Decides which files to run, in order. Of several records of a file, the one with the highest revision counts.
/// `restores` adds every file of views, because no record shows a change in the warehouse.
pub(super) fn plan<'f>(
    files: &[&'f ObjectFile],
    recorded: &[Recorded],
    restores: bool,
) -> Result<Vec<Step<'f>>, Error> {
    let mut steps = Vec::new();
    for file in files.iter().copied() {
        let ObjectFile { file_name, text, .. } = file;
        let last = recorded.iter().filter(|r| r.number == file.number).max_by_key(|r| r.revision);
        let reason = match last {
            None => Reason::New,
            Some(Recorded { name, .. }) if *name != file.name => {
                return Err(Error::new(
                    format!("{file_name} has the number of {name}, which already ran"),
                    "give it a new number",
                ));
            }
            Some(last) if last.sha256 == file.sha256 && !(restores && has_only_views(text)) => continue,
            Some(last) if last.sha256 == file.sha256 => Reason::Restored,
            Some(_) if has_only_views(text) => Reason::ViewsChanged,
            Some(_) => {
                return Err(Error::new(
                    format!("{file_name} was changed after it ran"),
                    "revert the change and put it into a new file with a higher number",
                ));
            }
        };
        steps.push(Step { file, revision: last.map_or(1, |last| last.revision + 1), reason });
    }
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
    fn only_new_files_run() {
        let (first, second) = (file(1, "CREATE TABLE a"), file(2, "CREATE TABLE b"));
        let steps = plan(&[&first, &second], &[record(&first, 1)], false).unwrap();
        assert_eq!(steps, [Step { file: &second, revision: 1, reason: Reason::New }]);
        assert_eq!(plan(&[&first, &second], &[record(&first, 1), record(&second, 1)], false).unwrap(), []);
    }

    #[test]
    fn changed_file_runs_again_only_if_it_has_only_views() {
        let view = "CREATE OR REPLACE VIEW v AS SELECT 1;";
        let (old, new) = (file(1, view), file(1, &view.replace('1', "2")));
        // The record with the same text is older and does not count.
        let steps = plan(&[&new], &[record(&new, 1), record(&old, 2)], false).unwrap();
        assert_eq!(steps, [Step { file: &new, revision: 3, reason: Reason::ViewsChanged }]);
        let mixed = file(1, &format!("{view} CREATE TABLE t (a INTEGER);"));
        let drift = plan(&[&mixed], &[record(&old, 1)], false).unwrap_err();
        assert!(drift.what.starts_with("001_a.sql was changed after it ran"), "{drift}");
    }

    #[test]
    fn restore_runs_unchanged_views_and_new_files_only() {
        let (table, view) = (file(1, "CREATE TABLE a"), file(2, "CREATE OR REPLACE VIEW v AS SELECT 1;"));
        let new = file(3, "CREATE TABLE b");
        let recorded = [record(&table, 1), record(&view, 4)];
        let steps = plan(&[&table, &view, &new], &recorded, true).unwrap();
        assert_eq!(
            steps,
            [
                Step { file: &view, revision: 5, reason: Reason::Restored },
                Step { file: &new, revision: 1, reason: Reason::New },
            ]
        );
    }

    #[test]
    fn number_of_a_file_that_ran_is_not_reusable() {
        let mut other = file(1, "CREATE TABLE a");
        other.name = "b".to_owned();
        let drift = plan(&[&file(1, "CREATE TABLE a")], &[record(&other, 1)], false).unwrap_err();
        assert_eq!(
            drift.to_string(),
            "001_a.sql has the number of b, which already ran; give it a new number"
        );
    }
}
