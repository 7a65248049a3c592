//! Advises on the speed of the syncs, from their last runs in Census. Reads only.

use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use syncwatch::advise::{self, End, Facts, Target, advise, measure};
use syncwatch::observation::{Run, RunStatus, records_to_deliver};
use syncwatch::pipeline::{Role, Sync};
use syncwatch::schedule::{Rule, Schedule};

use super::Operator;
use super::error::Error;
use super::status::AT_ONCE;

/// The runs that are read of each sync: the most that Census returns on a page.
const RUNS: u32 = 100;

/// The speed of each sync, with advice where a target is missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdviceList {
    pub pipeline: String,
    pub syncs: Vec<SyncAdvice>,
}

/// The speed of one sync. Figures are of a typical run, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncAdvice {
    pub sync: String,
    /// `met`, `missed`, `unclear` (too few slow runs), `none` (no target is declared) or `unknown` (too few runs).
    pub target: String,
    /// The declared `runtime_target`.
    pub target_seconds: Option<f64>,
    /// Completed runs that the figures are from; 0 if there were too few.
    pub runs: usize,
    /// Runs that took longer than the target.
    pub over: Option<usize>,
    pub typical_seconds: Option<f64>,
    /// Parts of it; unknown where runs are too much alike to separate them.
    pub fixed_seconds: Option<f64>,
    pub seconds_per_record: Option<f64>,
    /// All of it in sentences, with the advice.
    pub says: Vec<String>,
}

impl AdviceList {
    /// Measures each sync and advises on it. Each comes with its last runs.
    pub fn of(pipeline: &str, destination: &str, syncs: &[(&Sync, Vec<Run>)], now: Timestamp) -> Self {
        let mut read: Vec<(&Sync, advise::Sync)> =
            syncs.iter().map(|(sync, runs)| (*sync, input(sync, destination, runs, now))).collect();
        let each: Vec<Option<f64>> = read.iter().map(|(_, sync)| seconds_per_record(sync)).collect();
        for (index, (_, sync)) in read.iter_mut().enumerate() {
            let others = each.iter().enumerate().filter(|(other, _)| *other != index);
            sync.facts.fastest_other = others.filter_map(|(_, each)| *each).min_by(f64::total_cmp);
        }
        let syncs = read.iter().map(|(declared, sync)| SyncAdvice::of(&declared.key, sync)).collect();
        Self { pipeline: pipeline.to_owned(), syncs }
    }
}

impl SyncAdvice {
    fn of(key: &str, sync: &advise::Sync) -> Self {
        let target_seconds = sync.target.map(|target| target.as_secs_f64());
        let unknown = Self {
            sync: key.to_owned(),
            target: "unknown".to_owned(),
            target_seconds,
            runs: 0,
            over: None,
            typical_seconds: None,
            fixed_seconds: None,
            seconds_per_record: None,
            says: Vec::new(),
        };
        let report = match advise(sync) {
            Ok(report) => report,
            Err(why) => {
                return Self { says: vec![format!("The speed of {key} is unknown: {why}.")], ..unknown };
            }
        };
        let (target, over) = match report.target {
            Target::None => ("none", None),
            Target::Met { over, .. } => ("met", Some(over)),
            Target::Unclear { over, .. } => ("unclear", Some(over)),
            Target::Missed { over, .. } => ("missed", Some(over)),
        };
        let cost = report.speed.cost.ok();
        Self {
            target: target.to_owned(),
            runs: report.speed.runs,
            over,
            typical_seconds: Some(report.speed.work.value),
            fixed_seconds: cost.map(|cost| cost.fixed_seconds.value),
            seconds_per_record: cost.map(|cost| cost.seconds_per_record.value),
            says: report.lines(key),
            ..unknown
        }
    }
}

fn seconds_per_record(sync: &advise::Sync) -> Option<f64> {
    measure(sync).ok()?.cost.ok().map(|cost| cost.seconds_per_record.value)
}

/// Converts the runs of a sync. A full sync reads and sends other amounts, so it is left out.
fn input(sync: &Sync, destination: &str, runs: &[Run], now: Timestamp) -> advise::Sync {
    let run = |run: &Run| advise::Run {
        created: run.created_at,
        started: None,
        ended: run.completed_at,
        end: match run.status {
            RunStatus::Completed => End::Completed,
            RunStatus::Skipped => End::Skipped,
            _ => End::Other,
        },
        records: run.counts.processed.map(|processed| {
            let failed = run.counts.failed.unwrap_or(0).saturating_add(run.counts.invalid.unwrap_or(0));
            records_to_deliver(processed, run.counts.updated, failed)
        }),
        refused: run.counts.failed,
        query_seconds: None,
    };
    advise::Sync {
        runs: runs.iter().filter(|run| run.full_sync != Some(true)).map(run).collect(),
        interval: interval(&sync.schedule, now),
        target: sync.runtime_target,
        facts: Facts {
            salesforce: destination.to_lowercase().contains("salesforce"),
            creates: sync.role == Role::Create,
            ..Facts::default()
        },
    }
}

/// The time between two runs of a schedule, if the slots of a week are equally far apart.
fn interval(schedule: &Schedule, now: Timestamp) -> Option<SignedDuration> {
    if let Rule::Every(interval) = schedule.rule {
        return Some(interval);
    }
    let week = now + SignedDuration::from_hours(24 * 8);
    let slots = std::iter::successors(schedule.next_slot(now), |slot| schedule.next_slot(*slot));
    let slots: Vec<Timestamp> = slots.take_while(|slot| *slot < week).collect();
    let mut gaps = slots.iter().zip(slots.iter().skip(1)).map(|(slot, next)| next.duration_since(*slot));
    let first = gaps.next()?;
    gaps.all(|gap| gap == first).then_some(first)
}

impl fmt::Display for AdviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.syncs.iter().map(|sync| format!("{}\n{}\n", sync.sync, indented(&sync.says))).collect();
        f.write_str(&parts.join("\n"))
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

impl Operator {
    /// Reads the last runs of each sync, as the fastest one shows what the destination can do, and advises on one or all.
    pub(super) async fn advise(&self, sync: Option<&str>) -> Result<AdviceList, Error> {
        let pipeline = &self.pipeline;
        let wanted = sync.map(|sync| super::runs::declared(pipeline, sync)).transpose()?;
        let census = self.census().await?;
        let census = &census;
        let read = pipeline.syncs.iter().map(|sync| async move {
            Ok::<_, Error>((sync, census.runs_of_sync(sync.id, RUNS).await?.runs))
        });
        let syncs: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        let mut list = AdviceList::of(&pipeline.name, &pipeline.terms.destination, &syncs, self.now);
        list.syncs.retain(|advice| wanted.is_none_or(|wanted| wanted.key == advice.sync));
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use syncwatch::observation::{Counts, RunId};
    use syncwatch::pipeline::Pipeline;

    use super::*;

    fn runs(seconds: impl Fn(u64) -> i64, records: impl Fn(u64) -> u64) -> Vec<Run> {
        let first: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let run = |id: u64| {
            let created_at = first + SignedDuration::from_hours(i64::try_from(id).unwrap());
            Run {
                id: RunId(id),
                sync_id: None,
                status: RunStatus::Completed,
                created_at,
                completed_at: Some(created_at + SignedDuration::from_secs(seconds(id))),
                counts: Counts {
                    processed: Some(records(id)),
                    updated: Some(records(id)),
                    failed: Some(0),
                    ..Counts::default()
                },
                scheduled_for: None,
                by_hand: None,
                error: None,
                full_sync: (id == 7).then_some(true),
            }
        };
        (0..40).map(run).collect()
    }

    #[test]
    fn slow_sync_gets_advice_and_a_fast_one_none() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        // About 30 minutes for 740 records, against 15; about 1.5 minutes for 7,837.
        let count = |id: u64| 550 + (id * 37) % 400;
        let slow = runs(|id| 60 + i64::try_from(count(id) * 235 / 100).unwrap(), count);
        let fast = runs(|id| 20 + i64::try_from((id * 13) % 6).unwrap() + 70, |id| 7_800 + (id * 91) % 90);
        let syncs = [(&pipeline.syncs[0], slow), (&pipeline.syncs[1], fast)];
        let list = AdviceList::of("properties", "Salesforce", &syncs, now);
        let [create, update] = &list.syncs[..] else { panic!("{list}") };
        assert_eq!(
            (create.target.as_str(), create.over, create.runs),
            ("missed", Some(39), 39),
            "a full sync is left out"
        );
        assert!((1_700.0..1_950.0).contains(&create.typical_seconds.unwrap()), "{create:?}");
        assert!(create.says.iter().any(|line| line.starts_with("1. ")), "{list}");
        assert_eq!(update.target, "met");
        assert_eq!(update.says.last().unwrap(), "Target met, no advice: 0 of 39 runs exceed 5m.");
        let few = AdviceList::of("properties", "Salesforce", &[(&pipeline.syncs[0], Vec::new())], now);
        assert_eq!(
            few.syncs[0].says,
            ["The speed of properties-create is unknown: not enough completed runs: 0 of 10."]
        );
        assert_eq!(few.syncs[0].target, "unknown");
    }

    #[test]
    fn interval_is_that_of_a_regular_schedule() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let of = |cron: &str| {
            let rule = Rule::Cron(syncwatch::schedule::Cron::parse(cron).unwrap());
            let time_zone = jiff::tz::TimeZone::UTC;
            interval(&Schedule { rule, time_zone, grace: SignedDuration::ZERO }, now)
        };
        assert_eq!(of("*/15 * * * *"), Some(SignedDuration::from_mins(15)));
        for irregular in ["0 9,17 * * *", "*/15 9-17 * * *", "0 * * * 1-5"] {
            assert_eq!(of(irregular), None, "{irregular}");
        }
    }
}
