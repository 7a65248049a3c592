//! Many simulated days in the pure core: the lab's Census has a clock that jumps; its JSON is read by the client's parser and
//! judged, as the function does but without HTTP.
//!
//! 2026-10-20 to 2027-03-20 includes both clock changes of Los Angeles: 2026-11-01 and 2027-03-14.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use syncwatch::census::wire::{parse_runs_page, parse_syncs_page};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::{Habits, judge_absent, judge_sync, judge_workspace, judging_time};
use syncwatch::observation::{SyncId, SyncObservation, Workspace};
use syncwatch::pipeline::Pipeline;
use syncwatch_lab::census::{Fault, World, runs_json, syncs_json};

use crate::flapping::Ledger;

pub(crate) const FIRST_DAY: &str = "2026-10-20T00:00:00Z";
const DAYS: i64 = 151;
pub(crate) const POLL: SignedDuration = SignedDuration::from_mins(5);
pub(crate) const CREATE: u64 = 3_394_022;
pub(crate) const UPDATE: u64 = 3_394_041;

pub(crate) fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
}

pub(crate) fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// Runs one round at the world's current time, with the vendor's clock ahead.
pub(crate) fn round(world: &World, pipeline: &Pipeline, ahead: SignedDuration) -> Vec<Finding> {
    let real_now = world.now();
    let now = judging_time(real_now, Some(ahead));
    let page = parse_syncs_page(&syncs_json(world, 1, 100, SignedDuration::ZERO), 1).unwrap();
    assert_eq!(page.unreadable, []);
    let declared: BTreeSet<SyncId> = pipeline.syncs.iter().map(|sync| sync.id).collect();
    let undeclared: Vec<SyncId> =
        page.syncs.iter().map(|sync| sync.id).filter(|id| !declared.contains(id)).collect();
    let mut findings = Vec::new();
    for sync in &pipeline.syncs {
        match page.syncs.iter().find(|observed| observed.id == sync.id) {
            None => findings.extend(judge_absent(sync, None)),
            Some(observed) => {
                let runs = runs_json(world, sync.id.0, 25, SignedDuration::ZERO);
                let runs = Ok(parse_runs_page(&runs, 1).unwrap());
                let observation = SyncObservation { sync: observed.clone(), runs };
                findings.extend(judge_sync(
                    &observation,
                    sync,
                    &pipeline.objectives,
                    &Habits::default(),
                    now,
                ));
            }
        }
    }
    let workspace = Workspace {
        listed: page.syncs.len(),
        vendor_clock_ahead: Some(ahead),
        undeclared_count: undeclared.len(),
        undeclared,
        ..Workspace::default()
    };
    findings.extend(judge_workspace(&workspace, pipeline.census.undeclared_syncs));
    for finding in &findings {
        let (least, greatest) = finding.check.severities();
        // `check-config` prints these severities for each check.
        assert!(
            finding.severity().is_none_or(|severity| (least..=greatest).contains(&severity)),
            "{finding:?}"
        );
    }
    findings
}

fn unhealthy(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.is_unhealthy()).collect()
}

#[test]
fn healthy_traffic_across_clock_changes_sends_no_notice() {
    let pipeline = pipeline();
    let mut ledger = Ledger::new(&pipeline);
    let start: Timestamp = FIRST_DAY.parse().unwrap();
    let mut world = World::seed_pipeline(start, 7);
    for poll in 0..DAYS * 24 * 12 {
        world.advance_to(start + minutes(5 * poll));
        let findings = round(&world, &pipeline, SignedDuration::ZERO);
        assert_eq!(unhealthy(&findings), Vec::<&Finding>::new(), "at {}", world.now());
        ledger.act_on(&findings, world.now());
    }
    assert!(ledger.notices.is_empty(), "{:?}", ledger.notices);
    let moved = world.destination;
    assert!(moved.created > 200_000 && moved.updated > 600_000 && moved.rejected > 0, "{moved:?}");
}

/// A fault, the finding that it must cause, other checks that may fail, and the time limit for the finding.
#[derive(Debug, Clone)]
struct Expectation {
    fault: Fault,
    found: Option<(Check, &'static str)>,
    allowed: Vec<Check>,
    within: SignedDuration,
}

/// Lists the faults with their findings. The next run starts at the latest one period and some seconds after the fault.
fn expectations() -> Vec<Expectation> {
    let create = "properties-create";
    let update = "properties-update";
    let poll = minutes(5);
    // A run of the create sync is due every 30 minutes and takes up to 5; for the update sync it is 15 and 2.
    let next_create_run_ended = minutes(36);
    let next_update_run_ended = minutes(18);
    let grace = minutes(5);
    // A run that was due at the very moment of the fault starts some seconds after it, and the next is due a period
    // after that start.
    let start_delay = minutes(1);
    let expect = |fault, check, subject, within| Expectation {
        fault,
        found: Some((check, subject)),
        allowed: vec![check],
        within: within + poll,
    };
    let also = |mut expectation: Expectation, allowed: &[Check]| {
        expectation.allowed.extend(allowed);
        expectation
    };
    let nothing = |fault| Expectation { fault, found: None, allowed: Vec::new(), within: minutes(60) };
    let fail = Fault::Fail {
        sync: UPDATE,
        code: "X".to_owned(),
        message: "A mapped source column has been deleted".to_owned(),
    };
    let hourly =
        Fault::ChangeSchedule { sync: UPDATE, schedule: serde_json::json!({ "frequency": "hourly" }) };
    vec![
        expect(Fault::Pause { sync: CREATE }, Check::SyncPaused, create, minutes(0)),
        expect(Fault::Delete { sync: UPDATE }, Check::SyncExists, update, minutes(0)),
        // A sync that runs hourly is also late by its declared schedule: both findings are correct.
        also(expect(hourly, Check::ScheduleDrift, update, minutes(0)), &[Check::RunDue]),
        expect(
            Fault::HoldSchedule { sync: CREATE },
            Check::RunDue,
            create,
            minutes(30) + start_delay + grace,
        ),
        expect(
            Fault::HoldSchedule { sync: UPDATE },
            Check::RunDue,
            update,
            minutes(15) + start_delay + grace,
        ),
        expect(
            Fault::LateStart { sync: CREATE, minutes: 20 },
            Check::RunDue,
            create,
            minutes(30) + start_delay + grace,
        ),
        also(
            expect(Fault::Hang { sync: CREATE }, Check::RunStuck, create, minutes(31) + minutes(45)),
            &[Check::Runtime],
        ),
        expect(fail, Check::RunFailed, update, next_update_run_ended),
        expect(
            Fault::Reject { sync: CREATE, percent: 12, message: None },
            Check::ErrorRate,
            create,
            next_create_run_ended,
        ),
        expect(
            Fault::Reject { sync: UPDATE, percent: 8, message: None },
            Check::ErrorRate,
            update,
            next_update_run_ended,
        ),
        expect(Fault::Invalid { sync: CREATE, percent: 12 }, Check::ErrorRate, create, next_create_run_ended),
        also(
            expect(
                Fault::SlowRuns { sync: CREATE, factor: 10 },
                Check::Runtime,
                create,
                minutes(31) + minutes(15),
            ),
            &[Check::RunsSkipped],
        ),
        expect(Fault::LooseAlerts { sync: UPDATE, percent: 75 }, Check::VendorAlerts, update, minutes(0)),
        expect(Fault::AlertsOff { sync: UPDATE }, Check::VendorAlerts, update, minutes(0)),
        expect(Fault::UndeclaredSync { sync: 4_000_000 }, Check::UndeclaredSyncs, "census", minutes(0)),
        expect(Fault::ClockSkew { seconds: -1_200 }, Check::ClockSkew, "census", minutes(0)),
        expect(Fault::ClockSkew { seconds: 1_200 }, Check::ClockSkew, "census", minutes(0)),
        nothing(Fault::NullCounts { sync: CREATE }),
        nothing(Fault::UnknownStatus { sync: UPDATE, word: "preparing".to_owned() }),
    ]
}

/// Injects a fault, polls until 90 minutes after the time limit of its finding, heals it, and polls until every check must be
/// healthy again.
fn play(expectation: &Expectation, seed: u64, minute: i64, poll_phase_s: i64) -> Result<(), TestCaseError> {
    let pipeline = pipeline();
    let start: Timestamp = FIRST_DAY.parse::<Timestamp>().unwrap() + minutes(minute);
    let mut world = World::seed_pipeline(start, seed);
    let skew = match expectation.fault {
        Fault::ClockSkew { seconds } => SignedDuration::from_secs(seconds),
        _ => SignedDuration::ZERO,
    };
    expectation.fault.inject(&mut world).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mut found_after = None;
    let mut now = start + SignedDuration::from_secs(poll_phase_s);
    let heal_at = start + expectation.within + minutes(90);
    while now < heal_at {
        world.advance_to(now);
        for finding in unhealthy(&round(&world, &pipeline, skew)) {
            prop_assert!(expectation.allowed.contains(&finding.check), "unexpected at {now}: {finding}");
            if expectation.found == Some((finding.check, finding.subject.as_str())) {
                found_after.get_or_insert(now.duration_since(start));
            }
        }
        now += POLL;
    }
    if expectation.found.is_some() {
        prop_assert!(
            found_after.is_some_and(|after| after <= expectation.within),
            "found after {found_after:?}"
        );
    }
    if matches!(expectation.fault, Fault::Delete { .. }) {
        return Ok(());
    }
    expectation.fault.heal(&mut world);
    // After two periods, a run and the grace no finding may be left.
    let healthy_at = now + minutes(100);
    while now < healthy_at + minutes(60) {
        world.advance_to(now);
        let findings = round(&world, &pipeline, SignedDuration::ZERO);
        for finding in unhealthy(&findings) {
            let lingers = now < healthy_at && expectation.allowed.contains(&finding.check);
            prop_assert!(lingers, "after healing, at {now}: {finding}");
        }
        now += POLL;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Injects each fault at any time of the simulated days.
    #[test]
    fn every_fault_is_found_in_time_and_none_is_invented(
        seed in 0_u64..1_000,
        minute in 0_i64..(DAYS - 2) * 24 * 60,
        poll_phase_s in 0_i64..300,
    ) {
        for expectation in expectations() {
            play(&expectation, seed, minute, poll_phase_s)
                .map_err(|error| TestCaseError::fail(format!("{:?}: {error}", expectation.fault)))?;
        }
    }

    /// Injects each fault on the two days of the clock changes.
    #[test]
    fn every_fault_is_found_in_time_on_days_of_clock_changes(
        seed in 0_u64..1_000,
        spring in any::<bool>(),
        minute_of_day in 0_i64..24 * 60,
        poll_phase_s in 0_i64..300,
    ) {
        // 2026-11-01 and 2027-03-14, both from 07:00 UTC on, at most an hour before the day begins in Los Angeles.
        let day = if spring { 145 } else { 12 };
        for expectation in expectations() {
            play(&expectation, seed, day * 24 * 60 + 7 * 60 + minute_of_day, poll_phase_s)
                .map_err(|error| TestCaseError::fail(format!("{:?}: {error}", expectation.fault)))?;
        }
    }
}
