//! What is open for one (check, subject) until it is healthy again, and the decisions about it.
//!
//! Decisions are pure: [`decide`] looks at a finding, at what is stored and at the circumstances, and answers with a
//! [`Decision`], whose variant is the reason. The store ([`crate::aws::incidents`]) carries them out by conditional
//! writes.

mod decide;
mod policy;
mod urgency;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::{Check, Evidence, Finding, Severity, show_as_stored};

pub use decide::{
    Circumstances, Decision, NoteReason, NotifyReason, RestReason, acknowledge, common_cause, decide, resend,
    unreported,
};
pub use policy::{Agreement, Flapping, NoticePolicy};
pub use urgency::{Urgency, stops_data};

/// How long a notice may stay recorded as being sent before another round sends it again.
///
/// It is longer than any function may run (see `infra/functions.json`), so that only a sender that died is replaced.
pub const SENDING_LEASE: SignedDuration = SignedDuration::from_mins(2);

/// The key of an incident for its whole life: `pipeline/check/subject`. It is the dedup key at PagerDuty too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    pub pipeline: String,
    pub check: Check,
    pub subject: String,
}

impl IncidentKey {
    /// The key for a finding in a pipeline.
    pub fn of(pipeline: &str, finding: &Finding) -> Self {
        Self { pipeline: pipeline.to_owned(), check: finding.check, subject: finding.subject.clone() }
    }

    /// The part below the pipeline: `check/subject`.
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

/// How far an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Seen, but not often enough to be told.
    Watching,
    /// It is one, and people are not told: a silence or a common cause that they know of covers it.
    Held,
    /// People were told, and it is not healthy yet.
    Open,
    /// Healthy again, or never more than watched.
    Resolved,
}

/// What a notice says of its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Opened,
    /// It began once more within hours: it stays open until it keeps quiet.
    Flapping,
    Worsened,
    Reminder,
    /// It cannot be judged any more.
    StoppedReporting,
    Resolved,
    /// What a silence suppressed, sent after its end. About no incident, so no decision makes it.
    HeldBack,
    /// A person took it on: for PagerDuty and the chat, not for mail. Only the operator's command sends it.
    Acknowledged,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Flapping,
        Self::Worsened,
        Self::Reminder,
        Self::StoppedReporting,
        Self::Resolved,
        Self::HeldBack,
        Self::Acknowledged,
    ];
}

show_as_stored!(State, NoticeKind);

/// A notice that is being sent. It stays on the incident until it was published: sent, then recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub kind: NoticeKind,
    /// When a sender took it (UTC).
    pub since: Timestamp,
}

/// Why people are not told of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Hold {
    /// Another open incident has the same cause; people know of that one.
    Cause {
        key: IncidentKey,
    },
    Silence {
        id: String,
    },
}

/// Somebody has taken an incident on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub by: String,
    pub at: Timestamp,
    /// When reminders begin again if it is still open (UTC).
    pub until: Timestamp,
}

/// The newest observations of a check, as bits: the lowest is the newest, and 1 is unhealthy.
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

    /// The newest observations and no others: how many there are, and their bits.
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

/// One time that an incident was open: from its beginning until it was found healthy again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// Since when it was, as far as the evidence said; when it was first found if that said nothing (UTC).
    pub began_at: Timestamp,
    /// When people were told (UTC).
    pub told_at: Timestamp,
    /// When it was found healthy again (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// The times that an incident was open of late, and how far back they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub episodes: Vec<Episode>,
    /// What was over before this instant is not known any more (UTC); `None` if all of them are known.
    pub forgotten_until: Option<Timestamp>,
}

/// What has happened to an incident on its way, as far as decisions and the figures of a day need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    pub seen: RecentLooks,
    /// When it was last judged, to about ten minutes (UTC).
    pub evaluated_at: Option<Timestamp>,
    /// Since when it is healthy without a break (UTC), while it is open.
    pub healthy_since: Option<Timestamp>,
    pub sequence: u32,
    /// Reminders since the last notice that was none.
    pub reminders: u32,
    /// When the last notice was decided (UTC).
    pub noticed_at: Option<Timestamp>,
    /// When this key was opened of late, this time included (UTC).
    pub openings: Vec<Timestamp>,
    /// Whether it must keep quiet before it is called resolved.
    pub flapping: bool,
    /// Since when nobody could judge it (UTC), if people were told so.
    pub stopped_at: Option<Timestamp>,
    /// Notices of this generation that a silence held back.
    pub held_back: u32,
    /// The severity of which a silence kept people from hearing.
    pub held_severity: Option<Severity>,
    /// Since when it is, as far as the evidence says (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// The newest times that people were told of it, this one included: an opening keeps those before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<Episode>,
    /// The end of the newest one that there was no room for (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_until: Option<Timestamp>,
}

/// An incident as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub key: IncidentKey,
    /// Counts how often this key was opened, from 1; 0 while it was only ever watched.
    pub generation: u64,
    /// Counts writes, from 1; every write names the version that it replaces, so that of two writers one wins.
    pub version: u64,
    pub state: State,
    /// The worst severity since it opened, as far as people were told.
    pub severity: Severity,
    /// When it was first found (UTC).
    pub opened_at: Timestamp,
    /// When it was found healthy again (UTC).
    pub resolved_at: Option<Timestamp>,
    /// What was found, as of the last notice.
    pub evidence: Evidence,
    pub cause: String,
    /// The class of the vendor's error, if the finding has one.
    pub class: Option<String>,
    /// What it has in common with others of the same cause.
    pub group: Option<String>,
    /// The notice that is yet to be recorded as sent.
    pub pending: Option<Pending>,
    pub hold: Option<Hold>,
    pub acknowledged: Option<Acknowledged>,
    pub course: Course,
}

impl Incident {
    /// How long it has been, or was, open.
    pub fn open_for(&self, now: Timestamp) -> SignedDuration {
        self.resolved_at.unwrap_or(now).duration_since(self.opened_at)
    }

    /// When it was open, as far as that is kept. Of one that was written before episodes were kept, only the last is known.
    pub fn history(&self) -> History {
        let course = &self.course;
        if !course.episodes.is_empty() || self.generation == 0 {
            let episodes = course.episodes.clone();
            return History { episodes, forgotten_until: course.forgotten_until };
        }
        let told = course.openings.last().copied().unwrap_or(self.opened_at);
        let was_told = matches!(self.state, State::Open) || !course.openings.is_empty();
        let episode =
            Episode { began_at: self.opened_at.min(told), told_at: told, resolved_at: self.resolved_at };
        // One that was only ever held has nothing to forget.
        let before = (was_told && self.generation > 1).then_some(self.opened_at);
        History {
            episodes: was_told.then_some(episode).into_iter().collect(),
            forgotten_until: before.max(course.forgotten_until),
        }
    }

    /// Names the newest notice of it, and stays the same when that notice is sent again.
    pub fn notice_id(&self) -> String {
        format!("{}#{}.{}", self.key, self.generation, self.course.sequence)
    }

    /// The incident with the notice recorded as sent.
    #[must_use]
    pub fn with_notice_sent(&self) -> Self {
        Self { pending: None, version: self.version + 1, ..self.clone() }
    }

    /// Whether it speaks for a cause that others have in common with it, as severe as this: people know of it by that
    /// severity, and it was seen at the last look.
    pub fn speaks_for(&self, group: &str, severity: Severity) -> bool {
        let course = &self.course;
        self.state == State::Open
            && self.group.as_deref() == Some(group)
            && self.severity >= severity
            && course.healthy_since.is_none()
            && course.stopped_at.is_none()
    }

    /// When the newest look that has left a trace in it was taken (UTC).
    fn written_at(&self) -> Timestamp {
        let seen = [self.course.evaluated_at, self.course.noticed_at, self.resolved_at];
        seen.into_iter().flatten().max().unwrap_or(self.opened_at)
    }

    /// Whether somebody has taken it on, so that there are no reminders.
    fn is_taken_on(&self, now: Timestamp) -> bool {
        self.acknowledged.as_ref().is_some_and(|by| now < by.until)
    }

    fn is_being_sent(&self, now: Timestamp) -> bool {
        self.pending.is_some_and(|pending| now.duration_since(pending.since) < SENDING_LEASE)
    }
}
