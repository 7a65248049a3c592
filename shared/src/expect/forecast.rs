//! The forecast: when a figure will pass its limit if it goes on as it does.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::Date;

use super::line::{Line, MIN_TREND};
use super::measure::{Kind, Measure, Side};
use super::series::{Day, Excluded, NoFigure, Series};
use super::weekdays::Weekdays;
use crate::days::days_between;
use crate::stats::median;

/// The calendar days that a trend is searched in.
pub(super) const WINDOW: i64 = 42;
/// The farthest day that is forecast.
const HORIZON: u32 = 60;
/// A slope below this many standard errors is noise.
const TREND_T: f64 = 4.0;
/// The interval's half width, in standard errors.
const Z: f64 = 1.6;
/// So many days ahead are computed: the end of an interval may lie beyond the horizon.
const FARTHEST: u32 = 240;
/// Counts need so many days before the shape of the week is removed.
const WEEKS: usize = 21;
/// A trend of counts has to change this share of the limit.
const COUNT_CHANGE: f64 = 0.2;
/// The next peak of a count may exceed the highest one by this factor.
const COUNT_PEAK: f64 = 1.3;
/// The share of the counting noise that a percentage has at least.
const LEAST_NOISE: f64 = 0.1;
/// An earliest day within so many days deserves a warning; a later one a line in a report.
const SOON: u32 = 14;
/// A soon breach is steady if so many days in a row forecast one.
const STEADY: usize = 3;

/// A declared limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The side of the limit on which the figure is a fault.
    pub side: Side,
    /// Records, seconds or percent.
    pub value: f64,
}

/// The answer to when a limit will be passed.
#[derive(Debug, Clone, PartialEq)]
pub enum Forecast {
    Breach(Breach),
    None(NoForecast),
}

/// A forecast breach. Days are counted from the last day of the history; each is at least 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    pub earliest: u32,
    /// The most likely day.
    pub middle: u32,
    pub latest: u32,
    /// The change a day.
    pub slope: f64,
    /// The days with a figure that the trend rests on.
    pub days: usize,
    /// The trend's value on its first day and on the last day of the history.
    pub from: f64,
    pub to: f64,
    /// The last day of the history.
    pub last: Date,
}

/// The reason why no forecast is made.
#[derive(Debug, Clone, PartialEq)]
pub enum NoForecast {
    /// The last day has no figure.
    NoFigure(NoFigure),
    /// The last day is excluded.
    Excluded(Excluded),
    NotEnoughHistory {
        have: usize,
        need: usize,
    },
    AlreadyPast,
    /// The slope is not clear of noise; `days` is the length of the window.
    NoTrend {
        days: i64,
    },
    MovesAway,
    /// The change so far is smaller than a person would call one.
    TooSmall,
    /// The most likely day is later than so many days.
    TooFar {
        horizon: u32,
    },
    TooUncertain,
}

/// Forecasts the day on which the figure passes the limit, from its last 42 days.
pub fn forecast(history: &Series, limit: Limit) -> Forecast {
    match breach(history, limit) {
        Ok(breach) => Forecast::Breach(breach),
        Err(why) => Forecast::None(why),
    }
}

/// Returns whether each of the last three days with a figure, taken as the last one, forecasts a soon breach: of trends that are
/// only noise, few last so long.
pub fn is_steady(history: &Series, limit: Limit) -> bool {
    let ends = (1..=history.days().len()).rev().map(|end| history.first(end));
    let usable = ends.filter(|past| {
        past.days().last().is_some_and(|day| day.excluded.is_none() && past.figure(day).is_ok())
    });
    let is_soon = |past: &Series| matches!(breach(past, limit), Ok(breach) if breach.is_soon());
    usable.take(STEADY).filter(is_soon).count() == STEADY
}

fn breach(history: &Series, limit: Limit) -> Result<Breach, NoForecast> {
    let short = |have| NoForecast::NotEnoughHistory { have, need: MIN_TREND };
    let last = history.days().last().ok_or(short(0))?;
    history.figure(last).map_err(NoForecast::NoFigure)?;
    if let Some(why) = &last.excluded {
        return Err(NoForecast::Excluded(why.clone()));
    }
    let points = points(history, last.date);
    if points.len() < MIN_TREND {
        return Err(short(points.len()));
    }
    let (measure, sign) = (history.measure(), limit.side.sign());
    let newest = median(points.iter().rev().take(3).map(|(.., y)| *y)).ok_or(short(0))?;
    if sign * (newest - limit.value) >= 0.0 {
        return Err(NoForecast::AlreadyPast);
    }
    let mut line = Line::fit(&flat(measure, &points)).ok_or(short(points.len()))?;
    if measure.rules().kind == Kind::Percent {
        line.sd = line.sd.max(LEAST_NOISE * measure.noise(line.after(0.0), last.total));
    }
    is_trend(&line, measure, limit)?;
    let (earliest, middle, latest) = crossing(&line, measure, limit)?;
    let (from, to) = (line.begin(), line.after(0.0));
    Ok(Breach {
        earliest,
        middle,
        latest,
        slope: line.slope(),
        days: line.points(),
        from,
        to,
        last: last.date,
    })
}

/// Returns the days of the window that have a figure and are not excluded, each with its number in the window.
fn points<'h>(history: &'h Series, last: Date) -> Vec<(f64, &'h Day, f64)> {
    let point = |day: &'h Day| {
        let before = days_between(day.date, last);
        let y = history.figure(day).ok().filter(|_| day.excluded.is_none() && before < WINDOW)?;
        Some(((WINDOW - 1 - before) as f64, day, y))
    };
    let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    let mut points: Vec<_> = history.days().iter().rev().take(window).filter_map(point).collect();
    points.reverse();
    points
}

/// Removes the shape of the week from counts.
fn flat(measure: Measure, points: &[(f64, &Day, f64)]) -> Vec<(f64, f64)> {
    if measure.rules().kind != Kind::Count || points.len() < WEEKS {
        return points.iter().map(|(x, _, y)| (*x, *y)).collect();
    }
    let mut weekdays = Weekdays::default();
    for (_, day, y) in points {
        weekdays.push(day.date.weekday(), *y);
    }
    points.iter().map(|(x, ..)| *x).zip(weekdays.flat()).collect()
}

fn is_trend(line: &Line, measure: Measure, limit: Limit) -> Result<(), NoForecast> {
    let rules = measure.rules();
    let slope = line.slope();
    if slope.abs() < TREND_T * line.slope_error() {
        return Err(NoForecast::NoTrend { days: WINDOW });
    }
    if limit.side.sign() * slope < 0.0 {
        return Err(NoForecast::MovesAway);
    }
    let change =
        if rules.kind == Kind::Count { COUNT_CHANGE * limit.value.abs() } else { rules.drift_change };
    if slope.abs() * (line.last - line.first) < change { Err(NoForecast::TooSmall) } else { Ok(()) }
}

/// Returns the earliest, the most likely and the latest day on which the line is past the limit.
fn crossing(line: &Line, measure: Measure, limit: Limit) -> Result<(u32, u32, u32), NoForecast> {
    let sign = limit.side.sign();
    let peaks = line.peaks(sign);
    let peak = if measure.rules().kind == Kind::Count {
        peaks.first().map(|peak| COUNT_PEAK * peak)
    } else {
        peaks.get(1).copied()
    };
    let peak = peak.unwrap_or(0.0);
    // The first day on which the line, moved towards the limit by a margin that depends on its error, is past it.
    let first = |margin: &dyn Fn(f64) -> f64| {
        (1..FARTHEST).find(|days| {
            let days = f64::from(*days);
            sign * (line.after(days) - limit.value) + margin(line.error_after(days)) >= 0.0
        })
    };
    let horizon = HORIZON.min(u32::try_from(2 * line.points()).unwrap_or(HORIZON));
    let far = NoForecast::TooFar { horizon };
    let middle = first(&|_| line.sd.max(peak) / 2.0).filter(|middle| *middle <= horizon).ok_or(far)?;
    let earliest = first(&|se| (Z * se.hypot(line.sd)).max(peak + Z * se)).unwrap_or(middle);
    let latest = first(&|se| -Z * se).ok_or(NoForecast::TooUncertain)?;
    if latest.saturating_sub(earliest) > 2 * middle + 6 {
        Err(NoForecast::TooUncertain)
    } else {
        Ok((earliest, middle, latest))
    }
}

impl Limit {
    /// Returns the limit that `pipeline.toml` declares for a figure: a least coverage, a greatest share or queue. None for figures
    /// without one.
    pub fn declared(measure: Measure, value: f64) -> Option<Self> {
        match measure {
            Measure::Coverage => Some(Self { side: Side::Low, value }),
            Measure::NullRate | Measure::ErrorRate | Measure::Queue => Some(Self { side: Side::High, value }),
            Measure::Volume | Measure::Duration => None,
        }
    }
}

impl Breach {
    /// Returns the date of one of its days.
    pub fn date(&self, days: u32) -> Date {
        self.last.saturating_add(SignedDuration::from_hours(24 * i64::from(days)))
    }

    /// Whether it deserves a warning, not only a line in a report.
    pub fn is_soon(&self) -> bool {
        self.earliest <= SOON
    }
}

impl fmt::Display for NoForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFigure(why) => why.fmt(f),
            Self::Excluded(why) => write!(f, "excluded: {why}"),
            Self::NotEnoughHistory { have, need } => write!(f, "{have} of {need} days"),
            Self::AlreadyPast => f.write_str("already past the limit"),
            Self::NoTrend { days } => write!(f, "no trend in {days} days"),
            Self::MovesAway => f.write_str("it moves away from the limit"),
            Self::TooSmall => f.write_str("the change is too small"),
            Self::TooFar { horizon } => write!(f, "the limit is more than {horizon} days away"),
            Self::TooUncertain => f.write_str("the day is too uncertain"),
        }
    }
}
