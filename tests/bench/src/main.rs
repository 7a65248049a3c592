//! `make bench`: compares a cold start, a whole check and a webhook with Python versions, and data checks with one query for
//! each; measures 10,000 syncs, a night of 100,000 runs, 10,000 series of figures, vendor errors, the status page, and the
//! reconciliation of a million records.
//!
//! Machines differ, so the ratio of two figures counts, both measured in turns on the same machine in the same minute.

#![expect(clippy::print_stdout, reason = "the purpose of this program is to print figures")]

mod census;
mod check;
mod classify;
mod cold;
mod figures;
mod intake;
mod page;
mod programs;
mod reconcile;
mod report;
mod runtime_api;
mod scale;
mod snapshot;
mod streams;
mod warehouse;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use report::Report;

/// Measures the functions; exits with 1 if a goal is missed or a measurement fails.
#[derive(Parser)]
struct Arguments {
    /// The part to measure (default: all).
    only: Option<Part>,
    /// Starts of each program for each figure.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Compare the cold start with another build: a folder with its `<function>/bootstrap.zip` files.
    #[arg(long)]
    beside: Option<PathBuf>,
    #[command(flatten)]
    streams: streams::Beside,
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
    /// Data checks: one statement per table against one per check.
    Warehouse,
    /// A night of 100,000 runs.
    Snapshot,
    /// A round over 10,000 series of figures.
    Figures,
    /// Vendor errors.
    Classify,
    /// The status page.
    Page,
    /// A million records on both sides.
    Reconcile,
    /// A million records a side in two databases; only if asked for, as it needs an optimized build.
    Streams,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if streams::only_compares(&arguments.streams)? {
        return Ok(ExitCode::SUCCESS);
    }
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
    if wanted(Part::Figures) {
        figures::measure(&mut report)?;
    }
    if wanted(Part::Classify) {
        classify::measure(&mut report);
    }
    if wanted(Part::Page) {
        page::measure(&mut report)?;
    }
    if wanted(Part::Reconcile) {
        reconcile::measure(&mut report)?;
    }
    if arguments.only == Some(Part::Streams) {
        streams::measure(&mut report, &arguments.streams)?;
    }
    Ok(report.finish())
}
