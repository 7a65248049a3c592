//! The acts of the demo, except the storm, the data, the snapshot and the silence.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use syncwatch_lab::census::{Fault, HttpFault};
use syncwatch_lab::receivers::PagerDutyEvent;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;

use super::table::Finder;
use super::{CREATE, Demo, LIMIT, UPDATE, WORKER, seconds};

const UPDATE_FAILED: &str = "properties/run-failed/properties-update";

/// A fault that is injected and removed while both the poll and the webhooks run.
pub(super) struct Act {
    title: &'static str,
    key: &'static str,
    breaks: Break,
    /// Minutes of Census time after the break, and after the fix.
    passes: [i64; 2],
}

enum Break {
    World(Fault),
    Door(HttpFault),
}

pub(super) fn simple() -> Vec<Act> {
    vec![
        Act {
            title: "the create sync is paused in Census",
            key: "properties/sync-paused/properties-create",
            breaks: Break::World(Fault::Pause { sync: CREATE }),
            passes: [0, 0],
        },
        Act {
            title: "12% of the updates are rejected; the runs complete",
            key: "properties/error-rate/properties-update",
            breaks: Break::World(Fault::Reject { sync: UPDATE, percent: 12, message: None }),
            passes: [30, 30],
        },
        Act {
            title: "the create sync silently misses its runs",
            key: "properties/run-due/properties-create",
            breaks: Break::World(Fault::HoldSchedule { sync: CREATE }),
            passes: [90, 30],
        },
        Act {
            title: "the update sync is changed to hourly",
            key: "properties/schedule-drift/properties-update",
            breaks: Break::World(Fault::ChangeSchedule {
                sync: UPDATE,
                schedule: json!({ "frequency": "hourly" }),
            }),
            passes: [0, 0],
        },
    ]
}

pub(super) fn census_is_down() -> Act {
    Act {
        title: "Census is down: no sync can be checked",
        key: "properties/api-reachable/census",
        breaks: Break::Door(HttpFault::Down),
        passes: [0, 0],
    }
}

/// Makes runs of a sync fail, with an error in the vendor's format.
pub(super) fn failure(sync: u64) -> Fault {
    Fault::Fail {
        sync,
        code: "SOURCE_COLUMN_MISSING".to_owned(),
        message: "A mapped source column has been deleted: company_name_c".to_owned(),
    }
}

impl Demo {
    pub(super) async fn play(&mut self, act: &Act) -> Result<()> {
        let since = self.begin(act.title).await?;
        self.poll(true).await?;
        match &act.breaks {
            Break::World(fault) => self.stage.census.inject(fault.clone())?,
            Break::Door(fault) => self.stage.census.break_door(fault.clone()),
        }
        let [after_break, after_fix] = act.passes;
        self.pass(after_break);
        let found = self.find(act.title, act.key, since).await?;
        self.more(&format!("likely cause: {}", found.notice.text("cause")));
        self.fix(vec![found], after_fix).await?;
        self.poll(false).await
    }
}

/// One run fails in real time: shows how fast its webhook alone alerts, and the notice in each channel. Then so many runs
/// fail that it is critical and PagerDuty is triggered.
pub(super) async fn run_fails(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "a run of the update sync fails";
    demo.begin("a run of the update sync fails, in real time (poll off)").await?;
    demo.stage.census.inject(failure(UPDATE))?;
    // Runs without work end a second after they started.
    demo.stage.census.inject(Fault::SlowRuns { sync: UPDATE, factor: 0 })?;
    let ended = demo.stage.census.with_world(|world| {
        // Census skips a run that starts while another one runs.
        let newest = world.runs(UPDATE).next().map(|run| run.id);
        if let Some(newest) = newest {
            world.cancel(newest);
        }
        let run = world.trigger(UPDATE, false)?;
        world.run(run)?.ends_at()
    });
    // Nothing has jumped yet, so lab time is wall time.
    let ended = ended.context("the lab's run does not end")?;
    let found = demo.find(TITLE, UPDATE_FAILED, ended).await?;
    demo.more(&format!("{:.1} s after the run ended", seconds(ended, found.notice.received_at)));
    let mail = demo.stage.mail.mails().into_iter().next_back().context("no mail was published")?;
    demo.quote("by mail:", &format!("Subject: {}\n\n{}", mail.subject, mail.text));
    let text = |name: &str| found.notice.text(name).to_owned();
    demo.more(&format!("by HTTP, as JSON: {} {} of {}", text("schema"), text("id"), text("opened_at")));
    let message = async || Ok(demo.stage.chat.messages().into_iter().next());
    let message = until(LIMIT, "the message in the chat", message).await?;
    demo.quote("in the chat:", &chat_text(&message.body));

    demo.line("More runs fail");
    demo.pass(60);
    demo.expect_notice(UPDATE_FAILED, "worsened").await?;
    let event = pagerduty(&demo.stage, "trigger", UPDATE_FAILED).await?;
    let member = |pointer: &str| event.payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let summary = format!("severity {}: {}", member("/severity"), member("/summary"));
    demo.quote(&format!("PagerDuty, {} of {}:", event.action, event.dedup_key), &summary);
    demo.fix(vec![found], 30).await?;
    let event = pagerduty(&demo.stage, "resolve", UPDATE_FAILED).await?;
    demo.more(&format!("PagerDuty, {} of {}", event.action, event.dedup_key));
    by_webhook(demo)
}

/// Waits for an event about an alert at PagerDuty.
async fn pagerduty(stage: &Stage, action: &str, key: &str) -> Result<PagerDutyEvent> {
    let is = |event: &PagerDutyEvent| event.action == action && event.dedup_key == key;
    let event = async || Ok(stage.pagerduty.events().into_iter().find(|event| is(event)));
    until(LIMIT, &format!("PagerDuty's {action} of {key}"), event).await
}

/// The texts of a message's blocks, as people read them.
fn chat_text(message: &Value) -> String {
    let blocks = message.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().flat_map(|block| {
        let parts = [block.get("text")].into_iter().flatten();
        let lists = ["fields", "elements"].map(|name| block.get(name).and_then(Value::as_array));
        let cells: Vec<String> = lists
            .into_iter()
            .flatten()
            .flatten()
            .map(|cell| cell.get("text").and_then(Value::as_str).unwrap_or_default().replace('\n', " "))
            .collect();
        let cells = (!cells.is_empty()).then(|| cells.join(" | "));
        parts.filter_map(|part| Some(part.get("text")?.as_str()?.to_owned())).chain(cells)
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Checks that a webhook found the last fixed fault: with the poll off, nothing else could.
fn by_webhook(demo: &Demo) -> Result<()> {
    let by = demo.rows.last().map(|row| row.by);
    ensure!(by == Some(Finder::Webhook), "with the poll off, found by {by:?}");
    Ok(())
}

pub(super) async fn webhooks_are_duplicated_and_shuffled(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "it fails again; webhooks duplicated and out of order";
    let since = demo.begin("it fails again; webhooks duplicated and out of order (poll off)").await?;
    demo.stage.census.inject(failure(UPDATE))?;
    demo.stage.census.break_door(HttpFault::WebhooksDuplicated);
    demo.stage.census.break_door(HttpFault::WebhooksShuffled);
    demo.pass(30);
    let found = demo.find(TITLE, UPDATE_FAILED, since).await?;
    demo.settle().await?;
    demo.nothing_new("the duplicated webhooks")?;
    let batches = demo.log_since(WORKER, since).await?;
    let count = |name: &str| {
        batches.iter().filter_map(|(_, line)| line.get(name).and_then(Value::as_u64)).sum::<u64>()
    };
    let (handled, duplicates) = (count("handled"), count("duplicates"));
    ensure!(handled > 0 && duplicates > 0, "{handled} webhooks handled, {duplicates} duplicates");
    demo.more(&format!("{handled} webhooks handled, {duplicates} duplicates dropped, 1 notice sent"));
    demo.fix(vec![found], 30).await?;
    by_webhook(demo)
}

pub(super) async fn webhooks_are_lost(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "the create sync fails, and its webhooks are lost";
    let since = demo.begin(TITLE).await?;
    demo.stage.census.inject(failure(CREATE))?;
    demo.stage.census.break_door(HttpFault::WebhooksLost);
    demo.pass(60);
    demo.settle().await?;
    demo.nothing_new("the lost webhooks")?;
    demo.more("no webhook arrives and no notice is sent; the poll is switched on");
    demo.poll(true).await?;
    let found = demo.find(TITLE, "properties/run-failed/properties-create", since).await?;
    demo.fix(vec![found], 60).await?;
    let by = demo.rows.last().map(|row| row.by);
    ensure!(by == Some(Finder::Poll), "without webhooks, found by {by:?}");
    let late = demo.stage.census.deliver_lost();
    ensure!(late > 0, "no webhook was lost");
    demo.settle().await?;
    demo.nothing_new("the late webhooks")?;
    demo.more(&format!("the {late} lost webhooks arrive late, about resolved failures: no notice"));
    demo.poll(false).await
}
