//! Incidents on the page: those that are open, and the periods of the last 90 days.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::words::line;
use super::{SHOWN_DAYS, State};
use crate::finding::Severity;
use crate::incident::{Hold, Incident, NoticeKind};
use crate::notice::{Link, body};
use crate::pipeline::Pipeline;
use crate::silence::Silence;

/// An open incident, in the words of its notice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wrong {
    /// The key of the incident.
    pub incident: String,
    pub severity: Severity,
    /// The title of the check.
    pub title: &'static str,
    pub subject: String,
    pub summary: String,
    pub since: Timestamp,
    pub consequence: Option<String>,
    pub cause: String,
    /// Who owns it.
    pub owner: Option<String>,
    /// Who acknowledged it, and until when.
    pub acknowledged: Option<String>,
    /// When the sync runs next, in words.
    pub next_attempt: Option<String>,
    /// The last act of a remedy on it.
    pub act: Option<String>,
    /// Why it sends no notices.
    pub suppressed: Option<String>,
    /// Since when it cannot be checked.
    pub unchecked_since: Option<Timestamp>,
    /// The first steps of the runbook.
    pub steps: Vec<String>,
    pub links: Vec<Link>,
}

impl Wrong {
    /// Lists the open incidents, the worst first, then the oldest.
    pub(super) fn all(
        incidents: &[Incident],
        silences: &[Silence],
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> Vec<Self> {
        let open = incidents.iter().filter(|incident| incident.state.is_open());
        let mut open: Vec<Self> = open.map(|incident| Self::of(incident, silences, pipeline, now)).collect();
        open.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then(a.since.cmp(&b.since)).then(a.incident.cmp(&b.incident))
        });
        open
    }

    fn of(incident: &Incident, silences: &[Silence], pipeline: &Pipeline, now: Timestamp) -> Self {
        let notice = body(incident, NoticeKind::Reminder, pipeline, now);
        let suppressed = incident.hold.as_ref().map(|hold| match hold {
            Hold::Cause { key } => format!("the same cause as {} of {}", key.check.title(), key.subject),
            Hold::Silence { id } => match silences.iter().find(|silence| silence.id == *id) {
                Some(silence) => format!("silence \"{}\" ({})", silence.reason, silence.owner),
                None => format!("silence {id}"),
            },
        });
        let act = incident.course.act.as_ref().filter(|act| act.at >= incident.opened_at);
        let runbook = notice.runbook.map(|url| Link { name: "Runbook".to_owned(), url });
        // A page does not link to itself, and only to pages of the web.
        let links = runbook.into_iter().chain(notice.links).filter(|link| {
            Some(&link.url) != pipeline.status_page_url.as_ref()
                && ["https://", "http://"].iter().any(|scheme| link.url.starts_with(scheme))
        });
        Self {
            incident: line(&notice.dedup_key),
            severity: incident.severity,
            title: incident.key.check.title(),
            subject: line(&notice.subject),
            summary: line(&notice.summary),
            since: began(incident),
            consequence: notice.consequence.as_deref().map(line),
            cause: line(&notice.cause),
            owner: notice.owner.as_deref().map(line),
            acknowledged: notice.acknowledged.as_deref().map(line),
            next_attempt: notice.next_attempt.as_deref().map(line),
            act: act.map(|act| line(&act.what)),
            suppressed: suppressed.as_deref().map(line),
            unchecked_since: incident.course.stopped_at,
            steps: notice.steps.iter().map(|step| line(step)).collect(),
            links: links.collect(),
        }
    }

    /// The state that it puts its subject into.
    pub(super) fn state(&self) -> State {
        self.severity.into()
    }
}

/// When an open incident began by its evidence, or else when it was first found.
fn began(incident: &Incident) -> Timestamp {
    let last = incident.history().episodes.last().map(|episode| episode.began_at);
    last.or(incident.course.began_at).unwrap_or(incident.opened_at)
}

/// A period in which an incident was open and had alerted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// The key of the incident.
    pub incident: String,
    pub severity: Severity,
    /// The title of the check.
    pub title: &'static str,
    pub subject: String,
    /// The finding; of a period before the last one, this is unknown.
    pub summary: Option<String>,
    pub began_at: Timestamp,
    /// When it alerted.
    pub alerted_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// The act of a remedy that healed it.
    pub healed_by: Option<String>,
}

impl Episode {
    /// Lists the periods that were open in the last 90 days, newest first.
    pub(super) fn all(incidents: &[Incident], now: Timestamp) -> Vec<Self> {
        let from = now - SignedDuration::from_hours(24 * SHOWN_DAYS);
        let mut all: Vec<Self> = incidents.iter().flat_map(Self::of).collect();
        all.retain(|episode| episode.resolved_at.is_none_or(|at| at >= from));
        all.sort_by(|a, b| b.alerted_at.cmp(&a.alerted_at).then(a.incident.cmp(&b.incident)));
        all
    }

    fn of(incident: &Incident) -> Vec<Self> {
        let episodes = incident.history().episodes;
        let last = episodes.len().saturating_sub(1);
        let act = incident.course.act.as_ref().filter(|act| act.at >= incident.opened_at);
        let of = |(index, episode): (usize, &crate::incident::Episode)| Self {
            incident: line(&incident.key.to_string()),
            severity: incident.severity,
            title: incident.key.check.title(),
            subject: line(&incident.key.subject),
            summary: (index == last).then(|| line(&incident.evidence.summary)),
            began_at: episode.began_at,
            alerted_at: episode.told_at,
            resolved_at: episode.resolved_at,
            healed_by: act
                .filter(|_| index == last && episode.resolved_at.is_some())
                .map(|act| line(&act.what)),
        };
        episodes.iter().enumerate().map(of).collect()
    }
}
