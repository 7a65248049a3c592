//! The looks of an object that are remembered from one comparison to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::look::Look;
use super::report::Reconciliation;
use super::verdict::Class;

/// The last look of an object, and the one before it that confirms its wrong rows. An object of several nights has looks for each bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    pub base: Option<(Timestamp, Look)>,
    pub newest: Option<(Timestamp, Look)>,
    /// Wrong rows of the last comparison that are not confirmed.
    pub unconfirmed: u64,
    /// The wrong records of the last comparison that could decide; `None` before one could.
    pub known: Option<Known>,
}

/// The records that count as wrong: those that two looks saw, and those that are late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    /// Records with a partner.
    pub joined: u64,
}

impl Known {
    /// Returns the number of records of a class.
    pub fn of(&self, class: Class) -> u64 {
        match class {
            Class::Missing => self.missing,
            Class::Extra => self.extra,
            Class::Different => self.different,
        }
    }
}

impl Looks {
    /// Adds a comparison at `now`. `base` is then the look that confirms its wrong rows, if there is one.
    ///
    /// A comparison too soon after the newest look does not replace it: otherwise an event that is delivered twice would confirm
    /// everything, or take back what is confirmed.
    #[must_use]
    pub fn with(self, found: &Reconciliation, is_apart: impl Fn(Timestamp) -> bool, now: Timestamp) -> Self {
        let (base, newest) = match self.newest {
            Some(newest) if !is_apart(newest.0) => (self.base, newest),
            newest => (newest, (now, found.look())),
        };
        let none = Look::default();
        let confirmed = found.confirmed(base.as_ref().map_or(&none, |(_, look)| look));
        let counted = Known {
            missing: confirmed.missing + found.missing_late,
            extra: confirmed.extra,
            different: confirmed.different + found.different_late,
            joined: found.joined,
        };
        // Without a look that could confirm them, wrong records are neither right nor wrong yet.
        let known = if base.is_some() || confirmed.once == 0 { Some(counted) } else { self.known };
        Self { base, newest: Some(newest), unconfirmed: confirmed.once, known }
    }
}
