//! How long a call over HTTPS may be waited for before it is made again: the one place that decides so.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::BackoffBuilder as _;
use backon::ExponentialBuilder;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

/// Stands for any wait that is longer: no function lives that long, and adding a wait that a broken server made up to
/// an instant must not overflow.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The waits between the attempts of a call: doubling, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Attempts of one call in all.
    pub attempts: usize,
    /// Before the second attempt.
    pub first: Duration,
    /// A vendor that asks for a longer wait is not asked again.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The waits before the second, third, ... attempt.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

/// The watch by which waits are measured and slept. Tests bring one that is never really asleep.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    fn now(&self) -> Instant;
    fn sleep_until(&self, then: Instant) -> BoxFuture<'_, ()>;
}

/// The runtime's own watch.
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

/// How long a client may be held up, all its calls taken together, so that a function never spends its time limit asleep.
/// Also the gate that a `429` closes for every call of the client, not only for the one that got it.
#[derive(Debug)]
pub struct RetryBudget {
    watch: Arc<dyn Watch>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: Duration,
    /// A `429` asks for silence until then, and somebody sits it out on the budget.
    not_before: Option<Instant>,
    /// A `429` asks for silence until then, which is more than the budget has.
    shut_until: Option<Instant>,
}

impl RetryBudget {
    /// A budget of so much delay.
    pub fn new(budget: Duration) -> Self {
        Self::with_watch(budget, Arc::new(RuntimeWatch))
    }

    /// The same, with a watch of the caller's for all waiting.
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
    /// It opens later than the budget can wait; then asking would only be impolite. Says how long it stays closed.
    pub(crate) async fn pass_gate(&self) -> Result<(), Duration> {
        loop {
            let now = self.now();
            let (not_before, shut_until) = self.with(|state| (state.not_before, state.shut_until));
            if let Some(shut) = shut_until.filter(|shut| *shut > now) {
                return Err(shut.duration_since(now));
            }
            // Those who wait may find that it was closed for longer meanwhile.
            let Some(not_before) = not_before.filter(|open| *open > now) else { return Ok(()) };
            self.watch.sleep_until(not_before).await;
        }
    }

    /// Sits a wait out; `false`, and at once, when the budget is too small for it. `unanswered` is the time that the
    /// attempt before it waited for nothing: a function's time limit makes no difference between the two. With
    /// `close_gate` the others wait as well, and a wait that they already sit out costs only what it goes beyond theirs.
    pub(crate) async fn wait(&self, wait: Duration, unanswered: Duration, close_gate: bool) -> bool {
        let granted = self.claim(wait, unanswered, close_gate);
        if let Some(until) = granted {
            self.watch.sleep_until(until).await;
        }
        granted.is_some()
    }

    /// Closes the gate for so long without sitting it out: for the calls after one whose attempts are used up.
    pub(crate) fn close_gate(&self, wait: Duration) {
        self.claim(wait, Duration::ZERO, true);
    }

    /// Takes a wait from the budget, and says when it ends; `None` when too little is left for it.
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

/// Reads `Retry-After`: seconds, or an HTTP date that is compared with the answer's own `Date`, so that the two clocks
/// need not agree. At most a day.
pub(crate) fn retry_after(header: Option<&str>, date: Option<Timestamp>) -> Option<Duration> {
    let header = header?.trim();
    let asked = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date that has passed asks for no wait at all.
        Err(_) => Duration::try_from(http_date(header)?.duration_since(date?)).unwrap_or_default(),
    };
    Some(asked.min(LONGEST_ASKED))
}

pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().and_then(|date| Timestamp::try_from(date).ok())
}
