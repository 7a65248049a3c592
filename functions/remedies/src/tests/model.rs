//! A world in memory with one pipeline: a vendor that runs syncs, people, a store, and crashes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use syncwatch::finding::{Evidence, Severity};
use syncwatch::incident::{Acknowledged, Incident, IncidentKey, State as IncidentState};
use syncwatch::observation::{
    Counts, ObservedSchedule, ObservedSync, Run, RunHistory, RunId, RunStatus, SyncId, SyncObservation,
    VendorAlerts, WarehousePower, WarehouseState,
};
use syncwatch::pipeline::{Pipeline, RemedyKind};
use syncwatch::remedy::{Announcement, CopySeen, Observed, Record, State, Stop};

use crate::driver::{Done, Driver};
use crate::ports::{Called, Effect, Ports};

/// Two syncs of one object, which run once a day, so that a schedule is never near.
pub(crate) const PIPELINE: &str = r#"
name = "properties"
time_zone = "UTC"
[census]
api_version = "v1"
base_url = "https://app.getcensus.com"
[remedies]
level = "act"
[[syncs]]
key = "update"
id = 2
role = "update"
schedule = { daily_at = "02:00", time_zone = "UTC" }
runtime_target = "5m"
[[syncs]]
key = "other"
id = 3
role = "update"
schedule = { daily_at = "02:00", time_zone = "UTC" }
[[syncs]]
key = "third"
id = 4
role = "update"
schedule = { daily_at = "02:00", time_zone = "UTC" }
"#;

/// The same with a schedule that is near, and a warehouse that may get a second cluster.
pub(crate) fn with_clusters() -> String {
    let hourly = PIPELINE.replace("daily_at = \"02:00\", time_zone = \"UTC\"", "every = \"1h\"");
    let warehouse = "[warehouse]\ndriver = \"databricks\"\nhost = \"dbc-00000000-0000.cloud.databricks.com\"\n\
                     warehouse_id = \"0123456789abcdef\"\n";
    hourly.replace("level = \"act\"\n", &format!("level = \"act\"\nmax_clusters = 2\n{warehouse}"))
}

/// How the vendor answers the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepts,
    /// The effect is there, and the answer is lost.
    Deaf,
    /// Neither effect nor answer.
    Drops,
    Refuses,
    Forbids,
}

/// An event between rounds, or within one just before the driver reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Minutes(i64),
    RunFails,
    RunSucceeds,
    PersonPauses,
    PersonResumes,
    PersonRuns,
    PersonChanges,
    Acknowledge,
    Silence(bool),
    Switch(bool),
    Approve(u8),
    Refuse,
    Answers(Answer),
    /// The next run fails, or not.
    Fails(bool),
    /// Census cannot be read, or answers with an old state.
    Unreadable(bool),
    Stale(bool),
    /// A round, that ends at this port call.
    Round {
        crash_after: usize,
        has_turn: bool,
    },
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) paused: bool,
    changed_at: Timestamp,
    pub(crate) runs: Vec<Run>,
    pub(crate) incident: Option<Incident>,
    silenced: bool,
    stops: Vec<Stop>,
    answer: Answer,
    fails: bool,
    pub(crate) unreadable: bool,
    stale: bool,
    pub(crate) records: BTreeMap<String, Record>,
    /// When each call that changes something was made, and by which record.
    pub(crate) calls: Vec<(Timestamp, String, RemedyKind)>,
    pub(crate) wrong: Vec<String>,
    pub(crate) announced: Vec<(String, Announcement)>,
    /// The copy, as it is read.
    pub(crate) copy: CopySeen,
    /// The most clusters of the warehouse; it is full with one.
    pub(crate) clusters: u32,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pipeline: Pipeline,
    pub(crate) world: RefCell<World>,
    /// Events that happen just before the next observations.
    pub(crate) meanwhile: RefCell<Vec<Event>>,
    left: Cell<usize>,
}

fn key(check: &str) -> IncidentKey {
    IncidentKey::parse(&format!("properties/{check}/update")).unwrap()
}

impl Model {
    pub(crate) fn new() -> Self {
        Self::of(PIPELINE)
    }

    pub(crate) fn of(pipeline: &str) -> Self {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let mut world = World {
            now,
            paused: false,
            changed_at: now - SignedDuration::from_hours(100),
            runs: Vec::new(),
            incident: None,
            silenced: false,
            stops: Vec::new(),
            answer: Answer::Accepts,
            fails: false,
            unreadable: false,
            stale: false,
            records: BTreeMap::new(),
            calls: Vec::new(),
            wrong: Vec::new(),
            announced: Vec::new(),
            copy: CopySeen::unknown("not asked"),
            clusters: 1,
        };
        world.run(Some(now), true);
        Self {
            pipeline: Pipeline::parse(pipeline).unwrap(),
            world: RefCell::new(world),
            meanwhile: RefCell::new(Vec::new()),
            left: Cell::new(usize::MAX),
        }
    }

    pub(crate) fn happen(&self, event: Event) {
        match event {
            Event::Round { crash_after, has_turn } => self.round(crash_after, has_turn),
            event => self.world.borrow_mut().happen(event),
        }
    }

    /// Runs one round; at the port call after `crash_after` others the function dies.
    pub(crate) fn round(&self, crash_after: usize, has_turn: bool) {
        self.left.set(crash_after);
        let (incidents, records) = {
            let world = self.world.borrow();
            (world.incident.iter().cloned().collect::<Vec<_>>(), world.records.values().cloned().collect())
        };
        let mut driver = Driver {
            ports: self,
            pipeline: &self.pipeline,
            incidents: &incidents,
            has_turn,
            records,
            done: Done::default(),
        };
        // Every port answers at once, except the one at which the function dies.
        let _ = driver.run().now_or_never();
        self.left.set(usize::MAX);
        self.world.borrow_mut().judge();
    }

    async fn alive(&self) {
        match self.left.get() {
            0 => std::future::pending().await,
            left => self.left.set(left - 1),
        }
    }
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Minutes(minutes) => self.pass(minutes),
            Event::RunFails => self.run(Some(self.now), true),
            Event::RunSucceeds => self.run(Some(self.now), false),
            Event::PersonPauses | Event::PersonResumes => {
                self.paused = event == Event::PersonPauses;
                self.changed_at = self.now;
            }
            Event::PersonRuns => {
                if !self.is_working() {
                    self.begin(None);
                }
            }
            Event::PersonChanges => self.changed_at = self.now,
            Event::Acknowledge => {
                let by = Acknowledged { by: "ada".to_owned(), at: self.now, until: self.now };
                self.incident.iter_mut().for_each(|incident| incident.acknowledged = Some(by.clone()));
            }
            Event::Silence(on) => self.silenced = on,
            Event::Switch(on) => {
                self.stops.clear();
                if on {
                    let stop =
                        Stop { kind: None, by: "ada".to_owned(), at: self.now, why: "release".to_owned() };
                    self.stops.push(stop);
                }
            }
            Event::Approve(person) => {
                let by = format!("person {person}");
                for record in self.records.values_mut() {
                    *record = record.approved(&by, self.now).unwrap_or_else(|_| record.clone());
                }
            }
            Event::Refuse => {
                let now = self.now;
                for record in self.records.values_mut() {
                    *record = record.refused("ada", "no", now).unwrap_or_else(|_| record.clone());
                }
            }
            Event::Answers(answer) => self.answer = answer,
            Event::Fails(fails) => self.fails = fails,
            Event::Unreadable(on) => self.unreadable = on,
            Event::Stale(on) => self.stale = on,
            Event::Round { .. } => {}
        }
        self.judge();
    }

    fn pass(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
        let now = self.now;
        for run in self.runs.iter_mut().filter(|run| !run.status.is_terminal()) {
            if now.duration_since(run.created_at) >= SignedDuration::from_mins(4) {
                run.status = if self.fails { RunStatus::Failed } else { RunStatus::Completed };
                run.completed_at = Some(now);
            }
        }
    }

    fn is_working(&self) -> bool {
        self.runs.iter().any(|run| !run.status.is_terminal())
    }

    fn begin(&mut self, scheduled_for: Option<Timestamp>) -> RunId {
        let id = RunId(100 + self.runs.len() as u64);
        let status = if self.is_working() { RunStatus::Skipped } else { RunStatus::Working };
        self.runs.push(Run {
            id,
            sync_id: Some(SyncId(2)),
            status,
            created_at: self.now,
            completed_at: None,
            scheduled_for,
            by_hand: Some(false),
            counts: Counts::default(),
            error: None,
            full_sync: Some(false),
        });
        id
    }

    fn run(&mut self, scheduled_for: Option<Timestamp>, fails: bool) {
        if self.is_working() || self.paused {
            return;
        }
        self.begin(scheduled_for);
        let last = self.runs.last_mut().unwrap();
        last.status = if fails { RunStatus::Failed } else { RunStatus::Completed };
        last.completed_at = Some(self.now);
    }

    fn is_healthy(&self) -> bool {
        let mut newest = self.runs.iter().rev();
        let last = newest.find(|run| matches!(run.status, RunStatus::Completed | RunStatus::Failed));
        !self.paused && last.is_none_or(|run| run.status == RunStatus::Completed)
    }

    /// Does the work of schedule-verification.
    fn judge(&mut self) {
        if self.is_healthy() {
            self.incident = None;
            return;
        }
        let check = if self.paused { "sync-paused" } else { "run-failed" };
        if self.incident.as_ref().is_some_and(|incident| incident.key == key(check)) {
            return;
        }
        let mut incident = incident(check, self.now);
        incident.class = (!self.paused).then(|| "query-timeout".to_owned());
        self.incident = Some(incident);
    }

    fn observed(&self) -> Observed {
        let at = if self.stale { self.now - SignedDuration::from_mins(10) } else { self.now };
        if self.unreadable {
            return Observed::nothing(at, "the token expired");
        }
        let sync = ObservedSync {
            id: SyncId(2),
            label: None,
            paused: Some(self.paused),
            schedule: ObservedSchedule::Daily { hour: 2, minute: 0 },
            alerts: VendorAlerts::Unknown,
            created_at: None,
            updated_at: Some(self.changed_at),
        };
        let mut runs = self.runs.clone();
        runs.reverse();
        let runs = Ok(RunHistory { runs, complete: true, samples: None });
        Observed {
            sync: Ok(SyncObservation { sync, runs }),
            healthy: Some(self.is_healthy()),
            warehouse: Ok(WarehouseState {
                power: WarehousePower::Running,
                auto_stop_mins: Some(10),
                cluster_size: None,
                min_clusters: Some(1),
                max_clusters: Some(self.clusters),
            }),
            queued: Some(3),
            ..Observed::nothing(at, "not read")
        }
    }

    /// Whether an act of this record is right at this moment, by the world as it is.
    fn check(&mut self, record: &Record) {
        let mut wrong = Vec::new();
        if !self.stops.is_empty() {
            wrong.push("acted while the switch was on");
        }
        if self.silenced || self.incident.as_ref().is_none_or(|incident| incident.acknowledged.is_some()) {
            wrong.push("acted under a silence, an acknowledgement, or without an incident");
        }
        if self.unreadable || self.stale {
            wrong.push("acted on an observation that proves nothing");
        }
        if record.plan.kind == RemedyKind::RunAgain {
            if self.is_working() {
                wrong.push("started a second run");
            }
            if self.paused || self.now.duration_since(self.changed_at) < SignedDuration::from_hours(2) {
                wrong.push("acted against a person");
            }
        }
        let asks = matches!(record.plan.kind, RemedyKind::Resume | RemedyKind::WidenWarehouse);
        if asks && record.approvers(self.now).is_empty() {
            wrong.push("acted without an approval");
        }
        let stored = self.records.get(&record.id);
        if stored.is_none_or(|stored| stored.state != State::Acting || stored.acted_at.is_none()) {
            wrong.push("acted without a stored intention");
        }
        if self.calls.iter().any(|(_, id, _)| *id == record.id) {
            wrong.push("called twice for one intention");
        }
        self.wrong
            .extend(wrong.into_iter().map(|what| format!("{what}: {} at {}", record.plan.act(), self.now)));
    }

    fn take_effect(&mut self, record: &Record) -> Effect {
        match record.plan.kind {
            RemedyKind::RunAgain => Effect { run: Some(self.begin(None)), moved: 0 },
            RemedyKind::Resume => {
                (self.paused, self.changed_at) = (false, self.now);
                Effect::default()
            }
            RemedyKind::WidenWarehouse => {
                self.clusters = 2;
                Effect::default()
            }
            _ => Effect::default(),
        }
    }
}

pub(crate) fn incident(check: &str, now: Timestamp) -> Incident {
    Incident {
        key: key(check),
        generation: 1,
        version: 1,
        state: IncidentState::Open,
        severity: Severity::Error,
        opened_at: now,
        resolved_at: None,
        evidence: Evidence::new("run failed"),
        cause: String::new(),
        class: None,
        group: None,
        pending: None,
        hold: None,
        acknowledged: None,
        course: Default::default(),
    }
}

impl Ports for Model {
    fn now(&self) -> Timestamp {
        self.world.borrow().now
    }

    fn has_time(&self) -> bool {
        true
    }

    async fn stops(&self) -> Result<Vec<Stop>, String> {
        self.alive().await;
        Ok(self.world.borrow().stops.clone())
    }

    async fn incident(&self, _: &IncidentKey) -> Result<Option<Incident>, String> {
        self.alive().await;
        Ok(self.world.borrow().incident.clone())
    }

    async fn silenced_by(&self, _: &IncidentKey) -> Result<Option<String>, String> {
        self.alive().await;
        Ok(self.world.borrow().silenced.then(|| "release".to_owned()))
    }

    async fn observe(&self, _: &IncidentKey) -> Observed {
        self.alive().await;
        let event = self.meanwhile.borrow_mut().pop();
        if let Some(event) = event {
            self.world.borrow_mut().happen(event);
        }
        self.world.borrow().observed()
    }

    async fn copy(&self, _: &str) -> CopySeen {
        self.alive().await;
        self.world.borrow().copy.clone()
    }

    // It has no view.
    async fn readers(&self, _: &IncidentKey) -> Vec<(String, Result<SyncObservation, String>)> {
        Vec::new()
    }

    async fn store(&self, record: &Record) -> Result<bool, String> {
        self.alive().await;
        let mut world = self.world.borrow_mut();
        let before = world.records.get(&record.id).map(|stored| (stored.version, stored.state));
        let wins = before.map_or(0, |(version, _)| version) + 1 == record.version;
        if wins {
            let heals =
                record.state == State::Healed && before.is_some_and(|(_, state)| state != State::Healed);
            if heals && !world.is_healthy() {
                let what = format!("{} healed, but the fault is there", record.plan.act());
                world.wrong.push(what);
            }
            world.records.insert(record.id.clone(), record.clone());
        }
        Ok(wins)
    }

    async fn call(&self, record: &Record) -> Called {
        self.alive().await;
        let answer = {
            let mut world = self.world.borrow_mut();
            world.check(record);
            let now = world.now;
            world.calls.push((now, record.id.clone(), record.plan.kind));
            match world.answer {
                Answer::Accepts => Called::Accepted(world.take_effect(record)),
                Answer::Deaf => {
                    world.take_effect(record);
                    Called::Lost("timeout".to_owned())
                }
                Answer::Drops => Called::Lost("timeout".to_owned()),
                Answer::Refuses => Called::Refused("404".to_owned()),
                Answer::Forbids => Called::Forbidden("403".to_owned()),
            }
        };
        // A function may also die after the effect.
        self.alive().await;
        answer
    }

    async fn put_back(&self, record: &Record) -> Called {
        self.alive().await;
        let answer = {
            let mut world = self.world.borrow_mut();
            if !world.stops.is_empty() {
                world.wrong.push("put back while the switch was on".to_owned());
            }
            let stored = world.records.get(&record.id).map(|stored| stored.state);
            if stored != Some(State::Verifying) {
                world.wrong.push("put back without a stored intention".to_owned());
            }
            if matches!(world.answer, Answer::Accepts | Answer::Deaf) {
                world.clusters = 1;
            }
            match world.answer {
                Answer::Accepts => Called::Accepted(Effect::default()),
                Answer::Deaf | Answer::Drops => Called::Lost("timeout".to_owned()),
                Answer::Refuses => Called::Refused("404".to_owned()),
                Answer::Forbids => Called::Forbidden("403".to_owned()),
            }
        };
        self.alive().await;
        answer
    }

    async fn mark(&self, _: &Record) {
        self.alive().await;
    }

    async fn announce(&self, record: &Record, announcement: Announcement) -> Result<(), String> {
        self.alive().await;
        self.world.borrow_mut().announced.push((record.id.clone(), announcement));
        Ok(())
    }
}
