//! The calls.

use std::sync::Arc;

use futures::stream::{self, Stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::error::Error;
use super::error::ErrorKind::{EmptyBody, Gone, NotFound};
use super::settings::Settings;
use super::transport::Transport;
use super::webhook::{self, CreatedWebhook, NewWebhook, Webhook};
use super::wire::{self, SyncPage};
use crate::http::retry::{RuntimeWatch, Watch};
use crate::http::{Call, Repeat};
use crate::observation::{ObservedSync, RejectedRecord, Run, RunHistory, RunId, SyncId};
use crate::pipeline::ApiVersion;

/// Entries of a page at the most (Census docs, "Pagination"; more is clamped).
const LARGEST_PAGE: u32 = 100;
/// How many runs of a sync are read to judge it: for one that runs every 15 minutes, the last six hours.
const RUNS_JUDGED: u32 = 25;

/// Speaks to one workspace of Census. Clones share one retry budget: make a client for each round of a function.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    group_id: Option<String>,
}

impl Client {
    /// A client on an HTTP stack that is shared with others. `now` is our clock's time, for comparing it with Census's.
    // By value: the settings hold the token and are not needed any longer.
    #[allow(clippy::needless_pass_by_value)]
    pub fn new(http: reqwest::Client, settings: Settings, now: Timestamp) -> Result<Self, Error> {
        Self::with_watch(http, &settings, now, Arc::new(RuntimeWatch))
    }

    /// The same, with a watch of the caller's for all waiting.
    pub(super) fn with_watch(
        http: reqwest::Client,
        settings: &Settings,
        now: Timestamp,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, Error> {
        let transport = Transport::new(http, settings, now, watch);
        Ok(Self {
            transport: transport.map_err(|kind| kind.of("connect to Census"))?,
            // V1 has workspaces in the place of groups, and the token already says which.
            group_id: settings.group_id.clone().filter(|_| settings.version == ApiVersion::V2),
        })
    }

    /// How far the clock of Census is ahead of ours by the `Date` of its latest answer, to the second; negative when
    /// behind, `None` before the first answer that had one.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.transport.clock_ahead()
    }

    /// Lists a page of the workspace's syncs; pages count from 1.
    pub async fn list_syncs_page(&self, page: u32, per_page: u32) -> Result<SyncPage, Error> {
        let mut call = Call::get("syncs");
        call.query = paging(page, per_page);
        // Which requests of V2 need the group could be read for webhooks only. That a list needs it, and as a query, is
        // our reading; a query that is not needed is ignored.
        call.query.extend(self.group());
        wire::parse_syncs_page(&self.transport.send("list syncs", call).await?, page)
    }

    /// All syncs of the workspace, a page at a time: no more than one page is held. Ends after the first error.
    pub fn syncs(&self) -> impl Stream<Item = Result<SyncPage, Error>> + '_ {
        stream::try_unfold(Some(1), move |next| async move {
            let Some(number) = next else { return Ok(None) };
            let page = self.list_syncs_page(number, LARGEST_PAGE).await?;
            let next = page.next;
            Ok(Some((page, next)))
        })
    }

    /// Reads one sync.
    pub async fn get_sync(&self, id: SyncId) -> Result<ObservedSync, Error> {
        let operation = "get sync";
        let answer = self.transport.send(operation, Call::get(format!("syncs/{id}"))).await?;
        wire::parse_sync(wire::object(&answer, operation)?)
    }

    /// Lists the newest runs of a sync, newest first: as many as a judge looks at.
    pub async fn newest_runs(&self, id: SyncId) -> Result<RunHistory, Error> {
        self.runs_of_sync(id, RUNS_JUDGED).await
    }

    /// Lists so many of the newest runs of a sync, newest first.
    pub async fn runs_of_sync(&self, id: SyncId, count: u32) -> Result<RunHistory, Error> {
        self.runs_of_sync_page(id, 1, count).await
    }

    /// Lists a page of the runs of a sync, newest first; pages count from 1. `complete` says that no older ones follow.
    ///
    /// The path in V2 could not be read; it is taken to be that of V1.
    pub async fn runs_of_sync_page(&self, id: SyncId, page: u32, per_page: u32) -> Result<RunHistory, Error> {
        let mut call = Call::get(format!("syncs/{id}/sync_runs"));
        call.query = paging(page, per_page);
        call.query.push(("order", "desc".to_owned()));
        wire::parse_runs_page(&self.transport.send("list runs", call).await?, page)
    }

    /// Reads one run.
    ///
    /// The path in V2 could not be read; it is taken to be that of V1.
    pub async fn get_run(&self, id: RunId) -> Result<Run, Error> {
        let operation = "get run";
        let answer = self.transport.send(operation, Call::get(format!("sync_runs/{id}"))).await?;
        wire::parse_run(wire::object(&answer, operation)?)
    }

    /// Samples up to `limit` records of a run (at most 100 of each kind) that the destination rejected or Census left
    /// out as invalid. Their payloads are customers' data and are never kept. Not asked for a second time if Census does
    /// not answer: samples are a help, and waiting for them would use up what others may wait.
    ///
    /// The path in V2 could not be read; it is taken to be that of V1.
    pub async fn rejected_records(&self, id: RunId, limit: u32) -> Result<Vec<RejectedRecord>, Error> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut records: Vec<RejectedRecord> = Vec::new();
        for status in ["rejected", "invalid"] {
            if records.len() >= wanted {
                break;
            }
            let mut call = Call::get(format!("sync_runs/{id}/records"));
            call.query = paging(1, limit);
            call.query.push(("status", status.to_owned()));
            call.repeat = Repeat::Never;
            for record in wire::parse_rejected(&self.transport.send("list records", call).await?)? {
                // A server that does not heed the filter gives the same records twice.
                if records.len() < wanted && !records.contains(&record) {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// Starts a run of a sync, never a full one. While another run is at work Census is documented to give the new one
    /// the status `skipped`. Made again only if it was surely not taken: a second run would write everything twice.
    pub async fn trigger(&self, id: SyncId) -> Result<RunId, Error> {
        let operation = "trigger sync";
        let call = Call {
            method: Method::POST,
            query: vec![("force_full_sync", "false".to_owned())],
            repeat: Repeat::OnlyIfNotTaken,
            ..Call::get(format!("syncs/{id}/trigger"))
        };
        let answer = self.transport.send(operation, call).await?;
        wire::id_at(wire::object(&answer, operation)?, "sync_run_id", operation).map(RunId)
    }

    /// Lists the workspace's webhooks.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        let operation = "list webhooks";
        let mut webhooks = Vec::new();
        let mut next = Some(1);
        while let Some(page) = next {
            let mut call = Call::get("webhooks");
            call.query = paging(page, LARGEST_PAGE);
            call.query.extend(self.group());
            let answer = self.transport.send(operation, call).await?;
            let (entries, following) = wire::page(&answer, operation, page)?;
            for entry in entries {
                webhooks.push(webhook::parse_webhook(entry, operation)?);
            }
            next = following;
        }
        Ok(webhooks)
    }

    /// Makes a webhook. Its secret is shown this once.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<CreatedWebhook, Error> {
        let operation = "create webhook";
        let call = Call {
            method: Method::POST,
            body: Some(self.with_group(json!(webhook))),
            repeat: Repeat::OnlyIfNotTaken,
            ..Call::get("webhooks")
        };
        webhook::parse_created(&self.transport.send(operation, call).await?, operation)
    }

    /// Gives a webhook the name, the endpoint and the events that it has here, and answers with it as it then is. All
    /// three are sent, as the documentation leaves open whether one that is left out is kept. Its description is.
    pub async fn update_webhook(&self, webhook: &Webhook) -> Result<Webhook, Error> {
        let operation = "update webhook";
        let call = Call {
            method: Method::PATCH,
            body: Some(self.with_group(json!(webhook))),
            ..Call::get(format!("webhooks/{}", webhook.id))
        };
        let answer = self.transport.send(operation, call).await?;
        webhook::parse_webhook(wire::object(&answer, operation)?, operation)
    }

    /// Deletes a webhook. One that is gone already is as good as deleted: the answer to a first attempt may have been
    /// lost. The documentation shows no answer to this call, so one without a body is taken as well.
    pub async fn delete_webhook(&self, id: u64) -> Result<(), Error> {
        let call = Call {
            method: Method::DELETE,
            query: self.group().into_iter().collect(),
            ..Call::get(format!("webhooks/{id}"))
        };
        match self.transport.send("delete webhook", call).await {
            Ok(_) | Err(Error { kind: EmptyBody { .. } | NotFound { .. } | Gone { .. }, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The address of a webhook in the API, for people; it holds no token.
    pub fn url_of_webhook(&self, id: u64) -> String {
        let group = self.group().map(|(name, group)| format!("?{name}={group}")).unwrap_or_default();
        format!("{}webhooks/{id}{group}", self.transport.api())
    }

    fn with_group(&self, mut body: Value) -> Value {
        if let (Some(group), Some(members)) = (&self.group_id, body.as_object_mut()) {
            members.insert("group_id".to_owned(), json!(group));
        }
        body
    }

    fn group(&self) -> Option<(&'static str, String)> {
        self.group_id.clone().map(|group| ("group_id", group))
    }
}

fn paging(page: u32, per_page: u32) -> Vec<(&'static str, String)> {
    vec![("page", page.max(1).to_string()), ("per_page", per_page.clamp(1, LARGEST_PAGE).to_string())]
}
