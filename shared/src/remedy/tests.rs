//! The choice of remedies, their gates, limits and states.

mod asked;
mod proof;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::classify::{CERTAINTY_FIGURE, ErrorClass, Family};
use crate::figure::Figure;
use crate::finding::{Check, Severity};
use crate::incident::{Acknowledged, State as IncidentState};
use crate::observation::{
    Counts, ObservedSchedule, ObservedSync, Run, RunHistory, RunStatus, VendorAlerts, WarehousePower,
};
use crate::pipeline::{Level, Pipeline};

const TOML: &str = r#"
name = "properties"
time_zone = "UTC"
[census]
api_version = "v1"
base_url = "https://app.getcensus.com"
[remedies]
level = "act"
usd_per_hour = 3.0
usd_per_day = 10.0
[warehouse]
driver = "databricks"
host = "dbc-00000000-0000.cloud.databricks.com"
warehouse_id = "0123456789abcdef"
[snapshot]
audit_log = "crm.sfdc_dbx.sync_audit_log"
[[syncs]]
key = "create"
id = 1
role = "create"
schedule = { daily_at = "02:00", time_zone = "UTC" }
[[syncs]]
key = "update"
id = 2
role = "update"
schedule = { daily_at = "02:00", time_zone = "UTC" }
[[syncs]]
key = "often"
id = 3
role = "update"
schedule = { every = "15m" }
[[syncs]]
key = "fourth"
id = 4
role = "update"
schedule = { daily_at = "02:00", time_zone = "UTC" }
"#;

fn pipeline() -> Pipeline {
    Pipeline::parse(TOML).unwrap()
}

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

fn incident(check: &str, subject: &str, class: Option<&str>) -> Incident {
    let opened = now() - minutes(30);
    let mut incident = Incident::found(
        &format!("properties/{check}/{subject}"),
        IncidentState::Open,
        Severity::Error,
        opened,
        "bad",
    );
    incident.class = class.map(str::to_owned);
    incident
}

fn run(id: u64, status: RunStatus, ago: i64) -> Run {
    let at = now() - minutes(ago);
    let completed_at = status.is_terminal().then_some(at);
    Run {
        id: RunId(id),
        sync_id: Some(SyncId(2)),
        status,
        created_at: at,
        completed_at,
        scheduled_for: Some(at),
        by_hand: Some(false),
        counts: Counts::default(),
        error: None,
        full_sync: Some(false),
    }
}

fn seen(runs: Vec<Run>) -> SyncObservation {
    let sync = ObservedSync {
        id: SyncId(2),
        label: None,
        paused: Some(false),
        schedule: ObservedSchedule::Daily { hour: 2, minute: 0 },
        alerts: VendorAlerts::Unknown,
        created_at: None,
        updated_at: Some(now() - minutes(60 * 100)),
    };
    SyncObservation { sync, runs: Ok(RunHistory { runs, complete: true, samples: None }) }
}

fn observed() -> Observed {
    Observed {
        sync: Ok(seen(vec![run(7, RunStatus::Failed, 30)])),
        siblings: vec![("create".to_owned(), Ok(seen(vec![run(5, RunStatus::Completed, 300)])))],
        healthy: Some(false),
        ..Observed::nothing(now(), "not read")
    }
}

fn choice(incident: &Incident, warehouse: Option<&str>, newest_ago: i64) -> Choice {
    let state = warehouse.map(|state| stopping_after(state, Some(10))).ok_or_else(|| "not read".to_owned());
    let runs = vec![run(7, RunStatus::Failed, newest_ago)];
    choose(incident, &pipeline(), &Observed { sync: Ok(seen(runs)), warehouse: state, ..observed() }, now())
}

fn stopping_after(state: &str, auto_stop_mins: Option<u32>) -> WarehouseState {
    let power = WarehousePower::of(state);
    WarehouseState { power, auto_stop_mins, cluster_size: None, min_clusters: None, max_clusters: None }
}

fn kind(choice: &Choice) -> Option<RemedyKind> {
    match choice {
        Choice::Remedy(plan) => Some(plan.kind),
        Choice::Person { .. } => None,
    }
}

fn record_of(incident: &Incident) -> Record {
    match choice(incident, Some("STOPPED"), 30) {
        Choice::Remedy(plan) => Record::begin(*plan, 1, now() - minutes(20)),
        Choice::Person { why, .. } => panic!("{why}"),
    }
}

#[test]
fn each_incident_has_its_remedy_or_a_person() {
    use RemedyKind::*;
    let timeout = Some("request-timeout");
    let table = [
        ("run-failed", "update", timeout, None, Some(RunAgain)),
        ("run-failed", "create", timeout, None, Some(RunAgain)),
        ("run-failed", "often", timeout, None, Some(Wait)),
        ("run-failed", "update", Some("daily-limit"), None, Some(RunAfterLimit)),
        ("run-failed", "update", Some("query-timeout"), Some("STOPPED"), Some(StartWarehouse)),
        ("run-failed", "update", Some("query-timeout"), Some("STARTING"), Some(RunAgain)),
        ("run-failed", "update", Some("lock-contention"), Some("STOPPED"), Some(RunAgain)),
        ("run-failed", "update", Some("login-refused"), None, None),
        ("run-failed", "update", Some("storage-full"), None, None),
        ("run-failed", "update", Some("unknown"), None, None),
        ("run-failed", "update", Some("of-a-newer-version"), None, None),
        ("run-failed", "update", None, None, None),
        ("run-due", "update", None, None, Some(RunAgain)),
        ("minimum-schedule", "update", None, None, Some(RunAgain)),
        ("sync-paused", "update", None, None, Some(Resume)),
        ("run-stuck", "update", None, None, Some(CancelHung)),
        ("error-rate", "update", None, None, None),
        ("warehouse-reachable", "warehouse", None, Some("STOPPED"), Some(StartWarehouse)),
        ("warehouse-reachable", "warehouse", None, Some("RUNNING"), None),
        ("warehouse-reachable", "warehouse", None, None, None),
        ("dead-letters", "syncwatch", None, None, Some(ReplayDeadLetters)),
        ("token-accepted", "census", None, None, None),
    ];
    for (check, subject, class, warehouse, expected) in table {
        let found = choice(&incident(check, subject, class), warehouse, 5);
        assert_eq!(kind(&found), expected, "{check} {class:?} {warehouse:?}: {found:?}");
    }
    let resume = |subject| match choice(&incident("sync-paused", subject, None), None, 5) {
        Choice::Remedy(plan) => plan.approvals,
        Choice::Person { .. } => 0,
    };
    assert_eq!((resume("update"), resume("create")), (1, 2));
}

#[test]
fn no_class_that_another_run_cannot_help_is_run_again() {
    for class in ErrorClass::ALL {
        let mut found = incident("run-failed", "update", Some(class.id()));
        let ran =
            matches!(kind(&choice(&found, None, 5)), Some(RemedyKind::RunAgain | RemedyKind::RunAfterLimit));
        let families = [
            Family::Auth,
            Family::InvalidField,
            Family::DuplicateValue,
            Family::ValidationRule,
            Family::Unknown,
        ];
        assert!(!ran || class.waiting_helps() && !families.contains(&class.family()), "{class}");
        found.evidence.figures.push(Figure::new(CERTAINTY_FIGURE, "guess"));
        assert_eq!(kind(&choice(&found, None, 5)), None, "{class}: a guess");
    }
}

#[test]
fn checks_without_a_remedy_name_who_can_act() {
    for check in Check::ALL {
        let Choice::Person { why, who } = choice(&incident(check.id(), "update", None), None, 5) else {
            continue;
        };
        assert!(!why.is_empty() && !who.is_empty(), "{check}");
    }
}

/// The world in which the record of a failed run may act, after a change.
fn verdict(record: &Record, change: impl FnOnce(&mut Scene)) -> Vec<Gate> {
    let mut scene = Scene {
        pipeline: pipeline(),
        stops: Ok(Vec::new()),
        incident: Some(incident("run-failed", "update", Some("request-timeout"))),
        silence: None,
        observed: observed(),
        records: Vec::new(),
        ill: Ill { ill: 1, declared: 4 },
        has_turn: true,
        now: now(),
    };
    change(&mut scene);
    scene.gates(record)
}

struct Scene {
    pipeline: Pipeline,
    stops: Result<Vec<Stop>, String>,
    incident: Option<Incident>,
    silence: Option<String>,
    observed: Observed,
    records: Vec<Record>,
    ill: Ill,
    has_turn: bool,
    now: Timestamp,
}

impl Scene {
    fn gates(&self, record: &Record) -> Vec<Gate> {
        let world = World {
            pipeline: &self.pipeline,
            stops: self.stops.as_deref().map_err(String::as_str),
            incident: self.incident.as_ref(),
            silenced_by: self.silence.as_deref(),
            observed: &self.observed,
            records: &self.records,
            ill: self.ill,
            has_turn: self.has_turn,
        };
        may(record, &world, self.now).failing.into_iter().map(|failing| failing.gate).collect()
    }

    fn sync(&mut self) -> &mut SyncObservation {
        self.observed.sync.as_mut().unwrap()
    }
}

fn failed_run() -> Record {
    record_of(&incident("run-failed", "update", Some("request-timeout")))
}

fn acted(record: &Record, id: &str, ago: i64, state: State) -> Record {
    let step = Step { at: now() - minutes(ago), state, why: String::new() };
    // An earlier incident of the same key.
    let plan = Plan { opened_at: step.at, ..record.plan.clone() };
    Record { id: id.to_owned(), plan, acted_at: Some(step.at), state, steps: vec![step], ..record.clone() }
}

type Change = (Gate, fn(&mut Scene));

/// One change for each gate that closes it, and no other.
const CLOSES: [Change; 24] = [
    (Gate::Switch, |scene| {
        let stop = Stop { kind: None, by: "ada".to_owned(), at: scene.now, why: "release".to_owned() };
        scene.stops = Ok(vec![stop]);
    }),
    (Gate::Switch, |scene| scene.stops = Err("DynamoDB does not answer".to_owned())),
    (Gate::Mode, |scene| scene.pipeline.remedies.level = Level::Advise),
    (Gate::Mode, |scene| {
        scene.pipeline.remedies.levels.insert(RemedyKind::RunAgain, Level::Off);
    }),
    (Gate::Fresh, |scene| scene.observed.at = scene.now - minutes(6)),
    (Gate::Fresh, |scene| scene.sync().sync.paused = None),
    (Gate::Fresh, |scene| scene.sync().sync.updated_at = None),
    (Gate::Fresh, |scene| scene.observed.siblings[0].1 = Err("timeout".to_owned())),
    (Gate::Incident, |scene| scene.incident = None),
    (Gate::Incident, |scene| scene.incident.as_mut().unwrap().state = IncidentState::Watching),
    (Gate::Incident, |scene| scene.incident.as_mut().unwrap().opened_at = scene.now),
    (Gate::Incident, |scene| scene.silence = Some("release".to_owned())),
    (Gate::Incident, |scene| {
        let by = Acknowledged { by: "ada".to_owned(), at: scene.now, until: scene.now };
        scene.incident.as_mut().unwrap().acknowledged = Some(by);
    }),
    (Gate::Incident, |scene| scene.records.push(failed_run().refused("ada", "no", scene.now).unwrap())),
    (Gate::Class, |scene| scene.observed.healthy = Some(true)),
    (Gate::Running, |scene| {
        let working = run(9, RunStatus::Unknown("preparing".to_owned()), 1);
        scene.observed.siblings[0].1 = Ok(seen(vec![working]));
    }),
    (Gate::PersonAtWork, |scene| scene.sync().sync.updated_at = Some(scene.now - minutes(119))),
    (Gate::Condition, |scene| scene.sync().sync.paused = Some(true)),
    (Gate::Gain, |scene| scene.now += minutes(15 * 60 + 45)),
    (Gate::Budget, |scene| {
        let states = [State::Healed, State::Failed, State::Healed];
        let tries = (0_i64..).zip(states);
        scene.records =
            tries.map(|(n, state)| acted(&failed_run(), &n.to_string(), 200 + n, state)).collect();
    }),
    (Gate::Cooldown, |scene| scene.records = vec![acted(&failed_run(), "0", 3, State::Healed)]),
    (Gate::BlastRadius, |scene| scene.ill.ill = 3),
    (Gate::Breaker, |scene| {
        scene.records =
            (0_i64..2).map(|n| acted(&failed_run(), &n.to_string(), 200 + n, State::Failed)).collect();
    }),
    (Gate::Lease, |scene| scene.has_turn = false),
];

#[test]
fn each_gate_is_closed_by_its_own_reason_alone() {
    assert_eq!(verdict(&failed_run(), |_| {}), []);
    for (number, (gate, change)) in CLOSES.into_iter().enumerate() {
        let gates = verdict(&failed_run(), change);
        // At 01:45 the observation is old, too.
        let expected = if gate == Gate::Gain { vec![Gate::Fresh, Gate::Gain] } else { vec![gate] };
        assert_eq!(gates, expected, "{number}");
    }
}

#[test]
fn create_sync_needs_a_proof_and_a_warehouse_is_started_once() {
    let create = record_of(&incident("run-failed", "create", Some("request-timeout")));
    let of_create =
        |scene: &mut Scene| scene.incident = Some(incident("run-failed", "create", Some("request-timeout")));
    assert_eq!(verdict(&create, of_create), [Gate::CreateProof]);

    let stopped = incident("run-failed", "update", Some("query-timeout"));
    let start = record_of(&stopped);
    assert_eq!(start.plan.kind, RemedyKind::StartWarehouse);
    let state = |state: &str, auto_stop| {
        let state = stopping_after(state, auto_stop);
        let incident = stopped.clone();
        verdict(&start, |scene| {
            scene.incident = Some(incident);
            scene.observed.warehouse = Ok(state);
            // All syncs share a stopped warehouse.
            scene.ill.ill = 4;
        })
    };
    assert_eq!(state("STOPPED", Some(10)), []);
    assert_eq!(state("STARTING", Some(10)), [Gate::Condition]);
    assert_eq!(state("STOPPED", Some(0)), [Gate::Condition]);
    assert_eq!(state("STOPPED", None), [Gate::Condition]);
    // Each start may cost 3.50 USD: the third would pass 10 USD.
    let spent = |count: i64| {
        let cents = |n: i64| Record { cents: 350, ..acted(&start, &n.to_string(), 200 + n, State::Healed) };
        verdict(&start, |scene| {
            scene.incident = Some(stopped.clone());
            scene.observed.warehouse = Ok(stopping_after("STOPPED", Some(10)));
            scene.records = (0..count).map(cents).collect();
        })
    };
    assert_eq!((spent(1), spent(2)), (vec![], vec![Gate::Budget]));
}

#[test]
fn approval_is_of_one_plan_by_distinct_people_and_expires() {
    let paused = incident("sync-paused", "create", None);
    let proposed = record_of(&paused).to(State::Proposed, "", now()).unwrap();
    let gates = |record: &Record, at: Timestamp| {
        verdict(record, |scene| {
            scene.incident = Some(paused.clone());
            scene.sync().sync.paused = Some(true);
            scene.now = at;
            scene.observed.at = at;
        })
    };
    assert_eq!(gates(&proposed, now()), [Gate::Approval]);
    let once = proposed.approved("ada", now()).unwrap();
    assert!(once.approved("ada", now()).unwrap_err().contains("already"));
    assert_eq!(gates(&once, now()), [Gate::Approval], "a create sync needs two people");
    let twice = once.approved("bo", now()).unwrap();
    assert_eq!(gates(&twice, now()), []);
    assert_eq!(gates(&twice, now() + ASKED_FOR), [Gate::Approval]);
    let mut changed = twice.clone();
    changed.plan.effect.push('!');
    assert_eq!(gates(&changed, now()), [Gate::Approval], "the plan changed");
    let mut again = twice.clone();
    again.approvals = [&twice.approvals[..1], &twice.approvals[..1]].concat();
    assert_eq!(gates(&again, now()), [Gate::Approval], "one person twice");
}

#[test]
fn open_breaker_needs_a_person_after_a_day() {
    let record = failed_run();
    let at = |ago: i64, state| {
        let tries: Vec<Record> = (0..2).map(|n| acted(&record, &n.to_string(), ago + n, state)).collect();
        verdict(&record, |scene| scene.records = tries)
    };
    assert_eq!(at(60 * 23, State::Failed), [Gate::Breaker]);
    assert_eq!(at(60 * 25, State::Failed), [Gate::Approval]);
    assert_eq!(at(60 * 25, State::Healed), []);
    let harmed = Record { harm: Some("two runs".to_owned()), ..acted(&record, "0", 200, State::Healed) };
    assert_eq!(verdict(&record, |scene| scene.records = vec![harmed]), [Gate::Breaker]);
}

#[test]
fn every_state_comes_to_an_end_and_ends_stay() {
    for state in State::ALL {
        let next: Vec<State> = State::ALL.into_iter().filter(|next| state.may_become(*next)).collect();
        assert_eq!(next.is_empty(), !state.is_active(), "{state}");
        // No way leads back to an act from behind it.
        let acts = |from: State| from.may_become(State::Acting);
        assert!(!acts(state) || matches!(state, State::Proposed | State::Held), "{state}");
    }
}

#[test]
fn found_run_is_adopted_and_an_older_or_scheduled_one_is_not() {
    let record = Record { newest_before: Some(RunId(7)), ..failed_run() };
    let with = |runs: Vec<Run>| {
        adopted(&record, &Observed { sync: Ok(seen(runs)), ..observed() }).map(|(run, _)| run)
    };
    let by_api = |id| Run { scheduled_for: None, ..run(id, RunStatus::Working, 0) };
    assert_eq!(with(vec![run(8, RunStatus::Working, 0), by_api(7)]), None);
    assert_eq!(with(vec![by_api(10), by_api(9), run(8, RunStatus::Working, 0)]), Some(Some(RunId(9))));
}

#[test]
fn overlapping_runs_and_a_run_of_a_paused_sync_are_harm() {
    let ours = Run { id: RunId(8), ..run(8, RunStatus::Working, 5) };
    let record = Record { run: Some(RunId(8)), ..failed_run() };
    let with =
        |runs: Vec<Run>| harm(&record, &Observed { sync: Ok(seen(runs)), ..observed() }, now()).is_some();
    assert!(!with(vec![ours.clone(), run(7, RunStatus::Failed, 30)]));
    assert!(!with(vec![run(9, RunStatus::Skipped, 3), ours.clone()]));
    assert!(with(vec![run(9, RunStatus::Working, 3), ours.clone()]));
    let mut paused = seen(vec![ours]);
    paused.sync.paused = Some(true);
    paused.sync.updated_at = Some(now() - minutes(60));
    assert!(harm(&record, &Observed { sync: Ok(paused), ..observed() }, now()).is_some());
}

proptest! {
    /// Less knowledge, more ill syncs, fewer rights and more acts never open a gate.
    #[test]
    fn nothing_that_makes_the_world_worse_opens_a_gate(
        changes in prop::collection::vec(0..CLOSES.len(), 0..5), extra in 0..CLOSES.len(), ill in 0..4_usize,
    ) {
        let change = |scene: &mut Scene, which: usize| {
            // A missing part cannot be changed.
            if scene.incident.is_some() && scene.observed.sync.is_ok() {
                CLOSES[which].1(scene);
            }
        };
        let before = verdict(&failed_run(), |scene| changes.iter().for_each(|which| change(scene, *which)));
        let after = verdict(&failed_run(), |scene| {
            changes.iter().for_each(|which| change(scene, *which));
            scene.ill.ill += ill;
            scene.observed.sync = Err("the right is missing".to_owned());
        });
        prop_assert!(!after.is_empty());
        let worse = verdict(&failed_run(), |scene| {
            changes.iter().for_each(|which| change(scene, *which));
            change(scene, extra);
        });
        prop_assert!(!worse.is_empty(), "{before:?} {worse:?}");
    }
}

#[test]
fn plans_of_the_same_situation_have_the_same_hash() {
    let later = |ago| match choice(&incident("run-failed", "update", Some("request-timeout")), None, ago) {
        Choice::Remedy(plan) => plan.hash(),
        Choice::Person { why, .. } => panic!("{why}"),
    };
    let hashes: BTreeSet<String> = [5, 10, 200].map(later).into();
    assert_eq!(hashes.len(), 1);
}
