//! `infra/functions.json`, the one table of functions, typed.
//!
//! Terraform reads the same file. The errors that this module finds (an unknown key, a setting that points at an
//! undeclared resource) would otherwise appear only in a deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::{Map, Value};

/// The whole table: the functions, and the resources that they need.
#[derive(Debug, Clone)]
pub struct FunctionsTable {
    /// The functions by name, which is also the name of the binary.
    pub functions: BTreeMap<String, FunctionSpec>,
    /// The resources that settings and permissions point at.
    pub resources: BTreeMap<ResourceId, ResourceSpec>,
}

/// One function as the table declares it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// The purpose of the function, in one sentence.
    pub description: String,
    /// The package of the binary, which is also the directory under `functions/`; `None` if it has the function's name. See
    /// [`FunctionsTable::packages`].
    #[serde(default)]
    pub package: Option<String>,
    /// The EventBridge Scheduler schedule; `None` for a function with another trigger.
    #[serde(default)]
    pub schedule: Option<ScheduleSpec>,
    /// The topic whose messages fire it too, one event each.
    #[serde(default)]
    pub subscribes: Option<ResourceId>,
    /// The Function URL that fires it, if any.
    #[serde(default)]
    pub url: Option<UrlSpec>,
    /// The queue whose messages fire it, if any.
    #[serde(default)]
    pub queue: Option<QueueTrigger>,
    pub memory_mb: i32,
    /// Time limit of one invocation, in seconds.
    pub timeout_s: i32,
    /// Environment variables that are always set, each with the source of its value.
    pub settings: BTreeMap<String, SettingSource>,
    /// Environment variables that a deployment may set.
    #[serde(default)]
    pub optional_settings: Vec<String>,
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// For remarks, as JSON has no comments.
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// An EventBridge Scheduler schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// `rate(...)` or `cron(...)`.
    pub expression: String,
    /// The IANA zone of a `cron` expression.
    pub time_zone: String,
    pub input: Value,
    /// Other events for the function, by the suffix of their schedules' names.
    #[serde(default)]
    pub also: BTreeMap<String, Firing>,
    /// The age at which an event is given up, in seconds.
    pub max_age_s: i32,
    /// The number of Lambda's retries of a failed event.
    pub retries: i32,
    /// The time without a run after which an alarm fires, in seconds.
    pub silent_after_s: i32,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// Another event of a scheduled function.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// `cron(...)`, in the zone of its schedule.
    pub expression: String,
    pub input: Value,
}

/// A public Function URL: the function itself verifies its callers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlSpec {
    /// The path for callers, with its leading `/`. A Function URL forwards every path.
    pub path: String,
    /// The number of invocations that may run at once. More get a 429, which limits the cost of a public address.
    pub reserved_concurrency: i32,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// An SQS event source mapping; the function returns the failed messages (`ReportBatchItemFailures`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueTrigger {
    pub source: ResourceId,
    /// The most messages per invocation.
    pub batch_size: i32,
    /// The longest wait for a batch to fill, in seconds.
    pub batching_window_s: i32,
    /// The number of batches that may run at once.
    pub max_concurrency: i32,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// One statement of a function's role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The IAM action, such as `sns:Publish`.
    pub action: String,
    pub resource: ResourceId,
    /// Only these files of a bucket, below the folder of the pipeline; Terraform limits the role to them.
    #[serde(rename = "files", default)]
    _files: Option<IgnoredAny>,
}

/// The source of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// A resource of the deployment: a topic's ARN, a table's or a secret's name, a queue's URL.
    Resource(ResourceId),
    /// A file inside the function's zip, relative to its root (Lambda's working directory).
    File(String),
}

/// The kinds of resource in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Topic,
    Table,
    Secret,
    Queue,
    Identity,
    Bucket,
    /// All functions of the deployment.
    Function,
    /// All alarms of the deployment.
    Alarm,
}

/// The table's name for a resource, such as `topic:notices`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceId {
    pub kind: ResourceKind,
    pub key: String,
}

/// The specification of one resource.
#[derive(Debug, Clone)]
pub enum ResourceSpec {
    Topic(NamedSpec),
    Table(TableSpec),
    /// A secret; its value is never in the table.
    Secret(SecretSpec),
    Queue(QueueSpec),
    Identity(IdentitySpec),
    /// A bucket of S3. Terraform adds the account to its name.
    Bucket(NamedSpec),
    /// The pattern of names of functions or alarms.
    Own(NamedSpec),
}

/// The sender of mails in SES. Its name is the lab's; Terraform has that in SES.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    pub name: String,
    /// As for a secret.
    #[serde(default)]
    pub optional: bool,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// A resource with only a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSpec {
    pub name: String,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    pub name: String,
    /// Whether a deployment may omit it: see [`FunctionsTable::with_optional`].
    #[serde(default)]
    pub optional: bool,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// A DynamoDB table; its keys are strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    pub name: String,
    /// The attribute that is the partition key.
    pub hash_key: String,
    /// The attribute that is the sort key, if any.
    #[serde(default)]
    pub range_key: Option<String>,
    /// The sort key of each index, by the index's name. An index has the table's partition key, and projects only keys.
    #[serde(default)]
    pub indexes: BTreeMap<String, String>,
    /// The attribute with an item's expiry (seconds since 1970).
    #[serde(default)]
    pub ttl_attribute: Option<String>,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// A standard SQS queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    pub name: String,
    /// The time for which a received message is hidden from other readers, in seconds.
    pub visibility_timeout_s: i32,
    /// The retention of a message, in seconds.
    pub retention_s: i32,
    /// The queue for messages that exceed `max_receives`.
    #[serde(default)]
    pub dead_letter: Option<ResourceId>,
    /// The number of receives before a message moves to `dead_letter`.
    #[serde(default)]
    pub max_receives: Option<i32>,
    /// The age of the oldest message at which an alarm fires, in seconds.
    #[serde(default)]
    pub stale_after_s: Option<i32>,
    /// The topic to which it subscribes; messages come in SNS's envelope.
    #[serde(default)]
    pub subscribes: Option<ResourceId>,
    /// The subscription's filter on message attributes; without it, all messages pass.
    #[serde(default)]
    pub filter_policy: Option<Map<String, Value>>,
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// The least ratio of a queue's visibility timeout to the function's time limit, so that a retried or throttled batch does
/// not reach another worker at the same time (AWS's advice for SQS event sources).
const VISIBILITY_PER_TIMEOUT: i32 = 6;
/// SQS's limits (its API reference, `SetQueueAttributes`), in seconds.
const VISIBILITY_LIMITS: RangeInclusive<i32> = 0..=43_200;
const RETENTION_LIMITS: RangeInclusive<i32> = 60..=1_209_600;
/// Lambda's limits (its API reference, `CreateEventSourceMapping` and `ScalingConfig`).
const CONCURRENCY_LIMITS: RangeInclusive<i32> = 2..=1_000;
/// The shortest event age of EventBridge Scheduler (`RetryPolicy`) and the longest of Lambda
/// (`PutFunctionEventInvokeConfig`), in seconds; then the number of Lambda's retries.
const AGE_LIMITS: RangeInclusive<i32> = 60..=21_600;
const RETRY_LIMITS: RangeInclusive<i32> = 0..=2;
/// `CloudWatch`'s limit (`PutMetricAlarm`) is a week. From three hours on, the alarm's period is an hour.
const SILENCE_LIMITS: RangeInclusive<i32> = 300..=604_800;
const COARSE_SILENCE: i32 = 10_800;
const BATCH_LIMITS: RangeInclusive<i32> = 1..=10_000;
const WINDOW_LIMITS: RangeInclusive<i32> = 0..=300;
/// A larger batch needs a window to fill in.
const BATCH_WITHOUT_WINDOW: i32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
    functions: BTreeMap<String, FunctionSpec>,
    resources: BTreeMap<ResourceId, Value>,
}

impl FunctionsTable {
    /// The path of the table in this repository.
    #[must_use]
    pub fn default_path() -> PathBuf {
        super::workspace_root().join("infra/functions.json")
    }

    /// Reads and checks the table.
    ///
    /// # Errors
    /// If the file cannot be read, has an unknown key or value, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid table of functions", path.display()))
    }

    /// Parses and checks the table.
    ///
    /// # Errors
    /// As [`FunctionsTable::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let raw: Raw = serde_json::from_str(text)?;
        let resources = raw
            .resources
            .into_iter()
            .map(|(id, value)| {
                let spec = match id.kind {
                    ResourceKind::Topic => serde_json::from_value(value).map(ResourceSpec::Topic),
                    ResourceKind::Table => serde_json::from_value(value).map(ResourceSpec::Table),
                    ResourceKind::Secret => serde_json::from_value(value).map(ResourceSpec::Secret),
                    ResourceKind::Queue => serde_json::from_value(value).map(ResourceSpec::Queue),
                    ResourceKind::Identity => serde_json::from_value(value).map(ResourceSpec::Identity),
                    ResourceKind::Bucket => serde_json::from_value(value).map(ResourceSpec::Bucket),
                    ResourceKind::Function | ResourceKind::Alarm => {
                        serde_json::from_value(value).map(ResourceSpec::Own)
                    }
                };
                Ok((id.clone(), spec.with_context(|| format!("resource {id}"))?))
            })
            .collect::<Result<_>>()?;
        let table = Self { functions: raw.functions, resources };
        table.check()?;
        Ok(table)
    }

    /// Finds a function by its name.
    ///
    /// # Errors
    /// If the name is unknown.
    pub fn function(&self, name: &str) -> Result<&FunctionSpec> {
        self.functions.get(name).with_context(|| {
            let known: Vec<_> = self.functions.keys().map(String::as_str).collect();
            format!("no function `{name}` in the table of functions; it has: {}", known.join(", "))
        })
    }

    /// The name in AWS of a resource.
    ///
    /// # Errors
    /// If the table does not declare it.
    pub fn resource_name(&self, id: &ResourceId) -> Result<&str> {
        match self
            .resources
            .get(id)
            .with_context(|| format!("no resource `{id}` in the table of functions"))?
        {
            ResourceSpec::Topic(spec) | ResourceSpec::Own(spec) | ResourceSpec::Bucket(spec) => {
                Ok(&spec.name)
            }
            ResourceSpec::Secret(spec) => Ok(&spec.name),
            ResourceSpec::Table(spec) => Ok(&spec.name),
            ResourceSpec::Queue(spec) => Ok(&spec.name),
            ResourceSpec::Identity(spec) => Ok(&spec.name),
        }
    }

    /// The table for a deployment with these optional resources: without the others, and without settings and permissions
    /// that refer to them.
    #[must_use]
    pub fn with_optional(&self, chosen: impl Fn(&ResourceId) -> bool) -> Self {
        let omitted = |id: &ResourceId| {
            let optional = match self.resources.get(id) {
                Some(ResourceSpec::Secret(secret)) => secret.optional,
                Some(ResourceSpec::Identity(identity)) => identity.optional,
                _ => false,
            };
            optional && !chosen(id)
        };
        let mut table = self.clone();
        table.resources.retain(|id, _| !omitted(id));
        for function in table.functions.values_mut() {
            function.permissions.retain(|permission| !omitted(&permission.resource));
            function
                .settings
                .retain(|_, source| !matches!(source, SettingSource::Resource(id) if omitted(id)));
        }
        table
    }

    /// Whether a function lists this optional setting.
    #[must_use]
    pub fn takes(&self, setting: &str) -> bool {
        self.functions.values().any(|function| function.optional_settings.iter().any(|name| name == setting))
    }

    /// The packages of the functions, which are also the directories under `functions/`.
    #[must_use]
    pub fn packages(&self) -> BTreeSet<&str> {
        self.functions
            .iter()
            .map(|(name, function)| function.package.as_ref().unwrap_or(name).as_str())
            .collect()
    }

    /// The queues, by their name in the table.
    pub fn queues(&self) -> impl Iterator<Item = (&ResourceId, &QueueSpec)> {
        self.resources.iter().filter_map(|(id, spec)| match spec {
            ResourceSpec::Queue(queue) => Some((id, queue)),
            _ => None,
        })
    }

    fn queue(&self, id: &ResourceId) -> Option<&QueueSpec> {
        self.queues().find(|(other, _)| *other == id).map(|(_, spec)| spec)
    }

    fn check(&self) -> Result<()> {
        for (id, queue) in self.queues() {
            self.check_queue(id, queue).with_context(|| format!("resource {id}"))?;
        }
        for (name, function) in &self.functions {
            self.check_trigger(function).with_context(|| format!("function {name}"))?;
            for (setting, source) in &function.settings {
                if let SettingSource::Resource(id) = source
                    && !self.resources.contains_key(id)
                {
                    bail!(
                        "function {name}: setting {setting} points at {id}, which `resources` does not declare"
                    );
                }
                if function.optional_settings.contains(setting) {
                    bail!("function {name}: {setting} is both a setting and an optional setting");
                }
            }
            for permission in &function.permissions {
                if !self.resources.contains_key(&permission.resource) {
                    bail!(
                        "function {name}: permission {} points at {}, which `resources` does not declare",
                        permission.action,
                        permission.resource
                    );
                }
            }
        }
        Ok(())
    }

    fn check_queue(&self, id: &ResourceId, queue: &QueueSpec) -> Result<()> {
        within("visibility_timeout_s", queue.visibility_timeout_s, &VISIBILITY_LIMITS)?;
        within("retention_s", queue.retention_s, &RETENTION_LIMITS)?;
        match (&queue.dead_letter, queue.max_receives) {
            (None, None) => {}
            (Some(dead), Some(receives)) => {
                if dead == id || self.queue(dead).is_none() {
                    bail!("dead_letter points at {dead}, which is not another queue of `resources`");
                }
                within("max_receives", receives, &(1..=1_000))?;
            }
            (Some(_), None) => bail!("dead_letter needs max_receives"),
            (None, Some(_)) => bail!("max_receives needs dead_letter"),
        }
        self.check_topic(queue.subscribes.as_ref())?;
        match &queue.subscribes {
            Some(_) if queue.dead_letter.is_none() => {
                bail!("subscribes needs dead_letter, for messages that the queue does not accept");
            }
            None if queue.filter_policy.is_some() => bail!("filter_policy needs subscribes"),
            _ => Ok(()),
        }
    }

    fn check_topic(&self, subscribed: Option<&ResourceId>) -> Result<()> {
        match subscribed {
            Some(topic) if !matches!(self.resources.get(topic), Some(ResourceSpec::Topic(_))) => {
                bail!("subscribes points at {topic}, which is not a topic of `resources`")
            }
            _ => Ok(()),
        }
    }

    fn check_trigger(&self, function: &FunctionSpec) -> Result<()> {
        self.check_topic(function.subscribes.as_ref())?;
        if function.subscribes.is_some() && function.schedule.is_none() {
            bail!("subscribes needs schedule, which limits the age of events and their retries");
        }
        let triggers: Vec<&str> = [
            function.schedule.as_ref().map(|_| "schedule"),
            function.url.as_ref().map(|_| "url"),
            function.queue.as_ref().map(|_| "queue"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if triggers.len() > 1 {
            bail!("has {}; give it one trigger", triggers.join(" and "));
        }
        if let Some(schedule) = &function.schedule {
            within("schedule.max_age_s", schedule.max_age_s, &AGE_LIMITS)?;
            within("schedule.retries", schedule.retries, &RETRY_LIMITS)?;
            let silent = schedule.silent_after_s;
            let step = if silent < COARSE_SILENCE { 300 } else { 3_600 };
            if silent % step != 0 {
                bail!(
                    "schedule.silent_after_s is {silent}; the alarm's period is {step} s, so make it a multiple"
                );
            }
            within("schedule.silent_after_s", silent, &SILENCE_LIMITS)?;
        }
        if let Some(url) = &function.url {
            if !url.path.starts_with('/') {
                bail!("url.path is `{}`; start it with `/`", url.path);
            }
            within("url.reserved_concurrency", url.reserved_concurrency, &(1..=1_000))?;
        }
        let Some(trigger) = &function.queue else { return Ok(()) };
        let source = &trigger.source;
        let Some(queue) = self.queue(source) else {
            bail!("queue.source points at {source}, which is not a queue of `resources`");
        };
        let least = function.timeout_s.saturating_mul(VISIBILITY_PER_TIMEOUT);
        if queue.visibility_timeout_s < least {
            bail!(
                "{source} hides a message for {} s; make its visibility_timeout_s at least {least}, \
                 {VISIBILITY_PER_TIMEOUT} times the function's timeout_s",
                queue.visibility_timeout_s
            );
        }
        match queue.stale_after_s {
            Some(age) => within("stale_after_s", age, &RETENTION_LIMITS)?,
            None => bail!("{source} needs stale_after_s, the age of a message at which an alarm fires"),
        }
        if queue.dead_letter.is_none() {
            bail!(
                "{source} needs dead_letter, or a message that cannot be handled blocks the queue or is lost"
            );
        }
        within("queue.max_concurrency", trigger.max_concurrency, &CONCURRENCY_LIMITS)?;
        within("queue.batching_window_s", trigger.batching_window_s, &WINDOW_LIMITS)?;
        within("queue.batch_size", trigger.batch_size, &BATCH_LIMITS)?;
        if trigger.batch_size > BATCH_WITHOUT_WINDOW && trigger.batching_window_s == 0 {
            bail!("queue.batch_size over {BATCH_WITHOUT_WINDOW} needs a batching_window_s of at least 1");
        }
        Ok(())
    }
}

fn within(name: &str, value: i32, limits: &RangeInclusive<i32>) -> Result<()> {
    if !limits.contains(&value) {
        bail!("{name} is {value}; it must be from {} to {}", limits.start(), limits.end());
    }
    Ok(())
}

impl ResourceId {
    /// The topic of this key.
    #[must_use]
    pub fn topic(key: &str) -> Self {
        Self { kind: ResourceKind::Topic, key: key.to_owned() }
    }

    /// The table of this key.
    #[must_use]
    pub fn table(key: &str) -> Self {
        Self { kind: ResourceKind::Table, key: key.to_owned() }
    }

    /// The secret of this key.
    #[must_use]
    pub fn secret(key: &str) -> Self {
        Self { kind: ResourceKind::Secret, key: key.to_owned() }
    }

    /// The queue of this key.
    #[must_use]
    pub fn queue(key: &str) -> Self {
        Self { kind: ResourceKind::Queue, key: key.to_owned() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("topic", key)) => Ok(Self::topic(key)),
            Some(("table", key)) => Ok(Self::table(key)),
            Some(("secret", key)) => Ok(Self::secret(key)),
            Some(("queue", key)) => Ok(Self::queue(key)),
            Some(("identity", key)) => Ok(Self { kind: ResourceKind::Identity, key: key.to_owned() }),
            Some(("bucket", key)) => Ok(Self { kind: ResourceKind::Bucket, key: key.to_owned() }),
            Some(("function", "own")) => Ok(Self { kind: ResourceKind::Function, key: "own".to_owned() }),
            Some(("alarm", "own")) => Ok(Self { kind: ResourceKind::Alarm, key: "own".to_owned() }),
            _ => Err(format!(
                "`{text}` is not a resource; write topic:<key>, table:<key>, secret:<key>, queue:<key>, identity:<key>, bucket:<key>, function:own or alarm:own"
            )),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ResourceKind::Topic => "topic",
            ResourceKind::Table => "table",
            ResourceKind::Secret => "secret",
            ResourceKind::Queue => "queue",
            ResourceKind::Identity => "identity",
            ResourceKind::Bucket => "bucket",
            ResourceKind::Function => "function",
            ResourceKind::Alarm => "alarm",
        };
        write!(f, "{kind}:{}", self.key)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SettingSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() && !path.starts_with('/') => {
                Ok(Self::File(path.to_owned()))
            }
            Some(("file", path)) => {
                Err(D::Error::custom(format!("file:{path}: give a path relative to the root of the zip")))
            }
            _ => ResourceId::parse(&text).map(Self::Resource).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table of this repository, with queues, a URL and a package of two functions.
    const WHOLE: &str = include_str!("../../../../infra/functions.json");

    #[test]
    fn table_of_this_repository_is_valid() {
        let table = FunctionsTable::read(&FunctionsTable::default_path()).unwrap();
        let function = table.function("schedule-verification").unwrap();
        assert_eq!(
            function.settings["SYNCWATCH_TOPIC_ARN"],
            SettingSource::Resource(ResourceId::topic("notices"))
        );
        assert_eq!(
            table.resource_name(&ResourceId::secret("census-token")).unwrap(),
            "syncwatch/census-token"
        );
    }

    #[test]
    fn unknown_or_dangling_names_are_refused() {
        let with_setting = |source: &str| {
            format!(
                r#"{{"functions": {{"f": {{"description": "", "memory_mb": 128, "timeout_s": 3,
                    "settings": {{"A": "{source}"}}}}}}, "resources": {{"topic:t": {{"name": "t"}}}}}}"#
            )
        };
        FunctionsTable::parse(&with_setting("topic:t")).unwrap();
        FunctionsTable::parse(&with_setting("file:pipeline.toml")).unwrap();
        for bad in ["topic:other", "bucket:b", "file:/etc/passwd", "file:", "t"] {
            let error = FunctionsTable::parse(&with_setting(bad)).unwrap_err();
            assert!(format!("{error:#}").contains(bad), "{bad}: {error:#}");
        }
        let unknown = r#"{"functions": {}, "resources": {}, "extra": 1}"#;
        assert!(format!("{:#}", FunctionsTable::parse(unknown).unwrap_err()).contains("extra"));
    }

    #[test]
    fn table_with_queues_and_urls_is_valid() {
        let table = FunctionsTable::parse(WHOLE).unwrap();
        assert_eq!(
            table.packages().into_iter().collect::<Vec<_>>(),
            [
                "alert-relay",
                "configuration-audit",
                "daily-validation",
                "nightly-snapshot",
                "reconciliation",
                "remedies",
                "reports",
                "schedule-verification",
                "status-page",
                "webhook-intake"
            ]
        );
        assert_eq!(table.functions["webhook-intake"].url.as_ref().unwrap().path, "/webhooks/census");
        assert_eq!(
            table.functions["webhook-worker"].queue.as_ref().unwrap().source,
            ResourceId::queue("webhook-deliveries")
        );
        assert_eq!(
            table.queue(&ResourceId::queue("notices")).unwrap().subscribes,
            Some(ResourceId::topic("notices"))
        );
    }

    /// The whole table, with one value changed.
    fn changed(pointer: &str, value: Value) -> String {
        let mut table: Value = serde_json::from_str(WHOLE).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = table.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            assert!(parent.remove(key).is_some(), "{pointer}");
        } else {
            parent.insert(key.to_owned(), value);
        }
        table.to_string()
    }

    #[test]
    fn unchosen_optional_resource_takes_its_uses_along() {
        let table = FunctionsTable::parse(WHOLE).unwrap();
        for key in ["heartbeat", "pagerduty", "chat"] {
            let secret = ResourceId::secret(key);
            let uses = |table: &FunctionsTable| {
                let functions = table.functions.values();
                let permissions = functions.clone().flat_map(|function| &function.permissions);
                let settings = functions.flat_map(|function| function.settings.values());
                let source = SettingSource::Resource(secret.clone());
                (
                    permissions.filter(|permission| permission.resource == secret).count(),
                    settings.filter(|setting| **setting == source).count(),
                )
            };
            assert_eq!(uses(&table.with_optional(|id| *id == secret)), (1, 1), "{key}");
            assert_eq!(uses(&table.with_optional(|_| false)), (0, 0), "{key}");
        }
        assert_eq!(table.with_optional(|_| false).resources.len() + 4, table.resources.len());
    }

    #[test]
    fn every_used_queue_needs_dead_letters() {
        let table = FunctionsTable::parse(WHOLE).unwrap();
        let used = |id: &ResourceId, queue: &QueueSpec| {
            let sources = table.functions.values().filter_map(|function| function.queue.as_ref());
            queue.subscribes.is_some() || sources.map(|trigger| &trigger.source).any(|source| source == id)
        };
        let mut tried = 0;
        for (id, _) in table.queues().filter(|(id, queue)| used(id, queue)) {
            let mut without: Value = serde_json::from_str(WHOLE).unwrap();
            let queue = without.pointer_mut(&format!("/resources/{id}")).unwrap().as_object_mut().unwrap();
            queue.remove("dead_letter").unwrap();
            queue.remove("max_receives").unwrap();
            let error = format!("{:#}", FunctionsTable::parse(&without.to_string()).unwrap_err());
            assert!(error.contains("needs dead_letter"), "{id}: {error}");
            tried += 1;
        }
        assert_eq!(tried, 2);
    }

    #[test]
    fn unworkable_queues_and_triggers_are_refused_with_the_remedy() {
        let queue = "/resources/queue:notices";
        let worker = "/functions/webhook-worker";
        let nightly = "/functions/daily-validation/schedule";
        let table = [
            (format!("{queue}/dead_letter"), json!("queue:other"), "not another queue"),
            (format!("{queue}/dead_letter"), json!("topic:notices"), "not another queue"),
            (format!("{queue}/dead_letter"), json!("queue:notices"), "not another queue"),
            (format!("{queue}/dead_letter"), Value::Null, "max_receives needs dead_letter"),
            (format!("{queue}/stale_after_s"), Value::Null, "needs stale_after_s"),
            (format!("{queue}/stale_after_s"), json!(0), "from 60"),
            (
                "/resources/queue:webhook-deliveries/stale_after_s".to_owned(),
                Value::Null,
                "needs stale_after_s",
            ),
            (format!("{nightly}/silent_after_s"), Value::Null, "silent_after_s"),
            (format!("{nightly}/silent_after_s"), json!(90_001), "a multiple"),
            (format!("{nightly}/silent_after_s"), json!(8 * 86_400), "to 604800"),
            (format!("{nightly}/max_age_s"), json!(30), "from 60"),
            (format!("{nightly}/retries"), json!(3), "to 2"),
            (format!("{queue}/max_receives"), Value::Null, "dead_letter needs max_receives"),
            (format!("{queue}/max_receives"), json!(0), "from 1"),
            (format!("{queue}/subscribes"), json!("topic:other"), "not a topic"),
            (format!("{queue}/subscribes"), json!("queue:notices"), "not a topic"),
            (format!("{queue}/retention_s"), json!(1_209_601), "retention_s"),
            ("/resources/queue:notices-dead/filter_policy".to_owned(), json!({}), "filter_policy needs"),
            ("/functions/status-page/subscribes".to_owned(), json!("queue:notices"), "not a topic"),
            ("/functions/status-page/schedule".to_owned(), Value::Null, "needs schedule"),
            (format!("{worker}/queue/source"), json!("queue:other"), "not a queue"),
            (format!("{worker}/queue/batch_size"), json!(11), "batching_window_s"),
            (format!("{worker}/queue/max_concurrency"), json!(1), "from 2"),
            // A second more than a sixth of the time for which the queue hides a message.
            (format!("{worker}/timeout_s"), json!(31), "at least 186"),
            (format!("{worker}/url"), json!({ "path": "/", "reserved_concurrency": 5 }), "url and queue"),
            ("/functions/webhook-intake/url/path".to_owned(), json!("hook"), "`hook`"),
            ("/functions/webhook-intake/url/reserved_concurrency".to_owned(), json!(0), "from 1"),
        ];
        for (pointer, value, hint) in table {
            let error =
                format!("{:#}", FunctionsTable::parse(&changed(&pointer, value.clone())).unwrap_err());
            assert!(error.contains(hint), "{pointer} = {value}: {error}");
        }
    }
}
