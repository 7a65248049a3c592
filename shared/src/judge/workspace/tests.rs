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
fn a_sync_that_the_whole_list_does_not_show_is_gone_and_one_that_a_broken_list_does_not_show_is_not() {
    let sync = &seed().syncs[0];
    let gone = judge_absent(sync, None);
    let unhealthy: Vec<String> = gone.iter().filter(|f| f.is_unhealthy()).map(ToString::to_string).collect();
    assert_eq!(unhealthy, ["sync-exists properties-create: critical, Census has no sync 3394022"]);
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

fn workspace_said(workspace: &Workspace) -> Vec<String> {
    judge_workspace(workspace, Undeclared::Warn).iter().map(ToString::to_string).collect()
}

#[test]
fn a_workspace_in_order_is_healthy() {
    let workspace =
        Workspace { listed: 2, vendor_clock_ahead: Some(SignedDuration::ZERO), ..Workspace::default() };
    assert_eq!(
        workspace_said(&workspace),
        [
            "api-reachable census: healthy, Census lists 2 syncs",
            "token-accepted census: healthy, Census accepts our token",
            "clock-skew census: healthy, the clock of Census is 0s ahead of ours",
            "undeclared-syncs census: healthy, 0 syncs of the workspace are not declared",
        ]
    );
}

#[test]
fn census_being_down_is_one_finding() {
    let trouble = Some(Unread::Unreachable("list syncs: timeout".to_owned()));
    let workspace = Workspace { trouble, ..Workspace::default() };
    assert_eq!(
        workspace_said(&workspace),
        [
            "api-reachable census: critical, Census does not answer: list syncs: timeout",
            "token-accepted census: not evaluated, held under api-reachable of census",
            "clock-skew census: not evaluated, held under api-reachable of census",
            "undeclared-syncs census: not evaluated, held under api-reachable of census",
        ]
    );
}

#[test]
fn a_sync_about_which_census_does_not_answer_is_not_census_being_down() {
    let trouble = Some(Unread::Unreachable("list runs: Census answered 500".to_owned()));
    let workspace =
        Workspace { listed: 2, read_to_end: true, unread_runs: 1, trouble, ..Workspace::default() };
    let said = workspace_said(&workspace);
    assert_eq!(
        said[0],
        "api-reachable census: error, Census lists the syncs and does not give the runs of some: list runs: Census answered 500"
    );
}

#[test]
fn a_refused_token_is_one_finding_and_census_itself_is_up() {
    let workspace = Workspace { trouble: Some(Unread::Refused("401".to_owned())), ..Workspace::default() };
    let said = workspace_said(&workspace);
    assert_eq!(said[0], "api-reachable census: healthy, Census answers");
    assert_eq!(said[1], "token-accepted census: critical, Census refuses our token: 401");
}

#[test]
fn a_token_that_cannot_be_had_is_one_finding_and_says_nothing_of_census() {
    let trouble = Some(Unread::NoCredentials("secret x: it is empty".to_owned()));
    let said = workspace_said(&Workspace { trouble, ..Workspace::default() });
    assert_eq!(said[0], "api-reachable census: not evaluated, held under token-accepted of census");
    assert_eq!(
        said[1],
        "token-accepted census: critical, there is no token to ask Census with: secret x: it is empty"
    );
}

#[test]
fn undeclared_syncs_are_named_up_to_a_limit() {
    let undeclared = (1..=10).map(SyncId).collect();
    let workspace = Workspace { listed: 14, undeclared, undeclared_count: 12, ..Workspace::default() };
    let finding = judge_workspace(&workspace, Undeclared::Warn).pop().unwrap();
    assert_eq!(
        finding.to_string(),
        "undeclared-syncs census: info, 12 syncs of the workspace are not declared"
    );
    let crate::finding::Outcome::Unhealthy { evidence, .. } = finding.outcome else {
        panic!("not unhealthy")
    };
    assert_eq!(evidence.figures[0].text(), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    let ignored = judge_workspace(&workspace, Undeclared::Ignore).pop().unwrap();
    assert!(!ignored.is_unhealthy());
}

#[test]
fn clocks_that_differ_by_more_than_two_minutes_are_told() {
    for (seconds, unhealthy) in [(0, false), (120, false), (121, true), (-120, false), (-121, true)] {
        let vendor_clock_ahead = Some(SignedDuration::from_secs(seconds));
        let workspace = Workspace { vendor_clock_ahead, ..Workspace::default() };
        let findings = judge_workspace(&workspace, Undeclared::Warn);
        let skew = findings.iter().find(|finding| finding.check == Check::ClockSkew).unwrap();
        assert_eq!(skew.is_unhealthy(), unhealthy, "{seconds} s");
    }
}

#[test]
fn dead_letters_are_told_notices_first_and_what_cannot_be_counted_is_no_zero() {
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
        let said = judge_dead_letters(&[
            queue(DeadLetterKind::Deliveries, deliveries),
            queue(DeadLetterKind::Notices, notices),
        ])
        .to_string();
        assert!(said.contains(expected), "{deliveries:?} {notices:?}: {said}");
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
    let deaf = || topic("alarms", Some("email=2"), &[]);
    let untagged = || topic("page", None, &[]);
    let table = [
        (vec![whole(), topic("page", Some("https=0"), &[])], "healthy"),
        (vec![whole(), short()], "error, notices has 1 of 2 email confirmed subscribers"),
        (vec![deaf(), whole()], "critical, alarms has 0 of 2 email"),
        (vec![short(), deaf()], "critical, notices has 1 of 2 email; alarms has 0 of 2 email"),
        (vec![whole(), untagged()], "nothing to judge yet: the tag of topic page"),
        (vec![untagged(), deaf()], "critical"),
        (vec![whole(), denied.clone()], "unreadable: denied"),
        (vec![denied, short()], "error"),
    ];
    for (topics, expected) in table {
        let said = judge_subscribers(&topics).to_string();
        assert!(said.contains(expected), "{said}");
    }
}
