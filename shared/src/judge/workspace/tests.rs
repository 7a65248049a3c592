use jiff::SignedDuration;

use super::*;
use crate::finding::{Judge, SubjectKind};
use crate::judge::{judge_absent, judge_dead_letters, judge_subscribers};
use crate::observation::{DeadLetterKind, DeadLetters, Subscribers, SyncId, TopicSubscribers};
use crate::pipeline::Pipeline;

const SEED: &str = include_str!("../../../../infra/pipeline.toml");

fn seed() -> Pipeline {
    Pipeline::parse(SEED).unwrap()
}

#[test]
fn missing_sync_is_critical_and_unread_one_is_not() {
    let sync = &seed().syncs[0];
    let gone = judge_absent(sync, None);
    let unhealthy: Vec<String> = gone.iter().filter(|f| f.is_unhealthy()).map(ToString::to_string).collect();
    assert_eq!(unhealthy, ["sync-exists properties-create: critical, not found in Census (sync 3394022)"]);
    let broken = judge_absent(sync, Some(&Unread::Unreachable("timeout".to_owned())));
    assert!(broken.iter().all(|finding| !finding.is_unhealthy()));
    for findings in [gone, broken] {
        let mut checks: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
        let kinds = [SubjectKind::Sync, SubjectKind::Runs];
        let mut expected: Vec<Check> =
            kinds.into_iter().flat_map(|kind| Check::of(Judge::ScheduleVerification, kind)).collect();
        checks.sort();
        expected.sort();
        assert_eq!(checks, expected);
    }
}

fn findings_of(workspace: &Workspace) -> Vec<String> {
    judge_workspace(workspace, Undeclared::Warn).iter().map(ToString::to_string).collect()
}

#[test]
fn workspace_without_faults_is_healthy() {
    let workspace =
        Workspace { listed: 2, vendor_clock_ahead: Some(SignedDuration::ZERO), ..Workspace::default() };
    assert_eq!(
        findings_of(&workspace),
        [
            "api-reachable census: healthy, API lists 2 syncs",
            "token-accepted census: healthy, token accepted",
            "clock-skew census: healthy, clock is 0s ahead of ours (limit 2m)",
            "undeclared-syncs census: healthy, 0 undeclared syncs in the workspace",
        ]
    );
}

#[test]
fn census_being_down_is_one_finding() {
    let trouble = Some(Unread::Unreachable("list syncs: timeout".to_owned()));
    let workspace = Workspace { trouble, ..Workspace::default() };
    assert_eq!(
        findings_of(&workspace),
        [
            "api-reachable census: critical, API does not answer (list syncs: timeout)",
            "token-accepted census: not evaluated, blocked by api-reachable of census",
            "clock-skew census: not evaluated, blocked by api-reachable of census",
            "undeclared-syncs census: not evaluated, blocked by api-reachable of census",
        ]
    );
}

#[test]
fn unread_runs_of_some_syncs_are_an_error_not_an_outage() {
    let trouble = Some(Unread::Unreachable("list runs: Census answered 500".to_owned()));
    let workspace =
        Workspace { listed: 2, read_to_end: true, unread_runs: 1, trouble, ..Workspace::default() };
    let found = findings_of(&workspace);
    assert_eq!(
        found[0],
        "api-reachable census: error, API lists all syncs but not the runs of some (list runs: Census answered 500)"
    );
}

#[test]
fn refused_token_is_one_finding_and_the_api_is_healthy() {
    let workspace = Workspace { trouble: Some(Unread::Refused("401".to_owned())), ..Workspace::default() };
    let found = findings_of(&workspace);
    assert_eq!(found[0], "api-reachable census: healthy, API answers");
    assert_eq!(found[1], "token-accepted census: critical, API token refused (401)");
}

#[test]
fn unavailable_token_is_one_finding_that_blocks_the_api_check() {
    let trouble = Some(Unread::NoCredentials("secret x: it is empty".to_owned()));
    let found = findings_of(&Workspace { trouble, ..Workspace::default() });
    assert_eq!(found[0], "api-reachable census: not evaluated, blocked by token-accepted of census");
    assert_eq!(found[1], "token-accepted census: critical, API token unavailable (secret x: it is empty)");
}

#[test]
fn undeclared_syncs_are_named_up_to_a_limit() {
    let undeclared = (1..=10).map(SyncId).collect();
    let workspace = Workspace { listed: 14, undeclared, undeclared_count: 12, ..Workspace::default() };
    let finding = judge_workspace(&workspace, Undeclared::Warn).pop().unwrap();
    assert_eq!(finding.to_string(), "undeclared-syncs census: info, 12 undeclared syncs in the workspace");
    let crate::finding::Outcome::Unhealthy { evidence, .. } = finding.outcome else {
        panic!("not unhealthy")
    };
    assert_eq!(evidence.figures[0].text(), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    let ignored = judge_workspace(&workspace, Undeclared::Ignore).pop().unwrap();
    assert!(!ignored.is_unhealthy());
}

#[test]
fn clock_skew_beyond_two_minutes_is_unhealthy() {
    for (seconds, unhealthy) in [(0, false), (120, false), (121, true), (-120, false), (-121, true)] {
        let vendor_clock_ahead = Some(SignedDuration::from_secs(seconds));
        let workspace = Workspace { vendor_clock_ahead, ..Workspace::default() };
        let findings = judge_workspace(&workspace, Undeclared::Warn);
        let skew = findings.iter().find(|finding| finding.check == Check::ClockSkew).unwrap();
        assert_eq!(skew.is_unhealthy(), unhealthy, "{seconds} s");
    }
}

#[test]
fn dead_notices_are_errors_and_uncounted_queues_are_not_zero() {
    let queue = |kind, count: Result<Option<u64>, &str>| DeadLetters {
        kind,
        count: count.map_err(ToOwned::to_owned),
    };
    let table = [
        (Ok(Some(0)), Ok(Some(0)), "healthy"),
        (Ok(Some(2)), Ok(Some(0)), "warning"),
        (Ok(Some(2)), Ok(Some(1)), "error"),
        (Err("denied"), Ok(Some(1)), "error"),
        (Ok(Some(1)), Err("denied"), "warning"),
        (Ok(Some(0)), Err("denied"), "unreadable: denied"),
        (Ok(None), Ok(Some(0)), "unknown"),
    ];
    for (deliveries, notices, expected) in table {
        let found = judge_dead_letters(&[
            queue(DeadLetterKind::Deliveries, deliveries),
            queue(DeadLetterKind::Notices, notices),
        ])
        .to_string();
        assert!(found.contains(expected), "{deliveries:?} {notices:?}: {found}");
    }
}

#[test]
fn missing_subscribers_are_an_error_and_none_left_is_critical() {
    let topic = |name: &str, needed: Option<&str>, confirmed: &[&str]| TopicSubscribers {
        topic: name.to_owned(),
        found: Ok((
            needed.map(|tag| Subscribers::parse(tag).unwrap()),
            Subscribers::counted(confirmed.iter().copied()),
        )),
    };
    let denied = TopicSubscribers { topic: "page".to_owned(), found: Err("denied".to_owned()) };
    let whole = || topic("notices", Some("email=2 sqs=1"), &["email", "email", "sqs"]);
    let short = || topic("notices", Some("email=2 sqs=1"), &["email", "sqs"]);
    let none_left = || topic("alarms", Some("email=2"), &[]);
    let untagged = || topic("page", None, &[]);
    let table = [
        (vec![whole(), topic("page", Some("https=0"), &[])], "healthy"),
        (vec![whole(), short()], "error, topic notices has 1 of 2 email subscribers confirmed"),
        (vec![none_left(), whole()], "critical, topic alarms has 0 of 2 email subscribers confirmed"),
        (vec![short(), none_left()], "email subscribers confirmed; topic alarms has 0 of 2 email"),
        (vec![whole(), untagged()], "waiting for the tag of topic page"),
        (vec![untagged(), none_left()], "critical"),
        (vec![whole(), denied.clone()], "unreadable: denied"),
        (vec![denied, short()], "error"),
    ];
    for (topics, expected) in table {
        let found = judge_subscribers(&topics).to_string();
        assert!(found.contains(expected), "{found}");
    }
}
