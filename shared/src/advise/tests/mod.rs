//! Tests with simulated runs of known cost.

mod changes;
mod coverage;
mod pipeline;
mod properties;
mod speed;
mod view;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

/// Returns a random number of the normal distribution.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let [u, v]: [f64; 2] = [rng.random(), rng.random()];
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Simulated runs: `fixed` seconds and `each` second a record, `interval` minutes apart.
#[derive(Clone)]
struct World {
    seed: u64,
    runs: usize,
    fixed: f64,
    each: f64,
    /// The median number of records, and the spread of its logarithm.
    records: f64,
    spread: f64,
    /// The spread of the logarithm of the time.
    noise: f64,
    /// How much the noise of a run resembles that of the run before, and the number of its records.
    memory: f64,
    records_memory: f64,
    /// The share of runs that take up to three times as long.
    odd: f64,
    interval: i64,
}

const START: &str = "2026-11-01T00:07:00Z";

impl World {
    fn quiet() -> Self {
        Self {
            seed: 1,
            runs: 60,
            fixed: 60.0,
            each: 2.4,
            records: 740.0,
            spread: 0.3,
            noise: 0.05,
            memory: 0.0,
            records_memory: 0.0,
            odd: 0.0,
            interval: 60,
        }
    }

    fn simulate(&self) -> Vec<Run> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let start: Timestamp = START.parse().unwrap();
        let mut state = normal(&mut rng);
        let mut free = start;
        let mut volume = normal(&mut rng);
        let next = |state: f64, memory: f64, rng: &mut ChaCha8Rng| {
            memory * state + (1.0 - memory * memory).sqrt() * normal(rng)
        };
        (0..self.runs)
            .map(|index| {
                volume = next(volume, self.records_memory, &mut rng);
                state = next(state, self.memory, &mut rng);
                let records = (self.records.ln() + self.spread * volume).exp().round();
                let odd = if rng.random_bool(self.odd) { rng.random_range(1.0..3.0) } else { 1.0 };
                let seconds = (self.fixed + self.each * records) * (self.noise * state).exp() * odd;
                let created = start + SignedDuration::from_mins(self.interval * index as i64);
                let mut run = run(created, seconds, records as u64);
                // A run waits for the one before.
                run.ended = run.ended.map(|ended| ended + free.max(created).duration_since(created));
                free = run.ended.unwrap();
                run
            })
            .collect()
    }

    fn sync(&self) -> Sync {
        let interval = Some(SignedDuration::from_mins(self.interval));
        Sync {
            runs: self.simulate(),
            interval,
            target: Some(SignedDuration::from_mins(15)),
            facts: Facts::default(),
        }
    }
}

fn run(created: Timestamp, seconds: f64, records: u64) -> Run {
    Run {
        created,
        started: None,
        ended: Some(created + SignedDuration::from_millis((seconds * 1e3).round() as i64)),
        end: End::Completed,
        records: Some(records),
        refused: Some(0),
        query_seconds: None,
    }
}

fn cost(sync: &Sync) -> Cost {
    measure(sync).unwrap().cost.unwrap()
}
