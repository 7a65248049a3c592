//! The speed of a sync against its target, with advice where the target is missed.

use serde::Serialize;

use super::change::{Advice, Case, Kind, Unmet, consider};
use super::input::Sync;
use super::speed::{NotEnough, Speed, measured};
use crate::stats::median;

/// The most pieces of advice.
const MOST: usize = 3;
/// A target is met if at most one of so many runs exceeds it.
const ONE_OF: usize = 10;
/// The fewest runs over the target from which advice is given.
const MIN_OVER: usize = 3;

/// The speed of a sync, and advice in the order of its gain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub speed: Speed,
    pub target: Target,
    /// At most three; none unless the target is missed.
    pub advice: Vec<Advice>,
    /// The other changes that were considered, if the target is missed, with the reason why each is left out.
    pub left_out: Vec<(Kind, Unmet)>,
}

/// The comparison of the runs with the target: `over` of `runs` took longer than `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Target {
    /// The sync declares no runtime target.
    None,
    /// At least 9 of 10 runs are within it.
    Met {
        seconds: f64,
        over: usize,
        runs: usize,
    },
    /// Fewer are within it, but only one or two runs are over it.
    Unclear {
        seconds: f64,
        over: usize,
        runs: usize,
    },
    Missed {
        seconds: f64,
        over: usize,
        runs: usize,
    },
}

/// Measures a sync, compares it with its target, and advises on it if it misses the target.
pub fn advise(sync: &Sync) -> Result<Report, NotEnough> {
    let (speed, used) = measured(sync)?;
    let nothing = |speed, target| Report { speed, target, advice: Vec::new(), left_out: Vec::new() };
    let Some(target) = sync.target else { return Ok(nothing(speed, Target::None)) };
    let seconds = target.as_secs_f64();
    let slow: Vec<_> = used.iter().filter(|run| run.wait + run.work > seconds).collect();
    let (over, runs) = (slow.len(), used.len());
    let work = match median(slow.iter().map(|run| run.work)) {
        Some(work) if over * ONE_OF > runs => work,
        _ => return Ok(nothing(speed, Target::Met { seconds, over, runs })),
    };
    if over < MIN_OVER {
        return Ok(nothing(speed, Target::Unclear { seconds, over, runs }));
    }
    let records = median(slow.iter().filter_map(|run| run.records));
    let case = Case { sync, speed: &speed, used: &used, target: seconds, work, records };
    let (mut advice, mut left_out) = (Vec::new(), Vec::new());
    for (kind, considered) in consider(&case) {
        match considered {
            Ok(change) => advice.push(change),
            Err(unmet) => left_out.push((kind, unmet)),
        }
    }
    // Stable, so that equal gains stay in the order of the least effort.
    advice.sort_by(|a: &Advice, b| b.gain.expected().total_cmp(&a.gain.expected()));
    left_out.extend(advice.iter().skip(MOST).map(|change| (change.kind, Unmet::LessGain)));
    advice.truncate(MOST);
    Ok(Report { target: Target::Missed { seconds, over, runs }, speed, advice, left_out })
}
