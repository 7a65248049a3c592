//! Figures with their goals, as people read them.

use std::process::ExitCode;
use std::time::Duration;

/// What was measured so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    goals: usize,
    missed: usize,
}

impl Report {
    /// Begins a part.
    pub(crate) fn part(&mut self, title: &str) {
        println!("\n{title}");
    }

    /// A figure that stands for itself.
    pub(crate) fn line(&mut self, text: &str) {
        println!("  {text}");
    }

    /// A figure that has a goal.
    pub(crate) fn goal(&mut self, what: &str, figure: &str, goal: &str, met: bool) {
        self.goals += 1;
        self.missed += usize::from(!met);
        println!("  {} {what:<38} {figure:>10}   goal {goal}", if met { "pass" } else { "FAIL" });
    }

    /// Sums up.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n{} of {} goals met", self.goals - self.missed, self.goals);
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The middle of some figures, and the least and the most of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of no figures, it is all NaN, which meets no goal.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        };
        Self { median, least: at(0), most: at(sorted.len().wrapping_sub(1)) }
    }
}

/// Milliseconds, with their fraction.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Megabytes of so many kilobytes as `/proc` counts them.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 kB")]
pub(crate) fn mb(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
