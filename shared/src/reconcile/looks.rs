//! The looks of an object that are remembered from one comparison to the next.

use jiff::Timestamp;

use super::look::Look;
use super::report::Reconciliation;

/// The last look of an object, and the one before it that confirms its wrong rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    pub base: Option<(Timestamp, Look)>,
    pub newest: Option<(Timestamp, Look)>,
    /// Wrong rows of the last comparison that are not confirmed.
    pub unconfirmed: u64,
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
        let unconfirmed = found.confirmed(base.as_ref().map_or(&none, |(_, look)| look)).once;
        Self { base, newest: Some(newest), unconfirmed }
    }
}
