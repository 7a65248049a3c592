//! Answers of a warehouse: typed rows, read strictly.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::dialect::Dialect;
use super::error::{Error, ErrorKind};
use super::statement::{Decimal, Statement};

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    /// Text, and every type without its own variant (arrays, structures, binary), as the warehouse writes it.
    Text(String),
    Integer(i64),
    Double(f64),
    Decimal(Decimal),
    Boolean(bool),
    /// A day without a time zone.
    Date(Date),
    Timestamp(Timestamp),
    /// A value that does not match its column's type or cannot be represented: PostgreSQL's `infinity`, a day after the
    /// year 9999, `NaN` in a decimal column. Other values of the answer remain readable.
    Unreadable,
}

/// The type of a column; see [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Double,
    Decimal,
    Boolean,
    Date,
    Timestamp,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the warehouse writes it.
    pub name: String,
    /// SQLite types values, not columns: there it is the type in the first row.
    pub kind: Kind,
}

/// The whole answer to a statement: an answer beyond the limits is an error, never truncated.
#[derive(Clone, PartialEq)]
pub struct Answer {
    label: String,
    dialect: Dialect,
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

/// One row of an answer.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    answer: &'a Answer,
    values: &'a [Value],
}

impl Answer {
    pub(crate) fn new(
        statement: &Statement,
        dialect: Dialect,
        columns: Vec<Column>,
        rows: Vec<Vec<Value>>,
    ) -> Self {
        Self { label: statement.label().to_owned(), dialect, columns, rows }
    }

    /// Returns the columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { answer: self, values })
    }

    /// Returns the row of a statement that must return exactly one, such as a count.
    pub fn only_row(&self) -> Result<Row<'_>, Error> {
        match self.rows.as_slice() {
            [values] => Ok(Row { answer: self, values }),
            rows => {
                let found = format!("{} rows", rows.len());
                Err(ErrorKind::NotTheForm { expected: "one row", found }.of(&self.label))
            }
        }
    }

    fn shape(&self, place: &str, found: &str) -> Error {
        ErrorKind::Shape { place: place.to_owned(), found: found.to_owned() }.of(&self.label)
    }
}

/// Shows the columns and the number of rows, but no values: they may be personal data.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("label", &self.label)
            .field("columns", &self.columns)
            .field("rows", &self.rows.len())
            .finish()
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {}", self.answer.label)
    }
}

impl<'a> Row<'a> {
    /// Returns the values, in order.
    pub fn values(&self) -> &'a [Value] {
        self.values
    }

    /// Reads a column's value as the expected type, without loss; `Option` if it may be `NULL`. Column names ignore
    /// case, as engines fold it differently.
    ///
    /// * `i64`       => a whole number, also if typed as decimal (such as a sum in PostgreSQL)
    /// * `f64`       => any number
    /// * [`Decimal`] => an exact number
    /// * `bool`, [`Date`], [`Timestamp`], `String` => only these types
    ///
    /// SQLite has no dates, booleans or exact numbers, and types each value separately: there, values are converted to
    /// the expected type.
    ///
    /// # Errors
    /// [`ErrorKind::WrongType`] names the statement, the column and both types, never the value; [`ErrorKind::Shape`]
    /// if the column is missing or duplicated.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let (named, value) = self.find(column)?;
        T::from_value(value, self.answer.dialect).ok_or_else(|| {
            let (column, expected, found) = (named.name.clone(), T::EXPECTED, value.type_name());
            ErrorKind::WrongType { column, expected, found }.of(&self.answer.label)
        })
    }

    /// Returns a column's value as it is; the column is found as by [`get`](Self::get).
    pub fn value(&self, column: &str) -> Result<&'a Value, Error> {
        self.find(column).map(|(_, value)| value)
    }

    fn find(&self, column: &str) -> Result<(&'a Column, &'a Value), Error> {
        let mut found =
            self.answer.columns.iter().zip(self.values).filter(|(c, _)| c.name.eq_ignore_ascii_case(column));
        let Some(first) = found.next() else {
            return Err(self.answer.shape(column, "no such column"));
        };
        if found.next().is_some() {
            return Err(self.answer.shape(column, "two columns of that name"));
        }
        Ok(first)
    }
}

impl Value {
    /// Returns the name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Text(_) => "text",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::Decimal(_) => "decimal",
            Self::Boolean(_) => "boolean",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::Unreadable => "an unreadable value",
        }
    }

    /// Parses an engine's text by the type of its column; `None` if it does not match.
    pub(crate) fn parse(kind: Kind, text: &str, zone: &TimeZone) -> Option<Self> {
        Some(match kind {
            Kind::Text => Self::Text(text.to_owned()),
            Kind::Integer => Self::Integer(text.trim().parse().ok()?),
            Kind::Double => Self::Double(text.trim().parse().ok()?),
            Kind::Decimal => Self::Decimal(Decimal::parse(text)?),
            Kind::Boolean => Self::Boolean(parse_boolean(text)?),
            Kind::Date => Self::Date(text.trim().parse().ok()?),
            Kind::Timestamp => Self::Timestamp(parse_timestamp(text, zone)?),
        })
    }

    /// Reads an engine's text by the type of its column.
    pub(crate) fn read(dialect: Dialect, kind: Kind, text: &str, zone: &TimeZone) -> Self {
        // SQLite types values, not columns: a value may differ from its column's first one.
        let of_itself = || {
            let number =
                [Kind::Integer, Kind::Double].into_iter().find_map(|kind| Self::parse(kind, text, zone));
            number.unwrap_or_else(|| Self::Text(text.to_owned()))
        };
        match Self::parse(kind, text, zone) {
            Some(value) => value,
            None if dialect == Dialect::Sqlite => of_itself(),
            None => Self::Unreadable,
        }
    }
}

impl Kind {
    /// Returns the name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Parses an instant with its offset from UTC, or civil time in this zone. `None` for civil time that the zone skips or
/// repeats, as it does not determine one instant.
fn parse_timestamp(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let civil: DateTime = text.parse().ok()?;
    zone.to_ambiguous_timestamp(civil).unambiguous().ok()
}

/// A type that a value can be read as.
pub trait FromValue: Sized {
    /// Its name in errors.
    const EXPECTED: &'static str;

    /// Converts a value, if possible without loss.
    fn from_value(value: &Value, dialect: Dialect) -> Option<Self>;
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value, dialect: Dialect) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value, dialect).map(Some) }
    }
}

/// Converts a value to another type in SQLite, which lacks these types.
fn retyped(value: &Value, kind: Kind, dialect: Dialect) -> Option<Value> {
    if dialect != Dialect::Sqlite {
        return None;
    }
    match value {
        Value::Text(text) => Value::parse(kind, text, &TimeZone::UTC),
        // A sum becomes a double with the first double in it.
        Value::Double(number) if kind == Kind::Decimal => {
            Decimal::parse(&number.to_string()).map(Value::Decimal)
        }
        Value::Integer(number @ (0 | 1)) if kind == Kind::Boolean => Some(Value::Boolean(*number == 1)),
        _ => None,
    }
}

/// Converts to a double; `None` beyond 2^53, where precision would be lost.
fn exact_double(number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "returned only within the bounds of exact doubles")]
    let double = number as f64;
    (number.abs() <= 1 << 53).then_some(double)
}

/// Declares how a type is read: its name in errors, the kind to which SQLite's values are converted, and the values
/// that convert without loss.
macro_rules! read_from {
    ($($to:ty = $expected:literal, $kind:ident { $($value:pat => $read:expr,)+ })+) => {$(
        impl FromValue for $to {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value, dialect: Dialect) -> Option<Self> {
                let read = |value: &Value| match value {
                    $($value => $read,)+
                    _ => None,
                };
                read(value).or_else(|| read(&retyped(value, Kind::$kind, dialect)?))
            }
        }
    )+};
}

read_from! {
    i64 = "integer", Decimal {
        Value::Integer(number) => Some(*number),
        Value::Decimal(number) => number.to_integer(),
    }
    f64 = "number", Double {
        Value::Double(number) => Some(*number),
        Value::Integer(number) => exact_double(*number),
        Value::Decimal(number) => number.as_str().parse().ok(),
    }
    Decimal = "decimal", Decimal {
        Value::Decimal(number) => Some(number.clone()),
        Value::Integer(number) => Self::parse(&number.to_string()),
    }
    bool = "boolean", Boolean {
        Value::Boolean(value) => Some(*value),
    }
    Date = "date", Date {
        Value::Date(date) => Some(*date),
    }
    Timestamp = "timestamp", Timestamp {
        Value::Timestamp(instant) => Some(*instant),
    }
    String = "text", Text {
        Value::Text(text) => Some(text.clone()),
    }
}

#[cfg(test)]
mod tests;
