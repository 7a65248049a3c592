#![doc = include_str!("../README.md")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use syncwatch::aws::deployment::{DEPLOYMENT_LIMIT, deployment};
use syncwatch::aws::{AwsError, CallLimits};
use syncwatch::baseline::Live;
use syncwatch::finding::Judge;
use syncwatch::judge::{judge_definition, mapping};
use syncwatch::metrics::Metric;
use syncwatch::observe::definition::{CENSUS_LIMIT, limits, live, read_declared_views};
use syncwatch::round::{Report, Round};
use syncwatch::runtime::warehouse::Asker;
use syncwatch::runtime::{Needs, Site, env, read_event};

/// The settings of the function.
pub const NEEDS: Needs = Needs {
    required: &[
        env::PIPELINE,
        env::TOPIC_ARN,
        // The topics are read as those that the functions' settings name.
        env::ALARMS_TOPIC_ARN,
        env::PAGE_TOPIC_ARN,
        env::INCIDENTS_TABLE,
        env::CENSUS_SECRET,
        env::WAREHOUSE_SECRET,
        env::FUNCTIONS,
        env::ALARMS,
    ],
    optional: &[env::CENSUS_BASE_URL, env::DATABRICKS_URL],
    aws: CallLimits::USUAL,
};

/// Limit for all statements together, including the start of the warehouse.
const WAREHOUSE_LIMIT: Duration = Duration::from_secs(45);
/// Limit for all that a round reads.
pub const READING_LIMIT: Duration =
    CENSUS_LIMIT.saturating_add(WAREHOUSE_LIMIT).saturating_add(DEPLOYMENT_LIMIT);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    Audit,
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
        let Event::Audit = read_event(event, r#"{"task": "audit"}"#)?;
        // Boxed, because the compiler gives up on a future of this depth.
        Ok(serde_json::to_value(Box::pin(self.audit(now)).await?)?)
    }

    /// Runs one round: observe, judge, act.
    async fn audit(&self, now: Timestamp) -> anyhow::Result<Report> {
        let pipeline = &self.0.pipeline;
        let mut round = Round::begin(&self.0, Judge::ConfigurationAudit, now).await?;
        let accepted = round.store().baseline(&pipeline.name).await?;
        let live = Box::pin(self.observe(now)).await?;
        round.act_on(&judge_definition(pipeline, accepted.as_ref(), &live, now)).await;
        round.act_on(&mapping::judge(pipeline, &live.definition.syncs)).await;
        round.conclude().await;
        round.record_if_good().await;
        let good = round.good_as(Metric::Audits);
        Ok(round.finish(&[good])?)
    }

    /// Reads the live definition. Fails while AWS does not answer for the credentials.
    async fn observe(&self, now: Timestamp) -> Result<Live, AwsError> {
        let (site, pipeline) = (&self.0, &self.0.pipeline);
        let census = site.census(now).await?;
        let warehouse = match &pipeline.warehouse {
            Some(declared) => site.warehouse(declared, limits(), WAREHOUSE_LIMIT).await?,
            None => Err("pipeline.toml has no [warehouse]".to_owned()),
        };
        let asker = warehouse.as_ref().map(|warehouse| Asker::new(warehouse, WAREHOUSE_LIMIT));
        let mut live = live(pipeline, census.as_ref(), asker).await;
        let prefix = |setting| site.setting(setting).trim_end_matches('*');
        live.definition.deployment =
            deployment(site.sdk(), prefix(env::FUNCTIONS), prefix(env::ALARMS)).await;
        Ok(live)
    }
}
