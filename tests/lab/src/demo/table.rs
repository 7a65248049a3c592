//! The closing table.

use std::fmt;

/// The function that found a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finder {
    Poll,
    Webhook,
    Nightly,
}

impl fmt::Display for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Poll => "poll",
            Self::Webhook => "webhook",
            Self::Nightly => "nightly",
        })
    }
}

/// A fault that was found, reported and resolved. Times are in seconds.
pub(super) struct Row {
    pub(super) fault: &'static str,
    pub(super) key: &'static str,
    pub(super) by: Finder,
    pub(super) found: f64,
    pub(super) notified: f64,
    pub(super) resolved: f64,
}

pub(super) fn print(rows: &[Row]) {
    println!(
        "\n{:<56} {:>8} {:>11} {:>9} {:>10}",
        "fault", "found by", "found after", "notified", "resolved"
    );
    for Row { fault, by, found, notified, resolved, .. } in rows {
        println!("{fault:<56} {by:>8} {found:>9.1} s {notified:>7.1} s {resolved:>8.1} s");
    }
    println!(
        "found by: the function that logged it first. found after: from the break to the start of that round."
    );
    println!("notified: from the break to the notice. resolved: from the fix to the notice.");
    println!("Row 1 counts from the end of the run, the dead letters from their arrival in the queue.");
}
