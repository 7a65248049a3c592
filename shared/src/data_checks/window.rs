//! Which day's rows count.

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
    /// What happened since this time of the day before. It has all of today, also for a check that runs at three in the morning.
    #[serde(rename = "last-24h")]
    Last24Hours,
}

show_as_stored!(Day);

/// Only rows whose column lies within this day count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub day: Day,
    /// The column that says when; empty for a statement of one's own, which has the bounds as `:from` and `:to`.
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

    /// The first instant of the day, and the first one after it: 23, 24 or 25 hours, as the clocks of the zone have it. The last 24
    /// hours end where timestamps begin to lie in the future: a clock that is a little ahead leaves no row out.
    ///
    /// The zone is the pipeline's, whatever that of a session is: the bounds are instants.
    pub fn bounds(self, zone: &TimeZone, now: Timestamp) -> (Timestamp, Timestamp) {
        let here = now.to_zoned(zone.clone());
        let day = match self {
            Self::Last24Hours => {
                let from = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
                return (from, latest_credible(now));
            }
            Self::Today => here,
            // Refused at the end of time only.
            Self::Yesterday => here.yesterday().unwrap_or(here),
        };
        // Where midnight does not exist, the day begins with the first instant that does.
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
    fn last_24_hours_have_all_of_today_and_end_five_minutes_ahead() {
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
    fn a_day_is_as_long_as_the_clocks_of_the_pipelines_zone_have_it() {
        // zone, day, now => from, to, hours
        let table = [
            // A common day, seen from its first and its last second.
            ("America/Los_Angeles", Day::Today, "2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z", 24),
            ("America/Los_Angeles", Day::Today, "2026-11-25T07:59:59Z", "2026-11-24T08:00:00Z", 24),
            ("America/Los_Angeles", Day::Today, "2026-11-25T08:00:00Z", "2026-11-25T08:00:00Z", 24),
            // Already tomorrow in UTC, and by the session of somebody in Tokyo.
            ("America/Los_Angeles", Day::Today, "2026-11-25T02:00:00Z", "2026-11-24T08:00:00Z", 24),
            // The day on which 02:00 to 03:00 is left out, and the one on which 01:00 to 02:00 comes twice.
            ("America/Los_Angeles", Day::Today, "2027-03-14T20:00:00Z", "2027-03-14T08:00:00Z", 23),
            ("America/Los_Angeles", Day::Today, "2026-11-01T20:00:00Z", "2026-11-01T07:00:00Z", 25),
            // The evenings before and after: a day's length is its own.
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
