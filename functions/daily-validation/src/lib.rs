#![doc = include_str!("../README.md")]

mod act;
mod event;
mod night;
pub mod observe;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::data_checks::table;
use syncwatch::finding::{Finding, Judge};
use syncwatch::judge::data::Extent;
use syncwatch::metrics::Metric;
use syncwatch::round::{Report, Round};
use syncwatch::rounds::ValidatedRound;
use syncwatch::runtime::{Needs, Site, env, read_event};

use event::{EVENTS, Event};
pub use syncwatch::runtime::warehouse::Patience;

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::TOPIC_ARN, env::INCIDENTS_TABLE, env::WAREHOUSE_SECRET],
    optional: &[env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

/// The answer of a round.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    /// How many statements the checks were compiled into.
    statements: usize,
    /// The same as a table for people.
    table: String,
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
        let check = match read_event(event, EVENTS)? {
            Event::Validate { check } => check,
            // Each future is boxed, because the compiler gives up on futures of this depth.
            Event::ValidateAgain if Box::pin(night::is_done(&self.site, now)).await? => {
                return Ok(night::done());
            }
            Event::ValidateAgain => None,
            Event::WarmUp => return Ok(Box::pin(self.site.warm_up(self.patience.round)).await?),
        };
        Ok(serde_json::to_value(Box::pin(self.validate(check.as_deref(), now)).await?)?)
    }

    /// Runs one round: observe, judge, act.
    async fn validate(&self, only: Option<&str>, now: Timestamp) -> anyhow::Result<Answer> {
        let (checks, extent) = observe::asked_for(&self.site.pipeline, only)?;
        let mut round = Round::begin(&self.site, Judge::DailyValidation, now).await?;
        let (findings, statements) =
            observe::findings(&self.site, self.patience, &checks, extent, now).await?;
        round.act_on(&findings).await;
        let mut figures = vec![(Metric::Statements, statements as f64)];
        if extent == Extent::Whole {
            round.conclude().await;
            // Recorded last, so that an interrupted round does not count as one that ran.
            let names = checks.iter().map(|check| check.name.clone()).collect();
            let record = ValidatedRound { at: now, checks: names };
            if let Err(error) = act::record(&self.site.pipeline, round.store(), &record, &findings).await {
                round.add_failure(format!("the round could not be recorded: {error}"));
            }
            figures.push(round.good_as(Metric::Validations));
        }
        let declared = |finding: &Finding| checks.iter().find(|check| check.name == finding.subject).copied();
        let table = table(findings.iter().map(|finding| (declared(finding), finding)));
        Ok(Answer { report: round.finish(&figures)?, statements, table })
    }
}
