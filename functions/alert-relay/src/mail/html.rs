//! The HTML of a mail.
//!
//! Markup is part of this program, and each other text is escaped: [`Html`] takes markup as `&'static str` only. Nothing is loaded
//! from elsewhere. Styles are inline, as mail clients drop others, and no text has a color without a background, for light and
//! dark modes. A template engine would make the function's zip a tenth larger (minijinja: 326 kB).

use syncwatch::classify::CLASS_FIGURE;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::{Body, local};
use syncwatch::pipeline::Pipeline;

use super::LINK_LIMIT;
use crate::parts::{asks, cause, commands, contacts, figures, first_steps, left_out, links};
use crate::text::first_of;

const FIGURES: usize = 20;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>"#;
const BODY: &str = r#"</title>
</head>
<body style="margin: 0; padding: 16px; font: 16px/1.5 sans-serif; overflow-wrap: anywhere">
<div style="max-width: 640px; margin: 0 auto">
<h1 style="margin: 0 0 16px; padding: 12px 16px; font-size: 18px; line-height: 1.35; background: "#;
const PARAGRAPH: &str = r#"<p style="margin: 0 0 8px">"#;
const HEADING: &str = r#"<h2 style="margin: 16px 0 8px; font-size: 16px">"#;
const CODE: &str = r#":<br><code style="font: 14px/1.4 monospace">"#;
const TABLE: &str = r#"<table style="width: 100%; border-collapse: collapse">
<tr><th scope="col" style="padding: 4px 12px 4px 0; text-align: left">Figure</th><th scope="col" style="padding: 4px 0; text-align: left">Value</th></tr>
"#;
const NAME: &str =
    r#"<tr><td style="padding: 4px 12px 4px 0; vertical-align: top; border-top: 1px solid #888888">"#;
const VALUE: &str = r#"</td><td style="padding: 4px 0; vertical-align: top; border-top: 1px solid #888888">"#;
const SMALL_PRINT: &str = r#"<p style="margin: 16px 0 0; font-size: 13px">"#;

/// Writes HTML.
#[derive(Default)]
struct Html(String);

impl Html {
    fn mark(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Writes a text between tags, or as an attribute in double quotes.
    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#x27;"),
                _ => self.0.push(c),
            }
        }
        self
    }

    fn paragraph(&mut self, text: &str) {
        self.mark(PARAGRAPH).text(text).mark("</p>\n");
    }

    fn heading(&mut self, words: &'static str) {
        self.mark(HEADING).mark(words).mark("</h2>\n");
    }
}

/// Renders a notice whose texts are bounded.
pub(super) fn page(notice: &Body, pipeline: &Pipeline) -> String {
    let (background, ink) = colors(notice);
    let mut html = Html::default();
    html.mark(HEAD).text(&notice.title).mark(BODY).mark(background).mark("; color: ").mark(ink).mark("\">");
    html.text(&notice.title).mark("</h1>\n");
    if let Some(note) = &notice.note {
        html.paragraph(note);
    }
    for (label, text) in facts(notice, pipeline) {
        html.mark(PARAGRAPH).mark("<b>").mark(label).mark(":</b> ").text(&text).mark("</p>\n");
    }
    if asks(notice) {
        to_do(&mut html, notice);
    }
    evidence(&mut html, notice);
    pages(&mut html, notice);
    let contacts: Vec<String> = contacts(notice).collect();
    if !contacts.is_empty() {
        html.heading("Contacts");
        contacts.iter().for_each(|contact| html.paragraph(contact));
    }
    let Body { pipeline, check, id, .. } = notice;
    html.mark(SMALL_PRINT).text(&format!("Syncwatch, pipeline {pipeline}, check {check}, notice {id}"));
    html.mark("</p>\n</div>\n</body>\n</html>\n");
    html.0
}

/// The first steps, and the commands to copy.
fn to_do(html: &mut Html, notice: &Body) {
    let steps: Vec<&str> = first_steps(notice).collect();
    let commands: Vec<_> = commands(notice).collect();
    if !steps.is_empty() || !commands.is_empty() {
        html.heading("What to do");
    }
    if !steps.is_empty() {
        html.mark("<ol style=\"margin: 0 0 8px; padding-left: 24px\">\n");
        for step in steps {
            html.mark("<li>").text(step).mark("</li>\n");
        }
        html.mark("</ol>\n");
    }
    for (label, command) in commands {
        html.mark(PARAGRAPH).mark(label).mark(CODE).text(command).mark("</code></p>\n");
    }
}

fn evidence(html: &mut Html, notice: &Body) {
    let class = notice.class.iter().map(|class| (CLASS_FIGURE, class.clone()));
    let named = figures(notice).map(|figure| (figure.name.as_str(), figure.text()));
    let figures: Vec<_> = class.chain(named).collect();
    if figures.is_empty() {
        return;
    }
    html.heading(if notice.kind == NoticeKind::Report { "Report" } else { "Evidence" });
    html.mark(TABLE);
    for (name, value) in figures.iter().take(FIGURES) {
        html.mark(NAME).text(first_of([*name])).mark(VALUE).text(value).mark("</td></tr>\n");
    }
    html.mark("</table>\n");
    if let Some(more) = left_out(figures.len().saturating_sub(FIGURES)) {
        html.paragraph(&more);
    }
}

fn pages(html: &mut Html, notice: &Body) {
    let pages: Vec<_> = links(notice, LINK_LIMIT).collect();
    if pages.is_empty() {
        return;
    }
    html.heading("Links");
    html.mark("<ul style=\"margin: 0 0 8px; padding-left: 24px\">\n");
    for (name, url) in pages {
        html.mark("<li><a href=\"").text(url).mark("\">").text(first_of([name])).mark("</a></li>\n");
    }
    html.mark("</ul>\n");
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

/// The color of a severity, and that of text on it, with a contrast of at least 4.5. Green once it is resolved.
pub(super) fn colors(notice: &Body) -> (&'static str, &'static str) {
    match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => ("#1a7f4b", "#ffffff"),
        (NoticeKind::Acknowledged, _) | (_, Severity::Info) => ("#5b6270", "#ffffff"),
        (_, Severity::Critical) => ("#b00020", "#ffffff"),
        (_, Severity::Error) => ("#c2410c", "#ffffff"),
        (_, Severity::Warning) => ("#f2c744", "#1f1f1f"),
    }
}
