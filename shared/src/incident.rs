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
