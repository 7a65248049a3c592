//! One message about an incident, in a body for each kind of reader.
//!
//! [`render`] is pure. SNS carries one Subject and one body for each protocol: mail gets text that reads well at
//! 3 AM, machines (`sqs`, `lambda`, `http`, `https`) get JSON whose shape is versioned by its `schema` member.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::{Figure, Severity};
use crate::incident::{Incident, NoticeKind};
use crate::pipeline::{ApiVersion, Pipeline};
use crate::schedule::{minute_utc, words};

/// The version of the JSON body's shape. A change that breaks readers raises the number.
pub const SCHEMA: &str = "syncwatch.notice/1";

/// SNS takes a Subject of less than 100 characters (AWS SNS API reference, `Publish`).
const SUBJECT_CHARS: usize = 99;
const WIDTH: usize = 76;

/// A message as SNS takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ASCII, one line, less than 100 characters.
    pub subject: String,
    /// Protocol to body; `default` is always there.
    pub bodies: BTreeMap<&'static str, String>,
    /// Message attributes, for filter policies.
    pub attributes: BTreeMap<&'static str, String>,
}

/// The body for machines.
#[derive(Debug, Serialize)]
struct Body<'a> {
    schema: &'static str,
    kind: NoticeKind,
    /// The same for every notice of an incident: trigger, update and resolve with it.
    dedup_key: String,
    /// Tells a second incident of the same key from the first.
    generation: u64,
    pipeline: &'a str,
    check: &'static str,
    subject: &'a str,
    severity: Severity,
    title: String,
    summary: &'a str,
    figures: &'a [Figure],
    cause: &'a str,
    opened_at: Timestamp,
    resolved_at: Option<Timestamp>,
    open_for_seconds: i64,
    runbook: Option<String>,
    command: String,
}

/// Renders the notice of an incident.
pub fn render(incident: &Incident, kind: NoticeKind, pipeline: &Pipeline, now: Timestamp) -> Message {
    let title = title(incident, kind, now);
    let json = machine_body(incident, kind, pipeline, now, &title);
    let text = mail_body(incident, kind, pipeline, now, &title);
    let mut bodies = BTreeMap::from([("default", title.clone()), ("email", text)]);
    for protocol in ["email-json", "http", "https", "lambda", "sqs"] {
        bodies.insert(protocol, json.clone());
    }
    let attributes = BTreeMap::from([
        ("severity", incident.severity.to_string()),
        ("kind", kind.to_string()),
        ("check", incident.key.check.to_string()),
        ("sync", incident.key.subject.clone()),
        ("pipeline", incident.key.pipeline.clone()),
    ]);
    Message { subject: subject(&title), bodies, attributes }
}

fn title(incident: &Incident, kind: NoticeKind, now: Timestamp) -> String {
    let subject = &incident.key.subject;
    let what = incident.key.check.title();
    match kind {
        NoticeKind::Opened => {
            format!("[{}] {subject}: {what}: {}", incident.severity, incident.evidence.summary)
        }
        NoticeKind::Worsened => {
            format!("[{}, worse] {subject}: {what}: {}", incident.severity, incident.evidence.summary)
        }
        NoticeKind::Resolved => {
            format!("[resolved] {subject}: {what}: over after {}", words(incident.open_for(now)))
        }
    }
}

/// The title as a Subject: ASCII, one line, cut at a word where it is too long.
fn subject(title: &str) -> String {
    let ascii: String =
        title.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if ascii.len() <= SUBJECT_CHARS {
        return ascii;
    }
    let room = ascii.get(..SUBJECT_CHARS - 3).unwrap_or(&ascii);
    let end = room.rfind(' ').filter(|end| *end > SUBJECT_CHARS / 2).unwrap_or(room.len());
    format!("{}...", room.get(..end).unwrap_or(room).trim_end_matches([',', ':', ' ']))
}

fn machine_body(
    incident: &Incident,
    kind: NoticeKind,
    pipeline: &Pipeline,
    now: Timestamp,
    title: &str,
) -> String {
    let body = Body {
        schema: SCHEMA,
        kind,
        dedup_key: incident.key.to_string(),
        generation: incident.generation,
        pipeline: &incident.key.pipeline,
        check: incident.key.check.id(),
        subject: &incident.key.subject,
        severity: incident.severity,
        title: title.to_owned(),
        summary: &incident.evidence.summary,
        figures: &incident.evidence.figures,
        cause: &incident.cause,
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        open_for_seconds: incident.open_for(now).as_secs(),
        runbook: runbook(incident, pipeline),
        command: command(incident, pipeline),
    };
    // A struct of strings and numbers has no way to fail; the title alone would still tell the essential.
    serde_json::to_string(&body).unwrap_or_else(|_| title.to_owned())
}

fn runbook(incident: &Incident, pipeline: &Pipeline) -> Option<String> {
    pipeline.runbook_url.as_ref().map(|url| format!("{url}#{}", incident.key.check.runbook_anchor()))
}

/// A command that only reads, so that it is safe to copy at 3 AM.
fn command(incident: &Incident, pipeline: &Pipeline) -> String {
    let version = match pipeline.census.api_version {
        ApiVersion::V1 => "v1",
        ApiVersion::V2 => "v2",
    };
    let declared = pipeline.syncs.iter().find(|sync| sync.key == incident.key.subject);
    let path = declared
        .map_or("syncs?per_page=5".to_owned(), |sync| format!("syncs/{}/sync_runs?per_page=5", sync.id));
    format!(
        "curl -sS -H \"Authorization: Bearer $CENSUS_TOKEN\" '{}/api/{version}/{path}'",
        pipeline.census.base_url
    )
}

fn mail_body(
    incident: &Incident,
    kind: NoticeKind,
    pipeline: &Pipeline,
    now: Timestamp,
    title: &str,
) -> String {
    let local = |instant: Timestamp| {
        let zoned = instant.to_zoned(pipeline.time_zone.clone());
        format!("{} ({})", zoned.strftime("%a %Y-%m-%d %H:%M %Z"), minute_utc(instant))
    };
    let mut text = String::new();
    let mut section = |name: &str, lines: &[String]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{name}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    };
    section("WHAT", &wrap(title));
    match kind {
        NoticeKind::Opened | NoticeKind::Worsened => {
            section(
                "SINCE",
                &[format!("{}, {} ago", local(incident.opened_at), words(incident.open_for(now)))],
            );
        }
        NoticeKind::Resolved => {
            section("FROM, TO", &[local(incident.opened_at), local(incident.resolved_at.unwrap_or(now))]);
        }
    }
    let widest =
        incident.evidence.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let mut figures = wrap(&incident.evidence.summary);
    figures.extend(
        incident.evidence.figures.iter().map(|figure| format!("{:widest$}  {}", figure.name, figure.value)),
    );
    section("EVIDENCE", &figures);
    if kind == NoticeKind::Resolved {
        section("WHAT TO DO", &["Nothing: the check is healthy again.".to_owned()]);
    } else {
        section("LIKELY CAUSE", &wrap(&incident.cause));
        let mut steps = Vec::new();
        if let Some(url) = runbook(incident, pipeline) {
            steps.push(format!("Runbook: {url}"));
        }
        steps.push("Look (this command only reads):".to_owned());
        steps.push(format!("  {}", command(incident, pipeline)));
        section("WHAT TO DO", &steps);
        let contacts: Vec<String> = pipeline
            .contacts
            .iter()
            .map(|contact| {
                let reach =
                    [&contact.email, &contact.phone].into_iter().flatten().cloned().collect::<Vec<_>>();
                format!("{}, {}: {}", contact.name, contact.role, reach.join(", "))
            })
            .collect();
        if !contacts.is_empty() {
            section("WHOM TO ASK", &contacts);
        }
    }
    let _ = writeln!(text, "\n-- \nSyncwatch, incident {}, number {}", incident.key, incident.generation);
    text.trim_start().to_owned()
}

/// Breaks text into lines at words.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Check, Evidence};
    use crate::incident::{IncidentKey, State};

    fn pipeline() -> Pipeline {
        Pipeline::parse(include_str!("../../infra/pipeline.toml")).unwrap()
    }

    fn incident() -> Incident {
        Incident {
            key: IncidentKey {
                pipeline: "properties".to_owned(),
                check: Check::ErrorRate,
                subject: "properties-create".to_owned(),
            },
            generation: 2,
            version: 7,
            state: State::Open,
            severity: Severity::Error,
            opened_at: "2026-11-24T11:12:30Z".parse().unwrap(),
            resolved_at: None,
            evidence: Evidence::new("12.0 % of 50 records failed or were invalid, limit 5 %")
                .with("newest run", 4_711)
                .with("failed or invalid", 6)
                .with("processed", 50),
            cause: "The destination refuses records (a validation rule, a missing field, a duplicate) or the source \
                    sends bad ones; the rejected records of the run name the reason"
                .to_owned(),
            pending: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-24T11:30:00Z".parse().unwrap()
    }

    fn resolved() -> Incident {
        Incident {
            state: State::Resolved,
            resolved_at: Some(now()),
            evidence: Evidence::new("0.0 % of 48 records failed or were invalid, limit 5 %"),
            ..incident()
        }
    }

    #[test]
    fn mail_reads_well() {
        let opened = render(&incident(), NoticeKind::Opened, &pipeline(), now());
        let ended = render(&resolved(), NoticeKind::Resolved, &pipeline(), now());
        insta::assert_snapshot!(format!(
            "Subject: {}\n\n{}\n\n\n\nSubject: {}\n\n{}",
            opened.subject, opened.bodies["email"], ended.subject, ended.bodies["email"]
        ));
    }

    #[test]
    fn machines_get_the_documented_shape() {
        let message = render(&incident(), NoticeKind::Worsened, &pipeline(), now());
        let body: serde_json::Value = serde_json::from_str(&message.bodies["sqs"]).unwrap();
        insta::assert_json_snapshot!(body);
        assert_eq!(message.bodies["https"], message.bodies["sqs"]);
    }

    #[test]
    fn attributes_route_by_severity_sync_and_check() {
        let message = render(&incident(), NoticeKind::Opened, &pipeline(), now());
        let said: Vec<String> =
            message.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            said,
            [
                "check=error-rate",
                "kind=opened",
                "pipeline=properties",
                "severity=error",
                "sync=properties-create"
            ]
        );
    }

    #[test]
    fn the_command_in_a_notice_only_reads_and_holds_no_token() {
        let message = render(&incident(), NoticeKind::Opened, &pipeline(), now());
        let body: serde_json::Value = serde_json::from_str(&message.bodies["sqs"]).unwrap();
        assert_eq!(
            body["command"],
            "curl -sS -H \"Authorization: Bearer $CENSUS_TOKEN\" 'https://app.getcensus.com/api/v1/syncs/3394022/sync_runs?per_page=5'"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_evidence_makes_a_subject_that_sns_takes(summary in "\\PC{0,300}", subject in "[a-z-]{1,64}") {
            let mut incident = incident();
            incident.evidence.summary = summary;
            incident.key.subject = subject;
            for kind in [NoticeKind::Opened, NoticeKind::Worsened, NoticeKind::Resolved] {
                let message = render(&incident, kind, &pipeline(), now());
                proptest::prop_assert!(message.subject.len() < 100);
                proptest::prop_assert!(message.subject.chars().all(|c| c.is_ascii_graphic() || c == ' '));
                proptest::prop_assert!(message.bodies.contains_key("default"));
                let body: serde_json::Value = serde_json::from_str(&message.bodies["sqs"]).unwrap();
                proptest::prop_assert_eq!(&body["schema"], SCHEMA);
            }
        }
    }
}
