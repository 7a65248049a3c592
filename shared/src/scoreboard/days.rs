//! Calendar days and windows of them in a zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

/// A span of days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
        // Where midnight does not exist, this is the first instant of the day. It fails only at the ends of time.
        let start = |day: Date, otherwise| day.to_zoned(zone.clone()).map_or(otherwise, |at| at.timestamp());
        let from = start(self.from, Timestamp::MIN);
        (from, self.to.tomorrow().map_or(Timestamp::MAX, |next| start(next, Timestamp::MAX)))
    }
}

/// Counts this many days back from a day.
pub(super) fn days_before(day: Date, count: i64) -> Date {
    day.saturating_sub(count.days())
}

/// The day of an instant in a zone.
pub(super) fn day_of(instant: Timestamp, zone: &TimeZone) -> Date {
    instant.to_zoned(zone.clone()).date()
}

/// The days from one day to another; 0 if the other is earlier.
pub(super) fn days_between(from: Date, to: Date) -> u64 {
    u64::try_from((to - from).get_days()).unwrap_or(0)
}
