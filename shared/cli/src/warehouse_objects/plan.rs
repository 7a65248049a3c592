//! What is to be run, decided from the files and from what was recorded.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::folder::ObjectFile;
use super::script::has_only_views;
use crate::error::Error;

/// A record of a file that ran.
pub(super) struct Recorded {
    pub(super) number: i64,
    /// How often it had run, this time included.
    pub(super) revision: i64,
    pub(super) name: String,
    /// The SHA-256 of its text then.
    pub(super) sha256: String,
}

/// A file to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step<'f> {
    pub(super) file: &'f ObjectFile,
    /// The number that its record is to have.
    pub(super) revision: i64,
    pub(super) reason: Reason,
}

/// Why a file is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    #[serde(rename = "new")]
    New,
    #[serde(rename = "its views changed")]
    ViewsChanged,
    /// Its views are restored as the file defines them, whatever was changed in the warehouse.
    #[serde(rename = "its views put back")]
    Restored,
}

/// The same words as in JSON.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Decides what is to be run, in order. `recorded` may have several records of a file; the one of the highest revision counts.
/// `restores` adds every file of views: one may have been changed in the warehouse, which no record tells.
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
                return Err(Error::plain(format!(
                    "{file_name} has the number of {name}, which ran: give it a number of its own"
                )));
            }
            Some(last) if last.sha256 == file.sha256 && !(restores && has_only_views(text)) => continue,
            Some(last) if last.sha256 == file.sha256 => Reason::Restored,
            Some(_) if has_only_views(text) => Reason::ViewsChanged,
            Some(_) => {
                return Err(Error::plain(format!(
                    "{file_name} was changed after it ran: take the change back, and put it into a new file with a higher \
                     number"
                )));
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
    fn only_what_is_new_is_run() {
        let (first, second) = (file(1, "CREATE TABLE a"), file(2, "CREATE TABLE b"));
        let steps = plan(&[&first, &second], &[record(&first, 1)], false).unwrap();
        assert_eq!(steps, [Step { file: &second, revision: 1, reason: Reason::New }]);
        assert_eq!(plan(&[&first, &second], &[record(&first, 1), record(&second, 1)], false).unwrap(), []);
    }

    #[test]
    fn a_changed_file_is_run_again_only_if_all_it_has_are_views() {
        let view = "CREATE OR REPLACE VIEW v AS SELECT 1;";
        let (old, new) = (file(1, view), file(1, &view.replace('1', "2")));
        // The older record, which has the same text, is not the one that counts.
        let steps = plan(&[&new], &[record(&new, 1), record(&old, 2)], false).unwrap();
        assert_eq!(steps, [Step { file: &new, revision: 3, reason: Reason::ViewsChanged }]);
        let mixed = file(1, &format!("{view} CREATE TABLE t (a INTEGER);"));
        let drift = plan(&[&mixed], &[record(&old, 1)], false).unwrap_err();
        assert!(drift.what.starts_with("001_a.sql was changed after it ran: "), "{drift}");
    }

    #[test]
    fn views_are_put_back_though_nothing_changed_and_nothing_else_is_run() {
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
    fn a_number_belongs_to_one_file_for_ever() {
        let mut other = file(1, "CREATE TABLE a");
        other.name = "b".to_owned();
        let drift = plan(&[&file(1, "CREATE TABLE a")], &[record(&other, 1)], false).unwrap_err();
        assert_eq!(
            drift.to_string(),
            "001_a.sql has the number of b, which ran: give it a number of its own"
        );
    }
}
