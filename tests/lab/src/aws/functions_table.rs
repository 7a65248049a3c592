//! `infra/functions.json`, the one table of functions, typed.
//!
//! Terraform reads the same file. Whatever this module refuses (an unknown key, a setting that points at no
//! declared resource) would otherwise surface only in a deployment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::Value;

/// The whole table: what is deployed, and the resources that it needs.
#[derive(Debug, Clone)]
pub struct FunctionsTable {
    /// The functions by name; the name is also that of the package and of the directory under `functions/`.
    pub functions: BTreeMap<String, FunctionSpec>,
    /// The resources that settings and permissions point at.
    pub resources: BTreeMap<ResourceId, ResourceSpec>,
}

/// One function as the table declares it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// What the function is for, in one sentence.
    pub description: String,
    /// When EventBridge Scheduler fires it; `None` for a function that something else triggers.
    #[serde(default)]
    pub schedule: Option<ScheduleSpec>,
    /// Memory in MB.
    pub memory_mb: i32,
    /// Time limit of one invocation, in seconds.
    pub timeout_s: i32,
    /// Environment variables that are always set, each with where its value comes from.
    pub settings: BTreeMap<String, SettingSource>,
    /// Environment variables that a deployment may set.
    #[serde(default)]
    pub optional_settings: Vec<String>,
    /// What the function's role may do.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Room for remarks, as JSON has no comments.
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// An EventBridge Scheduler schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// `rate(...)` or `cron(...)`.
    pub expression: String,
    /// The IANA zone in which a `cron` expression is meant.
    pub time_zone: String,
    /// The event that the function receives.
    pub input: Value,
    /// Room for remarks.
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// One statement of a function's role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The IAM action, such as `sns:Publish`.
    pub action: String,
    /// What it is allowed on.
    pub resource: ResourceId,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// A resource of the deployment: a topic's ARN, a table's or a secret's name.
    Resource(ResourceId),
    /// A file inside the function's zip, relative to its root (Lambda's working directory).
    File(String),
}

/// The kinds of resource that the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// An SNS topic.
    Topic,
    /// A DynamoDB table.
    Table,
    /// A secret of Secrets Manager.
    Secret,
}

/// The table's own name of a resource, such as `topic:notices`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceId {
    /// What it is.
    pub kind: ResourceKind,
    /// Which one.
    pub key: String,
}

/// What the table says about one resource.
#[derive(Debug, Clone)]
pub enum ResourceSpec {
    /// An SNS topic.
    Topic(NamedSpec),
    /// A DynamoDB table.
    Table(TableSpec),
    /// A secret; its value is never in the table.
    Secret(NamedSpec),
}

/// A resource that has nothing but a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSpec {
    /// Its name in AWS.
    pub name: String,
    /// Room for remarks.
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

/// A DynamoDB table; its keys are strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its name in AWS.
    pub name: String,
    /// The attribute that is the partition key.
    pub hash_key: String,
    /// The attribute that is the sort key, if there is one.
    #[serde(default)]
    pub range_key: Option<String>,
    /// The attribute whose instant (seconds since 1970) ends an item's life.
    #[serde(default)]
    pub ttl_attribute: Option<String>,
    /// Room for remarks.
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "$comment", default)]
    _comment: Option<IgnoredAny>,
    functions: BTreeMap<String, FunctionSpec>,
    resources: BTreeMap<ResourceId, Value>,
}

impl FunctionsTable {
    /// Where the table lies in this repository.
    #[must_use]
    pub fn default_path() -> PathBuf {
        super::workspace_root().join("infra/functions.json")
    }

    /// Reads and checks the table.
    ///
    /// # Errors
    /// If the file cannot be read, or says something that this module does not know, or contradicts itself.
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
                };
                Ok((id.clone(), spec.with_context(|| format!("resource {id}"))?))
            })
            .collect::<Result<_>>()?;
        let table = Self { functions: raw.functions, resources };
        table.check()?;
        Ok(table)
    }

    /// The function of this name.
    ///
    /// # Errors
    /// If the table has none.
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
            ResourceSpec::Topic(spec) | ResourceSpec::Secret(spec) => Ok(&spec.name),
            ResourceSpec::Table(spec) => Ok(&spec.name),
        }
    }

    fn check(&self) -> Result<()> {
        for (name, function) in &self.functions {
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

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("topic", key)) => Ok(Self::topic(key)),
            Some(("table", key)) => Ok(Self::table(key)),
            Some(("secret", key)) => Ok(Self::secret(key)),
            _ => Err(format!("`{text}` is no resource: write topic:<key>, table:<key> or secret:<key>")),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ResourceKind::Topic => "topic",
            ResourceKind::Table => "table",
            ResourceKind::Secret => "secret",
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
    use super::*;

    #[test]
    fn the_table_of_this_repository_is_valid() {
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
    fn what_is_unknown_or_dangling_is_refused() {
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
}
