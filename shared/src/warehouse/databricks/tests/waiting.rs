use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::json;
use syncwatch_testing::Receiver;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{World, in_state, ok, one, seconds, settings, statement, status};
use crate::http::retry::Watch;
use crate::sql::ErrorKind;
use crate::warehouse::WarmUp;
use crate::warehouse::databricks::Databricks;

#[tokio::test]
async fn running_statement_is_polled_with_growing_waits() {
    let running = || in_state("RUNNING");
    let world =
        World::new(vec![running(), running(), running(), running(), running(), running(), one()]).await;
    world.client.query(&statement()).await.unwrap();
    let naps: Vec<u128> = world.watch.naps().iter().map(std::time::Duration::as_millis).collect();
    assert_eq!(naps, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
}

#[tokio::test]
async fn statement_is_cancelled_at_its_limit() {
    let world = World::with(vec![in_state("RUNNING")], |settings| settings.limits.time = seconds(8)).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "coverage of properties: no answer within 8 s, waiting for the answer; check the load of the warehouse"
    );
    // The last wait is cut to the time left.
    assert_eq!(world.watch.naps().iter().sum::<std::time::Duration>(), seconds(8));
    let lines = world.server.lines().await;
    assert_eq!(
        lines[lines.len() - 2..],
        ["POST /api/2.0/sql/statements/01ef-1/cancel", "GET /api/2.0/sql/statements/01ef-1"]
    );
}

#[tokio::test]
async fn limit_below_the_servers_minimum_wait_sends_no_wait() {
    let world = World::with(vec![one()], |settings| settings.limits.time = seconds(4)).await;
    world.client.query(&statement()).await.unwrap();
    let body: serde_json::Value = world.server.requests().await[0].body_json().unwrap();
    assert_eq!(body["wait_timeout"], "0s");
    assert_eq!(body.get("on_wait_timeout"), None);
}

#[tokio::test]
async fn write_that_succeeds_at_the_last_moment_is_a_success() {
    let answers = vec![
        in_state("RUNNING"),
        in_state("RUNNING"),
        in_state("RUNNING"),
        status(200),
        in_state("SUCCEEDED"),
    ];
    let world = World::with(answers, |settings| settings.limits.time = seconds(1)).await;
    assert_eq!(world.client.execute(&statement()).await, Ok(None));
}

#[tokio::test]
async fn failed_cancellation_keeps_the_timeout_as_the_error() {
    let answers = vec![in_state("RUNNING"), in_state("RUNNING"), in_state("RUNNING"), status(500)];
    let world = World::with(answers, |settings| settings.limits.time = seconds(1)).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout { seconds: 1, .. }), "{error}");
}

#[tokio::test]
async fn start_of_the_warehouse_has_its_own_longer_limit() {
    let mut answers = vec![in_state("PENDING"); 30];
    answers.extend([in_state("RUNNING"), one()]);
    let world = World::with(answers, |settings| settings.limits.time = seconds(10)).await;
    world.client.query(&statement()).await.unwrap();
    assert!(world.watch.naps().iter().sum::<std::time::Duration>() > seconds(120));
}

#[tokio::test]
async fn warehouse_that_never_starts_is_reported_as_such() {
    let world = World::with(vec![in_state("PENDING")], |settings| settings.start_limit = seconds(120)).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "coverage of properties: no answer within 120 s, waiting for the warehouse to start; check the load of the warehouse"
    );
    assert!(world.server.lines().await.iter().any(|line| line.ends_with("/cancel")));
}

/// A clock on which sleeps never end, and that notifies when one begins.
#[derive(Debug, Default)]
struct Asleep(Notify);

impl Watch for Asleep {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, _: Instant) -> BoxFuture<'_, ()> {
        self.0.notify_one();
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn abandoned_statement_is_cancelled() {
    let server = Receiver::in_turn(vec![in_state("RUNNING")]).await;
    let watch = Arc::new(Asleep::default());
    let http = crate::http::client().unwrap();
    let client = Databricks::with_watch(http, settings(&server.uri()), watch.clone()).unwrap();
    let statement = statement();
    tokio::select! {
        _ = client.query(&statement) => unreachable!("sleeps never end"),
        () = watch.0.notified() => {}
    }
    let cancelled = async {
        loop {
            if server.lines().await.iter().any(|line| line.ends_with("/01ef-1/cancel")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(seconds(10), cancelled).await.unwrap();
}

#[tokio::test]
async fn warm_up_starts_a_warehouse_unless_it_is_serverless() {
    let seen = |serverless: bool| ok(json!({ "id": "abc123", "enable_serverless_compute": serverless }));
    let refused =
        || status(403).set_body_json(json!({ "error_code": "PERMISSION_DENIED", "message": "You may not." }));
    for (answers, expected, posts) in [
        (vec![seen(true)], WarmUp::Serverless, 0),
        (vec![seen(false), in_state("PENDING")], WarmUp::Starting, 1),
        (vec![seen(false), in_state("SUCCEEDED")], WarmUp::Running, 1),
        // The account may query the warehouse but not read its settings.
        (vec![refused(), in_state("PENDING")], WarmUp::Starting, 1),
    ] {
        let world = World::new(answers).await;
        assert_eq!(world.client.warm_up().await.unwrap(), expected);
        let lines = world.server.lines().await;
        assert_eq!(lines[0], "GET /api/2.0/sql/warehouses/abc123");
        assert_eq!(lines[1..], vec!["POST /api/2.0/sql/statements"; posts]);
        assert!(world.watch.naps().is_empty());
    }
    let world = World::new(vec![status(401)]).await;
    assert_eq!(world.client.warm_up().await.unwrap_err().kind, ErrorKind::Refused);
}
