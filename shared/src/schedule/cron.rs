//! Cron expressions of five fields, as Vixie cron reads them, and the names such as `@daily` (man 5 crontab).

use std::fmt;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::text::spaced;

/// The names of man 5 crontab that stand for five fields.
const NAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A cron expression that was read.
#[derive(Debug, Clone)]
pub struct Cron {
    written: String,
    /// Whether it has slots in every hour of the day.
    hourly: bool,
    crontab: Box<Crontab>,
}

impl Cron {
    /// Parses an expression (minute, hour, day of month, month, day of week); the error names the fault and the correction.
    pub fn parse(expression: &str) -> Result<Self, String> {
        let written = spaced(expression);
        let [minute, hour, day, month, weekday] = five_fields(&written)?;
        let crontab = cronexpr::parse_crontab(&format!("{minute} {hour} {day} {month} {weekday} UTC"))
            .map_err(|error| {
                format!("`{written}` is not a cron expression: {}", spaced(&error.to_string()))
            })?;
        if crontab.find_next(MakeTimestamp(Timestamp::UNIX_EPOCH)).is_err() {
            return Err(format!("`{written}` has no slot: none of its months has that day"));
        }
        let hourly = matches!(hour.as_str(), "*" | "*/1" | "0-23");
        Ok(Self { written, hourly, crontab: Box::new(crontab) })
    }

    /// Whether it restricts neither hours, days nor months, so that every hour is the same.
    pub(super) fn same_each_hour(&self) -> bool {
        self.written.ends_with(" * * * *")
    }

    /// The first slot after an instant, in a time zone.
    ///
    /// When clocks go back, a slot of the repeated hour occurs once, the first time, as in EventBridge Scheduler (AWS re:Post,
    /// "eventbridge-scheduler-adjust-dst"). An hourly expression keeps its rhythm, as in Vixie cron.
    pub(super) fn next_after(&self, instant: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        let next = |after: &Timestamp| self.next_shown(*after, time_zone);
        std::iter::successors(next(&instant), next)
            .find(|slot| self.hourly || !is_second_time(*slot, time_zone))
    }

    /// The first instant after another at which the wall clock shows a slot.
    ///
    /// The library runs on a clock without changes, as every clock is between two changes. Given the zone, it does not return
    /// where clocks go back by half an hour.
    fn next_shown(&self, instant: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        let (mut begin, mut after) = (instant, instant);
        loop {
            let offset = time_zone.to_offset(begin);
            let shown = offset.to_datetime(after).to_zoned(TimeZone::UTC).ok()?.timestamp();
            let slot = self.crontab.find_next(MakeTimestamp(shown)).ok()?.datetime();
            let slot = offset.to_timestamp(slot).ok()?;
            let change = time_zone.following(begin).next().map(|change| change.timestamp());
            let Some(change) = change.filter(|change| *change <= slot) else {
                return Some(slot);
            };
            // The change itself may be a slot.
            (begin, after) = (change, change.checked_sub(SignedDuration::from_secs(1)).ok()?);
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Whether the wall clock showed this time before, as clocks went back.
fn is_second_time(instant: Timestamp, time_zone: &TimeZone) -> bool {
    let shown = time_zone.to_datetime(instant);
    match time_zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Fold { after, .. } => time_zone.to_offset(instant) == after,
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => false,
    }
}

/// The five fields of an expression.
fn five_fields(written: &str) -> Result<[String; 5], String> {
    if written.starts_with('@') {
        let Some((_, fields)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(written)) else {
            let names = NAMES.map(|(name, _)| name).join(", ");
            return Err(format!("`{written}` is not a schedule: use one of {names}, or `every = \"30m\"`"));
        };
        return five_fields(fields);
    }
    let fields: Vec<&str> = written.split(' ').collect();
    if let [_, rest @ ..] = fields.as_slice()
        && let [minute, hour, day, month, weekday] | [minute, hour, day, month, weekday, _] = rest
    {
        let five = [minute, hour, day, month, weekday].map(|field| field.replace('?', "*")).join(" ");
        return Err(format!(
            "`{written}` has {} fields, as in Quartz and Spring: remove the seconds and the year, `{five}`, with Monday as 1 \
             or MON",
            fields.len()
        ));
    }
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!("`{written}` does not have five fields"));
    };
    // The library accepts them, and misses 31 December for `L`.
    if day.contains(['L', 'W', 'l', 'w']) {
        return Err(format!("`{written}` is not Vixie cron in `{day}`: list the days of the month"));
    }
    Ok([
        forwards(minute, 60)?,
        forwards(hour, 24)?,
        (*day).to_owned(),
        (*month).to_owned(),
        weekday.split(',').map(weekdays).collect::<Result<Vec<_>, _>>()?.join(","),
    ])
}

/// The field, whose values are below `size`, or the replacement for a range that runs backwards.
fn forwards(field: &str, size: u8) -> Result<String, String> {
    for part in field.split(',') {
        let (range, step) = stepped(part);
        let ends = range.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        if let Some((from, to)) = ends
            && to < from
            && from < size
        {
            return Err(backwards(part, from, to, step, size));
        }
    }
    Ok(field.to_owned())
}

/// A part of the last field, with the ends of a range as numbers: Sunday is the first or the last day of the week.
fn weekdays(part: &str) -> Result<String, String> {
    let (range, step) = stepped(part);
    let day = |name: &str| {
        let named = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        named.and_then(|day| u8::try_from(day).ok()).or_else(|| name.parse().ok().filter(|day| *day <= 7))
    };
    let Some((from, to)) = range.split_once('-').and_then(|(from, to)| Some((day(from)?, day(to)?))) else {
        return Ok(part.to_owned());
    };
    let to = if to == 0 && from > 0 { 7 } else { to };
    match part.split_once('/') {
        _ if to < from => Err(backwards(part, from, to, step, 7)),
        Some((_, step)) => Ok(format!("{from}-{to}/{step}")),
        None => Ok(format!("{from}-{to}")),
    }
}

/// A part without its step, and the step.
fn stepped(part: &str) -> (&str, usize) {
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    (range, step.parse().ok().filter(|step| *step > 0).unwrap_or(1))
}

fn backwards(part: &str, from: u8, to: u8, step: usize, size: u8) -> String {
    let values = (from..size).chain(0..=to).step_by(step).map(|value| value.to_string());
    format!("`{part}` runs backwards: use `{}`", values.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
