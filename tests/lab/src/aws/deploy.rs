//! Deploys `infra/functions.json` into a running [`Ministack`], as Terraform does into AWS.

mod queues;
mod urls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction,
    DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndex, GlobalSecondaryIndexUpdate, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, Environment, FunctionCode, LogType, Runtime};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use aws_sdk_sns::types::Tag;
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use syncwatch::aws::Sdk;
use syncwatch::http;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Site;

use super::access::{Call, Gate};
use super::functions_table::{
    FunctionSpec, FunctionsTable, ResourceId, ResourceKind, ResourceSpec, ScheduleSpec, SettingSource,
    TableSpec,
};
use super::ministack::{ACCOUNT, Ministack, REGION};

/// The interval at which ministack fires due schedules.
const SWEEP: Duration = super::ministack::SWEEP;

/// The inputs of a deployment beside the table of functions.
#[derive(Debug, Clone, Default)]
pub struct DeploymentOptions {
    /// The folder of the zips: `<zips>/<function>/bootstrap.zip`. See [`host_zips`].
    pub zips: PathBuf,
    /// Values of `optional_settings`, for each function that lists the setting.
    pub overrides: BTreeMap<String, String>,
    /// The value of each secret of the table. An optional secret without a value is not deployed.
    pub secrets: BTreeMap<ResourceId, String>,
    /// The senders that SES has verified. Without any, no function may send mail.
    pub senders: Vec<String>,
    /// Whether the deployment creates the schedules of the table.
    pub schedules: Schedules,
    /// The SNS endpoint for functions, instead of this ministack.
    pub sns: Option<String>,
    /// The whole path of a pipeline file, instead of the one in the zips.
    pub pipeline: Option<PathBuf>,
}

/// Whether a deployment creates the schedules of the table, and subscribes its functions to topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedules {
    /// As declared in the table: expression, zone and input.
    #[default]
    AsDeclared,
    /// None: functions run when they are invoked, or by [`Deployment::poll_every_sweep`].
    None,
}

/// The result of one invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The answer of the function, or the error payload if it failed.
    pub value: Value,
    /// The kind of failure (`Unhandled`, ...) if the function failed.
    pub error: Option<String>,
    /// The last 4 KB of the function's log, if any.
    pub log: Option<String>,
}

/// The functions and resources of the table, deployed in a ministack.
#[derive(Debug)]
pub struct Deployment {
    table: FunctionsTable,
    /// Values of optional settings.
    overrides: BTreeMap<String, String>,
    pipeline: Option<PathBuf>,
    endpoint: String,
    gate: Gate,
    topics: BTreeMap<ResourceId, String>,
    queues: BTreeMap<ResourceId, String>,
    /// The loopback address of each function that has a URL, with its path.
    urls: BTreeMap<String, String>,
    /// The id of the event source mapping of each function that a queue fires.
    mappings: BTreeMap<String, String>,
    dynamodb: aws_sdk_dynamodb::Client,
    lambda: aws_sdk_lambda::Client,
    scheduler: aws_sdk_scheduler::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

/// The folder in which `make lab-zips` puts the zips for this machine's processor.
#[must_use]
pub fn host_zips() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| super::workspace_root().join("target"), PathBuf::from);
    target.join("lambda").join(match host_architecture() {
        Architecture::Arm64 => "arm64",
        _ => "x86-64",
    })
}

fn host_architecture() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X8664 }
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement> {
    Ok(KeySchemaElement::builder().attribute_name(name).key_type(kind).build()?)
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

/// The definitions of the key attributes, each once; keys are strings.
fn attributes<'n>(names: impl Iterator<Item = &'n String>) -> Result<Vec<AttributeDefinition>> {
    let define = |name: &String| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        Ok(definition.attribute_type(ScalarAttributeType::S).build()?)
    };
    names.collect::<BTreeSet<_>>().into_iter().map(define).collect()
}

impl Deployment {
    /// Creates the resources, then the functions, then their triggers.
    ///
    /// # Errors
    /// If a zip is missing or lacks a file that a setting names, a secret has no value, no function takes an override, or
    /// ministack refuses a request.
    pub async fn apply(
        ministack: &Ministack,
        table: &FunctionsTable,
        options: &DeploymentOptions,
    ) -> Result<Self> {
        for name in options.overrides.keys() {
            if !table.takes(name) {
                bail!("override {name}: no function lists it in optional_settings");
            }
        }
        let chosen = |id: &ResourceId| match id.kind {
            ResourceKind::Identity => !options.senders.is_empty(),
            _ => options.secrets.contains_key(id),
        };
        // A function that runs in the test's process has its role, too.
        let mut rights = table.clone();
        for (name, function) in FunctionsTable::read(&FunctionsTable::default_path())?.functions {
            rights.functions.entry(name).or_insert(function);
        }
        let rights = rights.with_optional(chosen);
        let table = &table.with_optional(chosen);
        let config = &ministack.sdk_config()?;
        let sns = options.sns.as_deref().unwrap_or(ministack.endpoint());
        let mut deployment = Self {
            table: table.clone(),
            overrides: options.overrides.clone(),
            pipeline: options.pipeline.clone(),
            endpoint: ministack.endpoint().to_owned(),
            gate: Gate::start(&rights, ministack.endpoint(), sns).await?,
            topics: BTreeMap::new(),
            queues: BTreeMap::new(),
            urls: BTreeMap::new(),
            mappings: BTreeMap::new(),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            scheduler: aws_sdk_scheduler::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
        };
        for (id, spec) in &table.resources {
            deployment.create_resource(id, spec, options).await.with_context(|| format!("creating {id}"))?;
        }
        deployment.create_queues().await?;
        for (name, function) in &table.functions {
            deployment
                .create_function(name, function, options)
                .await
                .with_context(|| format!("creating {name}"))?;
        }
        for (name, function) in &table.functions {
            if let Some(url) = &function.url {
                deployment
                    .create_url(name, url)
                    .await
                    .with_context(|| format!("creating the URL of {name}"))?;
            }
            if let Some(trigger) = &function.queue {
                deployment
                    .create_queue_trigger(name, trigger)
                    .await
                    .with_context(|| format!("connecting {} to {name}", trigger.source))?;
            }
        }
        if options.schedules == Schedules::AsDeclared {
            deployment.schedule_as_declared().await?;
        }
        Ok(deployment)
    }

    /// Creates the schedules of the table: expression, zone and input; and subscribes functions to their topics.
    ///
    /// # Errors
    /// If ministack refuses one, for example because it exists.
    pub async fn schedule_as_declared(&self) -> Result<()> {
        for (name, function) in &self.table.functions {
            if let Some(topic) = &function.subscribes {
                let request = self.sns.subscribe().topic_arn(self.topic_arn(topic)?).protocol("lambda");
                let subscribed = request.endpoint(function_arn(name)).send().await;
                subscribed.with_context(|| format!("subscribing {name} to {topic}"))?;
            }
            if let Some(schedule) = &function.schedule {
                self.create_schedule(name, name, &schedule.expression, schedule)
                    .await
                    .with_context(|| format!("scheduling {name}"))?;
                for (also, firing) in &schedule.also {
                    let mut schedule = schedule.clone();
                    schedule.input = firing.input.clone();
                    let also = format!("{name}-{also}");
                    self.create_schedule(&also, name, &firing.expression, &schedule)
                        .await
                        .with_context(|| format!("scheduling {also}"))?;
                }
            }
        }
        Ok(())
    }

    async fn create_resource(
        &mut self,
        id: &ResourceId,
        spec: &ResourceSpec,
        options: &DeploymentOptions,
    ) -> Result<()> {
        match spec {
            ResourceSpec::Topic(topic) => {
                // As Terraform tags it. The lab has no mail subscribers; those subscribed by hand are extra.
                let queues = self.table.queues().filter(|(_, queue)| queue.subscribes.as_ref() == Some(id));
                let functions = self.table.functions.values();
                let functions = functions.filter(|function| function.subscribes.as_ref() == Some(id)).count();
                let needed = match options.schedules {
                    Schedules::AsDeclared => format!("lambda={functions} sqs={}", queues.count()),
                    Schedules::None => format!("sqs={}", queues.count()),
                };
                let tag = Tag::builder().key("expected-subscribers").value(needed).build()?;
                let arn = self.sns.create_topic().name(&topic.name).tags(tag).send().await?.topic_arn;
                self.topics.insert(id.clone(), arn.context("SNS answered without the topic's ARN")?);
            }
            ResourceSpec::Table(table) => self.create_table(table).await?,
            ResourceSpec::Secret(secret) => {
                let value = options.secrets.get(id).with_context(|| format!("no value given for {id}"))?;
                self.secrets.create_secret().name(&secret.name).secret_string(value).send().await?;
            }
            // Created after the topics; see `create_queues`.
            ResourceSpec::Queue(_) | ResourceSpec::Own(_) => {}
            ResourceSpec::Bucket(bucket) => {
                let url = format!("{}/{}", self.endpoint, bucket.name);
                syncwatch::http::client()?.put(url).send().await?.error_for_status()?;
            }
            ResourceSpec::Identity(_) => {
                for sender in &options.senders {
                    self.verify_sender(sender).await?;
                }
            }
        }
        Ok(())
    }

    async fn create_table(&self, spec: &TableSpec) -> Result<()> {
        let mut request =
            self.dynamodb.create_table().table_name(&spec.name).billing_mode(BillingMode::PayPerRequest);
        let names = std::iter::once(&spec.hash_key).chain(&spec.range_key).chain(spec.indexes.values());
        request = request
            .set_attribute_definitions(Some(attributes(names)?))
            .key_schema(key(&spec.hash_key, KeyType::Hash)?);
        if let Some(name) = &spec.range_key {
            request = request.key_schema(key(name, KeyType::Range)?);
        }
        for (index, sort_key) in &spec.indexes {
            let index = GlobalSecondaryIndex::builder()
                .index_name(index)
                .key_schema(key(&spec.hash_key, KeyType::Hash)?)
                .key_schema(key(sort_key, KeyType::Range)?)
                .projection(keys_only());
            request = request.global_secondary_indexes(index.build()?);
        }
        request.send().await?;
        if let Some(attribute) = &spec.ttl_attribute {
            self.dynamodb
                .update_time_to_live()
                .table_name(&spec.name)
                .time_to_live_specification(
                    TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?,
                )
                .send()
                .await?;
        }
        Ok(())
    }

    /// Deletes the indexes of a table, as with a Syncwatch version that has none, or creates them again.
    ///
    /// # Errors
    /// If the table is not deployed or cannot be changed.
    pub async fn have_indexes(&self, table: &ResourceId, there: bool) -> Result<()> {
        let Some(ResourceSpec::Table(spec)) = self.table.resources.get(table) else {
            bail!("no table `{table}` was deployed");
        };
        for (index, sort_key) in &spec.indexes {
            let mut request = self.dynamodb.update_table().table_name(&spec.name);
            let change = if there {
                let names = std::iter::once(&spec.hash_key).chain(&spec.range_key).chain([sort_key]);
                request = request.set_attribute_definitions(Some(attributes(names)?));
                let create = CreateGlobalSecondaryIndexAction::builder()
                    .index_name(index)
                    .key_schema(key(&spec.hash_key, KeyType::Hash)?)
                    .key_schema(key(sort_key, KeyType::Range)?)
                    .projection(keys_only());
                GlobalSecondaryIndexUpdate::builder().create(create.build()?).build()
            } else {
                let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(index).build()?;
                GlobalSecondaryIndexUpdate::builder().delete(delete).build()
            };
            request.global_secondary_index_updates(change).send().await?;
        }
        Ok(())
    }

    async fn create_function(
        &self,
        name: &str,
        spec: &FunctionSpec,
        options: &DeploymentOptions,
    ) -> Result<()> {
        let path = options.zips.join(name).join("bootstrap.zip");
        let zip = std::fs::read(&path)
            .with_context(|| format!("cannot read {}; run `make lab-zips`", path.display()))?;
        require_files(&path, &zip, spec)?;
        let mut variables = self.environment(spec, &options.overrides)?;
        // Lambda sets this from the logging configuration in infra/modules/function.
        variables.insert("AWS_LAMBDA_LOG_FORMAT".to_owned(), "Text".to_owned());
        // Every AWS call of a function goes through the gate, which enforces its role.
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.gate.url_for(name));
        self.lambda
            .create_function()
            .function_name(name)
            .description(&spec.description)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .architectures(host_architecture())
            .role(role(name))
            .memory_size(spec.memory_mb)
            .timeout(spec.timeout_s)
            .environment(Environment::builder().set_variables(Some(variables.into_iter().collect())).build())
            .code(FunctionCode::builder().zip_file(Blob::new(zip)).build())
            .send()
            .await?;
        Ok(())
    }

    /// The site of a function that runs in this process, so that time can be an argument: its settings as deployed, except
    /// those in `changed`, and AWS at `endpoint`.
    ///
    /// # Errors
    /// The function is not in the table, or a setting points at a resource that was not created.
    pub fn site(
        &self,
        function: &str,
        pipeline: Pipeline,
        endpoint: &str,
        changed: &[(&str, &str)],
    ) -> Result<Site> {
        // The deployed table may lack the functions themselves.
        let table = FunctionsTable::read(&FunctionsTable::default_path())?
            .with_optional(|id| self.table.resource_name(id).is_ok());
        let mut settings = self.environment(table.function(function)?, &self.overrides)?;
        settings.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Ok(Site::with(settings, pipeline, Sdk::for_endpoint(endpoint)?))
    }

    /// The environment of a function: its resolved settings, and the endpoint of this ministack.
    ///
    /// # Errors
    /// If a setting points at a resource that was not created.
    pub fn environment(
        &self,
        spec: &FunctionSpec,
        overrides: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut variables = BTreeMap::new();
        for (setting, source) in &spec.settings {
            let value = match source {
                // Lambda starts a function in its task root, where the zip is unpacked; so does ministack.
                SettingSource::File(path) => match &self.pipeline {
                    Some(file) if path == "pipeline.toml" => file.display().to_string(),
                    _ => path.clone(),
                },
                SettingSource::Resource(id) if id.kind == ResourceKind::Topic => {
                    self.topic_arn(id)?.to_owned()
                }
                SettingSource::Resource(id) if id.kind == ResourceKind::Queue => {
                    self.queue_url(id)?.to_owned()
                }
                // The lab's functions have no prefix.
                SettingSource::Resource(id)
                    if matches!(id.kind, ResourceKind::Function | ResourceKind::Alarm) =>
                {
                    "*".to_owned()
                }
                SettingSource::Resource(id) => self.table.resource_name(id)?.to_owned(),
            };
            variables.insert(setting.clone(), value);
        }
        for setting in &spec.optional_settings {
            if let Some(value) = overrides.get(setting) {
                variables.insert(setting.clone(), value.clone());
            }
        }
        // The SDK's standard variable, and the only one that points at the lab.
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.endpoint.clone());
        Ok(variables)
    }

    async fn create_schedule(
        &self,
        name: &str,
        function: &str,
        expression: &str,
        spec: &ScheduleSpec,
    ) -> Result<()> {
        // One-time schedules are in UTC, regardless of the declared zone.
        let one_time = expression.starts_with("at(");
        let zone = if one_time { "UTC" } else { &spec.time_zone };
        let target = Target::builder()
            .arn(function_arn(function))
            .role_arn(role("scheduler"))
            .input(spec.input.to_string())
            .build()?;
        let mut request = self
            .scheduler
            .create_schedule()
            .name(name)
            .schedule_expression(expression)
            .schedule_expression_timezone(zone)
            .flexible_time_window(FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()?)
            .target(target);
        if one_time {
            request = request.action_after_completion(ActionAfterCompletion::Delete);
        }
        request.send().await?;
        Ok(())
    }

    /// Schedules `function` for the next `count` sweeps, two seconds apart, with the input of the table: a time-lapse of the
    /// declared schedule for demos, as one-time `at()` schedules.
    ///
    /// # Errors
    /// If the function has no schedule, or ministack refuses.
    pub async fn poll_every_sweep(&self, function: &str, count: u32) -> Result<()> {
        let spec = self.table.function(function)?;
        let schedule = spec.schedule.as_ref().with_context(|| format!("{function} has no schedule"))?;
        let first = Timestamp::now();
        for index in 0..count {
            let at = first.checked_add(SWEEP * index)?;
            // Named by its instant, so that a second time-lapse can start while the first still runs.
            let name = format!("{function}-lapse-{}", at.as_millisecond());
            let expression = format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"));
            self.create_schedule(&name, function, &expression, schedule).await?;
        }
        Ok(())
    }

    /// Cancels the remaining firings of [`Deployment::poll_every_sweep`] for `function`; returns their number.
    ///
    /// # Errors
    /// If ministack refuses.
    pub async fn stop_polling(&self, function: &str) -> Result<usize> {
        let prefix = format!("{function}-lapse-");
        let mut stopped = 0;
        let mut pages = self.scheduler.list_schedules().name_prefix(&prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            for schedule in page?.schedules {
                if let Some(name) = schedule.name.filter(|name| name.starts_with(&prefix)) {
                    self.scheduler.delete_schedule().name(name).send().await?;
                    stopped += 1;
                }
            }
        }
        Ok(stopped)
    }

    /// The ARN of a topic of the table.
    ///
    /// # Errors
    /// If the table has no such topic.
    pub fn topic_arn(&self, id: &ResourceId) -> Result<&str> {
        self.topics.get(id).map(String::as_str).with_context(|| format!("no topic `{id}` was deployed"))
    }

    /// Subscribes an HTTP address to a topic, with an optional filter policy on message attributes.
    ///
    /// SNS posts a `SubscriptionConfirmation` there, and nothing else until [`Deployment::confirm`] is called with its
    /// `Token`.
    ///
    /// # Errors
    /// If ministack refuses.
    pub async fn subscribe_http(&self, topic: &ResourceId, url: &str, filter: Option<&Value>) -> Result<()> {
        let mut request =
            self.sns.subscribe().topic_arn(self.topic_arn(topic)?).protocol("http").endpoint(url);
        if let Some(filter) = filter {
            request = request.attributes("FilterPolicy", filter.to_string());
        }
        request.send().await?;
        Ok(())
    }

    /// Ends the subscriptions of a protocol, as the link in a mail does; returns the endpoint of the last one.
    ///
    /// # Errors
    /// If the topic has none, or ministack refuses.
    pub async fn unsubscribe(&self, topic: &ResourceId, protocol: &str) -> Result<String> {
        let answer = self.sns.list_subscriptions_by_topic().topic_arn(self.topic_arn(topic)?).send().await?;
        let mut ended = None;
        for subscription in answer.subscriptions.unwrap_or_default() {
            if subscription.protocol.as_deref() == Some(protocol) {
                self.sns.unsubscribe().set_subscription_arn(subscription.subscription_arn).send().await?;
                ended = subscription.endpoint;
            }
        }
        ended.with_context(|| format!("{topic} has no subscription of {protocol}"))
    }

    /// Subscribes a queue, by its ARN, to a topic.
    ///
    /// # Errors
    /// If ministack refuses.
    pub async fn subscribe_queue(&self, topic: &ResourceId, queue: &str) -> Result<()> {
        let request = self.sns.subscribe().topic_arn(self.topic_arn(topic)?).protocol("sqs");
        request.endpoint(queue).send().await?;
        Ok(())
    }

    /// Confirms a subscription with the token that was posted to its address; returns the ARN of the subscription.
    ///
    /// # Errors
    /// If the token is unknown.
    pub async fn confirm(&self, topic: &ResourceId, token: &str) -> Result<String> {
        let answer =
            self.sns.confirm_subscription().topic_arn(self.topic_arn(topic)?).token(token).send().await?;
        answer.subscription_arn.context("SNS answered without the subscription's ARN")
    }

    /// Runs a function once and waits for its answer.
    ///
    /// # Errors
    /// If it could not be run; a failure of the function is in [`Invocation::error`].
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Invocation> {
        let answer = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .log_type(LogType::Tail)
            .send()
            .await
            .with_context(|| format!("invoking {function}"))?;
        let value = match answer.payload {
            None => Value::Null,
            Some(payload) if payload.as_ref().is_empty() => Value::Null,
            Some(payload) => serde_json::from_slice(payload.as_ref())
                .with_context(|| format!("the answer of {function} is not JSON"))?,
        };
        let log = answer
            .log_result
            .and_then(|log| base64::engine::general_purpose::STANDARD.decode(log).ok())
            .map(|log| String::from_utf8_lossy(&log).into_owned());
        Ok(Invocation { value, error: answer.function_error, log })
    }

    /// Every item of a DynamoDB table as plain JSON, in key order.
    ///
    /// # Errors
    /// If the table is not deployed or cannot be read.
    pub async fn items(&self, table: &ResourceId) -> Result<Vec<Value>> {
        let Some(ResourceSpec::Table(spec)) = self.table.resources.get(table) else {
            bail!("no table `{table}` was deployed");
        };
        let mut items = Vec::new();
        let mut pages =
            self.dynamodb.scan().table_name(&spec.name).consistent_read(true).into_paginator().send();
        while let Some(page) = pages.next().await {
            for item in page?.items.unwrap_or_default() {
                items.push(Value::Object(
                    item.iter().map(|(key, value)| (key.clone(), plain(value))).collect::<Map<_, _>>(),
                ));
            }
        }
        let text =
            |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        items.sort_by_key(|item| {
            (text(item, &spec.hash_key), spec.range_key.as_ref().map(|key| text(item, key)))
        });
        Ok(items)
    }

    /// Deletes every item of a DynamoDB table.
    ///
    /// # Errors
    /// As [`Deployment::items`].
    pub async fn clear(&self, table: &ResourceId) -> Result<()> {
        let Some(ResourceSpec::Table(spec)) = self.table.resources.get(table) else {
            bail!("no table `{table}` was deployed");
        };
        for item in self.items(table).await? {
            let mut request = self.dynamodb.delete_item().table_name(&spec.name);
            for key in std::iter::once(&spec.hash_key).chain(&spec.range_key) {
                let value = item.get(key).and_then(Value::as_str).context("an item without its key")?;
                request = request.key(key, AttributeValue::S(value.to_owned()));
            }
            request.send().await?;
        }
        Ok(())
    }

    /// Writes an item of strings into a table, such as one of another version of the functions.
    ///
    /// # Errors
    /// If the table was not deployed, or ministack refuses.
    pub async fn put_item(&self, table: &ResourceId, item: &[(&str, &str)]) -> Result<()> {
        let item =
            item.iter().map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        let request = self.dynamodb.put_item().table_name(self.table.resource_name(table)?);
        request.set_item(Some(item.collect())).send().await?;
        Ok(())
    }

    /// The items of the incidents table.
    ///
    /// # Errors
    /// As [`Deployment::items`].
    pub async fn incidents(&self) -> Result<Vec<Value>> {
        self.items(&ResourceId::table("incidents")).await
    }

    /// Verifies an address or a domain in SES, which sends mail for no other.
    ///
    /// # Errors
    /// If ministack refuses.
    pub async fn verify_sender(&self, identity: &str) -> Result<()> {
        let url = format!("{}/v2/email/identities", self.endpoint);
        let request = syncwatch::http::client()?.post(url).json(&json!({ "EmailIdentity": identity }));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Replaces the value of a secret, as a rotation does.
    ///
    /// # Errors
    /// If ministack refuses.
    pub async fn put_secret(&self, secret: &ResourceId, value: &str) -> Result<()> {
        let name = self.table.resource_name(secret)?;
        self.secrets.put_secret_value().secret_id(name).secret_string(value).send().await?;
        Ok(())
    }

    /// The log of a function (`CloudWatch` Logs), oldest line first, runs by the Scheduler included.
    ///
    /// # Errors
    /// If ministack does not answer as `CloudWatch` Logs does.
    pub async fn function_log(&self, function: &str) -> Result<Vec<String>> {
        // The only call to this API, so not worth its SDK; ministack checks no signature.
        let answer: Value = http::client()?
            .post(&self.endpoint)
            .header("X-Amz-Target", "Logs_20140328.FilterLogEvents")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header(
                "Authorization",
                format!("AWS4-HMAC-SHA256 Credential=lab/20260101/{REGION}/logs/aws4_request, SignedHeaders=host, Signature=0"),
            )
            .body(json!({ "logGroupName": format!("/aws/lambda/{function}") }).to_string())
            .send()
            .await?
            .json()
            .await?;
        match answer.get("events").and_then(Value::as_array) {
            Some(events) => Ok(events
                .iter()
                .filter_map(|event| event.get("message").and_then(Value::as_str))
                .map(|line| line.trim_end().to_owned())
                .collect()),
            // The first run creates the log group.
            None if answer.to_string().contains("ResourceNotFoundException") => Ok(Vec::new()),
            None => Err(anyhow!("CloudWatch Logs answered {answer}")),
        }
    }

    /// Takes an action on a resource from the role of a function, or gives it back, as a changed policy does. It holds for deployed
    /// functions, and for those at [`Deployment::gate_of`].
    ///
    /// # Errors
    /// If the resource is not deployed.
    pub fn permit(&self, function: &str, action: &str, resource: &ResourceId, permitted: bool) -> Result<()> {
        let resource = self.table.resource_name(resource)?.to_owned();
        self.gate.permit(function, Call { action: action.to_owned(), resource }, permitted);
        Ok(())
    }

    /// The AWS endpoint of a function, which enforces its role.
    #[must_use]
    pub fn gate_of(&self, function: &str) -> String {
        self.gate.url_for(function)
    }

    /// The calls that each function made so far with the permission of its role.
    #[must_use]
    pub fn used(&self) -> BTreeMap<String, BTreeSet<Call>> {
        self.gate.used()
    }

    /// The calls of each function so far that its role does not permit.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<String, BTreeSet<Call>> {
        self.gate.refused()
    }

    /// The deployed table of functions.
    #[must_use]
    pub fn table(&self) -> &FunctionsTable {
        &self.table
    }

    /// The endpoint of this AWS, such as for `aws --endpoint-url`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// Checks that the zip has the files that settings name; a missing one would fail only at the function's first run.
fn require_files(path: &Path, zip: &[u8], spec: &FunctionSpec) -> Result<()> {
    let archive = zip::ZipArchive::new(std::io::Cursor::new(zip))
        .with_context(|| format!("{} is not a zip archive", path.display()))?;
    let files = spec.settings.values().filter_map(|source| match source {
        SettingSource::File(file) => Some(file.as_str()),
        SettingSource::Resource(_) => None,
    });
    for file in files.chain(std::iter::once("bootstrap")) {
        if archive.index_for_name(file).is_none() {
            bail!("{} has no `{file}` at its root; run `make lab-zips`", path.display());
        }
    }
    Ok(())
}

fn function_arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

/// The ARN of a role, which ministack requires but does not check; Terraform creates the real ones.
fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/syncwatch-{name}")
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        // As a JSON number where possible, so that tests can compare it.
        AttributeValue::N(number) => serde_json::from_str(number).unwrap_or_else(|_| json!(number)),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::Ss(texts) => json!(texts),
        AttributeValue::Ns(numbers) => json!(numbers),
        AttributeValue::L(values) => values.iter().map(plain).collect(),
        AttributeValue::M(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect::<Map<_, _>>())
        }
        AttributeValue::Null(_) => Value::Null,
        other => json!(format!("{other:?}")),
    }
}
