//! Shows the progress of long waits in a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use syncwatch::text::grouped;
use tokio::time::{Instant, interval_at};

use crate::arguments::Command;

/// Delay of the first line; faster commands show none.
const FIRST: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);

/// The rows that streams read so far; a terminal shows the progress of one command.
static ROWS: AtomicU64 = AtomicU64::new(0);

/// Reports the number of rows that streams read so far.
pub fn read(rows: u64) {
    ROWS.store(rows, Ordering::Relaxed);
}

/// Runs work and shows the elapsed time every second.
pub async fn shown<F: Future>(work: F, show: &mut dyn FnMut(Duration)) -> F::Output {
    let began = Instant::now();
    let mut ticks = interval_at(began + FIRST, EVERY);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            now = ticks.tick() => show(now.duration_since(began)),
        }
    }
}

/// Returns the progress line of a command.
pub fn line(command: &Command, waited: Duration) -> String {
    let rows = ROWS.load(Ordering::Relaxed);
    let what = match command {
        Command::WarehouseApply { .. } | Command::StakeholderNotice { .. } => {
            "waiting for the warehouse; a stopped one takes minutes to start"
        }
        Command::Reconcile(_) if rows > 0 => &format!("comparing, {} rows read", grouped(rows)),
        Command::Reconcile(_) => "comparing in the warehouse; a stopped one takes minutes to start",
        Command::Doctor { .. } => "checking the deployment",
        Command::AlertTest { .. } => "the test is open",
        Command::AlarmTest { .. } => "waiting for the alarm history",
        _ => "waiting for AWS and Census",
    };
    format!("{what} ({} s)", waited.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn long_wait_is_shown_every_second_and_a_short_one_never() {
        let mut seconds = Vec::new();
        for wait in [1_500, 4_500] {
            let work = tokio::time::sleep(Duration::from_millis(wait));
            shown(work, &mut |waited| seconds.push(waited.as_secs())).await;
        }
        assert_eq!(seconds, [2, 3, 4]);
        assert_eq!(line(&Command::Status, FIRST), "waiting for AWS and Census (2 s)");
    }
}
