//! Pings an external heartbeat monitor after each good round.
//!
//! The address is a secret: its holder could suppress the monitor's alert. A failed round sends no ping, and the
//! monitor alerts on its absence.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::aws::secrets::SecretStore;
use crate::http::{attempt, private_url};

/// A slow monitor must not delay the function.
const LIMIT: Duration = Duration::from_secs(5);
/// Only the status matters.
const LARGEST_ANSWER: usize = 16 << 10;

/// A failed ping. Holds no part of the address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Secret(#[from] crate::aws::secrets::SecretError),
    #[error("secret {name}: it is not an https URL. Store the ping URL of the heartbeat monitor")]
    Address { name: String },
    #[error("the heartbeat monitor did not answer: {0}")]
    Silent(String),
    #[error("the heartbeat monitor answered {status}: check the ping URL in secret {name}")]
    Refused { status: u16, name: String },
}

/// Reports a good round to the monitor. Callers only log an error: the monitor itself alerts on missing pings.
pub async fn beat(
    http: &reqwest::Client,
    secrets: &SecretStore,
    secret: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let address = secrets.get(secret, now).await?;
    let name = || secret.to_owned();
    let url = private_url(address.expose_secret()).ok_or_else(|| Error::Address { name: name() })?;
    match attempt(http.get(url).timeout(LIMIT), LARGEST_ANSWER, &[], "").await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(Error::Refused { status: answer.status.as_u16(), name: name() }),
        Err(why) => Err(Error::Silent(why.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use syncwatch_testing::Receiver;

    use super::*;
    use crate::aws::Sdk;
    use crate::http;

    const NAME: &str = "syncwatch/heartbeat";

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    async fn beat_with(address: &str) -> Result<(), Error> {
        let aws = Receiver::answering(200, json!({ "SecretString": address })).await;
        let secrets = SecretStore::new(Sdk::for_endpoint(&aws.uri()).unwrap().secrets());
        beat(&http::client().unwrap(), &secrets, NAME, now()).await
    }

    #[tokio::test]
    async fn ping_is_one_get() {
        let monitor = Receiver::answering(200, "").await;
        beat_with(&format!("{}/ping/0f-key\n", monitor.uri())).await.unwrap();
        assert_eq!(monitor.lines().await, ["GET /ping/0f-key"]);
    }

    #[tokio::test]
    async fn errors_name_the_secret_and_show_no_part_of_the_address() {
        let monitor = Receiver::answering(404, "").await;
        let mut errors = Vec::new();
        for address in [
            format!("{}/ping/0f-key", monitor.uri()),
            "http://watch.example/0f-key".to_owned(),
            "0f-key".to_owned(),
        ] {
            let error = beat_with(&address).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("0f-key"), "{error:?}");
            errors.push(error.to_string());
        }
        insta::assert_snapshot!(errors.join("\n"), @r"
        the heartbeat monitor answered 404: check the ping URL in secret syncwatch/heartbeat
        secret syncwatch/heartbeat: it is not an https URL. Store the ping URL of the heartbeat monitor
        secret syncwatch/heartbeat: it is not an https URL. Store the ping URL of the heartbeat monitor
        ");
        // Nothing listens there.
        let error = beat_with("http://127.0.0.1:1/0f-key").await.unwrap_err();
        assert!(matches!(error, Error::Silent(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("0f-key"), "{error:?}");
    }
}
