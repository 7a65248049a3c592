//! The normal form of text, in steps: each step is a rule, and two texts are equal by the first rule after which they are.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use super::kind::Kind;
use super::verdict::Rule;

/// A step; `None` is NULL.
type Step = (Rule, fn(&str) -> Option<String>);

/// The steps of every kind of text.
const TEXT: [Step; 4] = [
    (Rule::LineEnds, |text| Some(text.replace("\r\n", "\n").replace('\r', "\n"))),
    (Rule::UnicodeForm, |text| Some(text.nfc().collect())),
    (Rule::OuterWhitespace, |text| Some(text.trim().to_owned())),
    (Rule::EmptyIsNull, |text| (!text.is_empty()).then(|| text.to_owned())),
];

/// Returns the steps of a kind, to be applied one after the other. Only text has any.
pub(super) fn steps(kind: &Kind) -> impl Iterator<Item = Step> {
    // SQL shortens an id before all else, so that also text that is not an id is as equal here as there.
    let first: &[Step] = match kind {
        Kind::SalesforceId => &[(Rule::IdLength, |text| Some(short_id(text.trim_matches(' '))))],
        _ => &[],
    };
    let more: &[Step] = match kind {
        Kind::RichText => &[(Rule::Markup, text_of_html)],
        Kind::Choice { .. } => &[(Rule::CaseOfChoice, |text| Some(text.to_lowercase()))],
        Kind::Choices => &[
            (Rule::OrderOfChoices, |text| {
                let mut choices: Vec<&str> = choices(text).collect();
                choices.sort_unstable();
                joined(choices)
            }),
            (Rule::RepeatedChoice, |text| joined(choices(text).collect::<BTreeSet<_>>())),
            (Rule::CaseOfChoice, |text| {
                let lower = text.to_lowercase();
                joined(choices(&lower).collect::<BTreeSet<_>>())
            }),
        ],
        Kind::SalesforceId => &[(Rule::IdLength, |text| Some(short_id(text)))],
        Kind::Phone => &[(Rule::PhoneFormat, digits)],
        _ => &[],
    };
    first.iter().copied().chain(TEXT).chain(more.iter().copied())
}

/// Returns the choices of a text.
pub(super) fn choices(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|choice| !choice.is_empty())
}

fn joined<'t>(choices: impl IntoIterator<Item = &'t str>) -> Option<String> {
    let choices: Vec<&str> = choices.into_iter().collect();
    (!choices.is_empty()).then(|| choices.join(";"))
}

/// The first 15 characters identify a record; the last three of 18 only repeat their case.
fn short_id(text: &str) -> String {
    let kept = if text.chars().count() == 18 { 15 } else { usize::MAX };
    text.chars().take(kept).collect()
}

/// The digits and a leading `+`, if all other characters only separate them.
fn digits(text: &str) -> Option<String> {
    let separates = |c: char| matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')');
    let kept: String = text.chars().filter(|c| !separates(*c)).collect();
    let numbers = kept.strip_prefix('+').unwrap_or(&kept);
    let is_number = !numbers.is_empty() && numbers.bytes().all(|byte| byte.is_ascii_digit());
    Some(if is_number { kept } else { text.to_owned() })
}

/// The text of HTML in one line, with its marks escaped, so that the result is HTML with the same text.
fn text_of_html(html: &str) -> Option<String> {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let is_tag = c == '<' && after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        if let Some((tag, behind)) = is_tag.then(|| after.split_once('>')).flatten() {
            if breaks_line(tag) {
                text.push(' ');
            }
            rest = behind;
        } else if let Some((decoded, behind)) = (c == '&').then(|| entity(after)).flatten() {
            text.push(decoded);
            rest = behind;
        } else {
            text.push(c);
            rest = after;
        }
    }
    let text = crate::text::spaced(&text.nfc().collect::<String>());
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    (!escaped.is_empty()).then_some(escaped)
}

/// Returns whether a tag separates words; others, such as `b`, may be within a word.
fn breaks_line(tag: &str) -> bool {
    const BREAKS: &str = "p br div li ul ol tr td th table h1 h2 h3 h4 h5 h6 blockquote hr pre";
    let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
    name.is_some_and(|name| BREAKS.split(' ').any(|breaks| breaks.eq_ignore_ascii_case(name)))
}

/// Decodes the entity at the beginning, behind its `&`, and returns the rest.
fn entity(text: &str) -> Option<(char, &str)> {
    let (name, rest) = text.split_once(';')?;
    let decoded = match name {
        "nbsp" => ' ',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((decoded, rest))
}
