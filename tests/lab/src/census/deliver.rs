//! Posts queued webhooks to their endpoints, again as its schedule says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::server::Shared;
use super::webhooks::Delivery;

/// How many webhooks Census posts at the same time: the lab's choice, as none is published. After a jump the webhooks of
/// hours are due at once; more senders than the Function URL takes at a time would only be told to come again.
const SENDERS: usize = 4;

/// When a delivery that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The waits before the second, third, ... try.
    pub waits: Vec<Duration>,
    pub timeout: Duration,
}

impl Default for RetrySchedule {
    /// What the vendor documented until it took the section out on 2025-09-15; the policy of today is not published.
    fn default() -> Self {
        Self { waits: [4, 8, 16, 32, 64].map(Duration::from_secs).to_vec(), timeout: Duration::from_secs(10) }
    }
}

impl RetrySchedule {
    /// One try.
    #[must_use]
    pub fn none() -> Self {
        Self { waits: Vec::new(), ..Self::default() }
    }
}

/// Delivers everything that is queued.
pub(super) fn deliver_queued(shared: &Arc<Shared>) {
    deliver_all(shared, shared.take_deliveries());
}

/// Delivers each in a task of its own.
pub(super) fn deliver_all(shared: &Arc<Shared>, deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            deliver(&shared, delivery).await;
            shared.senders.has_delivered_one();
        });
    }
}

/// Who posts, and how much is on its way.
#[derive(Debug)]
pub(super) struct Senders {
    free: Semaphore,
    /// Deliveries that were neither taken nor given up yet.
    on_the_way: watch::Sender<usize>,
}

impl Senders {
    pub(super) fn new() -> Self {
        Self { free: Semaphore::new(SENDERS), on_the_way: watch::Sender::new(0) }
    }

    /// To be called before anybody can see that these have left the place where they were kept.
    pub(super) fn take_on(&self, deliveries: usize) {
        self.on_the_way.send_modify(|count| *count += deliveries);
    }

    fn has_delivered_one(&self) {
        self.on_the_way.send_modify(|count| *count -= 1);
    }

    pub(super) async fn have_delivered_all(&self) {
        // The sender is here, so the channel cannot close.
        let _ = self.on_the_way.subscribe().wait_for(|count| *count == 0).await;
    }
}

async fn deliver(shared: &Shared, delivery: Delivery) {
    let schedule = shared.retry_schedule();
    for wait in std::iter::once(Duration::ZERO).chain(schedule.waits) {
        tokio::time::sleep(wait).await;
        let request = shared
            .http
            .post(&delivery.endpoint)
            .header("Content-Type", "application/json")
            .header("X-Signature", &delivery.signature)
            .timeout(schedule.timeout)
            .body(delivery.body.clone());
        // Held for one try, not for the wait before the next.
        let sender = shared.senders.free.acquire().await;
        let answer = request.send().await;
        drop(sender);
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
    }
    tracing::warn!(endpoint = %delivery.endpoint, "a webhook was given up");
}
