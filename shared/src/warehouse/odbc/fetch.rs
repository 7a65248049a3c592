//! Reads the rows of an answer or of a stream, through buffers of bounded size.

use jiff::tz::TimeZone;
use odbc_api::buffers::{AnyColumnBufferSlice, BufferDesc, ColumnarDynBuffer};
use odbc_api::sys::SqlDataType;
use odbc_api::{Cursor, DataType};

use super::diagnose::{self, Failure};
use crate::sql::{Answer, Block, Column, Dialect, ErrorKind, Kind, Sink, Statement, Value};
use crate::warehouse::settings::{OdbcSettings, TextEncoding};

/// The approximate size of all buffers of an answer, in bytes.
const BUFFER_BYTES: usize = 1 << 20;
const MOST_ROWS_AT_ONCE: usize = 1_000;
/// The longest number, day or instant, in bytes; text may be as long as the limit.
const SHORT_BYTES: usize = 128;

/// The approximate size of all buffers of a stream, in bytes.
const STREAM_BYTES: usize = 4 << 20;
const MOST_STREAMED_AT_ONCE: usize = 5_000;

/// A cursor with its buffers.
type Bound<C> = odbc_api::BlockCursor<C, ColumnarDynBuffer>;

/// Reads all rows of an answer.
pub(super) fn all(
    statement: &Statement,
    settings: &OdbcSettings,
    cursor: impl Cursor,
) -> Result<Answer, Failure> {
    let failed = |error| diagnose::running(statement, settings, &error);
    let limits = settings.limits;
    // One row more than the limit is enough to detect more.
    let most = MOST_ROWS_AT_ONCE.min(limits.rows.saturating_add(1));
    let (columns, mut cursor) = bound(settings, cursor, BUFFER_BYTES, most).map_err(failed)?;

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
            let texts = texts(&batch.column(index)).ok_or_else(|| too_long(statement, settings, column))?;
            for (row, text) in rows.iter_mut().skip(begin).zip(texts) {
                bytes += text.as_ref().map_or(0, String::len);
                row.push(match text {
                    Some(text) if column.kind == Kind::Text => Value::Text(text),
                    Some(text) => Value::read(settings.dialect, column.kind, &text, &TimeZone::UTC),
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

/// Hands on the rows of an answer, some thousands at once, until the sink breaks.
pub(super) fn stream(
    statement: &Statement,
    settings: &OdbcSettings,
    cursor: impl Cursor,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let failed = |error| diagnose::running(statement, settings, &error);
    let (columns, mut cursor) =
        bound(settings, cursor, STREAM_BYTES, MOST_STREAMED_AT_ONCE).map_err(failed)?;
    let zones = vec![TimeZone::UTC; columns.len()];
    while let Some(batch) = cursor.fetch().map_err(failed)? {
        let mut narrow = Vec::with_capacity(columns.len());
        let mut wide = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let slice = batch.column(index);
            match slice.as_text().filter(|texts| texts.has_truncated_values().is_none()) {
                Some(texts) => narrow.push(texts),
                None => wide.push(texts(&slice).ok_or_else(|| too_long(statement, settings, column))?),
            }
        }
        // All columns have the same encoding.
        let mut cells = Vec::with_capacity(batch.num_rows() * columns.len());
        for row in 0..batch.num_rows() {
            cells.extend(narrow.iter().map(|texts| texts.get(row)));
            cells.extend(wide.iter().map(|texts| texts.get(row)?.as_deref().map(str::as_bytes)));
        }
        let block = Block { dialect: settings.dialect, columns: &columns, zones: &zones, cells };
        if sink(&block).is_break() {
            break;
        }
    }
    Ok(())
}

/// Returns the columns of an answer, and its cursor with buffers of about so many bytes for at most so many rows.
fn bound<C: Cursor>(
    settings: &OdbcSettings,
    mut cursor: C,
    buffer_bytes: usize,
    most: usize,
) -> Result<(Vec<Column>, Bound<C>), odbc_api::Error> {
    let count = u16::try_from(cursor.num_result_cols()?).unwrap_or_default();
    let mut columns = Vec::with_capacity(count.into());
    for number in 1..=count {
        columns.push(Column { name: cursor.col_name(number)?, kind: kind(cursor.col_data_type(number)?) });
    }
    let description = |column: &Column| match settings.encoding {
        TextEncoding::Narrow => BufferDesc::Text { max_str_len: bytes_of(settings, column) },
        TextEncoding::Wide => BufferDesc::WText { max_str_len: bytes_of(settings, column) / 2 },
    };
    let row_bytes: usize = columns.iter().map(|column| bytes_of(settings, column)).sum();
    let at_once = (buffer_bytes / row_bytes.max(1)).clamp(1, most);
    let buffer = ColumnarDynBuffer::try_from_descs(at_once, columns.iter().map(description))?;
    Ok((columns, cursor.bind_buffer(buffer)?))
}

/// The most bytes of a value.
fn bytes_of(settings: &OdbcSettings, column: &Column) -> usize {
    // SQLite types values, not columns: text may follow a number of the first row.
    let is_long = column.kind == Kind::Text || settings.dialect == Dialect::Sqlite;
    if is_long { settings.limits.value_bytes } else { SHORT_BYTES }
}

fn too_long(statement: &Statement, settings: &OdbcSettings, column: &Column) -> Failure {
    let what = format!("a value of column {}", column.name);
    Failure::of(statement, ErrorKind::TooLarge { what, limit: bytes_of(settings, column) })
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
