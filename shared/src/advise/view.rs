//! Facts of a view from the text of its definition, which is not kept. Pure.

use crate::sql::{Dialect, Token, TokenKind, lex};

/// The facts that the definition of a view shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// Joins, those of its subqueries included.
    pub joins: u64,
    /// Whether it removes duplicates or groups rows, so that it must read all rows before it returns the first.
    pub groups: bool,
    /// The tables that it reads, in the parts that the text has: `rds.properties`.
    pub tables: Vec<String>,
}

/// Whether a view selects rows by the time of their last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selects {
    /// It compares the column with a limit.
    Recent,
    /// The column is in no condition.
    All,
    /// The column is in an expression that is not understood.
    Unclear,
}

impl Definition {
    /// Reads a definition; `None` if the text is not SQL of the dialect.
    pub fn read(text: &str, dialect: Dialect) -> Option<Self> {
        let tokens = tokens(text, dialect)?;
        let joins = tokens.iter().filter(|token| token.is_word("JOIN")).count();
        let groups = tokens.iter().zip(tokens.iter().skip(1)).any(|(token, next)| {
            (token.is_word("DISTINCT") && !next.is_word("FROM"))
                || (token.is_word("UNION") && !next.is_word("ALL"))
                || (token.is_word("GROUP") && next.is_word("BY"))
        });
        let from = |index: &usize| {
            tokens.get(*index).is_some_and(|token| token.is_word("FROM") || token.is_word("JOIN"))
        };
        let tables = (0..tokens.len()).filter(from).filter_map(|index| name(tokens.get(index + 1..)?));
        Some(Self { joins: u64::try_from(joins).unwrap_or(u64::MAX), groups, tables: tables.collect() })
    }

    /// Whether it reads this table, by schema and name at least.
    pub fn reads(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        self.tables.iter().any(|table| {
            let mut pairs = table.rsplit('.').zip(path.iter().rev());
            let parts = table.split('.').count().min(path.len());
            parts > 1 && pairs.all(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }
}

impl Selects {
    /// Looks for conditions on a column in a definition; `None` if the text is not SQL of the dialect.
    pub fn by(column: &str, text: &str, dialect: Dialect) -> Option<Self> {
        let tokens = tokens(text, dialect)?;
        // Before the first FROM are the columns that it returns.
        let first = tokens.iter().position(|token| token.is_word("FROM"))?;
        let is_column = |index: &usize| tokens.get(*index).is_some_and(|token| is_named(token, column));
        let mut found = Self::All;
        for index in (first..tokens.len()).filter(is_column) {
            if is_compared(&tokens, index) {
                return Some(Self::Recent);
            }
            found = Self::Unclear;
        }
        Some(found)
    }
}

fn tokens(text: &str, dialect: Dialect) -> Option<Vec<Token<'_>>> {
    let tokens = lex(text, dialect).ok()?;
    Some(tokens.into_iter().filter(|token| !token.is_blank()).collect())
}

/// Returns the name at the beginning, without quotes. PostgreSQL shows joins in brackets. Of a subquery it is a word of one part,
/// which is not the name of any table.
fn name(tokens: &[Token<'_>]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = tokens.iter().skip_while(|token| token.is_mark("("));
    while let Some(part) = rest.next().filter(|token| is_name(token)) {
        parts.push(bare(part));
        if !rest.next().is_some_and(|token| token.is_mark(".")) {
            break;
        }
    }
    (!parts.is_empty()).then(|| parts.join("."))
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Name)
}

fn is_named(token: &Token<'_>, name: &str) -> bool {
    is_name(token) && bare(token).eq_ignore_ascii_case(name)
}

fn bare<'t>(token: &Token<'t>) -> &'t str {
    if token.kind == TokenKind::Name { token.text.trim_matches(['"', '`', '[', ']']) } else { token.text }
}

/// Whether a limit is next to a column, which may have a qualifier: `<`, `<=`, `>`, `>=` or BETWEEN, and not `<>`.
fn is_compared(tokens: &[Token<'_>], index: usize) -> bool {
    let mark = |at: Option<usize>| -> &str {
        let token = at.and_then(|at| tokens.get(at));
        token.filter(|token| token.kind == TokenKind::Mark).map_or("", |token| token.text)
    };
    let mut start = index;
    while start > 1 && mark(Some(start - 1)) == "." {
        start -= 2;
    }
    let before = (mark(start.checked_sub(2)), mark(start.checked_sub(1)));
    let after = (mark(Some(index + 1)), mark(Some(index + 2)));
    let is_between = tokens.get(index + 1).is_some_and(|token| token.is_word("BETWEEN"));
    is_between
        || after.0 == ">"
        || (after.0 == "<" && after.1 != ">")
        || before.1 == "<"
        || (before.1 == ">" && !matches!(before.0, "<" | "-" | "="))
        || (before.1 == "=" && matches!(before.0, "<" | ">"))
}
