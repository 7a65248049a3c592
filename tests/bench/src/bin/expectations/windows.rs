//! The rules on the newest 70 days, as the product reads them, against a replay of the whole history.

use anyhow::Result;
use syncwatch::expect::{self, Measure, Sensitivity, Verdict, judge_days};
use syncwatch_lab::history::{Fault, Plan, play};

use crate::rules::{Holidays, days, verdicts};
use crate::seeds::{Size, plan};

const SYNCS: usize = 60;
const DAYS: usize = 400;
/// The days that the product reads.
const WINDOW: usize = 70;
/// The days before a fault, and those that are watched.
const BEFORE: usize = 100;
const WATCHED: usize = 40;

/// Days with a finding, by the judge that found it.
#[derive(Default)]
struct Tally {
    both: usize,
    replay_only: usize,
    window_only: usize,
    /// Syncs with a finding on any day.
    replay_syncs: usize,
    window_syncs: usize,
}

/// Prints the days with findings by a replay of the whole history, and by the window that ends with the day.
pub(crate) fn run(size: Size) -> Result<()> {
    println!(
        "\n## Days with a finding: whole replay against the newest {WINDOW} days ({} syncs)\n",
        size.of(SYNCS)
    );
    println!(
        "| series | figure | days by both | by the replay only | by the window only | syncs by the replay | by the window |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for measure in Measure::ALL {
        let mut tally = Tally::default();
        for seed in size.seeds(60, SYNCS) {
            tally.add(&plan(seed, DAYS)?, measure, WINDOW)?;
        }
        tally.print("quiet", measure);
    }
    let faults = [
        ("half volume", Measure::Volume, Fault::VolumeHalves { from: BEFORE }),
        ("coverage leak", Measure::Coverage, Fault::CoverageLeaks { from: BEFORE, points_a_day: 0.05 }),
        ("slower runs", Measure::Duration, Fault::RunsSlow { from: BEFORE, percent_a_day: 1.5 }),
        ("growing queue", Measure::Queue, Fault::QueueGrows { from: BEFORE, share_a_day: 0.05 }),
    ];
    for (name, measure, fault) in faults {
        let mut tally = Tally::default();
        for seed in size.seeds(61, SYNCS) {
            tally.add(&plan(seed, BEFORE + WATCHED)?.fault(fault), measure, BEFORE)?;
        }
        tally.print(name, measure);
    }
    Ok(())
}

fn is_finding(verdict: &Verdict) -> bool {
    verdict.point.is_some() || verdict.drift.is_some()
}

impl Tally {
    fn add(&mut self, plan: &Plan, measure: Measure, from: usize) -> Result<()> {
        let history = play(plan)?;
        let volumes = match measure {
            Measure::Duration => verdicts(&history, Measure::Volume, Holidays::Declared)?,
            _ => Vec::new(),
        };
        let all = days(&history, measure, Holidays::Declared, &volumes);
        let replayed = verdicts(&history, measure, Holidays::Declared)?;
        let before = (self.both + self.replay_only, self.both + self.window_only);
        for (last, replayed) in replayed.iter().enumerate().skip(from) {
            let read: Vec<expect::Day> = all.iter().take(last + 1).skip(last + 1 - WINDOW).cloned().collect();
            let window = judge_days(&expect::Series::new(measure, read)?, &Sensitivity::default());
            match (is_finding(replayed), window.last().is_some_and(is_finding)) {
                (true, true) => self.both += 1,
                (true, false) => self.replay_only += 1,
                (false, true) => self.window_only += 1,
                (false, false) => {}
            }
        }
        self.replay_syncs += usize::from(self.both + self.replay_only > before.0);
        self.window_syncs += usize::from(self.both + self.window_only > before.1);
        Ok(())
    }

    fn print(&self, series: &str, measure: Measure) {
        println!(
            "| {series} | {} | {} | {} | {} | {} | {} |",
            measure.name(),
            self.both,
            self.replay_only,
            self.window_only,
            self.replay_syncs,
            self.window_syncs
        );
    }
}
