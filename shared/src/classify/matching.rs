//! Finds the pattern that a vendor's text matches, without regular expressions: they would cost every cold start.

use super::ErrorClass;
use super::patterns::{Matcher, PATTERNS};
use crate::text::spaced;

/// Only this much of a text is looked at, in bytes: the reason stands at its beginning, stack traces behind it.
const LOOKED_AT: usize = 4_096;

/// What Census puts before a run's error in its alerts.
const ALERT_PREFIX: &str = "sync has failed with error:";

/// What stands before a code that is named as one, in lower case.
const CODE_KEYS: [&str; 7] =
    ["errorcode", "error_code", "exceptioncode", "statuscode", "faultcode", "with code", "sf"];

pub(super) fn class_of(text: &str) -> Option<ErrorClass> {
    let text = text.get(..text.floor_char_boundary(LOOKED_AT)).unwrap_or(text);
    let spaced = spaced(text);
    let lower = spaced.to_ascii_lowercase();
    let opening = lower.strip_prefix(ALERT_PREFIX).unwrap_or(&lower).trim_start();
    let unquoted = if spaced.starts_with(['{', '[']) && spaced.contains("\":") {
        // JSON is all quotes: they say nothing of what is quoted.
        lower.clone()
    } else {
        without_quoted(&lower)
    };
    let first = |fits: &dyn Fn(&Matcher) -> bool| PATTERNS.iter().find(|(_, matcher)| fits(matcher));
    let first_code = || {
        let found = PATTERNS.iter().filter_map(|pattern| match pattern.1 {
            Matcher::Code(code) => Some((code_at(&spaced, code)?, pattern)),
            Matcher::Condition(code) => Some((condition_at(&spaced, code)?, pattern)),
            _ => None,
        });
        found.min_by_key(|(at, _)| *at).map(|(_, pattern)| pattern)
    };
    let wraps =
        |matcher: &Matcher| matches!(matcher, Matcher::Wrapper(code) if code_at(&spaced, code).is_some());
    first(&|matcher| matches!(matcher, Matcher::Opening(words) if opens(opening, words)))
        .or_else(first_code)
        .or_else(|| first(&wraps))
        .or_else(|| first(&|matcher| matches!(matcher, Matcher::Phrase(words) if says(&unquoted, words))))
        .map(|(class, _)| *class)
}

pub(super) fn is_code(text: &str) -> bool {
    PATTERNS.iter().any(|(_, matcher)| match *matcher {
        Matcher::Code(code) | Matcher::Condition(code) | Matcher::Wrapper(code) => code == text,
        Matcher::Opening(_) | Matcher::Phrase(_) => false,
    })
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn opens(lower: &str, words: &str) -> bool {
    let rest = lower.strip_prefix(&words.to_ascii_lowercase());
    rest.is_some_and(|rest| !rest.starts_with(is_word))
}

/// Whether a text in lower case has these words, as whole ones.
fn says(lower: &str, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    parts(lower, &words).any(|(before, after)| {
        let begins = !words.starts_with(is_word) || !before.ends_with(is_word);
        let ends = !words.ends_with(is_word) || !after.starts_with(is_word);
        begins && ends
    })
}

/// What stands before and after each occurrence of a needle.
fn parts<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    text.match_indices(needle)
        .filter_map(|(at, found)| Some((text.get(..at)?, text.get(at + found.len()..)?)))
}

/// Where a code stands as one.
fn code_at(text: &str, code: &str) -> Option<usize> {
    let stands = |before: &str, after: &str| {
        if before.ends_with(is_word) || after.starts_with(is_word) {
            return false;
        }
        let ended = after.trim_start();
        let introduces = ended.starts_with([':', ',', '-']);
        let key = before.trim_end_matches(['"', '\'', '\\', ' ', ':', '=', '[', '>']).to_ascii_lowercase();
        let named = before.len() > key.len()
            && CODE_KEYS.iter().any(|name| {
                key.strip_suffix(name).is_some_and(|rest| *name != "sf" || !rest.ends_with(is_word))
            });
        before.is_empty() || named || (introduces && before.trim_end().ends_with(':'))
    };
    parts(text, code).find(|(before, after)| stands(before, after)).map(|(before, _)| before.len())
}

/// Where a code stands between square brackets, with or without a sub-condition behind a full stop.
fn condition_at(text: &str, code: &str) -> Option<usize> {
    parts(text, code)
        .find(|(before, after)| before.ends_with('[') && after.starts_with([']', '.']))
        .map(|(before, _)| before.len())
}

/// A text with everything that is in quotes taken out; two single quotes are left in its place.
fn without_quoted(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quoted) = next_quoted(rest) {
        kept.push_str(quoted.before);
        kept.push_str("''");
        rest = quoted.after;
    }
    kept.push_str(rest);
    kept
}

/// A text in quotes and what is around it.
pub(super) struct Quoted<'t> {
    pub(super) before: &'t str,
    /// The quote before it, such as `"`, `'`, a backtick or `«`.
    pub(super) mark: char,
    pub(super) inner: &'t str,
    /// The quote behind it.
    pub(super) close: char,
    pub(super) after: &'t str,
}

/// The quotes that end what this one begins; none if it is not a quote.
pub(super) fn closing(mark: char) -> &'static [char] {
    match mark {
        '"' => &['"'],
        '`' => &['`'],
        '\'' => &['\''],
        '“' => &['”'],
        '„' => &['“', '”'],
        '‘' => &['’'],
        '‚' => &['‘', '’'],
        '«' => &['»'],
        '»' => &['«'],
        '‹' => &['›'],
        '›' => &['‹'],
        '「' => &['」'],
        '『' => &['』'],
        _ => &[],
    }
}

/// The first quoted text. A single quote between letters is an apostrophe.
pub(super) fn next_quoted(text: &str) -> Option<Quoted<'_>> {
    let mut last = None;
    for (at, mark) in text.char_indices() {
        let closing = closing(mark);
        let apostrophe = mark == '\'' && last.is_some_and(char::is_alphanumeric);
        last = Some(mark);
        if closing.is_empty() || apostrophe {
            continue;
        }
        let (before, inside) = (text.get(..at)?, text.get(at + mark.len_utf8()..)?);
        let end = inside.char_indices().find(|(end, c)| {
            let after = inside.get(end + c.len_utf8()..).and_then(|rest| rest.chars().next());
            closing.contains(c) && (!matches!(c, '\'' | '’') || !after.is_some_and(char::is_alphanumeric))
        });
        if let Some((end, close)) = end {
            let (inner, after) = (inside.get(..end)?, inside.get(end + close.len_utf8()..)?);
            return Some(Quoted { before, mark, inner, close, after });
        }
    }
    None
}
