//! Single values of the vendor's JSON, read leniently.

use jiff::Timestamp;
use serde_json::Value;

use crate::text::plain_line;

/// Words of the vendor are kept up to this length where they are not understood.
const KEPT_CHARS: usize = 80;

/// A text that is there and not empty.
pub(in crate::census) fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What is kept of a word that is not understood: one short line.
pub(super) fn kept(word: &str) -> String {
    plain_line(word).chars().take(KEPT_CHARS).collect()
}

/// A whole number of at least 0, also as text. Negative and fractional ones are no counts and no ids.
pub(super) fn integer(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A finite number, also as text: the vendor's Terraform client keeps thresholds as strings.
pub(super) fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// An RFC 3339 instant with any offset, as UTC.
pub(super) fn instant(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.trim().parse().ok()
}

/// A value that is there and not null.
pub(super) fn present<'a>(holder: &'a Value, key: &str) -> Option<&'a Value> {
    holder.get(key).filter(|value| !value.is_null())
}

/// What kind of thing was found where another was expected; never the thing itself.
pub(super) fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a truth value",
        Some(Value::Number(_)) => "a number of the wrong kind",
        Some(Value::String(_)) => "a text of the wrong kind",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}
