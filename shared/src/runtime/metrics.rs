//! Hands figures to CloudWatch: a bare line on standard output, beside the log.

use jiff::Timestamp;

use crate::metrics::{Metric, line};
use crate::report::Report;

/// Hands figures to CloudWatch. `at` is the moment that they are of (UTC).
#[expect(clippy::print_stdout, reason = "a line that the log wraps is no metric to CloudWatch")]
pub fn emit(pipeline: &str, at: Timestamp, figures: &[(Metric, usize)]) {
    println!("{}", line(pipeline, at, figures));
}

/// The figures of a round, whoever ran it.
pub fn of_round<N>(report: &Report<N>) -> [(Metric, usize); 4] {
    [
        (Metric::UnhealthyFindings, report.counts.unhealthy),
        (Metric::UnjudgedFindings, report.counts.not_evaluated),
        (Metric::OpenIncidents, report.open_incidents),
        (Metric::Notices, report.notices.len()),
    ]
}
