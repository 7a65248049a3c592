//! How an incident lies in DynamoDB: one attribute for each thing that a person may look for in the console.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::figure::{Figure, StoredFigure};
use crate::finding::{Check, Evidence};
use crate::incident::{Course, Incident, IncidentKey, NoticeKind, Pending, State};

/// How long a resolved incident is kept for people to look back at; DynamoDB then deletes it, within about two days.
pub const KEPT_AFTER_RESOLVED: SignedDuration = SignedDuration::from_hours(90 * 24);

pub(super) const PIPELINE: &str = "pipeline";
pub(super) const STATE: &str = "state";
pub(super) const PENDING_KIND: &str = "pending_kind";
pub(super) const RESOLVED: &str = "resolved";
pub(super) const CHECK_SUBJECT: &str = "check_subject";
const SEVERITY: &str = "severity";
const OPENED_AT: &str = "opened_at";
const RESOLVED_AT: &str = "resolved_at";
const GENERATION: &str = "generation";
const VERSION: &str = "version";
const SUMMARY: &str = "summary";
const FIGURES: &str = "figures";
const CAUSE: &str = "cause";
const PENDING_SINCE: &str = "pending_since";
const EXPIRES_AT: &str = "expires_at";
const WRITE_ID: &str = "write_id";
const CLASS: &str = "class";
const GROUP: &str = "group";
const HOLD: &str = "hold";
const ACKNOWLEDGED: &str = "acknowledged";
const COURSE: &str = "course";

/// A stored item that is not an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The item's key as it is stored.
    pub key: String,
    /// The attribute that cannot be read.
    pub attribute: &'static str,
    /// What was found there, or that it is missing.
    pub found: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}, attribute `{}`: {}", self.key, self.attribute, self.found)
    }
}

/// The parts of an `UpdateItem` that stores an incident whole.
pub(super) struct Update {
    pub(super) expression: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

pub(super) fn key(key: &IncidentKey) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (PIPELINE.to_owned(), AttributeValue::S(key.pipeline.clone())),
        (CHECK_SUBJECT.to_owned(), AttributeValue::S(key.check_subject())),
    ])
}

/// Every attribute beside the key: its value, or `None` where it is to be absent.
fn attributes(incident: &Incident) -> [(&'static str, Option<AttributeValue>); 18] {
    let text = |value: &str| Some(AttributeValue::S(value.to_owned()));
    let number = |value: u64| Some(AttributeValue::N(value.to_string()));
    // Only what is resolved may ever be deleted.
    let expires_at = match (incident.state, incident.resolved_at) {
        (State::Resolved, Some(at)) => at.checked_add(KEPT_AFTER_RESOLVED).ok(),
        _ => None,
    };
    [
        (STATE, text(&incident.state.to_string())),
        (SEVERITY, text(&incident.severity.to_string())),
        (OPENED_AT, text(&incident.opened_at.to_string())),
        (RESOLVED_AT, incident.resolved_at.and_then(|at| text(&at.to_string()))),
        (GENERATION, number(incident.generation)),
        (VERSION, number(incident.version)),
        (SUMMARY, text(&incident.evidence.summary)),
        (FIGURES, json(Some(&stored_figures(&incident.evidence)))),
        (CAUSE, text(&incident.cause)),
        (CLASS, incident.class.as_deref().and_then(text)),
        (GROUP, incident.group.as_deref().and_then(text)),
        (HOLD, json(incident.hold.as_ref())),
        (ACKNOWLEDGED, json(incident.acknowledged.as_ref())),
        (COURSE, json(Some(&incident.course))),
        (PENDING_KIND, incident.pending.and_then(|pending| text(&pending.kind.to_string()))),
        (PENDING_SINCE, incident.pending.and_then(|pending| text(&pending.since.to_string()))),
        (EXPIRES_AT, expires_at.map(|at| AttributeValue::N(at.as_second().to_string()))),
        // Part of the key, and again by itself for those who search by sync.
        ("subject", text(&incident.key.subject)),
    ]
}

fn stored_figures(evidence: &Evidence) -> Vec<StoredFigure> {
    evidence.figures.iter().map(StoredFigure::from).collect()
}

/// What people seldom look for, as JSON in one attribute. Structs of texts, numbers and instants have no way to fail.
fn json<T: Serialize>(value: Option<&T>) -> Option<AttributeValue> {
    value.and_then(|value| serde_json::to_string(value).ok()).map(AttributeValue::S)
}

/// An update that sets what the incident has and removes what it has not; attributes of others stay.
///
/// `write_id` marks the item as written by this update and no other.
pub(super) fn update(incident: &Incident, write_id: &str) -> Update {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    let (mut names, mut values) = (HashMap::new(), HashMap::new());
    let written_by = (WRITE_ID, Some(AttributeValue::S(write_id.to_owned())));
    for (name, value) in attributes(incident).into_iter().chain([written_by]) {
        // Several of the names are reserved words, so all of them go by placeholder.
        names.insert(format!("#{name}"), name.to_owned());
        match value {
            Some(value) => {
                set.push(format!("#{name} = :{name}"));
                values.insert(format!(":{name}"), value);
            }
            None => remove.push(format!("#{name}")),
        }
    }
    let mut expression = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        expression.push_str(" REMOVE ");
        expression.push_str(&remove.join(", "));
    }
    Update { expression, names, values }
}

/// Whether this stored item is what the update with this id wrote.
pub(super) fn was_written_by(item: &HashMap<String, AttributeValue>, write_id: &str) -> bool {
    matches!(item.get(WRITE_ID), Some(AttributeValue::S(id)) if id == write_id)
}

/// Reads a stored item.
pub(super) fn read(item: &HashMap<String, AttributeValue>) -> Result<Incident, Unreadable> {
    let item = Item(item);
    let check_subject = item.text(CHECK_SUBJECT)?;
    let (check, subject) = check_subject
        .split_once('/')
        .and_then(|(check, subject)| Some((Check::from_id(check)?, subject)))
        .ok_or_else(|| {
            item.unreadable(CHECK_SUBJECT, format!("{check_subject:?}, which names no known check"))
        })?;
    let pending = match item.optional_text(PENDING_KIND)? {
        None => None,
        Some(_) => Some(Pending {
            kind: item.word::<NoticeKind>(PENDING_KIND)?,
            since: item.parsed(PENDING_SINCE, "an instant")?,
        }),
    };
    let figures: Vec<StoredFigure> =
        item.json(FIGURES, "a list of figures")?.ok_or_else(|| item.missing(FIGURES))?;
    let figures = figures.into_iter().map(Figure::from).collect();
    // Incidents of the first version have none; their beginning stands for it.
    let course = item.json::<Course>(COURSE, "the course of an incident")?.unwrap_or_default();
    let resolved_at = match item.optional_text(RESOLVED_AT)? {
        None => None,
        Some(_) => Some(item.parsed::<Timestamp>(RESOLVED_AT, "an instant")?),
    };
    Ok(Incident {
        key: IncidentKey { pipeline: item.text(PIPELINE)?.to_owned(), check, subject: subject.to_owned() },
        generation: item.number(GENERATION)?,
        version: item.number(VERSION)?,
        state: item.word(STATE)?,
        severity: item.word(SEVERITY)?,
        opened_at: item.parsed(OPENED_AT, "an instant")?,
        resolved_at,
        evidence: Evidence { summary: item.text(SUMMARY)?.to_owned(), figures, since: None },
        cause: item.text(CAUSE)?.to_owned(),
        class: item.optional_text(CLASS)?.map(str::to_owned),
        group: item.optional_text(GROUP)?.map(str::to_owned),
        pending,
        hold: item.json(HOLD, "a hold")?,
        acknowledged: item.json(ACKNOWLEDGED, "who has taken it on")?,
        course,
    })
}

pub(super) struct Item<'a>(pub(super) &'a HashMap<String, AttributeValue>);

impl<'a> Item<'a> {
    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<&'a str>, Unreadable> {
        match self.0.get(name) {
            None | Some(AttributeValue::Null(true)) => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.unreadable(name, "not a string".to_owned())),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Result<&'a str, Unreadable> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        name: &'static str,
        what: &str,
    ) -> Result<Option<T>, Unreadable> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        let read = serde_json::from_str(text);
        read.map(Some).map_err(|error| self.unreadable(name, format!("not {what} as JSON ({error})")))
    }

    pub(super) fn missing(&self, name: &'static str) -> Unreadable {
        self.unreadable(name, "missing".to_owned())
    }

    pub(super) fn number(&self, name: &'static str) -> Result<u64, Unreadable> {
        match self.0.get(name) {
            None => Err(self.missing(name)),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map_err(|_| self.unreadable(name, format!("{digits}, not a whole number")))
            }
            Some(_) => Err(self.unreadable(name, "not a number".to_owned())),
        }
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &'static str, what: &str) -> Result<T, Unreadable> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.unreadable(name, format!("{text:?}, not {what}")))
    }

    /// One of a closed set of words.
    fn word<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Unreadable> {
        let text = self.text(name)?;
        serde_json::from_value(text.into()).map_err(|error| self.unreadable(name, error.to_string()))
    }

    fn unreadable(&self, attribute: &'static str, found: String) -> Unreadable {
        let part = |name| match self.0.get(name) {
            Some(AttributeValue::S(text)) => text.as_str(),
            _ => "?",
        };
        Unreadable { key: format!("{}/{}", part(PIPELINE), part(CHECK_SUBJECT)), attribute, found }
    }
}

#[cfg(test)]
mod tests;
