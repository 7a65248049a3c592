//! The pairs of values whose verdict is settled: one table for the tests of [`compare`](super::syncwatch::reconcile::compare()) and
//! of the statements on each engine, in `tests/it/pairs.rs`.

use jiff::tz::TimeZone;

use super::syncwatch::reconcile::{Authority, Field, KeyKind, Kind, Reason, Rule, Verdict, WhyNot};
use super::syncwatch::sql::{Decimal, Dialect, Value};

/// A pair: the records of one key on both sides, and the outcome of their comparison.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// Several pairs of a number are variants of it; 0 is beyond the numbered ones.
    pub(crate) number: u32,
    pub(crate) field: Field,
    pub(crate) key: KeyKind,
    pub(crate) source: Vec<Record>,
    pub(crate) destination: Vec<Record>,
    pub(crate) outcome: Outcome,
    /// Whether the values are in columns that no field compares.
    pub(crate) is_left_out: bool,
    /// The engines that answer otherwise, and the reason.
    pub(crate) except: Vec<(Dialect, Outcome, &'static str)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// `None` is NULL.
    pub(crate) key: Option<&'static str>,
    pub(crate) value: Value,
    pub(crate) currency: Option<&'static str>,
    /// Whether it changed five minutes ago.
    pub(crate) is_recent: bool,
}

/// The rows of a pair, by class, and the verdict if one is joined and settled.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Option<Verdict>,
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) ambiguous: u64,
    pub(crate) null_keys: u64,
    pub(crate) pending: u64,
    /// Whether the engine refuses a statement.
    pub(crate) fails: bool,
}

impl Pair {
    fn of(number: u32, kind: Kind, source: Value, destination: Value, outcome: Outcome) -> Self {
        let record = |value| Record { key: Some("P-1"), value, currency: None, is_recent: false };
        Self {
            number,
            field: field(kind),
            key: KeyKind::Text,
            source: vec![record(source)],
            destination: vec![record(destination)],
            outcome,
            is_left_out: false,
            except: Vec::new(),
        }
    }

    fn keys(number: u32, key: KeyKind, source: &[Option<&'static str>], outcome: Outcome) -> Self {
        let record = |key| Record { key, value: text("Oak"), currency: None, is_recent: false };
        let destination = if number == 42 { Vec::new() } else { vec![record(Some("AB1"))] };
        let source = source.iter().copied().map(record).collect();
        Self { key, source, destination, ..Self::of(number, TEXT, Value::Null, Value::Null, outcome) }
    }

    fn except(mut self, dialect: Dialect, outcome: Outcome, why: &'static str) -> Self {
        self.except.push((dialect, outcome, why));
        self
    }

    /// Returns the outcome on an engine.
    pub(crate) fn on(&self, dialect: Dialect) -> &Outcome {
        let other = self.except.iter().find(|(of, ..)| *of == dialect);
        other.map_or(&self.outcome, |(_, outcome, _)| outcome)
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict: Some(verdict), ..Self::default() }
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn exact(digits: &str) -> Value {
    Value::Decimal(Decimal::parse(digits).unwrap())
}

fn at(instant: &str) -> Value {
    Value::Timestamp(instant.parse().unwrap())
}

fn day(date: &str) -> Value {
    Value::Date(date.parse().unwrap())
}

pub(crate) const TEXT: Kind = Kind::Text { max_length: None };
pub(crate) const SHORT: Kind = Kind::Text { max_length: Some(10) };
pub(crate) const WHOLE: Kind = Kind::Number { scale: 0, round_to_scale: false };
pub(crate) const CENTS: Kind = Kind::Number { scale: 2, round_to_scale: false };
pub(crate) const ROUNDED: Kind = Kind::Number { scale: 2, round_to_scale: true };

pub(crate) fn choice(values: &[&str]) -> Kind {
    Kind::Choice { values: values.iter().map(|value| (*value).to_owned()).collect() }
}

pub(crate) fn date_in(zone: &str) -> Kind {
    Kind::Date { source_zone: Some(TimeZone::get(zone).unwrap()) }
}

/// A field of a kind, whose columns the caller sets.
pub(crate) fn field(kind: Kind) -> Field {
    Field {
        source: String::new(),
        destination: String::new(),
        kind,
        map: [].into(),
        authority: Authority::Source,
        currency: None,
    }
}

const FIFTEEN: &str =
    "it has no decimals: its ODBC driver writes them as doubles, and reads 15 digits of a double";
const CAST_FAILS: &str = "its cast of a text that is not of the type fails, so the object is not compared";

const MOVED: &str =
    "it has no type for a time that does not exist: its cast moves it by an hour, to the destination's";

/// The table.
pub(crate) fn pairs() -> Vec<Pair> {
    let mut pairs = texts();
    pairs.extend(numbers());
    pairs.extend(times());
    pairs.extend(records());
    pairs
}

fn texts() -> Vec<Pair> {
    use Verdict::{Different as X, Equal, EqualNormalised as Same};
    let null = || Value::Null;
    let table = [
        (1, TEXT, text("Oak Court"), text("Oak Court"), Equal),
        (2, TEXT, text(" Oak Court "), text("Oak Court"), Same(Rule::OuterWhitespace)),
        (3, TEXT, text("Oak Court\t\n"), text("Oak Court"), Same(Rule::OuterWhitespace)),
        (4, TEXT, text("Oak\u{a0}Court"), text("Oak Court"), X(Reason::InnerWhitespace)),
        (5, TEXT, text("Oak  Court"), text("Oak Court"), X(Reason::InnerWhitespace)),
        (6, TEXT, text(""), null(), Same(Rule::EmptyIsNull)),
        (7, TEXT, text("   "), null(), Same(Rule::EmptyIsNull)),
        (8, TEXT, text(""), text("Old Name"), X(Reason::EmptyDoesNotClear)),
        (9, TEXT, null(), text("Old Name"), X(Reason::NotCleared)),
        (10, TEXT, text("Old Name"), null(), X(Reason::Lost)),
        (11, TEXT, text("oak court"), text("Oak Court"), X(Reason::Case)),
        (12, TEXT, text("Cafe\u{301}"), text("Caf\u{e9}"), Same(Rule::UnicodeForm)),
        (13, SHORT, text("Oak Court Apartments"), text("Oak Court "), X(Reason::Cut)),
        (14, SHORT, text("Oak Court Apartments"), text("Elm Court"), X(Reason::TooLong)),
        (15, TEXT, text("a\r\nb"), text("a\nb"), Same(Rule::LineEnds)),
        (16, TEXT, text("123"), text("0123"), X(Reason::LeadingZero)),
        (17, Kind::RichText, text("<p>Hi&nbsp;there</p>"), text("<p>Hi there</p>"), Same(Rule::Markup)),
        (17, TEXT, text("<p>Hi&nbsp;there</p>"), text("<p>Hi there</p>"), X(Reason::Other)),
        (25, Kind::Flag, null(), Value::Boolean(false), Same(Rule::FlagHasNoNull)),
        (26, Kind::Flag, null(), Value::Boolean(true), X(Reason::Other)),
        (27, Kind::Flag, Value::Integer(1), Value::Boolean(true), Equal),
        (28, choice(&[]), text("warm"), text("Warm"), Same(Rule::CaseOfChoice)),
        (30, choice(&["Warm", "Cold"]), text("Hot"), text("Warm"), X(Reason::RejectedChoice)),
        (31, Kind::Choices, text("a;b"), text("b;a"), Same(Rule::OrderOfChoices)),
        (32, Kind::Choices, text("a;b;b"), text("a;b"), Same(Rule::RepeatedChoice)),
        (33, Kind::Choices, text("a;b"), text("a"), X(Reason::MissingChoice)),
        (39, Kind::SalesforceId, text("00300000003T2PG"), text("00300000003T2PGAA0"), Same(Rule::IdLength)),
        (40, Kind::SalesforceId, text("00300000003t2pG"), text("00300000003T2PGAA0"), X(Reason::OtherRecord)),
        (0, Kind::Phone, text("(415) 555-0100"), text("415.555.0100"), Same(Rule::PhoneFormat)),
        (0, Kind::Phone, text("+1 415 555 0100"), text("415 555 0100"), X(Reason::Other)),
        (0, Kind::Choices, text("a"), text("a;b"), X(Reason::ExtraChoice)),
    ];
    let of = |(number, kind, source, destination, verdict): (u32, Kind, Value, Value, Verdict)| {
        Pair::of(number, kind, source, destination, verdict.into())
    };
    let mapped = Pair::of(29, choice(&[]), text("A"), text("Active"), Equal.into());
    let map = [("A".to_owned(), "Active".to_owned())].into();
    let mapped = Pair { field: Field { map, ..mapped.field }, ..mapped };
    table.into_iter().map(of).chain([mapped]).collect()
}

fn numbers() -> Vec<Pair> {
    use Verdict::{Different as X, Equal, EqualNormalised as Same};
    let table = [
        (18, CENTS, exact("10.5"), exact("10.50"), Equal),
        (19, CENTS, exact("237.631"), Value::Double(237.631), Equal),
        (20, CENTS, exact("237.631"), exact("237.63"), X(Reason::Rounded)),
        (20, ROUNDED, exact("237.631"), exact("237.63"), Same(Rule::RoundToScale)),
        (
            22,
            WHOLE,
            Value::Integer(9_999_999_999_999_999),
            Value::Integer(10_000_000_000_000_000),
            X(Reason::Beyond15Digits),
        ),
        (23, CENTS, Value::Null, exact("0"), X(Reason::NullIsNotZero)),
        (24, CENTS, Value::Double(-0.0), exact("0"), Equal),
    ];
    let of = |(number, kind, source, destination, verdict): (u32, Kind, Value, Value, Verdict)| {
        Pair::of(number, kind, source, destination, verdict.into())
    };
    let amount = |currency, pair: &Record| Record { currency: Some(currency), ..pair.clone() };
    let money =
        Pair::of(43, Kind::Money { scale: 2 }, exact("10.00"), exact("10.00"), X(Reason::Currency).into());
    let money = Pair {
        field: Field { currency: Some((String::new(), String::new())), ..money.field },
        source: money.source.iter().map(|record| amount("EUR", record)).collect(),
        destination: money.destination.iter().map(|record| amount("USD", record)).collect(),
        ..money
    };
    let unreadable = Verdict::NotEvaluated(WhyNot::Unreadable);
    let unreadable = Pair::of(0, CENTS, text("1,5"), exact("1.5"), unreadable.into());
    let as_equal = || Outcome::from(Equal);
    let float = Pair::of(
        21,
        CENTS,
        Value::Double(0.300_000_000_000_000_04),
        exact("0.3"),
        Same(Rule::BinaryFloat).into(),
    );
    let long = Pair::of(
        22,
        WHOLE,
        exact("9999999999999999"),
        exact("10000000000000000"),
        X(Reason::Beyond15Digits).into(),
    );
    let more = [money, fails(unreadable)];
    let long = [float, long].map(|pair| pair.except(Dialect::Sqlite, as_equal(), FIFTEEN));
    table.into_iter().map(of).chain(more).chain(long).collect()
}

fn times() -> Vec<Pair> {
    use Verdict::{Different as X, Equal, EqualNormalised as Same, NotEvaluated};
    let instants = |number, source, destination, verdict: Verdict| {
        Pair::of(number, Kind::Instant, source, destination, verdict.into())
    };
    let skipped = || text("2026-03-08T02:30:00 America/Los_Angeles");
    let no_such_time = NotEvaluated(WhyNot::NoSuchTime);
    let moved = || Outcome::from(Equal);
    let utc = date_in("UTC");
    let los_angeles = date_in("America/Los_Angeles");
    let evening = || at("2026-03-10T03:30:00Z");
    vec![
        instants(34, at("2026-11-01T08:00:00.987Z"), at("2026-11-01T08:00:00Z"), Same(Rule::WholeSeconds)),
        instants(35, text("2026-11-01T01:30:00-07:00"), at("2026-11-01T09:30:00Z"), X(Reason::OneHour)),
        instants(36, skipped(), at("2026-03-08T09:30:00Z"), no_such_time),
        instants(36, skipped(), at("2026-03-08T10:30:00Z"), no_such_time)
            .except(Dialect::PostgreSql, moved(), MOVED)
            .except(Dialect::Databricks, moved(), MOVED),
        Pair::of(37, los_angeles, evening(), day("2026-03-09"), Equal.into()),
        Pair::of(38, utc, evening(), day("2026-03-09"), X(Reason::OneDay).into()),
        fails(instants(0, text("soon"), Value::Null, NotEvaluated(WhyNot::Unreadable))),
        instants(
            0,
            text("2026-11-01 01:30:00 America/Los_Angeles"),
            Value::Null,
            NotEvaluated(WhyNot::RepeatedTime),
        ),
    ]
}

/// The pair has a text that is not of the field's kind.
fn fails(pair: Pair) -> Pair {
    let fails = || Outcome { fails: true, ..Outcome::default() };
    pair.except(Dialect::PostgreSql, fails(), CAST_FAILS).except(Dialect::Databricks, fails(), CAST_FAILS)
}

fn records() -> Vec<Pair> {
    let ambiguous = Outcome { ambiguous: 3, ..Outcome::default() };
    let one_missing = Outcome { missing: 1, ..Verdict::Equal.into() };
    let no_key = Outcome { null_keys: 1, ..Outcome::default() };
    let formula = Pair::of(44, TEXT, exact("1"), exact("2"), Verdict::Equal.into());
    let pending = Outcome { pending: 1, ..Outcome::default() };
    let mut pending = Pair::of(45, TEXT, text("New Name"), text("Old Name"), pending);
    pending.source.iter_mut().for_each(|record| record.is_recent = true);
    vec![
        Pair::keys(41, KeyKind::TextIgnoringCase, &[Some("Ab1"), Some("AB1")], ambiguous),
        Pair::keys(41, KeyKind::Text, &[Some("Ab1"), Some("AB1")], one_missing),
        Pair::keys(42, KeyKind::Text, &[None], no_key),
        Pair { is_left_out: true, ..formula },
        pending,
    ]
}
