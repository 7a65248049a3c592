//! The events of the function.

use serde::Deserialize;

/// A task of the function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Event {
    /// Compare all objects, or the one with this name.
    Reconcile {
        #[serde(default)]
        object: Option<String>,
    },
    /// Compare the objects with wrong records that are not confirmed yet, and those that were left out tonight.
    LookAgain,
}

/// Lists all events, for the error about an unknown one.
pub(crate) const EVENTS: &str =
    r#"{"task": "reconcile"}, {"task": "reconcile", "object": "<name>"}, {"task": "look-again"}"#;
