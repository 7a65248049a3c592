//! The events of the function.

use serde::Deserialize;

/// What it can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Event {
    /// Ask the warehouse all that is declared, or one check by its name.
    Validate {
        #[serde(default)]
        check: Option<String>,
    },
    /// Validate, if the round of this night did not.
    ValidateAgain,
    /// Have the warehouse start before the round.
    WarmUp,
}

/// All of them, for the error about another one.
pub(crate) const EVENTS: &str = r#"{"task": "validate"}, {"task": "validate", "check": "<name>"}, {"task": "validate-again"}, {"task": "warm-up"}"#;
