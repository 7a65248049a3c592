//! What is open for one (check, subject) until it is healthy again, and the decisions about it.
//!
//! Decisions are pure: [`decide`] looks at a finding and at what is stored, and answers with a [`Decision`], whose
//! variant is the reason. The store ([`crate::aws::incidents`]) carries them out by conditional writes.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::finding::{Check, Evidence, Finding, Outcome, Severity};

/// How long a notice may stay recorded as being sent before another round sends it again.
///
/// It is longer than any function may run (see `infra/functions.json`), so that only a sender that died is replaced.
pub const SENDING_LEASE: SignedDuration = SignedDuration::from_mins(2);

/// The key of an incident for its whole life: `pipeline/check/subject`. It is the dedup key at PagerDuty too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    /// The pipeline's name.
    pub pipeline: String,
    /// The check.
    pub check: Check,
    /// What is checked.
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
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pipeline, self.check, self.subject)
    }
}

/// Whether an incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not yet healthy again.
    Open,
    /// Healthy again.
    Resolved,
}

/// What a notice says of its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// It began.
    Opened,
    /// It became more severe.
    Worsened,
    /// It ended.
    Resolved,
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Resolved => "resolved",
        })
    }
}

/// A notice that is being sent. It stays on the incident until it was published: sent, then recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What the notice says.
    pub kind: NoticeKind,
    /// When a sender took it (UTC).
    pub since: Timestamp,
}

/// An incident as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its key.
    pub key: IncidentKey,
    /// Counts how often this key was opened, from 1.
    pub generation: u64,
    /// Counts writes; every write names the version that it replaces, so that of two writers one wins.
    pub version: u64,
    /// Open or resolved.
    pub state: State,
    /// The worst severity since it opened.
    pub severity: Severity,
    /// When it was first found (UTC).
    pub opened_at: Timestamp,
    /// When it was found healthy again (UTC).
    pub resolved_at: Option<Timestamp>,
    /// What was found, as of the last notice.
    pub evidence: Evidence,
    /// The likely cause.
    pub cause: String,
    /// The notice that is yet to be recorded as sent.
    pub pending: Option<Pending>,
}

impl Incident {
    /// How long it has been, or was, open.
    pub fn open_for(&self, now: Timestamp) -> SignedDuration {
        self.resolved_at.unwrap_or(now).duration_since(self.opened_at)
    }

    /// The incident with the notice recorded as sent.
    #[must_use]
    pub fn with_notice_sent(&self) -> Self {
        Self { pending: None, version: self.version + 1, ..self.clone() }
    }

    fn is_being_sent(&self, now: Timestamp) -> bool {
        self.pending.is_some_and(|pending| now.duration_since(pending.since) < SENDING_LEASE)
    }
}

/// What is to be done about a finding, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is to be done.
    Rest(RestReason),
    /// The incident is to be written over what was stored, then a notice of this kind is to be sent.
    Notify {
        /// Why.
        reason: NotifyReason,
        /// The incident as it will be, with the notice pending.
        incident: Box<Incident>,
        /// The version that it replaces; `None` when nothing was stored.
        replaces: Option<u64>,
        /// What the notice says.
        kind: NoticeKind,
    },
}

/// Why nothing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestReason {
    /// Healthy, and no incident is open.
    NothingOpen,
    /// Unhealthy as before; people know.
    AlreadyKnown,
    /// A notice about this incident is on its way; the next round looks again.
    BeingSent,
    /// The check could not be judged, which neither opens nor resolves anything.
    NotEvaluated,
}

/// Why a notice is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyReason {
    /// Found for the first time.
    FirstFound,
    /// Found again after it had been resolved.
    FoundAgain,
    /// More severe than people were told.
    MoreSevere,
    /// Healthy again.
    HealthyAgain,
    /// A notice was never recorded as sent, so its sender died: it is sent again.
    NeverRecorded,
}

/// Decides what a finding means for the incident that is stored under its key.
///
/// * unhealthy, nothing open          => opened
/// * unhealthy, more severe than told => worsened
/// * unhealthy otherwise              => rest, people know
/// * healthy, open and delivered      => resolved
/// * a notice that was never recorded => that notice again, before anything else is said
pub fn decide(pipeline: &str, finding: &Finding, stored: Option<&Incident>, now: Timestamp) -> Decision {
    if let Some(stored) = stored {
        if stored.is_being_sent(now) {
            return Decision::Rest(RestReason::BeingSent);
        }
        if let Some(decision) = resend(stored, now) {
            return decision;
        }
    }
    let open = stored.filter(|incident| incident.state == State::Open);
    match (&finding.outcome, open) {
        (Outcome::NotEvaluated { .. }, _) => Decision::Rest(RestReason::NotEvaluated),
        (Outcome::Healthy { .. }, None) => Decision::Rest(RestReason::NothingOpen),
        (Outcome::Healthy { evidence }, Some(open)) => {
            let mut resolved = open.clone();
            resolved.state = State::Resolved;
            resolved.resolved_at = Some(now);
            resolved.evidence = evidence.clone();
            notify(NotifyReason::HealthyAgain, NoticeKind::Resolved, resolved, Some(open), now)
        }
        (Outcome::Unhealthy { severity, evidence, cause }, Some(open)) => {
            if *severity <= open.severity {
                return Decision::Rest(RestReason::AlreadyKnown);
            }
            let mut worse = open.clone();
            worse.severity = *severity;
            worse.evidence = evidence.clone();
            worse.cause.clone_from(cause);
            notify(NotifyReason::MoreSevere, NoticeKind::Worsened, worse, Some(open), now)
        }
        (Outcome::Unhealthy { severity, evidence, cause }, None) => {
            let opened = Incident {
                key: IncidentKey::of(pipeline, finding),
                generation: stored.map_or(0, |before| before.generation) + 1,
                version: stored.map_or(0, |before| before.version),
                state: State::Open,
                severity: *severity,
                opened_at: now,
                resolved_at: None,
                evidence: evidence.clone(),
                cause: cause.clone(),
                pending: None,
            };
            let reason = if stored.is_some() { NotifyReason::FoundAgain } else { NotifyReason::FirstFound };
            notify(reason, NoticeKind::Opened, opened, stored, now)
        }
    }
}

/// The notice that a sender took and never recorded as sent, once its lease has ended.
pub fn resend(stored: &Incident, now: Timestamp) -> Option<Decision> {
    let pending = stored.pending?;
    if stored.is_being_sent(now) {
        return None;
    }
    Some(notify(NotifyReason::NeverRecorded, pending.kind, stored.clone(), Some(stored), now))
}

fn notify(
    reason: NotifyReason,
    kind: NoticeKind,
    mut incident: Incident,
    stored: Option<&Incident>,
    now: Timestamp,
) -> Decision {
    incident.version += 1;
    incident.pending = Some(Pending { kind, since: now });
    Decision::Notify {
        reason,
        incident: Box::new(incident),
        replaces: stored.map(|before| before.version),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::WhyNot;

    const SUBJECT: &str = "properties-create";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn unhealthy(severity: Severity) -> Finding {
        Finding::unhealthy(
            Check::SyncPaused,
            SUBJECT,
            severity,
            Evidence::new("paused"),
            "somebody paused it",
        )
    }

    fn healthy() -> Finding {
        Finding::healthy(Check::SyncPaused, SUBJECT, Evidence::new("not paused"))
    }

    fn not_evaluated() -> Finding {
        Finding::not_evaluated(Check::SyncPaused, SUBJECT, WhyNot::NotDeclared)
    }

    /// What the store holds after a decision was carried out and its notice recorded.
    fn after(decision: Decision) -> Incident {
        match decision {
            Decision::Notify { incident, .. } => incident.with_notice_sent(),
            Decision::Rest(reason) => panic!("nothing was written: {reason:?}"),
        }
    }

    fn opened() -> Incident {
        after(decide("p", &unhealthy(Severity::Error), None, at(0)))
    }

    fn resolved() -> Incident {
        after(decide("p", &healthy(), Some(&opened()), at(60)))
    }

    /// (reason, kind) as text, for tables.
    fn said(decision: &Decision) -> String {
        match decision {
            Decision::Rest(reason) => format!("rest {reason:?}"),
            Decision::Notify { reason, kind, .. } => format!("{kind} {reason:?}"),
        }
    }

    #[test]
    fn each_finding_and_each_stored_state_has_its_decision() {
        let table = [
            (unhealthy(Severity::Error), None, "opened FirstFound"),
            (unhealthy(Severity::Error), Some(resolved()), "opened FoundAgain"),
            (unhealthy(Severity::Error), Some(opened()), "rest AlreadyKnown"),
            (unhealthy(Severity::Warning), Some(opened()), "rest AlreadyKnown"),
            (unhealthy(Severity::Critical), Some(opened()), "worsened MoreSevere"),
            (healthy(), None, "rest NothingOpen"),
            (healthy(), Some(resolved()), "rest NothingOpen"),
            (healthy(), Some(opened()), "resolved HealthyAgain"),
            (not_evaluated(), None, "rest NotEvaluated"),
            (not_evaluated(), Some(opened()), "rest NotEvaluated"),
        ];
        for (finding, stored, expected) in table {
            assert_eq!(
                said(&decide("p", &finding, stored.as_ref(), at(120))),
                expected,
                "{finding} on {stored:?}"
            );
        }
    }

    #[test]
    fn an_incident_keeps_one_key_and_counts_its_generations() {
        let again = after(decide("p", &unhealthy(Severity::Error), Some(&resolved()), at(120)));
        assert_eq!(again.key.to_string(), "p/sync-paused/properties-create");
        assert_eq!((again.generation, again.opened_at, again.resolved_at), (2, at(120), None));
    }

    #[test]
    fn every_decision_replaces_the_version_that_it_looked_at() {
        let stored = opened();
        match decide("p", &healthy(), Some(&stored), at(60)) {
            Decision::Notify { incident, replaces, .. } => {
                assert_eq!(replaces, Some(stored.version));
                assert_eq!(incident.version, stored.version + 1);
            }
            Decision::Rest(reason) => panic!("{reason:?}"),
        }
    }

    #[test]
    fn a_notice_on_its_way_is_waited_for_and_then_sent_again() {
        let Decision::Notify { incident, .. } = decide("p", &unhealthy(Severity::Error), None, at(0)) else {
            panic!("not opened");
        };
        for finding in [unhealthy(Severity::Critical), healthy(), not_evaluated()] {
            assert_eq!(said(&decide("p", &finding, Some(&incident), at(119))), "rest BeingSent");
            assert_eq!(said(&decide("p", &finding, Some(&incident), at(120))), "opened NeverRecorded");
        }
        assert_eq!(resend(&incident, at(119)), None);
    }

    #[test]
    fn an_incident_is_resolved_only_after_its_opening_was_delivered() {
        let Decision::Notify { incident, .. } = decide("p", &unhealthy(Severity::Error), None, at(0)) else {
            panic!("not opened");
        };
        let resent = after(decide("p", &healthy(), Some(&incident), at(300)));
        assert_eq!(resent.state, State::Open);
        assert_eq!(said(&decide("p", &healthy(), Some(&resent), at(420))), "resolved HealthyAgain");
    }

    proptest::proptest! {
        /// Any sequence of findings, each judged a round later: openings and resolutions take turns.
        #[test]
        fn openings_and_resolutions_take_turns(findings in proptest::collection::vec(0_u8..5, 1..60)) {
            let mut stored: Option<Incident> = None;
            let mut open = false;
            for (round, kind) in findings.iter().enumerate() {
                let finding = match kind {
                    0 => healthy(),
                    1 => not_evaluated(),
                    2 => unhealthy(Severity::Warning),
                    3 => unhealthy(Severity::Error),
                    _ => unhealthy(Severity::Critical),
                };
                let now = at(i64::try_from(round).unwrap() * 120);
                if let Decision::Notify { incident, kind, .. } = decide("p", &finding, stored.as_ref(), now) {
                    match kind {
                        NoticeKind::Opened => { proptest::prop_assert!(!open); open = true; }
                        NoticeKind::Worsened => proptest::prop_assert!(open),
                        NoticeKind::Resolved => { proptest::prop_assert!(open); open = false; }
                    }
                    stored = Some(incident.with_notice_sent());
                }
            }
        }
    }
}
