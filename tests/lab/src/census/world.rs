//! The engine: no HTTP, no tasks, deterministic from its seed. Only [`World::advance_to`] moves time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::schedule::SimSchedule;
use super::webhooks::{Delivery, Webhook};
use crate::destination::Destination;
use crate::properties::{PropertyWorld, Refusals, Sync};

/// Runs kept per sync; Census does not document its retention.
const RUNS_KEPT: usize = 1_000;
/// The ids of the seed pipeline's syncs.
pub(crate) const CREATE_SYNC: u64 = 3_394_022;
pub(crate) const UPDATE_SYNC: u64 = 3_394_041;

/// The JSON shape of a sync. Both are in use: see the vendor's documentation of 2021 and of 2024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// `schedule_frequency` and notification flags.
    Flat,
    /// `mode.triggers.schedule` and `alert_attributes`.
    Nested,
}

/// The vendor's own alerts on a sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alerts {
    pub failed_run: bool,
    /// The share of failed records that raises an alert, in percent.
    pub rejected_percent: Option<u32>,
}

/// The load of a sync on an ordinary day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    pub runtime: SignedDuration,
    /// Mean number of records of a run.
    pub records: u64,
    /// Whether its records are new in the destination.
    pub creates: bool,
}

/// The active faults of a sync.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ailments {
    pub(crate) hang: bool,
    pub(crate) hold: bool,
    pub(crate) fail: Option<(String, String)>,
    pub(crate) reject_percent: Option<u32>,
    pub(crate) reject_message: Option<String>,
    pub(crate) invalid_percent: Option<u32>,
    pub(crate) null_counts: bool,
    pub(crate) selects_nothing: bool,
    pub(crate) skip: bool,
    /// How long a new run is missing from the list of runs.
    pub(crate) listed_after: SignedDuration,
    pub(crate) late_by: Option<SignedDuration>,
    pub(crate) slow_factor: Option<i32>,
    pub(crate) status_word: Option<String>,
}

/// A simulated sync.
#[derive(Debug, Clone)]
pub struct SimSync {
    pub id: u64,
    pub label: Option<String>,
    /// Such as `upsert` or `insert`.
    pub operation: String,
    pub paused: bool,
    pub schedule: SimSchedule,
    pub alerts: Alerts,
    pub generation: Generation,
    /// Lab time.
    pub created_at: Timestamp,
    /// When its configuration was last changed (lab time).
    pub updated_at: Timestamp,
    pub traffic: Traffic,
    pub(crate) mappings: Value,
    pub(crate) ailments: Ailments,
    pub(crate) open_alert: Option<u64>,
    /// The schedule before a fault changed it.
    pub(crate) schedule_before: Option<SimSchedule>,
    /// The mappings before a fault changed them.
    pub(crate) mappings_before: Option<Value>,
    next_due: Option<Timestamp>,
    /// Oldest first.
    runs: VecDeque<SimRun>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Skipped,
}

/// Who started a run. Census does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartedBy {
    Schedule,
    /// A trigger by the API.
    Api,
    /// A person, in Census's application.
    Person,
}

/// A simulated run. Its status depends on the time at which it is read.
#[derive(Debug, Clone)]
pub struct SimRun {
    pub id: u64,
    pub sync_id: u64,
    /// Lab time.
    pub created_at: Timestamp,
    pub started_by: StartedBy,
    /// Records that it created in Salesforce although the property had one.
    pub duplicates: u64,
    pub(crate) scheduled_for: Option<Timestamp>,
    pub(crate) starts_at: Timestamp,
    /// `None`: it never ends on its own.
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) outcome: Outcome,
    pub(crate) canceled: bool,
    pub(crate) full: bool,
    pub(crate) counts: Option<SimCounts>,
    pub(crate) error: Option<(String, String)>,
    pub(crate) reject_message: String,
    pub(crate) status_word: Option<String>,
    /// The keys of the records that did not arrive, if the run moves real data.
    pub(crate) left_behind: Option<LeftBehind>,
    announced: Announced,
}

/// The keys of the records of a run that did not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    pub(crate) rejected: Vec<String>,
    pub(crate) invalid: Vec<String>,
}

/// The data that a run moves when it ends.
#[derive(Debug, Clone, Copy)]
struct Load {
    sync: Sync,
    refusals: Refusals,
    hides_counts: bool,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SimCounts {
    pub(crate) source: u64,
    pub(crate) processed: u64,
    pub(crate) updated: u64,
    pub(crate) failed: u64,
    pub(crate) invalid: u64,
}

/// The last event of a run for which webhooks were queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Announced {
    Nothing,
    Triggered,
    Started,
    Ended,
}

impl SimRun {
    pub(crate) fn status_at(&self, now: Timestamp) -> &str {
        if let Some(word) = &self.status_word
            && !self.has_ended(now)
        {
            return word;
        }
        if self.has_ended(now) {
            match self.outcome {
                Outcome::Completed => "completed",
                Outcome::Failed => "failed",
                Outcome::Skipped => "skipped",
            }
        } else if now < self.starts_at {
            "queued"
        } else {
            "working"
        }
    }

    /// The end (lab time), possibly in the future; `None`: it never ends on its own.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// A whole Census workspace.
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    syncs: BTreeMap<u64, SimSync>,
    sync_of_run: HashMap<u64, u64>,
    next_run_id: u64,
    next_alert_id: u64,
    next_webhook_id: u64,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// The records that the syncs moved to Salesforce.
    pub destination: Destination,
    /// The data that the seed's syncs move; without data, runs make up their counts.
    properties: Option<PropertyWorld>,
    /// The loads of the runs in progress, by run id.
    loads: BTreeMap<u64, Load>,
    /// Records created although the property had one.
    duplicates: BTreeMap<StartedBy, u64>,
    /// Timestamps are shown this much later than they are: the vendor's clock is wrong.
    pub(crate) skew: SignedDuration,
    rng: ChaCha8Rng,
}

impl World {
    /// An empty workspace.
    #[must_use]
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self {
            now,
            syncs: BTreeMap::new(),
            sync_of_run: HashMap::new(),
            next_run_id: 324_000_000,
            next_alert_id: 626_000,
            next_webhook_id: 1,
            webhooks: Vec::new(),
            deliveries: VecDeque::new(),
            destination: Destination::default(),
            properties: None,
            loads: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            skew: SignedDuration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The pipeline of `infra/pipeline.toml`, healthy and with a day of history.
    #[must_use]
    pub fn seed_pipeline(now: Timestamp, seed: u64) -> Self {
        let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
        let mut world = Self::new(day_ago, seed);
        let minutes = SignedDuration::from_mins;
        let every_30 = SimSchedule::cron("*/30 * * * *").unwrap_or(SimSchedule::Never);
        let create = Traffic { runtime: minutes(3), records: 40, creates: true };
        let update = Traffic { runtime: minutes(1), records: 60, creates: false };
        world.add_sync(CREATE_SYNC, "Properties: create in Salesforce", every_30, create);
        world.add_sync(UPDATE_SYNC, "Properties: update in Salesforce", SimSchedule::QuarterHourly, update);
        world.advance_to(now);
        world
    }

    /// A workspace of many syncs with two good runs each, for benchmarks. Ids count from `first_id`.
    #[must_use]
    pub fn many(now: Timestamp, seed: u64, first_id: u64, count: u64) -> Self {
        let start = now.saturating_sub(SignedDuration::from_mins(31)).unwrap_or(now);
        let mut world = Self::new(start, seed);
        let traffic = Traffic { runtime: SignedDuration::from_mins(1), records: 40, creates: false };
        for id in first_id..first_id.saturating_add(count) {
            world.add_sync(id, &format!("Sync {id}"), SimSchedule::QuarterHourly, traffic);
        }
        world.advance_to(now);
        world
    }

    /// The same workspace, but from now on the runs of the seed's two syncs move these data: a completed run moves the rows
    /// of the view at its end, and its counts are the result. A run that fails, hangs or is cancelled moves nothing. The
    /// vendor does not document when rows move; one instant is the lab's choice.
    #[must_use]
    pub fn carrying(mut self, properties: PropertyWorld) -> Self {
        self.properties = Some(properties.driven());
        self
    }

    /// The data that the syncs move, if any.
    #[must_use]
    pub fn properties(&self) -> Option<&PropertyWorld> {
        self.properties.as_ref()
    }

    /// The data, mutable: to break, to heal and to write them.
    pub fn properties_mut(&mut self) -> Option<&mut PropertyWorld> {
        self.properties.as_mut()
    }

    /// Adds a healthy sync.
    pub fn add_sync(&mut self, id: u64, label: &str, schedule: SimSchedule, traffic: Traffic) {
        let next_due = schedule.next_after(self.now);
        let sync = SimSync {
            id,
            label: Some(label.to_owned()),
            operation: if traffic.creates { "insert" } else { "update" }.to_owned(),
            paused: false,
            schedule,
            alerts: Alerts { failed_run: true, rejected_percent: Some(5) },
            generation: Generation::Nested,
            created_at: self.now,
            updated_at: self.now,
            traffic,
            mappings: json!([
                { "from": { "type": "column", "data": "property_id" }, "to": "SF_Property_ID__c",
                  "is_primary_identifier": true },
                { "from": { "type": "column", "data": "company_name" }, "to": "Company_Name__c" },
                { "from": { "type": "column", "data": "updated_at" }, "to": "Source_Version__c" },
            ]),
            ailments: Ailments::default(),
            open_alert: None,
            schedule_before: None,
            mappings_before: None,
            next_due,
            runs: VecDeque::new(),
        };
        self.syncs.insert(id, sync);
    }

    /// The current time of the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The syncs, by id.
    pub fn syncs(&self) -> impl DoubleEndedIterator<Item = &SimSync> {
        self.syncs.values()
    }

    /// One sync.
    #[must_use]
    pub fn sync(&self, id: u64) -> Option<&SimSync> {
        self.syncs.get(&id)
    }

    /// Changes a sync without touching its configuration, as a fault does.
    pub(crate) fn ail(&mut self, id: u64, change: impl FnOnce(&mut SimSync)) {
        if let Some(sync) = self.syncs.get_mut(&id) {
            change(sync);
        }
    }

    /// Changes a sync's configuration, as a person or a PATCH does. Missed runs are not made up for.
    pub fn configure(&mut self, id: u64, change: impl FnOnce(&mut SimSync)) {
        let now = self.now;
        if let Some(sync) = self.syncs.get_mut(&id) {
            change(sync);
            sync.updated_at = now;
            sync.next_due = sync.schedule.next_after(now);
        }
    }

    /// Deletes a sync with its runs; `false` if there was none.
    pub fn delete(&mut self, id: u64) -> bool {
        self.syncs.remove(&id).is_some()
    }

    /// The runs of a sync so far, newest first.
    pub fn runs(&self, sync_id: u64) -> impl Iterator<Item = &SimRun> {
        let now = self.now;
        let runs = self.syncs.get(&sync_id).into_iter().flat_map(|sync| sync.runs.iter().rev());
        runs.filter(move |run| run.created_at <= now)
    }

    /// The runs that Census lists, newest first.
    pub(crate) fn listed_runs(&self, sync_id: u64) -> impl Iterator<Item = &SimRun> {
        let hidden = self.sync(sync_id).map(|sync| sync.ailments.listed_after).unwrap_or_default();
        self.runs(sync_id).filter(move |run| self.now.duration_since(run.created_at) >= hidden)
    }

    /// The records that runs started by this party created in Salesforce although the property had one.
    #[must_use]
    pub fn duplicates_by(&self, party: StartedBy) -> u64 {
        self.duplicates.get(&party).copied().unwrap_or(0)
    }

    /// One run.
    #[must_use]
    pub fn run(&self, id: u64) -> Option<&SimRun> {
        let sync = self.syncs.get(self.sync_of_run.get(&id)?)?;
        sync.runs.iter().rev().find(|run| run.id == id)
    }

    /// Lets time pass: schedules fire, runs work and end, webhooks are queued.
    pub fn advance_to(&mut self, now: Timestamp) {
        if now <= self.now {
            return;
        }
        // A run's load depends on the loads of earlier runs, so with data the events are processed one by one.
        while let Some(event) = self.next_event().filter(|event| *event < now) {
            self.step_to(event);
        }
        self.step_to(now);
    }

    /// The next event that concerns the data, if there are any: a due sync, or the end of a run that moves data.
    fn next_event(&self) -> Option<Timestamp> {
        self.properties.as_ref()?;
        let dues = self.syncs.values().filter_map(|sync| sync.next_due);
        let ends = self.loads.keys().filter_map(|run| self.run(*run)?.ends_at);
        dues.chain(ends).min()
    }

    fn step_to(&mut self, now: Timestamp) {
        self.now = now;
        if let Some(properties) = &mut self.properties {
            properties.advance_to(now);
        }
        let ids: Vec<u64> = self.syncs.keys().copied().collect();
        for id in ids {
            while let Some(due) = self.syncs.get(&id).and_then(|sync| sync.next_due).filter(|due| *due <= now)
            {
                self.fire(id, due);
            }
        }
        self.move_loads(now);
        self.queue_webhooks(now);
    }

    /// Moves the loads of the runs that have ended.
    fn move_loads(&mut self, now: Timestamp) {
        let mut ended: Vec<(Timestamp, u64)> = Vec::new();
        self.loads.retain(|id, _| {
            let sync = self.sync_of_run.get(id).and_then(|sync| self.syncs.get(sync));
            let run = sync.and_then(|sync| sync.runs.iter().rev().find(|run| run.id == *id));
            // A run that was cancelled, or whose sync is deleted, moves nothing.
            run.is_some_and(|run| {
                ended.extend(run.ends_at.filter(|end| *end <= now && !run.canceled).map(|end| (end, *id)));
                !run.canceled
            })
        });
        ended.sort_unstable();
        for (end, id) in ended {
            if let Some(load) = self.loads.remove(&id) {
                self.move_load(id, load, end);
            }
        }
    }

    fn move_load(&mut self, id: u64, load: Load, at: Timestamp) {
        let Some(properties) = &mut self.properties else { return };
        let moved = if load.full {
            properties.run_full(load.sync, at, load.refusals)
        } else {
            properties.run(load.sync, at, load.refusals)
        };
        let [updated, failed, invalid] =
            [moved.succeeded, moved.rejected.len(), moved.invalid.len()].map(|count| count as u64);
        let processed = updated + failed;
        let counts = SimCounts { source: processed + invalid, processed, updated, failed, invalid };
        self.destination.take(&counts, load.sync == Sync::Create);
        let sync = self.sync_of_run.get(&id).and_then(|sync| self.syncs.get_mut(sync));
        if let Some(run) = sync.and_then(|sync| sync.runs.iter_mut().rev().find(|run| run.id == id)) {
            run.counts = (!load.hides_counts).then_some(counts);
            run.duplicates = moved.duplicates as u64;
            *self.duplicates.entry(run.started_by).or_default() += run.duplicates;
            run.left_behind = Some(LeftBehind { rejected: moved.rejected, invalid: moved.invalid });
        }
    }

    /// The data sync behind a sync id, if that sync moves data.
    fn carried_by(&self, id: u64) -> Option<Sync> {
        self.properties.as_ref()?;
        match id {
            CREATE_SYNC => Some(Sync::Create),
            UPDATE_SYNC => Some(Sync::Update),
            _ => None,
        }
    }

    fn fire(&mut self, id: u64, due: Timestamp) {
        let Some(sync) = self.syncs.get_mut(&id) else { return };
        sync.next_due = sync.schedule.next_after(due);
        if sync.paused || sync.ailments.hold {
            return;
        }
        let delay = SignedDuration::from_secs(self.rng.random_range(1..8));
        let late = sync.ailments.late_by.unwrap_or_default();
        let created_at = due.saturating_add(delay).and_then(|at| at.saturating_add(late)).unwrap_or(due);
        self.start_run(StartedBy::Schedule, id, created_at, Some(due), false);
    }

    /// Starts a run now, as a person does; `None` for an unknown sync.
    pub fn trigger(&mut self, id: u64, full: bool) -> Option<u64> {
        self.trigger_by(StartedBy::Person, id, full)
    }

    /// Starts a run now; `None` for an unknown sync. Starting a paused sync works too, which is the lab's choice.
    pub fn trigger_by(&mut self, party: StartedBy, id: u64, full: bool) -> Option<u64> {
        let run = self.start_run(party, id, self.now, None, full);
        self.queue_webhooks(self.now);
        run
    }

    fn start_run(
        &mut self,
        started_by: StartedBy,
        id: u64,
        created_at: Timestamp,
        scheduled_for: Option<Timestamp>,
        full: bool,
    ) -> Option<u64> {
        let run_id = self.next_run_id;
        let carried = self.carried_by(id);
        let sync = self.syncs.get_mut(&id)?;
        let ailments = sync.ailments.clone();
        let carried = carried.filter(|_| !ailments.selects_nothing);
        // A run that is planned for a few seconds later does not block this one.
        let in_the_way = |run: &SimRun| run.created_at <= created_at && !run.has_ended(created_at);
        let busy = sync.runs.iter().rev().take(20).any(in_the_way);
        let rng = &mut self.rng;
        let starts_at = created_at
            .saturating_add(SignedDuration::from_secs(rng.random_range(1..5)))
            .unwrap_or(created_at);
        let spread = rng.random_range(60..140_i64);
        let took =
            sync.traffic.runtime.as_secs() * spread / 100 * i64::from(ailments.slow_factor.unwrap_or(1));
        let ends = starts_at.saturating_add(SignedDuration::from_secs(took.max(1))).unwrap_or(starts_at);
        let records = sync.traffic.records * rng.random_range(70..130) / 100;
        let records = if ailments.selects_nothing { 0 } else { records };
        let share =
            |percent: Option<u32>| percent.map_or(0, |percent| (records * u64::from(percent)).div_ceil(100));
        // On a good day about 1 record in 500 is rejected, and at most 3% of a run.
        let stray = u64::from(
            ailments.reject_percent.is_none() && records >= 34 && rng.random_bool(records as f64 / 500.0),
        );
        let failed = share(ailments.reject_percent).max(stray);
        let invalid = share(ailments.invalid_percent);
        let processed = records.saturating_sub(invalid);
        let failed = failed.min(processed);
        let counts = SimCounts { source: records, processed, updated: processed - failed, failed, invalid };
        let mut run = SimRun {
            id: run_id,
            sync_id: id,
            created_at,
            started_by,
            duplicates: 0,
            scheduled_for,
            starts_at,
            ends_at: Some(ends),
            outcome: Outcome::Completed,
            canceled: false,
            full,
            counts: (!ailments.null_counts).then_some(counts),
            error: None,
            reject_message: ailments.reject_message.clone().unwrap_or_else(|| {
                "FIELD_CUSTOM_VALIDATION_EXCEPTION: Company name is required: [Company_Name__c]".to_owned()
            }),
            status_word: ailments.status_word.clone(),
            left_behind: None,
            announced: Announced::Nothing,
        };
        if busy || ailments.skip {
            // Documented: `skipped` means that an earlier instance is still running.
            run.outcome = Outcome::Skipped;
            run.ends_at = Some(created_at);
            run.counts = None;
            run.status_word = None;
        } else if ailments.hang {
            run.ends_at = None;
        } else if let Some(error) = ailments.fail {
            run.outcome = Outcome::Failed;
            run.error = Some(error);
            run.counts = None;
        } else {
            match carried {
                None => self.destination.take(&counts, sync.traffic.creates),
                Some(_) => run.counts = None,
            }
        }
        // A hanging run may be cancelled and then moves nothing; all others move their view when they end.
        let completes = run.outcome == Outcome::Completed;
        if let Some(sync) = carried.filter(|_| completes) {
            let refusals = Refusals {
                rejected_percent: ailments.reject_percent.unwrap_or(0),
                invalid_percent: ailments.invalid_percent.unwrap_or(0),
            };
            let hides_counts = ailments.null_counts;
            self.loads.insert(run_id, Load { sync, refusals, hides_counts, full });
        }
        sync.runs.push_back(run);
        if sync.runs.len() > RUNS_KEPT
            && let Some(old) = sync.runs.pop_front()
        {
            self.sync_of_run.remove(&old.id);
        }
        self.next_run_id += 1;
        self.sync_of_run.insert(run_id, id);
        Some(run_id)
    }

    /// Makes the run in progress, if any, never end.
    pub(crate) fn hang_current(&mut self, id: u64) {
        let now = self.now;
        if let Some(run) = self
            .syncs
            .get_mut(&id)
            .and_then(|sync| sync.runs.iter_mut().rev().find(|run| !run.has_ended(now)))
        {
            run.ends_at = None;
        }
    }

    /// Cancels a run in progress; `false` if it is unknown or has ended. Only the flag of a cancelled run is documented, not
    /// its status; `completed` is the lab's choice, to catch code that trusts the status.
    pub fn cancel(&mut self, run_id: u64) -> bool {
        let now = self.now;
        let sync = self.sync_of_run.get(&run_id).and_then(|id| self.syncs.get_mut(id));
        let run = sync.and_then(|sync| sync.runs.iter_mut().find(|run| run.id == run_id));
        match run.filter(|run| !run.has_ended(now)) {
            None => false,
            Some(run) => {
                run.ends_at = Some(now);
                run.canceled = true;
                run.counts = None;
                true
            }
        }
    }

    /// Cancels the hanging runs of a sync.
    pub(crate) fn cancel_hanging(&mut self, id: u64) {
        let hanging: Vec<u64> = self
            .syncs
            .get(&id)
            .into_iter()
            .flat_map(|sync| &sync.runs)
            .filter(|run| run.ends_at.is_none())
            .map(|run| run.id)
            .collect();
        for run in hanging {
            self.cancel(run);
        }
    }

    /// Registers a webhook and returns it. It gets no events from before.
    pub fn add_webhook(&mut self, name: &str, endpoint: &str, events: Vec<String>) -> &Webhook {
        self.queue_for_registered(self.now);
        let id = self.next_webhook_id;
        self.next_webhook_id += 1;
        let secret: String = (0..32).map(|_| char::from(self.rng.random_range(b'a'..=b'z'))).collect();
        self.webhooks.push(Webhook {
            id,
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            events,
            secret,
        });
        let last = self.webhooks.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just above")]
        &self.webhooks[last]
    }

    /// Deletes the webhooks, as a person who cleans up in Census does. Queued deliveries are still posted.
    pub fn delete_webhooks(&mut self) {
        self.queue_webhooks(self.now);
        self.webhooks.clear();
    }

    /// The registered webhooks, oldest first.
    #[must_use]
    pub fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// Queues webhooks for every event so far.
    fn queue_webhooks(&mut self, now: Timestamp) {
        // Without a webhook, events are not collected: a simulated season has too many.
        if !self.webhooks.is_empty() {
            self.queue_for_registered(now);
        }
    }

    fn queue_for_registered(&mut self, now: Timestamp) {
        for event in self.new_events(now) {
            for webhook in &self.webhooks {
                if let Some(delivery) = webhook.delivery(&event) {
                    self.deliveries.push_back(delivery);
                }
            }
        }
    }

    /// The events that were not announced yet, oldest first.
    fn new_events(&mut self, now: Timestamp) -> Vec<Value> {
        let mut events: Vec<(Timestamp, Value)> = Vec::new();
        let alert_ids = &mut self.next_alert_id;
        for sync in self.syncs.values_mut() {
            let sync_id = sync.id;
            for run in
                sync.runs.iter_mut().filter(|run| run.announced < Announced::Ended && run.created_at <= now)
            {
                let body = |event: &str| json!({ "workspace_id": 3167, "sync_id": sync_id, "sync_run_id": run.id, "event": event });
                if run.announced < Announced::Triggered {
                    events.push((run.created_at, body("sync.triggered")));
                    run.announced = Announced::Triggered;
                }
                // A skipped run has no further event.
                if run.outcome == Outcome::Skipped {
                    run.announced = Announced::Ended;
                    continue;
                }
                if run.announced < Announced::Started && run.starts_at <= now {
                    events.push((run.starts_at, body("sync.started")));
                    run.announced = Announced::Started;
                }
                let Some(ended) = run.ends_at.filter(|end| *end <= now) else { continue };
                run.announced = Announced::Ended;
                let failed = run.outcome == Outcome::Failed;
                let mut completed = body("sync.completed");
                // Documented: a failed run completes too, with a status as in Datadog.
                if let Some(completed) = completed.as_object_mut() {
                    completed.insert("status".to_owned(), json!(if failed { "emergency" } else { "ok" }));
                }
                events.push((ended, completed));
                events.push((ended, body(if failed { "sync.failed" } else { "sync.success" })));
                if sync.alerts.failed_run && failed != sync.open_alert.is_some() {
                    let alert = *sync.open_alert.get_or_insert_with(|| {
                        *alert_ids += 1;
                        *alert_ids
                    });
                    let (event, message, details) = if failed {
                        let error = run.error.as_ref().map_or("unknown", |(_, message)| message.as_str());
                        ("sync.alert.raised", "Sync Failed", format!("Sync has failed with error: {error}"))
                    } else {
                        sync.open_alert = None;
                        ("sync.alert.resolved", "Sync Recovered", "Sync has recovered".to_owned())
                    };
                    events.push((ended, json!({
                        "workspace_id": 3167, "sync_id": sync_id, "sync_run_id": run.id, "alert_instance_id": alert,
                        "alert_type": "FailureAlertConfiguration", "message": message, "details": details,
                        "followup_url": format!("https://app.getcensus.com/workspaces/3167/syncs/{sync_id}/sync-history"),
                        "event": event,
                    })));
                }
            }
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    }
}
