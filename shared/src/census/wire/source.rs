//! Reads the source of a sync and how it writes.

use serde_json::Value;

use super::value::text;
use crate::observation::SyncSource;

/// Reads what a sync reads from, in either generation of its JSON. An undocumented form is unknown.
pub fn parse_source(sync: &Value) -> SyncSource {
    let operation = text(sync.get("operation"));
    SyncSource {
        table: sync.pointer("/source_attributes/object").and_then(table),
        key: sync.get("mappings").and_then(Value::as_array).and_then(|mappings| key(mappings)),
        mirror: operation.map(|operation| operation.eq_ignore_ascii_case("mirror")),
    }
}

fn table(object: &Value) -> Option<String> {
    text(object.get("type")).filter(|kind| kind == "table")?;
    let name = text(object.get("table_name"))?;
    let of = ["table_catalog", "table_schema"].map(|key| text(object.get(key)));
    let parts: Vec<String> = of.into_iter().flatten().chain([name]).collect();
    (!parts.iter().any(|part| part.contains('.'))).then(|| parts.join("."))
}

/// Returns the column of the primary identifier, which is exactly one.
fn key(mappings: &[Value]) -> Option<String> {
    let is_key =
        |mapping: &&Value| mapping.get("is_primary_identifier").and_then(Value::as_bool) == Some(true);
    let from = mappings.iter().find(is_key)?.get("from")?;
    text(from.get("type")).filter(|kind| kind == "column")?;
    text(from.get("data"))
}
