use std::collections::HashMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::finding::Check;
use crate::incident::{Agreement, Instants, REMEMBERED, SENDING_LEASE};
use crate::schedule::{Cron, Rule, Schedule};
use crate::silence::Scope;

const SUBJECT: &str = "properties-create";

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + minutes * 60).unwrap()
}

fn unhealthy(severity: Severity) -> Finding {
    of(Check::SyncPaused, severity)
}

fn of(check: Check, severity: Severity) -> Finding {
    check.about(SUBJECT).unhealthy(severity, Evidence::new("paused"), "a user paused it")
}

fn healthy() -> Finding {
    Check::SyncPaused.about(SUBJECT).healthy(Evidence::new("not paused"))
}

fn not_evaluated() -> Finding {
    let what = "pause state".to_owned();
    Check::SyncPaused.about(SUBJECT).not_evaluated(WhyNot::UnknownFigures { what })
}

fn under() -> Finding {
    let why = WhyNot::Under { cause: Check::ApiReachable, subject: "census".to_owned() };
    Check::SyncPaused.about(SUBJECT).not_evaluated(why)
}

fn silence(id: &str, from: i64, until: i64) -> Silence {
    Silence {
        id: id.to_owned(),
        owner: "Ada".to_owned(),
        reason: "release".to_owned(),
        scope: Scope::default(),
        from: at(from),
        until: at(until),
        declared: false,
    }
}

/// (kind of decision, reason) as text, for tables.
fn text(decision: &Decision) -> String {
    match decision {
        Decision::Rest(reason) => format!("rest {reason:?}"),
        Decision::Note { reason, .. } => format!("note {reason:?}"),
        Decision::Notify { reason, kind, .. } => format!("{kind} {reason:?}"),
    }
}

/// The incident after its notice was sent at once.
fn sent(incident: &Incident) -> Incident {
    incident.with_notice_sent(incident.pending.unwrap().since)
}

/// One key, its store and its circumstances; every notice is delivered immediately.
struct Life {
    stored: Option<Incident>,
    policy: NoticePolicy,
    silences: Vec<Silence>,
    cause: Option<IncidentKey>,
    urgency: Urgency<'static>,
}

impl Life {
    fn new() -> Self {
        Self {
            stored: None,
            policy: NoticePolicy::default(),
            silences: Vec::new(),
            cause: None,
            urgency: Urgency::AS_JUDGED,
        }
    }

    fn decide(&self, finding: &Finding, minute: i64) -> Decision {
        let now = at(minute);
        let silence = crate::silence::covering(&self.silences, finding.check, &finding.subject, now);
        let circumstances = Circumstances {
            pipeline: "p",
            policy: &self.policy,
            silence,
            cause: self.cause.as_ref(),
            urgency: self.urgency,
            now,
        };
        decide(finding, self.stored.as_ref(), &circumstances)
    }

    fn carry_out(&mut self, decision: &Decision) -> String {
        let text = text(decision);
        match decision {
            Decision::Rest(_) => {}
            Decision::Note { incident, .. } => self.stored = Some(incident.as_ref().clone()),
            Decision::Notify { incident, .. } => self.stored = Some(sent(incident)),
        }
        text
    }

    fn see(&mut self, finding: &Finding, minute: i64) -> String {
        let decision = self.decide(finding, minute);
        self.carry_out(&decision)
    }

    fn incident(&self) -> &Incident {
        self.stored.as_ref().unwrap()
    }
}

fn opened() -> Life {
    let mut life = Life::new();
    assert_eq!(life.see(&unhealthy(Severity::Error), 0), "opened FirstFound");
    life
}

fn resolved() -> Life {
    let mut life = opened();
    assert_eq!(life.see(&healthy(), 1), "resolved HealthyAgain");
    life
}

#[test]
fn each_finding_and_each_stored_state_has_its_decision() {
    let table = [
        (unhealthy(Severity::Error), Life::new(), "opened FirstFound"),
        (unhealthy(Severity::Error), resolved(), "opened FoundAgain"),
        (unhealthy(Severity::Error), opened(), "rest AlreadyKnown"),
        (unhealthy(Severity::Warning), opened(), "rest AlreadyKnown"),
        (unhealthy(Severity::Critical), opened(), "worsened MoreSevere"),
        (healthy(), Life::new(), "rest NothingOpen"),
        (healthy(), resolved(), "rest NothingOpen"),
        (healthy(), opened(), "resolved HealthyAgain"),
        (not_evaluated(), Life::new(), "rest NotEvaluated"),
        (not_evaluated(), opened(), "rest NotEvaluated"),
        (under(), opened(), "rest UnderCause"),
    ];
    for (finding, mut life, expected) in table {
        assert_eq!(life.see(&finding, 2), expected, "{finding}");
    }
}

#[test]
fn incident_keeps_its_key_and_counts_generations_and_notices() {
    let mut life = resolved();
    assert_eq!(life.incident().notice_id(), "p/sync-paused/properties-create#1.2");
    life.see(&unhealthy(Severity::Error), 120);
    let again = life.incident();
    assert_eq!(again.notice_id(), "p/sync-paused/properties-create#2.1");
    assert_eq!((again.opened_at, again.resolved_at), (at(120), None));
    assert_eq!(IncidentKey::parse(&again.key.to_string()), Some(again.key.clone()));
}

#[test]
fn every_decision_replaces_the_version_that_it_read() {
    let Decision::Notify { incident, replaces, .. } = Life::new().decide(&unhealthy(Severity::Error), 0)
    else {
        panic!("not opened");
    };
    assert_eq!((incident.version, replaces), (1, None), "nothing was stored");
    let life = opened();
    for finding in [healthy(), unhealthy(Severity::Critical), unhealthy(Severity::Error)] {
        match life.decide(&finding, 300) {
            Decision::Notify { incident, replaces, .. } | Decision::Note { incident, replaces, .. } => {
                assert_eq!(replaces, Some(life.incident().version));
                assert_eq!(incident.version, life.incident().version + 1);
            }
            Decision::Rest(reason) => panic!("{finding}: {reason:?}"),
        }
    }
}

#[test]
fn finding_older_than_the_stored_one_is_overtaken() {
    let mut life = opened();
    assert_eq!(life.see(&unhealthy(Severity::Error), 30), "note StillReporting");
    for (minute, expected) in [(29, "rest Overtaken"), (30, "resolved HealthyAgain")] {
        assert_eq!(text(&life.decide(&healthy(), minute)), expected, "minute {minute}");
    }
}

#[test]
fn unrecorded_notice_is_sent_again_after_its_lease() {
    let mut life = Life::new();
    let Decision::Notify { incident, .. } = life.decide(&unhealthy(Severity::Error), 0) else {
        panic!("not opened");
    };
    let name = incident.notice_id();
    life.stored = Some(*incident);
    for finding in [unhealthy(Severity::Critical), healthy(), not_evaluated()] {
        assert_eq!(text(&life.decide(&finding, 1)), "rest BeingSent");
        let Decision::Notify { kind, reason, incident, .. } = life.decide(&finding, 2) else {
            panic!("not sent again");
        };
        assert_eq!((kind, reason), (NoticeKind::Opened, NotifyReason::NeverRecorded));
        // The new sender has its own lease.
        assert_eq!(incident.pending, Some(Pending { kind: NoticeKind::Opened, since: at(2) }));
        assert_eq!(incident.notice_id(), name);
    }
    let just_before = at(0).checked_add(SENDING_LEASE).unwrap() - SignedDuration::from_secs(1);
    assert_eq!(resend(life.incident(), just_before), None);
}

#[test]
fn incident_resolves_only_after_its_opening_was_delivered() {
    let mut life = Life::new();
    let Decision::Notify { incident, .. } = life.decide(&unhealthy(Severity::Error), 0) else {
        panic!("not opened");
    };
    life.stored = Some(*incident);
    assert_eq!(life.see(&healthy(), 5), "opened NeverRecorded");
    assert_eq!(life.see(&healthy(), 7), "resolved HealthyAgain");
}

#[test]
fn agreement_is_needed_to_open_and_to_resolve() {
    let down = || of(Check::ApiReachable, Severity::Critical);
    let up = || Check::ApiReachable.about(SUBJECT).healthy(Evidence::new("answers"));
    let mut life = Life::new();
    // One unhealthy evaluation is watched, and dropped after three healthy ones.
    let course = [
        (down(), "note FirstSight"),
        (up(), "note SeemsOver"),
        (up(), "note SeemsOver"),
        (up(), "note PassedUntold"),
        (up(), "rest NothingOpen"),
        // Two of three open it, with a healthy one between.
        (down(), "note FirstSight"),
        (up(), "note SeemsOver"),
        (down(), "opened FirstFound"),
        // One healthy evaluation does not resolve it, two of three do.
        (up(), "note SeemsOver"),
        (down(), "note NotOver"),
        (up(), "resolved HealthyAgain"),
    ];
    for (round, (finding, expected)) in course.into_iter().enumerate() {
        let minute = i64::try_from(round).unwrap() * 2;
        assert_eq!(life.see(&finding, minute), expected, "round {round}");
    }
    assert_eq!(life.incident().generation, 1, "watching opens no incident");
}

#[test]
fn incident_counts_from_its_first_finding() {
    let mut life = Life::new();
    life.see(&of(Check::ApiReachable, Severity::Critical), 0);
    life.see(&of(Check::ApiReachable, Severity::Critical), 2);
    assert_eq!((life.incident().state, life.incident().opened_at), (State::Open, at(0)));
}

#[test]
fn reminders_come_after_growing_gaps() {
    let mut life = opened();
    let mut reminded = Vec::new();
    for minute in 1..60 * 24 * 14 {
        if life.see(&unhealthy(Severity::Error), minute) == "reminder StillThere" {
            reminded.push(minute / 60);
        }
    }
    assert_eq!(reminded, [4, 12, 28, 60, 124, 252]);
}

#[test]
fn acknowledgement_pauses_reminders_until_worse_or_expired() {
    let acknowledged = |until| Acknowledged { by: "Ada".to_owned(), at: at(1), until: at(until) };
    let mut life = opened();
    let decision = acknowledge(life.incident(), acknowledged(600));
    let before = life.incident().course.sequence;
    assert_eq!(life.carry_out(&decision), "note Acknowledged");
    assert_eq!(life.incident().course.sequence, before + 1, "a separate notice for PagerDuty and the chat");
    assert_eq!(life.see(&unhealthy(Severity::Error), 2), "rest Acknowledged");
    assert_eq!(life.see(&unhealthy(Severity::Error), 599), "note StillReporting");
    assert_eq!(life.see(&unhealthy(Severity::Error), 600), "reminder StillThere");

    let decision = acknowledge(life.incident(), acknowledged(2_000));
    life.carry_out(&decision);
    assert_eq!(life.see(&unhealthy(Severity::Critical), 601), "worsened MoreSevere");
    assert_eq!(life.incident().acknowledged, None);

    assert_eq!(text(&acknowledge(resolved().incident(), acknowledged(9))), "rest NothingOpen");
}

#[test]
fn incident_is_not_acknowledged_while_its_notice_is_sent() {
    let by = Acknowledged { by: "Ada".to_owned(), at: at(1), until: at(600) };
    let mut incident = opened().incident().clone();
    incident.pending = Some(Pending { kind: NoticeKind::Worsened, since: at(1) });
    assert_eq!(text(&acknowledge(&incident, by.clone())), "rest BeingSent");
    let later = Acknowledged { at: at(1) + SENDING_LEASE, ..by };
    assert_eq!(text(&acknowledge(&incident, later)), "note Acknowledged");
}

#[test]
fn flapping_incident_stays_open_until_it_is_healthy_for_a_while() {
    let mut life = Life::new();
    let course = [
        (0, unhealthy(Severity::Error), "opened FirstFound"),
        (15, healthy(), "resolved HealthyAgain"),
        (30, unhealthy(Severity::Error), "opened FoundAgain"),
        (45, healthy(), "resolved HealthyAgain"),
        (60, unhealthy(Severity::Error), "flapping FoundTooOften"),
        (75, healthy(), "note SeemsOver"),
        (90, unhealthy(Severity::Error), "note NotOver"),
        (105, healthy(), "note SeemsOver"),
        (164, healthy(), "note StillReporting"),
        (165, healthy(), "resolved HealthyAgain"),
        // Six hours later, it is not flapping any more.
        (600, unhealthy(Severity::Error), "opened FoundAgain"),
    ];
    for (minute, finding, expected) in course {
        assert_eq!(life.see(&finding, minute), expected, "minute {minute}");
    }
}

#[test]
fn silence_counts_suppressed_notices_and_alerts_at_its_end() {
    let mut life = Life::new();
    life.silences = vec![silence("release", 0, 60)];
    let course = [
        (1, unhealthy(Severity::Warning), "note Silenced"),
        (2, unhealthy(Severity::Warning), "rest Silenced"),
        (3, unhealthy(Severity::Critical), "note Silenced"),
        (4, unhealthy(Severity::Error), "rest Silenced"),
        (60, unhealthy(Severity::Critical), "opened HoldEnded"),
    ];
    for (minute, finding, expected) in course {
        assert_eq!(life.see(&finding, minute), expected, "minute {minute}");
    }
    assert_eq!(life.incident().course.held_back, 2);
    assert_eq!(life.incident().opened_at, at(1), "it counts from its first finding, not from its alert");
}

#[test]
fn incident_within_a_silence_never_alerts() {
    let mut life = Life::new();
    life.silences = vec![silence("release", 0, 60)];
    assert_eq!(life.see(&unhealthy(Severity::Error), 1), "note Silenced");
    assert_eq!(life.see(&healthy(), 2), "note PassedUntold");
    assert_eq!(life.incident().hold, None);
    assert_eq!(life.see(&healthy(), 61), "rest NothingOpen");
}

#[test]
fn silence_suppresses_reminders_but_not_the_resolution() {
    let mut life = opened();
    life.silences = vec![silence("release", 1, 1_000)];
    assert_eq!(life.see(&unhealthy(Severity::Error), 500), "note StillReporting");
    assert_eq!(life.see(&unhealthy(Severity::Error), 501), "rest Silenced");
    assert_eq!(life.see(&unhealthy(Severity::Critical), 502), "note Silenced");
    assert_eq!(life.see(&unhealthy(Severity::Critical), 503), "rest Silenced");
    assert_eq!(life.see(&healthy(), 504), "resolved HealthyAgain");
}

#[test]
fn suppressed_worsening_alerts_when_the_silence_ends() {
    let mut life = opened();
    life.silences = vec![silence("release", 1, 60)];
    assert_eq!(life.see(&unhealthy(Severity::Critical), 2), "note Silenced");
    assert_eq!(life.see(&unhealthy(Severity::Critical), 60), "worsened MoreSevere");
}

#[test]
fn incident_with_a_shared_cause_alerts_only_if_it_outlasts_it() {
    let cause =
        IncidentKey { pipeline: "p".to_owned(), check: Check::SyncPaused, subject: "other".to_owned() };
    let mut life = Life::new();
    life.cause = Some(cause.clone());
    assert_eq!(life.see(&unhealthy(Severity::Error), 0), "note UnderCause");
    assert_eq!(life.incident().hold, Some(Hold::Cause { key: cause }));
    assert_eq!(life.see(&unhealthy(Severity::Error), 1), "rest UnderCause");
    life.cause = None;
    assert_eq!(life.see(&unhealthy(Severity::Error), 2), "opened HoldEnded");

    let mut life = Life::new();
    life.cause = Some(IncidentKey::parse("p/sync-paused/other").unwrap());
    life.see(&unhealthy(Severity::Error), 0);
    life.cause = None;
    assert_eq!(life.see(&healthy(), 2), "note PassedUntold");
}

#[test]
fn common_cause_has_the_same_check_and_group() {
    let finding = |subject: &str, group: &str| Finding {
        group: Some(group.to_owned()),
        ..Check::RunFailed.about(subject).unhealthy(Severity::Error, Evidence::new("failed"), "auth")
    };
    let mut first = Life::new();
    first.see(&finding("a", "auth"), 0);
    let live = HashMap::from([(first.incident().key.clone(), first.incident().clone())]);
    let cause = |finding: &Finding| common_cause(finding, &live).map(|key| key.subject.as_str());
    assert_eq!(cause(&finding("b", "auth")), Some("a"));
    assert_eq!(cause(&finding("b", "duplicate")), None);
    assert_eq!(cause(&finding("a", "auth")), None, "an incident is not its own cause");
    assert_eq!(cause(&unhealthy(Severity::Error)), None);
    first.see(&Check::RunFailed.about("a").healthy(Evidence::new("completed")), 1);
    let live = HashMap::from([(first.incident().key.clone(), first.incident().clone())]);
    assert_eq!(common_cause(&finding("b", "auth"), &live), None, "it is resolved");
}

#[test]
fn stopped_check_is_reported_once_and_not_resolved() {
    let mut life = opened();
    assert_eq!(life.see(&not_evaluated(), 119), "rest NotEvaluated");
    assert_eq!(life.see(&not_evaluated(), 120), "stopped-reporting NotJudged");
    assert_eq!(life.incident().state, State::Open);
    assert!(
        life.incident()
            .evidence
            .summary
            .contains("status unknown, last checked 2h ago (pause state unknown)")
    );
    assert_eq!(life.see(&not_evaluated(), 121), "rest NotEvaluated");
    assert_eq!(life.see(&unhealthy(Severity::Error), 122), "note ReportingAgain");
    assert_eq!(life.see(&not_evaluated(), 123), "rest NotEvaluated");
    assert_eq!(life.see(&healthy(), 124), "resolved HealthyAgain");
}

#[test]
fn blocked_check_has_not_stopped_reporting() {
    let mut life = opened();
    for minute in 1..1_000 {
        let decision = life.see(&under(), minute);
        assert!(decision == "rest UnderCause" || decision == "note StillReporting", "{decision}");
    }
}

#[test]
fn lasting_incident_becomes_critical_once_unless_acknowledged() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    let mut life = Life::new();
    life.urgency = Urgency { after: hours(2), ..Urgency::AS_JUDGED };
    assert_eq!(life.see(&unhealthy(Severity::Error), 0), "opened FirstFound");
    assert_eq!(life.see(&unhealthy(Severity::Error), 120), "note StillReporting");
    let by = Acknowledged { by: "Ada".to_owned(), at: at(121), until: at(180) };
    let acknowledged = acknowledge(life.incident(), by);
    life.carry_out(&acknowledged);
    assert_eq!(life.see(&unhealthy(Severity::Error), 122), "rest Acknowledged");
    assert_eq!(life.see(&unhealthy(Severity::Error), 180), "worsened MoreSevere");
    assert_eq!(life.incident().severity, Severity::Critical);
    assert!(life.incident().evidence.figures.iter().any(|figure| figure.name == "lasts"));
    assert_eq!(life.see(&unhealthy(Severity::Error), 182), "rest AlreadyKnown");
    assert_eq!(life.see(&healthy(), 190), "resolved HealthyAgain");
    // The next one begins anew.
    assert_eq!(life.see(&unhealthy(Severity::Error), 200), "opened FoundAgain");
    assert_eq!(life.incident().severity, Severity::Error);
}

#[test]
fn acknowledged_incident_is_not_critical_after_the_next_slot() {
    let hourly = Schedule {
        rule: Rule::Cron(Cron::parse("0 * * * *").unwrap()),
        time_zone: TimeZone::UTC,
        grace: SignedDuration::ZERO,
    };
    let mut life = opened();
    life.urgency = Urgency { slots: Some(Box::leak(Box::new(hourly))), ..Urgency::AS_JUDGED };
    let by = Acknowledged { by: "Ada".to_owned(), at: at(1), until: at(90) };
    let acknowledged = acknowledge(life.incident(), by);
    life.carry_out(&acknowledged);
    assert_eq!(life.see(&unhealthy(Severity::Error), 89), "note StillReporting");
    assert_eq!(life.see(&unhealthy(Severity::Error), 90), "worsened MoreSevere");
}

#[test]
fn incident_that_began_long_ago_opens_as_critical() {
    let mut life = Life::new();
    life.urgency = Urgency { after: Some(SignedDuration::from_mins(30)), ..Urgency::AS_JUDGED };
    let evidence = Evidence::new("late").since(at(0));
    let finding = Check::RunDue.about("a").unhealthy(Severity::Warning, evidence, "");
    assert_eq!(life.see(&finding, 31), "opened FirstFound");
    assert_eq!(life.incident().severity, Severity::Critical);
}

#[test]
fn incident_without_findings_stops_reporting_or_is_withdrawn() {
    let life = opened();
    let policy = NoticePolicy::default();
    let decision = |declared, minute| {
        let circumstances = Circumstances {
            pipeline: "p",
            policy: &policy,
            silence: None,
            cause: None,
            urgency: Urgency::AS_JUDGED,
            now: at(minute),
        };
        text(&unreported(life.incident(), declared, &circumstances))
    };
    assert_eq!(decision(true, 119), "rest NotEvaluated");
    assert_eq!(decision(true, 120), "stopped-reporting NotJudged");
    assert_eq!(decision(false, 1), "resolved Withdrawn");
    // Written by a round that began later; at the same instant it is not.
    let written = life.incident().written_at().duration_since(at(0)).as_secs() / 60;
    assert_eq!(decision(false, written - 1), "rest Overtaken");
    assert_eq!(decision(false, written), "resolved Withdrawn");
}

#[test]
fn withdrawn_incident_is_reported_only_if_it_alerted() {
    let mut watched = Life::new();
    watched.policy.open_after.insert(Check::SyncPaused, Agreement { need: 2, of: 2 });
    assert_eq!(watched.see(&unhealthy(Severity::Error), 1), "note FirstSight");
    let mut held = Life::new();
    held.silences = vec![silence("release", 0, 60)];
    assert_eq!(held.see(&unhealthy(Severity::Error), 1), "note Silenced");
    for (mut life, expected) in
        [(watched, "note PassedUntold"), (held, "note PassedUntold"), (opened(), "resolved Withdrawn")]
    {
        assert_eq!(life.see(&Check::SyncPaused.about(SUBJECT).not_declared(), 2), expected);
    }
}

#[test]
fn evaluations_for_an_agreement_are_stored_at_any_rate() {
    let down = || of(Check::ApiReachable, Severity::Critical);
    let up = || Check::ApiReachable.about(SUBJECT).healthy(Evidence::new("answers"));
    let mut life = Life::new();
    for (minute, finding) in [(0, down()), (2, down()), (4, up()), (6, down()), (8, down()), (10, down())] {
        life.see(&finding, minute);
    }
    assert_eq!(
        life.see(&up(), 12),
        "note SeemsOver",
        "one healthy evaluation after three unhealthy ones resolves nothing"
    );
    assert_eq!(life.see(&up(), 14), "resolved HealthyAgain");
}

#[test]
fn suppressed_severity_does_not_count_at_the_opening() {
    let mut life = Life::new();
    life.silences = vec![silence("release", 0, 60)];
    life.see(&unhealthy(Severity::Critical), 1);
    life.see(&unhealthy(Severity::Warning), 2);
    assert_eq!(life.see(&unhealthy(Severity::Warning), 60), "opened HoldEnded");
    assert_eq!(life.incident().severity, Severity::Warning);
}

#[test]
fn unevaluated_incident_alerts_when_its_silence_ends() {
    let mut life = Life::new();
    life.silences = vec![silence("release", 0, 60)];
    life.see(&unhealthy(Severity::Error), 1);
    assert_eq!(life.see(&not_evaluated(), 2), "rest NotEvaluated");
    assert_eq!(life.see(&not_evaluated(), 60), "opened HoldEnded");
    // Its next notice, that it stopped reporting, comes as late as after any other.
    assert_eq!(life.see(&not_evaluated(), 179), "rest NotEvaluated");
    assert_eq!(life.see(&not_evaluated(), 180), "stopped-reporting NotJudged");

    // A shared cause may still exist, so it waits as long as for a check that stops reporting.
    let mut life = Life::new();
    life.cause = Some(IncidentKey::parse("p/sync-paused/other").unwrap());
    life.see(&unhealthy(Severity::Error), 0);
    assert_eq!(life.see(&not_evaluated(), 119), "rest NotEvaluated");
    assert_eq!(life.see(&not_evaluated(), 120), "opened HoldEnded");
}

#[test]
fn each_silence_counts_its_own_suppressed_notices() {
    let mut life = opened();
    life.silences = vec![silence("first", 1, 10), silence("second", 20, 30)];
    assert_eq!(life.see(&unhealthy(Severity::Critical), 2), "note Silenced");
    assert_eq!(life.see(&unhealthy(Severity::Error), 11), "rest AlreadyKnown");
    assert_eq!(life.see(&unhealthy(Severity::Critical), 21), "note Silenced");
    assert_eq!(life.incident().hold, Some(Hold::Silence { id: "second".to_owned() }));
}

#[test]
fn healthy_flapping_incident_has_not_stopped_reporting() {
    let mut life = Life::new();
    life.policy.flapping.quiet = SignedDuration::from_hours(5);
    for (minute, finding) in
        [(0, unhealthy(Severity::Error)), (1, healthy()), (2, unhealthy(Severity::Error)), (3, healthy())]
    {
        life.see(&finding, minute);
    }
    assert_eq!(life.see(&unhealthy(Severity::Error), 4), "flapping FoundTooOften");
    for minute in 5..180 {
        assert!(life.see(&healthy(), minute).starts_with("note") || minute > 5);
    }
    assert_eq!(life.see(&not_evaluated(), 181), "rest NotEvaluated");
    assert_eq!(life.see(&healthy(), 306), "resolved HealthyAgain");
}

#[test]
fn flapping_check_that_stopped_reporting_reports_again() {
    let mut life = Life::new();
    life.policy.flapping.quiet = SignedDuration::from_hours(5);
    let course = [
        (0, unhealthy(Severity::Error), "opened FirstFound"),
        (1, healthy(), "resolved HealthyAgain"),
        (2, unhealthy(Severity::Error), "opened FoundAgain"),
        (3, healthy(), "resolved HealthyAgain"),
        (4, unhealthy(Severity::Error), "flapping FoundTooOften"),
        (5, healthy(), "note SeemsOver"),
        (125, not_evaluated(), "stopped-reporting NotJudged"),
        (126, healthy(), "note SeemsOver"),
    ];
    for (minute, finding, expected) in course {
        assert_eq!(life.see(&finding, minute), expected, "minute {minute}");
    }
    assert_eq!(life.incident().course.stopped_at, None);
}

#[test]
fn stopped_check_is_reported_again_at_growing_gaps() {
    let mut life = opened();
    let mut reported = Vec::new();
    for minute in 1..60 * 24 * 3 {
        if life.see(&not_evaluated(), minute) == "stopped-reporting NotJudged" {
            reported.push(minute / 60);
        }
    }
    assert_eq!(reported, [2, 10, 26, 58]);
    assert!(life.incident().evidence.figures.iter().any(|figure| figure.text() == "paused"));
    // A healthy evaluation that does not resolve it yet, and then none again: it is reported a second time.
    life.policy.resolve_after.insert(Check::SyncPaused, Agreement { need: 2, of: 2 });
    assert_eq!(life.see(&healthy(), 5_000), "note SeemsOver");
    assert_eq!(life.see(&not_evaluated(), 5_119), "rest NotEvaluated");
    assert_eq!(life.see(&not_evaluated(), 5_120), "stopped-reporting NotJudged");
}

#[test]
fn incident_represents_a_cause_only_at_its_severity_and_class() {
    let failing = |subject: &str, group: &str, severity| Finding {
        group: Some(group.to_owned()),
        ..Check::RunFailed.about(subject).unhealthy(severity, Evidence::new("failed"), "cause")
    };
    let cause_of = |life: &Life, finding: &Finding| {
        let live = HashMap::from([(life.incident().key.clone(), life.incident().clone())]);
        common_cause(finding, &live).is_some()
    };
    let mut first = Life::new();
    first.see(&failing("a", "auth", Severity::Error), 0);
    assert!(cause_of(&first, &failing("b", "auth", Severity::Error)));
    assert!(!cause_of(&first, &failing("b", "auth", Severity::Critical)), "worse than its alert");

    assert_eq!(first.see(&failing("a", "rate-limit", Severity::Error), 2), "note OtherClass");
    assert!(!cause_of(&first, &failing("b", "auth", Severity::Error)), "it fails with another class now");
    assert!(cause_of(&first, &failing("b", "rate-limit", Severity::Error)));

    let unknown = WhyNot::Unreadable { found: "nonsense".to_owned() };
    let not_judged = Check::RunFailed.about("a").not_evaluated(unknown);
    assert_eq!(first.see(&not_judged, 200), "stopped-reporting NotJudged");
    assert!(!cause_of(&first, &failing("b", "rate-limit", Severity::Error)), "its status is unknown");
}

#[test]
fn unchanged_incident_is_written_every_ten_minutes() {
    let mut life = opened();
    let written = (1..=60)
        .filter(|minute| life.see(&unhealthy(Severity::Error), *minute) == "note StillReporting")
        .count();
    assert_eq!(written, 6);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    prop_oneof![
        3 => Just(healthy()),
        1 => Just(not_evaluated()),
        1 => Just(under()),
        1 => Just(unhealthy(Severity::Warning)),
        2 => Just(unhealthy(Severity::Error)),
        1 => Just(unhealthy(Severity::Critical)),
    ]
}

proptest! {
    /// The notices make sense for any sequence of findings, policies and silences.
    #[test]
    fn openings_and_resolutions_alternate(
        findings in proptest::collection::vec((any_finding(), 1_i64..90), 1..120),
        (need, of) in (1_u8..4, 0_u8..3),
        silences in proptest::collection::vec((0_i64..5_000, 1_i64..500), 0..4),
    ) {
        let mut life = Life::new();
        let agreement = Agreement { need, of: need + of };
        life.policy.open_after.insert(Check::SyncPaused, agreement);
        life.policy.resolve_after.insert(Check::SyncPaused, agreement);
        life.silences = silences
            .iter()
            .enumerate()
            .map(|(n, (from, lasts))| silence(&n.to_string(), *from, from + lasts))
            .collect();
        let (mut minute, mut open, mut worsened) = (0, false, 0);
        let mut sequence = 0;
        for (finding, gap) in &findings {
            minute += gap;
            let decision = life.decide(finding, minute);
            if let Decision::Notify { kind, incident, .. } = &decision {
                let silenced = life.silences.iter().any(|silence| silence.is_active(at(minute)));
                match kind {
                    NoticeKind::Opened | NoticeKind::Flapping => {
                        prop_assert!(!open, "opened twice");
                        (open, worsened, sequence) = (true, 0, 0);
                    }
                    NoticeKind::Resolved => {
                        prop_assert!(open, "resolved without an alert");
                        open = false;
                    }
                    NoticeKind::Worsened => {
                        worsened += 1;
                        prop_assert!(open && worsened <= 2);
                    }
                    NoticeKind::Reminder | NoticeKind::StoppedReporting => prop_assert!(open),
                    NoticeKind::HeldBack | NoticeKind::Note | NoticeKind::Report | NoticeKind::Acknowledged => {
                        prop_assert!(false, "no finding creates a notice of this kind");
                    }
                }
                prop_assert!(!silenced || *kind == NoticeKind::Resolved, "{kind} within a silence");
                prop_assert_eq!(incident.course.sequence, sequence + 1);
                sequence += 1;
            }
            life.carry_out(&decision);
        }
        // After a healthy day, evaluated every two minutes, nothing is open and nothing opens.
        for round in 0..720 {
            let decision = life.see(&healthy(), minute + 2 * round);
            prop_assert!(!decision.starts_with("opened") && !decision.starts_with("flapping"));
            open &= !decision.starts_with("resolved");
        }
        prop_assert!(!open, "its end was never reported");
        if let Some(stored) = &life.stored {
            prop_assert_eq!(stored.state, State::Resolved);
        }
    }

    /// A flapping key sends few openings, at any rhythm.
    #[test]
    fn flapping_key_opens_a_few_times_in_a_day(gaps in proptest::collection::vec(2_i64..40, 60)) {
        let mut life = Life::new();
        let (mut minute, mut openings) = (0, 0);
        for (n, gap) in gaps.iter().enumerate() {
            minute += gap;
            let finding = if n % 2 == 0 { unhealthy(Severity::Error) } else { healthy() };
            let decision = life.see(&finding, minute);
            openings += u32::from(decision.starts_with("opened") || decision.starts_with("flapping"));
        }
        // Two, and then the one that stays open; gaps are shorter than its healthy hour.
        prop_assert!(openings <= 3, "{openings} openings");
    }
}

#[test]
fn opening_keeps_the_earlier_episodes() {
    let mut life = Life::new();
    let failing = |since: i64| {
        let evidence = Evidence::new("failed").since(at(since));
        Check::SyncPaused.about(SUBJECT).unhealthy(Severity::Error, evidence, "cause")
    };
    life.see(&failing(-30), 0);
    life.see(&healthy(), 10);
    // Resolved and opened again on the same day: neither is lost.
    life.see(&failing(100), 120);
    let episode = |began: i64, alerted: i64, resolved: Option<i64>| Episode {
        began_at: at(began),
        told_at: at(alerted),
        sent_at: Some(at(alerted)),
        resolved_at: resolved.map(at),
    };
    let history = life.incident().history();
    assert_eq!(history.episodes, [episode(-30, 0, Some(10)), episode(100, 120, None)]);
    assert_eq!(history.forgotten_until, None);
    // With a beginning in the future, or none, it began when it was found.
    let mut life = Life::new();
    life.see(&failing(5), 0);
    assert_eq!(life.incident().history().episodes, [episode(0, 0, None)]);
}

#[test]
fn suppressed_incident_is_an_episode_once_it_alerts() {
    let mut life = Life::new();
    life.silences = vec![silence("s", 0, 60)];
    life.see(&unhealthy(Severity::Error), 1);
    assert_eq!(life.incident().history().episodes, []);
    life.see(&unhealthy(Severity::Error), 61);
    let history = life.incident().history();
    let episode = Episode { began_at: at(1), told_at: at(61), sent_at: Some(at(61)), resolved_at: None };
    assert_eq!(history.episodes, [episode]);
}

#[test]
fn incident_that_never_alerted_has_no_episode() {
    let mut life = Life::new();
    life.silences = vec![silence("s", 0, 600)];
    let nothing = crate::incident::History { episodes: Vec::new(), forgotten_until: None };
    life.see(&unhealthy(Severity::Error), 1);
    life.see(&healthy(), 10);
    assert_eq!(life.incident().history(), nothing);
    life.see(&unhealthy(Severity::Error), 20);
    assert_eq!((life.incident().state, life.incident().generation), (State::Held, 2));
    assert_eq!(life.incident().history(), nothing);
    // After its alert it has one episode, and still no dropped ones.
    life.see(&unhealthy(Severity::Error), 601);
    let history = life.incident().history();
    assert_eq!((history.episodes.len(), history.forgotten_until), (1, None));
}

#[test]
fn oldest_episodes_are_dropped_and_their_end_is_kept() {
    let mut life = Life::new();
    let days = i64::try_from(REMEMBERED_EPISODES).unwrap() + 3;
    for day in 0..days {
        life.see(&unhealthy(Severity::Error), day * 2_880);
        life.see(&healthy(), day * 2_880 + 5);
    }
    let history = life.incident().history();
    assert_eq!(history.episodes.len(), REMEMBERED_EPISODES);
    assert_eq!(history.forgotten_until, Some(at(2 * 2_880 + 5)));
    assert!(history.episodes.iter().all(|episode| episode.resolved_at.is_some()));
}

#[test]
fn incident_from_before_episodes_has_its_last_one() {
    let mut life = resolved();
    life.see(&unhealthy(Severity::Error), 2_880);
    let mut incident = life.incident().clone();
    incident.course.episodes.clear();
    incident.course.began_at = None;
    let last = Episode { began_at: at(2_880), told_at: at(2_880), sent_at: None, resolved_at: None };
    let known = crate::incident::History { episodes: vec![last], forgotten_until: Some(at(2_880)) };
    assert_eq!(incident.history(), known);
    life.stored = Some(incident);
    life.see(&healthy(), 2_890);
    let ended = Episode { resolved_at: Some(at(2_890)), ..last };
    let known = crate::incident::History { episodes: vec![ended], ..known };
    assert_eq!(life.incident().history(), known);
    // Another opening does not make the earlier periods known.
    life.see(&unhealthy(Severity::Error), 5_760);
    assert_eq!(life.incident().history().forgotten_until, known.forgotten_until);
}

#[test]
fn only_a_first_opening_opens_and_a_resolution_has_its_time() {
    let mut life = Life::new();
    let opening = life.decide(&unhealthy(Severity::Error), 0);
    assert!(opening.opens());
    let Decision::Notify { incident, .. } = &opening else { panic!("{opening:?}") };
    life.stored = Some((**incident).clone());
    let again = life.decide(&unhealthy(Severity::Error), 2);
    assert_eq!(text(&again), "opened NeverRecorded");
    assert!(!again.opens());
    let life = opened();
    assert!(!life.decide(&unhealthy(Severity::Critical), 2).opens());
    let ended = resolved();
    assert!(ended.incident().resolved_at.is_some() && ended.incident().hold.is_none());
}

#[test]
fn sent_notices_are_kept_and_the_first_dates_the_alert() {
    let mut life = Life::new();
    let opening = life.decide(&unhealthy(Severity::Error), 0);
    let Decision::Notify { incident, .. } = &opening else { panic!("{opening:?}") };
    assert_eq!(incident.history().episodes[0].sent_at, None, "decided, not sent");
    life.stored = Some((**incident).clone());
    // The sender died: a later round sends the same notice.
    let again = life.decide(&unhealthy(Severity::Error), 5);
    let Decision::Notify { incident, .. } = &again else { panic!("{again:?}") };
    life.stored = Some(incident.with_notice_sent(at(6)));
    life.see(&unhealthy(Severity::Critical), 10);
    life.see(&healthy(), 20);
    life.see(&unhealthy(Severity::Error), 2_880);
    let sent: Vec<Option<Timestamp>> =
        life.incident().history().episodes.iter().map(|episode| episode.sent_at).collect();
    assert_eq!(sent, [Some(at(6)), Some(at(2_880))]);
    let notices = Instants { at: [6, 10, 20, 2_880].map(at).to_vec(), forgotten_until: None };
    assert_eq!(life.incident().notices_sent(), notices);
}

#[test]
fn every_acknowledgement_is_kept_beyond_its_end() {
    let mut life = opened();
    let acknowledge = |life: &mut Life, minute: i64| {
        let by = Acknowledged { by: "Ada".to_owned(), at: at(minute), until: at(minute + 1) };
        let decision = acknowledge(life.stored.as_ref().unwrap(), by);
        life.carry_out(&decision);
    };
    acknowledge(&mut life, 5);
    acknowledge(&mut life, 6);
    life.see(&healthy(), 20);
    life.see(&unhealthy(Severity::Error), 2_880);
    acknowledge(&mut life, 2_890);
    let known = life.incident().acknowledgements();
    assert_eq!(known, Instants { at: [5, 6, 2_890].map(at).to_vec(), forgotten_until: None });
    for minute in 2_900..2_900 + i64::try_from(REMEMBERED).unwrap() {
        acknowledge(&mut life, minute);
    }
    let known = life.incident().acknowledgements();
    assert_eq!((known.at.len(), known.forgotten_until), (REMEMBERED, Some(at(2_900))));
    // An item from before the list has only its current acknowledgement.
    let mut old = life.incident().clone();
    old.course.acknowledgements.clear();
    let last = old.acknowledged.as_ref().unwrap().at;
    assert_eq!(old.acknowledgements().at, [last]);
}

#[test]
fn fault_that_did_not_alert_is_kept() {
    let mut life = Life::new();
    life.silences = vec![silence("s", 0, 600)];
    for minute in [1, 20] {
        life.see(&unhealthy(Severity::Error), minute);
        life.see(&healthy(), minute + 5);
    }
    assert_eq!(life.incident().history().episodes, []);
    assert_eq!(life.incident().faults(), Instants { at: [1, 20].map(at).to_vec(), forgotten_until: None });
    for day in 1..=i64::try_from(REMEMBERED).unwrap() {
        life.see(&unhealthy(Severity::Error), day * 2_880);
        life.see(&healthy(), day * 2_880 + 5);
    }
    let known = life.incident().faults();
    assert_eq!((known.at.len(), known.forgotten_until), (REMEMBERED + 1, Some(at(20))));
}
