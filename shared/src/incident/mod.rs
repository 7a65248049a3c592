//! Incidents: one for each (check, subject), open until the check is healthy again, and the decisions about them.
//!
//! Decisions are pure: [`decide`] takes a finding, the stored incident and the circumstances, and returns a [`Decision`] with
//! its reason. The store ([`crate::aws::incidents`]) carries it out by conditional writes.

mod decide;
mod policy;
mod urgency;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::{Check, Evidence, Finding, Severity, show_as_stored};

pub use decide::{
    Circumstances, Decision, NoteReason, NotifyReason, RestReason, acknowledge, close, common_cause, decide,
    resend, unreported,
};
pub use policy::{Agreement, Flapping, NoticePolicy};
pub use urgency::{Urgency, stops_data};

/// How long a notice may be recorded as being sent before another round sends it again.
///
/// Longer than the timeout of every function (see `infra/functions.json`), so that only a dead sender is replaced.
pub const SENDING_LEASE: SignedDuration = SignedDuration::from_mins(2);

/// The most instants of one kind that an incident keeps, at most about 1 kB.
const REMEMBERED: usize = 32;

/// The key of an incident, which never changes: `pipeline/check/subject`. It is also the dedup key in PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    pub pipeline: String,
    pub check: Check,
    pub subject: String,
}

impl IncidentKey {
    /// Returns the key for a finding in a pipeline.
    pub fn of(pipeline: &str, finding: &Finding) -> Self {
        Self { pipeline: pipeline.to_owned(), check: finding.check, subject: finding.subject.clone() }
    }

    /// Returns the part behind the pipeline: `check/subject`.
    pub fn check_subject(&self) -> String {
        format!("{}/{}", self.check, self.subject)
    }

    /// Reads `pipeline/check/subject`.
    pub fn parse(text: &str) -> Option<Self> {
        let (pipeline, check_subject) = text.split_once('/')?;
        let (check, subject) = check_subject.split_once('/')?;
        let (pipeline, subject, check) = (pipeline.to_owned(), subject.to_owned(), Check::from_id(check)?);
        (!pipeline.is_empty() && !subject.is_empty()).then_some(Self { pipeline, check, subject })
    }
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pipeline, self.check, self.subject)
    }
}

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Found, but not often enough to alert.
    Watching,
    /// Found often enough, and suppressed by a silence or by an open incident with the same cause.
    Held,
    /// Alerted, and not healthy yet.
    Open,
    /// Healthy again, or never opened.
    Resolved,
}

impl State {
    /// Returns whether a fault was found often enough to alert and is not healthy yet, even if its notices are suppressed.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Held)
    }
}

/// The event that a notice reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Opened,
    /// It opened repeatedly within hours; it stays open until it is healthy for a while.
    Flapping,
    Worsened,
    Reminder,
    /// Its check can no longer be evaluated.
    StoppedReporting,
    Resolved,
    /// The notices that a silence suppressed, sent after its end. It is not about an incident, so no decision creates it.
    HeldBack,
    /// A remedy did something, or asks for approval. It is not about an incident's state, so no decision creates it.
    Note,
    /// A report that is sent at fixed times. It is not about an incident, so no decision creates it.
    Report,
    /// A person acknowledged it: for the channels of alert-relay, not for mail. Only the operator's command sends it.
    Acknowledged,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Opened,
        Self::Flapping,
        Self::Worsened,
        Self::Reminder,
        Self::StoppedReporting,
        Self::Resolved,
        Self::HeldBack,
        Self::Note,
        Self::Report,
        Self::Acknowledged,
    ];

    /// Returns whether it asks its readers to act on an open problem.
    pub fn asks(self) -> bool {
        !matches!(self, Self::Resolved | Self::HeldBack | Self::Note | Self::Report | Self::Acknowledged)
    }
}

show_as_stored!(State, NoticeKind);

/// A notice that is being sent. It stays on the incident until it is recorded as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub kind: NoticeKind,
    /// When a sender began to send it (UTC).
    pub since: Timestamp,
}

/// Why the notices of an incident are suppressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Hold {
    /// Another open incident with the same cause has alerted.
    Cause {
        key: IncidentKey,
    },
    Silence {
        id: String,
    },
}

/// The acknowledgement of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub by: String,
    pub at: Timestamp,
    /// When it expires: reminders begin again if the incident is still open (UTC).
    pub until: Timestamp,
}

/// The newest evaluations of a check, as bits: the lowest is the newest, and 1 is unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecentLooks {
    bits: u8,
    count: u8,
}

impl RecentLooks {
    fn push(&mut self, unhealthy: bool) {
        self.bits = (self.bits << 1) | u8::from(unhealthy);
        self.count = self.count.saturating_add(1).min(Agreement::LONGEST);
    }

    /// The newest so many of them.
    fn newest(self, looks: u8) -> Self {
        let count = looks.min(self.count).min(Agreement::LONGEST);
        Self { bits: self.bits & Self::mask(count), count }
    }

    fn mask(count: u8) -> u8 {
        u8::try_from((1_u16 << count) - 1).unwrap_or(u8::MAX)
    }

    fn agrees(self, agreement: Agreement, unhealthy: bool) -> bool {
        let Self { bits, count } = self.newest(agreement.of);
        let bits = if unhealthy { bits } else { !bits & Self::mask(count) };
        bits.count_ones() >= u32::from(agreement.need)
    }
}

/// One period in which an incident was open: from its beginning until it was found healthy again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// When it began by its evidence, or else when it was first found (UTC).
    pub began_at: Timestamp,
    /// When it alerted (UTC).
    pub told_at: Timestamp,
    /// When SNS accepted that alert (UTC); `None` before that, and in periods from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it was found healthy again (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// An act of a remedy on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// UTC.
    pub at: Timestamp,
    /// Such as `run properties-update again`.
    pub what: String,
}

/// The recent periods in which an incident was open, and how far back they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub episodes: Vec<Episode>,
    /// Periods that ended before this instant are no longer known (UTC); `None` if all of them are known.
    pub forgotten_until: Option<Timestamp>,
}

/// Instants of one kind that an incident keeps, and how far back they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instants {
    /// Oldest first (UTC).
    pub at: Vec<Timestamp>,
    /// Instants before this one are no longer known (UTC); `None` if all of them are known.
    pub forgotten_until: Option<Timestamp>,
}

impl Instants {
    /// A full list may have lost older ones.
    fn of(kept: &[Timestamp]) -> Self {
        let forgotten_until = kept.first().copied().filter(|_| kept.len() >= REMEMBERED);
        Self { at: kept.to_vec(), forgotten_until }
    }
}

/// Appends to a list of which the newest [`REMEMBERED`] are kept.
fn remember(kept: &mut Vec<Timestamp>, at: Timestamp) {
    kept.push(at);
    kept.drain(..kept.len().saturating_sub(REMEMBERED));
}

/// The history of an incident, as far as decisions and daily figures need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    pub seen: RecentLooks,
    /// When it was last evaluated, to about ten minutes (UTC).
    pub evaluated_at: Option<Timestamp>,
    /// Since when it has been healthy without a break (UTC), while it is open.
    pub healthy_since: Option<Timestamp>,
    pub sequence: u32,
    /// Reminders since the last notice of another kind.
    pub reminders: u32,
    /// When the last notice was decided (UTC).
    pub noticed_at: Option<Timestamp>,
    /// When this key opened recently, this time included (UTC).
    pub openings: Vec<Timestamp>,
    /// Whether it must stay healthy for a while before it resolves.
    pub flapping: bool,
    /// Since when it could not be evaluated (UTC), if that was reported.
    pub stopped_at: Option<Timestamp>,
    /// Suppressed notices of this generation.
    pub held_back: u32,
    /// The highest severity that a silence suppressed.
    pub held_severity: Option<Severity>,
    /// When it began, by its evidence (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// The newest periods in which it was open, this one included; an opening keeps the earlier ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<Episode>,
    /// The end of the newest period that was dropped (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_until: Option<Timestamp>,
    /// When earlier faults of this key began, including those that did not alert (UTC).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Timestamp>,
    /// The last act of a remedy on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// When this key was acknowledged (UTC).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acknowledgements: Vec<Timestamp>,
    /// When SNS accepted notices about this key (UTC).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Timestamp>,
}

/// An incident as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub key: IncidentKey,
    /// How often this key opened; 0 if it was only ever watched.
    pub generation: u64,
    /// The number of writes; every write names the version that it replaces, so that one of two writers wins.
    pub version: u64,
    pub state: State,
    /// The worst severity that it alerted with since it opened.
    pub severity: Severity,
    /// When it was first found (UTC).
    pub opened_at: Timestamp,
    /// When it was found healthy again (UTC).
    pub resolved_at: Option<Timestamp>,
    /// The evidence as of the last notice.
    pub evidence: Evidence,
    pub cause: String,
    /// The class of the vendor's error, if the finding has one.
    pub class: Option<String>,
    /// Shared with other incidents of the same cause.
    pub group: Option<String>,
    /// The notice that is not yet recorded as sent.
    pub pending: Option<Pending>,
    pub hold: Option<Hold>,
    pub acknowledged: Option<Acknowledged>,
    pub course: Course,
}

#[cfg(test)]
impl Incident {
    /// An incident that was found once, at `opened_at`, with no notice to send.
    pub(crate) fn found(
        key: &str,
        state: State,
        severity: Severity,
        opened_at: Timestamp,
        summary: &str,
    ) -> Self {
        Self {
            key: IncidentKey::parse(key).unwrap(),
            generation: 1,
            version: 1,
            state,
            severity,
            opened_at,
            resolved_at: None,
            evidence: Evidence::new(summary),
            cause: String::new(),
            class: None,
            group: None,
            pending: None,
            hold: None,
            acknowledged: None,
            course: Course::default(),
        }
    }
}

impl Incident {
    /// Returns how long it has been, or was, open.
    pub fn open_for(&self, now: Timestamp) -> SignedDuration {
        self.resolved_at.unwrap_or(now).duration_since(self.opened_at)
    }

    /// Returns the periods in which it was open, as far as they are stored; for an incident from before periods were stored, the
    /// last one.
    pub fn history(&self) -> History {
        let course = &self.course;
        if !course.episodes.is_empty() || self.generation == 0 {
            let episodes = course.episodes.clone();
            return History { episodes, forgotten_until: course.forgotten_until };
        }
        let alerted = course.openings.last().copied().unwrap_or(self.opened_at);
        let has_alerted = matches!(self.state, State::Open) || !course.openings.is_empty();
        let episode = Episode {
            began_at: self.opened_at.min(alerted),
            told_at: alerted,
            sent_at: None,
            resolved_at: self.resolved_at,
        };
        // One that never alerted has no earlier periods.
        let before = (has_alerted && self.generation > 1).then_some(self.opened_at);
        History {
            episodes: has_alerted.then_some(episode).into_iter().collect(),
            forgotten_until: before.max(course.forgotten_until),
        }
    }

    /// Returns the id of its newest notice, which stays the same when that notice is sent again.
    pub fn notice_id(&self) -> String {
        format!("{}#{}.{}", self.key, self.generation, self.course.sequence)
    }

    /// Returns when its faults began, the last one included, whether they alerted or not.
    pub fn faults(&self) -> Instants {
        let mut faults = Instants::of(&self.course.earlier);
        faults.at.push(self.course.began_at.unwrap_or(self.opened_at));
        faults
    }

    /// Returns when it was acknowledged.
    pub fn acknowledgements(&self) -> Instants {
        let mut known = Instants::of(&self.course.acknowledgements);
        // The current one may be from before all were kept.
        let current = self.acknowledged.as_ref().map(|by| by.at).filter(|at| !known.at.contains(at));
        known.at.extend(current);
        known
    }

    /// Returns when notices about it were sent.
    pub fn notices_sent(&self) -> Instants {
        Instants::of(&self.course.sent)
    }

    /// Returns the incident with an act of a remedy on it.
    #[must_use]
    pub fn with_act(&self, act: Act) -> Self {
        let mut acted = Self { version: self.version + 1, ..self.clone() };
        acted.course.act = Some(act);
        acted
    }

    /// Returns the incident with the notice recorded as sent at this instant.
    #[must_use]
    pub fn with_notice_sent(&self, at: Timestamp) -> Self {
        let mut sent = Self { pending: None, version: self.version + 1, ..self.clone() };
        remember(&mut sent.course.sent, at);
        let opened = |pending: Pending| matches!(pending.kind, NoticeKind::Opened | NoticeKind::Flapping);
        if self.pending.is_some_and(opened)
            && let Some(last) = sent.course.episodes.last_mut()
        {
            last.sent_at.get_or_insert(at);
        }
        sent
    }

    /// Returns whether it represents a shared cause at this severity: it has alerted at that severity or a higher one, and was
    /// unhealthy in the last evaluation.
    pub fn represents(&self, group: &str, severity: Severity) -> bool {
        let course = &self.course;
        self.state == State::Open
            && self.group.as_deref() == Some(group)
            && self.severity >= severity
            && course.healthy_since.is_none()
            && course.stopped_at.is_none()
    }

    /// When the newest evaluation that is stored in it took place (UTC).
    fn written_at(&self) -> Timestamp {
        let seen = [self.course.evaluated_at, self.course.noticed_at, self.resolved_at];
        seen.into_iter().flatten().max().unwrap_or(self.opened_at)
    }

    /// Whether it is acknowledged, so that there are no reminders.
    fn is_acknowledged(&self, now: Timestamp) -> bool {
        self.acknowledged.as_ref().is_some_and(|by| now < by.until)
    }

    fn is_being_sent(&self, now: Timestamp) -> bool {
        self.pending.is_some_and(|pending| now.duration_since(pending.since) < SENDING_LEASE)
    }
}
