//! The structure of a vendor's message: the vendor's own words, quoted text, words and codes.

use super::codes::CODES;
use super::quotes::{Quoted, Quotes};
use crate::text::spaced;

/// The part of a text that is read, in bytes: the reason is at its beginning, stack traces follow.
const READ: usize = 4_096;

/// Keys of JSON, XML and Python's dictionaries before the vendor's own words. Lower case.
/// `c`, `m` and `d` are fields of PostgreSQL's protocol.
const KEYS_OF_WORDS: &str = "c m d code errorcode error_code errcode exceptioncode statuscode status_code status faultcode \
    faultstring exceptionmessage message msg error errors error_description errordescription description \
    detail details title reason text error_summary errormessage error_message cause type name syscall \
    category subcategory body statemessage";

/// Words before a quoted message of another vendor, which is not a value.
const WORDS_BEFORE_WORDS: &str = "was error exception fault message";

/// The longest tag, in bytes; a longer one is text with a plain `<`.
const TAG: usize = 300;

/// Returns the text with `''` for each quoted name or value, as these may read like any error.
///
/// Quoted words of the vendor stay: behind a key such as `"message":`, and if all of the text is quoted.
pub(super) fn visible(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(READ)).unwrap_or(text);
    let text = spaced(text)
        .replace("\\\\\"", "\\\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let mut out = String::with_capacity(text.len());
    push_visible(&text, &mut out, 0);
    without_tags(&out)
}

/// The nesting of quotes that is read, as deep as in real messages.
const DEPTH: usize = 4;

fn push_visible(text: &str, out: &mut String, depth: usize) {
    let mut quotes = Quotes::of(text);
    for Quoted { before, mark, inner, after, .. } in quotes.by_ref() {
        out.push_str(before);
        let is_key =
            [":", "=>"].iter().any(|mark| after.trim_start().starts_with(mark)) && inner.chars().all(is_word);
        if is_key {
            // Keys of JSON only matter for the text behind them.
            out.truncate(without_prefix(out).len());
            out.push_str(inner);
        } else if depth < DEPTH && is_message(mark, inner, without_prefix(out)) {
            push_visible(&inner.replace("\\\"", "\"").replace("\\n", " "), out, depth + 1);
        } else {
            out.push_str("''");
        }
    }
    out.push_str(quotes.rest);
}

/// Removes Python's `u` or `b` at the end of a text, which belongs to the quote behind it.
fn without_prefix(out: &str) -> &str {
    out.strip_suffix(['u', 'b']).filter(|before| !before.ends_with(is_word)).unwrap_or(out)
}

/// Whether quoted text is a message in the vendor's own words.
fn is_message(mark: char, inner: &str, out: &str) -> bool {
    let separated = out.trim_end().ends_with([':', '=', '>', '[', '(', '{']);
    let opening = out.trim_end_matches(['[', '{', '(', ' ', '=', '>', ':', '\\', '"', '\'']);
    let key = opening.rsplit(|c: char| !is_word(c)).next().unwrap_or_default().to_ascii_lowercase();
    let is_error = ["error", "errors", "erro", "exception", "fault"].iter().any(|end| key.ends_with(end));
    let is_status = inner.starts_with(|c: char| c.is_ascii_digit())
        && inner.get(3..).is_some_and(|rest| rest.starts_with(' ') && rest.len() < 40);
    // `Server raised fault: 'INVALID_LOGIN: ...'`
    let is_coded = inner.split_once(": ").is_some_and(|(code, _)| CODES.contains_key(code.trim()));
    let has_json = inner.contains("\":") || inner.trim_start().starts_with(['<', '{']);
    is_coded
        || has_json
        || out.trim().is_empty()
        || out.trim_end().ends_with("<<")
        || (separated && (is_error || is_listed(KEYS_OF_WORDS, &key)))
        || (out.ends_with(' ') && is_listed(WORDS_BEFORE_WORDS, &key))
        || (mark == '`' && is_status)
}

/// Returns whether a list of words, separated by spaces, has this one.
pub(super) fn is_listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        // Ruby writes an object as `#<Net::OpenTimeout: ...>`.
        let tag = !before.ends_with('#')
            && after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        match after.find('>').filter(|end| tag && *end <= TAG) {
            Some(end) => {
                out.push(' ');
                rest = after.get(end + 1..).unwrap_or_default();
            }
            None => {
                out.push('<');
                rest = after;
            }
        }
    }
    out + rest
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A name such as a code or an exception, with the text around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'t> {
    pub(super) text: &'t str,
    pub(super) before: &'t str,
    pub(super) after: &'t str,
}

/// Iterates over the names of a text, in order: letters, digits and `_`, joined by `.`, `::` or `$`.
pub(super) fn names(text: &str) -> impl Iterator<Item = Name<'_>> {
    let joins = |c: char| is_word(c) || matches!(c, '.' | ':' | '$');
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let start = at + rest.find(is_word)?;
            let run = text.get(start..)?;
            let end = run.find(|c| !joins(c)).unwrap_or(run.len());
            let joined = run.get(..end)?;
            // A single colon ends a name: the words behind it are its description.
            let end =
                joined.match_indices(':').find(|(at, _)| !is_pair(joined, *at)).map_or(end, |(at, _)| at);
            let name = run.get(..end)?.trim_end_matches(['.', ':', '$']);
            at = start + end.max(1);
            if !name.is_empty() {
                let (before, after) = (text.get(..start)?, run.get(name.len()..)?);
                return Some(Name { text: name, before, after });
            }
        }
    })
}

fn is_pair(text: &str, at: usize) -> bool {
    let mut beside = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
    beside.any(|at| text.as_bytes().get(at) == Some(&b':'))
}

/// Han characters and kana.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Returns the words of a text in lower case, with contractions written out.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace('’', "'").replace("can't", "cannot").replace("n't", " not");
    let lower = lower.replace("can not", "cannot");
    // Chinese and Japanese have no spaces: each character counts as a word.
    let mut spaced = String::with_capacity(lower.len());
    for c in lower.chars() {
        if is_ideograph(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    let words = spaced.split(|c: char| !is_word(c) && c != '\'').map(|word| word.trim_matches('\''));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_keeps_the_vendors_words_and_drops_quoted_ones() {
        let table = [
            ("The company \"Duplicate Value LLC\" is", "The company '' is"),
            (
                "{\"message\":\"No such column \\\"QUERY_TIMEOUT\\\" on x\",\"errorCode\":\"INVALID_FIELD\"}",
                "{message:No such column '' on x,errorCode:INVALID_FIELD}",
            ),
            ("{'fields': ['timed out'], 'message': 'it is gone'}", "{fields: [''], message: it is gone}"),
            ("a `400 Bad Request` response of `timed out`", "a 400 Bad Request response of ''"),
            ("\"all of it\"", "all of it"),
            ("<html><title>502 Bad Gateway</title>", "  502 Bad Gateway "),
            ("a < b and <b>c</b>", "a < b and  c "),
            ("reason 'request timed out' was", "reason '' was"),
        ];
        for (text, expected) in table {
            assert_eq!(visible(text), expected, "{text}");
        }
    }

    #[test]
    fn names_end_at_a_single_colon_and_keep_double_ones() {
        let of = |text| names(text).map(|name| name.text.to_owned()).collect::<Vec<_>>();
        assert_eq!(of("Faraday::ConnectionFailed (Connection)"), ["Faraday::ConnectionFailed", "Connection"]);
        assert_eq!(of("java.net.X: INVALID_FIELD:Foo. é:"), ["java.net.X", "INVALID_FIELD", "Foo", "é"]);
        assert_eq!(of("[A.B] ::: $"), ["A.B"]);
    }
}
