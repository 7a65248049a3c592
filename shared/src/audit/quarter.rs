//! Calendar quarters.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::days::{bounds, day_of, days_before};

/// A calendar quarter, by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter(Date);

impl Quarter {
    /// The quarter of an instant in a zone.
    pub fn of(now: Timestamp, zone: &TimeZone) -> Self {
        let first = day_of(now, zone).first_of_month();
        Self(first.saturating_sub((i64::from(first.month() - 1) % 3).months()))
    }

    /// Reads a name such as `2026-Q4`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.split_once("-Q")?;
        let number: i8 = number.parse().ok().filter(|number| (1..=4).contains(number))?;
        let found = Self(Date::new(year.parse().ok()?, 3 * number - 2, 1).ok()?);
        (found.to_string() == text).then_some(found)
    }

    /// Its first day.
    pub fn first(self) -> Date {
        self.0
    }

    /// Its last day.
    pub fn end(self) -> Date {
        days_before(self.0.saturating_add(3.months()), 1)
    }

    /// Its first instant, and the first one after it (UTC).
    pub fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        bounds(self.first(), self.end(), zone)
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.0.year(), (self.0.month() + 2) / 3)
    }
}
