//! Measures the whole check, from `exec` to the answer: token, syncs, runs, judgement, incidents, notices.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use syncwatch_lab::aws::ResourceId;

use crate::census::{Census, SyncSpec};
use crate::cold::in_turns;
use crate::programs;
use crate::report::Report;
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn measure(report: &mut Report, runs: usize) -> Result<()> {
    // The syncs of infra/pipeline.toml.
    let syncs =
        vec![SyncSpec { id: 3_394_022, every_minutes: 30 }, SyncSpec { id: 3_394_041, every_minutes: 15 }];
    let world = World::start(async { Census::serve(syncs, Duration::ZERO).await })?;
    let directory = tempfile::tempdir()?;
    let settings = world.settings()?;
    let function = programs::function(&directory, &settings, None)?;
    let python = programs::python(&directory, &settings, None)?;
    let incidents = ResourceId::table("incidents");
    let event = json!({ "task": "verify" });

    for (paused, title) in [
        (false, "all healthy: secret, syncs, runs and incidents read"),
        (true, "one sync paused: an incident is also written and a notice published"),
    ] {
        report.part(&format!("Whole check, exec to answer, {runs} starts each in turns; {title}"));
        world.census.pause_first(paused);
        let [function, python] = in_turns(report, [&function, &python], runs, &event, LIMIT, |_, _| {
            world.block_on(world.deployment.clear(&incidents))
        })?;
        for (program, unhealthy) in [("function", function.unhealthy), ("Python twin", python.unhealthy)] {
            let expected = Some(u64::from(paused));
            report.goal(
                &format!("unhealthy findings, {program}"),
                &format!("{unhealthy:?}"),
                &format!("{expected:?}"),
                unhealthy == expected,
            );
        }
        let faster = python.took_ms.median / function.took_ms.median;
        report.goal("faster than Python", &format!("{faster:.1} x"), ">= 10 x", faster >= 10.0);
        let smaller = python.peak_mb.median / function.peak_mb.median;
        report.goal("less memory than Python", &format!("{smaller:.1} x"), ">= 3 x", smaller >= 3.0);
    }
    Ok(())
}
