//! Measures the time and the answers of one series: its days, and its forecast.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use jiff::ToSpan as _;
use jiff::civil::date;
use rand::RngExt as _;
use syncwatch::expect::{Day, Limit, Measure, Sensitivity, Series, Side, forecast, judge_days};

use crate::seeds::draws;

const SERIES: usize = 10_000;
const DAYS: i64 = 70;

/// Prints the mean time of one series of 70 days, over 10,000 of them. The goal of 0.2 ms is for an optimized build.
pub(crate) fn run(seed: u64) -> Result<()> {
    let mut rng = draws(seed);
    let mut series = |index: usize| -> Result<Series> {
        let measure =
            Measure::ALL.into_iter().cycle().nth(index % Measure::ALL.len()).unwrap_or(Measure::Volume);
        let day = |number: i64| -> Result<Day> {
            let noise = rng.random_range(-1.0..1.0);
            let value = match measure {
                Measure::Volume | Measure::Queue => (800.0_f64 * (1.0 + 0.2 * noise)).round(),
                Measure::Duration => 300.0 + 20.0 * noise,
                _ => 95.0 - 0.03 * number as f64 + 0.1 * noise,
            };
            Ok(Day { total: 20_000, ..Day::new(date(2026, 1, 5).checked_add(number.days())?, Some(value)) })
        };
        Ok(Series::new(measure, (0..DAYS).map(day).collect::<Result<_>>()?)?)
    };
    let series = (0..SERIES).map(&mut series).collect::<Result<Vec<_>>>()?;
    let (sensitivity, limit) = (Sensitivity::default(), Limit { side: Side::Low, value: 90.0 });
    let begun = Instant::now();
    for series in &series {
        black_box(judge_days(series, &sensitivity));
        black_box(forecast(series, limit));
    }
    let total = begun.elapsed();
    println!(
        "speed: {SERIES} series of {DAYS} days judged in {:.2} s, {:.3} ms each (goal in an optimized build: 0.2 ms)",
        total.as_secs_f64(),
        total.as_secs_f64() * 1e3 / SERIES as f64
    );
    Ok(())
}
