//! Named figures of evidence: typed values that become text only where they are shown.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::text::{grouped, minute_utc, percent, words};

/// One named figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Figure {
    /// A short noun phrase, such as `last run`.
    pub name: String,
    pub value: Value,
    /// Whether it is a lower bound, as not everything was counted.
    pub at_least: bool,
}

/// The value of a figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Count(u64),
    /// A share, in percent.
    Percent(f64),
    Duration(SignedDuration),
    Instant(Timestamp),
    /// An amount of money, in hundredths of its currency's unit.
    Money {
        cents: i64,
        /// The ISO 4217 code, such as `USD`.
        currency: String,
    },
    /// Anything else: names, ids, a vendor's message.
    Text(String),
}

/// No share is NaN: the count that it is a part of is never zero.
impl Eq for Value {}

impl Figure {
    /// Creates an exact figure.
    pub fn new(name: &str, value: impl Into<Value>) -> Self {
        Self { name: name.to_owned(), value: value.into(), at_least: false }
    }

    /// Sets whether it is a lower bound.
    #[must_use]
    pub fn at_least(mut self, at_least: bool) -> Self {
        self.at_least = at_least;
        self
    }

    /// Returns the value as text, with its unit.
    pub fn text(&self) -> String {
        let text = match &self.value {
            Value::Count(count) => grouped(*count),
            Value::Percent(share) => percent(*share),
            Value::Duration(duration) => words(*duration),
            Value::Instant(instant) => minute_utc(*instant),
            Value::Money { cents, currency } => {
                let sign = if *cents < 0 { "-" } else { "" };
                let (whole, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
                format!("{sign}{}.{rest:02} {currency}", grouped(whole))
            }
            Value::Text(text) => text.clone(),
        };
        if self.at_least { format!("at least {text}") } else { text }
    }
}

/// A figure as stored with an incident. Every version reads and writes `name` and `value` as text; the typed figure is
/// stored beside them, so that neither an upgrade nor a rollback loses a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredFigure {
    name: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typed: Option<Figure>,
}

impl From<&Figure> for StoredFigure {
    fn from(figure: &Figure) -> Self {
        let is_text = matches!(figure.value, Value::Text(_)) && !figure.at_least;
        Self { name: figure.name.clone(), value: figure.text(), typed: (!is_text).then(|| figure.clone()) }
    }
}

impl From<StoredFigure> for Figure {
    fn from(stored: StoredFigure) -> Self {
        stored.typed.unwrap_or_else(|| Self::new(&stored.name, stored.value))
    }
}

/// The JSON of a figure: `value` is a number in `unit`, or a text without one; `text` is the same for people. Figures from
/// older versions have only a name and a `value` that is a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wire {
    name: String,
    value: Scalar,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    at_least: bool,
    #[serde(default)]
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Whole(i64),
    Number(f64),
    Text(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

const COUNT: &str = "count";
const PERCENT: &str = "percent";
const SECONDS: &str = "seconds";
const INSTANT: &str = "instant";

impl From<Figure> for Wire {
    fn from(figure: Figure) -> Self {
        let text = figure.text();
        let (value, unit) = match figure.value {
            Value::Count(count) => {
                (Scalar::Whole(i64::try_from(count).unwrap_or(i64::MAX)), Some(COUNT.to_owned()))
            }
            Value::Percent(share) if share.is_finite() => (Scalar::Number(share), Some(PERCENT.to_owned())),
            // JSON has neither infinity nor NaN.
            Value::Percent(_) => (Scalar::Text(text.clone()), None),
            Value::Duration(duration) => (Scalar::Whole(duration.as_secs()), Some(SECONDS.to_owned())),
            Value::Instant(instant) => (Scalar::Text(instant.to_string()), Some(INSTANT.to_owned())),
            Value::Money { cents, currency } => (Scalar::Whole(cents), Some(format!("{currency} cents"))),
            Value::Text(text) => (Scalar::Text(text), None),
        };
        Self { name: figure.name, value, unit, at_least: figure.at_least, text }
    }
}

/// Never fails: a unit of a newer version, or a value that does not fit its unit, is read as the text beside it.
impl From<Wire> for Figure {
    fn from(wire: Wire) -> Self {
        let Wire { name, value, unit, at_least, text } = wire;
        let read = match (&value, unit.as_deref()) {
            (Scalar::Whole(count), Some(COUNT)) => u64::try_from(*count).ok().map(Value::Count),
            (Scalar::Number(share), Some(PERCENT)) => Some(Value::Percent(*share)),
            #[expect(clippy::cast_precision_loss, reason = "a share has few digits")]
            (Scalar::Whole(share), Some(PERCENT)) => Some(Value::Percent(*share as f64)),
            (Scalar::Whole(seconds), Some(SECONDS)) => {
                Some(Value::Duration(SignedDuration::from_secs(*seconds)))
            }
            (Scalar::Text(instant), Some(INSTANT)) => instant.parse().ok().map(Value::Instant),
            (Scalar::Whole(cents), Some(unit)) => unit
                .strip_suffix(" cents")
                .map(|currency| Value::Money { cents: *cents, currency: currency.to_owned() }),
            (Scalar::Text(text), None) => Some(Value::Text(text.clone())),
            _ => None,
        };
        // The text of an unreadable value already has "at least".
        let at_least = at_least && read.is_some();
        let as_text = || match value {
            Scalar::Text(value) if text.is_empty() => value,
            Scalar::Whole(value) if text.is_empty() => value.to_string(),
            Scalar::Number(value) if text.is_empty() => value.to_string(),
            _ => text,
        };
        Self { name, value: read.unwrap_or_else(|| Value::Text(as_text())), at_least }
    }
}

macro_rules! values {
    ($($from:ty => $convert:expr;)*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $convert(value)
            }
        }
    )*};
}

values! {
    u64 => Value::Count;
    u32 => |count| Value::Count(u64::from(count));
    usize => |count| Value::Count(u64::try_from(count).unwrap_or(u64::MAX));
    SignedDuration => Value::Duration;
    Timestamp => Value::Instant;
    String => Value::Text;
    &str => |text: &str| Value::Text(text.to_owned());
    &String => |text: &String| Value::Text(text.clone());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0..=i64::MAX as u64).prop_map(Value::Count),
            any::<i32>().prop_map(|share| Value::Percent(f64::from(share) / 1e4)),
            any::<i32>().prop_map(|seconds| Value::Duration(SignedDuration::from_secs(seconds.into()))),
            any::<i32>().prop_map(|second| Value::Instant(Timestamp::from_second(second.into()).unwrap())),
            (any::<i64>(), "[A-Z]{3}").prop_map(|(cents, currency)| Value::Money { cents, currency }),
            ".*".prop_map(Value::Text),
        ]
    }

    proptest! {
        #[test]
        fn figure_survives_json(name in ".*", value in values(), at_least: bool) {
            let figure = Figure { name, value, at_least };
            let text = serde_json::to_string(&figure).unwrap();
            prop_assert_eq!(serde_json::from_str::<Figure>(&text).unwrap(), figure.clone());
            let stored = serde_json::to_value(StoredFigure::from(&figure)).unwrap();
            prop_assert!(stored["name"].is_string() && stored["value"].is_string(), "an older version reads these");
            prop_assert_eq!(Figure::from(serde_json::from_value::<StoredFigure>(stored).unwrap()), figure);
        }
    }

    #[test]
    fn each_value_has_words_a_number_and_a_unit() {
        let at: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let money = Value::Money { cents: -123_456, currency: "USD".to_owned() };
        let cases = [
            (Figure::new("n", 18_722_u64), json!(18_722), json!("count"), "18,722"),
            (Figure::new("n", Value::Percent(92.47)), json!(92.47), json!("percent"), "92.47%"),
            (
                Figure::new("n", Value::Percent(12.0)).at_least(true),
                json!(12.0),
                json!("percent"),
                "at least 12%",
            ),
            (Figure::new("n", SignedDuration::from_mins(150)), json!(9_000), json!("seconds"), "2h 30m"),
            (Figure::new("n", at), json!("2026-11-24T10:00:00Z"), json!("instant"), "2026-11-24 10:00 UTC"),
            (Figure::new("n", money), json!(-123_456), json!("USD cents"), "-1,234.56 USD"),
            (Figure::new("n", "as it is"), json!("as it is"), json!(null), "as it is"),
        ];
        for (figure, value, unit, text) in cases {
            let json = serde_json::to_value(&figure).unwrap();
            assert_eq!((&json["value"], &json["unit"], &json["text"]), (&value, &unit, &json!(text)));
        }
    }

    #[test]
    fn figure_of_an_older_or_newer_version_is_read_as_text() {
        let older: Figure = serde_json::from_value(json!({"name": "last run", "value": "never"})).unwrap();
        assert_eq!(older, Figure::new("last run", "never"));
        let newer = json!({"name": "speed", "value": 3.5, "unit": "rows/s", "at_least": true, "text": "at least 3.5 rows/s"});
        let newer: Figure = serde_json::from_value(newer).unwrap();
        assert_eq!(newer, Figure::new("speed", "at least 3.5 rows/s"));
    }
}
