//! Renders a notice as mail: the text that SNS mails, and the same parts as HTML.
//!
//! Links in it lead to `https` only.

mod html;
pub mod ses;

use serde_json::Value as Json;
use syncwatch::notice::{Body, as_mail};
use syncwatch::pipeline::Pipeline;

use crate::text::{cut, digest, first_of};

/// Own limits, in UTF-16 units.
const TEXT_LIMIT: usize = 1_000;
const COMMAND_LIMIT: usize = 500;
const LINK_LIMIT: usize = 600;
const LINKS: usize = 5;

/// A mail without its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// ASCII, one line, 1 to 99 characters.
    pub subject: String,
    pub text: String,
    pub html: String,
    /// 32 hexadecimal digits that all mails of an incident share.
    pub thread: String,
}

/// Renders the mail of a notice.
pub fn render(notice: &Body, pipeline: &Pipeline) -> Mail {
    let thread = digest(&format!("{}@{}", notice.dedup_key, notice.opened_at), 16);
    let notice = &bounded(notice);
    let (subject, text) = as_mail(notice, pipeline);
    Mail { subject, text, html: html::page(notice, pipeline), thread }
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

#[cfg(test)]
mod tests;
