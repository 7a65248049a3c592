//! Notices about remedies: healed by itself, approval needed, given up.

use jiff::Timestamp;

use super::{Body, Message, SENTENCE_CHARS, blank, contacts, cut, links, local, message, runbook};
use crate::figure::Figure;
use crate::finding::Severity;
use crate::incident::NoticeKind;
use crate::pipeline::Pipeline;
use crate::remedy::{ASKED_FOR, Announcement, Record, State, command, limits};
use crate::text::counted;

/// Renders the notice of a remedy.
pub fn render_remedy(
    record: &Record,
    announcement: Announcement,
    pipeline: &Pipeline,
    now: Timestamp,
) -> Message {
    let plan = &record.plan;
    let key = format!("{}/remedy/{}", pipeline.name, record.id);
    let (sequence, severity) = match announcement {
        Announcement::Asked => (1, Severity::Warning),
        Announcement::GaveUp => (2, Severity::Warning),
        Announcement::Healed => (2, Severity::Info),
    };
    let figures = [
        ("act", plan.act()),
        ("effect", plan.effect.clone()),
        ("cost", plan.cost.clone()),
        ("undo", plan.undo.clone()),
    ];
    let gates =
        record.failing.iter().map(|failing| Figure::new(&failing.gate.to_string(), failing.why.as_str()));
    let figures = figures.into_iter().filter(|(_, text)| !text.is_empty());
    let figures = figures.map(|(name, text)| Figure::new(name, text)).chain(gates).collect();
    let subject = plan.target.name().to_owned();
    let sentence = sentence(record, announcement, pipeline);
    let summary = cut(&sentence, SENTENCE_CHARS);
    let owner = pipeline.owner_of(plan.incident.check, &plan.incident.subject);
    let body = Body {
        id: format!("{key}#1.{sequence}"),
        kind: NoticeKind::Note,
        dedup_key: key,
        sequence,
        check: "remedy".to_owned(),
        title: cut(
            &format!("[{}] {subject}: {summary}", severity.to_string().to_uppercase()),
            SENTENCE_CHARS,
        ),
        subject,
        severity,
        summary,
        figures,
        cause: format!("the incident is {}", plan.incident),
        opened_at: record.proposed_at(),
        open_for_seconds: now.duration_since(record.proposed_at()).as_secs(),
        runbook: runbook(pipeline, "remedies"),
        owner: owner.map(|owner| owner.name.clone()),
        contacts: contacts(pipeline, owner),
        links: links(pipeline, plan.target.name()),
        ..blank(pipeline)
    };
    message(&body, pipeline)
}

fn sentence(record: &Record, announcement: Announcement, pipeline: &Pipeline) -> String {
    let (act, why) = (record.plan.act(), &record.plan.why);
    let last = record.steps.last().map_or("", |step| step.why.as_str());
    match announcement {
        Announcement::Asked => {
            let until = record.since().saturating_add(ASKED_FOR).unwrap_or(Timestamp::MAX);
            let needed = counted(record.plan.approvals.max(1), "approval");
            let (approve, until) = (command(record, "approve"), local(until, pipeline));
            format!(
                "{needed} needed to {act} ({why}). Run `{approve}` before {until}; after that it is not done"
            )
        }
        Announcement::Healed => {
            let acted = record.acted_at.map_or(String::new(), |at| format!(" at {}", local(at, pipeline)));
            format!("healed by itself ({why}): {act}{acted}; {last}. Nothing to do")
        }
        Announcement::GaveUp => {
            format!("not healed ({why}): {act}; {last}. It is not tried again; a person must act")
        }
    }
}

/// Returns a remedy in one line, for lists.
pub fn in_words(record: &Record, pipeline: &Pipeline) -> String {
    let last = record.steps.last().map_or("", |step| step.why.as_str());
    let tries = match limits(record.plan.kind).per_day {
        usize::MAX => String::new(),
        most => format!(", at most {} in 24 hours", counted(most, "act")),
    };
    let gates: Vec<String> = match record.state {
        State::Held | State::Proposed | State::Advised => {
            record.failing.iter().map(|failing| format!("{}: {}", failing.gate, failing.why)).collect()
        }
        _ => Vec::new(),
    };
    let gates = if gates.is_empty() { String::new() } else { format!(" [{}]", gates.join("; ")) };
    let (id, state, act) = (&record.id, record.state, record.plan.act());
    format!("{id}  {state}  {act}: {last}{gates} ({}{tries})", local(record.since(), pipeline))
}
