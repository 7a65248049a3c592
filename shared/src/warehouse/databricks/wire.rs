//! The JSON of the API: builds requests and parses answers.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::refusal;
use crate::http::{Answer, NoAnswer};
use crate::observation::{WarehousePower, WarehouseState};
use crate::sql::{Column, Decimal, ErrorKind, Kind, ParameterValue, Statement, Value};
use crate::warehouse::sentence::from_sql_state;
use crate::warehouse::settings::DatabricksSettings;

/// The server limits an answer to 25 MiB of values; their JSON may be longer.
pub(super) const LARGEST_ANSWER: usize = 40 << 20;

/// The state of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    /// Running, or in an unknown state.
    Running,
    Succeeded,
    Failed,
    Canceled,
    /// Finished, and its result is deleted.
    Closed,
}

/// An answer about a statement.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) id: String,
    pub(super) state: State,
    answer: Json,
}

pub(super) fn shape(place: impl Into<String>, found: impl Into<String>) -> ErrorKind {
    ErrorKind::Shape { place: place.into(), found: found.into() }
}

/// Names the kind of a JSON value, for errors.
fn kind_of(value: Option<&Json>) -> &'static str {
    match value {
        None => "nothing",
        Some(Json::Null) => "null",
        Some(Json::Bool(_)) => "a boolean",
        Some(Json::Number(_)) => "a number",
        Some(Json::String(_)) => "a text",
        Some(Json::Array(_)) => "an array",
        Some(Json::Object(_)) => "an object",
    }
}

/// Returns the value at a path of members, such as `status.state`.
fn at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    path.split('.').try_fold(json, |json, key| json.get(key))
}

/// Returns the string at a path of members.
fn text<'j>(json: &'j Json, path: &str) -> Result<&'j str, ErrorKind> {
    let found = at(json, path);
    found.and_then(Json::as_str).ok_or_else(|| shape(path, kind_of(found)))
}

/// Builds the body that runs a statement, with the limits, so that the server computes and sends no more than we
/// accept.
pub(super) fn request(statement: &Statement, settings: &DatabricksSettings, hold: Duration) -> Json {
    let parameters: Vec<Json> = statement
        .parameters()
        .iter()
        .map(|parameter| {
            let (type_name, value) = typed(&parameter.value);
            without_nulls(json!({ "name": parameter.name, "type": type_name, "value": value }))
        })
        .collect();
    without_nulls(json!({
        "statement": statement.sql(),
        "warehouse_id": settings.warehouse_id,
        "wait_timeout": format!("{}s", hold.as_secs()),
        // By the docs, ignored without a wait, so not sent then.
        "on_wait_timeout": (!hold.is_zero()).then_some("CONTINUE"),
        "disposition": "INLINE",
        "format": "JSON_ARRAY",
        // One more than the limit, to detect too many rows.
        "row_limit": settings.limits.rows.saturating_add(1),
        "byte_limit": settings.limits.bytes,
        "parameters": (!parameters.is_empty()).then_some(parameters),
        "catalog": settings.catalog,
        "schema": settings.schema,
    }))
}

fn without_nulls(mut object: Json) -> Json {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

/// Returns the type and the text of a parameter. The server converts the text by `cast`.
fn typed(value: &ParameterValue) -> (String, Option<String>) {
    let plain = |name: &str, value: Option<String>| (name.to_owned(), value);
    match value {
        ParameterValue::Text(value) => plain("STRING", value.clone()),
        ParameterValue::Integer(value) => plain("BIGINT", value.map(|number| number.to_string())),
        ParameterValue::Double(value) => plain("DOUBLE", value.map(|number| number.to_string())),
        ParameterValue::Boolean(value) => plain("BOOLEAN", value.map(|value| value.to_string())),
        ParameterValue::Date(value) => plain("DATE", value.map(|date| date.to_string())),
        // With `Z`, so that the zone of the session does not matter.
        ParameterValue::Timestamp(value) => plain("TIMESTAMP", value.map(|instant| format!("{instant:.6}"))),
        ParameterValue::Decimal(value) => {
            let (precision, scale) = value.as_ref().map_or((1, 0), Decimal::precision_and_scale);
            let digits = value.as_ref().map(|number| number.as_str().to_owned());
            (format!("DECIMAL({precision},{scale})"), digits)
        }
    }
}

impl Outcome {
    /// Parses an answer about a statement.
    pub(super) fn parse(answer: Json) -> Result<Self, ErrorKind> {
        let state = match text(&answer, "status.state")?.to_ascii_uppercase().as_str() {
            "PENDING" => State::Pending,
            "SUCCEEDED" => State::Succeeded,
            "FAILED" => State::Failed,
            "CANCELED" | "CANCELLED" => State::Canceled,
            "CLOSED" => State::Closed,
            _ => State::Running,
        };
        let id = text(&answer, "statement_id")?.to_owned();
        if !is_plain(&id) {
            return Err(shape("statement_id", "a text"));
        }
        Ok(Self { id, state, answer })
    }

    /// Returns the first chunk of the result.
    pub(super) fn result(&self) -> &Json {
        self.answer.get("result").unwrap_or(&Json::Null)
    }

    /// Returns itself, unless the statement failed or was cancelled.
    pub(super) fn succeeded(self, statement: &Statement) -> Result<Self, ErrorKind> {
        match self.state {
            State::Canceled => Err(ErrorKind::Cancelled),
            State::Failed => Err(self.failure(statement)),
            State::Pending | State::Running | State::Succeeded | State::Closed => Ok(self),
        }
    }

    fn failure(&self, statement: &Statement) -> ErrorKind {
        let text = |path| text(&self.answer, path).unwrap_or_default();
        let (code, message) = (text("status.error.error_code"), text("status.error.message"));
        from_failure(statement, code, text("status.sql_state"), message)
    }
}

/// Reads a small number of an object.
pub(super) fn count(object: &Json, key: &str) -> Option<u32> {
    object.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// Parses a warehouse. Only its state is required.
pub(super) fn warehouse_state(warehouse: &Json) -> Result<WarehouseState, ErrorKind> {
    Ok(WarehouseState {
        power: WarehousePower::of(text(warehouse, "state")?),
        auto_stop_mins: count(warehouse, "auto_stop_mins"),
        cluster_size: text(warehouse, "cluster_size").ok().map(str::to_owned),
        min_clusters: count(warehouse, "min_num_clusters"),
        max_clusters: count(warehouse, "max_num_clusters"),
    })
}

/// Counts the queries of a list that waited since the warehouse was full: `metrics.overloading_queue_start_timestamp` is
/// there only for those (the vendor's SDK for Python, `QueryMetrics`).
pub(super) fn queued(list: &Json) -> usize {
    let queries = list.get("res").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let waited = |query: &&Json| {
        query.pointer("/metrics/overloading_queue_start_timestamp").is_some_and(|at| !at.is_null())
    };
    queries.iter().filter(waited).count()
}

/// Returns whether an id is safe in a path.
pub(super) fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Classifies a failure by its SQLSTATE, the error class in its message and the API's code.
fn from_failure(statement: &Statement, code: &str, state: &str, message: &str) -> ErrorKind {
    let class = message
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split([']', '.']).next())
        .unwrap_or_default();
    // Only the API's error code shows whether a failure is transient.
    let passing = || ErrorKind::Sql { code: code.to_owned(), message: String::new() }.is_transient();
    let code = match class {
        "TABLE_OR_VIEW_NOT_FOUND"
        | "SCHEMA_NOT_FOUND"
        | "CATALOG_NOT_FOUND"
        | "UNRESOLVED_COLUMN"
        | "UNRESOLVED_ROUTINE" => "42P01",
        "INSUFFICIENT_PERMISSIONS" | "OP_NOT_SUPPORTED_READ_ONLY" => "42501",
        _ if code == "DEADLINE_EXCEEDED" => "CANCELLED",
        _ if !state.is_empty() && !passing() => state,
        _ if code.is_empty() => "FAILED",
        _ => code,
    };
    from_sql_state(statement, code, message)
}

/// Returns the JSON of an answer. An empty body is an empty object: a cancellation has no body.
pub(super) fn read(statement: &Statement, outcome: Result<Answer, NoAnswer>) -> Result<Json, ErrorKind> {
    let answer = outcome.map_err(|why| match why {
        NoAnswer::Gate(closed) => ErrorKind::RateLimited { retry_after: Some(closed) },
        NoAnswer::Lost { detail, .. } => ErrorKind::Unreachable { detail },
    })?;
    if answer.cut {
        return Err(ErrorKind::TooLarge { what: "the answer".to_owned(), limit: LARGEST_ANSWER });
    }
    if !answer.status.is_success() {
        return Err(refusal::of(statement, &answer));
    }
    let json = if answer.body.is_empty() { Some(json!({})) } else { answer.json };
    let found = "not JSON; check that base_url leads to Databricks";
    json.ok_or_else(|| shape("the top level", found))
}

/// The types and counts with which to read the rows of an answer.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) columns: Vec<TypedColumn>,
    pub(super) rows: Option<usize>,
    pub(super) chunks: Option<u64>,
    pub(super) truncated: bool,
}

/// A column, and whether its timestamps have no zone.
#[derive(Debug)]
pub(super) struct TypedColumn {
    pub(super) column: Column,
    zoneless: bool,
}

impl Manifest {
    pub(super) fn parse(outcome: &Outcome) -> Result<Self, ErrorKind> {
        const COLUMNS: &str = "manifest.schema.columns";
        if outcome.state == State::Closed {
            return Err(shape("status.state", "CLOSED, its result is no longer kept"));
        }
        let found = at(&outcome.answer, COLUMNS);
        let entries = found.and_then(Json::as_array).ok_or_else(|| shape(COLUMNS, kind_of(found)))?;
        let column = |(index, entry): (usize, &Json)| {
            let text = |key: &str| {
                text(entry, key)
                    .map_err(|_| shape(format!("{COLUMNS}[{index}].{key}"), kind_of(entry.get(key))))
            };
            // `type_text` also has the types that `type_name` lacks.
            let full = text("type_text").or_else(|_| text("type_name"))?.to_ascii_uppercase();
            let kind = kind(text("type_name").unwrap_or(&full), &full);
            let column = Column { name: text("name")?.to_owned(), kind };
            Ok(TypedColumn { column, zoneless: full.starts_with("TIMESTAMP_NTZ") })
        };
        let count = |path| at(&outcome.answer, path).and_then(Json::as_u64);
        Ok(Self {
            columns: entries.iter().enumerate().map(column).collect::<Result<_, _>>()?,
            rows: count("manifest.total_row_count").and_then(|rows| usize::try_from(rows).ok()),
            chunks: count("manifest.total_chunk_count"),
            truncated: at(&outcome.answer, "manifest.truncated") == Some(&Json::Bool(true)),
        })
    }

    /// Returns the columns, and for each the zone of its timestamps without an offset.
    pub(super) fn columns_and_zones(&self, zone: &TimeZone) -> (Vec<Column>, Vec<TimeZone>) {
        let zone = |column: &TypedColumn| if column.zoneless { TimeZone::UTC } else { zone.clone() };
        self.columns.iter().map(|column| (column.column.clone(), zone(column))).unzip()
    }

    /// Returns the texts of some rows, row after row.
    pub(super) fn cells<'j>(&self, rows: &'j [Json]) -> Result<Vec<Option<&'j [u8]>>, ErrorKind> {
        let mut all = Vec::with_capacity(rows.len() * self.columns.len());
        for (index, row) in rows.iter().enumerate() {
            let texts = self.texts(row, index)?;
            all.extend(texts.into_iter().map(|text| text.map(str::as_bytes)));
        }
        Ok(all)
    }

    /// Returns the texts of a row.
    fn texts<'j>(&self, row: &'j Json, index: usize) -> Result<Vec<Option<&'j str>>, ErrorKind> {
        let place = || format!("result.data_array[{index}]");
        let cells = row.as_array().ok_or_else(|| shape(place(), kind_of(Some(row))))?;
        if cells.len() != self.columns.len() {
            let found = format!("{} values for {} columns", cells.len(), self.columns.len());
            return Err(shape(place(), found));
        }
        let text = |(cell, column): (&'j Json, &TypedColumn)| match cell {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text.as_str())),
            other => Err(shape(format!("{}.{}", place(), column.column.name), kind_of(Some(other)))),
        };
        cells.iter().zip(&self.columns).map(text).collect()
    }

    /// Parses a row, and returns its values and their bytes.
    pub(super) fn read_row(
        &self,
        row: &Json,
        index: usize,
        zone: &TimeZone,
    ) -> Result<(Vec<Value>, usize), ErrorKind> {
        let texts = self.texts(row, index)?;
        let bytes = texts.iter().flatten().map(|text| text.len()).sum();
        let value = |(text, TypedColumn { column, zoneless }): (&Option<&str>, &TypedColumn)| {
            let Some(text) = text else { return Value::Null };
            let zone = if *zoneless { &TimeZone::UTC } else { zone };
            Value::parse(column.kind, text, zone).unwrap_or(Value::Unreadable)
        };
        Ok((texts.iter().zip(&self.columns).map(value).collect(), bytes))
    }
}

/// Returns the type of a column by the SDK's `ColumnInfoTypeName`, or by its SQL name. Other types are read as text.
fn kind(type_name: &str, full: &str) -> Kind {
    match type_name.to_ascii_uppercase().as_str() {
        "BOOLEAN" => Kind::Boolean,
        "BYTE" | "SHORT" | "INT" | "LONG" | "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" => Kind::Integer,
        "FLOAT" | "DOUBLE" => Kind::Double,
        "DECIMAL" => Kind::Decimal,
        "DATE" => Kind::Date,
        "TIMESTAMP" => Kind::Timestamp,
        _ if full.starts_with("DECIMAL") => Kind::Decimal,
        _ if full.starts_with("TIMESTAMP") => Kind::Timestamp,
        _ => Kind::Text,
    }
}

/// Returns the rows of a chunk. A chunk without rows has no array.
pub(super) fn rows_of(chunk: &Json) -> Result<&[Json], ErrorKind> {
    match chunk.get("data_array") {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(rows)) => Ok(rows),
        other => Err(shape("result.data_array", kind_of(other))),
    }
}

/// Returns the number of the next chunk, from its member or the end of its link. The link is not followed, as the token
/// would be sent to its target.
pub(super) fn next_chunk(chunk: &Json) -> Option<u64> {
    let linked = || {
        let link = text(chunk, "next_chunk_internal_link").ok()?;
        link.split('?').next()?.rsplit('/').next()?.parse().ok()
    };
    chunk.get("next_chunk_index").and_then(Json::as_u64).or_else(linked)
}

/// Returns the number of affected rows, from the answer's column `num_affected_rows`. We found no first-party source
/// for this column; without it the number is unknown.
pub(super) fn affected_rows(outcome: &Outcome) -> Option<u64> {
    let columns = at(&outcome.answer, "manifest.schema.columns")?.as_array()?;
    let named =
        |column| text(column, "name").is_ok_and(|name| name.eq_ignore_ascii_case("num_affected_rows"));
    let position = columns.iter().position(named)?;
    outcome.result().get("data_array")?.get(0)?.get(position)?.as_str()?.parse().ok()
}
