//! Schedules: when a sync is declared to run, and when Census would run it.
//!
//! A declared schedule has its own time zone; Census keeps its schedules in UTC. Both are converted into instants to compare
//! them. When clocks go forward, a wall-clock time may not exist: a daily or weekly slot then moves by the length of the gap
//! (02:30 becomes 03:30), and a cron slot is skipped. When clocks go back, a time occurs twice: a slot is the first of the two,
//! as in EventBridge Scheduler; only an hourly cron expression has both.

mod cron;

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::observation::ObservedSchedule;
use crate::text::words;

pub use cron::Cron;

/// Census checks the source of a `continuous` sync about every minute (Census docs, "Triggering syncs").
const CONTINUOUS_PERIOD: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The stretch in which two wall-clock schedules are compared, from now and from each of the next two clock changes. Longer
/// than a month, so that it has a monthly slot.
const COMPARED: SignedDuration = SignedDuration::from_hours(40 * 24);
/// The most slots of a stretch that are compared; schedules of minutes repeat long before.
const COMPARED_SLOTS: usize = 1_000;
/// The number of gaps of a cron expression that must be equal for it to be regular.
const MEASURED_GAPS: usize = 200;

/// The rule for when runs are due.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Once in each period, at any minute. Judged by the time since the last run.
    Every(SignedDuration),
    /// Each day at a wall-clock time.
    Daily(Time),
    /// Each week on a day at a wall-clock time.
    Weekly(Weekday, Time),
    Cron(Cron),
    /// Started by people or by another system; never due.
    OnDemand,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(period) => write!(f, "every {}", words(*period)),
            Self::Daily(at) => write!(f, "daily at {}", at.strftime("%H:%M")),
            Self::Weekly(day, at) => write!(f, "weekly on {day:?} at {}", at.strftime("%H:%M")),
            Self::Cron(cron) => write!(f, "cron {cron}"),
            Self::OnDemand => f.write_str("on demand"),
        }
    }
}

/// Reads the English name of a weekday, in upper or lower case.
pub fn weekday_named(name: &str) -> Option<Weekday> {
    let name = name.trim();
    Weekday::Sunday.cycle_forward().take(7).find(|day| format!("{day:?}").eq_ignore_ascii_case(name))
}

/// A rule in its time zone, with its grace.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub rule: Rule,
    /// The zone of wall-clock rules.
    pub time_zone: TimeZone,
    /// How late a run may start before it is unhealthy.
    pub grace: SignedDuration,
}

impl Schedule {
    /// Returns the last slot at or before an instant. `None` for rules without slots (`Every`, `OnDemand`) and for a cron
    /// expression without a slot in the 400 days before.
    pub fn last_slot(&self, at_or_before: Timestamp) -> Option<Timestamp> {
        // A cron expression only finds later slots. Growing stretches keep this cheap for frequent schedules.
        // In hours: two hours, then 2, 9, 40 and 400 days.
        const STRETCHES: [i64; 5] = [2, 48, 216, 960, 9_600];
        STRETCHES.iter().find_map(|hours| {
            let from = at_or_before.checked_sub(SignedDuration::from_hours(*hours)).ok()?;
            self.slots(from, at_or_before, usize::MAX).last().copied()
        })
    }

    /// Returns the first slot after an instant; `None` as for [`Schedule::last_slot`].
    pub fn next_slot(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Every(_) | Rule::OnDemand => None,
            Rule::Daily(_) | Rule::Weekly(..) => {
                let until = after.checked_add(DAY * 9).ok()?;
                self.slots(after, until, 1).first().copied()
            }
            Rule::Cron(cron) => cron.next_after(after, &self.time_zone),
        }
    }

    /// The slots after `from` up to and including `until`, in order, at most `limit` of them.
    fn slots(&self, from: Timestamp, until: Timestamp, limit: usize) -> Vec<Timestamp> {
        match &self.rule {
            Rule::Every(_) | Rule::OnDemand => Vec::new(),
            Rule::Daily(at) => self.civil_slots(from, until, *at, |_| true).take(limit).collect(),
            Rule::Weekly(day, at) => {
                self.civil_slots(from, until, *at, |date| date.weekday() == *day).take(limit).collect()
            }
            Rule::Cron(cron) => {
                let next = |after: &Timestamp| cron.next_after(*after, &self.time_zone);
                std::iter::successors(next(&from), next)
                    .take_while(|slot| *slot <= until)
                    .take(limit)
                    .collect()
            }
        }
    }

    fn civil_slots(
        &self,
        from: Timestamp,
        until: Timestamp,
        at: Time,
        falls_on: impl Fn(Date) -> bool,
    ) -> impl Iterator<Item = Timestamp> {
        let day_before = self.time_zone.to_datetime(from).date().saturating_sub(1.day());
        std::iter::successors(Some(day_before), |date| date.tomorrow().ok())
            .filter(move |date| falls_on(*date))
            .map_while(move |date| date.to_datetime(at).to_zoned(self.time_zone.clone()).ok())
            .map(|slot| slot.timestamp())
            .skip_while(move |slot| *slot <= from)
            .take_while(move |slot| *slot <= until)
    }

    /// Compares the declared schedule with the one in Census.
    pub fn compare(&self, actual: &ObservedSchedule, now: Timestamp) -> Comparison {
        let rule = match rule_in_census(actual) {
            Ok(rule) => rule,
            Err(found) => return Comparison::Unreadable { found },
        };
        let actual = Self { rule, time_zone: TimeZone::UTC, grace: SignedDuration::ZERO };
        match (&self.rule, &actual.rule) {
            (Rule::OnDemand, Rule::OnDemand) => Comparison::Same,
            (Rule::Every(declared), Rule::Every(period)) if declared == period => Comparison::Same,
            (Rule::Every(declared), _) if actual.regular_period(now) == Some(*declared) => Comparison::Same,
            (Rule::Every(_) | Rule::OnDemand, _) | (_, Rule::Every(_) | Rule::OnDemand) => {
                Comparison::Different { example: None }
            }
            _ => self.compare_slots(&actual, now),
        }
    }

    fn compare_slots(&self, actual: &Self, now: Timestamp) -> Comparison {
        if let Some(example) = self.first_difference(actual, now) {
            return Comparison::Different { example: Some(example) };
        }
        // From the day before each clock change, so that the first slot that differs is reported.
        let drift = self.time_zone.following(now).take(2).find_map(|change| {
            let day_before = change.timestamp().checked_sub(DAY).ok()?;
            self.first_difference(actual, day_before)
        });
        drift.map_or(Comparison::Same, |from| Comparison::Drifts { from })
    }

    fn first_difference(&self, actual: &Self, from: Timestamp) -> Option<SlotDifference> {
        let until = from.checked_add(COMPARED).ok()?;
        let declared = self.slots(from, until, COMPARED_SLOTS);
        let actual = actual.slots(from, until, COMPARED_SLOTS);
        // A list below the limit is complete: it has no later slot in the stretch.
        (0..declared.len().max(actual.len()))
            .map(|n| SlotDifference { declared: declared.get(n).copied(), actual: actual.get(n).copied() })
            .find(|pair| pair.declared != pair.actual)
    }

    /// The length of the gaps between slots, if they are all equal.
    fn regular_period(&self, now: Timestamp) -> Option<SignedDuration> {
        let same_each_hour = matches!(&self.rule, Rule::Cron(cron) if cron.same_each_hour());
        // Three hours have every gap of an expression without hours and days.
        let stretch = if same_each_hour { SignedDuration::from_hours(3) } else { COMPARED };
        let slots = self.slots(now, now.checked_add(stretch).ok()?, MEASURED_GAPS);
        let mut gaps = slots.windows(2).filter_map(|pair| match pair {
            [a, b] => Some(b.duration_since(*a)),
            _ => None,
        });
        let first = gaps.next()?;
        gaps.all(|gap| gap == first).then_some(first)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Rule::Every(_) | Rule::OnDemand => write!(f, "{}", self.rule),
            Rule::Daily(_) | Rule::Weekly(..) | Rule::Cron(_) => {
                write!(f, "{} {}", self.rule, self.time_zone.iana_name().unwrap_or("UTC"))
            }
        }
    }
}

/// The result of comparing a declared schedule with the one in Census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The same slots, also after the next two clock changes.
    Same,
    Different {
        /// The first slot that differs, for schedules of slots.
        example: Option<SlotDifference>,
    },
    /// The same today, and different after a change to or from daylight saving time.
    Drifts {
        /// The first slot that will differ.
        from: SlotDifference,
    },
    /// The schedule in Census cannot be read.
    Unreadable { found: String },
}

/// A pair of slots that should be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotDifference {
    /// The declared slot (UTC); `None` if Census has an extra slot.
    pub declared: Option<Timestamp>,
    /// The slot in Census (UTC); `None` if Census lacks one.
    pub actual: Option<Timestamp>,
}

/// The rule of a schedule in Census, in UTC.
fn rule_in_census(actual: &ObservedSchedule) -> Result<Rule, String> {
    let cron = |expression: &str| Cron::parse(expression).map(Rule::Cron);
    match actual {
        ObservedSchedule::Manual | ObservedSchedule::Triggered(_) => Ok(Rule::OnDemand),
        ObservedSchedule::Continuous => Ok(Rule::Every(CONTINUOUS_PERIOD)),
        ObservedSchedule::QuarterHourly => Ok(Rule::Every(SignedDuration::from_mins(15))),
        ObservedSchedule::Hourly { minute: None } => Ok(Rule::Every(SignedDuration::from_hours(1))),
        ObservedSchedule::Hourly { minute: Some(minute) } => cron(&format!("{minute} * * * *")),
        ObservedSchedule::Daily { hour, minute } => time_in_census(*hour, *minute).map(Rule::Daily),
        ObservedSchedule::Weekly { day, hour, minute } => {
            Ok(Rule::Weekly(*day, time_in_census(*hour, *minute)?))
        }
        ObservedSchedule::Cron(expression) => cron(expression),
        ObservedSchedule::Unreadable(found) => Err(found.clone()),
    }
}

fn time_in_census(hour: u8, minute: u8) -> Result<Time, String> {
    // 24 is in the documented range of `schedule_hour`, and can only mean midnight.
    let written = format!("{}:{minute:02}", if hour == 24 { 0 } else { hour });
    Time::strptime("%H:%M", &written).map_err(|_| format!("{written} is not a time of day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn los_angeles(rule: Rule) -> Schedule {
        Schedule { rule, time_zone: zone("America/Los_Angeles"), grace: SignedDuration::from_mins(5) }
    }

    fn daily(text: &str) -> Schedule {
        los_angeles(Rule::Daily(text.parse().unwrap()))
    }

    fn cron(expression: &str) -> Schedule {
        los_angeles(Rule::Cron(Cron::parse(expression).unwrap()))
    }

    #[test]
    fn daily_slot_follows_its_zone_through_clock_changes() {
        // (time, now, slot): 02:30 is missing on 2027-03-14, and 01:30 occurs twice on 2026-11-01.
        let table = [
            ("02:30", "2027-03-13T12:00:00Z", "2027-03-13T10:30:00Z"),
            ("02:30", "2027-03-14T12:00:00Z", "2027-03-14T10:30:00Z"),
            ("02:30", "2027-03-15T12:00:00Z", "2027-03-15T09:30:00Z"),
            ("01:30", "2026-10-31T12:00:00Z", "2026-10-31T08:30:00Z"),
            ("01:30", "2026-11-01T12:00:00Z", "2026-11-01T08:30:00Z"),
            ("01:30", "2026-11-02T12:00:00Z", "2026-11-02T09:30:00Z"),
        ];
        for (time, now, slot) in table {
            assert_eq!(daily(time).last_slot(at(now)), Some(at(slot)), "{time} at {now}");
        }
    }

    #[test]
    fn slot_counts_from_its_instant_on() {
        let schedule = daily("02:00");
        assert_eq!(schedule.last_slot(at("2026-11-24T10:00:00Z")), Some(at("2026-11-24T10:00:00Z")));
        assert_eq!(schedule.last_slot(at("2026-11-24T09:59:59Z")), Some(at("2026-11-23T10:00:00Z")));
        assert_eq!(schedule.next_slot(at("2026-11-24T10:00:00Z")), Some(at("2026-11-25T10:00:00Z")));
    }

    #[test]
    fn weekly_slot_is_on_its_day_in_its_zone() {
        // Sunday 23:00 in Los Angeles is Monday in UTC.
        let schedule = los_angeles(Rule::Weekly(Weekday::Sunday, "23:00".parse().unwrap()));
        assert_eq!(schedule.last_slot(at("2026-11-24T00:00:00Z")), Some(at("2026-11-23T07:00:00Z")));
        assert_eq!(schedule.next_slot(at("2026-11-24T00:00:00Z")), Some(at("2026-11-30T07:00:00Z")));
    }

    #[test]
    fn last_slot_of_frequent_and_rare_cron_expressions_is_found() {
        let table = [
            ("* * * * *", "2026-11-24T10:07:00Z"),
            ("*/15 * * * *", "2026-11-24T10:00:00Z"),
            ("0 2 * * *", "2026-11-24T10:00:00Z"),
            ("0 2 * * 1", "2026-11-23T10:00:00Z"),
            ("0 2 1 * *", "2026-11-01T10:00:00Z"),
            ("0 2 1 1 *", "2026-01-01T10:00:00Z"),
        ];
        for (expression, slot) in table {
            assert_eq!(
                cron(expression).last_slot(at("2026-11-24T10:07:30Z")),
                Some(at(slot)),
                "{expression}"
            );
        }
    }

    #[test]
    fn cron_slot_in_a_clock_gap_is_skipped() {
        assert_eq!(
            cron("30 2 * * *").last_slot(at("2027-03-14T20:00:00Z")),
            Some(at("2027-03-13T10:30:00Z"))
        );
    }

    #[test]
    fn schedules_are_compared_by_their_slots() {
        let minutes = |n| los_angeles(Rule::Every(SignedDuration::from_mins(n)));
        let cron_utc = |text: &str| ObservedSchedule::Cron(text.to_owned());
        let same = [
            (minutes(15), ObservedSchedule::QuarterHourly),
            (minutes(15), cron_utc("*/15 * * * *")),
            (minutes(15), cron_utc("3,18,33,48 * * * *")),
            (minutes(30), cron_utc("0,30 * * * *")),
            (minutes(60), ObservedSchedule::Hourly { minute: Some(7) }),
            (minutes(60), ObservedSchedule::Hourly { minute: None }),
            (minutes(24 * 60), ObservedSchedule::Daily { hour: 10, minute: 0 }),
            (minutes(1), ObservedSchedule::Continuous),
            (los_angeles(Rule::OnDemand), ObservedSchedule::Manual),
            (los_angeles(Rule::OnDemand), ObservedSchedule::Triggered("dbt Cloud".to_owned())),
        ];
        for (declared, actual) in same {
            assert_eq!(
                declared.compare(&actual, at("2026-11-24T12:00:00Z")),
                Comparison::Same,
                "{declared} {actual}"
            );
        }
        let different = [
            (minutes(15), ObservedSchedule::Hourly { minute: Some(0) }),
            (minutes(15), ObservedSchedule::Manual),
            (minutes(15), ObservedSchedule::Continuous),
            (minutes(45), cron_utc("*/45 * * * *")),
            (minutes(30), cron_utc("0,30 8-17 * * *")),
            (los_angeles(Rule::OnDemand), ObservedSchedule::QuarterHourly),
            (daily("02:00"), ObservedSchedule::Daily { hour: 2, minute: 0 }),
            (daily("02:00"), ObservedSchedule::QuarterHourly),
            (daily("02:00"), cron_utc("0 10 * * 1-5")),
        ];
        for (declared, actual) in different {
            let comparison = declared.compare(&actual, at("2026-11-24T12:00:00Z"));
            assert!(
                matches!(comparison, Comparison::Different { .. }),
                "{declared} {actual}: {comparison:?}"
            );
        }
    }

    /// Schedules of minutes have more slots in the stretch than are compared.
    #[test]
    fn long_lists_of_slots_are_compared_as_far_as_both_reach() {
        let now = at("2026-11-24T12:00:00Z");
        let observed = |text: &str| ObservedSchedule::Cron(text.to_owned());
        assert_eq!(cron("*/5 * * * *").compare(&observed("*/5 * * * *"), now), Comparison::Same);
        assert_eq!(cron("*/5 * * * *").compare(&observed("0-55/5 * * * *"), now), Comparison::Same);
        let first = |declared: &str, actual: &str| match cron(declared).compare(&observed(actual), now) {
            Comparison::Different { example: Some(pair) } => (pair.declared, pair.actual),
            other => panic!("{declared} {actual}: {other:?}"),
        };
        // One has a slot, and the other has none until the end of the stretch.
        assert_eq!(first("0 12 24 11 *", "0 20 24 11,12 *"), (None, Some(at("2026-12-24T20:00:00Z"))));
        assert_eq!(first("0 6 25 11 *", "0 6 1 3 *"), (Some(at("2026-11-25T14:00:00Z")), None));
        // The same, after many equal slots.
        assert_eq!(first("*/5 * * * *", "*/5 * 24-26 11 *"), (Some(at("2026-11-27T00:00:00Z")), None));
    }

    #[test]
    fn slot_of_a_rare_expression_is_found_in_the_year_before() {
        let now = at("2026-11-24T12:00:00Z");
        for (expression, slot) in [
            ("0 0 1 1 *", "2026-01-01T08:00:00Z"),
            ("0 0 20 10 *", "2026-10-20T07:00:00Z"),
            ("0 0 17 11 *", "2026-11-17T08:00:00Z"),
            ("0 0 23 11 *", "2026-11-23T08:00:00Z"),
        ] {
            assert_eq!(cron(expression).last_slot(now), Some(at(slot)), "{expression}");
        }
    }

    #[test]
    fn local_schedule_in_utc_cron_drifts_at_the_next_clock_change() {
        let comparison = daily("02:00")
            .compare(&ObservedSchedule::Cron("0 10 * * *".to_owned()), at("2026-11-24T12:00:00Z"));
        // On 2027-03-14 02:00 does not exist, and its replacement 03:00 PDT is 10:00 UTC.
        let from = SlotDifference {
            declared: Some(at("2027-03-15T09:00:00Z")),
            actual: Some(at("2027-03-15T10:00:00Z")),
        };
        assert_eq!(comparison, Comparison::Drifts { from });
    }

    #[test]
    fn schedule_in_a_zone_without_clock_changes_does_not_drift() {
        let phoenix = Schedule {
            rule: Rule::Daily("02:00".parse().unwrap()),
            time_zone: zone("America/Phoenix"),
            grace: SignedDuration::ZERO,
        };
        let actual = ObservedSchedule::Daily { hour: 9, minute: 0 };
        assert_eq!(phoenix.compare(&actual, at("2026-11-24T12:00:00Z")), Comparison::Same);
    }

    #[test]
    fn hour_24_of_census_is_midnight_and_hour_25_is_unreadable() {
        let midnight = Schedule {
            rule: Rule::Daily("00:00".parse().unwrap()),
            time_zone: TimeZone::UTC,
            grace: SignedDuration::ZERO,
        };
        let now = at("2026-11-24T12:00:00Z");
        assert_eq!(midnight.compare(&ObservedSchedule::Daily { hour: 24, minute: 0 }, now), Comparison::Same);
        let unreadable = midnight.compare(&ObservedSchedule::Daily { hour: 25, minute: 0 }, now);
        assert!(matches!(unreadable, Comparison::Unreadable { .. }), "{unreadable:?}");
    }

    #[test]
    fn expression_without_five_fields_is_refused() {
        for expression in ["", "* * * *", "* * * * * *", "61 * * * *", "nonsense"] {
            assert!(Cron::parse(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let table =
            [(0, "0s"), (59, "59s"), (60, "1m"), (90, "1m 30s"), (5_400, "1h 30m"), (90_000, "1d 1h")];
        for (seconds, text) in table {
            assert_eq!(words(SignedDuration::from_secs(seconds)), text);
        }
    }
}
