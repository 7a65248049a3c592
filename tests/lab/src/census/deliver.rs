//! Posts queued webhooks to their endpoints, with retries by schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::server::Shared;
use super::webhooks::Delivery;

/// The number of webhooks that Census posts at the same time: the lab's choice, as none is published. After a jump the
/// webhooks of hours are due at once; more senders than the Function URL allows would only be throttled.
const SENDERS: usize = 4;

/// The retry policy for failed deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The waits before the second, third, ... attempt.
    pub waits: Vec<Duration>,
    pub timeout: Duration,
}

impl Default for RetrySchedule {
    /// The policy that the vendor documented until 2025-09-15; today's is not published.
    fn default() -> Self {
        Self { waits: [4, 8, 16, 32, 64].map(Duration::from_secs).to_vec(), timeout: Duration::from_secs(10) }
    }
}

impl RetrySchedule {
    /// A single attempt.
    #[must_use]
    pub fn none() -> Self {
        Self { waits: Vec::new(), ..Self::default() }
    }
}

/// Delivers every queued webhook.
pub(super) fn deliver_queued(shared: &Arc<Shared>) {
    deliver_all(shared, shared.take_deliveries());
}

/// Delivers each webhook in its own task.
pub(super) fn deliver_all(shared: &Arc<Shared>, deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            deliver(&shared, delivery).await;
            shared.senders.has_delivered_one();
        });
    }
}

/// The senders, and the number of deliveries in flight.
#[derive(Debug)]
pub(super) struct Senders {
    free: Semaphore,
    /// Deliveries that were neither accepted nor given up yet.
    in_flight: watch::Sender<usize>,
}

impl Senders {
    pub(super) fn new() -> Self {
        Self { free: Semaphore::new(SENDERS), in_flight: watch::Sender::new(0) }
    }

    /// Counts deliveries as in flight. Call it before they leave their queue, so that no reader misses them.
    pub(super) fn add(&self, deliveries: usize) {
        self.in_flight.send_modify(|count| *count += deliveries);
    }

    fn has_delivered_one(&self) {
        self.in_flight.send_modify(|count| *count -= 1);
    }

    pub(super) async fn have_delivered_all(&self) {
        // The sender is here, so the channel cannot close.
        let _ = self.in_flight.subscribe().wait_for(|count| *count == 0).await;
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
        // Held for one attempt, not for the wait before the next.
        let sender = shared.senders.free.acquire().await;
        let answer = request.send().await;
        drop(sender);
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
    }
    tracing::warn!(endpoint = %delivery.endpoint, "webhook given up");
}
