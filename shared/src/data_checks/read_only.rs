//! Whether a statement that somebody wrote into `pipeline.toml` surely does nothing but read.
//!
//! The first line of defence is the warehouse account, which should be allowed to read and no more. This is the
//! second, and it errs on the safe side: what it does not know is refused, so a statement may have to be written plainer.

use super::compile::{FROM, TO};

/// Why a statement is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReadOnly {
    #[error("it does not begin with SELECT or WITH")]
    NoSelect,
    /// Statements that change something have such a word, wherever it stands.
    #[error("it has the word {0}")]
    Word(String),
    /// A function that may do more than compute.
    #[error("it calls {0}, which is not one of the functions that only compute")]
    Function(String),
    /// What has a meaning of its own in one warehouse or another, such as `;`, a comment or a backslash.
    #[error("it has {0:?} outside of a quoted text or name")]
    Character(char),
    /// A placeholder that nothing is bound to.
    #[error("it has the placeholder :{0}; only :from and :to are bound, with a window")]
    Placeholder(String),
    /// A quoted text or name without an end.
    #[error("a quoted text or name does not end")]
    Unterminated,
}

/// Words that begin a statement which changes something, or are part of one.
const FORBIDDEN: [&str; 51] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "UPSERT",
    "REPLACE",
    "INTO",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "RENAME",
    "COMMENT",
    "GRANT",
    "REVOKE",
    "DENY",
    "CALL",
    "EXEC",
    "EXECUTE",
    "PREPARE",
    "DEALLOCATE",
    "DO",
    "COPY",
    "LOAD",
    "UNLOAD",
    "EXPORT",
    "IMPORT",
    "ATTACH",
    "DETACH",
    "PRAGMA",
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "OPTIMIZE",
    "REFRESH",
    "CACHE",
    "UNCACHE",
    "CLEAR",
    "USE",
    "SET",
    "RESET",
    "LOCK",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "LISTEN",
    "NOTIFY",
    "DECLARE",
    "SHARE",
];

/// Words that may stand before a bracket: the grammar's own, types, and functions that only compute.
const BEFORE_BRACKET: [&str; 70] = [
    "SELECT",
    "FROM",
    "JOIN",
    "ON",
    "USING",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "ANY",
    "ALL",
    "SOME",
    "AS",
    "WITH",
    "RECURSIVE",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "DISTINCT",
    "HAVING",
    "BY",
    "WHEN",
    "THEN",
    "ELSE",
    "CASE",
    "BETWEEN",
    "LIKE",
    "OVER",
    "FILTER",
    "VALUES",
    "LIMIT",
    "LATERAL",
    "IS",
    "VARCHAR",
    "CHAR",
    "DECIMAL",
    "NUMERIC",
    "COUNT",
    "SUM",
    "MIN",
    "MAX",
    "AVG",
    "COALESCE",
    "NULLIF",
    "CAST",
    "ABS",
    "ROUND",
    "FLOOR",
    "CEIL",
    "MOD",
    "SIGN",
    "SQRT",
    "POWER",
    "LENGTH",
    "LOWER",
    "UPPER",
    "TRIM",
    "LTRIM",
    "RTRIM",
    "SUBSTR",
    "SUBSTRING",
    "CONCAT",
    "GREATEST",
    "LEAST",
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "EXTRACT",
];

/// Whether a statement is one `SELECT` (or `WITH` ... `SELECT`) of plain SQL that only reads.
///
/// # Errors
/// [`NotReadOnly`], which names what it is that is not taken.
pub fn check_read_only(sql: &str) -> Result<(), NotReadOnly> {
    let mut chars = sql.char_indices().peekable();
    let mut first = true;
    // The word before, if nothing but white space is in between.
    let mut before: Option<String> = None;
    while let Some((at, c)) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            'a'..='z' | 'A'..='Z' | '_' => {
                let rest = sql.get(at..).unwrap_or_default();
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default().to_ascii_uppercase();
                while chars.next_if(|(next, _)| *next < at + end).is_some() {}
                if first && !["SELECT", "WITH"].contains(&word.as_str()) {
                    return Err(NotReadOnly::NoSelect);
                }
                if FORBIDDEN.contains(&word.as_str()) {
                    return Err(NotReadOnly::Word(word));
                }
                first = false;
                before = Some(word);
                continue;
            }
            _ if first => return Err(NotReadOnly::NoSelect),
            '(' => match before.take() {
                Some(word) if !BEFORE_BRACKET.contains(&word.as_str()) => {
                    return Err(NotReadOnly::Function(word));
                }
                _ => {}
            },
            '\'' | '"' | '`' => {
                let text = quoted(&mut chars, c)?;
                // A quoted name before a bracket is a call; a text is an error in any case.
                before = Some(text);
                continue;
            }
            ':' => {
                let rest = sql.get(at + 1..).unwrap_or_default();
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let name = rest.get(..end).unwrap_or_default();
                if name.is_empty() {
                    return Err(NotReadOnly::Character(':'));
                }
                if ![FROM, TO].contains(&name) {
                    return Err(NotReadOnly::Placeholder(name.to_owned()));
                }
                while chars.next_if(|(next, _)| *next <= at + end).is_some() {}
            }
            '-' if chars.peek().is_some_and(|(_, next)| *next == '-') => {
                return Err(NotReadOnly::Character('-'));
            }
            '/' if chars.peek().is_some_and(|(_, next)| *next == '*') => {
                return Err(NotReadOnly::Character('/'));
            }
            '0'..='9' | ',' | '.' | ')' | '*' | '+' | '-' | '/' | '%' | '<' | '>' | '=' | '!' | '|' => {}
            other => return Err(NotReadOnly::Character(other)),
        }
        before = None;
    }
    if first { Err(NotReadOnly::NoSelect) } else { Ok(()) }
}

/// Reads on to the end of a quoted text; a doubled mark stays within it. In one dialect a backslash escapes, in others
/// not, so there may be none.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    mark: char,
) -> Result<String, NotReadOnly> {
    let mut text = String::new();
    while let Some((_, c)) = chars.next() {
        if c == '\\' || c == '\0' {
            return Err(NotReadOnly::Character(c));
        }
        if c == mark && chars.next_if(|(_, next)| *next == mark).is_none() {
            return Ok(format!("{mark}{text}{mark}"));
        }
        text.push(c);
    }
    Err(NotReadOnly::Unterminated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_statements_that_read_are_taken() {
        for sql in [
            "SELECT COUNT(*) FROM crm.rds.properties",
            "select count(*) from a where b >= :from and b < :to",
            "WITH late AS (SELECT id FROM a WHERE note = 'drop; table -- it''s' ) SELECT COUNT(*) FROM late",
            "SELECT 100.0 * SUM(CASE WHEN x IS NULL THEN 1 ELSE 0 END) / NULLIF(COUNT(*), 0) FROM `b`.\"c d\"",
            "SELECT COUNT(*)\nFROM a\nWHERE x NOT IN ('a', 'Ünïcode') AND y <> 'x' || 'y'",
            "SELECT MAX(updated) FROM a WHERE created_at <= settled",
        ] {
            assert_eq!(check_read_only(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn what_may_do_more_than_read_is_refused_and_told_why() {
        use NotReadOnly as Why;
        let word = |word: &str| Why::Word(word.to_owned());
        let function = |name: &str| Why::Function(name.to_owned());
        for (sql, why) in [
            ("", Why::NoSelect),
            ("  ", Why::NoSelect),
            ("DELETE FROM a", Why::NoSelect),
            ("(SELECT 1)", Why::NoSelect),
            ("/* */ SELECT 1", Why::NoSelect),
            ("SELECT 1;", Why::Character(';')),
            ("SELECT 1; DROP TABLE a", Why::Character(';')),
            ("SELECT 1 -- comment", Why::Character('-')),
            ("SELECT 1 /* comment */", Why::Character('/')),
            ("SELECT 1 # comment", Why::Character('#')),
            ("SELECT a INTO b FROM c", word("INTO")),
            ("SELECT 1 FROM a FOR UPDATE", word("UPDATE")),
            ("SELECT 1 FROM a FOR SHARE", word("SHARE")),
            ("WITH d AS (DELETE FROM a RETURNING id) SELECT COUNT(*) FROM d", word("DELETE")),
            ("WITH d AS (insert into a values (1)) SELECT 1", word("INSERT")),
            ("SELECT pg_terminate_backend(1)", function("PG_TERMINATE_BACKEND")),
            ("SELECT nextval('s')", function("NEXTVAL")),
            ("SELECT set_config('a', 'b', false)", function("SET_CONFIG")),
            ("SELECT \"nextval\"('s')", function("\"nextval\"")),
            ("SELECT `java_method`  ('a')", function("`java_method`")),
            ("SELECT pg_catalog.nextval ('s')", function("NEXTVAL")),
            ("SELECT load_extension('x')", function("LOAD_EXTENSION")),
            ("SELECT 'it\\'s'", Why::Character('\\')),
            ("SELECT $$a$$", Why::Character('$')),
            ("SELECT 1 WHERE a = ?", Why::Character('?')),
            ("SELECT a::int FROM b", Why::Character(':')),
            ("SELECT :other", Why::Placeholder("other".to_owned())),
            ("SELECT [a;b] FROM c", Why::Character('[')),
            ("SELECT 'open", Why::Unterminated),
            ("SELECT \"open", Why::Unterminated),
            ("SELECT \u{ff1b} 1", Why::Character('\u{ff1b}')),
            ("SELECT 1\0", Why::Character('\0')),
        ] {
            assert_eq!(check_read_only(sql), Err(why), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail_otherwise(sql in ".{0,80}") {
            let _ = check_read_only(&sql);
            let _ = check_read_only(&format!("SELECT {sql}"));
        }

        #[test]
        fn nothing_that_is_taken_can_end_the_statement_and_begin_another(
            head in "[a-z0-9'\"`(): \\-/*;]{0,20}",
            tail in "(DROP TABLE a|delete from b|; SELECT 2)",
        ) {
            let sql = format!("SELECT {head} {tail}");
            // Taken only if the whole tail is within quotes.
            if check_read_only(&sql).is_ok() {
                prop_assert!(head.contains(['\'', '"', '`']));
            }
        }

        #[test]
        fn what_is_within_quotes_is_nobodys_business(inner in "[^\\\\'\\x00]{0,40}") {
            prop_assert_eq!(check_read_only(&format!("SELECT COUNT(*) FROM a WHERE b = '{inner}'")), Ok(()));
        }
    }
}
