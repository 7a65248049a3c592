//! Limits the log lines of refused requests: any client can send them, and each line costs money.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Counts refused requests, and reports at most one per period and sandbox.
#[derive(Debug)]
pub(crate) struct Refusals {
    every: SignedDuration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reported_at: Option<Timestamp>,
    unreported: usize,
}

impl State {
    fn is_due(&self, every: SignedDuration, now: Timestamp) -> bool {
        // A clock that was set back must not suppress reports.
        let is_soon = |at: Timestamp| (SignedDuration::ZERO..every).contains(&now.duration_since(at));
        !self.reported_at.is_some_and(is_soon)
    }
}

impl Refusals {
    pub(crate) fn reported_every(every: SignedDuration) -> Self {
        Self { every, state: Mutex::default() }
    }

    /// Whether the next refusal would be reported.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.lock().is_due(self.every, now)
    }

    /// Counts a refusal. If it should be reported, returns the number of unreported ones before it.
    pub(crate) fn note(&self, now: Timestamp) -> Option<usize> {
        let mut state = self.lock();
        if !state.is_due(self.every, now) {
            state.unreported += 1;
            return None;
        }
        state.reported_at = Some(now);
        Some(std::mem::take(&mut state.unreported))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every moment, so a panic of another holder does not corrupt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_logs_one_line_a_second_and_counts_every_refusal() {
        let refusals = Refusals::reported_every(SignedDuration::from_secs(1));
        let began: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        // 50 refusals a second for a minute, and one later.
        let times = (0..3_000).map(|index| began + SignedDuration::from_millis(20 * index));
        let times = times.chain([began + SignedDuration::from_mins(5)]);
        let lines: Vec<usize> = times.filter_map(|now| refusals.note(now)).collect();
        assert_eq!(lines.len(), 61);
        assert_eq!(lines.iter().map(|unlogged| unlogged + 1).sum::<usize>(), 3_001);
    }

    #[test]
    fn rare_refusals_and_those_after_a_clock_reset_are_logged() {
        let refusals = Refusals::reported_every(SignedDuration::from_secs(1));
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for seconds in [0, 1, 2, -3_600, -3_599] {
            assert_eq!(refusals.note(now + SignedDuration::from_secs(seconds)), Some(0), "{seconds}");
        }
    }
}
