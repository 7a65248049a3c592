//! What one `pipeline.toml` declares.
//!
//! The file is read in two steps: a raw form that only knows TOML (`raw`), and the validated form that the code
//! uses ([`Pipeline`]). All that is wrong with a file is told at once, each with key, line and remedy.

mod raw;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::data_checks::DataCheck;
use crate::finding::{
    CENSUS, Check, CriticalAfter, Judge, SYNCWATCH, Severity, SubjectKind, WAREHOUSE, show_as_stored,
};
use crate::incident::{NoticePolicy, Urgency, stops_data};
use crate::observation::SyncId;
use crate::schedule::Schedule;
use crate::silence::Declared;
use crate::sql::Dialect;

/// The default limit of the share of failed and invalid records, in percent.
pub const DEFAULT_ERROR_RATE_PERCENT: f64 = 5.0;
/// The default number of records below which no error rate is judged on one run alone.
pub const DEFAULT_ERROR_RATE_MIN_RECORDS: u64 = 20;
/// The default number of runs skipped in a row that is too many.
pub const DEFAULT_SKIPPED_RUNS_LIMIT: usize = 3;
/// A run is stuck by default once it works this many times its runtime target.
pub const DEFAULT_STUCK_FACTOR: i32 = 3;
/// A run of a sync without a runtime target is stuck by default once it works this long.
pub const DEFAULT_STUCK_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// The table of runs and days that `syncwatch warehouse-apply` creates.
pub const DEFAULT_AUDIT_LOG: &str = "crm.sfdc_dbx.sync_audit_log";
/// What stops data becomes critical once it lasts this long, where neither `max_lag` nor a minimum schedule is declared.
pub const DEFAULT_CRITICAL_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The default grace of a schedule.
pub const DEFAULT_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A validated `pipeline.toml`.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name; the first part of every incident key.
    pub name: String,
    /// The zone in which people read times, and the default zone of schedules.
    pub time_zone: TimeZone,
    /// Where the runbook is; anchors are appended.
    pub runbook_url: Option<String>,
    pub census: Census,
    pub objectives: Objectives,
    pub contacts: Vec<Contact>,
    pub notices: NoticePolicy,
    /// Silences and maintenance windows; names are unique.
    pub silences: Vec<Declared>,
    pub channels: Channels,
    /// The syncs, in the file's order; keys and ids are unique.
    pub syncs: Vec<Sync>,
    /// Where the data is; there are no checks without it.
    pub warehouse: Option<Warehouse>,
    /// What is to hold of the data, in the file's order; names are unique, and none is that of a sync.
    pub checks: Vec<DataCheck>,
    /// Where each night's figures are kept; none are taken without it, and it needs a warehouse.
    pub snapshot: Option<Snapshot>,
}

/// Where the figures of runs and days are kept, each as `[catalog.][schema.]table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The table of runs and days, in the form of `sync_audit_log` of `infra/warehouse`.
    pub audit_log: String,
    /// The view that has the state of the data in one row, in the form of `daily_health_check`; without it the figures of
    /// the data are missing, and all others are taken.
    pub health_view: Option<String>,
}

/// Where notices go beside mail, each with the lowest severity that goes there. One that is not declared is not used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Channels {
    /// PagerDuty, by its Events API v2.
    pub pagerduty: Option<Severity>,
    pub chat: Option<Severity>,
}

/// Where the data is. Credentials are in the secret that the environment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warehouse {
    /// Databricks, by its SQL Statement Execution API.
    Databricks { host: String, warehouse_id: String },
    /// Any database with an ODBC driver. Where it is, the secret says.
    Odbc { dialect: Dialect },
}

impl Warehouse {
    /// Whose SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Databricks { .. } => Dialect::Databricks,
            Self::Odbc { dialect } => *dialect,
        }
    }
}

/// Where and how to reach Census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    pub api_version: ApiVersion,
    /// Scheme and host, without a path.
    pub base_url: String,
    /// The Fivetran group, which V2 asks for.
    pub group_id: Option<String>,
    /// What to do about syncs that the workspace has and the file has not.
    pub undeclared_syncs: Undeclared,
    /// Syncs of the workspace that are known and not watched.
    pub ignored_syncs: Vec<SyncId>,
}

/// The generation of the Census management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// `/api/v1`, announced to be retired on 2027-01-15 (Census docs, "Migrate V1 to V2").
    V1,
    /// `/api/v2`, with a personal access token and a group.
    V2,
}

/// What to do about syncs that nobody declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    Warn,
    Ignore,
}

/// What the pipeline promises as a whole.
#[derive(Debug, Clone)]
pub struct Objectives {
    /// A run of each sync must have started since the last slot of this schedule.
    pub minimum_schedule: Option<Schedule>,
    /// The share of runs that must succeed, in percent.
    pub success_rate_percent: f64,
    /// How old a change may be before it is in the destination: what freshness checks hold to that say nothing else.
    pub max_lag: Option<SignedDuration>,
}

/// Whom to turn to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub name: String,
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Contact {
    /// How to reach them: by mail and telephone, as far as they are declared.
    pub fn reach(&self) -> String {
        let declared: Vec<&str> =
            [&self.email, &self.phone].into_iter().flatten().map(String::as_str).collect();
        declared.join(", ")
    }
}

/// One Census sync that is watched.
#[derive(Debug, Clone)]
pub struct Sync {
    pub key: String,
    pub id: SyncId,
    pub role: Role,
    pub schedule: Schedule,
    /// How long a run may take, from its creation to its end.
    pub runtime_target: Option<SignedDuration>,
    /// From when on a run that still works counts as stuck. Always there: a due run waits behind one at work, so a run that
    /// could work for ever would hide every later one.
    pub stuck_after: SignedDuration,
    /// The highest share of failed and invalid records, in percent.
    pub error_rate_percent: f64,
    /// The fewest records on which an error rate is judged; smaller runs are judged together.
    pub error_rate_min_records: u64,
    pub skipped_runs_limit: usize,
    /// Checks whose findings on this sync are of another severity than elsewhere.
    pub severity: BTreeMap<Check, Severity>,
    /// When what stops this sync becomes critical, if not by default.
    pub critical_after: Option<CriticalAfter>,
}

/// What a sync does to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Creates records: a blind repeat may create duplicates.
    Create,
    Update,
    Other,
}

show_as_stored!(ApiVersion, Role);

impl Pipeline {
    /// Reads and validates the text of a `pipeline.toml`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        raw::read(text).map_err(|mut problems| {
            problems.sort_by_key(|problem| problem.line);
            Error { problems }
        })
    }

    /// Whether a check of this subject is declared: an incident about one that is not any more is withdrawn.
    pub fn declares(&self, check: Check, subject: &str) -> bool {
        match check.subject_kind() {
            SubjectKind::Workspace => subject == CENSUS,
            SubjectKind::Itself => subject == SYNCWATCH,
            SubjectKind::Sync | SubjectKind::Runs => self.sync(subject).is_some(),
            SubjectKind::Warehouse => subject == WAREHOUSE && self.is_about_data(subject),
            SubjectKind::Data => {
                self.checks.iter().any(|declared| declared.name == subject && declared.check() == check)
            }
        }
    }

    /// Whether it is for this function to say that a check has stopped reporting. Where no check of data is declared, the
    /// snapshot alone asks the warehouse, and it is not asked by every snapshot: then no function says so.
    pub fn concludes(&self, judge: Judge, check: Check) -> bool {
        let asked_now_and_then =
            check == Check::WarehouseReachable && self.checks.is_empty() && self.snapshot.is_some();
        check.judged_by() == judge && !asked_now_and_then
    }

    /// How urgent the findings of a check on a subject are.
    ///
    /// Severities: what the sync says, else `[notices]`, else the judge. What stops data ([`stops_data`]) is critical once it
    /// outlives what the sync or the data check says, else `[notices]`, else `objectives.max_lag` or the next slot of the
    /// minimum schedule, whichever is first; of a check or subject whose severity is declared, only if that is declared too.
    pub fn urgency(&self, check: Check, subject: &str) -> Urgency<'_> {
        let (policy, sync) = (&self.notices, self.sync(subject));
        let of_sync = sync.and_then(|sync| sync.severity.get(&check).copied());
        let severity = of_sync.or_else(|| policy.severity.get(&check).copied());
        // A filter that keeps no row leaves its check blind, which is as urgent as the check's own finding.
        let is_of = |declared: &DataCheck| declared.check() == check || check == Check::FilterKeepsRows;
        let of_data = self.checks.iter().find(|declared| declared.name == subject && is_of(declared));
        let declared = of_data.and_then(|declared| declared.critical_after);
        let declared = declared
            .or_else(|| sync.filter(|_| stops_data(check)).and_then(|sync| sync.critical_after))
            .or_else(|| policy.critical_after.get(&check).copied());
        match declared {
            Some(CriticalAfter::Lasting(limit)) => Urgency { severity, after: Some(limit), slots: None },
            Some(CriticalAfter::Never) => Urgency { severity, ..Urgency::AS_JUDGED },
            None if severity.is_some() || !stops_data(check) => Urgency { severity, ..Urgency::AS_JUDGED },
            None => {
                let Objectives { max_lag, minimum_schedule: minimum, .. } = &self.objectives;
                let after = max_lag.or(minimum.is_none().then_some(DEFAULT_CRITICAL_AFTER));
                Urgency { severity, after, slots: minimum.as_ref() }
            }
        }
    }

    /// Whether findings of any check may be about this subject.
    pub fn has_subject(&self, subject: &str) -> bool {
        Check::ALL.iter().any(|check| self.declares(*check, subject))
    }

    /// Whether a subject is about data: a declared check, or the warehouse as a whole.
    pub fn is_about_data(&self, subject: &str) -> bool {
        (subject == WAREHOUSE && (!self.checks.is_empty() || self.snapshot.is_some()))
            || self.checks.iter().any(|check| check.name == subject)
    }

    /// The declared sync of this key, if it is the subject of one.
    pub fn sync(&self, key: &str) -> Option<&Sync> {
        self.syncs.iter().find(|sync| sync.key == key)
    }

    /// The declared sync with a vendor's id.
    pub fn sync_by_id(&self, id: SyncId) -> Option<&Sync> {
        self.syncs.iter().find(|sync| sync.id == id)
    }
}

/// Everything that is wrong with a `pipeline.toml`. Emitted by [`Pipeline::parse`] only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pipeline.toml cannot be used:{}", list(problems))]
pub struct Error {
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// One thing that is wrong with a `pipeline.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 when a key is missing from the file as a whole.
    pub line: usize,
    /// The key, such as `syncs.schedule.every`.
    pub key: String,
    pub found: String,
    /// What is allowed, or what to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key, found, remedy } = self;
        if *line > 0 {
            write!(f, "line {line}: ")?;
        }
        write!(f, "`{key}`: {found}; {remedy}")
    }
}

#[cfg(test)]
mod tests;
