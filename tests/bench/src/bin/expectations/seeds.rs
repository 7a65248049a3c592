//! Seeds, first days and sizes of the played histories.

use anyhow::Result;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use syncwatch_lab::history::Plan;

const ZONE: &str = "America/Los_Angeles";
const FIRST_DAY: Date = date(2026, 1, 5);
/// The stream of a history's own draws here, which no day of a history draws from.
const STREAM: u64 = u64::MAX;
const SMALL: usize = 20;

/// How many histories are played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) is_small: bool,
    /// Multiplies the histories of a whole measurement.
    pub(crate) times: usize,
    pub(crate) seed: u64,
}

impl Size {
    /// The number of histories in a small measurement, or this many.
    pub(crate) fn of(self, whole: usize) -> usize {
        if self.is_small { SMALL } else { whole * self.times }
    }

    /// The seeds of one part of the measurement. Parts with different numbers share no seed.
    pub(crate) fn seeds(self, part: u64, whole: usize) -> impl Iterator<Item = u64> {
        let first = self.seed.wrapping_mul(100_000_000).wrapping_add(part * 1_000_000);
        (0_u64..).take(self.of(whole)).map(move |number| first.wrapping_add(number))
    }
}

/// The random draws of a plan, beyond those of its history.
pub(crate) fn draws(seed: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM);
    rng
}

/// A quiet plan that begins on a random day of a year.
pub(crate) fn plan(seed: u64, days: usize) -> Result<Plan> {
    let start = FIRST_DAY.checked_add(draws(seed).random_range(0..364_i64).days())?;
    Ok(Plan::quiet(seed, start, days, TimeZone::get(ZONE)?))
}

/// The median; the mean of the middle two of an even number.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which this share of the values lies, interpolated.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let place = share * values.len().checked_sub(1)? as f64;
    let (low, high) = (values.get(place.floor() as usize)?, values.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}
