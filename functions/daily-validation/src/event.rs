//! The events of the function.

use serde::Deserialize;

/// A task of the function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Event {
    /// Run all declared checks, or the one with this name.
    Validate {
        #[serde(default)]
        check: Option<String>,
    },
    /// Validate, unless tonight's round succeeded.
    ValidateAgain,
    /// Start the warehouse before the round.
    WarmUp,
}

/// Lists all events, for the error about an unknown one.
pub(crate) const EVENTS: &str = r#"{"task": "validate"}, {"task": "validate", "check": "<name>"}, {"task": "validate-again"}, {"task": "warm-up"}"#;
