//! Calendar days in a time zone: 23 or 25 hours when the clocks change. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The day of an instant in a zone.
pub fn day_of(instant: Timestamp, zone: &TimeZone) -> Date {
    instant.to_zoned(zone.clone()).date()
}

/// The first instant of a span of days, and the first one after it.
pub fn bounds(from: Date, to: Date, zone: &TimeZone) -> (Timestamp, Timestamp) {
    // Where midnight does not exist, this is the first instant of the day. It fails only at the ends of time.
    let start =
        |day: Date, otherwise| day.to_zoned(zone.clone()).map_or(otherwise, |midnight| midnight.timestamp());
    (start(from, Timestamp::MIN), to.tomorrow().map_or(Timestamp::MAX, |next| start(next, Timestamp::MAX)))
}

/// Counts this many days back from a day.
pub fn days_before(day: Date, count: i64) -> Date {
    day.saturating_sub(count.days())
}

/// The days from one day to another; negative if the other is earlier.
pub fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}
