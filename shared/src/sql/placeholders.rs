//! Finds the placeholders of a statement, and leaves alone everything that only looks like one.

use super::dialect::Dialect;
use super::statement::{Parameter, Statement};

/// A statement with positional placeholders.
#[derive(Debug, PartialEq)]
pub struct Rendered<'s> {
    /// The SQL, with `?` for each placeholder.
    pub sql: String,
    /// What stands for each `?`; a name that is used twice is here twice.
    pub values: Vec<&'s Parameter>,
}

/// What is wrong with the text of a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A placeholder without a value.
    #[error("nothing is bound to :{0}")]
    Unbound(String),
    /// A value without a placeholder: most likely a misspelt one.
    #[error("the SQL has no placeholder :{0}")]
    Unused(String),
    #[error(":{0} is bound twice")]
    BoundTwice(String),
    /// A `?` would be taken for a placeholder by one driver and not by the other.
    #[error("it has a bare ?; name the placeholder")]
    QuestionMark,
    /// What follows would be read as part of it.
    #[error("it has {0} that does not end")]
    Unterminated(&'static str),
    /// C libraries would read up to there only.
    #[error("it has a zero character")]
    Zero,
    #[error("it is empty")]
    Empty,
}

/// Writes a statement with positional placeholders.
///
/// * string literals, quoted names, comments and PostgreSQL's dollar quotes => left alone (but no comments for SQLite)
/// * `::` (a cast), and a colon right behind a word or a bracket (a path into JSON, a slice) => left alone
/// * `:name` => `?`, once for each time it is used
pub(super) fn render(statement: &Statement, dialect: Dialect) -> Result<Rendered<'_>, Problem> {
    let parameters = statement.parameters();
    for (index, parameter) in parameters.iter().enumerate() {
        if parameters.iter().take(index).any(|other| other.name == parameter.name) {
            return Err(Problem::BoundTwice(parameter.name.clone()));
        }
    }
    let mut rendered = Rendered { sql: String::with_capacity(statement.sql().len()), values: Vec::new() };
    for piece in pieces(statement.sql(), dialect)? {
        match piece {
            Piece::Verbatim(text) => rendered.sql.push_str(text),
            // Its driver does not know comments, and would look for placeholders and quotes in them.
            Piece::Comment(_) if dialect == Dialect::Sqlite => rendered.sql.push(' '),
            Piece::Comment(text) => rendered.sql.push_str(text),
            Piece::Placeholder(name) => {
                let parameter = parameters.iter().find(|parameter| parameter.name == name);
                rendered.values.push(parameter.ok_or_else(|| Problem::Unbound(name.to_owned()))?);
                rendered.sql.push('?');
            }
        }
    }
    let used = |parameter: &Parameter| rendered.values.iter().any(|value| value.name == parameter.name);
    match parameters.iter().find(|parameter| !used(parameter)) {
        Some(unused) => Err(Problem::Unused(unused.name.clone())),
        None => Ok(rendered),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Verbatim(&'t str),
    Comment(&'t str),
    Placeholder(&'t str),
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Divides SQL into its placeholders and what is between them.
fn pieces(sql: &str, dialect: Dialect) -> Result<Vec<Piece<'_>>, Problem> {
    if sql.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if sql.contains('\0') {
        return Err(Problem::Zero);
    }
    let mut pieces = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        let before = sql.get(..at).unwrap_or_default();
        if let Some(length) = length_of_comment(rest, dialect)? {
            pieces.push(Piece::Verbatim(sql.get(begin..at).unwrap_or_default()));
            pieces.push(Piece::Comment(rest.get(..length).unwrap_or_default()));
            at += length;
            begin = at;
        } else if let Some(length) = length_of_opaque(rest, before, dialect)? {
            at += length;
        } else if let Some(name) = placeholder(rest, before) {
            pieces.push(Piece::Verbatim(sql.get(begin..at).unwrap_or_default()));
            pieces.push(Piece::Placeholder(name));
            at += 1 + name.len();
            begin = at;
        } else if rest.starts_with('?') {
            return Err(Problem::QuestionMark);
        } else if rest.starts_with("::") {
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    pieces.push(Piece::Verbatim(sql.get(begin..).unwrap_or_default()));
    Ok(pieces)
}

/// The name of the placeholder that begins here.
fn placeholder<'t>(rest: &'t str, before: &str) -> Option<&'t str> {
    let name = rest.strip_prefix(':')?;
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let belongs_to_before =
        before.ends_with(|c: char| is_word(c) || matches!(c, ']' | ')' | '`' | '"' | ':'));
    if !begins || belongs_to_before {
        return None;
    }
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    name.get(..end)
}

/// The length of the comment that begins here.
fn length_of_comment(rest: &str, dialect: Dialect) -> Result<Option<usize>, Problem> {
    if rest.starts_with("--") {
        Ok(Some(rest.find('\n').map_or(rest.len(), |end| end + 1)))
    } else if rest.starts_with("/*") {
        let length = comment(rest, dialect != Dialect::Sqlite).ok_or(Problem::Unterminated("a comment"))?;
        Ok(Some(length))
    } else {
        Ok(None)
    }
}

/// The length of what begins here and is nobody's business: a literal or a quoted name.
fn length_of_opaque(rest: &str, before: &str, dialect: Dialect) -> Result<Option<usize>, Problem> {
    let first = rest.chars().next().unwrap_or_default();
    let length = match first {
        '\'' => {
            quoted(rest, '\'', has_escapes(before, dialect)).ok_or(Problem::Unterminated("a string literal"))
        }
        // In Spark this is a string too.
        '"' => quoted(rest, '"', dialect == Dialect::Databricks && has_escapes(before, dialect))
            .ok_or(Problem::Unterminated("a quoted name")),
        '`' if dialect != Dialect::PostgreSql => {
            quoted(rest, '`', false).ok_or(Problem::Unterminated("a quoted name"))
        }
        '[' if dialect == Dialect::Sqlite => {
            rest.find(']').map(|end| end + 1).ok_or(Problem::Unterminated("a quoted name"))
        }
        '$' if dialect == Dialect::PostgreSql && !before.ends_with(is_word) => match dollar_tag(rest) {
            Some(tag) => rest
                .get(tag.len()..)
                .and_then(|inner| inner.find(tag))
                .map(|end| end + 2 * tag.len())
                .ok_or(Problem::Unterminated("a dollar-quoted string")),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    length.map(Some)
}

/// Whether a backslash escapes in the string that begins behind this.
fn has_escapes(before: &str, dialect: Dialect) -> bool {
    let prefix = before.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
    match dialect {
        // `r'...'` is a raw string.
        Dialect::Databricks => !prefix.eq_ignore_ascii_case("r"),
        Dialect::PostgreSql => prefix.eq_ignore_ascii_case("e"),
        Dialect::Sqlite => false,
    }
}

/// The length of a quoted text; a doubled mark stays within it.
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

/// The length of a comment. In SQLite the first end ends it, elsewhere comments nest.
fn comment(rest: &str, nests: bool) -> Option<usize> {
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

/// The opening of a dollar-quoted string, such as `$$` or `$body$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let end = rest.get(1..)?.find('$')? + 1;
    let name = rest.get(1..end)?;
    let is_tag = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_tag { rest.get(..=end) } else { None }
}

#[cfg(test)]
mod tests;
