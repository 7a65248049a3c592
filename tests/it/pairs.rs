//! The table of pairs on real engines: the statements and the judging of their answers give the verdict that `compare` gives.

use ::syncwatch;
use syncwatch::data_checks::{Condition, Literal, Predicate};
use syncwatch::reconcile::{Field, Limits, NotCompared, Object, Reconciliation, Side, Verdict};
use syncwatch::sql::{ParameterValue, Value};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::engines::{self, Postgres};
use tempfile::TempDir;

use crate::reconcile::{Columns, at, insert, make_table, reconcile};

#[path = "../../shared/src/reconcile/tests/pairs.rs"]
mod table;

use table::{Outcome, Pair, Record, pairs};

const SOURCE: &str = "crm.rds.pairs";
const DESTINATION: &str = "crm.salesforce.pair";
/// A column of each type.
const COLUMNS: &Columns<'static> = &[
    ("pair", "BIGINT"),
    ("k", "VARCHAR(20)"),
    ("words", "VARCHAR(80)"),
    ("whole", "BIGINT"),
    ("binary_number", "DOUBLE"),
    ("exact", "DECIMAL(38, 10)"),
    ("flag", "BOOLEAN"),
    ("instant", "TIMESTAMP"),
    ("day", "DATE"),
    ("unit", "VARCHAR(3)"),
    ("changed", "TIMESTAMP"),
];
/// The place of the column of texts.
const WORDS: usize = 2;

/// The column of a value. A NULL is in that of its partner, or of text.
fn column(value: &Value, partner: &Value) -> usize {
    match value {
        Value::Text(_) | Value::Unreadable => WORDS,
        Value::Integer(_) => 3,
        Value::Double(_) => 4,
        Value::Decimal(_) => 5,
        Value::Boolean(_) => 6,
        Value::Timestamp(_) => 7,
        Value::Date(_) => 8,
        Value::Null if *partner == Value::Null => WORDS,
        Value::Null => column(partner, partner),
    }
}

/// The value to bind in a column.
pub(crate) fn bound(value: &Value, sql_type: &str) -> ParameterValue {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Decimal(number) => number.clone().into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Timestamp(instant) => (*instant).into(),
        Value::Date(date) => (*date).into(),
        Value::Null | Value::Unreadable => match sql_type.split('(').next().unwrap() {
            "BIGINT" => ParameterValue::Integer(None),
            "DOUBLE" => ParameterValue::Double(None),
            "DECIMAL" => ParameterValue::Decimal(None),
            "BOOLEAN" => ParameterValue::Boolean(None),
            "TIMESTAMP" => ParameterValue::Timestamp(None),
            "DATE" => ParameterValue::Date(None),
            _ => ParameterValue::Text(None),
        },
    }
}

fn line(number: usize, record: &Record, column: usize) -> Vec<ParameterValue> {
    let changed = if record.is_recent { "2026-11-24T11:55:00Z" } else { "2026-11-23T09:00:00Z" };
    let text = |text: Option<&str>| ParameterValue::Text(text.map(str::to_owned));
    let mut line: Vec<ParameterValue> =
        COLUMNS.iter().map(|(_, sql_type)| bound(&Value::Null, sql_type)).collect();
    line[0] = i64::try_from(number).unwrap().into();
    line[1] = text(record.key);
    line[column] = bound(&record.value, COLUMNS[column].1);
    line[9] = text(record.currency);
    line[10] = at(changed).into();
    line
}

/// The columns of both sides of a pair.
fn columns(pair: &Pair) -> [usize; 2] {
    let value = |records: &[Record]| records.first().map_or(Value::Null, |record| record.value.clone());
    let (here, there) = (value(&pair.source), value(&pair.destination));
    [column(&here, &there), column(&there, &here)]
}

/// The object of a pair: its rows in the tables of all pairs.
fn object(number: usize, pair: &Pair) -> Object {
    let [here, there] = columns(pair);
    let [here, there] = if pair.is_left_out { [WORDS; 2] } else { [here, there] };
    let side = |table: &str| Side {
        connection: None,
        table: table.to_owned(),
        key: "k".to_owned(),
        filter: vec![Condition {
            column: "pair".to_owned(),
            holds: Predicate::Equals(Literal::Integer(i64::try_from(number).unwrap())),
        }],
        changed: Some("changed".to_owned()),
        synced: None,
        deleted: None,
        created: None,
        modified_by: None,
    };
    let field = Field {
        source: COLUMNS[here].0.to_owned(),
        destination: COLUMNS[there].0.to_owned(),
        currency: pair.field.currency.as_ref().map(|_| ("unit".to_owned(), "unit".to_owned())),
        ..pair.field.clone()
    };
    declared([side(SOURCE), side(DESTINATION)], vec![field], pair.key)
}

/// An object of two sides.
pub(crate) fn declared(
    [source, destination]: [Side; 2],
    fields: Vec<Field>,
    key: syncwatch::reconcile::KeyKind,
) -> Object {
    Object {
        name: "pairs".to_owned(),
        owner: None,
        source,
        destination,
        key,
        settle: syncwatch::reconcile::DEFAULT_SETTLE,
        syncs: Vec::new(),
        pending_for: None,
        copy_limit: syncwatch::reconcile::DEFAULT_COPY_LIMIT,
        limits: Limits::default(),
        nights: None,
        fields,
        not_compared: Vec::new(),
        not_selected: Vec::new(),
    }
}

fn outcome(found: Result<Reconciliation, NotCompared>) -> Outcome {
    let Ok(found) = found else { return Outcome { fails: true, ..Outcome::default() } };
    let rule = found.rules.keys().next().copied();
    let reason = found.reasons().into_keys().next();
    let judged = [found.equal, found.equal_normalised, found.different, found.not_evaluated];
    let verdict = match judged {
        [1, 0, 0, 0] if rule.is_none() => Some(Verdict::Equal),
        [0, 1, 0, 0] => rule.map(Verdict::EqualNormalised),
        [0, 0, 1, 0] => reason.map(Verdict::Different),
        [0, 0, 0, 1] => Some(found.samples[0].fields[0].verdict),
        _ => None,
    };
    assert_eq!(verdict.is_some(), judged != [0; 4], "{found:?}");
    Outcome {
        verdict,
        missing: found.missing,
        extra: found.extra,
        ambiguous: found.source.ambiguous + found.destination.ambiguous,
        null_keys: found.source.null_keys + found.destination.null_keys,
        pending: found.missing_pending + found.different_pending,
        fails: false,
    }
}

/// Compares every pair on an engine.
pub(crate) async fn pairs_have_their_verdict(warehouse: &Warehouse) {
    let pairs = pairs();
    let rows = |of: fn(&Pair) -> (&[Record], usize)| {
        let rows = pairs.iter().enumerate().flat_map(|(number, pair)| {
            let (records, column) = of(pair);
            records.iter().map(move |record| line(number, record, column))
        });
        rows.collect::<Vec<_>>()
    };
    let sides = [
        (SOURCE, rows(|pair| (&pair.source, columns(pair)[0]))),
        (DESTINATION, rows(|pair| (&pair.destination, columns(pair)[1]))),
    ];
    for (table, rows) in sides {
        make_table(warehouse, table, COLUMNS).await;
        insert(warehouse, table, COLUMNS, &rows).await;
    }
    let mut wrong = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let found = outcome(reconcile(warehouse, &object(number, pair), 10).await);
        let expected = pair.on(warehouse.dialect());
        if found != *expected {
            wrong.push(format!("pair {}: expected {expected:?}, found {found:?}\n{pair:?}", pair.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_have_their_verdict_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let warehouse = engines::sqlite(&folder.path().join("warehouse.db")).unwrap();
    pairs_have_their_verdict(&warehouse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_have_their_verdict_on_postgresql() {
    let server = Postgres::start().unwrap();
    pairs_have_their_verdict(&server.warehouse().unwrap()).await;
}

/// An exception without effect would hide that an engine changed.
#[test]
fn exceptions_of_pairs_differ_from_the_table_and_say_why() {
    for pair in pairs() {
        for (_, outcome, why) in &pair.except {
            assert!(*outcome != pair.outcome && !why.is_empty(), "{pair:?}");
        }
    }
}
