//! Receives webhooks: the real intake behind a loopback address, and the real worker behind its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use syncwatch_lab::aws::ResourceId;
use syncwatch_lab::clock::LabClock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webhook_intake::intake::Intake;
use webhook_intake::verify::PATH;
use webhook_intake::worker::{Patience, Worker};

use crate::scene::Scene;

/// The address that Census posts to. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    url: String,
    server: JoinHandle<()>,
    handled: AtomicUsize,
}

struct Door {
    intake: Intake,
    clock: LabClock,
}

impl Doorbell {
    /// Opens the address, without registering it at Census.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) async fn hang(scene: &Scene) -> Result<Self> {
        let intake = Intake::new(scene.site()?).await;
        let door = Door { intake, clock: scene.census.clock().clone() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free loopback port")?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        let router = Router::new().fallback(ring).with_state(Arc::new(door));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "webhook address closed");
            }
        });
        Ok(Self { url, server, handled: AtomicUsize::new(0) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The number of webhooks that the worker has handled.
    pub(crate) fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }

    /// Waits until Census has posted its webhooks, and passes the queued ones to the worker.
    ///
    /// # Errors
    /// A webhook could not be handled.
    pub(crate) async fn let_in(&self, scene: &Scene) -> Result<()> {
        scene.census.have_delivered_all().await;
        let messages = scene.deployment.receive(&ResourceId::queue("webhook-deliveries")).await?;
        // The clock is stopped, so reading a run again later shows nothing new.
        let patience = Patience { reread_after: Vec::new(), ..Patience::default() };
        let worker = Worker::new(scene.site()?).with_patience(patience);
        for batch in messages.chunks(10) {
            let answer = worker.run(batch_event(batch), scene.now()).await?;
            let failed = answer.get("batchItemFailures").and_then(Value::as_array).map_or(0, Vec::len);
            ensure!(failed == 0, "the worker could not handle {failed} webhooks: {answer}");
            self.handled.fetch_add(batch.len(), Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Passes a request to the intake, as a Function URL does.
async fn ring(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let event = json!({
        "rawPath": PATH,
        "requestContext": { "http": { "method": "POST", "path": PATH, "sourceIp": "127.0.0.1" } },
        "headers": { "content-type": header("content-type"), "x-signature": header("x-signature") },
        "body": String::from_utf8_lossy(&body),
        "isBase64Encoded": false,
    });
    let now: Timestamp = door.clock.now();
    let status = door.intake.run(event, now).await.ok().and_then(|answer| answer.get("statusCode")?.as_u64());
    let status = status.and_then(|status| u16::try_from(status).ok());
    status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A batch as an SQS event source delivers it the first time.
fn batch_event(messages: &[String]) -> Value {
    let record = |(number, body): (usize, &String)| {
        json!({
            "messageId": number.to_string(),
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1" },
        })
    };
    json!({ "Records": messages.iter().enumerate().map(record).collect::<Vec<_>>() })
}
