//! What a warehouse answers: typed rows, read strictly.

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
    /// Text, and every type that has no other place here (arrays, structures, binary), as the warehouse writes it.
    Text(String),
    Integer(i64),
    Double(f64),
    Decimal(Decimal),
    Boolean(bool),
    /// A day, in no time zone.
    Date(Date),
    Timestamp(Timestamp),
    /// What the warehouse wrote is not of the type of its column, or has no place here: PostgreSQL's `infinity`, a day after
    /// the year 9999, `NaN` where digits were promised. It spoils no other value of the answer.
    Unreadable,
}

/// The type of a column, as [`Value`] has them.
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
    /// SQLite types values, not columns: there it is what the first row has.
    pub kind: Kind,
}

/// The whole answer to a statement: never a part of it, for what is beyond the limits is an error.
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

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { answer: self, values })
    }

    /// The row of a statement that has exactly one, such as one that counts.
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

/// Shows the columns and the number of rows: the rows may be personal data.
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
    /// The values, in order.
    pub fn values(&self) -> &'a [Value] {
        self.values
    }

    /// Reads the value of a column as the type that the caller expects, without loss; `Option` for one that may be
    /// `NULL`. Names of columns are compared without case, for engines fold it differently.
    ///
    /// * `i64`       => a whole number, also one that is typed as decimal (a sum of PostgreSQL)
    /// * `f64`       => any number
    /// * [`Decimal`] => an exact number
    /// * `bool`, [`Date`], [`Timestamp`], `String` => just these
    ///
    /// SQLite has no dates, no booleans and no exact numbers, and types each value by itself: there a text is read as
    /// what it says, and a number as what it is.
    ///
    /// # Errors
    /// [`ErrorKind::WrongType`], which names statement, column and both types, never the value; [`ErrorKind::Shape`] if there
    /// is no such column, or if there are two.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let mut found =
            self.answer.columns.iter().zip(self.values).filter(|(c, _)| c.name.eq_ignore_ascii_case(column));
        let Some((named, value)) = found.next() else {
            return Err(self.answer.shape(column, "no such column"));
        };
        if found.next().is_some() {
            return Err(self.answer.shape(column, "two columns of that name"));
        }
        T::from_value(value, self.answer.dialect).ok_or_else(|| {
            let (column, expected, found) = (named.name.clone(), T::EXPECTED, value.type_name());
            ErrorKind::WrongType { column, expected, found }.of(&self.answer.label)
        })
    }
}

impl Value {
    /// The name of its type.
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

    /// Reads what an engine wrote, by the type of the column. `None` if it is not of that type.
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
}

impl Kind {
    /// The name of the type.
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

/// An instant with its offset from UTC, or civil time in this zone. Civil time that the zone never shows, or shows
/// twice, is no instant: which one it was cannot be told any more.
fn parse_timestamp(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let civil: DateTime = text.parse().ok()?;
    zone.to_ambiguous_timestamp(civil).unambiguous().ok()
}

/// What a value can be read as.
pub trait FromValue: Sized {
    /// What errors call it.
    const EXPECTED: &'static str;

    /// Reads it, if it is that without loss.
    fn from_value(value: &Value, dialect: Dialect) -> Option<Self>;
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value, dialect: Dialect) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value, dialect).map(Some) }
    }
}

/// The value as another type in SQLite, which has no types that would tell.
fn retyped(value: &Value, kind: Kind, dialect: Dialect) -> Option<Value> {
    if dialect != Dialect::Sqlite {
        return None;
    }
    match value {
        Value::Text(text) => Value::parse(kind, text, &TimeZone::UTC),
        // A sum turns to double with the first one in it.
        Value::Double(number) if kind == Kind::Decimal => {
            Decimal::parse(&number.to_string()).map(Value::Decimal)
        }
        Value::Integer(number @ (0 | 1)) if kind == Kind::Boolean => Some(Value::Boolean(*number == 1)),
        _ => None,
    }
}

/// The same number as a double, which not every whole number is beyond 2^53.
fn exact_double(number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "given back within the bounds only where nothing is lost")]
    let double = number as f64;
    (number.abs() <= 1 << 53).then_some(double)
}

/// Declares what each type is read from: its name in errors, the kind as which SQLite's values are read, and the values
/// that it is without loss.
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
