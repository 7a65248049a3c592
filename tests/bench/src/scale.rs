//! 10,000 syncs, each answer of Census taking 50 ms.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use syncwatch_lab::aws::workspace_root;

use crate::census::{Census, SyncSpec};
use crate::programs;
use crate::report::{Report, mb};
use crate::runtime_api::start;
use crate::world::World;

const DELAY: Duration = Duration::from_millis(50);
const MANY: u64 = 10_000;
const FEW: u64 = 1_000;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    report.part("Many syncs: exec to answer, 50 ms for each answer of Census");
    let mut peaks = Vec::new();
    for count in [FEW, MANY] {
        let syncs = (1..=count).map(|id| SyncSpec { id, every_minutes: 30 }).collect();
        let world = World::start(async { Census::serve(syncs, DELAY).await })?;
        let directory = tempfile::tempdir()?;
        let function = programs::function(&directory, &world.settings()?, Some(&pipeline(count)?))?;
        let ping = start(&function, &json!({ "task": "ping" }), Duration::from_secs(60))?;
        let verify = start(&function, &json!({ "task": "verify" }), Duration::from_secs(300))?;
        let requests = world.census.requests();
        report.line(&format!(
            "{count:>6} syncs: {:>6.2} s, {:>6.1} MB (of it the pipeline file: {:.2} s, {:.1} MB), {requests} requests, at most {} at a time",
            verify.took.as_secs_f64(),
            mb(verify.peak_kb),
            ping.took.as_secs_f64(),
            mb(ping.peak_kb),
            world.census.most_in_flight(),
        ));
        let unhealthy = verify.answer.pointer("/counts/unhealthy").and_then(serde_json::Value::as_u64);
        report.goal("unhealthy findings", &format!("{unhealthy:?}"), "Some(0)", unhealthy == Some(0));
        if count == MANY {
            let took = verify.took.as_secs_f64();
            report.goal("10,000 syncs", &format!("{took:.1} s"), "< 60 s", took < 60.0);
        }
        // What the round needs beyond the declarations themselves, which are in memory once.
        peaks.push(mb(verify.peak_kb.saturating_sub(ping.peak_kb)));
    }
    if let [few, many] = peaks[..] {
        // Ten times the syncs; a page of them at a time is what may be held.
        let goal = few.max(1.0) * 2.0;
        report.goal(
            "memory of a round, 1,000 -> 10,000",
            &format!("{few:.1} -> {many:.1} MB"),
            &format!("<= {goal:.1} MB"),
            many <= goal,
        );
    }
    Ok(())
}

/// The repository's pipeline file with these syncs in the place of its own.
fn pipeline(count: u64) -> Result<String> {
    let text = fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
    let (head, _) = text.split_once("[[syncs]]").context("infra/pipeline.toml has no [[syncs]]")?;
    let mut text = head.to_owned();
    for id in 1..=count {
        // Writing into a string cannot fail.
        _ = write!(
            text,
            "[[syncs]]\nkey = \"sync-{id}\"\nid = {id}\nrole = \"update\"\n\
             schedule = {{ every = \"30m\", grace = \"5m\" }}\nruntime_target = \"15m\"\n\n"
        );
    }
    Ok(text)
}
