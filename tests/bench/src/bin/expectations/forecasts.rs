//! Forecasts of straight trends, and forecasts on quiet series.

use anyhow::Result;
use rand::RngExt as _;
use syncwatch::expect::{self, Forecast, Limit, Measure, NoForecast, Side, forecast};
use syncwatch_lab::history::{Business, Fault, play};

use crate::goals::Goals;
use crate::rules::{Holidays, days};
use crate::seeds::{Size, draws, median, plan};

const TRENDS: usize = 250;
/// The days before the trend, and the days that are played from its first one on.
const BEFORE: usize = 42;
const PLAYED: usize = 220;
/// The days into the trend on which forecasts are made.
const INTO: [usize; 6] = [7, 10, 14, 21, 28, 40];
/// A trend reaches its limit after so many days, log-uniform: 7% within 7 days, 61% within 40.
const REACHED: (f64, f64) = (5.6, 141.0);
/// The distance of the limit: in points, and in times of the usual queue.
const POINTS: (f64, f64) = (1.0, 5.0);
const QUEUES: (f64, f64) = (3.0, 10.0);
/// Quiet series: the number of syncs, their days, and the distance of the limit.
const QUIET_SYNCS: usize = 60;
const QUIET_DAYS: usize = 400;
pub(crate) const QUIET_POINTS: f64 = 1.0;
pub(crate) const QUIET_QUEUES: f64 = 4.0;
/// The days that a forecast reads.
const WINDOW: usize = 42;

/// The figures that are forecast, each with the side of its limit.
const FORECAST: [(Measure, Side); 3] =
    [(Measure::Coverage, Side::Low), (Measure::NullRate, Side::High), (Measure::Queue, Side::High)];

/// A trend as it was played.
struct Trend {
    days: Vec<expect::Day>,
    limit: Limit,
    /// The first day past the limit, if there was one.
    past: Option<usize>,
}

/// The forecasts made on one day of the trends.
#[derive(Default)]
struct Tally {
    /// Trends that had not passed their limit.
    open: usize,
    inside: usize,
    widths: Vec<f64>,
    errors: Vec<f64>,
    no_trend: usize,
    too_far: usize,
    too_uncertain: usize,
    other: usize,
}

/// Prints how often the day of the breach lay in the forecast interval.
pub(crate) fn run(size: Size, goals: &mut Goals) -> Result<()> {
    println!("\n## Forecasts of straight trends ({} of each figure)\n", size.of(TRENDS));
    println!(
        "| figure | days into the trend | forecast | inside | width, days | middle off by, days | none: no trend, too far, too uncertain, other |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (part, (measure, side)) in (40_u64..).zip(FORECAST) {
        let trends: Vec<Trend> =
            size.seeds(part, TRENDS).map(|seed| trend(seed, measure, side)).collect::<Result<_>>()?;
        for into in INTO {
            let mut tally = Tally::default();
            for trend in &trends {
                tally.add(trend, measure, BEFORE + into)?;
            }
            tally.print(measure, into);
            let least = if measure == Measure::Queue && into == 10 { 75.0 } else { 80.0 };
            let name = format!("{} forecast inside at {into} days, %", measure.name());
            if tally.made() > 0 {
                goals.share(name, tally.share(), least, tally.made(), size.is_small);
            }
        }
    }
    quiet(size)
}

fn trend(seed: u64, measure: Measure, side: Side) -> Result<Trend> {
    let plan = plan(seed, BEFORE + PLAYED)?;
    let mut rng = draws(seed);
    let mut between = |(low, high): (f64, f64)| low + (high - low) * rng.random::<f64>();
    let reached = between((REACHED.0.ln(), REACHED.1.ln())).exp();
    // The business is drawn before any day: a play without days shows it.
    let business = play(&plan_of_no_days(&plan))?.business;
    let (distance, fault) = match measure {
        Measure::Coverage => {
            let points = between(POINTS);
            (points, Fault::CoverageLeaks { from: BEFORE, points_a_day: points / reached })
        }
        Measure::NullRate => {
            let points = between(POINTS);
            (points, Fault::NullsCreep { from: BEFORE, points_a_day: points / reached })
        }
        _ => {
            let records = between(QUEUES) * usual_queue(&business);
            let share_a_day = records / (reached * business.records_a_day);
            (records, Fault::QueueGrows { from: BEFORE, share_a_day })
        }
    };
    let limit = Limit { side, value: usual(&business, measure) + side.sign() * distance };
    let history = play(&plan.fault(fault))?;
    let days = days(&history, measure, Holidays::Declared, &[]);
    let is_past =
        |day: &expect::Day| day.value.is_some_and(|value| side.sign() * (value - limit.value) >= 0.0);
    let past = days.iter().skip(BEFORE).position(is_past).map(|index| index + BEFORE);
    Ok(Trend { days, limit, past })
}

fn plan_of_no_days(plan: &syncwatch_lab::history::Plan) -> syncwatch_lab::history::Plan {
    syncwatch_lab::history::Plan { days: 0, ..plan.clone() }
}

pub(crate) fn usual_queue(business: &Business) -> f64 {
    business.queue.0 * business.records_a_day
}

fn usual(business: &Business, measure: Measure) -> f64 {
    match measure {
        Measure::Coverage => business.coverage.0,
        Measure::NullRate => business.nulls.0,
        _ => usual_queue(business),
    }
}

/// The forecast that was made at the end of the day before `next`.
fn forecast_before(days: &[expect::Day], measure: Measure, limit: Limit, next: usize) -> Result<Forecast> {
    let read: Vec<expect::Day> = days.iter().take(next).skip(next.saturating_sub(WINDOW)).cloned().collect();
    Ok(forecast(&expect::Series::new(measure, read)?, limit))
}

impl Tally {
    fn add(&mut self, trend: &Trend, measure: Measure, next: usize) -> Result<()> {
        if trend.past.is_some_and(|past| past < next) {
            return Ok(());
        }
        self.open += 1;
        match forecast_before(&trend.days, measure, trend.limit, next)? {
            Forecast::Breach(breach) => {
                let days = trend.past.map(|past| past + 1 - next);
                let is_inside =
                    |days: &usize| (breach.earliest as usize..=breach.latest as usize).contains(days);
                self.inside += usize::from(days.as_ref().is_some_and(is_inside));
                self.widths.push(f64::from(breach.latest - breach.earliest));
                self.errors.extend(days.map(|days| (f64::from(breach.middle) - days as f64).abs()));
            }
            Forecast::None(NoForecast::NoTrend { .. }) => self.no_trend += 1,
            Forecast::None(NoForecast::TooFar { .. }) => self.too_far += 1,
            Forecast::None(NoForecast::TooUncertain) => self.too_uncertain += 1,
            Forecast::None(_) => self.other += 1,
        }
        Ok(())
    }

    fn made(&self) -> usize {
        self.widths.len()
    }

    /// The share of forecasts whose interval held the day, in percent.
    fn share(&self) -> f64 {
        100.0 * self.inside as f64 / self.made() as f64
    }

    fn print(&self, measure: Measure, into: usize) {
        let median = |values: &[f64]| median(values).map_or("-".to_owned(), |value| format!("{value:.0}"));
        println!(
            "| {} | {into} | {} of {} | {:.0}% | {} | {} | {}, {}, {}, {} |",
            measure.name(),
            self.made(),
            self.open,
            self.share(),
            median(&self.widths),
            median(&self.errors),
            self.no_trend,
            self.too_far,
            self.too_uncertain,
            self.other,
        );
    }
}

/// Prints the forecasts that begin on quiet series.
fn quiet(size: Size) -> Result<()> {
    println!(
        "\nForecasts begun a series-year on quiet series, the limit {QUIET_POINTS} point (queue: {QUIET_QUEUES} times) away:"
    );
    let years = (size.of(QUIET_SYNCS) * QUIET_DAYS) as f64 / 365.25;
    for (measure, side) in FORECAST {
        let mut begun = 0_usize;
        for seed in size.seeds(50, QUIET_SYNCS) {
            let history = play(&plan(seed, QUIET_DAYS)?)?;
            let usual = usual(&history.business, measure);
            let value = if measure == Measure::Queue {
                QUIET_QUEUES * usual
            } else {
                usual + side.sign() * QUIET_POINTS
            };
            let days = days(&history, measure, Holidays::Declared, &[]);
            let mut was_forecast = false;
            for next in 1..=days.len() {
                let is_forecast = match forecast_before(&days, measure, Limit { side, value }, next)? {
                    Forecast::Breach(_) => true,
                    // A day without an answer neither begins nor ends one.
                    Forecast::None(NoForecast::NoFigure(_) | NoForecast::Excluded(_)) => was_forecast,
                    Forecast::None(_) => false,
                };
                begun += usize::from(is_forecast && !was_forecast);
                was_forecast = is_forecast;
            }
        }
        println!("{}: {:.2}", measure.name(), begun as f64 / years);
    }
    Ok(())
}
