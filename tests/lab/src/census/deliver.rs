//! Posts queued webhooks to their endpoints, again as its schedule says.

use std::sync::Arc;
use std::time::Duration;

use super::server::Shared;
use super::webhooks::Delivery;

/// When a delivery that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The waits before the second, third, ... try.
    pub waits: Vec<Duration>,
    /// How long an endpoint may take.
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
        tokio::spawn(async move { deliver(&shared, delivery).await });
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
        if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
    }
    tracing::warn!(endpoint = %delivery.endpoint, "a webhook was given up");
}
