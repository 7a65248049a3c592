//! The safe form of SQL: values that a statement calls equal are never different by `compare`, on random and nasty values.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use syncwatch::reconcile::{Authority, Cell, Field, KeyKind, Kind, Side, Statements, Verdict};
use syncwatch::sql::{Decimal, Dialect, Value};
use syncwatch::warehouse::Warehouse;
use syncwatch_lab::engines::{self, Postgres};
use tempfile::TempDir;

use crate::pairs::{bound, declared};
use crate::reconcile::{Line, at, insert, make_table};

const SOURCE: &str = "crm.rds.safe";
const DESTINATION: &str = "crm.salesforce.safe";

/// A field, the types of its two columns, and pairs of values.
struct Compared {
    field: Field,
    types: [&'static str; 2],
    values: BoxedStrategy<(Value, Value)>,
}

fn compared(kind: Kind, types: [&'static str; 2], values: BoxedStrategy<(Value, Value)>) -> Compared {
    let map = match kind {
        Kind::Choice { .. } => [("a".to_owned(), "Active".to_owned())].into(),
        _ => [].into(),
    };
    let currency = matches!(kind, Kind::Money { .. }).then(|| ("unit".to_owned(), "unit".to_owned()));
    let column = || "v".to_owned();
    let authority = Authority::Source;
    let field = Field { source: column(), destination: column(), kind, map, authority, currency };
    Compared { field, types, values }
}

/// Values of both sides: mostly two forms of the same.
fn forms<T: Clone + std::fmt::Debug + 'static>(
    same: impl Strategy<Value = T> + Clone + 'static,
    form: impl Fn(T) -> BoxedStrategy<Value> + Clone + 'static,
    other: impl Fn(T) -> BoxedStrategy<Value> + Clone + 'static,
) -> BoxedStrategy<(Value, Value)> {
    let (form_too, other_too) = (form.clone(), other.clone());
    let pairs = same.clone().prop_flat_map(move |value| (form(value.clone()), other(value)));
    let apart = (same.clone(), same).prop_flat_map(move |(a, b)| (form_too(a), other_too(b)));
    let null = |value: BoxedStrategy<(Value, Value)>| {
        (value, prop::bool::weighted(0.05), prop::bool::weighted(0.05)).prop_map(|((a, b), no_a, no_b)| {
            (if no_a { Value::Null } else { a }, if no_b { Value::Null } else { b })
        })
    };
    null(prop_oneof![3 => pairs, 1 => apart].boxed()).boxed()
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

/// Marks that surround a text: blanks, other white space, what is none, and a mark that combines with the character before it.
fn around() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "", "", "", " ", "  ", "\t", "\n", "\u{a0}", "\u{2003}", "\u{3000}", "\u{200b}", "\u{feff}",
        "\u{301}",
    ])
}

fn surrounded(text: String) -> BoxedStrategy<Value> {
    (around(), around())
        .prop_map(move |(before, after)| Value::Text(format!("{before}{text}{after}")))
        .boxed()
}

fn texts(core: impl Strategy<Value = String> + Clone + 'static) -> BoxedStrategy<(Value, Value)> {
    forms(core, surrounded, surrounded)
}

const NASTY: &str = "(a|A|0|e|\u{e9}|\u{301}|\u{130}|\u{131}|\u{df}|\u{17f}|\u{212a}|\u{1f3e0}| |\t|\r|\n|\u{a0}|\u{2028}|;|<p>|&lt;|&|'|\"|\\\\){0,4}";

fn nasty() -> impl Strategy<Value = String> + Clone {
    prop::string::string_regex(NASTY).unwrap().boxed()
}

/// Ids of 15 characters, some with three or so more.
fn ids() -> BoxedStrategy<(Value, Value)> {
    let suffix = || one_of(&["", "AA0", "IAZ", "AA", "A\t", "\t\t\t", "AA\u{a0}", "\u{301}AA", "   "]);
    let form = move |id: String| surrounded_by_suffix(id, suffix());
    let core = prop::sample::select(vec![
        "00300000003T2PG",
        "00300000003t2PG",
        "\t0300000003T2PG",
        "00300000003T2P\u{a0}",
    ]);
    forms(core.prop_map(str::to_owned), form, form)
}

fn surrounded_by_suffix(id: String, suffix: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Value> {
    (suffix, around()).prop_map(move |(suffix, after)| Value::Text(format!("{id}{suffix}{after}"))).boxed()
}

/// A number as text: digits, an exponent, a sign, zeros and blanks around it.
fn number_text(digits: String) -> BoxedStrategy<Value> {
    let written = prop::sample::select(vec![0, 1, 2, 3, 4, 5]);
    written
        .prop_map(move |form| {
            let negative = digits.strip_prefix('-');
            let (sign, plain) = (if negative.is_some() { "-" } else { "" }, negative.unwrap_or(&digits));
            Value::Text(match form {
                0 => digits.clone(),
                1 => format!("{digits}e0"),
                2 => format!(" {sign}0{plain} "),
                3 if plain.contains('.') => format!("{digits}00"),
                4 if !plain.contains('.') => format!("{sign}{plain}0E-1"),
                5 if negative.is_none() => format!("+{digits}"),
                _ => digits.clone(),
            })
        })
        .boxed()
}

#[expect(clippy::needless_pass_by_value, reason = "`forms` takes functions of owned text")]
fn exact(digits: String) -> BoxedStrategy<Value> {
    Just(Value::Decimal(Decimal::parse(&digits).unwrap())).boxed()
}

/// The nearest double, or one beside it.
#[expect(clippy::needless_pass_by_value, reason = "`forms` takes functions of owned text")]
fn double(digits: String) -> BoxedStrategy<Value> {
    let near: f64 = digits.parse().unwrap();
    prop_oneof![2 => Just(near), 1 => Just(near.next_up()), 1 => Just(near.next_down())]
        .prop_map(|number| Value::Double(if number.abs() < 1e-15 { 0.0 } else { number }))
        .boxed()
}

#[expect(clippy::needless_pass_by_value, reason = "`forms` takes functions of owned text")]
fn whole(digits: String) -> BoxedStrategy<Value> {
    Just(Value::Integer(digits.split('.').next().unwrap().parse().unwrap_or(7))).boxed()
}

fn digits() -> impl Strategy<Value = String> + Clone {
    let known = one_of(&[
        "0",
        "-0",
        "1",
        "10.5",
        "237.63",
        "237.631",
        "0.1",
        "0.3",
        "0.30000000000000004",
        "2.5",
        "2.675",
        "-2.5",
        "9007199254740993",
        "9007199254740992",
        "9999999999999999",
        "10000000000000000",
        "123456789012345678",
    ]);
    prop_oneof![known, prop::string::string_regex("-?[1-9][0-9]{0,15}[.][0-9]{1,9}").unwrap()].boxed()
}

/// Instants around both changes of the clocks in Los Angeles, and midnight there and in UTC.
fn instants() -> impl Strategy<Value = jiff::Timestamp> + Clone {
    let near = prop::sample::select(vec![
        "2026-03-08T10:00:00Z",
        "2026-03-08T08:00:00Z",
        "2026-11-01T09:00:00Z",
        "2026-11-01T08:00:00Z",
        "2026-11-01T07:00:00Z",
        "2026-11-02T08:00:00Z",
        "2026-03-09T07:00:00Z",
        "2026-03-08T00:00:00Z",
        "1969-12-31T23:59:59Z",
    ]);
    let micros = prop::sample::select(vec![
        0_i64,
        1,
        500_000,
        999_999,
        1_000_000,
        -1,
        3_600_000_000,
        -3_600_000_000,
        1_800_000_000,
        86_400_000_000,
    ]);
    (near, micros).prop_map(|(near, micros)| at(near) + SignedDuration::from_micros(micros))
}

fn instant(at: jiff::Timestamp) -> BoxedStrategy<Value> {
    Just(Value::Timestamp(at)).boxed()
}

/// An instant as text: in UTC, with an offset, with more digits than engines keep.
fn instant_text(at: jiff::Timestamp) -> BoxedStrategy<Value> {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    let local = at.to_zoned(zone);
    let texts = vec![
        at.to_string(),
        at.to_string().replace('T', " ").replace('Z', ""),
        local.strftime("%Y-%m-%d %H:%M:%S%.f%:z").to_string(),
        local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        at.strftime("%Y-%m-%d %H:%M:%S.9999999Z").to_string(),
        at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        local.strftime("%Y-%m-%d %H:%M:%S America/Los_Angeles").to_string(),
    ];
    prop::sample::select(texts).prop_map(Value::Text).boxed()
}

fn day(at: jiff::Timestamp) -> BoxedStrategy<Value> {
    let utc = at.to_zoned(TimeZone::UTC).date();
    prop_oneof![Just(utc), Just(utc.yesterday().unwrap())].prop_map(Value::Date).boxed()
}

fn day_text(at: jiff::Timestamp) -> BoxedStrategy<Value> {
    let date = at.to_zoned(TimeZone::UTC).date();
    one_of(&["", " "]).prop_map(move |blank| Value::Text(format!("{blank}{date}"))).boxed()
}

fn flags() -> BoxedStrategy<(Value, Value)> {
    let word =
        one_of(&["true", "TRUE", "t", "T", "1", "0", "f", "False", "", " ", " true", "\ttrue", "yes", "1.0"]);
    let text = |text: String| Just(Value::Text(text)).boxed();
    let flag =
        |text: String| Just(Value::Boolean(matches!(text.trim(), "true" | "TRUE" | "t" | "1"))).boxed();
    forms(word, text, flag)
}

fn all() -> Vec<Compared> {
    const TEXT: [&str; 2] = ["VARCHAR(80)"; 2];
    let number = |scale| Kind::Number { scale, round_to_scale: false };
    let date_in = |zone| Kind::Date { source_zone: Some(TimeZone::get(zone).unwrap()) };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut all = vec![
        compared(Kind::Text { max_length: None }, TEXT, texts(nasty())),
        compared(Kind::Text { max_length: Some(2) }, TEXT, texts(nasty())),
        compared(Kind::RichText, TEXT, texts(nasty())),
        compared(Kind::Choices, TEXT, texts(one_of(&["a;b", "b;a", "a; b", "a;b;b", "A;b", ";", ""]))),
        compared(
            Kind::Choice { values: words(&["Active", "B"]) },
            TEXT,
            texts(one_of(&["a", "A", "Active", "b", "B", "active", ""])),
        ),
        compared(
            Kind::Phone,
            TEXT,
            texts(one_of(&["+1 415 555 0100", "(415) 555-0100", "415.555.0100", "+14155550100", "x"])),
        ),
        compared(Kind::SalesforceId, TEXT, ids()),
        compared(Kind::Flag, ["VARCHAR(80)", "BOOLEAN"], flags()),
        compared(Kind::Money { scale: 2 }, ["DECIMAL(38, 18)", "DOUBLE"], forms(digits(), exact, double)),
        compared(Kind::Instant, ["TIMESTAMP"; 2], forms(instants(), instant, instant)),
        compared(Kind::Instant, ["VARCHAR(80)", "TIMESTAMP"], forms(instants(), instant_text, instant)),
        compared(Kind::Instant, TEXT, forms(instants(), instant_text, instant_text)),
        compared(Kind::Date { source_zone: None }, ["DATE"; 2], forms(instants(), day, day)),
        compared(Kind::Date { source_zone: None }, ["VARCHAR(80)", "DATE"], forms(instants(), day_text, day)),
        compared(Kind::Date { source_zone: None }, ["TIMESTAMP", "DATE"], forms(instants(), instant, day)),
    ];
    for zone in ["America/Los_Angeles", "UTC", "Asia/Kolkata"] {
        all.push(compared(date_in(zone), ["TIMESTAMP", "DATE"], forms(instants(), instant, day)));
        // Engines cut or round the seventh digit of a second, and so may a day.
        let text = |at| {
            instant_text(at)
                .prop_filter("a seventh digit", |value| !format!("{value:?}").contains(".9999999"))
        };
        let text = move |at| text(at).boxed();
        all.push(compared(date_in(zone), ["VARCHAR(80)", "DATE"], forms(instants(), text, day)));
    }
    for scale in [0, 2, 18] {
        let kind = || number(scale);
        all.push(compared(kind(), TEXT, forms(digits(), number_text, number_text)));
        all.push(compared(kind(), ["VARCHAR(80)", "DOUBLE"], forms(digits(), number_text, double)));
        all.push(compared(kind(), ["DECIMAL(38, 18)", "DOUBLE"], forms(digits(), exact, double)));
        all.push(compared(kind(), ["DECIMAL(38, 18)", "VARCHAR(80)"], forms(digits(), exact, number_text)));
        all.push(compared(kind(), ["DOUBLE"; 2], forms(digits(), double, double)));
        all.push(compared(kind(), ["BIGINT", "DOUBLE"], forms(digits(), whole, double)));
    }
    all
}

/// Some amounts have another currency on each side.
fn unit(number: usize, side: usize) -> &'static str {
    if number % 50 == side { "USD" } else { "EUR" }
}

/// A value as the column has it. It is not read back, as SQLite's driver reads 15 digits of a double.
fn stored(value: &Value, sql_type: &str, dialect: Dialect) -> Value {
    match value {
        // SQLite has no decimals.
        Value::Decimal(number) if dialect == Dialect::Sqlite && sql_type.starts_with("DECIMAL") => {
            Value::Double(number.as_str().parse().unwrap())
        }
        other => other.clone(),
    }
}

/// Compares random pairs of every kind in SQL, and those that it calls equal with `compare`. One object has all of the fields.
pub(crate) async fn equal_in_sql_is_never_different(warehouse: &Warehouse, rows: usize) {
    let (all, dialect) = (all(), warehouse.dialect());
    let mut runner = TestRunner::deterministic();
    let mut pairs = || -> Vec<(Value, Value)> {
        all.iter().map(|compared| compared.values.new_tree(&mut runner).unwrap().current()).collect()
    };
    let pairs: Vec<Vec<(Value, Value)>> = (0..rows).map(|_| pairs()).collect();
    let names: Vec<String> = (0..all.len()).map(|place| format!("v{place}")).collect();
    for (side, table) in [SOURCE, DESTINATION].into_iter().enumerate() {
        let values = names.iter().zip(&all).map(|(name, compared)| (name.as_str(), compared.types[side]));
        let columns: Vec<(&str, &'static str)> =
            [("k", "VARCHAR(20)"), ("unit", "VARCHAR(3)")].into_iter().chain(values).collect();
        let line = |(number, pairs): (usize, &Vec<(Value, Value)>)| -> Line {
            let mut line: Line = vec![format!("P-{number}").into(), unit(number, side).into()];
            line.extend(pairs.iter().zip(&all).map(|((here, there), compared)| {
                bound(if side == 0 { here } else { there }, compared.types[side])
            }));
            line
        };
        let lines: Vec<Line> = pairs.iter().enumerate().map(line).collect();
        make_table(warehouse, table, &columns).await;
        insert(warehouse, table, &columns, &lines).await;
    }
    let side = |table: &str| Side {
        connection: None,
        table: table.to_owned(),
        key: "k".to_owned(),
        filter: Vec::new(),
        changed: None,
        synced: None,
        deleted: None,
        created: None,
        modified_by: None,
    };
    let field = |(name, compared): (&String, &Compared)| Field {
        source: name.clone(),
        destination: name.clone(),
        ..compared.field.clone()
    };
    let fields = names.iter().zip(&all).map(field).collect();
    let object = declared([side(SOURCE), side(DESTINATION)], fields, KeyKind::Text);
    let statements = Statements::new(&object, dialect, at("2026-11-24T11:00:00Z"));
    let samples = warehouse.query(&statements.samples(false, rows).unwrap()).await.unwrap();
    let differs: BTreeSet<(String, usize)> = samples
        .rows()
        .flat_map(|row| {
            let differs = |place: &usize| row.get::<i64>(&format!("x{place}")).unwrap() == 1;
            let key: String = row.get("k").unwrap();
            (0..all.len()).filter(differs).map(move |place| (key.clone(), place)).collect::<Vec<_>>()
        })
        .collect();
    let (mut wrong, mut equal) = (Vec::new(), vec![0; all.len()]);
    for (number, pairs) in pairs.iter().enumerate() {
        for (place, (compared, (here, there))) in all.iter().zip(pairs).enumerate() {
            if differs.contains(&(format!("P-{number}"), place)) {
                continue;
            }
            equal[place] += 1;
            let [here, there] =
                [(here, 0), (there, 1)].map(|(value, side)| stored(value, compared.types[side], dialect));
            let currency =
                |side| compared.field.currency.as_ref().map(|_| Value::Text(unit(number, side).to_owned()));
            let [of_source, of_destination] = [0, 1].map(currency);
            let verdict = compared.field.compare(
                Cell { value: &here, currency: of_source.as_ref() },
                Cell { value: &there, currency: of_destination.as_ref() },
            );
            if let Verdict::Different(reason) = verdict {
                let named = format!("{:?} of {:?}", compared.field.kind, compared.types);
                wrong.push(format!("{named}: {here:?} and {there:?} are different: {reason:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} pairs\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal.iter().all(|equal| *equal < rows), "{equal:?}");
    // SQLite has no zones, and compares no text with a number: there `compare` judges every row of some kinds.
    assert!(equal.iter().sum::<usize>() * 10 > rows * all.len(), "{equal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_in_sql_is_never_different_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let warehouse = engines::sqlite(&folder.path().join("warehouse.db")).unwrap();
    equal_in_sql_is_never_different(&warehouse, 250).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_in_sql_is_never_different_on_postgresql() {
    let server = Postgres::start().unwrap();
    equal_in_sql_is_never_different(&server.warehouse().unwrap(), 250).await;
}
