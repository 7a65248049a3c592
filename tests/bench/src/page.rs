//! Measures the status page of two syncs and of fifty: its model from the records, and its files.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use syncwatch_lab::pages::{Sample, samples};

use crate::report::{Report, Spread};

const ROUNDS: usize = 20;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    report.part("Status page: 130 days of history, incidents and scoreboard, rendered");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for sample in runtime.block_on(samples())? {
        let Some((name, limit)) = (match sample.name {
            "critical" => Some(("two syncs, three open incidents", 50.0)),
            "fifty-syncs" => Some(("fifty syncs", 500.0)),
            _ => None,
        }) else {
            continue;
        };
        let took = milliseconds(&sample).median;
        let size = sample.page().html(&sample.pipeline.time_zone)?.len() / 1_000;
        report.goal(name, &format!("{took:.1} ms, {size} kB"), &format!("< {limit} ms"), took < limit);
    }
    Ok(())
}

fn milliseconds(sample: &Sample) -> Spread {
    Spread::of((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        black_box(sample.page().files(&sample.pipeline.time_zone).is_ok());
        begun.elapsed().as_secs_f64() * 1e3
    }))
}
