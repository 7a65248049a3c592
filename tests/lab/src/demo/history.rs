//! A leak that no limit sees: found by the history of its figure, and forecast with its date.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use syncwatch::days::{bounds, day_of, days_before};
use syncwatch_cli::read_pipeline;

use syncwatch_lab::aws::workspace_root;
use syncwatch_lab::history::{Fault, PAST_DAYS, Past};
use syncwatch_lab::properties::{Health, Pace, PropertyWorld};

use super::data::checked;
use super::snapshot::warehouse;
use super::{Demo, Found, SNAPSHOT};

const TITLE: &str = "coverage leaks 0.05 points a day: above every limit";
/// Sorted, as a round sends them in the order of the checks.
const CAUSES: [(&str, &str); 2] = [
    ("coverage leaks, above every limit: unlike its history", "properties/unusual-coverage/properties"),
    ("the same leak: forecast to pass its limit", "properties/breach-forecast/properties"),
];
const POINTS_A_DAY: f64 = 0.05;
/// The coverage at which the leak is found, in percent; the limit is 95.
const COVERAGE: f64 = 95.6;
/// The days after the repair until both are over.
const HEALED_DAYS: usize = 8;

pub(super) async fn play(demo: &mut Demo) -> Result<()> {
    let since = demo.begin(TITLE).await?;
    let pipeline = read_pipeline(&workspace_root().join("infra/pipeline.toml"))?;
    let yesterday = days_before(day_of(since, &pipeline.time_zone), 1);
    let healthy = health(demo)?;
    let missing = (healthy.synced as f64 / (COVERAGE / 100.0)) as usize - healthy.total;
    demo.stage.census.with_world(|world| {
        world.properties_mut().map(|data| data.arrive_nameless(missing)).context("the stage carries no data")
    })?;
    let world = health(demo)?;
    let lasted = ((healthy.coverage() - world.coverage()) / POINTS_A_DAY).round() as usize;
    let leak = Fault::CoverageLeaks { from: PAST_DAYS - lasted, points_a_day: POINTS_A_DAY };
    let began = Instant::now();
    let past = Past::of_world(&pipeline, &world, Pace::OF_SEED, yesterday, &[leak])?;
    // The runs of yesterday are Census's own.
    let mut past = past.with_runs_until(bounds(yesterday, yesterday, &pipeline.time_zone).0);
    past.write(&warehouse(demo)?, &pipeline).await?;
    let wrote = began.elapsed().as_secs_f64();
    demo.more(&format!("{PAST_DAYS} days of history are played in {wrote:.1} s: {} runs", past.runs.len()));
    let table = checked(demo).await?;
    let limits = table.lines().find(|line| line.contains("properties-coverage")).unwrap_or_default();
    ensure!(limits.contains("healthy"), "a limit sees the leak: {table}");
    demo.quote("the nightly checks see no limit passed:", limits);
    demo.more("at 23:59 the Scheduler fires the snapshot, once");
    demo.stage.deployment.poll_every_sweep(SNAPSHOT, 1).await?;
    let notices = demo.expect_notices(&CAUSES.map(|(_, key)| (key, "opened"))).await?;
    let found = CAUSES.into_iter().zip(notices);
    let found: Vec<Found> = found.map(|((fault, key), notice)| Found { fault, key, since, notice }).collect();
    let forecast = found.last().context("no forecast")?;
    demo.more(&format!("likely cause: {}", forecast.notice.text("cause")));

    let fixed_at = Timestamp::now();
    demo.stage.census.repair()?;
    demo.line("FIX     the companies are entered, and the syncs create the missing records");
    demo.pass(60);
    past.runs.clear();
    past.pass(HEALED_DAYS, &health(demo)?);
    past.write(&warehouse(demo)?, &pipeline).await?;
    demo.line(&format!(
        "NIGHT   {HEALED_DAYS} days pass in the audit log at once; the Scheduler fires the snapshot"
    ));
    demo.stage.deployment.poll_every_sweep(SNAPSHOT, 1).await?;
    demo.expect_resolved(found, fixed_at).await?;
    demo.settle().await?;
    demo.nothing_new("the end of the leak")
}

fn health(demo: &Demo) -> Result<Health> {
    let health = demo.stage.census.with_world(|world| world.properties().map(PropertyWorld::health));
    health.context("the stage carries no data")
}
