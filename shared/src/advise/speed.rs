//! The speed of a sync: the cost of its runs, and the time that they wait.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::estimate::{Estimate, Line};
use super::input::{End, Run, Sync};
use crate::stats::median;

/// The fewest runs from which anything is computed.
const MIN_RUNS: usize = 10;
/// The newest runs that are used: old ones say little about today.
const MAX_RUNS: usize = 100;
/// So many runs must differ from the median number of records by this share for the costs to be separated.
const MIN_DIFFERENT: usize = 4;
const DIFFERENT: f64 = 0.1;
/// The widest interval of the time for the records, as a share of a run.
const WIDEST: f64 = 0.5;

/// The measured speed of a sync. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// The completed runs that were used.
    pub runs: usize,
    /// The time of a typical run, without waiting.
    pub work: Estimate,
    /// The records of a typical run, if known.
    pub records: Option<f64>,
    pub cost: Result<Cost, Inseparable>,
    pub waits: Waits,
    /// The source query, if its time is known for enough runs.
    pub query: Option<Query>,
}

/// The two parts of a run's time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    pub fixed_seconds: Estimate,
    pub seconds_per_record: Estimate,
}

/// The reason why fixed cost and cost per record are not separated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Inseparable {
    /// The number of records is known for too few runs.
    FewCounts { have: usize, need: usize },
    /// Too few runs have another number of records than the rest.
    AlikeCounts { different: usize, need: usize },
    /// The time for the records is known to so many percent of a run only.
    Unsure { percent: f64 },
    /// Runs with more records are not longer.
    NotLonger,
}

/// Time that runs waited for the run before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// Runs that waited, of all that were used.
    pub waited: usize,
    /// Runs that were skipped, as the run before was still in progress.
    pub skipped: usize,
    /// The wait of a typical run, 0 if fewer than half of them wait.
    pub seconds: Estimate,
}

/// The source query of the runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Query {
    pub seconds: Estimate,
    /// Its share of the time of a run without waiting, in percent.
    pub percent: f64,
    /// The runs with a known time.
    pub runs: usize,
}

/// The reason why the speed is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NotEnough {
    /// Too few completed runs have an end.
    FewRuns { have: usize, need: usize },
}

/// A completed run, times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) created: Timestamp,
    pub(super) wait: f64,
    pub(super) work: f64,
    pub(super) records: Option<f64>,
    pub(super) refused: Option<f64>,
    query: Option<f64>,
}

/// Measures the speed of a sync.
pub fn measure(sync: &Sync) -> Result<Speed, NotEnough> {
    measured(sync).map(|(speed, _)| speed)
}

/// Returns the speed with the runs that were used, in the order of time.
pub(super) fn measured(sync: &Sync) -> Result<(Speed, Vec<Used>), NotEnough> {
    let (used, skipped) = used(&sync.runs);
    let few = NotEnough::FewRuns { have: used.len(), need: MIN_RUNS };
    if used.len() < MIN_RUNS {
        return Err(few);
    }
    let works: Vec<f64> = used.iter().map(|run| run.work).collect();
    let waits: Vec<f64> = used.iter().map(|run| run.wait).collect();
    let work = Estimate::typical(&works).ok_or(few)?;
    let waits = Waits {
        waited: waits.iter().filter(|wait| **wait > 0.0).count(),
        skipped,
        seconds: Estimate::typical(&waits).ok_or(few)?,
    };
    let speed = Speed {
        runs: used.len(),
        work,
        records: median(used.iter().filter_map(|run| run.records)),
        cost: cost(&used, work.value),
        waits,
        query: query(&used),
    };
    Ok((speed, used))
}

/// Returns the newest completed runs in the order of time, and the number of skipped runs since the first of them.
fn used(runs: &[Run]) -> (Vec<Used>, usize) {
    let mut runs: Vec<&Run> = runs.iter().collect();
    // All fields, so that the order of the input never matters.
    runs.sort_by(|a, b| {
        let key = |run: &Run| (run.created, run.ended, run.end, run.started, run.records, run.refused);
        let query = |run: &Run| run.query_seconds.unwrap_or(-1.0);
        key(a).cmp(&key(b)).then(query(a).total_cmp(&query(b)))
    });
    let mut used = Vec::with_capacity(runs.len());
    let mut busy_until: Option<Timestamp> = None;
    for run in &runs {
        let Some(ended) = run.ended.filter(|_| run.end != End::Skipped) else { continue };
        if run.end == End::Completed && ended > run.created {
            used.extend(timed(run, ended, busy_until));
        }
        busy_until = busy_until.max(Some(ended));
    }
    used.drain(..used.len().saturating_sub(MAX_RUNS));
    let first = used.first().map(|run: &Used| run.created);
    let skipped = runs.iter().filter(|run| run.end == End::Skipped && Some(run.created) >= first).count();
    (used, skipped)
}

/// Splits the time of a run into waiting and work. A run that began before the run before had ended did not wait for it.
fn timed(run: &Run, ended: Timestamp, busy_until: Option<Timestamp>) -> Option<Used> {
    let free = busy_until.filter(|until| *until < ended).unwrap_or(run.created).max(run.created);
    let began = run.started.filter(|started| *started < ended).unwrap_or(free).max(run.created);
    let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
    let work = seconds(began, ended);
    Some(Used {
        created: run.created,
        wait: seconds(run.created, free.min(began)),
        work,
        records: run.records.map(|records| records as f64),
        refused: run.refused.map(|records| records as f64),
        query: run
            .query_seconds
            .filter(|query| query.is_finite() && *query >= 0.0)
            .map(|query| query.min(work)),
    })
    .filter(|_| work > 0.0)
}

/// Separates the fixed cost of a run from the cost per record.
fn cost(used: &[Used], work: f64) -> Result<Cost, Inseparable> {
    let points: Vec<(f64, f64)> = used.iter().filter_map(|run| Some((run.records?, run.work))).collect();
    let few = Inseparable::FewCounts { have: points.len(), need: MIN_RUNS };
    if points.len() < MIN_RUNS {
        return Err(few);
    }
    // Runs without records show the fixed cost; the figures of a run are those of one with records.
    let middle = median(points.iter().map(|(records, _)| *records).filter(|records| *records > 0.0));
    let middle = middle.ok_or(Inseparable::AlikeCounts { different: 0, need: MIN_DIFFERENT })?;
    let least = (DIFFERENT * middle).max(1.0);
    let different = points.iter().filter(|(records, _)| (records - middle).abs() >= least).count();
    let alike = Inseparable::AlikeCounts { different, need: MIN_DIFFERENT };
    let line = Line::through(&points).filter(|_| different >= MIN_DIFFERENT).ok_or(alike)?;
    if line.slope.value <= 0.0 {
        return Err(Inseparable::NotLonger);
    }
    let unsure = (line.slope.high - line.slope.low) * middle / work;
    if unsure > WIDEST {
        return Err(Inseparable::Unsure { percent: 100.0 * unsure });
    }
    Ok(Cost { fixed_seconds: line.level.at_least_zero(), seconds_per_record: line.slope.at_least_zero() })
}

fn query(used: &[Used]) -> Option<Query> {
    let known: Vec<(f64, f64)> = used.iter().filter_map(|run| Some((run.query?, run.work))).collect();
    if known.len() < MIN_RUNS {
        return None;
    }
    let seconds: Vec<f64> = known.iter().map(|(query, _)| *query).collect();
    Some(Query {
        seconds: Estimate::typical(&seconds)?,
        percent: 100.0 * median(known.iter().map(|(query, work)| query / work))?,
        runs: known.len(),
    })
}
