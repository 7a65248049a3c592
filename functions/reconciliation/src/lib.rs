#![doc = include_str!("../README.md")]

mod chosen;
mod event;
mod night;
mod observe;
pub mod rows;

use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::runtime::{Needs, Site, env, read_event};

use event::EVENTS;
pub use syncwatch::runtime::warehouse::Patience;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::CENSUS_SECRET,
        env::WAREHOUSE_SECRET,
    ],
    optional: &[env::CENSUS_BASE_URL, env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

/// The function, with its settings and time limits.
#[derive(Debug)]
pub struct App {
    site: Site,
    patience: Patience,
}

impl App {
    /// Builds the function with the default limits.
    pub fn new(site: Site) -> Self {
        Self { site, patience: Patience::default() }
    }

    /// Replaces the limits on waiting.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if anything was not recorded or sent.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let event = read_event(event, EVENTS)?;
        // Boxed, because the compiler gives up on a future of this depth.
        Ok(serde_json::to_value(Box::pin(night::round(&self.site, self.patience, &event, now)).await?)?)
    }
}
