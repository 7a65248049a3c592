//! Findings: the result of one check on one subject.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Value};

/// The subject of findings about the whole workspace.
pub const CENSUS: &str = "census";
/// The subject of findings about Syncwatch itself.
pub const SYNCWATCH: &str = "syncwatch";
/// The subject of findings about the whole warehouse.
pub const WAREHOUSE: &str = "warehouse";

/// The name of the figure that holds Census's own name of a sync.
pub const LABEL: &str = "name in Census";

/// A Lambda function that judges checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judge {
    ScheduleVerification,
    DailyValidation,
    NightlySnapshot,
    ConfigurationAudit,
    Reconciliation,
    Remedies,
}

impl Judge {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ScheduleVerification,
        Self::DailyValidation,
        Self::NightlySnapshot,
        Self::Reconciliation,
        Self::ConfigurationAudit,
        Self::Remedies,
    ];

    /// Returns its name in `infra/functions.json`, under which its rounds are also recorded.
    pub fn function(self) -> &'static str {
        match self {
            Self::ScheduleVerification => "schedule-verification",
            Self::DailyValidation => "daily-validation",
            Self::NightlySnapshot => "nightly-snapshot",
            Self::ConfigurationAudit => "configuration-audit",
            Self::Reconciliation => "reconciliation",
            Self::Remedies => "remedies",
        }
    }
}

/// The kind of subject that a check judges, and so the meaning of its findings' subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// The workspace of Census: [`CENSUS`].
    Workspace,
    /// A declared sync: its key.
    Sync,
    /// The runs of a declared sync: its key.
    Runs,
    /// Syncwatch itself: [`SYNCWATCH`].
    Itself,
    /// The warehouse: [`WAREHOUSE`].
    Warehouse,
    /// The data, by a declared check: that check's name.
    Data,
    /// A declared object: its name.
    Object,
    /// The figures of a day, against what history lets expect: the key of a sync, or the pipeline's name.
    Figures,
    /// A part of the pipeline: the key of a sync, the name of a table or view, or [`SYNCWATCH`] for our own deployment.
    Definition,
}

/// How many evaluations must agree before an alert, unless `[notices]` of `pipeline.toml` overrides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Looks {
    /// One: the check reads stored data, so a second evaluation adds nothing.
    One,
    /// Two of three: a single evaluation may be wrong, as it depends on a network or an approximate count.
    TwoOfThree,
}

/// Declares [`Check`] and the facts about each check in one table: rule, id, title, the function that judges it (and notices
/// when it stops reporting), kind of subject, looks.
macro_rules! checks {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $title:literal, $judge:ident, $kind:ident, $looks:ident;)+) => {
        /// One check that Syncwatch runs. Its id is part of the incident key and of the runbook anchor, so an id
        /// never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Check {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $variant,)+
        }

        impl Check {
            /// All checks, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the stable id in kebab case, which is also the anchor of its runbook section.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// Returns the title that people read.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// Returns the condition for healthy, in one sentence.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }

            /// Returns the function that judges it in each round. Others may judge it too, for some of the subjects.
            pub fn judged_by(self) -> Judge {
                match self { $(Self::$variant => Judge::$judge),+ }
            }

            /// Returns the kind of subject of its findings.
            pub fn subject_kind(self) -> SubjectKind {
                match self { $(Self::$variant => SubjectKind::$kind),+ }
            }

            /// Returns the default number of evaluations before an alert.
            pub fn looks(self) -> Looks {
                match self { $(Self::$variant => Looks::$looks),+ }
            }
        }
    };
}

checks! {
    /// The Census API answers.
    ApiReachable = "api-reachable", "Census API", ScheduleVerification, Workspace, TwoOfThree;
    /// Census accepts our token.
    TokenAccepted = "token-accepted", "Census token", ScheduleVerification, Workspace, TwoOfThree;
    /// Census's clock agrees with ours.
    ClockSkew = "clock-skew", "Census clock", ScheduleVerification, Workspace, TwoOfThree;
    /// The workspace has no sync that `pipeline.toml` does not declare.
    UndeclaredSyncs = "undeclared-syncs", "undeclared syncs", ScheduleVerification, Workspace, One;
    /// The declared sync exists.
    SyncExists = "sync-exists", "existence", ScheduleVerification, Sync, One;
    /// The sync is not paused.
    SyncPaused = "sync-paused", "pause", ScheduleVerification, Sync, One;
    /// The schedule in Census matches the declared one, now and after the next daylight saving changes.
    ScheduleDrift = "schedule-drift", "schedule", ScheduleVerification, Sync, One;
    /// The last scheduled run started within its grace.
    RunDue = "run-due", "late run", ScheduleVerification, Runs, One;
    /// A run started since the last slot of the pipeline's minimum schedule.
    MinimumSchedule = "minimum-schedule", "minimum schedule", ScheduleVerification, Runs, One;
    /// No run is in progress past its limit.
    RunStuck = "run-stuck", "stuck run", ScheduleVerification, Runs, One;
    /// The last finished run did not fail.
    RunFailed = "run-failed", "failed run", ScheduleVerification, Runs, One;
    /// The number of runs skipped in a row is below its limit.
    RunsSkipped = "runs-skipped", "skipped runs", ScheduleVerification, Runs, One;
    /// The share of failed and invalid records is within its limit.
    ErrorRate = "error-rate", "error rate", ScheduleVerification, Runs, One;
    /// Runs finish within their target time.
    Runtime = "runtime", "runtime", ScheduleVerification, Runs, One;
    /// Runs that usually move records still do.
    SilentRuns = "silent-runs", "silent runs", ScheduleVerification, Runs, One;
    /// Census's own alerts are on and no looser than ours.
    VendorAlerts = "vendor-alerts", "Census alerts", ScheduleVerification, Sync, One;
    /// The dead-letter queues are empty.
    DeadLetters = "dead-letters", "dead letters", ScheduleVerification, Itself, TwoOfThree;
    /// Census's webhooks arrive and are accepted.
    WebhooksArrive = "webhooks-arrive", "webhooks", ScheduleVerification, Itself, One;
    /// Every topic has all its confirmed subscribers.
    SubscribersConfirmed = "subscribers-confirmed", "subscribers", ScheduleVerification, Itself, One;
    /// The warehouse answers the queries of the data checks.
    WarehouseReachable = "warehouse-reachable", "warehouse", DailyValidation, Warehouse, One;
    /// The data checks ran on time.
    ChecksRan = "checks-ran", "data checks", ScheduleVerification, Itself, One;
    /// Each nightly snapshot was written.
    SnapshotWritten = "snapshot-written", "snapshot", ScheduleVerification, Itself, One;
    /// The status page was renewed within 15 minutes.
    PageRenewed = "page-renewed", "status page", ScheduleVerification, Itself, One;
    /// Remedies have the rights that they need, and do no harm.
    RemediesAct = "remedies-act", "remedies", Remedies, Itself, One;
    /// No fault of a sync is healed again and again.
    HealsReturn = "heals-return", "returning faults", Remedies, Sync, One;
    /// Enough runs of the last week succeeded.
    SuccessRate = "success-rate", "success rate", NightlySnapshot, Runs, One;
    /// A sync moved about as many records as it usually does on such a day.
    UnusualVolume = "unusual-volume", "unusual volume", NightlySnapshot, Figures, One;
    /// Not many more records wait than usual.
    UnusualQueue = "unusual-queue", "unusual queue", NightlySnapshot, Figures, One;
    /// A sync's runs did not take longer than usual.
    UnusualDuration = "unusual-duration", "unusual duration", NightlySnapshot, Figures, One;
    /// Coverage is not lower than usual.
    UnusualCoverage = "unusual-coverage", "unusual coverage", NightlySnapshot, Figures, One;
    /// Not more values are missing than usual.
    UnusualNulls = "unusual-nulls", "unusual missing values", NightlySnapshot, Figures, One;
    /// Not more of a sync's records are rejected than usual.
    UnusualErrors = "unusual-errors", "unusual error rate", NightlySnapshot, Figures, One;
    /// No figure will pass its limit within 14 days if it goes on as it does.
    BreachForecast = "breach-forecast", "forecast breach", NightlySnapshot, Figures, One;
    /// Syncs, tables, views and our own deployment are as they were accepted.
    DefinitionChanged = "definition-changed", "definition", ConfigurationAudit, Definition, One;
    /// No check's filter excludes every row of its table.
    FilterKeepsRows = "filter-keeps-rows", "row filter", DailyValidation, Data, One;
    /// Enough of the source's keys are in the destination.
    Coverage = "coverage", "coverage", DailyValidation, Data, One;
    /// No column has more missing values than allowed.
    NullCount = "null-count", "missing values", DailyValidation, Data, One;
    /// No column has a higher share of missing values than allowed.
    NullRate = "null-rate", "missing value rate", DailyValidation, Data, One;
    /// No more rows than allowed share a key.
    Duplicates = "duplicates", "duplicates", DailyValidation, Data, One;
    /// No source change waits longer than promised for its arrival.
    Freshness = "freshness", "freshness", DailyValidation, Data, One;
    /// The queue is neither too long nor too old.
    QueueSize = "queue-size", "queue", DailyValidation, Data, One;
    /// The row count is within its limits.
    RowCount = "row-count", "row count", DailyValidation, Data, One;
    /// Every value of a column is an accepted one.
    AcceptedValues = "accepted-values", "accepted values", DailyValidation, Data, One;
    /// Texts have the expected format and length.
    Pattern = "pattern", "text format", DailyValidation, Data, One;
    /// Every foreign key resolves.
    Referential = "referential", "references", DailyValidation, Data, One;
    /// The result of a custom query is within its limits.
    CustomSql = "custom-sql", "custom query", DailyValidation, Data, One;
    /// An object compares every field that its syncs write, and no other.
    UnmappedField = "unmapped-field", "unmapped fields", ConfigurationAudit, Object, One;
    /// Every record of the source is in the destination.
    RecordsMissing = "records-missing", "missing records", Reconciliation, Object, One;
    /// Every record of the destination is in the source.
    RecordsExtra = "records-extra", "extra records", Reconciliation, Object, One;
    /// The declared fields of each record have the same values on both sides.
    RecordsDiffer = "records-differ", "different records", Reconciliation, Object, One;
}

impl Check {
    /// Finds the check with a stable id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// Begins a finding of this check on a subject.
    pub fn about(self, subject: &str) -> About<'_> {
        About { check: self, subject }
    }

    /// Returns the checks that a function judges in each round.
    pub fn judged_by_function(judge: Judge) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |check| check.judged_by() == judge)
    }

    /// Returns whether it learns from history; `[expectations]` declares whether it alerts.
    pub fn learns(self) -> bool {
        self.subject_kind() == SubjectKind::Figures || self == Self::SilentRuns
    }

    /// Returns the lowest and the highest severity of its unhealthy findings; a data check declares one of these in the file.
    pub fn severities(self) -> (Severity, Severity) {
        use Severity::{Critical, Error, Info, Warning};
        match self {
            Self::UndeclaredSyncs => (Info, Info),
            Self::ClockSkew
            | Self::Runtime
            | Self::VendorAlerts
            | Self::SuccessRate
            | Self::WebhooksArrive
            | Self::UnusualQueue
            | Self::UnusualDuration
            | Self::UnusualCoverage
            | Self::UnusualNulls
            | Self::UnusualErrors
            | Self::BreachForecast
            | Self::UnmappedField
            | Self::HealsReturn
            | Self::PageRenewed
            | Self::RecordsExtra => (Warning, Warning),
            Self::ScheduleDrift
            | Self::RunsSkipped
            | Self::DeadLetters
            | Self::ChecksRan
            | Self::SnapshotWritten
            | Self::UnusualVolume
            | Self::RemediesAct
            | Self::DefinitionChanged => (Warning, Error),
            Self::SyncPaused
            | Self::SilentRuns
            | Self::WarehouseReachable
            | Self::RecordsMissing
            | Self::RecordsDiffer => (Error, Error),
            Self::RunDue => (Warning, Critical),
            Self::ApiReachable
            | Self::SubscribersConfirmed
            | Self::MinimumSchedule
            | Self::RunStuck
            | Self::RunFailed
            | Self::ErrorRate => (Error, Critical),
            Self::TokenAccepted | Self::SyncExists => (Critical, Critical),
            Self::FilterKeepsRows
            | Self::Coverage
            | Self::NullCount
            | Self::NullRate
            | Self::Duplicates
            | Self::Freshness
            | Self::QueueSize
            | Self::RowCount
            | Self::AcceptedValues
            | Self::Pattern
            | Self::Referential
            | Self::CustomSql => (Info, Critical),
        }
    }

    /// Returns the checks of one kind of subject that a function judges.
    pub fn of(judge: Judge, kind: SubjectKind) -> impl Iterator<Item = Self> {
        Self::judged_by_function(judge).filter(move |check| check.subject_kind() == kind)
    }
}

/// Severity, in PagerDuty's words and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information; no action needed.
    Info,
    /// Act within working hours.
    Warning,
    /// Data is late or wrong; act today.
    Error,
    /// Data stopped; act now.
    Critical,
}

/// How long an incident may last before it becomes critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriticalAfter {
    Never,
    Lasting(SignedDuration),
}

/// Displays values by their stored or declared word.
macro_rules! show_as_stored {
    ($($word:ty),+) => {$(
        impl std::fmt::Display for $word {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                serde::Serialize::serialize(self, f)
            }
        }
    )+};
}
pub(crate) use show_as_stored;

show_as_stored!(Check, Severity);

/// The facts behind a finding, complete enough for the person who is paged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// A predicate or short sentence with the figure and its limit, without a full stop. Mail titles put it behind the subject.
    pub summary: String,
    /// Named figures, in reading order.
    pub figures: Vec<Figure>,
    /// When it began (UTC), if known. Not shown; a figure shows it where people need it.
    #[serde(skip)]
    pub since: Option<Timestamp>,
}

impl Evidence {
    /// Creates evidence with a summary alone.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), figures: Vec::new(), since: None }
    }

    /// Sets when it began.
    #[must_use]
    pub fn since(mut self, begin: Timestamp) -> Self {
        self.since = Some(begin);
        self
    }

    /// Adds a named figure.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        self.with_figure(Figure::new(name, value))
    }

    /// Adds a named figure, if there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a figure.
    #[must_use]
    pub fn with_figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }
}

impl<T: Into<String>> From<T> for Evidence {
    fn from(summary: T) -> Self {
        Self::new(summary)
    }
}

/// Why a check could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WhyNot {
    /// Another finding explains it, such as that Census is down.
    Under {
        cause: Check,
        /// The subject of that finding. Stored under another name, as the blocked finding has a `subject` beside it.
        #[serde(rename = "cause_subject")]
        subject: String,
    },
    /// Figures that it needs are unknown.
    UnknownFigures { what: String },
    /// The value cannot be read.
    Unreadable { found: String },
    /// There is nothing to judge yet, such as the first run of a new sync.
    NothingYet { awaited: String },
    /// The pipeline declares no limit for it.
    NotDeclared,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Under { cause, subject } => write!(f, "blocked by {cause} of {subject}"),
            Self::UnknownFigures { what } => write!(f, "{what} unknown"),
            Self::Unreadable { found } => write!(f, "unreadable: {found}"),
            Self::NothingYet { awaited } => write!(f, "waiting for {awaited}"),
            Self::NotDeclared => f.write_str("not declared in pipeline.toml"),
        }
    }
}

impl WhyNot {
    /// The finding of another check and subject explains it.
    pub fn under(cause: Check, subject: &str) -> Self {
        Self::Under { cause, subject: subject.to_owned() }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The check passed; the evidence shows how.
    Healthy {
        evidence: Evidence,
    },
    Unhealthy {
        severity: Severity,
        evidence: Evidence,
        cause: String,
    },
    /// Neither: the check could not be evaluated.
    NotEvaluated {
        #[serde(flatten)]
        why: WhyNot,
    },
}

/// The result of one check on one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    /// A sync's key, a data check's or object's name, or `census`, `syncwatch` or `warehouse`.
    pub subject: String,
    /// Shared by findings of other subjects with the same cause, such as `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The class of the vendor's error, such as `deleted-source-column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Finding {
    /// Marks findings of this check and group as one cause, for any subject: one of them alerts.
    #[must_use]
    pub fn grouped(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Sets the class of the vendor's error.
    #[must_use]
    pub fn classed(mut self, class: impl Into<String>) -> Self {
        self.class = Some(class.into());
        self
    }

    /// Returns whether it is unhealthy.
    pub fn is_unhealthy(&self) -> bool {
        matches!(self.outcome, Outcome::Unhealthy { .. })
    }

    /// Returns the severity, if it is unhealthy.
    pub fn severity(&self) -> Option<Severity> {
        match &self.outcome {
            Outcome::Unhealthy { severity, .. } => Some(*severity),
            Outcome::Healthy { .. } | Outcome::NotEvaluated { .. } => None,
        }
    }
}

/// A check and its subject, from which the finding is made.
#[derive(Debug, Clone, Copy)]
pub struct About<'s> {
    pub check: Check,
    subject: &'s str,
}

impl About<'_> {
    fn found(self, outcome: Outcome) -> Finding {
        let Self { check, subject } = self;
        Finding { check, subject: subject.to_owned(), group: None, class: None, outcome }
    }

    /// Passes the check.
    pub fn healthy(self, evidence: impl Into<Evidence>) -> Finding {
        self.found(Outcome::Healthy { evidence: evidence.into() })
    }

    /// Fails the check, with the likely cause.
    pub fn unhealthy(
        self,
        severity: Severity,
        evidence: impl Into<Evidence>,
        cause: impl Into<String>,
    ) -> Finding {
        let (evidence, cause) = (evidence.into(), cause.into());
        self.found(Outcome::Unhealthy { severity, evidence, cause })
    }

    /// Leaves the check unevaluated.
    pub fn not_evaluated(self, why: WhyNot) -> Finding {
        self.found(Outcome::NotEvaluated { why })
    }

    /// Leaves it unevaluated because of another check on the same subject.
    pub fn under(self, cause: Check) -> Finding {
        self.not_evaluated(WhyNot::under(cause, self.subject))
    }

    /// Leaves it unevaluated because figures are unknown.
    pub fn unknown(self, what: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::UnknownFigures { what: what.into() })
    }

    /// Leaves it unevaluated because a value cannot be read.
    pub fn unreadable(self, found: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::Unreadable { found: found.into() })
    }

    /// Leaves it unevaluated until this happens.
    pub fn nothing_yet(self, awaited: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::NothingYet { awaited: awaited.into() })
    }

    /// Leaves it unevaluated because the pipeline declares no limit for it.
    pub fn not_declared(self) -> Finding {
        self.not_evaluated(WhyNot::NotDeclared)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, subject, outcome, .. } = self;
        match outcome {
            Outcome::Healthy { evidence } => write!(f, "{check} {subject}: healthy, {}", evidence.summary),
            Outcome::Unhealthy { severity, evidence, .. } => {
                write!(f, "{check} {subject}: {severity}, {}", evidence.summary)
            }
            Outcome::NotEvaluated { why } => write!(f, "{check} {subject}: not evaluated, {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_is_read_back_from_its_id() {
        for check in Check::ALL {
            assert_eq!(Check::from_id(check.id()), Some(*check));
            assert_eq!(serde_json::to_value(check).unwrap(), check.id());
        }
        assert_eq!(Check::from_id("no-such-check"), None);
    }

    #[test]
    fn blocked_finding_keeps_its_own_subject_in_json() {
        let under = WhyNot::Under { cause: Check::WarehouseReachable, subject: "warehouse".to_owned() };
        let held = Check::Coverage.about("properties-coverage").not_evaluated(under);
        let json = serde_json::to_value(&held).unwrap();
        assert_eq!(json["subject"], "properties-coverage");
        assert_eq!(serde_json::from_value::<Finding>(json).unwrap(), held);
    }

    #[test]
    fn severities_are_ordered_from_info_to_critical() {
        assert!(Severity::Info < Severity::Warning);
        assert!(Severity::Warning < Severity::Error);
        assert!(Severity::Error < Severity::Critical);
    }
}
