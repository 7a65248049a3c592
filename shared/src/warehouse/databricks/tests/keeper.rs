use serde_json::{Value as Json, json};

use super::{TOKEN, World, ok, status};
use crate::observation::{WarehousePower, WarehouseState};
use crate::sql::ErrorKind;
use crate::warehouse::databricks::{Resize, WarehouseKeeper};

/// A warehouse as the API shows it.
fn shown() -> Json {
    json!({
        "id": "abc123",
        "name": "ops",
        "cluster_size": "Medium",
        "min_num_clusters": 1,
        "max_num_clusters": 2,
        "auto_stop_mins": 15,
        "warehouse_type": "PRO",
        "enable_serverless_compute": false,
        "enable_photon": true,
        "spot_instance_policy": "RELIABILITY_OPTIMIZED",
        "statement_timeout": 900,
        "tags": { "custom_tags": [{ "key": "team", "value": "data" }] },
        "channel": { "name": "CHANNEL_NAME_CURRENT" },
        "creator_name": "ada@example.com",
        "instance_profile_arn": null,
        "state": "RUNNING",
        "num_clusters": 1,
        "num_active_sessions": 3,
        "jdbc_url": "jdbc:spark://x",
        "health": { "status": "HEALTHY" },
    })
}

fn refused() -> super::ResponseTemplate {
    let message = "You do not have permission to use the SQL Warehouse.";
    status(403).set_body_json(json!({ "error_code": "PERMISSION_DENIED", "message": message }))
}

fn keeper(world: &World) -> WarehouseKeeper {
    WarehouseKeeper(world.client.clone())
}

#[tokio::test]
async fn state_is_read_leniently_without_a_statement() {
    let world = World::new(vec![ok(shown())]).await;
    let expected = WarehouseState {
        power: WarehousePower::Running,
        auto_stop_mins: Some(15),
        cluster_size: Some("Medium".to_owned()),
        min_clusters: Some(1),
        max_clusters: Some(2),
    };
    assert_eq!(world.client.warehouse_state().await, Ok(expected));
    assert_eq!(world.server.lines().await, ["GET /api/2.0/sql/warehouses/abc123"]);
    for (word, power) in [
        ("STARTING", WarehousePower::Starting),
        ("STOPPED", WarehousePower::Stopped),
        ("STOPPING", WarehousePower::Stopping),
        ("DELETING", WarehousePower::Deleting),
        ("DELETED", WarehousePower::Deleted),
        ("ASLEEP", WarehousePower::Other("ASLEEP".to_owned())),
    ] {
        let world = World::new(vec![ok(json!({ "state": word, "auto_stop_mins": "soon" }))]).await;
        let state = world.client.warehouse_state().await.unwrap();
        let WarehouseState { auto_stop_mins, cluster_size, min_clusters, max_clusters, .. } = state.clone();
        assert_eq!((state.power, auto_stop_mins, cluster_size), (power, None, None));
        assert_eq!((min_clusters, max_clusters), (None, None));
    }
}

#[tokio::test]
async fn state_read_is_retried_and_needs_a_state() {
    let world = World::new(vec![status(503), ok(shown())]).await;
    world.client.warehouse_state().await.unwrap();
    assert_eq!(world.server.lines().await.len(), 2);
    let error = World::new(vec![ok(json!({}))]).await.client.warehouse_state().await.unwrap_err();
    assert_eq!(error.to_string(), "state of the warehouse: unexpected answer at state: nothing");
    let error = World::new(vec![refused()]).await.client.warehouse_state().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoAccess { .. }), "{error}");
    let world = World::with(vec![ok(shown())], |settings| settings.warehouse_id = "../x".to_owned()).await;
    let error = world.client.warehouse_state().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::MissingObject { .. }), "{error}");
    assert!(world.server.lines().await.is_empty());
}

#[tokio::test]
async fn start_is_sent_alone_and_retried() {
    let world = World::new(vec![status(502), ok(json!({}))]).await;
    assert_eq!(keeper(&world).start().await, Ok(()));
    assert_eq!(world.server.lines().await, ["POST /api/2.0/sql/warehouses/abc123/start"; 2]);
    let requests = world.server.requests().await;
    assert_eq!(requests[1].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(requests[1].body_json::<Json>().unwrap(), json!({}));
    let world = World::new(vec![refused()]).await;
    let error = keeper(&world).start().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoAccess { .. }), "{error}");
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn resize_sends_back_every_editable_field() {
    let world = World::new(vec![ok(shown()), ok(json!({}))]).await;
    assert_eq!(keeper(&world).resize(2, 4).await, Ok(Resize::Done));
    let lines = world.server.lines().await;
    assert_eq!(lines, ["GET /api/2.0/sql/warehouses/abc123", "POST /api/2.0/sql/warehouses/abc123/edit"]);
    let mut expected = shown();
    let fields = expected.as_object_mut().unwrap();
    for read_only in
        ["id", "state", "num_clusters", "num_active_sessions", "jdbc_url", "health", "instance_profile_arn"]
    {
        fields.remove(read_only);
    }
    fields.insert("max_num_clusters".to_owned(), json!(4));
    assert_eq!(world.server.requests().await[1].body_json::<Json>().unwrap(), expected);
}

#[tokio::test]
async fn resize_leaves_a_warehouse_alone_that_another_changed() {
    let world = World::new(vec![ok(shown())]).await;
    let changed = Resize::ChangedByOther { max_clusters: 2 };
    assert_eq!(keeper(&world).resize(1, 4).await, Ok(changed));
    // Nor is it sent if it has the size already.
    assert_eq!(keeper(&world).resize(1, 2).await, Ok(Resize::Done));
    assert_eq!(world.server.lines().await, ["GET /api/2.0/sql/warehouses/abc123"; 2]);
    let world = World::new(vec![ok(json!({ "state": "RUNNING" }))]).await;
    let error = keeper(&world).resize(1, 2).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { .. }), "{error}");
}

#[tokio::test]
async fn resize_that_may_have_taken_effect_is_not_repeated() {
    for (answer, edits) in [(status(500), 1), (status(502), 1), (status(429), 2)] {
        let world = World::new(vec![ok(shown()), answer, ok(json!({}))]).await;
        assert_eq!(keeper(&world).resize(2, 4).await.is_ok(), edits == 2);
        assert_eq!(world.server.lines().await.len(), 1 + edits);
    }
    let world = World::new(vec![ok(shown()), refused()]).await;
    let error = keeper(&world).resize(2, 4).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PermissionDenied { .. }), "{error}");
}
