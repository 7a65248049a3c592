//! Maps an incident to a DynamoDB item: one attribute for each value that an operator may search for in the console.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Expected, SPEC};
use crate::aws::table::{Error, Item, Reader, Update, attribute, json};
use crate::figure::{Figure, StoredFigure};
use crate::finding::{Check, Evidence};
use crate::incident::{Course, Incident, IncidentKey, NoticeKind, Pending, State};

/// How long a resolved incident is kept for review; DynamoDB then deletes it, within about two days.
pub const KEPT_AFTER_RESOLVED: SignedDuration = SignedDuration::from_hours(90 * 24);

pub(super) const PIPELINE: &str = "pipeline";
pub(super) const CHECK_SUBJECT: &str = "check_subject";
pub(super) const EXPIRES_AT: &str = "expires_at";
const STATE: &str = "state";
const SEVERITY: &str = "severity";
const OPENED_AT: &str = "opened_at";
const RESOLVED_AT: &str = "resolved_at";
const GENERATION: &str = "generation";
const VERSION: &str = "version";
const SUMMARY: &str = "summary";
const FIGURES: &str = "figures";
const CAUSE: &str = "cause";
const CLASS: &str = "class";
const GROUP: &str = "group";
const HOLD: &str = "hold";
const ACKNOWLEDGED: &str = "acknowledged";
const COURSE: &str = "course";
const PENDING_KIND: &str = "pending_kind";
const PENDING_SINCE: &str = "pending_since";
const WRITE_ID: &str = "write_id";

pub(super) fn key(key: &IncidentKey) -> Item {
    SPEC.key(&[&key.pipeline, &key.check_subject()])
}

/// Returns every attribute but the key: its value, or `None` to remove it.
fn attributes(incident: &Incident) -> [(&'static str, Option<AttributeValue>); 18] {
    // Only resolved incidents may expire.
    let ended = incident.resolved_at.filter(|_| incident.state == State::Resolved);
    let expires_at = ended.and_then(|at| at.checked_add(KEPT_AFTER_RESOLVED).ok());
    let figures: Vec<_> = incident.evidence.figures.iter().map(StoredFigure::from).collect();
    [
        (STATE, attribute(incident.state)),
        (SEVERITY, attribute(incident.severity)),
        (OPENED_AT, attribute(incident.opened_at)),
        (RESOLVED_AT, attribute(incident.resolved_at)),
        (GENERATION, attribute(incident.generation)),
        (VERSION, attribute(incident.version)),
        (SUMMARY, attribute(&incident.evidence.summary)),
        (FIGURES, json(figures)),
        (CAUSE, attribute(&incident.cause)),
        (CLASS, attribute(&incident.class)),
        (GROUP, attribute(&incident.group)),
        (HOLD, json(&incident.hold)),
        (ACKNOWLEDGED, json(&incident.acknowledged)),
        (COURSE, json(&incident.course)),
        (PENDING_KIND, attribute(incident.pending.map(|pending| pending.kind))),
        (PENDING_SINCE, attribute(incident.pending.map(|pending| pending.since))),
        (EXPIRES_AT, attribute(expires_at.map(Timestamp::as_second))),
        // Also part of the key; on its own so that operators can search by sync.
        ("subject", attribute(&incident.key.subject)),
    ]
}

/// Builds an update that sets the incident's attributes and removes absent ones, if the stored item is still as
/// expected.
///
/// `write_id` marks the item as written by this update.
pub(super) fn update(incident: &Incident, expected: Expected, write_id: &str) -> Update {
    let written_by = (WRITE_ID, attribute(write_id));
    let update = Update::storing(key(&incident.key), attributes(incident).into_iter().chain([written_by]))
        .known_by(WRITE_ID, write_id);
    match expected {
        Expected::Absent => update.when("attribute_not_exists(#pipeline)"),
        Expected::Version(version) => update.when("#version = :expected").value(":expected", version),
    }
}

/// Returns whether a stored item is not resolved, or has an unsent notice; an unreadable item counts as live.
pub(super) fn is_live(item: &Reader<'_>) -> bool {
    let text = |name| item.read::<Option<String>>(name);
    let is = |name, live: fn(Option<&str>) -> bool| text(name).map_or(true, |text| live(text.as_deref()));
    is(STATE, |state| state != Some("resolved")) || is(PENDING_KIND, |kind| kind.is_some())
}

/// Reads an incident from a stored item.
pub(super) fn read(item: &Reader<'_>) -> Result<Incident, Error> {
    let check_subject: String = item.read(CHECK_SUBJECT)?;
    let (check, subject) = check_subject
        .split_once('/')
        .ok_or_else(|| item.unreadable(CHECK_SUBJECT, &format!("{check_subject:?} names no check")))?;
    let check = Check::from_id(check).ok_or_else(|| item.unknown_check())?;
    let kind: Option<NoticeKind> = item.read(PENDING_KIND)?;
    let figures: Vec<StoredFigure> = item.json(FIGURES)?;
    let figures = figures.into_iter().map(Figure::from).collect();
    Ok(Incident {
        key: IncidentKey { pipeline: item.read(PIPELINE)?, check, subject: subject.to_owned() },
        generation: item.read(GENERATION)?,
        version: item.read(VERSION)?,
        state: item.read(STATE)?,
        severity: item.read(SEVERITY)?,
        opened_at: item.read(OPENED_AT)?,
        resolved_at: item.read(RESOLVED_AT)?,
        evidence: Evidence { summary: item.read(SUMMARY)?, figures, since: None },
        cause: item.read(CAUSE)?,
        class: item.read(CLASS)?,
        group: item.read(GROUP)?,
        pending: match kind {
            None => None,
            Some(kind) => Some(Pending { kind, since: item.read(PENDING_SINCE)? }),
        },
        hold: item.json(HOLD)?,
        acknowledged: item.json(ACKNOWLEDGED)?,
        // Incidents of the first version have no course; their opening stands in for its beginning.
        course: item.json::<Option<Course>>(COURSE)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
