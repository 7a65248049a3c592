use std::ops::ControlFlow;

use proptest::prelude::*;
use serde::Deserialize;
use sqlparser::ast::{Query, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::{DatabricksDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::*;

const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

/// A public statement, and whether it only reads.
#[derive(Deserialize)]
struct Known {
    dialect: String,
    reads: bool,
    source: String,
    sql: String,
    /// Whether it was unknown when the rules were written.
    unseen: bool,
}

impl Known {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../../../tests/fixtures/sql/queries.json")).unwrap()
    }

    fn dialect(&self) -> Dialect {
        match self.dialect.as_str() {
            "databricks" => Dialect::Databricks,
            "postgresql" => Dialect::PostgreSql,
            "sqlite" => Dialect::Sqlite,
            other => panic!("unknown dialect {other}"),
        }
    }
}

fn check(sql: &str, dialect: Dialect) -> Result<Vec<&str>, NotReadOnly> {
    check_read_only(sql, dialect, &["from", "to"])
}

#[test]
fn public_queries_are_accepted_and_public_writes_refused() {
    let known = Known::all();
    let wrong: Vec<String> = known
        .iter()
        .filter_map(|known| {
            let found = check(&known.sql, known.dialect());
            let which = if known.unseen { "unseen" } else { "seen" };
            (found.is_ok() != known.reads)
                .then(|| format!("{which} {} {}\n{}\n{found:?}", known.dialect, known.source, known.sql))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), known.len(), wrong.join("\n\n"));
    for dialect in ALL {
        let reads =
            |reads| known.iter().filter(move |known| known.dialect() == dialect && known.reads == reads);
        assert!(reads(true).count() >= 20 && reads(false).count() >= 10, "{dialect:?}");
    }
}

#[test]
fn usual_functions_and_syntax_are_accepted() {
    for sql in [
        "SELECT DATE_TRUNC('day', x), x::int, JSON_VALUE(j, '$.a') FROM a",
        "SELECT COUNT(*) FROM crm.rds.properties -- those of today; really\nWHERE /* both */ b >= :from AND b < :to",
        "select count(*) from a where b >= :from and b < :to",
        "WITH late AS (SELECT id FROM a WHERE note = 'drop; table -- it''s' ) SELECT COUNT(*) FROM late",
        "SELECT COUNT(*)\nFROM a\nWHERE x NOT IN ('a', 'Ünïcode') AND y <> 'x' || 'y'",
        "SELECT comment, share, replace(load, 'a', 'b') FROM a FOR",
        "(SELECT a FROM b) UNION ALL (SELECT 1)",
        "SELECT \"update\", 'DELETE' FROM a WHERE b ~ '^\\d+$'",
    ] {
        for dialect in ALL {
            let found = check(sql, dialect);
            assert!(found.is_ok(), "{dialect:?} {sql}: {found:?}");
        }
    }
    assert_eq!(check("SELECT :to, :from, ':from'", Dialect::Sqlite), Ok(vec!["to", "from"]));
}

#[test]
fn statements_that_may_write_are_refused_in_every_dialect() {
    use NotReadOnly as Why;
    let word = |word: &str| Why::Word(word.to_owned());
    let function = |name: &str| Why::Function(name.to_owned());
    for (sql, why) in [
        ("", Why::NoSelect),
        ("  ", Why::NoSelect),
        ("-- SELECT", Why::NoSelect),
        ("DELETE FROM a", Why::NoSelect),
        ("(", Why::NoSelect),
        ("(DELETE FROM a)", Why::NoSelect),
        ("EXPLAIN ANALYZE SELECT 1", Why::NoSelect),
        ("SELECT 1;", Why::Character(';')),
        ("SELECT 1; DROP TABLE a", Why::Character(';')),
        ("SELECT 1 /* */ ; -- \n DROP TABLE a", Why::Character(';')),
        ("SELECT a INTO b FROM c", word("INTO")),
        ("SELECT 1INTO b", word("INTO")),
        ("SELECT 1_0.INTO b", word("INTO")),
        ("SELECT 1 FROM a FOR UPDATE", word("UPDATE")),
        ("SELECT 1 FROM a FOR NO KEY UPDATE", word("UPDATE")),
        ("SELECT 1 FROM a FOR SHARE", word("FOR")),
        ("SELECT 1 FROM a FOR/**/KEY SHARE", word("FOR")),
        ("WITH d AS (DELETE FROM a RETURNING id) SELECT COUNT(*) FROM d", word("DELETE")),
        ("WITH d AS (insert into a values (1)) SELECT 1", word("INSERT")),
        ("WITH d AS (SELECT 1) MERGE /* */ INTO a", word("MERGE")),
        ("WITH d AS (SELECT 1) FROM d INSERT OVERWRITE TABLE a SELECT *", word("INSERT")),
        ("SELECT TRANSFORM(a) USING 'sh' FROM b", word("USING")),
        ("SELECT pg_terminate_backend(1)", function("pg_terminate_backend")),
        ("SELECT pg_any_function_of_the_future(1)", function("pg_any_function_of_the_future")),
        ("SELECT NEXTVAL('s')", function("NEXTVAL")),
        ("SELECT set_config('a', 'b', false)", function("set_config")),
        ("SELECT \"nextval\"('s')", function("\"nextval\"")),
        ("SELECT pg_catalog.nextval /* */ ('s')", function("nextval")),
        ("SELECT load_extension('x')", function("load_extension")),
        ("SELECT query_to_xml('SELECT nextval(1)', true, true, '')", function("query_to_xml")),
        ("SELECT identifier('java_method')('a')", function("identifier")),
        ("SELECT aws_lambda.invoke('a')", function("invoke")),
        ("SELECT 1 WHERE a = ?", Why::Character('?')),
        ("SELECT {fn now()}", Why::Character('{')),
        ("SELECT a$b", Why::Character('$')),
        ("SELECT \\ 1", Why::Character('\\')),
        ("SELECT :other", Why::Placeholder("other".to_owned())),
        ("SELECT 'open", Why::Unterminated(Unterminated { what: "string literal", at: 7 })),
        ("SELECT 1 /* open", Why::Unterminated(Unterminated { what: "comment", at: 9 })),
        ("SELECT \u{ff1b} 1", Why::Character('\u{ff1b}')),
        ("SELECT 1\u{a0}$$; DROP TABLE a; $$", Why::Character('\u{a0}')),
        ("WITH d AS (\u{131}nsert)", Why::Character('\u{131}')),
        ("SELECT 1\0", Why::Character('\0')),
        ("SELECT 1 /* \0 */", Why::Character('\0')),
    ] {
        for dialect in ALL {
            let found = check(sql, dialect);
            // PostgreSQL does not treat the no-break space as a space, so it reads the following `$$` differently.
            let is_as_bad = sql.contains('\u{a0}') && matches!(found, Err(Why::Character(_)));
            assert!(found == Err(why.clone()) || is_as_bad, "{dialect:?} {sql}: {found:?}");
            assert!(!why.remedy().is_empty());
        }
    }
}

#[test]
fn syntax_of_one_dialect_is_refused_there() {
    use Dialect::{Databricks, PostgreSql, Sqlite};
    use NotReadOnly as Why;
    for (dialect, sql, why) in [
        (PostgreSql, r"SELECT E'it\'s'", Why::Backslash),
        (PostgreSql, r"SELECT 1e'\''; DROP TABLE a; --'", Why::Backslash),
        (Sqlite, r"SELECT '\''; DROP TABLE a; --'", Why::Backslash),
        (Databricks, r"SELECT 'it\'s'", Why::Backslash),
        (Databricks, r#"SELECT r"a\"; DROP TABLE b; "#, Why::Backslash),
        (Databricks, "SELECT 1 -- \\\n ' \n; DROP TABLE a --'", Why::Character('\\')),
        (Databricks, "SELECT 1 -- \\\n; DROP TABLE a", Why::Character('\\')),
        (PostgreSql, "SELECT 1 -- a\r; DROP TABLE a", Why::Character(';')),
        (PostgreSql, "SELECT /* /* */ */; DROP TABLE a", Why::Character(';')),
        (Sqlite, "SELECT /* /* */ 1; DROP TABLE a", Why::Character(';')),
        (Databricks, "SELECT `java_method`  ('a')", Why::Function("`java_method`".to_owned())),
        (Databricks, "SELECT \"reflect\"('a')", Why::Function("\"reflect\"".to_owned())),
        (Databricks, "SELECT * FROM Parquet.`s3://a/b`", Why::File("Parquet.`s3://a/b`".to_owned())),
        (PostgreSql, "SELECT U&\"nextv\\0061l\"('s')", Why::Character('&')),
        (PostgreSql, "SELECT `a`", Why::Character('`')),
        (Databricks, "SELECT $$a$$", Why::Character('$')),
        (Databricks, "SELECT 1 # comment", Why::Character('#')),
        (Sqlite, "SELECT @a", Why::Character('@')),
        (Sqlite, "SELECT [open", Why::Unterminated(Unterminated { what: "quoted name", at: 7 })),
    ] {
        assert_eq!(check(sql, dialect), Err(why), "{dialect:?} {sql}");
    }
}

/// The writing parts of a statement, according to another parser.
#[derive(Default)]
struct Writes(Vec<String>);

impl Visitor for Writes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            self.0.push("locks".to_owned());
        }
        self.look_into(&query.body);
        ControlFlow::Continue(())
    }
}

impl Writes {
    fn look_into(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) if select.into.is_some() => self.0.push("INTO".to_owned()),
            SetExpr::SetOperation { left, right, .. } => {
                self.look_into(left);
                self.look_into(right);
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.0.push(body.to_string());
            }
            _ => {}
        }
    }
}

/// Returns `None` if `sqlparser` cannot parse the statement, otherwise its writing parts, if any.
fn judged(sql: &str, dialect: Dialect) -> Option<Result<(), String>> {
    let parsed = match dialect {
        Dialect::Databricks => Parser::parse_sql(&DatabricksDialect {}, sql),
        Dialect::PostgreSql => Parser::parse_sql(&PostgreSqlDialect {}, sql),
        Dialect::Sqlite => Parser::parse_sql(&SQLiteDialect {}, sql),
    };
    let statements = parsed.ok()?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Some(Err(format!("{statements:?}")));
    };
    let mut writes = Writes::default();
    let _ = query.visit(&mut writes);
    Some(if writes.0.is_empty() { Ok(()) } else { Err(writes.0.join(", ")) })
}

#[test]
fn another_parser_agrees_on_most_public_queries() {
    let known: Vec<_> = Known::all().into_iter().filter(|known| known.reads).collect();
    let judged: Vec<_> = known.iter().filter_map(|known| judged(&known.sql, known.dialect())).collect();
    assert_eq!(judged.iter().find(|verdict| verdict.is_err()), None);
    // Otherwise the properties below would pass without enough statements.
    assert!(judged.len() * 10 >= known.len() * 9, "{} of {}", judged.len(), known.len());
    assert!(self::judged("WITH d AS (DELETE FROM a) SELECT 1", Dialect::PostgreSql).unwrap().is_err());
    assert!(self::judged("SELECT 1 INTO a", Dialect::PostgreSql).unwrap().is_err());
    assert!(self::judged("SELECT 1 FROM a FOR SHARE", Dialect::PostgreSql).unwrap().is_err());
    assert!(self::judged("SELECT 1; SELECT 2", Dialect::Sqlite).unwrap().is_err());
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(ALL.to_vec())
}

/// Fragments that an attack or a mistake may insert into a statement.
fn fragment() -> impl Strategy<Value = String> {
    let known: Vec<String> = Known::all().into_iter().map(|known| known.sql).collect();
    let parts = [
        ";",
        "; DROP TABLE a",
        "; DELETE FROM a; --",
        "INTO b",
        "FOR UPDATE",
        "FOR SHARE",
        "UPDATE a SET b = 1",
        "DELETE FROM a",
        "INSERT INTO a VALUES (1)",
        "WITH d AS (DELETE FROM a RETURNING 1) ",
        "SELECT 1",
        "FROM a",
        "UNION ALL",
        "--",
        "-- x\n",
        "-- \\\n",
        "\r",
        "\n",
        "/*",
        "*/",
        "/* ' */",
        "'",
        "''",
        "\"",
        "`",
        "\\",
        "\\'",
        "E'",
        "r'",
        "1e'",
        "$$",
        "$x$",
        "$1",
        "[",
        "]",
        "(",
        ")",
        "a",
        "1",
        "1.",
        ":from",
        "::int",
        ":",
        ",",
        "U&\"",
        "REPLACE INTO a VALUES (1)",
        "MERGE INTO a USING b ON a.c = b.c WHEN MATCHED THEN DELETE",
        "AS",
        "\u{a0}",
        "é",
    ];
    prop_oneof![
        1 => prop::sample::select(known),
        6 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
    ]
}

/// A public query with fragments inserted anywhere.
fn mutated() -> impl Strategy<Value = (Dialect, String)> {
    let known: Vec<_> = Known::all().into_iter().map(|known| (known.dialect(), known.sql)).collect();
    let inserted = prop::collection::vec((any::<prop::sample::Index>(), fragment(), any::<bool>()), 0..4);
    (prop::sample::select(known), inserted).prop_map(|((dialect, mut sql), inserted)| {
        for (at, fragment, spaced) in inserted {
            let places: Vec<usize> = sql.char_indices().map(|(at, _)| at).chain([sql.len()]).collect();
            let fragment = if spaced { format!(" {fragment} ") } else { fragment };
            sql.insert_str(places[at.index(places.len())], &fragment);
        }
        (dialect, sql)
    })
}

fn soup() -> impl Strategy<Value = (Dialect, String)> {
    let parts = prop::collection::vec(fragment(), 0..8);
    (dialects(), parts, "[ \n]?")
        .prop_map(|(dialect, parts, between)| (dialect, format!("SELECT {}", parts.join(&between))))
}

/// Returns the text outside of quotes and comments, without using the lexer; `None` if a quote or comment is
/// unterminated.
fn bare(sql: &str, dialect: Dialect) -> Option<String> {
    let (mut bare, mut rest) = (String::new(), sql);
    while let Some(first) = rest.chars().next() {
        let behind = |opening: &str, closing: &str| {
            let inner = rest.split_at(opening.len()).1;
            inner.find(closing).map(|end| inner.split_at(end + closing.len()).1)
        };
        let dollar = rest.strip_prefix('$').and_then(|inner| inner.split_once('$')).map(|(tag, _)| tag);
        let is_tag = |tag: &&str| {
            !tag.starts_with(|c: char| c.is_ascii_digit())
                && tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        rest = match first {
            // A doubled mark ends one literal and begins the next.
            '\'' | '"' => {
                let mark = first.to_string();
                behind(&mark, &mark)?
            }
            '`' if dialect != Dialect::PostgreSql => behind("`", "`")?,
            '[' if dialect == Dialect::Sqlite => behind("[", "]")?,
            '$' if dialect == Dialect::PostgreSql && dollar.filter(is_tag).is_some() => {
                let mark = format!("${}$", dollar.unwrap_or_default());
                behind(&mark, &mark)?
            }
            '-' if rest.starts_with("--") => {
                let ends: &[char] = if dialect == Dialect::PostgreSql { &['\n', '\r'] } else { &['\n'] };
                rest.find(ends).map_or("", |end| rest.split_at(end).1)
            }
            '/' if rest.starts_with("/*") => {
                let (mut depth, mut inner) = (1, rest.split_at(2).1);
                while depth > 0 {
                    let end = inner.find("*/")?;
                    match inner.find("/*").filter(|at| *at < end && dialect != Dialect::Sqlite) {
                        Some(at) => (depth, inner) = (depth + 1, inner.split_at(at + 2).1),
                        None => (depth, inner) = (depth - 1, inner.split_at(end + 2).1),
                    }
                }
                bare.push(' ');
                inner
            }
            _ => {
                bare.push(first);
                rest.split_at(first.len_utf8()).1
            }
        };
    }
    Some(bare)
}

#[test]
fn bare_text_excludes_quotes_and_comments() {
    use Dialect::{Databricks, PostgreSql, Sqlite};
    for (dialect, sql, expected) in [
        (Sqlite, "SELECT 'a;''b' -- ;\n, [x;] FROM `a;b` /* ; /* */", Some("SELECT , FROM")),
        (Databricks, "SELECT \"a;\" /* ; /* */ ; */ AS b; DROP", Some("SELECT AS b; DROP")),
        (PostgreSql, "SELECT $x$ ; $$ $x$, $1 -- a\r; DROP", Some("SELECT , $1 ; DROP")),
        (PostgreSql, "SELECT 'a", None),
        (Sqlite, "SELECT /*", None),
    ] {
        let bare = bare(sql, dialect).map(|bare| bare.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(bare.as_deref(), expected, "{dialect:?} {sql}");
    }
}

proptest! {
    /// Also covers statements that the other parser cannot read.
    #[test]
    fn accepted_text_has_no_second_statement_or_writing_word((dialect, sql) in prop_oneof![mutated(), soup()]) {
        if check(&sql, dialect).is_ok() {
            let bare = bare(&sql, dialect);
            prop_assert!(bare.is_some(), "unterminated: {}", sql);
            let bare = bare.unwrap_or_default().to_ascii_uppercase();
            prop_assert!(!bare.contains(';'), "{}", sql);
            let mut words = bare.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            prop_assert!(words.all(|word| !["INSERT", "UPDATE", "DELETE", "MERGE", "INTO"].contains(&word)), "{}", sql);
        }
    }

    #[test]
    fn accepted_text_is_one_query_that_only_reads((dialect, sql) in prop_oneof![mutated(), soup()]) {
        if check(&sql, dialect).is_ok()
            && let Some(verdict) = judged(&sql, dialect)
        {
            prop_assert_eq!(verdict, Ok(()), "{}", sql);
        }
    }

    #[test]
    fn check_does_not_panic_on_any_text(sql in any::<String>(), dialect in dialects()) {
        let _ = check(&sql, dialect);
        let _ = check(&format!("SELECT {sql}"), dialect);
    }

    #[test]
    fn quoted_text_is_not_checked(inner in "[^\\\\'\\x00]{0,40}", dialect in dialects()) {
        let sql = format!("SELECT COUNT(*) FROM a WHERE b = '{inner}'");
        prop_assert_eq!(check(&sql, dialect), Ok(vec![]));
    }
}
