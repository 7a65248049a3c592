//! Random draws.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, Gamma, Poisson, StandardNormal};

/// Draws a value between two bounds, each equally likely.
pub(super) fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Draws a value between two positive bounds, its logarithm equally likely.
pub(super) fn log_between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    between(rng, low.ln(), high.ln()).exp()
}

/// Draws a standard normal value.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Whether an event that happens once in so many cases happens now.
pub(super) fn once_in(rng: &mut ChaCha8Rng, cases: f64) -> bool {
    rng.random::<f64>() * cases < 1.0
}

/// Draws a count with this mean.
pub(super) fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> u64 {
    Poisson::new(mean).map_or(0, |poisson| poisson.sample(rng) as u64)
}

/// Draws the number of successes out of `n`.
pub(super) fn binomial(rng: &mut ChaCha8Rng, n: u64, share: f64) -> u64 {
    if n == 0 {
        return 0;
    }
    Binomial::new(n, share.clamp(0.0, 1.0)).map_or(0, |binomial| binomial.sample(rng))
}

/// Negative binomial counts: a Poisson count whose mean varies by a gamma factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// A gamma factor with mean 1.
    factor: Option<Gamma<f64>>,
}

impl Counts {
    /// The greater the shape, the closer to Poisson counts.
    pub(super) fn of_shape(shape: f64) -> Self {
        Self { factor: Gamma::new(shape, 1.0 / shape).ok() }
    }

    /// Draws a count with this mean.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        let factor = self.factor.map_or(1.0, |gamma| gamma.sample(rng));
        poisson(rng, mean * factor)
    }
}

/// Noise with memory: each value keeps a part of the one before, and the spread stays the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    spread: f64,
    memory: f64,
    /// The last value; `None` before the first.
    last: Option<f64>,
}

impl Noise {
    /// Noise with this standard deviation; `memory` is the correlation of neighbours, 0 to 1.
    pub(super) fn new(spread: f64, memory: f64) -> Self {
        Self { spread, memory, last: None }
    }

    /// Draws the next value.
    pub(super) fn step(&mut self, rng: &mut ChaCha8Rng) -> f64 {
        let fresh = self.spread * normal(rng);
        let value = self.last.map_or(fresh, |last| {
            self.memory * last + (1.0 - self.memory * self.memory).max(0.0).sqrt() * fresh
        });
        self.last = Some(value);
        value
    }
}
