//! Webhooks, as the management API has them.

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::error::{Error, ErrorKind};
use super::wire;

/// Every event that Census tells of (Census docs, "Sync lifecycle webhooks").
pub const EVENTS: [&str; 7] = [
    "sync.alert.raised",
    "sync.alert.resolved",
    "sync.triggered",
    "sync.started",
    "sync.completed",
    "sync.success",
    "sync.failed",
];

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewWebhook {
    pub name: String,
    pub description: String,
    /// Where Census posts to; Census asks for HTTPS.
    pub endpoint: String,
    /// The events it wants; Census reads an absent list as all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A webhook as Census lists it, and as an update sends it: what Census did not show is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Webhook {
    #[serde(skip)]
    pub id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The events it gets; none means all of them.
    pub events: Vec<String>,
}

impl Webhook {
    /// The events of [`EVENTS`] that it does not get.
    pub fn missing_events(&self) -> Vec<&'static str> {
        let gets = |event: &str| self.events.is_empty() || self.events.iter().any(|known| known == event);
        EVENTS.into_iter().filter(|event| !gets(event)).collect()
    }
}

/// A webhook that was just made.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    pub id: u64,
    /// The signing secret. Census shows it this once.
    pub secret: SecretString,
}

/// Reads a webhook of the list.
pub(super) fn parse_webhook(entry: &Value, operation: &'static str) -> Result<Webhook, Error> {
    let events = entry.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Webhook {
        id: wire::id_at(entry, "id", operation)?,
        name: wire::text(entry.get("name")),
        endpoint: wire::text(entry.get("endpoint")),
        events: events.iter().filter_map(|event| wire::text(Some(event))).collect(),
    })
}

/// Reads the answer to the making of a webhook, the only one that ever shows its secret.
pub(super) fn parse_created(answer: &Value, operation: &'static str) -> Result<CreatedWebhook, Error> {
    let data = wire::object(answer, operation)?;
    let secret = wire::text(data.get("secret")).ok_or_else(|| {
        let (path, found) = ("data.secret".to_owned(), "nothing, or an empty text".to_owned());
        ErrorKind::Shape { path, found }.of(operation)
    })?;
    Ok(CreatedWebhook { id: wire::id_at(data, "id", operation)?, secret: SecretString::from(secret) })
}
