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
    /// Somebody has to put it right: it is empty, malformed, missing or denied.
    #[error("{0}")]
    Unusable(String),
}

/// What the keys are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A first look.
    ToVerify,
    /// A second look, after those at hand did not fit.
    AfterRefusal,
}

/// Whether Secrets Manager is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// There is none at hand.
    NoneHeld,
    Old,
    /// The one at hand did not fit.
    Refused,
    /// Not asked: the one at hand will do.
    Fresh,
    /// Not asked: that was done just now.
    JustAsked,
}

/// Decides whether Secrets Manager is asked. `held_since` is when the secret at hand was read, if there is one;
/// `asked_at` when it was last asked for, whatever came of it.
fn asking(
    held_since: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    wanted: Wanted,
    now: Timestamp,
) -> Asking {
    // A clock that was set back must not prolong anything.
    let within = |since: Timestamp, limit| (SignedDuration::ZERO..limit).contains(&now.duration_since(since));
    let (because, pause) = match held_since {
        None => (Asking::NoneHeld, ASK_AGAIN_WITHOUT),
        Some(since) if !within(since, CACHED_FOR) => (Asking::Old, ASK_AGAIN_AFTER),
        Some(_) if wanted == Wanted::AfterRefusal => (Asking::Refused, ASK_AGAIN_AFTER),
        Some(_) => return Asking::Fresh,
    };
    if asked_at.is_some_and(|asked| within(asked, pause)) { Asking::JustAsked } else { because }
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
    /// Reads the secret for the first time. What is wrong with it is told by [`Keyring::trouble`] and [`Keyring::keys`].
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
        self.ask(Wanted::ToVerify, now).await;
        self.lock().keys.clone()
    }

    /// Other keys than those that did not fit, if it is time to ask for them.
    pub(crate) async fn keys_after_refusal(&self, now: Timestamp) -> Option<SecretValues> {
        let asked = self.ask(Wanted::AfterRefusal, now).await;
        if asked { self.lock().keys.clone().ok() } else { None }
    }

    /// Asks if it is time to; whether it did.
    async fn ask(&self, wanted: Wanted, now: Timestamp) -> bool {
        let asking = {
            let mut state = self.lock();
            let held_since = state.keys.is_ok().then(|| *state.read_at.get_or_insert(now));
            let asking = asking(held_since, state.asked_at, wanted, now);
            if !matches!(asking, Asking::Fresh | Asking::JustAsked) {
                state.asked_at = Some(now);
            }
            asking
        };
        if matches!(asking, Asking::Fresh | Asking::JustAsked) {
            return false;
        }
        let read = self.store.read(&self.name).await.map_err(|error| no_keys(&error));
        tracing::info!(because = ?asking, usable = read.is_ok(), "the webhook secret was read");
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
        use Wanted::{AfterRefusal, ToVerify};
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        let table = [
            // Held, asked, wanted => asked?
            (None, None, ToVerify, Asking::NoneHeld),
            (None, ago(4), ToVerify, Asking::JustAsked),
            (None, ago(5), ToVerify, Asking::NoneHeld),
            (ago(0), None, ToVerify, Asking::Fresh),
            (ago(899), ago(899), ToVerify, Asking::Fresh),
            (ago(900), ago(900), ToVerify, Asking::Old),
            (ago(900), ago(59), ToVerify, Asking::JustAsked),
            (ago(900), ago(60), ToVerify, Asking::Old),
            (ago(0), None, AfterRefusal, Asking::Refused),
            (ago(100), ago(59), AfterRefusal, Asking::JustAsked),
            (ago(100), ago(60), AfterRefusal, Asking::Refused),
            // The clock was set back.
            (ago(-10), ago(-10), ToVerify, Asking::Old),
            (ago(-10), ago(-10), AfterRefusal, Asking::Old),
        ];
        for (held, asked, wanted, expected) in table {
            assert_eq!(asking(held, asked, wanted, now), expected, "{held:?} {asked:?} {wanted:?}");
        }
    }
}
