//! The one reader of the process environment.
//!
//! The environment says only where things are; what to watch is in `pipeline.toml`. Tests pass a map: changing the
//! environment of a process that runs other tests at the same time would be a race.

use std::collections::BTreeMap;

use crate::aws::CallLimits;

/// One variable, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    /// What it holds, such as `the ARN of the SNS topic for notices`.
    pub holds: &'static str,
}

/// What a function needs: the settings that it reads, as `infra/functions.json` sets them, and patience with AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Without any of these it cannot start.
    pub required: &'static [Setting],
    pub optional: &'static [Setting],
    /// How long it waits for AWS; fits into its time limit.
    pub aws: CallLimits,
}

/// Declares each setting by what it holds; its variable is `SYNCWATCH_` and the name of the constant.
macro_rules! settings {
    ($($constant:ident: $holds:literal,)+) => {
        $(
            /// Holds
            #[doc = $holds]
            pub const $constant: Setting =
                Setting { name: concat!("SYNCWATCH_", stringify!($constant)), holds: $holds };
        )+

        /// Every setting of Syncwatch.
        pub const ALL: &[Setting] = &[$($constant),+];
    };
}

settings! {
    PIPELINE: "the path of pipeline.toml within the function's package",
    TOPIC_ARN: "the ARN of the SNS topic for notices",
    ALARMS_TOPIC_ARN: "the ARN of the SNS topic for alarms about Syncwatch itself",
    PAGE_TOPIC_ARN: "the ARN of the SNS topic for those alarms that page",
    INCIDENTS_TABLE: "the name of the DynamoDB table of incidents",
    CENSUS_SECRET: "the name of the secret that holds the Census API token",
    CENSUS_BASE_URL: "the base URL of the Census API",
    DELIVERIES_QUEUE: "the URL of the SQS queue in which verified webhooks wait",
    WEBHOOK_SECRET: "the name of the secret with which Census signs webhooks",
    DELIVERIES_TABLE: "the name of the DynamoDB table of handled webhook deliveries",
    DELIVERIES_DEAD_LETTERS: "the URL of the dead-letter queue of webhook deliveries",
    NOTICES_DEAD_LETTERS: "the URL of the dead-letter queue of notices",
    RELAY_TABLE: "the name of the DynamoDB table that remembers what each channel was told",
    PAGERDUTY_SECRET: "the name of the secret that holds the routing key of PagerDuty's Events API v2",
    CHAT_SECRET: "the name of the secret that holds the URL of the chat's incoming webhook",
    PAGERDUTY_URL: "the base URL of PagerDuty's Events API v2",
    HEARTBEAT_SECRET: "the name of the secret that holds the ping URL of a watch outside of AWS",
    WAREHOUSE_SECRET: "the name of the secret that holds the credentials of the warehouse",
    DATABRICKS_URL: "the base URL of the Databricks workspace",
}

/// Settings that are not there, all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} missing: {}. Environment variables are set from the `settings` of the function in infra/functions.json",
    match .missing.len() { 1 => "1 setting is".to_owned(), count => format!("{count} settings are") },
    .missing.iter().map(|setting| format!("{} ({})", setting.name, setting.holds)).collect::<Vec<_>>().join("; ")
)]
pub struct SettingsError {
    pub missing: Vec<Setting>,
}

/// The variables that a function sees: those of its process, unless a test gives others.
#[derive(Debug, Clone)]
pub struct Env(Option<BTreeMap<String, String>>);

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        Self(None)
    }

    /// These variables and no other.
    pub fn from_map<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Some(variables.collect()))
    }

    /// The value of a variable. White space around it is dropped; an empty one is as good as none.
    pub fn optional(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            // Text that is not UTF-8 cannot be one of our settings.
            None => std::env::var(name).ok()?,
            Some(variables) => variables.get(name)?.clone(),
        };
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The values of these settings by name, read once. The error names every required one that is missing.
    pub fn read(&self, needs: Needs) -> Result<BTreeMap<String, String>, SettingsError> {
        let value = |setting: &Setting| Some((setting.name.to_owned(), self.optional(setting.name)?));
        let is_missing = |setting: &&Setting| self.optional(setting.name).is_none();
        let missing: Vec<Setting> = needs.required.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            return Err(SettingsError { missing });
        }
        Ok(needs.required.iter().chain(needs.optional).filter_map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_without_white_space_around_them() {
        let env = Env::from_map([("SYNCWATCH_TOPIC_ARN", " arn \n"), ("SYNCWATCH_INCIDENTS_TABLE", "table")]);
        let (required, optional) = (&[INCIDENTS_TABLE, TOPIC_ARN], &[CENSUS_BASE_URL]);
        let needs = Needs { required, optional, aws: CallLimits::USUAL };
        let read = env.read(needs).unwrap();
        let expected = [("SYNCWATCH_INCIDENTS_TABLE", "table"), ("SYNCWATCH_TOPIC_ARN", "arn")];
        assert!(read.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{read:?}");
        assert_eq!(env.optional(CENSUS_BASE_URL.name), None);
    }

    #[test]
    fn every_missing_setting_is_told_at_once_with_its_meaning_and_place() {
        // An empty value is what a half-filled template leaves behind.
        let env = Env::from_map([("SYNCWATCH_PIPELINE", "pipeline.toml"), ("SYNCWATCH_TOPIC_ARN", " ")]);
        let read = |required| env.read(Needs { required, optional: &[], aws: CallLimits::USUAL });
        let error = read(&[PIPELINE, TOPIC_ARN, CENSUS_SECRET]).unwrap_err();
        insta::assert_snapshot!(error, @r#"2 settings are missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices); SYNCWATCH_CENSUS_SECRET (the name of the secret that holds the Census API token). Environment variables are set from the `settings` of the function in infra/functions.json"#);
        insta::assert_snapshot!(read(&[TOPIC_ARN]).unwrap_err(), @r#"1 setting is missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices). Environment variables are set from the `settings` of the function in infra/functions.json"#);
    }
}
