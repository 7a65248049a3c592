use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::expect::{Measure, judge_days};
use crate::finding::{Check, SubjectKind};
use crate::judge::unusual::judge_figures;
use crate::marks::{Exceptions, QuietDays};
use crate::pipeline::Pipeline;
use crate::sql::{Column, Kind, Value};

pub(super) fn answer(columns: &[(&str, Kind)], rows: Vec<Vec<Value>>) -> Answer {
    let columns =
        columns.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind }).collect();
    Answer::new(&Statement::new("the test", ""), Dialect::Databricks, columns, rows)
}

fn runs(rows: Vec<(Date, Value, Value)>) -> Answer {
    let columns = [
        ("snapshot_date", Kind::Date),
        ("sync_name", Kind::Text),
        ("completed_runs", Kind::Integer),
        ("failed_runs", Kind::Integer),
        ("processed", Kind::Integer),
        ("failed", Kind::Integer),
        ("median_seconds", Kind::Double),
    ];
    let row = |(day, sync, processed): (Date, Value, Value)| {
        let (completed, failed, records) = (Value::Integer(4), Value::Integer(2), Value::Integer(1));
        vec![Value::Date(day), sync, completed, failed, processed, records, Value::Double(9.0)]
    };
    answer(&columns, rows.into_iter().map(row).collect())
}

fn none() -> Answer {
    answer(&[("snapshot_date", Kind::Date)], Vec::new())
}

const DAY: Date = date(2026, 11, 1);

fn sync(name: &str) -> Value {
    Value::Text(name.to_owned())
}

#[test]
fn rows_of_syncs_are_read_and_unreadable_values_left_out() {
    let history = History::read(
        &none(),
        &runs(vec![
            (DAY, sync("a"), Value::Integer(40)),
            (DAY, sync("b"), Value::Null),
            (DAY, Value::Null, Value::Integer(7)),
            (date(2026, 11, 2), sync("a"), Value::Unreadable),
        ]),
    );
    let a = &history.syncs["a"];
    assert_eq!(a[0].outcomes, Tally { completed: 4, failed: 2 });
    assert_eq!((a[0].processed, a[0].failed, a[0].median_seconds), (Some(40.0), Some(1.0), Some(9.0)));
    assert_eq!((a[1].day.day(), a[1].processed, a[1].failed), (2, None, Some(1.0)));
    let b = &history.syncs["b"];
    assert_eq!((b[0].processed, b[0].median_seconds, b[0].error_rate()), (None, Some(9.0), None));
    assert_eq!(history.syncs.len(), 2);
}

#[test]
fn shares_need_both_counts_and_a_total() {
    let day =
        DataDay { total: Some(200.0), synced: Some(190.0), null_companies: Some(19.0), ..DataDay::default() };
    assert_eq!((day.coverage(), day.null_rate(), day.queue()), (Some(95.0), Some(10.0), None));
    assert_eq!(DataDay { total: Some(0.0), ..day }.coverage(), None);
    let queues = DataDay { create_queue: Some(2.0), update_queue: Some(0.0), ..day };
    assert_eq!(queues.queue(), Some(2.0));
    // Newer answers of Census do not count invalid records as processed.
    let runs = SyncDay { processed: Some(1.0), failed: Some(3.0), ..SyncDay::default() };
    assert_eq!(runs.error_rate(), Some(100.0));
}

#[test]
fn each_figure_has_a_series_that_ends_on_the_last_day() {
    let day = |number: i8| DataDay { day: date(2026, 11, number), ..DataDay::default() };
    let of_sync =
        |number: i8| SyncDay { day: date(2026, 11, number), processed: Some(5.0), ..SyncDay::default() };
    let history = History {
        days: vec![day(1), day(3), day(9)],
        syncs: [("a".to_owned(), vec![of_sync(2)])].into(),
        ..History::default()
    };
    let holiday = QuietDays {
        name: "holiday".to_owned(),
        dates: vec![(date(2026, 11, 3), date(2026, 11, 3))],
        syncs: vec!["a".to_owned()],
        ..QuietDays::default()
    };
    let quiet = [holiday];
    let figures = history.series("pipeline", date(2026, 11, 4), &Exceptions::new(&[], &quiet));
    let found: Vec<_> =
        figures.iter().map(|figure| (figure.subject.as_str(), figure.series.measure())).collect();
    let expected = [
        ("pipeline", Measure::Coverage),
        ("pipeline", Measure::NullRate),
        ("pipeline", Measure::Queue),
        ("a", Measure::Volume),
        ("a", Measure::ErrorRate),
        ("a", Measure::Duration),
    ];
    assert_eq!(found, expected);
    let dates =
        |index: usize| -> Vec<i8> { figures[index].series.days().iter().map(|day| day.date.day()).collect() };
    // The day without a row is there without a figure, and the day after the last is not.
    assert_eq!((dates(0), dates(3)), (vec![1, 2, 3, 4], vec![2, 3, 4]));
    assert_eq!(figures[3].series.days()[0].value, Some(5.0));
    assert_eq!(figures[3].series.days()[1].value, None);
    assert!(figures[3].series.days()[1].excluded.is_some() && figures[0].series.days()[2].excluded.is_none());
}

#[test]
fn long_runs_of_a_busy_day_are_explained_by_its_volume() {
    let day = |number: i64, processed: f64, seconds: f64| SyncDay {
        day: date(2026, 9, 1).saturating_add(jiff::Span::new().days(number)),
        processed: Some(processed),
        median_seconds: Some(seconds),
        ..SyncDay::default()
    };
    let verdict = |processed: f64| {
        let days = (0..30).map(|number| day(number, 1_000.0, 60.0)).chain([day(30, processed, 180.0)]);
        let history = History { syncs: [("a".to_owned(), days.collect())].into(), ..History::default() };
        let last = date(2026, 10, 1);
        let figures = history.series("pipeline", last, &Exceptions::default());
        let duration =
            figures.into_iter().find(|figure| figure.series.measure() == Measure::Duration).unwrap();
        judge_days(&duration.series, &crate::expect::Sensitivity::default()).pop().unwrap()
    };
    assert!(verdict(1_000.0).point.is_some());
    let busy = verdict(5_000.0);
    assert!(busy.point.is_none() && busy.reason.unwrap().to_string().contains("5,000"));
}

#[test]
fn skipped_and_cancelled_runs_do_not_count() {
    let mut tally = Tally::default();
    for (status, runs) in [("completed", 3), ("skipped", 50), ("cancelled", 2), ("failed", 1), ("working", 1)]
    {
        tally.count(status, runs);
    }
    assert_eq!(tally, Tally { completed: 3, failed: 1 });
}

fn any_cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => (0_i64..2_000).prop_map(Value::Integer),
        2 => Just(Value::Null),
        1 => Just(Value::Unreadable),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => proptest::num::f64::ANY.prop_map(Value::Double),
        1 => ".{0,8}".prop_map(Value::Text),
        1 => (0_i64..80).prop_map(|days| Value::Date(DAY + jiff::Span::new().days(days))),
    ]
}

/// Builds rows of consecutive days, with a second column and cells; `backwards`, newest first.
fn days_of(second: &Value, rows: Vec<Vec<Value>>, backwards: bool) -> Vec<Vec<Value>> {
    let row = |(days, cells): (i64, Vec<Value>)| {
        let day = Value::Date(DAY + jiff::Span::new().days(days));
        [vec![day, second.clone()], cells].concat()
    };
    let mut rows: Vec<Vec<Value>> = (0..).zip(rows).map(row).collect();
    if backwards {
        rows.reverse();
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_rows_are_judged_once_for_each_declared_figure(
        days in proptest::collection::vec(proptest::collection::vec(any_cell(), 9), 0..60),
        runs in proptest::collection::vec(proptest::collection::vec(any_cell(), 5), 0..60),
        backwards in any::<bool>(),
        last in 0_i64..90,
    ) {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let of_days = [
            "snapshot_date", "figures_missing", "total_properties", "synced_properties", "null_company_count",
            "duplicate_count", "create_queue_count", "update_queue_count", "incidents_opened", "time_to_detect_seconds",
            "time_to_recover_seconds",
        ];
        let of_runs =
            ["snapshot_date", "sync_name", "completed_runs", "failed_runs", "processed", "failed", "median_seconds"];
        let untyped = |names: &[&'static str]| names.iter().map(|name| (*name, Kind::Text)).collect::<Vec<_>>();
        let missing = Value::Text("runs: gone".to_owned());
        let history = History::read(
            &answer(&untyped(&of_days), days_of(&missing, days, backwards)),
            &answer(&untyped(&of_runs), days_of(&sync("properties-create"), runs, backwards)),
        );
        let last = DAY + jiff::Span::new().days(last);
        let findings = judge_figures(&pipeline, &history, last, &Exceptions::default(), &[]);
        let subjects = pipeline.syncs.iter().map(|sync| sync.key.as_str()).chain([pipeline.name.as_str()]);
        let mut declared: Vec<(Check, &str)> = Check::ALL
            .iter()
            .filter(|check| check.subject_kind() == SubjectKind::Figures)
            .flat_map(|check| subjects.clone().map(|subject| (*check, subject)))
            .filter(|(check, subject)| pipeline.declares(*check, subject))
            .collect();
        let mut found: Vec<(Check, &str)> =
            findings.iter().map(|finding| (finding.check, finding.subject.as_str())).collect();
        declared.sort_unstable();
        found.sort_unstable();
        prop_assert_eq!(found, declared);
    }
}
