mod days;
mod forecasts;
mod properties;
mod sentences;
mod silence;

use jiff::SignedDuration;
use jiff::civil::{Date, date};

use super::{Day, Measure, Sensitivity, Series, Verdict, judge_days};

/// A Monday.
const FIRST: Date = date(2026, 1, 5);

fn after(days: usize) -> Date {
    FIRST.saturating_add(SignedDuration::from_hours(24 * days as i64))
}

fn day(number: usize, value: f64) -> Day {
    Day { total: 20_000, failed: 100, ..Day::new(after(number), Some(value)) }
}

fn days_of(values: impl IntoIterator<Item = f64>) -> Vec<Day> {
    values.into_iter().enumerate().map(|(number, value)| day(number, value)).collect()
}

fn judge(measure: Measure, days: Vec<Day>) -> Vec<Verdict> {
    judge_days(&Series::new(measure, days).unwrap(), &Sensitivity::default())
}

/// Judges so many equal days, then more.
fn judge_after(measure: Measure, usual: (usize, f64), then: &[f64]) -> Vec<Verdict> {
    let (count, value) = usual;
    let values = std::iter::repeat_n(value, count).chain(then.iter().copied());
    judge(measure, days_of(values)).split_off(count)
}
