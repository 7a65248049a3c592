//! Removes values of customers' records from vendors' messages.

use std::ops::RangeInclusive;

use super::codes::CODES;
use super::quotes::{Quoted, Quotes, closing};
use super::structure::is_word;
use crate::observation::RejectedRecord;
use crate::text::{bounded, named, plain_line, spaced};

/// The longest text, with the mark of a cut; the notice links to the whole text.
const TEXT_CHARS: usize = 301;
/// The part of a text that is read, in bytes.
const READ: usize = 4_096;
/// The longest name of a field, a table or a column.
const NAME_CHARS: usize = 80;
/// A word this long, with letters and digits, is a token, a hash or a session, not a name or a record's id.
const LONG_WORD: usize = 32;
/// This many digits in a row are a personal or account number, not a count.
const LONG_NUMBER: usize = 9;
/// The digits of payment card numbers, in groups or not (ISO/IEC 7812), and of most bank accounts behind the letters of an
/// IBAN.
const CARD_DIGITS: RangeInclusive<usize> = 12..=19;
/// The digits of a telephone number with its country code (ITU-T E.164).
const TELEPHONE_DIGITS: RangeInclusive<usize> = 7..=15;
/// Passes over one text, after which all of it is hidden. A pass may reveal something to hide for the next one; real messages
/// need two.
const PASSES: usize = 8;
/// This many digits behind a `+` or a bracket are a telephone number.
const SHORT_TELEPHONE: usize = 6;
const IDENTIFIERS: usize = 5;
const IDENTIFIER_CHARS: usize = 41;

const HIDDEN: &str = "[hidden]";
const EMAIL: &str = "[e-mail]";

/// Words before a quoted text that is a name, not a value.
const NAMING: &str = "field fields column columns object sobject entity table view relation schema catalog database \
                      function warehouse type method";

/// Vendors' words before a value, which reaches up to the second text or to the end. Lower case.
const BEFORE_VALUES: [(&str, &str); 15] = [
    ("foreign key external id:", " not found"),
    ("no record found for external id:", ""),
    ("external id value:", ""),
    ("record with external id:", ""),
    ("data value too large:", "(max length="),
    ("bad value for restricted picklist field:", ""),
    ("invalid email address:", ""),
    ("value not of required type:", ""),
    ("value of incorrect type:", ""),
    ("value outside of valid range on numeric field:", ""),
    ("duplicate external id specified:", ""),
    ("failing row contains", ""),
    ("with value ", " is "),
    ("value:", ""),
    ("values:", ""),
];

/// Returns a vendor's text without values of customers' records, as one line of at most 301 characters.
///
/// * control characters and line breaks                        => a space; characters without a width are dropped
/// * an e-mail address                                         => `[e-mail]`
/// * a text in quotes, unless it is the name of a field, table => `[hidden]` in the same quotes
///   or column: behind such a word, custom (`__c`), or in the
///   backticks of Databricks; a key of JSON; or a known code
/// * text behind "value:", "data value too large:",            => `[hidden]`
///   "restricted picklist field:" and the like, behind `=`,
///   and a number or date behind "value"
/// * nine digits and more in a row, 12 to 19 in groups, phone  => `[hidden]`
///   and social security numbers, and words of 32 characters
///   and more with digits, such as sessions
///
/// Names of fields, ids of Salesforce records and codes stay, as people need them to find the record. Texts of validation rules
/// and triggers stay too, as nothing distinguishes them from other words. A second scrub changes nothing.
pub fn scrub(text: &str) -> String {
    let mut line = plain_line(beginning(text));
    for _ in 0..PASSES {
        let scrubbed = scrubbed_once(&line);
        if scrubbed == line {
            return line;
        }
        line = scrubbed;
    }
    HIDDEN.to_owned()
}

fn scrubbed_once(line: &str) -> String {
    let line = without_emails(&spaced(line));
    let line = without_values(&line);
    let line = without_numbers_behind_value(&line);
    let line = without_quoted_values(&line);
    let line = without_tokens(&line);
    let line = without_assigned(&line);
    let line = without_grouped_numbers(&line);
    let line = without_long_numbers(&line);
    bounded(line.trim(), TEXT_CHARS)
}

/// Returns some identifiers of records for evidence, each short and on one line. `None` if no record has one.
///
/// A sync key that is an e-mail address or a telephone number is hidden as by [`identifier`]; Census shows it to its users.
pub fn identifiers<'r>(records: impl IntoIterator<Item = &'r RejectedRecord>) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut all = 0_usize;
    for raw in records.into_iter().filter_map(|record| record.identifier.as_deref()) {
        let identifier = identifier(raw);
        if identifier.is_empty() || shown.contains(&identifier) {
            continue;
        }
        all += 1;
        if shown.len() < IDENTIFIERS {
            shown.push(identifier);
        }
    }
    (all > 0).then(|| named(shown, IDENTIFIERS, all))
}

/// Returns the identifier of a record, or a key of a table, short, on one line, and without contact data of a person.
///
/// * an e-mail address                                            => `[e-mail]`
/// * a telephone number, and any other nine digits and more alone => `[hidden]`
pub fn identifier(text: &str) -> String {
    let line = spaced(&plain_line(beginning(text)));
    if is_telephone(&line) {
        return HIDDEN.to_owned();
    }
    bounded(&without_long_numbers(&without_grouped_numbers(&without_emails(&line))), IDENTIFIER_CHARS)
}

/// Whether the whole text is a telephone number, in the groups of any country. A day such as `2026-11-24` has too few digits.
fn is_telephone(text: &str) -> bool {
    let digits = text.chars().filter(|c| c.is_numeric()).count();
    let of_number = |c: char| c.is_numeric() || matches!(c, '+' | '(' | ')' | '.' | '-' | '/' | ' ');
    let least = if text.starts_with(['+', '(']) { SHORT_TELEPHONE } else { LONG_NUMBER };
    digits >= least && text.chars().all(of_number)
}

/// The part of a text that is read.
fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(READ)).unwrap_or(text)
}

/// Separators of words in a vendor's text. A single quote is none, as it may be an apostrophe.
const SEPARATORS: [char; 14] = [' ', '"', '`', '<', '>', '(', ')', '[', ']', '{', '}', ',', ';', '|'];

/// A line with each of its words replaced; the separators behind them stay.
fn with_words(line: &str, replace: impl Fn(&str) -> String) -> String {
    let parts = line.split_inclusive(SEPARATORS).map(|part| {
        let word = part.trim_end_matches(SEPARATORS);
        replace(word) + part.get(word.len()..).unwrap_or_default()
    });
    parts.collect()
}

/// Hides everything around an `@` up to the next separator: rather too much than too little. An `@` alone between two
/// separators is not part of an address.
fn without_emails(line: &str) -> String {
    let at_sign = |word: &str| {
        word.contains(['@', '\u{ff20}', '\u{fe6b}']) || word.to_ascii_lowercase().contains("%40")
    };
    with_words(line, |word| {
        let bare = word.trim_matches('\'');
        let is_email = at_sign(bare) && bare.chars().count() > 1;
        // Quotes stay, so that the rest between them is still recognised as quoted.
        if is_email { word.replacen(bare, EMAIL, 1) } else { word.to_owned() }
    })
}

fn without_tokens(line: &str) -> String {
    with_words(line, |word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_token = word.chars().count() >= LONG_WORD && digits >= 3;
        if is_token { HIDDEN } else { word }.to_owned()
    })
}

fn without_values(line: &str) -> String {
    let mut line = line.to_owned();
    for (before, until) in BEFORE_VALUES {
        let lower = line.to_ascii_lowercase();
        let whole = |at: &usize| !lower.get(..*at).unwrap_or_default().ends_with(is_word);
        let begins = lower.match_indices(before).map(|(at, _)| at).find(whole);
        let Some(start) = begins.map(|at| at + before.len()) else { continue };
        let rest = lower.get(start..).unwrap_or_default();
        let end = if until.is_empty() { None } else { rest.rfind(until) };
        let end = end.map_or(line.len(), |end| start + end);
        let (head, tail) = (line.get(..start).unwrap_or_default(), line.get(end..).unwrap_or_default());
        if line.get(start..end).is_some_and(|value| !value.trim().is_empty()) {
            let (head, tail) = (head.trim_end(), tail.trim_start());
            line = format!("{head} {HIDDEN} {tail}").trim_end().to_owned();
        }
    }
    line
}

/// Hides numbers, dates and times behind the word "value", as vendors' JSON parsers quote them.
fn without_numbers_behind_value(line: &str) -> String {
    let mut behind_value = false;
    let words = line.split(' ').map(|word| {
        let is_number = word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
        let hides = behind_value && is_number;
        let end = word.trim_end_matches(SEPARATORS).trim_end_matches(['.', ':']).len();
        // A time may follow its date.
        behind_value = word.eq_ignore_ascii_case("value") || (hides && end == word.len());
        if hides { format!("{HIDDEN}{}", word.get(end..).unwrap_or_default()) } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn without_quoted_values(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quotes = Quotes::of(line);
    for quoted in quotes.by_ref() {
        out.push_str(quoted.before);
        let shown = if is_name(&out, &quoted) { quoted.inner } else { HIDDEN };
        out.push(quoted.mark);
        out.push_str(if quoted.inner.is_empty() { "" } else { shown });
        out.push(quoted.close);
    }
    let rest = quotes.rest;
    // An unterminated quote is a text that was cut within a value. A single one may be an apostrophe.
    let opens = |c: char| !closing(c).is_empty() && !matches!(c, '\'' | '‘' | '‚' | '»' | '›');
    let begin = rest.char_indices().find(|(_, c)| opens(*c)).map(|(at, c)| at + c.len_utf8());
    match begin.and_then(|begin| rest.split_at_checked(begin)) {
        Some((head, value)) if !value.is_empty() => {
            out.push_str(head);
            out.push_str(HIDDEN);
        }
        _ => out.push_str(rest),
    }
    out
}

/// Whether a quoted text is a name of the schema, a key of JSON, or a code.
fn is_name(before: &str, quoted: &Quoted<'_>) -> bool {
    let inner = quoted.inner;
    let shaped = inner.chars().count() <= NAME_CHARS
        && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '$'))
        && inner.chars().any(|c| c.is_ascii_alphabetic());
    let word = before.trim_end().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let named = before.ends_with(' ') && NAMING.split(' ').any(|naming| naming.eq_ignore_ascii_case(word));
    let key = before.trim_end().ends_with(['{', ',']) && quoted.after.trim_start().starts_with(':');
    let custom = inner.ends_with("__c") || inner.ends_with("__r");
    shaped && (named || key || custom || quoted.mark == '`' || CODES.contains_key(inner))
}

/// Hides texts behind `=`; short numbers stay, as limits are written that way.
fn without_assigned(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        out.push('=');
        let hidden = [HIDDEN, EMAIL].into_iter().find(|mark| after.trim_start().starts_with(mark));
        let end = match hidden {
            Some(mark) => after.len() - after.trim_start().len() + mark.len(),
            None => after.find([',', ']', ')', ';', '&', '}']).unwrap_or(after.len()),
        };
        let value = after.get(..end).unwrap_or_default();
        let harmless =
            value.len() < LONG_NUMBER && value.trim().chars().all(|c| c.is_ascii_digit() || c == '=');
        out.push_str(if harmless || hidden.is_some() { value } else { HIDDEN });
        rest = after.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Hides personal numbers in groups, such as `(415) 555-2671` or `4111 1111 1111 1111`.
fn without_grouped_numbers(line: &str) -> String {
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | '.' | '-' | ' ');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || matches!(c, '+' | '(')) {
        let (before, run) = rest.split_at(start);
        out.push_str(before);
        let glued = out.strip_suffix('-').unwrap_or(&out).ends_with(is_word);
        // Digits of a word, such as a name or an id, are not the first group of a number behind it.
        let end = run.find(|c: char| if glued { !c.is_ascii_digit() } else { !of_number(c) });
        // Punctuation at its end belongs to the sentence.
        let number = run.get(..end.unwrap_or(run.len())).unwrap_or_default();
        let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
        out.push_str(if !glued && is_personal(number) { HIDDEN } else { number });
        let taken = number.len().max(run.chars().next().map_or(0, char::len_utf8));
        if number.is_empty() {
            out.push_str(run.get(..taken).unwrap_or_default());
        }
        rest = run.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Whether digits in groups are likely a person's telephone, social security, card or account number. Dates are not.
fn is_personal(number: &str) -> bool {
    let groups: Vec<&str> = number.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty()).collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = lengths.iter().sum();
    let plain = number.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')'));
    let has_date = lengths.starts_with(&[4, 2, 2]) && number.as_bytes().get(4) == Some(&b'-');
    let trunk = groups.first().is_some_and(|first| first.len() > 1 && first.starts_with('0'));
    lengths.ends_with(&[3, 3, 4])
        || lengths.ends_with(&[3, 2, 4])
        || (number.starts_with('+') && TELEPHONE_DIGITS.contains(&digits))
        || (plain && trunk && groups.len() > 1 && (LONG_NUMBER..=15).contains(&digits))
        || (plain && !has_date && groups.len() > 1 && CARD_DIGITS.contains(&digits))
}

fn without_long_numbers(line: &str) -> String {
    let ends = |c: char| !c.is_alphanumeric() && !matches!(c, '+' | '-' | '_');
    let mut out = String::with_capacity(line.len());
    for part in line.split_inclusive(ends) {
        let run = part.trim_end_matches(ends);
        let digits = run.chars().filter(|c| c.is_numeric()).count();
        let only_digits = run.chars().all(|c| c.is_numeric() || matches!(c, '+' | '-'));
        let is_number = only_digits && (digits >= LONG_NUMBER || (run.starts_with('+') && digits > 0));
        out.push_str(if is_number { HIDDEN } else { run });
        out.push_str(part.get(run.len()..).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests;
