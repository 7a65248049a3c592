//! A lost update that every check calls healthy: comparing the records finds it, and says why.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::Sdk;
use syncwatch::runtime::Env;
use syncwatch_cli::{Command, Operator, read_pipeline};

use syncwatch_lab::aws::workspace_root;
use syncwatch_lab::properties::{PropertyFault, PropertyWorld};

use super::Demo;
use super::data::checked;

/// The changes that are lost at most: a few change again, and arrive with that.
const LOST: usize = 40;
/// A change is pending for two hours.
const SETTLED_MINUTES: i64 = 180;

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    demo.begin("on Friday the update view was changed: it compares times, and changes get lost").await?;
    demo.stage.census.spoil(PropertyFault::ViewComparesTimes)?;
    demo.stage.census.spoil(PropertyFault::LostUpdates { count: LOST })?;
    demo.pass(SETTLED_MINUTES);
    demo.settle().await?;
    checked(demo).await?;
    demo.settle().await?;
    demo.nothing_new("the nightly checks of the lost updates")?;
    demo.more("runs complete, queues are short, every check is healthy: no notice");
    let lost = lost(demo)?;
    let key = lost.first().context("no update was lost")?;
    let found = reconciled(demo, &["--explain"]).await?;
    ensure!(skipped(&found.json) == Some(lost.len()), "{} lost; found:\n{}", lost.len(), found.text);
    let counts = found.text.split("\n\n").next().unwrap_or_default();
    demo.quote("syncwatch reconcile properties --explain:", counts);
    let one = reconciled(demo, &["--key", key]).await?;
    demo.quote(&format!("syncwatch reconcile properties --key {key}:"), &one.text);

    demo.stage.census.heal_all();
    demo.line("FIX     the view of infra/warehouse is applied again: it compares versions, and selects what was lost");
    demo.pass(60);
    demo.settle().await?;
    let found = reconciled(demo, &[]).await?;
    ensure!(skipped(&found.json).is_none(), "still lost:\n{}", found.text);
    demo.more("compared again: nothing is lost any more");
    demo.nothing_new("the restored view")
}

/// The keys of the lost updates, as the lab knows them.
fn lost(demo: &Demo) -> Result<Vec<String>> {
    let keys = |data: &PropertyWorld| data.wrong_keys().into_iter().map(str::to_owned).collect();
    demo.stage.census.with_world(|world| world.properties().map(keys)).context("the stage carries no data")
}

/// The rows that are skipped by the view, of the first object; `None` if there are none.
fn skipped(json: &Value) -> Option<usize> {
    usize::try_from(json.pointer("/objects/0/counts/faults/skipped")?.as_u64()?).ok()
}

/// Compares the properties by hand.
async fn reconciled(demo: &Demo, words: &[&str]) -> Result<syncwatch_cli::Answer> {
    let warehouse = demo.stage.warehouse.as_ref().context("the stage has no warehouse")?;
    let settings = [
        ("SYNCWATCH_WAREHOUSE_SECRET", "syncwatch/warehouse"),
        ("SYNCWATCH_DATABRICKS_URL", warehouse.url()),
        ("SYNCWATCH_CENSUS_SECRET", "syncwatch/census-token"),
        ("SYNCWATCH_CENSUS_BASE_URL", demo.stage.census.url()),
    ];
    let pipeline = read_pipeline(&workspace_root().join("infra/pipeline.toml"))?;
    let sdk = Sdk::for_endpoint(demo.stage.deployment.endpoint())?;
    let operator = Operator::with(Env::from_map(settings), pipeline, sdk, Timestamp::now());
    let command = Command::parse(&[&["reconcile", "properties"], words].concat())?;
    Ok(operator.carry_out(&command, &mut |_| {}).await?)
}
