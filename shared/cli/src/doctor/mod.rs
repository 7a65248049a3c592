//! Checks a live deployment from outside: whether each part exists, is enabled, is accepted and answers.
//!
//! `observe` queries AWS, Census and the warehouse with the operator's own credentials and the settings of the
//! deployed functions; `judge` is pure and makes one row per part. Nothing is changed; one unsigned request is sent
//! to the intake, which refuses it.

mod judge;
mod observe;

use std::fmt;

use serde::{Deserialize, Serialize};
use syncwatch::text::{counted, table};

pub(crate) use judge::judge;
pub(crate) use observe::{Source, configuration, is_used, observe, reaches};

/// Result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    Wrong,
    /// It could not be checked, which does not count as ok.
    Unknown,
}

/// A checked part of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Such as `schedule daily-validation`.
    pub what: String,
    pub state: State,
    pub found: String,
    /// The remedy, unless it is ok.
    pub remedy: Option<String>,
}

impl Row {
    fn good(found: impl Into<String>) -> Self {
        Self { what: String::new(), state: State::Ok, found: found.into(), remedy: None }
    }

    fn wrong(found: impl Into<String>, remedy: impl fmt::Display) -> Self {
        Self { state: State::Wrong, remedy: Some(remedy.to_string()), ..Self::good(found) }
    }

    fn unknown(found: impl Into<String>, remedy: impl fmt::Display) -> Self {
        Self { state: State::Unknown, ..Self::wrong(found, remedy) }
    }

    fn of(self, what: impl Into<String>) -> Self {
        Self { what: what.into(), ..self }
    }
}

/// All checked parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub rows: Vec<Row>,
}

impl Diagnosis {
    /// Returns whether every part is ok.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.state == State::Ok)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: State| match state {
            State::Ok => "ok",
            State::Wrong => "WRONG",
            State::Unknown => "UNKNOWN",
        };
        let row = |row: &Row| [row.what.clone(), word(row.state).to_owned(), row.found.clone()];
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        writeln!(f, "{}", table(["part", "state", "found"], &rows))?;
        let remedies = self.rows.iter().filter_map(|row| Some((&row.what, row.remedy.as_ref()?)));
        match remedies.clone().count() {
            0 => return write!(f, "\nAll {} parts are ok.", rows.len()),
            problems => write!(f, "\n{}:", counted(problems, "problem"))?,
        }
        remedies.into_iter().try_for_each(|(what, remedy)| write!(f, "\n- {what}: {remedy}"))
    }
}
