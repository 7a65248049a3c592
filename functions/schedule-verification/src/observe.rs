//! Reads the workspace, a page of syncs at a time, so that memory does not grow with the number of syncs.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, future, stream};
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::census::{Client, Error, SyncPage};
use syncwatch::observation::{
    DeadLetterKind, DeadLetters, ObservedSync, SyncId, SyncObservation, Unread, Workspace,
};
use syncwatch::observe::Sampler;
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::rounds::Itself;
use syncwatch::runtime::{Site, env};

/// Syncs on a page; the most that Census gives.
const PAGE_SIZE: u32 = 100;
/// Syncs whose runs are read at the same time. Census publishes no rate limit; see the README for what this costs it.
const CONCURRENT_READS: usize = 25;
/// After so many syncs about which Census did not answer it is asked no more: it is not their fault.
const GIVE_UP_AFTER: usize = 3;
/// How many undeclared syncs are kept by id.
const NAMED_UNDECLARED: usize = 10;

/// Looks at Syncwatch itself: its dead-letter queues, and the records of the functions that run at night.
pub async fn itself(site: &Site, store: &IncidentStore) -> Itself {
    let queues = [
        (DeadLetterKind::Deliveries, env::DELIVERIES_DEAD_LETTERS),
        (DeadLetterKind::Notices, env::NOTICES_DEAD_LETTERS),
    ];
    let dead_letters = queues.map(async |(kind, setting)| DeadLetters {
        kind,
        count: site.queue(setting).depth().await.map_err(|error| error.to_string()),
    });
    let name = &site.pipeline.name;
    let (dead_letters, validated, snapshot) =
        future::join3(future::join_all(dead_letters), store.last_round(name), store.last_snapshot(name))
            .await;
    Itself {
        dead_letters,
        validated: validated.map_err(|error| error.to_string()),
        snapshot: snapshot.map_err(|error| error.to_string()),
    }
}

/// One declared sync, as it was found.
#[derive(Debug, Clone)]
pub struct Found<'p> {
    pub declared: &'p Sync,
    pub observed: SyncObservation,
}

/// What a page of the list told of declared syncs.
#[derive(Debug, Clone, Default)]
pub struct Page<'p> {
    /// Syncs that were found, with their runs.
    pub found: Vec<Found<'p>>,
    /// Syncs that are there, but as something that we cannot read.
    pub unreadable: Vec<(&'p Sync, Unread)>,
}

/// Walks the workspace page by page.
#[derive(Debug)]
pub struct Walk<'c, 'p> {
    census: &'c Client,
    declared: HashMap<SyncId, &'p Sync>,
    ignored: HashSet<SyncId>,
    seen: HashSet<SyncId>,
    /// The first page, until it was asked for.
    next_page: Option<u32>,
    listed: Option<Result<SyncPage, Error>>,
    sampler: Sampler<'c>,
    /// Declared syncs about which Census did not answer.
    unanswered: usize,
    workspace: Workspace,
}

impl<'c, 'p> Walk<'c, 'p> {
    /// Begins at the first page.
    pub fn new(census: &'c Client, pipeline: &'p Pipeline) -> Self {
        Self {
            census,
            declared: pipeline.syncs.iter().map(|sync| (sync.id, sync)).collect(),
            ignored: pipeline.census.ignored_syncs.iter().copied().collect(),
            seen: HashSet::new(),
            next_page: Some(1),
            listed: None,
            sampler: Sampler::new(census),
            unanswered: 0,
            workspace: Workspace::default(),
        }
    }

    /// Reads the next page and the runs of the declared syncs on it; `None` after the last page, or once Census has
    /// stopped answering. One sync about which it does not answer keeps no other from being looked at.
    pub async fn next_page(&mut self) -> Option<Page<'p>> {
        let listed = match self.listed.take() {
            Some(ahead) => ahead,
            None => self.census.list_syncs_page(self.next_page.take()?, PAGE_SIZE).await,
        };
        let page = match listed {
            Ok(page) => page,
            Err(error) => {
                self.workspace.trouble = Some(error.to_unread());
                return None;
            }
        };
        self.workspace.listed += page.syncs.len() + page.unreadable.len();
        let mut unreadable = Vec::new();
        for entry in page.unreadable {
            let declared = entry.id.map(SyncId).and_then(|id| self.declared.get(&id)).copied();
            if let Some(declared) = declared.filter(|sync| self.seen.insert(sync.id)) {
                unreadable.push((declared, Unread::Unreadable(entry.found)));
            }
        }
        let mut declared_here = Vec::new();
        for sync in page.syncs {
            match self.declared.get(&sync.id) {
                // A sync that is listed twice, as when the list moves between two pages, is looked at once.
                Some(declared) if self.seen.insert(sync.id) => declared_here.push((*declared, sync)),
                Some(_) => {}
                None => self.note_undeclared(sync.id),
            }
        }
        let (census, sampler) = (self.census, &self.sampler);
        let runs = stream::iter(declared_here)
            .map(|(declared, sync)| read_runs(census, declared, sync, sampler))
            .buffered(CONCURRENT_READS)
            .collect();
        // The next page is listed while the runs of this one are read.
        let ahead = async {
            match page.next {
                Some(number) => Some(census.list_syncs_page(number, PAGE_SIZE).await),
                None => None,
            }
        };
        let (found, ahead): (Vec<Found<'p>>, _) = future::join(runs, ahead).await;
        self.listed = ahead;
        for why in found.iter().filter_map(|found| found.observed.runs.as_ref().err()) {
            self.workspace.unread_runs += 1;
            // Nonsense about one sync is that sync's own; no answer may be everybody's.
            if matches!(why, Unread::Unreadable(_)) {
                continue;
            }
            self.unanswered += 1;
            self.workspace.trouble.get_or_insert_with(|| why.clone());
            if self.unanswered >= GIVE_UP_AFTER || !matches!(why, Unread::Unreachable(_)) {
                self.listed = None;
            }
        }
        self.workspace.read_to_end = page.next.is_none();
        Some(Page { found, unreadable })
    }

    /// What was read of the workspace, and the declared syncs that no page showed.
    pub fn finish(mut self) -> (Workspace, Vec<&'p Sync>) {
        self.workspace.vendor_clock_ahead = self.census.clock_ahead();
        let seen = self.seen;
        let mut absent: Vec<&'p Sync> =
            self.declared.into_values().filter(|sync| !seen.contains(&sync.id)).collect();
        absent.sort_by(|a, b| a.key.cmp(&b.key));
        (self.workspace, absent)
    }

    fn note_undeclared(&mut self, id: SyncId) {
        if self.ignored.contains(&id) {
            return;
        }
        self.workspace.undeclared_count += 1;
        if self.workspace.undeclared.len() < NAMED_UNDECLARED {
            self.workspace.undeclared.push(id);
        }
    }
}

async fn read_runs<'p>(
    census: &Client,
    declared: &'p Sync,
    sync: ObservedSync,
    sampler: &Sampler<'_>,
) -> Found<'p> {
    let mut runs = census.newest_runs(sync.id).await.map_err(|error| error.to_unread());
    if let Ok(history) = &mut runs {
        history.samples = sampler.sample(history, declared).await;
    }
    Found { declared, observed: SyncObservation { sync, runs } }
}
