//! Translates the SQL of Databricks to that of SQLite where the two differ, and refuses the rest.

use std::ops::Range;

use syncwatch::sql::{Dialect, Token, TokenKind, lex};

/// The reason of a refusal, in Spark's wording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) String);

/// A translated statement, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Translated {
    Query(String),
    /// Writes, or creates objects; empty if SQLite has no such objects.
    Write(Vec<String>),
}

/// Words that SQLite accepts and Spark does not, or that the lab does not support.
const REFUSED: &str = "CONFLICT PRAGMA AUTOINCREMENT STRFTIME JULIANDAY DATETIME GLOB ROWID ATTACH VACUUM RETURNING IFNULL PRINTF \
    GROUP_CONCAT TOTAL OPTIMIZE QUALIFY ILIKE TRY_CAST PRIMARY INDEX JSON_EACH JSON_EXTRACT";

/// A token for SQLite; a name of several parts is a single one.
struct Piece {
    kind: TokenKind,
    sql: String,
    /// A word that is not part of a name, in capitals.
    word: Option<String>,
}

/// Translates a statement.
///
/// * names of three parts become a single name of the last two
/// * `CREATE SCHEMA`          => nothing, as SQLite has none
/// * `CREATE TABLE`           => without `CLUSTER BY`, and with an index on its first column, as Spark joins by hashes
/// * `CREATE OR REPLACE VIEW` => dropped and created
/// * `day - INTERVAL '7' DAY` => SQLite's `DATE(day, '-7 days')`
/// * `explode(from_json(:p, 'ARRAY<ARRAY<STRING>>', map('mode', 'FAILFAST'))) AS v` => `value AS v FROM json_each(:p)`
/// * `UNIX_SECONDS(CAST(i AS TIMESTAMP))`, `UNIX_MICROS(...)` => `STRFTIME('%s', i)`, in whole seconds
/// * `... AS s FULL OUTER JOIN ... AS d ON s.j = d.j` => joins to the list of both keys, as Spark joins by hashes
/// * `r.v[2]`                 => `json_extract(r.v, '$[2]')`; cast to `DATE` or `TIMESTAMP`, SQLite's text for it
/// * `MERGE INTO t AS a USING (q) AS b ON c WHEN MATCHED THEN UPDATE SET s` => `UPDATE t AS a SET s FROM (q) AS b WHERE c`
pub(super) fn to_sqlite(sql: &str) -> Result<Translated, Refusal> {
    let pieces = pieces(sql)?;
    let words = || pieces.iter().filter_map(|piece| piece.word.as_deref());
    if let Some(refused) = words().find(|word| REFUSED.split_whitespace().any(|refused| refused == *word)) {
        return Err(syntax(refused));
    }
    let words: Vec<String> = words().take(4).map(str::to_owned).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["SELECT" | "WITH", ..] => {
            let query = seconds(&render(&intervals(pieces)));
            Ok(Translated::Query(indexed(&query).unwrap_or(query)))
        }
        ["INSERT", "INTO", ..] | ["DELETE", "FROM", ..] | ["UPDATE", ..] => {
            Ok(Translated::Write(vec![render(&arrays(intervals(pieces)))]))
        }
        ["MERGE", "INTO", ..] => Ok(Translated::Write(vec![update(&arrays(pieces))?])),
        ["DROP", "TABLE" | "VIEW", ..] => Ok(Translated::Write(vec![render(&pieces)])),
        ["CREATE", "SCHEMA", ..] => Ok(Translated::Write(Vec::new())),
        ["CREATE", "TABLE", ..] => {
            let create = render(without_clustering(&pieces));
            Ok(Translated::Write(std::iter::once(create).chain(index(&pieces)).collect()))
        }
        ["CREATE", "OR", "REPLACE", "VIEW"] => {
            let pieces = intervals(pieces);
            // The name is the fifth token that is not blank.
            let at = solid(&pieces, 0..pieces.len()).nth(4).ok_or_else(|| syntax("end of input"))?;
            let (_, behind) = pieces.split_at_checked(at + 1).unwrap_or_default();
            let (name, behind) = (pieces.get(at).map_or("", |name| &name.sql), render(behind));
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
        "[PARSE_SYNTAX_ERROR] Syntax error at or near '{near}' (the lab accepts only portable SQL)."
    ))
}

fn pieces(sql: &str) -> Result<Vec<Piece>, Refusal> {
    let tokens = lex(sql, Dialect::Databricks).map_err(|error| syntax(error.what))?;
    let is_part = |token: &&Token<'_>| matches!(token.kind, TokenKind::Word | TokenKind::Name);
    let mut pieces = Vec::new();
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        if let Some(refused) = refused(token) {
            return Err(Refusal(refused.to_owned()));
        }
        let mut parts = vec![token.text];
        while is_part(&token) && rest.next_if(|next| next.is_mark(".")).is_some() {
            parts.push(rest.next_if(is_part).map_or("", |part| part.text));
        }
        let alone = parts.len() == 1 && token.kind == TokenKind::Word;
        pieces.push(Piece {
            kind: token.kind,
            sql: name(&parts),
            word: alone.then(|| token.text.to_ascii_uppercase()),
        });
    }
    Ok(pieces)
}

/// The refusal of a token that Spark reads differently from SQLite.
fn refused(token: &Token<'_>) -> Option<&'static str> {
    match token.kind {
        TokenKind::Text if token.text.contains('\\') => {
            Some("a backslash in a string is an escape in Spark; the lab accepts none")
        }
        TokenKind::Text if !token.text.starts_with('\'') => {
            Some("a text in double quotes is a string in Spark; quote names in backticks")
        }
        TokenKind::Mark if token.text == "?" => {
            Some("[PARSE_SYNTAX_ERROR] '?' is not a parameter of this API; name it")
        }
        _ => None,
    }
}

/// The indices of the pieces that are not blank.
fn solid(pieces: &[Piece], within: Range<usize>) -> impl DoubleEndedIterator<Item = usize> {
    let is_blank = |at: &usize| {
        pieces.get(*at).is_none_or(|piece| matches!(piece.kind, TokenKind::Space | TokenKind::Comment))
    };
    within.filter(move |at| !is_blank(at))
}

/// `day - INTERVAL '7' DAY` => `DATE(day, '-7 days')`.
fn intervals(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let is = |piece: &Piece, wanted: &str| piece.word.as_deref() == Some(wanted);
    while let Some(begin) = pieces.iter().position(|piece| is(piece, "INTERVAL")) {
        let before: Vec<usize> = solid(&pieces, 0..begin).rev().take(2).collect();
        let behind: Vec<usize> = solid(&pieces, begin + 1..pieces.len()).take(2).collect();
        let (&[minus, day], &[number, unit]) = (before.as_slice(), behind.as_slice()) else { break };
        let [Some(minus), Some(from), Some(number), Some(unit_piece)] =
            [minus, day, number, unit].map(|at| pieces.get(at))
        else {
            break;
        };
        if minus.sql != "-" || number.kind != TokenKind::Text || !is(unit_piece, "DAY") {
            break;
        }
        let sql = format!("DATE({}, '-{} days')", from.sql, number.sql.trim_matches('\''));
        pieces.splice(day..=unit, [Piece { kind: TokenKind::Mark, sql, word: None }]);
    }
    pieces
}

/// Translates `explode(from_json(...))` of bound JSON, and array elements.
fn arrays(mut pieces: Vec<Piece>) -> Vec<Piece> {
    const EXPLODE: &str =
        "explode ( from_json ( ? , 'ARRAY<ARRAY<STRING>>' , map ( 'mode' , 'FAILFAST' ) ) ) AS ?";
    let pattern: Vec<&str> = EXPLODE.split(' ').collect();
    let solid: Vec<usize> = solid(&pieces, 0..pieces.len()).collect();
    let explodes = |places: &&[usize]| {
        let texts = places.iter().map(|at| pieces.get(*at).map_or("", |piece| &piece.sql));
        texts.zip(&pattern).all(|(text, wanted)| *wanted == "?" || text.eq_ignore_ascii_case(wanted))
    };
    if let Some(places) = solid.windows(pattern.len()).find(explodes)
        && let &[first, _, _, _, bound, .., name] = places
        && let (Some(bound), Some(as_name)) = (pieces.get(bound), pieces.get(name))
    {
        let sql = format!("value AS {} FROM json_each({})", as_name.sql, bound.sql);
        pieces.splice(first..=name, [Piece { kind: TokenKind::Mark, sql, word: None }]);
    }
    let is = |at: usize, wanted: &str| pieces.get(at).is_some_and(|piece| piece.sql == wanted);
    let is_index = |at: &usize| is(at + 1, "[") && is(at + 3, "]");
    let indices: Vec<usize> = (0..pieces.len()).filter(is_index).collect();
    for at in indices.into_iter().rev() {
        let [Some(array), Some(index)] = [at, at + 2].map(|at| pieces.get(at)) else { continue };
        let sql = format!("json_extract({}, '$[{}]')", array.sql, index.sql);
        pieces.splice(at..=at + 3, [Piece { kind: TokenKind::Mark, sql, word: None }]);
    }
    casts(pieces)
}

/// Translates casts of array elements to dates and instants, which in SQLite are texts that sort by time.
fn casts(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let solid: Vec<usize> = solid(&pieces, 0..pieces.len()).collect();
    for places in solid.windows(6).rev() {
        let &[first, open, value, behind, to, last] = places else { continue };
        let is =
            |at: usize, wanted: &str| pieces.get(at).and_then(|piece| piece.word.as_deref()) == Some(wanted);
        let [Some(open), Some(value)] = [open, value].map(|at| pieces.get(at)) else { continue };
        if !is(first, "CAST")
            || open.sql != "("
            || !value.sql.starts_with("json_extract(")
            || !is(behind, "AS")
        {
            continue;
        }
        let text = &value.sql;
        let sql = if is(to, "DATE") {
            text.clone()
        } else if is(to, "TIMESTAMP") {
            format!("RTRIM(RTRIM(REPLACE(REPLACE({text}, 'T', ' '), 'Z', ''), '0'), '.')")
        } else {
            continue;
        };
        pieces.splice(first..=last, [Piece { kind: TokenKind::Mark, sql, word: None }]);
    }
    pieces
}

/// Translates the full join of a comparison of records: SQLite makes no index for it, but for a left join. A row without a key has a
/// mark of its own.
fn indexed(sql: &str) -> Option<String> {
    let (before, rest) = sql.split_once(" AS s FULL OUTER JOIN ")?;
    let (destination, behind) = rest.split_once(" AS d ON s.j = d.j")?;
    let mut open = 0_usize;
    let at = before.rfind(|c: char| {
        match c {
            ')' => open += 1,
            '(' => open = open.saturating_sub(1),
            _ => return false,
        }
        open == 0
    })?;
    let (before, source) = before.split_at(at);
    let side = |name: &str, rows: &str| {
        format!(
            "{name}0 AS MATERIALIZED (SELECT x.*, COALESCE(x.j, CAST('{name}' || ROW_NUMBER() OVER () AS BLOB)) AS q FROM {rows} AS x)"
        )
    };
    let (source, destination) = (side("s", source), side("d", destination));
    Some(format!(
        "WITH {source}, {destination} {before}(SELECT q FROM s0 UNION SELECT q FROM d0) AS m LEFT JOIN s0 AS s ON s.q = m.q \
         LEFT JOIN d0 AS d ON d.q = m.q{behind}"
    ))
}

/// Translates the seconds and microseconds since 1970 of instants.
fn seconds(sql: &str) -> String {
    const END: &str = " AS TIMESTAMP))";
    // SQLite reads an unknown type as a number.
    let mut translated = sql.replace(" AS STRING)", " AS TEXT)");
    for (name, factor) in [("UNIX_SECONDS(CAST(", ""), ("UNIX_MICROS(CAST(", " * 1000000")] {
        while let Some((before, rest)) = translated.split_once(name)
            && let Some((instant, behind)) = rest.split_once(END)
        {
            translated = format!("{before}(CAST(STRFTIME('%s', {instant}) AS INTEGER){factor}){behind}");
        }
    }
    translated
}

/// An index on the first column of a new table.
fn index(pieces: &[Piece]) -> Option<String> {
    let solid: Vec<usize> = solid(pieces, 0..pieces.len()).collect();
    let opens = |at: usize| pieces.get(at).is_some_and(|piece| piece.sql == "(");
    let at = solid.windows(3).find(|places| matches!(**places, [_, open, _] if opens(open)))?;
    let &[table, _, column] = at else { return None };
    let [table, column] = [pieces.get(table)?, pieces.get(column)?].map(|piece| piece.sql.as_str());
    Some(format!("CREATE INDEX IF NOT EXISTS `index of {}` ON {table} ({column})", table.trim_matches('`')))
}

/// Translates a `MERGE` that only updates to SQLite's `UPDATE ... FROM`.
fn update(pieces: &[Piece]) -> Result<String, Refusal> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_usize;
    for piece in pieces {
        match piece.sql.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let divides = piece
            .word
            .as_deref()
            .is_some_and(|word| matches!(word, "INTO" | "USING" | "ON" | "WHEN" | "SET"));
        if divides && depth == 0 {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(piece.sql.as_str());
        }
    }
    let parts: Vec<String> = parts.iter().map(|part| part.concat().trim().to_owned()).collect();
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["MERGE", target, source, same, "MATCHED THEN UPDATE", changes] => {
            Ok(format!("UPDATE {target} SET {changes} FROM {source} WHERE {same}"))
        }
        _ => Err(syntax("MERGE")),
    }
}

fn without_clustering(pieces: &[Piece]) -> &[Piece] {
    let clustering = |piece: &Piece| piece.word.as_deref() == Some("CLUSTER");
    let end = pieces.iter().position(clustering).unwrap_or(pieces.len());
    pieces.get(..end).unwrap_or_default()
}

fn render(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.sql.as_str()).collect()
}

/// A name of three parts is an object; further parts are its column.
fn name(parts: &[&str]) -> String {
    let bare =
        |part: &str| part.strip_prefix('`').and_then(|p| p.strip_suffix('`')).unwrap_or(part).to_owned();
    match parts {
        [_, schema, table, columns @ ..] if !table.is_empty() => {
            let object = format!("`{}.{}`", bare(schema), bare(table));
            std::iter::once(object.as_str()).chain(columns.iter().copied()).collect::<Vec<_>>().join(".")
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
    fn object_names_become_one_part_and_nothing_else_changes() {
        assert_eq!(
            query(
                "SELECT p.`a`, 1.5, 'crm.a.b', :since -- crm.a.b\nFROM `crm`.`rds`.`x` p JOIN crm.rds.y ON `crm`.`rds`.`x`.id = 1"
            ),
            "SELECT p.`a`, 1.5, 'crm.a.b', :since -- crm.a.b\nFROM `rds.x` p JOIN `rds.y` ON `rds.x`.id = 1"
        );
    }

    #[test]
    fn intervals_schemas_tables_and_views_are_translated() {
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
            ["CREATE TABLE `b.c` (d STRING)\n", "CREATE INDEX IF NOT EXISTS `index of b.c` ON `b.c` (d)"]
        );
        assert_eq!(
            write("-- why\nCREATE OR REPLACE VIEW a.b.c AS SELECT 1"),
            ["DROP VIEW IF EXISTS `b.c`", "CREATE VIEW `b.c` AS SELECT 1"]
        );
    }

    #[test]
    fn json_rows_are_unpacked_and_merges_become_updates() {
        let fresh = "SELECT r.value[0] AS id, CAST(r.value[12] AS BIGINT) AS n FROM (SELECT \
                     explode(from_json(:rows, 'ARRAY<ARRAY<STRING>>', map('mode', 'FAILFAST'))) AS value) AS r";
        let unpacked = "SELECT json_extract(r.value, '$[0]') AS id, CAST(json_extract(r.value, '$[12]') AS BIGINT) AS n \
                        FROM (SELECT value AS value FROM json_each(:rows)) AS r";
        let write = |sql: &str| match to_sqlite(sql) {
            Ok(Translated::Write(sql)) => sql.concat(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            write(&format!("INSERT INTO a.b.t (id, n) {fresh}")),
            format!("INSERT INTO `b.t` (id, n) {unpacked}")
        );
        let merge = format!(
            "MERGE INTO a.b.t AS present USING ({fresh}) AS fresh ON present.id = fresh.id WHEN MATCHED THEN UPDATE SET n = fresh.n"
        );
        assert_eq!(
            write(&merge),
            format!(
                "UPDATE `b.t` AS present SET n = fresh.n FROM ({unpacked}) AS fresh WHERE present.id = fresh.id"
            )
        );
        let dated = "INSERT INTO a.b.t (d, i) SELECT CAST(r.v[0] AS DATE) AS d, CAST(r.v[1] AS TIMESTAMP) AS i FROM r";
        let text = "json_extract(r.v, '$[0]') AS d, RTRIM(RTRIM(REPLACE(REPLACE(json_extract(r.v, '$[1]'), 'T', ' '), 'Z', ''), '0'), '.') AS i";
        assert_eq!(write(dated), format!("INSERT INTO `b.t` (d, i) SELECT {text} FROM r"));
        for other in ["WHEN MATCHED THEN DELETE", "WHEN NOT MATCHED THEN INSERT *", ""] {
            assert!(
                to_sqlite(&format!(
                    "MERGE INTO a.b.t AS p USING (SELECT 1 AS id) AS f ON p.id = f.id {other}"
                ))
                .is_err()
            );
        }
        assert!(to_sqlite("SELECT value FROM json_each('[]')").is_err());
    }

    #[test]
    fn sql_that_spark_reads_differently_is_refused() {
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
        // As a parameter name or in a text it is not an SQL keyword.
        assert!(to_sqlite("SELECT 'pragma', :merge").is_ok());
    }
}
