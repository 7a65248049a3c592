//! The point rule: one day against the figure to be expected of it.

use super::measure::{Measure, Rules, Side};
use super::reason::WhyNot;
use super::sensitivity::Sensitivity;
use super::series::{Day, NoFigure};
use super::weekdays::{Basis, MEMORY, Weekdays};
use crate::stats::{MAD, median, spread};

/// The fewest days with a figure, the judged one included.
const MIN_DAYS: usize = 5;
/// The fewest earlier days on which the expectation was compared with the figure.
const MIN_RESIDUALS: usize = 3;
/// A day continues a streak if it is at least this share as far out as the day before: the tail of a launch is not a second day.
const STEADY: f64 = 0.6;
/// A volume under this share of the expected one is a finding on its first day.
const DEAD: f64 = 0.1;
/// The fewest failed records that make a high error rate a finding.
pub(super) const MIN_FAILED: u64 = 10;
/// A volume of more than this many times the expected one explains long runs.
const BUSY: f64 = 1.5;

/// The figure to be expected of a day, and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// Records, seconds or percent, like `low` and `high`.
    pub expected: f64,
    pub low: f64,
    pub high: f64,
    /// The distance from the expected beyond which it is a finding, on the measure's scale: a logarithm, or points.
    pub limit: f64,
    /// The figure less the expected one, on the same scale; none without a figure.
    pub residual: Option<f64>,
    /// The number of earlier days that it rests on.
    pub days: usize,
    pub basis: Basis,
}

/// A finding about one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub side: Side,
    /// Whether it is a volume under a tenth of the expected one.
    pub is_dead: bool,
}

/// A day as the point rule sees it.
pub(super) struct Look {
    pub(super) expectation: Option<Expectation>,
    /// None if it is judged.
    pub(super) reason: Option<WhyNot>,
    pub(super) side: Option<Side>,
    pub(super) streak: u32,
    pub(super) point: Option<Point>,
    /// The figure less its weekday's offset, and the noise of the day, on the measure's scale.
    pub(super) flat: Option<(f64, f64)>,
}

/// The state of a replay: everything that was learnt before a day.
pub(super) struct Points<'s> {
    measure: Measure,
    rules: Rules,
    sensitivity: &'s Sensitivity,
    learnt: Weekdays,
    /// The figure less the expected one of each day that had both, on the measure's scale.
    residuals: Vec<f64>,
    streak: Option<Streak>,
}

#[derive(Clone, Copy)]
struct Streak {
    side: Side,
    days: u32,
    /// The distance of its last day from the expected.
    distance: f64,
}

/// The expectation of one day on the measure's scale.
struct Expected {
    y: f64,
    offset: f64,
    basis: Basis,
}

impl<'s> Points<'s> {
    pub(super) fn new(measure: Measure, sensitivity: &'s Sensitivity) -> Self {
        let rules = measure.rules();
        Self { measure, rules, sensitivity, learnt: Weekdays::default(), residuals: Vec::new(), streak: None }
    }

    /// Judges the next day by the days before it, then learns it.
    pub(super) fn step(&mut self, day: &Day, figure: Result<f64, NoFigure>) -> Look {
        let weekday = day.date.weekday();
        let shape = if self.learnt.len() + 1 < MIN_DAYS { None } else { self.learnt.shape() };
        let expected = shape.and_then(|shape| {
            let (offset, basis) = shape.offset(weekday)?;
            Some(Expected { y: shape.level + offset, offset, basis })
        });
        let y = figure.ok().map(|figure| self.rules.kind.scaled(figure));
        let expectation = expected.as_ref().map(|expected| self.expectation(expected, day, y));
        let mut reason = self.why_not(day, figure, expected.is_some());
        let mut side = None;
        let mut point = None;
        if let (None, Ok(figure), Some(expectation)) = (&reason, figure, &expectation) {
            side = self.side(expectation);
            reason = self.innocent(day, side);
            side = side.filter(|_| reason.is_none());
            self.extend_streak(side, expectation);
            point = self.point(figure, expectation);
        } else if y.is_some() && day.excluded.is_none() {
            self.streak = None;
        }
        let learns = y.filter(|_| day.excluded.is_none());
        let flat = learns
            .zip(expected.as_ref())
            .filter(|_| !matches!(reason, Some(WhyNot::FewRecords { .. } | WhyNot::Explained { .. })));
        let flat = flat.map(|(y, expected)| (y - expected.offset, self.measure.noise(expected.y, day.total)));
        if let Some(y) = learns {
            self.residuals.extend(expected.map(|expected| y - expected.y));
            self.learnt.push(weekday, y);
        }
        let streak = if side.is_some() { self.streak.map_or(0, |streak| streak.days) } else { 0 };
        Look { expectation, reason, side, streak, point, flat }
    }

    fn why_not(&self, day: &Day, figure: Result<f64, NoFigure>, is_expected: bool) -> Option<WhyNot> {
        let (have, residuals) = (self.learnt.len(), self.residuals.len());
        let need = MIN_DAYS.max(have + MIN_RESIDUALS.saturating_sub(residuals));
        match (figure, &day.excluded) {
            (Err(why), _) => Some(WhyNot::NoFigure(why)),
            (_, Some(why)) => Some(WhyNot::Excluded(why.clone())),
            _ if have + 1 < MIN_DAYS => Some(WhyNot::FewDays { have, need }),
            _ if !is_expected => Some(WhyNot::FewWeekdays { weekday: day.date.weekday() }),
            _ if residuals < MIN_RESIDUALS => Some(WhyNot::FewDays { have, need }),
            _ => None,
        }
    }

    fn expectation(&self, expected: &Expected, day: &Day, y: Option<f64>) -> Expectation {
        let count = self.residuals.len().min(MEMORY);
        let newest = self.residuals.iter().rev().take(count);
        let s = MAD * median(newest.map(|residual| residual.abs())).unwrap_or(0.0);
        let spread = spread(self.rules.sigma0, count, s);
        let spread = spread.max(self.measure.noise(expected.y, day.total));
        let limit = (self.sensitivity.spreads(count) * spread).max(self.rules.change);
        let figure = |y| self.rules.kind.figure(y);
        Expectation {
            expected: figure(expected.y),
            low: figure(expected.y - limit),
            high: figure(expected.y + limit),
            limit,
            residual: y.map(|y| y - expected.y),
            days: self.learnt.remembered(),
            basis: expected.basis,
        }
    }

    /// Returns the side on which it lies outside its range, if that side can be a finding.
    fn side(&self, expectation: &Expectation) -> Option<Side> {
        let residual = expectation.residual.filter(|residual| residual.abs() > expectation.limit)?;
        let side = if residual < 0.0 { Side::Low } else { Side::High };
        self.rules.days_in_a_row(side).map(|_| side)
    }

    /// Returns why a figure on this side of its range is no finding.
    fn innocent(&self, day: &Day, side: Option<Side>) -> Option<WhyNot> {
        match (self.measure, side, day.volume) {
            (Measure::ErrorRate, Some(Side::High), _) if day.failed < MIN_FAILED => {
                Some(WhyNot::FewRecords { failed: day.failed, need: MIN_FAILED })
            }
            (Measure::Duration, Some(Side::High), Some(volume))
                if volume.records > BUSY * volume.expected =>
            {
                Some(WhyNot::Explained { volume: volume.records, expected: volume.expected })
            }
            _ => None,
        }
    }

    fn extend_streak(&mut self, side: Option<Side>, expectation: &Expectation) {
        let distance = expectation.residual.unwrap_or(0.0).abs();
        let continued = |side: &Side| {
            self.streak.filter(|streak| streak.side == *side && distance >= STEADY * streak.distance)
        };
        self.streak = side.map(|side| {
            let days = continued(&side).map_or(1, |streak| streak.days.saturating_add(1));
            Streak { side, days, distance }
        });
    }

    /// Returns the finding of a day that the streak ends with.
    fn point(&self, figure: f64, expectation: &Expectation) -> Option<Point> {
        let Streak { side, days, .. } = self.streak?;
        let is_dead =
            self.measure == Measure::Volume && side == Side::Low && figure < DEAD * expectation.expected;
        let need = if is_dead { 1 } else { self.rules.days_in_a_row(side)? };
        (days >= need).then_some(Point { side, is_dead })
    }
}
