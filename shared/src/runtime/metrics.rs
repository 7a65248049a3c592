//! Hands figures to CloudWatch: a bare line on standard output, beside the log.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::metrics::{Metric, line};

/// Whether standard output is CloudWatch's: it is where a function runs as such, and not where a lab runs it.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// From now on figures are written; [`super::log::init`] says so.
pub(super) fn begin() {
    WRITTEN.store(true, Ordering::Relaxed);
}

/// Hands figures to CloudWatch, in a process that has a log there. `at` is the moment that they are of (UTC).
#[expect(clippy::print_stdout, reason = "a line that the log wraps is no metric to CloudWatch")]
pub fn emit(pipeline: &str, at: Timestamp, figures: &[(Metric, usize)]) {
    if WRITTEN.load(Ordering::Relaxed) {
        println!("{}", line(pipeline, at, figures));
    }
}
