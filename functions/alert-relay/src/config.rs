//! Where things are: read from the environment once, when the function starts.

use syncwatch::runtime::env::{self, Env, SettingsError};

/// PagerDuty's own address (PagerDuty developer docs, Events API v2 overview).
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The function's settings. Each is set by `infra/functions.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `SYNCWATCH_PIPELINE`: path of `pipeline.toml`, from the folder that the zip was unpacked to.
    pub pipeline: String,
    /// `SYNCWATCH_RELAY_TABLE`: the DynamoDB table that remembers what each channel was told.
    pub relay_table: String,
    /// `SYNCWATCH_PAGERDUTY_SECRET`: the name of the secret with the routing key; read only if PagerDuty is declared.
    pub pagerduty_secret: String,
    /// `SYNCWATCH_CHAT_SECRET`: the name of the secret with the webhook's URL; read only if the chat is declared.
    pub chat_secret: String,
    /// `SYNCWATCH_PAGERDUTY_URL`: in the place of PagerDuty's public address, for the EU or a lab.
    pub pagerduty_url: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names every setting that is missing.
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let [pipeline, relay_table, pagerduty_secret, chat_secret] =
            env.required_all([env::PIPELINE, env::RELAY_TABLE, env::PAGERDUTY_SECRET, env::CHAT_SECRET])?;
        let pagerduty_url = env.optional(env::PAGERDUTY_URL.name).unwrap_or_else(|| PAGERDUTY.to_owned());
        Ok(Self { pipeline, relay_table, pagerduty_secret, chat_secret, pagerduty_url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_is_missing_is_named_at_once() {
        let error = Config::from_env(&Env::from_map([("SYNCWATCH_PIPELINE", "pipeline.toml")])).unwrap_err();
        let text = error.to_string();
        for name in ["SYNCWATCH_RELAY_TABLE", "SYNCWATCH_PAGERDUTY_SECRET", "SYNCWATCH_CHAT_SECRET"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("SYNCWATCH_PAGERDUTY_URL"), "{text}");
    }

    #[test]
    fn pagerduty_is_the_public_one_unless_told_otherwise() {
        let mut settings = vec![
            ("SYNCWATCH_PIPELINE", "pipeline.toml"),
            ("SYNCWATCH_RELAY_TABLE", "relay"),
            ("SYNCWATCH_PAGERDUTY_SECRET", "pagerduty"),
            ("SYNCWATCH_CHAT_SECRET", "chat"),
        ];
        let config = Config::from_env(&Env::from_map(settings.clone())).unwrap();
        assert_eq!(config.pagerduty_url, "https://events.pagerduty.com");
        settings.push(("SYNCWATCH_PAGERDUTY_URL", "https://events.eu.pagerduty.com"));
        let config = Config::from_env(&Env::from_map(settings)).unwrap();
        assert_eq!(config.pagerduty_url, "https://events.eu.pagerduty.com");
    }
}
