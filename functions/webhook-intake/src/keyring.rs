//! The live signing secrets, and when Secrets Manager is asked for them: never as often as a stranger likes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::secrets::{CACHED_FOR, SecretError, SecretStore, SecretValues};

/// After a wrong signature the secret is read again, for it may just have been rotated; at most this often, for it may
/// just as well be a stranger who tries.
const ASK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// While there is no secret at all, it is asked for at most this often.
const ASK_AGAIN_WITHOUT: SignedDuration = SignedDuration::from_secs(5);

/// Why there is no secret to verify with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoKeys {
    /// AWS did not answer, or not now.
    #[error("{0}")]
    Passing(String),
    /// The operator has to correct it: it is empty, malformed, missing or denied.
    #[error("{0}")]
    Unusable(String),
}

/// Why Secrets Manager is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    NoneHeld,
    Old,
    /// The secret at hand did not fit.
    Refused,
}

/// Decides whether Secrets Manager is asked; `None` if the secret at hand will do, or that was done just now.
/// `held_since` is when the secret at hand was read, if there is one; `asked_at` when it was last asked for, whatever came
/// of it; `refused` whether the secret at hand did not fit.
fn asking(
    held_since: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    refused: bool,
    now: Timestamp,
) -> Option<Because> {
    // A clock that was set back must not prolong anything.
    let within = |since: Timestamp, limit| (SignedDuration::ZERO..limit).contains(&now.duration_since(since));
    let (because, pause) = match held_since {
        None => (Because::NoneHeld, ASK_AGAIN_WITHOUT),
        Some(since) if !within(since, CACHED_FOR) => (Because::Old, ASK_AGAIN_AFTER),
        Some(_) if refused => (Because::Refused, ASK_AGAIN_AFTER),
        Some(_) => return None,
    };
    asked_at.is_none_or(|asked| !within(asked, pause)).then_some(because)
}

/// Holds the live secrets.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: SecretStore,
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Result<SecretValues, NoKeys>,
    /// `None` for what was read when the function started, before there was a clock.
    read_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl Keyring {
    /// Reads the secret for the first time. [`Keyring::trouble`] and [`Keyring::keys`] say if it cannot be used.
    pub(crate) async fn open(store: SecretStore, name: String) -> Self {
        let keys = store.read(&name).await.map_err(|error| no_keys(&error));
        Self { store, name, state: Mutex::new(State { keys, read_at: None, asked_at: None }) }
    }

    /// Why there are no keys, if there are none.
    pub(crate) fn trouble(&self) -> Option<NoKeys> {
        self.lock().keys.as_ref().err().cloned()
    }

    /// The keys at hand, read anew if they are old or missing.
    pub(crate) async fn keys(&self, now: Timestamp) -> Result<SecretValues, NoKeys> {
        self.ask(false, now).await;
        self.lock().keys.clone()
    }

    /// Other keys than those that did not fit, if it is time to ask for them.
    pub(crate) async fn keys_after_refusal(&self, now: Timestamp) -> Option<SecretValues> {
        let asked = self.ask(true, now).await;
        if asked { self.lock().keys.clone().ok() } else { None }
    }

    /// Asks if it is time to; whether it did.
    async fn ask(&self, refused: bool, now: Timestamp) -> bool {
        let because = {
            let mut state = self.lock();
            let held_since = state.keys.is_ok().then(|| *state.read_at.get_or_insert(now));
            let Some(because) = asking(held_since, state.asked_at, refused, now) else { return false };
            state.asked_at = Some(now);
            because
        };
        let read = self.store.read(&self.name).await.map_err(|error| no_keys(&error));
        tracing::info!(?because, usable = read.is_ok(), "the webhook secret was read");
        let mut state = self.lock();
        match (&read, &state.keys) {
            // That AWS does not answer takes nothing from the keys at hand.
            (Err(NoKeys::Passing(why)), Ok(_)) => {
                tracing::warn!(%why, "the webhook secret at hand is used on");
            }
            _ => {
                state.read_at = read.is_ok().then_some(now);
                state.keys = read;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment, so a panic elsewhere while it was held does not spoil it.
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
    fn secrets_manager_is_asked_when_it_can_help_and_not_as_often_as_a_stranger_likes() {
        use Because::{NoneHeld, Old, Refused};
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        let table = [
            // Held, asked, refused => asked because
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
