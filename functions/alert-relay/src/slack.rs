//! Renders a notice for Slack's incoming webhooks, and for other chats that take the same JSON.
//!
//! Problem, owner, impact and start come first. The rest is in an attachment, which has the color of the severity and which
//! Slack folds ("Show more"). Limits: Slack's reference of blocks (docs.slack.dev): header 150, section 3,000, 10 fields of
//! 2,000, 10 elements of a context, 50 blocks. Dates: `<!date^unix^format|fallback>`, in each reader's zone.
//!
//! `verbatim` keeps Slack from making links and mentions of plain words, so only marks of ours have an effect.

use jiff::Timestamp;
use serde::Serialize;
use syncwatch::classify::CLASS_FIGURE;
use syncwatch::figure::Value;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;
use syncwatch::text::minute_utc;

use crate::parts::{asks, cause, commands, contacts, figures, left_out, links, steps};
use crate::text::{cut, cut_mrkdwn, escaped, first_of};

const HEADER_LIMIT: usize = 150;
/// The longest text of a notification.
const TEXT_LIMIT: usize = 3_000;
const FIELDS: usize = 10;
/// Own limits, so that each section is within 3,000.
const FIELD_NAME_LIMIT: usize = 100;
const FIELD_VALUE_LIMIT: usize = 400;
const SENTENCE_LIMIT: usize = 800;
const PHRASE_LIMIT: usize = 150;
const STEP_LIMIT: usize = 300;
const COMMAND_LIMIT: usize = 500;
const LINKS: usize = 5;
const LINK_LIMIT: usize = 500;
const LINK_NAME_LIMIT: usize = 75;
const CONTEXT_LIMIT: usize = 300;

/// A message as the webhook takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The text of a notification on a phone.
    pub text: String,
    pub blocks: Vec<Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Block {
    Header {
        text: Text,
    },
    /// A paragraph, or a table of two columns.
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    /// Small print.
    Context {
        elements: Vec<Text>,
    },
}

/// A text of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Text {
    #[serde(rename = "plain_text")]
    Plain { text: String },
    /// With Slack's marks, in which `&`, `<` and `>` are entities.
    #[serde(rename = "mrkdwn")]
    Marked { text: String, verbatim: bool },
}

impl Text {
    fn marked(text: String) -> Self {
        Self::Marked { text, verbatim: true }
    }
}

/// Blocks beside a bar of a color.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// As `#rrggbb`.
    pub color: &'static str,
    pub blocks: Vec<Block>,
}

impl Block {
    fn paragraph(text: String) -> Self {
        Self::Section { text: Some(Text::marked(text)), fields: Vec::new() }
    }
}

/// Renders the message of a notice. `mention` is the id of the Slack user or user group who owns its subject.
pub fn render(notice: &Body, mention: Option<&str>) -> Message {
    let title = first_of([notice.title.as_str(), &notice.summary, &notice.dedup_key]);
    let text = cut_mrkdwn(title, TEXT_LIMIT);
    if notice.kind == NoticeKind::Acknowledged {
        // One line: the chat has the details already.
        return Message { text: text.clone(), blocks: vec![Block::paragraph(text)], attachments: Vec::new() };
    }
    let header = cut(title, HEADER_LIMIT);
    let mut lead = lead(notice, mention);
    if header.ends_with("...") {
        lead.insert(0, cut_mrkdwn(first_of([notice.summary.as_str(), title]), SENTENCE_LIMIT));
    }
    let blocks =
        vec![Block::Header { text: Text::Plain { text: header } }, Block::paragraph(lead.join("\n"))];
    Message { text, blocks, attachments: vec![Attachment { color: color(notice), blocks: details(notice) }] }
}

/// The color of a severity; green once it is resolved.
fn color(notice: &Body) -> &'static str {
    match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "#2eb67d",
        (_, Severity::Critical) => "#b00020",
        (_, Severity::Error) => "#e8590c",
        (_, Severity::Warning) => "#f2c744",
        (_, Severity::Info) => "#6b7280",
    }
}

/// The lines that every reader needs: state, impact, owner, times.
fn lead(notice: &Body, mention: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(notice.note.as_deref().map(|note| cut_mrkdwn(note, SENTENCE_LIMIT)));
    let impact = notice.consequence.as_deref();
    lines.extend(impact.map(|impact| format!("*Impact:* {}", cut_mrkdwn(impact, SENTENCE_LIMIT))));
    if asks(notice) {
        let owner = notice.owner.as_deref().map(|owner| cut_mrkdwn(owner, PHRASE_LIMIT));
        let mention = mention
            .map(|id| if id.starts_with('S') { format!("<!subteam^{id}>") } else { format!("<@{id}>") });
        let owner: Vec<String> = owner.into_iter().chain(mention).collect();
        lines.extend((!owner.is_empty()).then(|| format!("*Owner:* {}", owner.join(" "))));
    }
    lines.push(match notice.resolved_at {
        Some(end) => format!("*From* {} *to* {}", date(notice.opened_at), date(end)),
        None => {
            let next = notice.next_attempt.as_deref().map(|next| cut_mrkdwn(next, PHRASE_LIMIT));
            let next = next.map_or(String::new(), |next| format!("   *Next run:* {next}"));
            format!("*Since:* {}{next}", date(notice.opened_at))
        }
    });
    lines
}

/// An instant in each reader's own zone.
fn date(instant: Timestamp) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time}}|{}>", instant.as_second(), minute_utc(instant))
}

/// Cause, steps, figures, links and small print.
fn details(notice: &Body) -> Vec<Block> {
    let mut blocks = Vec::new();
    let cause =
        cause(notice).map(|(label, cause)| format!("*{label}:* {}", cut_mrkdwn(cause, SENTENCE_LIMIT)));
    blocks.extend(cause.map(Block::paragraph));
    blocks.extend(to_do(notice).map(Block::paragraph));
    let (fields, more) = fields(notice);
    if notice.kind == NoticeKind::Report {
        // Its lines are sentences, too long for two columns.
        let line = |text| Block::Section { text: Some(text), fields: Vec::new() };
        blocks.extend(fields.into_iter().map(line));
    } else if !fields.is_empty() {
        blocks.push(Block::Section { text: None, fields });
    }
    blocks.extend(pages(notice).map(Block::paragraph));
    let about =
        format!("Syncwatch, pipeline {}, check {}, notice {}", notice.pipeline, notice.check, notice.id);
    let small_print = left_out(more).into_iter().chain(contacts(notice)).chain([about]);
    let elements = small_print.map(|line| Text::marked(cut_mrkdwn(&line, CONTEXT_LIMIT))).collect();
    blocks.push(Block::Context { elements });
    blocks
}

/// The first steps, and the commands to copy.
fn to_do(notice: &Body) -> Option<String> {
    let steps = steps(notice).map(|step| cut_mrkdwn(&step, STEP_LIMIT));
    let commands =
        commands(notice).filter_map(|(label, command)| Some(format!("{label}: {}", code(command)?)));
    let lines: Vec<String> = steps.chain(commands).collect();
    (!lines.is_empty()).then(|| format!("*What to do*\n{}", lines.join("\n")))
}

/// A command as code. Half a command is worse than none, and a command with a backtick cannot be shown as code.
fn code(command: &str) -> Option<String> {
    let escaped = escaped(command);
    let fits = escaped.len() <= COMMAND_LIMIT && !escaped.trim().is_empty() && !escaped.contains('`');
    fits.then(|| format!("`{escaped}`"))
}

/// As many figures as a section has room for, and the count of the others.
fn fields(notice: &Body) -> (Vec<Text>, usize) {
    let value = |text: &str| cut_mrkdwn(first_of([text]), FIELD_VALUE_LIMIT);
    let class = notice.class.iter().map(|class| (CLASS_FIGURE, value(class)));
    let figures = figures(notice).map(|figure| {
        let value = match &figure.value {
            Value::Instant(instant) => date(*instant),
            _ => value(&figure.text()),
        };
        (figure.name.as_str(), value)
    });
    let cells: Vec<_> = class.chain(figures).collect();
    let more = cells.len().saturating_sub(FIELDS);
    let field = |(name, value): (&str, String)| {
        Text::marked(format!("*{}*\n{value}", cut_mrkdwn(first_of([name]), FIELD_NAME_LIMIT)))
    };
    (cells.into_iter().take(FIELDS).map(field).collect(), more)
}

/// The pages to open. A `|` would end the address within `<...|...>`.
fn pages(notice: &Body) -> Option<String> {
    let pages = links(notice, LINK_LIMIT).filter_map(|(name, url)| {
        let url = escaped(&url.replace('|', "%7C"));
        let name = cut_mrkdwn(first_of([name]), LINK_NAME_LIMIT).replace('|', "/");
        (url.len() <= LINK_LIMIT).then(|| format!("<{url}|{name}>"))
    });
    let pages: Vec<String> = pages.take(LINKS).collect();
    (!pages.is_empty()).then(|| pages.join("  |  "))
}

#[cfg(test)]
mod tests;
