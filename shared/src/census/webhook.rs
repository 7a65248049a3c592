//! Webhooks, as the management API has them.

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::error::Error;
use super::wire;

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewWebhook {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where Census posts to; Census asks for HTTPS.
    pub endpoint: String,
    /// The events it wants; Census reads an absent list as all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A webhook as Census lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The vendor's id.
    pub id: u64,
    /// Its name.
    pub name: Option<String>,
    /// Where Census posts to.
    pub endpoint: Option<String>,
    /// The events it gets.
    pub events: Vec<String>,
}

/// A webhook that was just made.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    /// The vendor's id.
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
    let secret = wire::text(data.get("secret")).ok_or_else(|| Error::Shape {
        operation,
        path: "data.secret".to_owned(),
        found: "nothing, or an empty text".to_owned(),
    })?;
    Ok(CreatedWebhook { id: wire::id_at(data, "id", operation)?, secret: SecretString::from(secret) })
}
