//! The functions and resources of `infra/functions.json` that the commands need.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::Error;

/// The table, embedded at build time.
const TABLE: &str = include_str!("../../../infra/functions.json");

/// Terraform's default `prefix`, with which every name in AWS begins.
pub(crate) const USUAL_PREFIX: &str = "syncwatch";

/// The declared functions and resources.
#[derive(Debug, Clone, Deserialize)]
pub struct Declared {
    pub(crate) functions: BTreeMap<String, DeclaredFunction>,
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DeclaredFunction {
    schedule: Option<Schedule>,
    url: Option<Url>,
    /// The queue that triggers it.
    pub(crate) queue: Option<serde_json::Value>,
    /// Required environment variables, each with its source.
    pub(crate) settings: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Schedule {
    #[serde(flatten)]
    fires: DeclaredSchedule,
    /// Additional schedules by name suffix.
    #[serde(default)]
    also: BTreeMap<String, Also>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Also {
    expression: String,
}

impl DeclaredFunction {
    /// Returns its schedules by name suffix. The schedule of its rounds comes first and has an empty suffix.
    pub(crate) fn schedules(&self) -> Vec<(String, DeclaredSchedule)> {
        let Some(Schedule { fires, also }) = &self.schedule else { return Vec::new() };
        let others = also.iter().map(|(name, also)| {
            let fires = DeclaredSchedule { expression: also.expression.clone(), ..fires.clone() };
            (format!("-{name}"), fires)
        });
        std::iter::once((String::new(), fires.clone())).chain(others).collect()
    }
}

/// A schedule in the terms of EventBridge Scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct DeclaredSchedule {
    /// `rate(..)` or `cron(..)`.
    pub(crate) expression: String,
    /// IANA name of the expression's time zone.
    pub(crate) time_zone: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Url {
    path: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Resource {
    name: String,
    /// Whether a deployment may omit it.
    #[serde(default)]
    optional: bool,
    /// The dead-letter queue, if this is a queue with one.
    dead_letter: Option<String>,
}

impl Declared {
    /// Parses the embedded table.
    pub fn of_this_version() -> Result<Self, Error> {
        let unread = |error| Error::plain(format!("the embedded infra/functions.json is invalid: {error}"));
        serde_json::from_str(TABLE).map_err(unread)
    }

    /// Returns the table with the names of a deployment with this Terraform `prefix`.
    pub(crate) fn deployed_as(prefix: &str) -> Result<Self, Error> {
        let mut declared = Self::of_this_version()?;
        for resource in declared.resources.values_mut() {
            if let Some(rest) = resource.name.strip_prefix(USUAL_PREFIX) {
                resource.name = format!("{prefix}{rest}");
            }
        }
        Ok(declared)
    }

    /// Returns the table, secret or bucket that a setting names; `None` if the setting is not such a name.
    pub(crate) fn name_for(&self, setting: &str) -> Option<&str> {
        let source = self.functions.values().find_map(|function| function.settings.get(setting))?;
        let is_name = ["table:", "secret:", "bucket:"].iter().any(|kind| source.starts_with(kind));
        self.resources.get(source).filter(|_| is_name).map(|resource| resource.name.as_str())
    }

    /// Lists the settings of a function, each with whether its resource is optional.
    pub(crate) fn settings<'a>(
        &'a self,
        function: &'a DeclaredFunction,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        let is_optional = |source: &String| self.resources.get(source).is_some_and(|found| found.optional);
        function.settings.iter().map(move |(setting, source)| (setting.as_str(), is_optional(source)))
    }

    /// Returns the names of the alarms that Terraform creates (`infra/alarms.tf`).
    pub(crate) fn alarms(&self, prefix: &str) -> BTreeSet<String> {
        let function =
            |name: &String| ["errors", "throttles", "duration"].map(|of| format!("{prefix}-{name}-{of}"));
        let mut names: BTreeSet<String> = self.functions.keys().flat_map(function).collect();
        let scheduled = self.functions.iter().filter(|(_, function)| function.schedule.is_some());
        names.extend(scheduled.map(|(name, _)| format!("{prefix}-{name}-silence")));
        names.extend(["schedule-verification-rounds", "refused-webhooks"].map(|of| format!("{prefix}-{of}")));
        names.extend(["functions", "schedules", "alarms"].map(|of| format!("{prefix}-failed-{of}-depth")));
        let dead: BTreeSet<&str> =
            self.resources.values().filter_map(|resource| resource.dead_letter.as_deref()).collect();
        for (id, Resource { name, .. }) in &self.resources {
            match id.split(':').next() {
                Some("topic") => names.insert(format!("{name}-undelivered")),
                Some("queue") if dead.contains(id.as_str()) => names.insert(format!("{name}-depth")),
                Some("queue") => names.insert(format!("{name}-stale")),
                _ => false,
            };
        }
        names
    }

    /// Returns a function with this setting.
    pub(crate) fn function_with(&self, setting: &str) -> Option<&str> {
        let mut functions = self.functions.iter();
        let (name, _) = functions.find(|(_, function)| function.settings.contains_key(setting))?;
        Some(name)
    }

    /// Returns the function with a URL, and its path.
    pub fn intake(&self) -> Result<(&str, &str), Error> {
        let mut functions = self.functions.iter();
        functions
            .find_map(|(name, function)| Some((name.as_str(), function.url.as_ref()?.path.as_str())))
            .ok_or_else(|| Error::plain("infra/functions.json has no function with a url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_deployment_has_its_prefix_in_every_name() {
        let declared = Declared::deployed_as("second").unwrap();
        assert_eq!(declared.name_for("SYNCWATCH_CENSUS_SECRET"), Some("second/census-token"));
        assert!(declared.resources.values().all(|resource| resource.name.starts_with("second")));
    }

    /// `infra/tests/alarms.tftest.hcl` compares the same file with Terraform's alarms.
    #[test]
    fn alarms_are_those_of_terraform() {
        let listed = include_str!("../../../infra/tests/alarm-names.txt").lines().map(ToOwned::to_owned);
        assert_eq!(Declared::of_this_version().unwrap().alarms("syncwatch"), listed.collect());
    }

    #[test]
    fn embedded_table_is_parsed() {
        let declared = Declared::of_this_version().unwrap();
        assert_eq!(declared.intake(), Ok(("webhook-intake", "/webhooks/census")));
        assert_eq!(declared.resources["topic:notices"].name, "syncwatch-notices");
        let verification = &declared.functions["schedule-verification"];
        assert!(verification.schedules().len() == 1 && verification.queue.is_none());
        let validation = declared.functions["daily-validation"].schedules();
        let names: Vec<&str> = validation.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["", "-again", "-warm-up"]);
        assert!(validation.iter().all(|(_, fires)| fires.time_zone == "America/Los_Angeles"));
        assert!(verification.settings.contains_key("SYNCWATCH_TOPIC_ARN"));
        let relay = &declared.functions["alert-relay"];
        assert_eq!(declared.name_for("SYNCWATCH_CENSUS_SECRET"), Some("syncwatch/census-token"));
        assert_eq!(declared.name_for("SYNCWATCH_INCIDENTS_TABLE"), Some("syncwatch-incidents"));
        assert_eq!(declared.name_for("SYNCWATCH_TOPIC_ARN"), None);
        assert!(declared.function_with("SYNCWATCH_TOPIC_ARN").is_some());
        assert_eq!(relay.schedules(), []);
        assert_eq!(relay.queue.as_ref().unwrap()["source"], "queue:notices");
    }
}
