//! Secrets from AWS Secrets Manager, redacted in memory and cached for a limited time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::{AwsError, Fault, Kind};

/// How long a value is cached. A rotated secret is in use everywhere after this time.
pub const CACHED_FOR: SignedDuration = SignedDuration::from_mins(15);

const SECRET: Kind =
    Kind { name: "secret", correct: "the function's setting that names it (infra/functions.json)" };

/// The live values of one secret.
#[derive(Debug, Clone)]
pub struct SecretValues {
    pub current: SecretString,
    /// The value before the last rotation, with which messages may still be signed.
    pub previous: Option<SecretString>,
    /// The Census webhook that the current value signs, if it is a webhook secret.
    pub webhook_id: Option<u64>,
    /// The address that this webhook posts to.
    pub endpoint: Option<String>,
    /// The values of channels with names of their own, where it is a secret of channels.
    pub channels: BTreeMap<String, SecretValues>,
}

impl SecretValues {
    /// One value, and nothing beside it.
    pub fn only(current: SecretString) -> Self {
        Self { current, previous: None, webhook_id: None, endpoint: None, channels: BTreeMap::new() }
    }
}

/// A secret that cannot be used. No variant holds any part of its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(
        "secret {name}: it is empty. Store a value: aws secretsmanager put-secret-value --secret-id {name}"
    )]
    Empty { name: String },
    #[error("secret {name}: it is binary. Store it as text, in SecretString")]
    Binary { name: String },
    /// It begins like JSON, but has no known shape.
    #[error(
        "secret {name}: it begins like JSON but has no known shape. Store {{\"token\": \"...\"}}, {{\"current\": \"...\", \
         \"previous\": \"...\"}} or the bare text"
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
    /// Creates a store with an empty cache.
    pub fn new(client: aws_sdk_secretsmanager::Client) -> Self {
        Self { client, cache: Mutex::default() }
    }

    /// Returns the value to use: the text itself, or the `token` or `current` member of JSON.
    pub async fn get(&self, name: &str, now: Timestamp) -> Result<SecretString, SecretError> {
        Ok(self.values(name, now).await?.current)
    }

    /// Returns every live value, to verify signatures during a rotation.
    pub async fn values(&self, name: &str, now: Timestamp) -> Result<SecretValues, SecretError> {
        if let Some(values) = self.cached(name, now) {
            return Ok(values);
        }
        let values = self.read(name).await?;
        let cached = Cached { values: values.clone(), read_at: now };
        self.lock().insert(name.to_owned(), cached);
        Ok(values)
    }

    /// Reads every live value past the cache, for callers with their own cache.
    pub async fn read(&self, name: &str) -> Result<SecretValues, SecretError> {
        parse(name, &self.raw(name).await?)
    }

    /// Returns when the current value was stored (UTC); `None` if AWS does not say.
    pub async fn stored_at(&self, name: &str) -> Result<Option<Timestamp>, SecretError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let stored = answer.map_err(|error| unread(name, &error))?.created_date;
        Ok(stored.and_then(|at| Timestamp::from_second(at.secs()).ok()))
    }

    async fn raw(&self, name: &str) -> Result<SecretString, SecretError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer.map_err(|error| unread(name, &error))?;
        match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => Ok(SecretString::from(text)),
            (None, Some(_)) => Err(SecretError::Binary { name: name.to_owned() }),
            (None, None) => Err(empty(name)),
        }
    }

    /// Replaces the secret's values, as the JSON that [`SecretStore::values`] reads. The secret must exist. Only
    /// operators may do this, with their own credentials; functions lack the permission.
    pub async fn put(&self, name: &str, values: &SecretValues) -> Result<(), SecretError> {
        let text = values.to_json().to_string();
        let request = self.client.put_secret_value().secret_id(name).secret_string(text);
        self.forget(name);
        request.send().await.map_err(|error| {
            let error = SECRET.failed(name, "secretsmanager:PutSecretValue", &error).by_person();
            values.all().fold(error, |error, secret| error.without(secret.expose_secret()))
        })?;
        Ok(())
    }

    /// Reads the whole text of a secret, trimmed; the caller parses it. Not cached: it is read once per round.
    pub async fn text(&self, name: &str) -> Result<SecretString, SecretError> {
        let text = self.raw(name).await?;
        trimmed(&text).ok_or_else(|| empty(name))
    }

    /// Drops a refused value from the cache, so that the next use reads it again: it may have been rotated.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn cached(&self, name: &str, now: Timestamp) -> Option<SecretValues> {
        let cache = self.lock();
        let cached = cache.get(name)?;
        // A clock that was set back must not prolong the cache.
        let age = now.duration_since(cached.read_at);
        (age >= SignedDuration::ZERO && age < CACHED_FOR).then(|| cached.values.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cached>> {
        // The map is always consistent, so a panic while it was locked does not invalidate it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unread(name: &str, error: &SdkError<GetSecretValueError, HttpResponse>) -> SecretError {
    match SECRET.failed(name, "secretsmanager:GetSecretValue", error) {
        // A secret without a value, as Terraform creates it, has the same error code as a missing one.
        error if *error.fault() == Fault::Missing && error.mentions("staging label") => empty(name),
        error => error.into(),
    }
}

fn empty(name: &str) -> SecretError {
    SecretError::Empty { name: name.to_owned() }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Token {
        token: SecretString,
        #[serde(default)]
        channels: BTreeMap<String, OfChannel>,
    },
    Rotating {
        current: SecretString,
        previous: Option<SecretString>,
        webhook_id: Option<u64>,
        #[serde(default)]
        endpoint: Option<String>,
        #[serde(default)]
        channels: BTreeMap<String, OfChannel>,
    },
}

/// The value of a channel, bare or with the one before its rotation.
#[derive(Deserialize)]
#[serde(untagged)]
enum OfChannel {
    Bare(SecretString),
    Rotating { current: SecretString, previous: Option<SecretString> },
}

fn parse(name: &str, text: &SecretString) -> Result<SecretValues, SecretError> {
    // A trailing line break comes from `echo` and is never part of a token.
    let text = text.expose_secret().trim();
    let values = if text.starts_with('{') {
        // serde's error would quote what it found, so it is not kept.
        match serde_json::from_str(text) {
            Ok(Shape::Token { token: current, channels }) => {
                SecretValues { channels: of_channels(channels), ..SecretValues::only(current) }
            }
            Ok(Shape::Rotating { current, previous, webhook_id, endpoint, channels }) => {
                SecretValues { current, previous, webhook_id, endpoint, channels: of_channels(channels) }
            }
            Err(_) => return Err(SecretError::Shape { name: name.to_owned() }),
        }
    } else {
        SecretValues::only(SecretString::from(text))
    };
    values.trimmed().ok_or_else(|| empty(name))
}

fn of_channels(channels: BTreeMap<String, OfChannel>) -> BTreeMap<String, SecretValues> {
    let values = |of| match of {
        OfChannel::Bare(current) => SecretValues::only(current),
        OfChannel::Rotating { current, previous } => SecretValues { previous, ..SecretValues::only(current) },
    };
    channels.into_iter().map(|(channel, of)| (channel, values(of))).collect()
}

impl SecretValues {
    /// The JSON that [`parse`] reads.
    fn to_json(&self) -> serde_json::Value {
        let Self { current, previous, webhook_id, endpoint, channels } = self;
        let mut members = serde_json::Map::new();
        members.insert("current".to_owned(), current.expose_secret().into());
        let previous =
            previous.iter().map(|previous| ("previous".to_owned(), previous.expose_secret().into()));
        members.extend(previous);
        members.extend(webhook_id.map(|id| ("webhook_id".to_owned(), id.into())));
        members.extend(endpoint.iter().map(|url| ("endpoint".to_owned(), url.as_str().into())));
        if !channels.is_empty() {
            let channels = channels.iter().map(|(name, of)| (name.clone(), of.to_json()));
            members.insert("channels".to_owned(), serde_json::Value::Object(channels.collect()));
        }
        members.into()
    }

    /// Every secret value of it.
    fn all(&self) -> impl Iterator<Item = &SecretString> {
        let channels = self.channels.values().flat_map(Self::own);
        self.own().chain(channels)
    }

    fn own(&self) -> impl Iterator<Item = &SecretString> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The values without white space around them; `None` if one that is used is then empty.
    fn trimmed(self) -> Option<Self> {
        // An empty channel spoils only itself.
        let channels = self.channels.into_iter().filter_map(|(name, of)| Some((name, of.trimmed()?)));
        Some(Self {
            current: trimmed(&self.current)?,
            previous: self.previous.as_ref().and_then(trimmed),
            webhook_id: self.webhook_id,
            endpoint: self.endpoint.clone(),
            channels: channels.collect(),
        })
    }
}

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
    async fn channels_have_values_of_their_own() {
        let value = r#"{"current": "a", "channels": {"ops": " b ", "rev": {"current": "c", "previous": "d"}, "none": ""}}"#;
        let (_wire, store) = text(value).await;
        let values = store.values(NAME, now()).await.unwrap();
        let shown: Vec<String> = values
            .channels
            .iter()
            .map(|(name, of)| {
                let previous = of.previous.as_ref().map_or("-", |previous| previous.expose_secret());
                format!("{name} {} {previous}", of.current.expose_secret())
            })
            .collect();
        assert_eq!(values.current.expose_secret(), "a");
        assert_eq!(shown, ["ops b -", "rev c d"]);
        let (_wire, store) = text(r#"{"token": "a", "channels": {"ops": "b"}}"#).await;
        assert!(store.values(NAME, now()).await.unwrap().channels.contains_key("ops"));
    }

    #[tokio::test]
    async fn plain_text_secret_loses_its_trailing_line_break() {
        let (wire, store) = text("s3cr3t\n").await;
        assert_eq!(store.get(NAME, now()).await.unwrap().expose_secret(), "s3cr3t");
        let request = wire.only_request().await;
        assert_eq!(request.target(), "secretsmanager.GetSecretValue");
        assert_eq!(request.json(), serde_json::json!({ "SecretId": NAME }));
    }

    #[tokio::test]
    async fn json_secret_has_a_token_or_two_live_values() {
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
    async fn value_is_read_again_after_15_minutes() {
        let (wire, store) = text("s3cr3t").await;
        let almost = now() + CACHED_FOR - SignedDuration::from_secs(1);
        for moment in [now(), now(), almost] {
            store.get(NAME, moment).await.unwrap();
        }
        assert_eq!(wire.requests().await.len(), 1);
        store.get(NAME, now() + CACHED_FOR).await.unwrap();
        assert_eq!(wire.requests().await.len(), 2);
        // Neither a clock that was set back nor a refused secret uses the cache.
        store.get(NAME, now()).await.unwrap();
        store.forget(NAME);
        store.get(NAME, now()).await.unwrap();
        assert_eq!(wire.requests().await.len(), 4);
    }

    #[tokio::test]
    async fn unusable_secret_is_named_with_the_remedy() {
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
        secret syncwatch/census-token: it is empty. Store a value: aws secretsmanager put-secret-value --secret-id syncwatch/census-token
        secret syncwatch/census-token: it is binary. Store it as text, in SecretString
        secret syncwatch/census-token: it begins like JSON but has no known shape. Store {"token": "..."}, {"current": "...", "previous": "..."} or the bare text
        secret syncwatch/census-token: it does not exist in this account and region. Run `terraform apply`, or correct the function's setting that names it (infra/functions.json)
        secret syncwatch/census-token: it is empty. Store a value: aws secretsmanager put-secret-value --secret-id syncwatch/census-token
        secret syncwatch/census-token: AWS denied access. Allow secretsmanager:GetSecretValue on it in infra/functions.json and run `terraform apply`
        "#);
    }

    fn rotated() -> SecretValues {
        SecretValues {
            current: "new-secret".into(),
            previous: Some("old-secret".into()),
            webhook_id: Some(8),
            endpoint: Some("https://abc.on.aws/webhooks/census".to_owned()),
            channels: BTreeMap::from([("ops".to_owned(), SecretValues::only("ops-secret".into()))]),
        }
    }

    #[tokio::test]
    async fn stored_value_is_readable_and_clears_the_cache() {
        let (wire, store) = text("s3cr3t").await;
        store.get(NAME, now()).await.unwrap();
        store.put(NAME, &rotated()).await.unwrap();
        store.put(NAME, &SecretValues::only("only".into())).await.unwrap();
        store.get(NAME, now()).await.unwrap();
        let requests = wire.requests().await;
        let targets: Vec<&str> = requests.iter().map(super::super::wire::Asked::target).collect();
        let (get, put) = ("secretsmanager.GetSecretValue", "secretsmanager.PutSecretValue");
        assert_eq!(targets, [get, put, put, get]);
        assert_eq!(requests[1].json()["SecretId"], NAME);
        assert_eq!(
            requests[1].json()["SecretString"],
            r#"{"channels":{"ops":{"current":"ops-secret"}},"current":"new-secret","endpoint":"https://abc.on.aws/webhooks/census","previous":"old-secret","webhook_id":8}"#
        );
        assert_eq!(requests[2].json()["SecretString"], r#"{"current":"only"}"#);
    }

    #[tokio::test]
    async fn refused_store_names_the_operators_rights_but_no_secret() {
        let refusal = async |code: &str, message: &str| {
            let wire = Wire::answering(400, serde_json::json!({ "__type": code, "message": message })).await;
            let store = SecretStore::new(wire.sdk().secrets());
            let error = store.put(NAME, &rotated()).await.unwrap_err();
            let debug = format!("{error:?}");
            assert!(
                !debug.contains("new-secret")
                    && !debug.contains("old-secret")
                    && !debug.contains("ops-secret"),
                "{debug}"
            );
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
        secret syncwatch/census-token: AWS denied access. Your own credentials need secretsmanager:PutSecretValue on it; a function's permissions do not apply to you
        secret syncwatch/census-token: AWS did not accept the credentials (ExpiredTokenException). Set AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; `aws configure export-credentials --format env` prints all but AWS_REGION
        secret syncwatch/census-token: AWS answered ValidationException: Value '{"current":"[secret]","previous":"[secret]"}' is bad. If it persists, see this error in the AWS documentation of secretsmanager:PutSecretValue
        "#);
    }

    #[tokio::test]
    async fn secret_is_never_shown() {
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
