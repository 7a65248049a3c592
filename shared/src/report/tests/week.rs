use jiff::civil::date;
use jiff::tz::TimeZone;

use super::{at, pipeline};
use crate::report::Week;

#[test]
fn week_is_named_as_iso_8601_does() {
    for (name, monday) in [
        ("2026-W48", date(2026, 11, 23)),
        ("2026-W01", date(2025, 12, 29)),
        ("2026-W53", date(2026, 12, 28)),
        ("2025-W52", date(2025, 12, 22)),
    ] {
        let week = Week::parse(name).unwrap();
        assert_eq!((week.monday(), week.to_string().as_str()), (monday, name));
    }
    for wrong in
        ["2026-W54", "2026-W00", "2025-W53", "2026-48", "26-W48", "2026-W8", "2026-W+8", "-W", "", "2026-w48"]
    {
        assert_eq!(Week::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn last_week_ends_at_midnight_of_the_pipelines_monday() {
    let zone = pipeline().time_zone;
    // Monday 00:00 in Los Angeles is 08:00 UTC, and 07:00 in summer.
    for (now, week) in [
        ("2026-11-30T07:59:59Z", "2026-W47"),
        ("2026-11-30T08:00:00Z", "2026-W48"),
        ("2026-12-07T07:59:59Z", "2026-W48"),
        ("2026-11-02T07:30:00Z", "2026-W43"),
        ("2026-11-02T08:00:00Z", "2026-W44"),
        ("2027-01-01T12:00:00Z", "2026-W52"),
    ] {
        assert_eq!(Week::last(at(now), &zone).to_string(), week, "{now}");
    }
    assert_eq!(Week::last(at("2026-11-30T00:00:00Z"), &TimeZone::UTC).to_string(), "2026-W48");
}

#[test]
fn week_has_an_hour_more_or_less_when_the_clocks_change() {
    for (name, hours) in [("2026-W44", 169), ("2026-W10", 167), ("2026-W48", 168)] {
        let (from, until) = Week::parse(name).unwrap().bounds(&pipeline().time_zone);
        assert_eq!(until.duration_since(from).as_hours(), hours, "{name}");
    }
}
