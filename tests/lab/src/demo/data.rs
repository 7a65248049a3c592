//! Faults that no run shows: every run completes, but the data are wrong.

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use syncwatch_lab::properties::PropertyFault;

use super::table::Finder;
use super::{Demo, Found, NIGHTLY};

const CAUSES: [(&str, &str); 2] = [
    ("1,500 companies never entered: not in Salesforce", "properties/coverage/properties-coverage"),
    ("a broken view: company names become null", "properties/null-count/company-names"),
];

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let since = demo
        .begin("a broken view: every run completes, but the company names that it moves are null")
        .await?;
    demo.stage.census.spoil(PropertyFault::ViewBug)?;
    demo.pass(120);
    demo.settle().await?;
    demo.nothing_new("the completed runs")?;
    demo.more("no run shows it; at 03:00 the Scheduler fires the nightly checks, once");
    demo.stage.deployment.poll_every_sweep(NIGHTLY, 1).await?;
    let notices = demo.expect_notices(&CAUSES.map(|(_, key)| (key, "opened"))).await?;
    let table = checked(demo).await?;
    demo.quote("the same checks, run again by hand:", &table);
    demo.settle().await?;
    demo.nothing_new("the repeated checks")?;
    let found = CAUSES.into_iter().zip(notices);
    let found = found.map(|((fault, key), notice)| Found { fault, key, since, notice });
    let found: Vec<Found> = found.collect();

    demo.stage.census.heal_all();
    demo.line("FIX     the view is restored; the lost names stay lost");
    demo.pass(30);
    let table = checked(demo).await?;
    let names = table.lines().find(|line| line.contains("company-names")).unwrap_or_default();
    ensure!(!names.is_empty() && !names.contains("healthy"), "fixing a view restored data: {names}");
    demo.settle().await?;
    demo.nothing_new("the fixed view")?;
    let fixed_at = Timestamp::now();
    demo.stage.census.repair()?;
    demo.line(
        "REPAIR  operators restore the names and enter the companies; the syncs create the missing records",
    );
    demo.pass(60);
    demo.stage.deployment.poll_every_sweep(NIGHTLY, 1).await?;
    demo.expect_resolved(found, fixed_at).await?;
    let table = checked(demo).await?;
    demo.quote("the checks after the repair:", &table);
    let last = demo.rows.iter().rev().take(CAUSES.len());
    ensure!(last.clone().all(|row| row.by == Finder::Nightly), "the nightly checks did not find both faults");
    Ok(())
}

/// Runs the nightly checks by hand; returns their table.
pub(super) async fn checked(demo: &Demo) -> Result<String> {
    let answer = demo.stage.deployment.invoke(NIGHTLY, &json!({ "task": "validate" })).await?;
    if let Some(error) = answer.error {
        bail!("{NIGHTLY} failed ({error}): {}", answer.value);
    }
    let table = answer.value.get("table").and_then(Value::as_str);
    table.map(str::to_owned).context("the nightly checks returned no table")
}
