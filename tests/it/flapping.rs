//! What people hear of in many simulated days, by the pure decisions and a store in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use syncwatch::finding::{Finding, Severity};
use syncwatch::incident::{
    Circumstances, Decision, Incident, IncidentKey, NoticeKind, Urgency, common_cause, decide,
};
use syncwatch::pipeline::Pipeline;
use syncwatch_lab::census::{Fault, World};

use crate::simulated_days::{CREATE, FIRST_DAY, POLL, UPDATE, minutes, pipeline, round};

/// A notice that would have been sent.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    at: Timestamp,
    kind: NoticeKind,
    incident: Incident,
}

/// Acts on findings as a round does, with a store in memory and an SNS that always answers.
pub(crate) struct Ledger<'p> {
    pipeline: &'p Pipeline,
    store: HashMap<IncidentKey, Incident>,
    pub(crate) notices: Vec<Notice>,
}

impl<'p> Ledger<'p> {
    pub(crate) fn new(pipeline: &'p Pipeline) -> Self {
        Self { pipeline, store: HashMap::new(), notices: Vec::new() }
    }

    pub(crate) fn act_on(&mut self, findings: &[Finding], now: Timestamp) {
        for finding in findings {
            let key = IncidentKey::of(&self.pipeline.name, finding);
            let at = Circumstances {
                urgency: Urgency::AS_JUDGED,
                pipeline: &self.pipeline.name,
                policy: &self.pipeline.notices,
                silence: None,
                cause: common_cause(finding, &self.store),
                now,
            };
            match decide(finding, self.store.get(&key), &at) {
                Decision::Rest(_) => {}
                Decision::Note { incident, .. } => {
                    self.store.insert(key, *incident);
                }
                Decision::Notify { incident, kind, .. } => {
                    self.store.insert(key, incident.with_notice_sent());
                    self.notices.push(Notice { at: now, kind, incident: *incident });
                }
            }
        }
    }
}

/// Whether a sync is ill at this minute of the simulation: weeks of steady flapping at several paces, of single failures, of
/// long ones, and of health.
fn is_ill(minute: i64) -> bool {
    let (day, of_day) = (minute / (24 * 60), minute % (24 * 60));
    match (day / 3) % 6 {
        0 => (of_day / 30) % 2 == 0,
        1 => (of_day / 75) % 2 == 0,
        2 => of_day % 210 < 40,
        3 => (600..630).contains(&of_day),
        4 => day % 3 == 0 || of_day < 700,
        _ => false,
    }
}

/// How many reminders the policy allows for something that has been open for so long.
fn reminders_allowed(pipeline: &Pipeline, severity: Severity, open_for: SignedDuration) -> usize {
    let gaps = (0..).map_while(|reminders| pipeline.notices.reminder_gap(severity, reminders));
    let due = gaps.scan(SignedDuration::ZERO, |since, gap| {
        *since += gap;
        Some(*since)
    });
    due.take_while(|due| *due <= open_for).count()
}

#[test]
fn ninety_days_of_flapping_syncs_are_told_within_the_policy() {
    let pipeline = pipeline();
    let start: Timestamp = FIRST_DAY.parse().unwrap();
    let end = start + minutes(90 * 24 * 60);
    let mut world = World::seed_pipeline(start, 7);
    let mut ledger = Ledger::new(&pipeline);
    let fails = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: "gone".to_owned() };
    let rejects = Fault::Reject { sync: CREATE, percent: 12, message: None };
    let (mut turns, mut now) = (0_usize, start);
    let mut unhealthy_before = BTreeSet::new();
    while now < end {
        let minute = (now.as_second() - start.as_second()) / 60;
        for (fault, ill) in [(&fails, is_ill(minute)), (&rejects, is_ill(minute + 500))] {
            if ill { fault.inject(&mut world).unwrap() } else { fault.heal(&mut world) }
        }
        world.advance_to(now);
        let findings = round(&world, &pipeline, SignedDuration::ZERO);
        let unhealthy: BTreeSet<IncidentKey> = findings
            .iter()
            .filter(|finding| finding.is_unhealthy())
            .map(|finding| IncidentKey::of(&pipeline.name, finding))
            .collect();
        turns += unhealthy.difference(&unhealthy_before).count();
        unhealthy_before = unhealthy;
        ledger.act_on(&findings, now);
        // Runs come every 15 and 30 minutes, so that no turn is missed by looking every ten.
        now += POLL * 2;
    }

    let mut incidents: BTreeMap<(IncidentKey, u64), Vec<&Notice>> = BTreeMap::new();
    for notice in &ledger.notices {
        incidents.entry((notice.incident.key.clone(), notice.incident.generation)).or_default().push(notice);
    }
    for ((key, generation), notices) in &incidents {
        let count = |wanted: &[NoticeKind]| notices.iter().filter(|n| wanted.contains(&n.kind)).count();
        let open_for = notices.last().unwrap().incident.open_for(end);
        let severity = notices.last().unwrap().incident.severity;
        let told: Vec<String> = notices.iter().map(|n| format!("{} {}", n.at, n.kind)).collect();
        assert_eq!(count(&[NoticeKind::Opened, NoticeKind::Flapping]), 1, "{key}#{generation}: {told:?}");
        assert!(count(&[NoticeKind::Resolved]) <= 1, "{key}#{generation}: {told:?}");
        // From error to critical, once.
        assert!(count(&[NoticeKind::Worsened]) <= 1, "{key}#{generation}: {told:?}");
        let allowed = reminders_allowed(&pipeline, severity, open_for);
        assert!(count(&[NoticeKind::Reminder]) <= allowed, "{key}#{generation}, {allowed} allowed: {told:?}");
        assert_eq!(count(&[NoticeKind::StoppedReporting]), 0, "{key}#{generation}: {told:?}");
    }

    // Of openings within six hours the third flaps, and from then on each stays open until it kept quiet for an hour.
    let flapping = pipeline.notices.flapping;
    let most = flapping.openings - 1
        + usize::try_from(flapping.within.as_secs() / flapping.quiet.as_secs()).unwrap();
    let mut openings: BTreeMap<&IncidentKey, Vec<Timestamp>> = BTreeMap::new();
    for notice in &ledger.notices {
        if matches!(notice.kind, NoticeKind::Opened | NoticeKind::Flapping) {
            openings.entry(&notice.incident.key).or_default().push(notice.at);
        }
    }
    for (key, openings) in &openings {
        for first in openings {
            let within =
                openings.iter().filter(|at| **at >= *first && at.duration_since(*first) < flapping.within);
            assert!(within.count() <= most, "{key}: more than {most} openings in the hours after {first}");
        }
    }
    let opened: usize = openings.values().map(Vec::len).sum();
    assert!(opened * 2 < turns, "{opened} notices of an opening, where {turns} times a sync fell ill");
    let kinds: BTreeSet<String> = ledger.notices.iter().map(|notice| notice.kind.to_string()).collect();
    assert_eq!(kinds, ["flapping", "opened", "reminder", "resolved", "worsened"].map(str::to_owned).into());
}
