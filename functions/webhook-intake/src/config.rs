//! Where things are: read from the environment once, when a function starts.

use syncwatch::runtime::env::{self, Env, SettingsError};

/// The settings of `webhook-intake`. Each is set by `infra/functions.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// `SYNCWATCH_PIPELINE`: path of `pipeline.toml`, from the folder that the zip was unpacked to.
    pub pipeline: String,
    /// `SYNCWATCH_DELIVERIES_QUEUE`: the URL of the SQS queue for verified deliveries.
    pub deliveries_queue: String,
    /// `SYNCWATCH_WEBHOOK_SECRET`: the name of the secret with which Census signs.
    pub webhook_secret: String,
}

impl IntakeConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names every setting that is missing.
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let [pipeline, deliveries_queue, webhook_secret] =
            env.required_all([env::PIPELINE, env::DELIVERIES_QUEUE, env::WEBHOOK_SECRET])?;
        Ok(Self { pipeline, deliveries_queue, webhook_secret })
    }
}

/// The settings of `webhook-worker`. Each is set by `infra/functions.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `SYNCWATCH_PIPELINE`: path of `pipeline.toml`, from the folder that the zip was unpacked to.
    pub pipeline: String,
    /// `SYNCWATCH_TOPIC_ARN`: the SNS topic for notices.
    pub topic_arn: String,
    /// `SYNCWATCH_INCIDENTS_TABLE`: the DynamoDB table of incidents.
    pub incidents_table: String,
    /// `SYNCWATCH_DELIVERIES_TABLE`: the DynamoDB table of handled deliveries.
    pub deliveries_table: String,
    /// `SYNCWATCH_CENSUS_SECRET`: the name of the secret that holds the Census token.
    pub census_secret: String,
    /// `SYNCWATCH_CENSUS_BASE_URL`: in the place of `census.base_url` of `pipeline.toml`, for a lab or a proxy.
    pub census_base_url: Option<String>,
}

impl WorkerConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names every setting that is missing.
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let [pipeline, topic_arn, incidents_table, deliveries_table, census_secret] = env.required_all([
            env::PIPELINE,
            env::TOPIC_ARN,
            env::INCIDENTS_TABLE,
            env::DELIVERIES_TABLE,
            env::CENSUS_SECRET,
        ])?;
        let census_base_url = env.optional(env::CENSUS_BASE_URL.name);
        Ok(Self { pipeline, topic_arn, incidents_table, deliveries_table, census_secret, census_base_url })
    }
}
