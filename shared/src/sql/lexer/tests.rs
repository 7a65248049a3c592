use proptest::prelude::*;

use super::*;

const ALL: [Dialect; 3] = [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite];

fn kinds(sql: &str, dialect: Dialect) -> Vec<(TokenKind, &str)> {
    let tokens = lex(sql, dialect).unwrap().into_iter().filter(|token| token.kind != TokenKind::Space);
    tokens.map(|token| (token.kind, token.text)).collect()
}

#[test]
fn token_kinds_are_distinguished() {
    use TokenKind::{Comment, Mark, Name, Number, Placeholder, Text, Word};
    let sql = "a_1 12 :since 'it''s' \"b\"\"c\" x::int -- :d\n/* e */,";
    let of = |quoted| {
        vec![
            (Word, "a_1"),
            (Number, "12"),
            (Placeholder, ":since"),
            (Text, "'it''s'"),
            (quoted, "\"b\"\"c\""),
            (Word, "x"),
            (Mark, "::"),
            (Word, "int"),
            (Comment, "-- :d\n"),
            (Comment, "/* e */"),
            (Mark, ","),
        ]
    };
    assert_eq!(kinds(sql, Dialect::PostgreSql), of(Name));
    assert_eq!(kinds(sql, Dialect::Sqlite), of(Name));
    // In Spark, double quotes enclose text, and a doubled mark ends one text and begins the next.
    assert_eq!(kinds(sql, Dialect::Databricks), of(Text));
}

#[test]
fn prefixes_and_dollar_quotes_belong_to_their_text() {
    use Dialect::{Databricks, PostgreSql, Sqlite};
    use TokenKind::{Mark, Name, Number, Text, Word};
    assert_eq!(kinds(r"r'\' R'x'", Databricks), [(Text, r"r'\'"), (Text, "R'x'")]);
    assert_eq!(kinds(r"E'\''", PostgreSql), [(Text, r"E'\''")]);
    assert_eq!(kinds(r"see'\'", PostgreSql), [(Word, "see"), (Text, r"'\'")]);
    assert_eq!(kinds("$a$ ' $a$b", PostgreSql), [(Text, "$a$ ' $a$"), (Word, "b")]);
    assert_eq!(kinds("a$b$ 1$$;$$", PostgreSql), [(Word, "a$b$"), (Number, "1"), (Text, "$$;$$")]);
    assert_eq!(kinds("$1", PostgreSql), [(Mark, "$"), (Number, "1")]);
    assert_eq!(kinds("[a;b]`c;d`", Sqlite), [(Name, "[a;b]"), (Name, "`c;d`")]);
    assert_eq!(kinds("[a]", PostgreSql), [(Mark, "["), (Word, "a"), (Mark, "]")]);
}

#[test]
fn line_comment_ends_where_its_dialect_ends_it() {
    let comment = |sql, dialect| kinds(sql, dialect)[0].1;
    assert_eq!(comment("-- a\\\nb\nc", Dialect::Databricks), "-- a\\\nb\n");
    assert_eq!(comment("-- a\\\nb\nc", Dialect::PostgreSql), "-- a\\\n");
    assert_eq!(comment("-- a\rb\nc", Dialect::PostgreSql), "-- a\r");
    assert_eq!(comment("-- a\rb\nc", Dialect::Sqlite), "-- a\rb\n");
}

/// Long texts of tokens that could make a lexer rescan the rest repeatedly.
#[test]
fn time_is_linear_in_the_length() {
    for part in
        ["'", "\"a", "$", "$a", "$a$", "/*", "*/", "--", "-- a\\\n", ":", "::a", "[", "1$$", "E'\\", "a "]
    {
        let sql = part.repeat(200_000);
        let begin = std::time::Instant::now();
        for dialect in ALL {
            let _ = lex(&sql, dialect);
        }
        assert!(begin.elapsed().as_secs() < 20, "{part}");
    }
}

/// A public query, whole or truncated.
fn query() -> impl Strategy<Value = String> {
    let fixture = include_str!("../../../../tests/fixtures/sql/queries.json");
    let known: Vec<serde_json::Value> = serde_json::from_str(fixture).unwrap();
    let known: Vec<String> = known.iter().map(|known| known["sql"].as_str().unwrap().to_owned()).collect();
    (prop::sample::select(known), any::<prop::sample::Index>())
        .prop_map(|(sql, end)| sql.chars().take(end.index(2 * sql.len())).collect())
}

proptest! {
    #[test]
    fn concatenated_tokens_are_the_text(
        sql in prop_oneof![any::<String>(), query(), "[a-e1$:'\"`\\[\\]\\\\\\-/*;? \n\ré]{0,30}"]
    ) {
        for dialect in ALL {
            match lex(&sql, dialect) {
                Ok(tokens) => {
                    let mut at = 0;
                    for token in &tokens {
                        prop_assert_eq!(token.at, at);
                        prop_assert!(!token.text.is_empty());
                        at += token.text.len();
                    }
                    prop_assert_eq!(tokens.iter().map(|token| token.text).collect::<String>(), sql.clone());
                }
                Err(error) => prop_assert!(sql.is_char_boundary(error.at)),
            }
        }
    }
}
