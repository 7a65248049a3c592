//! The pipeline's own syncs: A takes about 30 minutes for 740 records, B about 1.5 minutes for 7,837.

use super::*;
use crate::sql::Dialect;

fn view() -> View {
    View {
        dialect: Some(Dialect::Databricks),
        name: "crm.sfdc_dbx.properties_to_create".to_owned(),
        key: Some("property_id".to_owned()),
        ..View::default()
    }
}

/// `properties-update`, with a target of 5 minutes.
fn update() -> Sync {
    let world = World {
        seed: 7,
        runs: 96,
        fixed: 20.0,
        each: 0.009,
        records: 7_837.0,
        spread: 0.4,
        noise: 0.1,
        interval: 15,
        ..World::quiet()
    };
    let target = Some(SignedDuration::from_mins(5));
    Sync { target, facts: Facts { salesforce: true, ..Facts::default() }, ..world.sync() }
}

/// `properties-create`, with a target of 15 minutes. Runs every 30 minutes.
fn create(spread: f64) -> Sync {
    let world = World { seed: 3, runs: 90, spread, noise: 0.08, interval: 30, ..World::quiet() };
    let other = cost(&update()).seconds_per_record.value;
    let facts = Facts {
        salesforce: true,
        creates: true,
        mirror: Some(false),
        fastest_other: Some(other),
        view: Some(view()),
        ..Facts::default()
    };
    Sync { facts, ..world.sync() }
}

#[test]
fn update_meets_its_target_and_gets_no_advice() {
    let report = advise(&update()).unwrap();
    assert_eq!(report.target, Target::Met { seconds: 300.0, over: 0, runs: 96 });
    assert!(report.advice.is_empty() && report.left_out.is_empty());
    insta::assert_snapshot!(report.lines("properties-update").join("\n"));
}

#[test]
fn create_misses_its_target_by_its_cost_per_record() {
    let report = advise(&create(0.25)).unwrap();
    insta::assert_snapshot!(report.lines("properties-create").join("\n"));
}

#[test]
fn create_with_equal_counts_gets_no_advice_on_records() {
    let report = advise(&create(0.01)).unwrap();
    assert!(report.advice.is_empty(), "{:?}", report.advice);
    insta::assert_snapshot!(report.lines("properties-create").join("\n"));
}

#[test]
fn slow_query_advice_names_view_table_and_column() {
    let mut sync = World { noise: 0.02, fixed: 1_050.0, each: 1.0, ..World::quiet() }.sync();
    for run in &mut sync.runs {
        run.query_seconds = Some(1_000.0);
    }
    sync.facts.mirror = Some(false);
    sync.facts.oldest_waiting = Some(SignedDuration::from_hours(20));
    sync.facts.view = Some(View {
        changed_at: Some("updated_at".to_owned()),
        definition: Some(Definition { joins: 1, ..Definition::default() }),
        selects: Some(Selects::All),
        filtered: Some(("crm.rds.properties".to_owned(), "updated_at".to_owned())),
        stored: Some(false),
        rows: Some(740),
        rows_read: Some(21_000),
        rows_changed: Some(3_000),
        ..view()
    });
    let report = advise(&sync).unwrap();
    insta::assert_snapshot!(report.lines("properties-create").join("\n"));
}

#[test]
fn slow_runs_decide_between_met_unclear_and_missed() {
    let of = |runs: usize, slow: usize| {
        let mut sync = World { runs, fixed: 10.0, each: 0.1, ..World::quiet() }.sync();
        for run in sync.runs.iter_mut().take(slow) {
            run.ended = Some(run.created + SignedDuration::from_mins(20));
        }
        advise(&sync).unwrap().target
    };
    let seconds = 900.0;
    assert_eq!(of(20, 2), Target::Met { seconds, over: 2, runs: 20 });
    assert_eq!(of(20, 3), Target::Missed { seconds, over: 3, runs: 20 });
    assert_eq!(of(12, 2), Target::Unclear { seconds, over: 2, runs: 12 });
    let sync = Sync { target: None, ..World::quiet().sync() };
    assert_eq!(advise(&sync).unwrap().target, Target::None);
}

#[test]
fn report_serializes_with_kinds_and_reasons() {
    let json = serde_json::to_value(advise(&create(0.25)).unwrap()).unwrap();
    assert_eq!(json.pointer("/advice/0/kind").and_then(|kind| kind.as_str()), Some("batch-size"));
    assert!(json.pointer("/advice/0/gain/AtMost").is_some_and(serde_json::Value::is_number), "{json}");
}

#[test]
fn waiting_counts_against_the_target() {
    let sync = World { fixed: 600.0, each: 0.1, interval: 10, ..World::quiet() }.sync();
    let report = advise(&sync).unwrap();
    assert!(report.speed.work.high < 900.0 && matches!(report.target, Target::Missed { .. }), "{report:?}");
    assert_eq!(report.advice.first().map(|advice| advice.kind), Some(Kind::LessOften));
}
