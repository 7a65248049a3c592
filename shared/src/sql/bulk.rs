//! Writes rows in bulk: one bound JSON text, which the engine unpacks into typed columns. Pure.
//!
//! The text is an array of rows, each an array of texts and nulls: `[["run/a/1","2026-11-24",null]]`. Numbers are texts too, so
//! that no JSON parser rounds long integers to doubles. The engine casts each value to the type of its column, and an invalid
//! text fails the statement. A statement has one bound value however many rows it writes.

use super::{Columns, Dialect, ParameterValue, Statement, civil_utc};

/// The placeholder of the JSON text.
pub const ROWS: &str = "rows";

/// The most bytes of a JSON text, unless a single row is longer.
///
/// Databricks publishes a limit of 16 MiB for the text of a statement and none for a bound value. Its clients report that
/// requests with values of 1 MB or more fail (databricks-sql-python, issue 592), and that more than 256 bound values are
/// refused (databricks-jdbc, issue 1047; databricks-sqlalchemy, issue 24). Escaping the quotes of this text in the request
/// adds about a sixth.
pub const CHUNK_BYTES: usize = 700_000;

/// The rows of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub rows: usize,
    /// The rows as JSON.
    pub text: String,
}

/// Encodes rows as JSON texts of at most [`CHUNK_BYTES`], lazily.
pub fn chunks<'r, R: Columns + 'r>(
    rows: impl IntoIterator<Item = &'r R>,
    dialect: Dialect,
) -> impl Iterator<Item = Chunk> {
    let mut rows = rows.into_iter().map(move |row| json(row, dialect)).peekable();
    std::iter::from_fn(move || {
        let mut chunk = Chunk { rows: 1, text: format!("[{}", rows.next()?) };
        while let Some(row) = rows.next_if(|row| chunk.text.len() + row.len() + 2 <= CHUNK_BYTES) {
            chunk.rows += 1;
            chunk.text.push(',');
            chunk.text.push_str(&row);
        }
        chunk.text.push(']');
        Some(chunk)
    })
}

/// Builds the `SELECT` of the columns of `R`, with names and types, from the rows bound to [`ROWS`].
pub fn select<R: Columns + Default>(dialect: Dialect) -> String {
    let columns = R::names("").into_iter().zip(R::default().values()).enumerate();
    let columns: Vec<String> = columns
        .map(|(place, (name, value))| {
            let text = match dialect {
                Dialect::PostgreSql => format!("r.value ->> {place}"),
                Dialect::Sqlite => format!("json_extract(r.value, '$[{place}]')"),
                Dialect::Databricks => format!("r.value[{place}]"),
            };
            match sql_type(&value, dialect) {
                Some(sql_type) => format!("CAST({text} AS {sql_type}) AS {name}"),
                None => format!("{text} AS {name}"),
            }
        })
        .collect();
    let rows = match dialect {
        Dialect::PostgreSql => format!("jsonb_array_elements(CAST(:{ROWS} AS JSONB)) AS r(value)"),
        Dialect::Sqlite => format!("json_each(:{ROWS}) AS r"),
        // In the default mode an invalid text is NULL: the statement would write no row and succeed.
        Dialect::Databricks => format!(
            "(SELECT explode(from_json(:{ROWS}, 'ARRAY<ARRAY<STRING>>', map('mode', 'FAILFAST'))) AS value) AS r"
        ),
    };
    format!("SELECT {} FROM {rows}", columns.join(", "))
}

/// Updates the stored rows that have the keys of these, in as many statements as the rows need. The key is the first column, and
/// `log` the quoted name of the table.
pub fn update<'r, R: Columns + Default + 'r>(
    log: &str,
    dialect: Dialect,
    rows: impl IntoIterator<Item = &'r R>,
) -> impl Iterator<Item = Statement> {
    let (fresh, names) = (select::<R>(dialect), R::names(""));
    let changes: Vec<String> = names.iter().skip(1).map(|name| format!("{name} = fresh.{name}")).collect();
    let (changes, same) = (changes.join(", "), same_key(&names));
    let sql = match dialect {
        // Spark's UPDATE cannot read from a second table.
        Dialect::Databricks => format!(
            "MERGE INTO {log} AS present USING ({fresh}) AS fresh ON {same} WHEN MATCHED THEN UPDATE SET {changes}"
        ),
        Dialect::PostgreSql | Dialect::Sqlite => {
            format!("UPDATE {log} AS present SET {changes} FROM ({fresh}) AS fresh WHERE {same}")
        }
    };
    chunks(rows, dialect).map(move |chunk| write(sql.clone(), chunk))
}

/// Inserts the rows whose keys are not stored, in as many statements as the rows need.
pub fn insert<'r, R: Columns + Default + 'r>(
    log: &str,
    dialect: Dialect,
    rows: impl IntoIterator<Item = &'r R>,
) -> impl Iterator<Item = Statement> {
    let (fresh, names) = (select::<R>(dialect), R::names(""));
    let (list, same) = (names.join(", "), same_key(&names));
    let sql = format!(
        "INSERT INTO {log} ({list}) SELECT {list} FROM ({fresh}) AS fresh \
         WHERE NOT EXISTS (SELECT 1 FROM {log} AS present WHERE {same})"
    );
    chunks(rows, dialect).map(move |chunk| write(sql.clone(), chunk))
}

fn same_key(names: &[&str]) -> String {
    let key = names.first().copied().unwrap_or_default();
    format!("present.{key} = fresh.{key}")
}

fn write(sql: String, chunk: Chunk) -> Statement {
    let rows = if chunk.rows == 1 { "row" } else { "rows" };
    Statement::new(format!("{} {rows} of the audit log", chunk.rows), sql).bind(ROWS, chunk.text)
}

/// The type that a text is cast to; `None` if it stays a text.
fn sql_type(value: &ParameterValue, dialect: Dialect) -> Option<&'static str> {
    match (value, dialect) {
        (ParameterValue::Integer(_), _) => Some("BIGINT"),
        (ParameterValue::Double(_), Dialect::PostgreSql) => Some("DOUBLE PRECISION"),
        (ParameterValue::Double(_), Dialect::Databricks) => Some("DOUBLE"),
        (ParameterValue::Double(_), Dialect::Sqlite) => Some("REAL"),
        // SQLite has no such types: its texts sort in the order of time.
        (ParameterValue::Date(_) | ParameterValue::Timestamp(_), Dialect::Sqlite) => None,
        (ParameterValue::Date(_), _) => Some("DATE"),
        (ParameterValue::Timestamp(_), _) => Some("TIMESTAMP"),
        // The log has no decimal or boolean column: PostgreSQL and Spark would refuse a text there.
        (ParameterValue::Text(_) | ParameterValue::Decimal(_) | ParameterValue::Boolean(_), _) => None,
    }
}

fn json(row: &impl Columns, dialect: Dialect) -> String {
    let texts = row.values().into_iter().map(|value| text(value, dialect));
    serde_json::Value::from_iter(texts).to_string()
}

fn text(value: ParameterValue, dialect: Dialect) -> Option<String> {
    match value {
        // PostgreSQL refuses a text with a zero character.
        ParameterValue::Text(text) => text.map(|text| text.replace('\0', "")),
        ParameterValue::Integer(number) => number.map(|number| number.to_string()),
        ParameterValue::Decimal(number) => number.map(|number| number.as_str().to_owned()),
        ParameterValue::Double(number) => number.map(|number| number.to_string()),
        ParameterValue::Boolean(value) => value.map(|value| value.to_string()),
        ParameterValue::Date(date) => date.map(|date| date.to_string()),
        // Databricks reads an instant in the zone of the session unless the text names a zone.
        ParameterValue::Timestamp(instant) => instant.map(|instant| match dialect {
            Dialect::Databricks => format!("{instant:.6}"),
            Dialect::PostgreSql | Dialect::Sqlite => civil_utc(instant),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    crate::columns! {
        struct RunRow {
            audit_id: String,
            @row_kind = "run",
            execution_timestamp: Timestamp,
            records_processed: Option<i64>,
            error_rate: Option<f64>,
            run_id: Option<String>,
            notes: Option<String>,
        }
    }

    const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

    fn run(notes: &str) -> RunRow {
        RunRow {
            audit_id: "run/a/1".to_owned(),
            execution_timestamp: "2026-11-24T10:00:00.1234567Z".parse().unwrap(),
            records_processed: Some(9_007_199_254_740_993),
            notes: Some(notes.to_owned()),
            ..RunRow::default()
        }
    }

    fn cells(row: &RunRow, dialect: Dialect) -> Vec<Option<String>> {
        let text = chunks([row], dialect).next().unwrap().text;
        let rows: Vec<Vec<Option<String>>> = serde_json::from_str(&text).unwrap();
        rows.into_iter().next().unwrap()
    }

    #[test]
    fn row_is_an_array_of_texts_without_loss() {
        for (dialect, instant) in [
            (Dialect::Databricks, "2026-11-24T10:00:00.123456Z"),
            (Dialect::PostgreSql, "2026-11-24 10:00:00.123456"),
            (Dialect::Sqlite, "2026-11-24 10:00:00.123456"),
        ] {
            let cells = cells(&run("it's a \"note\"; \\ ünïcode 😀\u{1}\n\0"), dialect);
            let at = |column: &str| {
                let place = RunRow::names("").iter().position(|name| *name == column).unwrap();
                cells[place].as_deref()
            };
            assert_eq!(at("execution_timestamp"), Some(instant), "{dialect:?}");
            assert_eq!(at("records_processed"), Some("9007199254740993"));
            assert_eq!((at("error_rate"), at("run_id")), (None, None));
            assert_eq!(at("notes"), Some("it's a \"note\"; \\ ünïcode 😀\u{1}\n"));
        }
    }

    #[test]
    fn chunks_hold_all_rows_in_order_within_their_size() {
        let rows: Vec<RunRow> = (0..10_000).map(|number| run(&number.to_string())).collect();
        for dialect in ALL {
            let chunks: Vec<Chunk> = chunks(&rows, dialect).collect();
            assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.text.len() <= CHUNK_BYTES));
            let mut notes = Vec::new();
            for chunk in &chunks {
                let rows: Vec<Vec<Option<String>>> = serde_json::from_str(&chunk.text).unwrap();
                assert_eq!(rows.len(), chunk.rows);
                notes.extend(rows.into_iter().map(|mut row| row.pop().unwrap().unwrap()));
            }
            assert!(notes.iter().enumerate().all(|(number, note)| *note == number.to_string()));
            assert_eq!(notes.len(), rows.len());
        }
        assert_eq!(super::chunks::<RunRow>([], Dialect::Sqlite).next(), None);
        let long = run(&"x".repeat(CHUNK_BYTES));
        assert_eq!(super::chunks([&long, &long], Dialect::Sqlite).map(|chunk| chunk.rows).sum::<usize>(), 2);
    }
}
