//! The warehouse stops at night and a run fails: a remedy starts it, the next run sends the records, and no page is sent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use syncwatch_lab::census::Fault;
use syncwatch_lab::databricks::DatabricksFault;

use super::{CREATE, Demo, LIMIT};

const TITLE: &str = "at night the SQL warehouse stops, and a run of the create sync fails";
const REMEDIES: &str = "remedies";

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let since = demo.begin(TITLE).await?;
    let paged = demo.stage.pagerduty.events().len();
    let databricks = |demo: &Demo| {
        let warehouse = demo.stage.warehouse.as_ref().context("the stage has no warehouse");
        warehouse.map(|warehouse| warehouse.databricks.writes().len())
    };
    if let Some(warehouse) = &demo.stage.warehouse {
        warehouse.databricks.inflict(DatabricksFault::Stopped { start_s: 60 });
    }
    let message =
        "The SQL warehouse is stopped. Start the warehouse and try again: WAREHOUSE_STOPPED".to_owned();
    demo.stage.census.inject(Fault::Fail { sync: CREATE, code: "SOURCE_QUERY".to_owned(), message })?;
    demo.pass(30);
    let found = demo.find(TITLE, "properties/run-failed/properties-create", since).await?;
    let starts = databricks(demo)?;
    heal(demo).await?;
    ensure!(databricks(demo)? == starts + 1, "no remedy started the warehouse");
    demo.line("REMEDY  the function remedies starts the warehouse: all its gates are open");
    if let Some(warehouse) = &demo.stage.warehouse {
        warehouse.databricks.pass(Duration::from_secs(90));
    }
    heal(demo).await?;
    let next = demo.stage.subscriber.wait_for(demo.seen, LIMIT, "the note of the remedy", |_| true).await?;
    let (position, note) = next;
    ensure!(note.text("kind") == "note", "expected a note, got {}", note.subject);
    demo.seen = position + 1;
    demo.notes += 1;
    demo.line(&format!("NOTICE  {}", note.subject));
    demo.fix(vec![found], 30).await?;
    ensure!(demo.stage.pagerduty.events().len() == paged, "PagerDuty was called");
    demo.more("healed by itself, with one note to the chat: PagerDuty was not called");
    Ok(())
}

/// Runs one round of remedies.
async fn heal(demo: &Demo) -> Result<()> {
    let round = demo.stage.deployment.invoke(REMEDIES, &json!({ "task": "heal" })).await?;
    ensure!(round.error.is_none(), "{REMEDIES}: {}", round.value);
    Ok(())
}
