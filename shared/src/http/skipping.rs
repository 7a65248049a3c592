//! For tests: a watch on which sleep takes no time.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::retry::Watch;

/// A watch on which sleep takes no time: it is noted, and the hands are moved on.
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
        // Time that really passes does not count, so that waits come out exactly.
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
