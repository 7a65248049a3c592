use super::*;
use crate::finding::Outcome;
use crate::observation::{Counts, RejectedRecord, RunError, RunId, Samples};
use crate::pipeline::Pipeline;

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The seed's create sync: target 15 minutes, stuck after 45, error rate 5% on 20 records.
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

/// A run created so many minutes ago; a completed one took 5 minutes and sent 40 records.
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
        by_hand: None,
        error: None,
        full_sync: None,
    }
}

fn with_counts(minutes_ago: i64, counts: Counts) -> Run {
    Run { counts, ..run(minutes_ago, RunStatus::Completed) }
}

fn judged(runs: Vec<Run>, check: Check) -> String {
    let history = RunHistory { runs, complete: true, samples: None };
    let findings = judge_runs(&history, &sync(), now());
    let answered: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
    let expected = [Check::RunStuck, Check::RunFailed, Check::RunsSkipped, Check::ErrorRate, Check::Runtime];
    assert_eq!(answered, expected, "one finding of each check");
    let finding = findings.into_iter().find(|finding| finding.check == check).unwrap();
    finding.to_string().replacen(&format!("{check} properties-create: "), "", 1)
}

fn many(count: i64, status: &RunStatus) -> Vec<Run> {
    (0..count).map(|n| run(10 + 30 * n, status.clone())).collect()
}

#[test]
fn run_is_stuck_once_it_is_past_its_limit() {
    use RunStatus::{Completed, Queued, Unknown, Working};
    let table = [
        (vec![], "healthy, no run in progress"),
        (vec![run(10, Completed)], "healthy, no run in progress"),
        (vec![run(45, Working)], "healthy, run 99955 working for 45m (limit 45m)"),
        (vec![run(46, Working)], "error, run 99954 working for 46m (limit 45m)"),
        (vec![run(90, Working)], "error, run 99910 working for 1h 30m (limit 45m)"),
        (vec![run(91, Working)], "critical, run 99909 working for 1h 31m (limit 45m)"),
        (vec![run(46, Queued)], "error, run 99954 queued for 46m (limit 45m)"),
        (vec![run(46, Unknown("preparing".into()))], "error, run 99954 preparing for 46m (limit 45m)"),
        (vec![run(5, RunStatus::Skipped), run(60, Working)], "error, run 99940 working for 1h (limit 45m)"),
        // Stale in the answer behind a completed run.
        (vec![run(30, Completed), run(60, Working)], "healthy, no run in progress"),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::RunStuck), expected, "{runs:#?}");
    }
}

#[test]
fn cause_of_a_stuck_run_depends_on_its_state() {
    for (status, cause) in [
        (RunStatus::Queued, "Census has not started the run"),
        (RunStatus::Unknown("preparing".into()), "Census reports an unknown run state"),
        (RunStatus::Working, "The source query or the destination does not answer"),
    ] {
        let history = RunHistory { runs: vec![run(46, status)], complete: true, samples: None };
        let Outcome::Unhealthy { cause: found, .. } =
            judge_runs(&history, &sync(), now()).swap_remove(0).outcome
        else {
            panic!("not unhealthy");
        };
        assert!(found.starts_with(cause), "{found}");
    }
}

#[test]
fn skipped_runs_began_with_the_oldest_of_them() {
    let mut runs = many(3, &RunStatus::Skipped);
    runs.push(run(200, RunStatus::Completed));
    let history = RunHistory { runs, complete: true, samples: None };
    let findings = judge_runs(&history, &sync(), now());
    let skipped = findings.into_iter().find(|finding| finding.check == Check::RunsSkipped).unwrap();
    let Outcome::Unhealthy { evidence, .. } = skipped.outcome else { panic!("not unhealthy") };
    assert_eq!(evidence.since, Some(now() - SignedDuration::from_mins(70)));
}

#[test]
fn failed_run_has_the_number_of_failures_in_a_row() {
    use RunStatus::{Cancelled, Completed, Failed, Skipped, Working};
    let table = [
        (vec![], "not evaluated, waiting for a completed or failed run"),
        (vec![run(5, Working)], "not evaluated, waiting for a completed or failed run"),
        (vec![run(10, Completed), run(40, Failed)], "healthy, run 99990 of 2026-11-24 11:50 UTC completed"),
        (vec![run(10, Failed), run(40, Completed)], "error, run 99990 failed"),
        (vec![run(1, Working), run(10, Failed), run(40, Completed)], "error, run 99990 failed"),
        (vec![run(5, Skipped), run(7, Cancelled), run(10, Failed)], "error, run 99990 failed"),
        (
            vec![run(10, Failed), run(40, Failed)],
            "error, run 99990 failed; 2 failures in a row since 2026-11-24 11:20 UTC",
        ),
        (
            vec![run(10, Failed), run(20, Skipped), run(40, Failed), run(70, Failed), run(100, Completed)],
            "critical, run 99990 failed; 3 failures in a row since 2026-11-24 10:50 UTC",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::RunFailed), expected, "{runs:#?}");
    }
}

#[test]
fn failures_that_fill_the_page_are_a_lower_bound() {
    let history = RunHistory { runs: many(25, &RunStatus::Failed), complete: false, samples: None };
    let findings = judge_runs(&history, &sync(), now());
    let failed = findings.iter().find(|finding| finding.check == Check::RunFailed).unwrap();
    assert!(failed.to_string().contains("at least 25 failures in a row"), "{failed}");
}

#[test]
fn page_of_skipped_runs_does_not_hide_the_stuck_run() {
    let history = RunHistory { runs: many(25, &RunStatus::Skipped), complete: false, samples: None };
    let findings = judge_runs(&history, &sync(), now());
    assert_eq!(
        findings[0].to_string(),
        "run-stuck properties-create: not evaluated, run that blocks the newest 25 skipped runs unknown"
    );
    assert_eq!(findings[2].severity(), Some(Severity::Error), "{}", findings[2]);
}

fn failed_with(code: Option<&str>, message: Option<&str>) -> Finding {
    let error = RunError { code: code.map(str::to_owned), message: message.map(str::to_owned), detail: None };
    let failed = Run { error: Some(error), ..run(10, RunStatus::Failed) };
    let history = RunHistory { runs: vec![failed], complete: true, samples: None };
    judge_runs(&history, &sync(), now()).swap_remove(1)
}

/// The cause, then the figures from the class on.
fn explained(finding: Finding) -> Vec<String> {
    let Outcome::Unhealthy { cause, evidence, .. } = finding.outcome else { panic!("not unhealthy") };
    let of_reason = evidence.figures.into_iter().skip_while(|figure| figure.name != "error class");
    let figures = of_reason.map(|figure| format!("{}: {}", figure.name, figure.text()));
    [cause].into_iter().chain(figures).collect()
}

#[test]
fn failure_shows_its_class_the_vendors_message_and_a_remedy() {
    let column = failed_with(Some("X"), Some("A mapped source column has been deleted: email"));
    assert_eq!(
        explained(column),
        [
            "A column that the sync reads is missing from the source: the view or the table was changed. Census's \
             message: A mapped source column has been deleted: email. Remedy: Restore the column, or remove it from the \
             mapping in Census. Every run fails until then.",
            "error class: deleted-source-column",
            "error code: X",
        ]
    );
    assert_eq!(
        explained(failed_with(None, None)),
        ["Census gave no reason; check its sync history", "error class: unknown"]
    );
    let code_alone = explained(failed_with(Some("UNABLE_TO_LOCK_ROW"), None));
    assert!(code_alone[0].starts_with("Another process was writing the same records. Remedy: "));
}

#[test]
fn guess_names_the_likely_classes_and_no_specific_remedy() {
    let [cause, figures @ ..] = explained(failed_with(None, Some("access denied, invalid token")))
        .try_into()
        .unwrap_or([const { String::new() }; 3]);
    assert_eq!(
        cause,
        "Unrecognised error. Census's message: access denied, invalid token. It may be missing-permission or \
         login-refused. Remedy: Read the vendor's message and the sync history in Census, and wait for one more run \
         before you change anything."
    );
    assert_eq!(figures, ["error class: missing-permission", "certainty: guess"]);
}

#[test]
fn failures_with_a_shared_cause_are_one_group() {
    let table = [
        ("INVALID_LOGIN: Invalid username", Some("auth")),
        ("REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.", Some("rate-limit")),
        ("SERVER_UNAVAILABLE: Server too busy", Some("destination-down")),
        ("connect ECONNRESET", Some("destination-down")),
        ("[TABLE_OR_VIEW_NOT_FOUND] x", None),
        ("QUERY_TIMEOUT: Your query request was running for too long", None),
        ("A mapped source column has been deleted: email", None),
        ("gone", None),
        // A class that syncs share, but only a guess.
        ("access denied, invalid token", None),
    ];
    for (message, group) in table {
        assert_eq!(failed_with(None, Some(message)).group.as_deref(), group, "{message}");
    }
}

#[test]
fn vendors_message_is_one_bounded_line_without_record_values() {
    let message = format!("first ann@example.com\n\"Ann Smith\" {}", "ä".repeat(400));
    let cause = explained(failed_with(None, Some(&message))).swap_remove(0);
    assert!(
        cause.contains("Census's message: first [e-mail] \"[hidden]\" ä") && cause.contains("ä… Remedy: "),
        "{cause}"
    );
    assert!(!cause.contains('\n') && cause.chars().count() < 700, "{cause}");
}

fn rejecting(messages: &[Option<&str>]) -> RunHistory {
    let record = |(number, message): (usize, &Option<&str>)| RejectedRecord {
        identifier: Some(format!("P-{number}")),
        operation: None,
        status: "rejected".to_owned(),
        message: message.map(str::to_owned),
    };
    let records = messages.iter().enumerate().map(record).collect();
    RunHistory {
        runs: vec![with_counts(10, counts(50, 6, 0))],
        complete: true,
        samples: Some(Samples { run: RunId(99_990), records }),
    }
}

fn error_rate_of(history: &RunHistory) -> Finding {
    judge_runs(history, &sync(), now()).swap_remove(3)
}

#[test]
fn error_rate_shows_the_class_and_identifiers_of_its_samples() {
    let duplicate =
        "DUPLICATE_VALUE:duplicate value found: Key__c duplicates value on record with id: 001Vr00000m4eGC";
    let mut messages = vec![Some(duplicate); 9];
    messages.insert(2, Some("UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record"));
    let finding = error_rate_of(&rejecting(&messages));
    assert_eq!(finding.group, None);
    assert_eq!(
        finding.to_string(),
        "error-rate properties-create: error, 12% of 50 records rejected (limit 5%)"
    );
    assert_eq!(
        explained(finding),
        [
            "A record with the same value in a unique field already exists. Record message: \
             DUPLICATE_VALUE:duplicate value found: Key__c duplicates value on record with id: 001Vr00000m4eGC. Remedy: \
             Do not retry a create sync before its sync key is unique in the destination: it could create duplicates. \
             Merge the records first.",
            "error class: unique-value",
            "samples: 9 of 10 samples: duplicate value, 1: lock contention",
            "sampled run: 99990",
            "records: P-0, P-1, P-3, P-4, P-5 and 4 more",
        ]
    );
}

#[test]
fn error_rate_without_samples_is_still_reported() {
    let mut history = rejecting(&[]);
    let empty = explained(error_rate_of(&history));
    history.samples = None;
    assert_eq!(explained(error_rate_of(&history)), empty);
    assert!(empty.len() == 1 && empty[0].starts_with("The destination rejects records"), "{empty:?}");
    let wordless = explained(error_rate_of(&rejecting(&[None, None])));
    assert!(wordless[0].starts_with("Unrecognised error. Remedy: "), "{wordless:?}");
}

#[test]
fn samples_come_from_the_newest_run_that_exceeds_the_limit() {
    use RunStatus::{Completed, Failed, Working};
    let wanted = |runs: Vec<Run>| {
        let history = RunHistory { runs, complete: true, samples: None };
        let error_rate = judge_runs(&history, &sync(), now()).swap_remove(3);
        let run = run_to_sample(&history, &sync());
        assert_eq!(run.is_some(), error_rate.is_unhealthy(), "{error_rate}");
        run.map(|id| id.0)
    };
    assert_eq!(wanted(vec![]), None);
    assert_eq!(wanted(vec![run(10, Failed), run(40, Working)]), None);
    assert_eq!(wanted(vec![run(10, Completed), run(40, Completed)]), None);
    assert_eq!(wanted(vec![with_counts(10, counts(100, 5, 0))]), None);
    assert_eq!(wanted(vec![with_counts(10, counts(5, 1, 0))]), None);
    assert_eq!(wanted(vec![with_counts(10, Counts::default()), with_counts(40, counts(50, 9, 0))]), None);
    assert_eq!(
        wanted(vec![with_counts(10, counts(100, 6, 0)), with_counts(40, counts(100, 9, 0))]),
        Some(99_990)
    );
    // An idle run has no records to sample; the run with rejections before it has.
    assert_eq!(
        wanted(vec![with_counts(10, counts(0, 0, 0)), with_counts(40, counts(50, 6, 0))]),
        Some(99_960)
    );
    let at_least = Counts { processed: Some(50), failed: Some(6), ..Counts::default() };
    assert_eq!(wanted(vec![run(5, Working), with_counts(10, at_least)]), Some(99_990));
}

proptest::proptest! {
    #[test]
    fn no_value_of_a_record_is_in_a_finding(
        value in "[A-Za-z]{5,12} [A-Za-z]{5,12}",
        local in "[a-z]{3,12}",
        template in 0_usize..5,
    ) {
        let address = format!("{local}@example.com");
        let message = [
            format!("STRING_TOO_LONG:Company: data value too large: {value} (max length=4):Company__c --"),
            format!("INVALID_EMAIL_ADDRESS:Email: invalid email address: {address}:Email --"),
            format!("FIELD_CUSTOM_VALIDATION_EXCEPTION:\"{value}\" of {address} is not a company"),
            format!("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Type: bad value for restricted picklist field: {value}"),
            format!("Invalid value: {value}, {address}"),
        ]
        [template]
            .clone();
        let mut history = rejecting(&[Some(&message)]);
        if let Some(samples) = &mut history.samples {
            samples.records[0].identifier = Some(address.clone());
        }
        let failed = failed_with(Some(&value.replace(' ', "@")), Some(&message));
        for finding in [error_rate_of(&history), failed] {
            let json = serde_json::to_string(&finding).unwrap();
            for secret in [&value, &address] {
                proptest::prop_assert!(!json.contains(secret.as_str()), "{json}");
            }
        }
    }
}

#[test]
fn skipped_runs_are_unhealthy_from_their_limit_on() {
    use RunStatus::{Completed, Skipped, Working};
    let skipped = |count| {
        let mut runs = many(count, &Skipped);
        runs.push(run(40 + 30 * count, Completed));
        runs
    };
    assert_eq!(judged(skipped(2), Check::RunsSkipped), "healthy, 2 runs skipped in a row (limit 3)");
    assert_eq!(judged(skipped(3), Check::RunsSkipped), "warning, 3 runs skipped in a row (limit 3)");
    assert_eq!(judged(skipped(6), Check::RunsSkipped), "error, 6 runs skipped in a row (limit 3)");
    // The blocking run ended after the last of them was skipped.
    let long = Run { completed_at: Some(now() - SignedDuration::from_mins(5)), ..run(200, Completed) };
    let mut past = many(5, &Skipped);
    past.push(long);
    assert_eq!(judged(past, Check::RunsSkipped), "healthy, 0 runs skipped in a row (limit 3)");
    // Nor does a run that was skipped as the blocking one ended.
    let at_its_end = Run { completed_at: Some(now() - SignedDuration::from_mins(70)), ..run(200, Completed) };
    let mut past = many(5, &Skipped);
    past.push(at_its_end);
    assert_eq!(judged(past, Check::RunsSkipped), "healthy, 2 runs skipped in a row (limit 3)");
    let behind_a_stuck_run = vec![run(5, Skipped), run(20, Skipped), run(35, Skipped), run(50, Working)];
    assert_eq!(
        judged(behind_a_stuck_run, Check::RunsSkipped),
        "not evaluated, blocked by run-stuck of properties-create"
    );
}

#[test]
fn error_rate_is_failed_and_invalid_over_all_to_deliver() {
    let none = Counts::default();
    let table = [
        (vec![], "not evaluated, waiting for a completed run"),
        (vec![with_counts(10, counts(50, 0, 0))], "healthy, 0% of 50 records rejected (limit 5%)"),
        (vec![with_counts(10, counts(100, 5, 0))], "healthy, 5% of 100 records rejected (limit 5%)"),
        (vec![with_counts(10, counts(100, 4, 2))], "error, 5.9% of 102 records rejected (limit 5%)"),
        // Older answers count invalid records as processed.
        (
            vec![with_counts(10, Counts { updated: Some(80), ..counts(100, 15, 5) })],
            "error, 20% of 100 records rejected (limit 5%)",
        ),
        (
            vec![with_counts(10, Counts { updated: None, ..counts(100, 4, 2) })],
            "error, 6% of 100 records rejected (limit 5%)",
        ),
        (vec![with_counts(10, counts(100, 50, 0))], "critical, 50% of 100 records rejected (limit 5%)"),
        // Newer answers do not count invalid records as processed.
        (vec![with_counts(10, counts(0, 0, 30))], "critical, 100% of 30 records rejected (limit 5%)"),
        (vec![with_counts(10, counts(0, 0, 0))], "healthy, 0% of 0 records rejected (limit 5%)"),
        (vec![with_counts(10, none)], "not evaluated, record counts of run 99990 unknown"),
        (
            vec![with_counts(10, Counts { processed: Some(50), failed: Some(0), ..none })],
            "not evaluated, record counts of run 99990 unknown",
        ),
        (
            vec![with_counts(10, Counts { processed: Some(50), failed: Some(6), ..none })],
            "error, at least 12% of 50 records rejected (limit 5%)",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::ErrorRate), expected, "{runs:#?}");
    }
}

#[test]
fn small_runs_are_judged_together() {
    let table = [
        // 1 of 5 alone would be 20%.
        (
            vec![with_counts(10, counts(5, 1, 0)), with_counts(40, counts(40, 0, 0))],
            "healthy, 2.2% of 45 records rejected (limit 5%)",
        ),
        (
            vec![with_counts(10, counts(5, 1, 0)), with_counts(40, counts(15, 2, 0))],
            "error, 15% of 20 records rejected (limit 5%)",
        ),
        // An idle run does not hide the bad one before it.
        (
            vec![with_counts(10, counts(0, 0, 0)), with_counts(40, counts(50, 6, 0))],
            "error, 12% of 50 records rejected (limit 5%)",
        ),
        (
            vec![with_counts(10, counts(5, 1, 0))],
            "not evaluated, error rate of only 5 records (1 rejected) unknown",
        ),
        (vec![with_counts(10, counts(3, 3, 0))], "critical, 100% of 3 records rejected (limit 5%)"),
        // All of them, but too few for a share.
        (
            vec![with_counts(10, counts(2, 2, 0))],
            "not evaluated, error rate of only 2 records (2 rejected) unknown",
        ),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::ErrorRate), expected, "{runs:#?}");
    }
}

#[test]
fn error_rate_shows_how_many_runs_it_is_of() {
    let of = |runs| {
        let history = RunHistory { runs, complete: true, samples: None };
        let finding = error_rate_of(&history);
        let Outcome::Unhealthy { evidence, .. } = finding.outcome else { panic!("{finding}") };
        evidence.figures.iter().find(|figure| figure.name == "runs judged together").map(Figure::text)
    };
    let small = || with_counts(10, counts(5, 1, 0));
    assert_eq!(of(vec![small(), with_counts(40, counts(15, 2, 0))]).as_deref(), Some("2"));
    assert_eq!(of(vec![with_counts(10, counts(50, 6, 0)), small()]).as_deref(), Some("1"));
}

#[test]
fn runtime_over_its_target_is_a_warning_during_and_after_a_run() {
    use RunStatus::{Completed, Working};
    let ended =
        |ago| Run { completed_at: Some(now() - SignedDuration::from_mins(ago)), ..run(30, Completed) };
    let (on_target, long) = (ended(15), ended(10));
    let endless = Run { completed_at: None, ..run(30, Completed) };
    let table = [
        (vec![run(10, Completed)], "healthy, run 99990 took 5m (target 15m)"),
        (vec![on_target], "healthy, run 99970 took 15m (target 15m)"),
        (vec![long], "warning, run 99970 took 20m (target 15m)"),
        (
            vec![run(16, Working), run(40, Completed)],
            "warning, run 99984 still in progress after 16m (target 15m)",
        ),
        (vec![run(15, Working), run(40, Completed)], "healthy, run 99960 took 5m (target 15m)"),
        (vec![run(60, Working)], "not evaluated, blocked by run-stuck of properties-create"),
        (vec![endless], "not evaluated, end of run 99970 unknown"),
        (vec![], "not evaluated, waiting for a completed run"),
    ];
    for (runs, expected) in table {
        assert_eq!(judged(runs.clone(), Check::Runtime), expected, "{runs:#?}");
    }
}

#[test]
fn run_from_the_future_is_healthy() {
    let ahead = run(-10, RunStatus::Working);
    assert_eq!(judged(vec![ahead], Check::RunStuck), "healthy, run 100010 working for 0s (limit 45m)");
}
