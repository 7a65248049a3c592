//! Parses a webhook of Census, and defines its message in the queue between the intake and the worker. Pure.
//!
//! Parsing is lenient: unknown fields are ignored, ids may be numbers or texts, undocumented events are kept. `message` and
//! `details` of an alert quote records and are never kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use syncwatch::observation::{RunId, SyncId};
use syncwatch::text::plain_line;

/// The schema of a delivery in the queue.
pub const SCHEMA: &str = "syncwatch.delivery/1";
/// The schema of a report that a delivery was refused.
pub const REFUSAL_SCHEMA: &str = "syncwatch.refusal/1";
/// Unknown words of the vendor are kept up to this length.
const KEPT_CHARS: usize = 80;

/// The events of Census (Census docs, "Sync lifecycle webhooks": all seven).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    Triggered,
    Started,
    /// A run ended. A failed run sends this as well as [`Event::Failed`].
    Completed,
    /// A run succeeded, though some of its records may have been rejected.
    Success,
    Failed,
    /// This run raised an alert of Census.
    AlertRaised,
    /// This run resolved an alert of Census that an earlier run raised.
    AlertResolved,
}

impl Event {
    /// The wire values of Census, each with its event.
    const WORDS: [(&'static str, Self); 7] = [
        ("sync.triggered", Self::Triggered),
        ("sync.started", Self::Started),
        ("sync.completed", Self::Completed),
        ("sync.success", Self::Success),
        ("sync.failed", Self::Failed),
        ("sync.alert.raised", Self::AlertRaised),
        ("sync.alert.resolved", Self::AlertResolved),
    ];

    fn read(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find_map(|(known, event)| (known == word).then_some(event))
    }

    /// The wire value of Census for this event.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, event)| *event == self).map_or("", |(word, _)| word)
    }

    /// Whether the event means that the run has ended. An alert may be raised while a run is still working.
    pub fn is_end_of_run(self) -> bool {
        matches!(self, Self::Completed | Self::Success | Self::Failed)
    }
}

/// A documented delivery. It only hints at a sync to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event: Event,
    pub sync_id: SyncId,
    pub run_id: RunId,
    pub alert: Option<u64>,
    pub alert_type: Option<String>,
    /// When the intake received it (UTC).
    pub received_at: Timestamp,
}

/// A delivery of an event that Census does not document. It is recorded and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEvent {
    pub fields: Fields,
    /// When the intake received it (UTC).
    pub received_at: Timestamp,
}

/// A report that the intake refused an apparent delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name of the refusal, such as `wrong-signature`.
    pub why: String,
    /// When it was refused (UTC).
    pub at: Timestamp,
}

/// A parsed message of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    Known(Delivery),
    Unknown(UnknownEvent),
    Refused(Refused),
}

/// The reason why a message can never be handled. It contains nothing of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Poison {
    /// The intake did not write it: another writer used the queue, or intake and worker have different versions.
    #[error("not a {SCHEMA} message of webhook-intake")]
    NotOurs,
    #[error("the body is not a JSON object")]
    NotJson,
    /// This field is missing, or its value is not as documented.
    #[error("the body has no valid `{0}`")]
    Lacks(&'static str),
    #[error("Census does not know the run")]
    UnknownRun,
    #[error("the run belongs to another sync")]
    RunOfAnotherSync,
}

/// Builds the queue message of a delivery: the body as it was signed, and when it arrived.
pub fn queue_message(body: &[u8], received_at: Timestamp) -> String {
    let (member, body) = match std::str::from_utf8(body) {
        // SQS refuses these two characters, which JSON does not escape (AWS SQS API reference, `SendMessage`).
        Ok(text) if !text.contains(['\u{fffe}', '\u{ffff}']) => ("body", text.to_owned()),
        _ => ("body_base64", STANDARD.encode(body)),
    };
    json!({ "schema": SCHEMA, "received_at": received_at, member: body }).to_string()
}

/// Builds the queue message that reports a refusal.
pub fn refusal_message(why: &str, at: Timestamp) -> String {
    json!({ "schema": REFUSAL_SCHEMA, "refused_at": at, "why": why }).to_string()
}

/// Parses a message of the queue.
pub fn parse(message: &str) -> Result<Parsed, Poison> {
    let message: Value = serde_json::from_str(message).map_err(|_| Poison::NotOurs)?;
    let text = |name| message.get(name).and_then(Value::as_str);
    let instant = |name| text(name).and_then(|text| text.parse().ok()).ok_or(Poison::NotOurs);
    match text("schema") {
        Some(SCHEMA) => {}
        Some(REFUSAL_SCHEMA) => {
            let why = text("why").map(kept).ok_or(Poison::NotOurs)?;
            return Ok(Parsed::Refused(Refused { why, at: instant("refused_at")? }));
        }
        _ => return Err(Poison::NotOurs),
    }
    let received_at: Timestamp = instant("received_at")?;
    let body = match (message.get("body"), message.get("body_base64")) {
        (Some(Value::String(text)), _) => text.clone().into_bytes(),
        (_, Some(Value::String(text))) => STANDARD.decode(text).map_err(|_| Poison::NotOurs)?,
        _ => return Err(Poison::NotOurs),
    };
    let fields = Fields::read(&body).ok_or(Poison::NotJson)?;
    let word = fields.event.as_deref().ok_or(Poison::Lacks("event"))?;
    let Some(event) = Event::read(word) else {
        return Ok(Parsed::Unknown(UnknownEvent { fields, received_at }));
    };
    Ok(Parsed::Known(Delivery {
        event,
        sync_id: fields.sync_id.ok_or(Poison::Lacks("sync_id"))?,
        run_id: fields.run_id.ok_or(Poison::Lacks("sync_run_id"))?,
        alert: fields.alert,
        alert_type: fields.alert_type,
        received_at,
    }))
}

impl Delivery {
    /// Builds the key that all copies share, because Census gives a delivery no id.
    pub fn key(&self) -> String {
        key(Some(self.run_id), self.event.word(), self.alert)
    }
}

impl UnknownEvent {
    /// Builds the key that all copies share.
    pub fn key(&self) -> String {
        let Fields { run_id, event, alert, .. } = &self.fields;
        key(*run_id, event.as_deref().unwrap_or_default(), *alert)
    }
}

fn key(run: Option<RunId>, event: &str, alert: Option<u64>) -> String {
    let or_dash = |id: Option<u64>| id.map_or("-".to_owned(), |id| id.to_string());
    format!("census/{}/{event}/{}", or_dash(run.map(|run| run.0)), or_dash(alert))
}

/// The fields that are read from a body, each if it is present and valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub sync_id: Option<SyncId>,
    pub run_id: Option<RunId>,
    /// The event as Census names it, cut to one short line.
    pub event: Option<String>,
    /// The id of one occurrence of an alert: the same when it is raised and when it is resolved.
    pub alert: Option<u64>,
    /// The kind of that alert, such as `FailureAlertConfiguration`.
    pub alert_type: Option<String>,
}

impl Fields {
    /// Reads a body; `None` if it is not a JSON object.
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let body = body.as_object()?;
        let text = |name| {
            let text = body.get(name).and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(kept)
        };
        let id = |name| {
            let value: &Value = body.get(name)?;
            value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        Some(Self {
            sync_id: id("sync_id").map(SyncId),
            run_id: id("sync_run_id").map(RunId),
            event: text("event"),
            alert: id("alert_instance_id"),
            alert_type: text("alert_type"),
        })
    }
}

/// Cuts a word of the vendor to one short line.
fn kept(word: &str) -> String {
    plain_line(word).chars().take(KEPT_CHARS).collect()
}

#[cfg(test)]
mod tests;
