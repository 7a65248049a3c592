//! Properties of the measured speed and the advice, on any input.

use proptest::prelude::*;

use super::*;

fn instant() -> impl Strategy<Value = Timestamp> {
    let near = (0..5_000_000_i64).prop_map(|second| Timestamp::from_second(1_790_000_000 + second).unwrap());
    prop_oneof![8 => near, 1 => Just(Timestamp::MIN), 1 => Just(Timestamp::MAX)]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..5_000.0, 1 => any::<f64>()]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..10_000_u64, 1 => any::<u64>()]
}

fn any_run() -> impl Strategy<Value = Run> {
    let ends = prop_oneof![6 => Just(End::Completed), 1 => Just(End::Skipped), 1 => Just(End::Other)];
    let times = (
        instant(),
        proptest::option::weighted(0.2, instant()),
        0..10_000_i64,
        proptest::option::weighted(0.1, instant()),
    );
    (
        times,
        ends,
        proptest::option::weighted(0.9, count()),
        proptest::option::weighted(0.9, 0..50_u64),
        proptest::option::weighted(0.8, number()),
    )
        .prop_map(|((created, started, seconds, ended), end, records, refused, query_seconds)| Run {
            created,
            started,
            ended: ended.or_else(|| created.checked_add(SignedDuration::from_secs(seconds)).ok()),
            end,
            records,
            refused,
            query_seconds,
        })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let numbers = [proptest::option::of(number()), proptest::option::of(number())];
    let counts = [(); 3].map(|()| proptest::option::of(count()));
    let truths: [_; 3] = [(); 3].map(|()| any::<Option<bool>>());
    (truths, numbers, counts, any::<Option<i64>>()).prop_map(
        |([mirror, lowered, stored], [other, unchanged], [rows, read, changed], age)| Facts {
            salesforce: lowered.is_none(),
            creates: stored.is_none(),
            mirror,
            batch_size_lowered: lowered,
            fastest_other: other,
            unchanged_percent: unchanged,
            oldest_waiting: age.map(SignedDuration::from_secs),
            view: Some(View {
                dialect: Some(crate::sql::Dialect::Databricks),
                definition: Some(Definition::default()),
                selects: Some(Selects::All),
                name: "v".to_owned(),
                key: Some("id".to_owned()),
                changed_at: Some("at".to_owned()),
                filtered: Some(("t".to_owned(), "at".to_owned())),
                stored,
                rows,
                rows_read: read,
                rows_changed: changed,
            }),
        },
    )
}

fn any_sync() -> impl Strategy<Value = Sync> {
    let runs = proptest::collection::vec(any_run(), 0..60);
    let duration =
        || any::<Option<i32>>().prop_map(|seconds| seconds.map(|s| SignedDuration::from_secs(s.into())));
    (runs, duration(), duration(), any_facts()).prop_map(|(runs, interval, target, facts)| Sync {
        runs,
        interval,
        target,
        facts,
    })
}

/// Simulated syncs, in which most facts are known.
fn likely_sync() -> impl Strategy<Value = Sync> {
    (any::<u64>(), 10..60_usize, 0.0..1_000.0, 0.001..3.0, 0.0..0.6, 0.0..0.3, any_facts()).prop_map(
        |(seed, runs, fixed, each, spread, noise, facts)| {
            let world = World { seed, runs, fixed, each, spread, noise, odd: 0.05, ..World::quiet() };
            Sync { facts, target: Some(SignedDuration::from_secs(60)), ..world.sync() }
        },
    )
}

fn is_ordered(estimate: Estimate) -> bool {
    estimate.low <= estimate.value && estimate.value <= estimate.high && estimate.high.is_finite()
}

fn close(a: Estimate, b: Estimate) -> bool {
    let near = |x: f64, y: f64| (x - y).abs() <= 1e-6 * x.abs().max(y.abs()).max(1e-3);
    near(a.value, b.value) && near(a.low, b.low) && near(a.high, b.high)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gets_ordered_figures(sync in prop_oneof![any_sync(), likely_sync()]) {
        if let Ok(report) = advise(&sync) {
            let speed = &report.speed;
            prop_assert!(is_ordered(speed.work) && is_ordered(speed.waits.seconds), "{:?}", speed);
            if let Ok(cost) = speed.cost {
                prop_assert!(is_ordered(cost.fixed_seconds) && cost.fixed_seconds.low >= 0.0, "{:?}", cost);
                prop_assert!(is_ordered(cost.seconds_per_record) && cost.seconds_per_record.low >= 0.0);
            }
            prop_assert!(report.advice.len() <= 3);
            for advice in &report.advice {
                prop_assert!(advice.gain.expected().is_finite() && advice.gain.expected() > 0.0, "{:?}", advice);
            }
            prop_assert!(!report.lines("s").join(" ").contains("NaN"));
        }
    }

    #[test]
    fn order_of_runs_never_matters(sync in prop_oneof![any_sync(), likely_sync()], seed in any::<u64>()) {
        let mut shuffled = sync.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for index in (1..shuffled.runs.len()).rev() {
            shuffled.runs.swap(index, rng.random_range(0..=index));
        }
        prop_assert_eq!(format!("{:?}", advise(&sync)), format!("{:?}", advise(&shuffled)));
    }

    #[test]
    fn scaled_time_scales_the_estimates(sync in likely_sync(), factor in 2..5_i32) {
        let origin: Timestamp = START.parse().unwrap();
        let mut scaled = sync.clone();
        for run in &mut scaled.runs {
            let moved = |at: Timestamp| origin + at.duration_since(origin) * factor;
            (run.created, run.ended) = (moved(run.created), run.ended.map(moved));
        }
        let (speed, slower) = (measure(&sync).unwrap(), measure(&scaled).unwrap());
        let times = |estimate: Estimate| estimate.times(factor.into());
        prop_assert!(close(times(speed.work), slower.work), "{:?} {:?}", speed, slower);
        prop_assert_eq!(speed.cost.is_ok(), slower.cost.is_ok());
        if let (Ok(cost), Ok(slower)) = (speed.cost, slower.cost) {
            prop_assert!(close(times(cost.fixed_seconds), slower.fixed_seconds), "{:?} {:?}", cost, slower);
            prop_assert!(close(times(cost.seconds_per_record), slower.seconds_per_record));
        }
    }

    #[test]
    fn noiseless_costs_are_recovered(
        seed in any::<u64>(), fixed in 1.0..5_000.0, each in 0.01..10.0, runs in 12..60_usize,
    ) {
        let world = World { seed, fixed, each, runs, noise: 0.0, interval: 600, ..World::quiet() };
        let cost = cost(&world.sync());
        // Run times are in milliseconds.
        let exact = |estimate: Estimate, truth: f64, within: f64| {
            [estimate.value, estimate.low, estimate.high].iter().all(|x| (x - truth).abs() <= within)
        };
        prop_assert!(exact(cost.seconds_per_record, each, 1e-3), "{:?}", cost);
        prop_assert!(exact(cost.fixed_seconds, fixed, 0.5), "{:?}", cost);
    }
}
