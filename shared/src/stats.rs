//! Medians and the spread around them. Pure.

/// The weight of `sigma0` in a spread, in observations.
const NU0: f64 = 7.0;

/// Scales a median of absolute deviations to the standard deviation of normal noise.
pub(crate) const MAD: f64 = 1.4826;

/// Returns the median; the mean of the middle two of an even number. None of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    median_of(&mut values.into_iter().collect::<Vec<f64>>())
}

/// [`median`] of values whose order may change.
pub(crate) fn median_of(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(values.len() / 2, f64::total_cmp);
    let under = below.iter().copied().filter(|_| even).max_by(f64::total_cmp);
    Some(under.map_or(*middle, |under| f64::midpoint(under, *middle)))
}

/// Returns the spread to assume after `count` observations of spread `s`: `sigma0` at first, `s` as history grows.
pub(crate) fn spread(sigma0: f64, count: usize, s: f64) -> f64 {
    let count = count as f64;
    ((NU0 * sigma0 * sigma0 + count * s * s) / (NU0 + count)).sqrt()
}
