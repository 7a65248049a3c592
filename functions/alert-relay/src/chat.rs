//! A notice as a message for a chat: Slack's incoming webhooks, and others that take the same JSON.
//!
//! Limits: Slack's reference of blocks (docs.slack.dev): header 150, section 3,000, 10 fields of 2,000, 10 elements of a
//! context, 50 blocks.

pub mod client;

use serde::Serialize;
use syncwatch::classify::CLASS_FIGURE;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;

use crate::pagerduty::is_link;
use crate::text::{cut, cut_mrkdwn, first_of};

const HEADER_LIMIT: usize = 150;
const SECTION_LIMIT: usize = 3_000;
const FIELDS: usize = 10;
/// Fields may have 2,000; beyond these lengths they are not read.
const FIELD_NAME_LIMIT: usize = 100;
const FIELD_VALUE_LIMIT: usize = 400;
const SENTENCE_LIMIT: usize = 1_200;
const COMMAND_LIMIT: usize = 1_500;
const CONTEXT_LIMIT: usize = 300;
const CONTACTS: usize = 4;
const LINK_LIMIT: usize = 600;

/// A message as the webhook takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What a notification on a telephone shows.
    pub text: String,
    pub blocks: Vec<Block>,
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
    /// With Slack's marks; `&`, `<` and `>` of ours are entities.
    #[serde(rename = "mrkdwn")]
    Marked { text: String },
}

impl Block {
    fn paragraph(text: String) -> Self {
        Self::Section { text: Some(Text::Marked { text }), fields: Vec::new() }
    }
}

/// Renders the message of a notice.
pub fn render(notice: &Body) -> Message {
    let title = first_of([notice.title.as_str(), &notice.summary, &notice.dedup_key]);
    if notice.kind == NoticeKind::Acknowledged {
        // One line: who reads the chat has the rest, and needs to know only that the incident is acknowledged.
        let line = cut_mrkdwn(title, SECTION_LIMIT);
        return Message { text: line.clone(), blocks: vec![Block::paragraph(line)] };
    }
    let mut blocks = vec![
        Block::Header { text: Text::Plain { text: cut(title, HEADER_LIMIT) } },
        Block::paragraph(finding(notice)),
    ];
    let (fields, left_out) = fields(notice);
    blocks.push(Block::Section { text: None, fields });
    blocks.extend(steps(notice).map(Block::paragraph));
    blocks.push(Block::Context { elements: small_print(notice, left_out) });
    Message { text: cut_mrkdwn(title, SECTION_LIMIT), blocks }
}

fn finding(notice: &Body) -> String {
    let summary = first_of([notice.summary.as_str(), &notice.title, &notice.dedup_key]);
    let mut text = cut_mrkdwn(summary, SENTENCE_LIMIT);
    let over = notice.kind == NoticeKind::Resolved;
    if !over && !notice.cause.trim().is_empty() {
        let label = if notice.kind == NoticeKind::HeldBack || notice.test { "Why" } else { "Likely cause" };
        text.push_str(&format!("\n*{label}:* {}", cut_mrkdwn(&notice.cause, SENTENCE_LIMIT)));
    }
    text
}

/// As many figures as there is room for, and how many there was none for.
fn fields(notice: &Body) -> (Vec<Text>, usize) {
    let mut cells = vec![("since".to_owned(), notice.opened_at.to_string())];
    if let Some(at) = notice.resolved_at {
        cells.push(("until".to_owned(), at.to_string()));
    }
    if let Some(class) = &notice.class {
        cells.push((CLASS_FIGURE.to_owned(), class.clone()));
    }
    // Evidence names the class among its figures too, for mail.
    let figures =
        notice.figures.iter().filter(|figure| notice.class.is_none() || figure.name != CLASS_FIGURE);
    cells.extend(figures.map(|figure| (figure.name.clone(), figure.text())));
    let left_out = cells.len().saturating_sub(FIELDS);
    let fields = cells.into_iter().take(FIELDS).map(|(name, value)| Text::Marked {
        text: format!(
            "*{}*\n{}",
            cut_mrkdwn(first_of([name.as_str()]), FIELD_NAME_LIMIT),
            cut_mrkdwn(first_of([value.as_str()]), FIELD_VALUE_LIMIT)
        ),
    });
    (fields.collect(), left_out)
}

/// What to do next: where to read on, and a command to copy.
fn steps(notice: &Body) -> Option<String> {
    let links = [(&notice.runbook, "Runbook"), (&notice.link, "Census")];
    let links = links.into_iter().filter_map(|(href, text)| link(href.as_deref()?, text));
    let mut lines = vec![links.collect::<Vec<_>>().join("  |  ")];
    lines.extend(notice.command.as_deref().map(code));
    lines.retain(|line| !line.is_empty());
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A link that can be followed: an address that was cut leads nowhere.
fn link(href: &str, text: &str) -> Option<String> {
    // A `|` would end the address within `<...|...>`.
    let escaped = cut_mrkdwn(&href.replace('|', "%7C"), usize::MAX);
    (is_link(href, LINK_LIMIT) && escaped.len() <= LINK_LIMIT).then(|| format!("<{escaped}|{text}>"))
}

/// A command as code. Half a command is worse than none, and one with backticks cannot be shown as code.
fn code(command: &str) -> String {
    let escaped = cut_mrkdwn(command, usize::MAX);
    if command.trim().is_empty() || escaped.len() > COMMAND_LIMIT || command.contains('`') {
        return String::new();
    }
    format!("```{escaped}```")
}

fn small_print(notice: &Body, left_out: usize) -> Vec<Text> {
    let Body { pipeline, check, id, .. } = notice;
    let mut lines = Vec::new();
    if left_out > 0 {
        lines.push(format!("{left_out} more {}", if left_out == 1 { "figure" } else { "figures" }));
    }
    if notice.kind != NoticeKind::Resolved && !notice.test {
        for contact in notice.contacts.iter().take(CONTACTS) {
            let ways = [&contact.email, &contact.phone].into_iter().flatten();
            let ways: String = ways.map(|way| format!(", {way}")).collect();
            lines.push(format!("{}: {}{ways}", contact.role, contact.name));
        }
    }
    lines.push(format!("Syncwatch, pipeline {pipeline}, check {check}, notice {id}"));
    lines.into_iter().map(|line| Text::Marked { text: cut_mrkdwn(&line, CONTEXT_LIMIT) }).collect()
}

#[cfg(test)]
mod tests;
