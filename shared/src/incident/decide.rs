//! Decides what a finding means for the incident under its key, and why.

use std::collections::HashMap;
use std::hash::BuildHasher;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Acknowledged, Agreement, Course, Episode, Hold, Incident, IncidentKey, NoticeKind, NoticePolicy, Pending,
    RecentLooks, State, Urgency, remember,
};
use crate::figure::Figure;
use crate::finding::{Evidence, Finding, Outcome, Severity, WhyNot};
use crate::silence::Silence;
use crate::text::words;

/// The instant of the last evaluation is written only this often: a write in each round would cost more than the precision
/// is worth.
const STILL_REPORTING: SignedDuration = SignedDuration::from_mins(10);
/// The figure with the summary of the last evaluation.
const LAST_FINDING: &str = "last finding";
/// The most openings of a key that are stored.
const REMEMBERED_OPENINGS: usize = 16;
/// The most periods of an incident that are stored, at most about 3 kB.
const REMEMBERED_EPISODES: usize = 24;

/// The inputs of a decision besides the finding and the stored incident.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub pipeline: &'a str,
    pub policy: &'a NoticePolicy,
    pub silence: Option<&'a Silence>,
    /// The open incident with the same cause, see [`common_cause`].
    pub cause: Option<&'a IncidentKey>,
    pub urgency: Urgency<'a>,
    pub now: Timestamp,
}

/// The action for a finding, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Rest(RestReason),
    /// Write the incident, without a notice.
    Note {
        reason: NoteReason,
        incident: Box<Incident>,
        /// The version that it replaces; `None` when nothing was stored.
        replaces: Option<u64>,
    },
    /// Write the incident, then send a notice of this kind.
    Notify {
        reason: NotifyReason,
        /// The new incident, with the notice pending.
        incident: Box<Incident>,
        replaces: Option<u64>,
        kind: NoticeKind,
    },
}

impl Decision {
    /// Returns whether it is the first notice of an incident.
    pub fn opens(&self) -> bool {
        // A notice that is sent again was claimed before.
        matches!(self, Self::Notify { reason, kind: NoticeKind::Opened | NoticeKind::Flapping, .. }
            if *reason != NotifyReason::NeverRecorded)
    }
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestReason {
    /// Healthy, and no incident is open.
    NothingOpen,
    /// Unhealthy as before; the alert was sent.
    AlreadyKnown,
    /// Unhealthy as before, and acknowledged.
    Acknowledged,
    /// A notice about this incident is being sent; the next round decides again.
    BeingSent,
    /// Another function evaluated the check later and has written its result.
    Overtaken,
    /// The check could not be evaluated, which neither opens nor resolves an incident.
    NotEvaluated,
    /// Another finding explains why it could not be evaluated.
    UnderCause,
    /// A silence covers it, and has counted the notice.
    Silenced,
    /// Still not unhealthy often enough to alert, or not healthy long enough to resolve.
    Unsettled,
}

/// Why the incident is written without a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteReason {
    /// Unhealthy, but not often enough to alert.
    FirstSight,
    /// Healthy again before it alerted.
    PassedUntold,
    Silenced,
    /// Another incident with the same cause has alerted.
    UnderCause,
    /// Healthy, but not often or not long enough to resolve.
    SeemsOver,
    /// Unhealthy again before it resolved.
    NotOver,
    /// Same result as before; written if agreements depend on it, and from time to time, so that a check that stops reporting
    /// is noticed.
    StillReporting,
    /// It fails with another class than before.
    OtherClass,
    ReportingAgain,
    Acknowledged,
}

/// Why a notice is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyReason {
    FirstFound,
    /// Found again after it was resolved.
    FoundAgain,
    /// Found again so often that it is flapping.
    FoundTooOften,
    /// Still unhealthy after the silence or the shared cause ended.
    HoldEnded,
    MoreSevere,
    /// Still unhealthy, long after the last notice.
    StillThere,
    /// It could not be evaluated for too long.
    NotJudged,
    HealthyAgain,
    /// No longer declared in `pipeline.toml`.
    Withdrawn,
    /// A person judged that it is not a fault.
    Marked,
    /// A notice was never recorded as sent: its sender died, so it is sent again.
    NeverRecorded,
}

/// Returns the open incident that represents the cause of this finding: the same check and group, with another subject. Of
/// several, the first by key, so that all rounds choose the same.
pub fn common_cause<'a, S: BuildHasher>(
    finding: &Finding,
    live: &'a HashMap<IncidentKey, Incident, S>,
) -> Option<&'a IncidentKey> {
    let (group, severity) = (finding.group.as_ref()?, finding.severity()?);
    live.values()
        .filter(|other| {
            other.key.check == finding.check
                && other.key.subject != finding.subject
                && other.represents(group, severity)
        })
        .map(|other| &other.key)
        .min()
}

/// Decides what a finding means for the incident that is stored under its key.
///
/// * a notice that was never recorded            => that notice again, before any other
/// * another function evaluated the check later  => rest: its result is newer
/// * unhealthy, not yet often enough             => noted
/// * unhealthy, nothing open                     => opened or flapping; noted while a silence or a shared cause suppresses it
/// * unhealthy, more severe than alerted         => worsened
/// * unhealthy, long after the last notice       => reminder, unless acknowledged
/// * unhealthy otherwise                         => rest: the alert was sent
/// * healthy, open, often and long enough        => resolved, silence or not, as it has alerted
/// * not evaluated for long, open                => stopped reporting, which is not resolved; repeated at growing gaps
/// * not evaluated, and no longer suppressed     => opened: it was not seen to end
/// * not declared any more, open                 => resolved, as it is no longer checked
pub fn decide(finding: &Finding, stored: Option<&Incident>, at: &Circumstances<'_>) -> Decision {
    if let Some(stored) = stored {
        if stored.is_being_sent(at.now) {
            return Decision::Rest(RestReason::BeingSent);
        }
        if let Some(decision) = resend(stored, at.now) {
            return decision;
        }
        if stored.written_at() > at.now {
            return Decision::Rest(RestReason::Overtaken);
        }
    }
    match &finding.outcome {
        Outcome::NotEvaluated { why } => not_evaluated(why, stored, at),
        Outcome::Healthy { evidence } => match stored {
            None => Decision::Rest(RestReason::NothingOpen),
            Some(stored) => healthy(evidence, stored, at),
        },
        Outcome::Unhealthy { severity, evidence, cause } => {
            let (severity, evidence) = urgent(*severity, evidence, stored, at);
            let symptoms = Symptoms { severity, evidence: &evidence, cause, finding };
            match stored {
                Some(open) if open.state == State::Open => still_unhealthy(&symptoms, open, at),
                Some(held) if held.state == State::Held => held_unhealthy(&symptoms, held, at),
                _ => newly_unhealthy(&symptoms, stored, at),
            }
        }
    }
}

/// The severity by now. An acknowledged incident does not become critical by its duration.
fn urgent(
    found: Severity,
    evidence: &Evidence,
    stored: Option<&Incident>,
    at: &Circumstances<'_>,
) -> (Severity, Evidence) {
    let stored = stored.filter(|stored| stored.state != State::Resolved);
    let known = stored.map(|stored| stored.course.began_at.unwrap_or(stored.opened_at));
    let began = known.into_iter().chain(evidence.since).min().unwrap_or(at.now).min(at.now);
    let urgency = match stored {
        Some(stored) if stored.is_acknowledged(at.now) => Urgency { after: None, slots: None, ..at.urgency },
        _ => at.urgency,
    };
    urgency.of(found, evidence, began, at.now)
}

/// Returns the notice that was never recorded as sent, once the lease of its sender has ended.
pub fn resend(stored: &Incident, now: Timestamp) -> Option<Decision> {
    let pending = stored.pending?;
    if stored.is_being_sent(now) {
        return None;
    }
    let again = Incident { pending: Some(Pending { since: now, ..pending }), ..stored.clone() };
    let (incident, replaces) = next_version(again);
    Some(Decision::Notify { reason: NotifyReason::NeverRecorded, incident, replaces, kind: pending.kind })
}

/// Decides about an incident without a finding in a whole round. `declared` is whether the pipeline still has its subject.
pub fn unreported(stored: &Incident, declared: bool, at: &Circumstances<'_>) -> Decision {
    if stored.is_being_sent(at.now) {
        return Decision::Rest(RestReason::BeingSent);
    }
    if stored.written_at() > at.now {
        return Decision::Rest(RestReason::Overtaken);
    }
    let why = match declared {
        true => WhyNot::NothingYet { awaited: "a round that evaluates it".to_owned() },
        false => WhyNot::NotDeclared,
    };
    not_evaluated(&why, Some(stored), at)
}

/// Acknowledges an incident: no reminders until the given instant, unless it worsens. Not while a notice is being sent: its
/// sender would find another version than it wrote, and the notice would be sent again.
pub fn acknowledge(stored: &Incident, by: Acknowledged) -> Decision {
    if stored.state != State::Open {
        return Decision::Rest(RestReason::NothingOpen);
    }
    if stored.is_being_sent(by.at) {
        return Decision::Rest(RestReason::BeingSent);
    }
    let mut incident = stored.clone();
    incident.course.acknowledgements = stored.acknowledgements().at;
    remember(&mut incident.course.acknowledgements, by.at);
    incident.acknowledged = Some(by);
    // The notice for the channels of alert-relay needs its own number, or they would drop it as a duplicate.
    incident.course.sequence += 1;
    note(NoteReason::Acknowledged, incident)
}

/// Closes an incident that a person judged not to be a fault, with their words. Not while a notice is being sent, as for
/// [`acknowledge`].
pub fn close(stored: &Incident, summary: &str, now: Timestamp) -> Decision {
    if stored.is_being_sent(now) {
        return Decision::Rest(RestReason::BeingSent);
    }
    let incident = Incident { evidence: Evidence::new(summary), ..stored.clone() };
    match stored.state {
        State::Resolved => Decision::Rest(RestReason::NothingOpen),
        State::Open => resolve(NotifyReason::Marked, incident, now),
        State::Watching | State::Held => passed(incident, now),
    }
}

/// The content of an unhealthy finding.
struct Symptoms<'a> {
    severity: Severity,
    evidence: &'a Evidence,
    cause: &'a str,
    finding: &'a Finding,
}

impl Symptoms<'_> {
    fn onto(&self, incident: &mut Incident) {
        // A severity that did not alert does not count.
        let alerted = if incident.state == State::Open { incident.severity } else { Severity::Info };
        incident.severity = alerted.max(self.severity);
        incident.evidence = self.evidence.clone();
        self.cause.clone_into(&mut incident.cause);
        incident.group.clone_from(&self.finding.group);
        incident.class.clone_from(&self.finding.class);
    }
}

fn newly_unhealthy(symptoms: &Symptoms<'_>, stored: Option<&Incident>, at: &Circumstances<'_>) -> Decision {
    let watched = stored.filter(|before| before.state == State::Watching);
    let mut incident = match watched {
        Some(watched) => watched.clone(),
        None => Incident {
            key: IncidentKey::of(at.pipeline, symptoms.finding),
            generation: stored.map_or(0, |before| before.generation),
            version: stored.map_or(0, |before| before.version),
            state: State::Watching,
            severity: symptoms.severity,
            opened_at: at.now,
            resolved_at: None,
            evidence: symptoms.evidence.clone(),
            cause: symptoms.cause.to_owned(),
            class: None,
            group: None,
            pending: None,
            hold: None,
            acknowledged: None,
            course: stored.map(remembered).unwrap_or_default(),
        },
    };
    symptoms.onto(&mut incident);
    let begin = symptoms.evidence.since.filter(|since| *since <= at.now);
    let began_at = incident.course.began_at.get_or_insert(incident.opened_at);
    *began_at = begin.map_or(*began_at, |begin| begin.min(*began_at));
    incident.course.seen.push(true);
    incident.course.evaluated_at = Some(at.now);
    if !incident.course.seen.agrees(at.policy.opens(incident.key.check), true) {
        return note(NoteReason::FirstSight, incident);
    }
    incident.generation += 1;
    incident.course.sequence = 0;
    incident.state = State::Held;
    if let Some(silence) = at.silence {
        suppress(&mut incident, silence, symptoms.severity);
        return note(NoteReason::Silenced, incident);
    }
    if let Some(cause) = at.cause {
        incident.hold = Some(Hold::Cause { key: cause.clone() });
        return note(NoteReason::UnderCause, incident);
    }
    let reason = if incident.generation > 1 { NotifyReason::FoundAgain } else { NotifyReason::FirstFound };
    open(reason, incident, at)
}

/// The records that a new fault keeps of the earlier ones of its key.
fn remembered(before: &Incident) -> Course {
    let history = before.history();
    let mut earlier = before.course.earlier.clone();
    remember(&mut earlier, before.course.began_at.unwrap_or(before.opened_at));
    Course {
        openings: before.course.openings.clone(),
        episodes: history.episodes,
        forgotten_until: history.forgotten_until,
        earlier,
        acknowledgements: before.acknowledgements().at,
        sent: before.course.sent.clone(),
        ..Course::default()
    }
}

fn open(reason: NotifyReason, mut incident: Incident, at: &Circumstances<'_>) -> Decision {
    let flapping = at.policy.flapping;
    let course = &mut incident.course;
    course.openings.push(at.now);
    course.openings.retain(|opening| at.now.duration_since(*opening) <= flapping.within);
    let forgotten = course.openings.len().saturating_sub(REMEMBERED_OPENINGS.max(flapping.openings));
    course.openings.drain(..forgotten);
    course.flapping = course.openings.len() >= flapping.openings;
    let began_at = course.began_at.unwrap_or(incident.opened_at).min(at.now);
    course.episodes.push(Episode { began_at, told_at: at.now, sent_at: None, resolved_at: None });
    let beyond = course.episodes.len().saturating_sub(REMEMBERED_EPISODES);
    for forgotten in course.episodes.drain(..beyond) {
        // Without a known end, it ended before the next one began.
        let end = forgotten.resolved_at.unwrap_or(forgotten.told_at);
        course.forgotten_until = course.forgotten_until.max(Some(end));
    }
    let (reason, kind) = if course.flapping {
        (NotifyReason::FoundTooOften, NoticeKind::Flapping)
    } else {
        (reason, NoticeKind::Opened)
    };
    // Healthy evaluations before it opened do not count towards its resolution.
    course.seen = RecentLooks::default();
    course.seen.push(true);
    incident.state = State::Open;
    incident.hold = None;
    notify(reason, kind, incident, at.now)
}

fn held_unhealthy(symptoms: &Symptoms<'_>, held: &Incident, at: &Circumstances<'_>) -> Decision {
    let mut incident = refreshed(held.clone(), at.now);
    symptoms.onto(&mut incident);
    incident.course.seen.push(true);
    if let Some(silence) = at.silence {
        return match suppress(&mut incident, silence, symptoms.severity) {
            true => note(NoteReason::Silenced, incident),
            false => still_reporting(RestReason::Silenced, incident, held, at),
        };
    }
    if let Some(cause) = at.cause {
        if matches!(&held.hold, Some(Hold::Cause { key }) if key == cause) {
            return still_reporting(RestReason::UnderCause, incident, held, at);
        }
        incident.hold = Some(Hold::Cause { key: cause.clone() });
        return note(NoteReason::UnderCause, incident);
    }
    open(NotifyReason::HoldEnded, incident, at)
}

/// Counts a notice that a silence suppresses, unless it counted one of that severity before; returns whether it did.
fn suppress(incident: &mut Incident, silence: &Silence, severity: Severity) -> bool {
    let same = matches!(&incident.hold, Some(Hold::Silence { id }) if *id == silence.id);
    if same && incident.course.held_severity.is_some_and(|counted| severity <= counted) {
        return false;
    }
    incident.hold = Some(Hold::Silence { id: silence.id.clone() });
    incident.course.held_back += 1;
    incident.course.held_severity = Some(severity);
    true
}

fn still_unhealthy(symptoms: &Symptoms<'_>, open: &Incident, at: &Circumstances<'_>) -> Decision {
    let mut incident = refreshed(open.clone(), at.now);
    incident.course.seen.push(true);
    let not_resolved = incident.course.healthy_since.take().is_some();
    let again = incident.course.stopped_at.take().is_some();
    // Other incidents depend on its group, so it is not left to the next notice.
    let other_class = incident.group != symptoms.finding.group || incident.class != symptoms.finding.class;
    incident.group.clone_from(&symptoms.finding.group);
    incident.class.clone_from(&symptoms.finding.class);
    if symptoms.severity > open.severity {
        if let Some(silence) = at.silence {
            if suppress(&mut incident, silence, symptoms.severity) {
                return note(NoteReason::Silenced, incident);
            }
        } else {
            symptoms.onto(&mut incident);
            // The acknowledgement was for the lower severity.
            incident.acknowledged = None;
            incident.hold = None;
            incident.course.held_severity = None;
            return notify(NotifyReason::MoreSevere, NoticeKind::Worsened, incident, at.now);
        }
    }
    let news = [
        (not_resolved, NoteReason::NotOver),
        (again, NoteReason::ReportingAgain),
        (other_class, NoteReason::OtherClass),
    ];
    if let Some((_, reason)) = news.into_iter().find(|(is_so, _)| *is_so) {
        return note(reason, incident);
    }
    if open.is_acknowledged(at.now) {
        return still_reporting(RestReason::Acknowledged, incident, open, at);
    }
    if !is_reminder_due(open, at) {
        return still_reporting(RestReason::AlreadyKnown, incident, open, at);
    }
    if at.silence.is_some() {
        return still_reporting(RestReason::Silenced, incident, open, at);
    }
    symptoms.onto(&mut incident);
    incident.acknowledged = None;
    notify(NotifyReason::StillThere, NoticeKind::Reminder, incident, at.now)
}

fn is_reminder_due(open: &Incident, at: &Circumstances<'_>) -> bool {
    let since = at.now.duration_since(open.course.noticed_at.unwrap_or(open.opened_at));
    at.policy.reminder_gap(open.severity, open.course.reminders).is_some_and(|gap| since >= gap)
}

fn healthy(evidence: &Evidence, stored: &Incident, at: &Circumstances<'_>) -> Decision {
    let mut incident = refreshed(stored.clone(), at.now);
    incident.course.seen.push(false);
    incident.course.stopped_at = None;
    let (policy, check) = (at.policy, stored.key.check);
    let settled = match stored.state {
        State::Resolved => return Decision::Rest(RestReason::NothingOpen),
        State::Watching => {
            let of = policy.opens(check).of;
            incident.course.seen.agrees(Agreement { need: of, of }, false)
        }
        State::Held => incident.course.seen.agrees(policy.resolves(check), false),
        State::Open => {
            let since = *incident.course.healthy_since.get_or_insert(at.now);
            let quiet = !stored.course.flapping || at.now.duration_since(since) >= policy.flapping.quiet;
            quiet && incident.course.seen.agrees(policy.resolves(check), false)
        }
    };
    if !settled {
        let looks = policy.looks(check);
        let (after, before) = (&incident.course, &stored.course);
        let news = after.healthy_since != before.healthy_since
            || after.stopped_at != before.stopped_at
            || after.seen.newest(looks) != before.seen.newest(looks);
        return if news {
            note(NoteReason::SeemsOver, incident)
        } else {
            still_reporting(RestReason::Unsettled, incident, stored, at)
        };
    }
    incident.evidence = evidence.clone();
    if stored.state == State::Open {
        resolve(NotifyReason::HealthyAgain, incident, at.now)
    } else {
        passed(incident, at.now)
    }
}

fn not_evaluated(why: &WhyNot, stored: Option<&Incident>, at: &Circumstances<'_>) -> Decision {
    let Some(stored) = stored.filter(|stored| stored.state != State::Resolved) else {
        return Decision::Rest(RestReason::NotEvaluated);
    };
    match why {
        WhyNot::Under { .. } => still_reporting(RestReason::UnderCause, stored.clone(), stored, at),
        WhyNot::NotDeclared if stored.state == State::Open => {
            let mut incident = stored.clone();
            incident.evidence = Evidence::new("check no longer declared in pipeline.toml");
            resolve(NotifyReason::Withdrawn, incident, at.now)
        }
        WhyNot::NotDeclared => passed(stored.clone(), at.now),
        WhyNot::UnknownFigures { .. } | WhyNot::Unreadable { .. } | WhyNot::NothingYet { .. } => {
            not_judged(why, stored, at)
        }
    }
}

fn not_judged(why: &WhyNot, stored: &Incident, at: &Circumstances<'_>) -> Decision {
    if at.silence.is_some() {
        return Decision::Rest(RestReason::NotEvaluated);
    }
    let stopped_at = stored.course.stopped_at;
    let last = stopped_at.or(stored.course.evaluated_at).unwrap_or(stored.opened_at);
    let silent_for = at.now.duration_since(last);
    let long = silent_for >= at.policy.stopped_after;
    match (stored.state, &stored.hold) {
        // It is no longer suppressed, as far as known, and it was not seen to end.
        (State::Held, hold) if long || matches!(hold, Some(Hold::Silence { .. })) => {
            return open(NotifyReason::HoldEnded, stored.clone(), at);
        }
        (State::Open, _) if stopped_at.is_some() => {
            if stored.is_acknowledged(at.now) || !is_reminder_due(stored, at) {
                return Decision::Rest(RestReason::NotEvaluated);
            }
        }
        (State::Open, _) if long => {}
        _ => return Decision::Rest(RestReason::NotEvaluated),
    }
    let last_finding = match stopped_at {
        None => Some(Figure::new(LAST_FINDING, &stored.evidence.summary)),
        Some(_) => stored.evidence.figures.iter().find(|figure| figure.name == LAST_FINDING).cloned(),
    };
    let mut incident = stored.clone();
    incident.course.stopped_at = Some(last);
    let silent_for = words(silent_for);
    let summary = format!("status unknown, last checked {silent_for} ago ({why})");
    incident.evidence = Evidence::new(summary).with("last checked", last);
    incident.evidence.figures.extend(last_finding);
    notify(NotifyReason::NotJudged, NoticeKind::StoppedReporting, incident, at.now)
}

fn passed(incident: Incident, now: Timestamp) -> Decision {
    note(NoteReason::PassedUntold, ended(incident, now))
}

fn ended(incident: Incident, now: Timestamp) -> Incident {
    Incident { state: State::Resolved, resolved_at: Some(now), hold: None, ..incident }
}

fn resolve(reason: NotifyReason, incident: Incident, now: Timestamp) -> Decision {
    let known = incident.history();
    let mut incident = ended(incident, now);
    incident.acknowledged = None;
    // The next opening begins without earlier evaluations.
    incident.course.seen = RecentLooks::default();
    incident.course.healthy_since = None;
    incident.course.stopped_at = None;
    incident.course.episodes = known.episodes;
    incident.course.forgotten_until = known.forgotten_until;
    if let Some(last) = incident.course.episodes.last_mut() {
        last.resolved_at.get_or_insert(now);
    }
    notify(reason, NoticeKind::Resolved, incident, now)
}

/// Rests, but writes the incident if later decisions depend on it, and from time to time, so that a check that stops reporting
/// is noticed. A write in each round would cost more than it is worth.
fn still_reporting(
    reason: RestReason,
    incident: Incident,
    stored: &Incident,
    at: &Circumstances<'_>,
) -> Decision {
    let looks = at.policy.looks(stored.key.check);
    let before = &stored.course;
    let fresh =
        before.evaluated_at.is_some_and(|evaluated| at.now.duration_since(evaluated) < STILL_REPORTING);
    if fresh && incident.course.seen.newest(looks) == before.seen.newest(looks) {
        return Decision::Rest(reason);
    }
    note(NoteReason::StillReporting, refreshed(incident, at.now))
}

fn refreshed(mut incident: Incident, now: Timestamp) -> Incident {
    incident.course.evaluated_at = Some(now);
    incident
}

/// The next version of an incident, and the one that it replaces.
fn next_version(incident: Incident) -> (Box<Incident>, Option<u64>) {
    let replaces = (incident.version > 0).then_some(incident.version);
    (Box::new(Incident { version: incident.version + 1, ..incident }), replaces)
}

fn note(reason: NoteReason, incident: Incident) -> Decision {
    let (incident, replaces) = next_version(incident);
    Decision::Note { reason, incident, replaces }
}

fn notify(reason: NotifyReason, kind: NoticeKind, mut incident: Incident, now: Timestamp) -> Decision {
    incident.pending = Some(Pending { kind, since: now });
    let course = &mut incident.course;
    course.sequence += 1;
    course.noticed_at = Some(now);
    course.reminders = match kind {
        NoticeKind::Reminder | NoticeKind::StoppedReporting => course.reminders + 1,
        _ => 0,
    };
    if kind != NoticeKind::StoppedReporting {
        course.evaluated_at = Some(now);
    }
    let (incident, replaces) = next_version(incident);
    Decision::Notify { reason, incident, replaces, kind }
}

#[cfg(test)]
mod tests;
