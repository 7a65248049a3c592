//! Decides which days a snapshot writes. Pure: the time is an argument.
//!
//! A day begins and ends at midnight in the pipeline's zone: it has 23 or 25 hours when the clocks change.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use syncwatch::days::{bounds, day_of, days_before};

use crate::missing::Figures;
use crate::rows::DayRow;

/// A snapshot this long after midnight still closes the day before: the figures of the data count for that day, and its row
/// has the time when they were taken.
pub const LATE: SignedDuration = SignedDuration::from_hours(3);
/// Gaps are filled at most this many days back.
pub const LONGEST_GAP: i64 = 31;

/// The days that an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The day that ends, the day before, and the days that earlier nights missed.
    Night,
    Day(Date),
}

/// Reads the scope of an event: a night, or one day. Fails for a day in the future, or more than 366 days ago.
pub fn scope(date: Option<Date>, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Scope> {
    let Some(day) = date else { return Ok(Scope::Night) };
    let today = day_of(now, zone);
    anyhow::ensure!(day <= today, "{day} has not begun yet: name a day up to {today}");
    anyhow::ensure!(
        day >= days_before(today, 366),
        "{day} is more than a year ago: its runs are no longer available"
    );
    Ok(Scope::Day(day))
}

/// The days that the audit log has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredDays {
    pub first: Option<Date>,
    pub newest: Option<Date>,
    /// The rows of the last [`LONGEST_GAP`] days, and that of the requested day.
    pub rows: Vec<DayRow>,
}

impl StoredDays {
    /// Finds the row of a day.
    pub fn row(&self, day: Date) -> Option<&DayRow> {
        self.rows.iter().find(|row| row.snapshot_date == day)
    }
}

/// The days to write, and those too old to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    /// Newest first: if time runs out, the oldest are left for the next night.
    pub days: Vec<Date>,
    /// The first and the last missing day that is too old.
    pub beyond: Option<(Date, Date)>,
}

/// The day that a snapshot closes: the current day, or within [`LATE`] after midnight the day before.
pub fn closing_day(zone: &TimeZone, now: Timestamp) -> Date {
    let today = day_of(now, zone);
    let (from, _) = bounds(today, today, zone);
    if now.duration_since(from) <= LATE { days_before(today, 1) } else { today }
}

/// The first day that is checked for gaps.
pub fn first_checked(closing: Date) -> Date {
    days_before(closing, LONGEST_GAP)
}

/// Selects the days that a snapshot writes: the one that ends, the one before, and each day since the first one of the log
/// that has no row or lacks runs.
pub fn concerned(stored: &StoredDays, scope: Scope, closing: Date) -> Concerned {
    if let Scope::Day(day) = scope {
        return Concerned { days: vec![day], beyond: None };
    }
    let mut days = vec![closing, days_before(closing, 1)];
    let earliest = first_checked(closing);
    let Some(first) = stored.first else { return Concerned { days, beyond: None } };
    let mut day = days_before(closing, 2);
    while day >= first.max(earliest) {
        if stored.row(day).is_none_or(|row| row.figures_missing.has(Figures::Runs)) {
            days.push(day);
        }
        day = days_before(day, 1);
    }
    let last_beyond = days_before(earliest, 1);
    let beyond = stored.newest.map(|newest| newest.saturating_add(1.day()));
    let beyond = beyond.filter(|first| *first <= last_beyond).map(|first| (first, last_beyond));
    Concerned { days, beyond }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::missing::Missing;
    use crate::rows::tests::day_row;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn day_has_23_to_25_hours_as_the_clocks_change() {
        // zone, day => begins, hours
        let table = [
            ("America/Los_Angeles", "2026-11-24", "2026-11-24T08:00:00Z", 24),
            ("America/Los_Angeles", "2027-03-14", "2027-03-14T08:00:00Z", 23),
            ("America/Los_Angeles", "2027-03-15", "2027-03-15T07:00:00Z", 24),
            ("America/Los_Angeles", "2026-11-01", "2026-11-01T07:00:00Z", 25),
            ("America/Los_Angeles", "2026-11-02", "2026-11-02T08:00:00Z", 24),
            ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", 23),
            ("UTC", "2026-02-28", "2026-02-28T00:00:00Z", 24),
        ];
        for (zone, day, begins, hours) in table {
            let zone = TimeZone::get(zone).unwrap();
            let (from, to) = bounds(date(day), date(day), &zone);
            assert_eq!(from, begins.parse::<Timestamp>().unwrap(), "{day}");
            assert_eq!(to.duration_since(from), SignedDuration::from_hours(hours), "{day}");
            let just_before = |instant: Timestamp| instant - SignedDuration::from_nanos(1);
            assert_eq!((day_of(from, &zone), day_of(just_before(to), &zone)), (date(day), date(day)));
            assert_eq!(day_of(just_before(from), &zone), date(day).yesterday().unwrap());
        }
    }

    #[test]
    fn late_snapshot_closes_the_day_that_has_just_ended() {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        for (now, day) in [
            ("2026-11-25T07:59:00Z", "2026-11-24"),
            ("2026-11-25T08:00:00Z", "2026-11-24"),
            ("2026-11-25T11:00:00Z", "2026-11-24"),
            ("2026-11-25T11:00:01Z", "2026-11-25"),
            // 23:59 of the day of 23 hours, and of the one of 25.
            ("2027-03-15T06:59:00Z", "2027-03-14"),
            ("2026-11-02T07:59:00Z", "2026-11-01"),
            // Where an hour occurs twice, three hours after midnight are 02:00 by the clock.
            ("2026-11-01T10:00:00Z", "2026-10-31"),
            ("2026-11-01T10:00:01Z", "2026-11-01"),
        ] {
            assert_eq!(closing_day(&zone, now.parse().unwrap()), date(day), "{now}");
        }
    }

    #[test]
    fn gaps_are_filled_from_the_first_stored_day_up_to_the_limit() {
        let closing = date("2026-11-24");
        let stored = |days: &[&str], first: &str, newest: &str| StoredDays {
            first: Some(date(first)),
            newest: Some(date(newest)),
            rows: days.iter().map(|day| day_row(date(day))).collect(),
        };
        let days = |stored: &StoredDays| {
            let found = concerned(stored, Scope::Night, closing);
            let days: Vec<String> = found.days.iter().map(ToString::to_string).collect();
            (days, found.beyond.map(|(from, to)| format!("{from} {to}")))
        };
        let two = vec!["2026-11-24".to_owned(), "2026-11-23".to_owned()];
        assert_eq!(days(&StoredDays::default()), (two.clone(), None), "the first night");
        let whole = stored(&["2026-11-23", "2026-11-22", "2026-11-21"], "2026-11-21", "2026-11-23");
        assert_eq!(days(&whole), (two.clone(), None));
        let gap = stored(&["2026-11-19", "2026-11-21"], "2026-11-19", "2026-11-21");
        let mut three = two.clone();
        three.extend(["2026-11-22".to_owned(), "2026-11-20".to_owned()]);
        assert_eq!(days(&gap), (three, None));
        let (long, beyond) = days(&stored(&[], "2026-01-01", "2026-10-01"));
        assert_eq!((long.len(), long.last().unwrap().as_str()), (32, "2026-10-24"));
        assert_eq!(beyond.as_deref(), Some("2026-10-02 2026-10-23"));

        let mut open = stored(&["2026-11-23", "2026-11-22", "2026-11-21"], "2026-11-21", "2026-11-23");
        open.rows[2].figures_missing = Missing::parse("data: no view; runs: 1 still running");
        let mut with_open = two;
        with_open.push("2026-11-21".to_owned());
        assert_eq!(days(&open), (with_open, None));
        let one = concerned(&open, Scope::Day(date("2026-01-02")), closing);
        assert_eq!(one, Concerned { days: vec![date("2026-01-02")], beyond: None });
    }
}
