//! Weeks from Monday to Sunday, named as ISO 8601 does.

use std::fmt;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::days::{bounds, day_of, days_before};

/// A week, by its Monday. In a zone it has 167 or 169 hours when the clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week(Date);

impl Week {
    /// The last week that has ended.
    pub fn last(now: Timestamp, zone: &TimeZone) -> Self {
        let today = day_of(now, zone);
        let since_monday = i64::from(today.weekday().to_monday_zero_offset());
        Self(days_before(today, since_monday + 7))
    }

    /// Reads a name such as `2026-W48`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, week) = text.split_once("-W")?;
        let is_plain = year.len() == 4 && week.len() == 2 && (year.to_owned() + week).parse::<u32>().is_ok();
        let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
        is_plain.then(|| Self(week.date()))
    }

    /// Its first day.
    pub fn monday(self) -> Date {
        self.0
    }

    /// Its last day.
    pub fn sunday(self) -> Date {
        self.0.saturating_add(6.days())
    }

    /// Its first instant, and the first one after it (UTC).
    pub fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        bounds(self.monday(), self.sunday(), zone)
    }
}

impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.0.iso_week_date();
        write!(f, "{:04}-W{:02}", week.year(), week.week())
    }
}
