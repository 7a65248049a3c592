//! The functions' own metrics, in CloudWatch's embedded metric format. Pure.
//!
//! One line of JSON on standard output holds the figures and their declarations; CloudWatch extracts metrics from it
//! without an API call (CloudWatch's "Embedded metric format specification"). The pipeline is the only dimension:
//! CloudWatch bills per name and dimension, and the first ten metrics of an account are free: each further one
//! costs 0.30 USD a month. So a figure that each sync has is that of the worst sync, or the total.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::history::{DataDay, History, SyncDay};
use crate::remedy::Score;
use crate::scoreboard::{self, Scoreboard};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Syncwatch";
/// The only dimension of the metrics.
pub const DIMENSION: &str = "Pipeline";

/// A metric and its figure, in the metric's unit.
pub type Figure = (Metric, f64);

/// Declares [`Metric`]: name in CloudWatch, and unit as CloudWatch names it.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $name:ident: $unit:ident,)+) => {
        /// A metric. `infra/metrics.json` has its title and the statistic that a dashboard shows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])* $name,)+
        }

        impl Metric {
            /// Every metric.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// Returns its name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// Returns its unit, as CloudWatch names it.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => stringify!($unit)),+ }
            }
        }
    };
}

metrics! {
    UnhealthyFindings: Count,
    UnjudgedFindings: Count,
    OpenIncidents: Count,
    Notices: Count,
    /// Finished rounds of schedule-verification: none for minutes means that the syncs are not watched.
    Rounds: Count,
    /// Complete rounds of daily-validation. A ping does not count, so it clears no alarm.
    Validations: Count,
    /// Complete rounds of nightly-snapshot.
    Snapshots: Count,
    /// Complete rounds of configuration-audit.
    Audits: Count,
    /// Complete rounds of reconciliation.
    Reconciliations: Count,
    /// Goals of the scoreboard that were not met on the last whole day, unknown ones included.
    GoalsMissed: Count,
    /// The share of the records that are in the destination, on the last whole day.
    Coverage: Percent,
    /// The data quality of the scoreboard, on the last whole day.
    Quality: Percent,
    /// The longest time that a change waited for its arrival in the destination, on the last whole day.
    Lag: Seconds,
    /// The share of the records that did not arrive, of the worst sync on the last whole day.
    ErrorRate: Percent,
    /// The records that wait for all syncs, on the last whole day.
    Queue: Count,
    /// The acts of remedies that healed, of the last 28 days.
    Heals: Count,
    /// The acts of remedies that did harm, of the last 28 days. The goal is 0.
    HarmfulActs: Count,
    Webhooks: Count,
    /// Refused webhooks: unsigned, malformed or too large.
    RefusedWebhooks: Count,
    /// Statements sent to the warehouse, which bills for the time it runs.
    Statements: Count,
}

/// Collects the figures of a scoreboard's day. An unknown one is left out.
pub fn of_day(board: &Scoreboard, history: &History) -> Vec<Figure> {
    let score = |metric| {
        let score = board.metrics.iter().find(|score| score.metric == metric)?;
        score.reading.value.map(scoreboard::Value::number)
    };
    let day = history.days.iter().find(|day| day.day == board.day);
    let of_syncs = history.syncs.values().flatten().filter(|sync| sync.day == board.day);
    let figures = [
        (Metric::GoalsMissed, Some(board.goals_missed() as f64)),
        (Metric::Coverage, score(scoreboard::Metric::Coverage)),
        (Metric::Quality, score(scoreboard::Metric::DataQuality)),
        (Metric::Lag, score(scoreboard::Metric::Lag)),
        (Metric::ErrorRate, of_syncs.filter_map(SyncDay::error_rate).max_by(f64::total_cmp)),
        (Metric::Queue, day.and_then(DataDay::queue)),
    ];
    figures.into_iter().filter_map(|(metric, figure)| Some((metric, figure?))).collect()
}

/// Collects the figures of remedies.
pub fn of_remedies(score: &Score) -> [Figure; 2] {
    [(Metric::Heals, score.healed as f64), (Metric::HarmfulActs, score.harmed as f64)]
}

/// Builds the line that reports these figures to CloudWatch.
pub fn line(pipeline: &str, at: Timestamp, figures: &[Figure]) -> String {
    // JSON has no infinity, and CloudWatch reads no null.
    let figures = || figures.iter().filter(|(_, figure)| figure.is_finite());
    let declared: Vec<Value> =
        figures().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let head = json!({
        "Timestamp": at.as_millisecond(),
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [[DIMENSION]],
            "Metrics": declared,
        }],
    });
    let head = [("_aws".to_owned(), head), (DIMENSION.to_owned(), json!(pipeline))];
    let held = figures().map(|(metric, figure)| (metric.name().to_owned(), json!(figure)));
    Value::Object(head.into_iter().chain(held).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::tz::TimeZone;

    use super::*;
    use crate::scoreboard::{Goals, Records};

    #[test]
    fn line_is_one_object_that_declares_exactly_its_figures() {
        let at: Timestamp = "2026-11-25T12:00:00.250Z".parse().unwrap();
        let figures: Vec<Figure> = Metric::ALL.into_iter().zip((1..).map(|n| f64::from(n) + 0.5)).collect();
        let line = line("properties", at, &figures);
        assert!(!line.contains('\n'));
        let read: Value = serde_json::from_str(&line).unwrap();
        let head = &read["_aws"];
        assert_eq!(head["Timestamp"], json!(1_795_608_000_250_i64));
        let directive = &head["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], json!("Syncwatch"));
        assert_eq!(directive["Dimensions"], json!([["Pipeline"]]));
        assert_eq!(read["Pipeline"], json!("properties"));
        for (metric, figure) in figures {
            assert_eq!(read[metric.name()], json!(figure));
        }
        let declared: BTreeSet<&str> = directive["Metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|metric| metric["Name"].as_str().unwrap())
            .collect();
        let held: BTreeSet<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(held.difference(&declared).copied().collect::<Vec<_>>(), ["Pipeline", "_aws"]);
    }

    #[test]
    fn infinite_figure_is_left_out_of_the_line() {
        let at = Timestamp::UNIX_EPOCH;
        let figures = [(Metric::Coverage, f64::NAN), (Metric::Lag, 90.0), (Metric::Queue, f64::INFINITY)];
        let read: Value = serde_json::from_str(&line("p", at, &figures)).unwrap();
        assert_eq!(
            read["_aws"]["CloudWatchMetrics"][0]["Metrics"],
            json!([{ "Name": "Lag", "Unit": "Seconds" }])
        );
        assert_eq!((&read["Lag"], read.get("Coverage"), read.get("Queue")), (&json!(90.0), None, None));
    }

    #[test]
    fn day_has_the_worst_error_rate_and_no_unknown_figure() {
        let day = "2026-11-24".parse().unwrap();
        let before = "2026-11-23".parse().unwrap();
        let sync = |day, processed, failed| SyncDay { day, processed, failed, ..SyncDay::default() };
        let syncs = [
            ("a", vec![sync(before, Some(10.0), Some(10.0)), sync(day, Some(200.0), Some(1.0))]),
            ("b", vec![sync(day, Some(50.0), Some(6.0))]),
            ("c", vec![sync(day, None, None)]),
        ];
        let of = |data: DataDay| {
            let syncs = syncs.clone().map(|(key, days)| (key.to_owned(), days)).into();
            let history = History { days: vec![data], syncs, ..History::default() };
            let unread = || "not read".to_owned();
            let records = Records {
                history: Ok(history.clone()),
                gaps: BTreeMap::new(),
                syncs: Vec::new(),
                compares_objects: false,
                alerts: Err(unread()),
                notices: Err(unread()),
                marks: Err(unread()),
                lag: Err(unread()),
                manual: BTreeMap::new(),
                scores: Err(unread()),
            };
            let board = Scoreboard::compute("p", &records, &Goals::default(), &TimeZone::UTC, day);
            of_day(&board, &history)
                .into_iter()
                .filter(|(metric, _)| *metric != Metric::GoalsMissed)
                .collect::<Vec<_>>()
        };
        let known = DataDay {
            day,
            total: Some(200.0),
            synced: Some(190.0),
            create_queue: Some(3.0),
            update_queue: Some(4.0),
            ..DataDay::default()
        };
        let rate = (Metric::ErrorRate, 12.0);
        assert_eq!(of(known), [(Metric::Coverage, 95.0), rate, (Metric::Queue, 7.0)]);
        assert_eq!(of(DataDay { day, ..DataDay::default() }), [rate]);
    }

    #[test]
    fn metrics_are_unique_and_ten_beyond_the_free_ten() {
        let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(names.len() <= 20);
    }
}
