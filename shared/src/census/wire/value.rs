//! Parses single values of the vendor's JSON leniently.

use jiff::Timestamp;
use serde_json::Value;

use crate::text::plain_line;

/// The length up to which unknown words of the vendor are kept.
const KEPT_CHARS: usize = 80;

/// Reads a non-empty string, trimmed.
pub(in crate::census) fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Shortens an unknown word to one line.
pub(super) fn kept(word: &str) -> String {
    plain_line(word).chars().take(KEPT_CHARS).collect()
}

/// Reads a whole number of at least 0, also from a string. Negative and fractional numbers are invalid counts and ids.
pub(super) fn integer(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads a finite number, also from a string: the vendor's Terraform client keeps thresholds as strings.
pub(super) fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// Reads an RFC 3339 instant with any offset, as UTC.
pub(super) fn instant(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.trim().parse().ok()
}

/// Returns a member that is not null.
pub(super) fn present<'a>(holder: &'a Value, key: &str) -> Option<&'a Value> {
    holder.get(key).filter(|value| !value.is_null())
}

/// Names the kind of an unexpected value, never the value.
pub(super) fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number of the wrong kind",
        Some(Value::String(_)) => "a text of the wrong kind",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}
