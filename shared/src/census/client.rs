//! The calls of the Census API that read.

use std::sync::Arc;

use futures::stream::{self, Stream};
use jiff::{SignedDuration, Timestamp};

use super::error::Error;
use super::settings::Settings;
use super::transport::Transport;
use super::webhook::{self, Webhook};
use super::wire::{self, SyncPage};
use crate::baseline::SyncDefinition;
use crate::http::retry::{RuntimeWatch, Watch};
use crate::http::{Call, Repeat};
use crate::observation::{ObservedSync, RejectedRecord, Run, RunHistory, RunId, SyncId};

/// The largest page (Census docs, "Pagination"; more is clamped).
const LARGEST_PAGE: u32 = 100;
/// Runs read to check a sync: for one that runs every 15 minutes, the last six hours.
const RUNS_JUDGED: u32 = 25;

/// A client that reads one Census workspace; a [`Writer`](super::Writer) changes it. Clones share one retry budget:
/// create a client for each round of a function.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// Creates a client on a shared HTTP stack. `now` is the time by our clock, to compare it with that of Census.
    // By value: the settings hold the token and are no longer needed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn new(http: reqwest::Client, settings: Settings, now: Timestamp) -> Result<Self, Error> {
        Self::with_watch(http, &settings, now, Arc::new(RuntimeWatch))
    }

    /// Creates a client that waits by this watch.
    pub(super) fn with_watch(
        http: reqwest::Client,
        settings: &Settings,
        now: Timestamp,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(http, settings, now, watch)? })
    }

    /// Returns how far the clock of Census is ahead of ours, to the second, by the `Date` of its latest answer;
    /// negative if it is behind, `None` before the first answer with a date.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.transport.clock_ahead()
    }

    /// Lists a page of the workspace's syncs; pages count from 1.
    pub async fn list_syncs_page(&self, page: u32, per_page: u32) -> Result<SyncPage, Error> {
        let mut call = Call::get("syncs");
        call.query = paging(page, per_page);
        // The docs of V2 state which calls need the group only for webhooks. We assume that lists need it too, as a
        // query parameter; an unneeded one is ignored.
        call.query.extend(self.transport.group());
        wire::parse_syncs_page(&self.transport.send("list syncs", call).await?, page)
    }

    /// Streams all syncs of the workspace, holding one page at a time. Ends after the first error.
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

    /// Reads one sync with its definition; its SQL is as Census sends it.
    pub async fn get_definition(&self, id: SyncId) -> Result<(ObservedSync, SyncDefinition), Error> {
        let operation = "get sync";
        let answer = self.transport.send(operation, Call::get(format!("syncs/{id}"))).await?;
        wire::parse_definition(wire::object(&answer, operation)?)
    }

    /// Lists the newest runs of a sync, newest first: as many as the checks need.
    pub async fn newest_runs(&self, id: SyncId) -> Result<RunHistory, Error> {
        self.runs_of_sync(id, RUNS_JUDGED).await
    }

    /// Lists the `count` newest runs of a sync, newest first.
    pub async fn runs_of_sync(&self, id: SyncId, count: u32) -> Result<RunHistory, Error> {
        self.runs_of_sync_page(id, 1, count).await
    }

    /// Lists a page of a sync's runs, newest first; pages count from 1. `complete` means that no older runs follow.
    ///
    /// V2's path is undocumented; we assume that of V1.
    pub async fn runs_of_sync_page(&self, id: SyncId, page: u32, per_page: u32) -> Result<RunHistory, Error> {
        let mut call = Call::get(format!("syncs/{id}/sync_runs"));
        call.query = paging(page, per_page);
        call.query.push(("order", "desc".to_owned()));
        wire::parse_runs_page(&self.transport.send("list runs", call).await?, page)
    }

    /// Reads one run.
    ///
    /// V2's path is undocumented; we assume that of V1.
    pub async fn get_run(&self, id: RunId) -> Result<Run, Error> {
        let operation = "get run";
        let answer = self.transport.send(operation, Call::get(format!("sync_runs/{id}"))).await?;
        wire::parse_run(wire::object(&answer, operation)?)
    }

    /// Samples up to `limit` records of a run (at most 100 of each kind) that the destination rejected or Census
    /// skipped as invalid. Their payloads are customers' data and are never kept. Never retried: samples are optional,
    /// and waiting for them would use up the retry budget.
    ///
    /// V2's path is undocumented; we assume that of V1.
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
                // A server that ignores the filter returns the same records twice.
                if records.len() < wanted && !records.contains(&record) {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// Lists the workspace's webhooks.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        let operation = "list webhooks";
        let mut webhooks = Vec::new();
        let mut next = Some(1);
        while let Some(page) = next {
            let mut call = Call::get("webhooks");
            call.query = paging(page, LARGEST_PAGE);
            call.query.extend(self.transport.group());
            let answer = self.transport.send(operation, call).await?;
            let (entries, following) = wire::page(&answer, operation, page)?;
            for entry in entries {
                webhooks.push(webhook::parse_webhook(entry, operation)?);
            }
            next = following;
        }
        Ok(webhooks)
    }

    /// Returns the API address of a webhook, to show to operators; it contains no token.
    pub fn url_of_webhook(&self, id: u64) -> String {
        let group =
            self.transport.group().map(|(name, group)| format!("?{name}={group}")).unwrap_or_default();
        format!("{}webhooks/{id}{group}", self.transport.api())
    }
}

fn paging(page: u32, per_page: u32) -> Vec<(&'static str, String)> {
    vec![("page", page.max(1).to_string()), ("per_page", per_page.clamp(1, LARGEST_PAGE).to_string())]
}
