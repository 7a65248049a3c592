//! One notice about an incident, in a body for each kind of reader.
//!
//! [`render`] is pure. SNS carries one Subject and one body for each protocol: mail gets text that reads well at
//! 3 AM, text messages get the title, and all the rest get `default`: JSON whose shape is versioned ([`Body`]). All bodies
//! share one budget of 256 KB, so none is sent twice, and what a vendor or a person wrote is cut to a bounded length.

mod body;
mod consequence;
mod mail;
mod remedies;
mod reports;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::classify::CERTAINTY_FIGURE;
use crate::figure::{Figure, Value};
use crate::finding::{Check, Evidence, LABEL, Severity, SubjectKind};
use crate::incident::{Incident, IncidentKey, NoticeKind};
use crate::pipeline::{Contact, Pipeline, Warehouse};
use crate::runbook::first_steps;
use crate::schedule::Rule;
use crate::silence::Tally;
use crate::text::{counted, marked, minute_utc, ordinal, words};

pub use body::{Body, BodyError, Link, SCHEMA};
pub use remedies::{in_words, render_remedy};
pub use reports::{render_digest, render_monthly};

/// SNS takes a Subject of less than 100 characters (AWS SNS API reference, `Publish`).
const SUBJECT_CHARS: usize = 99;
/// A text message of more than 140 ASCII characters is sent in parts (AWS SNS API reference, `Publish`).
const SMS_CHARS: usize = 140;
/// Longer sentences and figures are not read, and would use up the size of a message.
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
    message(&body(incident, kind, pipeline, now), pipeline)
}

/// The body for machines of the notice of an incident.
pub fn body(incident: &Incident, kind: NoticeKind, pipeline: &Pipeline, now: Timestamp) -> Body {
    let Evidence { summary, mut figures, .. } = bounded(&incident.evidence);
    let IncidentKey { pipeline: name, check, subject } = &incident.key;
    let label = figures.iter().position(|figure| figure.name == LABEL).map(|at| figures.remove(at).text());
    let open = kind != NoticeKind::Resolved;
    let acts = open && kind != NoticeKind::Acknowledged;
    let owner = pipeline.owner_of(*check, subject);
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
        summary,
        figures,
        cause: cut(&incident.cause, SENTENCE_CHARS),
        class: incident.class.clone(),
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        open_for_seconds: incident.open_for(now).as_secs(),
        runbook: runbook(pipeline, check.id()),
        command: open.then(|| command(pipeline, *check, subject)),
        link: link(pipeline, subject),
        contacts: contacts(pipeline, owner),
        label,
        note: None,
        consequence: acts.then(|| cut(&consequence::consequence(incident, pipeline, now), SENTENCE_CHARS)),
        next_attempt: acts.then(|| next_attempt(*check, subject, pipeline, now)).flatten(),
        steps: if acts { steps(incident, pipeline) } else { Vec::new() },
        acknowledge: acts.then(|| acknowledge_command(&incident.key)).flatten(),
        acknowledged: incident
            .acknowledged
            .as_ref()
            .filter(|by| open && now < by.until)
            .map(|by| cut(&format!("{} until {}", by.by, minute_utc(by.until)), SENTENCE_CHARS)),
        owner: owner.map(|owner| cut(&owner.name, FIGURE_CHARS)),
        escalate_to: owner.and_then(|owner| owner.escalate_to.as_ref()).map(|name| cut(name, FIGURE_CHARS)),
        links: links(pipeline, subject),
        test: false,
    };
    body.title = title(&body, incident, pipeline);
    body.note = Some(note(&body, incident, pipeline)).filter(|note| !note.is_empty());
    body
}

/// The state of the incident beyond its finding.
fn note(body: &Body, incident: &Incident, pipeline: &Pipeline) -> String {
    let mut notes = Vec::new();
    match body.kind {
        NoticeKind::StoppedReporting => {
            notes.push(
                "Status unknown: this cannot be checked right now. The finding is from the last good check, and the incident \
                 stays open."
                    .to_owned(),
            );
        }
        NoticeKind::Flapping => {
            let quiet = words(pipeline.notices.flapping.quiet);
            notes.push(format!(
                "This keeps failing and recovering. You get one alert; it resolves after {quiet} without a failure."
            ));
        }
        NoticeKind::Resolved => {
            // An act on an earlier incident of the key did not heal this one.
            if let Some(act) = incident.course.act.as_ref().filter(|act| act.at >= incident.opened_at) {
                notes.push(format!("Healed by Syncwatch: {}, at {}.", act.what, local(act.at, pipeline)));
            }
        }
        _ => {}
    }
    if let Some(by) = &body.acknowledged {
        notes.push(format!("Acknowledged by {by}. Reminders are paused; a worse severity still alerts."));
    }
    if let Some(label) = &body.label {
        notes.push(format!("{} is \"{label}\" in Census.", body.subject));
    }
    cut(&notes.join(" "), SENTENCE_CHARS)
}

/// Renders the notice of an ended silence that suppressed `count` notices.
pub fn render_held_back(tally: &Tally, count: u64, pipeline: &Pipeline) -> Message {
    let silence = &tally.silence;
    let key = format!("{}/silence/{}", pipeline.name, silence.id);
    let summary = format!(
        "Silence \"{}\" ({}) ended: {} from {} {} suppressed",
        silence.reason,
        silence.owner,
        counted(count, "alert"),
        tally.incident_count(),
        if count == 1 { "was" } else { "were" },
    );
    let mut evidence = Evidence::new(summary)
        .with("covered", silence.scope.to_string())
        .with("from", silence.from)
        .with("until", silence.until);
    for incident in &tally.incidents {
        evidence = evidence.with("suppressed", incident);
    }
    let Evidence { summary, figures, .. } = bounded(&evidence);
    let sequence = tally.tellings.saturating_add(1);
    let body = Body {
        id: format!("{key}#1.{sequence}"),
        kind: NoticeKind::HeldBack,
        dedup_key: key,
        sequence,
        check: "silence".to_owned(),
        subject: silence.id.clone(),
        title: cut(&format!("[INFO] {summary}"), SENTENCE_CHARS),
        summary,
        figures,
        cause: "Incidents that are still open alert again on their own, unless another silence or a common cause covers them"
            .to_owned(),
        opened_at: silence.from,
        resolved_at: Some(silence.until),
        open_for_seconds: silence.until.duration_since(silence.from).as_secs(),
        runbook: runbook(pipeline, "silences"),
        ..blank(pipeline)
    };
    message(&body, pipeline)
}

/// The Subject and the text of a mail with this body, as SNS carries them.
pub fn as_mail(body: &Body, pipeline: &Pipeline) -> (String, String) {
    (subject(&body.title), mail::text(body, pipeline))
}

/// A body of severity `info` about the pipeline as a whole, for those that no incident stands behind.
fn blank(pipeline: &Pipeline) -> Body {
    Body {
        schema: SCHEMA.to_owned(),
        id: String::new(),
        kind: NoticeKind::Opened,
        dedup_key: String::new(),
        generation: 1,
        sequence: 1,
        pipeline: pipeline.name.clone(),
        check: String::new(),
        subject: String::new(),
        severity: Severity::Info,
        title: String::new(),
        summary: String::new(),
        figures: Vec::new(),
        cause: String::new(),
        class: None,
        opened_at: Timestamp::UNIX_EPOCH,
        resolved_at: None,
        open_for_seconds: 0,
        runbook: None,
        command: None,
        link: None,
        contacts: contacts(pipeline, None),
        label: None,
        note: None,
        consequence: None,
        next_attempt: None,
        steps: Vec::new(),
        acknowledge: None,
        acknowledged: None,
        owner: None,
        escalate_to: None,
        links: links(pipeline, ""),
        test: false,
    }
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

/// Renders a marked test, by which people see that every channel works: first `Opened`, then `Resolved`. With an owner it
/// takes the way of that contact's notices.
pub fn render_test(
    kind: NoticeKind,
    pipeline: &Pipeline,
    severity: Severity,
    owner: Option<&str>,
    began: Timestamp,
    now: Timestamp,
) -> Message {
    let key = test_key(&pipeline.name, began);
    // As the key has it: the end of a test may be rendered from the key alone, and must not look older than its beginning.
    let began = test_began(&pipeline.name, &key).unwrap_or(began);
    let resolved = kind == NoticeKind::Resolved;
    let summary =
        if resolved { "the test ended" } else { "this is a test; nothing is wrong and no action is needed" };
    let tag = if resolved { "RESOLVED".to_owned() } else { severity.to_string().to_uppercase() };
    let sequence = if resolved { 2 } else { 1 };
    let owner = owner.and_then(|owner| pipeline.contact(owner));
    let body = Body {
        id: format!("{key}#1.{sequence}"),
        kind,
        dedup_key: key,
        sequence,
        check: "alert-test".to_owned(),
        subject: "alert-test".to_owned(),
        severity,
        title: format!("[TEST, {tag}] {}: {summary}", pipeline.name),
        summary: summary.to_owned(),
        figures: vec![Figure::new("sent at", now)],
        cause: "An operator ran `syncwatch alert-test`".to_owned(),
        opened_at: began,
        resolved_at: resolved.then_some(now),
        open_for_seconds: now.duration_since(began).as_secs(),
        runbook: runbook(pipeline, "alert-test"),
        owner: owner.map(|owner| owner.name.clone()),
        contacts: contacts(pipeline, owner),
        test: true,
        ..blank(pipeline)
    };
    message(&body, pipeline)
}

/// Puts a body into a message for every protocol.
fn message(body: &Body, pipeline: &Pipeline) -> Message {
    // A struct of texts and numbers cannot fail to serialize; the title alone would still name the problem.
    let json = serde_json::to_string(body).unwrap_or_else(|_| body.title.clone());
    let bodies = BTreeMap::from([
        ("default", json),
        ("email", mail::text(body, pipeline)),
        ("sms", cut(&ascii(&body.title), SMS_CHARS)),
    ]);
    let mut attributes = BTreeMap::from([
        ("severity", body.severity.to_string()),
        ("kind", body.kind.to_string()),
        ("check", body.check.clone()),
        ("sync", body.subject.clone()),
        ("pipeline", body.pipeline.clone()),
    ]);
    if let Some(owner) = &body.owner {
        attributes.insert("owner", owner.clone());
    }
    if body.test {
        attributes.insert("test", "true".to_owned());
    }
    Message { subject: subject(&body.title), bodies, attributes }
}

fn title(body: &Body, incident: &Incident, pipeline: &Pipeline) -> String {
    let Body { subject, summary, .. } = body;
    let severity = body.severity.to_string().to_uppercase();
    let open_for = words(jiff::SignedDuration::from_secs(body.open_for_seconds));
    let title = match body.kind {
        NoticeKind::Opened => format!("[{severity}] {subject}: {summary}"),
        NoticeKind::Flapping => {
            let nth = ordinal(incident.course.openings.len());
            let within = words(pipeline.notices.flapping.within);
            format!("[{severity}] {subject}: {summary}. Flapping, {nth} time in {within}")
        }
        NoticeKind::Worsened => format!("[{severity}, worse] {subject}: {summary}"),
        NoticeKind::Reminder => format!("[{severity}, open {open_for}] {subject}: {summary}"),
        NoticeKind::StoppedReporting => {
            format!("[{severity}, unknown] {subject}: cannot be checked; was: {summary}")
        }
        NoticeKind::Resolved => format!("[RESOLVED] {subject}: {summary}, after {open_for}"),
        NoticeKind::HeldBack | NoticeKind::Note | NoticeKind::Report => format!("[{severity}] {summary}"),
        NoticeKind::Acknowledged => {
            let by = body.acknowledged.as_deref().unwrap_or("an operator");
            format!("[ACKNOWLEDGED] {subject} by {by}: {summary}")
        }
    };
    cut(&title, SENTENCE_CHARS)
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

/// Evidence of a length that fits a message, however long a vendor's or a person's text is.
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
        figures.push(Figure::new("figures left out", left_out));
    }
    Evidence { summary: cut(&evidence.summary, SENTENCE_CHARS), figures, since: evidence.since }
}

fn runbook(pipeline: &Pipeline, anchor: &str) -> Option<String> {
    pipeline.runbook_url.as_ref().map(|url| format!("{url}#{anchor}"))
}

/// The command that shows more and only reads, so that it is safe to copy at 3 AM.
fn command(pipeline: &Pipeline, check: Check, subject: &str) -> String {
    match check.subject_kind() {
        SubjectKind::Sync | SubjectKind::Runs if pipeline.sync(subject).is_some() => {
            format!("syncwatch runs {subject}")
        }
        SubjectKind::Workspace => "syncwatch census probe".to_owned(),
        SubjectKind::Itself | SubjectKind::Warehouse => "syncwatch doctor".to_owned(),
        SubjectKind::Definition => "syncwatch baseline diff".to_owned(),
        SubjectKind::Figures if pipeline.sync(subject).is_some() => {
            format!("syncwatch expectations {subject}")
        }
        SubjectKind::Figures => "syncwatch expectations".to_owned(),
        SubjectKind::Object => format!("syncwatch reconcile {subject} --explain"),
        SubjectKind::Sync | SubjectKind::Runs | SubjectKind::Data => "syncwatch status".to_owned(),
    }
}

/// The command that acknowledges an incident; none for a key that a shell would read in another way.
fn acknowledge_command(key: &IncidentKey) -> Option<String> {
    let key = key.to_string();
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    plain.then(|| format!("syncwatch acknowledge {key} --by YOUR-NAME --for 4h"))
}

/// The first steps for the class of the vendor's error, else for the check, in the names of the pipeline. A class that is only a guess gives no order.
fn steps(incident: &Incident, pipeline: &Pipeline) -> Vec<String> {
    let guessed = incident.evidence.figures.iter().any(|figure| figure.name == CERTAINTY_FIGURE);
    let of_class = incident.class.as_deref().filter(|_| !guessed).map(first_steps).unwrap_or_default();
    let steps = if of_class.is_empty() { first_steps(incident.key.check.id()) } else { of_class };
    let named = |step: &String| pipeline.rename(step, Some(&incident.key.subject)).text;
    steps.iter().map(|step| cut(&named(step), SENTENCE_CHARS)).collect()
}

/// When the sync runs next; `None` if it does not run by itself.
fn next_attempt(check: Check, subject: &str, pipeline: &Pipeline, now: Timestamp) -> Option<String> {
    if matches!(check, Check::SyncPaused | Check::SyncExists) {
        return None;
    }
    let schedule = &pipeline.sync(subject)?.schedule;
    match schedule.rule {
        Rule::OnDemand => None,
        Rule::Every(period) => Some(format!("within {}", words(period))),
        Rule::Daily(_) | Rule::Weekly(..) | Rule::Cron(_) => {
            schedule.next_slot(now).map(|slot| local(slot, pipeline))
        }
    }
}

/// An instant in the pipeline's zone and in UTC.
pub fn local(instant: Timestamp, pipeline: &Pipeline) -> String {
    let zoned = instant.to_zoned(pipeline.time_zone.clone());
    format!("{} ({})", zoned.strftime("%a %Y-%m-%d %H:%M %Z"), minute_utc(instant))
}

/// The pages about a subject: the sync in Census, the records in the destination, the warehouse, the status page.
fn links(pipeline: &Pipeline, subject: &str) -> Vec<Link> {
    let sync = pipeline.sync(subject);
    let check = pipeline.data_check(subject);
    let object = sync.and_then(|sync| sync.object_url.as_ref());
    let object = object.or_else(|| check?.object_url.as_ref());
    let warehouse = match &pipeline.warehouse {
        // The form that workspaces show for a SQL warehouse, with its query history (seen in public code, not documented).
        Some(Warehouse::Databricks { host, warehouse_id }) if pipeline.is_about_data(subject) => {
            Some(format!("https://{host}/sql/warehouses/{warehouse_id}"))
        }
        _ => None,
    };
    let named = [
        ("Sync in Census".to_owned(), link(pipeline, subject)),
        (format!("Records in {}", pipeline.terms.destination), object.cloned()),
        ("SQL warehouse".to_owned(), warehouse),
        ("Status page".to_owned(), pipeline.status_page_url.clone()),
    ];
    named.into_iter().filter_map(|(name, url)| Some(Link { name, url: url? })).collect()
}

/// The runs of a sync in Census's own pages, as the vendor's Airflow provider links to them.
fn link(pipeline: &Pipeline, subject: &str) -> Option<String> {
    let sync = pipeline.sync(subject)?;
    Some(format!("{}/syncs/{}/history", pipeline.census.base_url, sync.id))
}

/// The contacts: the owner first, then the one to escalate to, then the others.
fn contacts(pipeline: &Pipeline, owner: Option<&Contact>) -> Vec<Contact> {
    let escalation = owner.and_then(|owner| owner.escalate_to.as_deref());
    let rank = |contact: &&Contact| {
        (owner.is_none_or(|owner| owner.name != contact.name), escalation != Some(contact.name.as_str()))
    };
    let mut contacts: Vec<&Contact> = pipeline.contacts.iter().collect();
    contacts.sort_by_key(rank);
    let short = |text: &String| cut(text, FIGURE_CHARS);
    let public = |contact: &Contact| Contact {
        name: short(&contact.name),
        role: short(&contact.role),
        email: contact.email.as_ref().map(short),
        phone: contact.phone.as_ref().map(short),
        ..Contact::default()
    };
    contacts.into_iter().map(public).collect()
}

#[cfg(test)]
pub(crate) mod tests;
