//! The one reader of the process environment.
//!
//! The environment says only where things are; what to watch is in `pipeline.toml`. Tests pass a map: changing the
//! environment of a process that runs other tests at the same time would be a race.

use std::collections::BTreeMap;
use std::fmt;

/// One variable, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    /// What it holds, such as `the ARN of the SNS topic for notices`.
    pub holds: &'static str,
}

/// The settings that a function reads; `infra/functions.json` sets the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Without any of these it cannot start.
    pub required: &'static [Setting],
    pub optional: &'static [Setting],
}

/// Where the pipeline file is.
pub const PIPELINE: Setting =
    Setting { name: "SYNCWATCH_PIPELINE", holds: "the path of pipeline.toml within the function's package" };
/// Where notices go.
pub const TOPIC_ARN: Setting =
    Setting { name: "SYNCWATCH_TOPIC_ARN", holds: "the ARN of the SNS topic for notices" };
/// Where incidents are kept.
pub const INCIDENTS_TABLE: Setting =
    Setting { name: "SYNCWATCH_INCIDENTS_TABLE", holds: "the name of the DynamoDB table of incidents" };
/// Where the Census token is.
pub const CENSUS_SECRET: Setting = Setting {
    name: "SYNCWATCH_CENSUS_SECRET",
    holds: "the name of the secret that holds the Census API token",
};
/// Another Census than the public one.
pub const CENSUS_BASE_URL: Setting =
    Setting { name: "SYNCWATCH_CENSUS_BASE_URL", holds: "the base URL of the Census API" };

/// Where verified webhooks wait.
pub const DELIVERIES_QUEUE: Setting = Setting {
    name: "SYNCWATCH_DELIVERIES_QUEUE",
    holds: "the URL of the SQS queue in which verified webhooks wait",
};
/// Where the signing secret of webhooks is.
pub const WEBHOOK_SECRET: Setting = Setting {
    name: "SYNCWATCH_WEBHOOK_SECRET",
    holds: "the name of the secret with which Census signs webhooks",
};
/// Where handled webhooks are remembered.
pub const DELIVERIES_TABLE: Setting = Setting {
    name: "SYNCWATCH_DELIVERIES_TABLE",
    holds: "the name of the DynamoDB table of handled webhook deliveries",
};

/// Where webhooks end that could not be handled.
pub const DELIVERIES_DEAD_LETTERS: Setting = Setting {
    name: "SYNCWATCH_DELIVERIES_DEAD_LETTERS",
    holds: "the URL of the dead-letter queue of webhook deliveries",
};
/// Where notices end that could not be passed on.
pub const NOTICES_DEAD_LETTERS: Setting =
    Setting { name: "SYNCWATCH_NOTICES_DEAD_LETTERS", holds: "the URL of the dead-letter queue of notices" };
/// Where it is remembered what each channel was told.
pub const RELAY_TABLE: Setting = Setting {
    name: "SYNCWATCH_RELAY_TABLE",
    holds: "the name of the DynamoDB table that remembers what each channel was told",
};
/// Where PagerDuty's routing key is.
pub const PAGERDUTY_SECRET: Setting = Setting {
    name: "SYNCWATCH_PAGERDUTY_SECRET",
    holds: "the name of the secret that holds the routing key of PagerDuty's Events API v2",
};
/// Where the address of the chat is.
pub const CHAT_SECRET: Setting = Setting {
    name: "SYNCWATCH_CHAT_SECRET",
    holds: "the name of the secret that holds the URL of the chat's incoming webhook",
};
/// Another PagerDuty than the public one.
pub const PAGERDUTY_URL: Setting =
    Setting { name: "SYNCWATCH_PAGERDUTY_URL", holds: "the base URL of PagerDuty's Events API v2" };

/// Where the address of the watch outside of AWS is.
pub const HEARTBEAT_SECRET: Setting = Setting {
    name: "SYNCWATCH_HEARTBEAT_SECRET",
    holds: "the name of the secret that holds the ping URL of a watch outside of AWS",
};

/// Where the credentials of the warehouse are.
pub const WAREHOUSE_SECRET: Setting = Setting {
    name: "SYNCWATCH_WAREHOUSE_SECRET",
    holds: "the name of the secret that holds the credentials of the warehouse",
};
/// Another Databricks than the workspace's own address.
pub const DATABRICKS_URL: Setting =
    Setting { name: "SYNCWATCH_DATABRICKS_URL", holds: "the base URL of the Databricks workspace" };

/// Settings that are not there, all of them at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    pub missing: Vec<Setting>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.missing.len();
        write!(f, "{count} setting{} missing: ", if count == 1 { " is" } else { "s are" })?;
        for (index, Setting { name, holds }) in self.missing.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name} ({holds})")?;
        }
        f.write_str(
            ". Environment variables are set from the `settings` of the function in infra/functions.json",
        )
    }
}

impl std::error::Error for SettingsError {}

/// The variables that a function sees.
#[derive(Debug, Clone)]
pub struct Env(Source);

#[derive(Debug, Clone)]
enum Source {
    Process,
    Map(BTreeMap<String, String>),
}

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        Self(Source::Process)
    }

    /// These variables and no other.
    pub fn from_map<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Source::Map(variables.collect()))
    }

    /// The value of a variable. White space around it is dropped; an empty one is as good as none.
    pub fn optional(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            // Text that is not UTF-8 can be none of our settings.
            Source::Process => std::env::var(name).ok()?,
            Source::Map(variables) => variables.get(name)?.clone(),
        };
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The value of a setting that must be there.
    pub fn required(&self, setting: Setting) -> Result<String, SettingsError> {
        self.optional(setting.name).ok_or_else(|| SettingsError { missing: vec![setting] })
    }

    /// The values of these settings by name, read once.
    ///
    /// # Errors
    /// Names every required one that is missing.
    pub fn read(&self, needs: Needs) -> Result<BTreeMap<String, String>, SettingsError> {
        let value = |setting: &Setting| Some((setting.name.to_owned(), self.optional(setting.name)?));
        let is_missing = |setting: &&Setting| self.optional(setting.name).is_none();
        let missing: Vec<Setting> = needs.required.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            return Err(SettingsError { missing });
        }
        Ok(needs.required.iter().chain(needs.optional).filter_map(value).collect())
    }

    /// The values of settings that must all be there, in the same order; or every one that is missing.
    pub fn required_all<const N: usize>(&self, settings: [Setting; N]) -> Result<[String; N], SettingsError> {
        let values = settings.map(|setting| self.optional(setting.name));
        let missing: Vec<_> = settings
            .iter()
            .zip(&values)
            .filter(|(_, value)| value.is_none())
            .map(|(setting, _)| *setting)
            .collect();
        if missing.is_empty() {
            Ok(values.map(Option::unwrap_or_default))
        } else {
            Err(SettingsError { missing })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_in_the_order_in_which_they_are_asked_for() {
        let env = Env::from_map([("SYNCWATCH_TOPIC_ARN", " arn \n"), ("SYNCWATCH_INCIDENTS_TABLE", "table")]);
        let [table, topic] = env.required_all([INCIDENTS_TABLE, TOPIC_ARN]).unwrap();
        assert_eq!((table.as_str(), topic.as_str()), ("table", "arn"));
        assert_eq!(env.required(TOPIC_ARN).unwrap(), "arn");
        assert_eq!(env.optional(CENSUS_BASE_URL.name), None);
    }

    #[test]
    fn every_missing_setting_is_told_at_once_with_its_meaning_and_place() {
        // An empty value is what a half-filled template leaves behind.
        let env = Env::from_map([("SYNCWATCH_PIPELINE", "pipeline.toml"), ("SYNCWATCH_TOPIC_ARN", " ")]);
        let error = env.required_all([PIPELINE, TOPIC_ARN, CENSUS_SECRET]).unwrap_err();
        insta::assert_snapshot!(error, @r#"2 settings are missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices); SYNCWATCH_CENSUS_SECRET (the name of the secret that holds the Census API token). Environment variables are set from the `settings` of the function in infra/functions.json"#);
        insta::assert_snapshot!(env.required(TOPIC_ARN).unwrap_err(), @r#"1 setting is missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices). Environment variables are set from the `settings` of the function in infra/functions.json"#);
    }
}
