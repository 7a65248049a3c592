//! Nights on the path of the nightly snapshot: rows of the audit log in SQL, read, judged, and decided about as incidents. Only the
//! first notice of an incident counts.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use jiff::civil::{Date, time};
use syncwatch::data_checks::{Rule, object_name};
use syncwatch::days::days_before;
use syncwatch::finding::{Check, Finding};
use syncwatch::history::{DAYS, History, Reads};
use syncwatch::incident::{Circumstances, Decision, Incident, IncidentKey, common_cause, decide};
use syncwatch::judge::unusual::{judge_figures, open_incidents};
use syncwatch::marks::{Exceptions, QuietDays, check_of};
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::Statement;
use syncwatch::warehouse::Warehouse;
use syncwatch_cli::warehouse_objects::apply_folder;
use syncwatch_lab::engines;
use syncwatch_lab::history::{Business, Fault, Past, Plan, play};
use syncwatch_lab::properties::{make_sources, sql_folder};
use tempfile::TempDir;

use crate::faults::{ROWS, TOLERANCE};
use crate::forecasts::{QUIET_POINTS, QUIET_QUEUES, usual_queue};
use crate::goals::Goals;
use crate::seeds::{Size, median, plan};

const QUIET: usize = 200;
const FAULTY: usize = 40;
/// Pipelines of a small measurement: each night is judged anew, as the function does.
const SMALL: usize = 6;
const BEFORE: usize = 60;
const WATCHED: usize = 90;
/// A fault has to be found within so many days.
const FOUND_WITHIN: usize = 30;
/// The median delays of the prototype of these rules after 60 days of history, in days, in the order of [`ROWS`].
const DELAYS: [f64; 8] = [0.0, 6.0, 6.0, 10.0, 8.0, 19.0, 12.0, 11.0];
/// Other seeds may find it so many days later.
const LATER: f64 = 2.0;
const LIMIT: Duration = Duration::from_secs(120);
const PIPELINE: &str = include_str!("../../../../../infra/pipeline.toml");

/// A first notice: the night, counted from the first watched day, and the incident.
struct Opened {
    night: usize,
    check: Check,
    subject: String,
}

/// Prints the share of quiet pipelines that get no notice, and how many faults get one, and how late.
pub(crate) fn run(size: Size, goals: &mut Goals) -> Result<()> {
    println!(
        "\n## Nights: rows of the audit log, judged and decided about each night; pipelines of two syncs\n"
    );
    quiet(size, goals)?;
    faults(size, goals)
}

fn seeds(size: Size, part: u64, whole: usize) -> Vec<u64> {
    let count = if size.is_small { SMALL } else { size.of(whole) };
    size.seeds(part, whole).take(count).collect()
}

fn quiet(size: Size, goals: &mut Goals) -> Result<()> {
    let seeds = seeds(size, 60, QUIET);
    let notices = on_threads(&seeds, |log, seed| log.watch(seed, None, WATCHED, |_| false))?;
    let share = |of: &dyn Fn(&Opened) -> bool| {
        let without = notices.iter().filter(|all| !all.iter().any(of)).count();
        (without, 100.0 * without as f64 / seeds.len() as f64)
    };
    let is_forecast = |one: &Opened| one.check == Check::BreachForecast;
    let (figures, of_figures) = share(&|one| !is_forecast(one));
    let (forecasts, of_forecasts) = share(&is_forecast);
    let (nothing, of_anything) = share(&|_| true);
    println!("Of {} quiet pipelines, in {WATCHED} nights after {BEFORE} days of history:", seeds.len());
    println!("{figures} ({of_figures:.1}%) get no notice of an unusual figure;");
    println!(
        "{forecasts} ({of_forecasts:.1}%) get no forecast, with the limit of coverage {QUIET_POINTS} point away;"
    );
    println!("{nothing} ({of_anything:.1}%) get no notice at all.");
    for (pipeline, all) in notices.iter().enumerate() {
        for one in all {
            println!("pipeline {pipeline}: {} of {} on night {}", one.check, one.subject, one.night);
        }
    }
    let name = format!("quiet pipelines without a notice in {WATCHED} nights, %");
    goals.share(name, of_anything, 95.0, seeds.len(), size.is_small);
    Ok(())
}

fn faults(size: Size, goals: &mut Goals) -> Result<()> {
    println!(
        "\n| fault, after {BEFORE} days of history | notice within {FOUND_WITHIN} days | median delay, days |\n| --- | --- | --- |"
    );
    for ((part, row), later) in (61_u64..).zip(&ROWS).zip(DELAYS) {
        // The silence rule judges runs, not days.
        let Some((measure, _)) = row.found_by else { continue };
        let seeds = seeds(size, part, FAULTY);
        let is_of_fault = |one: &Opened| one.check == check_of(measure);
        let notices = on_threads(&seeds, |log, seed| {
            log.watch(seed, Some((row.fault)(BEFORE)), FOUND_WITHIN, is_of_fault)
        })?;
        let first = notices.iter().filter_map(|all| all.iter().find(|one| is_of_fault(one)));
        let delays: Vec<f64> = first.map(|one| one.night as f64).collect();
        let share = 100.0 * delays.len() as f64 / seeds.len() as f64;
        let delay = median(&delays).unwrap_or(f64::INFINITY);
        println!("| {} | {share:.0}% | {delay:.1} |", row.name);
        let least = row.prototype.last().copied().unwrap_or_default() - TOLERANCE;
        goals.share(format!("{} with a notice, %", row.name), share, least, seeds.len(), size.is_small);
        if !size.is_small {
            goals.at_most(format!("{} until its notice, days", row.name), delay, later + LATER);
        }
    }
    Ok(())
}

/// Does the same for each seed, on as many threads as there are cores, each with its own audit log.
fn on_threads(
    seeds: &[u64],
    of_seed: impl Fn(&Log, u64) -> Result<Vec<Opened>> + Sync,
) -> Result<Vec<Vec<Opened>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chunks = seeds.chunks(seeds.len().div_ceil(threads).max(1));
    let of_chunk = |chunk: &[u64]| -> Result<Vec<Vec<Opened>>> {
        let log = Log::empty()?;
        chunk.iter().map(|seed| of_seed(&log, *seed)).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = chunks.map(|chunk| scope.spawn(|| of_chunk(chunk))).collect();
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
        }
        Ok(all)
    })
}

/// An audit log in SQLite, for one history after another.
struct Log {
    runtime: tokio::runtime::Runtime,
    warehouse: Warehouse,
    _folder: TempDir,
}

impl Log {
    fn empty() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir()?;
        let warehouse = engines::sqlite(&folder.path().join("log.sqlite"))?;
        runtime.block_on(async {
            make_sources(&warehouse).await?;
            apply_folder(&warehouse, &sql_folder(), Timestamp::UNIX_EPOCH).await.map(drop)?;
            anyhow::Ok(())
        })?;
        Ok(Self { runtime, warehouse, _folder: folder })
    }

    /// Plays a pipeline, and judges each of its nights from the day `BEFORE` on, until `is_enough`.
    fn watch(
        &self,
        seed: u64,
        fault: Option<Fault>,
        nights: usize,
        is_enough: impl Fn(&Opened) -> bool,
    ) -> Result<Vec<Opened>> {
        let create = plan(seed, BEFORE + nights)?;
        let update = Plan { seed: seed + 500_000, ..create.clone() };
        let business = play(&Plan { days: 0, ..create.clone() })?.business;
        let pipeline = limited(&business)?;
        let create = Plan { faults: fault.into_iter().collect(), ..create };
        let past = Past::play(&pipeline, &[create, update])?;
        let history = self.runtime.block_on(self.read_back(&past, &pipeline))?;
        let named = |(day, name): (&Date, &&str)| QuietDays {
            name: (*name).to_owned(),
            dates: vec![(*day, *day)],
            ..QuietDays::default()
        };
        let quiet: Vec<QuietDays> = past.quiet.iter().map(named).collect();
        let exceptions = Exceptions::new(&[], &quiet);
        let (mut live, mut notices) = (HashMap::new(), Vec::new());
        for (night, row) in past.days.iter().skip(BEFORE).enumerate() {
            let last = row.snapshot_date;
            let now = last.tomorrow()?.to_datetime(time(1, 59, 0, 0));
            let now = now.to_zoned(pipeline.time_zone.clone())?.timestamp();
            let open =
                open_incidents(live.iter().map(|(key, incident): (_, &Incident)| (key, incident.state)));
            let findings = judge_figures(&pipeline, &until(&history, last), last, &exceptions, &open);
            let opened = decided(&pipeline, &findings, &mut live, now);
            notices.extend(opened.into_iter().map(|key| Opened {
                night,
                check: key.check,
                subject: key.subject,
            }));
            if notices.iter().any(&is_enough) {
                break;
            }
        }
        Ok(notices)
    }

    /// Writes a past in place of what is stored, and reads it as the nightly snapshot does.
    async fn read_back(&self, past: &Past, pipeline: &Pipeline) -> Result<History> {
        let log = &pipeline.snapshot.as_ref().context("no audit log")?.audit_log;
        let asker = Asker::new(&self.warehouse, LIMIT);
        let name = object_name(self.warehouse.dialect(), log)?;
        asker.write(&[Statement::new("an empty log", format!("DELETE FROM {name}"))]).await?;
        past.write(&self.warehouse, pipeline).await?;
        let reads = Reads::new(&pipeline.name, log, self.warehouse.dialect())?;
        let days = past.days.first().zip(past.days.last()).context("no days")?;
        let (from, to) = (days.0.snapshot_date, days.1.snapshot_date);
        Ok(History::read(&asker.ask(&reads.days(from, to)).await?, &asker.ask(&reads.syncs(from, to)).await?))
    }
}

/// The repository's pipeline, with limits that this business keeps: one point and four queues away.
fn limited(business: &Business) -> Result<Pipeline> {
    let mut pipeline = Pipeline::parse(PIPELINE)?;
    for check in &mut pipeline.checks {
        match &mut check.rule {
            Rule::Coverage { warn_below, critical_below, .. } => {
                *warn_below = business.coverage.0 - QUIET_POINTS;
                *critical_below = *warn_below - 5.0;
            }
            // Two queues share the limit.
            Rule::QueueSize { limit, .. } => *limit = (QUIET_QUEUES * usual_queue(business) / 2.0) as u64,
            _ => {}
        }
    }
    Ok(pipeline)
}

/// The days that a night reads.
fn until(history: &History, last: Date) -> History {
    let first = days_before(last, DAYS - 1);
    let is_read = |day: Date| first <= day && day <= last;
    let mut read = history.clone();
    read.days.retain(|row| is_read(row.day));
    read.syncs.values_mut().for_each(|days| days.retain(|row| is_read(row.day)));
    read
}

/// Decides about the findings of a night as a round does; returns the incidents whose first notice is sent.
fn decided(
    pipeline: &Pipeline,
    findings: &[Finding],
    live: &mut HashMap<IncidentKey, Incident>,
    now: Timestamp,
) -> Vec<IncidentKey> {
    let mut opened = Vec::new();
    for finding in findings {
        let key = IncidentKey::of(&pipeline.name, finding);
        let at = Circumstances {
            pipeline: &pipeline.name,
            policy: &pipeline.notices,
            silence: None,
            cause: common_cause(finding, live),
            urgency: pipeline.urgency(key.check, &key.subject),
            now,
        };
        let decision = decide(finding, live.get(&key), &at);
        if decision.opens() {
            opened.push(key.clone());
        }
        match decision {
            Decision::Rest(_) => None,
            Decision::Note { incident, .. } => live.insert(key, *incident),
            Decision::Notify { incident, .. } => live.insert(key, incident.with_notice_sent(now)),
        };
    }
    opened
}
