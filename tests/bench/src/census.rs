//! A Census that only answers, as quickly as it is told to.
//!
//! The lab's Census keeps schedules and runs syncs, which costs time of its own; this one has its answers ready, so that
//! what is measured is the asking.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A sync that has run on time and well for as long as anybody looks back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncSpec {
    pub(crate) id: u64,
    pub(crate) every_minutes: i64,
}

/// A running Census.
#[derive(Debug)]
pub(crate) struct Census {
    /// Where it answers.
    pub(crate) url: String,
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    syncs: Vec<SyncSpec>,
    delay: Duration,
    first_is_paused: AtomicBool,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Census {
    /// Serves these syncs on a loopback port, each answer after `delay`.
    pub(crate) async fn serve(syncs: Vec<SyncSpec>, delay: Duration) -> Result<Self> {
        let world = Arc::new(World {
            syncs,
            delay,
            first_is_paused: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/api/v1/syncs", get(list))
            .route("/api/v1/syncs/{id}/sync_runs", get(runs))
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, world })
    }

    /// Pauses the first sync, or lets it run again.
    pub(crate) fn pause_first(&self, paused: bool) {
        self.world.first_is_paused.store(paused, Ordering::Relaxed);
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.world.requests.load(Ordering::Relaxed)
    }

    /// The most requests that were being answered at the same time.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.world.most_in_flight.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
struct Paging {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "usual")]
    per_page: usize,
}

fn first() -> usize {
    1
}

fn usual() -> usize {
    25
}

async fn list(State(world): State<Arc<World>>, Query(paging): Query<Paging>) -> impl IntoResponse {
    let _busy = Busy::begin(&world);
    tokio::time::sleep(world.delay).await;
    let per_page = paging.per_page.clamp(1, 100);
    let page = paging.page.max(1);
    let last = world.syncs.len().div_ceil(per_page).max(1);
    let paused = world.first_is_paused.load(Ordering::Relaxed);
    let data: Vec<Value> = world
        .syncs
        .iter()
        .enumerate()
        .skip((page - 1) * per_page)
        .take(per_page)
        .map(|(index, sync)| sync_json(sync, paused && index == 0))
        .collect();
    let body = json!({
        "status": "success",
        "pagination": {
            "total_records": world.syncs.len(), "per_page": per_page, "page": page, "last_page": last,
            "prev_page": (page > 1).then(|| page - 1), "next_page": (page < last).then(|| page + 1),
        },
        "data": data,
    });
    answer(body.to_string())
}

async fn runs(
    State(world): State<Arc<World>>,
    Path(id): Path<u64>,
    Query(paging): Query<Paging>,
) -> impl IntoResponse {
    let _busy = Busy::begin(&world);
    tokio::time::sleep(world.delay).await;
    let every = world.syncs.iter().find(|sync| sync.id == id).map_or(30, |sync| sync.every_minutes);
    answer(runs_json(id, every, paging.per_page.clamp(1, 100)))
}

fn answer(body: String) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], body)
}

fn sync_json(sync: &SyncSpec, paused: bool) -> Value {
    json!({
        "id": sync.id, "label": format!("Sync {}", sync.id), "status": "up to date", "operation": "upsert",
        "created_at": "2026-01-05T19:42:42.672Z", "updated_at": "2026-01-05T19:42:42.672Z",
        "paused": paused,
        "schedule_frequency": "expression", "schedule_day": null, "schedule_hour": null, "schedule_minute": null,
        "cron_expression": format!("*/{} * * * *", sync.every_minutes),
        "source_attributes": { "connection_id": 12, "object": { "type": "model", "name": "properties" } },
        "destination_attributes": { "connection_id": 15, "object": "Property__c" },
        "mappings": [
            { "from": { "type": "column", "data": "ID" }, "to": "External_Id__c", "is_primary_identifier": true },
        ],
        "alert_attributes": [
            { "type": "FailureAlertConfiguration", "send_for": "first_time", "should_send_recovery": true, "options": null },
            { "type": "InvalidRecordPercentAlertConfiguration", "send_for": "first_time", "should_send_recovery": true,
              "options": { "threshold": 5 } },
        ],
        "failed_run_notifications_enabled": true, "failed_record_notifications_enabled": true,
        "failed_record_notifications_threshold_percent": 5,
    })
}

fn runs_json(id: u64, every_minutes: i64, count: usize) -> String {
    let slot = every_minutes * 60;
    // A run takes 40 s; the newest is the newest that is over by now.
    let newest = (Timestamp::now().as_second() - 45).div_euclid(slot) * slot;
    let mut body = String::from(r#"{"status":"success","data":["#);
    for (separator, at) in std::iter::once("")
        .chain(std::iter::repeat(","))
        .zip((0..).map(|index| newest - index * slot))
        .take(count)
    {
        let Ok(due) = Timestamp::from_second(at) else { break };
        let (began, ended) =
            (due + SignedDuration::from_millis(1_250), due + SignedDuration::from_millis(41_250));
        // Writing into a string cannot fail.
        _ = write!(
            body,
            r#"{separator}{{"id":{at},"sync_id":{id},"source_record_count":1200,"source_record_updates":1200,"source_record_deletes":0,"source_record_invalids":0,"records_processed":1200,"records_updated":1200,"records_failed":0,"created_at":"{began}","updated_at":"{ended}","completed_at":"{ended}","scheduled_execution_time":"{due}","error_code":null,"error_message":null,"error_detail":null,"status":"completed","canceled":false,"full_sync":false}}"#
        );
    }
    _ = write!(
        body,
        r#"],"pagination":{{"total_records":{count},"per_page":{count},"page":1,"last_page":1,"prev_page":null,"next_page":null}}}}"#
    );
    body
}

struct Busy<'a>(&'a World);

impl<'a> Busy<'a> {
    fn begin(world: &'a World) -> Self {
        world.requests.fetch_add(1, Ordering::Relaxed);
        let now = world.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        world.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(world)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
