//! The shape of the week: the offset of each weekday from the level, and the level.

use jiff::civil::Weekday;

use super::reason::is_weekend;
use crate::stats::{median, median_of};

/// So many days with a figure are remembered.
pub(super) const MEMORY: usize = 56;
/// The level is the median of so many days.
const LEVEL_DAYS: usize = 14;
/// A weekday's offset is measured from the median of so many days around it.
const BASE: usize = 7;
/// An offset is the median of so many of the newest days of its weekday or group.
const OFFSET_DAYS: usize = 8;

/// The days that were learnt, oldest first, on the measure's scale.
#[derive(Default)]
pub(super) struct Weekdays {
    days: Vec<(Weekday, f64)>,
    /// The median of each 7 days in a row: each is computed once, not on every day that is judged.
    bases: Vec<f64>,
}

/// The offsets of the weekdays and the level, as known on one day.
pub(super) struct Shape {
    offsets: [Option<(f64, Basis)>; 7],
    pub(super) level: f64,
}

/// The days that the weekday's share of the expectation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The same weekday, seen at least three times.
    Weekday,
    /// Monday to Friday, or the weekend.
    Group,
}

/// The newest values of a weekday or a group.
#[derive(Clone, Copy, Default)]
struct Newest {
    values: [f64; OFFSET_DAYS],
    count: usize,
}

impl Basis {
    /// Returns it as part of a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Weekday => "weekday known",
            Self::Group => "weekday not known yet",
        }
    }
}

impl Weekdays {
    pub(super) fn push(&mut self, weekday: Weekday, y: f64) {
        self.days.push((weekday, y));
        if let Some(window) = self.days.last_chunk::<BASE>() {
            self.bases.extend(median_of(&mut window.map(|(_, y)| y)));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.days.len()
    }

    /// Returns how many of them are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.days.len().min(MEMORY)
    }

    /// Computes the shape from what is remembered.
    pub(super) fn shape(&self) -> Option<Shape> {
        let forgotten = self.days.len() - self.remembered();
        let last_base = self.bases.len().saturating_sub(1);
        let all = if self.bases.is_empty() { median(self.days.iter().map(|(_, y)| *y)) } else { None };
        let mut newest = [Newest::default(); 7];
        let mut newest_of_group = [Newest::default(); 2];
        for (index, (weekday, y)) in self.days.iter().enumerate().skip(forgotten).rev() {
            let base = index.saturating_sub(BASE / 2).clamp(forgotten.min(last_base), last_base);
            let off = y - self.bases.get(base).copied().or(all)?;
            newest.get_mut(number(*weekday))?.push(off);
            newest_of_group.get_mut(usize::from(is_weekend(*weekday)))?.push(off);
        }
        let mut weekday = 0;
        let offsets = newest.map(|own| {
            let [week, weekend] = newest_of_group;
            let group = if weekday < 5 { week } else { weekend };
            weekday += 1;
            let own = own.median(3).map(|offset| (offset, Basis::Weekday));
            own.or_else(|| Some((group.median(2)?, Basis::Group)))
        });
        let mut shape = Shape { offsets, level: 0.0 };
        let flat =
            |(weekday, y): &(Weekday, f64)| y - shape.offset(*weekday).map_or(0.0, |(offset, _)| offset);
        shape.level = median(self.days.iter().rev().take(LEVEL_DAYS).map(flat))?;
        Some(shape)
    }

    /// Returns the values without the offsets of the weekdays that were seen at least three times.
    pub(super) fn flat(&self) -> Vec<f64> {
        let shape = self.shape();
        let own = |weekday| match shape.as_ref().and_then(|shape| shape.offset(weekday)) {
            Some((offset, Basis::Weekday)) => offset,
            _ => 0.0,
        };
        self.days.iter().map(|(weekday, y)| y - own(*weekday)).collect()
    }
}

impl Shape {
    /// Returns the offset of a weekday, if it is known.
    pub(super) fn offset(&self, weekday: Weekday) -> Option<(f64, Basis)> {
        self.offsets.get(number(weekday)).copied().flatten()
    }
}

impl Newest {
    fn push(&mut self, value: f64) {
        if let Some(free) = self.values.get_mut(self.count) {
            *free = value;
            self.count += 1;
        }
    }

    fn median(mut self, at_least: usize) -> Option<f64> {
        median_of(self.values.get_mut(..self.count).filter(|values| values.len() >= at_least)?)
    }
}

fn number(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)
}
