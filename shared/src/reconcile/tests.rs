#[expect(dead_code, reason = "the rest is for the statements, in tests/it/pairs.rs")]
mod pairs;
pub(crate) mod planted;
mod streams;

use proptest::prelude::*;

use super::normal::steps;
use super::*;
use crate as syncwatch;
use crate::pipeline::Pipeline;
use crate::sql::{Dialect, Value, check_read_only, render};
use pairs::{CENTS, ROUNDED, SHORT, TEXT, WHOLE, choice, date_in, exact, pairs, text};
use planted::{Row, answer, object, planted, planted_beside, rows};

/// The pairs of values by `compare`; those of keys and of pending rows are properties of statements.
#[test]
fn each_pair_has_its_verdict() {
    let mut numbers = std::collections::BTreeSet::new();
    for pair in pairs() {
        numbers.insert(pair.number);
        let ([source], [destination], false) = (&pair.source[..], &pair.destination[..], pair.is_left_out)
        else {
            continue;
        };
        let currencies = [source, destination].map(|record| record.currency.map(text));
        let verdict = pair.field.compare(
            Cell { value: &source.value, currency: currencies[0].as_ref() },
            Cell { value: &destination.value, currency: currencies[1].as_ref() },
        );
        assert!(pair.outcome.verdict.is_none_or(|expected| expected == verdict), "{pair:?}: {verdict:?}");
    }
    assert_eq!(numbers, (0..=45).collect());
}

#[test]
fn markup_is_left_out_but_no_text() {
    let same =
        |a, b| matches!(compare(&Kind::RichText, &text(a), &text(b)), Verdict::EqualNormalised(Rule::Markup));
    assert!(same("<b>H</b>i<br/>you", "<p>Hi</p>\n<p>you</p>"));
    assert!(same("a &lt; b &#38; c&#x21;", "a < b &amp; c!"));
    assert!(!same("&lt;b&gt;x", "<b>x"), "an escaped tag is text");
    assert!(!same("a&amp;nbsp;b", "a&nbsp;b"), "an escaped entity is text");
    assert!(!same("Hi", "Hi<p>there"));
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        TEXT,
        SHORT,
        Kind::RichText,
        choice(&[]),
        choice(&["a", "B"]),
        Kind::Choices,
        Kind::Flag,
        WHOLE,
        CENTS,
        ROUNDED,
        Kind::Money { scale: 2 },
        Kind::Instant,
        date_in("America/Los_Angeles"),
        Kind::SalesforceId,
        Kind::Phone,
    ])
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        "[ abAB;\t\u{a0}0]{0,4}".prop_map(Value::Text),
        "(<p>|<b>|&amp;|&nbsp;|&#769;|<|>|&|;|e|\u{301}|\u{130}|\r|\n|[aA1+-]){0,6}".prop_map(Value::Text),
        "[0-9A-Za-z]{15}([0-9A-Z]{3})?".prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer),
        (-3_i64..4).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Double),
        "-?[0-3]{1,2}[.][0-9]{0,4}".prop_map(|digits| exact(&digits)),
        any::<bool>().prop_map(Value::Boolean),
        (0_i64..20_000_000).prop_map(|ms| Value::Timestamp(jiff::Timestamp::from_millisecond(ms).unwrap())),
        Just(Value::Unreadable),
    ]
}

fn normal(kind: &Kind, text: &str) -> Option<String> {
    steps(kind).try_fold(text.to_owned(), |text, (_, step)| step(&text))
}

proptest! {
    #[test]
    fn normal_form_of_a_normal_form_is_itself(
        kind in kinds(),
        any in "(<p>|</b>|&amp;|&lt;|&nbsp;|&#769;|&|;|e|\u{301}|\u{130}|[ \r\n\t]|\\PC){0,12}",
    ) {
        let once = normal(&kind, &any);
        let twice = once.as_deref().and_then(|text| normal(&kind, text));
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn exchanged_sides_are_as_equal_and_by_the_same_rule(kind in kinds(), a in values(), b in values()) {
        let (one, other) = (compare(&kind, &a, &b), compare(&kind, &b, &a));
        match one {
            Verdict::Different(_) => prop_assert!(matches!(other, Verdict::Different(_))),
            Verdict::NotEvaluated(_) => prop_assert!(matches!(other, Verdict::NotEvaluated(_))),
            same => prop_assert_eq!(same, other),
        }
    }

    #[test]
    fn value_equals_itself_unless_it_is_unreadable(kind in kinds(), a in values()) {
        prop_assert!(matches!(compare(&kind, &a, &a), Verdict::Equal | Verdict::NotEvaluated(_)));
    }
}

const DIALECTS: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

fn settled() -> jiff::Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

/// A horizon with every instant.
fn horizon() -> Horizon {
    Horizon { settled: settled(), late: Some(settled()), ran: Some(settled()) }
}

fn seed() -> Object {
    Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap().objects.remove(0)
}

/// The seed's object with a field of every kind.
fn every_kind() -> Object {
    let mut object = seed();
    let user = "0050000000AbCdEFGH".to_owned();
    object.destination.modified_by = Some(ModifiedBy {
        column: "last_modified_by_id".to_owned(),
        integration_users: vec![user],
        users: None,
    });
    for (place, kind) in ALL.iter().enumerate() {
        let is_money = matches!(kind, Kind::Money { .. });
        object.fields.push(Field {
            source: format!("a{place}"),
            destination: format!("a{place}_c"),
            kind: kind.clone(),
            map: [("A".to_owned(), "Active; --".to_owned())].into(),
            authority: Authority::Source,
            currency: is_money.then(|| ("unit".to_owned(), "unit_c".to_owned())),
        });
    }
    object
}

const ALL: [Kind; 9] = [
    TEXT,
    Kind::RichText,
    Kind::Choices,
    Kind::Flag,
    CENTS,
    Kind::Money { scale: 2 },
    Kind::Instant,
    Kind::SalesforceId,
    Kind::Phone,
];

#[test]
fn statements_only_read_and_bind_every_value() {
    let object = every_kind();
    for dialect in DIALECTS {
        let statements = Statements::new(&object, dialect, horizon());
        let mut all = vec![statements.repeated_keys().unwrap(), statements.one_key("P'1").unwrap().unwrap()];
        for repeated in [false, true] {
            all.extend([statements.counts(repeated).unwrap(), statements.samples(repeated, 10).unwrap()]);
        }
        for statement in all {
            let names: Vec<&str> = statement.parameters().iter().map(|bound| bound.name.as_str()).collect();
            check_read_only(statement.sql(), dialect, &names).unwrap();
            render(&statement, dialect).unwrap();
            assert!(
                !statement.sql().contains("Active")
                    && !statement.sql().contains("005000")
                    && !statement.sql().contains("P'1")
            );
        }
    }
}

/// The other two dialects run on real engines in `tests/it/reconcile.rs`.
#[test]
fn statements_of_the_seed_for_databricks() {
    let object = seed();
    let statements = Statements::new(&object, Dialect::Databricks, settled());
    let all = [
        statements.repeated_keys().unwrap(),
        statements.counts(false).unwrap(),
        statements.samples(true, MOST_JUDGED).unwrap(),
    ];
    let lines = all.map(|statement| format!("-- {}\n{}", statement.label(), statement.sql())).join("\n");
    insta::assert_snapshot!(lines);
}

#[test]
fn key_of_another_kind_has_no_statement() {
    let object = Object { key: KeyKind::Integer, ..seed() };
    let statements = Statements::new(&object, Dialect::Databricks, settled());
    assert!(statements.one_key("P-1").unwrap().is_none() && statements.one_key("12").unwrap().is_some());
}

const COUNTS: [&str; 20] = [
    "source_rows",
    "destination_rows",
    "source_null_keys",
    "destination_null_keys",
    "source_ambiguous",
    "destination_ambiguous",
    "joined",
    "not_selected",
    "missing",
    "missing_pending",
    "extra",
    "different",
    "different_pending",
    "normalised",
    "different_0",
    "same_0",
    "empty_0",
    "missing_late",
    "different_late",
    "not_run",
];

/// Reads counts of one text field and one different row with these values.
fn read(counts: [i64; 20], source: &str, destination: &str) -> Result<Reconciliation, NotCompared> {
    let object = object();
    let statements = Statements::new(&object, Dialect::PostgreSql, settled());
    let repeated = answer(&["side", "k", "repeated_keys", "repeated_rows"], Vec::new());
    let counts = answer(&COUNTS, vec![counts.map(Value::Integer).to_vec()]);
    let row = |class: &str, key: &str, differs: i64| {
        let clues = [Value::Null, Value::Null, Value::Integer(0), Value::Integer(0)];
        let mut row = vec![text(class), text(key), Value::Integer(0), Value::Integer(differs)];
        row.extend([text(source), text(destination)]);
        row.extend(clues);
        row
    };
    let rows = vec![row("different", "P-1", 1), row("missing", "P-2", 0), row("extra", "P-3", 0)];
    let columns =
        ["class", "k", "normalised", "x0", "sv0", "dv0", "later", "by_integration", "left_out", "deleted"];
    let samples = answer(&columns, rows);
    Reconciliation::read(&object, &statements, &Sent::default(), [&repeated, &counts, &samples], 10)
}

const GOOD: [i64; 20] = [6, 5, 0, 0, 0, 0, 4, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0];

#[test]
fn row_that_differs_only_in_sql_is_moved_to_its_rule() {
    let different = read(GOOD, "Oak", "Elm").unwrap();
    assert_eq!((different.equal, different.equal_normalised, different.different), (2, 1, 1));
    assert_eq!(different.reasons(), [(Reason::Other, 1)].into());
    let same = read(GOOD, "Oak\t", "Oak").unwrap();
    assert_eq!((same.equal, same.equal_normalised, same.different), (2, 2, 0));
    assert_eq!((same.rules, same.fields[0].different), ([(Rule::OuterWhitespace, 2)].into(), 0));
}

#[test]
fn violated_invariant_is_an_error_that_names_it() {
    for (place, named) in [
        (0, "the rows of the source"),
        (1, "the rows of the destination"),
        (6, "the rows of the source"),
        (8, "missing rows and their samples"),
        (10, "extra rows and their samples"),
        (11, "different rows and their samples"),
        (14, "the reasons of different values"),
        (18, "pending and late rows"),
    ] {
        let mut counts = GOOD;
        counts[place] += 1;
        let error = read(counts, "Oak", "Elm").unwrap_err().to_string();
        assert!(error.contains(named), "{place}: {error}");
        assert!(!error.contains("Oak") && !error.contains("P-1"), "{error}");
    }
}

#[test]
fn limits_decide_whether_a_comparison_is_good() {
    let found = read(GOOD, "Oak", "Elm").unwrap();
    let within = |missing, extra, different_percent| {
        found.is_within(&Object { limits: Limits { missing, extra, different_percent }, ..seed() })
    };
    assert!(within(1, 1, 25.0));
    assert!(!within(0, 1, 25.0) && !within(1, 0, 25.0) && !within(1, 1, 24.9));
}

#[test]
fn side_with_authority_decides_the_reason_and_maps_are_applied() {
    let mut field = every_kind().fields.remove(2);
    let value = |value: &'static str| if value.is_empty() { Value::Null } else { text(value) };
    let verdict = |field: &Field, source: &'static str, destination: &'static str| {
        let (source, destination) = (value(source), value(destination));
        let cell = |value| Cell { value, currency: None };
        field.compare(cell(&source), cell(&destination))
    };
    assert_eq!(verdict(&field, "A", "Active; --"), Verdict::Equal);
    assert_eq!(verdict(&field, "Oak", ""), Verdict::Different(Reason::Lost));
    field.authority = Authority::Destination;
    assert_eq!(verdict(&field, "Oak", ""), Verdict::Different(Reason::NotCleared));
}

#[test]
fn row_is_confirmed_if_two_looks_saw_the_same_values() {
    let [elm, ash] = ["Elm", "Ash"].map(|value| Row { value, ..rows(Class::Different, 1).remove(0) });
    let [missing, extra] =
        [Class::Missing, Class::Extra].map(|class| Row { key: elm.key.clone(), ..rows(class, 1).remove(0) });
    let table = [(&elm, &elm, true), (&elm, &ash, false), (&elm, &missing, false), (&extra, &missing, false)];
    for (before, after, is_confirmed) in table {
        let [before, after] = [before, after].map(|row| planted(std::slice::from_ref(row), 10));
        for (one, other) in [(&before, &after), (&after, &before)] {
            let found = other.confirmed(&one.look());
            assert_eq!((found.rows(), found.once), if is_confirmed { (1, 0) } else { (0, 1) });
        }
    }
    let both = planted(&rows(Class::Different, 2), 10);
    let found = both.confirmed(&both.look());
    assert_eq!((found.different, found.fields), (2, [("company_name_c".to_owned(), 2)].into()));
    assert_eq!(found.faults, [((Class::Different, Fault::Unknown), 2)].into());
}

#[test]
fn field_is_systematic_from_five_percent_and_twenty_rows() {
    for (different, joined, is_systematic) in [(20, 400, true), (20, 401, false), (19, 19, false)] {
        let found = planted(&rows(Class::Different, different), joined);
        assert_eq!(!found.systematic.is_empty(), is_systematic, "{different} of {joined}");
        let fault = if is_systematic { Fault::Mapping } else { Fault::Unknown };
        assert_eq!(found.faults.keys().copied().collect::<Vec<_>>(), [fault]);
    }
}

#[test]
fn rejected_key_has_its_class_in_any_form_of_the_key() {
    let record = |identifier: &str, status: &str| crate::observation::RejectedRecord {
        identifier: Some(identifier.to_owned()),
        operation: None,
        status: status.to_owned(),
        message: None,
    };
    let mut sent = Sent::default();
    sent.add_rejected(KeyKind::Text, &[record(" P-missing-0 ", "NULL"), record("P-9", "DUPLICATE")]);
    let found = planted_beside(&rows(Class::Missing, 2), 5, [0; 4], &sent, 10);
    assert_eq!(found.faults, [(Fault::Rejected, 1), (Fault::Unknown, 1)].into());
    assert_eq!(found.rejections, [(crate::classify::ErrorClass::RequiredFieldMissing, 1)].into());
    assert_eq!(found.samples[0].rejected, Some(crate::classify::ErrorClass::RequiredFieldMissing));
    let id = "00300000003T2PGAA0";
    sent.add_rejected(KeyKind::SalesforceId, &[record(id, "NULL")]);
    assert!(sent.rejected.contains_key("00300000003T2PG"));
}

#[test]
fn change_is_settled_by_the_earliest_of_runs_and_settle_time() {
    let time = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    let now = time("2026-11-24T12:00:00Z");
    let object = seed();
    let sent = |runs: [Option<&str>; 2]| Sent {
        runs: object.syncs.iter().cloned().zip(runs.map(|run| run.map(time))).collect(),
        moved: object.syncs.iter().cloned().zip(runs.into_iter().flatten().map(time)).collect(),
        ..Sent::default()
    };
    // The seed settles in two hours.
    let table = [
        (Sent::default(), "2026-11-24T10:00:00Z"),
        (sent([Some("2026-11-24T11:30:00Z"), Some("2026-11-24T11:45:00Z")]), "2026-11-24T10:00:00Z"),
        (sent([Some("2026-11-24T09:30:00Z"), Some("2026-11-24T11:45:00Z")]), "2026-11-24T09:28:00Z"),
        (sent([Some("2026-11-24T11:30:00Z"), None]), "1970-01-01T00:00:00Z"),
    ];
    for (sent, settled) in table {
        let horizon = Horizon::of(&object, &sent, now);
        assert_eq!((horizon.settled, horizon.late), (time(settled), Some(time("2026-11-24T06:00:00Z"))));
    }
    // The copy may be four hours older than the newest run.
    let runs = sent([Some("2026-11-24T11:30:00Z"), None]);
    assert_eq!(check_copy(&object, &runs, Some(time("2026-11-24T07:30:00Z")), now), Ok(()));
    let stale = check_copy(&object, &runs, Some(time("2026-11-24T07:29:59Z")), now);
    assert!(matches!(stale, Err(NotCompared::Stale { .. })));
    assert_eq!(check_copy(&object, &runs, None, now), Ok(()));
    // Runs that moved nothing leave nothing to copy.
    let quiet = Sent { moved: [].into(), ..runs };
    assert_eq!(check_copy(&object, &quiet, Some(time("2026-11-20T00:00:00Z")), now), Ok(()));
    assert_eq!(check_copy(&object, &Sent::default(), Some(time("2026-11-24T08:00:00Z")), now), Ok(()));
}

#[test]
fn rows_beyond_the_cap_are_counted_as_not_examined() {
    let found = planted_beside(&rows(Class::Missing, 5), 10, [0; 4], &Sent::default(), 3);
    assert_eq!((found.missing, found.unexamined, found.look().rows()), (5, 2, 3));
    assert_eq!(found.faults, [(Fault::Unknown, 3)].into());
}

fn wrong_rows() -> impl Strategy<Value = Vec<Row>> {
    let clue = || prop::option::of(any::<bool>());
    let row = (
        prop::sample::select(Class::ALL.to_vec()),
        prop::sample::select(vec!["Elm", "Ash"]),
        clue(),
        clue(),
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        let row = |(n, (class, value, later, by_integration, left_out, deleted))| Row {
            class,
            key: format!("P-{n}"),
            value,
            later,
            by_integration,
            left_out,
            deleted,
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

proptest! {
    #[test]
    fn planted_rows_are_all_found_and_have_one_fault_each(
        rows in wrong_rows(),
        apart in prop::array::uniform4(0_i64..5),
    ) {
        let found = planted_beside(&rows, 100, apart, &Sent::default(), 1_000);
        let apart = u64::try_from(apart.into_iter().sum::<i64>()).unwrap();
        let planted = u64::try_from(rows.len()).unwrap();
        prop_assert_eq!(found.missing + found.extra + found.different, planted);
        prop_assert_eq!(found.faults.values().sum::<u64>(), planted + apart);
        prop_assert_eq!(found.unequal(), planted + apart);
        prop_assert_eq!(found.all_wrong().faults.values().sum::<u64>(), planted);
    }

    #[test]
    fn order_of_rows_changes_neither_look_nor_faults(
        (rows, shuffled) in wrong_rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        seen in 0_usize..60,
    ) {
        let [one, other] = [&rows, &shuffled].map(|rows| planted(rows, 100));
        prop_assert_eq!(one.look(), other.look());
        prop_assert_eq!(&one.faults, &other.faults);
        let earlier = planted(rows.get(..seen).unwrap_or(&rows), 100);
        let confirmed = one.confirmed(&earlier.look());
        prop_assert_eq!(&confirmed, &other.confirmed(&earlier.look()));
        prop_assert_eq!(confirmed.rows(), u64::try_from(seen.min(rows.len())).unwrap());
        let bytes = one.look().to_bytes();
        prop_assert_eq!(bytes.len(), 8 * rows.len());
        prop_assert_eq!(Look::from_bytes(&bytes), Some(one.look()));
        prop_assert_eq!(Look::from_bytes(bytes.get(1..).unwrap_or(&[0])), None);
    }
}
