//! A lasting change of business: findings until it is the new level.

use anyhow::Result;
use rand::RngExt as _;
use syncwatch::expect::Measure;
use syncwatch_lab::history::{Fault, play};

use crate::rules::{Holidays, findings};
use crate::seeds::{Size, draws, plan, quantile};

const SYNCS: usize = 200;
const BEFORE: usize = 60;
const WATCHED: usize = 120;
/// Findings with a longer break between them are two episodes, in days.
const BREAK: usize = 7;
/// The days after the change in which episodes are counted.
const EPISODES_WITHIN: usize = 60;
const LEAST: f64 = 0.55;
const MOST: f64 = 1.8;
/// The least lasting change of a volume that the drift rule reports.
const LARGE: f64 = 1.4;

/// Prints the findings on the volume after a lasting change.
pub(crate) fn run(size: Size) -> Result<()> {
    println!("\n## A lasting change of business: volume times {LEAST} to {MOST}, {} syncs\n", size.of(SYNCS));
    let mut episodes = [0_usize; 4];
    let (mut last_days, mut late) = (Vec::new(), 0);
    let (mut large, mut large_found) = (0_usize, 0_usize);
    for seed in size.seeds(30, SYNCS) {
        let mut rng = draws(seed);
        let factor = LEAST * (MOST / LEAST).powf(rng.random::<f64>());
        let change = Fault::BusinessChanges { from: BEFORE, factor };
        let history = play(&plan(seed, BEFORE + WATCHED)?.fault(change))?;
        let days: Vec<usize> = findings(&history, Measure::Volume, Holidays::Declared)?
            .iter()
            .filter_map(|finding| finding.day.checked_sub(BEFORE))
            .collect();
        let early: Vec<usize> = days.iter().copied().filter(|day| *day < EPISODES_WITHIN).collect();
        let breaks =
            early.iter().zip(early.iter().skip(1)).filter(|(day, next)| *next - *day > BREAK).count();
        let is_large = factor.ln().abs() >= LARGE.ln();
        large += usize::from(is_large);
        large_found += usize::from(is_large && !early.is_empty());
        let number = if early.is_empty() { 0 } else { breaks + 1 };
        if let Some(count) = episodes.get_mut(number.min(3)) {
            *count += 1;
        }
        last_days.extend(early.last().map(|day| *day as f64));
        late += usize::from(days.len() > early.len());
    }
    let share = |count: usize| 100.0 * count as f64 / size.of(SYNCS) as f64;
    let [none, one, two, more] = episodes.map(share);
    println!(
        "No finding: {none:.1}%; one episode in {EPISODES_WITHIN} days: {one:.1}%; two: {two:.1}%; more: {more:.1}%."
    );
    println!("Of changes beyond times {LARGE} or 1/{LARGE}, {large_found} of {large} had a finding.");
    let at = |place| quantile(&last_days, place).unwrap_or(f64::NAN);
    println!("Last finding on day {:.0} (median), {:.0} (90th percentile).", at(0.5), at(0.9));
    println!("A finding after day {EPISODES_WITHIN}: {:.1}% of syncs.", share(late));
    Ok(())
}
