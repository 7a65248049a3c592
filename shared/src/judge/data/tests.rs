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

/// How many findings there are of checks: one of each, and one of the filters of each that has some.
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
fn a_warehouse_that_is_down_is_one_finding_and_every_check_is_held_under_it() {
    let checks = seed();
    let error = ErrorKind::Unreachable { detail: "connection refused".to_owned() }.of(STATEMENT);
    let said = failing(&checks, &error);
    assert_eq!(said.len(), 1 + judged_of(&checks));
    assert!(said[0].starts_with("warehouse-reachable warehouse: error, "), "{}", said[0]);
    for line in said.iter().skip(1) {
        assert!(line.ends_with("not evaluated, held under warehouse-reachable of warehouse"), "{line}");
    }
}

#[test]
fn a_secret_that_cannot_be_used_is_one_finding_too() {
    let checks = seed();
    let findings = judge_closed(&scans(&checks), "secret syncwatch/warehouse: it is empty");
    assert_eq!(findings.iter().filter(|finding| finding.is_unhealthy()).count(), 1);
    assert!(findings[0].to_string().contains("secret syncwatch/warehouse: it is empty"), "{}", findings[0]);
    assert_eq!(findings.len(), 1 + judged_of(&checks));
}

#[test]
fn a_view_that_is_missing_is_one_finding_that_names_it() {
    let checks = seed();
    let error = ErrorKind::MissingObject { message: "no crm.rds.properties".to_owned() }.of(STATEMENT);
    let said = failing(&checks, &error);
    assert!(said[0].contains("1 of 4 statements failed") && said[0].contains("no crm.rds.properties"));
    assert!(said[1].contains("coverage properties-coverage: not evaluated, unreadable"), "{}", said[1]);
    assert!(said[2].ends_with("held under coverage of properties-coverage"), "{}", said[2]);
}

#[test]
fn one_check_by_hand_says_nothing_good_of_the_warehouse_as_a_whole() {
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
fn of_a_warehouse_that_was_not_asked_nothing_is_said() {
    assert_eq!(judge_round(&[], Extent::Whole, now()), []);
}

#[test]
fn what_the_round_judges_is_what_it_concludes() {
    for check in seed() {
        let of_data = Check::of(Judge::DailyValidation, SubjectKind::Data);
        assert!(of_data.into_iter().any(|known| known == check.check()), "{}", check.name);
    }
}

#[test]
fn cause_of_an_outage_and_of_failures_is_that_of_their_kind() {
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
        (ErrorKind::NoAccess { message: message() }, "The account lost its right"),
        (ErrorKind::DriverMissing { detail: message() }, "The function was built"),
        (ErrorKind::Cancelled, "The warehouse is stopped"),
        (ErrorKind::PermissionDenied { message: message() }, "A right is missing"),
        (ErrorKind::MissingObject { message: message() }, "A table, view or column was renamed"),
        (ErrorKind::TypeMismatch { message: message() }, "The type of a column"),
        (ErrorKind::NotTheForm { expected: "one row", found: message() }, "A check's own statement"),
        (ErrorKind::TooManyRows { limit: 1 }, "A table, view or column changed"),
    ];
    for (kind, expected) in table {
        let said = cause(vec![kind.clone()]);
        assert!(said.starts_with(expected), "{kind:?}: {said}");
        assert_eq!(cause(vec![kind.clone(), kind]), said, "each cause once");
    }
    let both = cause(vec![
        ErrorKind::PermissionDenied { message: message() },
        ErrorKind::MissingObject { message: message() },
    ]);
    assert!(
        both.contains("A right is missing") && both.contains(". A table, view or column was renamed"),
        "{both}"
    );
    // An outage is reported before the failure of a single statement.
    let down = cause(vec![ErrorKind::MissingObject { message: message() }, ErrorKind::Refused]);
    assert!(down.starts_with("The credentials"), "{down}");
    assert!(Trouble::Closed(message()).is_of_the_warehouse());
}

fn answer_of(columns: &[&str], rows: Vec<Vec<sql::Value>>) -> Answer {
    let column = |name: &&str| sql::Column { name: (*name).to_owned(), kind: sql::Kind::Text };
    let statement = sql::Statement::new("keys", "SELECT 1");
    Answer::new(&statement, Dialect::Sqlite, columns.iter().map(column).collect(), rows)
}

#[test]
fn samples_of_duplicates_show_each_key_and_its_copies() {
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
