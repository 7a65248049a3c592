#![doc = include_str!("../README.md")]

pub mod driver;
pub mod ports;
mod vendors;

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::finding::Judge;
use syncwatch::incident::Incident;
use syncwatch::judge::judge_remedies;
use syncwatch::metrics::of_remedies;
use syncwatch::observe::definition::read_declared_views;
use syncwatch::remedy::{SCORED, score};
use syncwatch::round::{Report, Round};
use syncwatch::runtime::{Needs, Site, env, read_event};

use driver::Done;
pub use vendors::PATIENCE;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::CENSUS_SECRET,
        env::WAREHOUSE_SECRET,
        env::NOTICES_QUEUE,
        env::NOTICES_DEAD_LETTERS,
        env::WEBHOOK_SECRET,
    ],
    optional: &[env::CENSUS_BASE_URL, env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Heal,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(Site);

impl App {
    /// Reads the views that the files beside `pipeline.toml` declare. Fails if one of these is invalid.
    pub fn new(mut site: Site) -> anyhow::Result<Self> {
        let path = site.setting(env::PIPELINE).to_owned();
        read_declared_views(&mut site.pipeline, Path::new(&path))?;
        Ok(Self(site))
    }

    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if anything was not recorded or sent.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let Event::Heal = read_event(event, r#"{"task": "heal"}"#)?;
        // Boxed, because the compiler gives up on a future of this depth.
        Ok(serde_json::to_value(Box::pin(self.heal(now)).await?)?)
    }

    /// Runs one round.
    async fn heal(&self, now: Timestamp) -> anyhow::Result<Report> {
        let name = &self.0.pipeline.name;
        let mut round = Round::begin(&self.0, Judge::Remedies, now).await?;
        let turn = round.store().take_turn(name, now).await?;
        let (records, unreadable) = round.store().remedies(name).await?;
        for error in &unreadable {
            round.add_failure(error.to_string());
        }
        let all_read = unreadable.is_empty();
        let incidents: Vec<Incident> = round.live().cloned().collect();
        // Without all records the budgets are unknown; without the turn another function works.
        let (records, done) = match turn.is_some() && all_read {
            true => vendors::drive(&self.0, &incidents, records, now).await?,
            false => (records, Done::default()),
        };
        done.failures.into_iter().for_each(|failure| round.add_failure(failure));
        round.act_on(&judge_remedies(&records, &self.0.pipeline, now)).await;
        round.conclude().await;
        round.record_if_good().await;
        if let Some(turn) = turn {
            round.store().end_turn(&turn).await?;
        }
        // The acts alone count, so no ended incident is read.
        let figures = of_remedies(&score(&records, &[], now - SCORED, now));
        Ok(round.finish(if all_read { &figures } else { &[] })?)
    }
}

#[cfg(test)]
mod tests;
