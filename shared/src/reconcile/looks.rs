//! The looks at an object that are remembered from one comparison to the next.

use jiff::{SignedDuration, Timestamp};

use super::look::{Confirmed, Look};
use super::report::Reconciliation;

/// The last look at an object, and the one before it that confirms its wrong rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    pub base: Option<(Timestamp, Look)>,
    pub newest: Option<(Timestamp, Look)>,
    /// Wrong rows of the last comparison that are not confirmed.
    pub unconfirmed: u64,
}

impl Looks {
    /// Adds a comparison at `now`, and returns the rows that it confirms: those that a look saw at least `apart` before.
    ///
    /// A comparison sooner than that confirms what the newest look confirmed, and does not replace it: otherwise an event that is
    /// delivered twice would confirm everything, or resolve what is confirmed.
    pub fn add(self, found: &Reconciliation, apart: SignedDuration, now: Timestamp) -> (Confirmed, Self) {
        let (base, newest) = match self.newest {
            Some(newest) if now.duration_since(newest.0) < apart => (self.base, newest),
            newest => (newest, (now, found.look())),
        };
        let none = Look::default();
        let confirmed = found.confirmed(base.as_ref().map_or(&none, |(_, look)| look));
        let unconfirmed = confirmed.once;
        (confirmed, Self { base, newest: Some(newest), unconfirmed })
    }
}
