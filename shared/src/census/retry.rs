//! When a call to Census is made again: the one place that decides so.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::BackoffBuilder as _;
use backon::ExponentialBuilder;
use jiff::Timestamp;
use tokio::time::Instant;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Attempts of one call in all.
pub(super) const ATTEMPTS: u32 = 4;

/// How long a client may wait between attempts, all its calls taken together, so that a function never spends its time
/// limit asleep. Also the gate that a `429` closes for every call of the client, not only for the one that got it.
#[derive(Debug)]
pub struct RetryBudget(Mutex<State>);

#[derive(Debug)]
struct State {
    left: Duration,
    not_before: Option<Instant>,
}

impl RetryBudget {
    /// A budget of so much waiting.
    pub fn new(budget: Duration) -> Self {
        Self(Mutex::new(State { left: budget, not_before: None }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the gate that a `429` closed is open again.
    pub(super) async fn wait_for_gate(&self) {
        if let Some(not_before) = self.with(|state| state.not_before) {
            tokio::time::sleep_until(not_before).await;
        }
    }

    /// Takes a wait out of the budget; `false` when there is not enough left. A wait that others already sit out costs
    /// only what it goes beyond theirs.
    pub(super) fn take(&self, wait: Duration, closes_gate: bool) -> bool {
        self.with(|state| {
            let until = Instant::now() + wait;
            let paid = if closes_gate { state.not_before } else { None };
            let costs = paid.map_or(wait, |paid| wait.min(until.saturating_duration_since(paid)));
            let Some(left) = state.left.checked_sub(costs) else { return false };
            state.left = left;
            if closes_gate {
                state.not_before = Some(paid.map_or(until, |paid| paid.max(until)));
            }
            true
        })
    }
}

/// The waits before the second, third, ... attempt: doubling from a second, with jitter.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(ATTEMPTS as usize - 1)
        .with_jitter()
        .build()
}

/// Reads `Retry-After`: seconds, or an HTTP date that is compared with the answer's own `Date`, so that the two clocks
/// need not agree. `now` stands in when the answer has no `Date`.
pub(super) fn retry_after(header: Option<&str>, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let header = header?.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(header)?;
    let from = date.and_then(http_date).unwrap_or(now);
    // A date that has passed asks for no wait at all.
    Some(Duration::try_from(until.duration_since(from)).unwrap_or_default())
}

/// Reads an HTTP date.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().and_then(|date| Timestamp::try_from(date).ok())
}
