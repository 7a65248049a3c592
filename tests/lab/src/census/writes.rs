//! The record of requests that change something, and acts of others between two requests.

use jiff::Timestamp;
use serde_json::Value;

use super::world::World;

/// A request that changes something, whether or not it took effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Lab time.
    pub at: Timestamp,
    /// Such as `POST`.
    pub method: String,
    /// With ids, such as `/api/v1/syncs/3394041/trigger`.
    pub path: String,
    /// `Null` without a JSON body.
    pub body: Value,
    /// Whether it asks for a full sync, in its query or its body.
    pub full_sync: bool,
    /// Whether it took effect, even if its answer was lost.
    pub taken: bool,
}

/// An act of another party, just before a request is answered.
pub(super) struct Interruption {
    /// Such as `POST /api/v1/syncs/*/trigger`; `*` stands for one segment.
    pub(super) before: String,
    pub(super) act: Box<dyn FnOnce(&mut World) + Send>,
}

impl std::fmt::Debug for Interruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interruption").field("before", &self.before).finish_non_exhaustive()
    }
}

impl Interruption {
    pub(super) fn is_before(&self, method: &str, path: &str) -> bool {
        let request = format!("{method} {path}");
        let (wanted, found) = (self.before.split('/'), request.split('/'));
        wanted.clone().count() == found.clone().count()
            && wanted.zip(found).all(|(wanted, found)| wanted == "*" || wanted == found)
    }
}

/// Whether a trigger asks for a full sync. Documented as a query parameter; two published clients send it in the body.
pub(super) fn asks_for_full_sync(query: &[(String, String)], body: &Value) -> bool {
    let yes = |value: &str| value.eq_ignore_ascii_case("true") || value == "1";
    let in_body = body.get("force_full_sync").is_some_and(|flag| {
        flag.as_bool().unwrap_or_else(|| flag.as_str().is_some_and(yes) || flag.as_u64() == Some(1))
    });
    in_body || query.iter().any(|(key, value)| key == "force_full_sync" && yes(value))
}
