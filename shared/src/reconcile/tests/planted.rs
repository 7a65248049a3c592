//! Comparisons with planted rows, for tests: as the warehouse would answer.

use crate::pipeline::Pipeline;
use crate::reconcile::*;
use crate::sql::{Answer, Column, Dialect, Kind as Type, Statement, Value};

/// A planted row that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) class: Class,
    pub(crate) key: String,
    /// The value of the destination; that of the source is `Oak`.
    pub(crate) value: &'static str,
    pub(crate) later: Option<bool>,
    pub(crate) by_integration: Option<bool>,
    pub(crate) left_out: bool,
    pub(crate) deleted: bool,
}

/// So many rows of a class, of which nothing else is known.
pub(crate) fn rows(class: Class, count: usize) -> Vec<Row> {
    let key = |n| format!("P-{}-{n}", class.name());
    let row = |n| Row {
        class,
        key: key(n),
        value: "Elm",
        later: None,
        by_integration: None,
        left_out: false,
        deleted: false,
    };
    (0..count).map(row).collect()
}

/// The seed's object with its text field only, so that no field shows whether a change arrived.
pub(crate) fn object() -> Object {
    let mut object =
        Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap().objects.remove(0);
    object.fields.truncate(1);
    object.destination.synced = None;
    object
}

/// An answer with these columns and rows.
pub(super) fn answer(columns: &[&str], rows: Vec<Vec<Value>>) -> Answer {
    let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), kind: Type::Text }).collect();
    Answer::new(&Statement::new("a test", "SELECT 1"), Dialect::PostgreSql, columns, rows)
}

/// Compares tables with so many joined rows, of which these are wrong and all others equal.
pub(crate) fn planted(rows: &[Row], joined: i64) -> Reconciliation {
    planted_beside(rows, joined, [0; 4], &Sent::default(), MOST_JUDGED)
}

/// The same beside rows that are missing and pending, different and pending, not selected, and ambiguous in the source.
pub(crate) fn planted_beside(
    rows: &[Row],
    joined: i64,
    [missing_pending, different_pending, not_selected, ambiguous]: [i64; 4],
    sent: &Sent,
    most: usize,
) -> Reconciliation {
    let object = object();
    let statements = Statements::new(&object, Dialect::PostgreSql, jiff::Timestamp::UNIX_EPOCH);
    let of = |class: Class| i64::try_from(rows.iter().filter(|row| row.class == class).count()).unwrap();
    let [missing, extra, different] = Class::ALL.map(of);
    let counts = [
        ("source_rows", joined + missing + missing_pending + not_selected + ambiguous),
        ("destination_rows", joined + extra),
        ("source_null_keys", 0),
        ("destination_null_keys", 0),
        ("source_ambiguous", ambiguous),
        ("destination_ambiguous", 0),
        ("joined", joined),
        ("not_selected", not_selected),
        ("missing", missing),
        ("missing_pending", missing_pending),
        ("extra", extra),
        ("different", different),
        ("different_pending", different_pending),
        ("normalised", 0),
        ("different_0", different),
        ("same_0", 0),
        ("empty_0", 0),
        ("missing_late", 0),
        ("different_late", 0),
        ("not_run", missing_pending / 2),
    ];
    let (names, values): (Vec<&str>, Vec<Value>) =
        counts.into_iter().map(|(name, count)| (name, Value::Integer(count))).unzip();
    let flag = |flag: Option<bool>| flag.map_or(Value::Null, |flag| Value::Integer(i64::from(flag)));
    let line = |row: &Row| {
        vec![
            Value::Text(row.class.name().to_owned()),
            Value::Text(row.key.clone()),
            Value::Integer(0),
            Value::Integer(1),
            Value::Text("Oak".to_owned()),
            Value::Text(row.value.to_owned()),
            flag(row.later),
            flag(row.by_integration),
            flag(Some(row.left_out)),
            flag(Some(row.deleted)),
        ]
    };
    // As the statement answers: at most so many of each class, and one more.
    let mut taken = std::collections::BTreeMap::new();
    let mut is_taken = |row: &&Row| {
        let taken = taken.entry(row.class).or_insert(0_usize);
        *taken += 1;
        *taken <= most + 1
    };
    let lines: Vec<Vec<Value>> = rows.iter().filter(|row| is_taken(row)).map(line).collect();
    let columns =
        ["class", "k", "normalised", "x0", "sv0", "dv0", "later", "by_integration", "left_out", "deleted"];
    let repeated = answer(&["side", "k", "repeated_keys", "repeated_rows"], Vec::new());
    let answers = [&repeated, &answer(&names, vec![values]), &answer(&columns, lines)];
    Reconciliation::read(&object, &statements, sent, answers, most).unwrap()
}
