//! Notices over many simulated days: by the pure decisions with a store in memory, and by real rounds on the lab's AWS.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use syncwatch::finding::{Finding, Judge, Severity};
use syncwatch::incident::{
    Circumstances, Decision, Incident, IncidentKey, NoticeKind, Urgency, common_cause, decide,
};
use syncwatch::pipeline::Pipeline;
use syncwatch::round::Round;
use syncwatch::runtime::Site;
use syncwatch_lab::census::{Fault, World};

use crate::engines::Engines;
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
    pub(crate) store: HashMap<IncidentKey, Incident>,
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
                    self.store.insert(key, incident.with_notice_sent(now));
                    self.notices.push(Notice { at: now, kind, incident: *incident });
                }
            }
        }
    }
}

/// Whether a sync fails at this minute of the simulation, in turns of three days: steady flapping at several paces, single
/// failures, long ones, and none.
fn fails_at(minute: i64) -> bool {
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

/// Counts the reminders that the policy allows for an incident that has been open for this long.
fn reminders_allowed(pipeline: &Pipeline, severity: Severity, open_for: SignedDuration) -> usize {
    let gaps = (0..).map_while(|reminders| pipeline.notices.reminder_gap(severity, reminders));
    let due = gaps.scan(SignedDuration::ZERO, |since, gap| {
        *since += gap;
        Some(*since)
    });
    due.take_while(|due| *due <= open_for).count()
}

/// Two syncs that fail and recover, one poll after the other.
struct Flapping {
    world: World,
    faults: [Fault; 2],
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
    unhealthy: BTreeSet<IncidentKey>,
    /// Number of times that a check of a sync became unhealthy.
    turns: usize,
}

impl Flapping {
    fn new(days: i64) -> Self {
        let start: Timestamp = FIRST_DAY.parse().unwrap();
        let fails = Fault::Fail { sync: UPDATE, code: "X".to_owned(), message: "gone".to_owned() };
        let rejects = Fault::Reject { sync: CREATE, percent: 12, message: None };
        Self {
            world: World::seed_pipeline(start, 7),
            faults: [fails, rejects],
            start,
            end: start + minutes(days * 24 * 60),
            now: start,
            unhealthy: BTreeSet::new(),
            turns: 0,
        }
    }

    /// Returns the time and the findings of the next poll. Runs come every 15 and 30 minutes, so a poll every ten minutes
    /// misses no change.
    fn poll(&mut self, pipeline: &Pipeline, every: SignedDuration) -> Option<(Timestamp, Vec<Finding>)> {
        let now = self.now;
        if now >= self.end {
            return None;
        }
        let minute = (now.as_second() - self.start.as_second()) / 60;
        for (fault, fails) in self.faults.iter().zip([fails_at(minute), fails_at(minute + 500)]) {
            if fails { fault.inject(&mut self.world).unwrap() } else { fault.heal(&mut self.world) }
        }
        self.world.advance_to(now);
        let findings = round(&self.world, pipeline, SignedDuration::ZERO);
        let unhealthy: BTreeSet<IncidentKey> = findings
            .iter()
            .filter(|finding| finding.is_unhealthy())
            .map(|finding| IncidentKey::of(&pipeline.name, finding))
            .collect();
        self.turns += unhealthy.difference(&self.unhealthy).count();
        self.unhealthy = unhealthy;
        self.now += every;
        Some((now, findings))
    }
}

#[test]
fn ninety_days_of_flapping_stay_within_the_notice_policy() {
    let pipeline = pipeline();
    let (mut flapping, mut ledger) = (Flapping::new(90), Ledger::new(&pipeline));
    while let Some((now, findings)) = flapping.poll(&pipeline, POLL * 2) {
        ledger.act_on(&findings, now);
    }
    assert_within_policy(&ledger.notices, &flapping, &pipeline);
}

/// Acts on findings with a real round, as the function does, and returns the notices that it sent.
async fn act_by_round(site: &Site, findings: &[Finding], now: Timestamp) -> Vec<Notice> {
    let mut round = Round::begin(site, Judge::ScheduleVerification, now).await.unwrap();
    round.act_on(findings).await;
    round.conclude().await;
    let mut notices = Vec::new();
    for sent in round.notices() {
        let key = IncidentKey::parse(&sent.incident).unwrap();
        let incident = round.store().get(&key).await.unwrap().unwrap();
        assert_eq!(incident.pending, None, "{key} at {now}");
        notices.push(Notice { at: now, kind: sent.kind, incident });
    }
    let report = round.finish(&[]).unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    notices
}

/// Compares real rounds with the pure decisions on one day of each of the six paces. `SYNCWATCH_FLAPPING_DAYS=90` plays every
/// day of 90.
#[tokio::test(flavor = "multi_thread")]
async fn real_rounds_send_the_notices_of_the_pure_decisions() {
    let days = std::env::var("SYNCWATCH_FLAPPING_DAYS").ok().map(|days| days.parse().unwrap());
    let engines = Engines::at_noon().await;
    let (pipeline, endpoint) = (pipeline(), engines.stage.aws.endpoint());
    let site =
        engines.stage.deployment.site("schedule-verification", pipeline.clone(), endpoint, &[]).unwrap();
    let (mut flapping, mut ledger, mut sent) =
        (Flapping::new(days.unwrap_or(18)), Ledger::new(&pipeline), Vec::new());
    // Every sixth poll is enough while nothing has failed for two hours.
    let mut quiet = 0;
    while let Some((now, findings)) = flapping.poll(&pipeline, POLL * 2) {
        quiet = if flapping.unhealthy.is_empty() { quiet + 1 } else { 0 };
        let day = now.duration_since(flapping.start).as_hours() / 24;
        if (quiet > 12 && quiet % 6 != 0) || (days.is_none() && day % 3 != 0) {
            continue;
        }
        ledger.act_on(&findings, now);
        sent.extend(act_by_round(&site, &findings, now).await);
    }
    assert_within_policy(&sent, &flapping, &pipeline);
    let shown = |notices: &[Notice]| -> BTreeSet<String> {
        notices
            .iter()
            .map(|n| format!("{} {} {}#{}", n.at, n.kind, n.incident.key, n.incident.generation))
            .collect()
    };
    assert_eq!(shown(&sent), shown(&ledger.notices));
    assert_eq!(sent.len(), ledger.notices.len());
}

/// Asserts that each incident opens once and resolves at most once, that its reminders stay within the policy, and that
/// flapping checks open no more often than the policy allows.
fn assert_within_policy(notices: &[Notice], flapping: &Flapping, pipeline: &Pipeline) {
    let (end, turns) = (flapping.end, flapping.turns);
    let mut incidents: BTreeMap<(IncidentKey, u64), Vec<&Notice>> = BTreeMap::new();
    for notice in notices {
        incidents.entry((notice.incident.key.clone(), notice.incident.generation)).or_default().push(notice);
    }
    for ((key, generation), notices) in &incidents {
        let count = |wanted: &[NoticeKind]| notices.iter().filter(|n| wanted.contains(&n.kind)).count();
        let open_for = notices.last().unwrap().incident.open_for(end);
        let severity = notices.last().unwrap().incident.severity;
        let sent: Vec<String> = notices.iter().map(|n| format!("{} {}", n.at, n.kind)).collect();
        assert_eq!(count(&[NoticeKind::Opened, NoticeKind::Flapping]), 1, "{key}#{generation}: {sent:?}");
        assert!(count(&[NoticeKind::Resolved]) <= 1, "{key}#{generation}: {sent:?}");
        // An incident worsens at most once, from error to critical.
        assert!(count(&[NoticeKind::Worsened]) <= 1, "{key}#{generation}: {sent:?}");
        let allowed = reminders_allowed(pipeline, severity, open_for);
        assert!(count(&[NoticeKind::Reminder]) <= allowed, "{key}#{generation}, {allowed} allowed: {sent:?}");
        assert_eq!(count(&[NoticeKind::StoppedReporting]), 0, "{key}#{generation}: {sent:?}");
    }

    // The third opening within six hours is flapping; from then on an incident stays open until an hour without a failure.
    let flap = pipeline.notices.flapping;
    let most = flap.openings - 1 + usize::try_from(flap.within.as_secs() / flap.quiet.as_secs()).unwrap();
    let mut openings: BTreeMap<&IncidentKey, Vec<Timestamp>> = BTreeMap::new();
    for notice in notices {
        if matches!(notice.kind, NoticeKind::Opened | NoticeKind::Flapping) {
            openings.entry(&notice.incident.key).or_default().push(notice.at);
        }
    }
    for (key, openings) in &openings {
        for first in openings {
            let within =
                openings.iter().filter(|at| **at >= *first && at.duration_since(*first) < flap.within);
            assert!(within.count() <= most, "{key}: more than {most} openings in the hours after {first}");
        }
    }
    let opened: usize = openings.values().map(Vec::len).sum();
    assert!(opened * 2 < turns, "{opened} opening notices for {turns} failures");
    let kinds: BTreeSet<String> = notices.iter().map(|notice| notice.kind.to_string()).collect();
    assert_eq!(kinds, ["flapping", "opened", "reminder", "resolved", "worsened"].map(str::to_owned).into());
}
