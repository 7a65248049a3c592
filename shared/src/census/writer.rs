//! The calls of the Census API that change something.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::error::Error;
use super::error::ErrorKind::{EmptyBody, Gone, NotFound};
use super::settings::Settings;
use super::transport::Transport;
use super::webhook::{self, CreatedWebhook, NewWebhook, Webhook};
use super::wire;
use crate::http::retry::{RuntimeWatch, Watch};
use crate::http::{Call, Repeat};
use crate::observation::{RunId, SyncId};

/// A client that changes one Census workspace. It has no call that starts a full sync, pauses a sync, or changes a
/// mapping or a schedule. Clones share one retry budget, which is not that of a [`Client`](super::Client).
#[derive(Debug, Clone)]
pub struct Writer {
    transport: Transport,
}

impl Writer {
    /// Creates a writer on a shared HTTP stack. `now` is the time by our clock.
    // By value: the settings hold the token and are no longer needed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn new(http: reqwest::Client, settings: Settings, now: Timestamp) -> Result<Self, Error> {
        Self::with_watch(http, &settings, now, Arc::new(RuntimeWatch))
    }

    /// Creates a writer that waits by this watch.
    pub(super) fn with_watch(
        http: reqwest::Client,
        settings: &Settings,
        now: Timestamp,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(http, settings, now, watch)? })
    }

    /// Starts a run of a sync, never a full one. While another run is active, Census skips the new one (its docs:
    /// status `skipped`). Retried only if it certainly had no effect: a second run would write all records twice. After
    /// an error that leaves this open (a timeout, a broken connection, a 5xx, an unreadable answer), find the run in
    /// the list of runs instead of asking again.
    pub async fn trigger(&self, id: SyncId) -> Result<RunId, Error> {
        let operation = "trigger sync";
        let call = Call {
            query: vec![("force_full_sync", "false".to_owned())],
            repeat: Repeat::OnlyIfNotTaken,
            ..write(Method::POST, format!("syncs/{id}/trigger"))
        };
        let answer = self.transport.send(operation, call).await?;
        wire::id_at(wire::object(&answer, operation)?, "sync_run_id", operation).map(RunId)
    }

    /// Resumes a paused sync; its next run is that of its schedule. Sends no other key, so that nothing else of the
    /// sync changes. Idempotent, so retried.
    pub async fn resume(&self, id: SyncId) -> Result<(), Error> {
        let call =
            Call { body: Some(json!({ "paused": false })), ..write(Method::PATCH, format!("syncs/{id}")) };
        self.transport.send("resume sync", call).await.map(drop)
    }

    /// Asks Census to cancel a run. Success means that the request was accepted, not that the run has stopped, nor that
    /// it moved nothing: read the run to see its end. Census refuses it for a run that has ended. Retried only if it
    /// certainly had no effect: a retry after a lost answer would be refused and look like a failure.
    ///
    /// V2's path is undocumented; we assume that of V1.
    pub async fn cancel(&self, id: RunId) -> Result<(), Error> {
        let call =
            Call { repeat: Repeat::OnlyIfNotTaken, ..write(Method::POST, format!("sync_runs/{id}/cancel")) };
        self.transport.send("cancel run", call).await.map(drop)
    }

    /// Creates a webhook. Census shows its secret only in this response.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<CreatedWebhook, Error> {
        let operation = "create webhook";
        let call = Call {
            body: Some(self.with_group(json!(webhook))),
            repeat: Repeat::OnlyIfNotTaken,
            ..write(Method::POST, "webhooks")
        };
        webhook::parse_created(&self.transport.send(operation, call).await?, operation)
    }

    /// Updates a webhook's name, endpoint and events, and returns the result. Sends all three, as the docs do not state
    /// whether omitted ones are kept. Its description is kept.
    pub async fn update_webhook(&self, webhook: &Webhook) -> Result<Webhook, Error> {
        let operation = "update webhook";
        let call = Call {
            body: Some(self.with_group(json!(webhook))),
            ..write(Method::PATCH, format!("webhooks/{}", webhook.id))
        };
        let answer = self.transport.send(operation, call).await?;
        webhook::parse_webhook(wire::object(&answer, operation)?, operation)
    }

    /// Deletes a webhook. A missing one counts as deleted: the response to a first attempt may have been lost. The docs
    /// show no response to this call, so one without a body is accepted.
    pub async fn delete_webhook(&self, id: u64) -> Result<(), Error> {
        let call = Call {
            query: self.transport.group().into_iter().collect(),
            ..write(Method::DELETE, format!("webhooks/{id}"))
        };
        match self.transport.send("delete webhook", call).await {
            Ok(_) | Err(Error { kind: EmptyBody { .. } | NotFound { .. } | Gone { .. }, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn with_group(&self, mut body: Value) -> Value {
        if let (Some((name, group)), Some(members)) = (self.transport.group(), body.as_object_mut()) {
            members.insert(name.to_owned(), json!(group));
        }
        body
    }
}

fn write(method: Method, path: impl Into<String>) -> Call {
    Call { method, ..Call::get(path) }
}
