#![doc = include_str!("../README.md")]

mod chosen;
mod event;
mod night;
mod observe;
pub mod rows;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::runtime::{Needs, Site, env, read_event};

use event::EVENTS;

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

/// Limits on waiting for the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Limit for all comparisons of a round together, including the start of the warehouse.
    pub round: Duration,
    /// Limit for one statement.
    pub statement: Duration,
}

impl Default for Patience {
    /// 80 s and 60 s: the rest of the function's time is for reading Census, writing rows and acting on the findings.
    fn default() -> Self {
        Self { round: Duration::from_secs(80), statement: Duration::from_secs(60) }
    }
}

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
