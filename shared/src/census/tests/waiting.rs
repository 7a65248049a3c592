//! Tests of the retry budget and the gate, without HTTP.

use std::sync::Arc;
use std::time::Duration;

use super::Skipping;
use crate::http::retry::{Backoff, RetryBudget, http_date, retry_after};

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn budget(total: u64) -> (RetryBudget, Arc<Skipping>) {
    let watch = Arc::new(Skipping::default());
    (RetryBudget::with_watch(seconds(total), watch.clone()), watch)
}

#[tokio::test]
async fn wait_is_granted_until_the_budget_is_used_up() {
    let (budget, watch) = budget(10);
    assert!(budget.wait(seconds(6), Duration::ZERO, false).await);
    assert!(!budget.wait(seconds(6), Duration::ZERO, false).await);
    assert!(budget.wait(seconds(4), Duration::ZERO, false).await);
    assert_eq!(watch.naps(), [seconds(6), seconds(4)]);
}

#[tokio::test]
async fn unanswered_time_costs_budget_like_a_wait() {
    // Two unanswered attempts of 15 s and the wait between them are the most that fit into a round of 60 s.
    let (budget, watch) = budget(20);
    assert!(budget.wait(seconds(1), seconds(15), false).await);
    assert!(!budget.wait(seconds(2), seconds(15), false).await);
    assert_eq!(watch.naps(), [seconds(1)]);
}

/// Up to 16 calls of a round are concurrent; each is asked to wait.
#[tokio::test(start_paused = true)]
async fn concurrent_calls_pay_once_for_the_same_rate_limit() {
    let budget = RetryBudget::new(seconds(10));
    let calls = (0..16).map(|_| budget.wait(seconds(8), Duration::ZERO, true));
    let granted = futures::future::join_all(calls).await;
    assert!(granted.into_iter().all(|granted| granted));
    assert!(!budget.wait(seconds(3), Duration::ZERO, false).await);
}

#[tokio::test(start_paused = true)]
async fn later_call_waits_at_the_gate_and_pays_nothing() {
    let budget = RetryBudget::new(seconds(8));
    let begun = budget.now();
    let later = async {
        tokio::time::sleep(seconds(3)).await;
        budget.pass_gate().await.map(|()| budget.now().duration_since(begun))
    };
    let (granted, passed) = futures::future::join(budget.wait(seconds(8), Duration::ZERO, true), later).await;
    assert!(granted);
    // The timer of the runtime counts in milliseconds and rounds up.
    let passed = passed.unwrap();
    assert!(passed >= seconds(8) && passed < seconds(9), "{passed:?}");
}

#[tokio::test]
async fn open_gate_delays_no_call() {
    let (budget, watch) = budget(10);
    assert_eq!(budget.pass_gate().await, Ok(()));
    assert!(budget.wait(seconds(2), Duration::ZERO, true).await);
    assert_eq!(budget.pass_gate().await, Ok(()));
    assert_eq!(watch.naps(), [seconds(2)]);
}

#[test]
fn four_attempts_have_three_waits() {
    assert_eq!(Backoff::default().waits().count(), 3);
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let asked = |after: &str, date: &str| retry_after(Some(after), http_date(date));
    let date = "Tue, 24 Nov 2026 12:00:30 GMT";
    assert_eq!(asked(" 90 ", "yesterday"), Some(seconds(90)));
    assert_eq!(asked(date, "Tue, 24 Nov 2026 12:00:20 GMT"), Some(seconds(10)));
    // A past date means no wait.
    assert_eq!(asked(date, "Tue, 24 Nov 2026 13:00:00 GMT"), Some(Duration::ZERO));
    // Without the answer's own date, a date is useless.
    assert_eq!(asked(date, "yesterday"), None);
    assert_eq!(asked("soon", date), None);
    assert_eq!(retry_after(None, http_date(date)), None);
}
