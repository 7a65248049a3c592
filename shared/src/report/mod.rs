//! Reports that people get at fixed times: the weekly [`Digest`]. Pure: no I/O and no clock, and never fails.
//!
//! No figure is computed here: each comes from the scoreboard, the periods of incidents, the tallies of silences, the stored
//! remedies, or the expectations. A figure that is unknown is stated with its reason.

mod alerts;
mod digest;
mod week;

#[cfg(test)]
mod tests;

pub use digest::{Digest, Line, Topic, WeekScore};
pub use week::Week;

use crate::history::{DAYS, History};
use crate::scoreboard::Stored;

/// The days of the audit log before the end of a week that its digest rests on.
pub const HISTORY_DAYS: i64 = DAYS;

/// Everything that a report is computed from.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub stored: Stored,
    /// The days until the end of the report; why they could not be read.
    pub history: Result<History, String>,
}
