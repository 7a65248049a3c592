//! The operator's commands: check, list, acknowledge, silence, register, apply.
//!
//! [`arguments`] parses the command line. Each command returns an [`Answer`]: text, and the same as JSON. All
//! commands use the operator's own credentials; the time is an argument.

mod advise;
pub mod alarm_test;
mod alarms;
pub mod alert_test;
pub mod arguments;
mod audit;
pub mod baseline;
pub mod config;
mod connect;
pub mod declared;
pub mod doctor;
mod error;
pub mod expectations;
mod figures;
pub mod incidents;
mod judge_history;
pub mod mark;
pub mod message;
pub mod objects;
pub mod page;
pub mod probe;
pub mod progress;
pub mod reconcile;
pub mod remedies;
mod report;
pub mod runbook;
pub mod runs;
pub mod scoreboard;
pub mod silences;
pub mod stakeholders;
pub mod status;
pub mod warehouse_objects;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use aws_sdk_sts::error::DisplayErrorContext;
use syncwatch::aws::Sdk;
use syncwatch::aws::incidents::{Error as StoreError, IncidentStore};
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::topic::{Subscription, Topic};
use syncwatch::census::{self, Client};
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{test_began, test_key};
use syncwatch::observe::definition::read_declared_views;
use syncwatch::observe::objects::COMPARE_LIMITS;
use syncwatch::pipeline::Pipeline;
use syncwatch::reconcile::Object;
use syncwatch::registration::{Endpoint, Plan, Registration, Wish, note, plan};
use syncwatch::runtime::env::Setting;
use syncwatch::runtime::{Env, env, warehouse};
use syncwatch::warehouse::{Databases, Limits, Warehouse};

use alarms::CloudWatch;
pub use arguments::{Arguments, CensusCommand, Command};
pub use config::read_pipeline;
use declared::Declared;
pub use error::Error;

/// Limit for the start of a warehouse; a classic one of Databricks takes minutes.
const WAREHOUSE_START_LIMIT: Duration = Duration::from_secs(600);

/// Interval between reads of the alarm history during a test.
const HISTORY_EVERY: SignedDuration = SignedDuration::from_secs(3);
/// How far this machine's clock may be ahead of AWS's.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(2);

/// Environment variable with Terraform's `prefix`, if it is not the default.
const PREFIX: &str = "SYNCWATCH_PREFIX";

/// Result of a command; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Healthy, or done as requested.
    Done,
    /// Something needs attention.
    ToDo,
}

impl Outcome {
    fn done_if(is_good: bool) -> Self {
        if is_good { Self::Done } else { Self::ToDo }
    }
}

/// Output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    pub text: String,
    /// The same for programs; `README.md` has the shapes.
    pub json: Value,
}

impl Answer {
    fn new(outcome: Outcome, text: impl fmt::Display, shape: &impl Serialize) -> Self {
        // Serialization fails only for map keys that are not text, and no shape has one.
        Self { outcome, text: text.to_string(), json: serde_json::to_value(shape).unwrap_or_default() }
    }

    fn done<S: fmt::Display + Serialize>(shape: &S) -> Self {
        Self::new(Outcome::Done, shape, shape)
    }
}

/// Returns the rows if all were readable, else the first error.
fn all_readable<T>((read, unreadable): (T, Vec<StoreError>)) -> Result<T, Error> {
    unreadable.into_iter().next().map_or(Ok(read), |error| Err(error.into()))
}

fn write_page(path: &Path, page: &str) -> Result<(), Error> {
    let unwritten = |error| Error::plain(format!("cannot write {}: {error}", path.display()));
    std::fs::write(path, page).map_err(unwritten)
}

/// Answers with the list. If a row was unreadable, prints the list and fails.
fn all_listed<S: fmt::Display + Serialize>(
    list: &S,
    unreadable: Vec<StoreError>,
    print: &mut dyn FnMut(&str),
) -> Result<Answer, Error> {
    match unreadable.into_iter().next() {
        None => Ok(Answer::done(list)),
        Some(error) => {
            print(&list.to_string());
            Err(error.into())
        }
    }
}

/// Runs a command line. `print` gets the lines that come before the answer.
pub async fn run(
    arguments: &Arguments,
    env: Env,
    now: Timestamp,
    print: &mut dyn FnMut(&str),
) -> Result<Answer, Error> {
    let file = || config::place(&env, arguments.pipeline.as_deref(), Path::exists);
    if let Command::CheckConfig { file: None } = &arguments.command {
        return config::ConfigCheck::of(&file()?);
    }
    if let Command::JudgeHistory { .. } = &arguments.command {
        judge_history::answer_lines(std::io::stdin().lock(), print)?;
        return Ok(Answer::new(Outcome::Done, "", &Value::Null));
    }
    if let Command::Explain { finding, message: None, out } = &arguments.command {
        let pipeline = file().and_then(|file| read_pipeline(&file));
        return explained(finding.as_deref(), out.as_deref(), pipeline.as_ref());
    }
    if let Some(answer) = without_aws(&arguments.command) {
        return answer;
    }
    let file = file()?;
    let mut pipeline = read_pipeline(&file)?;
    // Only these commands compare views, so a mistake in their files stops no other.
    if let Command::Baseline(_) | Command::Remedies(_) | Command::Audit(_) = &arguments.command {
        read_declared_views(&mut pipeline, &file)?;
    }
    let sdk = connect::sdk(&env).await?;
    Operator::with(env, pipeline, sdk, now).carry_out(&arguments.command, print).await
}

/// Answers `explain`; without a pipeline, in the names of the example.
fn explained(
    finding: Option<&str>,
    out: Option<&Path>,
    pipeline: Result<&Pipeline, &Error>,
) -> Result<Answer, Error> {
    match (finding, out) {
        (_, Some(out)) => {
            let pipeline = pipeline.map_err(Clone::clone)?;
            Ok(Answer::done(&runbook::written(pipeline, out)?))
        }
        (Some(finding), None) => {
            let section = runbook::explain(finding)?;
            Ok(Answer::done(&match pipeline {
                Ok(pipeline) => section.in_names_of(pipeline),
                Err(_) => section,
            }))
        }
        (None, None) => Ok(Answer::done(&runbook::contents())),
    }
}

/// Answers a command that needs neither AWS nor a pipeline.
fn without_aws(command: &Command) -> Option<Result<Answer, Error>> {
    match command {
        Command::CheckConfig { file: Some(file) } => Some(config::ConfigCheck::of(file)),
        Command::Explain { message: Some(message), .. } => {
            Some(message::classified(message, std::io::stdin().lock()).map(|found| Answer::done(&found)))
        }
        Command::Completions { shell } => {
            let script = arguments::completions(*shell);
            Some(Ok(Answer::new(Outcome::Done, &script, &json!({ "script": script }))))
        }
        _ => None,
    }
}

/// Reads a token: the first line of a pipe.
fn token_of(mut input: impl std::io::BufRead) -> Result<SecretString, Error> {
    let mut line = String::new();
    let read = input
        .read_line(&mut line)
        .map_err(|error| Error::plain(format!("cannot read standard input: {error}")));
    read?;
    match line.trim() {
        "" => Err(Error::new(
            "no token on standard input",
            "printf %s \"$TOKEN\" | syncwatch census probe --token-stdin",
        )),
        token => Ok(SecretString::from(token)),
    }
}

/// Settings and clients of the commands.
#[derive(Debug)]
pub struct Operator {
    env: Env,
    pipeline: Pipeline,
    sdk: Sdk,
    now: Timestamp,
}

impl Operator {
    /// Builds an operator from its parts.
    pub fn with(env: Env, pipeline: Pipeline, sdk: Sdk, now: Timestamp) -> Self {
        Self { env, pipeline, sdk, now }
    }

    /// Runs a command and returns all of its output; the answer comes last.
    pub async fn output(&self, command: &Command) -> Result<(Outcome, String), Error> {
        let mut lines = Vec::new();
        let answer = self.carry_out(command, &mut |line| lines.push(line.to_owned())).await?;
        lines.push(answer.text);
        Ok((answer.outcome, lines.join("\n")))
    }

    /// Runs a command. `print` gets the lines that come before the answer, such as a plan.
    pub async fn carry_out(&self, command: &Command, print: &mut dyn FnMut(&str)) -> Result<Answer, Error> {
        match command {
            Command::Status => {
                let status = self.status().await;
                Ok(Answer::new(Outcome::done_if(status.is_good()), &status, &status))
            }
            Command::Incidents => self.list_incidents(print).await,
            Command::Advise { sync } => Ok(Answer::done(&self.advise(sync.as_deref()).await?)),
            Command::Scoreboard => Ok(Answer::done(&self.scoreboard().await?)),
            Command::Report { month: Some(month), html, .. } => {
                Ok(Answer::done(&self.monthly(*month, html.as_deref()).await?))
            }
            Command::Report { week, .. } => Ok(Answer::done(&self.digest(*week).await?)),
            Command::Audit(asked) => Box::pin(self.audit(asked)).await,
            Command::Page { month, out } => Ok(Answer::done(&self.page(*month, out.as_deref()).await?)),
            Command::Baseline(asked) => self.baseline(asked).await,
            Command::Objects(asked) => self.propose_object(asked).await,
            Command::Remedies(asked) => Box::pin(self.remedies(asked, print)).await,
            Command::Reconcile(asked) => self.compare_objects(asked).await,
            Command::Expectations { sync, would_have } => {
                Ok(Answer::done(&self.expectations(sync.as_deref(), *would_have).await?))
            }
            Command::Runs { sync, last } => Ok(Answer::done(&self.runs(sync, *last).await?)),
            Command::Doctor { url, bare_names } => {
                let diagnosis = self.diagnosis(url.as_deref(), *bare_names).await?;
                Ok(Answer::new(Outcome::done_if(diagnosis.is_good()), &diagnosis, &diagnosis))
            }
            Command::Acknowledge(wanted) => self.acknowledge(wanted).await,
            Command::Mark(wanted) => self.mark(wanted).await,
            Command::Silence(asked) => self.silence(asked, print).await,
            Command::StakeholderNotice { kind, key, html } => {
                self.stakeholder_notice(*kind, key.as_ref(), html.as_deref()).await
            }
            Command::WebhookRegister { url, check, rotate } => {
                let wish = if *rotate { Wish::Rotate } else { Wish::Register };
                self.register_webhook(url, *check, wish, print).await
            }
            Command::WarehouseApply { folder, views } => self.apply_warehouse(folder, *views).await,
            Command::AlertTest { owner, resolve: Some(key), .. } => {
                self.end_test(key, owner.as_deref()).await
            }
            Command::AlertTest { owner, resolve_after, .. } => {
                self.test_alerts(owner.as_deref(), *resolve_after, print).await
            }
            Command::AlarmTest { yes, wait } => self.test_alarms(*yes, *wait, print).await,
            Command::Census(CensusCommand::Probe { token_stdin, group_id }) => {
                let token = if *token_stdin { Some(token_of(std::io::stdin().lock())?) } else { None };
                self.probe_census(token, group_id.as_deref()).await
            }
            Command::Explain { finding, message: None, out } => {
                explained(finding.as_deref(), out.as_deref(), Ok(&self.pipeline))
            }
            _ => without_aws(command).unwrap_or_else(|| {
                Ok(config::ConfigCheck::valid(Path::new("pipeline.toml"), &self.pipeline))
            }),
        }
    }

    async fn stakeholder_notice(
        &self,
        kind: stakeholders::Kind,
        key: Option<&syncwatch::incident::IncidentKey>,
        html: Option<&Path>,
    ) -> Result<Answer, Error> {
        if let Some(key) = key {
            incidents::of_pipeline(key, &self.pipeline)?;
        }
        let figures = self.figures(key).await;
        let stakeholders::Notice { text, html: page } =
            stakeholders::render(kind, &figures, &self.pipeline, self.now)?;
        if let Some(path) = html {
            write_page(path, &page)?;
        }
        Ok(Answer::new(Outcome::Done, &text, &json!({ "text": text, "html": page })))
    }

    fn prefix(&self) -> String {
        self.env.optional(PREFIX).unwrap_or_else(|| declared::USUAL_PREFIX.to_owned())
    }

    /// Returns the functions and resources with their names in this deployment.
    fn declared(&self) -> Result<Declared, Error> {
        Declared::deployed_as(&self.prefix())
    }

    async fn diagnosis(&self, url: Option<&str>, bare_names: bool) -> Result<doctor::Diagnosis, Error> {
        let declared = self.declared()?;
        let prefix = if bare_names { String::new() } else { format!("{}-", self.prefix()) };
        let source = doctor::Source { operator: self, declared: &declared, prefix: &prefix, url };
        // Boxed, because the future of all these calls is large.
        let observed = Box::pin(doctor::observe(&source)).await;
        Ok(doctor::Diagnosis { rows: doctor::judge(&observed, &self.pipeline.channels) })
    }

    async fn apply_warehouse(&self, folder: &Path, views: bool) -> Result<Answer, Error> {
        let warehouse = self.warehouse(Limits::default()).await?;
        let report = if views {
            warehouse_objects::restore_folder(&warehouse, folder, self.now).await
        } else {
            warehouse_objects::apply_folder(&warehouse, folder, self.now).await
        };
        Ok(Answer::done(&report?))
    }

    async fn warehouse(&self, limits: Limits) -> Result<Warehouse, Error> {
        let secret = || self.setting(env::WAREHOUSE_SECRET);
        let base_url = self.env.optional(env::DATABRICKS_URL.name);
        self.warehouse_by(secret, base_url, limits, WAREHOUSE_START_LIMIT).await
    }

    async fn warehouse_by(
        &self,
        secret: impl FnOnce() -> Result<String, Error>,
        base_url: Option<String>,
        limits: Limits,
        start_limit: Duration,
    ) -> Result<Warehouse, Error> {
        let warehouse = self.declared_warehouse()?;
        let (secret, base_url) = (&secret()?, base_url.as_deref());
        let access = warehouse::Access { warehouse, secret, base_url, limits, start_limit };
        let secrets = SecretStore::new(self.sdk.secrets());
        Ok(warehouse::open(&access, &secrets, self.sdk.http.clone()).await?)
    }

    /// Opens the warehouse and the connections that objects need.
    async fn databases(&self, objects: &[&Object]) -> Result<Databases, Error> {
        let warehouse = self.declared_warehouse()?;
        let (secret, base_url) =
            (&self.setting(env::WAREHOUSE_SECRET)?, self.env.optional(env::DATABRICKS_URL.name));
        let base_url = base_url.as_deref();
        let (limits, start_limit) = (COMPARE_LIMITS, WAREHOUSE_START_LIMIT);
        let access = warehouse::Access { warehouse, secret, base_url, limits, start_limit };
        let (secrets, http) = (SecretStore::new(self.sdk.secrets()), self.sdk.http.clone());
        Ok(warehouse::open_databases(&self.pipeline, objects, &access, &secrets, http).await?)
    }

    fn declared_warehouse(&self) -> Result<&syncwatch::pipeline::Warehouse, Error> {
        self.pipeline
            .warehouse
            .as_ref()
            .ok_or_else(|| Error::new("pipeline.toml has no [warehouse]", "add the section"))
    }

    async fn register_webhook(
        &self,
        url: &str,
        only_check: bool,
        wish: Wish,
        print: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        let registration = self.registration(url).await?;
        let found = registration.inspect().await?;
        let plan = plan(wish, &found);
        if let Plan::Refuse(why) = plan {
            return Err(Error::plain(why));
        }
        let mut planned = vec![plan.to_string()];
        planned.extend(found.elsewhere.iter().map(note));
        let planned = planned.join("\n");
        if only_check {
            let is_good = plan.is_nothing_to_do();
            let shape = WebhookAnswer { todo: !is_good, plan: planned.clone(), done: None };
            return Ok(Answer::new(Outcome::done_if(is_good), &planned, &shape));
        }
        print(&planned);
        let done = registration.carry_out(&self.census_writer().await?, &plan).await?;
        let shape = WebhookAnswer { todo: false, plan: planned, done: Some(done.clone()) };
        Ok(Answer::new(Outcome::Done, &done, &shape))
    }

    async fn registration(&self, url: &str) -> Result<Registration, Error> {
        let declared = self.declared()?;
        let (_, path) = declared.intake()?;
        let endpoint = Endpoint::parse(url, path)?;
        Ok(self.registration_by(self.census().await?, self.setting(env::WEBHOOK_SECRET)?, endpoint))
    }

    fn registration_by(&self, census: Client, secret_name: String, endpoint: Endpoint) -> Registration {
        let secrets = SecretStore::new(self.sdk.secrets());
        Registration { census, secrets, secret_name, endpoint, pipeline: self.pipeline.name.clone() }
    }

    async fn test_alerts(
        &self,
        owner: Option<&str>,
        resolve_after: SignedDuration,
        print: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        let (pipeline, began) = (&self.pipeline, self.now);
        alert_test::declared(owner, pipeline)?;
        let topic = self.topic().await?;
        let key = test_key(&pipeline.name, began);
        // Printed before anything is sent, so that the operator can end the test if this command is killed.
        print(&format!("If this is interrupted, end the test: {}", alert_test::end_command(&key, owner)));
        let interrupted = tokio::spawn(tokio::signal::ctrl_c());
        let opened = alert_test::publish(&topic, pipeline, NoticeKind::Opened, owner, began, began).await?;
        print(&format!("Published {opened}"));
        print(&format!("The test resolves in {} s; Ctrl-C resolves it now.", resolve_after.as_secs()));
        let waited = alert_test::wait(resolve_after, interrupted).await;
        let ended = began.saturating_add(waited).unwrap_or(began);
        let resolved = alert_test::publish(&topic, pipeline, NoticeKind::Resolved, owner, began, ended).await;
        let resolved = resolved.map_err(|error| alert_test::left_open(&key, owner, &error.into()))?;
        print(&format!("Published {resolved}\n"));
        Ok(Answer::done(&alert_test::AlertTest::of(opened, resolved, owner, pipeline)))
    }

    async fn test_alarms(
        &self,
        yes: bool,
        wait: SignedDuration,
        print: &mut dyn FnMut(&str),
    ) -> Result<Answer, Error> {
        let (cloudwatch, prefix) = (CloudWatch::new(&self.sdk), self.prefix());
        let alarms = cloudwatch.alarms(&format!("{prefix}-")).await?;
        let chosen = alarm_test::choose(&alarms, &prefix)?;
        let topics = self.subscribers(chosen.iter().flat_map(|alarm| &alarm.topics)).await?;
        let mut test = alarm_test::AlarmTest::planned(&chosen, topics);
        if !yes {
            return Ok(Answer::new(Outcome::ToDo, &test, &test));
        }
        print(&test.body());
        for alarm in &chosen {
            cloudwatch.set_to_alarm(&alarm.name).await?;
        }
        test.rung = true;
        let since = self.now.saturating_sub(CLOCK_DIFFERENCE).unwrap_or(self.now);
        let mut left = wait;
        loop {
            test.learn(&cloudwatch.actions(&format!("{prefix}-"), since).await?);
            if test.is_known() || left <= SignedDuration::ZERO {
                break;
            }
            tokio::time::sleep(HISTORY_EVERY.unsigned_abs()).await;
            left -= HISTORY_EVERY;
        }
        Ok(Answer::new(Outcome::done_if(test.is_good()), &test, &test))
    }

    /// Lists the subscribers of topics, by topic name.
    async fn subscribers(
        &self,
        arns: impl Iterator<Item = &String>,
    ) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let mut reached = BTreeMap::new();
        for arn in arns {
            if reached.contains_key(alarms::name(arn)) {
                continue;
            }
            let found = Topic::new(self.sdk.sns(), arn).subscriptions().await?;
            let subscribers = found.iter().map(|subscription| {
                let Subscription { protocol, endpoint, confirmed } = subscription;
                let pending = if *confirmed { "" } else { " (unconfirmed, gets nothing)" };
                format!("{protocol} {}{pending}", doctor::reaches(protocol, endpoint))
            });
            reached.insert(alarms::name(arn).to_owned(), subscribers.collect());
        }
        Ok(reached)
    }

    /// Resolves a test that was interrupted.
    async fn end_test(&self, key: &str, owner: Option<&str>) -> Result<Answer, Error> {
        let (pipeline, now) = (&self.pipeline, self.now);
        alert_test::declared(owner, pipeline)?;
        let began = test_began(&pipeline.name, key).filter(|began| *began <= now).ok_or_else(|| {
            let what = format!("`{key}` is not an alert test of {}", pipeline.name);
            Error::new(what, format!("use a key such as {}", test_key(&pipeline.name, now)))
        })?;
        let topic = self.topic().await?;
        let resolved = alert_test::publish(&topic, pipeline, NoticeKind::Resolved, owner, began, now).await;
        let resolved = resolved.map_err(|error| alert_test::left_open(key, owner, &error.into()))?;
        Ok(Answer::new(Outcome::Done, format!("Published {resolved}"), &resolved))
    }

    async fn topic(&self) -> Result<Topic, Error> {
        Ok(Topic::new(self.sdk.sns(), self.topic_arn().await?))
    }

    fn incidents(&self) -> Result<IncidentStore, Error> {
        Ok(IncidentStore::new(self.sdk.dynamodb(), self.setting(env::INCIDENTS_TABLE)?))
    }

    async fn census(&self) -> Result<Client, Error> {
        let base_url = self.env.optional(env::CENSUS_BASE_URL.name);
        self.census_by(&self.setting(env::CENSUS_SECRET)?, base_url).await
    }

    async fn census_by(&self, secret: &str, base_url: Option<String>) -> Result<Client, Error> {
        let settings = self.census_settings(secret, base_url).await?;
        Ok(Client::new(self.sdk.http.clone(), settings, self.now)?)
    }

    /// Returns the AWS identity that runs the command, as an ARN.
    async fn identity(&self) -> Result<String, Error> {
        let sts = aws_sdk_sts::Client::new(self.sdk.config());
        let answer = sts.get_caller_identity().send().await.map_err(|error| {
            let what = format!("AWS did not say who runs the command: {}", DisplayErrorContext(&error));
            Error::new(what, "`aws sts get-caller-identity` must work with the same credentials")
        })?;
        answer.arn.ok_or_else(|| Error::plain("AWS did not say who runs the command"))
    }

    async fn census_writer(&self) -> Result<census::Writer, Error> {
        let base_url = self.env.optional(env::CENSUS_BASE_URL.name);
        let settings = self.census_settings(&self.setting(env::CENSUS_SECRET)?, base_url).await?;
        Ok(census::Writer::new(self.sdk.http.clone(), settings, self.now)?)
    }

    async fn census_settings(
        &self,
        secret: &str,
        base_url: Option<String>,
    ) -> Result<census::Settings, Error> {
        let secrets = SecretStore::new(self.sdk.secrets());
        // Boxed, because the compiler limits how deep futures nest.
        let token = Box::pin(secrets.get(secret, self.now)).await?;
        Ok(census::Settings::of(&self.pipeline.census, base_url.as_deref(), token))
    }

    /// Returns the name of a table or secret, from the environment or `infra/functions.json`.
    fn setting(&self, setting: Setting) -> Result<String, Error> {
        if let Some(name) = self.env.optional(setting.name) {
            return Ok(name);
        }
        let declared = self.declared()?;
        let name = declared.name_for(setting.name).map(str::to_owned);
        name.ok_or_else(|| {
            Error::new(format!("no value for {}", setting.holds), format!("set {}", setting.name))
        })
    }

    /// Returns the ARN of the topic of notices, from the environment or a deployed function.
    async fn topic_arn(&self) -> Result<String, Error> {
        let setting = env::TOPIC_ARN.name;
        if let Some(arn) = self.env.optional(setting) {
            return Ok(arn);
        }
        let declared = self.declared()?;
        let function = format!("{}-{}", self.prefix(), declared.function_with(setting).unwrap_or_default());
        let lambda = aws_sdk_lambda::Client::new(self.sdk.config());
        let deployed = doctor::configuration(&lambda, &function).await?;
        let variables = deployed.environment.and_then(|set| set.variables);
        variables.and_then(|mut set| set.remove(setting)).ok_or_else(|| {
            Error::new(
                format!("function {function} has no {setting}"),
                format!("make deploy, or set {setting}"),
            )
        })
    }
}

/// Result of `webhook-register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAnswer {
    /// Whether the webhook is missing or differs.
    pub todo: bool,
    pub plan: String,
    /// The steps that were done; `None` with `--check`.
    pub done: Option<String>,
}

#[cfg(test)]
mod tests;
