//! Polls for changes that send no event, such as the depth of a queue.

use std::time::Duration;

use anyhow::{Result, bail};

/// The polling interval.
const PULSE: Duration = Duration::from_millis(20);

/// Calls `look` until it returns a value.
///
/// # Errors
/// `look` failed, or returned nothing within `limit`; the error names `what`.
pub async fn until<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let looking = async {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pulse.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(seen) => seen,
        Err(_) => bail!("timed out after {} s waiting for {what}", limit.as_secs()),
    }
}
