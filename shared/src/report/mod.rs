//! Reports on a span of days: the weekly [`Digest`], and the [`Monthly`] report. Pure: no I/O and no clock, and never fails.
//!
//! No figure is computed here: each comes from the scoreboard, the periods of incidents, the tallies of silences, the stored
//! remedies, or the expectations. A figure that is unknown is stated with its reason.

mod alerts;
mod digest;
mod month;
mod monthly;
mod page;
mod week;

#[cfg(test)]
mod tests;

pub use digest::{Digest, Line, Topic, WeekScore};
pub use month::Month;
pub use monthly::{Budget, MonthAlerts, MonthMetric, Monthly, SyncWeek};
pub use page::{PageError, render_page};
pub use week::Week;

use jiff::{SignedDuration, Timestamp};

use crate::history::{DAYS, History};
use crate::scoreboard::{KEPT_DAYS, Stored};

/// The days of the audit log before the end of a report that it rests on.
pub const HISTORY_DAYS: i64 = DAYS;

/// Everything that a report is computed from.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub stored: Stored,
    /// The days until the end of the report; why they could not be read.
    pub history: Result<History, String>,
}

impl Inputs {
    /// Why the alerts from an instant on are incomplete, if they are.
    fn alerts_unknown(&self, from: Timestamp, now: Timestamp) -> Option<String> {
        let kept = now - SignedDuration::from_hours(24 * KEPT_DAYS);
        let expired = || format!("ended incidents are kept for {KEPT_DAYS} days");
        self.stored.unread_incidents.clone().or_else(|| (from < kept).then(expired))
    }
}
