//! Webhooks and their signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// A registered webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: u64,
    pub name: String,
    pub endpoint: String,
    /// The subscribed events; empty means all.
    pub events: Vec<String>,
    pub secret: String,
}

/// A queued delivery: a body with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) endpoint: String,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: String,
}

impl Webhook {
    /// The delivery of an event to this webhook; `None` if it is not subscribed.
    pub(crate) fn delivery(&self, event: &Value) -> Option<Delivery> {
        let name = event.get("event").and_then(Value::as_str)?;
        let wanted = self.events.is_empty() || self.events.iter().any(|wanted| wanted == name);
        wanted.then(|| {
            let body = event.to_string().into_bytes();
            let signature = sign(&self.secret, &body);
            Delivery { endpoint: self.endpoint.clone(), body, signature }
        })
    }
}

/// The value of `X-Signature`: standard Base64 of HMAC-SHA256 over the raw body, keyed with the secret's bytes as shown
/// (Census docs, "Sync lifecycle webhooks").
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes a key of any length, so this cannot fail; every receiver would refuse an empty signature.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(body);
            STANDARD.encode(mac.finalize().into_bytes())
        },
    )
}
