//! Checks that a statement in `pipeline.toml` only reads.
//!
//! The first line of defence is the warehouse account, which should have only the right to read: a user-defined
//! function in the warehouse may do anything. This is the second line. It accepts any single query, and refuses words
//! and functions that are known to write, lock, run code or leave the database.

use super::dialect::Dialect;
use super::lexer::{Token, TokenKind, Unterminated, lex};

/// The reason for which a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReadOnly {
    #[error("the statement does not begin with SELECT or WITH")]
    NoSelect,
    /// A word that makes a query write, lock or run a script.
    #[error("found the word {0}, which writes, locks or runs a script")]
    Word(String),
    #[error("found a call of {0}, which may change something or leave the database")]
    Function(String),
    #[error("found a query of the file {0}")]
    File(String),
    #[error("found {0:?} outside of quotes")]
    Character(char),
    /// Warehouses differ in whether the quote ends there.
    #[error("found a backslash before a quotation mark")]
    Backslash,
    #[error("found the placeholder :{0}")]
    Placeholder(String),
    #[error(transparent)]
    Unterminated(#[from] Unterminated),
}

impl NotReadOnly {
    /// Returns how to correct the statement.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoSelect => "write one SELECT, or WITH ... SELECT",
            Self::Word(_) => "remove it; if it is the name of a column, quote it",
            Self::Function(_) => "compute the figure from tables without it",
            Self::File(_) => "query a table",
            Self::Character(';') => "write one statement without `;`",
            Self::Character(_) => "remove it; if it is part of a name, quote the name",
            Self::Backslash => "double the quotation mark instead",
            Self::Placeholder(_) => "use only :from and :to, with a window",
            Self::Unterminated(_) => "close it",
        }
    }
}

/// Words that make a query write, at any position. All other writing statements begin with their keyword.
const WRITES: &[&str] = &["INSERT", "UPDATE", "DELETE", "MERGE", "INTO"];

/// Spark formats whose name before a path queries the file at that path.
const FILES: &str = "avro binaryfile csv delta json orc parquet text xml";

/// Functions with effects, functions that run text as SQL or code, and functions that access files or the network. A
/// star matches any ending.
const EFFECTS: &str = "nextval setval set_config lo_* loread lowrite dblink* query_to_xml* cursor_to_xml* \
    table_to_xml* schema_to_xml* database_to_xml* xpath_table crosstab* connectby ts_stat ts_rewrite \
    txid_current postgres_fdw_* plpgsql_* binary_upgrade_* gin_clean_pending_list brin_* create_* drop_* alter_* \
    schedule schedule_in_database unschedule query_export_to_s3 table_import_from_s3 invoke http* identifier \
    ai_* remote_query read_* list_files list_secrets secret try_secret cloud_files* vector_search java_method \
    reflect try_reflect \
    load_extension readfile writefile edit eval fsdir fts3_tokenizer zipfile sqlar_*";

/// The only accepted functions named `pg_*`: many of PostgreSQL's own functions administer the server.
const HARMLESS: &str = "pg_get_* pg_stat_get_* pg_table_* pg_total_relation_size pg_relation_size pg_relation_filenode \
    pg_indexes_size pg_index_* pg_indexam_* pg_database_size pg_tablespace_* pg_size_* pg_column_* pg_typeof pg_is_* \
    pg_has_role pg_current_wal_* pg_last_* pg_wal_lsn_diff pg_postmaster_start_time pg_conf_load_time pg_backend_pid \
    pg_blocking_pids pg_safe_snapshot_blocking_pids pg_my_temp_schema pg_encoding_to_char pg_char_to_encoding \
    pg_client_encoding pg_collation_* pg_function_is_visible pg_type_is_visible pg_options_to_table pg_partition_* \
    pg_input_*";

/// Checks that a statement is one query that only reads, and returns the placeholders that it uses.
pub fn check_read_only<'s>(
    sql: &'s str,
    dialect: Dialect,
    placeholders: &[&str],
) -> Result<Vec<&'s str>, NotReadOnly> {
    let tokens = lex(sql, dialect)?;
    // Drivers are in C and read up to a NUL; in PostgreSQL, non-ASCII spaces are part of a word.
    let spaces =
        tokens.iter().filter(|token| token.kind == TokenKind::Space).flat_map(|space| space.text.chars());
    let zero = sql.chars().filter(|c| *c == '\0');
    if let Some(c) = spaces.filter(|c| !c.is_ascii()).chain(zero).next() {
        return Err(NotReadOnly::Character(c));
    }
    // Only Spark continues the comment on the next line.
    if tokens.iter().any(|token| token.kind == TokenKind::Comment && token.text.contains("\\\n")) {
        return Err(NotReadOnly::Character('\\'));
    }
    let tokens: Vec<_> = tokens.into_iter().filter(|token| !token.is_blank()).collect();
    let first = tokens.iter().find(|token| !token.is_mark("("));
    if !first.is_some_and(|first| first.is_word("SELECT") || first.is_word("WITH")) {
        return Err(NotReadOnly::NoSelect);
    }
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let around = |offset: usize| tokens.get(index + offset);
        match token.kind {
            TokenKind::Word => check_word(token, around(1), around(2))?,
            TokenKind::Mark => check_mark(token.text, dialect)?,
            TokenKind::Text | TokenKind::Name if has_backslash_before_mark(token.text) => {
                return Err(NotReadOnly::Backslash);
            }
            TokenKind::Placeholder => {
                let name = token.text.trim_start_matches(':');
                if !placeholders.contains(&name) {
                    return Err(NotReadOnly::Placeholder(name.to_owned()));
                }
                found.push(name);
            }
            _ => {}
        }
        // Any name before a bracket is a call, also in quotes.
        if around(1).is_some_and(|next| next.is_mark("(")) && has_effects(token.text) {
            return Err(NotReadOnly::Function(token.text.to_owned()));
        }
    }
    Ok(found)
}

fn check_word(
    word: &Token<'_>,
    next: Option<&Token<'_>>,
    second: Option<&Token<'_>>,
) -> Result<(), NotReadOnly> {
    // Engines that fold case by Unicode accept more characters as letters of a keyword.
    if let Some(other) = word.text.chars().find(|c| !c.is_ascii() || *c == '$') {
        return Err(NotReadOnly::Character(other));
    }
    let next_is = |word: &str| next.is_some_and(|next| next.is_word(word));
    let next_is_mark = |mark: &str| next.is_some_and(|next| next.is_mark(mark));
    let second_name = second.filter(|second| second.kind == TokenKind::Name).map(|name| name.text);
    let locks = word.is_word("FOR")
        && (next_is("SHARE") || next_is("KEY") && second.is_some_and(|second| second.is_word("SHARE")));
    // Spark's TRANSFORM ... USING 'script'.
    let runs = word.is_word("USING") && next.is_some_and(|next| next.kind == TokenKind::Text);
    if locks || runs || WRITES.iter().any(|writes| word.is_word(writes)) {
        return Err(NotReadOnly::Word(word.text.to_uppercase()));
    }
    match second_name {
        // PostgreSQL's U&"..." hides the characters of a name.
        Some(_) if word.is_word("U") && next_is_mark("&") => Err(NotReadOnly::Character('&')),
        Some(path)
            if next_is_mark(".")
                && path.contains(['/', ':'])
                && is_listed(&word.text.to_ascii_lowercase(), FILES) =>
        {
            Err(NotReadOnly::File(format!("{}.{path}", word.text)))
        }
        _ => Ok(()),
    }
}

fn check_mark(mark: &str, dialect: Dialect) -> Result<(), NotReadOnly> {
    let allowed = match dialect {
        Dialect::PostgreSql => "(),.*+-/%<>=!|:[]&^~@#",
        Dialect::Databricks => "(),.*+-/%<>=!|:[]&^~@",
        Dialect::Sqlite => "(),.*+-/%<>=!|:&~",
    };
    mark.chars().find(|c| !allowed.contains(*c)).map_or(Ok(()), |c| Err(NotReadOnly::Character(c)))
}

/// Returns whether the end of the text depends on backslash escapes, which a setting may enable.
fn has_backslash_before_mark(text: &str) -> bool {
    let mut backslashes = 0;
    text.chars().any(|c| {
        let is_odd = backslashes % 2 == 1;
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        is_odd && matches!(c, '\'' | '"' | '`')
    })
}

fn has_effects(name: &str) -> bool {
    let name = name.trim_matches(['"', '`', '[', ']', '\'']).to_ascii_lowercase();
    if name.starts_with("pg_") { !is_listed(&name, HARMLESS) } else { is_listed(&name, EFFECTS) }
}

fn is_listed(name: &str, list: &str) -> bool {
    list.split_whitespace().any(|listed| match listed.strip_suffix('*') {
        Some(head) => name.starts_with(head),
        None => name == listed,
    })
}

#[cfg(test)]
mod tests;
