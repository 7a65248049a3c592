//! Remedies: acts that may heal an incident, and every decision about them. Pure.
//!
//! [`choose`] picks the remedy of an incident and writes its [`Plan`]; [`may`] judges all [`Gate`]s of a plan, at the proposal
//! and again at the moment of acting; a [`Record`] is the stored course of one attempt, and moves only along
//! [`State::may_become`]. The intention is stored before the call, so that after a crash the run is looked for and never asked
//! for twice.
//!
//! No plan can express a full sync, a pause, or a change of records or mappings.

mod choose;
mod gates;
mod health;
mod limits;
mod proof;
mod score;
mod view;
mod widen;
mod words;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::finding::{WAREHOUSE, show_as_stored};
use crate::incident::{Incident, IncidentKey};
use crate::observation::{Run, RunHistory, RunId, SyncId, SyncObservation, WarehouseState};
use crate::pipeline::RemedyKind;

pub use choose::{Choice, choose, ill_syncs, may_have_one, next_start, siblings};
pub use gates::{Failing, Gate, Ill, Verdict, World, cents, may};
pub use health::{Health, adopted, harm, health};
pub use limits::{Limits, gives_up, limits};
pub use proof::{CopySeen, LastRun, Proof, Queue, look_after, looked, unshown};
pub use score::{Recovery, SCORED, Score, score};
pub use view::{is_watched, watched};
pub use widen::{WIDE_FOR, put_back};
pub use words::{Announcement, command};

/// How long a person has for an answer, and how long the answer is valid.
pub const ASKED_FOR: SignedDuration = SignedDuration::from_hours(4);
/// A call without a clear answer has failed if its effect is not seen by then.
pub const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(10);
/// The most steps that a record keeps.
const STEPS_KEPT: usize = 40;

/// The target of a remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "kebab-case")]
pub enum Target {
    Sync {
        key: String,
        id: SyncId,
        /// Whether a run of it may create records, so that it needs a [`Proof`].
        creates: bool,
    },
    Warehouse {
        id: String,
    },
    /// The largest number of clusters of the SQL warehouse.
    Clusters {
        id: String,
        from: u32,
        to: u32,
    },
    /// The webhook in Census.
    Webhook {
        /// Those that post to our endpoint now.
        old: Vec<u64>,
    },
    /// A view, by its name in `pipeline.toml`.
    View {
        name: String,
        /// A digest of its present definition.
        found: String,
    },
    /// The queue of notices that could not be delivered.
    DeadLetters,
}

impl Target {
    /// Returns its name in lists: the key of a sync, the name of a view, `warehouse`, `webhook` or `dead-letters`.
    pub fn name(&self) -> &str {
        match self {
            Self::Sync { key, .. } => key,
            Self::Warehouse { .. } | Self::Clusters { .. } => WAREHOUSE,
            Self::Webhook { .. } => "webhook",
            Self::View { name, .. } => name,
            Self::DeadLetters => "dead-letters",
        }
    }
}

/// An act: its target, its reason, its effect and its cost. It has no instants that move, so the same situation has the same
/// [`Plan::hash`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub kind: RemedyKind,
    pub target: Target,
    pub incident: IncidentKey,
    /// When the incident opened (UTC); a later one of the same key is another incident.
    pub opened_at: Timestamp,
    /// The fault, as the incident states it.
    pub why: String,
    pub effect: String,
    pub cost: String,
    pub undo: String,
    /// How many people must approve it; 0 if the rules may.
    pub approvals: usize,
}

impl Plan {
    /// Returns a digest of the whole plan; an approval is valid for one.
    pub fn hash(&self) -> String {
        // A struct of texts and instants cannot fail to serialize.
        hex(&serde_json::to_vec(self).unwrap_or_default(), 16)
    }

    /// Returns whether it changes anything at a vendor or in our queues.
    pub fn acts(&self) -> bool {
        self.kind != RemedyKind::Wait
    }
}

fn hex(bytes: &[u8], length: usize) -> String {
    Sha256::digest(bytes).iter().take(length).map(|byte| format!("{byte:02x}")).collect()
}

/// The state of a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for people's approval.
    Proposed,
    /// Gates say not now; they are judged again in each round.
    Held,
    /// The intention is stored; the call may have been made.
    Acting,
    /// A function died after the intention, or the call had no clear answer: it is never repeated.
    Unknown,
    /// The call was accepted, or the schedule is awaited; the effect is not seen yet.
    Verifying,
    /// The incident's own check was healthy after the act.
    Healed,
    Failed,
    /// The incident ended, or the plan changed, before an act.
    Withdrawn,
    /// It was not approved in time.
    Expired,
    /// A person refused it.
    Refused,
    /// It would have acted, and the level is `advise`.
    Advised,
}

show_as_stored!(State);

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Proposed,
        Self::Held,
        Self::Acting,
        Self::Unknown,
        Self::Verifying,
        Self::Healed,
        Self::Failed,
        Self::Withdrawn,
        Self::Expired,
        Self::Refused,
        Self::Advised,
    ];

    /// Returns whether it can still change.
    pub fn is_active(self) -> bool {
        self <= Self::Verifying
    }

    /// Returns whether a call was made, or may have been.
    pub fn has_acted(self) -> bool {
        matches!(self, Self::Acting | Self::Unknown | Self::Verifying | Self::Healed | Self::Failed)
    }

    /// Returns whether a remedy may go from this state to the next.
    pub fn may_become(self, next: Self) -> bool {
        use State::{
            Acting, Advised, Expired, Failed, Healed, Held, Proposed, Refused, Unknown, Verifying, Withdrawn,
        };
        match self {
            Proposed | Held => {
                matches!(next, Proposed | Held | Acting | Verifying | Advised | Withdrawn | Expired | Refused)
            }
            // Back to held only before the call was made.
            Acting => matches!(next, Held | Verifying | Unknown | Failed),
            Unknown => matches!(next, Verifying | Failed),
            // To itself where a part of the act is undone.
            Verifying => matches!(next, Verifying | Healed | Failed | Withdrawn),
            Healed | Failed | Withdrawn | Expired | Refused | Advised => false,
        }
    }
}

/// One change of a remedy's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// UTC.
    pub at: Timestamp,
    pub state: State,
    pub why: String,
}

/// The approval of a plan by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The person's AWS identity.
    pub by: String,
    /// UTC.
    pub at: Timestamp,
    /// The plan that was approved.
    pub hash: String,
}

/// One attempt to heal an incident, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Names it in commands.
    pub id: String,
    pub plan: Plan,
    /// Counts from 1 within an incident.
    pub attempt: u32,
    pub state: State,
    /// The number of writes; every write names the version that it replaces.
    pub version: u64,
    /// Oldest first.
    pub steps: Vec<Step>,
    /// The gates that said no in the last judgement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Failing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// When the intention was stored (UTC), by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Timestamp>,
    /// The newest run of the sync before the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_before: Option<RunId>,
    /// The run that the act started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// US cents that the act may have cost.
    #[serde(default)]
    pub cents: u64,
    /// The seconds from the act to the next scheduled start; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_seconds: Option<i64>,
    /// Whether the vendor refused the act because we lack the right.
    #[serde(default)]
    pub lacks_right: bool,
    /// The harm that the act did, by a later observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<String>,
    /// The proof before the act that it creates no duplicates, for a run that may create records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<Proof>>,
    /// Whether a later look for harm was done: in the copy, with the effect of the act in it, or at the first runs of `readers`.
    #[serde(default)]
    pub looked: bool,
    /// Messages that were sent again.
    #[serde(default)]
    pub moved: u64,
    /// The definition of a view before the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// The syncs that read the view, by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<String>,
    /// The announcement that was not sent yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unannounced: Option<Announcement>,
}

impl Record {
    /// Begins the attempt of this number.
    pub fn begin(plan: Plan, attempt: u32, now: Timestamp) -> Self {
        let key = format!("{}#{}#{}#{attempt}", plan.incident, plan.opened_at, plan.kind);
        let why = format!("proposed: {}", plan.why);
        Self {
            id: hex(key.as_bytes(), 4),
            plan,
            attempt,
            state: State::Held,
            version: 1,
            steps: vec![Step { at: now, state: State::Held, why }],
            failing: Vec::new(),
            approvals: Vec::new(),
            acted_at: None,
            newest_before: None,
            run: None,
            cents: 0,
            gain_seconds: None,
            lacks_right: false,
            harm: None,
            proof: None,
            looked: false,
            moved: 0,
            replaced: None,
            readers: Vec::new(),
            unannounced: None,
        }
    }

    /// Returns when it was proposed (UTC).
    pub fn proposed_at(&self) -> Timestamp {
        self.steps.first().map_or(Timestamp::UNIX_EPOCH, |step| step.at)
    }

    /// Returns when it came to its state (UTC).
    pub fn since(&self) -> Timestamp {
        let same = self.steps.iter().rev().take_while(|step| step.state == self.state);
        same.last().map_or(self.proposed_at(), |step| step.at)
    }

    /// Returns it in the next state; `None` if the state machine has no such way.
    #[must_use]
    pub fn to(&self, next: State, why: impl Into<String>, now: Timestamp) -> Option<Self> {
        self.state.may_become(next).then(|| {
            let mut moved = Self { state: next, version: self.version + 1, ..self.clone() };
            moved.steps.push(Step { at: now, state: next, why: why.into() });
            let beyond = moved.steps.len().saturating_sub(STEPS_KEPT);
            // The first step dates the proposal.
            moved.steps.drain(1..beyond + 1);
            moved
        })
    }

    /// Returns it with the announcement, which stays until it is recorded as announced.
    #[must_use]
    pub fn announcement(mut self, announcement: Option<Announcement>) -> Self {
        self.unannounced = announcement.or(self.unannounced);
        self
    }

    /// Returns it with no announcement left to send.
    #[must_use]
    pub fn announced(&self) -> Self {
        Self { unannounced: None, version: self.version + 1, ..self.clone() }
    }

    /// Returns the distinct people whose approval of the present plan is valid.
    pub fn approvers(&self, now: Timestamp) -> Vec<&str> {
        let hash = self.plan.hash();
        let valid = self.approvals.iter().filter(|approval| {
            approval.hash == hash
                && approval.at >= self.proposed_at()
                && now.duration_since(approval.at) < ASKED_FOR
        });
        let mut people: Vec<&str> = valid.map(|approval| approval.by.as_str()).collect();
        people.sort_unstable();
        people.dedup();
        people
    }

    /// Returns it with the approval of its plan by a person, or why it cannot be approved.
    pub fn approved(&self, by: &str, now: Timestamp) -> Result<Self, String> {
        if self.plan.approvals == 0 && !self.failing.iter().any(|failing| failing.gate == Gate::Approval) {
            return Err("it needs no approval".to_owned());
        }
        if !matches!(self.state, State::Proposed | State::Held) {
            return Err(format!("it is {}", self.state));
        }
        if self.approvers(now).contains(&by) {
            return Err(format!("{by} has approved it already"));
        }
        let mut approved = Self { version: self.version + 1, ..self.clone() };
        approved.approvals.push(Approval { by: by.to_owned(), at: now, hash: self.plan.hash() });
        Ok(approved)
    }

    /// Returns it as refused by a person, or why it cannot be refused.
    pub fn refused(&self, by: &str, why: &str, now: Timestamp) -> Result<Self, String> {
        let refused = self.to(State::Refused, format!("refused by {by}: {why}"), now);
        refused.ok_or_else(|| format!("it is {}", self.state))
    }

    /// Returns whether it has waited too long for people.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.state == State::Proposed && now.duration_since(self.since()) >= ASKED_FOR
    }

    /// Returns whether another attempt is of the same act: its kind and its target.
    pub fn is_of_same_act(&self, other: &Self) -> bool {
        self.id != other.id
            && self.plan.kind == other.plan.kind
            && self.plan.target.name() == other.plan.target.name()
    }

    /// Returns whether it is about this incident, and not an earlier or later one of its key.
    pub fn is_about(&self, incident: &Incident) -> bool {
        self.plan.incident == incident.key && self.plan.opened_at == incident.opened_at
    }
}

/// Everything that was read for one plan, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// When reading began (UTC), by our clock.
    pub at: Timestamp,
    /// The sync of the plan; `Err` says why it could not be read.
    pub sync: Result<SyncObservation, String>,
    /// The declared syncs that write the same object, by key.
    pub siblings: Vec<(String, Result<SyncObservation, String>)>,
    pub warehouse: Result<WarehouseState, String>,
    /// The newest queries that waited because the warehouse was full; `None` if that was not read.
    pub queued: Option<usize>,
    /// The messages in the queue of undelivered notices.
    pub dead_letters: Result<u64, String>,
    pub webhook: Result<WebhookSeen, String>,
    pub view: Result<ViewSeen, String>,
    /// Whether the incident's own check is healthy by this observation; `None` if it could not be judged.
    pub healthy: Option<bool>,
    /// Read only for an incident whose remedy is a run that may create records.
    pub proof: Option<Box<Proof>>,
}

impl Observed {
    /// Nothing was read, for this reason.
    pub fn nothing(at: Timestamp, why: &str) -> Self {
        Self {
            at,
            sync: Err(why.to_owned()),
            siblings: Vec::new(),
            warehouse: Err(why.to_owned()),
            queued: None,
            dead_letters: Err(why.to_owned()),
            webhook: Err(why.to_owned()),
            view: Err(why.to_owned()),
            healthy: None,
            proof: None,
        }
    }

    /// The newest runs of the sync, if they were read.
    pub fn history(&self) -> Option<&RunHistory> {
        self.sync.as_ref().ok()?.runs.as_ref().ok()
    }

    /// The newest run of the sync.
    pub fn newest_run(&self) -> Option<&Run> {
        self.history()?.runs.iter().max_by_key(|run| run.id)
    }
}

/// The webhook in Census and its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSeen {
    /// The webhooks that post to our endpoint.
    pub ours: Vec<u64>,
    /// Whether there is one, with all events, and its secret is the stored one.
    pub whole: bool,
    /// The last delivery that was accepted (UTC).
    pub accepted_at: Option<Timestamp>,
}

/// A view that differs from its file, and the dry run of the file's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSeen {
    /// Its present definition, normalised; `None` if it does not exist.
    pub found: Option<String>,
    /// Whether that is the file's.
    pub as_declared: bool,
    /// Columns that syncs read from it and the file's definition lacks.
    pub lost_columns: Vec<String>,
    /// The rows of the present view; `None` if it cannot be queried.
    pub rows: Option<u64>,
    /// The rows of the file's definition; `Err` says why it cannot be queried.
    pub declared_rows: Result<u64, String>,
    /// The syncs that read it.
    pub readers: Vec<String>,
}

/// The kill switch of a pipeline, or of one of its remedies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// `None` for all remedies.
    pub kind: Option<RemedyKind>,
    pub by: String,
    /// UTC.
    pub at: Timestamp,
    pub why: String,
}

impl Stop {
    /// Returns whether it stops this remedy.
    pub fn covers(&self, kind: RemedyKind) -> bool {
        self.kind.is_none_or(|own| own == kind)
    }
}

#[cfg(test)]
mod tests;
