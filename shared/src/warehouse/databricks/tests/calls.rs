use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value as Json, json};

use super::{TOKEN, World, done, in_state, ok, one, seconds, statement, status};
use crate::sql::{Decimal, ErrorKind, Statement};

#[tokio::test]
async fn statement_is_sent_with_its_limits_and_typed_parameters() {
    let world = World::with(vec![one()], |settings| {
        settings.catalog = Some("crm".to_owned());
        settings.limits.time = seconds(7);
    })
    .await;
    let at: Timestamp = "2026-11-24T08:00:00.25Z".parse().unwrap();
    let day: Date = "2026-11-24".parse().unwrap();
    let statement = Statement::new("test", "SELECT :t, :i, :d, :x, :b, :day, :at, :none")
        .bind("t", "it's; \"")
        .bind("i", -5_i64)
        .bind("d", Decimal::parse("-12.50").unwrap())
        .bind("x", 0.5)
        .bind("b", true)
        .bind("day", day)
        .bind("at", at)
        .bind("none", None::<Timestamp>);
    world.client.query(&statement).await.unwrap();
    let requests = world.server.requests().await;
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(world.server.lines().await, ["POST /api/2.0/sql/statements"]);
    let body: Json = requests[0].body_json().unwrap();
    assert_eq!(
        body,
        json!({
            "statement": "SELECT :t, :i, :d, :x, :b, :day, :at, :none",
            "warehouse_id": "abc123",
            "catalog": "crm",
            "wait_timeout": "7s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
            "row_limit": 4,
            "byte_limit": 1000,
            "parameters": [
                { "name": "t", "type": "STRING", "value": "it's; \"" },
                { "name": "i", "type": "BIGINT", "value": "-5" },
                { "name": "d", "type": "DECIMAL(4,2)", "value": "-12.50" },
                { "name": "x", "type": "DOUBLE", "value": "0.5" },
                { "name": "b", "type": "BOOLEAN", "value": "true" },
                { "name": "day", "type": "DATE", "value": "2026-11-24" },
                { "name": "at", "type": "TIMESTAMP", "value": "2026-11-24T08:00:00.250000Z" },
                { "name": "none", "type": "TIMESTAMP" },
            ],
        })
    );
}

#[tokio::test]
async fn statement_that_does_not_match_its_parameters_is_not_sent() {
    let world = World::new(vec![one()]).await;
    let error = world.client.query(&Statement::new("coverage", "SELECT :a")).await.unwrap_err();
    assert_eq!(error.to_string(), "coverage: invalid statement: no value is bound to :a; correct it");
    assert!(world.server.requests().await.is_empty());
}

#[tokio::test]
async fn write_is_retried_only_if_it_certainly_had_no_effect() {
    for (code, reads, writes) in
        [(500, 2, 1), (502, 2, 1), (503, 2, 1), (429, 2, 2), (400, 1, 1), (403, 1, 1)]
    {
        let world = World::new(vec![status(code), one()]).await;
        let _ = world.client.query(&statement()).await;
        assert_eq!(world.server.lines().await.len(), reads, "query, {code}");

        let world = World::new(vec![status(code), one()]).await;
        let _ = world.client.execute(&statement()).await;
        assert_eq!(world.server.lines().await.len(), writes, "execute, {code}");
    }
}

#[tokio::test]
async fn failed_poll_is_retried_also_for_a_write() {
    let world = World::new(vec![in_state("RUNNING"), status(503), one()]).await;
    world.client.execute(&statement()).await.unwrap();
    let lines = world.server.lines().await;
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 1);
    assert_eq!(lines[2], "GET /api/2.0/sql/statements/01ef-1");
}

#[tokio::test]
async fn retry_after_sets_the_wait_within_the_budget() {
    let limited = || status(429).insert_header("retry-after", "7");
    let world = World::new(vec![limited(), one()]).await;
    world.client.query(&statement()).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(7)]);

    let world = World::new(vec![status(503).insert_header("retry-after", "3"), one()]).await;
    world.client.query(&statement()).await.unwrap();
    assert_eq!(world.watch.naps(), [seconds(3)]);

    // The budget is 30 s.
    let world = World::new(vec![status(429).insert_header("retry-after", "31")]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert_eq!(error, ErrorKind::RateLimited { retry_after: Some(seconds(31)) }.of("coverage of properties"));
    assert!(world.watch.naps().is_empty());
}

#[tokio::test]
async fn refused_connection_is_unreachable() {
    // A recently free port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let World { client, watch, .. } =
        World::with(vec![one()], |settings| settings.base_url = format!("http://127.0.0.1:{port}")).await;
    let error = client.query(&statement()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }) && error.kind.is_transient(), "{error}");
    assert_eq!(watch.naps().len(), 3);
    // Without a connection, a write had no effect.
    client.execute(&statement()).await.unwrap_err();
    assert_eq!(watch.naps().len(), 6);
}

#[tokio::test]
async fn rejected_requests_name_their_remedy() {
    let refused = |code: u16, error_code: &str, message: &str| {
        status(code).set_body_json(json!({ "error_code": error_code, "message": message }))
    };
    let mut errors = Vec::new();
    for answer in [
        refused(400, "BAD_REQUEST", "value 'mary@example.com' is bad"),
        status(401),
        refused(403, "PERMISSION_DENIED", "no CAN USE on warehouse abc123"),
        refused(404, "NOT_FOUND", "SQL warehouse abc123 does not exist"),
        status(500),
        ok(json!("a page")),
        status(200).set_body_raw("<html>log in", "text/html"),
        ok(json!({ "statement_id": "../../secrets", "status": { "state": "RUNNING" } })),
        ok(json!({ "statement_id": "1", "status": { "state": 7 } })),
    ] {
        let world = World::with(vec![answer], |settings| settings.retry_budget = seconds(0)).await;
        errors.push(world.client.query(&statement()).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(errors.join("\n"), @r"
    coverage of properties: the warehouse reports BAD_REQUEST: value '[hidden]' is bad
    coverage of properties: the warehouse does not accept the credentials; renew the warehouse secret
    coverage of properties: the account of Syncwatch may not use the warehouse (no CAN USE on warehouse abc123); grant the account CAN USE
    coverage of properties: an object is missing (SQL warehouse abc123 does not exist); create it, or correct its name
    coverage of properties: the warehouse cannot be reached (it answered 500); check its address and the network
    coverage of properties: unexpected answer at status.state: nothing
    coverage of properties: unexpected answer at the top level: not JSON; check that base_url leads to Databricks
    coverage of properties: unexpected answer at statement_id: a text
    coverage of properties: unexpected answer at status.state: a number
    ");
}

#[tokio::test]
async fn write_returns_its_affected_rows_if_reported() {
    let counted =
        done(&[("num_affected_rows", "BIGINT"), ("num_inserted_rows", "BIGINT")], json!([["7", "7"]]));
    let world = World::new(vec![ok(counted)]).await;
    assert_eq!(world.client.execute(&statement()).await, Ok(Some(7)));
    let world = World::new(vec![in_state("SUCCEEDED")]).await;
    assert_eq!(world.client.execute(&statement()).await, Ok(None));
    // Its result is gone, but it succeeded.
    let world = World::new(vec![in_state("CLOSED")]).await;
    assert_eq!(world.client.execute(&statement()).await, Ok(None));
}
