//! Statements for a warehouse: SQL with named placeholders, and the values bound to them.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// A statement. Its SQL serves all warehouses, with placeholders such as `:since`; values are always bound, never
/// interpolated.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    label: String,
    sql: String,
    parameters: Vec<Parameter>,
}

/// A value bound to a placeholder.
#[derive(Clone, PartialEq)]
pub struct Parameter {
    /// The placeholder's name, without its colon.
    pub name: String,
    pub value: ParameterValue,
}

/// A typed value, or a typed `NULL`: engines need the type of a `NULL`.
#[derive(Clone, PartialEq)]
pub enum ParameterValue {
    Text(Option<String>),
    Integer(Option<i64>),
    Decimal(Option<Decimal>),
    Double(Option<f64>),
    Boolean(Option<bool>),
    /// A day without a time zone.
    Date(Option<Date>),
    /// An instant. Bound in UTC and truncated to the microsecond, the precision of Databricks and PostgreSQL.
    Timestamp(Option<Timestamp>),
}

/// An exact number, stored as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(String);

impl Statement {
    /// Creates a statement. The label is its purpose, such as `coverage of properties_to_create`, for errors.
    pub fn new(label: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { label: label.into(), sql: sql.into(), parameters: Vec::new() }
    }

    /// Binds a value to a placeholder.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<ParameterValue>) -> Self {
        self.parameters.push(Parameter { name: name.into(), value: value.into() });
        self
    }

    /// Returns its purpose, for errors.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the SQL, with named placeholders.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Returns the values, in the order in which they were bound.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
}

/// Shows no value: it may be personal data.
impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{} {:?}", self.name, self.value)
    }
}

impl fmt::Debug for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, is_null) = self.type_and_null();
        write!(f, "{name} {}", if is_null { "NULL" } else { "[bound]" })
    }
}

impl ParameterValue {
    /// Returns whether it is `NULL`.
    pub fn is_null(&self) -> bool {
        self.type_and_null().1
    }

    fn type_and_null(&self) -> (&'static str, bool) {
        match self {
            Self::Text(value) => ("text", value.is_none()),
            Self::Integer(value) => ("integer", value.is_none()),
            Self::Decimal(value) => ("decimal", value.is_none()),
            Self::Double(value) => ("double", value.is_none()),
            Self::Boolean(value) => ("boolean", value.is_none()),
            Self::Date(value) => ("date", value.is_none()),
            Self::Timestamp(value) => ("timestamp", value.is_none()),
        }
    }
}

impl Decimal {
    /// Parses digits with at most one decimal point, such as `-12.50`, and an exponent, as in Spark's zero with 18
    /// decimals: `0E-18` (Java's `BigDecimal.toString`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, exponent) = match digits.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().ok().filter(|e| EXPONENTS.contains(e))?),
            None => (digits, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !only_digits(whole) || !only_digits(fraction) {
            return None;
        }
        let (whole, fraction) = shifted(whole, fraction, exponent);
        let whole = if whole.is_empty() { "0" } else { &whole };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(Self(format!("{sign}{whole}{point}{fraction}")))
    }

    /// Returns its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number of its digits, and of those after the decimal point.
    pub(crate) fn precision_and_scale(&self) -> (usize, usize) {
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        let scale = self.0.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        (digits, scale)
    }

    /// Converts it to an integer, if it is one.
    pub(crate) fn to_integer(&self) -> Option<i64> {
        let (whole, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
    }
}

/// Warehouse decimals have at most 38 digits, so larger exponents are invalid.
const EXPONENTS: RangeInclusive<i32> = -100..=100;

/// Moves the decimal point to the right by so many places; returns the digits before and after it.
fn shifted(whole: &str, fraction: &str, places: i32) -> (String, String) {
    let zeros = |count: usize| "0".repeat(count);
    let count = usize::try_from(places.unsigned_abs()).unwrap_or_default();
    if places >= 0 {
        let padded = format!("{fraction}{}", zeros(count.saturating_sub(fraction.len())));
        let (moved, rest) = padded.split_at_checked(count).unwrap_or((&padded, ""));
        (format!("{whole}{moved}"), rest.to_owned())
    } else {
        let padded = format!("{}{whole}", zeros(count.saturating_sub(whole.len())));
        let (rest, moved) = padded.split_at_checked(padded.len() - count).unwrap_or(("", &padded));
        (rest.to_owned(), format!("{moved}{fraction}"))
    }
}

/// Formats an instant in UTC, to the microsecond, without trailing zeros, so that text sorts by time.
pub fn civil_utc(instant: Timestamp) -> String {
    let micros = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Floor);
    // Fails only for instants at the end of the supported range.
    let instant = instant.round(micros).unwrap_or(instant);
    TimeZone::UTC.to_datetime(instant).to_string().replacen('T', " ", 1)
}

macro_rules! bound {
    ($($from:ty => $variant:ident by $convert:expr),* $(,)?) => {$(
        impl From<$from> for ParameterValue {
            fn from(value: $from) -> Self {
                Self::from(Some(value))
            }
        }

        impl From<Option<$from>> for ParameterValue {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )*};
}

bound! {
    &str => Text by str::to_owned,
    String => Text by |text| text,
    i64 => Integer by |number| number,
    u32 => Integer by i64::from,
    Decimal => Decimal by |number| number,
    f64 => Double by |number| number,
    bool => Boolean by |value| value,
    Date => Date by |date| date,
    Timestamp => Timestamp by |instant| instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_is_digits_with_at_most_one_point() {
        for (text, read) in [
            ("12.50", "12.50"),
            ("-.5", "-0.5"),
            ("+7", "7"),
            (" 3. ", "3"),
            ("007", "007"),
            ("0E-18", "0.000000000000000000"),
            ("1E+3", "1000"),
            ("-1.25e2", "-125"),
            ("12.5E-4", "0.00125"),
            ("1.5e1", "15"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().as_str(), read, "{text}");
        }
        for text in ["", ".", "-", "1e", "e5", "1e5.0", "1e999999999", "1,5", "1.2.3", "NaN", "--1", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_whole_decimal_that_fits_is_an_integer() {
        let integer = |text| Decimal::parse(text).unwrap().to_integer();
        assert_eq!(integer("42"), Some(42));
        assert_eq!(integer("-42.00"), Some(-42));
        assert_eq!(integer("42.01"), None);
        assert_eq!(integer("92233720368547758070"), None);
    }

    #[test]
    fn formatted_instants_sort_by_time() {
        let instants = [
            "1969-12-31T23:59:59.9999995Z",
            "1970-01-01T00:00:00Z",
            "2026-03-08T09:59:59.999999999Z",
            "2026-03-08T10:00:00Z",
            "2026-03-08T10:00:00.000001Z",
            "2026-03-08T10:00:00.25Z",
            "2026-03-08T10:00:00.5Z",
            "2026-03-08T10:00:01Z",
        ];
        let texts = instants.map(|instant| civil_utc(instant.parse().unwrap()));
        assert_eq!(texts[2], "2026-03-08 09:59:59.999999");
        assert_eq!(texts[3], "2026-03-08 10:00:00");
        assert_eq!(texts[5], "2026-03-08 10:00:00.25");
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn bound_values_are_not_shown() {
        let statement =
            Statement::new("coverage", "SELECT :a, :b").bind("a", "mary@example.com").bind("b", 4711_i64);
        let shown = format!("{statement:?}");
        assert!(!shown.contains("mary") && !shown.contains("4711"), "{shown}");
        assert!(shown.contains(":a text [bound]"), "{shown}");
    }
}
