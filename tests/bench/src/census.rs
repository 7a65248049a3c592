//! A stub of Census with prepared answers and a configurable delay.
//!
//! The lab's Census runs schedules and syncs, which takes time. This one only answers, so that the bench measures the client.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A sync whose whole history of runs is on time and without failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncSpec {
    pub(crate) id: u64,
    pub(crate) every_minutes: i64,
}

/// A running stub of Census.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) url: String,
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    syncs: Vec<SyncSpec>,
    /// The prepared answer with the runs of each sync, by its id.
    runs: HashMap<u64, Arc<RunsAnswer>>,
    delay: Duration,
    first_is_paused: AtomicBool,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Census {
    /// Serves these syncs on a loopback port, each answer after `delay`.
    pub(crate) async fn serve(syncs: Vec<SyncSpec>, delay: Duration) -> Result<Self> {
        let mut answers = HashMap::new();
        let runs_of = syncs.iter().map(|sync| {
            let answer = answers
                .entry(sync.every_minutes)
                .or_insert_with(|| Arc::new(RunsAnswer::of(sync.every_minutes)));
            (sync.id, Arc::clone(answer))
        });

        let world = Arc::new(World {
            runs: runs_of.collect(),
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
        // Without this, some answers wait 40 ms for a TCP acknowledgement, unlike those of a public server.
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, world })
    }

    /// Pauses or resumes the first sync.
    pub(crate) fn pause_first(&self, paused: bool) {
        self.world.first_is_paused.store(paused, Ordering::Relaxed);
    }

    /// Counts the requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.world.requests.load(Ordering::Relaxed)
    }

    /// The highest number of concurrent requests so far.
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

async fn runs(State(world): State<Arc<World>>, Path(id): Path<u64>) -> impl IntoResponse {
    let _busy = Busy::begin(&world);
    tokio::time::sleep(world.delay).await;
    match world.runs.get(&id) {
        Some(prepared) => answer(prepared.for_sync(id)).into_response(),
        None => (StatusCode::NOT_FOUND, answer(r#"{"status":404}"#.to_owned())).into_response(),
    }
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

/// The page of a sync's newest runs, with a placeholder for the sync's id.
#[derive(Debug)]
struct RunsAnswer(String);

impl RunsAnswer {
    const SYNC_ID: &str = "@sync_id@";

    /// Prepares the runs up to now, which stay valid for the minutes that a measurement takes.
    fn of(every_minutes: i64) -> Self {
        let slot = every_minutes * 60;
        // A run takes 40 s; the newest one must have ended by now.
        let newest = (Timestamp::now().as_second() - 45).div_euclid(slot) * slot;
        let due = (0..25).filter_map(|index| Timestamp::from_second(newest - index * slot).ok());
        let data: Vec<Value> = due
            .map(|due| {
                let began = due + SignedDuration::from_millis(1_250);
                let ended = began + SignedDuration::from_secs(40);
                json!({
                    "id": due.as_second(), "sync_id": Self::SYNC_ID,
                    "source_record_count": 1200, "source_record_updates": 1200, "source_record_deletes": 0,
                    "source_record_invalids": 0, "records_processed": 1200, "records_updated": 1200,
                    "records_failed": 0,
                    "created_at": began, "updated_at": ended, "completed_at": ended,
                    "scheduled_execution_time": due,
                    "error_code": null, "error_message": null, "error_detail": null,
                    "status": "completed", "canceled": false, "full_sync": false,
                })
            })
            .collect();
        // Older runs exist, as for a sync of that age.
        let pagination = json!({
            "total_records": 1000, "per_page": 25, "page": 1, "last_page": 40, "prev_page": null, "next_page": 2,
        });
        Self(json!({ "status": "success", "data": data, "pagination": pagination }).to_string())
    }

    fn for_sync(&self, id: u64) -> String {
        self.0.replace(&format!("\"{}\"", Self::SYNC_ID), &id.to_string())
    }
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
