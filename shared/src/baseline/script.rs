//! Inserts object names into the text of a file and splits it into statements.
//!
//! Constructs that engines read differently and no file needs are refused: backslashes in strings, PostgreSQL's dollar
//! quotes, comments within comments.

use std::fmt;

use crate::data_checks::object_name;
use crate::sql::{Dialect, Token, TokenKind, lex};

/// A mistake in a file, or in its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct FileError {
    pub what: String,
    /// The remedy, unless `what` includes it.
    pub hint: Option<String>,
}

impl FileError {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    pub(super) fn plain(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }
}

/// Replaces `${crm.sfdc_dbx.sync_audit_log}` by the object's quoted name in a dialect.
pub fn expand(text: &str, dialect: Dialect) -> Result<String, FileError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let open = || FileError::new("unterminated ${", "close it with }");
        let (name, behind) = behind.split_once('}').ok_or_else(open)?;
        let quoted = object_name(dialect, name)
            .map_err(|why| FileError::plain(format!("invalid object name ${{{name}}}: {why}")))?;
        expanded.push_str(before);
        expanded.push_str(&quoted);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Splits a text into statements, at the semicolons outside strings, quoted names and comments. Comments are left
/// out: SQLite's ODBC driver takes a semicolon in one for the end of the statement. SQLite has no
/// `CREATE OR REPLACE VIEW`, so there it becomes two statements.
pub fn statements(text: &str, dialect: Dialect) -> Result<Vec<String>, FileError> {
    let mut statements = Vec::new();
    for statement in divide(text, dialect)? {
        statements.extend(runnable(statement, dialect));
    }
    if statements.is_empty() {
        return Err(FileError::new("no statement in the file", "add one, or remove the file"));
    }
    Ok(statements)
}

/// Returns whether a text has only views, so that running it again changes only definitions.
pub fn has_only_views(text: &str) -> bool {
    // Any dialect works, because only the names differ.
    let found = expand(text, Dialect::Databricks).and_then(|text| divide(&text, Dialect::Databricks));
    let is_view = |one: &String| View::of(one, Dialect::Databricks).is_some();
    found.is_ok_and(|found| !found.is_empty() && found.iter().all(is_view))
}

/// A `CREATE OR REPLACE VIEW`, in parts.
pub(super) struct View<'s> {
    /// Its quoted name.
    pub(super) name: &'s str,
    /// The text after `VIEW`, the name included.
    pub(super) behind: &'s str,
}

impl<'s> View<'s> {
    pub(super) fn of(statement: &'s str, dialect: Dialect) -> Option<Self> {
        let tokens = lex(statement, dialect).ok()?;
        let mut solid = tokens.iter().enumerate().filter(|(_, token)| !token.is_blank());
        for word in ["CREATE", "OR", "REPLACE", "VIEW"] {
            solid.next().filter(|(_, token)| token.is_word(word))?;
        }
        let (index, first) = solid.next()?;
        let behind = statement.get(first.at..)?;
        let name = tokens.iter().skip(index).take_while(|token| !token.is_blank() && !token.is_mark("("));
        let length = name.map(|token| token.text.len()).sum();
        Some(Self { name: behind.get(..length)?, behind })
    }
}

/// Returns a statement as the dialect runs it: SQLite replaces a view by dropping it first.
pub(super) fn runnable(statement: String, dialect: Dialect) -> Vec<String> {
    match View::of(&statement, dialect).filter(|_| dialect == Dialect::Sqlite) {
        Some(View { name, behind }) => {
            vec![format!("DROP VIEW IF EXISTS {name}"), format!("CREATE VIEW {behind}")]
        }
        None => vec![statement],
    }
}

/// Returns the query of a view's text, which is the text itself unless it begins with `CREATE`.
pub(super) fn query_of(text: &str, dialect: Dialect) -> &str {
    let tokens = lex(text, dialect).unwrap_or_default();
    if !tokens.iter().find(|token| !token.is_blank()).is_some_and(|token| token.is_word("CREATE")) {
        return text;
    }
    let query = tokens
        .iter()
        .find(|token| token.is_word("AS"))
        .and_then(|word| text.get(word.at + word.text.len()..));
    query.unwrap_or(text)
}

/// Splits a text into statements without comments and semicolons.
pub(super) fn divide(text: &str, dialect: Dialect) -> Result<Vec<String>, FileError> {
    let refused = |at: usize, why: String| {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        FileError::plain(format!("line {line}: {why}"))
    };
    let tokens = lex(text, dialect)
        .map_err(|error| refused(error.at, format!("unterminated {}; close it", error.what)))?;
    let mut statements = vec![String::new()];
    for token in tokens {
        if let Some(what) = ambiguous(&token) {
            let why = format!("{what}, which engines read differently; rewrite it without");
            return Err(refused(token.at, why));
        }
        if token.is_mark(";") {
            statements.push(String::new());
        } else if let Some(statement) = statements.last_mut() {
            // A comment separates words, so a line break replaces it.
            statement.push_str(if token.kind == TokenKind::Comment { "\n" } else { token.text });
        }
    }
    let trimmed =
        statements.iter().map(|statement| statement.trim()).filter(|statement| !statement.is_empty());
    Ok(trimmed.map(str::to_owned).collect())
}

/// Names the construct that engines read differently, if the token is one.
fn ambiguous(token: &Token<'_>) -> Option<&'static str> {
    let text = token.text;
    match token.kind {
        TokenKind::Comment if text.starts_with("/*") && text.get(2..)?.contains("/*") => {
            Some("a comment in a comment")
        }
        TokenKind::Text | TokenKind::Name if text.contains('\\') && !text.starts_with('`') => {
            Some("a backslash in quotes")
        }
        TokenKind::Text if text.starts_with('$') => Some("a dollar sign outside of quotes"),
        TokenKind::Word | TokenKind::Mark if text.contains('$') => Some("a dollar sign outside of quotes"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_those_of_the_dialect() {
        let text = "SELECT 1 FROM ${crm.rds.properties} p, ${crm.rds.b}";
        assert_eq!(expand(text, Dialect::Sqlite).unwrap(), "SELECT 1 FROM `rds.properties` p, `rds.b`");
        assert_eq!(
            expand(text, Dialect::PostgreSql).unwrap(),
            "SELECT 1 FROM \"rds\".\"properties\" p, \"rds\".\"b\""
        );
        let open = expand("${a", Dialect::Sqlite).unwrap_err().to_string();
        assert_eq!(open, "unterminated ${; close it with }");
        assert_eq!(
            expand("${a..b}", Dialect::Sqlite).unwrap_err().to_string(),
            "invalid object name ${a..b}: a part of the name is empty"
        );
    }

    #[test]
    fn only_unquoted_semicolons_split_statements() {
        let text = "-- it's; one\nSELECT ';', \"a;b\", `c;d`, 'it''s;'/* ; ' */AS e;\n\n;; SELECT 2 -- the end; really";
        assert_eq!(
            statements(text, Dialect::Sqlite).unwrap(),
            ["SELECT ';', \"a;b\", `c;d`, 'it''s;'\nAS e", "SELECT 2"]
        );
    }

    #[test]
    fn unterminated_and_ambiguous_text_is_refused_with_its_line() {
        let refused = |text| statements(text, Dialect::Databricks).unwrap_err().to_string();
        assert_eq!(refused("SELECT 1;\nSELECT 'a;"), "line 2: unterminated string literal; close it");
        assert_eq!(refused("/* a"), "line 1: unterminated comment; close it");
        for (dialect, text) in [
            (Dialect::PostgreSql, "SELECT 'a\\';"),
            (Dialect::Databricks, "SELECT 'a\\b';"),
            (Dialect::Databricks, "SELECT r'a\\b';"),
            (Dialect::Databricks, "SELECT /* a /* b */ 1 */ 2;"),
            (Dialect::Sqlite, "SELECT /* a /* b */ 2;"),
            (Dialect::PostgreSql, "DO $$ BEGIN; END $$;"),
            (Dialect::Databricks, "DO $$ BEGIN; END $$;"),
            (Dialect::Sqlite, "SELECT a$b"),
        ] {
            let problem = statements(text, dialect).unwrap_err();
            assert!(problem.what.starts_with("line 1: "), "{text}: {problem}");
            assert!(problem.what.contains("engines read differently"), "{text}: {problem}");
        }
        assert_eq!(refused(" -- nothing\n;;"), "no statement in the file; add one, or remove the file");
    }

    #[test]
    fn sqlite_drops_a_view_before_it_creates_it() {
        let text =
            "-- why\ncreate or replace\n view `a.``b` (c) AS SELECT 1; CREATE OR REPLACE VIEW v AS SELECT 2;";
        assert_eq!(
            statements(text, Dialect::Sqlite).unwrap(),
            [
                "DROP VIEW IF EXISTS `a.``b`",
                "CREATE VIEW `a.``b` (c) AS SELECT 1",
                "DROP VIEW IF EXISTS v",
                "CREATE VIEW v AS SELECT 2"
            ]
        );
        assert_eq!(statements(text, Dialect::PostgreSql).unwrap().len(), 2);
        assert!(has_only_views("-- why\nCREATE OR REPLACE VIEW ${a.b} AS SELECT 1;"));
        assert!(!has_only_views("-- CREATE OR REPLACE VIEW v\nCREATE TABLE t (a INTEGER)"));
        assert!(!has_only_views("-- nothing"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_keeps_all_but_comments(text in "[a-z;'\"`/* \n\\\\$é]{0,40}") {
            if let Ok(found) = statements(&text, Dialect::PostgreSql)
                && !text.contains("/*")
            {
                let squeezed =
                    |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ';').collect::<String>();
                prop_assert_eq!(squeezed(&found.concat()), squeezed(&text));
            }
        }

        #[test]
        fn quoted_semicolon_never_splits(inner in "[a-z;\" ]{0,10}", count in 1_usize..4) {
            let text = vec![format!("SELECT '{inner}'"); count].join(";");
            prop_assert_eq!(statements(&text, Dialect::Sqlite).unwrap().len(), count);
        }
    }
}
