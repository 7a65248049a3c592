//! The character of one business, drawn once for a history.

use jiff::civil::Date;
use rand_chacha::ChaCha8Rng;

use super::chance::{between, log_between};
use super::{RUN_EVERY_MINUTES, SLOTS, Temper};

/// The character of one business and its sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Business {
    /// Records on an ordinary weekday at the beginning.
    pub records_a_day: f64,
    /// The volume of each weekday, Monday first, relative to an ordinary weekday.
    pub weekdays: [f64; 7],
    /// The share of a day's records that each slot moves. The sum is 1.
    pub slots: Vec<f64>,
    /// The logarithm of the growth in a year.
    pub growth: f64,
    /// Standard deviation of the logarithm of a day's volume, beyond that of the counts.
    pub noise: f64,
    /// Correlation of the noise of two days in a row.
    pub memory: f64,
    /// The factor of the last two business days of a month.
    pub month_end: f64,
    /// The shape of the negative binomial counts of runs.
    pub shape: f64,
    /// Seconds of a run without records.
    pub base_seconds: f64,
    /// Seconds that each record adds.
    pub record_seconds: f64,
    /// Standard deviation of the logarithm of a run's seconds, from run to run and from day to day.
    pub seconds_noise: (f64, f64),
    /// Records at the source at the beginning.
    pub total: f64,
    /// Percent in the destination, and its standard deviation from day to day, in points.
    pub coverage: (f64, f64),
    /// Percent without a company name, and its standard deviation from day to day, in points.
    pub nulls: (f64, f64),
    /// Percent of records that fail, and the standard deviation of its logarithm from day to day.
    pub errors: (f64, f64),
    /// Records that wait at the end of a day, as a share of a weekday's records, and the standard deviation of its logarithm.
    pub queue: (f64, f64),
    /// The share of waiting records that are new.
    pub create_share: f64,
}

impl Business {
    /// Draws a business.
    pub(super) fn draw(rng: &mut ChaCha8Rng, temper: Temper) -> Self {
        let (noise, memory) = match temper {
            Temper::Ordinary => ((0.05, 0.22), 0.6),
            Temper::Restless => ((0.15, 0.40), 0.8),
        };
        let weekend = between(rng, 0.15, 0.7);
        Self {
            records_a_day: log_between(rng, 40.0, 6_000.0),
            weekdays: [(); 7].map(|()| between(rng, 0.9, 1.1)),
            slots: slots(rng),
            growth: between(rng, 0.9, 1.5).ln(),
            noise: between(rng, noise.0, noise.1),
            memory: between(rng, 0.0, memory),
            month_end: between(rng, 1.0, 1.8),
            shape: log_between(rng, 4.0, 20.0),
            base_seconds: log_between(rng, 20.0, 120.0),
            record_seconds: log_between(rng, 0.01, 0.1),
            seconds_noise: (between(rng, 0.1, 0.3), between(rng, 0.02, 0.08)),
            total: log_between(rng, 10_000.0, 40_000.0),
            coverage: (between(rng, 92.0, 98.0), between(rng, 0.03, 0.10)),
            nulls: (log_between(rng, 0.1, 2.0), between(rng, 0.01, 0.04)),
            errors: (log_between(rng, 0.1, 1.0), between(rng, 0.1, 0.4)),
            queue: (log_between(rng, 0.08, 0.4), between(rng, 0.2, 0.5)),
            create_share: between(rng, 0.2, 0.6),
        }
        .with_weekend(weekend)
    }

    fn with_weekend(mut self, share: f64) -> Self {
        for day in self.weekdays.iter_mut().skip(5) {
            *day *= share;
        }
        self
    }

    /// The factor of the weekday.
    pub(super) fn weekday(&self, date: Date) -> f64 {
        let number = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        self.weekdays.get(number).copied().unwrap_or(1.0)
    }
}

/// The shares of a day's slots: busy hours in the shape of a low arch, and a few records at night.
fn slots(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let opens = between(rng, 6.0, 9.0);
    let hours = between(rng, 10.0, 15.0);
    let night = between(rng, 0.0, 0.03);
    let arch: Vec<f64> = (0..SLOTS)
        .map(|slot| {
            let open = (slot as f64 * RUN_EVERY_MINUTES as f64 / 60.0 - opens) / hours;
            if (0.0..1.0).contains(&open) { 0.6 + 0.4 * (std::f64::consts::PI * open).sin() } else { 0.0 }
        })
        .collect();
    let busy: f64 = arch.iter().sum();
    arch.iter().map(|share| share * (1.0 - night) / busy + night / SLOTS as f64).collect()
}
