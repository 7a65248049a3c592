use super::*;
use crate::observation::{Counts, RunId, SyncId, Unread};
use crate::pipeline::Pipeline;

const SEED: &str = include_str!("../../../../infra/pipeline.toml");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-24T12:00:00Z")
}

/// The seed with the create sync's schedule replaced.
fn pipeline(schedule: &str) -> Pipeline {
    let text = SEED.replacen(r#"schedule = { every = "30m", grace = "5m" }"#, schedule, 1);
    Pipeline::parse(&text).unwrap()
}

fn seed() -> Pipeline {
    Pipeline::parse(SEED).unwrap()
}

fn run(created_at: Timestamp, status: RunStatus) -> Run {
    let ended = status.is_terminal().then(|| created_at + SignedDuration::from_mins(2));
    let counts = Counts {
        source: Some(50),
        processed: Some(50),
        updated: Some(50),
        failed: Some(0),
        invalid: Some(0),
    };
    Run {
        id: RunId(1),
        sync_id: None,
        status,
        created_at,
        completed_at: ended,
        scheduled_for: None,
        by_hand: None,
        counts,
        error: None,
        full_sync: None,
    }
}

fn observed(schedule: ObservedSchedule, runs: Vec<Run>) -> SyncObservation {
    SyncObservation {
        sync: ObservedSync {
            id: SyncId(3_394_022),
            label: Some("Properties".to_owned()),
            paused: Some(false),
            schedule,
            alerts: VendorAlerts::Known { failed_run: true, rejected_percent: Some(5.0) },
            created_at: Some(at("2026-01-01T00:00:00Z")),
            updated_at: Some(at("2026-01-01T00:00:00Z")),
        },
        runs: Ok(RunHistory { runs, ..RunHistory::default() }),
    }
}

fn every_30() -> ObservedSchedule {
    ObservedSchedule::Cron("*/30 * * * *".to_owned())
}

fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn findings(observation: &SyncObservation, pipeline: &Pipeline, now: Timestamp) -> Vec<Finding> {
    let findings = judge_sync(observation, &pipeline.syncs[0], &pipeline.objectives, &Habits::default(), now);
    let mut answered: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
    let kinds = [SubjectKind::Sync, SubjectKind::Runs];
    let mut expected: Vec<Check> =
        kinds.into_iter().flat_map(|kind| Check::of(Judge::ScheduleVerification, kind)).collect();
    answered.sort();
    expected.sort();
    assert_eq!(answered, expected, "one finding of each check");
    findings
}

fn judged(observation: &SyncObservation, pipeline: &Pipeline, now: Timestamp, check: Check) -> String {
    let findings = findings(observation, pipeline, now);
    let finding = findings.iter().find(|finding| finding.check == check).unwrap();
    finding.to_string().replacen(&format!("{check} properties-create: "), "", 1)
}

#[test]
fn sync_that_runs_as_declared_has_no_unhealthy_finding() {
    let observation = observed(every_30(), vec![run(minutes_ago(10), RunStatus::Completed)]);
    let unhealthy: Vec<String> = findings(&observation, &seed(), now())
        .iter()
        .filter(|f| f.is_unhealthy())
        .map(ToString::to_string)
        .collect();
    assert_eq!(unhealthy, [""; 0]);
}

#[test]
fn run_is_late_after_its_grace_then_missed() {
    let table = [
        (35, "healthy, last run or change 35m ago (due every 30m)"),
        (36, "warning, run is 6m overdue (grace 5m); last run 2026-11-24 11:24 UTC"),
        (59, "warning, run is 29m overdue (grace 5m); last run 2026-11-24 11:01 UTC"),
        (60, "error, 2 scheduled runs missed; last run 2026-11-24 11:00 UTC"),
        (125, "critical, 4 scheduled runs missed; last run 2026-11-24 09:55 UTC"),
    ];
    for (minutes, expected) in table {
        let observation = observed(every_30(), vec![run(minutes_ago(minutes), RunStatus::Completed)]);
        assert_eq!(judged(&observation, &seed(), now(), Check::RunDue), expected, "{minutes} minutes");
    }
}

#[test]
fn missing_sync_is_unhealthy_and_found_one_is_judged() {
    let pipeline = seed();
    let (sync, objectives) = (&pipeline.syncs[0], &pipeline.objectives);
    let gone = judge_look(&Look::Gone, sync, objectives, &Habits::default(), now());
    assert!(
        gone.iter().any(|finding| finding.check == Check::SyncExists && finding.is_unhealthy()),
        "{gone:?}"
    );
    let found = observed(every_30(), vec![run(minutes_ago(5), RunStatus::Completed)]);
    let found = judge_look(&Look::Found(found), sync, objectives, &Habits::default(), now());
    assert!(found.iter().all(|finding| !finding.is_unhealthy()) && found.len() > 5, "{found:?}");
}

#[test]
fn due_run_is_covered_by_one_in_progress_or_skipped() {
    let in_progress = observed(every_30(), vec![run(minutes_ago(42), RunStatus::Working)]);
    assert_eq!(
        judged(&in_progress, &seed(), now(), Check::RunDue),
        "healthy, run 1 in progress since 2026-11-24 11:18 UTC"
    );
    let skipped = observed(every_30(), vec![run(minutes_ago(5), RunStatus::Skipped)]);
    assert!(judged(&skipped, &seed(), now(), Check::RunDue).starts_with("healthy"));
    let cancelled = observed(
        every_30(),
        vec![run(minutes_ago(5), RunStatus::Cancelled), run(minutes_ago(90), RunStatus::Completed)],
    );
    assert!(judged(&cancelled, &seed(), now(), Check::RunDue).starts_with("error"));
}

#[test]
fn slots_before_a_sync_was_resumed_do_not_count() {
    let mut observation = observed(every_30(), vec![run(minutes_ago(300), RunStatus::Completed)]);
    observation.sync.updated_at = Some(minutes_ago(3));
    assert!(judged(&observation, &seed(), now(), Check::RunDue).starts_with("healthy"));
    observation.sync.updated_at = Some(minutes_ago(36));
    assert!(judged(&observation, &seed(), now(), Check::RunDue).starts_with("warning"));
}

#[test]
fn new_sync_has_time_for_its_first_run() {
    let mut observation = observed(every_30(), Vec::new());
    observation.sync.created_at = Some(minutes_ago(10));
    observation.sync.updated_at = None;
    assert!(judged(&observation, &seed(), now(), Check::RunDue).starts_with("healthy"));
    observation.sync.created_at = None;
    assert_eq!(
        judged(&observation, &seed(), now(), Check::RunDue),
        "not evaluated, waiting for the first run"
    );
}

#[test]
fn paused_sync_is_one_finding_that_blocks_due_runs() {
    let mut observation = observed(every_30(), vec![run(minutes_ago(300), RunStatus::Completed)]);
    observation.sync.paused = Some(true);
    let unhealthy: Vec<Check> = findings(&observation, &seed(), now())
        .into_iter()
        .filter(Finding::is_unhealthy)
        .map(|f| f.check)
        .collect();
    assert_eq!(unhealthy, [Check::SyncPaused]);
    let blocked = "not evaluated, blocked by sync-paused of properties-create";
    assert_eq!(judged(&observation, &seed(), now(), Check::RunDue), blocked);
    assert_eq!(judged(&observation, &seed(), now(), Check::MinimumSchedule), blocked);
    observation.sync.paused = None;
    let unknown = "not evaluated, pause state unknown";
    assert_eq!(judged(&observation, &seed(), now(), Check::SyncPaused), unknown);
}

#[test]
fn daily_slot_is_covered_by_any_later_run_when_clocks_change() {
    let daily = pipeline(r#"schedule = { daily_at = "02:00", grace = "30m" }"#);
    let at_census = |hour| ObservedSchedule::Daily { hour, minute: 0 };
    // (now, newest run, expected)
    let table = [
        ("2026-11-24T10:29:00Z", "2026-11-23T10:00:30Z", "healthy"),
        ("2026-11-24T10:30:00Z", "2026-11-23T10:00:30Z", "warning, run is 30m overdue"),
        ("2026-11-24T10:30:00Z", "2026-11-24T09:59:10Z", "healthy"),
        ("2026-11-24T10:30:00Z", "2026-11-24T09:58:00Z", "warning"),
        // The run of the day before was a minute early, and more than that.
        ("2026-11-24T10:30:00Z", "2026-11-23T09:59:00Z", "warning, run is 30m overdue"),
        ("2026-11-24T10:30:00Z", "2026-11-23T09:58:59Z", "error, 2 scheduled runs missed"),
        ("2026-11-24T11:30:00Z", "2026-11-23T10:00:30Z", "error, run is 1h 30m overdue"),
        ("2026-11-25T10:30:00Z", "2026-11-23T10:00:30Z", "error, 2 scheduled runs missed"),
        ("2026-11-27T10:30:00Z", "2026-11-23T10:00:30Z", "critical, 4 scheduled runs missed"),
        // Clocks go forward on 2027-03-14: 02:00 does not exist, 03:00 PDT is 10:00 UTC.
        ("2027-03-14T10:29:00Z", "2027-03-13T10:00:30Z", "healthy"),
        ("2027-03-14T10:31:00Z", "2027-03-13T10:00:30Z", "warning"),
        ("2027-03-15T09:29:00Z", "2027-03-14T10:00:30Z", "healthy"),
        ("2027-03-15T09:31:00Z", "2027-03-14T10:00:30Z", "warning"),
        // Clocks go back on 2026-11-01 at 09:00 UTC; 02:00 PST is 10:00 UTC, 25 hours after the day before.
        ("2026-11-01T10:29:00Z", "2026-10-31T09:00:30Z", "healthy"),
        ("2026-11-01T10:31:00Z", "2026-10-31T09:00:30Z", "warning"),
    ];
    for (now, newest, expected) in table {
        let observation = observed(at_census(10), vec![run(at(newest), RunStatus::Completed)]);
        let found = judged(&observation, &daily, at(now), Check::RunDue);
        assert!(found.starts_with(expected), "at {now}, newest {newest}: {found}");
    }
}

#[test]
fn one_missed_run_is_an_error_after_an_hour_critical_in_a_day() {
    // Monday 02:00 in Los Angeles is 10:00 UTC.
    let weekly = pipeline(r#"schedule = { weekly_on = "Monday", at = "02:00", grace = "30m" }"#);
    let observation = observed(every_30(), vec![run(at("2026-11-16T10:00:30Z"), RunStatus::Completed)]);
    let table = [
        ("2026-11-23T11:00:00Z", "warning, run is 1h overdue"),
        ("2026-11-23T11:00:01Z", "error, run is 1h"),
        ("2026-11-24T10:00:00Z", "error, run is 1d overdue"),
        ("2026-11-24T10:00:01Z", "critical, run is 1d"),
    ];
    for (now, expected) in table {
        let found = judged(&observation, &weekly, at(now), Check::RunDue);
        assert!(found.starts_with(expected), "at {now}: {found}");
    }
}

#[test]
fn minimum_schedule_is_kept_by_any_run_since_its_slot() {
    // 02:00 Los Angeles is 10:00 UTC; its grace of an hour ends at 11:00.
    let weekly = pipeline(r#"schedule = { weekly_on = "Monday", at = "02:00" }"#);
    let newest = |text| observed(every_30(), vec![run(at(text), RunStatus::Completed)]);
    let judged = |text, now| judged(&newest(text), &weekly, at(now), Check::MinimumSchedule);
    assert!(judged("2026-11-24T10:00:20Z", "2026-11-24T11:00:00Z").starts_with("healthy"));
    assert!(judged("2026-11-23T10:00:20Z", "2026-11-24T10:59:00Z").starts_with("healthy"));
    assert!(judged("2026-11-23T10:00:20Z", "2026-11-24T11:00:00Z").starts_with("error, run is 1h overdue"));
}

#[test]
fn missed_run_is_one_finding_that_blocks_the_minimum_schedule() {
    let observation = observed(every_30(), vec![run(minutes_ago(24 * 60), RunStatus::Completed)]);
    let blocked = "not evaluated, blocked by run-due of properties-create";
    assert_eq!(judged(&observation, &seed(), now(), Check::MinimumSchedule), blocked);
}

#[test]
fn on_demand_sync_is_never_due() {
    let on_demand = pipeline("schedule = { on_demand = true }");
    let observation =
        observed(ObservedSchedule::Manual, vec![run(minutes_ago(100_000), RunStatus::Completed)]);
    for check in [Check::RunDue, Check::MinimumSchedule] {
        assert_eq!(
            judged(&observation, &on_demand, now(), check),
            "not evaluated, not declared in pipeline.toml"
        );
    }
}

#[test]
fn schedule_that_differs_or_will_differ_is_unhealthy() {
    let daily = pipeline(r#"schedule = { daily_at = "02:00" }"#);
    let table = [
        (seed(), every_30(), "healthy, schedule in Census is cron */30 * * * * UTC, as declared"),
        (seed(), ObservedSchedule::Manual, "error, schedule in Census is manual (declared every 30m)"),
        (
            seed(),
            ObservedSchedule::Hourly { minute: None },
            "error, schedule in Census is hourly (declared every 30m)",
        ),
        (
            daily.clone(),
            ObservedSchedule::Daily { hour: 10, minute: 0 },
            "warning, schedule in Census matches today but will differ from 2027-03-15 09:00 UTC on",
        ),
        (
            daily,
            ObservedSchedule::Daily { hour: 2, minute: 0 },
            "error, schedule in Census is daily at 02:00 UTC (declared daily at 02:00 America/Los_Angeles)",
        ),
        (
            seed(),
            ObservedSchedule::Unreadable("frequency fortnightly".to_owned()),
            "not evaluated, unreadable: schedule frequency fortnightly",
        ),
    ];
    for (pipeline, actual, expected) in table {
        let observation = observed(actual, vec![run(minutes_ago(10), RunStatus::Completed)]);
        assert_eq!(judged(&observation, &pipeline, now(), Check::ScheduleDrift), expected);
    }
}

#[test]
fn census_alerts_must_be_on_and_no_looser_than_ours() {
    let known = |failed_run, rejected_percent| VendorAlerts::Known { failed_run, rejected_percent };
    let table = [
        (known(true, Some(5.0)), "healthy, Census alerts are on and no looser than ours"),
        (known(true, Some(1.0)), "healthy, Census alerts are on and no looser than ours"),
        (known(true, Some(75.0)), "warning, Census alerts on rejected records only above 75% (our limit 5%)"),
        (known(true, None), "warning, no Census alert on rejected records"),
        (known(false, Some(5.0)), "warning, no Census alert on failed runs"),
        (known(false, None), "warning, no Census alert on failed runs; no Census alert on rejected records"),
        (VendorAlerts::Unknown, "not evaluated, Census alert settings unknown"),
    ];
    for (alerts, expected) in table {
        let mut observation = observed(every_30(), vec![run(minutes_ago(10), RunStatus::Completed)]);
        observation.sync.alerts = alerts;
        assert_eq!(judged(&observation, &seed(), now(), Check::VendorAlerts), expected);
    }
}

#[test]
fn silent_sync_is_one_finding_and_a_paused_one_blocks_it() {
    let pipeline = seed();
    let habits = crate::judge::silent::tests::habits(&pipeline);
    let update = pipeline.sync("properties-update").unwrap();
    // 12:00 in Los Angeles; records usually move from nine o'clock on.
    let now = at("2026-11-24T20:00:00Z");
    let silent = (0..25).map(|quarter| {
        let mut run = run(now - SignedDuration::from_mins(15 * quarter), RunStatus::Completed);
        (run.counts.processed, run.counts.updated) = (Some(0), Some(0));
        run
    });
    let mut observation = observed(ObservedSchedule::QuarterHourly, silent.collect());
    let judged = |observation: &SyncObservation| -> Vec<String> {
        let findings = judge_sync(observation, update, &pipeline.objectives, &habits, now);
        findings.iter().filter(|finding| finding.is_unhealthy()).map(ToString::to_string).collect()
    };
    let found = judged(&observation);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("silent-runs properties-update: error, no records for 3h 15m (13 runs)"));
    observation.sync.paused = Some(true);
    let paused = judged(&observation);
    assert!(paused.len() == 1 && paused[0].starts_with("sync-paused properties-update"), "{paused:?}");
}

#[test]
fn unread_runs_are_blocked_by_the_finding_that_explains_it() {
    let mut observation = observed(every_30(), Vec::new());
    let table = [
        (Unread::Unreachable("timeout".to_owned()), "not evaluated, blocked by api-reachable of census"),
        (Unread::Refused("401".to_owned()), "not evaluated, blocked by token-accepted of census"),
        (Unread::Unreadable("no list".to_owned()), "not evaluated, unreadable: no list"),
    ];
    for (why, expected) in table {
        observation.runs = Err(why);
        for check in Check::of(Judge::ScheduleVerification, SubjectKind::Runs) {
            assert_eq!(judged(&observation, &seed(), now(), check), expected);
        }
        assert!(findings(&observation, &seed(), now()).iter().all(|finding| !finding.is_unhealthy()));
    }
}

#[test]
fn runs_are_judged_by_census_clock_if_it_clearly_differs() {
    for (ahead, judged_at) in [
        (None, "2026-11-24T12:00:00Z"),
        (Some(120), "2026-11-24T12:00:00Z"),
        (Some(-120), "2026-11-24T12:00:00Z"),
        (Some(121), "2026-11-24T12:02:01Z"),
        (Some(-600), "2026-11-24T11:50:00Z"),
        (Some(600), "2026-11-24T12:10:00Z"),
    ] {
        assert_eq!(judging_time(now(), ahead.map(SignedDuration::from_secs)), at(judged_at));
    }
}
