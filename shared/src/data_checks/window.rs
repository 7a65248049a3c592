//! The window of a check: the day whose rows count.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::latest_credible;
use crate::finding::show_as_stored;

/// A day in the zone of the pipeline, or the day up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Day {
    #[serde(rename = "today")]
    Today,
    #[serde(rename = "yesterday")]
    Yesterday,
    /// The 24 hours before now. They include all of today, so they also suit a check that runs at night.
    #[serde(rename = "last-24h")]
    Last24Hours,
}

show_as_stored!(Day);

/// A day, and the column that must lie within it for a row to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub day: Day,
    /// The column with the row's time; empty for a custom query, which has the bounds as `:from` and `:to`.
    pub column: String,
}

impl Day {
    fn in_words(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Last24Hours => "the last 24 hours",
        }
    }

    /// Returns the first instant of the day, and the first one after it: 23, 24 or 25 hours later, by the clocks of the zone. The
    /// last 24 hours end at the latest credible timestamp, so that a clock that is a little ahead excludes no row.
    ///
    /// The zone is the pipeline's, for sessions in any zone: the bounds are instants.
    pub fn bounds(self, zone: &TimeZone, now: Timestamp) -> (Timestamp, Timestamp) {
        let here = now.to_zoned(zone.clone());
        let day = match self {
            Self::Last24Hours => {
                let from = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
                return (from, latest_credible(now));
            }
            Self::Today => here,
            // Fails only at the end of the time range.
            Self::Yesterday => here.yesterday().unwrap_or(here),
        };
        // On a day without midnight, the day begins with its first instant.
        let start = |day: &jiff::Zoned| day.start_of_day().map_or(now, |start| start.timestamp());
        let from = start(&day);
        (from, day.tomorrow().map_or(now, |next| start(&next)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column.as_str() {
            "" => write!(f, "of {}", self.day.in_words()),
            column => write!(f, "of {} by {column}", self.day.in_words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_24_hours_include_today_and_end_five_minutes_ahead() {
        let now: Timestamp = "2026-11-24T11:00:00Z".parse().unwrap();
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        let (from, to) = Day::Last24Hours.bounds(&zone, now);
        assert_eq!(
            (from.to_string().as_str(), to.to_string().as_str()),
            ("2026-11-23T11:00:00Z", "2026-11-24T11:05:00Z")
        );
        assert!(from <= Day::Today.bounds(&zone, now).0);
    }

    #[test]
    fn day_has_23_to_25_hours_by_the_clocks_of_its_zone() {
        // zone, day, now => from, to, hours
        let table = [
            // A common day, seen from its first and its last second.
            ("America/Los_Angeles", Day::Today, "2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z", 24),
            ("America/Los_Angeles", Day::Today, "2026-11-25T07:59:59Z", "2026-11-24T08:00:00Z", 24),
            ("America/Los_Angeles", Day::Today, "2026-11-25T08:00:00Z", "2026-11-25T08:00:00Z", 24),
            // Already tomorrow in UTC, and in a session of Tokyo.
            ("America/Los_Angeles", Day::Today, "2026-11-25T02:00:00Z", "2026-11-24T08:00:00Z", 24),
            // The day on which 02:00 to 03:00 is left out, and the one on which 01:00 to 02:00 comes twice.
            ("America/Los_Angeles", Day::Today, "2027-03-14T20:00:00Z", "2027-03-14T08:00:00Z", 23),
            ("America/Los_Angeles", Day::Today, "2026-11-01T20:00:00Z", "2026-11-01T07:00:00Z", 25),
            // The evenings before and after: each day has its own length.
            ("America/Los_Angeles", Day::Today, "2027-03-15T07:30:00Z", "2027-03-15T07:00:00Z", 24),
            ("America/Los_Angeles", Day::Yesterday, "2027-03-15T10:00:00Z", "2027-03-14T08:00:00Z", 23),
            ("America/Los_Angeles", Day::Yesterday, "2026-11-02T11:00:00Z", "2026-11-01T07:00:00Z", 25),
            // Midnight itself does not exist on this day.
            ("America/Santiago", Day::Today, "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", 23),
            ("UTC", Day::Yesterday, "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", 24),
            ("Asia/Kolkata", Day::Today, "2026-11-24T18:29:59Z", "2026-11-23T18:30:00Z", 24),
        ];
        for (zone, day, now, from, hours) in table {
            let zone = TimeZone::get(zone).unwrap();
            let (begins, ends) = day.bounds(&zone, now.parse().unwrap());
            assert_eq!(begins, from.parse::<Timestamp>().unwrap(), "{day} at {now}");
            assert_eq!(ends.duration_since(begins), SignedDuration::from_hours(hours), "{day} at {now}");
        }
    }
}
