//! Measures 10,000 syncs, where each answer of Census takes 50 ms.

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
const DECLARED: u64 = 100;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    report.part("Many syncs: exec to answer, 50 ms for each answer of Census");
    for count in [FEW, MANY] {
        let (took, _) = verify(report, count, count)?;
        if count == MANY {
            report.goal("10,000 syncs", &format!("{took:.1} s"), "< 60 s", took < 60.0);
        }
    }
    // All declarations are in memory, and reading their file takes more of it than a round. So the memory of a round is
    // measured with few declarations: ten times the workspace must not need ten times the memory.
    let (_, few) = verify(report, FEW, DECLARED)?;
    let (_, many) = verify(report, MANY, DECLARED)?;
    report.goal(
        "memory, 10,000 listed over 1,000",
        &format!("{:.2} x", many / few),
        "<= 1.10 x",
        many <= few * 1.1,
    );
    Ok(())
}

/// Measures a start and a round over `listed` syncs, the first `declared` of which are declared; returns seconds and MB.
fn verify(report: &mut Report, listed: u64, declared: u64) -> Result<(f64, f64)> {
    let syncs = (1..=listed).map(|id| SyncSpec { id, every_minutes: 30 }).collect();
    let world = World::start(async { Census::serve(syncs, DELAY).await })?;
    let directory = tempfile::tempdir()?;
    let function = programs::function(&directory, &world.settings()?, Some(&pipeline(declared)?))?;
    let ping = start(&function, &json!({ "task": "ping" }), Duration::from_secs(60))?;
    let verify = start(&function, &json!({ "task": "verify" }), Duration::from_secs(300))?;
    let requests = world.census.requests();
    report.line(&format!(
        "{listed:>6} syncs, {declared:>6} declared: {:>6.2} s, {:>6.1} MB (of it to start: {:.2} s, {:.1} MB), {requests} requests, at most {} at a time",
        verify.took.as_secs_f64(),
        mb(verify.peak_kb),
        ping.took.as_secs_f64(),
        mb(ping.peak_kb),
        world.census.most_in_flight(),
    ));
    let unhealthy = verify.answer.pointer("/counts/unhealthy").and_then(serde_json::Value::as_u64);
    report.goal("unhealthy findings", &format!("{unhealthy:?}"), "Some(0)", unhealthy == Some(0));
    Ok((verify.took.as_secs_f64(), mb(verify.peak_kb)))
}

/// Builds the repository's pipeline file with this many other syncs.
pub(crate) fn pipeline(count: u64) -> Result<String> {
    let text = fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
    let (head, _) = text.split_once("[[syncs]]").context("infra/pipeline.toml has no [[syncs]]")?;
    let mut text = head.replacen("[census]", "[census]\nundeclared_syncs = \"ignore\"", 1);
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
