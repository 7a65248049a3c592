//! Which refused requests reach the log: any client can send them, and each log line costs money.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// At most one line in so long, for each sandbox.
const LINE_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Counts refused requests between two lines of the log.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    logged_at: Option<Timestamp>,
    unlogged: usize,
}

impl Refusals {
    /// Counts one more. If it is to be logged, how many before it were not; these are counted with it.
    pub(crate) fn note(&self, now: Timestamp) -> Option<usize> {
        let mut state = self.lock();
        // A clock that was set back must not silence the log.
        let is_soon = |at: Timestamp| (SignedDuration::ZERO..LINE_EVERY).contains(&now.duration_since(at));
        if state.logged_at.is_some_and(is_soon) {
            state.unlogged += 1;
            return None;
        }
        state.logged_at = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment, so a panic elsewhere while it was held does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_leaves_one_line_a_second_and_every_refusal_is_counted() {
        let refusals = Refusals::default();
        let began: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        // 50 a second for a minute, and one later.
        let times = (0..3_000).map(|index| began + SignedDuration::from_millis(20 * index));
        let times = times.chain([began + SignedDuration::from_mins(5)]);
        let lines: Vec<usize> = times.filter_map(|now| refusals.note(now)).collect();
        assert_eq!(lines.len(), 61);
        assert_eq!(lines.iter().map(|unlogged| unlogged + 1).sum::<usize>(), 3_001);
    }

    #[test]
    fn rare_refusals_and_those_after_a_clock_reset_are_logged() {
        let refusals = Refusals::default();
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for seconds in [0, 1, 2, -3_600, -3_599] {
            assert_eq!(refusals.note(now + SignedDuration::from_secs(seconds)), Some(0), "{seconds}");
        }
    }
}
