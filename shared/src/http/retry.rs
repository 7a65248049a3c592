//! Waits and budgets of retries for all HTTPS calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::BackoffBuilder as _;
use backon::ExponentialBuilder;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

/// Caps requested waits: no function runs that long, and adding an absurd wait of a broken server to an instant must
/// not overflow.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The waits between attempts of a call: doubling, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The attempts of one call, including the first.
    pub attempts: usize,
    /// The wait before the second attempt.
    pub first: Duration,
    /// A call whose vendor requests a longer wait is not retried.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// Returns the waits before the second, third, ... attempt.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

/// The clock that measures and sleeps waits. Tests use one that does not really sleep.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    fn now(&self) -> Instant;
    fn sleep_until(&self, then: Instant) -> BoxFuture<'_, ()>;
}

/// The clock of the Tokio runtime.
#[derive(Debug)]
pub(crate) struct RuntimeWatch;

impl Watch for RuntimeWatch {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, then: Instant) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep_until(then))
    }
}

/// The total delay of a client's calls, so that a function does not spend its time limit waiting. Also the gate that a
/// `429` closes for every call of the client.
#[derive(Debug)]
pub struct RetryBudget {
    watch: Arc<dyn Watch>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: Duration,
    /// A `429` blocks calls until then; a call is waiting for it, paid from the budget.
    not_before: Option<Instant>,
    /// A `429` blocks calls until then, which exceeds the budget.
    shut_until: Option<Instant>,
}

impl RetryBudget {
    /// Creates a budget of this total delay.
    pub fn new(budget: Duration) -> Self {
        Self::with_watch(budget, Arc::new(RuntimeWatch))
    }

    /// Creates a budget that waits by this clock.
    pub(crate) fn with_watch(budget: Duration, watch: Arc<dyn Watch>) -> Self {
        Self { watch, state: Mutex::new(State { left: budget, not_before: None, shut_until: None }) }
    }

    pub(crate) fn now(&self) -> Instant {
        self.watch.now()
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the gate that a `429` closed is open again.
    ///
    /// # Errors
    /// It opens later than the budget can wait, so the call must not be sent. Holds how long the gate stays closed.
    pub(crate) async fn pass_gate(&self) -> Result<(), Duration> {
        loop {
            let now = self.now();
            let (not_before, shut_until) = self.with(|state| (state.not_before, state.shut_until));
            if let Some(shut) = shut_until.filter(|shut| *shut > now) {
                return Err(shut.duration_since(now));
            }
            // The gate may have been closed for longer during the wait.
            let Some(not_before) = not_before.filter(|open| *open > now) else { return Ok(()) };
            self.watch.sleep_until(not_before).await;
        }
    }

    /// Waits, or returns `false` at once if the budget is too small. `unanswered` is the time that the previous attempt
    /// spent without an answer, which costs budget like a wait. With `close_gate`, other calls wait too, and a wait
    /// that overlaps theirs costs only its excess.
    pub(crate) async fn wait(&self, wait: Duration, unanswered: Duration, close_gate: bool) -> bool {
        let granted = self.claim(wait, unanswered, close_gate);
        if let Some(until) = granted {
            self.watch.sleep_until(until).await;
        }
        granted.is_some()
    }

    /// Closes the gate without waiting, for calls after one whose attempts are used up.
    pub(crate) fn close_gate(&self, wait: Duration) {
        self.claim(wait, Duration::ZERO, true);
    }

    /// Takes a wait from the budget and returns its end; `None` if too little is left.
    fn claim(&self, wait: Duration, unanswered: Duration, close_gate: bool) -> Option<Instant> {
        let until = self.now() + wait.min(LONGEST_ASKED);
        self.with(|state| {
            let paid = if close_gate { state.not_before } else { None };
            let costs = paid.map_or(wait, |paid| wait.min(until.saturating_duration_since(paid)));
            let left = state.left.checked_sub(costs.saturating_add(unanswered));
            if close_gate {
                let gate = if left.is_some() { &mut state.not_before } else { &mut state.shut_until };
                *gate = (*gate).max(Some(until));
            }
            state.left = left?;
            Some(until)
        })
    }
}

/// Parses `Retry-After`: seconds, or an HTTP date relative to the answer's own `Date`, so that the two clocks need not
/// agree. At most a day.
pub(crate) fn retry_after(header: Option<&str>, date: Option<Timestamp>) -> Option<Duration> {
    let header = header?.trim();
    let asked = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A past date means no wait.
        Err(_) => Duration::try_from(http_date(header)?.duration_since(date?)).unwrap_or_default(),
    };
    Some(asked.min(LONGEST_ASKED))
}

pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().and_then(|date| Timestamp::try_from(date).ok())
}
