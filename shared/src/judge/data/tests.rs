use crate::data_checks::{DataCheck, compile, filters};
use crate::finding::Outcome;
use crate::finding::{Judge, SubjectKind};
use crate::pipeline::Pipeline;
use crate::sql::{Dialect, Error, ErrorKind};
use jiff::tz::TimeZone;

use super::*;

fn seed() -> Vec<DataCheck> {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap().checks
}

fn now() -> Timestamp {
    "2026-11-24T11:00:00Z".parse().unwrap()
}

/// The number of findings: one for each check, and one for the filters of each that has some.
fn judged_of(checks: &[DataCheck]) -> usize {
    let with_filters = checks.iter().filter(|check| filters(check).next().is_some());
    checks.len() + with_filters.count()
}

fn scans(checks: &[DataCheck]) -> Vec<Scan<'_>> {
    compile(checks, Dialect::Databricks, &TimeZone::UTC, now()).unwrap()
}

fn failing(checks: &[DataCheck], error: &Error) -> Vec<String> {
    let mut answers = vec![Some(Err(error.clone())), None, None, None].into_iter();
    let looked: Vec<Looked<'_>> =
        scans(checks).into_iter().map(|scan| Looked { scan, answer: answers.next().unwrap() }).collect();
    judge_round(&looked, Extent::Whole, now()).iter().map(ToString::to_string).collect()
}

const STATEMENT: &str = "checks of crm.rds.properties";

#[test]
fn down_warehouse_is_one_finding_that_blocks_every_check() {
    let checks = seed();
    let error = ErrorKind::Unreachable { detail: "connection refused".to_owned() }.of(STATEMENT);
    let found = failing(&checks, &error);
    assert_eq!(found.len(), 1 + judged_of(&checks));
    assert!(found[0].starts_with("warehouse-reachable warehouse: error, unavailable ("), "{}", found[0]);
    for line in found.iter().skip(1) {
        assert!(line.ends_with("not evaluated, blocked by warehouse-reachable of warehouse"), "{line}");
    }
}

#[test]
fn invalid_secret_is_one_finding() {
    let checks = seed();
    let findings = judge_closed(&scans(&checks), "secret syncwatch/warehouse: it is empty");
    assert_eq!(findings.iter().filter(|finding| finding.is_unhealthy()).count(), 1);
    assert!(findings[0].to_string().contains("secret syncwatch/warehouse: it is empty"), "{}", findings[0]);
    assert_eq!(findings.len(), 1 + judged_of(&checks));
}

#[test]
fn missing_view_is_one_finding_that_names_it() {
    let checks = seed();
    let error = ErrorKind::MissingObject { message: "no crm.rds.properties".to_owned() }.of(STATEMENT);
    let found = failing(&checks, &error);
    assert!(found[0].contains("1 of 4 statements failed") && found[0].contains("no crm.rds.properties"));
    assert!(found[1].contains("coverage properties-coverage: not evaluated, unreadable"), "{}", found[1]);
    assert!(found[2].ends_with("blocked by coverage of properties-coverage"), "{}", found[2]);
}

#[test]
fn round_of_one_check_never_passes_the_warehouse() {
    let checks = seed();
    let one = &checks[..1];
    let answer = Err(ErrorKind::PermissionDenied { message: "no SELECT".to_owned() }.of(STATEMENT));
    let looked = vec![Looked { scan: scans(one).remove(0), answer: Some(answer) }];
    let findings = judge_round(&looked, Extent::OneCheck, now());
    assert_eq!(findings.len(), judged_of(one));
    assert!(findings.iter().all(|finding| matches!(finding.outcome, Outcome::NotEvaluated { .. })));
    let whole = judge_round(&looked, Extent::Whole, now());
    assert_eq!(whole.iter().filter(|finding| finding.is_unhealthy()).count(), 1);
}

#[test]
fn warehouse_that_was_not_queried_is_not_judged() {
    assert_eq!(judge_round(&[], Extent::Whole, now()), []);
}

#[test]
fn every_data_check_is_judged_by_daily_validation() {
    for check in seed() {
        let of_data = Check::of(Judge::DailyValidation, SubjectKind::Data);
        assert!(of_data.into_iter().any(|known| known == check.check()), "{}", check.name);
    }
}

#[test]
fn cause_of_outages_and_failures_depends_on_their_kind() {
    let cause = |kinds: Vec<ErrorKind>| {
        let troubles: Vec<Trouble> = kinds.into_iter().map(|kind| Trouble::Failed(kind.of("s"))).collect();
        match judge_warehouse(4, &troubles).outcome {
            Outcome::Unhealthy { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    };
    let message = String::new;
    let table = [
        (ErrorKind::Refused, "The credentials expired"),
        (ErrorKind::Blocked { message: message() }, "An IP access list"),
        (ErrorKind::NoAccess { message: message() }, "The account lost access"),
        (ErrorKind::DriverMissing { detail: message() }, "The function was built"),
        (ErrorKind::Cancelled, "The warehouse is stopped"),
        (ErrorKind::PermissionDenied { message: message() }, "A permission is missing"),
        (ErrorKind::MissingObject { message: message() }, "A table, view or column was renamed"),
        (ErrorKind::TypeMismatch { message: message() }, "The type of a column"),
        (ErrorKind::NotTheForm { expected: "one row", found: message() }, "A custom query does not return"),
        (ErrorKind::TooManyRows { limit: 1 }, "A table, view or column changed"),
    ];
    for (kind, expected) in table {
        let found = cause(vec![kind.clone()]);
        assert!(found.starts_with(expected), "{kind:?}: {found}");
        assert_eq!(cause(vec![kind.clone(), kind]), found, "each cause once");
    }
    let both = cause(vec![
        ErrorKind::PermissionDenied { message: message() },
        ErrorKind::MissingObject { message: message() },
    ]);
    assert!(
        both.contains("A permission is missing") && both.contains(". A table, view or column was renamed"),
        "{both}"
    );
    // An outage is reported before the failure of a single statement.
    let down = cause(vec![ErrorKind::MissingObject { message: message() }, ErrorKind::Refused]);
    assert!(down.starts_with("The credentials"), "{down}");
    assert!(Trouble::Closed(message()).is_of_the_warehouse());
}

#[test]
fn warehouse_finding_names_every_failure_once() {
    let missing = |table: &str| ErrorKind::MissingObject { message: format!("no {table}") };
    let kinds = [missing("a"), ErrorKind::Refused, missing("b")];
    let troubles = kinds.map(|kind| Trouble::Failed(kind.of("s")));
    let Outcome::Unhealthy { evidence, .. } = judge_warehouse(4, &troubles).outcome else {
        panic!("not unhealthy");
    };
    assert!(evidence.summary.contains(&troubles[1].to_string()), "{}", evidence.summary);
    let others: Vec<String> =
        evidence.figures.iter().filter(|figure| figure.name == "also failed").map(Figure::text).collect();
    assert_eq!(others, [&troubles[0], &troubles[2]].map(ToString::to_string));
}

#[test]
fn custom_query_is_judged_only_by_one_finite_number() {
    let rule = Rule::CustomSql { sql: "SELECT 1".to_owned(), min: Some(-1.0), max: Some(10.0) };
    let check = DataCheck { rule, filter: Vec::new(), ..seed().remove(0) };
    let decimal = |text| sql::Value::Decimal(sql::Decimal::parse(text).unwrap());
    let table = [
        (sql::Value::Double(7.5), "healthy, query result is 7.5 (expected -1 to 10)"),
        (sql::Value::Double(10.5), "query result is 10.5 (expected"),
        (sql::Value::Integer(7), "healthy, query result is 7 (expected"),
        (decimal("7.50"), "healthy, query result is 7.5 (expected"),
        // The -0 of a sum or a quotient is shown as 0.
        (sql::Value::Double(-0.0), "healthy, query result is 0 (expected"),
        (decimal("-0.00"), "healthy, query result is 0 (expected"),
        // NaN is neither below nor above a limit.
        (sql::Value::Double(f64::NAN), "not evaluated, unreadable"),
        (sql::Value::Double(f64::INFINITY), "not evaluated, unreadable"),
        (sql::Value::Text("7".to_owned()), "not evaluated, unreadable"),
        (sql::Value::Null, "not evaluated, query result unknown"),
    ];
    let checks = [check];
    let scan = scans(&checks).remove(0);
    let found = |columns: &[&str], rows| judge(&scan, &Ok(answer_of(columns, rows)), now())[0].to_string();
    for (value, expected) in table {
        let shown = format!("{value:?}");
        let found = found(&["n"], vec![vec![value]]);
        assert!(found.contains(expected), "{shown}: {found}");
    }
    let one = || sql::Value::Integer(1);
    for (columns, rows) in [
        (&["a", "b"][..], vec![vec![one(), one()]]),
        (&["a"], vec![vec![one()], vec![one()]]),
        (&["a"], vec![]),
    ] {
        let found = found(columns, rows);
        assert!(found.contains("not evaluated, unreadable"), "{columns:?}: {found}");
    }
}

fn answer_of(columns: &[&str], rows: Vec<Vec<sql::Value>>) -> Answer {
    let column = |name: &&str| sql::Column { name: (*name).to_owned(), kind: sql::Kind::Text };
    let statement = sql::Statement::new("keys", "SELECT 1");
    Answer::new(&statement, Dialect::Sqlite, columns.iter().map(column).collect(), rows)
}

#[test]
fn error_of_a_column_names_its_own_check() {
    let checks = seed();
    let scan = scans(&checks).into_iter().find(|scan| scan.asked.len() > 1).unwrap();
    let names: Vec<&str> = scan.columns.iter().map(|column| column.name.as_str()).collect();
    for asked in scan.asked.iter().filter(|asked| !asked.columns.is_empty()) {
        // Only the columns of this check have a type that cannot be read.
        let value = |name: &&str| {
            let wrong = asked.columns.iter().any(|column| column == name);
            if wrong { sql::Value::Boolean(true) } else { sql::Value::Null }
        };
        let answer = Ok(answer_of(&names, vec![names.iter().map(value).collect()]));
        let named = format!("check {} of {}", asked.check.name, asked.check.table);
        let unreadable: Vec<String> = judge(&scan, &answer, now())
            .iter()
            .map(ToString::to_string)
            .filter(|finding| finding.contains("unreadable"))
            .collect();
        assert!(!unreadable.is_empty(), "{named}");
        assert!(unreadable.iter().all(|finding| finding.contains(&named)), "{named}: {unreadable:#?}");
    }
}

#[test]
fn late_change_is_the_copys_fault_until_it_syncs_after_it() {
    let checks = seed();
    let check = checks.iter().find(|check| check.check() == Check::Freshness).unwrap();
    let one = [check.clone()];
    let scan = scans(&one).remove(0);
    let names: Vec<&str> = scan.columns.iter().map(|column| column.name.as_str()).collect();
    let ago = |hours| sql::Value::Timestamp(now() - SignedDuration::from_hours(hours));
    let cause = |copied| {
        let mut row = vec![ago(1), ago(50), ago(60), sql::Value::Integer(0), sql::Value::Integer(0)];
        row.extend([copied, sql::Value::Integer(0)]);
        row.resize(names.len(), sql::Value::Integer(1));
        let findings = judge(&scan, &Ok(answer_of(&names, vec![row])), now());
        match findings.into_iter().next().map(|finding| finding.outcome) {
            Some(Outcome::Unhealthy { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    };
    let since = "The copy of the destination has synced since";
    let not_since = "The copy of the destination has not synced since";
    for (copied, expected) in [(ago(49), since), (ago(50), not_since), (ago(51), not_since)] {
        assert!(cause(copied.clone()).starts_with(expected), "{copied:?}");
    }
}

#[test]
fn samples_of_duplicates_show_each_key_and_its_count() {
    let check = seed().into_iter().find(|check| check.check() == Check::Duplicates).unwrap();
    let finding = |answer: &Result<Answer, Error>| {
        let unhealthy =
            Check::Duplicates.about(&check.name).unhealthy(Severity::Error, Evidence::new("2"), "c");
        match with_samples(unhealthy, &check, answer).outcome {
            Outcome::Unhealthy { evidence, .. } => {
                evidence.figures.iter().map(Figure::text).collect::<Vec<_>>().join("; ")
            }
            other => panic!("{other:?}"),
        }
    };
    let text = |text: &str| sql::Value::Text(text.to_owned());
    let rows = vec![vec![text("P-7"), sql::Value::Integer(3)], vec![text("P-8"), text("?")]];
    assert_eq!(finding(&Ok(answer_of(&["k", "n"], rows))), "P-7 (3 times), P-8 (several times)");
    assert_eq!(finding(&Ok(answer_of(&["k", "n"], Vec::new()))), "");
    let error = ErrorKind::Cancelled.of("s");
    assert_eq!(finding(&Err(error.clone())), format!("unknown: {error}"));
}
