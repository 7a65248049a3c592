//! Checks a live deployment from the outside: does everything exist, is it on, accepted and answering?
//!
//! Observe (`observe`) asks AWS, Census and the warehouse, with the operator's own credentials and the settings that the
//! deployed functions really have; judge (`judge`) is pure and makes one row of each. It changes nothing, but for one
//! unsigned request to the intake, which refuses it.

mod judge;
mod observe;

use std::fmt;

use serde::{Deserialize, Serialize};
use syncwatch::text::table;

use crate::stakeholders::counted;

pub(crate) use judge::judge;
pub(crate) use observe::{Source, configuration, observe, reaches};

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    Wrong,
    /// It could not be checked. Never a pass.
    Unknown,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Such as `schedule daily-validation`.
    pub what: String,
    pub state: State,
    pub found: String,
    /// What to do, unless it is ok.
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

/// Everything that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub rows: Vec<Row>,
}

impl Diagnosis {
    /// Whether nothing is left to do.
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
        writeln!(f, "{}", table(["what", "is", "found"], &rows))?;
        let remedies = self.rows.iter().filter_map(|row| Some((&row.what, row.remedy.as_ref()?)));
        match remedies.clone().count() {
            0 => return write!(f, "\nAll {} are ok.", rows.len()),
            problems => write!(f, "\n{}:", counted(problems, "problem"))?,
        }
        remedies.into_iter().try_for_each(|(what, remedy)| write!(f, "\n- {what}: {remedy}"))
    }
}
