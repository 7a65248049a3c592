//! Reads the rows of an answer, through buffers of bounded size.

use jiff::tz::TimeZone;
use odbc_api::buffers::{AnyColumnBufferSlice, BufferDesc, ColumnarDynBuffer};
use odbc_api::sys::SqlDataType;
use odbc_api::{Cursor, DataType};

use super::diagnose::{self, Failure};
use crate::sql::{Answer, Column, Dialect, ErrorKind, Kind, Statement, Value};
use crate::warehouse::settings::{OdbcSettings, TextEncoding};

/// The approximate size of all buffers of an answer, in bytes.
const BUFFER_BYTES: usize = 1 << 20;
const MOST_ROWS_AT_ONCE: usize = 1_000;
/// The longest number, day or instant, in bytes; text may be as long as the limit.
const SHORT_BYTES: usize = 128;

/// Reads all rows of an answer.
pub(super) fn all(
    statement: &Statement,
    settings: &OdbcSettings,
    mut cursor: impl Cursor,
) -> Result<Answer, Failure> {
    let failed = |error| diagnose::running(statement, settings, &error);
    let count = u16::try_from(cursor.num_result_cols().map_err(failed)?).unwrap_or_default();
    let mut columns = Vec::with_capacity(count.into());
    for number in 1..=count {
        let name = cursor.col_name(number).map_err(failed)?;
        columns.push(Column { name, kind: kind(cursor.col_data_type(number).map_err(failed)?) });
    }
    let limits = settings.limits;
    // SQLite types values, not columns: text may follow a number of the first row.
    let long = |column: &Column| column.kind == Kind::Text || settings.dialect == Dialect::Sqlite;
    let bytes_of = |column: &Column| if long(column) { limits.value_bytes } else { SHORT_BYTES };
    let description = |column: &Column| match settings.encoding {
        TextEncoding::Narrow => BufferDesc::Text { max_str_len: bytes_of(column) },
        TextEncoding::Wide => BufferDesc::WText { max_str_len: bytes_of(column) / 2 },
    };
    let row_bytes: usize = columns.iter().map(bytes_of).sum();
    // One row more than the limit is enough to detect more.
    let at_once =
        (BUFFER_BYTES / row_bytes.max(1)).clamp(1, MOST_ROWS_AT_ONCE).min(limits.rows.saturating_add(1));
    let buffer =
        ColumnarDynBuffer::try_from_descs(at_once, columns.iter().map(description)).map_err(failed)?;
    let mut cursor = cursor.bind_buffer(buffer).map_err(failed)?;

    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    let too_large = |what: String, limit| Failure::of(statement, ErrorKind::TooLarge { what, limit });
    while let Some(batch) = cursor.fetch().map_err(failed)? {
        let fetched = batch.num_rows();
        if rows.len() + fetched > limits.rows {
            return Err(Failure::of(statement, ErrorKind::TooManyRows { limit: limits.rows }));
        }
        let begin = rows.len();
        rows.resize_with(begin + fetched, || Vec::with_capacity(columns.len()));
        for (index, column) in columns.iter().enumerate() {
            let texts = texts(&batch.column(index))
                .ok_or_else(|| too_large(format!("a value of column {}", column.name), bytes_of(column)))?;
            for (row, text) in rows.iter_mut().skip(begin).zip(texts) {
                bytes += text.as_ref().map_or(0, String::len);
                row.push(match text {
                    Some(text) => read(settings.dialect, column, text),
                    None => Value::Null,
                });
            }
        }
        if bytes > limits.bytes {
            return Err(too_large("the answer".to_owned(), limits.bytes));
        }
    }
    Ok(Answer::new(statement, settings.dialect, columns, rows))
}

/// Reads the values of a column; `None` if the buffer was too small for a value. Invalid Unicode becomes the
/// replacement character, as no check could compare it with anything.
fn texts(column: &AnyColumnBufferSlice<'_>) -> Option<Vec<Option<String>>> {
    if let Some(narrow) = column.as_text() {
        let texts = narrow.iter().map(|text| text.map(|text| String::from_utf8_lossy(text).into_owned()));
        narrow.has_truncated_values().is_none().then(|| texts.collect())
    } else {
        let wide = column.as_wide_text()?;
        let texts = wide.iter().map(|text| text.map(|text| String::from_utf16_lossy(text.as_ref())));
        wide.has_truncated_values().is_none().then(|| texts.collect())
    }
}

fn read(dialect: Dialect, column: &Column, text: String) -> Value {
    if column.kind == Kind::Text {
        return Value::Text(text);
    }
    match Value::parse(column.kind, &text, &TimeZone::UTC) {
        Some(value) => value,
        None if dialect == Dialect::Sqlite => of_itself(text),
        None => Value::Unreadable,
    }
}

/// Parses a value of SQLite whose type differs from its column's first value.
fn of_itself(text: String) -> Value {
    let number =
        [Kind::Integer, Kind::Double].into_iter().find_map(|kind| Value::parse(kind, &text, &TimeZone::UTC));
    number.unwrap_or(Value::Text(text))
}

/// Returns the type of a column, as the driver reports it.
fn kind(data_type: DataType) -> Kind {
    match data_type {
        DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => Kind::Integer,
        // SQLite's driver reports 64-bit integers by their C type.
        DataType::Other { data_type: SqlDataType(-25 | -27), .. } => Kind::Integer,
        DataType::Float { .. } | DataType::Real | DataType::Double => Kind::Double,
        DataType::Numeric { .. } | DataType::Decimal { .. } => Kind::Decimal,
        DataType::Bit => Kind::Boolean,
        DataType::Date => Kind::Date,
        DataType::Timestamp { .. } => Kind::Timestamp,
        _ => Kind::Text,
    }
}
