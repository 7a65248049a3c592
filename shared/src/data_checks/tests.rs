use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use jiff::Timestamp;

use super::*;
use crate::finding::{Finding, Outcome, WhyNot};
use crate::judge::data::*;
use crate::judge::judge_checks_ran;
use crate::pipeline::Pipeline;
use crate::rounds::ValidatedRound;
use crate::sql::{Dialect, ErrorKind};

const SEED: &str = include_str!("../../../infra/pipeline.toml");
const DIALECTS: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Ten in the morning of a common day in Los Angeles.
fn now() -> Timestamp {
    at("2026-11-24T18:00:00Z")
}

fn zone() -> TimeZone {
    TimeZone::get("America/Los_Angeles").unwrap()
}

fn seed() -> Vec<DataCheck> {
    Pipeline::parse(SEED).unwrap().checks
}

fn check_of(rule: Rule) -> DataCheck {
    DataCheck {
        name: "a-check".to_owned(),
        table: "crm.rds.properties".to_owned(),
        filter: Vec::new(),
        window: None,
        severity: Severity::Warning,
        owner: None,
        object_url: None,
        critical_after: None,
        rule,
    }
}

fn coverage() -> DataCheck {
    seed().into_iter().find(|check| check.name == "properties-coverage").unwrap()
}

/// The finding of one check for these figures, in the order of its rule.
fn finding_of(check: &DataCheck, readings: &[Reading]) -> Finding {
    let scans = compile([check], Dialect::Databricks, &zone(), now()).unwrap();
    let columns = scans[0].asked[0].columns.iter().cloned();
    let figures = Figures(columns.zip(readings.iter().map(|reading| Ok(*reading))).collect());
    judge_figures(&scans[0], &figures, now()).remove(0)
}

fn counts<const N: usize>(check: &DataCheck, counts: [i64; N]) -> String {
    finding_of(check, &counts.map(Reading::Count)).to_string()
}

fn figure(finding: &Finding, name: &str) -> String {
    let (Outcome::Healthy { evidence } | Outcome::Unhealthy { evidence, .. }) = &finding.outcome else {
        panic!("{finding}")
    };
    evidence.figures.iter().find(|figure| figure.name == name).unwrap().text()
}

#[test]
fn seed_has_one_statement_for_each_table() {
    let checks = seed();
    let scans = compile(&checks, Dialect::Databricks, &zone(), now()).unwrap();
    let text: Vec<String> = scans.iter().map(|scan| scan.statement.sql().to_owned()).collect();
    insta::assert_snapshot!(text.join("\n"));
    for dialect in DIALECTS {
        assert_eq!(compile(&checks, dialect, &zone(), now()).unwrap().len(), 4, "{dialect:?}");
    }
}

#[test]
fn thousand_checks_on_ten_tables_are_ten_statements() {
    let checks: Vec<DataCheck> = (0..1_000)
        .map(|n| {
            let column = format!("c{}", n / 10);
            let rule = match n / 10 % 5 {
                0 => Rule::NullCount { columns: vec![column], limit: 0 },
                1 => Rule::NullRate { columns: vec![column], limit_percent: 5.0 },
                2 => Rule::Duplicates { key: vec![column], limit: 0, show_keys: false },
                3 => Rule::AcceptedValues { column, values: vec![Literal::Text("a".to_owned())], limit: 0 },
                _ => Rule::RowCount { min: Some(1), max: None },
            };
            DataCheck { name: format!("check-{n}"), table: format!("crm.rds.t{}", n % 10), ..check_of(rule) }
        })
        .collect();
    let scans = compile(&checks, Dialect::PostgreSql, &zone(), now()).unwrap();
    assert_eq!(scans.len(), 10);
    assert_eq!(scans.iter().map(|scan| scan.asked.len()).sum::<usize>(), 1_000);
    for scan in &scans {
        let table = scan.table.rsplit('.').next().unwrap();
        assert_eq!(scan.statement.sql().matches(&format!("\"{table}\"")).count(), 1, "one scan of {table}");
    }
}

#[test]
fn checks_beyond_an_engines_limits_are_split_and_complete() {
    let many = |n: usize| {
        let columns = (0..100).map(|c| format!("c{n}_{c}")).collect();
        DataCheck { name: format!("n{n}"), ..check_of(Rule::NullCount { columns, limit: 0 }) }
    };
    let checks: Vec<DataCheck> = (0..40).map(many).collect();
    let scans = compile(&checks, Dialect::PostgreSql, &zone(), now()).unwrap();
    assert!(scans.len() > 1 && scans.iter().all(|scan| scan.columns.len() <= 1_500));
    let joined = |n: usize| {
        let references = Keys { table: format!("other{n}"), key: "id".to_owned(), filter: Vec::new() };
        check_of(Rule::Referential { column: "a".to_owned(), references, limit: 0 })
    };
    let checks: Vec<DataCheck> = (0..120).map(joined).collect();
    let scans = compile(&checks, Dialect::Sqlite, &zone(), now()).unwrap();
    assert_eq!(scans.len(), 3);
    assert!(scans.iter().all(|scan| scan.statement.sql().matches(" LEFT JOIN ").count() <= 50));
    assert_eq!(scans.iter().map(|scan| scan.asked.len()).sum::<usize>(), 120);
}

#[test]
fn shared_figure_of_two_checks_is_counted_once() {
    let checks = [coverage(), DataCheck { name: "again".to_owned(), ..coverage() }];
    let scans = compile(&checks, Dialect::Databricks, &zone(), now()).unwrap();
    // Keys and found keys, and kept and all rows of each of two filters.
    assert_eq!(scans[0].columns.len(), 6);
    assert_eq!(scans[0].asked[0].columns, scans[0].asked[1].columns);
    assert_eq!(scans[0].statement.sql().matches("JOIN").count(), 2);
}

#[test]
fn sql_has_no_clock_and_no_vendor_specific_function() {
    let windowed = |rule| DataCheck {
        window: Some(Window { day: Day::Today, column: "created_at".to_owned() }),
        ..check_of(rule)
    };
    let mut checks = seed();
    checks.push(windowed(Rule::RowCount { min: Some(1), max: None }));
    checks.push(windowed(Rule::Duplicates {
        key: vec!["a".to_owned(), "b".to_owned()],
        limit: 0,
        show_keys: false,
    }));
    checks.push(windowed(Rule::Pattern {
        column: "a".to_owned(),
        like: Some("P-%".to_owned()),
        min_length: Some(3),
        max_length: Some(9),
        limit: 0,
    }));
    for dialect in DIALECTS {
        for scan in compile(&checks, dialect, &zone(), now()).unwrap() {
            let sql = scan.statement.sql().to_ascii_uppercase();
            for word in ["CURRENT_", "NOW(", "INTERVAL", "FILTER", "::", "DATE_", "TRY_", ";", "--"] {
                assert!(!sql.contains(word), "{word} in {sql}");
            }
            let names: HashSet<&str> =
                scan.statement.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
            assert_eq!(names.len(), scan.statement.parameters().len(), "placeholders are unique");
        }
    }
}

#[test]
fn day_is_bound_as_instants_for_sessions_in_any_zone() {
    let check = DataCheck {
        window: Some(Window { day: Day::Today, column: "created_at".to_owned() }),
        ..check_of(Rule::RowCount { min: Some(1), max: None })
    };
    for (moment, from, to) in [
        ("2026-11-24T18:00:00Z", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"),
        ("2027-03-14T18:00:00Z", "2027-03-14T08:00:00Z", "2027-03-15T07:00:00Z"),
        ("2026-11-01T18:00:00Z", "2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
    ] {
        let scans = compile([&check], Dialect::Sqlite, &zone(), at(moment)).unwrap();
        let sql = scans[0].statement.sql();
        assert!(sql.contains("t.`created_at` >= :p0 AND t.`created_at` < :p1"), "{sql}");
        let bound: Vec<&ParameterValue> = scans[0].statement.parameters().iter().map(|p| &p.value).collect();
        assert!(bound == [&ParameterValue::from(at(from)), &ParameterValue::from(at(to))], "{moment}");
    }
}

#[test]
fn coverage_below_its_target_is_a_warning() {
    let finding = finding_of(&coverage(), &[Reading::Count(20_247), Reading::Count(18_722)]);
    assert_eq!(
        finding.to_string(),
        "coverage properties-coverage: warning, 92.47% coverage (target 95%, minimum 90%); 18,722 of 20,247 keys of \
         crm.rds.properties are in crm.salesforce.product_property"
    );
    assert_eq!(figure(&finding, "missing"), "1,525");
    assert_eq!(figure(&finding, "limit"), "95%, critical below 90%");
}

#[test]
fn coverage_is_never_rounded_across_a_limit() {
    let table = [
        ([10_000, 10_000], "healthy, 100%"),
        ([10_000, 9_500], "healthy, 95%"),
        ([1_000_000, 949_999], "warning, 94.9999%"),
        ([10_000, 9_000], "warning, 90%"),
        ([10_000, 8_999], "critical, 89.99%"),
        ([1_000_000, 899_999], "critical, 89.9999%"),
        ([3, 0], "critical, 0%"),
    ];
    for (figures, share) in table {
        let found = counts(&coverage(), figures);
        assert!(found.contains(&format!("{share} coverage (target 95%, minimum 90%); ")), "{found}");
    }
}

#[test]
fn check_without_rows_does_not_pass() {
    let null_count = check_of(Rule::NullCount { columns: vec!["a".to_owned()], limit: 0 });
    let duplicates = check_of(Rule::Duplicates { key: vec!["a".to_owned()], limit: 0, show_keys: false });
    let accepted = check_of(Rule::AcceptedValues { column: "a".to_owned(), values: Vec::new(), limit: 0 });
    let table = [
        (coverage(), "a row with a key"),
        (null_count, "a row"),
        (duplicates, "a row with a key"),
        (accepted, "a row with a value"),
    ];
    for (check, awaited) in table {
        let found = counts(&check, [0, 0]);
        assert!(
            found.ends_with(&format!("not evaluated, waiting for {awaited} in crm.rds.properties")),
            "{found}"
        );
    }
}

#[test]
fn null_absent_negative_or_unreadable_figure_does_not_pass() {
    let check = check_of(Rule::RowCount { min: None, max: Some(5) });
    for reading in [Reading::Null, Reading::Count(-1), Reading::Number(1.0)] {
        let finding = finding_of(&check, &[reading]);
        assert!(
            matches!(&finding.outcome, Outcome::NotEvaluated { why: WhyNot::UnknownFigures { .. } }),
            "{finding}"
        );
    }
    let absent = finding_of(&check, &[]);
    assert!(
        matches!(&absent.outcome, Outcome::NotEvaluated { why: WhyNot::UnknownFigures { .. } }),
        "{absent}"
    );
    let scans = compile([&check], Dialect::Sqlite, &zone(), now()).unwrap();
    let wrong_type =
        ErrorKind::WrongType { column: "f0".to_owned(), expected: "integer", found: "text" }.of("s");
    let figures = Figures([("f0".to_owned(), Err(wrong_type))].into());
    let finding = judge_figures(&scans[0], &figures, now()).remove(0);
    assert!(
        matches!(&finding.outcome, Outcome::NotEvaluated { why: WhyNot::Unreadable { .. } }),
        "{finding}"
    );
}

#[test]
fn limits_are_inclusive_for_every_rule() {
    let column = || "company_name_c".to_owned();
    let keys = || Keys { table: "crm.rds.owners".to_owned(), key: "id".to_owned(), filter: Vec::new() };
    let lines = [
        counts(&check_of(Rule::NullCount { columns: vec![column()], limit: 1 }), [1_000, 1]),
        counts(
            &check_of(Rule::NullCount { columns: vec![column(), "b".to_owned()], limit: 1 }),
            [1_000, 0, 2],
        ),
        counts(&check_of(Rule::NullRate { columns: vec![column()], limit_percent: 5.0 }), [1_000, 50]),
        counts(&check_of(Rule::NullRate { columns: vec![column()], limit_percent: 5.0 }), [1_000, 51]),
        counts(
            &check_of(Rule::Duplicates { key: vec![column()], limit: 0, show_keys: false }),
            [1_000, 1_000],
        ),
        counts(
            &check_of(Rule::Duplicates { key: vec![column(), "b".to_owned()], limit: 0, show_keys: false }),
            [1_000, 998],
        ),
        counts(&check_of(Rule::QueueSize { limit: 100, oldest: None }), [0]),
        counts(&check_of(Rule::QueueSize { limit: 100, oldest: None }), [100]),
        counts(&check_of(Rule::QueueSize { limit: 100, oldest: None }), [101]),
        counts(&check_of(Rule::RowCount { min: Some(10), max: Some(20) }), [9]),
        counts(&check_of(Rule::RowCount { min: Some(10), max: Some(20) }), [10]),
        counts(&check_of(Rule::RowCount { min: Some(10), max: Some(20) }), [20]),
        counts(&check_of(Rule::RowCount { min: Some(10), max: Some(20) }), [21]),
        counts(&check_of(Rule::AcceptedValues { column: column(), values: Vec::new(), limit: 2 }), [9, 2]),
        counts(
            &check_of(Rule::Pattern {
                column: column(),
                like: Some("P%".to_owned()),
                min_length: None,
                max_length: None,
                limit: 0,
            }),
            [9, 1],
        ),
        counts(&check_of(Rule::Referential { column: column(), references: keys(), limit: 0 }), [9, 3]),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn custom_query_is_compared_with_both_limits() {
    let check = check_of(Rule::CustomSql { sql: "SELECT 1".to_owned(), min: Some(0.0), max: Some(10.0) });
    for (value, wrong) in [(0.0, false), (10.0, false), (-0.1, true), (10.1, true)] {
        assert_eq!(finding_of(&check, &[Reading::Number(value)]).is_unhealthy(), wrong, "{value}");
    }
    assert!(matches!(finding_of(&check, &[Reading::Null]).outcome, Outcome::NotEvaluated { .. }));
}

/// The figures of a freshness check: its instants, and the numbers of changes, arrivals and copy syncs dated in the future.
fn arrivals([newest, waiting, arrived, copied]: [&str; 4], ahead: [i64; 3]) -> [Reading; 7] {
    let instant = |text: &str| if text.is_empty() { Reading::Null } else { Reading::Instant(at(text)) };
    let [changes, arrivals, syncs] = ahead.map(Reading::Count);
    [instant(newest), instant(waiting), instant(arrived), changes, arrivals, instant(copied), syncs]
}

/// The names of the figures that count timestamps in the future.
fn dated_in_the_future(finding: &Finding) -> Vec<&str> {
    let Outcome::Unhealthy { evidence, .. } = &finding.outcome else { panic!("{finding}") };
    let names = evidence.figures.iter().map(|figure| figure.name.as_str());
    names.filter(|name| name.ends_with("dated in the future")).collect()
}

#[test]
fn timestamp_in_the_future_is_a_warning_and_hides_nothing() {
    let check = seed().into_iter().find(|check| check.name == "changes-arrive").unwrap();
    let found = |instants, ahead| finding_of(&check, &arrivals(instants, ahead));
    let morning = "2026-11-24T17:00:00Z";
    let healthy = [morning, "", "2026-11-24T17:05:00Z", "2026-11-24T17:06:00Z"];
    for (ahead, name) in [
        ([1, 0, 0], "changes dated in the future"),
        ([0, 1, 0], "arrivals dated in the future"),
        ([0, 0, 1], "copy syncs dated in the future"),
    ] {
        let finding = found(healthy, ahead);
        assert_eq!(finding.severity(), Some(Severity::Warning), "{finding}");
        assert!(finding.to_string().ends_with("; timestamps in the future ignored"), "{finding}");
        assert_eq!(figure(&finding, name), "1");
        assert_eq!(dated_in_the_future(&finding), [name], "no figure of zero");
        assert_eq!(figure(&finding, "latest timestamp that counts"), "2026-11-24 18:05 UTC");
    }
    // The arrival in the future does not hide the change of six hours ago.
    let late = found([morning, "2026-11-24T12:00:00Z", "2026-11-24T11:59:00Z", ""], [0, 1, 0]);
    assert!(late.to_string().contains("error, oldest undelivered change is 6h old (limit 2h)"), "{late}");
    assert_eq!(figure(&late, "arrivals dated in the future"), "1");
    // A source with all rows dated in the future is not empty.
    assert_eq!(found(["", "", "", ""], [3, 0, 0]).severity(), Some(Severity::Warning));
}

#[test]
fn lag_is_the_age_of_the_oldest_undelivered_change() {
    let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
    assert!(measures_lag(&pipeline));
    let check = pipeline.checks.iter().find(|check| check.name == "changes-arrive").unwrap();
    // The time of the checks is 18:00.
    let (morning, waiting) = ("2026-11-24T17:00:00Z", "2026-11-24T17:30:00Z");
    let found = |waiting, ahead| finding_of(check, &arrivals([morning, waiting, morning, ""], [ahead, 0, 0]));
    // creates-arrive has its own limit, so it does not measure the promised lag.
    let of = |finding: Finding| lag(&pipeline, &[finding], now());
    assert_eq!(of(found(waiting, 0)), Some(SignedDuration::from_mins(30)));
    assert_eq!(of(found("", 0)), Some(SignedDuration::ZERO));
    assert_eq!(of(found("2026-11-24T18:01:00Z", 0)), Some(SignedDuration::ZERO));
    assert_eq!(of(found(waiting, 1)), None, "a change with a date in the future is not seen");
    assert_eq!(lag(&pipeline, &[], now()), None, "not evaluated");
    let unread = Check::Freshness.about("changes-arrive").unreadable("no answer".to_owned());
    assert_eq!(of(unread), None);
    let without = Pipeline { checks: Vec::new(), ..pipeline.clone() };
    assert!(!measures_lag(&without) && lag(&without, &[], now()).is_none());
}

#[test]
fn latest_timestamp_that_counts_is_bound_five_minutes_ahead() {
    let checks: Vec<DataCheck> = seed().into_iter().filter(|check| check.name == "changes-arrive").collect();
    for dialect in DIALECTS {
        let scans = compile(&checks, dialect, &zone(), now()).unwrap();
        let latest = ParameterValue::from(at("2026-11-24T18:05:00Z"));
        let bound =
            scans[0].statement.parameters().iter().find(|parameter| parameter.value == latest).unwrap();
        let placeholder = format!(":{} ", bound.name);
        // Changes, arrivals and the copy's syncs: each up to then, and each after it.
        let sql = scans[0].statement.sql();
        assert!(sql.matches(&format!(" < {placeholder}")).count() >= 3, "{sql}");
        assert!(sql.matches(&format!(" >= {placeholder}")).count() >= 3, "{sql}");
    }
}

/// The findings of one check for these figures, and for the kept and all rows of its filters.
fn filtered(check: &DataCheck, readings: &[Reading], kept: &[[i64; 2]]) -> Vec<Finding> {
    let scans = compile([check], Dialect::Databricks, &zone(), now()).unwrap();
    let asked = &scans[0].asked[0];
    let mut figures: HashMap<_, _> =
        asked.columns.iter().cloned().zip(readings.iter().map(|reading| Ok(*reading))).collect();
    for (filter, [kept, all]) in asked.filters.iter().zip(kept) {
        figures.insert(filter.kept.clone(), Ok(Reading::Count(*kept)));
        figures.insert(filter.all.clone(), Ok(Reading::Count(*all)));
    }
    judge_figures(&scans[0], &Figures(figures), now())
}

#[test]
fn filter_without_rows_is_one_finding_that_blocks_its_check() {
    let none =
        filtered(&coverage(), &[Reading::Count(20_247), Reading::Count(0)], &[[20_247, 20_300], [0, 18_725]]);
    let found: Vec<String> = none.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "coverage properties-coverage: not evaluated, blocked by filter-keeps-rows of properties-coverage",
            "filter-keeps-rows properties-coverage: error, filter on _fivetran_deleted keeps 0 of 18,725 rows of \
             crm.salesforce.product_property",
        ]
    );
    assert_eq!(none[1].group.as_deref(), Some("crm.salesforce.product_property"));
    assert_eq!(figure(&none[1], "filter"), "_fivetran_deleted is not true");
    // Its own filter, and an empty table, which the check itself reports.
    let own = filtered(&coverage(), &[Reading::Count(0), Reading::Count(0)], &[[0, 20_300], [5, 5]]);
    assert!(own[1].to_string().contains("filter on deleted keeps 0 of 20,300 rows of crm.rds.properties"));
    let empty = filtered(&coverage(), &[Reading::Count(0), Reading::Count(0)], &[[0, 0], [0, 0]]);
    assert!(empty[0].to_string().contains("waiting for a row") && !empty[1].is_unhealthy(), "{empty:?}");
    let some = filtered(&coverage(), &[Reading::Count(1), Reading::Count(1)], &[[1, 20_300], [1, 1]]);
    assert!(some.iter().all(|finding| !finding.is_unhealthy()), "{some:?}");
}

#[test]
fn filter_of_a_queue_may_keep_no_row() {
    let condition = Condition {
        column: "status".to_owned(),
        holds: Predicate::Equals(Literal::Text("waiting".to_owned())),
    };
    for rule in [Rule::QueueSize { limit: 1, oldest: None }, Rule::RowCount { min: None, max: Some(0) }] {
        let check = DataCheck { filter: vec![condition.clone()], ..check_of(rule) };
        let findings = filtered(&check, &[Reading::Count(0)], &[]);
        assert!(findings.len() == 1 && !findings[0].is_unhealthy(), "{findings:?}");
    }
}

#[test]
fn idle_source_is_healthy_and_undelivered_changes_are_not() {
    let check = seed().into_iter().find(|check| check.name == "changes-arrive").unwrap();
    // newest change, oldest undelivered change, newest arrival, copy last synced
    let found = |instants: [&str; 4]| {
        let finding = finding_of(&check, &arrivals(instants, [0, 0, 0]));
        let cause = match &finding.outcome {
            Outcome::Unhealthy { cause, .. } => format!("\n    {cause}"),
            _ => String::new(),
        };
        format!("{finding}{cause}")
    };
    let morning = "2026-11-24T17:00:00Z";
    let lines = [
        // No change since the day before, and so no sync of the copy either.
        found(["2026-11-23T17:00:00Z", "", "2026-11-23T17:05:00Z", "2026-11-23T17:06:00Z"]),
        found([morning, "", "2026-11-24T17:05:00Z", "2026-11-24T17:06:00Z"]),
        // One change after a quiet night is not late because the night was quiet.
        found([
            "2026-11-24T17:59:00Z",
            "2026-11-24T17:59:00Z",
            "2026-11-23T17:00:00Z",
            "2026-11-23T17:01:00Z",
        ]),
        found([morning, "2026-11-24T16:00:00Z", "2026-11-24T15:59:00Z", "2026-11-24T15:59:30Z"]),
        // Changes keep coming and none arrives: a fresh newest change does not make it healthy.
        found([
            "2026-11-24T17:59:00Z",
            "2026-11-24T12:00:00Z",
            "2026-11-24T11:59:00Z",
            "2026-11-24T17:58:00Z",
        ]),
        found([
            "2026-11-24T17:59:00Z",
            "2026-11-24T12:00:00Z",
            "2026-11-24T11:59:00Z",
            "2026-11-24T11:59:30Z",
        ]),
        found([morning, "2026-11-24T12:00:00Z", "", ""]),
        found(["", "", "", ""]),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn queue_is_judged_by_its_oldest_row_too() {
    let oldest = Some(("waits_since".to_owned(), SignedDuration::from_hours(24)));
    let check = check_of(Rule::QueueSize { limit: 100, oldest });
    let found = |rows, since| finding_of(&check, &[Reading::Count(rows), since]).to_string();
    let since = |text| Reading::Instant(at(text));
    assert!(
        found(5, since("2026-11-23T18:00:00Z"))
            .contains("healthy, 5 rows waiting (limit 100), oldest for 1d (limit 1d), in crm.rds.properties")
    );
    assert!(found(5, since("2026-11-23T17:59:59Z")).contains("warning, 5 rows waiting"));
    assert!(found(0, Reading::Null).contains("healthy, 0 rows waiting"));
    assert!(found(5, Reading::Null).contains("not evaluated"), "their age is unknown");
    assert!(found(101, Reading::Null).contains("warning"), "too many rows at any age");
    assert!(
        found(5, since("9999-01-01T00:00:00Z")).contains("not evaluated"),
        "it waits since a future time"
    );
    // At its limit the queue is not too long, and its age counts.
    assert!(found(100, Reading::Null).contains("not evaluated"));
    assert!(found(100, since("2026-11-24T17:00:00Z")).contains("healthy, 100 rows waiting"));
    assert!(found(101, since("2026-11-24T17:00:00Z")).contains("warning, 101 rows waiting"));
    let cause = |rows, since| match finding_of(&check, &[Reading::Count(rows), since]).outcome {
        Outcome::Unhealthy { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    assert!(cause(101, Reading::Null).starts_with("The sync does not clear the queue"));
    assert!(cause(100, since("2026-11-23T12:00:00Z")).starts_with("Some rows are never sent"));
    // Its age cannot be read: too many rows are unhealthy at any age.
    assert!(found(101, Reading::Number(1.0)).contains("warning, 101 rows waiting"));
    assert!(found(100, Reading::Number(1.0)).contains("not evaluated"));
    assert!(found(0, Reading::Number(1.0)).contains("not evaluated"), "an unread age does not pass");
}

#[test]
fn short_queue_with_an_unreadable_age_names_the_error() {
    let oldest = Some(("waits_since".to_owned(), SignedDuration::from_hours(24)));
    let check = check_of(Rule::QueueSize { limit: 100, oldest });
    let scans = compile([&check], Dialect::Databricks, &zone(), now()).unwrap();
    let columns = &scans[0].asked[0].columns;
    let age = || {
        let (column, expected, found) = ("f1".to_owned(), "timestamp", "text");
        Err(ErrorKind::WrongType { column, expected, found }.of("s"))
    };
    for (rows, expected) in [(100, "not evaluated, unreadable: "), (101, "warning, 101 rows waiting")] {
        let figures =
            Figures([(columns[0].clone(), Ok(Reading::Count(rows))), (columns[1].clone(), age())].into());
        let found = judge_figures(&scans[0], &figures, now()).remove(0).to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn late_change_is_blamed_on_a_copy_only_if_there_is_one() {
    let cause = |synced: Option<&str>| {
        let destination = Arrivals {
            table: "crm.salesforce.product_property".to_owned(),
            column: "changed_at".to_owned(),
            synced: synced.map(ToOwned::to_owned),
            filter: Vec::new(),
        };
        let column = "updated_at".to_owned();
        let rule = Rule::Freshness { column, destination, max_lag: SignedDuration::from_hours(2) };
        let late = ["2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z", "2026-11-24T11:00:00Z", ""];
        match finding_of(&check_of(rule), &arrivals(late, [0, 0, 0])).outcome {
            Outcome::Unhealthy { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    };
    assert!(cause(Some("synced_at")).starts_with("The copy of the destination has not synced since"));
    assert!(cause(None).starts_with("The sync that sends it did not run"));
}

#[test]
fn source_is_idle_after_its_limit_without_a_change() {
    let check = seed().into_iter().find(|check| check.name == "changes-arrive").unwrap();
    let found = |newest| finding_of(&check, &arrivals([newest, "", newest, newest], [0, 0, 0])).to_string();
    // The limit is 2h, and it is 18:00.
    assert!(found("2026-11-24T16:00:00Z").contains("healthy, all changes in"));
    assert!(found("2026-11-24T15:59:59Z").contains("healthy, no change in"));
}

fn failures() -> Vec<(ErrorKind, bool)> {
    vec![
        (ErrorKind::Unreachable { detail: "connection refused".to_owned() }, true),
        (ErrorKind::Refused, true),
        (ErrorKind::Timeout { seconds: 60, what: "an answer" }, true),
        (ErrorKind::Cancelled, true),
        (ErrorKind::MissingObject { message: "no such view".to_owned() }, false),
        (ErrorKind::PermissionDenied { message: "no SELECT".to_owned() }, false),
        (ErrorKind::TooManyRows { limit: 10_000 }, false),
        (ErrorKind::TypeMismatch { message: "text > timestamp".to_owned() }, false),
        (ErrorKind::NotTheForm { expected: "one row", found: "0 rows".to_owned() }, false),
        (ErrorKind::Sql { code: "42601".to_owned(), message: "syntax".to_owned() }, false),
    ]
}

#[test]
fn failed_statement_is_one_finding_that_blocks_its_checks() {
    let checks = seed();
    let scans = compile(&checks, Dialect::Databricks, &zone(), now()).unwrap();
    for (kind, down) in failures() {
        let error = kind.of("checks of crm.rds.properties");
        let answer = Err(error.clone());
        let findings = judge(&scans[0], &answer, now());
        // Three checks with filters.
        assert_eq!(findings.len(), 6);
        for (index, finding) in findings.iter().enumerate() {
            let Outcome::NotEvaluated { why } = &finding.outcome else { panic!("{finding}") };
            match (why, down, index) {
                (WhyNot::Under { cause: Check::WarehouseReachable, .. }, true, _)
                | (WhyNot::Unreadable { .. }, false, 0)
                | (WhyNot::Under { cause: Check::Coverage, .. }, false, _) => {}
                _ => panic!("{error}: {finding}"),
            }
        }
        let troubles = troubles(&scans[0], &answer);
        assert_eq!(troubles.len(), 1);
        let finding = judge_warehouse(4, &troubles);
        assert_eq!((finding.check, finding.severity()), (Check::WarehouseReachable, Some(Severity::Error)));
        assert!(finding.to_string().contains(&error.to_string()), "{finding}");
    }
    assert!(!judge_warehouse(4, &[]).is_unhealthy());
}

#[test]
fn checks_that_do_not_run_are_found_by_their_last_record() {
    let checks = seed();
    let names = || checks.iter().map(|check| check.name.clone()).collect();
    let found = |hours: i64| {
        let at = now() - SignedDuration::from_hours(hours);
        judge_checks_ran(Some(&ValidatedRound { at, checks: names() }), &checks, now())
    };
    for (hours, severity) in [
        (0, None),
        (25, None),
        (26, None),
        (27, Some(Severity::Warning)),
        (50, Some(Severity::Warning)),
        (51, Some(Severity::Error)),
        // A clock that was set back.
        (-1, None),
    ] {
        assert_eq!(found(hours).severity(), severity, "{hours}");
    }
    assert!(matches!(
        judge_checks_ran(None, &checks, now()).outcome,
        Outcome::NotEvaluated { why: WhyNot::NothingYet { .. } }
    ));
    assert!(matches!(
        judge_checks_ran(None, &[], now()).outcome,
        Outcome::NotEvaluated { why: WhyNot::NotDeclared }
    ));
    let fewer = ValidatedRound { at: now(), checks: vec!["create-queue".to_owned()] };
    let finding = judge_checks_ran(Some(&fewer), &checks, now());
    assert!(figure(&finding, "not run yet").contains("properties-coverage"));
}

#[test]
fn sample_keys_are_selected_for_duplicates_only() {
    let checks = seed();
    let sql = |name: &str| {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        samples_statement(check, Dialect::PostgreSql, &zone(), now()).unwrap()
    };
    assert!(sql("create-queue").is_none());
    let statement = sql("unique-property-ids").unwrap();
    insta::assert_snapshot!(statement.sql());
}

#[test]
fn round_is_a_bounded_table() {
    let checks = seed();
    let named = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
    let findings = [
        finding_of(named("properties-coverage"), &[Reading::Count(20_247), Reading::Count(18_722)]),
        finding_of(named("create-queue"), &[Reading::Count(3)]),
        finding_of(named("update-queue"), &[Reading::Null]),
    ];
    let rows =
        findings.iter().map(|finding| (checks.iter().find(|check| check.name == finding.subject), finding));
    insta::assert_snapshot!(table(rows));
    let many = vec![&findings[1]; 500];
    let text = table(many.into_iter().map(|finding| (None, finding)));
    assert!(text.lines().count() == 102 && text.ends_with("and 400 more\n"), "{text}");
}

/// Hostile names, as an attacker would choose them.
fn evil() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\p{Cc}.]{1,12}",
        Just("a\"; DROP TABLE b; --".to_owned()),
        Just("a`; DELETE FROM b; /*".to_owned()),
        Just("x' OR '1'='1".to_owned()),
        Just("Ünïcode\u{2028}:p0 ?".to_owned()),
        Just("$$;$$".to_owned()),
    ]
}

/// The SQL without quoted parts, as an engine would run it.
fn bare(sql: &str, mark: char) -> String {
    let mut text = String::new();
    let mut quoted = false;
    for c in sql.chars() {
        if c == mark {
            quoted = !quoted;
        } else if !quoted {
            text.push(c);
        }
    }
    assert!(!quoted, "{sql}");
    text
}

proptest! {
    #[test]
    fn any_name_is_quoted_and_any_value_is_bound(
        table in evil(),
        column in evil(),
        other in evil(),
        value in ".{0,20}",
    ) {
        let literal = Literal::Text(value.clone());
        let filter = [Predicate::Equals(literal.clone()), Predicate::Not(literal), Predicate::IsNull(false)]
            .map(|holds| Condition { column: other.clone(), holds })
            .to_vec();
        let rules = [
            Rule::NullCount { columns: vec![column.clone(), other.clone()], limit: 0 },
            Rule::Duplicates { key: vec![column.clone(), other.clone()], limit: 0, show_keys: false },
            Rule::AcceptedValues { column: column.clone(), values: vec![Literal::Text(value.clone())], limit: 0 },
            Rule::Pattern { column: column.clone(), like: Some(value.clone()), min_length: None, max_length: None, limit: 0 },
            Rule::Coverage {
                key: column.clone(),
                destination: Keys { table: other.clone(), key: column.clone(), filter: filter.clone() },
                warn_below: 95.0,
                critical_below: 90.0,
            },
        ];
        let table = table.replace('.', "");
        let checks: Vec<DataCheck> = rules
            .into_iter()
            .map(|rule| DataCheck { table: table.clone(), filter: filter.clone(), ..check_of(rule) })
            .collect();
        for dialect in DIALECTS {
            let mark = if dialect == Dialect::PostgreSql { '"' } else { '`' };
            let Ok(scans) = compile(&checks, dialect, &zone(), now()) else {
                // PostgreSQL cuts long names, and SQLite's driver misreads some marks, so they are refused.
                let misread = |name: &str| dialect == Dialect::Sqlite && name.contains(['?', '\'', '"', ';', '{', '}']);
                let refused = |name: &str| {
                    name.len() > 63 || name.contains('.') || name.is_empty() || misread(name)
                };
                prop_assert!([&table, &column, &other].iter().any(|name| refused(name)));
                continue;
            };
            let samples = samples_statement(&checks[1], dialect, &zone(), now()).unwrap().unwrap();
            for statement in scans.iter().map(|scan| &scan.statement).chain([&samples]) {
                let bare = bare(statement.sql(), mark);
                // The rest is our own SQL: words, numbers and a few marks.
                prop_assert!(
                    bare.chars().all(|c| c.is_ascii_alphanumeric() || " _.,()*=<>:'!".contains(c)),
                    "{}", bare
                );
                prop_assert!(!bare.contains("DROP") && !bare.contains("DELETE") && !bare.contains("UNION"));
            }
        }
    }
}
