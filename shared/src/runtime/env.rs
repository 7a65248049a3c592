//! The only reader of the process environment.
//!
//! The environment holds only names and addresses; `pipeline.toml` declares the checks. Tests pass a map: changing the
//! environment of a process that runs other tests concurrently would be a race.

use std::collections::BTreeMap;

use crate::aws::CallLimits;

/// One environment variable, and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    /// Its meaning, such as `the ARN of the SNS topic for notices`.
    pub holds: &'static str,
}

/// A function's settings, as `infra/functions.json` sets them, and its time limits for AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The function cannot start without these.
    pub required: &'static [Setting],
    pub optional: &'static [Setting],
    /// Time limits of AWS calls, within the function's own.
    pub aws: CallLimits,
}

/// Declares each setting with its meaning; its variable is `SYNCWATCH_` and the name of the constant.
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
    PAGE_TOPIC_ARN: "the ARN of the SNS topic for alarms that page",
    INCIDENTS_TABLE: "the name of the DynamoDB table of incidents",
    CENSUS_SECRET: "the name of the secret that holds the Census API token",
    CENSUS_BASE_URL: "the base URL of the Census API",
    DELIVERIES_QUEUE: "the URL of the SQS queue of verified webhooks",
    WEBHOOK_SECRET: "the name of the secret that signs Census webhooks",
    DELIVERIES_TABLE: "the name of the DynamoDB table of handled webhook deliveries",
    DELIVERIES_DEAD_LETTERS: "the URL of the dead-letter queue of webhook deliveries",
    NOTICES_QUEUE: "the URL of the SQS queue of notices for alert-relay",
    NOTICES_DEAD_LETTERS: "the URL of the dead-letter queue of notices",
    RELAY_TABLE: "the name of the DynamoDB table of notices sent to each channel",
    PAGERDUTY_SECRET: "the name of the secret that holds the routing key of PagerDuty's Events API v2",
    CHAT_SECRET: "the name of the secret that holds the URL of the chat's incoming webhook",
    PAGERDUTY_URL: "the base URL of PagerDuty's Events API v2",
    HEARTBEAT_SECRET: "the name of the secret that holds the ping URL of an external heartbeat monitor",
    WAREHOUSE_SECRET: "the name of the secret that holds the credentials of the warehouse",
    PAGES_BUCKET: "the name of the S3 bucket of status pages",
    DATABRICKS_URL: "the base URL of the Databricks workspace",
    FUNCTIONS: "the pattern of the names of Syncwatch's own functions, such as syncwatch-*",
    ALARMS: "the pattern of the names of Syncwatch's own alarms, such as syncwatch-*",
}

/// All missing settings at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} missing: {}. Set each in the function's `settings` in infra/functions.json",
    match .missing.len() { 1 => "1 setting is".to_owned(), count => format!("{count} settings are") },
    .missing.iter().map(|setting| format!("{} ({})", setting.name, setting.holds)).collect::<Vec<_>>().join("; ")
)]
pub struct SettingsError {
    pub missing: Vec<Setting>,
}

/// The variables of a function: those of its process, or those of a test.
#[derive(Debug, Clone)]
pub struct Env(Option<BTreeMap<String, String>>);

impl Env {
    /// Uses the environment of this process.
    pub fn process() -> Self {
        Self(None)
    }

    /// Uses only these variables.
    pub fn from_map<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Some(variables.collect()))
    }

    /// Returns the trimmed value of a variable; `None` if it is empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            // No setting has a value that is not UTF-8.
            None => std::env::var(name).ok()?,
            Some(variables) => variables.get(name)?.clone(),
        };
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Reads these settings into a map by name. The error names every missing required one.
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
    fn settings_are_read_by_name_and_trimmed() {
        let env = Env::from_map([("SYNCWATCH_TOPIC_ARN", " arn \n"), ("SYNCWATCH_INCIDENTS_TABLE", "table")]);
        let (required, optional) = (&[INCIDENTS_TABLE, TOPIC_ARN], &[CENSUS_BASE_URL]);
        let needs = Needs { required, optional, aws: CallLimits::USUAL };
        let read = env.read(needs).unwrap();
        let expected = [("SYNCWATCH_INCIDENTS_TABLE", "table"), ("SYNCWATCH_TOPIC_ARN", "arn")];
        assert!(read.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{read:?}");
        assert_eq!(env.optional(CENSUS_BASE_URL.name), None);
    }

    #[test]
    fn missing_settings_are_reported_together_with_their_meaning() {
        // A half-filled template leaves empty values.
        let env = Env::from_map([("SYNCWATCH_PIPELINE", "pipeline.toml"), ("SYNCWATCH_TOPIC_ARN", " ")]);
        let read = |required| env.read(Needs { required, optional: &[], aws: CallLimits::USUAL });
        let error = read(&[PIPELINE, TOPIC_ARN, CENSUS_SECRET]).unwrap_err();
        insta::assert_snapshot!(error, @r#"2 settings are missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices); SYNCWATCH_CENSUS_SECRET (the name of the secret that holds the Census API token). Set each in the function's `settings` in infra/functions.json"#);
        insta::assert_snapshot!(read(&[TOPIC_ARN]).unwrap_err(), @r#"1 setting is missing: SYNCWATCH_TOPIC_ARN (the ARN of the SNS topic for notices). Set each in the function's `settings` in infra/functions.json"#);
    }
}
