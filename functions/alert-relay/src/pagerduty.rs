//! Renders a notice as an event of PagerDuty's Events API v2.
//!
//! Fields and limits: PagerDuty developer docs, "Send an Alert Event" and "Events API v2 overview". Texts without a published
//! limit are kept short too, so that the whole event is far below the published limit.

pub mod client;

use std::collections::BTreeMap;

use serde::Serialize;
use syncwatch::finding::Severity;
use syncwatch::notice::Body;

use crate::parts::{self, contacts, links, steps};
use crate::route::Action;
use crate::text::{cut, digest, first_of, second_utc};

/// The largest event, in bytes.
pub const EVENT_LIMIT: usize = 512 * 1024;
/// The longest `dedup_key`; in bytes, as the limit may mean bytes or characters.
const DEDUP_KEY_LIMIT: usize = 255;
/// The longest `payload.summary`.
const SUMMARY_LIMIT: usize = 1_024;
/// Own limits.
const NAME_LIMIT: usize = 255;
const TEXT_LIMIT: usize = 1_024;
const FIGURES: usize = 40;
const LINKS: usize = 6;
const DIGEST_BYTES: usize = 16;

/// An event as PagerDuty takes it, without the routing key: that is a secret, and is added when the event is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    pub event_action: Action,
    pub dedup_key: String,
    /// The visible part; only of a trigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    pub client: &'static str,
}

/// The visible part of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// The title of the notice.
    pub summary: String,
    /// `pipeline/subject`.
    pub source: String,
    /// PagerDuty has the same four words.
    pub severity: Severity,
    /// When the incident opened (UTC).
    pub timestamp: String,
    pub component: String,
    pub group: String,
    pub class: String,
    pub custom_details: Details,
}

/// The details of an alert; members without a value are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Details {
    pub finding: String,
    pub figures: BTreeMap<String, String>,
    pub cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<String>,
    /// When the incident opened (UTC).
    pub since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// A command that only reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    pub notice: String,
    /// Its number among the notices of the incident.
    pub sequence: u32,
}

/// An event of PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Outgoing {
    Alert(Box<Event>),
    /// It notifies no person.
    Change(Box<Change>),
}

/// A change event, without the routing key.
///
/// Fields and limits: PagerDuty developer docs, "Send a Change Event".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub payload: ChangePayload,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// The visible part of a change event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangePayload {
    pub summary: String,
    /// `pipeline/subject`.
    pub source: String,
    /// When the remedy was proposed (UTC).
    pub timestamp: String,
    pub custom_details: Details,
}

/// A page to open from an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub href: String,
    pub text: String,
}

/// Renders the event of a notice.
pub fn render(notice: &Body, action: Action) -> Outgoing {
    let links = || {
        links(notice, TEXT_LIMIT)
            .take(LINKS)
            .map(|(name, url)| Link { href: url.to_owned(), text: cut(first_of([name]), NAME_LIMIT) })
            .collect()
    };
    let (payload, links) = match action {
        Action::Change => {
            let Payload { summary, source, timestamp, custom_details, .. } = payload(notice);
            let payload = ChangePayload { summary, source, timestamp, custom_details };
            return Outgoing::Change(Box::new(Change { payload, links: links() }));
        }
        Action::Trigger | Action::Inform => (Some(payload(notice)), links()),
        // PagerDuty needs only the key; every other member is one that it could refuse.
        Action::Resolve | Action::Acknowledge => (None, Vec::new()),
    };
    let dedup_key = bounded_key(&notice.dedup_key);
    Outgoing::Alert(Box::new(Event { event_action: action, dedup_key, payload, links, client: "Syncwatch" }))
}

/// The key of an incident within PagerDuty's limit. A longer key keeps its beginning, and a digest of the whole replaces the
/// rest, so the same key always becomes the same text.
pub fn bounded_key(key: &str) -> String {
    if key.len() <= DEDUP_KEY_LIMIT {
        return key.to_owned();
    }
    let digest = digest(key, DIGEST_BYTES);
    let room = DEDUP_KEY_LIMIT - digest.len() - 1;
    format!("{}~{digest}", key.get(..key.floor_char_boundary(room)).unwrap_or_default())
}

fn payload(notice: &Body) -> Payload {
    let some = |text: &Option<String>| text.as_deref().map(|text| cut(text, TEXT_LIMIT));
    // Half a command is worse than none.
    let whole = |command: &Option<String>| {
        command
            .as_deref()
            .map(|command| cut(command, usize::MAX))
            .filter(|command| command.len() <= TEXT_LIMIT)
    };
    let Body { title, summary, dedup_key, pipeline, subject, check, .. } = notice;
    let since = second_utc(notice.opened_at);
    Payload {
        summary: cut(first_of([title.as_str(), summary, dedup_key]), SUMMARY_LIMIT),
        source: cut(&format!("{pipeline}/{subject}"), NAME_LIMIT),
        severity: notice.severity,
        timestamp: since.clone(),
        component: cut(subject, NAME_LIMIT),
        group: cut(pipeline, NAME_LIMIT),
        class: cut(check, NAME_LIMIT),
        custom_details: Details {
            finding: cut(summary, TEXT_LIMIT),
            figures: figures(notice),
            cause: cut(&notice.cause, TEXT_LIMIT),
            note: some(&notice.note),
            impact: some(&notice.consequence),
            next_run: some(&notice.next_attempt),
            steps: steps(notice).map(|step| cut(&step, TEXT_LIMIT)).collect(),
            acknowledge: whole(&notice.acknowledge),
            owner: some(&notice.owner),
            contacts: contacts(notice).map(|contact| cut(&contact, TEXT_LIMIT)).collect(),
            error_class: notice.class.as_deref().map(|class| cut(class, NAME_LIMIT)),
            since,
            runbook: some(&notice.runbook),
            command: whole(&notice.command),
            notice: cut(&notice.id, TEXT_LIMIT),
            sequence: notice.sequence,
        },
    }
}

/// Figures by name. Those of the same name, such as the subjects of one problem, share a line.
fn figures(notice: &Body) -> BTreeMap<String, String> {
    let mut figures = BTreeMap::<String, String>::new();
    for figure in parts::figures(notice).take(FIGURES) {
        let shown = figures.entry(cut(first_of([figure.name.as_str()]), NAME_LIMIT)).or_default();
        if !shown.is_empty() {
            shown.push_str(", ");
        }
        shown.push_str(&figure.text());
    }
    for shown in figures.values_mut() {
        *shown = cut(shown, TEXT_LIMIT);
    }
    figures
}

#[cfg(test)]
mod tests;
