//! `make bench`: what a start, a whole check, 10,000 syncs and a webhook cost, beside the same job in Python, what checks of
//! data cost beside one query for each, and a night of 100,000 runs, in one run.
//!
//! Machines differ, so what counts is the ratio of two things measured in turns on the same machine in the same minute.

#![expect(clippy::print_stdout, reason = "printing figures is what this program is for")]

mod census;
mod check;
mod classify;
mod cold;
mod intake;
mod programs;
mod report;
mod runtime_api;
mod scale;
mod snapshot;
mod warehouse;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use report::Report;

/// Measures the functions; exits with 1 if a goal is missed or a figure could not be had.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything if not given.
    only: Option<Part>,
    /// How often each program is started for each figure.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// A folder of zips of another build, `<folder>/<function>/bootstrap.zip`, to compare the cold start with.
    #[arg(long)]
    beside: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Start to first answer, for an event that does nothing.
    Cold,
    /// Start to answer of a whole check.
    Check,
    /// 10,000 syncs.
    Scale,
    Intake,
    /// Checks of data, in one statement for a table and in one for each.
    Warehouse,
    /// A night of 100,000 runs.
    Snapshot,
    /// Errors of vendors.
    Classify,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    let mut report = Report::default();
    if wanted(Part::Cold) {
        cold::measure(&mut report, arguments.runs)?;
        if let Some(zips) = &arguments.beside {
            cold::beside(&mut report, arguments.runs, zips)?;
        }
    }
    if wanted(Part::Check) {
        check::measure(&mut report, arguments.runs)?;
    }
    if wanted(Part::Scale) {
        scale::measure(&mut report)?;
    }
    if wanted(Part::Intake) {
        intake::measure(&mut report)?;
    }
    if wanted(Part::Warehouse) {
        warehouse::measure(&mut report)?;
    }
    if wanted(Part::Snapshot) {
        snapshot::measure(&mut report)?;
    }
    if wanted(Part::Classify) {
        classify::measure(&mut report);
    }
    Ok(report.finish())
}
