//! Calendar months.

use std::fmt;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::days::{bounds, day_of, days_before};

/// A calendar month, by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The last month that has ended.
    pub fn last(now: Timestamp, zone: &TimeZone) -> Self {
        Self(days_before(day_of(now, zone).first_of_month(), 1).first_of_month())
    }

    /// Reads a name such as `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let first: Date = format!("{text}-01").parse().ok()?;
        (Self(first).to_string() == text).then_some(Self(first))
    }

    /// Its first day.
    pub fn first(self) -> Date {
        self.0
    }

    /// Its last day.
    pub fn end(self) -> Date {
        self.0.last_of_month()
    }

    /// Its first instant, and the first one after it (UTC).
    pub fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        bounds(self.first(), self.end(), zone)
    }

    /// The day on which its report is sent: the first Monday after it.
    pub fn sent_on(self) -> Date {
        let next = self.end().saturating_add(1.day());
        let since_monday = i64::from(next.weekday().to_monday_zero_offset());
        next.saturating_add(((7 - since_monday) % 7).days())
    }

    /// The name of its page among the files of the status page.
    pub fn file(self) -> String {
        format!("reports/{self}.html")
    }

    /// Its weeks from Monday to Sunday, as far as they are in the month.
    pub fn weeks(self) -> Vec<(Date, Date)> {
        let mut weeks = Vec::new();
        let mut from = self.first();
        while from <= self.end() {
            let left = 6 - i64::from(from.weekday().since(Weekday::Monday));
            let to = from.saturating_add(left.days()).min(self.end());
            weeks.push((from, to));
            from = to.saturating_add(1.day());
        }
        weeks
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}
