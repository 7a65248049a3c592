//! Measures a cold start: from `exec` to the first answer, for an event that does nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use syncwatch_lab::aws::{FunctionsTable, host_zips};

use crate::programs::{self, FUNCTION};
use crate::report::{Report, Spread, mb, ms};
use crate::runtime_api::{Program, Start, start};

/// The figures of one program over all its starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) took_ms: Spread,
    pub(crate) peak_mb: Spread,
    /// Unhealthy findings in the last answer, if it has that count.
    pub(crate) unhealthy: Option<u64>,
}

pub(crate) fn measure(report: &mut Report, runs: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let settings = programs::settings_without_world()?;
    let function = programs::function(&directory, &settings, None)?;
    let bare = programs::bare()?;
    let python = programs::python(&directory, &settings, None)?;

    report.part(&format!(
        "Cold start: exec to first answer for {{\"task\":\"ping\"}}, {runs} starts each in turns"
    ));
    let event = json!({ "task": "ping" });
    let [function, bare, python] =
        in_turns(report, [&function, &bare, &python], runs, &event, Duration::from_secs(20), |_, _| Ok(()))?;
    let start = function.took_ms.median;
    let faster = python.took_ms.median / start;
    let smaller = python.peak_mb.median / function.peak_mb.median;
    report.goal("first answer", &format!("{start:.1} ms"), "<= 12 ms", start <= 12.0);
    report.goal("faster than Python", &format!("{faster:.1} x"), ">= 20 x", faster >= 20.0);
    report.goal("less memory than Python", &format!("{smaller:.1} x"), ">= 3 x", smaller >= 3.0);
    report.line(&format!(
        "above the bare handler: {:.1} ms, {:.1} MB",
        start - bare.took_ms.median,
        function.peak_mb.median - bare.peak_mb.median
    ));
    Ok(())
}

/// Compares cold starts and zip sizes with those of another build, whose zips are in `zips`.
pub(crate) fn beside(report: &mut Report, runs: usize, zips: &Path) -> Result<()> {
    report.part(&format!("Compared with the zips of {}, {runs} starts each in turns", zips.display()));
    let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let settings = programs::settings_without_world()?;
    let ours = programs::function(&ours, &settings, None)?;
    let theirs =
        Program { name: "other build", ..programs::function_of(zips, FUNCTION, &theirs, &settings, None)? };
    let event = json!({ "task": "ping" });
    let [ours, theirs] =
        in_turns(report, [&ours, &theirs], runs, &event, Duration::from_secs(20), |_, _| Ok(()))?;
    report.line(&format!(
        "this build / other build: start {:.3}, memory {:.3}",
        ours.took_ms.median / theirs.took_ms.median,
        ours.peak_mb.median / theirs.peak_mb.median
    ));
    for name in FunctionsTable::read(&FunctionsTable::default_path())?.functions.keys() {
        let size =
            |folder: &Path| fs::metadata(folder.join(name).join("bootstrap.zip")).map(|file| file.len());
        let Ok(theirs) = size(zips) else { continue };
        let ours = size(&host_zips())?;
        report.line(&format!("{name:<24} {ours:>9} bytes, other build {theirs:>9} bytes"));
    }
    Ok(())
}

/// Starts each program `runs` times, in turns, so that other load on the machine affects all of them alike.
///
/// The first start of each is not counted: it fills the page cache and writes Python's compiled modules to disk. `before`
/// runs before each start and may prepare the world for it.
pub(crate) fn in_turns<const N: usize>(
    report: &mut Report,
    programs: [&Program; N],
    runs: usize,
    event: &Value,
    limit: Duration,
    mut before: impl FnMut(&Program, usize) -> Result<()>,
) -> Result<[Measured; N]> {
    let mut starts: [Vec<Start>; N] = std::array::from_fn(|_| Vec::new());
    for run in 0..=runs {
        for (program, starts) in programs.iter().zip(&mut starts) {
            before(program, run)?;
            let start = start(program, event, limit)?;
            if run > 0 {
                starts.push(start);
            }
        }
    }
    let measured = starts.map(|starts| Measured {
        took_ms: Spread::of(starts.iter().map(|start| ms(start.took))),
        peak_mb: Spread::of(starts.iter().map(|start| mb(start.peak_kb))),
        unhealthy: starts
            .last()
            .and_then(|start| start.answer.pointer("/counts/unhealthy"))
            .and_then(Value::as_u64),
    });
    for (program, Measured { took_ms, peak_mb, .. }) in programs.iter().zip(&measured) {
        report.line(&format!(
            "{:<18} {:>8.2} ms (from {:.2} to {:.2})   {:>6.1} MB",
            program.name, took_ms.median, took_ms.least, took_ms.most, peak_mb.median
        ));
    }
    Ok(measured)
}
