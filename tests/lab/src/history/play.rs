//! Plays a plan, day by day.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::business::Business;
use super::calendar::{Calendar, is_weekend};
use super::chance::{Counts, Noise, between, binomial, normal, once_in, poisson};
use super::fault::Effect;
use super::{Day, Figures, History, Plan, RUN_EVERY_MINUTES, Run, SLOTS, Status, Temper};

/// One launch, backfill, day without figures and failed run in so many days and runs.
const LAUNCH: f64 = 60.0;
const BACKFILL: f64 = 90.0;
const NO_FIGURES: f64 = 60.0;
const FAILED_RUN: f64 = 400.0;
/// The shares of a launch's excess on its days.
const LAUNCH_DAYS: [f64; 1] = [1.0];
const LONG_LAUNCH_DAYS: [f64; 3] = [1.0, 0.6, 0.35];
/// A run ends before the next one starts.
const LONGEST_RUN_SECONDS: f64 = 14.0 * 60.0;

/// Plays the plan.
///
/// # Errors
/// If a day lies outside the years that `jiff` knows.
pub fn play(plan: &Plan) -> Result<History, jiff::Error> {
    let business = plan.business();
    let last = plan.start.checked_add(i64::try_from(plan.days).unwrap_or(i64::MAX).days())?;
    let mut world = World {
        calendar: Calendar::of_years(plan.start.year(), last.year())?,
        volume: Noise::new(business.noise, business.memory),
        seconds: Noise::new(business.seconds_noise.1, business.memory),
        coverage: Noise::new(business.coverage.1, business.memory),
        nulls: Noise::new(business.nulls.1, business.memory),
        errors: Noise::new(business.errors.1, business.memory),
        queue: Noise::new(business.queue.1, business.memory),
        counts: Counts::of_shape(business.shape),
        launches: Vec::new(),
        waiting: 0,
        business: &business,
        plan,
    };
    let mut days = Vec::with_capacity(plan.days);
    let mut runs = Vec::with_capacity(plan.days * SLOTS);
    let mut date = plan.start;
    for index in 0..plan.days {
        // A stream for each day: faults and later days leave the draws of other days alone.
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        rng.set_stream(u64::try_from(index).unwrap_or(0) + 1);
        days.push(world.day(&mut rng, index, date, &mut runs)?);
        date = date.tomorrow()?;
    }
    Ok(History { business, days, runs })
}

/// The state that one day hands to the next.
struct World<'a> {
    plan: &'a Plan,
    business: &'a Business,
    calendar: Calendar,
    counts: Counts,
    volume: Noise,
    seconds: Noise,
    coverage: Noise,
    nulls: Noise,
    errors: Noise,
    queue: Noise,
    /// The day and the factor of each launch.
    launches: Vec<(usize, f64)>,
    /// Records of a failed run, which the next run moves.
    waiting: u64,
}

/// The values that all runs of one day share.
struct Morning {
    effect: Effect,
    /// Records that the day brings.
    inflow: f64,
    /// The slot of a backfill, and its records.
    backfill: Option<(usize, f64)>,
    /// The share of records that fail.
    fail: f64,
    /// The factor of the seconds of runs.
    pace: f64,
}

impl World<'_> {
    fn day(
        &mut self,
        rng: &mut ChaCha8Rng,
        index: usize,
        date: Date,
        runs: &mut Vec<Run>,
    ) -> Result<Day, jiff::Error> {
        let business = self.business;
        let effect = Effect::on(index, &self.plan.faults);
        let has_figures = !once_in(rng, NO_FIGURES);
        let backfill = once_in(rng, BACKFILL)
            .then(|| (rng.random_range(0..SLOTS), between(rng, 4.0, 25.0) * business.records_a_day));
        let quiet = self.calendar.holiday(date);
        let season = self.season(rng, index, date, quiet.is_some());
        let growth = (business.growth * index as f64 / 365.0).exp();
        let inflow = business.records_a_day * growth * season * self.volume.step(rng).exp() * effect.business;
        let pace = effect.seconds * self.seconds.step(rng).exp();
        let coverage = business.coverage.0 + self.coverage.step(rng) + effect.coverage;
        let nulls = business.nulls.0 + self.nulls.step(rng) + effect.nulls;
        let errors = effect.errors(business.errors.0 * self.errors.step(rng).exp());
        // Backlogs last longer than a day: the queue follows the level of the business, not its week.
        let level = business.records_a_day * growth * effect.business;
        let queue = level * business.queue.0 * self.queue.step(rng).exp();
        let queue = queue + effect.queue * business.records_a_day;
        let queue = poisson(rng, queue);
        let create_queue = binomial(rng, queue, business.create_share);
        let total = (business.total * growth).round();

        let first = runs.len();
        let morning = Morning { effect, inflow, backfill, fail: errors / 100.0, pace };
        self.runs(rng, index, date, &morning, runs)?;
        let runs = runs.get(first..).unwrap_or_default();
        let figures = has_figures.then(|| Figures {
            volume: runs.iter().map(|run| run.moved).sum(),
            failed: runs.iter().map(|run| run.failed).sum(),
            median_seconds: median_seconds(runs),
            total: whole(total),
            synced: whole(total * (coverage / 100.0).clamp(0.0, 1.0)),
            null_companies: whole(total * (nulls / 100.0).clamp(0.0, 1.0)),
            create_queue,
            update_queue: queue - create_queue,
        });
        Ok(Day { date, quiet, figures })
    }

    /// The factor of the day: weekday, holiday, month-end and launches.
    fn season(&mut self, rng: &mut ChaCha8Rng, index: usize, date: Date, is_holiday: bool) -> f64 {
        let (chance, factor, holiday) =
            (once_in(rng, LAUNCH), between(rng, 2.0, 6.0), between(rng, 0.1, 0.7));
        if chance {
            self.launches.push((index, factor));
        }
        let shares: &[f64] = match self.plan.temper {
            Temper::Ordinary => &LAUNCH_DAYS,
            Temper::Restless => &LONG_LAUNCH_DAYS,
        };
        let launched: f64 = self
            .launches
            .iter()
            .map(|(day, factor)| (factor - 1.0) * shares.get(index - day).copied().unwrap_or(0.0))
            .sum();
        let month_end = if self.calendar.is_month_end(date) { self.business.month_end } else { 1.0 };
        let weekday = self.business.weekday(date);
        let weekday = if is_holiday && !is_weekend(date) { weekday * holiday } else { weekday };
        weekday * month_end * (1.0 + launched)
    }

    /// The runs of one day. Steps are of absolute time, so a day of a clock change has 92 or 100 of them.
    fn runs(
        &mut self,
        rng: &mut ChaCha8Rng,
        day: usize,
        date: Date,
        morning: &Morning,
        runs: &mut Vec<Run>,
    ) -> Result<(), jiff::Error> {
        let every = SignedDuration::from_mins(i64::try_from(RUN_EVERY_MINUTES).unwrap_or(15));
        let mut due = date.to_zoned(self.plan.zone.clone())?.timestamp();
        let end = date.tomorrow()?.to_zoned(self.plan.zone.clone())?.timestamp();
        while due < end {
            let slot = self.slot(due);
            runs.push(self.run(rng, day, slot, due, morning)?);
            due = due.checked_add(every)?;
        }
        Ok(())
    }

    fn slot(&self, due: Timestamp) -> usize {
        let local = self.plan.zone.to_datetime(due);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        usize::try_from(minute).unwrap_or(0) / RUN_EVERY_MINUTES
    }

    fn run(
        &mut self,
        rng: &mut ChaCha8Rng,
        day: usize,
        slot: usize,
        due: Timestamp,
        morning: &Morning,
    ) -> Result<Run, jiff::Error> {
        let effect = &morning.effect;
        let is_failed = once_in(rng, FAILED_RUN);
        let (delay, noise) = (between(rng, 0.0, 20.0), normal(rng));
        let backfill = morning.backfill.filter(|(at, _)| *at == slot).map_or(0.0, |(_, records)| records);
        let share = self.business.slots.get(slot).copied().unwrap_or(0.0);
        let due_records = self.counts.draw(rng, morning.inflow * share * effect.moved)
            + whole((backfill * effect.moved).round())
            + self.waiting;
        let is_empty = effect.empty_from.is_some_and(|from| slot >= from);
        let moved = if is_failed || is_empty { 0 } else { due_records };
        self.waiting = if is_failed && !is_empty { due_records } else { 0 };
        let seconds = (self.business.base_seconds + self.business.record_seconds * moved as f64)
            * morning.pace
            * (self.business.seconds_noise.0 * noise).exp();
        let seconds = seconds.min(LONGEST_RUN_SECONDS);
        let started = due.checked_add(SignedDuration::try_from_secs_f64(delay)?)?;
        Ok(Run {
            day,
            slot,
            started,
            ended: started.checked_add(SignedDuration::try_from_secs_f64(seconds)?)?,
            status: if is_failed { Status::Failed } else { Status::Succeeded },
            moved,
            failed: binomial(rng, moved, morning.fail),
            seconds,
        })
    }
}

fn median_seconds(runs: &[Run]) -> Option<f64> {
    let mut seconds: Vec<f64> =
        runs.iter().filter(|run| run.status == Status::Succeeded).map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let upper = seconds.get(seconds.len() / 2)?;
    let lower = seconds.get(seconds.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

fn whole(count: f64) -> u64 {
    count.round().max(0.0) as u64
}
