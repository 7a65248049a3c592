//! Histories as rows of a pipeline's audit log, as nightly snapshots would have written them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use nightly_snapshot::missing::Missing;
use nightly_snapshot::rows::{DataFigures, DayRow, IncidentFigures, Records, RunRow};
use nightly_snapshot::statements::Statements;
use syncwatch::days::{bounds, days_before};
use syncwatch::observation::error_percent;
use syncwatch::pipeline::{Pipeline, Sync};
use syncwatch::runtime::warehouse::Asker;
use syncwatch::schedule::Rule;
use syncwatch::sql::Statement;
use syncwatch::warehouse::Warehouse;

use super::{Fault, Figures, Plan, Present, RUN_EVERY_MINUTES, Run, Status, play};
use crate::properties::{Health, Pace};

/// The days of [`Past::of_world`].
pub const PAST_DAYS: usize = 120;
const SEED: u64 = 3;
/// The mean seconds of a run of the seed's syncs.
const RUN_SECONDS: [f64; 2] = [180.0, 60.0];
const MINUTES_A_DAY: f64 = 1_440.0;
const WRITE_LIMIT: Duration = Duration::from_secs(120);
/// Run ids of a sync count from its place times this, below those of the lab's Census.
const RUNS_OF_A_SYNC: usize = 1_000_000;

/// The audit log of past days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    pub runs: Vec<RunRow>,
    /// Oldest first, one for each day.
    pub days: Vec<DayRow>,
    /// The holidays, with their names.
    pub quiet: BTreeMap<Date, &'static str>,
}

impl Past {
    /// Plays a plan for each sync of the pipeline, in its order; they have the same days. The state of the data is that of the
    /// first. On a day without figures it is missing, as no snapshot took it, and its runs are there, as the next one read them.
    ///
    /// # Errors
    /// The plans are not one for each sync with the same days.
    pub fn play(pipeline: &Pipeline, plans: &[Plan]) -> Result<Self> {
        let first = plans.first().context("no plan")?;
        ensure!(plans.len() == pipeline.syncs.len(), "{} plans", plans.len());
        let is_alike = |plan: &Plan| (plan.start, plan.days) == (first.start, first.days);
        ensure!(plans.iter().all(is_alike), "the plans have other days");
        let (mut past, mut data) = (Self::default(), Vec::new());
        for (place, (sync, plan)) in pipeline.syncs.iter().zip(plans).enumerate() {
            let history = play(plan)?;
            let dates: Vec<Date> = history.days.iter().map(|day| day.date).collect();
            let runs = history.runs.chunks(slots_of(sync)).enumerate().filter_map(|(number, runs)| {
                let date = *dates.get(runs.first()?.day)?;
                run_row(pipeline, sync, RUNS_OF_A_SYNC * (place + 1) + number, date, runs)
            });
            past.runs.extend(runs);
            if place == 0 {
                past.quiet = history.days.iter().filter_map(|day| Some((day.date, day.quiet?))).collect();
                data = history.days;
            }
        }
        let mut of_day: BTreeMap<Date, Vec<&RunRow>> = BTreeMap::new();
        for run in &past.runs {
            of_day.entry(run.snapshot_date).or_default().push(run);
        }
        let row = |day: &super::Day| {
            let runs = of_day.get(&day.date).map(Vec::as_slice).unwrap_or_default();
            day_row(&pipeline.name, &first.zone, day.date, day.figures.as_ref(), runs)
        };
        past.days = data.iter().map(row).collect::<Result<_>>()?;
        Ok(past)
    }

    /// The past of a world of properties whose two syncs move as much a day as its pace brings: [`PAST_DAYS`] until `last`, where
    /// it ends at the figures of the world. The faults are those of the first sync and of the data.
    ///
    /// # Errors
    /// The pipeline has not two syncs.
    pub fn of_world(
        pipeline: &Pipeline,
        world: &Health,
        pace: Pace,
        last: Date,
        faults: &[Fault],
    ) -> Result<Self> {
        let start = days_before(last, i64::try_from(PAST_DAYS)? - 1);
        let plan = |seed, a_minute: f64, run_seconds, faults: &[Fault]| {
            let plan = Plan::quiet(seed, start, PAST_DAYS, pipeline.time_zone.clone());
            let present = Present {
                records_a_day: a_minute * MINUTES_A_DAY,
                run_seconds,
                total: world.total,
                coverage: world.coverage(),
            };
            Plan { faults: faults.to_vec(), ..plan }.ending_at(&present)
        };
        let [of_create, of_update] = RUN_SECONDS;
        let create = plan(SEED, pace.arrivals_a_minute, of_create, faults);
        let update = plan(SEED + 1, pace.changes_a_minute, of_update, &[]);
        Self::play(pipeline, &[create, update])
    }

    /// Keeps the runs that began before an instant.
    #[must_use]
    pub fn with_runs_until(mut self, now: Timestamp) -> Self {
        self.runs.retain(|run| run.execution_timestamp < now);
        self
    }

    /// Keeps the rows of days that had ended at an instant.
    #[must_use]
    pub fn with_days_until(mut self, now: Timestamp, zone: &TimeZone) -> Self {
        self.days.retain(|day| bounds(day.snapshot_date, day.snapshot_date, zone).1 <= now);
        self
    }

    /// Lets days pass: the state of the data moves that many days back, and the days since have that of the world.
    pub fn pass(&mut self, days: usize, world: &Health) {
        let data = of_health(world);
        let later: Vec<(DataFigures, Missing)> =
            self.days.iter().skip(days).map(|day| (day.data, day.figures_missing.clone())).collect();
        let since = std::iter::repeat_with(|| (data, Missing::default()));
        for (day, (data, missing)) in self.days.iter_mut().zip(later.into_iter().chain(since)) {
            (day.data, day.figures_missing) = (data, missing);
        }
    }

    /// Writes every row into the audit log of the pipeline; stored rows of these days are replaced, stored runs are kept.
    ///
    /// # Errors
    /// The pipeline declares no audit log, or the warehouse fails a statement.
    pub async fn write(&self, warehouse: &Warehouse, pipeline: &Pipeline) -> Result<()> {
        let snapshot = pipeline.snapshot.as_ref().context("the pipeline has no audit log")?;
        let statements = Statements::new(&pipeline.name, snapshot, warehouse.dialect())?;
        let asker = Asker::new(warehouse, WRITE_LIMIT);
        let rows = statements.insert(&self.runs).chain(statements.update(&self.days));
        let rows: Vec<Statement> = rows.chain(statements.insert(&self.days)).collect();
        for statement in rows {
            asker.write(std::slice::from_ref(&statement)).await?;
        }
        Ok(())
    }
}

/// The slots between two runs of a sync: those of a history are 15 minutes apart.
fn slots_of(sync: &Sync) -> usize {
    let minutes = match &sync.schedule.rule {
        Rule::Every(period) => usize::try_from(period.as_mins()).unwrap_or(0),
        _ => 0,
    };
    // A day has a whole number of hours, also when the clocks change.
    [2, 4].into_iter().find(|slots| slots * RUN_EVERY_MINUTES == minutes).unwrap_or(1)
}

/// One run in place of several that follow each other.
fn run_row(pipeline: &Pipeline, sync: &Sync, id: usize, date: Date, runs: &[Run]) -> Option<RunRow> {
    let (first, last) = (runs.first()?, runs.last()?);
    let completed = runs.iter().any(|run| run.status == Status::Succeeded);
    let count = |of: fn(&Run) -> u64| i64::try_from(runs.iter().map(of).sum::<u64>()).ok();
    let (processed, failed) = (count(|run| run.moved)?, count(|run| run.failed)?);
    let records = Records {
        processed: Some(processed),
        succeeded: Some(processed - failed),
        failed: Some(failed),
        error_rate: error_rate(failed, processed),
    };
    Some(RunRow {
        audit_id: format!("run/{}/{id}", sync.key),
        pipeline: pipeline.name.clone(),
        snapshot_date: date,
        sync_name: Some(sync.key.clone()),
        sync_type: Some(sync.role.to_string()),
        run_id: Some(id.to_string()),
        status: Some(if completed { "completed" } else { "failed" }.to_owned()),
        execution_timestamp: first.started,
        duration_seconds: Some(last.seconds.round() as i64),
        // Census has no counts of a failed run.
        records: if completed { records } else { Records::default() },
        notes: (!completed).then(|| "error class destination-down".to_owned()),
    })
}

fn day_row(
    pipeline: &str,
    zone: &TimeZone,
    date: Date,
    figures: Option<&Figures>,
    runs: &[&RunRow],
) -> Result<DayRow> {
    let sum = |of: fn(&RunRow) -> Option<i64>| runs.iter().filter_map(|run| of(run)).sum::<i64>();
    let (processed, failed) = (sum(|run| run.records.processed), sum(|run| run.records.failed));
    let without = runs.iter().filter(|run| run.status.as_deref() == Some("failed")).count();
    let mut notes = format!("{} runs: {} completed", runs.len(), runs.len() - without);
    if without > 0 {
        notes.push_str(&format!(", {without} failed"));
    }
    let missing =
        if figures.is_some() { Missing::default() } else { Missing::parse("data: no longer available") };
    Ok(DayRow {
        audit_id: format!("day/{pipeline}/{date}"),
        pipeline: pipeline.to_owned(),
        snapshot_date: date,
        execution_timestamp: date.to_datetime(time(23, 59, 0, 0)).to_zoned(zone.clone())?.timestamp(),
        duration_seconds: Some(sum(|run| run.duration_seconds)),
        records: Records {
            processed: Some(processed),
            succeeded: Some(processed - failed),
            failed: Some(failed),
            error_rate: error_rate(failed, processed),
        },
        data: figures.map(data_figures).unwrap_or_default(),
        incidents: IncidentFigures { opened: Some(0), resolved: Some(0), ..IncidentFigures::default() },
        figures_missing: missing,
        notes: Some(notes),
    })
}

fn data_figures(figures: &Figures) -> DataFigures {
    let count = |count: u64| i64::try_from(count).ok();
    DataFigures {
        total: count(figures.total),
        synced: count(figures.synced),
        coverage: figures.coverage().map(two_places),
        create_queue: count(figures.create_queue),
        update_queue: count(figures.update_queue),
        null_companies: count(figures.null_companies),
        duplicates: Some(0),
    }
}

fn of_health(health: &Health) -> DataFigures {
    let count = |count: usize| i64::try_from(count).ok();
    DataFigures {
        total: count(health.total),
        synced: count(health.synced),
        coverage: Some(two_places(health.coverage())),
        create_queue: count(health.create_queue),
        update_queue: count(health.update_queue),
        null_companies: count(health.null_companies),
        duplicates: count(health.duplicates),
    }
}

fn two_places(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// Percent of the records, to four decimal places.
fn error_rate(failed: i64, processed: i64) -> Option<f64> {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    error_percent(count(failed), count(processed)).map(|percent| (percent * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
#[path = "past_tests.rs"]
mod tests;
