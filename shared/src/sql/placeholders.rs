//! Finds the placeholders of a statement, and ignores text that only resembles them.

use super::dialect::Dialect;
use super::lexer::{TokenKind, lex};
use super::statement::{Parameter, Statement};

/// A statement with positional placeholders.
#[derive(Debug, PartialEq)]
pub struct Rendered<'s> {
    /// The SQL, with `?` for each placeholder.
    pub sql: String,
    /// The value of each `?`; a name that is used twice occurs twice.
    pub values: Vec<&'s Parameter>,
}

/// An error in the text of a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("no value is bound to :{0}")]
    Unbound(String),
    /// A value without a placeholder, which is probably misspelt.
    #[error("the SQL has no placeholder :{0}")]
    Unused(String),
    #[error(":{0} is bound twice")]
    BoundTwice(String),
    /// One driver would treat `?` as a placeholder, the other would not.
    #[error("it has a bare ?; name the placeholder")]
    QuestionMark,
    /// The rest of the statement would be read as part of it.
    #[error("it has an unterminated {0}")]
    Unterminated(&'static str),
    /// C libraries would read only up to it.
    #[error("it has a NUL character")]
    Zero,
    #[error("it is empty")]
    Empty,
}

/// Renders a statement with positional placeholders.
///
/// * string literals, quoted names, comments and PostgreSQL's dollar quotes => unchanged (but comments are removed for
///   SQLite)
/// * `::` (a cast), and a colon directly after a word or a bracket (a JSON path, a slice) => unchanged
/// * `:name` => `?`, once per use
pub(super) fn render(statement: &Statement, dialect: Dialect) -> Result<Rendered<'_>, Problem> {
    let parameters = statement.parameters();
    for (index, parameter) in parameters.iter().enumerate() {
        if parameters.iter().take(index).any(|other| other.name == parameter.name) {
            return Err(Problem::BoundTwice(parameter.name.clone()));
        }
    }
    let sql = statement.sql();
    if sql.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if sql.contains('\0') {
        return Err(Problem::Zero);
    }
    let mut rendered = Rendered { sql: String::with_capacity(sql.len()), values: Vec::new() };
    for token in lex(sql, dialect).map_err(|unterminated| Problem::Unterminated(unterminated.what))? {
        match token.kind {
            // SQLite's driver does not recognize comments, and would find placeholders and quotes in them.
            TokenKind::Comment if dialect == Dialect::Sqlite => rendered.sql.push(' '),
            TokenKind::Placeholder => {
                let name = token.text.trim_start_matches(':');
                let parameter = parameters.iter().find(|parameter| parameter.name == name);
                rendered.values.push(parameter.ok_or_else(|| Problem::Unbound(name.to_owned()))?);
                rendered.sql.push('?');
            }
            TokenKind::Mark if token.text == "?" => return Err(Problem::QuestionMark),
            _ => rendered.sql.push_str(token.text),
        }
    }
    let used = |parameter: &Parameter| rendered.values.iter().any(|value| value.name == parameter.name);
    match parameters.iter().find(|parameter| !used(parameter)) {
        Some(unused) => Err(Problem::Unused(unused.name.clone())),
        None => Ok(rendered),
    }
}

#[cfg(test)]
mod tests;
