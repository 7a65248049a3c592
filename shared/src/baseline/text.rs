//! Texts of SQL: one form for the same statement, literals masked, and the lines that differ.

use std::collections::BTreeMap;

use crate::sql::{Dialect, Token, TokenKind, lex};
use crate::text::{bounded, plain_line};

/// The text in place of a literal.
pub(super) const MASK: &str = "'…'";
/// The most lines of a change.
const MOST_LINES: usize = 40;
/// The most characters of a line.
const LONGEST_LINE: usize = 200;

/// Words that begin a line.
const CLAUSES: &[&str] = &[
    "select",
    "from",
    "where",
    "group",
    "order",
    "having",
    "union",
    "except",
    "intersect",
    "with",
    "limit",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "join",
    "on",
    "and",
    "or",
    "window",
    "qualify",
];
/// Words between which no line begins: `LEFT JOIN`, `GROUP BY`.
const TOGETHER: &[&str] = &["left", "right", "full", "inner", "cross", "outer"];

/// Returns SQL without comments, with bare words in lower case and one clause or column a line. Two statements that differ
/// only in these are then the same. SQL with an unterminated quote stays as it is.
pub fn normalised(sql: &str, dialect: Dialect) -> String {
    let Ok(tokens) = lex(sql, dialect) else { return sql.trim().to_owned() };
    let mut text = String::with_capacity(sql.len());
    let (mut before, mut blank) = (None::<Token<'_>>, false);
    // Whether each open bracket holds a query, whose columns have lines of their own.
    let mut queries: Vec<bool> = Vec::new();
    let is_end = |token: &Token<'_>| token.is_blank() || token.is_mark(";");
    let end = tokens.iter().rposition(|token| !is_end(token)).map_or(0, |last| last + 1);
    for token in tokens.iter().take(end) {
        if token.is_blank() {
            blank = true;
            continue;
        }
        if let Some(before) = before {
            let begins = begins_line(&before, token) && (!blank_matters(&before, token) || blank);
            let after_comma = before.is_mark(",") && *queries.last().unwrap_or(&true);
            text.push_str(if begins || after_comma { "\n" } else { space(&before, token, blank) });
        }
        if token.is_mark("(") {
            queries.push(false);
        } else if token.is_mark(")") {
            queries.pop();
        } else if (token.is_word("SELECT") || token.is_word("WITH"))
            && let Some(last) = queries.last_mut()
        {
            *last = true;
        }
        match token.kind {
            TokenKind::Word => text.push_str(&token.text.to_ascii_lowercase()),
            _ => text.push_str(token.text),
        }
        (before, blank) = (Some(*token), false);
    }
    text
}

fn is_listed(token: &Token<'_>, words: &[&str]) -> bool {
    words.iter().any(|word| token.is_word(word))
}

fn begins_line(before: &Token<'_>, token: &Token<'_>) -> bool {
    is_listed(token, CLAUSES) && !is_listed(before, TOGETHER) && !before.is_mark(".")
}

/// Whether white space between the two may decide what they mean: `1e5` and `1 e5`, `>=` and `> =`, `raw:name` and `raw :name`.
fn blank_matters(before: &Token<'_>, token: &Token<'_>) -> bool {
    let is_operator = |token: &Token<'_>| {
        token.kind == TokenKind::Mark && !matches!(token.text, "(" | ")" | "[" | "]" | "," | "." | ";" | "::")
    };
    let is_colon = |token: &Token<'_>| token.kind == TokenKind::Placeholder || token.is_mark(":");
    let of_number = |one: &Token<'_>, other: &Token<'_>| {
        one.kind == TokenKind::Number && (other.kind == TokenKind::Word || other.is_mark("."))
    };
    let is_quoted = |token: &Token<'_>| matches!(token.kind, TokenKind::Text | TokenKind::Name);
    of_number(before, token)
        || (before.is_mark(".") && token.kind == TokenKind::Number)
        || (is_operator(before) && is_operator(token))
        || is_colon(before)
        || is_colon(token)
        // U&"..." and X'...'; two literals side by side may be one.
        || (before.kind == TokenKind::Word && (token.is_mark("&") || is_quoted(token)))
        || (before.is_mark("&") && is_quoted(token))
        || (is_quoted(before) && is_quoted(token))
}

fn space(before: &Token<'_>, token: &Token<'_>, blank: bool) -> &'static str {
    let tight_before = [")", "]", ",", ".", "::", "["].iter().any(|mark| token.is_mark(mark));
    let tight_behind = ["(", "[", ".", "::"].iter().any(|mark| before.is_mark(mark));
    let is_call = token.is_mark("(") && matches!(before.kind, TokenKind::Word | TokenKind::Name);
    let is_tight =
        if blank_matters(before, token) { !blank } else { tight_before || tight_behind || is_call };
    if is_tight { "" } else { " " }
}

/// Returns SQL with every string literal masked. SQL with an unterminated quote is masked whole.
pub fn masked(sql: &str, dialect: Dialect) -> String {
    let Ok(tokens) = lex(sql, dialect) else { return MASK.to_owned() };
    let shown = |token: Token<'_>| {
        if token.kind == TokenKind::Text { MASK.to_owned() } else { token.text.to_owned() }
    };
    tokens.into_iter().map(shown).collect()
}

/// Lists the lines of `before` that `after` lacks, then those that it added, a bounded number of both.
pub(super) fn changed_lines(before: &str, after: &str) -> Vec<String> {
    let lost = without(before, after).map(|line| format!("- {line}"));
    let gained = without(after, before).map(|line| format!("+ {line}"));
    let mut lines: Vec<String> =
        lost.chain(gained).map(|line| bounded(&plain_line(&line), LONGEST_LINE)).collect();
    let all = lines.len();
    if all == 0 && before.lines().count() > 1 {
        return vec!["the same lines in another order".to_owned()];
    }
    if all > MOST_LINES {
        lines.truncate(MOST_LINES);
        lines.push(format!("and {} more lines", all - MOST_LINES));
    }
    lines
}

/// Yields the lines of one text that the other lacks, counting repeated ones.
fn without<'t>(one: &'t str, other: &'t str) -> impl Iterator<Item = &'t str> {
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for line in other.lines() {
        *there.entry(line).or_default() += 1;
    }
    one.lines().filter(move |line| match there.get_mut(line) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    })
}
