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
    /// `SYNCWATCH_CENSUS_SECRET`: the name of the secret that holds the Census token.
    pub census_secret: String,
    /// `SYNCWATCH_DELIVERIES_DEAD_LETTERS`: the URL of the dead-letter queue of webhook deliveries.
    pub deliveries_dead_letters: String,
    /// `SYNCWATCH_NOTICES_DEAD_LETTERS`: the URL of the dead-letter queue of notices.
    pub notices_dead_letters: String,
    /// `SYNCWATCH_CENSUS_BASE_URL`: in the place of `census.base_url` of `pipeline.toml`, for a lab or a proxy.
    pub census_base_url: Option<String>,
    /// `SYNCWATCH_HEARTBEAT_SECRET`: the name of the secret that holds the ping URL of a watch outside of AWS, if there
    /// is one.
    pub heartbeat_secret: Option<String>,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names every setting that is missing.
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let required = [
            env::PIPELINE,
            env::TOPIC_ARN,
            env::INCIDENTS_TABLE,
            env::CENSUS_SECRET,
            env::DELIVERIES_DEAD_LETTERS,
            env::NOTICES_DEAD_LETTERS,
        ];
        let [
            pipeline,
            topic_arn,
            incidents_table,
            census_secret,
            deliveries_dead_letters,
            notices_dead_letters,
        ] = env.required_all(required)?;
        Ok(Self {
            pipeline,
            topic_arn,
            incidents_table,
            census_secret,
            deliveries_dead_letters,
            notices_dead_letters,
            census_base_url: env.optional(env::CENSUS_BASE_URL.name),
            heartbeat_secret: env.optional(env::HEARTBEAT_SECRET.name),
        })
    }
}
