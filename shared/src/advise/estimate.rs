//! Estimates with intervals from ranks: no assumption about the shape of the noise, and a few odd runs move nothing.
//!
//! The slope and its interval are those of Theil and Sen (P. K. Sen, 1968). The
//! interval of a median is that of the sign test, the one of a shift that of Mann and Whitney (Hodges and Lehmann, 1963).

use serde::{Deserialize, Serialize};

use crate::stats::{median, median_of};

/// The quantile of the normal distribution for an interval of 90%.
const Z: f64 = 1.645;
/// The greatest resemblance of a run to the run before that is believed.
const MOST_ALIKE: f64 = 0.9;
/// A correlation of n runs is too small by this over n on average.
const TOO_SMALL: f64 = 1.5;

/// A figure with its 90% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// Multiplies the figure and its interval.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }

    /// A cost is never negative.
    pub(super) fn at_least_zero(self) -> Self {
        Self { value: self.value.max(0.0), low: self.low.max(0.0), high: self.high.max(0.0) }
    }

    /// Returns the median of values in the order of time. None of none.
    pub(super) fn typical(values: &[f64]) -> Option<Self> {
        let value = median(values.iter().copied())?;
        let signs = signs(values.iter().copied(), value);
        let mut sorted = values.to_vec();
        let reach = Z * (values.len() as f64).sqrt() * widening(alike(&signs));
        Some(Self::of_ranks(&mut sorted, value, reach))
    }

    /// Returns how much greater the values in `late` are than those in `early`. None if one of them is empty.
    pub(super) fn shift(early: &[f64], late: &[f64]) -> Option<Self> {
        let mut differences: Vec<f64> = early.iter().flat_map(|e| late.iter().map(move |l| l - e)).collect();
        let value = median_of(&mut differences)?;
        let (n, m) = (early.len() as f64, late.len() as f64);
        let reach = 2.0 * Z * (n * m * (n + m + 1.0) / 12.0).sqrt();
        Some(Self::of_ranks(&mut differences, value, reach))
    }

    /// Returns the interval from rank `(n + 1 - reach) / 2` to the same rank from the end.
    fn of_ranks(values: &mut [f64], value: f64, reach: f64) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let below = ((values.len() as f64 + 1.0 - reach) / 2.0).floor().max(1.0) as usize - 1;
        let at = |index: Option<usize>| index.and_then(|index| values.get(index)).copied().unwrap_or(value);
        let above = values.len().checked_sub(1 + below);
        Self { value, low: at(Some(below)).min(value), high: at(above).max(value) }
    }
}

/// The line y = `level` + `slope` x.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) level: Estimate,
    pub(super) slope: Estimate,
}

impl Line {
    /// Fits a line to points in the order of time. None if all x are equal.
    pub(super) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
        for (index, (x, y)) in points.iter().enumerate() {
            let later = points.iter().skip(index + 1).filter(|(later, _)| later != x);
            slopes.extend(later.map(|(later, z)| (z - y) / (later - x)));
        }
        let b = median_of(&mut slopes)?;
        let level_at = |b: f64| median(points.iter().map(|(x, y)| y - b * x));
        let a = level_at(b)?;
        let residuals: Vec<f64> = points.iter().map(|(x, y)| y - b * x).collect();
        let middle = median(points.iter().map(|(x, _)| *x))?;
        // Runs that resemble the run before weaken a slope only if their counts do so too.
        let in_row = alike(&signs(residuals.iter().copied(), a))
            * alike(&signs(points.iter().map(|(x, _)| *x), middle));
        let reach = Z * kendall_variance(points, &residuals).sqrt() * widening(in_row);
        let slope = Estimate::of_ranks(&mut slopes, b, reach);
        // The errors of the slope and of the height of the line are independent, so they add as squares.
        let height = Estimate::typical(&residuals)?;
        let low = (a - level_at(slope.high)?).hypot(a - height.low);
        let high = (level_at(slope.low)? - a).hypot(height.high - a);
        Some(Self { level: Estimate { value: a, low: a - low, high: a + high }, slope })
    }
}

/// Returns the variance of Kendall's S of records and residuals, from the part that each run has in it. Unlike Kendall's formula,
/// this holds for ties, and if the time of large runs varies more.
fn kendall_variance(points: &[(f64, f64)], residuals: &[f64]) -> f64 {
    let runs = || points.iter().map(|(x, _)| *x).zip(residuals.iter().copied());
    let agrees = |(x, e): (f64, f64), (y, f): (f64, f64)| sign(x - y) * sign(e - f);
    let parts: Vec<f64> = runs().map(|run| runs().map(|other| agrees(run, other)).sum()).collect();
    let n = points.len() as f64;
    let mean = parts.iter().sum::<f64>() / n;
    n / (n - 1.0).max(1.0) * parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>()
}

/// Returns the sign of a difference. Below a microsecond it is rounding: residuals of two points on the line are equal.
fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 1e-6) - i8::from(x < -1e-6))
}

fn signs(values: impl Iterator<Item = f64>, middle: f64) -> Vec<f64> {
    values.map(|value| sign(value - middle)).collect()
}

/// Returns the correlation of values with those before, from 0 to [`MOST_ALIKE`], by their signs. If they are normal, their
/// signs correlate by 2/pi times its arc sine.
fn alike(signs: &[f64]) -> f64 {
    let products: f64 = signs.iter().zip(signs.iter().skip(1)).map(|(a, b)| a * b).sum();
    let of_signs = ((products + TOO_SMALL) / signs.len().max(1) as f64).clamp(0.0, 1.0);
    (std::f64::consts::FRAC_PI_2 * of_signs).sin().min(MOST_ALIKE)
}

/// Returns the factor by which runs that resemble the run before widen an interval.
fn widening(alike: f64) -> f64 {
    ((1.0 + alike) / (1.0 - alike)).sqrt()
}
