//! Where things are: read from the environment once, when the function starts.

use syncwatch::runtime::env::{self, Env, SettingsError};

/// The function's settings. Each is set by `infra/functions.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `SYNCWATCH_PIPELINE`: path of `pipeline.toml`, from the folder that the zip was unpacked to.
    pub pipeline: String,
    /// `SYNCWATCH_TOPIC_ARN`: the SNS topic for notices.
    pub topic_arn: String,
    /// `SYNCWATCH_INCIDENTS_TABLE`: the DynamoDB table of incidents.
    pub incidents_table: String,
    /// `SYNCWATCH_CENSUS_SECRET`: the name of the secret that holds the token for Census.
    pub census_secret: String,
    /// `SYNCWATCH_WAREHOUSE_SECRET`: the name of the secret that holds the credentials of the warehouse.
    pub warehouse_secret: String,
    /// `SYNCWATCH_CENSUS_BASE_URL`: in the place of `census.base_url` of `pipeline.toml`, for a lab or a proxy.
    pub census_base_url: Option<String>,
    /// `SYNCWATCH_DATABRICKS_URL`: in the place of `warehouse.host` of `pipeline.toml`, for a lab or a proxy.
    pub databricks_url: Option<String>,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names every setting that is missing.
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let required =
            [env::PIPELINE, env::TOPIC_ARN, env::INCIDENTS_TABLE, env::CENSUS_SECRET, env::WAREHOUSE_SECRET];
        let [pipeline, topic_arn, incidents_table, census_secret, warehouse_secret] =
            env.required_all(required)?;
        Ok(Self {
            pipeline,
            topic_arn,
            incidents_table,
            census_secret,
            warehouse_secret,
            census_base_url: env.optional(env::CENSUS_BASE_URL.name),
            databricks_url: env.optional(env::DATABRICKS_URL.name),
        })
    }
}
