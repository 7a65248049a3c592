//! Histories of syncs, played: the business behind a sync, its runs every 15 minutes, and the figures of its days.
//!
//! A [`Plan`] (seed, days, temper, faults) in, a [`History`] out; no clock, no I/O. [`Past`] makes audit log rows of histories. The same plan plays the same history, a
//! shorter play is the beginning of a longer one, and a fault changes nothing before its first day. Each day draws from a
//! random stream of its own for that.
//!
//! | part of the business | played as |
//! | --- | --- |
//! | records a day | 40 to 6,000 on a weekday (log-uniform); each run is a negative binomial count |
//! | weekly and daily season | weekdays 0.9 to 1.1, weekends 0.15 to 0.7 of a weekday; busy for 10 to 15 hours from 6 to 9 |
//! | day-to-day noise | log-normal, 5 to 22%, first-order memory 0 to 0.6 |
//! | growth | -10 to 50% a year |
//! | holidays | the ten of `calendar`, 0.1 to 0.7 of a weekday |
//! | month-ends | the last two business days of a month, times 1 to 1.8 |
//! | launches | 1 in 60 days, times 2 to 6, for one day |
//! | backfills | 1 in 90 days, 4 to 25 days' records in one run |
//! | queue | 0.08 to 0.4 of a day's records, without a weekly season; other figures: see [`Business`] |
//! | runs that fail | 1 in 400; the next run moves their records |
//! | days without figures | 1 in 60 |
//!
//! [`Temper::Restless`]: noise 15 to 40%, memory to 0.8, launches that last three days.

mod business;
mod calendar;
mod chance;
mod fault;
mod past;
mod play;
mod present;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use business::Business;
pub use fault::Fault;
pub use past::{PAST_DAYS, Past};
pub use play::play;
pub use present::Present;

/// The minutes between two runs.
pub const RUN_EVERY_MINUTES: usize = 15;
/// The slots of an ordinary day: slot 0 is the run at 00:00 local time.
pub const SLOTS: usize = 24 * 60 / RUN_EVERY_MINUTES;

/// How much a business varies from day to day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    Ordinary,
    /// Noise 15 to 40%, memory to 0.8, launches that last three days.
    Restless,
}

/// The plan of a history.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The same seed makes the same business and the same days.
    pub seed: u64,
    /// The first calendar day, in `zone`.
    pub start: Date,
    /// The number of calendar days.
    pub days: usize,
    /// The time zone of the calendar days and the slots.
    pub zone: TimeZone,
    pub temper: Temper,
    /// The business; without one it is drawn from the seed.
    pub business: Option<Business>,
    pub faults: Vec<Fault>,
}

impl Plan {
    /// A plan for an ordinary business without a fault.
    #[must_use]
    pub fn quiet(seed: u64, start: Date, days: usize, zone: TimeZone) -> Self {
        Self { seed, start, days, zone, temper: Temper::Ordinary, business: None, faults: Vec::new() }
    }

    /// The same plan with another temper.
    #[must_use]
    pub fn temper(mut self, temper: Temper) -> Self {
        self.temper = temper;
        self
    }

    /// The same plan with one more fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// A played history.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub business: Business,
    /// One for each calendar day, in order.
    pub days: Vec<Day>,
    /// In order of their start.
    pub runs: Vec<Run>,
}

/// One calendar day.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    pub date: Date,
    /// The name of the holiday, if the day is declared quiet.
    pub quiet: Option<&'static str>,
    /// `None` if nothing was recorded on this day.
    pub figures: Option<Figures>,
}

/// The figures of one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Records that the day's runs processed, the failed ones included.
    pub volume: u64,
    /// Records that were rejected or invalid.
    pub failed: u64,
    /// Median of the runs that succeeded, in seconds; `None` without one.
    pub median_seconds: Option<f64>,
    /// Records at the source at the end of the day.
    pub total: u64,
    /// Records in the destination.
    pub synced: u64,
    /// Records without a company name.
    pub null_companies: u64,
    /// Records that wait to be created.
    pub create_queue: u64,
    /// Records that wait to be updated.
    pub update_queue: u64,
}

impl Figures {
    /// Records in the destination, in percent of those at the source.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        percent(self.synced, self.total)
    }

    /// Records without a company name, in percent of those at the source.
    #[must_use]
    pub fn null_rate(&self) -> Option<f64> {
        percent(self.null_companies, self.total)
    }

    /// Failed records, in percent of those processed; `None` on a day without records.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        percent(self.failed, self.volume)
    }

    /// Records in both queues.
    #[must_use]
    pub fn queue(&self) -> u64 {
        self.create_queue.saturating_add(self.update_queue)
    }
}

fn percent(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| 100.0 * part as f64 / of as f64)
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    /// The run moved nothing; the next one moves its records.
    Failed,
}

/// One run of the sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// The index of its calendar day in [`History::days`].
    pub day: usize,
    /// The quarter of an hour of local time, 0 to 95. Slots of an hour that does not exist are absent; those of a doubled
    /// hour come twice.
    pub slot: usize,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub status: Status,
    /// Records processed, the failed ones included.
    pub moved: u64,
    pub failed: u64,
    /// The time from start to end.
    pub seconds: f64,
}

#[cfg(test)]
mod tests;
