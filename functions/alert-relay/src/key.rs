//! The routing keys of PagerDuty: which of the live ones an event goes through.
//!
//! PagerDuty folds and resolves by dedup key and routing key together, and drops a resolve through another routing key
//! silently (PagerDuty developer docs, Events API v2). So the key that triggered is remembered, as a fingerprint.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use syncwatch::aws::secrets::SecretValues;

use crate::route::Action;
use crate::text::digest;

/// A routing key has so many characters (PagerDuty developer docs, Events API v2).
const ROUTING_KEY_CHARS: usize = 32;

/// A key of one integration.
#[derive(Debug, Clone)]
pub struct RoutingKey {
    /// To be sent to PagerDuty and nowhere else.
    pub value: SecretString,
    /// May be stored.
    pub fingerprint: Fingerprint,
}

/// Tells routing keys apart without being one: the first 16 hexadecimal digits of the key's SHA-256. A random key of 32
/// characters cannot be guessed from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// The fingerprint of a routing key.
    pub fn of(key: &str) -> Self {
        Self(digest(key, 8))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no routing key for an event. No variant holds any part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret holds something else.
    #[error(
        "secret {secret}: its {which} value is not a routing key of {ROUTING_KEY_CHARS} letters and digits. Put the \
         integration key of an \"Events API v2\" integration of the PagerDuty service"
    )]
    NotAKey {
        secret: String,
        /// `current` or `previous`.
        which: &'static str,
    },
    /// The alert was triggered through a key that the secret does not hold any more.
    #[error(
        "secret {secret}: the alert was triggered through a routing key (fingerprint {fingerprint}) that is not there any \
         more, and only that key can resolve it. Put it back as \"previous\" beside \"current\", or resolve the alert in \
         PagerDuty"
    )]
    Gone { secret: String, fingerprint: Fingerprint },
}

impl RoutingKey {
    fn parse(secret: &str, which: &'static str, value: &SecretString) -> Result<Self, KeyError> {
        let text = value.expose_secret();
        if text.len() != ROUTING_KEY_CHARS || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyError::NotAKey { secret: secret.to_owned(), which });
        }
        Ok(Self { value: value.clone(), fingerprint: Fingerprint::of(text) })
    }
}

/// The key for an event. `through` is the key through which the alert is open, if it is.
///
/// * nothing is open                    => the current key
/// * that key is live                   => that key, also for updates: through another they would open a second alert
/// * that key is gone, and it triggers  => the current key, for the alert must go out
/// * that key is gone, and it resolves  => an error, for no other key can
pub fn choose(
    secret: &str,
    values: &SecretValues,
    action: Action,
    through: Option<&Fingerprint>,
) -> Result<RoutingKey, KeyError> {
    let current = RoutingKey::parse(secret, "current", &values.current);
    let Some(through) = through else { return current };
    let previous = values.previous.as_ref().map(|value| RoutingKey::parse(secret, "previous", value));
    let live = [Some(current.clone()), previous.clone()].into_iter().flatten().flatten();
    if let Some(key) = live.into_iter().find(|key| key.fingerprint == *through) {
        return Ok(key);
    }
    let current = current?;
    if action == Action::Trigger {
        return Ok(current);
    }
    // A value that is not a key may well be the one that is wanted, mistyped.
    previous.transpose()?;
    Err(KeyError::Gone { secret: secret.to_owned(), fingerprint: through.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "syncwatch/pagerduty";
    const OLD: &str = "0123456789abcdef0123456789ABCDEF";
    const NEW: &str = "R123456789abcdef0123456789ABCDEF";

    fn values(current: &str, previous: Option<&str>) -> SecretValues {
        SecretValues { current: current.into(), previous: previous.map(Into::into), webhook_id: None }
    }

    fn chosen(values: &SecretValues, action: Action, through: Option<&str>) -> Result<String, KeyError> {
        let through = through.map(Fingerprint::of);
        let key = choose(SECRET, values, action, through.as_ref())?;
        assert_eq!(key.fingerprint, Fingerprint::of(key.value.expose_secret()));
        Ok(key.value.expose_secret().to_owned())
    }

    #[test]
    fn fingerprint_is_stable_and_shows_nothing_of_the_key() {
        assert_eq!(Fingerprint::of(OLD), Fingerprint::of(OLD));
        assert_ne!(Fingerprint::of(OLD), Fingerprint::of(NEW));
        assert_eq!(Fingerprint::of(OLD).to_string().len(), 16);
    }

    #[test]
    fn a_new_alert_goes_through_the_current_key() {
        for action in [Action::Trigger, Action::Resolve] {
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, None).unwrap(), NEW);
        }
    }

    #[test]
    fn an_open_alert_stays_with_the_key_that_triggered_it() {
        for action in [Action::Trigger, Action::Resolve] {
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, Some(OLD)).unwrap(), OLD);
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, Some(NEW)).unwrap(), NEW);
        }
    }

    #[test]
    fn a_key_that_is_gone_stops_a_resolve_and_no_trigger() {
        let values = values(NEW, None);
        assert_eq!(chosen(&values, Action::Trigger, Some(OLD)).unwrap(), NEW);
        let error = chosen(&values, Action::Resolve, Some(OLD)).unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn what_is_no_routing_key_is_told_without_being_shown() {
        let mut texts = Vec::new();
        for (current, previous) in
            [("hunter2", None), ("https://events.pagerduty.com/integra", None), (NEW, Some("hunter2"))]
        {
            let error = chosen(&values(current, previous), Action::Resolve, Some(OLD)).unwrap_err();
            texts.push(error.to_string());
        }
        let text = texts.join("\n");
        assert!(!text.contains("hunter2"));
        insta::assert_snapshot!(text);
    }
}
