//! Windows of calendar days.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::days::{bounds, days_before};

/// A span of days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Date,
    pub to: Date,
}

impl Window {
    /// The span of so many days that ends with this day.
    pub(super) fn ending(to: Date, days: i64) -> Self {
        Self { from: days_before(to, days - 1), to }
    }

    /// Its days, oldest first.
    pub(super) fn days(self) -> impl Iterator<Item = Date> {
        std::iter::successors(Some(self.from), |day| day.tomorrow().ok())
            .take_while(move |day| *day <= self.to)
    }

    /// The first instant, and the first one after it.
    pub(super) fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        bounds(self.from, self.to, zone)
    }
}
