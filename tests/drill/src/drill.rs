//! The parts of a drill: its faults, and the causes and steps to choose from.

use std::fmt;

use syncwatch_lab::history::Fault;
use syncwatch_lab::properties::Pace;

/// Declares an enum of short ids that a trainee types, each with a description.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ $name:ident { $($variant:ident = $id:literal, $words:literal;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $words] $variant,)+
        }

        impl $name {
            /// All choices, in list order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The id that the trainee types.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The description, as lists show it.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => $words),+ }
            }

            /// Finds a choice by its id.
            #[must_use]
            pub fn from_id(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.id() == id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.id())
            }
        }
    };
}

choices! {
    /// The causes to choose from. Every drill offers all of them, so the list gives no hint.
    Cause {
        SyncPaused = "sync-paused", "a sync was paused in Census";
        ScheduleChanged = "schedule-changed", "a sync's schedule was changed in Census";
        SyncFilter = "sync-filter", "a filter in a sync's settings in Census lets no record through";
        SchedulerStuck = "scheduler-stuck", "Census's scheduler silently does not start a sync";
        ClocksChanged = "clocks-changed", "the clocks changed, and Census keeps its times in UTC";
        SalesforceLogin = "salesforce-login", "Salesforce no longer accepts Census's login";
        SalesforceDown = "salesforce-down", "Salesforce does not answer";
        ValidationRule = "validation-rule", "a Salesforce rule rejects some of the records";
        KeyNotUnique = "key-not-unique", "the sync key is not unique in Salesforce, so records are created twice";
        CensusDown = "census-down", "Census itself is down";
        CensusToken = "census-token", "Census no longer accepts Syncwatch's token";
        WebhooksGone = "webhooks-gone", "Census no longer posts webhooks to Syncwatch";
        NamesView = "names-view", "the sync views lost the company names";
        CreateView = "create-view", "the create view leaves properties out";
        CopyStalled = "copy-stalled", "Fivetran stopped copying Salesforce back";
        SourceIdle = "source-idle", "nothing changes at the source";
        CompaniesMissing = "companies-missing", "companies are no longer entered at the source, and the views leave such properties out";
        NewBusiness = "new-business", "the business itself has changed for good, and the sync follows it";
        HandEdit = "hand-edit", "a person changes values in Salesforce that the syncs write";
        TimesView = "times-view", "the update view compares times, so it never selects some changes";
        BulkChange = "bulk-change", "the source changed in bulk; the queues will clear on their own";
        WarehouseDown = "warehouse-down", "the warehouse does not answer";
        RemediesStopped = "remedies-stopped", "the kill switch of Syncwatch's remedies is on";
    }
}

choices! {
    /// The steps to choose from. Each is really applied to the lab's world, harmful ones too.
    Fix {
        ResumeCreate = "resume-create", "resume the create sync in Census";
        ResumeUpdate = "resume-update", "resume the update sync in Census";
        PauseCreate = "pause-create", "pause the create sync in Census";
        RunCreate = "run-create", "start one ordinary run of the create sync";
        RunUpdate = "run-update", "start one ordinary run of the update sync";
        FullSyncCreate = "full-sync-create", "start a full sync of the create sync";
        FullSyncUpdate = "full-sync-update", "start a full sync of the update sync";
        RestoreSchedule = "restore-schedule", "set the schedule in Census to today's declared time";
        EveryHalfHour = "every-half-hour", "schedule it every 30 minutes, in Census and in pipeline.toml";
        RemoveFilter = "remove-filter", "remove the filter from the sync's settings in Census";
        CallCensus = "call-census", "report it to Census support, and wait for the fix";
        WaitForVendor = "wait-for-vendor", "check the vendor's status page, change nothing, and wait 1h";
        ReconnectSalesforce = "reconnect-salesforce", "reconnect Salesforce in Census";
        RenewCensusToken = "renew-census-token", "put a valid workspace key into the secret syncwatch/census-token";
        RegisterWebhook = "register-webhook", "register the webhook again: syncwatch webhook-register";
        SettleRule = "settle-rule", "agree with the owner of Salesforce that the rule accepts these records";
        UniqueKey = "unique-key", "make the sync key a unique external id in Salesforce";
        MergeDuplicates = "merge-duplicates", "delete the newer duplicates in Salesforce";
        RepairNamesView = "repair-names-view", "put the company names back into the sync views";
        RepairCreateView = "repair-create-view", "remove the condition that does not belong in the create view";
        RestoreNames = "restore-names", "restore the lost names in Salesforce with its data loader";
        RepairUpdateView = "repair-update-view", "apply the update view of infra/warehouse again: syncwatch warehouse-apply";
        TouchSource = "touch-source", "touch the source rows of the records that differ, so that the next run sends them";
        EnterCompanies = "enter-companies", "have the missing companies entered at the source, and the form require them";
        ResumeCopy = "resume-copy", "resume the Fivetran connector that copies Salesforce";
        NewNormal = "new-normal", "confirm the new level with the owner of the source, and mark it: syncwatch mark INCIDENT new-normal";
        LoosenLimits = "loosen-limits", "raise the limits in pipeline.toml until nothing is unhealthy";
        ApproveRemedy = "approve-remedy", "approve what Syncwatch proposes: syncwatch remedies approve ID";
        RefuseRemedy = "refuse-remedy", "refuse what Syncwatch proposes: syncwatch remedies refuse ID";
        StopRemedies = "stop-remedies", "turn the kill switch on: syncwatch remedies stop";
        StartRemedies = "start-remedies", "turn the kill switch off: syncwatch remedies start";
        SilenceAll = "silence-all", "silence everything for a day: syncwatch silence add";
    }
}

impl Fix {
    /// Whether it never fixes an incident: it hides alerts, or rewrites the destination.
    #[must_use]
    pub fn is_never_right(self) -> bool {
        matches!(self, Self::FullSyncCreate | Self::FullSyncUpdate | Self::LoosenLimits | Self::SilenceAll)
    }
}

/// The difficulty of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Easy,
    /// The cause has to be searched for, and its harm remains.
    Medium,
    /// The symptoms point to another cause.
    Hard,
    /// Two faults at once, or a remedy that does harm at the wrong moment.
    Nasty,
}

impl Level {
    /// The time for a diagnosis that earns full points, in minutes of the trainee's own time.
    #[must_use]
    pub fn par_minutes(self) -> u64 {
        match self {
            Self::Easy => 5,
            Self::Medium => 10,
            Self::Hard => 15,
            Self::Nasty => 20,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
            Self::Nasty => "nasty",
        })
    }
}

/// One of the pipeline's two syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Create,
    Update,
}

impl Which {
    /// The sync's id in Census.
    #[must_use]
    pub fn id(self) -> u64 {
        match self {
            Self::Create => 3_394_022,
            Self::Update => 3_394_041,
        }
    }
}

/// A fault in the lab that lasts until it is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Paused(Which),
    /// The update sync was changed to hourly.
    Hourly,
    /// The create sync runs daily at 13:00 UTC in Census; the declared time is 05:00 in Los Angeles.
    DailyInUtc,
    /// The sync's schedule silently does not fire.
    SchedulerStuck(Which),
    /// A filter of the sync lets no record through, at hours at which its runs usually move some.
    SelectsNothing(Which),
    /// Salesforce refuses Census's login: runs of both syncs fail.
    LoginExpired,
    /// Salesforce does not answer: runs of both syncs fail.
    SalesforceDown,
    /// A Salesforce rule rejects a share of the update sync's records, in percent.
    Rejected(u32),
    /// Salesforce creates a share of new records twice, in percent.
    Duplicates(u32),
    /// The sync views lose the company names.
    NamesView,
    /// The create view leaves out a city.
    CreateView(&'static str),
    CopyStalled,
    CensusDown,
    TokenRefused,
    WebhooksGone,
    /// Properties arrive without a company: those of the drill's extent.
    CompaniesMissing,
    /// Nothing is broken: the business moves more than before.
    NewBusiness,
    /// A person entered other companies in so many records of Salesforce.
    HandEdits(usize),
    /// The update view compares times, and this loses so many changes.
    TimesView(usize),
    /// A person left the kill switch of the remedies on.
    SwitchedOff,
}

impl Trouble {
    /// The step that ends this fault.
    #[must_use]
    pub fn fixed_by(self) -> Fix {
        match self {
            Self::Paused(Which::Create) => Fix::ResumeCreate,
            Self::Paused(Which::Update) => Fix::ResumeUpdate,
            Self::Hourly => Fix::RestoreSchedule,
            Self::DailyInUtc => Fix::EveryHalfHour,
            Self::SchedulerStuck(_) => Fix::CallCensus,
            Self::SelectsNothing(_) => Fix::RemoveFilter,
            Self::LoginExpired => Fix::ReconnectSalesforce,
            Self::SalesforceDown | Self::CensusDown => Fix::WaitForVendor,
            Self::Rejected(_) => Fix::SettleRule,
            Self::Duplicates(_) => Fix::UniqueKey,
            Self::NamesView => Fix::RepairNamesView,
            Self::CreateView(_) => Fix::RepairCreateView,
            Self::CopyStalled => Fix::ResumeCopy,
            Self::TokenRefused => Fix::RenewCensusToken,
            Self::WebhooksGone => Fix::RegisterWebhook,
            Self::CompaniesMissing => Fix::EnterCompanies,
            Self::NewBusiness => Fix::NewNormal,
            Self::HandEdits(_) => Fix::TouchSource,
            Self::TimesView(_) => Fix::RepairUpdateView,
            Self::SwitchedOff => Fix::StartRemedies,
        }
    }

    /// Whether Syncwatch proposes a remedy that ends it.
    #[must_use]
    pub fn has_remedy(self) -> bool {
        matches!(self, Self::Paused(_) | Self::WebhooksGone)
    }
}

/// An event before the trainee is called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beat {
    Inflict(Trouble),
    /// The audit log gets the past of this world, with these faults of its create sync and its data. From here on the nightly
    /// snapshot runs at its times.
    Past(&'static [Fault]),
    /// The definition of the pipeline is accepted. From here on the reconciliation and the configuration audit run at their times.
    Guard,
    /// These minutes pass while the functions run as usual.
    Live(i64),
    /// These minutes pass without a round: every alert that a round would send is sent at their end too.
    Brew(i64),
}

/// A kind of harm that can be counted in the lab's world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurt {
    /// Company names were lost in Salesforce.
    NamesLost,
    Duplicated,
    /// Records were written again by a full sync.
    Rewritten,
    Rejected,
    /// Incidents are silenced, so their alerts reach no one.
    Suppressed,
    /// It fixes nothing and costs time.
    TimeLost,
}

/// A plausible but wrong step, with the harm that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongFix {
    pub fix: Fix,
    pub hurt: Hurt,
    /// The reason, for the model answer.
    pub why: &'static str,
}

/// The size and pace of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub total: usize,
    /// The properties that are in Salesforce.
    pub synced: usize,
    /// The properties without a company, which no view has. The rest wait to be created.
    pub nameless: usize,
    pub pace: Pace,
}

/// A scripted incident.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// The name that starts it. Gives no hint.
    pub name: &'static str,
    pub level: Level,
    /// One line for the list. Gives no hint.
    pub title: &'static str,
    /// The briefing at the start.
    pub story: &'static str,
    /// The start in lab time (UTC).
    pub starts: &'static str,
    pub extent: Extent,
    /// Texts of `infra/pipeline.toml` to replace in this drill.
    pub edits: &'static [(&'static str, &'static str)],
    /// Whether webhooks arrive too. With the poll alone, alerts are the same but some minutes later.
    pub webhooks: bool,
    /// The events before the trainee is called.
    pub beats: &'static [Beat],
    /// All of these must be named, and no other.
    pub causes: &'static [Cause],
    /// The required steps, in the order of the model answer.
    pub fixes: &'static [Fix],
    pub wrong_fixes: &'static [WrongFix],
    /// Given one at a time, on request.
    pub hints: &'static [&'static str],
    /// The explanation: the fault, how to find it, and what to do.
    pub model_answer: &'static str,
    /// The runbook sections that lead to the answer.
    pub anchors: &'static [&'static str],
}

impl Drill {
    /// The right answer, as the runbook gives it.
    #[must_use]
    pub fn model(&self) -> (Vec<Cause>, Vec<Fix>) {
        (self.causes.to_vec(), self.fixes.to_vec())
    }

    /// A wrong answer: a cause of another drill, and every wrong step.
    #[must_use]
    pub fn wrong(&self) -> (Vec<Cause>, Vec<Fix>) {
        let other = Cause::ALL.iter().copied().find(|cause| !self.causes.contains(cause));
        (other.into_iter().collect(), self.wrong_fixes.iter().map(|wrong| wrong.fix).collect())
    }
}
