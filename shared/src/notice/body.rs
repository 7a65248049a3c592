//! The body of a notice for machines: what SNS carries as JSON to queues, functions and HTTP subscribers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::figure::Figure;
use crate::finding::Severity;
use crate::incident::NoticeKind;
use crate::pipeline::Contact;

/// The version of the JSON's shape. A change that breaks readers raises the number.
pub const SCHEMA: &str = "syncwatch.notice/2";
/// The shape before, whose figures are texts alone. It is still read, so that no notice is lost during an upgrade.
const SCHEMA_BEFORE: &str = "syncwatch.notice/1";

/// The JSON of a notice; `notice.schema.json` beside this file describes it. Readers ignore members that they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// [`SCHEMA`].
    pub schema: String,
    /// Names this notice; the same when it is sent again.
    pub id: String,
    pub kind: NoticeKind,
    /// The same for every notice of an incident: trigger, update and resolve with it.
    pub dedup_key: String,
    /// Counts the incidents of the same key, from 1.
    pub generation: u64,
    /// Counts the notices of a generation, from 1. A notice with a lower (generation, sequence) than another of the same
    /// `dedup_key` is the older one, in any order of arrival.
    pub sequence: u32,
    pub pipeline: String,
    pub check: String,
    /// A sync's key, a data check's name, or `census`, `warehouse` or `syncwatch`.
    pub subject: String,
    /// The worst severity that was notified since the incident opened.
    pub severity: Severity,
    /// The subject of mails: severity, sync or check, problem with figure and limit.
    pub title: String,
    /// The finding, in one sentence with figure and limit.
    pub summary: String,
    pub figures: Vec<Figure>,
    pub cause: String,
    /// The class of the vendor's error, if there is one.
    pub class: Option<String>,
    /// When it was first found (UTC).
    pub opened_at: Timestamp,
    /// When it was found healthy again (UTC).
    pub resolved_at: Option<Timestamp>,
    /// How long it has been, or was, open, in seconds.
    pub open_for_seconds: i64,
    pub runbook: Option<String>,
    /// A command that only reads.
    pub command: Option<String>,
    pub link: Option<String>,
    pub contacts: Vec<Contact>,
    /// Census's name of the sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The state of the incident beyond its finding, in sentences: flapping, unknown, acknowledged, Census's name of the sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The consequence for the people who use the data, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
    /// When the sync runs next, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
    /// The first steps of its section of the runbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// The command that acknowledges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<String>,
    /// Who acknowledged it, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<String>,
    /// The name of the contact who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The name of the contact to escalate to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<String>,
    /// Pages to open, beside `runbook`; `link` is the first of Census.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Whether it is a marked test that needs no action.
    pub test: bool,
}

/// A page to open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where it leads, such as `Sync in Census`.
    pub name: String,
    pub url: String,
}

/// Why a message is not a notice that this version understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON, or lacks a member.
    #[error("not a notice of {SCHEMA}: {0}; only notices belong on this queue, so find its sender")]
    Shape(String),
    /// It is a notice of another generation.
    #[error(
        "a notice of {found}, where {SCHEMA} is understood; deploy the functions of one version together"
    )]
    Schema { found: String },
}

impl Body {
    /// Reads a body. The schema is read first, so that the error names the schema of another version.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        let shape = |error: serde_json::Error| BodyError::Shape(error.to_string());
        let Schema { schema } = serde_json::from_str(text).map_err(shape)?;
        if ![SCHEMA, SCHEMA_BEFORE].contains(&schema.as_str()) {
            return Err(BodyError::Schema { found: schema.chars().take(60).collect() });
        }
        serde_json::from_str(text).map_err(shape)
    }
}
