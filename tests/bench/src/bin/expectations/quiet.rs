//! False findings on series without a fault.

use anyhow::Result;
use syncwatch::expect::Measure;
use syncwatch_lab::history::{History, Temper, play};

use crate::goals::Goals;
use crate::rules::{Holidays, findings, silences};
use crate::seeds::{Size, plan};

const SYNCS: usize = 150;
const DAYS: usize = 400;
const PIPELINES: usize = 200;
/// The days that a pipeline has run before, and those that are watched.
const BEFORE: usize = 60;
const WATCHED: usize = 90;
/// The days of history before, first to last, for the rates of the volume.
const AGES: [(usize, usize); 6] = [(5, 6), (7, 10), (11, 13), (14, 27), (28, 59), (60, DAYS)];

/// Days with a finding: one entry for each of the six figures, the last is silence.
type Counts = [usize; 7];

/// Prints the false findings a sync-year of each figure.
pub(crate) fn rates(size: Size, goals: &mut Goals) -> Result<()> {
    println!(
        "\n## Quiet: findings a sync-year on {} syncs without a fault, {DAYS} days each\n",
        size.of(SYNCS)
    );
    print!("| business, holidays |");
    for measure in Measure::ALL {
        print!(" {} |", measure.name());
    }
    println!(" silence | all |\n| --- |{}", " --- |".repeat(8));
    let years = (size.of(SYNCS) * DAYS) as f64 / 365.25;
    for (temper, part) in [(Temper::Ordinary, 1), (Temper::Restless, 2)] {
        let mut all = [Counts::default(); 2];
        let mut ages = [0; AGES.len()];
        for seed in size.seeds(part, SYNCS) {
            let history = play(&plan(seed, DAYS)?.temper(temper))?;
            for (holidays, all) in [Holidays::Declared, Holidays::Undeclared].into_iter().zip(&mut all) {
                let counts = count(&history, holidays, 0)?;
                all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
            }
            age(&history, &mut ages)?;
        }
        for ((holidays, goal), counts) in [("declared", 0.2), ("not declared", 1.2)].into_iter().zip(all) {
            let total = counts.iter().sum::<usize>() as f64 / years;
            print!("| {temper:?}, {holidays} |");
            for count in counts {
                print!(" {:.3} |", count as f64 / years);
            }
            println!(" **{total:.2}** |");
            if temper == Temper::Ordinary {
                goals.rate(format!("quiet, holidays {holidays}"), total, goal, years, size.is_small);
            }
        }
        print!("\n{temper:?}, declared, volume by days of history:");
        for ((first, last), count) in AGES.into_iter().zip(ages) {
            let years = ((last.min(DAYS - 1) + 1 - first) * size.of(SYNCS)) as f64 / 365.25;
            print!(" {first}-{last}: {:.2} ({years:.0} years);", count as f64 / years);
        }
        println!("\n");
    }
    Ok(())
}

/// Counts the days with findings, from this day on.
fn count(history: &History, holidays: Holidays, from: usize) -> Result<Counts> {
    let mut counts = Counts::default();
    for (measure, count) in Measure::ALL.into_iter().zip(&mut counts) {
        let mut days: Vec<usize> =
            findings(history, measure, holidays)?.iter().map(|finding| finding.day).collect();
        days.dedup();
        *count = days.iter().filter(|day| **day >= from).count();
    }
    if let Some(count) = counts.last_mut() {
        let mut days: Vec<usize> = silences(history, holidays)
            .iter()
            .filter_map(|run| history.runs.get(*run))
            .map(|run| run.day)
            .collect();
        days.dedup();
        *count = days.iter().filter(|day| **day >= from).count();
    }
    Ok(counts)
}

fn age(history: &History, ages: &mut [usize]) -> Result<()> {
    for finding in findings(history, Measure::Volume, Holidays::Declared)? {
        let of_age =
            AGES.iter().zip(&mut *ages).find(|((first, last), _)| (*first..=*last).contains(&finding.day));
        if let Some((_, age)) = of_age {
            *age += 1;
        }
    }
    Ok(())
}

/// Prints the share of pipelines of two syncs that had no finding in 90 quiet days.
pub(crate) fn pipelines(size: Size, goals: &mut Goals) -> Result<()> {
    println!(
        "## Pipelines of two syncs: no finding in {WATCHED} quiet days, after {BEFORE} days of history\n"
    );
    print!("| business | pipelines without a finding | findings in all |");
    for measure in Measure::ALL {
        print!(" {} |", measure.name());
    }
    println!(" silence |\n| --- |{}", " --- |".repeat(9));
    for (temper, part) in [(Temper::Ordinary, 3), (Temper::Restless, 4)] {
        let syncs: Vec<u64> = size.seeds(part, 2 * PIPELINES).collect();
        let (mut silent, mut all, mut total) = (0_usize, 0_usize, Counts::default());
        for pipeline in syncs.chunks(2) {
            let mut found = 0;
            for seed in pipeline {
                let history = play(&plan(*seed, BEFORE + WATCHED)?.temper(temper))?;
                let counts = count(&history, Holidays::Declared, BEFORE)?;
                found += counts.iter().sum::<usize>();
                total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            }
            silent += usize::from(found == 0);
            all += 1;
        }
        let share = 100.0 * silent as f64 / all as f64;
        print!("| {temper:?} | {silent} of {all} ({share:.1}%) | {} |", total.iter().sum::<usize>());
        println!("{}", total.map(|count| format!(" {count} |")).concat());
        if temper == Temper::Ordinary {
            goals.share(
                "pipelines without a finding in 90 days, %",
                share,
                95.0,
                syncs.len() / 2,
                size.is_small,
            );
        }
    }
    Ok(())
}
