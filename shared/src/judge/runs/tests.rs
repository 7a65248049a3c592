use super::*;
use crate::observation::{Counts, RunError, RunId};
use crate::pipeline::Pipeline;

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The seed's create sync: target 15 minutes, stuck after 45, error rate 5 % on 20 records.
fn sync() -> Sync {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap().syncs.swap_remove(0)
}

fn counts(processed: u64, failed: u64, invalid: u64) -> Counts {
    Counts {
        source: Some(processed + invalid),
        processed: Some(processed),
        updated: Some(processed.saturating_sub(failed)),
        failed: Some(failed),
        invalid: Some(invalid),
    }
}

/// A run that was created so many minutes ago; a completed one took 5 minutes and moved 40 records.
fn run(minutes_ago: i64, status: RunStatus) -> Run {
    let created_at = now() - SignedDuration::from_mins(minutes_ago);
    let completed = status == RunStatus::Completed;
    Run {
        id: RunId(u64::try_from(100_000 - minutes_ago).unwrap()),
        sync_id: None,
        completed_at: completed.then(|| created_at + SignedDuration::from_mins(5)),
        counts: if completed { counts(40, 0, 0) } else { Counts::default() },
        status,
        created_at,
        scheduled_for: None,
        error: None,
        full_sync: None,
    }
}

fn with_counts(minutes_ago: i64, counts: Counts) -> Run {
    Run { counts, ..run(minutes_ago, RunStatus::Completed) }
}

fn judged(runs: Vec<Run>, check: Check) -> String {
    let history = RunHistory { runs, complete: true };
    let findings = judge_runs(&history, &sync(), now());
    assert_eq!(findings.iter().map(|finding| finding.check).collect::<Vec<_>>(), RUN_CHECKS);
    let finding = findings.into_iter().find(|finding| finding.check == check).unwrap();
    finding.to_string().replacen(&format!("{check} properties-create: "), "", 1)
}

fn many(count: i64, status: &RunStatus) -> Vec<Run> {
    (0..count).map(|n| run(10 + 30 * n, status.clone())).collect()
}

#[test]
fn a_run_is_stuck_once_it_works_past_its_limit() {
    use RunStatus::{Completed, Queued, Unknown, Working};
    let table = [
        (vec![], "healthy, no run is at work"),
        (vec![run(10, Completed)], "healthy, no run is at work"),
        (vec![run(45, Working)], "healthy, run 99955 is working for 45m, limit 45m"),
        (vec![run(46, Working)], "error, run 99954 is working for 46m, limit 45m"),
        (vec![run(91, Working)], "critical, run 99909 is working for 1h 31m, limit 45m"),
        (vec![run(46, Queued)], "error, run 99954 is queued for 46m, limit 45m"),
        (vec![run(46, Unknown("preparing".into()))], "error, run 99954 is preparing for 46m, limit 45m"),
        (vec![run(5, RunStatus::Skipped), run(60, Working)], "error, run 99940 is working for 1h, limit 45m"),
        // Left over in the answer behind a completed run.
        (vec![run(30, Completed), run(60, Working)], "healthy, no run is at work"),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::RunStuck), expected, "{runs:#?}");
    }
}

#[test]
fn a_failure_is_told_with_how_many_came_in_a_row() {
    use RunStatus::{Cancelled, Completed, Failed, Skipped, Working};
    let table = [
        (vec![], "not evaluated, nothing to judge yet: a run that completed or failed"),
        (vec![run(5, Working)], "not evaluated, nothing to judge yet: a run that completed or failed"),
        (vec![run(10, Completed), run(40, Failed)], "healthy, run 99990 of 2026-11-24 11:50 UTC completed"),
        (vec![run(10, Failed), run(40, Completed)], "error, run 99990 failed"),
        (vec![run(1, Working), run(10, Failed), run(40, Completed)], "error, run 99990 failed"),
        (vec![run(5, Skipped), run(7, Cancelled), run(10, Failed)], "error, run 99990 failed"),
        (
            vec![run(10, Failed), run(40, Failed)],
            "error, run 99990 failed, 2 in a row since 2026-11-24 11:20 UTC",
        ),
        (
            vec![run(10, Failed), run(20, Skipped), run(40, Failed), run(70, Failed), run(100, Completed)],
            "critical, run 99990 failed, 3 in a row since 2026-11-24 10:50 UTC",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::RunFailed), expected, "{runs:#?}");
    }
}

#[test]
fn a_row_of_failures_that_fills_the_page_is_at_least_that_long() {
    let history = RunHistory { runs: many(25, &RunStatus::Failed), complete: false };
    let findings = judge_runs(&history, &sync(), now());
    let failed = findings.iter().find(|finding| finding.check == Check::RunFailed).unwrap();
    assert!(failed.to_string().contains("at least 25 in a row"), "{failed}");
}

#[test]
fn a_page_of_skipped_runs_does_not_hide_the_stuck_run_behind_it() {
    let history = RunHistory { runs: many(25, &RunStatus::Skipped), complete: false };
    let findings = judge_runs(&history, &sync(), now());
    assert_eq!(
        findings[0].to_string(),
        "run-stuck properties-create: not evaluated, the run that the newest 25 skipped ones wait for unknown"
    );
    assert_eq!(findings[2].severity(), Some(Severity::Error), "{}", findings[2]);
}

#[test]
fn the_vendors_words_become_the_cause_on_one_bounded_line() {
    let error = RunError {
        code: Some("X".into()),
        message: Some(format!("first\n{}", "ä".repeat(400))),
        detail: None,
    };
    let failed = Run { error: Some(error), ..run(10, RunStatus::Failed) };
    let history = RunHistory { runs: vec![failed], complete: true };
    let finding = judge_runs(&history, &sync(), now()).swap_remove(1);
    let crate::finding::Outcome::Unhealthy { cause, .. } = finding.outcome else { panic!("not unhealthy") };
    assert!(
        cause.starts_with("Census says: first ä") && cause.ends_with('…') && !cause.contains('\n'),
        "{cause}"
    );
    assert_eq!(cause.chars().count(), "Census says: ".len() + 301);
}

#[test]
fn skipped_runs_are_told_from_the_limit_on_unless_a_stuck_run_explains_them() {
    use RunStatus::{Completed, Skipped, Working};
    let skipped = |count| {
        let mut runs = many(count, &Skipped);
        runs.push(run(40 + 30 * count, Completed));
        runs
    };
    assert_eq!(judged(skipped(2), Check::RunsSkipped), "healthy, 2 runs skipped in a row, limit 3");
    assert_eq!(judged(skipped(3), Check::RunsSkipped), "warning, 3 runs skipped in a row, limit 3");
    assert_eq!(judged(skipped(6), Check::RunsSkipped), "error, 6 runs skipped in a row, limit 3");
    // The run in the way took until after the last of them: the way is free again.
    let long = Run { completed_at: Some(now() - SignedDuration::from_mins(5)), ..run(200, Completed) };
    let mut over = many(5, &Skipped);
    over.push(long);
    assert_eq!(judged(over, Check::RunsSkipped), "healthy, 0 runs skipped in a row, limit 3");
    let behind_a_stuck_run = vec![run(5, Skipped), run(20, Skipped), run(35, Skipped), run(50, Working)];
    assert_eq!(
        judged(behind_a_stuck_run, Check::RunsSkipped),
        "not evaluated, held under run-stuck of properties-create"
    );
}

#[test]
fn an_error_rate_is_failed_and_invalid_over_processed() {
    let none = Counts::default();
    let table = [
        (vec![], "not evaluated, nothing to judge yet: a completed run"),
        (
            vec![with_counts(10, counts(50, 0, 0))],
            "healthy, 0.0 % of 50 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(100, 5, 0))],
            "healthy, 5.0 % of 100 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(100, 4, 2))],
            "error, 6.0 % of 100 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(100, 50, 0))],
            "critical, 50.0 % of 100 records failed or were invalid, limit 5 %",
        ),
        // Newer answers do not count invalid records as processed.
        (
            vec![with_counts(10, counts(0, 0, 30))],
            "critical, 100.0 % of 30 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(0, 0, 0))],
            "healthy, 0.0 % of 0 records failed or were invalid, limit 5 %",
        ),
        (vec![with_counts(10, none)], "not evaluated, the record counts of run 99990 unknown"),
        (
            vec![with_counts(10, Counts { processed: Some(50), failed: Some(0), ..none })],
            "not evaluated, the record counts of run 99990 unknown",
        ),
        (
            vec![with_counts(10, Counts { processed: Some(50), failed: Some(6), ..none })],
            "error, at least 12.0 % of 50 records failed or were invalid, limit 5 %",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::ErrorRate), expected, "{runs:#?}");
    }
}

#[test]
fn small_runs_are_judged_together_until_there_are_enough_records() {
    let table = [
        // 1 of 5 alone would be 20 %.
        (
            vec![with_counts(10, counts(5, 1, 0)), with_counts(40, counts(40, 0, 0))],
            "healthy, 2.2 % of 45 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(5, 1, 0)), with_counts(40, counts(15, 2, 0))],
            "error, 15.0 % of 20 records failed or were invalid, limit 5 %",
        ),
        // An idle run does not hide the bad one before it.
        (
            vec![with_counts(10, counts(0, 0, 0)), with_counts(40, counts(50, 6, 0))],
            "error, 12.0 % of 50 records failed or were invalid, limit 5 %",
        ),
        (
            vec![with_counts(10, counts(5, 1, 0))],
            "not evaluated, a share worth the name (1 of only 5 records failed) unknown",
        ),
        (
            vec![with_counts(10, counts(3, 3, 0))],
            "critical, 100.0 % of 3 records failed or were invalid, limit 5 %",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::ErrorRate), expected, "{runs:#?}");
    }
}

#[test]
fn a_runtime_over_its_target_is_told_while_the_run_works_and_after() {
    use RunStatus::{Completed, Working};
    let long = Run { completed_at: Some(now() - SignedDuration::from_mins(10)), ..run(30, Completed) };
    let endless = Run { completed_at: None, ..run(30, Completed) };
    let table = [
        (vec![run(10, Completed)], "healthy, run 99990 took 5m, target 15m"),
        (vec![long], "warning, run 99970 took 20m, target 15m"),
        (
            vec![run(16, Working), run(40, Completed)],
            "warning, run 99984 is still at work after 16m, target 15m",
        ),
        (vec![run(15, Working), run(40, Completed)], "healthy, run 99960 took 5m, target 15m"),
        (vec![run(60, Working)], "not evaluated, held under run-stuck of properties-create"),
        (vec![endless], "not evaluated, the end of run 99970 unknown"),
        (vec![], "not evaluated, nothing to judge yet: a completed run"),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::Runtime), expected, "{runs:#?}");
    }
}

#[test]
fn a_run_from_the_future_is_judged_without_harm() {
    let ahead = run(-10, RunStatus::Working);
    assert_eq!(judged(vec![ahead], Check::RunStuck), "healthy, run 100010 is working for 0s, limit 45m");
}
