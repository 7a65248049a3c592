//! Webhooks of the management API.

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::error::{Error, ErrorKind};
use super::wire;

/// Every webhook event of Census (Census docs, "Sync lifecycle webhooks").
pub const EVENTS: [&str; 7] = [
    "sync.alert.raised",
    "sync.alert.resolved",
    "sync.triggered",
    "sync.started",
    "sync.completed",
    "sync.success",
    "sync.failed",
];

/// A webhook to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewWebhook {
    pub name: String,
    pub description: String,
    /// Where Census posts to; must be HTTPS.
    pub endpoint: String,
    /// The wanted events; Census treats an absent list as all events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A webhook as Census lists it, and as an update sends it: members that Census did not show are omitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Webhook {
    #[serde(skip)]
    pub id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The events that it receives; an empty list means all events.
    pub events: Vec<String>,
}

impl Webhook {
    /// Returns the events of [`EVENTS`] that it does not receive.
    pub fn missing_events(&self) -> Vec<&'static str> {
        let gets = |event: &str| self.events.is_empty() || self.events.iter().any(|known| known == event);
        EVENTS.into_iter().filter(|event| !gets(event)).collect()
    }
}

/// A newly created webhook.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    pub id: u64,
    /// The signing secret, which Census shows only once.
    pub secret: SecretString,
}

/// Reads a webhook from a list entry.
pub(super) fn parse_webhook(entry: &Value, operation: &'static str) -> Result<Webhook, Error> {
    let events = entry.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Webhook {
        id: wire::id_at(entry, "id", operation)?,
        name: wire::text(entry.get("name")),
        endpoint: wire::text(entry.get("endpoint")),
        events: events.iter().filter_map(|event| wire::text(Some(event))).collect(),
    })
}

/// Reads the response to the creation of a webhook, the only one that contains its secret.
pub(super) fn parse_created(answer: &Value, operation: &'static str) -> Result<CreatedWebhook, Error> {
    let data = wire::object(answer, operation)?;
    let secret = wire::text(data.get("secret")).ok_or_else(|| {
        let (path, found) = ("data.secret".to_owned(), "nothing, or an empty text".to_owned());
        ErrorKind::Shape { path, found }.of(operation)
    })?;
    Ok(CreatedWebhook { id: wire::id_at(data, "id", operation)?, secret: SecretString::from(secret) })
}
