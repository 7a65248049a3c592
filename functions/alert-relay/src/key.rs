//! Chooses the routing key of PagerDuty for an event.
//!
//! PagerDuty groups and resolves by dedup key and routing key together, and silently drops a resolve through another routing
//! key (PagerDuty developer docs, Events API v2). So a fingerprint of the key that triggered is recorded.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use syncwatch::aws::secrets::SecretValues;

use crate::route::Action;
use crate::text::digest;

/// The length of a routing key (PagerDuty developer docs, Events API v2).
const ROUTING_KEY_CHARS: usize = 32;

/// The routing key of one integration.
#[derive(Debug, Clone)]
pub struct RoutingKey {
    pub value: SecretString,
    /// May be stored and logged.
    pub fingerprint: Fingerprint,
}

/// Identifies a routing key without revealing it: the first 16 hexadecimal digits of the key's SHA-256. A random key of 32
/// characters cannot be guessed from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Computes the fingerprint of a routing key.
    pub fn of(key: &str) -> Self {
        Self(digest(key, 8))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event without a routing key. No variant contains any part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The value has another form.
    #[error(
        "secret {place}: its {which} value is not a routing key of {ROUTING_KEY_CHARS} letters and digits. Store the \
         integration key of an \"Events API v2\" integration of the PagerDuty service"
    )]
    NotAKey {
        /// The secret, and the channel if the value is one of its `channels`.
        place: String,
        /// `current` or `previous`.
        which: &'static str,
    },
    /// The alert was triggered through a key that the secret no longer has.
    #[error(
        "secret {place}: it no longer has the routing key (fingerprint {fingerprint}) that triggered the alert, and no other \
         key can resolve it. Put that key back as \"previous\" beside \"current\", or resolve the alert in PagerDuty"
    )]
    Gone { place: String, fingerprint: Fingerprint },
}

impl RoutingKey {
    fn parse(place: &str, which: &'static str, value: &SecretString) -> Result<Self, KeyError> {
        let text = value.expose_secret();
        if text.len() != ROUTING_KEY_CHARS || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyError::NotAKey { place: place.to_owned(), which });
        }
        Ok(Self { value: value.clone(), fingerprint: Fingerprint::of(text) })
    }
}

/// Chooses the key for an event. `through` is the key that triggered the alert, if it is open.
///
/// * no alert is open                          => the current key
/// * that key is live                          => that key, also for updates: another would open a second alert
/// * that key is gone, and the event triggers  => the current key, because the alert must be sent
/// * that key is gone, and the event resolves  => an error, because no other key can resolve
pub fn choose(
    place: &str,
    values: &SecretValues,
    action: Action,
    through: Option<&Fingerprint>,
) -> Result<RoutingKey, KeyError> {
    let current = RoutingKey::parse(place, "current", &values.current);
    let Some(through) = through else { return current };
    let previous = values.previous.as_ref().map(|value| RoutingKey::parse(place, "previous", value));
    let live = [Some(current.clone()), previous.clone()].into_iter().flatten().flatten();
    if let Some(key) = live.into_iter().find(|key| key.fingerprint == *through) {
        return Ok(key);
    }
    let current = current?;
    if action == Action::Trigger {
        return Ok(current);
    }
    // An invalid previous value may be the wanted key, mistyped.
    previous.transpose()?;
    Err(KeyError::Gone { place: place.to_owned(), fingerprint: through.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "syncwatch/pagerduty";
    const OLD: &str = "0123456789abcdef0123456789ABCDEF";
    const NEW: &str = "R123456789abcdef0123456789ABCDEF";

    fn values(current: &str, previous: Option<&str>) -> SecretValues {
        SecretValues { previous: previous.map(Into::into), ..SecretValues::only(current.into()) }
    }

    fn chosen(values: &SecretValues, action: Action, through: Option<&str>) -> Result<String, KeyError> {
        let through = through.map(Fingerprint::of);
        let key = choose(SECRET, values, action, through.as_ref())?;
        assert_eq!(key.fingerprint, Fingerprint::of(key.value.expose_secret()));
        Ok(key.value.expose_secret().to_owned())
    }

    #[test]
    fn fingerprint_is_stable_and_does_not_reveal_the_key() {
        assert_eq!(Fingerprint::of(OLD), Fingerprint::of(OLD));
        assert_ne!(Fingerprint::of(OLD), Fingerprint::of(NEW));
        assert_eq!(Fingerprint::of(OLD).to_string().len(), 16);
    }

    #[test]
    fn new_alert_goes_through_the_current_key() {
        for action in [Action::Trigger, Action::Resolve] {
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, None).unwrap(), NEW);
        }
    }

    #[test]
    fn open_alert_keeps_the_key_that_triggered_it() {
        for action in [Action::Trigger, Action::Resolve] {
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, Some(OLD)).unwrap(), OLD);
            assert_eq!(chosen(&values(NEW, Some(OLD)), action, Some(NEW)).unwrap(), NEW);
        }
    }

    #[test]
    fn missing_key_stops_a_resolve_but_not_a_trigger() {
        let values = values(NEW, None);
        assert_eq!(chosen(&values, Action::Trigger, Some(OLD)).unwrap(), NEW);
        let error = chosen(&values, Action::Resolve, Some(OLD)).unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn invalid_routing_key_is_reported_without_its_value() {
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
