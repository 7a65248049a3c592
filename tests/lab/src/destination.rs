//! A simulated Salesforce: counts the records that the syncs created, updated and had rejected.

use crate::census::SimCounts;

/// The destination's record counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Destination {
    pub created: u64,
    pub updated: u64,
    pub rejected: u64,
}

impl Destination {
    pub(crate) fn take(&mut self, counts: &SimCounts, creates: bool) {
        if creates {
            self.created += counts.updated;
        } else {
            self.updated += counts.updated;
        }
        self.rejected += counts.failed;
    }
}
