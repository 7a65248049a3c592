//! What a webhook of Census says, and how it lies in the queue between the intake and the worker. Pure.
//!
//! Read leniently: unknown fields are ignored, ids may be numbers or texts, events that nobody announced are kept.
//! `message` and `details` of an alert quote records and are never kept.

use std::mem::discriminant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use syncwatch::observation::{RunId, SyncId};

/// The schema of a message in the queue.
pub const SCHEMA: &str = "syncwatch.delivery/1";
/// Words of the vendor are kept up to this length where they are not understood.
const KEPT_CHARS: usize = 80;

/// The vendor's identifier of one occasion on which an alert was raised; the same when it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

/// What Census tells of (Census docs, "Sync lifecycle webhooks": all seven).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    Triggered,
    Started,
    /// A run ended, well or not: a failed run fires this as well as [`Event::Failed`].
    Completed(Completed),
    /// A run ended well, though records of it may have been rejected.
    Success,
    Failed,
    /// An alert of Census was raised by this run.
    AlertRaised,
    /// An alert of Census was resolved by this run, which is another one than that which raised it.
    AlertResolved,
}

/// The `status` of a `sync.completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completed {
    /// `ok`.
    Ok,
    /// `emergency`: the run failed.
    Emergency,
    /// Another word, or none.
    Unsaid,
}

impl Event {
    /// Census's words, each with its event.
    const WORDS: [(&'static str, Self); 7] = [
        ("sync.triggered", Self::Triggered),
        ("sync.started", Self::Started),
        ("sync.completed", Self::Completed(Completed::Unsaid)),
        ("sync.success", Self::Success),
        ("sync.failed", Self::Failed),
        ("sync.alert.raised", Self::AlertRaised),
        ("sync.alert.resolved", Self::AlertResolved),
    ];

    fn read(word: &str, status: Option<&str>) -> Option<Self> {
        let (_, event) = Self::WORDS.into_iter().find(|(known, _)| *known == word)?;
        Some(match (event, status) {
            (Self::Completed(_), Some("ok")) => Self::Completed(Completed::Ok),
            (Self::Completed(_), Some("emergency")) => Self::Completed(Completed::Emergency),
            _ => event,
        })
    }

    /// Census's word for it.
    pub fn word(self) -> &'static str {
        let is_it = |event: &Self| discriminant(event) == discriminant(&self);
        Self::WORDS.iter().find(|(_, event)| is_it(event)).map_or("", |(word, _)| word)
    }

    /// Whether it says that the run has ended. An alert may be raised while a run still works.
    pub fn says_ended(self) -> bool {
        match self {
            Self::Completed(_) | Self::Success | Self::Failed => true,
            Self::Triggered | Self::Started | Self::AlertRaised | Self::AlertResolved => false,
        }
    }
}

/// A delivery that is understood: a hint at where to look, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event: Event,
    pub sync_id: SyncId,
    pub run_id: RunId,
    /// The alert, of an event about one.
    pub alert: Option<AlertId>,
    /// The kind of that alert, such as `FailureAlertConfiguration`.
    pub alert_type: Option<String>,
    /// When the intake received it (UTC).
    pub received_at: Timestamp,
}

/// A delivery of an event that nobody announced. It is kept and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEvent {
    /// The vendor's word: one short line.
    pub word: String,
    /// The sync, if it names one.
    pub sync_id: Option<SyncId>,
    /// The run, if it names one.
    pub run_id: Option<RunId>,
    /// The alert, if it names one.
    pub alert: Option<AlertId>,
    /// When the intake received it (UTC).
    pub received_at: Timestamp,
}

/// A delivery, understood or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    Known(Delivery),
    Unknown(UnknownEvent),
}

/// Why a message can never be handled. Holds nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Poison {
    /// It is not what the intake writes: somebody else wrote to the queue, or the two are of different versions.
    #[error("not a {SCHEMA} of webhook-intake")]
    NotOurs,
    #[error("the body is no JSON object")]
    NotJson,
    /// This field is missing, or is not what it is documented to be.
    #[error("the body has no usable `{0}`")]
    Lacks(&'static str),
    #[error("Census knows no such run")]
    UnknownRun,
    #[error("the run is one of another sync")]
    RunOfAnotherSync,
}

/// The message for the queue: the body as it was signed, and when it came.
pub fn queue_message(body: &[u8], received_at: Timestamp) -> String {
    let (member, body) = match std::str::from_utf8(body) {
        // SQS refuses these two characters, which JSON does not escape (AWS SQS API reference, `SendMessage`).
        Ok(text) if !text.contains(['\u{fffe}', '\u{ffff}']) => ("body", text.to_owned()),
        _ => ("body_base64", STANDARD.encode(body)),
    };
    json!({ "schema": SCHEMA, "received_at": received_at, member: body }).to_string()
}

/// Reads a message of the queue.
///
/// # Errors
/// It can never be handled.
pub fn parse(message: &str) -> Result<Parsed, Poison> {
    let message: Value = serde_json::from_str(message).map_err(|_| Poison::NotOurs)?;
    if message.get("schema").and_then(Value::as_str) != Some(SCHEMA) {
        return Err(Poison::NotOurs);
    }
    let received_at = message.get("received_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let received_at: Timestamp = received_at.ok_or(Poison::NotOurs)?;
    let body = match (message.get("body"), message.get("body_base64")) {
        (Some(Value::String(text)), _) => text.clone().into_bytes(),
        (_, Some(Value::String(text))) => STANDARD.decode(text).map_err(|_| Poison::NotOurs)?,
        _ => return Err(Poison::NotOurs),
    };
    let body: Value = serde_json::from_slice(&body).map_err(|_| Poison::NotJson)?;
    let fields = Fields::of(&body).ok_or(Poison::NotJson)?;
    let word = fields.event.ok_or(Poison::Lacks("event"))?;
    let Some(event) = Event::read(word, fields.status) else {
        return Ok(Parsed::Unknown(UnknownEvent {
            word: kept(word),
            sync_id: fields.sync_id,
            run_id: fields.run_id,
            alert: fields.alert,
            received_at,
        }));
    };
    Ok(Parsed::Known(Delivery {
        event,
        sync_id: fields.sync_id.ok_or(Poison::Lacks("sync_id"))?,
        run_id: fields.run_id.ok_or(Poison::Lacks("sync_run_id"))?,
        alert: fields.alert,
        alert_type: fields.alert_type.map(kept),
        received_at,
    }))
}

impl Delivery {
    /// What is the same in every copy of it. Census gives a delivery no id of its own.
    pub fn key(&self) -> String {
        key(Some(self.run_id), self.event.word(), self.alert)
    }
}

impl UnknownEvent {
    /// What is the same in every copy of it.
    pub fn key(&self) -> String {
        key(self.run_id, &self.word, self.alert)
    }
}

fn key(run: Option<RunId>, event: &str, alert: Option<AlertId>) -> String {
    let or_dash = |id: Option<u64>| id.map_or("-".to_owned(), |id| id.to_string());
    format!("census/{}/{event}/{}", or_dash(run.map(|run| run.0)), or_dash(alert.map(|alert| alert.0)))
}

/// What the intake sees of a body at a glance: enough for a log line and to know the sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glimpse {
    pub sync: Option<SyncId>,
    pub run: Option<RunId>,
    /// The event, as Census words it: one short line.
    pub event: Option<String>,
}

impl Glimpse {
    /// Looks at a body. One that makes no sense shows nothing.
    pub fn of(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        Fields::of(&body).map_or_else(Self::default, |fields| Self {
            sync: fields.sync_id,
            run: fields.run_id,
            event: fields.event.map(kept),
        })
    }
}

/// The fields that are read, each if it is there and makes sense.
struct Fields<'a> {
    sync_id: Option<SyncId>,
    run_id: Option<RunId>,
    event: Option<&'a str>,
    status: Option<&'a str>,
    alert: Option<AlertId>,
    alert_type: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(body: &'a Value) -> Option<Self> {
        let body = body.as_object()?;
        let text =
            |name| body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let id = |name| {
            let value: &Value = body.get(name)?;
            value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        Some(Self {
            sync_id: id("sync_id").map(SyncId),
            run_id: id("sync_run_id").map(RunId),
            event: text("event"),
            status: text("status"),
            alert: id("alert_instance_id").map(AlertId),
            alert_type: text("alert_type"),
        })
    }
}

/// What is kept of a word that is not understood: one short line.
fn kept(word: &str) -> String {
    word.chars().take(KEPT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
