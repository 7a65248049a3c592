//! The drills, from easy to nasty. Names, titles and stories give no hint; the faults are in `beats`.

use syncwatch_lab::history::{Fault, PAST_DAYS};
use syncwatch_lab::properties::Pace;

use crate::drill::Beat::{Brew, Guard, Inflict, Live, Past};
use crate::drill::{Cause, Drill, Extent, Fix, Hurt, Level, Trouble, Which, WrongFix};

/// A pipeline at the seed's pace, small enough for a few hours to change its figures.
const SMALL: Extent = Extent { total: 800, synced: 790, nameless: 0, pace: Pace::OF_SEED };
/// Few records arrive: with one run a day the queues stay below the limits.
const QUIET: Extent = Extent {
    total: 800,
    synced: 800,
    nameless: 0,
    pace: Pace { arrivals_a_minute: 0.02, changes_a_minute: 0.2 },
};

/// Large enough for coverage to leak in steps of 0.02 points, and above its limit.
const LEAKING: Extent = Extent { total: 6_000, synced: 5_736, nameless: 260, pace: Pace::ORDINARY };

/// Large enough for the properties that wait to leave its coverage as it is.
const STEADY: Extent = Extent { total: 6_000, synced: 5_990, nameless: 0, pace: Pace::ORDINARY };
/// The days since the business doubled: found, and not yet what is expected.
const DOUBLED_DAYS: usize = 20;

/// With the last writer, a comparison of records distinguishes an edit by a person from a change that was skipped.
const LAST_WRITER: (&str, &str) = (
    "# modified_by = \"last_modified_by_id\"\n# integration_users = [\"005...\"]",
    "modified_by = \"last_modified_by_id\"\nintegration_users = [\"005A0000000SyncIAC\"]",
);

/// Properties that were deleted in the source stay in Salesforce, which is not what these drills are about.
const DELETED_STAY: (&str, &str) = ("extra = 0,", "extra = 1000,");

/// Remedies act, and ask.
const REMEDIES: (&str, &str) =
    ("# [remedies] act on open", "[remedies]\nlevel = \"act\"\n\n# [remedies] act on open");

/// Every drill, in list order.
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
            why: "a full sync writes every Salesforce record again, and the sync stays paused",
        }],
        hints: &["The subject of the mail names it.", "`look explain sync-paused`"],
        model_answer: "The create sync was paused. No run can fail or be late while it is paused, so this one alert is all \
                       you get. Ask who paused it, and whether a repair is in progress; `look census syncs/3394022` and the \
                       newest runs show no failure before it. Then resume it: the next run takes what has queued up.",
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
            why: "Syncwatch can read Census; Salesforce refuses Census",
        }],
        hints: &[
            "Which of the two logins is it: ours at Census, or Census's at Salesforce?",
            "`look explain run-failed`",
        ],
        model_answer: "Salesforce no longer accepts Census's session, so runs of both syncs fail with the class `auth`: one \
                       cause, one alert. Reconnect Salesforce in Census; the next run of each sync takes what waits.",
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
                why: "it writes every record again, and the rule rejects the same ones again",
            },
            WrongFix {
                fix: Fix::LoosenLimits,
                hurt: Hurt::TimeLost,
                why: "the alert ends, and the records still do not arrive",
            },
        ],
        hints: &[
            "The alert quotes the rejected records.",
            "`look explain error-rate`, and its table of classes",
        ],
        model_answer: "A validation rule of Salesforce rejects a fifth of the updates. The alert names the class, taken \
                       from samples of the rejected records. The owner of Salesforce decides whether the rule or the data \
                       must change; agree on it with them. The next run retries rejected records, so nothing has to be sent \
                       again.",
        anchors: &["error-rate"],
    },
    Drill {
        name: "refused",
        level: Level::Easy,
        title: "Syncwatch itself can no longer see",
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
            why: "the syncs run; only Syncwatch is refused",
        }],
        hints: &["Who refuses whom?", "`look explain token-accepted`"],
        model_answer: "Census refuses our token: it belonged to the colleague. The syncs continue, but unwatched: \
                       everything about single syncs is suppressed under this one alert. Put a key of the workspace into \
                       the secret; the next round uses it.",
        anchors: &["token-accepted"],
    },
    Drill {
        name: "fewer-runs",
        level: Level::Easy,
        title: "Changes reach Salesforce more slowly than before",
        story: "It is a Tuesday afternoon. A colleague wanted to save money on Census.",
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
            why: "Census's scheduler works; it follows the new setting",
        }],
        hints: &["One alert explains the other.", "`look explain schedule-drift`"],
        model_answer: "The update sync was changed to hourly; pipeline.toml declares every 15 minutes. So the schedule \
                       differs, and by the declared one runs are late. Decide which of the two is right; here it is the \
                       file. Set the schedule back in Census.",
        anchors: &["schedule-drift", "run-due"],
    },
    Drill {
        name: "a-question",
        level: Level::Easy,
        title: "Syncwatch asks for permission",
        story: "It is a Tuesday, shortly after eight in Los Angeles. A colleague says: I stopped the updates yesterday for a test, \
                and forgot to start them again.",
        starts: "2026-11-24T16:07:00Z",
        extent: SMALL,
        edits: &[REMEDIES],
        webhooks: false,
        beats: &[Inflict(Trouble::Paused(Which::Update)), Live(30)],
        causes: &[Cause::SyncPaused],
        fixes: &[Fix::ApproveRemedy],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::Rewritten,
                why: "a full sync writes every Salesforce record again, and the sync stays paused",
            },
            WrongFix {
                fix: Fix::StopRemedies,
                hurt: Hurt::TimeLost,
                why: "nothing was done wrong, and now nothing heals by itself",
            },
        ],
        hints: &[
            "`look remedies` shows the question, and what happens if you say yes.",
            "`look explain sync-paused`",
        ],
        model_answer: "The update sync is paused. Census does not say by whom, so Syncwatch never resumes it by itself: it \
                       asks. Your colleague knows why it was paused and that the reason is gone, so approve it. The next \
                       scheduled run takes what has queued up, and Syncwatch reports that it healed.",
        anchors: &["sync-paused"],
    },
    Drill {
        name: "all-dark",
        level: Level::Medium,
        title: "The state of every sync is unknown",
        story: "It is a Tuesday evening. The mail came twenty minutes ago, and none since.",
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
            why: "a refused token has its own alert; here nothing answers at all",
        }],
        hints: &["Query Census yourself: `look census syncs`.", "`look explain api-reachable`"],
        model_answer: "Census is down. Everything else is suppressed under this one alert, so no news about single syncs \
                       means nothing until it ends. Check the vendor's status page and change nothing: runs that fell due \
                       in the meantime start when Census is back.",
        anchors: &["api-reachable"],
    },
    Drill {
        name: "nameless",
        level: Level::Medium,
        title: "The nightly checks alert, though every run completes",
        story: "It is a Tuesday, a quarter past three in the morning. A colleague worked on the warehouse late last evening.",
        starts: "2026-11-24T09:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::NamesView), Live(130)],
        causes: &[Cause::NamesView],
        fixes: &[Fix::RepairNamesView, Fix::RestoreNames],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncUpdate,
            hurt: Hurt::NamesLost,
            why: "while the view is broken it deletes the names of all records at once",
        }],
        hints: &[
            "Are the names missing at the source too? `look sql SELECT COUNT(*) FROM crm.rds.properties WHERE company_name IS NULL`",
            "`look sql SELECT company_name, COUNT(*) FROM crm.sfdc_dbx.properties_to_update GROUP BY company_name`",
        ],
        model_answer: "The sync views lost the company name, so each record that a sync moves loses its own; the source \
                       still has them all. Put the column back first: names restored before that are lost again. Then \
                       restore the lost names in Salesforce. The incident resolves with the first check after the copy \
                       shows them.",
        anchors: &["null-count"],
    },
    Drill {
        name: "missing-city",
        level: Level::Medium,
        title: "The coverage has fallen, and no sync has a problem",
        story: "It is a Tuesday, a quarter past three in the morning. Yesterday at six a colleague changed a view for a report.",
        starts: "2026-11-23T14:07:00Z",
        extent: Extent { total: 300, synced: 295, nameless: 0, pace: Pace::OF_SEED },
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::CreateView("Oakland")), Brew(20 * 60), Live(70)],
        causes: &[Cause::CreateView],
        fixes: &[Fix::RepairCreateView],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncCreate,
            hurt: Hurt::Rewritten,
            why: "it sends what the view has, and the missing properties are not in the view",
        }],
        hints: &[
            "Properties in neither the create queue nor the destination are lost by a view.",
            "What do the missing ones have in common? Count them by city.",
        ],
        model_answer: "The create queue is short, no record is rejected, the copy is fresh, and still properties are \
                       missing: a view leaves them out. Counted by city, all of them are in Oakland. Compare the view with \
                       infra/warehouse and remove the filter; the next runs create the missing properties.",
        anchors: &["coverage"],
    },
    Drill {
        name: "twice",
        level: Level::Medium,
        title: "Sales finds the same property twice",
        story: "It is a Tuesday, a quarter past three in the morning. Salesforce got a new key field at midnight.",
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
            why: "it creates a share of all records again",
        }],
        hints: &["Each further run may add more.", "`look explain duplicates`"],
        model_answer: "The sync key is no longer a unique external id, so Salesforce creates records that it already has. \
                       Pause the create sync first: each run adds more. Make the key unique, then delete the newer \
                       duplicates, then resume. Salesforce rejected updates for duplicated keys; they arrive on their own.",
        anchors: &["duplicates", "error-rate"],
    },
    Drill {
        name: "not-yet",
        level: Level::Medium,
        title: "A warning about a day that has not come",
        story: "It is a Monday, a few minutes after midnight. Every run of the weekend completed, and no limit was passed.",
        starts: "2026-11-16T07:37:00Z",
        extent: LEAKING,
        edits: &[],
        webhooks: false,
        beats: &[
            Inflict(Trouble::CompaniesMissing),
            Past(&[Fault::CoverageLeaks { from: PAST_DAYS - 80, points_a_day: 0.05 }]),
            Live(30),
        ],
        causes: &[Cause::CompaniesMissing],
        fixes: &[Fix::EnterCompanies],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncCreate,
                hurt: Hurt::Rewritten,
                why: "it sends what the view has, and the missing properties are not in the view",
            },
            WrongFix {
                fix: Fix::RepairCreateView,
                hurt: Hurt::TimeLost,
                why: "the view is right: a property without a company must not be created",
            },
            WrongFix {
                fix: Fix::LoosenLimits,
                hurt: Hurt::TimeLost,
                why: "no limit is passed yet, and the leak goes on",
            },
        ],
        hints: &[
            "`look expectations`: which figure, since when, and how far from its limit? `look explain breach-forecast`",
            "What do the properties have in common that are in neither the create queue nor Salesforce?",
        ],
        model_answer: "Coverage falls 0.05 points a day and is still above 95%, so no limit sees it: its own history does, \
                       and the forecast names the day on which 95% breaks. `look expectations` shows coverage beside its \
                       range and since when it falls. Both queues are short and the copy is fresh, so the missing \
                       properties are not in the view: `look sql SELECT COUNT(*) FROM crm.rds.properties WHERE company_name \
                       IS NULL` counts them. Companies are no longer entered. Have them entered before the earliest date of \
                       the forecast; the syncs create the records. The incidents end after some nights, when coverage has \
                       stayed up.",
        anchors: &["breach-forecast", "unusual-coverage"],
    },
    Drill {
        name: "unknown-owner",
        level: Level::Medium,
        title: "Sales finds an unknown company on some properties",
        story: "It is a Tuesday noon. Sales sees a company named \"Renamed by hand\" on some properties. There is a mail of last \
                night, and every run of the week completed.",
        starts: "2026-11-22T20:07:00Z",
        extent: QUIET,
        edits: &[LAST_WRITER, DELETED_STAY],
        webhooks: false,
        // The nightly functions run at 03:00 and 03:05; the second comparison confirms the first.
        beats: &[
            Guard,
            Inflict(Trouble::HandEdits(30)),
            Brew(890),
            Live(20),
            Brew(1_420),
            Live(20),
            Brew(520),
            Live(10),
        ],
        causes: &[Cause::HandEdit],
        fixes: &[Fix::TouchSource],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::Rewritten,
                why: "it writes every record again to correct thirty",
            },
            WrongFix {
                fix: Fix::RunUpdate,
                hurt: Hurt::TimeLost,
                why: "no source row changed, so the run has nothing to send",
            },
            WrongFix {
                fix: Fix::RestoreNames,
                hurt: Hurt::TimeLost,
                why: "no name is missing; these are wrong",
            },
        ],
        hints: &[
            "Which records differ, and since when? `look reconcile` compares all of them.",
            "`look reconcile --key KEY`, and `look sql SELECT * FROM crm.salesforce.product_property WHERE sf_property_id_c = 'KEY'`",
        ],
        model_answer: "Every other check is healthy: the records exist, have a company, and are of the newest version. Only \
                       comparing values finds them, as the function reconciliation does each night: `look reconcile` counts \
                       those that differ, changed in Salesforce after the source, and last_modified_by_id shows a person. A sync sends only what changed at the source, so they stay \
                       wrong. Ask the person whose value is right. Here it is the source's: touch its rows, and the next run \
                       sends them.",
        anchors: &["records-differ"],
    },
    Drill {
        name: "without-a-bell",
        level: Level::Medium,
        title: "A question in the chat, and nothing else",
        story: "It is a Tuesday morning. Every run completes. Someone has tidied the settings of the workspace in Census.",
        starts: "2026-11-24T17:07:00Z",
        extent: SMALL,
        edits: &[REMEDIES],
        webhooks: true,
        beats: &[Live(40), Inflict(Trouble::WebhooksGone), Live(90)],
        causes: &[Cause::WebhooksGone],
        fixes: &[Fix::ApproveRemedy],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::RefuseRemedy,
                hurt: Hurt::TimeLost,
                why: "without the webhook a failed run is found minutes later, by the poll",
            },
            WrongFix {
                fix: Fix::SilenceAll,
                hurt: Hurt::Suppressed,
                why: "it hides every alert, and the webhook is still gone",
            },
        ],
        hints: &["`look remedies`: which act is proposed, and what does it replace?", "`look webhook`"],
        model_answer: "The webhook was deleted in Census, so runs end without a delivery. Syncwatch proposes to create it \
                       anew; `look webhook` shows that none posts to our endpoint, so nothing is replaced. Approve it: the \
                       new secret is stored beside the old one, and the next run's delivery is accepted.",
        anchors: &["webhooks-arrive"],
    },
    Drill {
        name: "shrinking",
        level: Level::Hard,
        title: "Half of the properties seem to be missing from Salesforce",
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
                why: "Salesforce has the records; only the copy that we check lacks them",
            },
            WrongFix {
                fix: Fix::RepairCreateView,
                hurt: Hurt::TimeLost,
                why: "the view is right: the queue lists the records that the copy lacks",
            },
        ],
        hints: &[
            "Several findings at once: which one could cause the others?",
            "`look sql SELECT MAX(_fivetran_synced) FROM crm.salesforce.product_property`",
        ],
        model_answer: "Fivetran stopped copying at six last evening. Salesforce has everything, but its copy does not show \
                       it: coverage falls, both queues grow and changes seem to wait, while every run completes and rejects \
                       nothing. When several data checks fail at once, check the copy first. Resume the connector; all \
                       incidents resolve within an hour.",
        anchors: &["freshness", "coverage", "queue-size"],
    },
    Drill {
        name: "since-friday",
        level: Level::Hard,
        title: "Some changes of last week never reached Salesforce",
        story: "It is a Monday, eight in the morning in Los Angeles. Sales misses changes of Friday evening. The queues are short, \
                and every run completed. There is mail of the weekend.",
        starts: "2026-11-21T02:07:00Z",
        extent: QUIET,
        edits: &[LAST_WRITER, DELETED_STAY],
        webhooks: false,
        beats: &[
            Guard,
            Inflict(Trouble::TimesView(60)),
            // The nightly functions run at 03:00 and 03:05.
            Brew(530),
            Live(20),
            Brew(1_420),
            Live(20),
            Brew(1_420),
            Live(20),
            Brew(280),
            Live(10),
        ],
        causes: &[Cause::TimesView],
        fixes: &[Fix::RepairUpdateView],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::TouchSource,
                hurt: Hurt::TimeLost,
                why: "it sends what is lost by now; the view goes on losing changes",
            },
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::Rewritten,
                why: "it writes every record again, and the view goes on losing changes",
            },
            WrongFix {
                fix: Fix::RunUpdate,
                hurt: Hurt::TimeLost,
                why: "the run sends what the view selects, and it does not select them",
            },
        ],
        hints: &[
            "`look reconcile`: do the records that differ have the newest version?",
            "Was the definition of the pipeline changed? `look baseline`",
        ],
        model_answer: "`look reconcile` finds records whose version in Salesforce is older than the source's, while the update \
                       queue is empty: no view selects them. `look baseline` shows that the update view differs from its file: it \
                       compares updated_at with last_modified_date. A record that a person saved after its source changed is \
                       then never selected. Apply the view of infra/warehouse again: it compares versions, so the next run \
                       sends everything that was lost.",
        anchors: &["definition-changed", "records-differ"],
    },
    Drill {
        name: "all-green",
        level: Level::Hard,
        title: "Every run completes, and there is a mail all the same",
        story: "It is a Tuesday, half past eleven in Los Angeles. Revenue operations tidied up in Census this morning.",
        starts: "2026-11-24T17:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::SelectsNothing(Which::Update)), Live(145)],
        causes: &[Cause::SyncFilter],
        fixes: &[Fix::RemoveFilter],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::RunUpdate,
                hurt: Hurt::TimeLost,
                why: "it completes without records, as all runs since nine o'clock did",
            },
            WrongFix {
                fix: Fix::LoosenLimits,
                hurt: Hurt::TimeLost,
                why: "no limit is passed: the runs are unlike those of other days",
            },
        ],
        hints: &[
            "Does the sync move nothing because nothing changes? `look sql SELECT COUNT(*) FROM crm.sfdc_dbx.properties_to_update`",
            "Records wait in the view, and each run selects none: what is between the two?",
        ],
        model_answer: "The update sync runs every quarter of an hour, completes, and moves nothing, at hours at which \
                       nearly every run moves some. A quiet source looks the same, so check the view: changed records \
                       wait there. The view is right, nothing is rejected, and Census selects none of them: a filter in the \
                       sync's settings. Remove it; the next run takes all that waits. No full sync is needed.",
        anchors: &["silent-runs"],
    },
    Drill {
        name: "sunday-morning",
        level: Level::Hard,
        title: "On a Sunday in March the morning's run is missing",
        story: "It is Sunday 2027-03-14, twenty to six in the morning in Los Angeles. The create sync is declared once a day, at five: \
                the sales team reads the new properties at six. One mail of yesterday is unanswered.",
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
            why: "it is right until November, when it must be changed again: the warning stays",
        }],
        hints: &[
            "What happened in Los Angeles at two o'clock this morning?",
            "`look explain schedule-drift`",
        ],
        model_answer: "The clocks of Los Angeles went forward at night. Census keeps 13:00 UTC, which was five o'clock \
                       yesterday and is six today; yesterday's mail announced it. The run starts at six without your help. \
                       A daily time in a local zone needs two changes a year in Census. A frequent schedule needs none: set \
                       every 30 minutes, in Census and in pipeline.toml.",
        anchors: &["schedule-drift", "run-due"],
    },
    Drill {
        name: "no-question",
        level: Level::Hard,
        title: "It has always asked, and today it does not",
        story: "It is a Tuesday morning after a release weekend. The owner of the syncs says that they may all run again.",
        starts: "2026-11-24T16:07:00Z",
        extent: SMALL,
        edits: &[REMEDIES],
        webhooks: false,
        beats: &[Inflict(Trouble::SwitchedOff), Inflict(Trouble::Paused(Which::Update)), Live(40)],
        causes: &[Cause::SyncPaused, Cause::RemediesStopped],
        fixes: &[Fix::StartRemedies, Fix::ApproveRemedy],
        wrong_fixes: &[WrongFix {
            fix: Fix::FullSyncUpdate,
            hurt: Hurt::Rewritten,
            why: "a full sync writes every Salesforce record again, and the sync stays paused",
        }],
        hints: &[
            "There are two things to find. One is in the mail.",
            "`look remedies`: which gate holds the remedy, and who closed it?",
        ],
        model_answer: "The update sync is paused, and Syncwatch has a remedy for it that is held: the kill switch was turned on \
                       for the release and never off. `look remedies` names who did that and why. The release is done, so \
                       start the remedies again; then the question comes, and the owner has answered it already: approve.",
        anchors: &["sync-paused", "remedies-act"],
    },
    Drill {
        name: "another-question",
        level: Level::Nasty,
        title: "Syncwatch asks for permission, again",
        story: "It is a Tuesday, before four in the morning. Note of the shift before you: creations are stopped until the key \
                field in Salesforce is repaired.",
        starts: "2026-11-24T08:07:00Z",
        extent: SMALL,
        edits: &[REMEDIES],
        webhooks: false,
        beats: &[
            Inflict(Trouble::Duplicates(30)),
            Live(190),
            Inflict(Trouble::Paused(Which::Create)),
            Live(30),
        ],
        causes: &[Cause::SyncPaused, Cause::KeyNotUnique],
        fixes: &[Fix::RefuseRemedy, Fix::UniqueKey, Fix::MergeDuplicates, Fix::ResumeCreate],
        wrong_fixes: &[WrongFix {
            fix: Fix::ApproveRemedy,
            hurt: Hurt::Duplicated,
            why: "the create sync runs again while Salesforce still takes the same record twice",
        }],
        hints: &[
            "Two people must approve this one. Why?",
            "A pause is often part of a repair in progress: `look explain sync-paused`, `look explain duplicates`",
        ],
        model_answer: "The create sync was paused on purpose: the sync key is no longer unique in Salesforce, so each run creates \
                       records twice. Syncwatch sees a pause and asks; it cannot know the reason, and two people would have \
                       to say yes. Refuse, so that it leaves the incident to people for a day. Then make the key unique, \
                       delete the newer duplicates, and resume the sync yourself.",
        anchors: &["sync-paused", "duplicates"],
    },
    Drill {
        name: "late-news",
        level: Level::Nasty,
        title: "The mail comes later than it should",
        story: "It is a Tuesday morning. Until today a failed run alerted within ten seconds. This time sales knew before you did.",
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
            why: "the login is valid; Salesforce is down and accepts none",
        }],
        hints: &[
            "There are two things to find. One is in the mail.",
            "Who found it, the webhook or the poll? `look webhook`",
        ],
        model_answer: "Salesforce is down: runs fail with the class `destination-down`. Leave that alone until the vendor \
                       is back; the first run after it catches up. But a failed run is normally reported within seconds by \
                       its webhook, and the poll found this one: the webhook was deleted in Census. No alert says so, \
                       because lost webhooks cost minutes, not incidents. Register it again.",
        anchors: &["run-failed", "webhooks"],
    },
    Drill {
        name: "two-at-once",
        level: Level::Nasty,
        title: "A sync that does not run, and wrong data",
        story: "It is a Tuesday, a quarter past three in the morning. The loudest mail is not the only one.",
        starts: "2026-11-24T08:07:00Z",
        extent: SMALL,
        edits: &[],
        webhooks: false,
        beats: &[Inflict(Trouble::NamesView), Inflict(Trouble::SchedulerStuck(Which::Create)), Live(190)],
        causes: &[Cause::NamesView, Cause::SchedulerStuck],
        fixes: &[Fix::RepairNamesView, Fix::CallCensus, Fix::RestoreNames],
        wrong_fixes: &[WrongFix {
            fix: Fix::RunCreate,
            hurt: Hurt::NamesLost,
            why: "until the view is repaired, it creates every waiting record without a name",
        }],
        hints: &[
            "Two causes. What would a run started by hand do now?",
            "`look explain null-count`, `look explain run-due`",
        ],
        model_answer: "Census's scheduler does not start the create sync, which is the loud fault; and the views lost the \
                       names. For the first, the runbook's step is to start a run by hand. It does harm while the second \
                       lasts: every waiting record would be created without a name. So repair the view, then have Census \
                       fix its scheduler, then restore the lost names.",
        anchors: &["run-due", "null-count", "queue-size"],
    },
    Drill {
        name: "half-a-change",
        level: Level::Nasty,
        title: "Two findings about data, the day after a change",
        story: "It is a Tuesday, a quarter past three in the morning. Yesterday a colleague began to rewrite the views, and was called away.",
        starts: "2026-11-23T14:07:00Z",
        extent: Extent { total: 300, synced: 295, nameless: 0, pace: Pace::OF_SEED },
        edits: &[],
        webhooks: false,
        beats: &[
            Inflict(Trouble::CreateView("Seattle")),
            Inflict(Trouble::NamesView),
            Brew(20 * 60),
            Live(70),
        ],
        causes: &[Cause::NamesView, Cause::CreateView],
        fixes: &[Fix::RepairNamesView, Fix::RepairCreateView, Fix::RestoreNames],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncUpdate,
                hurt: Hurt::NamesLost,
                why: "while the view is broken it deletes the names of all records at once",
            },
            WrongFix {
                fix: Fix::SilenceAll,
                hurt: Hurt::Suppressed,
                why: "the next incident would not alert either",
            },
        ],
        hints: &[
            "One view may be broken in two places.",
            "Are the missing ones in the create queue? Count by city.",
        ],
        model_answer: "The change was half done: the views lost the names, and the create view also leaves out Seattle. If \
                       you repair only the louder fault, the other one alerts the next night. Put both views back as in \
                       infra/warehouse, then restore the names in Salesforce; the syncs create the missing properties on \
                       their own.",
        anchors: &["null-count", "coverage"],
    },
    Drill {
        name: "twice-as-many",
        level: Level::Nasty,
        title: "A sync creates twice as many records as it used to",
        story: "It is a Monday, a few minutes after midnight. Last month a colleague changed the create view, and revenue operations \
                signed a second brand.",
        starts: "2026-11-16T07:37:00Z",
        extent: STEADY,
        edits: &[],
        webhooks: false,
        beats: &[
            Inflict(Trouble::NewBusiness),
            Past(&[Fault::BusinessChanges { from: PAST_DAYS - DOUBLED_DAYS, factor: 2.0 }]),
            Live(30),
        ],
        causes: &[Cause::NewBusiness],
        fixes: &[Fix::NewNormal],
        wrong_fixes: &[
            WrongFix {
                fix: Fix::FullSyncCreate,
                hurt: Hurt::Rewritten,
                why: "nothing is missing in Salesforce, and it writes every record again",
            },
            WrongFix {
                fix: Fix::RepairCreateView,
                hurt: Hurt::TimeLost,
                why: "a view that selects too much would create duplicates or move coverage; neither happened",
            },
            WrongFix {
                fix: Fix::SilenceAll,
                hurt: Hurt::Suppressed,
                why: "the next incident would not alert either",
            },
        ],
        hints: &[
            "`look expectations`: which other figure moved on the same day? Are there duplicates, or a queue?",
            "Could a view alone create twice as many records that are all new? Who knows whether the business did?",
        ],
        model_answer: "The create sync moves twice as many records a day since the day that the notice names, day after day. It \
                       is not a backfill, which is one run, and not a view that selects too much: neither duplicates nor \
                       rejections, short queues and the same coverage, so each record is a new property. Only the business can \
                       do that: the second brand. There is nothing to repair. The owner of the source confirms it, and the \
                       incident is marked as new-normal: it resolves, and the next change is judged against the new level.",
        anchors: &["unusual-volume"],
    },
    Drill {
        name: "a-reason",
        level: Level::Nasty,
        title: "A paused sync, in the middle of the night",
        story: "It is a Tuesday, a quarter past three in the morning. Revenue operations worked until half past one.",
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
            why: "the sync was paused to stop exactly this",
        }],
        hints: &[
            "A pause often means a repair is in progress. What was being repaired?",
            "`look explain duplicates`",
        ],
        model_answer: "Revenue operations saw the duplicates first, and paused the create sync to stop them. To resume it \
                       at once is right in the easy drill, and here creates more duplicates. Make the sync key unique, \
                       delete the newer records, and resume last.",
        anchors: &["sync-paused", "duplicates"],
    },
];
