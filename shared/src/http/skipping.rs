//! A clock for tests that does not really sleep.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::retry::Watch;

/// A clock that records each sleep and advances by it at once.
#[derive(Debug, Default)]
pub(crate) struct Skipping {
    naps: Mutex<Vec<Duration>>,
    skipped: Mutex<Duration>,
}

impl Skipping {
    pub(crate) fn naps(&self) -> Vec<Duration> {
        self.naps.lock().unwrap().clone()
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.skipped.lock().unwrap() += time;
    }
}

impl Watch for Skipping {
    fn now(&self) -> Instant {
        // Real time is ignored, so that waits are exact.
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + *self.skipped.lock().unwrap()
    }

    fn sleep_until(&self, then: Instant) -> BoxFuture<'_, ()> {
        let nap = then.saturating_duration_since(self.now());
        self.naps.lock().unwrap().push(nap);
        self.pass(nap);
        Box::pin(tokio::task::yield_now())
    }
}
