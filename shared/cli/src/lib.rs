//! What operators do from a command line: register the webhook, test the channels, silence, acknowledge, look.
//!
//! The command line is read in [`arguments`], by hand: no function must carry a parser that it never uses. What is done
//! about the webhook is decided by a pure [`plan`], which is told before anything is done. Everything here runs with the
//! operator's own credentials; the time is an argument.

pub mod alert_test;
pub mod arguments;
pub mod doctor;
mod endpoint;
mod error;
mod figures;
mod incidents;
pub mod plan;
mod registration;
pub mod runbook;
mod silences;
pub mod stakeholders;
mod table;
pub mod warehouse_objects;

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::Topic;
use syncwatch::aws::{Clients, Sdk};
use syncwatch::census;
use syncwatch::incident::NoticeKind;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::{Env, env, warehouse};
use syncwatch::warehouse::{Limits, Warehouse};

pub use arguments::Command;
pub use endpoint::{Endpoint, EndpointError, PATH};
pub use error::Error;
use plan::Plan;

/// The pipeline file of the repository, where commands are run.
const PIPELINE: &str = "infra/pipeline.toml";

/// How long a person waits for a warehouse to start; a classic one of Databricks takes some minutes.
const WAREHOUSE_START_LIMIT: Duration = Duration::from_secs(600);

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// What was asked for is done, or is so already.
    Done,
    /// It was only looked, and there is something to do.
    ToDo,
}

/// Everything that commands work with.
#[derive(Debug)]
pub struct Operator {
    env: Env,
    pipeline: Pipeline,
    sdk: Sdk,
    clients: Clients,
    now: Timestamp,
}

impl Operator {
    /// For the account and region that the environment names, and the pipeline file of the repository (or of
    /// `SYNCWATCH_PIPELINE`).
    ///
    /// # Errors
    /// The file cannot be used, or AWS's own settings are missing; names it and the remedy.
    pub async fn connect(env: Env, now: Timestamp) -> Result<Self, Error> {
        let path = env.optional(env::PIPELINE.name).unwrap_or_else(|| PIPELINE.to_owned());
        let pipeline = read_pipeline(Path::new(&path))?;
        let sdk = Sdk::connect().await?;
        Ok(Self::with(env, pipeline, sdk, now))
    }

    /// Puts an operator together from its parts.
    pub fn with(env: Env, pipeline: Pipeline, sdk: Sdk, now: Timestamp) -> Self {
        let clients = sdk.clients();
        Self { env, pipeline, sdk, clients, now }
    }

    /// Carries a command out. What there is to say is told line by line as it happens.
    ///
    /// # Errors
    /// See [`Error`]; each says what was not done, and the remedy.
    pub async fn carry_out(&self, command: &Command, tell: &mut dyn FnMut(&str)) -> Result<Outcome, Error> {
        match command {
            // The binary answers these by itself: they need no AWS.
            Command::Help | Command::CheckConfig { .. } | Command::Explain { .. } => Ok(Outcome::Done),
            Command::RegisterWebhook { url, wish, only_look } => {
                let registration = self.registration(url).await?;
                let found = registration.look().await?;
                let plan = plan::plan(*wish, &found);
                if let Plan::Refuse(refusal) = plan {
                    return Err(refusal.into());
                }
                tell(&plan.to_string());
                for other in &found.elsewhere {
                    tell(&other.to_string());
                }
                if *only_look {
                    return Ok(if plan.is_nothing_to_do() { Outcome::Done } else { Outcome::ToDo });
                }
                let done = registration.carry_out(&plan).await?;
                tell(&done.to_string());
                Ok(Outcome::Done)
            }
            Command::AlertTest { resolve_after } => self.test_alerts(*resolve_after, tell).await,
            Command::AddSilence(wanted) => {
                let store = self.incidents()?;
                let silence = silences::add(wanted, &self.pipeline, &store, self.now).await?;
                tell(&silences::added(&silence, self.now));
                Ok(Outcome::Done)
            }
            Command::ListSilences { all } => {
                let store = self.incidents()?;
                let listed = silences::list(&self.pipeline, &store, self.now).await?;
                tell(&silences::table(&listed, *all, self.now));
                Ok(Outcome::Done)
            }
            Command::EndSilence { id } => {
                let store = self.incidents()?;
                let ended = silences::end(id, &self.pipeline, &store, self.now).await?;
                tell(&silences::ended(&ended));
                Ok(Outcome::Done)
            }
            Command::Acknowledge(wanted) => {
                let store = self.incidents()?;
                let incident = incidents::acknowledge(wanted, &self.pipeline, &store, self.now).await?;
                tell(&incidents::acknowledged(&incident));
                Ok(Outcome::Done)
            }
            Command::ApplyWarehouse { folder, views_again } => {
                let (warehouse, folder) = (self.warehouse().await?, Path::new(folder));
                let report = if *views_again {
                    warehouse_objects::restore_folder(&warehouse, folder, self.now).await?
                } else {
                    warehouse_objects::apply_folder(&warehouse, folder, self.now).await?
                };
                tell(&report.to_string());
                Ok(Outcome::Done)
            }
            Command::TellStakeholders { kind, key, html } => {
                if let Some(other) = key.as_ref().filter(|key| key.pipeline != self.pipeline.name) {
                    return Err(Error::OtherPipeline {
                        key: other.clone(),
                        pipeline: self.pipeline.name.clone(),
                    });
                }
                let figures = self.figures(key.as_ref()).await;
                let notice = stakeholders::render(*kind, &figures, &self.pipeline, self.now)?;
                tell(&notice.text);
                if let Some(path) = html {
                    let unwritten = |source| Error::NoticeUnwritten { path: path.into(), source };
                    std::fs::write(path, &notice.html).map_err(unwritten)?;
                }
                Ok(Outcome::Done)
            }
            Command::Doctor { url, prefix } => {
                let declared = doctor::Declared::of_this_version().map_err(Error::Declared)?;
                let source = doctor::Source {
                    sdk: &self.sdk,
                    declared: &declared,
                    pipeline: &self.pipeline,
                    prefix,
                    url: url.as_deref(),
                    now: self.now,
                };
                // Boxed: the future of so many calls is large.
                let observed = Box::pin(doctor::observe(&source)).await;
                let diagnosis = doctor::Diagnosis(doctor::judge(&observed, &self.pipeline.channels));
                tell(&diagnosis.to_string());
                Ok(if diagnosis.is_good() { Outcome::Done } else { Outcome::ToDo })
            }
            Command::ListIncidents => {
                let store = self.incidents()?;
                let (live, unreadable) = store.live_incidents(&self.pipeline.name).await?;
                tell(&incidents::table(&self.pipeline.name, &live, self.now));
                match unreadable.into_iter().next() {
                    None => Ok(Outcome::Done),
                    Some(error) => Err(error.into()),
                }
            }
        }
    }

    /// The warehouse that the pipeline declares.
    async fn warehouse(&self) -> Result<Warehouse, Error> {
        let declared = self.pipeline.warehouse.as_ref().ok_or(Error::NoWarehouse)?;
        let secret = self.env.required(env::WAREHOUSE_SECRET).map_err(Error::Settings)?;
        let base_url = self.env.optional(env::DATABRICKS_URL.name);
        let access = warehouse::Access {
            warehouse: declared,
            secret: &secret,
            base_url: base_url.as_deref(),
            limits: Limits::default(),
            start_limit: WAREHOUSE_START_LIMIT,
        };
        let secrets = SecretStore::new(self.sdk.secrets());
        Ok(warehouse::open(&access, &secrets, self.sdk.http.clone()).await?)
    }

    async fn registration(&self, url: &str) -> Result<registration::Registration, Error> {
        let [token, secret] =
            self.env.required_all([env::CENSUS_SECRET, env::WEBHOOK_SECRET]).map_err(Error::Settings)?;
        let endpoint = Endpoint::parse(url)?;
        let secrets = SecretStore::new(self.sdk.secrets());
        let token = secrets.get(&token, self.now).await?;
        let base_url = self.env.optional(env::CENSUS_BASE_URL.name);
        let settings = census::Settings::of(&self.pipeline.census, base_url.as_deref(), token);
        let census = census::Client::new(self.sdk.http.clone(), settings, self.now)?;
        Ok(registration::Registration {
            census,
            secrets,
            secret_name: secret,
            endpoint,
            pipeline: self.pipeline.name.clone(),
        })
    }

    async fn test_alerts(
        &self,
        resolve_after: SignedDuration,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Outcome, Error> {
        let arn = self.env.required(env::TOPIC_ARN).map_err(Error::Settings)?;
        let topic = Topic::new(self.clients.sns.clone(), arn);
        let (pipeline, began) = (&self.pipeline, self.now);
        let opened = alert_test::publish(&topic, pipeline, NoticeKind::Opened, began, began).await?;
        tell(&format!("Published {opened}"));
        tell(&format!("Its end follows in {} s, so that both are seen.", resolve_after.as_secs()));
        tokio::time::sleep(resolve_after.unsigned_abs()).await;
        let ended = began.saturating_add(resolve_after).unwrap_or(began);
        let resolved = alert_test::publish(&topic, pipeline, NoticeKind::Resolved, began, ended).await?;
        tell(&format!("Published {resolved}\n"));
        tell(&alert_test::what_to_look_for(&pipeline.channels, &opened, &resolved));
        Ok(Outcome::Done)
    }

    fn incidents(&self) -> Result<IncidentStore, Error> {
        let table = self.env.required(env::INCIDENTS_TABLE).map_err(Error::Settings)?;
        Ok(IncidentStore::new(self.clients.dynamodb.clone(), table))
    }
}

/// Reads a pipeline file from where commands are run.
///
/// # Errors
/// It cannot be read, or is wrong.
pub fn read_pipeline(path: &Path) -> Result<Pipeline, Error> {
    let unread = |source| Error::PipelineUnread { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unread)?;
    Pipeline::parse(&text).map_err(|source| Error::PipelineWrong { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
