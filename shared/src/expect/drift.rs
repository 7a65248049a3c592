//! The drift rule: the newest days against the weeks before, by two cumulative sums.

use jiff::civil::Date;

use super::measure::{Measure, Rules, Side};
use super::point::MIN_FAILED;
use super::sensitivity::Sensitivity;
use super::weekdays::MEMORY;
use crate::days::days_between;
use crate::stats::{MAD, median, median_of, spread};

/// A day adds its distance from the reference less this, in spreads.
const KAPPA: f64 = 1.0;
/// One day counts as at most so many spreads.
const CLIP: f64 = 3.0;
/// The reference ends so many days before the judged one.
const LAG: i64 = 8;
const MIN_REFERENCE: usize = 7;
/// The shift is the median of so many of the newest days.
const SHIFT_DAYS: usize = 5;

/// A lasting change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    pub side: Side,
    /// The day on which the change began to show.
    pub since: Date,
    /// The typical figure before and since, without the share of the weekday: records, seconds or percent.
    pub before: f64,
    pub now: f64,
    /// The number of days that each of them is the median of.
    pub days_before: usize,
    pub days_now: usize,
}

/// A day that is compared: its figure less its weekday's offset, on the measure's scale.
#[derive(Clone, Copy)]
pub(super) struct Flat {
    pub(super) date: Date,
    pub(super) y: f64,
    pub(super) noise: f64,
    pub(super) failed: u64,
}

/// The state of a replay.
pub(super) struct Drifts {
    measure: Measure,
    rules: Rules,
    height: f64,
    /// The days compared so far, each with its number.
    used: Vec<(i64, Flat)>,
    /// The reference begins here, anew with each finding.
    start: Date,
    low: Sum,
    high: Sum,
}

#[derive(Clone, Copy)]
struct Sum {
    height: f64,
    since: Date,
}

impl Sum {
    const ZERO: Self = Self { height: 0.0, since: Date::MIN };

    fn add(&mut self, step: f64, date: Date) {
        if self.height == 0.0 {
            self.since = date;
        }
        self.height = (self.height + step - KAPPA).max(0.0);
    }
}

impl Drifts {
    pub(super) fn new(measure: Measure, sensitivity: &Sensitivity) -> Self {
        Self {
            measure,
            rules: measure.rules(),
            height: sensitivity.drift,
            used: Vec::new(),
            start: Date::MIN,
            low: Sum::ZERO,
            high: Sum::ZERO,
        }
    }

    /// Compares the next day.
    pub(super) fn step(&mut self, today: Flat) -> Option<Drift> {
        let number = self.used.first().map_or(0, |(_, first)| days_between(first.date, today.date));
        self.used.push((number, today));
        let mut reference: Vec<f64> = self.reference(number).map(|day| day.y).collect();
        if reference.len() < MIN_REFERENCE {
            return None;
        }
        let level = median_of(&mut reference)?;
        let s = MAD * median(reference.iter().map(|y| (y - level).abs()))?;
        let spread = spread(self.rules.sigma0, reference.len(), s).max(today.noise);
        let step = ((today.y - level) / spread).clamp(-CLIP, CLIP);
        self.low.add(-step, today.date);
        self.high.add(step, today.date);
        let now = median(self.newest().map(|day| day.y))?;
        let side = [Side::High, Side::Low].into_iter().find(|side| self.is_drift(*side, now - level))?;
        let since = self.sum(side).since;
        self.start = since;
        (self.low, self.high) = (Sum::ZERO, Sum::ZERO);
        let figure = |y| self.rules.kind.figure(y);
        Some(Drift {
            side,
            since,
            before: figure(level),
            now: figure(now),
            days_before: reference.len(),
            days_now: SHIFT_DAYS,
        })
    }

    /// Returns the days that the day of this number is compared with.
    fn reference(&self, today: i64) -> impl Iterator<Item = &Flat> {
        let oldest = today - MEMORY as i64;
        let recent =
            self.used.iter().rev().take_while(move |(day, flat)| *day >= oldest && flat.date >= self.start);
        recent.filter(move |(day, _)| *day <= today - LAG).map(|(_, flat)| flat)
    }

    fn newest(&self) -> impl Iterator<Item = &Flat> {
        self.used.iter().rev().take(SHIFT_DAYS).map(|(_, flat)| flat)
    }

    fn is_drift(&self, side: Side, shift: f64) -> bool {
        let is_counted = self.measure != Measure::ErrorRate
            || self.newest().fold(0, |sum: u64, day| sum.saturating_add(day.failed)) >= MIN_FAILED;
        let is_large = side.sign() * shift >= self.rules.drift_change;
        let is_judged = self.rules.days_in_a_row(side).is_some();
        is_judged && is_counted && is_large && self.sum(side).height > self.height
    }

    fn sum(&self, side: Side) -> Sum {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }
}
