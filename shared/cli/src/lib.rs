//! The operator's commands: check, list, acknowledge, silence, register, apply.
//!
//! [`arguments`] reads the command line. Each command comes to an [`Answer`]: text for people, and the same as JSON. All
//! use the operator's own credentials; the time is an argument.

pub mod alert_test;
pub mod arguments;
pub mod config;
mod connect;
pub mod declared;
pub mod doctor;
mod endpoint;
mod error;
mod figures;
pub mod incidents;
pub mod plan;
pub mod progress;
mod registration;
pub mod runbook;
pub mod runs;
pub mod silences;
pub mod stakeholders;
pub mod status;
pub mod warehouse_objects;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use syncwatch::aws::incidents::IncidentStore;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::Topic;
use syncwatch::aws::{Clients, Sdk};
use syncwatch::census;
use syncwatch::incident::NoticeKind;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::env::Setting;
use syncwatch::runtime::{Env, env, warehouse};
use syncwatch::warehouse::{Limits, Warehouse};

use arguments::Silencing;
pub use arguments::{Arguments, Command};
pub use config::read_pipeline;
use declared::Declared;
pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
use incidents::{IncidentLine, IncidentList};
use plan::{Plan, Wish};
use silences::{SilenceLine, SilenceList};

/// How long a person waits for a warehouse to start; a classic one of Databricks takes some minutes.
const WAREHOUSE_START_LIMIT: Duration = Duration::from_secs(600);

/// What Terraform puts before the names of functions and schedules.
const PREFIX: &str = "syncwatch-";

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Healthy, or what was asked for is done.
    Done,
    /// Something needs attention.
    ToDo,
}

impl Outcome {
    fn done_if(is_good: bool) -> Self {
        if is_good { Self::Done } else { Self::ToDo }
    }
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// For people.
    pub text: String,
    /// For programs, in the shapes of `README.md`.
    pub json: Value,
}

impl Answer {
    fn new(outcome: Outcome, text: impl fmt::Display, shape: &impl Serialize) -> Self {
        // None of the shapes has a key that is not text, the one thing that JSON refuses.
        Self { outcome, text: text.to_string(), json: serde_json::to_value(shape).unwrap_or_default() }
    }

    fn done<S: fmt::Display + Serialize>(shape: &S) -> Self {
        Self::new(Outcome::Done, shape, shape)
    }
}

/// Carries out a command line. `tell` gets what is said before a command ends.
///
/// # Errors
/// See [`Operator::carry_out`].
pub async fn run(
    arguments: &Arguments,
    env: Env,
    now: Timestamp,
    tell: &mut dyn FnMut(&str),
) -> Result<Answer, Error> {
    let file = || config::place(&env, arguments.pipeline.as_deref(), Path::exists);
    match &arguments.command {
        Command::CheckConfig { file: None } => return check_config(&file()?),
        Command::CheckConfig { file: Some(file) } => return check_config(file),
        Command::Explain { finding } => return explain(finding.as_deref()),
        Command::Completions { shell } => return Ok(completions(*shell)),
        _ => {}
    }
    let pipeline = read_pipeline(&file()?)?;
    let sdk = connect::sdk(&env).await?;
    Operator::with(env, pipeline, sdk, now).carry_out(&arguments.command, tell).await
}

fn check_config(file: &Path) -> Result<Answer, Error> {
    let check = config::ConfigCheck::of(file)?;
    Ok(Answer::new(Outcome::done_if(check.valid), &check, &check))
}

fn explain(finding: Option<&str>) -> Result<Answer, Error> {
    match finding {
        Some(finding) => Ok(Answer::done(&runbook::explain(finding)?)),
        None => Ok(Answer::done(&runbook::contents())),
    }
}

fn completions(shell: clap_complete::Shell) -> Answer {
    let script = arguments::completions(shell);
    Answer::new(Outcome::Done, &script, &json!({ "script": script }))
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
    /// Puts an operator together from its parts.
    pub fn with(env: Env, pipeline: Pipeline, sdk: Sdk, now: Timestamp) -> Self {
        let clients = sdk.clients();
        Self { env, pipeline, sdk, clients, now }
    }

    /// Carries a command out and collects all that it says; the last line may be its answer.
    ///
    /// # Errors
    /// See [`Operator::carry_out`].
    pub async fn say(&self, command: &Command) -> Result<(Outcome, String), Error> {
        let mut said = Vec::new();
        let answer = self.carry_out(command, &mut |line| said.push(line.to_owned())).await?;
        said.push(answer.text);
        Ok((answer.outcome, said.join("\n")))
    }

    /// Carries a command out. `tell` gets what is said before it ends, such as a plan.
    ///
    /// # Errors
    /// Names what was not done, and the remedy.
    pub async fn carry_out(&self, command: &Command, tell: &mut dyn FnMut(&str)) -> Result<Answer, Error> {
        match command {
            Command::Status => {
                let status = self.status().await;
                Ok(Answer::new(Outcome::done_if(status.is_good()), &status, &status))
            }
            Command::Incidents => {
                let (live, unreadable) = self.incidents()?.live_incidents(&self.pipeline.name).await?;
                let list = IncidentList::of(&self.pipeline.name, &live, self.now);
                match unreadable.into_iter().next() {
                    None => Ok(Answer::done(&list)),
                    Some(error) => {
                        tell(&list.to_string());
                        Err(error.into())
                    }
                }
            }
            Command::Runs { sync, last } => Ok(Answer::done(&self.runs(sync, *last).await?)),
            Command::Doctor { url, bare_names } => self.diagnose(url.as_deref(), *bare_names).await,
            Command::Acknowledge(wanted) => {
                let store = self.incidents()?;
                let incident = incidents::acknowledge(wanted, &self.pipeline, &store, self.now).await?;
                let line = IncidentLine::of(&incident, self.now);
                Ok(Answer::new(Outcome::Done, incidents::acknowledged(&incident), &line))
            }
            Command::Silence(asked) => self.silence(asked).await,
            Command::StakeholderNotice { kind, key, html } => {
                let notice = self.stakeholder_notice(*kind, key.as_ref(), html.as_deref()).await?;
                let shape = json!({ "text": notice.text, "html": notice.html });
                Ok(Answer::new(Outcome::Done, notice.text, &shape))
            }
            Command::WebhookRegister { url, check, rotate } => {
                let wish = if *rotate { Wish::Rotate } else { Wish::Register };
                self.register_webhook(url, *check, wish, tell).await
            }
            Command::WarehouseApply { folder, views } => self.apply_warehouse(folder, *views).await,
            Command::AlertTest { resolve_after } => self.test_alerts(*resolve_after, tell).await,
            Command::CheckConfig { file: Some(file) } => check_config(file),
            Command::CheckConfig { file: None } => {
                let shape = config::ConfigCheck::valid(Path::new("pipeline.toml"), &self.pipeline);
                Ok(Answer::done(&shape))
            }
            Command::Explain { finding } => explain(finding.as_deref()),
            Command::Completions { shell } => Ok(completions(*shell)),
        }
    }

    async fn silence(&self, asked: &Silencing) -> Result<Answer, Error> {
        let (store, pipeline, now) = (self.incidents()?, &self.pipeline, self.now);
        match asked {
            Silencing::Add(wanted) => {
                let silence = silences::add(wanted, pipeline, &store, now).await?;
                let text = silences::added(&silence, now);
                Ok(Answer::new(Outcome::Done, text, &SilenceLine::of(&silences::unused(silence))))
            }
            Silencing::List { all } => {
                let listed = silences::list(pipeline, &store, now).await?;
                Ok(Answer::done(&SilenceList::of(&listed, *all, now)))
            }
            Silencing::End { id } => {
                let ended = silences::end(id, pipeline, &store, now).await?;
                Ok(Answer::new(Outcome::Done, silences::ended(&ended), &SilenceLine::of(&ended)))
            }
        }
    }

    async fn stakeholder_notice(
        &self,
        kind: stakeholders::Kind,
        key: Option<&syncwatch::incident::IncidentKey>,
        html: Option<&Path>,
    ) -> Result<stakeholders::Notice, Error> {
        if let Some(key) = key {
            incidents::of_pipeline(key, &self.pipeline)?;
        }
        let figures = self.figures(key).await;
        let notice = stakeholders::render(kind, &figures, &self.pipeline, self.now)?;
        if let Some(path) = html {
            let unwritten = |error| Error::plain(format!("{} cannot be written: {error}", path.display()));
            std::fs::write(path, &notice.html).map_err(unwritten)?;
        }
        Ok(notice)
    }

    async fn diagnose(&self, url: Option<&str>, bare_names: bool) -> Result<Answer, Error> {
        let declared = Declared::of_this_version()?;
        let source = doctor::Source {
            sdk: &self.sdk,
            declared: &declared,
            pipeline: &self.pipeline,
            prefix: if bare_names { "" } else { PREFIX },
            url,
            now: self.now,
        };
        // Boxed: the future of so many calls is large.
        let observed = Box::pin(doctor::observe(&source)).await;
        let diagnosis = doctor::Diagnosis { rows: doctor::judge(&observed, &self.pipeline.channels) };
        Ok(Answer::new(Outcome::done_if(diagnosis.is_good()), &diagnosis, &diagnosis))
    }

    async fn apply_warehouse(&self, folder: &Path, views: bool) -> Result<Answer, Error> {
        let warehouse = self.warehouse().await?;
        let report = if views {
            warehouse_objects::restore_folder(&warehouse, folder, self.now).await?
        } else {
            warehouse_objects::apply_folder(&warehouse, folder, self.now).await?
        };
        Ok(Answer::new(Outcome::Done, report.to_string().trim_end(), &Applied::of(&report)))
    }

    /// The warehouse that the pipeline declares.
    async fn warehouse(&self) -> Result<Warehouse, Error> {
        let none = || Error::new("pipeline.toml declares no [warehouse]", "add one");
        let declared = self.pipeline.warehouse.as_ref().ok_or_else(none)?;
        let secret = self.setting(env::WAREHOUSE_SECRET)?;
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

    async fn register_webhook(
        &self,
        url: &str,
        only_check: bool,
        wish: Wish,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        let registration = self.registration(url).await?;
        let found = registration.look().await?;
        let plan = plan::plan(wish, &found);
        if let Plan::Refuse(refusal) = plan {
            return Err(refusal.into());
        }
        let mut planned = vec![plan.to_string()];
        planned.extend(found.elsewhere.iter().map(ToString::to_string));
        let planned = planned.join("\n");
        let shape = |done| WebhookAnswer { todo: !plan.is_nothing_to_do(), plan: planned.clone(), done };
        if only_check {
            return Ok(Answer::new(Outcome::done_if(plan.is_nothing_to_do()), &planned, &shape(None)));
        }
        tell(&planned);
        let done = registration.carry_out(&plan).await?.to_string();
        Ok(Answer::new(Outcome::Done, &done, &WebhookAnswer { todo: false, ..shape(Some(done.clone())) }))
    }

    async fn registration(&self, url: &str) -> Result<registration::Registration, Error> {
        let declared = Declared::of_this_version()?;
        let no_intake = || Error::plain("infra/functions.json has no function with a url");
        let (_, path) = declared.intake().ok_or_else(no_intake)?;
        let endpoint = Endpoint::parse(url, path)?;
        Ok(registration::Registration {
            census: self.census().await?,
            secrets: SecretStore::new(self.sdk.secrets()),
            secret_name: self.setting(env::WEBHOOK_SECRET)?,
            endpoint,
            pipeline: self.pipeline.name.clone(),
        })
    }

    async fn test_alerts(
        &self,
        resolve_after: SignedDuration,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        let topic = Topic::new(self.clients.sns.clone(), self.topic_arn().await?);
        let (pipeline, began) = (&self.pipeline, self.now);
        let opened = alert_test::publish(&topic, pipeline, NoticeKind::Opened, began, began).await?;
        tell(&format!("Published {opened}"));
        tell(&format!("Its end follows in {} s, so that both are seen.", resolve_after.as_secs()));
        tokio::time::sleep(resolve_after.unsigned_abs()).await;
        let ended = began.saturating_add(resolve_after).unwrap_or(began);
        let resolved = alert_test::publish(&topic, pipeline, NoticeKind::Resolved, began, ended).await?;
        tell(&format!("Published {resolved}\n"));
        Ok(Answer::done(&alert_test::AlertTest::of(opened, resolved, &pipeline.channels)))
    }

    fn incidents(&self) -> Result<IncidentStore, Error> {
        Ok(IncidentStore::new(self.clients.dynamodb.clone(), self.setting(env::INCIDENTS_TABLE)?))
    }

    async fn census(&self) -> Result<census::Client, Error> {
        let secret = self.setting(env::CENSUS_SECRET)?;
        let token = SecretStore::new(self.clients.secrets.clone()).get(&secret, self.now).await?;
        let base_url = self.env.optional(env::CENSUS_BASE_URL.name);
        let settings = census::Settings::of(&self.pipeline.census, base_url.as_deref(), token);
        Ok(census::Client::new(self.clients.http.clone(), settings, self.now)?)
    }

    /// The name of a table or secret: the environment's, or that of `infra/functions.json`.
    fn setting(&self, setting: Setting) -> Result<String, Error> {
        if let Some(name) = self.env.optional(setting.name) {
            return Ok(name);
        }
        let declared = Declared::of_this_version()?;
        let name = declared.name_for(setting.name).map(str::to_owned);
        name.ok_or_else(|| Error::new(format!("unknown: {}", setting.holds), format!("set {}", setting.name)))
    }

    /// The ARN of the topic of notices: the environment's, or that of a deployed function.
    async fn topic_arn(&self) -> Result<String, Error> {
        let setting = env::TOPIC_ARN.name;
        if let Some(arn) = self.env.optional(setting) {
            return Ok(arn);
        }
        let declared = Declared::of_this_version()?;
        let function = format!("{PREFIX}{}", declared.function_with(setting).unwrap_or_default());
        let lambda = aws_sdk_lambda::Client::new(self.sdk.config());
        let answer = lambda.get_function_configuration().function_name(&function).send().await;
        let answer = answer
            .map_err(|error| doctor::FUNCTION.failed(&function, "lambda:GetFunctionConfiguration", &error))?;
        let variables = answer.environment.and_then(|set| set.variables);
        variables.and_then(|mut set| set.remove(setting)).ok_or_else(|| {
            Error::new(format!("function {function} has no {setting}"), "make deploy, or set it yourself")
        })
    }
}

/// A registration of the webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookAnswer {
    /// Whether the webhook is missing or differs.
    pub todo: bool,
    pub plan: String,
    /// What was done; nothing with `--check`.
    pub done: Option<String>,
}

/// The files that were applied to the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub applied: Vec<AppliedFile>,
    pub unchanged: usize,
}

/// A file that was applied, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedFile {
    pub file: String,
    pub reason: String,
}

impl Applied {
    fn of(report: &warehouse_objects::Report) -> Self {
        let file = |(file, reason): &(String, warehouse_objects::Reason)| AppliedFile {
            file: file.clone(),
            reason: reason.to_string(),
        };
        Self { applied: report.applied.iter().map(file).collect(), unchanged: report.unchanged }
    }
}

#[cfg(test)]
mod tests;
