//! Hands played histories to the rules of `expect`.

use anyhow::Result;
use syncwatch::expect::{
    self, Excluded, Expectation, Measure, Moved, RunDay, Sensitivity, Side, Verdict, judge_days, replay,
};
use syncwatch_lab::history::{Day, Figures, History, SLOTS, Status};

/// Whether the rules know of the quiet days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holidays {
    Declared,
    Undeclared,
}

/// A day with a finding on one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The index of the day.
    pub(crate) day: usize,
    pub(crate) side: Side,
}

impl Holidays {
    fn excluded(self, day: &Day) -> Option<Excluded> {
        let name = day.quiet.filter(|_| self == Self::Declared)?;
        Some(Excluded::QuietDay { name: name.to_owned() })
    }
}

/// The days of one figure, as the rules read them. `volumes` are the verdicts on the volume: long runs of a busy day are
/// explained by it.
pub(crate) fn days(
    history: &History,
    measure: Measure,
    holidays: Holidays,
    volumes: &[Verdict],
) -> Vec<expect::Day> {
    let expected = |index: usize| -> Option<Expectation> { volumes.get(index)?.expectation };
    let day = |(index, day): (usize, &Day)| {
        let figures = day.figures.as_ref();
        let shares_of = match measure {
            Measure::Coverage | Measure::NullRate => figures.map(|figures| figures.total),
            Measure::ErrorRate => figures.map(|figures| figures.volume),
            Measure::Volume | Measure::Queue | Measure::Duration => None,
        };
        let failed = figures.filter(|_| measure == Measure::ErrorRate).map_or(0, |figures| figures.failed);
        let volume = figures.filter(|_| measure == Measure::Duration).zip(expected(index));
        expect::Day {
            date: day.date,
            value: figures.and_then(|figures| value(figures, measure)),
            excluded: holidays.excluded(day),
            total: shares_of.unwrap_or(0),
            failed,
            volume: volume
                .map(|(figures, range)| Moved { records: figures.volume as f64, expected: range.expected }),
        }
    };
    history.days.iter().enumerate().map(day).collect()
}

/// One figure of a day: records, seconds or percent.
pub(crate) fn value(figures: &Figures, measure: Measure) -> Option<f64> {
    match measure {
        Measure::Volume => Some(figures.volume as f64),
        Measure::Queue => Some(figures.queue() as f64),
        Measure::Duration => figures.median_seconds,
        Measure::Coverage => figures.coverage(),
        Measure::NullRate => figures.null_rate(),
        Measure::ErrorRate => figures.error_rate(),
    }
}

/// The verdicts on each day of one figure.
pub(crate) fn verdicts(history: &History, measure: Measure, holidays: Holidays) -> Result<Vec<Verdict>> {
    let volumes = match measure {
        Measure::Duration => verdicts(history, Measure::Volume, holidays)?,
        _ => Vec::new(),
    };
    let series = expect::Series::new(measure, days(history, measure, holidays, &volumes))?;
    Ok(judge_days(&series, &Sensitivity::default()))
}

/// The days with a point or drift finding on one figure, at most one for each day and side.
pub(crate) fn findings(history: &History, measure: Measure, holidays: Holidays) -> Result<Vec<Finding>> {
    let verdicts = verdicts(history, measure, holidays)?;
    Ok(verdicts
        .iter()
        .enumerate()
        .flat_map(|(day, verdict)| {
            let point = verdict.point.map(|point| point.side);
            let drift = verdict.drift.map(|drift| drift.side).filter(|side| point != Some(*side));
            point.into_iter().chain(drift).map(move |side| Finding { day, side })
        })
        .collect())
}

/// The indices of the runs on which silence was found.
pub(crate) fn silences(history: &History, holidays: Holidays) -> Vec<usize> {
    let mut days: Vec<RunDay> = history
        .days
        .iter()
        .map(|day| RunDay { date: day.date, excluded: holidays.excluded(day), runs: Vec::new() })
        .collect();
    let mut judged = Vec::with_capacity(history.runs.len());
    for (index, run) in history.runs.iter().enumerate() {
        let Some(day) = days.get_mut(run.day).filter(|_| run.status == Status::Succeeded) else { continue };
        day.runs.push(expect::Run { slot: run.slot, moved: run.moved > 0 });
        judged.push(index);
    }
    let (verdicts, _) = replay(&days, SLOTS, &Sensitivity::default());
    let found = verdicts.into_iter().flatten().zip(judged).filter(|(verdict, _)| verdict.finding.is_some());
    found.map(|(_, index)| index).collect()
}
