//! Reports figures to CloudWatch: a bare line on standard output, beside the log.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::metrics::{Figure, line};

/// Whether standard output goes to CloudWatch: true in a deployed function, false in a lab.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// Enables the output of figures; called by [`super::log::init`].
pub(super) fn begin() {
    WRITTEN.store(true, Ordering::Relaxed);
}

/// Reports figures to CloudWatch, if enabled. `at` is their time (UTC).
#[expect(clippy::print_stdout, reason = "CloudWatch ignores metrics in a line that the log wraps")]
pub fn emit(pipeline: &str, at: Timestamp, figures: &[Figure]) {
    if WRITTEN.load(Ordering::Relaxed) {
        println!("{}", line(pipeline, at, figures));
    }
}
