//! Secrets from AWS Secrets Manager, held redacted and cached for a limited time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::{AwsError, Fault, Kind};

/// How long a value is used before it is read again. A rotated secret is in use everywhere after this time.
pub const CACHED_FOR: SignedDuration = SignedDuration::from_mins(15);

const SECRET: Kind =
    Kind { name: "secret", correct: "the function's setting that names it (infra/functions.json)" };

/// The live values of one secret.
#[derive(Debug, Clone)]
pub struct SecretValues {
    pub current: SecretString,
    /// The value before the last rotation, which others may still use.
    pub previous: Option<SecretString>,
    /// Of which webhook at Census the current one is, where it is one that signs webhooks.
    pub webhook_id: Option<u64>,
}

/// Why a secret cannot be used. No variant holds any part of its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(
        "secret {name}: it is empty. Put a value: aws secretsmanager put-secret-value --secret-id {name}"
    )]
    Empty { name: String },
    #[error("secret {name}: it is binary, and must be text. Put it as a SecretString")]
    Binary { name: String },
    /// It begins as JSON does, but is not JSON of a shape that we know.
    #[error(
        "secret {name}: it looks like JSON, but is neither {{\"token\": \"...\"}} nor {{\"current\": \"...\", \
         \"previous\": \"...\"}}. Put one of these, or the bare text"
    )]
    Shape { name: String },
}

/// Reads secrets by name.
#[derive(Debug)]
pub struct SecretStore {
    client: aws_sdk_secretsmanager::Client,
    cache: Mutex<HashMap<String, Cached>>,
}

#[derive(Debug, Clone)]
struct Cached {
    values: SecretValues,
    read_at: Timestamp,
}

impl SecretStore {
    /// A store with an empty cache.
    pub fn new(client: aws_sdk_secretsmanager::Client) -> Self {
        Self { client, cache: Mutex::default() }
    }

    /// The value to use: the text itself, or the `token` (or `current`) member of JSON.
    pub async fn get(&self, name: &str, now: Timestamp) -> Result<SecretString, SecretError> {
        Ok(self.values(name, now).await?.current)
    }

    /// Every live value, for those who verify what others signed during a rotation.
    pub async fn values(&self, name: &str, now: Timestamp) -> Result<SecretValues, SecretError> {
        if let Some(values) = self.cached(name, now) {
            return Ok(values);
        }
        let values = self.read(name).await?;
        let cached = Cached { values: values.clone(), read_at: now };
        self.lock().insert(name.to_owned(), cached);
        Ok(values)
    }

    /// Every live value as it is at this moment, past the cache, for those who keep it themselves.
    pub async fn read(&self, name: &str) -> Result<SecretValues, SecretError> {
        parse(name, &self.raw(name).await?)
    }

    async fn raw(&self, name: &str) -> Result<SecretString, SecretError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer =
            answer.map_err(|error| match SECRET.failed(name, "secretsmanager:GetSecretValue", &error) {
                // Terraform makes a secret without a value, which is refused by the same code as one that does not exist.
                error if *error.fault() == Fault::Missing && error.says("staging label") => empty(name),
                error => error.into(),
            })?;
        match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => Ok(SecretString::from(text)),
            (None, Some(_)) => Err(SecretError::Binary { name: name.to_owned() }),
            (None, None) => Err(empty(name)),
        }
    }

    /// Stores these values in the place of what the secret holds, as the JSON that [`SecretStore::values`] reads. The
    /// secret itself must exist. Functions may not do this; people do, with credentials of their own.
    pub async fn put(&self, name: &str, values: &SecretValues) -> Result<(), SecretError> {
        let SecretValues { current, previous, webhook_id } = values;
        let mut members = BTreeMap::from([("current", current.expose_secret())]);
        members.extend(previous.iter().map(|previous| ("previous", previous.expose_secret())));
        let mut text = serde_json::json!(members);
        if let (Some(id), Some(text)) = (webhook_id, text.as_object_mut()) {
            text.insert("webhook_id".to_owned(), (*id).into());
        }
        let text = text.to_string();
        let request = self.client.put_secret_value().secret_id(name).secret_string(text);
        self.forget(name);
        request.send().await.map_err(|error| {
            let error = SECRET.failed(name, "secretsmanager:PutSecretValue", &error).by_person();
            members.values().fold(error, |error, secret| error.without(secret))
        })?;
        Ok(())
    }

    /// The whole text of a secret whose form is the caller's business, without white space around it. Not cached: it is
    /// read once a round.
    pub async fn text(&self, name: &str) -> Result<SecretString, SecretError> {
        let text = self.raw(name).await?;
        trimmed(&text).ok_or_else(|| empty(name))
    }

    /// Forgets a value that was refused, so that the next use reads it again: it may just have been rotated.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn cached(&self, name: &str, now: Timestamp) -> Option<SecretValues> {
        let cache = self.lock();
        let cached = cache.get(name)?;
        // A clock that was set back must not prolong it.
        let age = now.duration_since(cached.read_at);
        (age >= SignedDuration::ZERO && age < CACHED_FOR).then(|| cached.values.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cached>> {
        // The map is whole at every moment, so a panic elsewhere while it was held does not spoil it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty(name: &str) -> SecretError {
    SecretError::Empty { name: name.to_owned() }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Token { token: SecretString },
    Rotating { current: SecretString, previous: Option<SecretString>, webhook_id: Option<u64> },
}

fn parse(name: &str, text: &SecretString) -> Result<SecretValues, SecretError> {
    // A line break at the end comes from `echo` and never belongs to a token.
    let text = text.expose_secret().trim();
    let (current, previous, webhook_id) = if text.starts_with('{') {
        // serde's error would quote what it found, so it is not kept.
        match serde_json::from_str(text) {
            Ok(Shape::Token { token }) => (token, None, None),
            Ok(Shape::Rotating { current, previous, webhook_id }) => (current, previous, webhook_id),
            Err(_) => return Err(SecretError::Shape { name: name.to_owned() }),
        }
    } else {
        (SecretString::from(text), None, None)
    };
    let current = trimmed(&current).ok_or_else(|| empty(name))?;
    Ok(SecretValues { current, previous: previous.as_ref().and_then(trimmed), webhook_id })
}

/// The value without white space around it; `None` if nothing is left.
fn trimmed(value: &SecretString) -> Option<SecretString> {
    let value = value.expose_secret().trim();
    (!value.is_empty()).then(|| SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};

    const NAME: &str = "syncwatch/census-token";

    async fn store(answer: serde_json::Value) -> (Wire, SecretStore) {
        let wire = Wire::answering(200, answer).await;
        let store = SecretStore::new(wire.sdk().secrets());
        (wire, store)
    }

    async fn text(value: &str) -> (Wire, SecretStore) {
        store(serde_json::json!({ "Name": NAME, "SecretString": value })).await
    }

    async fn refusal(code: &str, message: &str) -> String {
        let wire = Wire::answering(400, serde_json::json!({ "__type": code, "message": message })).await;
        SecretStore::new(wire.sdk().secrets()).get(NAME, now()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn plain_text_is_the_secret_without_the_line_break_at_its_end() {
        let (wire, store) = text("s3cr3t\n").await;
        assert_eq!(store.get(NAME, now()).await.unwrap().expose_secret(), "s3cr3t");
        let request = wire.only_request().await;
        assert_eq!(request.target(), "secretsmanager.GetSecretValue");
        assert_eq!(request.json(), serde_json::json!({ "SecretId": NAME }));
    }

    #[tokio::test]
    async fn json_may_name_the_token_or_two_live_values() {
        let (_wire, store) = text(r#"{"token": "a", "owner": "ops"}"#).await;
        assert_eq!(store.get(NAME, now()).await.unwrap().expose_secret(), "a");

        let (_wire, store) = text(r#"{"current": "new", "previous": "old"}"#).await;
        let values = store.values(NAME, now()).await.unwrap();
        assert_eq!(values.current.expose_secret(), "new");
        assert_eq!(values.previous.as_ref().unwrap().expose_secret(), "old");

        assert_eq!(values.webhook_id, None);

        let (_wire, store) = text(r#"{"current": "new", "webhook_id": 8}"#).await;
        assert_eq!(store.values(NAME, now()).await.unwrap().webhook_id, Some(8));

        let (_wire, store) = text(r#"{"current": "new", "previous": ""}"#).await;
        assert!(store.values(NAME, now()).await.unwrap().previous.is_none());
    }

    #[tokio::test]
    async fn a_value_is_read_once_in_fifteen_minutes_and_again_after_them() {
        let (wire, store) = text("s3cr3t").await;
        let almost = now() + CACHED_FOR - SignedDuration::from_secs(1);
        for moment in [now(), now(), almost] {
            store.get(NAME, moment).await.unwrap();
        }
        assert_eq!(wire.requests().await.len(), 1);
        store.get(NAME, now() + CACHED_FOR).await.unwrap();
        assert_eq!(wire.requests().await.len(), 2);
        // The clock was set back, and the secret was refused: neither trusts the cache.
        store.get(NAME, now()).await.unwrap();
        store.forget(NAME);
        store.get(NAME, now()).await.unwrap();
        assert_eq!(wire.requests().await.len(), 4);
    }

    #[tokio::test]
    async fn what_cannot_be_used_says_which_secret_and_what_to_do() {
        let (_empty, empty) = text(" \n").await;
        let (_binary, binary) = store(serde_json::json!({ "Name": NAME, "SecretBinary": "c2VjcmV0" })).await;
        let (_shape, shape) = text(r#"{"password": "x"}"#).await;
        let texts = [
            empty.get(NAME, now()).await.unwrap_err().to_string(),
            binary.get(NAME, now()).await.unwrap_err().to_string(),
            shape.get(NAME, now()).await.unwrap_err().to_string(),
            refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.").await,
            refusal(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
            )
            .await,
            refusal("AccessDeniedException", "no").await,
        ];
        insta::assert_snapshot!(texts.join("\n"), @r#"
        secret syncwatch/census-token: it is empty. Put a value: aws secretsmanager put-secret-value --secret-id syncwatch/census-token
        secret syncwatch/census-token: it is binary, and must be text. Put it as a SecretString
        secret syncwatch/census-token: it looks like JSON, but is neither {"token": "..."} nor {"current": "...", "previous": "..."}. Put one of these, or the bare text
        secret syncwatch/census-token: it does not exist in this account and region. Run `terraform apply`, or correct the function's setting that names it (infra/functions.json)
        secret syncwatch/census-token: it is empty. Put a value: aws secretsmanager put-secret-value --secret-id syncwatch/census-token
        secret syncwatch/census-token: AWS denied access. Allow secretsmanager:GetSecretValue on it in infra/functions.json and run `terraform apply`
        "#);
    }

    fn rotated() -> SecretValues {
        SecretValues {
            current: "new-secret".into(),
            previous: Some("old-secret".into()),
            webhook_id: Some(8),
        }
    }

    #[tokio::test]
    async fn a_value_is_stored_in_the_shape_in_which_it_is_read_and_what_was_cached_is_forgotten() {
        let (wire, store) = text("s3cr3t").await;
        store.get(NAME, now()).await.unwrap();
        store.put(NAME, &rotated()).await.unwrap();
        store
            .put(NAME, &SecretValues { current: "only".into(), previous: None, webhook_id: None })
            .await
            .unwrap();
        store.get(NAME, now()).await.unwrap();
        let requests = wire.requests().await;
        let targets: Vec<&str> = requests.iter().map(super::super::wire::Asked::target).collect();
        let (get, put) = ("secretsmanager.GetSecretValue", "secretsmanager.PutSecretValue");
        assert_eq!(targets, [get, put, put, get]);
        assert_eq!(requests[1].json()["SecretId"], NAME);
        assert_eq!(
            requests[1].json()["SecretString"],
            r#"{"current":"new-secret","previous":"old-secret","webhook_id":8}"#
        );
        assert_eq!(requests[2].json()["SecretString"], r#"{"current":"only"}"#);
    }

    #[tokio::test]
    async fn a_refusal_to_store_names_the_persons_own_rights_and_quotes_no_secret() {
        let refusal = async |code: &str, message: &str| {
            let wire = Wire::answering(400, serde_json::json!({ "__type": code, "message": message })).await;
            let store = SecretStore::new(wire.sdk().secrets());
            let error = store.put(NAME, &rotated()).await.unwrap_err();
            let debug = format!("{error:?}");
            assert!(!debug.contains("new-secret") && !debug.contains("old-secret"), "{debug}");
            error.to_string()
        };
        let texts = [
            refusal("AccessDeniedException", "no").await,
            refusal("ExpiredTokenException", "no").await,
            refusal(
                "ValidationException",
                r#"Value '{"current":"new-secret","previous":"old-secret"}' is bad"#,
            )
            .await,
        ];
        insta::assert_snapshot!(texts.join("\n"), @r#"
        secret syncwatch/census-token: AWS denied access. Your own credentials need secretsmanager:PutSecretValue on it; what functions may do does not count
        secret syncwatch/census-token: AWS did not accept the credentials (ExpiredTokenException). Set AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; `aws configure export-credentials --format env` prints all but the first
        secret syncwatch/census-token: AWS answered ValidationException: Value '{"current":"[secret]","previous":"[secret]"}' is bad. If it stays, the AWS documentation of secretsmanager:PutSecretValue explains this error
        "#);
    }

    #[tokio::test]
    async fn no_text_of_ours_ever_shows_a_secret() {
        for value in ["hunter2", r#"{"token": "hunter2"}"#, r#"{"tokn": "hunter2"}"#, r#"{"token": hunter2}"#]
        {
            let (_wire, store) = text(value).await;
            let outcome = store.values(NAME, now()).await;
            let shown = match &outcome {
                Ok(values) => format!("{values:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!format!("{store:?}").contains("hunter2"));
        }
    }
}
