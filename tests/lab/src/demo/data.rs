//! What runs cannot tell: the data are wrong though every run completes.

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use syncwatch_lab::properties::PropertyFault;

use super::table::Finder;
use super::{Demo, Found, NIGHTLY};

const CAUSES: [(&str, &str); 2] = [
    ("nobody entered 1,500 companies: not in Salesforce", "properties/coverage/properties-coverage"),
    ("somebody breaks a view: company names go null", "properties/null-count/company-names"),
];

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let since = demo
        .begin("somebody breaks a view: every run completes, and the company names that it moves are null")
        .await?;
    demo.stage.census.spoil(PropertyFault::ViewBug)?;
    demo.pass(120);
    demo.settle().await?;
    demo.nothing_new("runs that completed")?;
    demo.more("no run can tell; it is 03:00, and the Scheduler fires the nightly checks, once");
    demo.stage.deployment.poll_every_sweep(NIGHTLY, 1).await?;
    let notices = demo.hear(&CAUSES.map(|(_, key)| (key, "opened"))).await?;
    let table = checked(demo).await?;
    demo.quote("what it answers, asked again by hand:", &table);
    demo.settle().await?;
    demo.nothing_new("checks that were asked twice")?;
    let found = CAUSES.into_iter().zip(notices);
    let found = found.map(|((fault, key), notice)| Found { fault, key, since, notice });
    let found: Vec<Found> = found.collect();

    demo.stage.census.heal_all();
    demo.line("MEND    the view is as it was; the names that are lost stay lost");
    demo.pass(30);
    let table = checked(demo).await?;
    let names = table.lines().find(|line| line.contains("company-names")).unwrap_or_default();
    ensure!(!names.is_empty() && !names.contains("healthy"), "mending a view restored data: {names}");
    demo.settle().await?;
    demo.nothing_new("a mended view")?;
    let mended_at = Timestamp::now();
    demo.stage.census.repair()?;
    demo.line(
        "REPAIR  people restore the names and enter the companies; the syncs create what was not ready",
    );
    demo.pass(60);
    demo.stage.deployment.poll_every_sweep(NIGHTLY, 1).await?;
    demo.hear_the_end(found, mended_at).await?;
    let table = checked(demo).await?;
    demo.quote("and now it answers:", &table);
    let last = demo.rows.iter().rev().take(CAUSES.len());
    ensure!(last.clone().all(|row| row.by == Finder::Nightly), "somebody else found what data tell");
    Ok(())
}

/// The table that the nightly checks answer with when somebody asks for them by hand.
async fn checked(demo: &Demo) -> Result<String> {
    let answer = demo.stage.deployment.invoke(NIGHTLY, &json!({ "task": "validate" })).await?;
    if let Some(error) = answer.error {
        bail!("{NIGHTLY} failed ({error}): {}", answer.value);
    }
    let table = answer.value.get("table").and_then(Value::as_str);
    table.map(str::to_owned).context("the nightly checks answered without a table")
}
