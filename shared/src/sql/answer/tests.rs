use super::*;

fn decimal(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).unwrap())
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn answer(dialect: Dialect, values: &[(&str, Value)]) -> Answer {
    let columns =
        values.iter().map(|(name, _)| Column { name: (*name).to_owned(), kind: Kind::Text }).collect();
    let row = values.iter().map(|(_, value)| value.clone()).collect();
    Answer::new(&Statement::new("coverage", "SELECT 1"), dialect, columns, vec![row])
}

fn read<T: FromValue>(dialect: Dialect, value: Value) -> Option<T> {
    answer(dialect, &[("x", value)]).only_row().unwrap().get("x").ok()
}

#[test]
fn numbers_are_never_read_with_loss() {
    use Dialect::PostgreSql;
    assert_eq!(read::<i64>(PostgreSql, Value::Integer(-7)), Some(-7));
    assert_eq!(read::<i64>(PostgreSql, decimal("18722.00")), Some(18722));
    assert_eq!(read::<i64>(PostgreSql, decimal("0.5")), None);
    assert_eq!(read::<i64>(PostgreSql, Value::Double(7.0)), None);
    assert_eq!(read::<f64>(PostgreSql, Value::Integer(7)), Some(7.0));
    assert_eq!(read::<f64>(PostgreSql, Value::Integer(i64::MAX)), None);
    assert_eq!(read::<f64>(PostgreSql, decimal("0.25")), Some(0.25));
    assert_eq!(read::<Decimal>(PostgreSql, Value::Integer(7)), Decimal::parse("7"));
    assert_eq!(read::<Decimal>(PostgreSql, Value::Double(0.5)), None);
}

#[test]
fn text_is_not_converted_where_columns_have_types() {
    for dialect in [Dialect::PostgreSql, Dialect::Databricks] {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(read::<i64>(dialect, text("7")), None);
        assert_eq!(read::<f64>(dialect, text("7")), None);
        assert_eq!(read::<bool>(dialect, text("true")), None);
        assert_eq!(read::<bool>(dialect, Value::Integer(1)), None);
        assert_eq!(read::<Date>(dialect, text("2026-03-08")), None);
        assert_eq!(read::<Timestamp>(dialect, text("2026-03-08 10:00:00")), None);
        assert_eq!(read::<String>(dialect, Value::Integer(7)), None);
        assert_eq!(read::<String>(dialect, text("7")), Some("7".to_owned()));
    }
}

#[test]
fn sqlite_values_are_converted_to_the_expected_type() {
    let text = |text: &str| Value::Text(text.to_owned());
    let sqlite = Dialect::Sqlite;
    assert_eq!(read::<Date>(sqlite, text("2026-03-08")).unwrap().to_string(), "2026-03-08");
    assert_eq!(
        read::<Timestamp>(sqlite, text("2026-03-08 10:00:00.25")),
        Some(instant("2026-03-08T10:00:00.25Z"))
    );
    assert_eq!(read::<bool>(sqlite, Value::Integer(1)), Some(true));
    assert_eq!(read::<bool>(sqlite, Value::Integer(2)), None);
    assert_eq!(read::<i64>(sqlite, Value::Double(7.0)), Some(7));
    assert_eq!(read::<i64>(sqlite, Value::Double(7.5)), None);
    assert_eq!(read::<Decimal>(sqlite, Value::Double(12.5)), Decimal::parse("12.5"));
    assert_eq!(read::<i64>(sqlite, text("seven")), None);
}

#[test]
fn only_an_option_reads_null() {
    for dialect in [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite] {
        assert_eq!(read::<Option<i64>>(dialect, Value::Null), Some(None));
        assert_eq!(read::<i64>(dialect, Value::Null), None);
        assert_eq!(read::<Option<String>>(dialect, Value::Integer(1)), None);
    }
}

#[test]
fn read_error_names_statement_column_and_types_but_no_value() {
    let answer = answer(
        Dialect::PostgreSql,
        &[
            ("Company", Value::Text("ACME".to_owned())),
            ("gone", Value::Null),
            ("a", Value::Null),
            ("A", Value::Null),
        ],
    );
    let row = answer.only_row().unwrap();
    let errors = [
        row.get::<i64>("company").unwrap_err(),
        row.get::<Timestamp>("gone").unwrap_err(),
        row.get::<i64>("nowhere").unwrap_err(),
        row.get::<i64>("a").unwrap_err(),
        Answer { rows: vec![], ..answer.clone() }.only_row().unwrap_err(),
    ];
    insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"), @r"
    coverage: column Company holds text, expected integer; correct the view or the check
    coverage: column gone holds NULL, expected timestamp; correct the view or the check
    coverage: unexpected answer at nowhere: no such column
    coverage: unexpected answer at a: two columns of that name
    coverage: returned 0 rows, expected one row; correct the statement or the data that it reads
    ");
    assert_eq!(row.get::<String>("COMPANY").unwrap(), "ACME");
    assert!(!format!("{answer:?} {row:?}").contains("ACME"));
}

#[test]
fn instant_is_read_by_its_offset_or_the_session_zone() {
    let los_angeles = TimeZone::get("America/Los_Angeles").unwrap();
    let parse = |text: &str, zone: &TimeZone| match Value::parse(Kind::Timestamp, text, zone) {
        Some(Value::Timestamp(instant)) => Some(instant.to_string()),
        _ => None,
    };
    for (text, in_utc, in_los_angeles) in [
        ("2026-11-25T00:00:00.000Z", Some("2026-11-25T00:00:00Z"), Some("2026-11-25T00:00:00Z")),
        ("2026-11-25 00:00:00+01:00", Some("2026-11-24T23:00:00Z"), Some("2026-11-24T23:00:00Z")),
        ("2026-11-25 00:00:00", Some("2026-11-25T00:00:00Z"), Some("2026-11-25T08:00:00Z")),
        (
            "2026-11-25 00:00:00.123456",
            Some("2026-11-25T00:00:00.123456Z"),
            Some("2026-11-25T08:00:00.123456Z"),
        ),
        // Clocks skip 2:30 when they go forward, and repeat 1:30 when they go back.
        ("2026-03-08 02:30:00", Some("2026-03-08T02:30:00Z"), None),
        ("2026-11-01 01:30:00", Some("2026-11-01T01:30:00Z"), None),
        ("2026-11-01 02:30:00", Some("2026-11-01T02:30:00Z"), Some("2026-11-01T10:30:00Z")),
        ("yesterday", None, None),
        ("", None, None),
    ] {
        assert_eq!(parse(text, &TimeZone::UTC).as_deref(), in_utc, "{text}");
        assert_eq!(parse(text, &los_angeles).as_deref(), in_los_angeles, "{text}");
    }
}

#[test]
fn value_of_another_type_than_its_column_is_none() {
    for (kind, text) in [
        (Kind::Integer, "1.5"),
        (Kind::Integer, "9223372036854775808"),
        (Kind::Double, "many"),
        (Kind::Decimal, "NaN"),
        (Kind::Timestamp, "infinity"),
        // Later than the last supported instant.
        (Kind::Timestamp, "9999-12-31 23:59:59"),
        (Kind::Boolean, "yes"),
        (Kind::Date, "2026-02-30"),
    ] {
        assert_eq!(Value::parse(kind, text, &TimeZone::UTC), None, "{text}");
    }
}
