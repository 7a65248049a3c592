//! Reads the workspace, a page of syncs at a time, so that memory does not grow with the number of syncs.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::{StreamExt, future, stream};
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::incidents::IncidentStore;
use syncwatch::census::{Client, Error, ErrorKind, SyncPage};
use syncwatch::observation::{
    DeadLetterKind, DeadLetters, Look, ObservedSync, Run, RunStatus, SyncId, SyncObservation,
    TopicSubscribers, Unread, Workspace,
};
use syncwatch::observe::Sampler;
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::rounds::Itself;
use syncwatch::runtime::{Site, env};
use tokio::time::{Instant, timeout_at};

/// Limit for reading Census: the rest of the function's time is for acting on the findings.
pub const READING_LIMIT: Duration = Duration::from_secs(40);
/// Limit for reading the subscribers of all topics; the next round, two minutes later, reads them again.
const SUBSCRIBERS_LIMIT: Duration = Duration::from_secs(5);
/// Syncs on a page; the maximum of Census.
const PAGE_SIZE: u32 = 100;
/// Syncs whose runs are read at the same time. Census publishes no rate limit; the README has the resulting load.
const CONCURRENT_READS: usize = 25;
/// Reading stops after this many unanswered syncs, because the fault is then that of Census.
const GIVE_UP_AFTER: usize = 3;
/// The most time from the end of a run to the record of its webhook. Census publishes no limit.
const WEBHOOK_DELAY: SignedDuration = SignedDuration::from_mins(15);
/// The most ends of runs that are kept.
const NEWEST_ENDED: usize = 10;
/// The most undeclared syncs that are kept by id.
const NAMED_UNDECLARED: usize = 10;

/// Reads the state of Syncwatch itself, concurrently: its dead-letter queues, the subscribers of its topics, and the records
/// of webhooks and of the nightly functions.
pub async fn itself(site: &Site, store: &IncidentStore, workspace: &Workspace) -> Itself {
    let queues = [
        (DeadLetterKind::Deliveries, env::DELIVERIES_DEAD_LETTERS),
        (DeadLetterKind::Notices, env::NOTICES_DEAD_LETTERS),
    ];
    let dead_letters = queues.map(async |(kind, setting)| DeadLetters {
        kind,
        count: site.queue(setting).depth().await.map_err(|error| error.to_string()),
    });
    let name = &site.pipeline.name;
    let (dead_letters, subscribers, validated, reconciled, snapshot, webhooks, page) = futures::join!(
        future::join_all(dead_letters),
        subscribers(site),
        store.last_round(name),
        store.last_reconciled(name),
        store.last_snapshot(name),
        store.last_webhooks(name),
        store.page_renewed_at(name),
    );
    Itself {
        dead_letters,
        subscribers,
        validated: validated.map_err(|error| error.to_string()),
        reconciled: reconciled.map_err(|error| error.to_string()),
        snapshot: snapshot.map_err(|error| error.to_string()),
        webhooks: webhooks.map_err(|error| error.to_string()),
        page: page.map_err(|error| error.to_string()),
        ended: workspace.ended.clone(),
    }
}

/// Reads the subscribers of the three topics.
async fn subscribers(site: &Site) -> Vec<TopicSubscribers> {
    let by = Instant::now() + SUBSCRIBERS_LIMIT;
    let mut found = Vec::new();
    for setting in [env::TOPIC_ARN, env::ALARMS_TOPIC_ARN, env::PAGE_TOPIC_ARN] {
        let topic = site.topic_by(setting);
        let unread = || TopicSubscribers {
            topic: topic.name().to_owned(),
            found: Err(format!("topic {}: SNS did not answer in time", topic.name())),
        };
        found.push(timeout_at(by, topic.subscribers()).await.unwrap_or_else(|_| unread()));
    }
    found
}

/// One declared sync, with the result of reading it.
#[derive(Debug)]
pub struct Looked<'p> {
    pub declared: &'p Sync,
    pub look: Look,
}

/// A sync that Census has.
struct Found<'p> {
    declared: &'p Sync,
    observed: SyncObservation,
    /// Whether the token may not read its runs.
    forbidden: bool,
}

impl<'p> From<Found<'p>> for Looked<'p> {
    fn from(Found { declared, observed, .. }: Found<'p>) -> Self {
        Self { declared, look: Look::Found(observed) }
    }
}

/// Walks the workspace page by page.
#[derive(Debug)]
pub struct Walk<'c, 'p> {
    census: &'c Client,
    declared: HashMap<SyncId, &'p Sync>,
    ignored: HashSet<SyncId>,
    seen: HashSet<SyncId>,
    /// The first page, until it is requested.
    next_page: Option<u32>,
    listed: Option<Result<SyncPage, Unread>>,
    sampler: Sampler<'c>,
    /// Declared syncs without an answer from Census.
    unanswered: usize,
    /// Declared syncs whose runs the token may not read.
    forbidden: usize,
    /// Declared syncs whose runs were requested.
    asked: usize,
    workspace: Workspace,
    /// Webhooks of runs that ended by this time should have arrived (UTC).
    webhooks_due_for: Timestamp,
    /// The end of reading, which leaves time to act on the findings.
    deadline: Instant,
}

impl<'c, 'p> Walk<'c, 'p> {
    /// Begins at the first page. Requests without an answer by the deadline count as unanswered.
    pub fn new(census: &'c Client, pipeline: &'p Pipeline, now: Timestamp, deadline: Instant) -> Self {
        Self {
            census,
            declared: pipeline.syncs.iter().map(|sync| (sync.id, sync)).collect(),
            ignored: pipeline.census.ignored_syncs.iter().copied().collect(),
            seen: HashSet::new(),
            next_page: Some(1),
            listed: None,
            sampler: Sampler::new(census),
            unanswered: 0,
            forbidden: 0,
            asked: 0,
            workspace: Workspace::default(),
            webhooks_due_for: now.saturating_sub(WEBHOOK_DELAY).unwrap_or(now),
            deadline,
        }
    }

    /// Reads the next page and the runs of the declared syncs on it; `None` after the last page, or once Census has
    /// stopped answering. An unanswered sync does not block the others.
    pub async fn next_page(&mut self) -> Option<Vec<Looked<'p>>> {
        let listed = match self.listed.take() {
            Some(ahead) => ahead,
            None => {
                let first = self.next_page.take()?;
                self.list(first).await
            }
        };
        let page = match listed {
            Ok(page) => page,
            Err(why) => {
                self.workspace.trouble = Some(why);
                return None;
            }
        };
        self.workspace.listed += page.syncs.len() + page.unreadable.len();
        let mut looked = Vec::new();
        for entry in page.unreadable {
            let declared = entry.id.map(SyncId).and_then(|id| self.declared.get(&id)).copied();
            if let Some(declared) = declared.filter(|sync| self.seen.insert(sync.id)) {
                looked.push(Looked { declared, look: Look::Unread(Unread::Unreadable(entry.found)) });
            }
        }
        let mut declared_here = Vec::new();
        for sync in page.syncs {
            match self.declared.get(&sync.id) {
                // A sync may be listed twice, if the list moves between two pages. It is read once.
                Some(declared) if self.seen.insert(sync.id) => declared_here.push((*declared, sync)),
                Some(_) => {}
                None => self.note_undeclared(sync.id),
            }
        }
        let this = &*self;
        let runs = stream::iter(declared_here)
            .map(|(declared, sync)| this.read_runs(declared, sync))
            .buffered(CONCURRENT_READS)
            .collect();
        // The next page is listed while the runs of this one are read.
        let ahead = async {
            match page.next {
                Some(number) => Some(this.list(number).await),
                None => None,
            }
        };
        let (found, ahead): (Vec<Found<'p>>, _) = future::join(runs, ahead).await;
        self.listed = ahead;
        self.count(&found);
        self.workspace.read_to_end = page.next.is_none();
        looked.extend(found.into_iter().map(Looked::from));
        Some(looked)
    }

    /// Requests each declared sync that no page listed: the list moves while it is read, so an absence proves nothing. Does
    /// nothing if the list itself could not be read.
    async fn read_absent(&mut self) -> Vec<Looked<'p>> {
        if self.workspace.trouble.is_some() {
            return Vec::new();
        }
        let absent = self.absent();
        let this = &*self;
        let answers: Vec<_> = stream::iter(absent)
            .map(async |declared| (declared, this.read_sync(declared).await))
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        let mut looked = Vec::new();
        for (declared, answer) in answers {
            self.seen.insert(declared.id);
            match answer {
                Ok(found) => {
                    self.count(std::slice::from_ref(&found));
                    looked.push(found.into());
                }
                Err(look) => {
                    if let Look::Unread(why @ Unread::Unreachable(_)) = &look {
                        self.workspace.trouble.get_or_insert_with(|| why.clone());
                    }
                    looked.push(Looked { declared, look });
                }
            }
        }
        looked
    }

    async fn list(&self, number: u32) -> Result<SyncPage, Unread> {
        match timeout_at(self.deadline, self.census.list_syncs_page(number, PAGE_SIZE)).await {
            Ok(answer) => answer.map_err(|error| error.to_unread()),
            Err(_) => Err(no_time()),
        }
    }

    async fn read_sync(&self, declared: &'p Sync) -> Result<Found<'p>, Look> {
        match timeout_at(self.deadline, self.census.get_sync(declared.id)).await {
            Ok(Ok(sync)) => Ok(self.read_runs(declared, sync).await),
            Ok(Err(Error { kind: ErrorKind::NotFound { .. }, .. })) => Err(Look::Gone),
            Ok(Err(error)) => Err(Look::Unread(error.to_unread())),
            Err(_) => Err(Look::Unread(no_time())),
        }
    }

    /// Lists the ends of runs whose webhooks should have arrived by now.
    fn ended(&self, found: &Found<'_>) -> Vec<Timestamp> {
        let runs = found.observed.runs.iter().flat_map(|history| &history.runs);
        let finished = |run: &&Run| matches!(run.status, RunStatus::Completed | RunStatus::Failed);
        let ended = runs.filter(finished).filter_map(|run| run.completed_at);
        ended.filter(|ended| *ended <= self.webhooks_due_for).take(NEWEST_ENDED).collect()
    }

    /// Adds the ends of runs and the unreadable runs of these syncs to the workspace.
    fn count(&mut self, found: &[Found<'p>]) {
        self.asked += found.len();
        self.forbidden += found.iter().filter(|found| found.forbidden).count();
        let ended: Vec<Timestamp> = found.iter().flat_map(|found| self.ended(found)).collect();
        self.workspace.ended.extend(ended);
        self.workspace.ended.sort_by_key(|ended| Reverse(*ended));
        self.workspace.ended.truncate(NEWEST_ENDED);
        for why in found.iter().filter_map(|found| found.observed.runs.as_ref().err()) {
            self.workspace.unread_runs += 1;
            // An unreadable answer concerns one sync; a missing answer may concern all.
            if matches!(why, Unread::Unreadable(_)) {
                continue;
            }
            self.unanswered += 1;
            self.workspace.trouble.get_or_insert_with(|| why.clone());
            if self.unanswered >= GIVE_UP_AFTER || !matches!(why, Unread::Unreachable(_)) {
                self.listed = None;
            }
        }
    }

    /// Returns the state of the workspace, and the declared syncs that no page listed.
    pub async fn finish(mut self) -> (Workspace, Vec<Looked<'p>>) {
        let mut looked = self.read_absent().await;
        self.workspace.vendor_clock_ahead = self.census.clock_ahead();
        if self.forbidden > 0 && self.forbidden == self.asked {
            let why = "the token may list syncs, but not read the runs of any declared one (403)";
            self.workspace.trouble.get_or_insert_with(|| Unread::Refused(why.to_owned()));
        }
        if let Some(why) = &self.workspace.trouble {
            let unread = |declared| Looked { declared, look: Look::Unread(why.clone()) };
            looked.extend(self.absent().into_iter().map(unread));
        }
        (self.workspace, looked)
    }

    fn absent(&self) -> Vec<&'p Sync> {
        let unseen = self.declared.values().filter(|sync| !self.seen.contains(&sync.id));
        let mut absent: Vec<&'p Sync> = unseen.copied().collect();
        absent.sort_by(|a, b| a.key.cmp(&b.key));
        absent
    }

    async fn read_runs(&self, declared: &'p Sync, sync: ObservedSync) -> Found<'p> {
        let (mut runs, mut forbidden) = (Err(no_time()), false);
        if let Ok(answer) = timeout_at(self.deadline, self.census.newest_runs(sync.id)).await {
            forbidden = answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Forbidden);
            runs = answer.map_err(|error| match error.to_unread() {
                // The same token could read the list, so this concerns only this sync.
                Unread::Refused(why) if forbidden => Unread::Unreadable(why),
                why => why,
            });
        }
        if let Ok(history) = &mut runs {
            // Samples are optional: no finding depends on them.
            let samples = timeout_at(self.deadline, self.sampler.sample(history, declared)).await;
            history.samples = samples.unwrap_or_default();
        }
        Found { declared, observed: SyncObservation { sync, runs }, forbidden }
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

fn no_time() -> Unread {
    Unread::Unreachable("no time left in this round, because Census answers slowly".to_owned())
}
