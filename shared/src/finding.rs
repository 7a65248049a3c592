//! The judgement on one subject by one check.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Value};

/// The subject of findings about the workspace as a whole.
pub const CENSUS: &str = "census";
/// The subject of findings about Syncwatch itself.
pub const SYNCWATCH: &str = "syncwatch";
/// The subject of findings about the warehouse as a whole.
pub const WAREHOUSE: &str = "warehouse";

/// A function that judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judge {
    ScheduleVerification,
    DailyValidation,
    NightlySnapshot,
}

impl Judge {
    /// Every function that judges.
    pub const ALL: [Self; 3] = [Self::ScheduleVerification, Self::DailyValidation, Self::NightlySnapshot];

    /// Its name in `infra/functions.json`, under which its rounds are recorded too.
    pub fn function(self) -> &'static str {
        match self {
            Self::ScheduleVerification => "schedule-verification",
            Self::DailyValidation => "daily-validation",
            Self::NightlySnapshot => "nightly-snapshot",
        }
    }
}

/// The kind of thing that a check judges. It says what the subject of its findings names.
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
}

/// How many looks it takes before people are alerted, unless `[notices]` of `pipeline.toml` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Looks {
    /// One: it is read from what is stored, and is as true at the first look as at the tenth.
    One,
    /// Two of three: a single look may be wrong, because it goes through a network or counts approximately.
    TwoOfThree,
}

/// Declares [`Check`] and everything that is known of each check, in one table: rule, id, title, who judges it (and so who
/// concludes when it stops being reported), kind of subject, looks.
macro_rules! checks {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $title:literal, $judge:ident, $kind:ident, $looks:ident;)+) => {
        /// A thing that Syncwatch judges. Its id is part of the incident key and of the runbook anchor, so an id
        /// never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Check {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $variant,)+
        }

        impl Check {
            /// Every check, in the order in which reports list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable id, in kebab case. Also the anchor of its section in the runbook.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The id in words, for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What must hold, in one sentence.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }

            /// The function that judges it in each of its rounds. Others may judge it too, on a part of the subjects.
            pub fn judged_by(self) -> Judge {
                match self { $(Self::$variant => Judge::$judge),+ }
            }

            /// What its findings are about.
            pub fn subject_kind(self) -> SubjectKind {
                match self { $(Self::$variant => SubjectKind::$kind),+ }
            }

            /// How many looks it takes by default.
            pub fn looks(self) -> Looks {
                match self { $(Self::$variant => Looks::$looks),+ }
            }
        }
    };
}

checks! {
    /// Census answers its API.
    ApiReachable = "api-reachable", "Census API", ScheduleVerification, Workspace, TwoOfThree;
    /// Census accepts our token.
    TokenAccepted = "token-accepted", "Census token", ScheduleVerification, Workspace, TwoOfThree;
    /// The clock of Census agrees with ours.
    ClockSkew = "clock-skew", "clock of Census", ScheduleVerification, Workspace, TwoOfThree;
    /// No sync runs in the workspace that `pipeline.toml` does not declare.
    UndeclaredSyncs = "undeclared-syncs", "undeclared syncs", ScheduleVerification, Workspace, One;
    /// The declared sync exists.
    SyncExists = "sync-exists", "existence", ScheduleVerification, Sync, One;
    /// The sync is not paused.
    SyncPaused = "sync-paused", "pause", ScheduleVerification, Sync, One;
    /// The schedule at Census is the declared one, today and after the next changes to or from daylight saving time.
    ScheduleDrift = "schedule-drift", "schedule", ScheduleVerification, Sync, One;
    /// The run that was due has started within its grace.
    RunDue = "run-due", "due run", ScheduleVerification, Runs, One;
    /// A run has happened since the last slot of the pipeline's minimum schedule.
    MinimumSchedule = "minimum-schedule", "minimum schedule", ScheduleVerification, Runs, One;
    /// No run works past its limit.
    RunStuck = "run-stuck", "stuck run", ScheduleVerification, Runs, One;
    /// The last run that ended did not fail.
    RunFailed = "run-failed", "failed run", ScheduleVerification, Runs, One;
    /// Runs are not skipped one after the other.
    RunsSkipped = "runs-skipped", "skipped runs", ScheduleVerification, Runs, One;
    /// The share of failed and invalid records is within its limit.
    ErrorRate = "error-rate", "error rate", ScheduleVerification, Runs, One;
    /// Runs take no longer than their target.
    Runtime = "runtime", "runtime", ScheduleVerification, Runs, One;
    /// The vendor's own alerts are on and no looser than ours.
    VendorAlerts = "vendor-alerts", "alerts at Census", ScheduleVerification, Sync, One;
    /// The dead-letter queues are empty.
    DeadLetters = "dead-letters", "dead letters", ScheduleVerification, Itself, TwoOfThree;
    /// Webhooks of Census arrive and are accepted.
    WebhooksArrive = "webhooks-arrive", "webhooks", ScheduleVerification, Itself, One;
    /// Every topic has the confirmed subscribers that it needs.
    SubscribersConfirmed = "subscribers-confirmed", "subscribers", ScheduleVerification, Itself, One;
    /// The warehouse answers what the data checks ask.
    WarehouseReachable = "warehouse-reachable", "warehouse", DailyValidation, Warehouse, One;
    /// The data checks were asked in their time.
    ChecksRan = "checks-ran", "data checks", ScheduleVerification, Itself, One;
    /// The figures of each night were written.
    SnapshotWritten = "snapshot-written", "snapshot", ScheduleVerification, Itself, One;
    /// Enough runs of a week succeed.
    SuccessRate = "success-rate", "success rate", NightlySnapshot, Runs, One;
    /// No filter of a check leaves out every row of its table.
    FilterKeepsRows = "filter-keeps-rows", "filter of rows", DailyValidation, Data, One;
    /// Enough of the source's keys are in the destination.
    Coverage = "coverage", "coverage", DailyValidation, Data, One;
    /// No column has more values missing than allowed.
    NullCount = "null-count", "missing values", DailyValidation, Data, One;
    /// No column has a higher share of values missing than allowed.
    NullRate = "null-rate", "share of missing values", DailyValidation, Data, One;
    /// No more rows than allowed share a key.
    Duplicates = "duplicates", "duplicates", DailyValidation, Data, One;
    /// No change of the source waits longer than promised.
    Freshness = "freshness", "freshness", DailyValidation, Data, One;
    /// The queue is neither too long nor too old.
    QueueSize = "queue-size", "queue", DailyValidation, Data, One;
    /// The table has as many rows as expected.
    RowCount = "row-count", "rows", DailyValidation, Data, One;
    /// A column has only accepted values.
    AcceptedValues = "accepted-values", "accepted values", DailyValidation, Data, One;
    /// Texts have the expected form and length.
    Pattern = "pattern", "form of texts", DailyValidation, Data, One;
    /// Every foreign key resolves.
    Referential = "referential", "references", DailyValidation, Data, One;
    /// The result of a custom query is within its limits.
    CustomSql = "custom-sql", "own figure", DailyValidation, Data, One;
}

impl Check {
    /// Reads a stable id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// The judgement on this subject, yet to be said.
    pub fn about(self, subject: &str) -> About<'_> {
        About { check: self, subject }
    }

    /// The checks that a function judges in each of its rounds.
    pub fn judged_by_function(judge: Judge) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |check| check.judged_by() == judge)
    }

    /// The least and the greatest severity by which its judge calls it unhealthy; for data the file declares one within them.
    pub fn severities(self) -> (Severity, Severity) {
        use Severity::{Critical, Error, Info, Warning};
        match self {
            Self::UndeclaredSyncs => (Info, Info),
            Self::ClockSkew
            | Self::Runtime
            | Self::VendorAlerts
            | Self::SuccessRate
            | Self::WebhooksArrive => (Warning, Warning),
            Self::ScheduleDrift
            | Self::RunsSkipped
            | Self::DeadLetters
            | Self::ChecksRan
            | Self::SnapshotWritten => (Warning, Error),
            Self::SyncPaused | Self::WarehouseReachable => (Error, Error),
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

    /// The checks of a kind of subject that a function judges.
    pub fn of(judge: Judge, kind: SubjectKind) -> impl Iterator<Item = Self> {
        Self::judged_by_function(judge).filter(move |check| check.subject_kind() == kind)
    }
}

/// How bad it is, in PagerDuty's words and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nobody has to act.
    Info,
    /// Act within working hours.
    Warning,
    /// Data is late or wrong; act today.
    Error,
    /// Data stopped; act now.
    Critical,
}

/// From when on what lasts is critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriticalAfter {
    Never,
    Lasting(SignedDuration),
}

/// Shows values by the word by which they are stored or declared.
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

/// What was found, with nothing left to the imagination of the person who is paged for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// One sentence with the figures that matter, without a full stop at its end.
    pub summary: String,
    /// Named figures, in the order in which people read them.
    pub figures: Vec<Figure>,
    /// Since when it is so (UTC), if that can be told. Not shown: what people are to read is a figure.
    #[serde(skip)]
    pub since: Option<Timestamp>,
}

impl Evidence {
    /// Evidence of one sentence.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), figures: Vec::new(), since: None }
    }

    /// Says since when it is so.
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
    /// Another finding explains it, such as Census being down.
    Under {
        cause: Check,
        /// The subject of that finding. A name of its own, as the finding that is held has a `subject` beside it.
        #[serde(rename = "cause_subject")]
        subject: String,
    },
    /// The figures that it needs are unknown.
    UnknownFigures { what: String },
    /// What was read makes no sense to us.
    Unreadable { found: String },
    /// There is nothing to judge yet, such as the first run of a new sync.
    NothingYet { awaited: String },
    /// The pipeline declares no limit for it.
    NotDeclared,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Under { cause, subject } => write!(f, "held under {cause} of {subject}"),
            Self::UnknownFigures { what } => write!(f, "{what} unknown"),
            Self::Unreadable { found } => write!(f, "unreadable: {found}"),
            Self::NothingYet { awaited } => write!(f, "nothing to judge yet: {awaited}"),
            Self::NotDeclared => f.write_str("not declared in pipeline.toml"),
        }
    }
}

impl WhyNot {
    /// It is held under the finding of another check and subject.
    pub fn under(cause: Check, subject: &str) -> Self {
        Self::Under { cause, subject: subject.to_owned() }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// All is well, and this is how we know.
    Healthy {
        evidence: Evidence,
    },
    Unhealthy {
        severity: Severity,
        evidence: Evidence,
        cause: String,
    },
    /// Neither: it could not be judged.
    NotEvaluated {
        #[serde(flatten)]
        why: WhyNot,
    },
}

/// The judgement on one subject by one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    /// What it was judged of: a sync's key, or `census` for the workspace.
    pub subject: String,
    /// What it has in common with findings of other subjects that come from one cause, such as `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The class of the vendor's error behind it, such as `deleted-source-column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Finding {
    /// Says that findings of this check and group come from one cause, whatever their subjects: people hear of one.
    #[must_use]
    pub fn grouped(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Names the class of the vendor's error behind it.
    #[must_use]
    pub fn classed(mut self, class: impl Into<String>) -> Self {
        self.class = Some(class.into());
        self
    }

    /// Whether it is unhealthy.
    pub fn is_unhealthy(&self) -> bool {
        matches!(self.outcome, Outcome::Unhealthy { .. })
    }

    /// The severity, if it is unhealthy.
    pub fn severity(&self) -> Option<Severity> {
        match &self.outcome {
            Outcome::Unhealthy { severity, .. } => Some(*severity),
            Outcome::Healthy { .. } | Outcome::NotEvaluated { .. } => None,
        }
    }
}

/// A check of one subject, from which its finding is made.
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

    /// All is well.
    pub fn healthy(self, evidence: impl Into<Evidence>) -> Finding {
        self.found(Outcome::Healthy { evidence: evidence.into() })
    }

    /// Something is wrong.
    pub fn unhealthy(
        self,
        severity: Severity,
        evidence: impl Into<Evidence>,
        cause: impl Into<String>,
    ) -> Finding {
        let (evidence, cause) = (evidence.into(), cause.into());
        self.found(Outcome::Unhealthy { severity, evidence, cause })
    }

    /// It could not be judged.
    pub fn not_evaluated(self, why: WhyNot) -> Finding {
        self.found(Outcome::NotEvaluated { why })
    }

    /// It is held under the finding of another check of the same subject.
    pub fn under(self, cause: Check) -> Finding {
        self.not_evaluated(WhyNot::under(cause, self.subject))
    }

    /// These figures are unknown.
    pub fn unknown(self, what: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::UnknownFigures { what: what.into() })
    }

    /// What was found makes no sense.
    pub fn unreadable(self, found: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::Unreadable { found: found.into() })
    }

    /// There is nothing to judge before this has come.
    pub fn nothing_yet(self, awaited: impl Into<String>) -> Finding {
        self.not_evaluated(WhyNot::NothingYet { awaited: awaited.into() })
    }

    /// The pipeline declares no limit for it.
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
    fn every_check_is_read_back_from_its_id() {
        for check in Check::ALL {
            assert_eq!(Check::from_id(check.id()), Some(*check));
            assert_eq!(serde_json::to_value(check).unwrap(), check.id());
        }
        assert_eq!(Check::from_id("no-such-check"), None);
    }

    #[test]
    fn a_finding_that_is_held_under_another_keeps_its_own_subject_in_json() {
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
