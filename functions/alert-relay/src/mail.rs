//! Renders a notice as mail: the text that SNS mails, and the same parts as HTML.
//!
//! The template escapes every value. Nothing in it is loaded from elsewhere, its styles are inline, as mail clients drop others,
//! and links lead to `https` only.

pub mod ses;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value as Json;
use syncwatch::classify::CLASS_FIGURE;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, as_mail, local};
use syncwatch::pipeline::Pipeline;

use crate::parts::{asks, cause, commands, contacts, figures, first_steps, left_out, links};
use crate::text::{cut, digest, first_of};

const TEMPLATE: &str = include_str!("mail/notice.html");
/// The name by which the template engine knows that the template is HTML, whose values it escapes.
const TEMPLATE_NAME: &str = "notice.html";
/// Own limits, in UTF-16 units.
const TEXT_LIMIT: usize = 1_000;
const COMMAND_LIMIT: usize = 500;
const LINK_LIMIT: usize = 600;
const LINKS: usize = 5;
const FIGURES: usize = 20;

/// A mail without its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// ASCII, one line, 1 to 99 characters.
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    /// 32 hexadecimal digits that all mails of an incident share.
    pub thread: String,
}

/// Renders the mail of a notice.
pub fn render(notice: &Body, pipeline: &Pipeline) -> Mail {
    let thread = digest(&format!("{}@{}", notice.dedup_key, notice.opened_at), 16);
    let notice = &bounded(notice);
    let (subject, text) = as_mail(notice, pipeline);
    let html = html(&View::of(notice, pipeline));
    if let Err(error) = &html {
        tracing::error!(notice = notice.id, %error, "HTML not rendered; the mail has text only");
    }
    Mail { subject, text, html: html.ok(), thread }
}

/// The notice with each text in one line of bounded length, and without links and commands that would not be whole.
fn bounded(notice: &Body) -> Body {
    let mut notice = notice.clone();
    let is_link = |url: &String| {
        url.starts_with("https://")
            && url.len() <= LINK_LIMIT
            && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let is_whole = |command: &String| command.encode_utf16().count() <= COMMAND_LIMIT;
    notice.title = first_of([notice.title.as_str(), &notice.summary, &notice.dedup_key]).to_owned();
    notice.runbook = notice.runbook.filter(is_link);
    notice.links.retain(|link| is_link(&link.url));
    notice.links.truncate(LINKS);
    notice.command = notice.command.filter(is_whole);
    notice.acknowledge = notice.acknowledge.filter(is_whole);
    let mut json = serde_json::json!(notice);
    shorten(&mut json);
    // Texts alone have changed, so it is still a notice.
    serde_json::from_value(json).unwrap_or(notice)
}

fn shorten(json: &mut Json) {
    match json {
        Json::String(text) => *text = cut(text, TEXT_LIMIT),
        Json::Array(items) => items.iter_mut().for_each(shorten),
        Json::Object(members) => members.values_mut().for_each(shorten),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The values of the template.
#[derive(Serialize)]
struct View<'n> {
    title: &'n str,
    /// The color of the severity, and that of text on it; their contrast is at least 4.5.
    background: &'static str,
    ink: &'static str,
    note: Option<&'n str>,
    /// Sentences with their labels.
    facts: Vec<(&'static str, String)>,
    steps: Vec<&'n str>,
    commands: Vec<(&'static str, &'n str)>,
    figures: Vec<(&'n str, String)>,
    left_out: Option<String>,
    links: Vec<(&'n str, &'n str)>,
    contacts: Vec<String>,
    about: String,
}

impl<'n> View<'n> {
    fn of(notice: &'n Body, pipeline: &Pipeline) -> Self {
        let (background, ink) = colors(notice);
        let class = notice.class.iter().map(|class| (CLASS_FIGURE, class.clone()));
        let figures: Vec<_> = class
            .chain(figures(notice).map(|figure| (figure.name.as_str(), figure.text())))
            .map(|(name, value)| (first_of([name]), value))
            .collect();
        let left_out = left_out(figures.len().saturating_sub(FIGURES));
        let acts = asks(notice);
        Self {
            title: &notice.title,
            background,
            ink,
            note: notice.note.as_deref(),
            facts: facts(notice, pipeline),
            steps: if acts { first_steps(notice).collect() } else { Vec::new() },
            commands: if acts { commands(notice).collect() } else { Vec::new() },
            figures: figures.into_iter().take(FIGURES).collect(),
            left_out,
            links: links(notice, LINK_LIMIT).map(|(name, url)| (first_of([name]), url)).collect(),
            contacts: contacts(notice).collect(),
            about: format!(
                "Syncwatch, pipeline {}, check {}, notice {}",
                notice.pipeline, notice.check, notice.id
            ),
        }
    }
}

/// Impact, owner, times and cause.
fn facts(notice: &Body, pipeline: &Pipeline) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(notice.consequence.clone().map(|impact| ("Impact", impact)));
    facts.extend(notice.owner.clone().filter(|_| asks(notice)).map(|owner| ("Owner", owner)));
    let since = local(notice.opened_at, pipeline);
    match notice.resolved_at {
        Some(end) => facts.extend([("From", since), ("To", local(end, pipeline))]),
        None => facts.push(("Since", since)),
    }
    facts.extend(notice.next_attempt.clone().map(|next| ("Next run", next)));
    facts.extend(cause(notice).map(|(label, cause)| (label, cause.to_owned())));
    facts
}

/// The color of a severity, and that of text on it. Green once it is resolved.
fn colors(notice: &Body) -> (&'static str, &'static str) {
    match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => ("#1a7f4b", "#ffffff"),
        (NoticeKind::Acknowledged, _) | (_, Severity::Info) => ("#5b6270", "#ffffff"),
        (_, Severity::Critical) => ("#b00020", "#ffffff"),
        (_, Severity::Error) => ("#c2410c", "#ffffff"),
        (_, Severity::Warning) => ("#f2c744", "#1f1f1f"),
    }
}

fn html(view: &View<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template(TEMPLATE_NAME, TEMPLATE)?;
    environment.get_template(TEMPLATE_NAME)?.render(Serde(view))
}

#[cfg(test)]
mod tests;
