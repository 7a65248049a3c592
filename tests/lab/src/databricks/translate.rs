//! From the SQL of Databricks to that of SQLite, as far as the two must differ, and refusals of the rest.

/// Why a statement is refused, as Spark would word it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) String);

/// What kind of statement it is, and what SQLite is to run for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Translated {
    Query(String),
    /// It writes, or makes objects; nothing to run if SQLite has no such objects.
    Write(Vec<String>),
}

/// What SQLite takes and Spark does not, or what the lab does not know.
const REFUSED: [&str; 22] = [
    "CONFLICT",
    "PRAGMA",
    "AUTOINCREMENT",
    "STRFTIME",
    "JULIANDAY",
    "DATETIME",
    "GLOB",
    "ROWID",
    "ATTACH",
    "VACUUM",
    "RETURNING",
    "IFNULL",
    "PRINTF",
    "GROUP_CONCAT",
    "TOTAL",
    "MERGE",
    "OPTIMIZE",
    "QUALIFY",
    "ILIKE",
    "TRY_CAST",
    "PRIMARY",
    "INDEX",
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, a name, or a name of several parts.
    Path(Vec<String>),
    Text(String),
    Blank(String),
    Mark(char),
}

/// Translates a statement.
///
/// * names of three parts become one name of the last two
/// * `CREATE SCHEMA`          => nothing, SQLite has none
/// * `CREATE TABLE`           => without its `CLUSTER BY`
/// * `CREATE OR REPLACE VIEW` => dropped and made
/// * `day - INTERVAL '7' DAY` => SQLite's `DATE(day, '-7 days')`
pub(super) fn to_sqlite(sql: &str) -> Result<Translated, Refusal> {
    let tokens = tokens(sql)?;
    let words: Vec<String> = tokens.iter().filter_map(word).take(4).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(refused) = tokens.iter().filter_map(word).find(|word| REFUSED.contains(&word.as_str())) {
        return Err(syntax(&refused));
    }
    match words.as_slice() {
        ["SELECT" | "WITH", ..] => Ok(Translated::Query(render(&intervals(tokens)))),
        ["INSERT", "INTO", ..] | ["DELETE", "FROM", ..] | ["UPDATE", ..] => {
            Ok(Translated::Write(vec![render(&intervals(tokens))]))
        }
        ["DROP", "TABLE" | "VIEW", ..] => Ok(Translated::Write(vec![render(&tokens)])),
        ["CREATE", "SCHEMA", ..] => Ok(Translated::Write(Vec::new())),
        ["CREATE", "TABLE", ..] => Ok(Translated::Write(vec![render(without_clustering(&tokens))])),
        ["CREATE", "OR", "REPLACE", "VIEW"] => {
            let tokens = intervals(tokens);
            let solid = |(_, token): &(usize, &Token)| !matches!(token, Token::Blank(_));
            // The name is the fifth of what is no blank.
            let (at, name) =
                tokens.iter().enumerate().filter(solid).nth(4).ok_or_else(|| syntax("end of input"))?;
            let name = render(std::slice::from_ref(name));
            let behind = render(tokens.get(at + 1..).unwrap_or_default());
            Ok(Translated::Write(vec![
                format!("DROP VIEW IF EXISTS {name}"),
                format!("CREATE VIEW {name}{behind}"),
            ]))
        }
        [first, ..] => Err(syntax(first)),
        [] => Err(syntax("end of input")),
    }
}

fn syntax(near: &str) -> Refusal {
    Refusal(format!(
        "[PARSE_SYNTAX_ERROR] Syntax error at or near '{near}' (the lab takes portable SQL only)."
    ))
}

/// A word that stands alone, in capitals.
fn word(token: &Token) -> Option<String> {
    match token {
        Token::Path(parts) => match parts.as_slice() {
            [only] if !only.starts_with('`') => Some(only.to_ascii_uppercase()),
            _ => None,
        },
        _ => None,
    }
}

fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                return Err(Refusal(
                    "a text in double quotes is a string in Spark; quote names in backticks".to_owned(),
                ));
            }
            '?' => {
                return Err(Refusal(
                    "[PARSE_SYNTAX_ERROR] '?' is no parameter of this API; name it".to_owned(),
                ));
            }
            '\'' => {
                let length = quoted(rest, '\'').ok_or_else(|| syntax("'"))?;
                let text = rest.get(..length).unwrap_or_default();
                if text.contains('\\') {
                    return Err(Refusal(
                        "a backslash in a string escapes in Spark; the lab takes none".to_owned(),
                    ));
                }
                tokens.push(Token::Text(text.to_owned()));
                length
            }
            '-' if rest.starts_with("--") => {
                blank(&mut tokens, rest, rest.find('\n').map_or(rest.len(), |end| end + 1))
            }
            '/' if rest.starts_with("/*") => {
                blank(&mut tokens, rest, rest.find("*/").map_or(rest.len(), |end| end + 2))
            }
            c if c.is_whitespace() => blank(&mut tokens, rest, c.len_utf8()),
            ':' => {
                // A parameter: its name is no word of SQL.
                let length = 1 + rest.get(1..).map_or(0, word_length);
                tokens.extend(rest.get(..length).unwrap_or_default().chars().map(Token::Mark));
                length
            }
            c if c == '`' || is_word(c) => {
                let (parts, length) = path(rest)?;
                tokens.push(Token::Path(parts));
                length
            }
            c => {
                tokens.push(Token::Mark(c));
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(tokens)
}

fn blank(tokens: &mut Vec<Token>, rest: &str, length: usize) -> usize {
    tokens.push(Token::Blank(rest.get(..length).unwrap_or_default().to_owned()));
    length
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_length(rest: &str) -> usize {
    rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
}

fn quoted(rest: &str, mark: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == mark && chars.next_if(|(_, next)| *next == mark).is_none() {
            return Some(at + mark.len_utf8());
        }
    }
    None
}

/// A name with its parts, and how long it is. Numbers are read as such a name too: `1.5` has two parts.
fn path(rest: &str) -> Result<(Vec<String>, usize), Refusal> {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        let here = rest.get(at..).unwrap_or_default();
        let length = if here.starts_with('`') {
            quoted(here, '`').ok_or_else(|| syntax("`"))?
        } else {
            word_length(here)
        };
        parts.push(here.get(..length).unwrap_or_default().to_owned());
        at += length;
        let next = rest.get(at..).unwrap_or_default();
        if !next.strip_prefix('.').is_some_and(|n| n.starts_with(|c: char| c == '`' || is_word(c))) {
            return Ok((parts, at));
        }
        at += 1;
    }
}

/// `day - INTERVAL '7' DAY` => `DATE(day, '-7 days')`.
fn intervals(mut tokens: Vec<Token>) -> Vec<Token> {
    let is = |token: &Token, wanted: &str| word(token).is_some_and(|word| word == wanted);
    while let Some(begin) = tokens.iter().position(|token| is(token, "INTERVAL")) {
        let solid = |index: &usize| !matches!(tokens.get(*index), Some(Token::Blank(_)) | None);
        let before: Vec<usize> = (0..begin).rev().filter(solid).take(2).collect();
        let behind: Vec<usize> = (begin + 1..tokens.len()).filter(solid).take(2).collect();
        let (&[minus, day], &[number, unit]) = (before.as_slice(), behind.as_slice()) else { break };
        let (
            Some(Token::Mark('-')),
            Some(Token::Path(day_parts)),
            Some(Token::Text(number)),
            Some(unit_token),
        ) = (tokens.get(minus), tokens.get(day), tokens.get(number), tokens.get(unit))
        else {
            break;
        };
        if !is(unit_token, "DAY") {
            break;
        }
        let date = format!("DATE({}, '-{} days')", day_parts.join("."), number.trim_matches('\''));
        tokens.splice(day..=unit, [Token::Blank(date)]);
    }
    tokens
}

fn without_clustering(tokens: &[Token]) -> &[Token] {
    let clustering = |token: &Token| word(token).is_some_and(|word| word == "CLUSTER");
    let end = tokens.iter().position(clustering).unwrap_or(tokens.len());
    tokens.get(..end).unwrap_or_default()
}

fn render(tokens: &[Token]) -> String {
    let mut sql = String::new();
    for token in tokens {
        match token {
            Token::Text(text) | Token::Blank(text) => sql.push_str(text),
            Token::Mark(mark) => sql.push(*mark),
            Token::Path(parts) => sql.push_str(&name(parts)),
        }
    }
    sql
}

/// A name of three parts is that of an object; what is behind them is a column of it.
fn name(parts: &[String]) -> String {
    let bare =
        |part: &String| part.strip_prefix('`').and_then(|p| p.strip_suffix('`')).unwrap_or(part).to_owned();
    match parts {
        [_, schema, table, columns @ ..] => {
            let object = format!("`{}.{}`", bare(schema), bare(table));
            std::iter::once(object).chain(columns.iter().cloned()).collect::<Vec<_>>().join(".")
        }
        parts => parts.join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(sql: &str) -> String {
        match to_sqlite(sql).unwrap() {
            Translated::Query(sql) => sql,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_get_their_name_of_one_part_and_nothing_else_changes() {
        assert_eq!(
            query(
                "SELECT p.`a`, 1.5, 'crm.a.b', :since -- crm.a.b\nFROM `crm`.`rds`.`x` p JOIN crm.rds.y ON `crm`.`rds`.`x`.id = 1"
            ),
            "SELECT p.`a`, 1.5, 'crm.a.b', :since -- crm.a.b\nFROM `rds.x` p JOIN `rds.y` ON `rds.x`.id = 1"
        );
    }

    #[test]
    fn what_must_differ_is_written_in_sqlites_words() {
        assert_eq!(
            query("SELECT 1 WHERE a > n.day - INTERVAL '7' DAY"),
            "SELECT 1 WHERE a > DATE(n.day, '-7 days')"
        );
        let write = |sql| match to_sqlite(sql).unwrap() {
            Translated::Write(sql) => sql,
            other => panic!("{other:?}"),
        };
        assert_eq!(write("CREATE SCHEMA IF NOT EXISTS `crm`.`rds`"), [""; 0]);
        assert_eq!(
            write("CREATE TABLE a.b.c (d STRING)\nCLUSTER BY (d)"),
            ["CREATE TABLE `b.c` (d STRING)\n"]
        );
        assert_eq!(
            write("-- why\nCREATE OR REPLACE VIEW a.b.c AS SELECT 1"),
            ["DROP VIEW IF EXISTS `b.c`", "CREATE VIEW `b.c` AS SELECT 1"]
        );
    }

    #[test]
    fn what_spark_reads_otherwise_or_not_at_all_is_refused() {
        for sql in [
            "SELECT \"a\"",
            "SELECT ?",
            "SELECT strftime('%s', a)",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT OR REPLACE INTO t VALUES (1)",
            "CREATE INDEX i ON t (a)",
            "CREATE TABLE t (a INT PRIMARY KEY)",
            "PRAGMA user_version",
            "SELECT 'a\\'",
            "OPTIMIZE a.b.c",
            "SET x = 1",
            " -- nothing",
        ] {
            assert!(to_sqlite(sql).is_err(), "{sql}");
        }
        // As the name of a parameter or in a text it is no word of SQL.
        assert!(to_sqlite("SELECT 'pragma', :merge").is_ok());
    }
}
