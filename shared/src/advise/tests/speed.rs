//! The measured speed.

use super::*;

#[test]
fn few_completed_runs_are_not_enough() {
    for (runs, enough) in [(0, false), (9, false), (10, true)] {
        let sync = World { runs, ..World::quiet() }.sync();
        let expected = (!enough).then_some(NotEnough::FewRuns { have: runs, need: 10 });
        assert_eq!(measure(&sync).err(), expected, "{runs}");
    }
    let mut sync = World { runs: 30, ..World::quiet() }.sync();
    for run in &mut sync.runs {
        run.end = End::Other;
    }
    assert_eq!(measure(&sync), Err(NotEnough::FewRuns { have: 0, need: 10 }));
}

#[test]
fn costs_are_separated_only_if_records_vary() {
    let quiet = World::quiet;
    type Expect = fn(&Result<Cost, Inseparable>) -> bool;
    let table: [(&str, World, Expect); 5] = [
        ("vary", quiet(), |cost| cost.is_ok()),
        ("all equal", World { spread: 0.0, ..quiet() }, |cost| {
            *cost == Err(Inseparable::AlikeCounts { different: 0, need: 4 })
        }),
        ("vary by 2%", World { spread: 0.02, ..quiet() }, |cost| {
            matches!(cost, Err(Inseparable::AlikeCounts { .. }))
        }),
        ("noisy", World { spread: 0.12, noise: 0.5, ..quiet() }, |cost| {
            matches!(cost, Err(Inseparable::Unsure { .. } | Inseparable::NotLonger))
        }),
        ("no cost per record", World { each: 0.0, noise: 0.0, ..quiet() }, |cost| {
            *cost == Err(Inseparable::NotLonger)
        }),
    ];
    for (name, world, expect) in table {
        let speed = measure(&world.sync()).unwrap();
        assert!(expect(&speed.cost), "{name}: {:?}", speed.cost);
    }
}

#[test]
fn unknown_counts_leave_only_the_time_of_a_run() {
    let mut sync = World::quiet().sync();
    for run in sync.runs.iter_mut().skip(9) {
        run.records = None;
    }
    let speed = measure(&sync).unwrap();
    assert_eq!(speed.cost, Err(Inseparable::FewCounts { have: 9, need: 10 }));
    assert_eq!(speed.runs, 60);
}

#[test]
fn runs_without_records_show_the_fixed_cost() {
    let mut sync = World { noise: 0.0, ..World::quiet() }.sync();
    for run in sync.runs.iter_mut().take(40) {
        *run = super::run(run.created, 60.0, 0);
    }
    let cost = cost(&sync);
    assert!((cost.fixed_seconds.value - 60.0).abs() < 0.01, "{cost:?}");
    assert!((cost.seconds_per_record.value - 2.4).abs() < 0.01, "{cost:?}");
}

/// Runs every 30 minutes that take 40: each waits for the one before.
fn waiting() -> Sync {
    let start: Timestamp = START.parse().unwrap();
    let runs = (0..20).map(|index| {
        let created = start + SignedDuration::from_mins(30 * index);
        let mut run = run(created, 60.0, 700);
        run.ended = Some(start + SignedDuration::from_mins(40 * (index + 1)));
        run
    });
    Sync { runs: runs.collect(), ..Sync::default() }
}

#[test]
fn waiting_for_the_previous_run_is_not_work() {
    let speed = measure(&waiting()).unwrap();
    assert_eq!(speed.work.value, 2400.0);
    assert_eq!((speed.waits.waited, speed.waits.skipped), (19, 0));
    // The wait grows by 10 minutes a run, from 0 to 190.
    assert_eq!(speed.waits.seconds.value, 95.0 * 60.0);
}

#[test]
fn known_start_separates_other_delays_from_waiting() {
    let mut sync = World { noise: 0.0, spread: 0.0, ..World::quiet() }.sync();
    for run in &mut sync.runs {
        run.started = Some(run.created + SignedDuration::from_secs(120));
    }
    let speed = measure(&sync).unwrap();
    assert_eq!((speed.waits.waited, speed.waits.seconds.value), (0, 0.0));
    assert_eq!(speed.work.value, 60.0 + 2.4 * 740.0 - 120.0);
}

#[test]
fn skipped_runs_are_counted_and_parallel_runs_do_not_wait() {
    let mut sync = World::quiet().sync();
    let skipped: Vec<Run> = sync.runs.iter().take(7).map(|run| Run { end: End::Skipped, ..*run }).collect();
    sync.runs.extend(skipped);
    let long = sync.runs.first().unwrap();
    let long = Run { end: End::Other, ended: Some(long.created + SignedDuration::from_hours(90)), ..*long };
    sync.runs.push(long);
    let waits = measure(&sync).unwrap().waits;
    assert_eq!((waits.waited, waits.skipped), (0, 7));
}

#[test]
fn query_needs_ten_known_times() {
    for (known, has) in [(9, false), (10, true)] {
        let mut sync = World { noise: 0.0, spread: 0.0, ..World::quiet() }.sync();
        for run in sync.runs.iter_mut().take(known) {
            run.query_seconds = Some(918.0);
        }
        let query = measure(&sync).unwrap().query;
        assert_eq!(query.map(|query| (query.percent, query.runs)), has.then_some((50.0, 10)), "{known}");
    }
}

#[test]
fn only_the_newest_100_runs_are_used() {
    let mut sync = World { runs: 250, noise: 0.0, ..World::quiet() }.sync();
    for run in sync.runs.iter_mut().take(150) {
        *run = super::run(run.created, 10.0, 740);
    }
    let speed = measure(&sync).unwrap();
    assert_eq!(speed.runs, 100);
    assert!(speed.work.value > 900.0, "{speed:?}");
}

#[test]
fn runs_without_records_do_not_hide_an_unsure_cost() {
    let mut sync = World { runs: 30, noise: 1.5, spread: 0.0, interval: 10_000, ..World::quiet() }.sync();
    for run in sync.runs.iter_mut().take(20) {
        *run = super::run(run.created, 60.0, 0);
    }
    let speed = measure(&sync).unwrap();
    assert!(matches!(speed.cost, Err(Inseparable::Unsure { .. } | Inseparable::NotLonger)), "{speed:?}");
}

#[test]
fn start_after_the_end_is_ignored() {
    let mut sync = World { noise: 0.0, spread: 0.0, ..World::quiet() }.sync();
    for run in &mut sync.runs {
        run.started = run.ended.map(|ended| ended + SignedDuration::from_secs(1));
    }
    assert_eq!(measure(&sync).unwrap().work.value, 60.0 + 2.4 * 740.0);
}
