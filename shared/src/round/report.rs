//! The report of a round: its JSON answer, and a summary for the log.

use jiff::Timestamp;
use serde::Serialize;

use super::SentNotice;
use crate::finding::{Finding, Outcome};
use crate::metrics::{Figure, Metric};

/// The most findings listed of each outcome; further ones are only counted. This keeps an answer far below the 6 MB that Lambda
/// allows, and memory independent of the number of syncs.
const LISTED: usize = 100;

/// The answer of one round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// One sentence for people.
    pub summary: String,
    pub pipeline: String,
    /// When the round began (UTC).
    pub at: Timestamp,
    pub counts: Counts,
    /// The unhealthy ones, worst first as far as they are listed.
    pub unhealthy: Vec<Finding>,
    pub not_evaluated: Vec<Finding>,
    pub notices: Vec<SentNotice>,
    /// Notices that a silence suppressed in this round.
    pub held_back: usize,
    /// Incidents open after this round, suppressed ones included.
    pub open_incidents: usize,
    /// Incidents of unknown checks, which this version leaves unchanged.
    pub unknown_incidents: usize,
    /// Effects that failed.
    pub failures: Vec<String>,
}

/// The number of findings by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub healthy: usize,
    pub unhealthy: usize,
    pub not_evaluated: usize,
}

impl Report {
    pub(super) fn new(pipeline: &str, at: Timestamp) -> Self {
        Self { pipeline: pipeline.to_owned(), at, ..Self::default() }
    }

    /// Counts findings, and keeps the unhealthy and the unevaluated ones.
    pub(super) fn add(&mut self, findings: &[Finding]) {
        for finding in findings {
            let (count, kept) = match finding.outcome {
                Outcome::Healthy { .. } => {
                    self.counts.healthy += 1;
                    continue;
                }
                Outcome::Unhealthy { .. } => (&mut self.counts.unhealthy, &mut self.unhealthy),
                Outcome::NotEvaluated { .. } => (&mut self.counts.not_evaluated, &mut self.not_evaluated),
            };
            *count += 1;
            if kept.len() < LISTED {
                kept.push(finding.clone());
            }
        }
    }

    pub(super) fn metrics(&self) -> [Figure; 4] {
        [
            (Metric::UnhealthyFindings, self.counts.unhealthy as f64),
            (Metric::UnjudgedFindings, self.counts.not_evaluated as f64),
            (Metric::OpenIncidents, self.open_incidents as f64),
            (Metric::Notices, self.notices.len() as f64),
        ]
    }

    /// Sorts the worst first and writes the summary.
    pub(super) fn conclude(&mut self) {
        self.unhealthy.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
        let Counts { healthy, unhealthy, not_evaluated } = self.counts;
        let held_back =
            if self.held_back > 0 { format!(" ({} more suppressed)", self.held_back) } else { String::new() };
        let worst = self.unhealthy.first().map_or(String::new(), |finding| format!("; worst: {finding}"));
        self.summary = format!(
            "{unhealthy} unhealthy, {not_evaluated} not evaluated, {healthy} healthy; {} notices{held_back}, {} open, {} failures{worst}",
            self.notices.len(),
            self.open_incidents,
            self.failures.len(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Check, Evidence, Severity};

    fn at() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn unhealthy(severity: Severity) -> Finding {
        Check::RunDue.about("s").unhealthy(severity, Evidence::new("late"), "cause")
    }

    #[test]
    fn report_counts_all_findings_and_names_the_worst() {
        let mut report = Report::new("p", at());
        report.add(&[
            Check::SyncExists.about("s").healthy(Evidence::new("there")),
            unhealthy(Severity::Warning),
            unhealthy(Severity::Critical),
            Check::Runtime.about("s").not_declared(),
        ]);
        report.conclude();
        assert_eq!(
            report.summary,
            "2 unhealthy, 1 not evaluated, 1 healthy; 0 notices, 0 open, 0 failures; worst: run-due s: critical, late"
        );
    }

    #[test]
    fn report_lists_a_bounded_number_of_findings() {
        let mut report = Report::new("p", at());
        report.add(&vec![unhealthy(Severity::Error); LISTED + 50]);
        assert_eq!((report.unhealthy.len(), report.counts.unhealthy), (LISTED, LISTED + 50));
    }
}
