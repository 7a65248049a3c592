use proptest::prelude::*;

use super::*;

const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

/// Returns the SQL with `?`, and the name bound to each.
fn rendered(dialect: Dialect, sql: &str, names: &[&str]) -> Result<(String, Vec<String>), Problem> {
    let statement =
        names.iter().fold(Statement::new("test", sql), |statement, name| statement.bind(*name, "x"));
    let rendered = render(&statement, dialect)?;
    Ok((rendered.sql, rendered.values.iter().map(|value| value.name.clone()).collect()))
}

#[test]
fn name_that_is_used_twice_is_bound_twice() {
    let (sql, names) =
        rendered(Dialect::PostgreSql, "SELECT :a, :b WHERE x>=:a AND y<(:b)", &["a", "b"]).unwrap();
    assert_eq!(sql, "SELECT ?, ? WHERE x>=? AND y<(?)");
    assert_eq!(names, ["a", "b", "a", "b"]);
}

#[test]
fn text_that_resembles_a_placeholder_is_unchanged() {
    for sql in [
        "SELECT ':a', 'it''s :a', ''",
        "SELECT \":a\", \"x\"\":a\"",
        "SELECT x::text, y :: text",
        "SELECT raw:owner, arr[1:2], f(x):a, '?'",
        "SELECT 'ä:ö', 'naïve' ||'🙂:a'",
        "SELECT 1 : 2, a:=b",
    ] {
        for dialect in ALL {
            assert_eq!(rendered(dialect, sql, &[]).unwrap(), (sql.to_owned(), vec![]), "{dialect:?} {sql}");
        }
    }
}

#[test]
fn comments_are_removed_for_sqlite_only() {
    for (sql, stripped) in [
        ("SELECT 1 -- :a ? '\n, 2", "SELECT 1  , 2"),
        ("SELECT 1 -- :a ?", "SELECT 1  "),
        ("SELECT /* :a ? ' */ 1", "SELECT   1"),
    ] {
        assert_eq!(rendered(Dialect::Databricks, sql, &[]).unwrap().0, sql);
        assert_eq!(rendered(Dialect::PostgreSql, sql, &[]).unwrap().0, sql);
        assert_eq!(rendered(Dialect::Sqlite, sql, &[]).unwrap().0, stripped);
    }
}

#[test]
fn literals_names_and_comments_end_by_dialect() {
    use Dialect::{Databricks, PostgreSql, Sqlite};
    for (dialect, sql, expected) in [
        // A backslash escapes in Spark, and in PostgreSQL's E'' strings only.
        (Databricks, r"SELECT 'it\'s :a', :a", Ok(r"SELECT 'it\'s :a', ?")),
        (Databricks, r"SELECT r'\', :a", Ok(r"SELECT r'\', ?")),
        (Databricks, r#"SELECT "it\":a", :a"#, Ok(r#"SELECT "it\":a", ?"#)),
        (PostgreSql, r"SELECT '\', :a", Ok(r"SELECT '\', ?")),
        (PostgreSql, r"SELECT E'it\'s :a', :a", Ok(r"SELECT E'it\'s :a', ?")),
        (PostgreSql, r"SELECT somee'\', :a", Ok(r"SELECT somee'\', ?")),
        (Sqlite, r"SELECT '\', :a", Ok(r"SELECT '\', ?")),
        (Databricks, "SELECT `:a``:a`, :a", Ok("SELECT `:a``:a`, ?")),
        (Sqlite, "SELECT `:a`, [:a], :a", Ok("SELECT `:a`, [:a], ?")),
        (PostgreSql, "SELECT $$:a ' $$, $x$ $$ :a $x$, :a", Ok("SELECT $$:a ' $$, $x$ $$ :a $x$, ?")),
        (PostgreSql, "SELECT $1, a$b$c, :a", Ok("SELECT $1, a$b$c, ?")),
        // Comments nest, but not in SQLite.
        (PostgreSql, "SELECT /* /* */ :a */ :a", Ok("SELECT /* /* */ :a */ ?")),
        (Databricks, "SELECT /* /* */ :a */ :a", Ok("SELECT /* /* */ :a */ ?")),
        (Sqlite, "SELECT /* /* */ :a", Ok("SELECT   ?")),
        (PostgreSql, "SELECT 'open :a", Err(Problem::Unterminated("string literal"))),
        (Databricks, r"SELECT 'open\', :a", Err(Problem::Unterminated("string literal"))),
        (Databricks, "SELECT `open :a", Err(Problem::Unterminated("quoted name"))),
        (Sqlite, "SELECT [open :a", Err(Problem::Unterminated("quoted name"))),
        (PostgreSql, "SELECT /* /* */ :a", Err(Problem::Unterminated("comment"))),
        (PostgreSql, "SELECT $$ :a", Err(Problem::Unterminated("dollar-quoted string"))),
    ] {
        let found = rendered(dialect, sql, &["a"]).map(|(sql, _)| sql);
        assert_eq!(found, expected.map(str::to_owned), "{dialect:?} {sql}");
    }
}

#[test]
fn placeholders_and_values_must_match() {
    for (sql, names, problem) in [
        ("SELECT :a", &[][..], Problem::Unbound("a".to_owned())),
        ("SELECT :A", &["a"], Problem::Unbound("A".to_owned())),
        ("SELECT 1", &["a"], Problem::Unused("a".to_owned())),
        ("SELECT ':a'", &["a"], Problem::Unused("a".to_owned())),
        ("SELECT :a", &["a", "a"], Problem::BoundTwice("a".to_owned())),
        ("SELECT ?", &[], Problem::QuestionMark),
        (" \n", &[], Problem::Empty),
        ("SELECT 1\0", &[], Problem::Zero),
    ] {
        for dialect in ALL {
            assert_eq!(rendered(dialect, sql, names).unwrap_err(), problem, "{dialect:?} {sql:?}");
        }
    }
}

/// The kind of a fragment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Is {
    Placeholder,
    Comment,
    Other,
}

/// Fragments that are complete in every dialect.
fn fragment() -> impl Strategy<Value = (String, Is)> {
    // No backslash and no dollar, as their meaning depends on the dialect.
    let inner = "[a-z:?;\\-/* äא🙂]{0,8}";
    prop_oneof![
        Just((":a".to_owned(), Is::Placeholder)),
        inner.prop_map(|text| (format!("'{text}'"), Is::Other)),
        inner.prop_map(|text| (format!("'{text}''{text}'"), Is::Other)),
        inner.prop_map(|text| (format!("\"{text}\""), Is::Other)),
        "[a-z:?;' \"]{0,8}".prop_map(|text| (format!("/* {text} */"), Is::Comment)),
        "[a-z:?;' \"*/]{0,8}".prop_map(|text| (format!("-- {text}\n"), Is::Comment)),
        "[a-z]{1,5}(::[a-z]{1,4})?".prop_map(|text| (text, Is::Other)),
        "[;,()=<>+ äא🙂]{1,4}".prop_map(|text| (text, Is::Other)),
    ]
}

proptest! {
    #[test]
    fn only_placeholders_outside_literals_are_replaced(
        fragments in prop::collection::vec(fragment(), 1..12)
    ) {
        let written = |placeholder: &str, without_comments: bool| {
            let text = fragments.iter().map(|(text, is)| match is {
                Is::Placeholder => placeholder,
                Is::Comment if without_comments => " ",
                Is::Comment | Is::Other => text,
            });
            format!("SELECT {}", text.collect::<Vec<_>>().join(" "))
        };
        let count = fragments.iter().filter(|(_, is)| *is == Is::Placeholder).count();
        let names: &[&str] = if count > 0 { &["a"] } else { &[] };
        for dialect in ALL {
            let (sql, bound) = rendered(dialect, &written(":a", false), names).unwrap();
            prop_assert_eq!(&sql, &written("?", dialect == Dialect::Sqlite));
            prop_assert_eq!(bound.len(), count);
        }
    }

    #[test]
    fn render_does_not_panic_on_any_text(sql in any::<String>()) {
        for dialect in ALL {
            let _ = rendered(dialect, &sql, &["a"]);
        }
    }

    #[test]
    fn quoted_name_never_contains_placeholders(name in "[^\\p{Cc}]{1,15}") {
        for dialect in ALL {
            // Names that SQLite's driver would misread are refused.
            let Ok(quoted) = dialect.quote(&name) else { continue };
            let sql = format!("SELECT {quoted} FROM t WHERE x = :a");
            let expected = format!("SELECT {quoted} FROM t WHERE x = ?");
            prop_assert_eq!(rendered(dialect, &sql, &["a"]).unwrap().0, expected);
        }
    }
}
