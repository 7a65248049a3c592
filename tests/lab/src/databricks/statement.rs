//! One statement: parsed from a request, run on SQLite, and rendered in the API's format.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use syncwatch::sql::{Decimal, Error, ErrorKind, Kind, ParameterValue, Statement, Value};
use syncwatch::warehouse::Warehouse;

use super::translate::{Refusal, Translated, to_sqlite};

/// The end of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Succeeded { columns: Vec<Column>, rows: Vec<Vec<Option<String>>> },
    Failed { error_code: String, message: String, sql_state: String },
    Canceled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    name: String,
    type_name: &'static str,
}

/// A statement with its parameters, as sent.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    sql: String,
    parameters: Vec<(String, ParameterValue)>,
}

impl Asked {
    /// Parses the statement and its parameters from a request.
    pub(super) fn read(body: &Json) -> Result<Self, String> {
        let sql = body.get("statement").and_then(Json::as_str).unwrap_or_default();
        if sql.trim().is_empty() {
            return Err("statement is missing".to_owned());
        }
        let mut parameters = Vec::new();
        for parameter in body.get("parameters").and_then(Json::as_array).into_iter().flatten() {
            let text = |key: &str| parameter.get(key).and_then(Json::as_str);
            let name = text("name").ok_or("a parameter has no name")?;
            let kind = text("type").unwrap_or("STRING").to_ascii_uppercase();
            let value = cast(&kind, text("value"))
                .ok_or_else(|| format!("the parameter {name} cannot be cast to {kind}"))?;
            parameters.push((name.to_owned(), value));
        }
        Ok(Self { sql: sql.to_owned(), parameters })
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Runs it on data whose time is ahead of the caller's: moves bound instants forward, and those of the answer back.
    pub(super) async fn run(&self, warehouse: &Warehouse, ahead: SignedDuration) -> Ended {
        match to_sqlite(&self.sql) {
            Err(Refusal(message)) => failed("BAD_REQUEST", "42601", message),
            Ok(Translated::Query(sql)) => match warehouse.query(&self.bound(sql, ahead)).await {
                Ok(answer) => {
                    let rows: Vec<&[Value]> = answer.rows().map(|row| row.values()).collect();
                    let columns: Vec<Column> = answer
                        .columns()
                        .iter()
                        .enumerate()
                        .map(|(index, column)| Column {
                            name: column.name.clone(),
                            type_name: type_name(column.kind, rows.iter().filter_map(|row| row.get(index))),
                        })
                        .collect();
                    let render = |row: &[Value]| {
                        row.iter().zip(&columns).map(|(v, c)| rendered(v, c.type_name, ahead)).collect()
                    };
                    let rows = rows.into_iter().map(render).collect();
                    Ended::Succeeded { columns, rows }
                }
                Err(error) => of_error(&error),
            },
            Ok(Translated::Write(statements)) => {
                let mut affected = None;
                for sql in statements {
                    match warehouse.execute(&self.bound(sql, ahead)).await {
                        Ok(count) => affected = count,
                        Err(error) => return of_error(&error),
                    }
                }
                let columns = vec![Column { name: "num_affected_rows".to_owned(), type_name: "BIGINT" }];
                Ended::Succeeded { columns, rows: vec![vec![affected.map(|count| count.to_string())]] }
            }
        }
    }

    fn bound(&self, sql: String, ahead: SignedDuration) -> Statement {
        let moved = |value: &ParameterValue| match value {
            ParameterValue::Timestamp(Some(at)) => {
                ParameterValue::Timestamp(Some(at.saturating_add(ahead).unwrap_or(*at)))
            }
            other => other.clone(),
        };
        let statement = Statement::new("a statement", sql);
        self.parameters
            .iter()
            .fold(statement, |statement, (name, value)| statement.bind(name.clone(), moved(value)))
    }
}

impl Ended {
    pub(super) fn state(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "SUCCEEDED",
            Self::Failed { .. } => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }
}

/// A failure, with the fields of `status`.
pub(super) fn failed(error_code: &str, sql_state: &str, message: impl Into<String>) -> Ended {
    Ended::Failed {
        error_code: error_code.to_owned(),
        sql_state: sql_state.to_owned(),
        message: message.into(),
    }
}

fn of_error(error: &Error) -> Ended {
    match &error.kind {
        ErrorKind::MissingObject { message, .. } if message.contains("column") => {
            failed("BAD_REQUEST", "42703", format!("[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] {message}"))
        }
        ErrorKind::MissingObject { message, .. } => {
            failed("BAD_REQUEST", "42P01", format!("[TABLE_OR_VIEW_NOT_FOUND] {message}"))
        }
        ErrorKind::InvalidStatement { problem, .. } => {
            failed("BAD_REQUEST", "42P02", format!("[UNBOUND_SQL_PARAMETER] {problem}"))
        }
        ErrorKind::Sql { message, .. } => {
            failed("BAD_REQUEST", "42601", format!("[PARSE_SYNTAX_ERROR] {message}"))
        }
        _ => failed("INTERNAL_ERROR", "", error.to_string()),
    }
}

/// The `manifest` of an answer, with `chunk` rows per chunk.
pub(super) fn manifest(columns: &[Column], rows: usize, chunk: usize, truncated: bool) -> Json {
    let columns: Vec<Json> = columns
        .iter()
        .enumerate()
        .map(|(position, column)| {
            json!({
                "name": column.name,
                "position": position,
                "type_name": base_type(column.type_name),
                "type_text": column.type_name,
            })
        })
        .collect();
    json!({
        "format": "JSON_ARRAY",
        "schema": { "column_count": columns.len(), "columns": columns },
        "total_chunk_count": rows.div_ceil(chunk),
        "total_row_count": rows,
        "truncated": truncated,
    })
}

/// The `ColumnInfoTypeName` of an SQL type (the vendor's SDK), which differs for some integers.
fn base_type(type_text: &str) -> &str {
    match type_text {
        "TINYINT" => "BYTE",
        "SMALLINT" => "SHORT",
        "BIGINT" => "LONG",
        other => other,
    }
}

/// One chunk of the rows, in the format of `result`; `None` beyond the last one.
pub(super) fn chunk(id: &str, rows: &[Vec<Option<String>>], size: usize, index: usize) -> Option<Json> {
    if rows.is_empty() && index == 0 {
        return Some(json!({}));
    }
    let these = rows.chunks(size).nth(index)?;
    let mut chunk = json!({
        "chunk_index": index, "row_offset": index * size, "row_count": these.len(), "data_array": these,
    });
    if (index + 1) * size < rows.len()
        && let Some(chunk) = chunk.as_object_mut()
    {
        let next = index + 1;
        chunk.insert("next_chunk_index".to_owned(), json!(next));
        let link = format!("/api/2.0/sql/statements/{id}/result/chunks/{next}");
        chunk.insert("next_chunk_internal_link".to_owned(), json!(link));
    }
    Some(chunk)
}

/// Parses a parameter by its type; `None` if its text does not fit the type.
fn cast(kind: &str, text: Option<&str>) -> Option<ParameterValue> {
    /// `Some(None)` for `NULL`, and `None` if the text does not fit.
    fn maybe<T>(text: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        text.map_or(Some(None), |text| parse(text.trim()).map(Some))
    }
    Some(match kind.split('(').next().unwrap_or_default() {
        "STRING" => ParameterValue::Text(text.map(str::to_owned)),
        "INT" | "BIGINT" | "SMALLINT" | "TINYINT" => {
            ParameterValue::Integer(maybe(text, |text| text.parse().ok())?)
        }
        "DOUBLE" | "FLOAT" => ParameterValue::Double(maybe(text, |text| text.parse().ok())?),
        "BOOLEAN" => ParameterValue::Boolean(maybe(text, |text| text.to_ascii_lowercase().parse().ok())?),
        "DATE" => ParameterValue::Date(maybe(text, |text| text.parse().ok())?),
        "TIMESTAMP" => ParameterValue::Timestamp(maybe(text, instant)?),
        "DECIMAL" => ParameterValue::Decimal(maybe(text, Decimal::parse)?),
        _ => return None,
    })
}

/// Parses an instant with an offset, or in the warehouse's zone, which is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

/// The type of a column in Databricks. SQLite has no dates or instants, so their texts decide.
fn type_name<'v>(kind: Kind, values: impl Iterator<Item = &'v Value>) -> &'static str {
    let values: Vec<&Value> = values.filter(|value| **value != Value::Null).collect();
    let all = |is: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    match kind {
        _ if all(|value| matches!(value, Value::Text(text) if is_day(text))) => "DATE",
        _ if all(|value| matches!(value, Value::Text(text) if is_instant(text))) => "TIMESTAMP",
        Kind::Integer if all(|value| matches!(value, Value::Integer(_))) => "BIGINT",
        Kind::Boolean if all(|value| matches!(value, Value::Boolean(_))) => "BOOLEAN",
        Kind::Date if all(|value| matches!(value, Value::Date(_))) => "DATE",
        Kind::Timestamp if all(|value| matches!(value, Value::Timestamp(_))) => "TIMESTAMP",
        _ if all(|value| matches!(value, Value::Integer(_))) => "BIGINT",
        _ if all(|value| matches!(value, Value::Integer(_) | Value::Double(_) | Value::Decimal(_))) => {
            "DOUBLE"
        }
        Kind::Integer if values.is_empty() => "BIGINT",
        Kind::Double if values.is_empty() => "DOUBLE",
        Kind::Boolean if values.is_empty() => "BOOLEAN",
        Kind::Date if values.is_empty() => "DATE",
        Kind::Timestamp if values.is_empty() => "TIMESTAMP",
        _ => "STRING",
    }
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

fn is_instant(text: &str) -> bool {
    text.len() >= 19 && text.parse::<DateTime>().is_ok()
}

/// A value in the API's format, which is always a text.
fn rendered(value: &Value, type_name: &str, ahead: SignedDuration) -> Option<String> {
    let shown = |at: Timestamp| format!("{:.3}", at.saturating_sub(ahead).unwrap_or(at));
    Some(match value {
        Value::Null | Value::Unreadable => return None,
        Value::Text(text) if type_name == "TIMESTAMP" => match instant(text) {
            Some(instant) => shown(instant),
            None => text.clone(),
        },
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Decimal(number) => number.as_str().to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Timestamp(instant) => shown(*instant),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_of_date_or_instant_texts_has_that_type() {
        let text = |text: &str| Value::Text(text.to_owned());
        let of = |values: &[Value]| type_name(Kind::Text, values.iter());
        assert_eq!(of(&[text("2026-11-24"), Value::Null]), "DATE");
        assert_eq!(of(&[text("2026-11-24 08:00:00"), text("2026-11-24 08:00:00.25")]), "TIMESTAMP");
        assert_eq!(of(&[text("2026-11-24 08:00:00"), text("soon")]), "STRING");
        assert_eq!(of(&[Value::Null]), "STRING");
        assert_eq!(type_name(Kind::Integer, [Value::Integer(1), Value::Double(1.5)].iter()), "DOUBLE");
    }

    #[test]
    fn rows_are_split_into_chunks_that_name_the_next() {
        let rows: Vec<Vec<Option<String>>> = (0..5).map(|n| vec![Some(n.to_string())]).collect();
        let first = chunk("s", &rows, 2, 0).unwrap();
        assert_eq!(first["next_chunk_index"], 1);
        let last = chunk("s", &rows, 2, 2).unwrap();
        assert_eq!((&last["row_offset"], last.get("next_chunk_index")), (&json!(4), None));
        assert_eq!(chunk("s", &rows, 2, 3), None);
        assert_eq!(chunk("s", &[], 2, 0), Some(json!({})));
    }
}
