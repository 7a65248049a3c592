//! Keeps the live signing secrets, and limits how often strangers can cause reads of Secrets Manager.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::secrets::{CACHED_FOR, SecretError, SecretStore, SecretValues};

/// After a wrong signature the secret is read again, because it may just have been rotated; at most this often, because the
/// sender may be a stranger.
const ASK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// Without a usable secret, it is read at most this often.
const ASK_AGAIN_WITHOUT: SignedDuration = SignedDuration::from_secs(5);

/// The reason why there is no usable secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoKeys {
    /// AWS did not answer, or was throttling: a retry may help.
    #[error("{0}")]
    Passing(String),
    /// The operator must fix it: the secret is empty, malformed, missing or denied.
    #[error("{0}")]
    Unusable(String),
}

/// The reason for reading the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    NoneHeld,
    Old,
    /// The cached secret did not match a signature.
    Refused,
}

/// Decides whether to read the secret; `None` if the cached one suffices, or the last attempt is too recent. `held_since` is
/// when the cached secret was read, if there is one; `asked_at` is the last attempt, successful or not; `refused` is whether
/// the cached secret did not match a signature.
fn asking(
    held_since: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    refused: bool,
    now: Timestamp,
) -> Option<Because> {
    // A clock that was set back must not extend a period.
    let within = |since: Timestamp, limit| (SignedDuration::ZERO..limit).contains(&now.duration_since(since));
    let (because, pause) = match held_since {
        None => (Because::NoneHeld, ASK_AGAIN_WITHOUT),
        Some(since) if !within(since, CACHED_FOR) => (Because::Old, ASK_AGAIN_AFTER),
        Some(_) if refused => (Because::Refused, ASK_AGAIN_AFTER),
        Some(_) => return None,
    };
    asked_at.is_none_or(|asked| !within(asked, pause)).then_some(because)
}

/// Caches the live secrets.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: SecretStore,
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Result<SecretValues, NoKeys>,
    /// `None` for the secret that was read at the start, before the first event gave the time.
    read_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl Keyring {
    /// Reads the secret for the first time. [`Keyring::trouble`] and [`Keyring::keys`] report whether it is unusable.
    pub(crate) async fn open(store: SecretStore, name: String) -> Self {
        let keys = store.read(&name).await.map_err(|error| no_keys(&error));
        Self { store, name, state: Mutex::new(State { keys, read_at: None, asked_at: None }) }
    }

    /// The reason why there are no keys, if there are none.
    pub(crate) fn trouble(&self) -> Option<NoKeys> {
        self.lock().keys.as_ref().err().cloned()
    }

    /// Returns the keys, read again if they are old or missing.
    pub(crate) async fn keys(&self, now: Timestamp) -> Result<SecretValues, NoKeys> {
        self.ask(false, now).await;
        self.lock().keys.clone()
    }

    /// Reads the keys again after a wrong signature; `None` if the last read is too recent.
    pub(crate) async fn keys_after_refusal(&self, now: Timestamp) -> Option<SecretValues> {
        let asked = self.ask(true, now).await;
        if asked { self.lock().keys.clone().ok() } else { None }
    }

    /// Reads the secret if a read is due; returns whether it did.
    async fn ask(&self, refused: bool, now: Timestamp) -> bool {
        let because = {
            let mut state = self.lock();
            let held_since = state.keys.is_ok().then(|| *state.read_at.get_or_insert(now));
            let Some(because) = asking(held_since, state.asked_at, refused, now) else { return false };
            state.asked_at = Some(now);
            because
        };
        let read = self.store.read(&self.name).await.map_err(|error| no_keys(&error));
        tracing::info!(?because, usable = read.is_ok(), "webhook secret read");
        let mut state = self.lock();
        match (&read, &state.keys) {
            // A failed read does not invalidate the cached keys.
            (Err(NoKeys::Passing(why)), Ok(_)) => {
                tracing::warn!(%why, "webhook secret kept");
            }
            _ => {
                state.read_at = read.is_ok().then_some(now);
                state.keys = read;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every moment, so a panic of another holder does not corrupt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_keys(error: &SecretError) -> NoKeys {
    match error {
        SecretError::Aws(aws) if aws.fault().is_passing() => NoKeys::Passing(error.to_string()),
        _ => NoKeys::Unusable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_read_when_old_or_refused_at_a_limited_rate() {
        use Because::{NoneHeld, Old, Refused};
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        let table = [
            // held since, last attempt, refused => reason for a read
            (None, None, false, Some(NoneHeld)),
            (None, ago(4), false, None),
            (None, ago(5), false, Some(NoneHeld)),
            (ago(0), None, false, None),
            (ago(899), ago(899), false, None),
            (ago(900), ago(900), false, Some(Old)),
            (ago(900), ago(59), false, None),
            (ago(900), ago(60), false, Some(Old)),
            (ago(0), None, true, Some(Refused)),
            (ago(100), ago(59), true, None),
            (ago(100), ago(60), true, Some(Refused)),
            // The clock was set back.
            (ago(-10), ago(-10), false, Some(Old)),
            (ago(-10), ago(-10), true, Some(Old)),
        ];
        for (held, asked, refused, expected) in table {
            assert_eq!(asking(held, asked, refused, now), expected, "{held:?} {asked:?} {refused}");
        }
    }
}
