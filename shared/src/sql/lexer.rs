//! Splits SQL into tokens by each dialect's quotes and comments. Lossless: the concatenated tokens are the text.

use super::dialect::Dialect;

/// A piece of SQL, and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'t> {
    pub kind: TokenKind,
    pub text: &'t str,
    /// The byte offset of its beginning.
    pub at: usize,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Space,
    Comment,
    /// A keyword or a bare name.
    Word,
    /// Digits only: `1.5e3` is a number, a dot, a number and a word, as PostgreSQL before 15 splits `1INTO`.
    Number,
    /// A string literal, also in dollar quotes, with its prefix if the prefix changes how it is read.
    Text,
    /// A quoted name.
    Name,
    /// `:name`.
    Placeholder,
    /// One character of punctuation, or `::`.
    Mark,
}

/// A quote or comment without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unterminated {what}")]
pub struct Unterminated {
    pub what: &'static str,
    /// The byte offset of its beginning.
    pub at: usize,
}

impl Token<'_> {
    /// Returns whether it is this word, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Returns whether it is this mark.
    pub fn is_mark(&self, mark: &str) -> bool {
        self.kind == TokenKind::Mark && self.text == mark
    }

    /// Returns whether it is white space or a comment.
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, TokenKind::Space | TokenKind::Comment)
    }
}

/// Splits SQL into tokens, in linear time.
pub fn lex(sql: &str, dialect: Dialect) -> Result<Vec<Token<'_>>, Unterminated> {
    let mut tokens = Vec::new();
    let (mut rest, mut before) = (sql, None);
    while let Some(first) = rest.chars().next() {
        let at = sql.len() - rest.len();
        let (kind, length) = next(rest, first, before, dialect).map_err(|what| Unterminated { what, at })?;
        let (text, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(Token { kind, text, at });
        (rest, before) = (behind, text.chars().next_back());
    }
    Ok(tokens)
}

/// Returns the kind and the length of the token that begins with `first`, after the character `before`.
fn next(
    rest: &str,
    first: char,
    before: Option<char>,
    dialect: Dialect,
) -> Result<(TokenKind, usize), &'static str> {
    use Dialect::{Databricks, PostgreSql, Sqlite};
    use TokenKind::{Comment, Mark, Name, Number, Placeholder, Space, Text, Word};
    let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    Ok(match first {
        c if c.is_whitespace() => (Space, run(char::is_whitespace)),
        c if c.is_ascii_digit() => (Number, run(|c| c.is_ascii_digit())),
        c if c != '$' && is_word(c) => {
            let length = run(is_word);
            let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
            match (dialect, word, behind.chars().next()) {
                (Databricks, "r" | "R", Some(mark @ ('\'' | '"')))
                | (PostgreSql, "e" | "E", Some(mark @ '\'')) => {
                    (Text, length + quoted(behind, mark, dialect == PostgreSql).ok_or("string literal")?)
                }
                _ => (Word, length),
            }
        }
        '-' if rest.starts_with("--") => (Comment, line(rest, dialect)),
        '/' if rest.starts_with("/*") => (Comment, block(rest, dialect != Sqlite).ok_or("comment")?),
        '\'' => (Text, quoted(rest, '\'', dialect == Databricks).ok_or("string literal")?),
        '"' if dialect == Databricks => (Text, quoted(rest, '"', true).ok_or("string literal")?),
        '"' => (Name, quoted(rest, '"', false).ok_or("quoted name")?),
        '`' if dialect != PostgreSql => (Name, quoted(rest, '`', false).ok_or("quoted name")?),
        '[' if dialect == Sqlite => (Name, rest.find(']').ok_or("quoted name")? + 1),
        '$' if dialect == PostgreSql => match dollar_tag(rest) {
            Some(tag) => {
                let inner = rest.get(tag.len()..).unwrap_or_default();
                (Text, inner.find(tag).ok_or("dollar-quoted string")? + 2 * tag.len())
            }
            None => (Mark, 1),
        },
        ':' if rest.starts_with("::") => (Mark, 2),
        // Directly after a word or a bracket, a colon begins a JSON path or the end of a slice.
        ':' if !before.is_some_and(|c| is_word(c) || matches!(c, ']' | ')' | '`' | '"' | ':')) => {
            let name = rest.get(1..).unwrap_or_default();
            match name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len()) {
                length if length > 0 && !name.starts_with(|c: char| c.is_ascii_digit()) => {
                    (Placeholder, 1 + length)
                }
                _ => (Mark, 1),
            }
        }
        c => (Mark, c.len_utf8()),
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Returns the length of the quoted text; a doubled mark does not end it.
fn quoted(rest: &str, mark: char, escapes: bool) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == mark && chars.next_if(|(_, next)| *next == mark).is_none() {
            return Some(at + mark.len_utf8());
        }
    }
    None
}

/// Returns the length of a line comment, which Spark continues after a trailing backslash.
fn line(rest: &str, dialect: Dialect) -> usize {
    let ends = |(at, c): &(usize, char)| match c {
        '\n' => dialect != Dialect::Databricks || !rest.get(..*at).is_some_and(|text| text.ends_with('\\')),
        '\r' => dialect != Dialect::Sqlite,
        _ => false,
    };
    rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at + 1)
}

/// Returns the length of a block comment. Block comments nest, except in SQLite.
fn block(rest: &str, nests: bool) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let here = rest.get(at..)?;
        if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else if here.starts_with("/*") && (nests || depth == 0) {
            depth += 1;
            at += 2;
        } else {
            at += here.chars().next()?.len_utf8();
        }
    }
}

/// Returns the opening tag of a dollar-quoted string, such as `$$` or `$body$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix('$')?;
    let length = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
    let is_tag = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.get(length..).is_some_and(|behind| behind.starts_with('$'));
    if is_tag { rest.get(..length + 2) } else { None }
}

#[cfg(test)]
mod tests;
