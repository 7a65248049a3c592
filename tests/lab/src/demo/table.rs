//! The closing table.

use std::fmt;

/// Who found a fault.
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

/// A fault that was found, told and mended. Times are in seconds.
pub(super) struct Row {
    pub(super) fault: &'static str,
    pub(super) key: &'static str,
    pub(super) by: Finder,
    pub(super) found: f64,
    pub(super) noticed: f64,
    pub(super) resolved: f64,
}

pub(super) fn print(rows: &[Row]) {
    println!("\n{:<56} {:>8} {:>11} {:>9} {:>10}", "fault", "found by", "found after", "noticed", "resolved");
    for Row { fault, by, found, noticed, resolved, .. } in rows {
        println!("{fault:<56} {by:>8} {found:>9.1} s {noticed:>7.1} s {resolved:>8.1} s");
    }
    println!(
        "(found by: the function that logged it first; found: its round began; noticed: its notice arrived;"
    );
    println!(
        " resolved: from the mending on. Times count from the break; of the first row from the end of the run, of the\n \
         poison from when it lay in the dead-letter queue.)"
    );
}
