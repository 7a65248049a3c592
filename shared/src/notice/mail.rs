//! A notice as mail: for a tired person at 3 AM, in plain text, as SNS delivers it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::Body;
use crate::incident::NoticeKind;
use crate::pipeline::{Contact, Pipeline};
use crate::text::{minute_utc, words};

const WIDTH: usize = 76;

/// The text: what, since when, figures, likely cause, what to do, whom to ask.
pub(super) fn text(body: &Body, pipeline: &Pipeline, now: Timestamp) -> String {
    let local = |instant: Timestamp| {
        let zoned = instant.to_zoned(pipeline.time_zone.clone());
        format!("{} ({})", zoned.strftime("%a %Y-%m-%d %H:%M %Z"), minute_utc(instant))
    };
    let mut mail = Mail::default();
    mail.section("WHAT", wrap(&body.title));
    let open_for = words(SignedDuration::from_secs(body.open_for_seconds));
    match (body.kind, body.resolved_at) {
        (NoticeKind::Resolved | NoticeKind::HeldBack, end) => {
            mail.section("FROM, TO", vec![local(body.opened_at), local(end.unwrap_or(now))]);
        }
        _ => mail.section("SINCE", vec![format!("{}, {open_for} ago", local(body.opened_at))]),
    }
    mail.section("EVIDENCE", evidence(body));
    match body.kind {
        NoticeKind::Resolved => mail.section("WHAT TO DO", vec!["Nothing: it is over.".to_owned()]),
        NoticeKind::HeldBack => {
            mail.section("WHAT THIS MEANS", wrap(&body.cause));
            mail.section("WHAT TO DO", runbook(body));
        }
        NoticeKind::Acknowledged => {
            mail.section(
                "WHAT THIS MEANS",
                wrap("Reminders are paused until then. A worse severity still alerts."),
            );
        }
        NoticeKind::StoppedReporting => {
            mail.section("WHAT THIS MEANS", wrap("It is not resolved, and nobody can say whether it still is. It stays open until it is judged again."));
            mail.section("WHAT TO DO", steps(body));
            mail.section("WHOM TO ASK", contacts(body));
        }
        NoticeKind::Opened | NoticeKind::Flapping | NoticeKind::Worsened | NoticeKind::Reminder => {
            mail.section("LIKELY CAUSE", wrap(&body.cause));
            mail.section("WHAT TO DO", steps(body));
            mail.section("WHOM TO ASK", contacts(body));
        }
    }
    if body.kind == NoticeKind::Flapping {
        mail.section("NOTE", wrap("It comes and goes, so you hear of it once: it is called over only after it has kept quiet for a while."));
    }
    mail.sign(body)
}

#[derive(Default)]
struct Mail(String);

impl Mail {
    fn section(&mut self, name: &str, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "\n{name}");
        for line in lines {
            let _ = writeln!(self.0, "  {line}");
        }
    }

    fn sign(mut self, body: &Body) -> String {
        let what = if body.kind == NoticeKind::HeldBack { "silence" } else { "incident" };
        let _ = writeln!(
            self.0,
            "\n-- \nSyncwatch, {what} {}, number {}, notice {}",
            body.dedup_key, body.generation, body.sequence
        );
        self.0.trim_start().to_owned()
    }
}

fn evidence(body: &Body) -> Vec<String> {
    let widest = body.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let mut lines = wrap(&body.summary);
    lines.extend(body.figures.iter().map(|figure| format!("{:widest$}  {}", figure.name, figure.text())));
    lines
}

fn runbook(body: &Body) -> Vec<String> {
    body.runbook.iter().map(|url| format!("Runbook: {url}")).collect()
}

fn steps(body: &Body) -> Vec<String> {
    let mut steps = runbook(body);
    steps.extend(body.link.iter().map(|link| format!("In Census: {link}")));
    if let Some(command) = &body.command {
        steps.push("Look (this command only reads):".to_owned());
        steps.push(format!("  {command}"));
    }
    steps
}

fn contacts(body: &Body) -> Vec<String> {
    let line = |contact: &Contact| format!("{}, {}: {}", contact.name, contact.role, contact.reach());
    body.contacts.iter().map(line).collect()
}

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
