//! The ping after a good round, by which a watch outside of AWS knows that Syncwatch runs.
//!
//! The address is a secret: its holder can keep the watch quiet. Only good rounds are reported; after a failed one nothing
//! is sent, and the watch alerts on that.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::aws::secrets::SecretStore;
use crate::http::{attempt, private_url};

/// A watch that is slow must not hold up the function.
const LIMIT: Duration = Duration::from_secs(5);
/// Only the status counts.
const LARGEST_ANSWER: usize = 16 << 10;

/// Why the watch was not told. Holds no part of the address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Secret(#[from] crate::aws::secrets::SecretError),
    #[error("secret {name}: it holds no https URL. Put the ping URL of the watch")]
    Address { name: String },
    #[error("the watch did not answer: {0}")]
    Silent(String),
    #[error("the watch answered {status}: check the ping URL in secret {name}")]
    Refused { status: u16, name: String },
}

/// Reports a good round to the watch. The round was good even if this fails, so callers log it: the watch alerts by itself.
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
    async fn the_watch_is_told_by_one_get() {
        let watch = Receiver::answering(200, "").await;
        beat_with(&format!("{}/ping/0f-key\n", watch.uri())).await.unwrap();
        assert_eq!(watch.lines().await, ["GET /ping/0f-key"]);
    }

    #[tokio::test]
    async fn whatever_goes_wrong_names_the_secret_and_shows_no_part_of_the_address() {
        let watch = Receiver::answering(404, "").await;
        let mut told = Vec::new();
        for address in [
            format!("{}/ping/0f-key", watch.uri()),
            "http://watch.example/0f-key".to_owned(),
            "0f-key".to_owned(),
        ] {
            let error = beat_with(&address).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("0f-key"), "{error:?}");
            told.push(error.to_string());
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        the watch answered 404: check the ping URL in secret syncwatch/heartbeat
        secret syncwatch/heartbeat: it holds no https URL. Put the ping URL of the watch
        secret syncwatch/heartbeat: it holds no https URL. Put the ping URL of the watch
        ");
        // Nobody listens there.
        let error = beat_with("http://127.0.0.1:1/0f-key").await.unwrap_err();
        assert!(matches!(error, Error::Silent(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("0f-key"), "{error:?}");
    }
}
