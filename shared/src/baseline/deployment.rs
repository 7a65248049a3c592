//! Our own deployment in AWS, as a part of the definition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Part;

/// The table of functions, embedded at build time.
const TABLE: &str = include_str!("../../../infra/functions.json");

/// The settings of each subject in words, by its name without the prefix of the deployment.
pub type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// The deployment in AWS. It has names of environment variables but no values, and no recipient of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    pub functions: Part<Settings>,
    pub alarms: Part<Settings>,
    /// The number of confirmed and unconfirmed subscriptions by protocol.
    pub topics: Part<Settings>,
}

#[derive(Deserialize)]
struct Declared {
    functions: BTreeMap<String, DeclaredFunction>,
}

#[derive(Deserialize)]
struct DeclaredFunction {
    memory_mb: i32,
    timeout_s: i32,
}

/// Returns the settings of each function that `infra/functions.json` declares.
pub fn declared_functions() -> Settings {
    // A test parses the embedded table.
    let table: Declared = serde_json::from_str(TABLE).unwrap_or(Declared { functions: BTreeMap::new() });
    let settings = |DeclaredFunction { memory_mb, timeout_s }| function_limits(memory_mb, timeout_s);
    table.functions.into_iter().map(|(name, function)| (name, settings(function))).collect()
}

/// Returns the limits of a function in words.
pub fn function_limits(memory_mb: i32, timeout_s: i32) -> BTreeMap<String, String> {
    [("memory", format!("{memory_mb} MB")), ("timeout", format!("{timeout_s} s"))]
        .map(|(setting, value)| (setting.to_owned(), value))
        .into()
}

impl Deployment {
    /// Replaces accepted limits of functions by those that `infra/functions.json` declares.
    pub(super) fn with_declared(&mut self) {
        let Part::Known(functions) = &mut self.functions else { return };
        for (name, declared) in declared_functions() {
            if let Some(accepted) = functions.get_mut(&name) {
                accepted.extend(declared);
            }
        }
    }

    pub(super) fn kinds(&self) -> [(&'static str, &Part<Settings>); 3] {
        [("function", &self.functions), ("alarm", &self.alarms), ("topic", &self.topics)]
    }
}
