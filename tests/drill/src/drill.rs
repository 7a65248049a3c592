//! What a drill is made of: what goes wrong, what may be named as the cause, what may be done.

use std::fmt;

use syncwatch_lab::properties::Pace;

/// Declares an enum of short ids that a trainee types, each with what it means.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ $name:ident { $($variant:ident = $id:literal, $words:literal;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $words] $variant,)+
        }

        impl $name {
            /// All of them, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// What the trainee types.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// What it means, for people.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => $words),+ }
            }

            /// Reads an id.
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
    /// What may be named as a cause. Every drill offers all of them, so the list gives nothing away.
    Cause {
        SyncPaused = "sync-paused", "somebody paused a sync in Census";
        ScheduleChanged = "schedule-changed", "somebody changed the schedule of a sync in Census";
        SchedulerStuck = "scheduler-stuck", "the scheduler of Census silently does not start a sync";
        ClocksChanged = "clocks-changed", "the clocks changed, and Census keeps its times in UTC";
        SalesforceLogin = "salesforce-login", "Salesforce no longer accepts the login of Census";
        SalesforceDown = "salesforce-down", "Salesforce does not answer";
        ValidationRule = "validation-rule", "a rule in Salesforce refuses some of the records";
        KeyNotUnique = "key-not-unique", "the sync key is not unique in Salesforce, so records are created twice";
        CensusDown = "census-down", "Census itself is down";
        CensusToken = "census-token", "Census no longer accepts the token of Syncwatch";
        WebhooksGone = "webhooks-gone", "Census does not post its webhooks to us";
        NamesView = "names-view", "the views of the syncs have lost the names of the companies";
        CreateView = "create-view", "the view of what is to be created leaves properties out";
        CopyStalled = "copy-stalled", "Fivetran has stopped copying Salesforce back";
        SourceIdle = "source-idle", "nothing changes at the source";
        BulkChange = "bulk-change", "the source changed in bulk, and the queues will clear by themselves";
        WarehouseDown = "warehouse-down", "the warehouse does not answer";
    }
}

choices! {
    /// What may be done. Each is really done to the lab's world, for good or ill.
    Fix {
        ResumeCreate = "resume-create", "resume the create sync in Census";
        ResumeUpdate = "resume-update", "resume the update sync in Census";
        PauseCreate = "pause-create", "pause the create sync in Census";
        RunCreate = "run-create", "start one ordinary run of the create sync by hand";
        RunUpdate = "run-update", "start one ordinary run of the update sync by hand";
        FullSyncCreate = "full-sync-create", "start a full sync of the create sync";
        FullSyncUpdate = "full-sync-update", "start a full sync of the update sync";
        RestoreSchedule = "restore-schedule", "set the schedule in Census to the declared time of today";
        EveryHalfHour = "every-half-hour", "promise every 30 minutes, in Census and in pipeline.toml, so that no clock matters";
        CallCensus = "call-census", "report it to the support of Census, and wait until they have mended it";
        WaitForVendor = "wait-for-vendor", "look at the vendor's status page, touch nothing, and wait for an hour";
        ReconnectSalesforce = "reconnect-salesforce", "reconnect Salesforce in Census";
        RenewCensusToken = "renew-census-token", "put a valid key of the workspace into the secret syncwatch/census-token";
        RegisterWebhook = "register-webhook", "register the webhook again: syncwatch webhook-register";
        SettleRule = "settle-rule", "settle with the owner of Salesforce that the rule lets these records in";
        UniqueKey = "unique-key", "make the sync key a unique external id in Salesforce";
        MergeDuplicates = "merge-duplicates", "delete the younger ones of the duplicates in Salesforce";
        MendNamesView = "mend-names-view", "put the names of the companies back into the views of the syncs";
        MendCreateView = "mend-create-view", "take out of the view of what is to be created what does not belong there";
        RestoreNames = "restore-names", "restore the lost names in Salesforce by its data loader";
        ResumeCopy = "resume-copy", "resume the connector of Fivetran that copies Salesforce";
        LoosenLimits = "loosen-limits", "raise the limits in pipeline.toml until nothing is unhealthy";
        SilenceAll = "silence-all", "silence everything for a day: syncwatch silence add";
    }
}

impl Fix {
    /// Whether no incident is ever mended by it: it hides the news, or rewrites the destination.
    #[must_use]
    pub fn is_never_right(self) -> bool {
        matches!(self, Self::FullSyncCreate | Self::FullSyncUpdate | Self::LoosenLimits | Self::SilenceAll)
    }
}

/// How hard a drill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Easy,
    /// The cause has to be looked for, and the harm that it did remains.
    Medium,
    /// What is seen looks like something else.
    Hard,
    /// Two things at once, or a remedy that does harm at the wrong moment.
    Nasty,
}

impl Level {
    /// How many minutes of the trainee's own time a diagnosis may take for all points.
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
    /// Its id in Census.
    #[must_use]
    pub fn id(self) -> u64 {
        match self {
            Self::Create => 3_394_022,
            Self::Update => 3_394_041,
        }
    }
}

/// Something that goes wrong in the lab, and goes on until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Paused(Which),
    /// Somebody makes the update sync hourly.
    Hourly,
    /// The create sync runs daily at 13:00 UTC in Census, and was promised for 05:00 in Los Angeles.
    DailyInUtc,
    /// The schedule of the sync silently does not fire.
    SchedulerStuck(Which),
    /// Salesforce refuses the login of Census: runs of both syncs fail.
    LoginExpired,
    /// Salesforce does not answer: runs of both syncs fail.
    SalesforceDown,
    /// A rule of Salesforce refuses a share of the update sync's records, in percent.
    Rejected(u32),
    /// Salesforce takes a share of new records twice, in percent.
    Duplicates(u32),
    /// The views lose the names of the companies.
    NamesView,
    /// The view of what is to be created leaves out a city.
    CreateView(&'static str),
    CopyStalled,
    CensusDown,
    TokenRefused,
    WebhooksGone,
}

impl Trouble {
    /// What ends it.
    #[must_use]
    pub fn mended_by(self) -> Fix {
        match self {
            Self::Paused(Which::Create) => Fix::ResumeCreate,
            Self::Paused(Which::Update) => Fix::ResumeUpdate,
            Self::Hourly => Fix::RestoreSchedule,
            Self::DailyInUtc => Fix::EveryHalfHour,
            Self::SchedulerStuck(_) => Fix::CallCensus,
            Self::LoginExpired => Fix::ReconnectSalesforce,
            Self::SalesforceDown | Self::CensusDown => Fix::WaitForVendor,
            Self::Rejected(_) => Fix::SettleRule,
            Self::Duplicates(_) => Fix::UniqueKey,
            Self::NamesView => Fix::MendNamesView,
            Self::CreateView(_) => Fix::MendCreateView,
            Self::CopyStalled => Fix::ResumeCopy,
            Self::TokenRefused => Fix::RenewCensusToken,
            Self::WebhooksGone => Fix::RegisterWebhook,
        }
    }
}

/// What happens before the trainee is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Inflict(Trouble),
    /// So many minutes pass, while the functions look as they always do.
    Live(i64),
    /// So many minutes pass in which nothing is told that is not told at their end: no round is worth its time.
    Brew(i64),
}

/// Harm that is done to the lab's world and can be counted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurt {
    /// Names of companies were lost in Salesforce.
    NamesLost,
    Duplicated,
    /// Records were written again by a full sync.
    Rewritten,
    Rejected,
    /// Incidents are held back, so that nobody hears of them.
    Unheard,
    /// It mends nothing while time is lost.
    TimeLost,
}

/// Something that somebody might do, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongFix {
    pub fix: Fix,
    pub hurt: Hurt,
    /// Why it is wrong, for the model answer.
    pub why: &'static str,
}

/// The size of the pipeline, and how much happens in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub total: usize,
    /// Those of them that are in Salesforce.
    pub synced: usize,
    pub pace: Pace,
}

/// A scripted incident.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// What it is started by. Gives nothing away.
    pub name: &'static str,
    pub level: Level,
    /// One line for the list. Gives nothing away.
    pub title: &'static str,
    /// What the trainee is told at the beginning.
    pub story: &'static str,
    /// When it begins in the lab (UTC).
    pub starts: &'static str,
    pub extent: Extent,
    /// Texts of `infra/pipeline.toml` that are other ones in this drill.
    pub edits: &'static [(&'static str, &'static str)],
    /// Whether webhooks come too. Else only the poll looks, which costs minutes and changes nothing of what is told.
    pub webhooks: bool,
    /// What happens before the trainee is called.
    pub beats: &'static [Beat],
    /// The causes: all of them have to be named, and no other.
    pub causes: &'static [Cause],
    /// What has to be done; the model answer does it in this order.
    pub fixes: &'static [Fix],
    pub wrong_fixes: &'static [WrongFix],
    /// What a person says who is asked for help, one after the other.
    pub hints: &'static [&'static str],
    /// What happened, how it is found, and what to do.
    pub model_answer: &'static str,
    /// The sections of the runbook that lead there.
    pub anchors: &'static [&'static str],
}

impl Drill {
    /// The answer of the runbook.
    #[must_use]
    pub fn model(&self) -> (Vec<Cause>, Vec<Fix>) {
        (self.causes.to_vec(), self.fixes.to_vec())
    }

    /// A wrong answer: a cause that is none of this drill's, and everything that does harm.
    #[must_use]
    pub fn wrong(&self) -> (Vec<Cause>, Vec<Fix>) {
        let other = Cause::ALL.iter().copied().find(|cause| !self.causes.contains(cause));
        (other.into_iter().collect(), self.wrong_fixes.iter().map(|wrong| wrong.fix).collect())
    }
}
