//! The declarations of one `pipeline.toml`.
//!
//! The file is read in two steps: into a raw form that only knows TOML (`raw`), then into the validated form that the code
//! uses ([`Pipeline`]). All problems of a file are reported at once, each with line, key and remedy.

mod channels;
mod names;
mod raw;
mod remedies;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::data_checks::{DataCheck, Rule};
use crate::finding::{
    CENSUS, Check, CriticalAfter, Judge, SYNCWATCH, Severity, SubjectKind, WAREHOUSE, show_as_stored,
};
use crate::incident::{NoticePolicy, Urgency, stops_data};
use crate::marks::QuietDays;
use crate::observation::SyncId;
use crate::reconcile::Object;
use crate::schedule::Schedule;
use crate::silence::Declared;
use crate::sql::Dialect;

pub use channels::{Addresses, CHAT, Channel, ChannelKind, Channels, Class, MAIL, PAGERDUTY};
pub use names::Renamed;
pub use remedies::{DEFAULT_MIN_GAIN, Level, Remedies, RemedyKind};

/// The default limit of the share of failed and invalid records, in percent.
pub const DEFAULT_ERROR_RATE_PERCENT: f64 = 5.0;
/// The default number of records from which a run has its own error rate.
pub const DEFAULT_ERROR_RATE_MIN_RECORDS: u64 = 20;
/// The default number of runs skipped in a row that is unhealthy.
pub const DEFAULT_SKIPPED_RUNS_LIMIT: usize = 3;
/// By default, a run is stuck after this many times its runtime target.
pub const DEFAULT_STUCK_FACTOR: i32 = 3;
/// By default, a run of a sync without a runtime target is stuck after this duration.
pub const DEFAULT_STUCK_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// The default table of runs and days, which `syncwatch warehouse-apply` creates.
pub const DEFAULT_AUDIT_LOG: &str = "crm.sfdc_dbx.sync_audit_log";
/// A stop of data becomes critical after this duration, where neither `max_lag` nor a minimum schedule is declared.
pub const DEFAULT_CRITICAL_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Figures are watched for so many days before their checks alert, unless `[expectations]` says otherwise.
pub const DEFAULT_WATCH_DAYS: u32 = 14;
/// The default grace of a schedule.
pub const DEFAULT_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A validated `pipeline.toml`.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The first part of every incident key.
    pub name: String,
    /// The zone of times in notices, and the default zone of schedules.
    pub time_zone: TimeZone,
    /// The URL of the runbook; anchors are appended.
    pub runbook_url: Option<String>,
    /// The page that shows the current state.
    pub status_page_url: Option<String>,
    /// The name of the contact who owns every sync and check without another owner.
    pub owner: Option<String>,
    pub terms: Terms,
    pub census: Census,
    pub objectives: Objectives,
    pub contacts: Vec<Contact>,
    pub notices: NoticePolicy,
    /// Silences and maintenance windows; names are unique.
    pub silences: Vec<Declared>,
    pub channels: Channels,
    /// The syncs, in the file's order; keys and ids are unique.
    pub syncs: Vec<Sync>,
    /// The warehouse of the data; checks and snapshots need it.
    pub warehouse: Option<Warehouse>,
    /// Other databases with sides of objects, by name; a role that only reads is enough. The secret of each is beside that of
    /// the warehouse, named `connection-` and its name.
    pub connections: BTreeMap<String, Warehouse>,
    /// The data checks, in the file's order; names are unique, and none is the key of a sync.
    pub checks: Vec<DataCheck>,
    /// The nightly snapshot; without it, none is written.
    pub snapshot: Option<Snapshot>,
    /// The objects that are reconciled, in the file's order; names are unique.
    pub objects: Vec<Object>,
    pub expectations: Expectations,
    pub remedies: Remedies,
    /// Days on which figures are neither judged nor learnt from.
    pub quiet_days: Vec<QuietDays>,
    /// The views that the files beside it declare, by name; empty until these are read.
    pub declared_views: BTreeMap<String, DeclaredView>,
}

/// A view as a file beside `pipeline.toml` declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredView {
    /// Its query, normalised.
    pub query: String,
    /// The statements that create or replace it, in order.
    pub script: Vec<String>,
}

/// The reaction to findings of a check that learns from history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They alert.
    #[default]
    Alert,
    /// They are only listed.
    Watch,
    /// The check is not run.
    Off,
}

/// The checks that learn from history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectations {
    /// Figures only alert when their history is this many days long.
    pub watch_days: u32,
    /// Checks that differ from [`Mode::Alert`].
    pub modes: BTreeMap<Check, Mode>,
}

impl Default for Expectations {
    fn default() -> Self {
        Self { watch_days: DEFAULT_WATCH_DAYS, modes: BTreeMap::new() }
    }
}

impl Expectations {
    /// Returns the reaction to findings of a check.
    pub fn mode(&self, check: Check) -> Mode {
        self.modes.get(&check).copied().unwrap_or_default()
    }
}

/// Whether a check's figure is of the whole pipeline, not of a sync.
fn is_of_data(check: Check) -> bool {
    matches!(check, Check::UnusualQueue | Check::UnusualCoverage | Check::UnusualNulls)
}

/// The tables of the nightly snapshot, each as `[catalog.][schema.]table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The table of runs and days, in the form of `sync_audit_log` of `infra/warehouse`.
    pub audit_log: String,
    /// The view with the state of the data in one row, in the form of `daily_health_check`. Without it, the figures of the
    /// data are missing; all others are written.
    pub health_view: Option<String>,
    /// The table of compared objects, in the form of `reconciliation_log`; `None` without `[[objects]]`.
    pub reconciliation_log: Option<String>,
}

/// The warehouse of the data. Its credentials are in the secret that the environment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warehouse {
    /// Databricks, by its SQL Statement Execution API.
    Databricks { host: String, warehouse_id: String },
    /// Any database with an ODBC driver. Its address is in the secret.
    Odbc { dialect: Dialect },
}

impl Warehouse {
    /// Returns its SQL dialect.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Databricks { .. } => Dialect::Databricks,
            Self::Odbc { dialect } => *dialect,
        }
    }
}

/// The address and API of Census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    pub api_version: ApiVersion,
    /// Scheme and host, without a path.
    pub base_url: String,
    /// The Fivetran group, which V2 requires.
    pub group_id: Option<String>,
    pub undeclared_syncs: Undeclared,
    /// Syncs of the workspace that are known and not checked.
    pub ignored_syncs: Vec<SyncId>,
}

/// The version of the Census management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// `/api/v1`, announced to be retired on 2027-01-15 (Census docs, "Migrate V1 to V2").
    V1,
    /// `/api/v2`, with a personal access token and a group.
    V2,
}

/// The reaction to syncs of the workspace that the file does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    Warn,
    Ignore,
}

/// The objectives of the whole pipeline.
#[derive(Debug, Clone)]
pub struct Objectives {
    /// A run of each sync must have started since the last slot of this schedule.
    pub minimum_schedule: Option<Schedule>,
    /// The share of runs that must succeed, in percent.
    pub success_rate_percent: f64,
    /// The longest time for a change to reach the destination: the default limit of freshness checks.
    pub max_lag: Option<SignedDuration>,
}

/// The names of the data and its users in notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The records that the syncs deliver, in the plural: `properties`.
    pub records: String,
    /// The system that the syncs write to: `Salesforce`.
    pub destination: String,
    /// The people who use the records there: `Sales`.
    pub audience: String,
    /// A value that each record needs, in the singular: `company name`.
    pub required_value: String,
}

/// A person or team that owns subjects or helps with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub name: String,
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The id of a Slack user (`U...`, `W...`) or user group (`S...`) to mention. Not part of a notice.
    #[serde(skip)]
    pub slack: Option<String>,
    /// The names of the channels that get this contact's notices instead of the default ones.
    #[serde(skip)]
    pub channels: Vec<String>,
    /// The name of the contact to escalate to.
    #[serde(skip)]
    pub escalate_to: Option<String>,
}

impl Contact {
    /// Returns the declared addresses: mail, then telephone.
    pub fn reach(&self) -> String {
        let declared: Vec<&str> =
            [&self.email, &self.phone].into_iter().flatten().map(String::as_str).collect();
        declared.join(", ")
    }
}

/// One declared Census sync.
#[derive(Debug, Clone)]
pub struct Sync {
    pub key: String,
    pub id: SyncId,
    pub role: Role,
    pub schedule: Schedule,
    /// The longest time from a run's creation to its end.
    pub runtime_target: Option<SignedDuration>,
    /// A run that works longer is stuck. Never absent: a due run waits for the one at work, so an endless run would hide
    /// every later one.
    pub stuck_after: SignedDuration,
    /// The highest share of failed and invalid records, in percent.
    pub error_rate_percent: f64,
    /// The fewest records for which an error rate is computed; smaller runs are judged together.
    pub error_rate_min_records: u64,
    pub skipped_runs_limit: usize,
    /// Checks with another severity for this sync.
    pub severity: BTreeMap<Check, Severity>,
    /// When a stop of this sync becomes critical, if not by default.
    pub critical_after: Option<CriticalAfter>,
    /// The name of the contact who owns it, if not the pipeline's owner.
    pub owner: Option<String>,
    /// The page of the records in the destination.
    pub object_url: Option<String>,
    /// Whether people declared that its external id is unique in the destination. Census does not say.
    pub unique_external_id: bool,
}

/// The effect of a sync on the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Creates records: a repeated run may create duplicates.
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

    /// Returns whether a check of this subject is declared. Incidents about subjects that are no longer declared are withdrawn.
    pub fn declares(&self, check: Check, subject: &str) -> bool {
        match check.subject_kind() {
            SubjectKind::Workspace => subject == CENSUS,
            SubjectKind::Itself => subject == SYNCWATCH,
            _ if check.learns()
                && (self.snapshot.is_none() || self.expectations.mode(check) == Mode::Off) =>
            {
                false
            }
            SubjectKind::Sync | SubjectKind::Runs => self.sync(subject).is_some(),
            SubjectKind::Warehouse => subject == WAREHOUSE && self.is_about_data(subject),
            SubjectKind::Figures => {
                (if is_of_data(check) { subject == self.name } else { self.sync(subject).is_some() })
                    || (check == Check::BreachForecast && subject == self.name)
            }
            SubjectKind::Definition => {
                subject == SYNCWATCH || self.sync(subject).is_some() || self.relations().contains(subject)
            }
            SubjectKind::Object => self.object(subject).is_some(),
            SubjectKind::Data => {
                self.checks.iter().any(|declared| declared.name == subject && declared.check() == check)
            }
        }
    }

    /// Returns whether this judge may report that a check has stopped reporting. Where no data check is declared, only the
    /// snapshot queries the warehouse, and not each time: then no judge may.
    pub fn concludes(&self, judge: Judge, check: Check) -> bool {
        let rarely_queried =
            check == Check::WarehouseReachable && self.checks.is_empty() && self.snapshot.is_some();
        check.judged_by() == judge && !rarely_queried
    }

    /// Returns the urgency of a check's findings on a subject.
    ///
    /// Severity: from the sync, else from `[notices]`, else from the judge. A stop of data ([`stops_data`]) becomes critical
    /// after the limit of the sync or data check, else of `[notices]`, else after `objectives.max_lag` or at the next slot of the
    /// minimum schedule, whichever is first. The last two do not apply where a severity is declared.
    pub fn urgency(&self, check: Check, subject: &str) -> Urgency<'_> {
        let (policy, sync) = (&self.notices, self.sync(subject));
        let of_sync = sync.and_then(|sync| sync.severity.get(&check).copied());
        let severity = of_sync.or_else(|| policy.severity.get(&check).copied());
        // A filter that keeps no row disables its check, which is as urgent as a finding of the check.
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

    /// Returns the tables and views that the file names, except in the text of custom queries.
    pub fn relations(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for check in &self.checks {
            names.insert(check.table.as_str());
            names.extend(match &check.rule {
                Rule::Coverage { destination: keys, .. } | Rule::Referential { references: keys, .. } => {
                    Some(keys.table.as_str())
                }
                Rule::Freshness { destination, .. } => Some(destination.table.as_str()),
                _ => None,
            });
        }
        for object in &self.objects {
            names.extend([object.source.table.as_str(), &object.destination.table]);
        }
        if let Some(snapshot) = &self.snapshot {
            names.insert(&snapshot.audit_log);
            names.extend(snapshot.health_view.as_deref());
        }
        names
    }

    /// Returns the dialect of SQL texts; models of Census are SQL of the warehouse, too.
    pub fn dialect(&self) -> Dialect {
        self.warehouse.as_ref().map_or(Dialect::Databricks, Warehouse::dialect)
    }

    /// Returns whether findings of any check may be about this subject.
    pub fn has_subject(&self, subject: &str) -> bool {
        Check::ALL.iter().any(|check| self.declares(*check, subject))
    }

    /// Returns whether a subject is about data: a declared data check, or the warehouse as a whole.
    pub fn is_about_data(&self, subject: &str) -> bool {
        (subject == WAREHOUSE && (!self.checks.is_empty() || self.snapshot.is_some()))
            || self.data_check(subject).is_some()
    }

    /// Returns the contact of this name.
    pub fn contact(&self, name: &str) -> Option<&Contact> {
        self.contacts.iter().find(|contact| contact.name == name)
    }

    /// Returns the owner of a check's subject: of the sync, data check or object, else of the pipeline.
    pub fn owner_of(&self, check: Check, subject: &str) -> Option<&Contact> {
        let owner = match check.subject_kind() {
            // An object may have the name of the pipeline.
            SubjectKind::Object => self.object(subject).and_then(|object| object.owner.as_ref()),
            _ => {
                let of_sync = self.sync(subject).and_then(|sync| sync.owner.as_ref());
                of_sync.or_else(|| self.data_check(subject)?.owner.as_ref())
            }
        };
        self.contact(owner.or(self.owner.as_ref())?)
    }

    /// Returns the data check of this name.
    pub fn data_check(&self, name: &str) -> Option<&DataCheck> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Returns the object of this name.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name == name)
    }

    /// Returns the channels for notices of this owner: for each [`Class`] the owner's channels, else the default
    /// one. So an owner who only has a chat still gets pages.
    pub fn routes(&self, owner: Option<&str>) -> Vec<&Channel> {
        let own = owner.and_then(|owner| self.contact(owner)).map_or(&[][..], |owner| &owner.channels);
        let own: Vec<&Channel> = own.iter().filter_map(|name| self.channels.get(name)).collect();
        let of_class = |class: Class| {
            let own: Vec<&Channel> =
                own.iter().copied().filter(|channel| channel.kind.class() == class).collect();
            if own.is_empty() {
                self.channels.get(class.default_channel()).into_iter().collect()
            } else {
                own
            }
        };
        Class::ALL.into_iter().flat_map(of_class).collect()
    }

    /// Returns the sync of this key.
    pub fn sync(&self, key: &str) -> Option<&Sync> {
        self.syncs.iter().find(|sync| sync.key == key)
    }

    /// Returns the sync with this id at Census.
    pub fn sync_by_id(&self, id: SyncId) -> Option<&Sync> {
        self.syncs.iter().find(|sync| sync.id == id)
    }
}

/// The problems of a `pipeline.toml`. Returned by [`Pipeline::parse`] only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pipeline.toml:{}", list(problems))]
pub struct Error {
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// One problem of a `pipeline.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 if a key is missing from the whole file.
    pub line: usize,
    /// The key, such as `syncs.schedule.every`.
    pub key: String,
    pub found: String,
    /// The allowed values, or how to fix it.
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
