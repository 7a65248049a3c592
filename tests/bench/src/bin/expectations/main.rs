//! Measures the rules of `expect` on simulated histories and on NAB, and compares with their goals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line writes to its standard streams"
)]

mod change;
mod faults;
mod forecasts;
mod goals;
mod nab;
mod nights;
mod quiet;
mod rules;
mod seeds;
mod speed;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use goals::Goals;
use seeds::Size;

/// Measure the rules on simulated histories of syncs.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Play 20 histories for each figure instead of 150 to 500.
    #[arg(long)]
    small: bool,
    /// Compare with the goals, and exit with 1 if one is missed.
    #[arg(long)]
    check: bool,
    /// The same seed makes the same histories.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play this many times more histories.
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Measure only this part.
    #[arg(long)]
    only: Option<Part>,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Quiet,
    Pipelines,
    Faults,
    /// Whole nights: rows, judgement, incidents.
    Nights,
    Change,
    Forecasts,
    /// The newest 70 days against a whole replay. Only on request.
    Windows,
    /// The time of one series. Only on request.
    Speed,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score the novelty rule on NAB, the Numenta Anomaly Benchmark.
    Nab {
        /// A clone of the GitHub repository numenta/NAB. Its data is not part of this repository.
        folder: PathBuf,
        /// Score the detectors whose results NAB publishes, too, to check the scorer.
        #[arg(long)]
        published: bool,
        /// Exit with 1 if a goal is missed.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (goals, is_checked) = match &arguments.command {
        Some(Command::Nab { folder, published, check }) => (nab::run(folder, *published)?, *check),
        None => (histories(arguments)?, arguments.check),
    };
    if !is_checked {
        return Ok(ExitCode::SUCCESS);
    }
    print!("\n{goals}");
    Ok(if goals.all_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn histories(arguments: &Arguments) -> Result<Goals> {
    let size = Size { is_small: arguments.small, times: arguments.times, seed: arguments.seed };
    let mut goals = Goals::default();
    let is_wanted = |part| arguments.only.is_none_or(|only| only == part);
    if is_wanted(Part::Quiet) {
        quiet::rates(size, &mut goals)?;
    }
    if is_wanted(Part::Pipelines) {
        quiet::pipelines(size, &mut goals)?;
    }
    if is_wanted(Part::Faults) {
        faults::run(size, &mut goals)?;
    }
    if is_wanted(Part::Nights) {
        nights::run(size, &mut goals)?;
    }
    if is_wanted(Part::Change) {
        change::run(size)?;
    }
    if is_wanted(Part::Forecasts) {
        forecasts::run(size, &mut goals)?;
    }
    if arguments.only == Some(Part::Windows) {
        windows::run(size)?;
    }
    if arguments.only == Some(Part::Speed) {
        speed::run(arguments.seed)?;
    }
    Ok(goals)
}
