//! Parses a sync's schedule, in both generations of the vendor's JSON.
//!
//! An unknown schedule is `Unreadable`, never `Manual`: a manual sync is never late, so a misread schedule would
//! suppress alerts.

use jiff::civil::Weekday;
use serde_json::Value;

use super::value::{integer, kept, kind, present, text};
use crate::observation::ObservedSchedule::{
    self, Continuous, Cron, Daily, Hourly, Manual, QuarterHourly, Triggered, Unreadable, Weekly,
};
use crate::schedule::weekday_named;

/// The documented range of `schedule_hour` includes 24.
const LAST_HOUR: u8 = 24;
const LAST_MINUTE: u8 = 59;

/// Reads `mode` (the newer generation), or the flat `schedule_*` and `triggers` (the older one).
pub(super) fn schedule(sync: &Value) -> ObservedSchedule {
    let mode = present(sync, "mode");
    if let Some(unusual) = mode.and_then(unusual_mode) {
        return unusual;
    }
    let triggers = mode.and_then(|mode| present(mode, "triggers")).or_else(|| present(sync, "triggers"));
    // The frequency decides: a `cron_expression` also comes with syncs that do not follow it.
    let by_clock = match triggers.and_then(|triggers| present(triggers, "schedule")) {
        Some(nested) => {
            clock(nested, "", sync).or_else(|| Some(Unreadable("a schedule without a frequency".to_owned())))
        }
        None => clock(sync, "schedule_", sync),
    };
    match by_clock {
        // Without a schedule, another trigger may start it.
        Some(Manual) | None => triggers.and_then(other_trigger).or(by_clock).unwrap_or_else(|| {
            if mode.is_some() { Manual } else { Unreadable("the answer names no schedule".to_owned()) }
        }),
        Some(schedule) => schedule,
    }
}

/// Returns the schedule of a mode other than `triggered`.
fn unusual_mode(mode: &Value) -> Option<ObservedSchedule> {
    if !mode.is_object() {
        return Some(Unreadable(format!("the mode is {}", kind(Some(mode)))));
    }
    let found = present(mode, "type")?;
    match text(Some(found)) {
        Some(word) if word.eq_ignore_ascii_case("triggered") => None,
        Some(word) if word.eq_ignore_ascii_case("live") => Some(Triggered("a live source".to_owned())),
        Some(word) => Some(Unreadable(format!("mode {}", kept(&word)))),
        None => Some(Unreadable(format!("the type of the mode is {}", kind(Some(found))))),
    }
}

/// Returns the trigger of a sync without a schedule; `None` if there is none.
fn other_trigger(triggers: &Value) -> Option<ObservedSchedule> {
    const NAMES: [(&str, &str); 3] =
        [("dbt_cloud", "dbt Cloud"), ("fivetran", "Fivetran"), ("sync_sequence", "another sync")];
    let Some(named) = triggers.as_object() else {
        let empty = triggers.as_array().is_some_and(Vec::is_empty);
        return (!empty).then(|| Unreadable(format!("the triggers are {}", kind(Some(triggers)))));
    };
    if let Some((_, name)) = NAMES.iter().find(|(key, _)| present(triggers, key).is_some()) {
        return Some(Triggered((*name).to_owned()));
    }
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    };
    let unknown = named.iter().find(|(key, value)| *key != "schedule" && is_set(value));
    unknown.map(|(key, _)| Unreadable(format!("triggered by {}", kept(key))))
}

/// Reads a schedule: `{frequency, day, hour, minute, cron_expression}` below `mode`, or the same keys with a prefix on
/// the sync itself. `None` without a frequency.
fn clock(holder: &Value, prefix: &str, sync: &Value) -> Option<ObservedSchedule> {
    let field = |name: &str| present(holder, &format!("{prefix}{name}"));
    let found = field("frequency")?;
    let Some(frequency) = text(Some(found)) else {
        return Some(Unreadable(format!("the frequency is {}", kind(Some(found)))));
    };
    let hour = up_to(field("hour"), LAST_HOUR);
    let minute = up_to(field("minute"), LAST_MINUTE);
    let unreadable = |what: &str| Unreadable(format!("{} {what}", kept(&frequency)));
    Some(match (frequency.to_ascii_lowercase().as_str(), hour, minute) {
        ("never" | "manual", _, _) => Manual,
        ("continuous", _, _) => Continuous,
        ("quarter_hourly", _, _) => QuarterHourly,
        ("expression", _, _) => {
            let nested = text(holder.get("cron_expression"));
            match nested.or_else(|| text(sync.get("cron_expression"))) {
                Some(expression) => Cron(expression),
                None => unreadable("without a cron_expression"),
            }
        }
        ("hourly" | "daily" | "weekly", _, Err(())) => unreadable("with a minute outside 0 to 59"),
        ("daily" | "weekly", Err(()), _) => unreadable("with an hour outside 0 to 24"),
        ("hourly", _, Ok(minute)) => Hourly { minute },
        // By the docs, Census sets hour and minute to 0 if only the frequency is given.
        ("daily", Ok(hour), Ok(minute)) => Daily { hour: hour.unwrap_or(0), minute: minute.unwrap_or(0) },
        ("weekly", Ok(hour), Ok(minute)) => match weekday(field("day")) {
            Some(day) => Weekly { day, hour: hour.unwrap_or(0), minute: minute.unwrap_or(0) },
            None => unreadable("without a weekday"),
        },
        _ => unreadable("is not a known frequency"),
    })
}

/// Reads a number of at most `last`; `Ok(None)` if there is none, `Err` for any other value.
fn up_to(value: Option<&Value>, last: u8) -> Result<Option<u8>, ()> {
    let Some(value) = value else { return Ok(None) };
    let number = integer(Some(value)).and_then(|number| u8::try_from(number).ok());
    number.filter(|number| *number <= last).map(Some).ok_or(())
}

/// Reads a weekday by its documented English name, or by number, its type in the vendor's Terraform client. No source
/// states which day is 0: we assume Sunday, the first in the documented list of names.
fn weekday(value: Option<&Value>) -> Option<Weekday> {
    match integer(value) {
        Some(number) => i8::try_from(number).ok().and_then(|n| Weekday::from_sunday_zero_offset(n).ok()),
        None => weekday_named(&text(value)?),
    }
}
