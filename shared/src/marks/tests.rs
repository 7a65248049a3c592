use jiff::civil::date;

use super::*;
use crate::finding::{Evidence, Severity};
use crate::incident::{Course, Episode, State};

const VOLUME: &str = "properties/unusual-volume/properties-create";
const SYNC: &str = "properties-create";

fn zone() -> TimeZone {
    TimeZone::get("America/Los_Angeles").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An incident that the night after 20 November found, at 00:30 in Los Angeles.
fn incident(key: &str, resolved: Option<&str>) -> Incident {
    let opened = at("2026-11-21T08:30:00Z");
    let resolved_at = resolved.map(at);
    let episode = Episode { began_at: opened, told_at: opened, sent_at: None, resolved_at };
    let state = if resolved.is_some() { State::Resolved } else { State::Open };
    Incident {
        resolved_at,
        course: Course { episodes: vec![episode], ..Course::default() },
        ..Incident::found(key, state, Severity::Warning, opened, "0 records")
    }
}

fn marked(incident: &Incident, verdict: MarkVerdict, since: Option<Date>) -> Result<Mark, Refusal> {
    Mark::of(incident, verdict, since, &zone(), ("Ada", "launch"), at("2026-11-24T18:00:00Z"))
}

#[test]
fn mark_begins_with_the_day_that_was_judged() {
    let open = incident(VOLUME, None);
    let fine = marked(&open, MarkVerdict::Fine, None).unwrap();
    assert_eq!((fine.since, fine.until), (date(2026, 11, 20), Some(date(2026, 11, 23))));
    assert_eq!(fine.told_at, open.opened_at);
    let mut drift = open.clone();
    drift.evidence = Evidence::new("half").with(SINCE, "2026-11-16");
    assert_eq!(marked(&drift, MarkVerdict::NewNormal, None).unwrap().since, date(2026, 11, 16));
    let asked = marked(&drift, MarkVerdict::NewNormal, Some(date(2026, 11, 18))).unwrap();
    assert_eq!((asked.since, asked.until), (date(2026, 11, 18), None));
    // A check that judges the present begins on its own day.
    let failed = incident("properties/run-failed/properties-create", None);
    assert_eq!(marked(&failed, MarkVerdict::Fine, None).unwrap().since, date(2026, 11, 21));
}

#[test]
fn impossible_marks_are_refused_with_a_remedy() {
    let open = incident(VOLUME, None);
    let today = marked(&open, MarkVerdict::Fine, Some(date(2026, 11, 24))).unwrap_err();
    assert_eq!(today.to_string(), "that day is not judged yet; use 2026-11-23 or an earlier day");
    let failed = incident("properties/run-failed/properties-create", None);
    let level = marked(&failed, MarkVerdict::NewNormal, None).unwrap_err();
    assert!(level.to_string().starts_with("run-failed judges no level"), "{level}");
    assert!(
        marked(&incident("properties/breach-forecast/properties", None), MarkVerdict::NewNormal, None)
            .is_err()
    );
}

#[test]
fn real_fault_ends_the_day_before_the_one_that_was_healthy() {
    let open = incident(VOLUME, None);
    let real = marked(&open, MarkVerdict::Real, None).unwrap();
    assert!(real.lasts());
    assert_eq!(real.recovered(Some(&open), &zone()), None);
    // The night after the 22nd found that day healthy.
    let over = incident(VOLUME, Some("2026-11-23T08:30:00Z"));
    assert_eq!(real.recovered(Some(&over), &zone()), Some(date(2026, 11, 21)));
    assert_eq!(marked(&over, MarkVerdict::Real, None).unwrap().until, Some(date(2026, 11, 21)));
    // It opened again since: the end of the marked period counts.
    let mut again = over.clone();
    let later = at("2026-12-01T08:30:00Z");
    again.course.episodes.push(Episode { began_at: later, told_at: later, sent_at: None, resolved_at: None });
    (again.state, again.opened_at, again.resolved_at) = (State::Open, later, None);
    assert_eq!(real.recovered(Some(&again), &zone()), Some(date(2026, 11, 21)));
    // Its period was forgotten, or the incident has expired: it has recovered by the mark's own day at the latest.
    again.course.episodes.remove(0);
    for gone in [Some(&again), None] {
        assert_eq!(real.recovered(gone, &zone()), Some(date(2026, 11, 22)));
    }
    assert_eq!(marked(&over, MarkVerdict::Fine, None).unwrap().recovered(Some(&over), &zone()), None);
}

#[test]
fn exceptions_follow_verdict_figure_and_day() {
    let of = |verdict, since: i8, until: Option<i8>| Mark {
        verdict,
        since: date(2026, 11, since),
        until: until.map(|day| date(2026, 11, day)),
        ..marked(&incident(VOLUME, None), MarkVerdict::Fine, None).unwrap()
    };
    let last = date(2026, 11, 23);
    let days = |marks: &[Mark], only_ended: bool| -> Vec<i8> {
        let all = Exceptions::new(marks, &[]);
        let exceptions = if only_ended { all.only_ended() } else { all };
        let is_out =
            |day: &i8| exceptions.excluded(SYNC, Check::UnusualVolume, date(2026, 11, *day), last).is_some();
        (1..=23).filter(is_out).collect()
    };
    let fine = [of(MarkVerdict::Fine, 20, Some(22))];
    assert_eq!(days(&fine, false), [20, 21, 22]);
    let ended = [of(MarkVerdict::Real, 20, Some(21))];
    assert_eq!(days(&ended, false), [20, 21]);
    let lasting = [of(MarkVerdict::Real, 20, None)];
    assert_eq!(days(&lasting, false), [20, 21, 22], "the last day is judged");
    assert_eq!(days(&lasting, true), [0; 0]);
    assert_eq!(days(&ended, true), [20, 21]);
    let levels = [of(MarkVerdict::NewNormal, 5, None), of(MarkVerdict::NewNormal, 9, None)];
    assert_eq!(days(&levels, false), [0; 0]);
    let exceptions = Exceptions::new(&levels, &[]);
    assert_eq!(exceptions.start(SYNC, Check::UnusualVolume), Some(date(2026, 11, 9)));
    for (subject, check) in [(SYNC, Check::UnusualDuration), ("properties-update", Check::UnusualVolume)] {
        assert_eq!(exceptions.start(subject, check), None);
        let other = Exceptions::new(&fine, &[]);
        assert_eq!(other.excluded(subject, check, date(2026, 11, 21), last), None);
    }
}

#[test]
fn quiet_days_are_dates_days_of_the_year_and_holidays() {
    let quiet = QuietDays {
        name: "office closed".to_owned(),
        dates: vec![(date(2026, 12, 30), date(2027, 1, 2))],
        yearly: vec![month_day("02-29").unwrap(), month_day("05-01").unwrap()],
        country: Country::parse("US"),
        syncs: Vec::new(),
    };
    let named = |day: Date| quiet.name_of("any", day);
    for (day, name) in [
        (date(2026, 12, 29), None),
        (date(2026, 12, 30), Some("office closed")),
        (date(2027, 1, 1), Some("office closed")),
        (date(2027, 1, 2), Some("office closed")),
        (date(2027, 1, 3), None),
        (date(2028, 2, 29), Some("office closed")),
        (date(2027, 2, 28), None),
        (date(2027, 5, 1), Some("office closed")),
        // The fourth Thursday of November.
        (date(2026, 11, 26), Some("Thanksgiving Day")),
        (date(2026, 11, 27), None),
        (date(2030, 12, 25), Some("Christmas Day")),
    ] {
        assert_eq!(named(day), name, "{day}");
    }
    assert_eq!(quiet.to_string(), "office closed (public holidays of US, 1 date, 2 days of each year)");
    let of_one = QuietDays { syncs: vec!["a".to_owned()], ..quiet.clone() };
    assert_eq!(of_one.name_of("a", date(2027, 5, 1)), Some("office closed"));
    assert_eq!(of_one.name_of("b", date(2027, 5, 1)), None);
    for bad in ["02-30", "13-01", "5-1", "", "2026-05-01", "05-01x"] {
        assert_eq!(month_day(bad), None, "{bad}");
    }
}

#[test]
fn each_line_of_the_list_of_holidays_is_readable() {
    let countries: Vec<&str> = Country::all().map(Country::code).collect();
    assert!(countries.len() > 20 && countries.is_sorted(), "{countries:?}");
    let lines = include_str!("holidays.txt").lines().skip(1);
    for line in lines {
        let fields: Vec<&str> = line.split('|').collect();
        let [code, name, days] = fields[..] else { panic!("{line}") };
        assert!(Country::parse(code).is_some() && !name.is_empty(), "{line}");
        for day in days.split(' ') {
            assert!(day.parse::<Date>().is_ok() || month_day(day).is_some(), "{line}");
        }
    }
    assert_eq!(Country::parse("XX"), None);
    // Easter Monday, as the church computes it (and not from the list): 2026-04-06, 2027-03-29.
    let germany = Country::parse("DE").unwrap();
    assert_eq!(germany.holiday(date(2026, 4, 6)), Some("Easter Monday"));
    assert_eq!(germany.holiday(date(2027, 3, 29)), Some("Easter Monday"));
}
