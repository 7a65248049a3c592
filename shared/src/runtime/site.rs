//! The site of a function: its settings, pipeline and clients, built once at its start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::env::{self, Env, Needs, Setting, SettingsError};
use super::heartbeat;
use super::warehouse::{self, Access};
use crate::aws::bucket::Bucket;
use crate::aws::incidents::IncidentStore;
use crate::aws::queue::Queue;
use crate::aws::redrive::Redrive;
use crate::aws::secrets::{SecretError, SecretStore};
use crate::aws::topic::Topic;
use crate::aws::{AwsError, ConnectError, Sdk};
use crate::census;
use crate::observation::Unread;
use crate::pipeline::{self, Pipeline};
use crate::reconcile::Object;
use crate::warehouse::{Databases, Limits, Warehouse, WarehouseKeeper};

/// A function cannot start. Names the setting, or the line of `pipeline.toml`, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "{path} cannot be read ({source}): pack pipeline.toml into the zip (`make package`), or correct {}",
        env::PIPELINE.name
    )]
    Unread { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Invalid(#[from] pipeline::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// The state of a function that outlives an event.
///
/// Clients are created on demand on the shared HTTP stack: this is cheap, and a function that never uses DynamoDB or
/// SNS links neither.
#[derive(Debug)]
pub struct Site {
    settings: BTreeMap<String, String>,
    sdk: Sdk,
    pub pipeline: Pipeline,
    /// Values are cached for a limited time.
    pub secrets: SecretStore,
}

impl Site {
    /// Reads the settings and the pipeline's file, without other I/O. The error names all missing settings.
    pub async fn connect(env: &Env, needs: Needs) -> Result<Self, StartError> {
        let mut settings = env.read(needs)?;
        let path = settings.entry(env::PIPELINE.name.to_owned()).or_default();
        let (pipeline, place) = load(env, path)?;
        *path = place;
        Ok(Self::with(settings, pipeline, Sdk::connect(needs.aws).await?))
    }

    /// Builds a site from its parts; `settings` are environment variables by name.
    pub fn with(settings: BTreeMap<String, String>, pipeline: Pipeline, sdk: Sdk) -> Self {
        Self { secrets: SecretStore::new(sdk.secrets()), settings, sdk, pipeline }
    }

    /// Returns a required setting, whose presence was checked at the start.
    pub fn setting(&self, setting: Setting) -> &str {
        self.optional(setting).unwrap_or_default()
    }

    /// Checks optional settings that the pipeline makes necessary. The error names all missing ones.
    pub fn require(&self, settings: impl IntoIterator<Item = Setting>) -> Result<(), SettingsError> {
        let missing: Vec<Setting> =
            settings.into_iter().filter(|setting| self.optional(*setting).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(SettingsError { missing }) }
    }

    /// Returns an optional setting.
    pub fn optional(&self, setting: Setting) -> Option<&str> {
        self.settings.get(setting.name).map(String::as_str)
    }

    /// Returns the configuration of AWS clients.
    pub fn sdk(&self) -> &Sdk {
        &self.sdk
    }

    /// Creates the incident store.
    pub fn incidents(&self) -> IncidentStore {
        IncidentStore::new(self.sdk.dynamodb(), self.setting(env::INCIDENTS_TABLE))
    }

    /// Creates the client of the notice topic.
    pub fn topic(&self) -> Topic {
        self.topic_by(env::TOPIC_ARN)
    }

    /// Creates the client of the topic whose ARN a setting holds.
    pub fn topic_by(&self, setting: Setting) -> Topic {
        Topic::new(self.sdk.sns(), self.setting(setting))
    }

    /// Creates the client of the bucket of status pages.
    pub fn pages(&self) -> Bucket {
        Bucket::new(&self.sdk, self.setting(env::PAGES_BUCKET))
    }

    /// Creates the client of the queue whose URL a setting holds.
    pub fn queue(&self, setting: Setting) -> Queue {
        Queue::new(self.sdk.sqs(), self.setting(setting), setting.name)
    }

    /// Creates the client that moves messages back from a dead-letter queue; the settings hold the URLs. Only `remedies`
    /// may use it.
    pub fn redrive(&self, dead: Setting, source: Setting) -> Redrive {
        let [dead, source] = [dead, source].map(|setting| (self.setting(setting), setting.name));
        Redrive::new(self.sdk.sqs(), dead, source)
    }

    /// Creates a Census client with the current token. The inner error means that the token is unusable and becomes a
    /// finding; the outer one means that AWS does not answer now and fails this round.
    pub async fn census(&self, now: Timestamp) -> Result<Result<census::Client, Unread>, AwsError> {
        self.census_by(now, census::Client::new).await
    }

    /// Creates a writer to Census, with errors as in [`census`](Self::census). Only `remedies` may use it; the commands
    /// of the operator build their own.
    pub async fn census_writer(&self, now: Timestamp) -> Result<Result<census::Writer, Unread>, AwsError> {
        self.census_by(now, census::Writer::new).await
    }

    async fn census_by<T>(
        &self,
        now: Timestamp,
        make: impl FnOnce(reqwest::Client, census::Settings, Timestamp) -> Result<T, census::Error>,
    ) -> Result<Result<T, Unread>, AwsError> {
        let token = match self.secrets.get(self.setting(env::CENSUS_SECRET), now).await {
            Ok(token) => token,
            Err(SecretError::Aws(error)) if error.fault().is_passing() => return Err(error),
            Err(error) => return Ok(Err(Unread::NoCredentials(error.to_string()))),
        };
        let settings =
            census::Settings::of(&self.pipeline.census, self.optional(env::CENSUS_BASE_URL), token);
        Ok(make(self.sdk.http.clone(), settings, now).map_err(|error| {
            self.forget_token();
            error.to_unread()
        }))
    }

    /// Drops the cached Census token, so that a replaced one is used within minutes.
    pub fn forget_token(&self) {
        self.secrets.forget(self.setting(env::CENSUS_SECRET));
    }

    /// Opens the warehouse with the current credentials. The inner error means that it cannot be opened and becomes a
    /// finding; the outer one means that AWS does not answer now and fails this round. `round_limit` is the time for
    /// all statements of the round.
    pub async fn warehouse(
        &self,
        declared: &pipeline::Warehouse,
        limits: Limits,
        round_limit: Duration,
    ) -> Result<Result<Warehouse, String>, AwsError> {
        let access = self.access(declared, limits, round_limit);
        finding_or_failure(warehouse::open(&access, &self.secrets, self.sdk.http.clone()).await)
    }

    /// Starts the warehouse, so that it is running when a round begins. A failure is only logged: the round reports it.
    pub async fn warm_up(&self, limit: Duration) -> Result<Value, AwsError> {
        let Some(declared) = &self.pipeline.warehouse else {
            return Ok(json!({ "warehouse": "not declared" }));
        };
        let why = match self.warehouse(declared, Limits::default(), limit).await? {
            Ok(warehouse) => match warehouse.warm_up().await {
                Ok(state) => {
                    tracing::info!(?state, "warehouse start requested");
                    return Ok(json!({ "warehouse": state }));
                }
                Err(error) => error.to_string(),
            },
            Err(why) => why,
        };
        tracing::warn!(why, "warehouse start request failed");
        Ok(json!({ "warehouse": "not asked", "why": why }))
    }

    /// Opens the keeper of the warehouse, which can start and resize it, with errors as in
    /// [`warehouse`](Self::warehouse); `None` if it is not reached over the API of Databricks. Only `remedies` may use it.
    pub async fn warehouse_keeper(
        &self,
        declared: &pipeline::Warehouse,
    ) -> Result<Result<Option<WarehouseKeeper>, String>, AwsError> {
        // It runs no statement, so the limits do not matter.
        let access = self.access(declared, Limits::default(), Duration::ZERO);
        finding_or_failure(warehouse::open_keeper(&access, &self.secrets, self.sdk.http.clone()).await)
    }

    /// Opens the warehouse as [`warehouse`](Self::warehouse) does, and the connections that objects need.
    pub async fn databases(
        &self,
        declared: &pipeline::Warehouse,
        objects: &[&Object],
        limits: Limits,
        round_limit: Duration,
    ) -> Result<Result<Databases, String>, AwsError> {
        let access = self.access(declared, limits, round_limit);
        let http = self.sdk.http.clone();
        finding_or_failure(
            warehouse::open_databases(&self.pipeline, objects, &access, &self.secrets, http).await,
        )
    }

    fn access<'s>(
        &'s self,
        warehouse: &'s pipeline::Warehouse,
        limits: Limits,
        round_limit: Duration,
    ) -> Access<'s> {
        let (secret, base_url) = (self.setting(env::WAREHOUSE_SECRET), self.optional(env::DATABRICKS_URL));
        // Slightly less than the round has, so that a warehouse that does not start is reported as such.
        Access { warehouse, secret, base_url, limits, start_limit: round_limit.mul_f64(0.9) }
    }

    /// Pings the external heartbeat monitor after a good round, if one is configured.
    pub async fn ping_heartbeat(&self, now: Timestamp) {
        let Some(secret) = self.optional(env::HEARTBEAT_SECRET) else { return };
        if let Err(error) = heartbeat::beat(&self.sdk.http, &self.secrets, secret, now).await {
            tracing::error!(%error, "heartbeat ping failed");
        }
    }
}

fn finding_or_failure<T>(opened: Result<T, warehouse::Error>) -> Result<Result<T, String>, AwsError> {
    match opened {
        Ok(opened) => Ok(Ok(opened)),
        Err(warehouse::Error::Secret(SecretError::Aws(error))) if error.fault().is_passing() => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Reads the pipeline file in the zip, and returns its path, too. A relative path is relative to the folder that Lambda unpacked
/// the zip to.
fn load(env: &Env, path: &str) -> Result<(Pipeline, String), StartError> {
    let path =
        env.optional("LAMBDA_TASK_ROOT").map_or(PathBuf::from(path), |root| Path::new(&root).join(path));
    let place = path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path).map_err(|source| StartError::Unread { path, source })?;
    Ok((Pipeline::parse(&text)?, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_path_starts_at_the_folder_of_the_zip() {
        let infra = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra");
        let (pipeline, path) = load(&Env::from_map([("LAMBDA_TASK_ROOT", infra)]), "pipeline.toml").unwrap();
        assert_eq!(path, format!("{infra}/pipeline.toml"));
        assert_eq!(pipeline.name, "properties");
    }

    #[test]
    fn missing_pipeline_file_is_named_with_the_remedy() {
        let error = load(&Env::from_map([("LAMBDA_TASK_ROOT", "/nowhere")]), "pipeline.toml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/pipeline.toml cannot be read (No such file or directory (os error 2)): pack pipeline.toml into \
             the zip (`make package`), or correct SYNCWATCH_PIPELINE"
        );
    }
}
