//! A notice as an event of PagerDuty's Events API v2.
//!
//! Fields and limits: PagerDuty developer docs, "Send an Alert Event" and "Events API v2 overview". Where no limit is
//! published the texts are kept short all the same, so that the whole event is far below the one that is.

pub mod client;

use std::collections::BTreeMap;

use serde::Serialize;
use syncwatch::finding::Severity;
use syncwatch::notice::Body;

use crate::route::Action;
use crate::text::{cut, digest, first_of};

/// The largest event, in bytes.
pub const EVENT_LIMIT: usize = 512 * 1024;
/// The longest `dedup_key`; counted in bytes, to be on the safe side.
const DEDUP_KEY_LIMIT: usize = 255;
/// The longest `payload.summary`.
const SUMMARY_LIMIT: usize = 1_024;
/// Own limits.
const NAME_LIMIT: usize = 255;
const TEXT_LIMIT: usize = 1_024;
const FIGURES: usize = 40;
const DIGEST_BYTES: usize = 16;

/// An event as PagerDuty takes it, but for the routing key: that is secret, and joins at sending only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    pub event_action: Action,
    pub dedup_key: String,
    /// What people see of it; none when it resolves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    pub client: &'static str,
}

/// What people see of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// One line that says it all.
    pub summary: String,
    /// What is affected: `pipeline/subject`.
    pub source: String,
    /// In the same four words as ours.
    pub severity: Severity,
    /// When the incident opened (UTC).
    pub timestamp: String,
    pub component: String,
    pub group: String,
    pub class: String,
    pub custom_details: Details,
}

/// What else is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Details {
    pub finding: String,
    pub figures: BTreeMap<String, String>,
    pub cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<String>,
    /// Since when (UTC).
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

/// Where to go from an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub href: String,
    pub text: &'static str,
}

/// Renders the event of a notice.
pub fn render(notice: &Body, action: Action) -> Event {
    let (payload, links) = match action {
        Action::Trigger | Action::Inform => {
            let runbook = link(notice.runbook.as_deref(), "Runbook");
            let census = link(notice.link.as_deref(), "The sync in Census");
            (Some(payload(notice)), runbook.into_iter().chain(census).collect())
        }
        // These are about the key alone: the less they say, the less there is to refuse.
        Action::Resolve | Action::Acknowledge => (None, Vec::new()),
    };
    let dedup_key = bounded_key(&notice.dedup_key);
    Event { event_action: action, dedup_key, payload, links, client: "Syncwatch" }
}

/// The key of an incident, as long as PagerDuty takes it: a longer one keeps its beginning, and what is cut off is told
/// apart by a digest of the whole. The same key becomes the same text always.
pub fn bounded_key(key: &str) -> String {
    if key.len() <= DEDUP_KEY_LIMIT {
        return key.to_owned();
    }
    let digest = digest(key, DIGEST_BYTES);
    let room = DEDUP_KEY_LIMIT - digest.len() - 1;
    format!("{}~{digest}", key.get(..key.floor_char_boundary(room)).unwrap_or_default())
}

fn payload(notice: &Body) -> Payload {
    let Body { title, summary, dedup_key, pipeline, subject, check, .. } = notice;
    let since = notice.opened_at.to_string();
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
            error_class: notice.class.as_deref().map(|class| cut(class, NAME_LIMIT)),
            since,
            runbook: notice.runbook.as_deref().map(|runbook| cut(runbook, TEXT_LIMIT)),
            command: notice.command.as_deref().map(|command| cut(command, TEXT_LIMIT)),
            notice: cut(&notice.id, TEXT_LIMIT),
            sequence: notice.sequence,
        },
    }
}

/// Figures by name. Those of the same name, such as the incidents that a silence held back, stand side by side.
fn figures(notice: &Body) -> BTreeMap<String, String> {
    let mut figures = BTreeMap::<String, String>::new();
    for figure in notice.figures.iter().take(FIGURES) {
        let told = figures.entry(cut(first_of([figure.name.as_str()]), NAME_LIMIT)).or_default();
        if !told.is_empty() {
            told.push_str(", ");
        }
        told.push_str(&figure.text());
    }
    for told in figures.values_mut() {
        *told = cut(told, TEXT_LIMIT);
    }
    figures
}

/// A link that can be followed: an address that was cut leads nowhere.
fn link(href: Option<&str>, text: &'static str) -> Option<Link> {
    let href = href.filter(|href| is_link(href, TEXT_LIMIT))?;
    Some(Link { href: href.to_owned(), text })
}

/// Whether it is an address for a browser, and no longer than the limit.
pub(crate) fn is_link(href: &str, limit: usize) -> bool {
    let web = href.starts_with("https://") || href.starts_with("http://");
    web && href.len() <= limit && href.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
