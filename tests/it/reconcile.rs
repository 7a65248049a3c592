//! Reconciles objects on real engines: every planted difference is found, on SQLite and on PostgreSQL alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use syncwatch::data_checks::object_name;
use syncwatch::observe::objects;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::{
    Class, Coverage, Fault, NotCompared, Object, Reason, Reconciliation, Rule, Sent, Statements, Verdict,
    compare, read_records,
};
use syncwatch::sql::{Dialect, ParameterValue, Statement, Value};
use syncwatch::warehouse::{Databases, Warehouse};
use syncwatch_lab::engines::{self, Postgres};
use tempfile::TempDir;

/// Noon on an ordinary day, UTC. Changes of the last hour are pending.
fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn sqlite(folder: &TempDir) -> Warehouse {
    engines::sqlite(&folder.path().join("warehouse.db")).unwrap()
}

/// A database that is opened twice: as the warehouse, and as the connection `again`.
pub(crate) fn twice(open: impl Fn() -> Warehouse) -> Databases {
    Databases { warehouse: open(), connections: [("again".to_owned(), Ok(open()))].into() }
}

fn only(warehouse: Warehouse) -> Databases {
    Databases { warehouse, connections: BTreeMap::new() }
}

/// Compares an object as streams: its source is in the connection `again`.
async fn as_streams(databases: &Databases, object: &Object, sent: &Sent) -> Reconciliation {
    let mut object = object.clone();
    object.source.connection = Some("again".to_owned());
    objects::compare(databases, &object, sent, Coverage::All, Arc::new(|_| ()), now()).await.unwrap()
}

/// Every kind of field, and a key that is text.
const OBJECT: &str = r#"
[[objects]]
name = "homes"
key = { source = "home_id", destination = "home_id_c" }
changed = { source = "changed", destination = "synced" }
not_selected = [{ column = "note", equals = "hold" }]
fields = [
  { source = "note", destination = "note_c", kind = "text", max_length = 10 },
  { source = "state", destination = "state_c", kind = "choice", map = { A = "Active" } },
  { source = "tags", destination = "tags_c", kind = "choices" },
  { source = "live", destination = "live_c", kind = "flag" },
  { source = "rent", destination = "rent_c", kind = "number", scale = 2 },
  { source = "price", destination = "price_c", kind = "money", scale = 2, currency = { source = "unit", destination = "unit_c" } },
  { source = "seen", destination = "seen_c", kind = "instant" },
  { source = "seen", destination = "day_c", kind = "date", source_zone = "America/Los_Angeles" },
  { source = "agent", destination = "agent_c", kind = "salesforce-id" },
]
[objects.source]
table = "crm.rds.homes"
where = [{ column = "gone", not = true }]
[objects.destination]
table = "crm.salesforce.home"
synced = "synced"
"#;

fn object(dialect: Dialect, declaration: &str) -> Object {
    pipeline(dialect, declaration).objects.pop().unwrap()
}

/// The repository's pipeline on a warehouse of this dialect, with more declarations at its end.
pub(crate) fn pipeline(dialect: Dialect, declaration: &str) -> Pipeline {
    let seed = include_str!("../../infra/pipeline.toml");
    let databricks = "driver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\nwarehouse_id = \
                      \"0123456789abcdef\"";
    assert!(seed.contains(databricks));
    let odbc = format!("driver = \"odbc\"\ndialect = \"{}\"", format!("{dialect:?}").to_lowercase());
    let settings = if dialect == Dialect::Databricks { databricks } else { &odbc };
    let text = format!("{}{declaration}", seed.replacen(databricks, settings, 1));
    Pipeline::parse(&text).unwrap()
}

fn statements(object: &Object, dialect: Dialect) -> Statements<'_> {
    Statements::new(object, dialect, now() - SignedDuration::from_hours(1))
}

/// Compares an object with at most so many judged rows.
pub(crate) async fn reconcile(
    warehouse: &Warehouse,
    object: &Object,
    most: usize,
) -> Result<Reconciliation, NotCompared> {
    let statements = statements(object, warehouse.dialect());
    let repeated = warehouse.query(&statements.repeated_keys().unwrap()).await?;
    let counts = warehouse.query(&statements.counts(!repeated.is_empty()).unwrap()).await?;
    let samples = warehouse.query(&statements.samples(!repeated.is_empty(), most).unwrap()).await?;
    Reconciliation::read(object, &statements, &Sent::default(), [&repeated, &counts, &samples], most)
}

/// The columns of a table, each with its type as Spark has it.
pub(crate) type Columns<'c> = [(&'c str, &'static str)];

const SOURCE: &Columns<'static> = &[
    ("home_id", "VARCHAR(40)"),
    ("note", "VARCHAR(80)"),
    ("state", "VARCHAR(20)"),
    ("tags", "VARCHAR(40)"),
    ("live", "BOOLEAN"),
    ("rent", "DECIMAL(20, 5)"),
    ("price", "DECIMAL(20, 2)"),
    ("unit", "VARCHAR(3)"),
    ("seen", "TIMESTAMP"),
    ("agent", "VARCHAR(18)"),
    ("changed", "TIMESTAMP"),
    ("gone", "BOOLEAN"),
];
/// With doubles, as Salesforce's numbers arrive.
const DESTINATION: &Columns<'static> = &[
    ("home_id_c", "VARCHAR(40)"),
    ("note_c", "VARCHAR(80)"),
    ("state_c", "VARCHAR(20)"),
    ("tags_c", "VARCHAR(40)"),
    ("live_c", "BOOLEAN"),
    ("rent_c", "DOUBLE"),
    ("price_c", "DOUBLE"),
    ("unit_c", "VARCHAR(3)"),
    ("seen_c", "TIMESTAMP"),
    ("day_c", "DATE"),
    ("agent_c", "VARCHAR(18)"),
    ("synced", "TIMESTAMP"),
];

/// Creates a table anew.
pub(crate) async fn make_table(warehouse: &Warehouse, path: &str, columns: &Columns<'_>) {
    let dialect = warehouse.dialect();
    let name = object_name(dialect, path).unwrap();
    let columns: Vec<String> =
        columns.iter().map(|(column, sql_type)| format!("{column} {sql_type}")).collect();
    let mut columns = columns.join(", ");
    if dialect != Dialect::Databricks {
        columns = columns.replace("DOUBLE", "DOUBLE PRECISION");
    }
    let mut statements = Vec::new();
    if dialect != Dialect::Sqlite {
        let schema = path.split('.').nth(1).unwrap();
        statements.push(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    }
    statements.push(format!("DROP TABLE IF EXISTS {name}"));
    statements.push(format!("CREATE TABLE {name} ({columns})"));
    let statements: Vec<Statement> =
        statements.into_iter().map(|sql| Statement::new("a table", sql)).collect();
    warehouse.execute_all(&statements).await.unwrap();
}

async fn make(warehouse: &Warehouse) {
    make_table(warehouse, "crm.rds.homes", SOURCE).await;
    make_table(warehouse, "crm.salesforce.home", DESTINATION).await;
}

pub(crate) type Line = Vec<ParameterValue>;
/// Values by their place in a line.
type Changes<'v> = &'v [(usize, ParameterValue)];

pub(crate) async fn insert(warehouse: &Warehouse, table: &str, columns: &Columns<'_>, rows: &[Line]) {
    // PostgreSQL's ODBC driver garbles a statement with some thousands of values.
    const VALUES: usize = 1_000;
    let table = object_name(warehouse.dialect(), table).unwrap();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    for rows in rows.chunks(VALUES / columns.len()) {
        let marker = |row: usize| {
            let markers: Vec<String> = (0..names.len()).map(|place| format!(":v{row}_{place}")).collect();
            format!("({})", markers.join(", "))
        };
        let markers: Vec<String> = (0..rows.len()).map(marker).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES {}", names.join(", "), markers.join(", "));
        let mut statement = Statement::new("rows", sql);
        for (row, line) in rows.iter().enumerate() {
            for (place, value) in line.iter().enumerate() {
                statement = statement.bind(format!("v{row}_{place}"), value.clone());
            }
        }
        warehouse.execute(&statement).await.unwrap();
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A row of the source, equal to that of the destination with the same key.
fn home(key: &str) -> Line {
    vec![
        key.into(),
        "Oak Court".into(),
        "A".into(),
        "a;b".into(),
        true.into(),
        syncwatch::sql::Decimal::parse("237.63").unwrap().into(),
        syncwatch::sql::Decimal::parse("10.00").unwrap().into(),
        "EUR".into(),
        at("2026-11-24T03:30:00Z").into(),
        "00300000003T2PG".into(),
        at("2026-11-23T09:00:00Z").into(),
        ParameterValue::Boolean(None),
    ]
}

fn record(key: &str) -> Line {
    vec![
        key.into(),
        "Oak Court".into(),
        "Active".into(),
        "a;b".into(),
        true.into(),
        237.63.into(),
        10.0.into(),
        "EUR".into(),
        at("2026-11-24T03:30:00Z").into(),
        jiff::civil::date(2026, 11, 23).into(),
        "00300000003T2PG".into(),
        at("2026-11-24T10:30:00Z").into(),
    ]
}

/// A row with other values in these places.
fn with(mut row: Line, changes: &[(usize, ParameterValue)]) -> Line {
    for (place, value) in changes {
        row[*place] = value.clone();
    }
    row
}

/// Plants every class of difference among 40 equal records.
async fn plant(warehouse: &Warehouse) {
    make(warehouse).await;
    let mut source: Vec<Line> = (0..40).map(|n| home(&format!("P-{n}"))).collect();
    let mut destination: Vec<Line> = (0..40).map(|n| record(&format!("P-{n}"))).collect();
    let just_now = || at("2026-11-24T11:45:00Z").into();
    source.push(home("missing-1"));
    source.push(home("missing-2"));
    source.push(with(home("missing-pending"), &[(10, just_now())]));
    source.push(with(home("held"), &[(1, "hold".into())]));
    source.push(with(home("gone"), &[(11, true.into())]));
    destination.push(record("extra-1"));
    source.push(with(home("x"), &[(0, ParameterValue::Text(None))]));
    destination.push(with(record("x"), &[(0, "  ".into())]));
    // Repeated on one side or the other: never compared.
    source.extend([home("twice-here"), home("twice-here")]);
    destination.push(record("twice-here"));
    source.push(home("twice-there"));
    destination.extend([record("twice-there"), record("twice-there"), record("twice-there")]);
    let decimal = |digits: &str| ParameterValue::from(syncwatch::sql::Decimal::parse(digits).unwrap());
    let null = || ParameterValue::Text(None);
    // Key, changes of the source, changes of the destination.
    let planted: [(&str, Changes<'_>, Changes<'_>); 21] = [
        ("same-outer", &[(1, " Oak Court ".into())], &[]),
        ("same-tab", &[(1, "Oak Court\t".into())], &[]),
        ("same-empty", &[(1, "".into())], &[(1, null())]),
        ("same-form", &[(1, "Cafe\u{301}".into())], &[(1, "Caf\u{e9}".into())]),
        ("same-case", &[(2, "warm".into())], &[(2, "Warm".into())]),
        ("same-order", &[(3, "b;a;b".into())], &[]),
        ("same-flag", &[(4, ParameterValue::Boolean(None))], &[(4, false.into())]),
        ("same-second", &[(8, at("2026-11-24T03:30:00.25Z").into())], &[]),
        ("same-id", &[], &[(10, "00300000003T2PGAA0".into())]),
        ("kept", &[(1, "".into())], &[(1, "Old".into())]),
        ("case", &[(1, "oak court".into())], &[(11, at("2026-11-22T09:00:00Z").into())]),
        ("too-long", &[(1, "Oak Court Apartments".into())], &[(1, "Elm Court".into())]),
        ("rounded", &[(5, decimal("237.631"))], &[]),
        ("zero", &[(5, ParameterValue::Decimal(None))], &[(5, 0.0.into())]),
        ("currency", &[], &[(7, "USD".into())]),
        ("hour", &[(8, at("2026-11-24T02:30:00Z").into())], &[]),
        ("day", &[], &[(9, jiff::civil::date(2026, 11, 24).into())]),
        ("other-id", &[(9, "00300000003t2PG".into())], &[]),
        ("two", &[(1, "Elm".into()), (4, false.into())], &[]),
        ("pending", &[(1, "Elm".into()), (10, just_now())], &[]),
        // Changed after the copy's last sync.
        ("not-copied", &[(1, "Elm".into()), (10, at("2026-11-24T10:30:01Z").into())], &[]),
    ];
    for (key, here, there) in planted {
        source.push(with(home(key), here));
        destination.push(with(record(key), there));
    }
    insert(warehouse, "crm.rds.homes", SOURCE, &source).await;
    insert(warehouse, "crm.salesforce.home", DESTINATION, &destination).await;
}

pub(crate) async fn planted_differences_are_found(databases: &Databases) {
    let warehouse = &databases.warehouse;
    plant(warehouse).await;
    let object = object(warehouse.dialect(), OBJECT);
    let found = reconcile(warehouse, &object, 1_000).await.unwrap();
    let streamed = as_streams(databases, &object, &Sent::default()).await;
    assert_eq!(Reconciliation { wrong: found.wrong.clone(), ..streamed.clone() }, found);
    assert_eq!(streamed.look(), found.look());
    let source =
        (found.source.rows, found.source.null_keys, found.source.ambiguous, found.source.repeated_keys);
    assert_eq!((source, found.source.surplus), ((40 + 5 + 3 + 21, 1, 3, 1), 1), "{found:?}");
    let there = &found.destination;
    assert_eq!((there.rows, there.null_keys, there.ambiguous, there.surplus), (40 + 2 + 4 + 21, 1, 4, 2));
    assert_eq!((found.joined, found.missing, found.extra), (61, 2, 1));
    assert_eq!((found.missing_pending, found.different_pending, found.not_selected), (1, 2, 1));
    assert_eq!((found.equal, found.equal_normalised, found.different), (40, 9, 10));
    let rules = [
        (Rule::UnicodeForm, 1),
        (Rule::OuterWhitespace, 2),
        (Rule::EmptyIsNull, 1),
        (Rule::CaseOfChoice, 1),
        (Rule::RepeatedChoice, 1),
        (Rule::FlagHasNoNull, 1),
        (Rule::WholeSeconds, 1),
        (Rule::IdLength, 1),
    ];
    assert_eq!(found.rules, rules.into());
    let reasons = [
        (Reason::EmptyDoesNotClear, 1),
        (Reason::Case, 1),
        (Reason::TooLong, 1),
        (Reason::NullIsNotZero, 1),
        (Reason::Rounded, 1),
        (Reason::Currency, 1),
        (Reason::OneHour, 1),
        (Reason::OneDay, 1),
        (Reason::OtherRecord, 1),
        (Reason::Other, 2),
    ];
    assert_eq!(found.reasons(), reasons.into());
    // Without a version or a writer, a destination that changed later was skipped; "case" changed before its source.
    let faults = [
        (Fault::AmbiguousKey, 7),
        (Fault::Pending, 3),
        (Fault::NotSelected, 1),
        (Fault::Skipped, 9),
        (Fault::Unknown, 4),
    ];
    assert_eq!(found.faults, faults.into());
    let keys = |class: Class| {
        let of_class = found.samples.iter().filter(|sample| sample.class == class);
        of_class.map(|sample| sample.key.as_str()).collect::<Vec<_>>()
    };
    let (missing, different) = (keys(Class::Missing), keys(Class::Different));
    assert!(!format!("{found:?}").contains("Elm"), "a debug output shows no values");
    assert_eq!(missing, ["missing-1", "missing-2"]);
    let planted =
        ["case", "currency", "day", "hour", "kept", "other-id", "rounded", "too-long", "two", "zero"];
    assert_eq!(different, planted);
    assert!(!found.at_most && !found.is_within(&object));
    assert_eq!(found.copied, Some(at("2026-11-24T10:30:00Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_found_exactly_on_sqlite() {
    let folder = TempDir::new().unwrap();
    planted_differences_are_found(&twice(|| sqlite(&folder))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_found_exactly_on_postgresql() {
    let server = Postgres::start().unwrap();
    planted_differences_are_found(&twice(|| server.warehouse().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_cap_different_rows_are_at_most() {
    let folder = TempDir::new().unwrap();
    let warehouse = sqlite(&folder);
    plant(&warehouse).await;
    let object = object(Dialect::Sqlite, OBJECT);
    let (whole, capped) = (
        reconcile(&warehouse, &object, 1_000).await.unwrap(),
        reconcile(&warehouse, &object, 5).await.unwrap(),
    );
    assert!(capped.at_most && capped.different > whole.different, "{capped:?}");
    assert_eq!((capped.missing, capped.extra, capped.joined), (whole.missing, whole.extra, whole.joined));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_has_the_verdict_of_each_field() {
    let folder = TempDir::new().unwrap();
    let server = Postgres::start().unwrap();
    for warehouse in [sqlite(&folder), server.warehouse().unwrap()] {
        one_key_has_the_verdict_of_each_field_on(&warehouse).await;
    }
}

pub(crate) async fn one_key_has_the_verdict_of_each_field_on(warehouse: &Warehouse) {
    plant(warehouse).await;
    let object = object(warehouse.dialect(), OBJECT);
    let ask = async |key: &str| {
        let statement = statements(&object, warehouse.dialect()).one_key(key).unwrap().unwrap();
        read_records(&object, key, &Sent::default(), &warehouse.query(&statement).await.unwrap()).unwrap()
    };
    let two = ask(" two ").await;
    assert_eq!(two.len(), 1);
    let wrong: Vec<&str> = two[0]
        .fields
        .iter()
        .filter(|field| matches!(field.verdict, Verdict::Different(_)))
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!((wrong, two[0].fields.len()), (vec!["note_c", "live_c"], 9));
    let missing = ask("missing-1").await;
    assert!(missing[0].in_source && !missing[0].in_destination && missing[0].fields.is_empty());
    assert!(ask("missing-pending").await[0].pending && ask("held").await[0].not_selected);
    assert_eq!(
        (ask("twice-there").await.len(), ask("nowhere").await.len(), ask("gone").await.len()),
        (3, 0, 0)
    );
}

/// Ids of 15 and 18 characters, and whole numbers of both types, are the same key.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_kinds_are_joined_by_their_meaning() {
    let folder = TempDir::new().unwrap();
    let server = Postgres::start().unwrap();
    for warehouse in [sqlite(&folder), server.warehouse().unwrap()] {
        keys_are_joined_by_their_meaning_on(&warehouse).await;
    }
}

pub(crate) async fn keys_are_joined_by_their_meaning_on(warehouse: &Warehouse) {
    make(warehouse).await;
    let price = |digits: &str| syncwatch::sql::Decimal::parse(digits).unwrap().into();
    let here = [
        with(home("00300000003T2PG"), &[(6, price("7"))]),
        with(home("00300000003t2PG"), &[(6, price("8"))]),
    ];
    let there = [with(record("00300000003T2PGAA0"), &[(6, 7.0.into())])];
    insert(warehouse, "crm.rds.homes", SOURCE, &here).await;
    insert(warehouse, "crm.salesforce.home", DESTINATION, &there).await;
    let key = "key = { source = \"home_id\", destination = \"home_id_c\" }";
    assert!(OBJECT.contains(key));
    for (replacement, wanted) in [
        (
            "key = { source = \"home_id\", destination = \"home_id_c\", kind = \"salesforce-id\" }",
            "00300000003T2PGAA0",
        ),
        ("key = { source = \"price\", destination = \"price_c\", kind = \"integer\" }", "7"),
    ] {
        let object = object(warehouse.dialect(), &OBJECT.replacen(key, replacement, 1));
        let found = reconcile(warehouse, &object, 10).await.unwrap();
        assert_eq!((found.joined, found.missing, found.extra), (1, 1, 0), "{replacement}");
        let missing = found.samples.iter().find(|sample| sample.class == Class::Missing).unwrap();
        assert_eq!(missing.key, if wanted == "7" { "8" } else { "00300000003t2PG" });
        let statement = statements(&object, warehouse.dialect()).one_key(wanted).unwrap().unwrap();
        let records =
            read_records(&object, wanted, &Sent::default(), &warehouse.query(&statement).await.unwrap())
                .unwrap();
        assert!(
            matches!(records.as_slice(), [both] if both.in_source && both.in_destination),
            "{replacement}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_in_a_text_are_an_integer_key_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let warehouse = sqlite(&folder);
    make(&warehouse).await;
    let price = |digits: &str| syncwatch::sql::Decimal::parse(digits).unwrap().into();
    let here =
        ["7", "8", "-9", "10"].map(|digits| with(home(&format!("home {digits}")), &[(6, price(digits))]));
    let there = ["007", " 8", "-9", "10-1", "ten", "", "-"].map(record);
    insert(&warehouse, "crm.rds.homes", SOURCE, &here).await;
    insert(&warehouse, "crm.salesforce.home", DESTINATION, &there).await;
    let key = "key = { source = \"home_id\", destination = \"home_id_c\" }";
    let integer = "key = { source = \"price\", destination = \"home_id_c\", kind = \"integer\" }";
    let object = object(Dialect::Sqlite, &OBJECT.replacen(key, integer, 1));
    let found = reconcile(&warehouse, &object, 10).await.unwrap();
    assert_eq!((found.joined, found.missing, found.extra), (3, 1, 4), "{found:?}");
}

/// Fewer fields, for random tables.
const SIMPLE: &str = r#"
[[objects]]
name = "flats"
key = { source = "home_id", destination = "home_id_c" }
changed = { source = "changed" }
not_selected = [{ column = "state", equals = "hold" }]
fields = [
  { source = "note", destination = "note_c", kind = "text" },
  { source = "tags", destination = "tags_c", kind = "choices" },
  { source = "live", destination = "live_c", kind = "flag" },
  { source = "rent", destination = "rent_c", kind = "number", scale = 1 },
]
source = { table = "crm.rds.homes" }
destination = { table = "crm.salesforce.home" }
"#;

/// A row of either side: key, note, choices, flag, digits of a number, and whether it is pending and held back.
type Random = (Option<String>, Option<String>, Option<String>, Option<bool>, Option<String>, bool, bool);

fn random_rows() -> impl Strategy<Value = Vec<Random>> {
    let text = |all: &'static [&'static str]| {
        prop::option::weighted(0.9, prop::sample::select(all.to_vec()).prop_map(str::to_owned))
    };
    let row = (
        text(&["a", "b", "c", "d", "e", "f", " a", "  ", "A"]),
        text(&["", " ", "x", "x ", "\tx", "X", "e\u{301}", "\u{e9}", "x\r\ny", "x\ny"]),
        text(&["a;b", "b;a", "a; b", "a", "b;b", ";"]),
        prop::option::of(any::<bool>()),
        text(&["0", "0.5", "0.50", "1.25", "1.3", "-2"]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(row, 0..9)
}

fn words(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.clone()))
}

/// The fields of a row as values; the destination has numbers as doubles.
fn values(row: &Random) -> [Value; 4] {
    let live = row.3.map_or(Value::Null, Value::Boolean);
    let rent = row.4.as_ref().map_or(Value::Null, |digits| Value::Double(digits.parse().unwrap()));
    [words(row.1.as_ref()), words(row.2.as_ref()), live, rent]
}

#[derive(Debug, Default, PartialEq)]
struct Naive {
    joined: u64,
    missing: u64,
    missing_pending: u64,
    not_selected: u64,
    extra: u64,
    different: u64,
    reasons: BTreeMap<Reason, u64>,
    /// Rows that are equal or equal by a rule, if none is pending.
    equal: Option<(u64, u64)>,
}

/// Compares in memory, row by row.
fn naive(object: &Object, source: &[Random], destination: &[Random]) -> Naive {
    let key = |row: &Random| row.0.as_ref().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    let copies =
        |rows: &[Random], wanted: &str| rows.iter().filter(|row| key(row).as_deref() == Some(wanted)).count();
    let keys: BTreeSet<String> = source.iter().chain(destination).filter_map(key).collect();
    let (mut found, mut equal, mut same, mut any_pending) = (Naive::default(), 0, 0, false);
    for wanted in keys {
        if copies(source, &wanted) > 1 || copies(destination, &wanted) > 1 {
            continue;
        }
        let of = |rows: &[Random]| rows.iter().find(|row| key(row).as_deref() == Some(&wanted)).cloned();
        let (here, there) = (of(source), of(destination));
        match (here, there) {
            (Some(here), None) if here.6 => found.not_selected += 1,
            (Some(here), None) if here.5 => found.missing_pending += 1,
            (Some(_), None) => found.missing += 1,
            (None, _) => found.extra += 1,
            (Some(here), Some(there)) => {
                found.joined += 1;
                any_pending |= here.5;
                let pairs = values(&here).into_iter().zip(values(&there));
                let verdicts: Vec<Verdict> = object
                    .fields
                    .iter()
                    .zip(pairs)
                    .map(|(field, (a, b))| compare(&field.kind, &a, &b))
                    .collect();
                let reasons = verdicts.iter().filter_map(|verdict| match verdict {
                    Verdict::Different(reason) => Some(*reason),
                    _ => None,
                });
                let reasons: Vec<Reason> = reasons.collect();
                if here.5 {
                    continue;
                }
                found.different += u64::from(!reasons.is_empty());
                let is_same = verdicts.iter().any(|verdict| matches!(verdict, Verdict::EqualNormalised(_)));
                same += u64::from(reasons.is_empty() && is_same);
                equal += u64::from(reasons.is_empty() && !is_same);
                for reason in reasons {
                    *found.reasons.entry(reason).or_default() += 1;
                }
            }
        }
    }
    found.equal = (!any_pending).then_some((equal, same));
    found
}

/// Random tables give the counts of a comparison in memory, so SQL calls nothing equal that differs.
pub(crate) async fn random_tables_are_compared_as_in_memory(databases: &Databases, cases: u32) {
    let warehouse = &databases.warehouse;
    let object = object(warehouse.dialect(), SIMPLE);
    let mut runner = TestRunner::deterministic();
    for _ in 0..cases {
        let tree = (random_rows(), random_rows()).new_tree(&mut runner).unwrap();
        let (source, destination) = tree.current();
        make(warehouse).await;
        let line = |row: &Random, mut line: Line, is_source: bool| {
            let text = |text: &Option<String>| ParameterValue::Text(text.clone());
            line[0] = text(&row.0);
            line[1] = text(&row.1);
            line[3] = text(&row.2);
            line[4] = ParameterValue::Boolean(row.3);
            let rent = row.4.as_ref().map(|digits| digits.parse::<f64>().unwrap());
            line[5] = ParameterValue::Double(rent);
            if is_source {
                let digits = row.4.as_ref().map(|digits| syncwatch::sql::Decimal::parse(digits).unwrap());
                line[5] = ParameterValue::Decimal(digits);
                line[2] = if row.6 { "hold".into() } else { "A".into() };
                line[10] = at(if row.5 { "2026-11-24T11:45:00Z" } else { "2026-11-23T09:00:00Z" }).into();
            }
            line
        };
        let here: Vec<Line> = source.iter().map(|row| line(row, home(""), true)).collect();
        let there: Vec<Line> = destination.iter().map(|row| line(row, record(""), false)).collect();
        insert(warehouse, "crm.rds.homes", SOURCE, &here).await;
        insert(warehouse, "crm.salesforce.home", DESTINATION, &there).await;
        let found = reconcile(warehouse, &object, 1_000).await.unwrap();
        let expected = naive(&object, &source, &destination);
        for found in [found, as_streams(databases, &object, &Sent::default()).await] {
            let counted = Naive {
                joined: found.joined,
                missing: found.missing,
                missing_pending: found.missing_pending,
                not_selected: found.not_selected,
                extra: found.extra,
                different: found.different,
                reasons: found.reasons(),
                equal: expected.equal.map(|_| (found.equal, found.equal_normalised)),
            };
            assert_eq!(counted, expected, "{source:?}\n{destination:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_are_compared_as_in_memory_on_sqlite() {
    let folder = TempDir::new().unwrap();
    random_tables_are_compared_as_in_memory(&twice(|| sqlite(&folder)), 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_are_compared_as_in_memory_on_postgresql() {
    let server = Postgres::start().unwrap();
    random_tables_are_compared_as_in_memory(&twice(|| server.warehouse().unwrap()), 30).await;
}

/// An object with all that shows whose fault a row is.
const EXPLAINED: &str = r#"
[[objects]]
name = "lofts"
key = { source = "k", destination = "k_c" }
changed = { source = "changed", destination = "modified" }
syncs = ["properties-update"]
pending_for = "6h"
fields = [
  { source = "note", destination = "note_c", kind = "text" },
  { source = "changed", destination = "version_c", kind = "instant" },
]
[objects.source]
table = "crm.rds.lofts"
where = [{ column = "gone", not = true }]
[objects.destination]
table = "crm.salesforce.loft"
where = [{ column = "gone_c", not = true }]
deleted = "gone_c"
modified_by = "writer"
integration_users = ["0050000000AbCdEFGH"]
"#;

const LOFTS: &Columns<'static> =
    &[("k", "VARCHAR(9)"), ("note", "VARCHAR(9)"), ("changed", "TIMESTAMP"), ("gone", "BOOLEAN")];
const LOFTS_THERE: &Columns<'static> = &[
    ("k_c", "VARCHAR(9)"),
    ("note_c", "VARCHAR(9)"),
    ("version_c", "TIMESTAMP"),
    ("modified", "TIMESTAMP"),
    ("writer", "VARCHAR(18)"),
    ("gone_c", "BOOLEAN"),
];

/// A source row: key, note, when it changed (0: settled, 1: late, 2: just now), and whether it is gone.
type Here = (char, &'static str, usize, bool);
/// A row of the destination: key, note, whether it has the source's version, whether it was modified after all settled changes,
/// the writer (0: the sync, 1: another user, 2: unknown), and whether it is deleted.
type There = (char, &'static str, bool, bool, usize, bool);

const CHANGED: [&str; 3] = ["2026-11-22T09:00:00Z", "2026-11-24T05:00:00Z", "2026-11-24T11:45:00Z"];

/// Finds the fault of every row in memory. Key `a` was rejected, and the last successful run started at 04:00.
fn naive_faults(source: &[Here], destination: &[There]) -> BTreeMap<Fault, u64> {
    let mut faults = BTreeMap::new();
    for key in 'a'..='h' {
        let here: Vec<&Here> = source.iter().filter(|row| row.0 == key && !row.3).collect();
        let there: Vec<&There> = destination.iter().filter(|row| row.0 == key && !row.5).collect();
        let pending = |row: &Here| [None, Some(Fault::NotRun), Some(Fault::Pending)][row.2];
        let rejected = (key == 'a').then_some(Fault::Rejected);
        let fault = match (here.as_slice(), there.as_slice()) {
            ([], []) => continue,
            ([here], []) => {
                let is_deleted = destination.iter().any(|row| row.0 == key);
                let lost = if is_deleted { Fault::Deleted } else { Fault::Unknown };
                pending(here).or(rejected).unwrap_or(lost)
            }
            ([], [_]) if source.iter().any(|row| row.0 == key) => Fault::NotSelected,
            ([], [_]) => Fault::Unknown,
            ([here], [there]) if here.1 == there.1 && there.2 => continue,
            ([here], [there]) => pending(here).or(rejected).unwrap_or(match (there.3, there.2, there.4) {
                (true, true, 1) => Fault::EditedThere,
                (true, false, _) => Fault::Skipped,
                _ => Fault::Unknown,
            }),
            (here, there) => {
                let rows = u64::try_from(here.len() + there.len()).unwrap();
                *faults.entry(Fault::AmbiguousKey).or_default() += rows;
                continue;
            }
        };
        *faults.entry(fault).or_default() += 1;
    }
    faults
}

/// The lines of both tables. A version is that of the first source row of the key, else an old one.
fn lofts(source: &[Here], destination: &[There]) -> (Vec<Line>, Vec<Line>) {
    let here = |(key, note, changed, gone): &Here| -> Line {
        vec![key.to_string().into(), (*note).into(), at(CHANGED[*changed]).into(), (*gone).into()]
    };
    let there = |(key, note, newest, later, writer, gone): &There| -> Line {
        let of_key = source.iter().filter(|row| row.0 == *key);
        let version = of_key.min_by_key(|row| row.3).map_or(CHANGED[0], |row| CHANGED[row.2]);
        let version = if *newest { version } else { "2026-11-01T00:00:00Z" };
        let modified = if *later { "2026-11-23T00:00:00Z" } else { "2026-11-21T00:00:00Z" };
        // The sync's user has 15 characters here and 18 in the file.
        let writer = [Some("0050000000AbCdE"), Some("0050000000ZzZzZ"), None][*writer];
        vec![
            key.to_string().into(),
            (*note).into(),
            at(version).into(),
            at(modified).into(),
            ParameterValue::Text(writer.map(str::to_owned)),
            (*gone).into(),
        ]
    };
    (source.iter().map(here).collect(), destination.iter().map(there).collect())
}

pub(crate) async fn faults_are_those_found_in_memory(databases: &Databases, cases: u32) {
    use syncwatch::classify::ErrorClass;
    let warehouse = &databases.warehouse;
    let object = object(warehouse.dialect(), EXPLAINED);
    let sent = Sent {
        runs: [("properties-update".to_owned(), Some(at("2026-11-24T04:00:00Z")))].into(),
        rejected: [("a".to_owned(), ErrorClass::InvalidValue)].into(),
        ..Sent::default()
    };
    let note = || prop::sample::select(vec!["x", "y"]);
    let key = || prop::sample::select(('a'..='h').collect::<Vec<_>>());
    let flag = || prop::bool::weighted(0.3);
    // Mostly settled, and mostly edited by another user: the rarest fault.
    let (changed, writer) =
        (prop::sample::select(vec![0_usize, 0, 0, 1, 2]), prop::sample::select(vec![0_usize, 1, 1, 1, 2]));
    let rows = (
        prop::collection::vec((key(), note(), changed, flag()), 0..8),
        prop::collection::vec((key(), note(), any::<bool>(), any::<bool>(), writer, flag()), 0..8),
    );
    let mut runner = TestRunner::deterministic();
    let mut all: BTreeSet<Fault> = BTreeSet::new();
    for _ in 0..cases {
        let (source, destination) = rows.new_tree(&mut runner).unwrap().current();
        make_table(warehouse, "crm.rds.lofts", LOFTS).await;
        make_table(warehouse, "crm.salesforce.loft", LOFTS_THERE).await;
        let (here, there) = lofts(&source, &destination);
        insert(warehouse, "crm.rds.lofts", LOFTS, &here).await;
        insert(warehouse, "crm.salesforce.loft", LOFTS_THERE, &there).await;
        let found = objects::compare(databases, &object, &sent, Coverage::All, Arc::new(|_| ()), now())
            .await
            .unwrap();
        let streamed = as_streams(databases, &object, &sent).await;
        assert_eq!(streamed.look(), found.look());
        assert_eq!(Reconciliation { wrong: found.wrong.clone(), ..streamed }, found);
        assert_eq!(found.faults, naive_faults(&source, &destination), "{source:?}\n{destination:?}");
        let late = found.faults.get(&Fault::NotRun).copied().unwrap_or(0);
        assert_eq!(found.missing_late + found.different_late, late, "{source:?}\n{destination:?}");
        assert_eq!(found.all_wrong().rows(), found.missing + found.extra + found.different);
        all.extend(found.faults.keys());
    }
    assert_eq!(all.len(), 9, "a fault was never found: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_those_found_in_memory_on_sqlite() {
    let folder = TempDir::new().unwrap();
    faults_are_those_found_in_memory(&twice(|| sqlite(&folder)), 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_those_found_in_memory_on_postgresql() {
    let server = Postgres::start().unwrap();
    faults_are_those_found_in_memory(&twice(|| server.warehouse().unwrap()), 100).await;
}

/// One record is explained by its history.
#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_lost_update_shows_its_history_and_next_step() {
    let folder = TempDir::new().unwrap();
    let databases = twice(|| sqlite(&folder));
    let warehouse = &databases.warehouse;
    faults_are_those_found_in_memory(&databases, 150).await;
    let (here, there) = lofts(&[('q', "x", 0, false)], &[('q', "y", false, true, 1, false)]);
    insert(warehouse, "crm.rds.lofts", LOFTS, &here).await;
    insert(warehouse, "crm.salesforce.loft", LOFTS_THERE, &there).await;
    let mut pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
    pipeline.objects = vec![object(Dialect::Sqlite, EXPLAINED)];
    let asked = syncwatch_cli::Command::parse(&["reconcile", "--key", "q"]).unwrap();
    let syncwatch_cli::Command::Reconcile(asked) = asked else { panic!("{asked:?}") };
    for connection in [None, Some("again".to_owned())] {
        pipeline.objects[0].source.connection = connection;
        let answer =
            syncwatch_cli::reconcile::answer(&databases, None, &pipeline, &asked, now()).await.unwrap();
        for part in [
            "source last changed: 2026-11-22 09:00 UTC",
            "destination last changed: 2026-11-23 00:00 UTC by 0050000000ZzZzZ",
            "last successful run of properties-update: unknown",
            "why: skipped",
            "next step: touch the source row",
        ] {
            assert!(answer.text.contains(part), "{part}: {}", answer.text);
        }
        assert_eq!(answer.json["records"][0]["fault"], "skipped");
    }
}

/// The command on a real engine: values are hidden, and the exit code shows what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn command_hides_values_and_lists_wrong_records() {
    use syncwatch_cli::{Command, Outcome};
    let folder = TempDir::new().unwrap();
    let databases = only(sqlite(&folder));
    plant(&databases.warehouse).await;
    let mut pipeline = Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap();
    pipeline.objects = vec![object(Dialect::Sqlite, OBJECT)];
    let run = async |line: &[&str]| {
        let Command::Reconcile(asked) = Command::parse(line).unwrap() else { panic!("{line:?}") };
        syncwatch_cli::reconcile::answer(&databases, None, &pipeline, &asked, now()).await
    };
    let table = run(&["reconcile"]).await.unwrap();
    assert_eq!(table.outcome, Outcome::ToDo);
    assert!(table.text.contains("beyond limits") && !table.text.contains("Elm"), "{}", table.text);
    assert_eq!(table.json["objects"][0]["counts"]["different"], 10);
    assert!(run(&["reconcile", "--show"]).await.unwrap().text.contains("Elm"));
    let explained = run(&["reconcile", "--explain"]).await.unwrap();
    assert!(
        explained.text.contains("9 rows: skipped") && explained.text.contains("next step: touch"),
        "{}",
        explained.text
    );
    assert_eq!(explained.json["objects"][0]["faults"][3]["fault"], "skipped");
    let csv = run(&["reconcile", "homes", "--out", "csv"]).await.unwrap().text;
    assert!(csv.starts_with("\"object\",\"class\"") && csv.contains("\"missing-1\""), "{csv}");
    let jsonl = run(&["reconcile", "--out", "jsonl"]).await.unwrap().text;
    assert_eq!(jsonl.lines().count(), csv.lines().count() - 1);
    let equal = run(&["reconcile", "--key", "same-tab"]).await.unwrap();
    assert!(
        equal.outcome == Outcome::Done && equal.text.contains("equal (outer whitespace)"),
        "{}",
        equal.text
    );
    for key in ["two", "missing-1", "twice-there", "nowhere"] {
        assert_eq!(run(&["reconcile", "--key", key]).await.unwrap().outcome, Outcome::ToDo, "{key}");
    }
    assert!(run(&["reconcile", "other"]).await.unwrap_err().lines().contains("declared: homes"));
}

/// The seed's object on the tables of the lab: equal, with a lost update and a deleted record planted.
#[tokio::test(flavor = "multi_thread")]
async fn seeds_object_finds_a_lost_update_in_the_labs_tables() {
    use syncwatch_lab::properties::{PropertyWorld, Tables};
    let folder = TempDir::new().unwrap();
    let mut world = PropertyWorld::with(now(), 7, 800, 790, 10);
    let tables = Tables::create(sqlite(&folder), &mut world).await.unwrap();
    let warehouse = tables.warehouse();
    let object = object(Dialect::Sqlite, "");
    let healthy = reconcile(warehouse, &object, 50_000).await.unwrap();
    assert!(healthy.joined > 700, "{healthy:?}");
    let copies = object_name(Dialect::Sqlite, "crm.salesforce.product_property").unwrap();
    let run = async |sql: String| warehouse.execute(&Statement::new("a change", sql)).await.unwrap();
    let some =
        format!("SELECT MIN(id) FROM {copies} WHERE NOT _fivetran_deleted AND company_name_c IS NOT NULL");
    run(format!("UPDATE {copies} SET company_name_c = 'edited by hand' WHERE id = ({some})")).await;
    let broken = reconcile(warehouse, &object, 50_000).await.unwrap();
    assert_eq!(
        (broken.different + broken.different_pending, broken.joined),
        (healthy.different + healthy.different_pending + 1, healthy.joined)
    );
}

/// The counts that every night adds to.
fn counts(found: &Reconciliation) -> Vec<u64> {
    let Reconciliation { source, destination, .. } = found;
    let sides = [source, destination]
        .into_iter()
        .flat_map(|side| [side.rows, side.null_keys, side.ambiguous, side.repeated_keys, side.surplus]);
    let fields = found.fields.iter().map(|field| field.different);
    let rows = [
        found.joined,
        found.equal,
        found.equal_normalised,
        found.different,
        found.different_pending,
        found.missing,
        found.missing_pending,
        found.not_selected,
        found.extra,
        found.unequal(),
    ];
    sides.chain(fields).chain(rows).collect()
}

/// Compares every bucket in one database and as streams: together they find each wrong row once, and count as all keys at once.
pub(crate) async fn nights_together_are_one_comparison(databases: &Databases, object: &Object) {
    let mut streamed = object.clone();
    streamed.source.connection = Some("again".to_owned());
    for (object, of) in [(object, 2), (object, 7), (&streamed, 7)] {
        let compare = async |coverage| {
            let sent = Sent::default();
            objects::compare(databases, object, &sent, coverage, Arc::new(|_| ()), now()).await.unwrap()
        };
        let whole = compare(Coverage::All).await;
        let (mut sum, mut seen) = (vec![0; counts(&whole).len()], Vec::new());
        let mut buckets = 0;
        for number in 0..of {
            let coverage = Coverage::Bucket { number, of };
            let night = compare(coverage).await;
            assert_eq!(night.coverage, coverage);
            sum = sum.into_iter().zip(counts(&night)).map(|(a, b)| a + b).collect();
            seen.extend(night.look().to_bytes().chunks(8).map(<[u8]>::to_vec));
            buckets += usize::from(night.source.rows > 0);
        }
        assert_eq!(sum, counts(&whole), "{of}");
        seen.sort_unstable();
        let all: Vec<Vec<u8>> = whole.look().to_bytes().chunks(8).map(<[u8]>::to_vec).collect();
        assert_eq!(seen, all, "a wrong row is in no bucket, or in two");
        assert!(buckets > 1, "all keys are in one bucket");
    }
}

/// Keys of every kind that both sides write differently, each with another text on both sides; one of them is `missing`.
pub(crate) async fn buckets_are_those_of_keys_as_joined(databases: &Databases) {
    let warehouse = &databases.warehouse;
    plant(warehouse).await;
    nights_together_are_one_comparison(databases, &object(warehouse.dialect(), OBJECT)).await;
    let mut runner = TestRunner::deterministic();
    let keys = prop::collection::btree_set("[a-z0-9]{1,15}", 60..61).new_tree(&mut runner).unwrap().current();
    let declared = "key = { source = \"home_id\", destination = \"home_id_c\" }";
    let id = |n: usize| format!("003{n:012}");
    type Pair<'p> = &'p dyn Fn(usize, &str) -> [Line; 2];
    let kinds: [(&str, Pair<'_>); 4] = [
        ("home_id|home_id_c|text", &|_, key| [home(&format!(" {key}")), record(&format!("{key}  "))]),
        ("home_id|home_id_c|text-ignoring-case", &|_, key| [home(key), record(&key.to_uppercase())]),
        ("home_id|home_id_c|salesforce-id", &|n, _| [home(&id(n)), record(&format!("{}AAA", id(n)))]),
        ("price|price_c|integer", &|n, _| {
            let digits = syncwatch::sql::Decimal::parse(&format!("{}.00", n * 70)).unwrap();
            [with(home("x"), &[(6, digits.into())]), with(record("x"), &[(6, (n as f64 * 70.0).into())])]
        }),
    ];
    for (kind, pair) in kinds {
        let [source, destination, kind] = kind.split('|').collect::<Vec<_>>().try_into().unwrap();
        let key =
            format!("key = {{ source = \"{source}\", destination = \"{destination}\", kind = \"{kind}\" }}");
        let object = object(warehouse.dialect(), &OBJECT.replacen(declared, &key, 1));
        make(warehouse).await;
        let pairs: Vec<[Line; 2]> = keys.iter().enumerate().map(|(n, key)| pair(n, key)).collect();
        let here: Vec<Line> =
            pairs.iter().map(|[here, _]| with(here.clone(), &[(1, "Elm".into())])).collect();
        let there: Vec<Line> = pairs.iter().map(|[_, there]| there.clone()).collect();
        insert(warehouse, "crm.rds.homes", SOURCE, &here).await;
        insert(warehouse, "crm.salesforce.home", DESTINATION, &there).await;
        let whole = reconcile(warehouse, &object, 1_000).await.unwrap();
        assert_eq!((whole.joined, whole.different, whole.missing), (60, 60, 0), "{kind}");
        nights_together_are_one_comparison(databases, &object).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_those_of_keys_as_joined_on_sqlite() {
    let folder = TempDir::new().unwrap();
    buckets_are_those_of_keys_as_joined(&twice(|| sqlite(&folder))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_those_of_keys_as_joined_on_postgresql() {
    let server = Postgres::start().unwrap();
    buckets_are_those_of_keys_as_joined(&twice(|| server.warehouse().unwrap())).await;
}
