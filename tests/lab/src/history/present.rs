//! The figures at which a history ends, so that a world can live on after it.

use jiff::ToSpan as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::Plan;
use super::business::Business;
use super::fault::Effect;

/// The day-to-day noise of a calm business, and its memory.
const CALM: (f64, f64) = (0.08, 0.3);

/// The figures of a world that lives on after a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Present {
    /// Records that the sync moves on the weekday of the last day.
    pub records_a_day: f64,
    /// Seconds of a run.
    pub run_seconds: f64,
    /// Records at the source.
    pub total: usize,
    /// Percent of them in the destination.
    pub coverage: f64,
}

impl Plan {
    /// The business of this plan.
    pub(super) fn business(&self) -> Business {
        let draw = || Business::draw(&mut ChaCha8Rng::seed_from_u64(self.seed), self.temper);
        self.business.clone().unwrap_or_else(draw)
    }

    /// The same plan for a calm business that does not grow and, its faults included, ends at these figures. Season and calendar
    /// stay those of the seed.
    #[must_use]
    pub fn ending_at(mut self, present: &Present) -> Self {
        let drawn = self.business();
        let last = self.days.saturating_sub(1);
        let effect = Effect::on(last, &self.faults);
        let date = self.start.saturating_add(i64::try_from(last).unwrap_or(i64::MAX).days());
        self.business = Some(Business {
            records_a_day: present.records_a_day / (drawn.weekday(date) * effect.business),
            growth: 0.0,
            noise: CALM.0,
            memory: CALM.1,
            base_seconds: present.run_seconds / effect.seconds,
            record_seconds: 0.0,
            seconds_noise: (0.25, 0.02),
            total: present.total as f64,
            coverage: (present.coverage - effect.coverage, 0.03),
            // Far below the limit of the queues, as in a world whose syncs move everything that waits.
            queue: (0.02, 0.3),
            ..drawn
        });
        self
    }
}
