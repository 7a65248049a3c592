//! Looks at a live deployment from the outside: is everything there, on, accepted and answering?
//!
//! Observe ([`observe`]) asks AWS, Census and the warehouse, with the operator's own credentials and the settings that the
//! deployed functions really have; judge ([`judge`]) is pure and makes one row of each thing that was looked at. It changes
//! nothing, but for one unsigned request to the intake, which refuses it.

mod declared;
mod judge;
mod observe;

use std::fmt;

use super::table::columns;

pub use declared::{Declared, DeclaredFunction, DeclaredSchedule};
pub use judge::judge;
pub use observe::{Observed, Source, observe};

/// How a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Good,
    /// Wrong; the text says what to do.
    Wrong(String),
    /// It could not be looked at; the text says what to do. Never a pass.
    Unknown(String),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Such as `schedule daily-validation`.
    pub what: String,
    pub state: State,
    /// What was found, in a few words.
    pub found: String,
}

impl Row {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Good, found: found.into() }
    }

    fn wrong(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Wrong(remedy.into()), found: found.into() }
    }

    fn unknown(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Unknown(remedy.into()), found: found.into() }
    }
}

/// Everything that was looked at, as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis(pub Vec<Row>);

impl Diagnosis {
    /// Whether nothing is left to do.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|row| row.state == State::Good)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: &State| match state {
            State::Good => "ok",
            State::Wrong(_) => "WRONG",
            State::Unknown(_) => "UNKNOWN",
        };
        let rows: Vec<[String; 3]> = self
            .0
            .iter()
            .map(|row| [row.what.clone(), word(&row.state).to_owned(), row.found.clone()])
            .collect();
        writeln!(f, "{}", columns(["what", "is", "found"], &rows))?;
        if self.is_good() {
            return write!(f, "\nAll {} are well.", self.0.len());
        }
        let remedies: Vec<(&str, &str)> = self
            .0
            .iter()
            .filter_map(|row| match &row.state {
                State::Good => None,
                State::Wrong(remedy) | State::Unknown(remedy) => Some((row.what.as_str(), remedy.as_str())),
            })
            .collect();
        write!(f, "\n{} of {} to see to:", remedies.len(), self.0.len())?;
        for (what, remedy) in remedies {
            write!(f, "\n- {what}: {remedy}")?;
        }
        Ok(())
    }
}
