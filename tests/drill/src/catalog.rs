//! The drills, from easy to nasty. Names, titles and stories give nothing away; what is hidden is in `beats`.

use syncwatch_lab::properties::Pace;

use crate::drill::Beat::{Brew, Inflict, Live};
use crate::drill::{Cause, Drill, Extent, Fix, Hurt, Level, Trouble, Which, WrongFix};

/// A pipeline of the seed's pace, small enough that some hours show.
const SMALL: Extent = Extent { total: 800, synced: 790, pace: Pace::OF_SEED };
/// Little arrives: what waits for a run a day stays below the limits.
const QUIET: Extent =
    Extent { total: 800, synced: 800, pace: Pace { arrivals_a_minute: 0.02, changes_a_minute: 0.2 } };

/// Every drill, in the order in which they are listed.
pub const DRILLS: &[Drill] = &[
    Drill {
        name: "quiet-create",
        level: Level::Easy,
        title: "Nothing new has reached Salesforce since this morning",
        story: "It is a Tuesday, shortly after eight in Los Angeles. You have just come on call.",
        starts: "2026-11-24T16:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::Paused(Which::Create)), Live(20)],
        causes: &[Cause::SyncPaused],
        fixes: &[Fix::ResumeCreate],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncCreate,
            hurt: Hurt::Rewritten,
            why: "a full sync writes every record of Salesforce again, and the sync is paused as before",
        }],
        hints: &["The subject of the mail says it.", "`look explain sync-paused`"],
        model_answer: "Somebody paused the create sync. No run can fail or be late while it is paused, so this one notice is \
                       all that comes. Ask who paused it, and whether a repair is in progress; `look census syncs/3394022` and \
                       the newest runs show no failure before it. Then resume it: the next run takes what has queued up.",
        anchors: &["sync-paused"],
    },
    Drill {
        name: "both-stopped",
        level: Level::Easy,
        title: "Both syncs stop at the same moment",
        story: "It is a Tuesday, nine in the morning in Los Angeles. An administrator of Salesforce was busy last night.",
        starts: "2026-11-24T17:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::LoginExpired), Live(40)],
        causes: &[Cause::SalesforceLogin],
        fixes: &[Fix::ReconnectSalesforce],
        wrong_fixes: &[WrongFix {
            fix: Fix::RenewCensusToken,
            hurt: Hurt::TimeLost,
            why: "Syncwatch reads Census well: it is Census that Salesforce no longer lets in",
        }],
        hints: &[
            "Which of the two logins is it: ours at Census, or that of Census at Salesforce?",
            "`look explain run-failed`",
        ],
        model_answer: "Salesforce no longer accepts the session of Census, so runs of both syncs fail with the class `auth`. It is one \
                       cause and one notice. Reconnect Salesforce in Census; the next run of each sync takes what waits.",
        anchors: &["run-failed"],
    },
    Drill {
        name: "picky-destination",
        level: Level::Easy,
        title: "Runs say `completed`, and some records do not arrive",
        story: "It is a Tuesday morning. Sales asks why some properties show the status of last week.",
        starts: "2026-11-24T18:05:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::Rejected(20)), Live(45)],
        causes: &[Cause::ValidationRule],
        fixes: &[Fix::SettleRule],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::Rewritten,
                why: "it writes every record again, and what the rule refuses it refuses again",
            },
            WrongFix {
                fix: Fix::LoosenLimits,
                hurt: Hurt::TimeLost,
                why: "nobody hears of it any more, and the records still do not arrive",
            },
        ],
        hints: &[
            "The notice has the words of the rejected records.",
            "`look explain error-rate`, and its table of classes",
        ],
        model_answer: "A validation rule of Salesforce refuses a fifth of the updates. The notice has the class, taken from samples of \
                       the rejected records. Whether the rule or the data is to change is for the owner of Salesforce to say; settle it \
                       with them. Rejected records are tried again with the next run, so nothing has to be sent anew.",
        anchors: &["error-rate"],
    },
    Drill {
        name: "refused",
        level: Level::Easy,
        title: "Syncwatch itself cannot see any more",
        story: "It is a Tuesday noon. A colleague has left the company, and their accounts were closed today.",
        starts: "2026-11-24T20:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::TokenRefused), Live(30)],
        causes: &[Cause::CensusToken],
        fixes: &[Fix::RenewCensusToken],
        wrong_fixes: &[WrongFix {
            fix: Fix::ReconnectSalesforce,
            hurt: Hurt::TimeLost,
            why: "the syncs run well; only we are refused",
        }],
        hints: &["Who refuses whom?", "`look explain token-accepted`"],
        model_answer: "Census refuses our token: it was that of the colleague. The syncs go on, but nobody watches them, and everything \
                       about single syncs is held under this one notice. Put a key of the workspace into the secret; the next round \
                       takes it up.",
        anchors: &["token-accepted"],
    },
    Drill {
        name: "fewer-runs",
        level: Level::Easy,
        title: "Changes reach Salesforce more slowly than they did",
        story: "It is a Tuesday afternoon. Somebody wanted to save money on Census.",
        starts: "2026-11-24T21:05:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::Hourly), Live(45)],
        causes: &[Cause::ScheduleChanged],
        fixes: &[Fix::RestoreSchedule],
        wrong_fixes: &[WrongFix {
            fix: Fix::CallCensus,
            hurt: Hurt::TimeLost,
            why: "the scheduler of Census does what somebody told it to",
        }],
        hints: &["One notice explains the other.", "`look explain schedule-drift`"],
        model_answer: "Somebody made the update sync hourly; pipeline.toml promises every 15 minutes. So the schedule differs, and runs are \
                       late by what was promised. Decide which of the two is right; here it is the file. Set the schedule back in Census.",
        anchors: &["schedule-drift", "run-due"],
    },
    Drill {
        name: "all-dark",
        level: Level::Medium,
        title: "Nobody can say how any sync does",
        story: "It is a Tuesday evening. The mail came twenty minutes ago, and nothing has come since.",
        starts: "2026-11-25T01:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::CensusDown), Live(20)],
        causes: &[Cause::CensusDown],
        fixes: &[Fix::WaitForVendor],
        wrong_fixes: &[WrongFix {
            fix: Fix::RenewCensusToken,
            hurt: Hurt::TimeLost,
            why: "a token that is refused is told as that; here nothing answers at all",
        }],
        hints: &["Ask Census something yourself: `look census syncs`.", "`look explain api-reachable`"],
        model_answer: "Census is down. Everything else is held under this one notice, so silence about single syncs means nothing until it \
                       ends. Look at the vendor's status page and touch nothing: what was due meanwhile runs when it is back.",
        anchors: &["api-reachable"],
    },
    Drill {
        name: "nameless",
        level: Level::Medium,
        title: "The night's checks found something, though every run completes",
        story: "It is a Tuesday, a quarter past three in the morning. Somebody worked on the warehouse late last evening.",
        starts: "2026-11-24T09:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::NamesView), Live(130)],
        causes: &[Cause::NamesView],
        fixes: &[Fix::MendNamesView, Fix::RestoreNames],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncUpdate,
            hurt: Hurt::NamesLost,
            why: "while the view is broken it loses the names of all records at once",
        }],
        hints: &[
            "Are the names missing at the source too? `look sql SELECT COUNT(*) FROM crm.rds.properties WHERE company_name IS NULL`",
            "`look sql SELECT company_name, COUNT(*) FROM crm.sfdc_dbx.properties_to_update GROUP BY company_name`",
        ],
        model_answer: "The views of the syncs have lost the company's name, so each record that moves loses its own; the source has them \
                       all. Put the column back first: names that are restored before are lost again. Then restore what was lost in \
                       Salesforce. The incident ends with the first check after the copy shows it.",
        anchors: &["null-count"],
    },
    Drill {
        name: "missing-city",
        level: Level::Medium,
        title: "The coverage has fallen, and no sync has a problem",
        story: "It is a Tuesday, a quarter past three in the morning. Yesterday at six somebody changed a view for a report.",
        starts: "2026-11-23T14:07:00Z",
        extent: Extent { total: 300, synced: 295, pace: Pace::OF_SEED },
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::CreateView("Oakland")), Brew(20 * 60), Live(70)],
        causes: &[Cause::CreateView],
        fixes: &[Fix::MendCreateView],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncCreate,
            hurt: Hurt::Rewritten,
            why: "it sends all that the view has, and what is missing is not in the view",
        }],
        hints: &[
            "What is neither in the create queue nor in the destination is lost by a view.",
            "What do the missing ones have in common? Count them by city.",
        ],
        model_answer: "The create queue is short, no record is rejected, the copy is fresh, and still properties are missing: a view leaves \
                       them out. Counted by city they are all of Oakland. Compare the definition with infra/warehouse and take out \
                       the filter; the next runs create what was left out.",
        anchors: &["coverage"],
    },
    Drill {
        name: "twice",
        level: Level::Medium,
        title: "Sales finds the same property twice",
        story: "It is a Tuesday, a quarter past three in the morning. Salesforce was given a new field for keys at midnight.",
        starts: "2026-11-24T08:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::Duplicates(30)), Live(190)],
        causes: &[Cause::KeyNotUnique],
        fixes: &[Fix::PauseCreate, Fix::UniqueKey, Fix::MergeDuplicates, Fix::ResumeCreate],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncCreate,
            hurt: Hurt::Duplicated,
            why: "it creates a share of all records once more",
        }],
        hints: &["Each further run may add more.", "`look explain duplicates`"],
        model_answer: "The sync key is no unique external id any more, so Salesforce creates what it has already. Pause the create sync \
                       first: each run adds more. Make the key unique, then delete the younger ones, then resume. The updates that \
                       Salesforce refused meanwhile, as it writes nothing by a key that is there twice, arrive by themselves.",
        anchors: &["duplicates", "error-rate"],
    },
    Drill {
        name: "shrinking",
        level: Level::Hard,
        title: "Half of the properties seem to be gone from Salesforce",
        story: "It is a Tuesday, a quarter past three in the morning, and there is a lot of mail. Sales is still asleep.",
        starts: "2026-11-24T02:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::CopyStalled), Brew(8 * 60), Live(70)],
        causes: &[Cause::CopyStalled],
        fixes: &[Fix::ResumeCopy],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncCreate,
                hurt: Hurt::Rewritten,
                why: "Salesforce has the records; the copy by which we judge does not",
            },
            WrongFix {
                fix: Fix::MendCreateView,
                hurt: Hurt::TimeLost,
                why: "the view is right: the queue holds what the copy does not show",
            },
        ],
        hints: &[
            "Several findings at once: which of them could be the cause of the others?",
            "`look sql SELECT MAX(_fivetran_synced) FROM crm.salesforce.product_property`",
        ],
        model_answer: "Fivetran stopped copying at six last evening. Salesforce has everything, but its copy does not show it: so coverage falls, \
                       both queues grow, and changes seem to wait, while every run completes and rejects nothing. When several data \
                       checks fall at once, look at the copy first. Resume the connector; an hour later all is told to be well.",
        anchors: &["freshness", "coverage", "queue-size"],
    },
    Drill {
        name: "sunday-morning",
        level: Level::Hard,
        title: "On a Sunday in March the morning's run is missing",
        story: "It is Sunday 2027-03-14, twenty to six in the morning in Los Angeles. The create sync is promised once a day, at five: \
                the sales team reads the new properties at six. One mail of yesterday was left unanswered.",
        starts: "2027-03-13T14:07:00Z",
        extent: QUIET,
        edits: &[
            (
                "schedule = { every = \"30m\", grace = \"5m\" }",
                "schedule = { daily_at = \"05:00\", grace = \"30m\" }",
            ),
            ("daily_at = \"02:00\"", "daily_at = \"05:00\""),
            ("grace = \"1h\" }", "grace = \"2h\" }"),
        ],
        webhooks: false,
        beats: &[Inflict(Trouble::DailyInUtc), Live(10), Brew(21 * 60 + 43), Live(40)],
        causes: &[Cause::ClocksChanged],
        fixes: &[Fix::EveryHalfHour],
        wrong_fixes: &[WrongFix {
            fix: Fix::RestoreSchedule,
            hurt: Hurt::TimeLost,
            why: "it is right until November, when somebody has to think of it again: the warning stays",
        }],
        hints: &[
            "What happened in Los Angeles at two o'clock this morning?",
            "`look explain schedule-drift`",
        ],
        model_answer: "The clocks of Los Angeles went forward at night. Census keeps 13:00 UTC, which was five o'clock yesterday and is six \
                       today; the mail of yesterday said that it would come. The run starts at six by itself. A promise in local time \
                       needs two changes a year at Census, or a schedule that is frequent enough not to matter: promise every 30 minutes, \
                       at Census and in pipeline.toml.",
        anchors: &["schedule-drift", "run-due"],
    },
    Drill {
        name: "late-news",
        level: Level::Nasty,
        title: "The mail is older than it should be",
        story: "It is a Tuesday morning. Until today a failed run was told within ten seconds. This time people in sales knew it before you did.",
        starts: "2026-11-24T17:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: true,
        beats: &[Inflict(Trouble::WebhooksGone), Live(20), Inflict(Trouble::SalesforceDown), Live(20)],
        causes: &[Cause::SalesforceDown, Cause::WebhooksGone],
        fixes: &[Fix::RegisterWebhook, Fix::WaitForVendor],
        wrong_fixes: &[WrongFix {
            fix: Fix::ReconnectSalesforce,
            hurt: Hurt::TimeLost,
            why: "the login is good; a Salesforce that is down accepts none",
        }],
        hints: &[
            "There are two things to find. One is in the mail.",
            "Who found it, the webhook or the poll? `look webhook`",
        ],
        model_answer: "Salesforce is down: runs fail with the class `destination-down`. That is left alone until the vendor is back; the first \
                       run after it catches up. But a failed run is told within seconds by its webhook, and this one was found by the \
                       poll: somebody deleted the webhook in Census. No notice says so, as lost webhooks cost minutes and no incidents. \
                       Register it again.",
        anchors: &["run-failed", "webhooks"],
    },
    Drill {
        name: "two-at-once",
        level: Level::Nasty,
        title: "A sync that does not run, and data that are wrong",
        story: "It is a Tuesday, a quarter past three in the morning. The loudest mail is not the only one.",
        starts: "2026-11-24T08:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::NamesView), Inflict(Trouble::SchedulerStuck(Which::Create)), Live(190)],
        causes: &[Cause::NamesView, Cause::SchedulerStuck],
        fixes: &[Fix::MendNamesView, Fix::CallCensus, Fix::RestoreNames],
        wrong_fixes: &[WrongFix {
            fix: Fix::RunCreate,
            hurt: Hurt::NamesLost,
            why: "before the view is mended it creates all that waits without a name",
        }],
        hints: &[
            "Two causes. What would a run do now that is started by hand?",
            "`look explain null-count`, `look explain run-due`",
        ],
        model_answer: "The scheduler of Census does not start the create sync, which is the loud one; and the views have lost the names. To start a \
                       run by hand is the runbook's step for the first, and does harm while the second stands: all that waits would be created \
                       without a name. So mend the view, then have Census mend its scheduler, then restore the names that were lost.",
        anchors: &["run-due", "null-count", "queue-size"],
    },
    Drill {
        name: "half-a-change",
        level: Level::Nasty,
        title: "Two findings about data, the day after a change",
        story: "It is a Tuesday, a quarter past three in the morning. Yesterday somebody began to rewrite the views, and was called away.",
        starts: "2026-11-23T14:07:00Z",
        extent: Extent { total: 300, synced: 295, pace: Pace::OF_SEED },
        edits: &[],
        webhooks: false,
        beats: &[
            Inflict(Trouble::CreateView("Seattle")),
            Inflict(Trouble::NamesView),
            Brew(20 * 60),
            Live(70),
        ],
        causes: &[Cause::NamesView, Cause::CreateView],
        fixes: &[Fix::MendNamesView, Fix::MendCreateView, Fix::RestoreNames],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::NamesLost,
                why: "while the view is broken it loses the names of all records at once",
            },
            WrongFix {
                fix: Fix::SilenceAll,
                hurt: Hurt::Unheard,
                why: "nobody hears of what comes next, either",
            },
        ],
        hints: &[
            "One view may be broken in two places.",
            "Does what is missing wait in the create queue? Count by city.",
        ],
        model_answer: "The change was half written: the views have lost the names, and the one of what is to be created leaves out Seattle as \
                       well. Who mends only the louder one hears of the other the next night. Put both back as in infra/warehouse, then \
                       restore the names in Salesforce; what was left out is created by itself.",
        anchors: &["null-count", "coverage"],
    },
    Drill {
        name: "a-reason",
        level: Level::Nasty,
        title: "A paused sync, in the middle of the night",
        story: "It is a Tuesday, a quarter past three in the morning. Somebody of revenue operations was at work until half past one.",
        starts: "2026-11-24T08:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[
            Inflict(Trouble::Duplicates(40)),
            Live(90),
            Inflict(Trouble::Paused(Which::Create)),
            Live(100),
        ],
        causes: &[Cause::KeyNotUnique, Cause::SyncPaused],
        fixes: &[Fix::UniqueKey, Fix::MergeDuplicates, Fix::ResumeCreate],
        wrong_fixes: &[WrongFix {
            fix: Fix::RunCreate,
            hurt: Hurt::Duplicated,
            why: "whoever paused the sync did it to stop exactly this",
        }],
        hints: &[
            "A pause is often somebody's repair in progress. What were they repairing?",
            "`look explain duplicates`",
        ],
        model_answer: "Revenue operations saw the duplicates first, and paused the create sync to stop them. To resume it at once is what the easy \
                       drill taught, and creates more of them. Make the sync key unique, delete the younger records, and resume at \
                       the end.",
        anchors: &["sync-paused", "duplicates"],
    },
];
