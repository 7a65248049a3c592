//! Ninety days of each fault with remedies that act, and the same days with advice only: no harm, and the time to recovery side
//! by side. In the pure core: the lab's Census has a clock that jumps, and incidents and remedies are stored in memory.
//!
//! `make remedy-days` prints the figures of the README.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ::remedies::driver::{Done, Driver};
use ::remedies::ports::{Called, Effect, Ports};
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use syncwatch::census::wire::{parse_runs_page, parse_syncs_page};
use syncwatch::finding::Finding;
use syncwatch::incident::{Incident, IncidentKey};
use syncwatch::observation::{RunId, SyncObservation};
use syncwatch::pipeline::{Pipeline, RemedyKind};
use syncwatch::remedy::{Announcement, CopySeen, Observed, Record, State, Stop, Target, score, siblings};
use syncwatch_lab::census::{Fault, SimRun, SimSchedule, StartedBy, World, runs_json, syncs_json};

use crate::flapping::Ledger;
use crate::simulated_days::{CREATE, FIRST_DAY, UPDATE, minutes, round};

/// The minute of each hour at which both syncs run: the schedule heals what ended before in an hour.
const MINUTE: i8 = 7;

fn pipeline(level: &str) -> Pipeline {
    let text = include_str!("../../infra/pipeline.toml");
    let rare = "every = \"1h\"";
    let text = text.replace("every = \"30m\"", rare).replace("every = \"15m\"", rare);
    // Its slot lies between two runs.
    let text = text.replace("minimum_schedule =", "# minimum_schedule =");
    Pipeline::parse(&format!("{text}\n[remedies]\nlevel = \"{level}\"\n")).unwrap()
}

/// A world, and what Syncwatch stores about it.
struct Days<'p> {
    pipeline: &'p Pipeline,
    world: RefCell<World>,
    ledger: RefCell<Ledger<'p>>,
    records: RefCell<BTreeMap<String, Record>>,
    findings: RefCell<Vec<Finding>>,
    /// Whether answers of calls are lost, though they take effect.
    loses_answers: Cell<bool>,
    wrong: RefCell<Vec<String>>,
}

impl<'p> Days<'p> {
    fn new(pipeline: &'p Pipeline, seed: u64) -> Self {
        let start: Timestamp = FIRST_DAY.parse().unwrap();
        let mut world = World::seed_pipeline(start, seed);
        for sync in [CREATE, UPDATE] {
            world.configure(sync, |sync| sync.schedule = SimSchedule::Hourly { minute: MINUTE });
        }
        Self {
            pipeline,
            world: RefCell::new(world),
            ledger: RefCell::new(Ledger::new(pipeline)),
            records: RefCell::default(),
            findings: RefCell::default(),
            loses_answers: Cell::new(false),
            wrong: RefCell::default(),
        }
    }

    /// Does the work of schedule-verification, then that of remedies.
    fn poll(&self, now: Timestamp) {
        self.world.borrow_mut().advance_to(now);
        let findings = round(&self.world.borrow(), self.pipeline, SignedDuration::ZERO);
        self.ledger.borrow_mut().act_on(&findings, now);
        *self.findings.borrow_mut() = findings;
        let incidents: Vec<Incident> = self.ledger.borrow().store.values().cloned().collect();
        let mut driver = Driver {
            ports: self,
            pipeline: self.pipeline,
            incidents: &incidents,
            has_turn: true,
            records: self.records.borrow().values().cloned().collect(),
            done: Done::default(),
        };
        driver.run().now_or_never().expect("no port waits");
        assert_eq!(driver.done.failures, [""; 0]);
    }

    fn is_quiet(&self) -> bool {
        self.findings.borrow().iter().all(|finding| !finding.is_unhealthy())
            && self.records.borrow().values().all(|record| !record.state.is_active())
    }

    fn seen(&self, key: &str) -> Result<SyncObservation, String> {
        let (world, sync) = (self.world.borrow(), self.pipeline.sync(key).ok_or("no sync")?);
        let page = parse_syncs_page(&syncs_json(&world, 1, 100, SignedDuration::ZERO), 1).unwrap();
        let observed = page.syncs.into_iter().find(|observed| observed.id == sync.id).ok_or("gone")?;
        let runs = parse_runs_page(&runs_json(&world, sync.id.0, 25, SignedDuration::ZERO), 1).unwrap();
        Ok(SyncObservation { sync: observed, runs: Ok(runs) })
    }

    fn act(&self, record: &Record) -> Called {
        let Target::Sync { id, key, creates } = &record.plan.target else {
            return Called::Refused("no warehouse in this world".to_owned());
        };
        let mut world = self.world.borrow_mut();
        let sync = world.sync(id.0).unwrap();
        let (paused, now) = (sync.paused, world.now());
        let working = world.runs(id.0).any(|run| run.ends_at().is_none_or(|end| end > now));
        let wrong = |what: &str| self.wrong.borrow_mut().push(format!("{what}: {key} at {now}"));
        if record.plan.kind != RemedyKind::RunAgain && record.plan.kind != RemedyKind::RunAfterLimit {
            wrong("acted without an approval");
            return Called::Refused(String::new());
        }
        if paused || working || *creates {
            wrong("started a run that must not start");
        }
        let run = world.trigger_by(StartedBy::Api, id.0, false).map(RunId);
        match self.loses_answers.get() {
            true => Called::Lost("no answer".to_owned()),
            false => Called::Accepted(Effect { run, moved: 0 }),
        }
    }
}

impl Ports for Days<'_> {
    fn now(&self) -> Timestamp {
        self.world.borrow().now()
    }

    fn has_time(&self) -> bool {
        true
    }

    async fn stops(&self) -> Result<Vec<Stop>, String> {
        Ok(Vec::new())
    }

    async fn incident(&self, key: &IncidentKey) -> Result<Option<Incident>, String> {
        Ok(self.ledger.borrow().store.get(key).cloned())
    }

    async fn silenced_by(&self, _: &IncidentKey) -> Result<Option<String>, String> {
        Ok(None)
    }

    async fn observe(&self, key: &IncidentKey) -> Observed {
        let others = siblings(self.pipeline, &key.subject).into_iter();
        let own = self.findings.borrow();
        let own = own.iter().find(|finding| finding.check == key.check && finding.subject == key.subject);
        Observed {
            sync: self.seen(&key.subject),
            siblings: others.map(|sync| (sync.key.clone(), self.seen(&sync.key))).collect(),
            healthy: own.map(|finding| !finding.is_unhealthy()),
            ..Observed::nothing(self.now(), "not read")
        }
    }

    async fn copy(&self, _: &str) -> CopySeen {
        CopySeen::unknown("no warehouse in this world")
    }

    async fn readers(&self, _: &IncidentKey) -> Vec<(String, Result<SyncObservation, String>)> {
        Vec::new()
    }

    async fn store(&self, record: &Record) -> Result<bool, String> {
        self.records.borrow_mut().insert(record.id.clone(), record.clone());
        Ok(true)
    }

    async fn call(&self, record: &Record) -> Called {
        self.act(record)
    }

    async fn put_back(&self, _: &Record) -> Called {
        Called::Refused("no warehouse in this world".to_owned())
    }

    async fn mark(&self, _: &Record) {}

    async fn announce(&self, _: &Record, _: Announcement) -> Result<(), String> {
        Ok(())
    }
}

fn fails(message: &str) -> Fault {
    Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: message.to_owned() }
}

/// A fault that strikes about every second day, for some minutes.
#[derive(Debug, Clone)]
struct Strike {
    name: &'static str,
    fault: Fault,
    lasts: i64,
    loses_answers: bool,
    /// Whether remedies may heal it before the schedule does.
    is_healed: bool,
}

fn strikes() -> Vec<Strike> {
    let strike =
        |name, fault, lasts, is_healed| Strike { name, fault, lasts, loses_answers: false, is_healed };
    let lock = "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record";
    let down = "503 Service Unavailable: Salesforce is temporarily unavailable";
    vec![
        strike("a run fails once", fails(lock), 4, true),
        Strike { loses_answers: true, ..strike("a run fails once, answers are lost", fails(lock), 4, true) },
        strike("the destination is down for 6 hours", fails(down), 360, false),
        strike(
            "a limit for 3 hours",
            fails("REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded."),
            180,
            false,
        ),
        strike(
            "a column is missing for a day",
            fails("A mapped source column has been deleted"),
            1_440,
            false,
        ),
        strike("paused for 5 hours", Fault::Pause { sync: UPDATE }, 300, false),
        strike("the schedule does not fire", Fault::HoldSchedule { sync: UPDATE }, 300, true),
        strike("a run hangs for 9 hours", Fault::Hang { sync: UPDATE }, 540, false),
        strike(
            "records are rejected",
            Fault::Reject { sync: UPDATE, percent: 100, message: None },
            300,
            false,
        ),
        strike("new runs are skipped", Fault::Skip { sync: UPDATE }, 300, false),
    ]
}

/// Plays so many days.
fn play<'p>(pipeline: &'p Pipeline, strike: &Strike, days_long: i64) -> Days<'p> {
    let days = Days::new(pipeline, 7);
    let start: Timestamp = FIRST_DAY.parse().unwrap();
    let end = start + SignedDuration::from_hours(24 * days_long);
    let (mut now, mut next, mut heals) = (start, start + minutes(600), None);
    let mut number = 0;
    while now < end {
        if now >= next && heals.is_none() {
            strike.fault.inject(&mut days.world.borrow_mut()).unwrap();
            days.loses_answers.set(strike.loses_answers);
            heals = Some(now + minutes(strike.lasts));
        }
        if heals.is_some_and(|at| now >= at) {
            strike.fault.heal(&mut days.world.borrow_mut());
            heals = None;
            number += 1;
            // Just before a scheduled run, at another hour each time.
            next = start + minutes(2 * 1_440 * number + 240 * (number % 6) + 5);
        }
        days.poll(now);
        now += if days.is_quiet() && heals.is_none() { minutes(15) } else { minutes(4) };
    }
    days
}

#[test]
fn ten_days_of_each_fault_do_no_harm_and_recover_sooner() {
    do_no_harm_and_recover_sooner(10);
}

#[test]
#[ignore = "takes minutes; run `make remedy-days`"]
fn ninety_days_of_each_fault_do_no_harm_and_recover_sooner() {
    do_no_harm_and_recover_sooner(90);
}

/// Prints the times to recovery and checks them.
fn do_no_harm_and_recover_sooner(days: i64) {
    let (acts, advises) = (pipeline("act"), pipeline("advise"));
    println!("{:<40} {:>5} {:>6} {:>12} {:>12}", "fault", "acts", "healed", "MTTR without", "MTTR with");
    for strike in strikes() {
        let (with, without) = (play(&acts, &strike, days), play(&advises, &strike, days));
        let least = usize::try_from(days / 3).unwrap();
        for days in [&with, &without] {
            assert_eq!(*days.wrong.borrow(), [""; 0], "{}", strike.name);
            let creates = |run: &SimRun| run.started_by == StartedBy::Api;
            assert!(!days.world.borrow().runs(CREATE).any(creates), "{}", strike.name);
            let records = days.records.borrow();
            assert!(records.values().all(|record| record.harm.is_none()), "{}", strike.name);
            let open = [State::Acting, State::Unknown];
            assert!(records.values().all(|record| !open.contains(&record.state)), "{}", strike.name);
        }
        let figures = |days: &Days<'_>| {
            let records: Vec<Record> = days.records.borrow().values().cloned().collect();
            let incidents: Vec<Incident> = days.ledger.borrow().store.values().cloned().collect();
            let figures = score(&records, &incidents, Timestamp::MIN, Timestamp::MAX);
            let lasted: Vec<i64> = incidents
                .iter()
                .filter(|incident| incident.key.subject == "properties-update")
                .flat_map(|incident| incident.history().episodes)
                .filter_map(|episode| Some(episode.resolved_at?.duration_since(episode.began_at).as_secs()))
                .collect();
            let mean = lasted.iter().sum::<i64>() / i64::try_from(lasted.len().max(1)).unwrap();
            (figures, mean / 60)
        };
        let ((acted, mttr), (advised, without)) = (figures(&with), figures(&without));
        println!("{:<40} {:>5} {:>6} {without:>10} m {mttr:>10} m", strike.name, acted.acted, acted.healed);
        assert_eq!((advised.acted, acted.harmed), (0, 0), "{}", strike.name);
        if strike.is_healed {
            assert!(
                acted.healed >= least && mttr * 2 < without,
                "{}: {mttr} against {without} minutes",
                strike.name
            );
        } else {
            // Runs of remedies shift the random durations of later ones.
            assert!(mttr * 10 <= without * 11, "{}: {mttr} against {without} minutes", strike.name);
        }
    }
}
