//! The share of 90% intervals that cover the true costs, over 500 seeds.

use super::*;

/// Returns the coverage of both costs in percent, and the number of seeds in which they were separated.
fn coverage(world: &World) -> [usize; 3] {
    let [mut fixed, mut each, mut separated] = [0; 3];
    for seed in 0..500 {
        let world = World { seed, ..world.clone() };
        let Ok(cost) = measure(&world.sync()).unwrap().cost else { continue };
        let covers = |estimate: Estimate, truth: f64| estimate.low <= truth && truth <= estimate.high;
        separated += 1;
        fixed += usize::from(covers(cost.fixed_seconds, world.fixed));
        each += usize::from(covers(cost.seconds_per_record, world.each));
    }
    [100 * fixed / separated.max(1), 100 * each / separated.max(1), separated]
}

#[test]
fn intervals_cover_the_truth_in_85_of_100_seeds() {
    let quiet = World::quiet;
    let table = [
        ("create sync", quiet()),
        ("noisy", World { noise: 0.15, ..quiet() }),
        ("few runs", World { runs: 15, ..quiet() }),
        ("odd runs", World { odd: 0.05, noise: 0.1, ..quiet() }),
        ("many alike", World { spread: 0.1, noise: 0.02, ..quiet() }),
        ("memory of both", World { memory: 0.7, records_memory: 0.7, noise: 0.1, ..quiet() }),
        ("memory", World { memory: 0.6, noise: 0.1, ..quiet() }),
        (
            "update sync",
            World { each: 0.01, records: 7_837.0, fixed: 12.0, spread: 0.6, noise: 0.15, ..quiet() },
        ),
        ("small counts", World { each: 2.0, records: 3.0, fixed: 60.0, spread: 1.0, ..quiet() }),
        ("long fixed cost", World { fixed: 900.0, ..quiet() }),
    ];
    let mut short = Vec::new();
    for (name, world) in table {
        let [fixed, each, separated] = coverage(&world);
        println!("{name}: fixed {fixed}%, per record {each}%, separated {separated} of 500");
        if fixed < 85 || each < 85 || separated < 100 {
            short.push(name);
        }
    }
    assert!(short.is_empty(), "{short:?}");
}

/// Returns in how many of 500 seeds runs on the hour, longer by so many seconds, lead to advice, and in how many of them the interval
/// covers these seconds.
fn off_hour_advice(longer: i64) -> [usize; 2] {
    let [mut advised, mut covered] = [0; 2];
    for seed in 0..500 {
        let world = World { seed, fixed: 900.0, each: 0.2, noise: 0.1, interval: 30, ..World::quiet() };
        let mut sync = world.sync();
        for (index, run) in (0..).zip(&mut sync.runs) {
            let later = if index % 2 == 0 { longer } else { 0 };
            run.created -= SignedDuration::from_mins(7);
            run.ended = run.ended.map(|ended| ended + SignedDuration::from_secs(later - 7 * 60));
        }
        let advice = advise(&sync).unwrap().advice;
        let Some(advice) = advice.iter().find(|advice| advice.kind == Kind::OffHour) else { continue };
        let Gain::Saves(gain) = advice.gain else { continue };
        advised += 1;
        covered += usize::from((gain.low..=gain.high).contains(&(longer as f64)));
    }
    [advised, covered]
}

#[test]
fn off_hour_advice_is_rare_without_and_usual_with_an_effect() {
    let [without, _] = off_hour_advice(0);
    let [with, covered] = off_hour_advice(200);
    println!("off-hour advice: {without} of 500 without, {with} of 500 with an effect, covered in {covered}");
    assert!(without <= 25 && with >= 450 && 100 * covered >= 85 * with, "{without} {with} {covered}");
}
