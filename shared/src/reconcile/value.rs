//! Reads values of either side by the kind of their field. `None` is NULL.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::number::Exact;
use super::verdict::WhyNot;
use crate::days::day_of;
use crate::sql::{Decimal, Value, civil_utc};

type Read<T> = Result<Option<T>, WhyNot>;

/// Returns a value as text, if its type has one way to be written.
pub(super) fn text(value: &Value) -> Read<String> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Decimal(number) => number.as_str().to_owned(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Timestamp(instant) => civil_utc(*instant),
        Value::Unreadable => return Err(WhyNot::Unreadable),
    }))
}

pub(super) fn number(value: &Value) -> Read<Exact> {
    let decimal = match value {
        Value::Null => return Ok(None),
        Value::Text(text) if text.trim().is_empty() => return Ok(None),
        Value::Text(text) => Decimal::parse(text),
        Value::Integer(number) => Decimal::parse(&number.to_string()),
        Value::Double(number) => Decimal::parse(&number.to_string()),
        Value::Decimal(number) => Some(number.clone()),
        _ => None,
    };
    decimal.and_then(|decimal| Exact::of(&decimal)).map(Some).ok_or(WhyNot::Unreadable)
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    if let Value::Boolean(flag) = value {
        return Ok(Some(*flag));
    }
    let Some(text) = text(value)? else { return Ok(None) };
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(Some(true)),
        "false" | "f" | "0" => Ok(Some(false)),
        "" => Ok(None),
        _ => Err(WhyNot::Unreadable),
    }
}

/// Reads an instant: with an offset, or civil time in UTC or in a named zone behind a blank.
pub(super) fn instant(value: &Value) -> Read<Timestamp> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Timestamp(instant) => return Ok(Some(*instant)),
        Value::Text(text) => text.trim(),
        _ => return Err(WhyNot::Unreadable),
    };
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(instant) = text.parse() {
        return Ok(Some(instant));
    }
    let named = text.rsplit_once(' ').and_then(|(civil, zone)| Some((civil, TimeZone::get(zone).ok()?)));
    let (civil, zone) = named.unwrap_or((text, TimeZone::UTC));
    let civil: DateTime = civil.parse().map_err(|_| WhyNot::Unreadable)?;
    let found = zone.to_ambiguous_timestamp(civil);
    match found.offset() {
        AmbiguousOffset::Unambiguous { .. } => found.unambiguous().map(Some).map_err(|_| WhyNot::Unreadable),
        AmbiguousOffset::Gap { .. } => Err(WhyNot::NoSuchTime),
        AmbiguousOffset::Fold { .. } => Err(WhyNot::RepeatedTime),
    }
}

/// Reads a date, or the day of an instant in a zone.
pub(super) fn date(value: &Value, zone: &TimeZone) -> Read<Date> {
    match value {
        Value::Date(date) => Ok(Some(*date)),
        Value::Text(text) if text.trim().len() == 10 => {
            text.trim().parse().map(Some).map_err(|_| WhyNot::Unreadable)
        }
        other => Ok(instant(other)?.map(|instant| day_of(instant, zone))),
    }
}

/// Returns a value as text; `None` is NULL.
pub fn value_text(value: &Value) -> Option<String> {
    text(value).unwrap_or_else(|why| Some(why.to_string()))
}
