//! The functions' own metrics, in CloudWatch's embedded metric format. Pure.
//!
//! One line of JSON on standard output holds the figures and their declarations; CloudWatch extracts metrics from it
//! without an API call (CloudWatch's "Embedded metric format specification"). The pipeline is the only dimension:
//! CloudWatch bills per name and dimension, and the first ten metrics of an account are free: each further one
//! costs 0.30 USD a month.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Syncwatch";
/// The only dimension of the metrics.
pub const DIMENSION: &str = "Pipeline";

/// Declares [`Metric`]; the name of a variant is its name in CloudWatch.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $name:ident,)+) => {
        /// A metric. All are counts; a dashboard shows their sum or, for the first three and the goals, their maximum.
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
        }
    };
}

metrics! {
    UnhealthyFindings,
    UnjudgedFindings,
    OpenIncidents,
    Notices,
    /// Finished rounds of schedule-verification: none for minutes means that the syncs are not watched.
    Rounds,
    /// Complete rounds of daily-validation. A ping does not count, so it clears no alarm.
    Validations,
    /// Complete rounds of nightly-snapshot.
    Snapshots,
    /// Complete rounds of configuration-audit.
    Audits,
    /// Complete rounds of reconciliation.
    Reconciliations,
    /// Goals of the scoreboard that were not met on the last whole day, unknown ones included.
    GoalsMissed,
    Webhooks,
    /// Refused webhooks: unsigned, malformed or too large.
    RefusedWebhooks,
    /// Statements sent to the warehouse, which bills for the time it runs.
    Statements,
}

/// Builds the line that reports these figures to CloudWatch.
pub fn line(pipeline: &str, at: Timestamp, figures: &[(Metric, usize)]) -> String {
    let declared: Vec<Value> =
        figures.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": "Count" })).collect();
    let head = json!({
        "Timestamp": at.as_millisecond(),
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [[DIMENSION]],
            "Metrics": declared,
        }],
    });
    let head = [("_aws".to_owned(), head), (DIMENSION.to_owned(), json!(pipeline))];
    let held = figures.iter().map(|(metric, figure)| (metric.name().to_owned(), json!(figure)));
    Value::Object(head.into_iter().chain(held).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn line_is_one_object_that_declares_exactly_its_figures() {
        let at: Timestamp = "2026-11-25T12:00:00.250Z".parse().unwrap();
        let figures: Vec<(Metric, usize)> = Metric::ALL.into_iter().zip(1..).collect();
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
            .map(|metric| {
                assert_eq!(metric["Unit"], "Count");
                metric["Name"].as_str().unwrap()
            })
            .collect();
        let held: BTreeSet<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(held.difference(&declared).copied().collect::<Vec<_>>(), ["Pipeline", "_aws"]);
    }

    #[test]
    fn metric_names_are_unique_and_three_beyond_the_free_ten() {
        let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(names.len() <= 13);
    }
}
