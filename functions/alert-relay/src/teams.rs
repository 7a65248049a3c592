//! Renders a notice for Microsoft Teams: an Adaptive Card in the message that a Workflows webhook takes.
//!
//! Texts of vendors and people are in `RichTextBlock`s, whose runs are never read as Markdown (adaptivecards.io, `TextRun`).
//! Instants use the card's own `DATE` and `TIME`, which show each reader's zone. Teams takes messages of about 28 KB
//! (learn.microsoft.com, Microsoft Teams connector); a card beyond that loses figures, then the ends of sentences.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use syncwatch::classify::CLASS_FIGURE;
use syncwatch::finding::Severity;
use syncwatch::incident::NoticeKind;
use syncwatch::notice::Body;

use crate::parts::{asks, cause, commands, contacts, figures, left_out, links, steps};
use crate::text::{cut, first_of, second_utc};

/// The largest message, in bytes of JSON: somewhat below the limit of Teams.
const MESSAGE_LIMIT: usize = 24 * 1024;
/// The layouts, from the largest: characters of a sentence, and figures.
const SIZES: [(usize, usize); 4] = [(1_200, 20), (1_200, 5), (400, 5), (150, 5)];
/// The layout that always fits.
const SMALLEST: (usize, usize) = (40, 0);
const LINK_LIMIT: usize = 600;
/// Teams shows six actions of a card; one of them unfolds the details.
const LINKS: usize = 5;
const LINK_NAME_LIMIT: usize = 40;

/// Renders the message of a notice.
pub fn render(notice: &Body) -> Json {
    let mut messages = SIZES.into_iter().map(|size| message(notice, size));
    let fits = |message: &Json| message.to_string().len() <= MESSAGE_LIMIT;
    messages.find(fits).unwrap_or_else(|| message(notice, SMALLEST))
}

fn message(notice: &Body, (chars, figures): (usize, usize)) -> Json {
    let title = cut(first_of([notice.title.as_str(), &notice.summary, &notice.dedup_key]), chars);
    let mut body = vec![json!({
        "type": "Container", "style": style(notice), "bleed": true,
        "items": [{ "type": "RichTextBlock", "inlines": [bold(&title)] }],
    })];
    let mut actions = Vec::new();
    // An acknowledgement is one line: the chat has the details already.
    if notice.kind != NoticeKind::Acknowledged {
        body.extend(lead(notice, chars));
        // The lines of a report are all of it.
        body.push(json!({
            "type": "Container", "id": "details", "isVisible": notice.kind == NoticeKind::Report, "items": details(notice, chars, figures),
        }));
        actions.push(
            json!({ "type": "Action.ToggleVisibility", "title": "Details", "targetElements": ["details"] }),
        );
        let pages = links(notice, LINK_LIMIT).take(LINKS);
        actions.extend(pages.map(|(name, url)| {
            let title = cut(first_of([name]), LINK_NAME_LIMIT);
            json!({ "type": "Action.OpenUrl", "title": title, "url": url })
        }));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                // May be read as Markdown, so it quotes nothing.
                "fallbackText": format!("Syncwatch alert ({}): update Teams to read it here", notice.severity),
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

/// The lines that every reader needs: state, impact, owner, times, cause, steps.
fn lead(notice: &Body, chars: usize) -> Vec<Json> {
    let mut items = Vec::new();
    items.extend(notice.note.as_ref().map(|note| paragraph(&cut(note, chars))));
    items.extend(notice.consequence.as_ref().map(|text| labelled("Impact", &cut(text, chars))));
    if asks(notice) {
        items.extend(notice.owner.as_ref().map(|owner| labelled("Owner", &cut(owner, chars))));
    }
    items.push(json!({ "type": "TextBlock", "wrap": true, "text": when(notice) }));
    items.extend(notice.next_attempt.as_ref().map(|text| labelled("Next run", &cut(text, chars))));
    items.extend(cause(notice).map(|(label, cause)| labelled(label, &cut(cause, chars))));
    let mut to_do: Vec<Json> = steps(notice).map(|step| paragraph(&cut(&step, chars))).collect();
    // Half a command is worse than none.
    let whole = commands(notice).filter(|(_, command)| command.chars().count() <= chars);
    to_do.extend(whole.map(|(label, command)| code(label, &cut(command, usize::MAX))));
    if !to_do.is_empty() {
        items.push(json!({ "type": "TextBlock", "wrap": true, "weight": "Bolder", "text": "What to do" }));
        items.append(&mut to_do);
    }
    items
}

/// Figures, contacts and the id.
fn details(notice: &Body, chars: usize, most: usize) -> Vec<Json> {
    let mut items = Vec::new();
    items.extend(notice.class.as_ref().map(|class| labelled(CLASS_FIGURE, &cut(class, chars))));
    let shown = figures(notice).take(most);
    items.extend(
        shown.map(|figure| {
            labelled(&cut(first_of([figure.name.as_str()]), chars), &cut(&figure.text(), chars))
        }),
    );
    items.extend(left_out(figures(notice).skip(most).count()).map(|more| paragraph(&more)));
    items.extend(contacts(notice).map(|contact| paragraph(&cut(&contact, chars))));
    items.push(paragraph(&cut(&format!("Syncwatch, notice {}", notice.id), chars)));
    items
}

/// The style of a container, which is its color.
fn style(notice: &Body) -> &'static str {
    match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "good",
        (NoticeKind::Acknowledged, _) => "emphasis",
        (_, Severity::Critical | Severity::Error) => "attention",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "emphasis",
    }
}

fn when(notice: &Body) -> String {
    match notice.resolved_at {
        Some(end) => format!("**From** {} **to** {}", date(notice.opened_at), date(end)),
        None => format!("**Since:** {}", date(notice.opened_at)),
    }
}

/// An instant in each reader's own zone. Cards take RFC 3339 without fractions of a second.
fn date(instant: Timestamp) -> String {
    let second = second_utc(instant);
    format!("{{{{DATE({second}, SHORT)}}}} {{{{TIME({second})}}}}")
}

fn run(text: &str) -> Json {
    json!({ "type": "TextRun", "text": first_of([text]) })
}

fn bold(text: &str) -> Json {
    json!({ "type": "TextRun", "text": text, "weight": "Bolder" })
}

fn paragraph(text: &str) -> Json {
    json!({ "type": "RichTextBlock", "inlines": [run(text)] })
}

fn labelled(label: &str, text: &str) -> Json {
    json!({ "type": "RichTextBlock", "inlines": [bold(&format!("{label}: ")), run(text)] })
}

fn code(label: &str, command: &str) -> Json {
    let command = json!({ "type": "TextRun", "text": command, "fontType": "Monospace" });
    json!({ "type": "RichTextBlock", "inlines": [bold(&format!("{label}: ")), command] })
}

#[cfg(test)]
mod tests;
