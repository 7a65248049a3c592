//! The speed of each sync of a pipeline, from its last runs and the facts of its source.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{End, Estimate, Facts, Kind, Report, Target, View, Waits, advise, measure};
use crate::observation::{self, RunStatus, records_to_deliver};
use crate::pipeline::{Role, Sync};
use crate::schedule::{Rule, Schedule};

/// A sync with its last runs.
#[derive(Debug)]
pub struct Read<'p> {
    pub sync: &'p Sync,
    pub runs: Vec<observation::Run>,
    pub source: Source,
}

/// The known facts of the source of a sync that misses its target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// Whether the sync removes records that are missing in its source.
    pub mirror: Option<bool>,
    pub view: Option<View>,
    /// The facts that are unknown, each with the reason.
    pub unknown: Vec<String>,
}

/// The speed of each sync, with advice where a target is missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdviceList {
    pub pipeline: String,
    pub syncs: Vec<SyncAdvice>,
}

/// A change that makes a slow run shorter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdviceLine {
    pub change: Kind,
    /// The expected gain for a slow run, with its interval.
    pub gain_seconds: Estimate,
    /// The figures behind it.
    pub evidence: Vec<String>,
    /// A condition that no figure shows.
    pub only_if: String,
}

/// A change that is not advised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub change: Kind,
    pub reason: String,
}

/// The speed of one sync. Figures are of a typical run, in seconds, each with its 90% interval.
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
    pub typical_seconds: Option<Estimate>,
    /// Parts of it; unknown where runs are too much alike to separate them.
    pub fixed_seconds: Option<Estimate>,
    pub seconds_per_record: Option<Estimate>,
    /// Waiting for the previous run.
    pub waits: Option<Waits>,
    /// At most three changes, in the order of their gain; none unless the target is missed.
    pub advice: Vec<AdviceLine>,
    /// The other changes, if the target is missed.
    pub left_out: Vec<LeftOut>,
    /// Facts that are unknown, each with the reason, if the target is missed.
    pub unknown: Vec<String>,
    /// All of it in sentences, with the advice.
    pub says: Vec<String>,
}

impl AdviceList {
    /// Measures each sync and advises on it.
    pub fn of(pipeline: &str, destination: &str, syncs: &[Read<'_>], now: Timestamp) -> Self {
        let mut read: Vec<(&Read<'_>, super::Sync)> =
            syncs.iter().map(|read| (read, input(read, destination, now))).collect();
        let each: Vec<Option<f64>> = read.iter().map(|(_, sync)| seconds_per_record(sync)).collect();
        for (index, (_, sync)) in read.iter_mut().enumerate() {
            let others = each.iter().enumerate().filter(|(other, _)| *other != index);
            sync.facts.fastest_other = others.filter_map(|(_, each)| *each).min_by(f64::total_cmp);
        }
        let syncs = read.iter().map(|(read, sync)| SyncAdvice::of(read, sync)).collect();
        Self { pipeline: pipeline.to_owned(), syncs }
    }

    /// Returns the sentences on syncs that get advice.
    pub fn on_slow_syncs(self) -> Vec<String> {
        let slow = self.syncs.into_iter().filter(|sync| !sync.advice.is_empty());
        slow.flat_map(|sync| sync.says).collect()
    }
}

impl SyncAdvice {
    fn of(read: &Read<'_>, sync: &super::Sync) -> Self {
        let key = &read.sync.key;
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
            waits: None,
            advice: Vec::new(),
            left_out: Vec::new(),
            unknown: read.source.unknown.clone(),
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
        let (advice, left_out) = changes(&report);
        Self {
            target: target.to_owned(),
            runs: report.speed.runs,
            over,
            typical_seconds: Some(report.speed.work),
            fixed_seconds: cost.map(|cost| cost.fixed_seconds),
            seconds_per_record: cost.map(|cost| cost.seconds_per_record),
            waits: Some(report.speed.waits),
            advice,
            left_out,
            says: [report.lines(key), unknown.unknown.iter().map(|why| format!("Unknown: {why}.")).collect()]
                .concat(),
            ..unknown
        }
    }
}

fn changes(report: &Report) -> (Vec<AdviceLine>, Vec<LeftOut>) {
    let advice = report.advice.iter().map(|advice| AdviceLine {
        change: advice.kind,
        gain_seconds: advice.gain.range(),
        evidence: advice.evidence(),
        only_if: advice.kind.precondition().to_owned(),
    });
    let left_out = report.left_out.iter();
    let left_out = left_out.map(|(change, why)| LeftOut { change: *change, reason: why.to_string() });
    (advice.collect(), left_out.collect())
}

fn seconds_per_record(sync: &super::Sync) -> Option<f64> {
    measure(sync).ok()?.cost.ok().map(|cost| cost.seconds_per_record.value)
}

/// Converts the runs of a sync. A full sync reads and sends other amounts, so it is left out.
pub(crate) fn input(read: &Read<'_>, destination: &str, now: Timestamp) -> super::Sync {
    let Read { sync, runs, source } = read;
    let run = |run: &observation::Run| super::Run {
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
    super::Sync {
        runs: runs.iter().filter(|run| run.full_sync != Some(true)).map(run).collect(),
        interval: interval(&sync.schedule, now),
        target: sync.runtime_target,
        facts: Facts {
            salesforce: destination.to_lowercase().contains("salesforce"),
            creates: sync.role == Role::Create,
            mirror: source.mirror,
            view: source.view.clone(),
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

#[cfg(test)]
mod tests {
    use crate::observation::{Counts, Run, RunId};
    use crate::pipeline::Pipeline;

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
        let read =
            |index: usize, runs| Read { sync: &pipeline.syncs[index], runs, source: Source::default() };
        let syncs = [read(0, slow), read(1, fast)];
        let list = AdviceList::of("properties", "Salesforce", &syncs, now);
        let [create, update] = &list.syncs[..] else { panic!("{list}") };
        assert_eq!(
            (create.target.as_str(), create.over, create.runs),
            ("missed", Some(39), 39),
            "a full sync is left out"
        );
        let typical = create.typical_seconds.unwrap();
        assert!((1_700.0..1_950.0).contains(&typical.value), "{create:?}");
        assert!(typical.low < typical.value && typical.value < typical.high, "{create:?}");
        assert!(create.says.iter().any(|line| line.starts_with("1. ")), "{list}");
        let first = &create.advice[0];
        assert!(create.says.iter().any(|line| line.ends_with(&format!("Only if: {}.", first.only_if))));
        let gain = first.gain_seconds;
        assert!(gain.low <= gain.value && gain.value < gain.high && gain.high < typical.value, "{first:?}");
        assert_eq!(create.advice.len() + create.left_out.len(), 10);
        let materialize = create.left_out.iter().find(|left| left.change == Kind::Materialize).unwrap();
        assert_eq!(materialize.reason, "unknown: the time of the source query");
        assert_eq!((create.waits.unwrap().waited, create.waits.unwrap().skipped), (0, 0));
        assert_eq!((update.target.as_str(), update.advice.len(), update.left_out.len()), ("met", 0, 0));
        assert_eq!(update.says.last().unwrap(), "Target met, no advice: 0 of 39 runs exceed 5m.");
        let few = AdviceList::of("properties", "Salesforce", &[read(0, Vec::new())], now);
        assert_eq!(
            few.syncs[0].says,
            ["The speed of properties-create is unknown: not enough completed runs: 0 of 10."]
        );
        assert_eq!(few.syncs[0].target, "unknown");
    }

    #[test]
    fn known_source_allows_advice_and_unknown_facts_are_listed() {
        let mut pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let sync = &mut pipeline.syncs[1];
        sync.runtime_target = Some(SignedDuration::from_mins(15));
        let advised = |source: Source| {
            let count = |id: u64| 550 + (id * 37) % 400;
            let slow = runs(|id| 60 + i64::try_from(count(id) * 235 / 100).unwrap(), count);
            let list = AdviceList::of("p", "HubSpot", &[Read { sync, runs: slow, source }], now);
            list.syncs[0].clone()
        };
        let reason = |of: &SyncAdvice| {
            of.left_out.iter().find(|left| left.change == Kind::Split).map(|left| left.reason.clone())
        };
        let nothing = advised(Source { unknown: vec!["the view: gone".to_owned()], ..Source::default() });
        assert_eq!(reason(&nothing).as_deref(), Some("unknown: whether the sync mirrors its source"));
        assert_eq!(nothing.unknown, ["the view: gone"]);
        assert_eq!(nothing.says.last().unwrap(), "Unknown: the view: gone.");
        let of = |dialect| {
            let view = View { dialect: Some(dialect), key: Some("id".to_owned()), ..View::default() };
            advised(Source { mirror: Some(false), view: Some(view), ..Source::default() })
        };
        let known = of(crate::sql::Dialect::Databricks);
        assert!(known.advice.iter().any(|advice| advice.change == Kind::Split), "{known:?}");
        let other = of(crate::sql::Dialect::Sqlite);
        assert_eq!(reason(&other).as_deref(), Some("the steps are known for Databricks only"));
    }

    #[test]
    fn interval_is_that_of_a_regular_schedule() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let of = |cron: &str| {
            let rule = Rule::Cron(crate::schedule::Cron::parse(cron).unwrap());
            let time_zone = jiff::tz::TimeZone::UTC;
            interval(&Schedule { rule, time_zone, grace: SignedDuration::ZERO }, now)
        };
        assert_eq!(of("*/15 * * * *"), Some(SignedDuration::from_mins(15)));
        for irregular in ["0 9,17 * * *", "*/15 9-17 * * *", "0 * * * 1-5"] {
            assert_eq!(of(irregular), None, "{irregular}");
        }
    }
}
