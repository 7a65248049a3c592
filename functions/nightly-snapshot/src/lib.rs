#![doc = include_str!("../README.md")]

pub mod act;
pub mod days;
pub mod missing;
mod night;
pub mod observe;
pub mod plan;
pub mod rows;
pub mod statements;
mod table;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::finding::Judge;
use syncwatch::round::{Report, Round};
use syncwatch::runtime::{Needs, Site, env, read_event};

use days::Scope;
use night::Outcome;
pub use night::{Summary, WAREHOUSE_LIMIT};

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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    /// Write the day that ends, the day before and the days that earlier nights missed; or one given day.
    Snapshot {
        #[serde(default)]
        date: Option<Date>,
    },
}

const EVENTS: &str = r#"{"task": "snapshot"}, {"task": "snapshot", "date": "2026-11-24"}"#;

/// The answer of a round.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    snapshot: Summary,
    /// The same as a table for people.
    table: String,
}

/// The function, with its settings.
#[derive(Debug)]
pub struct App(pub Site);

impl App {
    /// Handles one event that arrived at `now`. Fails if the event is unknown, or if anything was not recorded or sent.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let Event::Snapshot { date } = read_event(event, EVENTS)?;
        let scope = days::scope(date, &self.0.pipeline.time_zone, now)?;
        // Boxed, because the compiler gives up on a future of this depth.
        Ok(serde_json::to_value(Box::pin(self.snapshot(scope, now)).await?)?)
    }

    /// Runs one round: observe, plan and write; then judge and act.
    async fn snapshot(&self, scope: Scope, now: Timestamp) -> anyhow::Result<Answer> {
        let pipeline = &self.0.pipeline;
        let mut round = Round::begin(&self.0, Judge::NightlySnapshot, now).await?;
        let mut outcome = match pipeline.warehouse.as_ref().zip(pipeline.snapshot.as_ref()) {
            Some((warehouse, snapshot)) => {
                let outcome = night::write(&self.0, round.store(), warehouse, snapshot, scope, now).await?;
                let record = match scope {
                    Scope::Night => night::record(&mut round, &pipeline.name, &outcome, now).await,
                    Scope::Day(_) => None,
                };
                round.act_on(&outcome.judged(pipeline, scope, record.as_ref(), now)).await;
                outcome
            }
            None => Outcome::nothing("pipeline.toml declares no [snapshot]: nothing is written"),
        };
        if scope == Scope::Night {
            round.conclude().await;
        }
        let figures = night::metrics(&mut round, pipeline, scope, outcome.history.take(), now).await;
        tracing::info!(snapshot = ?outcome.summary, "snapshot done");
        Ok(Answer { report: round.finish(&figures)?, snapshot: outcome.summary, table: outcome.table })
    }
}
