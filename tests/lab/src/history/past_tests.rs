use jiff::civil::date;
use syncwatch::finding::Finding;
use syncwatch::history::{History, Reads};
use syncwatch::judge::unusual::judge_figures;
use syncwatch::marks::Exceptions;
use syncwatch_cli::warehouse_objects::apply_folder;

use super::super::Temper;
use super::*;
use crate::engines;
use crate::properties::{make_sources, sql_folder};

const POINTS_A_DAY: f64 = 0.05;

fn pipeline() -> Pipeline {
    Pipeline::parse(include_str!("../../../../infra/pipeline.toml")).unwrap()
}

/// A world of 20,000 properties, with this coverage.
fn world(synced: usize) -> Health {
    Health { total: 20_000, synced, create_queue: 20, update_queue: 30, null_companies: 0, duplicates: 0 }
}

/// An audit log in SQLite.
struct Log {
    warehouse: Warehouse,
    _folder: tempfile::TempDir,
}

impl Log {
    async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = engines::sqlite(&folder.path().join("lab.sqlite")).unwrap();
        make_sources(&warehouse).await.unwrap();
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        apply_folder(&warehouse, &sql_folder(), now).await.unwrap();
        Self { warehouse, _folder: folder }
    }

    async fn history(&self, from: Date, to: Date) -> History {
        let pipeline = pipeline();
        let log = &pipeline.snapshot.as_ref().unwrap().audit_log;
        let reads = Reads::new(&pipeline.name, log, self.warehouse.dialect()).unwrap();
        let asker = Asker::new(&self.warehouse, WRITE_LIMIT);
        let (days, syncs) = (asker.ask(&reads.days(from, to)).await, asker.ask(&reads.syncs(from, to)).await);
        History::read(&days.unwrap(), &syncs.unwrap())
    }

    /// The findings on a past that ends on `last`.
    async fn judged(&self, past: &Past, last: Date) -> Vec<Finding> {
        past.write(&self.warehouse, &pipeline()).await.unwrap();
        let history = self.history(days_before(last, 129), last).await;
        judge_figures(&pipeline(), &history, last, &Exceptions::default(), &[])
    }
}

fn unhealthy(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.is_unhealthy()).map(ToString::to_string).collect()
}

fn plans(days: usize) -> [Plan; 2] {
    [7, 8].map(|seed| Plan::quiet(seed, date(2026, 1, 5), days, pipeline().time_zone.clone()))
}

#[tokio::test]
async fn past_is_read_back_with_the_figures_that_were_played() {
    let (plans, log) = (plans(80), Log::empty().await);
    let past = Past::play(&pipeline(), &plans).unwrap();
    // The create sync runs every 30 minutes, and one day has 23 hours.
    assert_eq!(past.runs.len(), 80 * (48 + 96) - 2 - 4);
    past.write(&log.warehouse, &pipeline()).await.unwrap();
    let history = log.history(date(2026, 1, 1), date(2026, 12, 31)).await;
    let played = plans.map(|plan| play(&plan).unwrap());
    assert_eq!(history.days.len(), 80);
    for (row, day) in history.days.iter().zip(&played[0].days) {
        assert_eq!((row.day, row.coverage()), (day.date, day.figures.and_then(|figures| figures.coverage())));
        let queue = day.figures.map(|figures| figures.queue() as f64);
        assert_eq!(row.queue(), queue, "{}", day.date);
        assert_eq!(history.missing.contains_key(&day.date), day.figures.is_none());
    }
    for (sync, played) in ["properties-create", "properties-update"].into_iter().zip(&played) {
        for (row, day) in history.syncs[sync].iter().zip(&played.days) {
            let Some(figures) = day.figures else { continue };
            assert_eq!(row.processed, Some(figures.volume as f64), "{sync} {}", day.date);
            assert_eq!(row.failed, Some(figures.failed as f64), "{sync} {}", day.date);
            assert!(row.median_seconds.is_some_and(|seconds| seconds > 0.0));
        }
    }
    // Written again, nothing is there twice.
    past.write(&log.warehouse, &pipeline()).await.unwrap();
    assert_eq!(log.history(date(2026, 1, 1), date(2026, 12, 31)).await, history);
}

#[test]
fn past_needs_a_plan_for_each_sync_with_the_same_days() {
    let [create, update] = plans(10);
    let longer = Plan { days: 11, ..update.clone() };
    assert!(Past::play(&pipeline(), std::slice::from_ref(&create)).is_err());
    assert!(Past::play(&pipeline(), &[create.clone(), longer]).is_err());
    assert!(Past::play(&pipeline(), &[create, update]).is_ok());
}

#[test]
fn past_is_cut_to_the_days_and_runs_before_an_instant() {
    let (zone, now) = (pipeline().time_zone, "2026-01-10T20:00:00Z".parse().unwrap());
    let past = Past::play(&pipeline(), &plans(10)).unwrap();
    let past = past.with_runs_until(now).with_days_until(now, &zone);
    assert_eq!(past.days.last().map(|day| day.snapshot_date), Some(date(2026, 1, 9)));
    let last = past.runs.iter().map(|run| run.execution_timestamp).max().unwrap();
    assert!(last < now && now.duration_since(last).as_mins() < 20, "{last}");
}

#[test]
fn past_of_a_world_ends_at_its_figures() {
    let of = |faults: &[Fault]| {
        Past::of_world(&pipeline(), &world(19_200), Pace::OF_SEED, date(2026, 11, 17), faults).unwrap()
    };
    let volume = |past: &Past, from: usize| {
        let days: BTreeMap<Date, i64> = past.runs.iter().fold(BTreeMap::new(), |mut days, run| {
            let create = run.sync_name.as_deref() == Some("properties-create");
            *days.entry(run.snapshot_date).or_default() +=
                run.records.processed.filter(|_| create).unwrap_or(0);
            days
        });
        let mut tuesdays: Vec<i64> = days.values().rev().copied().step_by(7).skip(from).take(4).collect();
        tuesdays.sort_unstable();
        tuesdays[1]
    };
    let quiet = of(&[]);
    let last = quiet.days.last().unwrap();
    assert_eq!((quiet.days.len(), last.snapshot_date), (PAST_DAYS, date(2026, 11, 17)));
    assert!((last.data.coverage.unwrap() - 96.0).abs() < 0.15, "{:?}", last.data);
    assert!((1_500..2_400).contains(&volume(&quiet, 0)), "{}", volume(&quiet, 0));
    // Before the faults, the figures were others.
    let leak = of(&[Fault::CoverageLeaks { from: 60, points_a_day: POINTS_A_DAY }]);
    let coverage = |day: usize| leak.days[day].data.coverage.unwrap();
    assert!((coverage(30) - 99.0).abs() < 0.2 && (coverage(119) - 96.0).abs() < 0.2);
    let doubled = of(&[Fault::BusinessChanges { from: 90, factor: 2.0 }]);
    let share = volume(&doubled, 0) as f64 / volume(&doubled, 5) as f64;
    assert!((1.5..2.6).contains(&share), "{share}");
}

#[tokio::test]
async fn leak_of_a_world_is_the_only_finding_on_any_weekday() {
    let leak = Fault::CoverageLeaks { from: PAST_DAYS - 86, points_a_day: POINTS_A_DAY };
    for months in 0..10 {
        let last = date(2026, 1, 28) + jiff::Span::new().days(months * 31 + months % 7);
        let log = Log::empty().await;
        let past = Past::of_world(&pipeline(), &world(19_120), Pace::OF_SEED, last, &[leak]).unwrap();
        let found = unhealthy(&log.judged(&past, last).await);
        assert_eq!(found.len(), 2, "{last}: {found:?}");
        assert!(found[0].starts_with("unusual-coverage properties: warning, "), "{found:?}");
        assert!(found[1].starts_with("breach-forecast properties: warning, coverage falls under 95% "));
    }
}

#[tokio::test]
async fn repaired_leak_is_over_after_eight_days() {
    let (log, last) = (Log::empty().await, date(2026, 11, 27));
    let leak = Fault::CoverageLeaks { from: PAST_DAYS - 86, points_a_day: POINTS_A_DAY };
    let mut past = Past::of_world(&pipeline(), &world(19_120), Pace::OF_SEED, last, &[leak]).unwrap();
    assert_eq!(unhealthy(&log.judged(&past, last).await).len(), 2);
    let before = past.days.clone();
    past.pass(8, &world(19_990));
    assert_eq!(past.days[0].data, before[8].data);
    assert_eq!(unhealthy(&log.judged(&past, last).await), [""; 0]);
}

#[test]
fn business_of_a_plan_is_played_instead_of_a_drawn_one() {
    let [plan, _] = plans(3);
    let business = play(&Plan { seed: 99, temper: Temper::Restless, ..plan.clone() }).unwrap().business;
    let played = play(&Plan { business: Some(business.clone()), ..plan.clone() }).unwrap();
    assert!(played.business == business && play(&plan).unwrap().business != business);
}
