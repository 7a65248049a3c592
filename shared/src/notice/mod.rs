//! One message about an incident, in a body for each kind of reader.
//!
//! [`render`] is pure. SNS carries one Subject and one body for each protocol: mail gets text that reads well at
//! 3 AM, text messages get the title, and all the rest get `default`: JSON whose shape is versioned ([`Body`]). All bodies
//! share one budget of 256 KB, so none is sent twice, and what a vendor or a person wrote is cut to a bounded length.

mod body;
mod mail;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::figure::{Figure, Value};
use crate::finding::{Evidence, Severity};
use crate::incident::{Incident, IncidentKey, NoticeKind};
use crate::pipeline::{Census, Contact, Pipeline};
use crate::silence::Tally;
use crate::text::{marked, minute_utc, words};

pub use body::{Body, BodyError, SCHEMA};

/// SNS takes a Subject of less than 100 characters (AWS SNS API reference, `Publish`).
const SUBJECT_CHARS: usize = 99;
/// A text message of more than 140 ASCII characters is sent in parts (AWS SNS API reference, `Publish`).
const SMS_CHARS: usize = 140;
/// Sentences and figures beyond these lengths say no more to anybody, and would eat the budget of a message.
const SENTENCE_CHARS: usize = 1_000;
const FIGURE_CHARS: usize = 300;
const FIGURES: usize = 30;
/// How the key of a test names its beginning (UTC).
const TEST_BEGAN: &str = "%Y%m%dT%H%M%SZ";

/// A message as SNS takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ASCII, one line, less than 100 characters.
    pub subject: String,
    /// Protocol to body; `default` is always there.
    pub bodies: BTreeMap<&'static str, String>,
    pub attributes: BTreeMap<&'static str, String>,
}

/// Renders the notice of an incident.
pub fn render(incident: &Incident, kind: NoticeKind, pipeline: &Pipeline, now: Timestamp) -> Message {
    message(&body(incident, kind, pipeline, now), pipeline, now)
}

/// The body for machines of the notice of an incident.
pub fn body(incident: &Incident, kind: NoticeKind, pipeline: &Pipeline, now: Timestamp) -> Body {
    let Evidence { summary, figures, .. } = bounded(&incident.evidence);
    let IncidentKey { pipeline: name, check, subject } = &incident.key;
    // Census knows nothing of what is in the warehouse.
    let helps = kind != NoticeKind::Resolved && !pipeline.is_about_data(subject);
    let mut body = Body {
        schema: SCHEMA.to_owned(),
        id: incident.notice_id(),
        kind,
        dedup_key: incident.key.to_string(),
        generation: incident.generation,
        sequence: incident.course.sequence,
        pipeline: name.clone(),
        check: check.id().to_owned(),
        subject: subject.clone(),
        severity: incident.severity,
        title: String::new(),
        summary: acknowledgement(incident, kind).unwrap_or(summary),
        figures,
        cause: cut(&incident.cause, SENTENCE_CHARS),
        class: incident.class.clone(),
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        open_for_seconds: incident.open_for(now).as_secs(),
        runbook: runbook(pipeline, check.id()),
        command: helps.then(|| command(pipeline, subject)),
        link: link(pipeline, subject),
        contacts: contacts(pipeline),
        test: false,
    };
    body.title = title(&body, check.title(), incident.course.openings.len());
    body
}

/// Who has acknowledged it, for a notice that says so.
fn acknowledgement(incident: &Incident, kind: NoticeKind) -> Option<String> {
    let by = incident.acknowledged.as_ref().filter(|_| kind == NoticeKind::Acknowledged)?;
    Some(cut(&format!("acknowledged by {} until {}", by.by, minute_utc(by.until)), SENTENCE_CHARS))
}

/// Renders what a silence held back, after its end: `count` notices that people were not told of before.
pub fn render_held_back(tally: &Tally, count: u64, pipeline: &Pipeline, now: Timestamp) -> Message {
    let silence = &tally.silence;
    let key = format!("{}/silence/{}", pipeline.name, silence.id);
    let summary = format!(
        "the silence of {} ({}) is over; it held back {} of {}",
        silence.owner,
        silence.reason,
        counted(count, "notice"),
        tally.incident_count(),
    );
    let mut evidence = Evidence::new(summary)
        .with("covered", silence.scope.to_string())
        .with("from", silence.from)
        .with("until", silence.until);
    for incident in &tally.incidents {
        evidence = evidence.with("held back", incident);
    }
    let Evidence { summary, figures, .. } = bounded(&evidence);
    let sequence = tally.tellings.saturating_add(1);
    let body = Body {
        schema: SCHEMA.to_owned(),
        id: format!("{key}#1.{sequence}"),
        kind: NoticeKind::HeldBack,
        dedup_key: key,
        generation: 1,
        sequence,
        pipeline: pipeline.name.clone(),
        check: "silence".to_owned(),
        subject: silence.id.clone(),
        severity: Severity::Info,
        title: cut(&format!("[held back] {}: {summary}", silence.id), SENTENCE_CHARS),
        summary,
        figures,
        cause: "Whatever of it is still there is told by itself, unless another silence or a common cause covers it".to_owned(),
        class: None,
        opened_at: silence.from,
        resolved_at: Some(silence.until),
        open_for_seconds: silence.until.duration_since(silence.from).as_secs(),
        runbook: runbook(pipeline, "silences"),
        command: None,
        link: None,
        contacts: contacts(pipeline),
        test: false,
    };
    message(&body, pipeline, now)
}

/// The key of a test that began at this instant, to the second.
pub fn test_key(pipeline: &str, began: Timestamp) -> String {
    format!("{pipeline}/alert-test/{}", began.strftime(TEST_BEGAN))
}

/// When the test of this key began, if it is one of this pipeline.
pub fn test_began(pipeline: &str, key: &str) -> Option<Timestamp> {
    let began = key.strip_prefix(pipeline)?.strip_prefix("/alert-test/")?;
    let began = DateTime::strptime(TEST_BEGAN, began).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(began.timestamp())
}

/// Renders a marked test, by which people see that every channel works: first `Opened`, then `Resolved`.
pub fn render_test(
    kind: NoticeKind,
    pipeline: &Pipeline,
    severity: Severity,
    began: Timestamp,
    now: Timestamp,
) -> Message {
    let key = test_key(&pipeline.name, began);
    // As the key has it: the end of a test may be rendered from the key alone, and must not look older than its beginning.
    let began = test_began(&pipeline.name, &key).unwrap_or(began);
    let resolved = kind == NoticeKind::Resolved;
    let what =
        if resolved { "the test is over" } else { "this is a test; nothing is wrong and nobody has to act" };
    let body = Body {
        schema: SCHEMA.to_owned(),
        id: format!("{key}#1.{}", if resolved { 2 } else { 1 }),
        kind,
        dedup_key: key,
        generation: 1,
        sequence: if resolved { 2 } else { 1 },
        pipeline: pipeline.name.clone(),
        check: "alert-test".to_owned(),
        subject: "alert-test".to_owned(),
        severity,
        title: format!("[test, {severity}] {}: {what}", pipeline.name),
        summary: what.to_owned(),
        figures: vec![Figure::new("sent at", now)],
        cause: "Somebody ran `syncwatch alert-test`".to_owned(),
        class: None,
        opened_at: began,
        resolved_at: resolved.then_some(now),
        open_for_seconds: now.duration_since(began).as_secs(),
        runbook: runbook(pipeline, "alert-test"),
        command: None,
        link: None,
        contacts: contacts(pipeline),
        test: true,
    };
    message(&body, pipeline, now)
}

/// Puts a body into a message for every protocol.
fn message(body: &Body, pipeline: &Pipeline, now: Timestamp) -> Message {
    // A struct of texts and numbers has no way to fail; the title alone would still tell the essential.
    let json = serde_json::to_string(body).unwrap_or_else(|_| body.title.clone());
    let bodies = BTreeMap::from([
        ("default", json),
        ("email", mail::text(body, pipeline, now)),
        ("sms", cut(&ascii(&body.title), SMS_CHARS)),
    ]);
    let mut attributes = BTreeMap::from([
        ("severity", body.severity.to_string()),
        ("kind", body.kind.to_string()),
        ("check", body.check.clone()),
        ("sync", body.subject.clone()),
        ("pipeline", body.pipeline.clone()),
    ]);
    if body.test {
        attributes.insert("test", "true".to_owned());
    }
    Message { subject: subject(&body.title), bodies, attributes }
}

fn title(body: &Body, what: &str, openings: usize) -> String {
    let Body { severity, subject, summary, .. } = body;
    let open_for = words(jiff::SignedDuration::from_secs(body.open_for_seconds));
    let title = match body.kind {
        NoticeKind::Opened => format!("[{severity}] {subject}: {what}: {summary}"),
        NoticeKind::Flapping => {
            let nth = ordinal(openings);
            format!("[{severity}, flapping] {subject}: {what}: for the {nth} time of late: {summary}")
        }
        NoticeKind::Worsened => format!("[{severity}, worse] {subject}: {what}: {summary}"),
        NoticeKind::Reminder => format!("[{severity}, still] {subject}: {what}: for {open_for}: {summary}"),
        NoticeKind::StoppedReporting => format!("[{severity}, unknown] {subject}: {what}: {summary}"),
        NoticeKind::Resolved => format!("[resolved] {subject}: {what}: over after {open_for}"),
        NoticeKind::HeldBack => format!("[held back] {subject}: {summary}"),
        NoticeKind::Acknowledged => format!("{subject}: {what}: {summary}"),
    };
    cut(&title, SENTENCE_CHARS)
}

fn ordinal(n: usize) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The title as a Subject: ASCII, one line, cut at a word where it is too long.
fn subject(title: &str) -> String {
    let ascii = ascii(title);
    if ascii.len() <= SUBJECT_CHARS {
        return ascii;
    }
    let room = ascii.get(..SUBJECT_CHARS - 3).unwrap_or(&ascii);
    let end = room.rfind(' ').filter(|end| *end > SUBJECT_CHARS / 2).unwrap_or(room.len());
    format!("{}...", room.get(..end).unwrap_or(room).trim_end_matches([',', ':', ' ']))
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// At most so many characters, in one line: never cut inside a character, and marked where it is cut.
fn cut(text: &str, chars: usize) -> String {
    marked(text, chars, "...")
}

/// Evidence of a length that fits a message, whatever a vendor or a person wrote.
fn bounded(evidence: &Evidence) -> Evidence {
    let left_out = evidence.figures.len().saturating_sub(FIGURES);
    let mut figures: Vec<Figure> = evidence.figures.iter().take(FIGURES).cloned().collect();
    for Figure { name, value, .. } in &mut figures {
        *name = cut(name, FIGURE_CHARS);
        if let Value::Text(text) = value {
            *text = cut(text, FIGURE_CHARS);
        }
    }
    if left_out > 0 {
        figures.push(Figure::new("left out here", left_out));
    }
    Evidence { summary: cut(&evidence.summary, SENTENCE_CHARS), figures, since: evidence.since }
}

fn runbook(pipeline: &Pipeline, anchor: &str) -> Option<String> {
    pipeline.runbook_url.as_ref().map(|url| format!("{url}#{anchor}"))
}

/// A command that only reads, so that it is safe to copy at 3 AM.
fn command(pipeline: &Pipeline, subject: &str) -> String {
    let Census { base_url, api_version, .. } = &pipeline.census;
    let declared = pipeline.sync(subject);
    let what = declared.map_or("syncs".to_owned(), |sync| format!("syncs/{}/sync_runs", sync.id));
    let url = format!("{base_url}/api/{api_version}/{what}?per_page=5");
    format!("curl -sS -H \"Authorization: Bearer $CENSUS_TOKEN\" '{url}'")
}

/// The runs of a sync in Census's own pages, as the vendor's Airflow provider links to them.
fn link(pipeline: &Pipeline, subject: &str) -> Option<String> {
    let sync = pipeline.sync(subject)?;
    Some(format!("{}/syncs/{}/history", pipeline.census.base_url, sync.id))
}

fn contacts(pipeline: &Pipeline) -> Vec<Contact> {
    let short = |text: &String| cut(text, FIGURE_CHARS);
    let contacts = pipeline.contacts.iter().map(|Contact { name, role, email, phone }| Contact {
        name: short(name),
        role: short(role),
        email: email.as_ref().map(short),
        phone: phone.as_ref().map(short),
    });
    contacts.collect()
}

#[cfg(test)]
mod tests;
