//! Waiting for what tells nobody that it happened, such as the depth of a queue.

use std::time::Duration;

use anyhow::{Result, bail};

/// How often it is looked for.
const PULSE: Duration = Duration::from_millis(20);

/// Looks until there is something to be seen, and answers with it.
///
/// # Errors
/// Looking failed, or there was nothing within `limit`; names `what` was waited for.
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
        Err(_) => bail!("{what} did not come about within {} s", limit.as_secs()),
    }
}
