//! Many simulated days in the pure core: the lab's Census lives on a clock that jumps, its JSON is read by the client's
//! parser and judged, as the function does but without HTTP.
//!
//! 2026-10-20 to 2027-03-20 holds both changes of the clocks of Los Angeles: 2026-11-01 and 2027-03-14.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use syncwatch::census::wire::{parse_runs_page, parse_syncs_page};
use syncwatch::finding::{Check, Finding};
use syncwatch::judge::{judge_absent, judge_sync, judge_workspace, judging_time};
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

/// One round at the present time of the world, when the vendor's clock is ahead by so much.
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
                findings.extend(judge_sync(&observation, sync, &pipeline.objectives, now));
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
        // What `check-config` prints of when a check alerts.
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
fn healthy_traffic_across_both_changes_of_the_clocks_has_no_unhealthy_finding_and_no_notice() {
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

/// A fault, what must be found of it, what else may be, and how soon after it began.
#[derive(Debug, Clone)]
struct Expectation {
    fault: Fault,
    found: Option<(Check, &'static str)>,
    allowed: Vec<Check>,
    within: SignedDuration,
}

/// A run comes at the latest one period and some seconds after the fault.
fn expectations() -> Vec<Expectation> {
    let create = "properties-create";
    let update = "properties-update";
    let poll = minutes(5);
    // A run of the create sync is due every 30 minutes and takes up to 5; one of the update sync 15 and 2.
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
        // While it runs hourly it is also late by what was declared: two findings, and both are true.
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

/// Places a fault, polls until an hour and a half after it should have been found, mends it, and polls on until all
/// must be well again.
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
    let mend_at = start + expectation.within + minutes(90);
    while now < mend_at {
        world.advance_to(now);
        for finding in unhealthy(&round(&world, &pipeline, skew)) {
            prop_assert!(expectation.allowed.contains(&finding.check), "invented at {now}: {finding}");
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
    // Two periods, a run, and the grace: then nothing may be left of it.
    let well_at = now + minutes(100);
    while now < well_at + minutes(60) {
        world.advance_to(now);
        let findings = round(&world, &pipeline, SignedDuration::ZERO);
        for finding in unhealthy(&findings) {
            let lingers = now < well_at && expectation.allowed.contains(&finding.check);
            prop_assert!(lingers, "after mending, at {now}: {finding}");
        }
        now += POLL;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Each fault, placed anywhere in the simulated days.
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

    /// As above, on the two days on which the clocks change.
    #[test]
    fn every_fault_is_found_in_time_on_the_days_on_which_the_clocks_change(
        seed in 0_u64..1_000,
        spring in any::<bool>(),
        minute_of_day in 0_i64..24 * 60,
        poll_phase_s in 0_i64..300,
    ) {
        // 2026-11-01 and 2027-03-14, both from 07:00 UTC on, an hour at the most before the day begins in Los Angeles.
        let day = if spring { 145 } else { 12 };
        for expectation in expectations() {
            play(&expectation, seed, day * 24 * 60 + 7 * 60 + minute_of_day, poll_phase_s)
                .map_err(|error| TestCaseError::fail(format!("{:?}: {error}", expectation.fault)))?;
        }
    }
}
