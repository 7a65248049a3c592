//! The precondition of each change, on both sides.

use super::*;
use crate::sql::Dialect;

fn slow() -> Sync {
    World::quiet().sync()
}

/// A slow Salesforce sync with another one that needs 0.01 seconds a record.
fn salesforce() -> Sync {
    let facts = Facts { salesforce: true, fastest_other: Some(0.01), ..Facts::default() };
    Sync { facts, ..slow() }
}

/// A slow sync whose source query takes half of a run and reads far more rows than needed.
fn slow_query() -> Sync {
    let mut sync = World { spread: 0.0, noise: 0.0, ..World::quiet() }.sync();
    for run in &mut sync.runs {
        run.query_seconds = Some(918.0);
    }
    sync.facts =
        Facts { mirror: Some(false), oldest_waiting: Some(SignedDuration::from_hours(20)), ..sync.facts };
    sync.facts.view = Some(View {
        dialect: Some(Dialect::Databricks),
        definition: Some(Definition { joins: 1, ..Definition::default() }),
        selects: Some(Selects::All),
        name: "crm.sfdc_dbx.properties_to_create".to_owned(),
        key: Some("property_id".to_owned()),
        changed_at: Some("updated_at".to_owned()),
        filtered: Some(("crm.rds.properties".to_owned(), "updated_at".to_owned())),
        stored: Some(false),
        rows: Some(740),
        rows_read: Some(21_000),
        rows_changed: Some(3_000),
    });
    sync
}

/// Runs every 30 minutes, those on the hour `longer` by so many seconds.
fn on_hour(longer: f64, runs: usize) -> Sync {
    let mut sync = World { interval: 30, fixed: 900.0, each: 0.2, runs, ..World::quiet() }.sync();
    for (index, run) in sync.runs.iter_mut().enumerate() {
        let later = if index % 2 == 0 { longer } else { 0.0 };
        run.created -= SignedDuration::from_mins(7);
        let ended = run.ended.unwrap() - SignedDuration::from_mins(7);
        run.ended = Some(ended + SignedDuration::from_millis((later * 1e3) as i64));
    }
    sync
}

/// Runs every 30 minutes that take 40 minutes, nearly all of it fixed.
fn overlapping() -> Sync {
    World { interval: 30, fixed: 2_300.0, each: 0.15, ..World::quiet() }.sync()
}

fn rarely() -> Sync {
    let facts = Facts { unchanged_percent: Some(5.0), ..Facts::default() };
    Sync { interval: Some(SignedDuration::from_mins(120)), facts, ..slow() }
}

fn splittable() -> Sync {
    Sync { facts: slow_query().facts, ..slow() }
}

fn unchanged(percent: f64) -> Sync {
    Sync { facts: Facts { unchanged_percent: Some(percent), ..Facts::default() }, ..slow() }
}

fn with(mut sync: Sync, change: impl FnOnce(&mut Sync)) -> Sync {
    change(&mut sync);
    sync
}

fn with_view(sync: Sync, change: impl FnOnce(&mut View)) -> Sync {
    with(sync, |sync| change(sync.facts.view.as_mut().unwrap()))
}

/// Returns the reason why a kind is left out; none if it is advised.
fn left_out(sync: &Sync, kind: Kind) -> Option<String> {
    let report = advise(sync).unwrap();
    assert!(matches!(report.target, Target::Missed { .. }), "{report:?}");
    assert_eq!(report.advice.len() + report.left_out.len(), 10);
    let reason = report.left_out.iter().find(|(left, _)| *left == kind).map(|(_, why)| format!("{why:?}"));
    assert_eq!(reason.is_none(), report.advice.iter().any(|advice| advice.kind == kind));
    reason
}

fn check(kind: Kind, table: Vec<(&str, Sync, &str)>) {
    for (name, sync, reason) in table {
        let found = left_out(&sync, kind).unwrap_or_default();
        assert!(
            found.starts_with(reason) && found.is_empty() == reason.is_empty(),
            "{kind:?}, {name}: {found}"
        );
    }
}

#[test]
fn batch_size_needs_slow_records_and_a_size_to_raise() {
    let refused = |of_740: u64| {
        with(salesforce(), |sync| sync.runs.iter_mut().for_each(|run| run.refused = Some(of_740)))
    };
    check(
        Kind::BatchSize,
        vec![
            ("unknown size", salesforce(), ""),
            ("lowered", with(salesforce(), |sync| sync.facts.batch_size_lowered = Some(true)), ""),
            (
                "not lowered",
                with(salesforce(), |sync| sync.facts.batch_size_lowered = Some(false)),
                "Unsuitable",
            ),
            ("not Salesforce", slow(), "Unsuitable"),
            ("few refused", refused(2), ""),
            ("many refused", refused(40), "Unsuitable"),
            (
                "refused unknown",
                with(salesforce(), |s| s.runs.iter_mut().for_each(|run| run.refused = None)),
                "Unknown",
            ),
            ("others as slow", with(salesforce(), |sync| sync.facts.fastest_other = Some(2.4)), "TooLittle"),
            (
                "fixed cost",
                Sync {
                    facts: salesforce().facts,
                    ..World { fixed: 5_000.0, interval: 240, ..World::quiet() }.sync()
                },
                "TooLittle",
            ),
            (
                "records alike",
                Sync { facts: salesforce().facts, ..World { spread: 0.0, ..World::quiet() }.sync() },
                "Inseparable",
            ),
        ],
    );
}

#[test]
fn automation_needs_a_sync_that_is_three_times_as_fast() {
    check(
        Kind::Automation,
        vec![
            ("faster", salesforce(), ""),
            ("as slow", with(salesforce(), |sync| sync.facts.fastest_other = Some(1.0)), "TooLittle"),
            ("no other", with(salesforce(), |sync| sync.facts.fastest_other = None), "Unknown"),
            ("not Salesforce", with(salesforce(), |sync| sync.facts.salesforce = false), "Unsuitable"),
        ],
    );
}

#[test]
fn off_hour_needs_longer_runs_on_the_hour() {
    check(
        Kind::OffHour,
        vec![
            ("longer", on_hour(300.0, 60), ""),
            ("as long", on_hour(0.0, 60), "Unsure"),
            ("a little longer", on_hour(20.0, 200), "TooLittle"),
            ("few runs", on_hour(300.0, 18), "Unsure"),
            ("never on the hour", slow(), "Unsure"),
        ],
    );
}

#[test]
fn less_often_needs_runs_that_wait() {
    check(
        Kind::LessOften,
        vec![
            ("waiting", overlapping(), ""),
            ("not waiting", slow(), "Unsure"),
            (
                "records grow with the interval",
                World { interval: 30, each: 3.2, ..World::quiet() }.sync(),
                "DoesNotFit",
            ),
            (
                "records alike",
                World { interval: 30, each: 3.2, spread: 0.0, ..World::quiet() }.sync(),
                "Inseparable",
            ),
            ("no interval", with(overlapping(), |sync| sync.interval = None), "Unknown"),
            (
                "longest interval",
                with(overlapping(), |s| s.interval = Some(SignedDuration::from_hours(24))),
                "DoesNotFit",
            ),
        ],
    );
    let report = advise(&overlapping()).unwrap();
    let how = &report.advice.first().unwrap().how;
    assert!(how.contains("every 1h."), "{how}");
}

#[test]
fn more_often_needs_new_records_and_room() {
    let every = |minutes| with(rarely(), |sync| sync.interval = Some(SignedDuration::from_mins(minutes)));
    let unchanged = |percent| with(rarely(), |sync| sync.facts.unchanged_percent = percent);
    check(
        Kind::MoreOften,
        vec![
            ("room", rarely(), ""),
            ("no room", every(30), "DoesNotFit"),
            ("same records again", unchanged(Some(60.0)), "Unsuitable"),
            ("unknown", unchanged(None), "Unknown"),
            ("not a number", unchanged(Some(f64::NAN)), "Unsuitable"),
        ],
    );
}

#[test]
fn materialize_needs_a_slow_query_on_a_view() {
    let seconds = |known: Option<f64>| {
        with(slow_query(), |sync| sync.runs.iter_mut().for_each(|run| run.query_seconds = known))
    };
    let stored = |stored| with_view(slow_query(), |view| view.stored = stored);
    check(
        Kind::Materialize,
        vec![
            ("slow", slow_query(), ""),
            ("fast", seconds(Some(400.0)), "TooLittle"),
            ("unknown time", seconds(None), "Unknown"),
            ("stored", stored(Some(true)), "Unsuitable"),
            ("unknown", stored(None), "Unknown"),
            ("no view", with(slow_query(), |sync| sync.facts.view = None), "Unknown"),
            (
                "other engine",
                with_view(slow_query(), |view| view.dialect = Some(Dialect::Sqlite)),
                "Unsuitable",
            ),
        ],
    );
}

#[test]
fn cluster_needs_a_query_that_reads_ten_times_the_rows() {
    let read = |read| with_view(slow_query(), |view| view.rows_read = read);
    check(
        Kind::Cluster,
        vec![
            ("much read", slow_query(), ""),
            ("little read", read(Some(7_000)), "TooLittle"),
            ("unknown", read(None), "Unknown"),
            ("no filter", with_view(slow_query(), |view| view.filtered = None), "Unknown"),
            ("no rows", with_view(slow_query(), |view| view.rows = Some(0)), ""),
        ],
    );
}

#[test]
fn only_recent_needs_every_change_to_arrive_within_a_week() {
    let oldest = |hours: Option<i64>| {
        with(slow_query(), |sync| sync.facts.oldest_waiting = hours.map(SignedDuration::from_hours))
    };
    let mirror = |mirror| with(slow_query(), |sync| sync.facts.mirror = mirror);
    let selects = |selects| with_view(slow_query(), |view| view.selects = selects);
    check(
        Kind::OnlyRecent,
        vec![
            ("recent", oldest(Some(167)), ""),
            ("a week", oldest(Some(168)), "Unsuitable"),
            ("unknown age", oldest(None), "Unknown"),
            ("mirror", mirror(Some(true)), "Unsuitable"),
            ("perhaps a mirror", mirror(None), "Unknown"),
            ("all changed", with_view(slow_query(), |view| view.rows_changed = Some(11_000)), "TooLittle"),
            ("no column", with_view(slow_query(), |view| view.changed_at = None), "Unknown"),
            ("recent already", selects(Some(Selects::Recent)), "Unsuitable"),
            ("unclear condition", selects(Some(Selects::Unclear)), "Unknown"),
            ("unknown text", selects(None), "Unknown"),
        ],
    );
}

#[test]
fn only_changed_needs_records_that_are_there_already() {
    check(
        Kind::OnlyChanged,
        vec![
            ("many", unchanged(20.0), ""),
            ("few", unchanged(19.0), "TooLittle"),
            ("not a number", unchanged(f64::NAN), "TooLittle"),
            ("unknown", slow(), "Unknown"),
        ],
    );
    let all = |percent| advise(&unchanged(percent)).unwrap().advice.first().map(|advice| advice.gain);
    assert_eq!(all(120.0), all(100.0));
    let gain = advise(&unchanged(50.0)).unwrap().advice.first().map(|advice| advice.gain);
    let Some(Gain::Saves(gain)) = gain else { panic!("{gain:?}") };
    assert!(gain.low < gain.value && gain.value <= gain.high, "{gain:?}");
    assert!((gain.value - 1.2 * 740.0).abs() < 90.0, "{gain:?}");
}

#[test]
fn split_needs_parts_that_meet_the_target() {
    let target = |minutes| with(splittable(), |sync| sync.target = Some(SignedDuration::from_mins(minutes)));
    check(
        Kind::Split,
        vec![
            ("two or three parts", splittable(), ""),
            ("many parts", target(5), "DoesNotFit"),
            ("fixed cost over the target", target(1), "DoesNotFit"),
            ("mirror", with(splittable(), |sync| sync.facts.mirror = Some(true)), "Unsuitable"),
            ("creates records", with(splittable(), |sync| sync.facts.creates = true), "Unsuitable"),
            ("no key", with_view(splittable(), |view| view.key = None), "Unknown"),
        ],
    );
}

#[test]
fn at_most_three_changes_are_advised_by_gain() {
    let mut sync = salesforce();
    sync.facts = Facts {
        salesforce: true,
        fastest_other: Some(0.01),
        unchanged_percent: Some(30.0),
        ..splittable().facts
    };
    let report = advise(&sync).unwrap();
    let kinds: Vec<Kind> = report.advice.iter().map(|advice| advice.kind).collect();
    assert_eq!(kinds, [Kind::BatchSize, Kind::Automation, Kind::Split]);
    assert!(report.advice.is_sorted_by(|a, b| a.gain.expected() >= b.gain.expected()));
    assert!(report.left_out.contains(&(Kind::OnlyChanged, Unmet::LessGain)), "{:?}", report.left_out);
}
