//! What is broken one after the other, but for the storm and the silence.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use syncwatch_lab::census::{Fault, HttpFault};
use syncwatch_lab::receivers::PagerDutyEvent;
use syncwatch_lab::stage::Stage;
use syncwatch_lab::wait::until;

use super::table::Finder;
use super::{CREATE, Demo, LIMIT, UPDATE, WORKER, seconds};

const UPDATE_FAILED: &str = "properties/run-failed/properties-update";

/// A fault that is broken and mended while both poll and webhooks watch.
pub(super) struct Act {
    title: &'static str,
    key: &'static str,
    breaks: Break,
    /// How many minutes of Census's life pass after the break, and after the mending.
    passes: [i64; 2],
}

enum Break {
    World(Fault),
    Door(HttpFault),
}

pub(super) fn simple() -> Vec<Act> {
    vec![
        Act {
            title: "somebody pauses the create sync",
            key: "properties/sync-paused/properties-create",
            breaks: Break::World(Fault::Pause { sync: CREATE }),
            passes: [0, 0],
        },
        Act {
            title: "12% of the updates are rejected; runs say `completed`",
            key: "properties/error-rate/properties-update",
            breaks: Break::World(Fault::Reject { sync: UPDATE, percent: 12, message: None }),
            passes: [30, 30],
        },
        Act {
            title: "the create sync misses its runs, silently",
            key: "properties/run-due/properties-create",
            breaks: Break::World(Fault::HoldSchedule { sync: CREATE }),
            passes: [90, 30],
        },
        Act {
            title: "somebody makes the update sync hourly",
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
        title: "Census is down, and every check is blind",
        key: "properties/api-reachable/census",
        breaks: Break::Door(HttpFault::Down),
        passes: [0, 0],
    }
}

/// Runs of a sync fail, as the vendor tells it.
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
        let [after_break, after_mending] = act.passes;
        self.pass(after_break);
        let found = self.find(act.title, act.key, since).await?;
        self.more(&format!("likely cause: {}", found.notice.text("cause")));
        self.mend(vec![found], after_mending).await?;
        self.poll(false).await
    }
}

/// One run fails, in real time: how long until people hear of it by webhook alone, and how it looks to them. Then it fails
/// so often that it is critical, and PagerDuty is called.
pub(super) async fn a_run_fails(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "a run of the update sync fails";
    demo.begin("a run of the update sync fails, in real time; the poll is off").await?;
    demo.stage.census.inject(failure(UPDATE))?;
    // Runs without work end a second after they started.
    demo.stage.census.inject(Fault::SlowRuns { sync: UPDATE, factor: 0 })?;
    let ended = demo.stage.census.with_world(|world| {
        // Census skips a run that comes while another is at work.
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

    demo.line("It goes on failing");
    demo.pass(60);
    demo.hear_one(UPDATE_FAILED, "worsened").await?;
    let event = pagerduty(&demo.stage, "trigger", UPDATE_FAILED).await?;
    let member = |pointer: &str| event.payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let summary = format!("severity {}: {}", member("/severity"), member("/summary"));
    demo.quote(&format!("PagerDuty, {} of {}:", event.action, event.dedup_key), &summary);
    demo.mend(vec![found], 30).await?;
    let event = pagerduty(&demo.stage, "resolve", UPDATE_FAILED).await?;
    demo.more(&format!("PagerDuty, {} of {}", event.action, event.dedup_key));
    by_webhook(demo)
}

/// Waits for what PagerDuty is sent about an alert.
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

/// The fault that was mended last was found by webhook: nothing else was there to find it.
fn by_webhook(demo: &Demo) -> Result<()> {
    let by = demo.rows.last().map(|row| row.by);
    ensure!(by == Some(Finder::Webhook), "with the poll off, {by:?} found it");
    Ok(())
}

pub(super) async fn webhooks_come_twice_and_out_of_order(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "it fails again; webhooks come twice and out of order";
    let since = demo.begin("it fails again; webhooks come twice and out of order; the poll is off").await?;
    demo.stage.census.inject(failure(UPDATE))?;
    demo.stage.census.break_door(HttpFault::WebhooksDuplicated);
    demo.stage.census.break_door(HttpFault::WebhooksShuffled);
    demo.pass(30);
    let found = demo.find(TITLE, UPDATE_FAILED, since).await?;
    demo.settle().await?;
    demo.nothing_new("webhooks that came twice")?;
    let batches = demo.log_since(WORKER, since).await?;
    let count = |name: &str| {
        batches.iter().filter_map(|(_, line)| line.get(name).and_then(Value::as_u64)).sum::<u64>()
    };
    let (handled, duplicates) = (count("handled"), count("duplicates"));
    ensure!(handled > 0 && duplicates > 0, "{handled} webhooks were handled, {duplicates} duplicates");
    demo.more(&format!(
        "{handled} webhooks were handled, {duplicates} copies put aside, one notice was sent"
    ));
    demo.mend(vec![found], 30).await?;
    by_webhook(demo)
}

pub(super) async fn webhooks_are_lost(demo: &mut Demo) -> Result<()> {
    const TITLE: &str = "the create sync fails, and its webhooks are lost";
    let since = demo.begin(TITLE).await?;
    demo.stage.census.inject(failure(CREATE))?;
    demo.stage.census.break_door(HttpFault::WebhooksLost);
    demo.pass(60);
    demo.settle().await?;
    demo.nothing_new("webhooks that were lost")?;
    demo.more("no webhook comes, and nobody hears of it; the poll is switched on");
    demo.poll(true).await?;
    let found = demo.find(TITLE, "properties/run-failed/properties-create", since).await?;
    demo.mend(vec![found], 60).await?;
    let by = demo.rows.last().map(|row| row.by);
    ensure!(by == Some(Finder::Poll), "without webhooks, {by:?} found it");
    let late = demo.stage.census.deliver_lost();
    ensure!(late > 0, "no webhook was lost");
    demo.settle().await?;
    demo.nothing_new("webhooks that came late")?;
    demo.more(&format!(
        "the {late} lost webhooks come late, tell of failures that are over, and nobody hears a word"
    ));
    demo.poll(false).await
}
