//! Faults: found or not, and how late, by the days of history before.

use anyhow::Result;
use jiff::ToSpan as _;
use jiff::civil::Weekday;
use syncwatch::expect::{Measure, Side};
use syncwatch_lab::history::{Fault, History, RUN_EVERY_MINUTES, play};

use crate::goals::Goals;
use crate::rules::{Holidays, findings, silences};
use crate::seeds::{Size, median, plan};

/// The shares then have a standard error of at most 2.2 points.
const SYNCS: usize = 500;
/// A fault has to be found within so many days.
const WATCHED: usize = 30;
const BEFORE: [usize; 6] = [5, 7, 11, 14, 28, 60];
/// Runs become empty at 10:00, a busy hour.
const EMPTY_FROM: usize = 10 * 60 / RUN_EVERY_MINUTES;
/// Other seeds may find this much less, in points.
pub(crate) const TOLERANCE: f64 = 5.0;

/// A row of the table of faults.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: fn(usize) -> Fault,
    /// The figure and the side; `None` is the silence rule.
    pub(crate) found_by: Option<(Measure, Side)>,
    /// The shares found by the prototype of these rules, in percent, by days of history.
    pub(crate) prototype: [f64; 6],
}

pub(crate) const ROWS: [Row; 9] = [
    Row {
        name: "volume to 0",
        fault: |from| Fault::VolumeStops { from },
        found_by: Some((Measure::Volume, Side::Low)),
        prototype: [1.0, 42.0, 98.0, 100.0, 100.0, 100.0],
    },
    Row {
        name: "half volume",
        fault: |from| Fault::VolumeHalves { from },
        found_by: Some((Measure::Volume, Side::Low)),
        prototype: [0.0, 0.0, 6.0, 36.0, 88.0, 94.0],
    },
    Row {
        name: "double volume",
        fault: |from| Fault::VolumeDoubles { from },
        found_by: Some((Measure::Volume, Side::High)),
        prototype: [1.0, 1.0, 6.0, 54.0, 89.0, 95.0],
    },
    Row {
        name: "coverage -0.05 points a day",
        fault: |from| Fault::CoverageLeaks { from, points_a_day: 0.05 },
        found_by: Some((Measure::Coverage, Side::Low)),
        prototype: [88.0, 90.0, 99.0, 100.0, 100.0, 100.0],
    },
    Row {
        name: "null rate +0.03 points a day",
        fault: |from| Fault::NullsCreep { from, points_a_day: 0.03 },
        found_by: Some((Measure::NullRate, Side::High)),
        prototype: [94.0, 94.0, 97.0, 97.0, 99.0, 100.0],
    },
    Row {
        name: "duration +1.5% a day",
        fault: |from| Fault::RunsSlow { from, percent_a_day: 1.5 },
        found_by: Some((Measure::Duration, Side::High)),
        prototype: [69.0, 79.0, 91.0, 90.0, 95.0, 98.0],
    },
    Row {
        name: "error rate +0.15 points a day",
        fault: |from| Fault::ErrorsCreep { from, points_a_day: 0.15 },
        found_by: Some((Measure::ErrorRate, Side::High)),
        prototype: [66.0, 71.0, 77.0, 78.0, 80.0, 77.0],
    },
    Row {
        name: "queue +5% of a day's volume a day",
        fault: |from| Fault::QueueGrows { from, share_a_day: 0.05 },
        found_by: Some((Measure::Queue, Side::High)),
        prototype: [1.0, 15.0, 80.0, 94.0, 99.0, 99.0],
    },
    Row {
        name: "busy runs succeed with 0 records",
        fault: |from| Fault::RunsEmpty { from, slot: EMPTY_FROM },
        found_by: None,
        prototype: [99.0, 100.0, 100.0, 100.0, 100.0, 100.0],
    },
];

/// Prints the shares found within 30 days and the median delays, by days of history before.
pub(crate) fn run(size: Size, goals: &mut Goals) -> Result<()> {
    println!(
        "\n## Faults: found within {WATCHED} days / median delay, by days of history before ({} syncs each)\n",
        size.of(SYNCS)
    );
    print!("| fault |");
    for before in BEFORE {
        print!(" {before} |");
    }
    println!("\n| --- |{}", " --- |".repeat(BEFORE.len()));
    for (part, row) in (10_u64..).zip(&ROWS) {
        print!("| {} |", row.name);
        for (before, prototype) in BEFORE.into_iter().zip(row.prototype) {
            let delays = delays(size, part, row, before)?;
            let share = 100.0 * delays.len() as f64 / size.of(SYNCS) as f64;
            let unit = if row.found_by.is_none() { " h" } else { "" };
            match median(&delays) {
                Some(delay) => print!(" {share:.0}%/{delay:.1}{unit} |"),
                None => print!(" {share:.0}% |"),
            }
            let name = format!("{} found after {before} days of history, %", row.name);
            goals.share(name, share, prototype - TOLERANCE, size.of(SYNCS), size.is_small);
        }
        println!();
    }
    Ok(())
}

/// The delays of those that were found: days, or hours of silence.
fn delays(size: Size, part: u64, row: &Row, before: usize) -> Result<Vec<f64>> {
    let mut delays = Vec::new();
    for seed in size.seeds(part, SYNCS) {
        let mut plan = plan(seed, before + WATCHED)?.fault((row.fault)(before));
        if row.found_by.is_none() {
            plan.start = on_a_weekday(plan.start, before)?;
        }
        let history = play(&plan)?;
        delays.extend(match row.found_by {
            Some((measure, side)) => delay(&history, measure, side, before)?,
            None => silence_delay(&history, before),
        });
    }
    Ok(delays)
}

fn delay(history: &History, measure: Measure, side: Side, from: usize) -> Result<Option<f64>> {
    let findings = findings(history, measure, Holidays::Declared)?;
    let found = findings.iter().find(|finding| finding.day >= from && finding.side == side);
    Ok(found.map(|finding| (finding.day - from) as f64))
}

/// The hours from the first empty run to the finding.
fn silence_delay(history: &History, from: usize) -> Option<f64> {
    let first = history.runs.iter().position(|run| (run.day, run.slot) >= (from, EMPTY_FROM))?;
    let found = silences(history, Holidays::Declared).into_iter().find(|run| *run >= first)?;
    let began = history.runs.get(first)?.started;
    Some(history.runs.get(found)?.started.duration_since(began).as_secs_f64() / 3_600.0)
}

/// Moves the first day so that the day after so many others is a weekday.
fn on_a_weekday(start: jiff::civil::Date, before: usize) -> Result<jiff::civil::Date> {
    let fault = start.checked_add(i64::try_from(before)?.days())?;
    Ok(match fault.weekday() {
        Weekday::Saturday => start.checked_add(2.days())?,
        Weekday::Sunday => start.tomorrow()?,
        _ => start,
    })
}
