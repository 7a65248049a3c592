//! Prints figures with their goals.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Counts the goals so far, and the missed ones.
#[derive(Debug, Default)]
pub(crate) struct Report {
    goals: usize,
    missed: usize,
}

impl Report {
    /// Prints the title of a part.
    pub(crate) fn part(&mut self, title: &str) {
        println!("\n{title}");
    }

    /// Prints a figure without a goal.
    pub(crate) fn line(&mut self, text: &str) {
        println!("  {text}");
    }

    /// Prints a figure with its goal, and counts it.
    pub(crate) fn goal(&mut self, name: &str, figure: &str, goal: &str, met: bool) {
        self.goals += 1;
        self.missed += usize::from(!met);
        println!("  {} {name:<38} {figure:>10}   goal {goal}", if met { "pass" } else { "FAIL" });
    }

    /// Prints the number of goals met, and returns the exit code.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n{} of {} goals met", self.goals - self.missed, self.goals);
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The median, minimum and maximum of some figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Computes the spread. Without figures it is NaN, which meets no goal.
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

/// Converts to milliseconds, with their fraction.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Converts kilobytes of `/proc` to megabytes.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 kB")]
pub(crate) fn mb(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

/// Reads the peak memory of this process, in kilobytes; `reset` first sets the peak to the current size.
pub(crate) fn resident(reset: bool) -> Result<u64> {
    if reset {
        // proc(5): 5 sets the peak to the current size.
        fs::write("/proc/self/clear_refs", "5")?;
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak =
        peak.and_then(|peak| peak.split_whitespace().next()).context("no VmHWM in /proc/self/status")?;
    Ok(peak.parse()?)
}
