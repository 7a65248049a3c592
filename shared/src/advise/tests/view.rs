//! Facts of views from their definitions.

use super::*;
use crate::sql::Dialect::{self, Databricks, PostgreSql, Sqlite};

const CREATE: &str = include_str!("../../../../infra/warehouse/010_properties_to_create.sql");
const UPDATE: &str = include_str!("../../../../infra/warehouse/011_properties_to_update.sql");

/// The definition as an engine shows it, with plain names.
fn shown(text: &str) -> String {
    text.replace("${", "").replace('}', "")
}

#[test]
fn joins_groups_and_tables_are_read_from_the_text() {
    let table: [(&str, Dialect, u64, bool, &[&str]); 10] = [
        ("SELECT a FROM s.t", Databricks, 0, false, &["s.t"]),
        ("SELECT DISTINCT a FROM `s`.`t`", Databricks, 0, true, &["s.t"]),
        ("CREATE VIEW v AS SELECT a FROM `s.t` JOIN [s.u] ON 1", Sqlite, 1, false, &["s.t", "s.u"]),
        ("SELECT a FROM (SELECT b FROM c.s.t GROUP BY b) x", PostgreSql, 0, true, &["c.s.t", "s.t"]),
        ("SELECT 1 FROM s.t UNION SELECT 2 FROM s.u", PostgreSql, 0, true, &["s.t", "s.u"]),
        ("SELECT 1 FROM s.t UNION ALL SELECT 2 FROM \"S\".\"u\"", PostgreSql, 0, false, &["s.t", "s.u"]),
        ("SELECT a FROM s.t WHERE b IS DISTINCT FROM 1", Databricks, 0, false, &["s.t"]),
        ("SELECT 'FROM s.x JOIN s.y' FROM s.t -- JOIN s.z", Databricks, 0, false, &["s.t"]),
        ("SELECT a FROM ((s.t x LEFT JOIN s.u y ON true))", PostgreSql, 1, false, &["s.t", "s.u"]),
        ("SELECT a FROM t", Databricks, 0, false, &[]),
    ];
    for (text, dialect, joins, groups, reads) in table {
        let definition = Definition::read(text, dialect).unwrap();
        assert_eq!((definition.joins, definition.groups), (joins, groups), "{text}");
        for of in ["s.t", "s.u", "s.x", "s.y", "s.z", "c.s.t", "t"] {
            let expected = reads.contains(&of) || (of == "c.s.t" && reads.contains(&"s.t"));
            assert_eq!(definition.reads(of), expected, "{text}: {of}");
        }
    }
    assert_eq!(Definition::read("SELECT 'a FROM t", Databricks), None);
}

#[test]
fn conditions_on_the_time_of_a_change_are_found() {
    use Selects::{All, Recent, Unclear};
    let table = [
        ("SELECT updated_at FROM t", Some(All)),
        ("SELECT updated_at FROM t WHERE a > 1", Some(All)),
        ("SELECT a FROM t WHERE updated_at >= now()", Some(Recent)),
        ("SELECT a FROM t x WHERE x.`updated_at` > '2026-01-01'", Some(Recent)),
        ("SELECT a FROM t x WHERE now() < s.x.updated_at", Some(Recent)),
        ("SELECT a FROM t WHERE '2026-01-01' <= updated_at", Some(Recent)),
        ("SELECT a FROM t WHERE UPDATED_AT BETWEEN 1 AND 2", Some(Recent)),
        ("SELECT a FROM t JOIN u ON t.updated_at > u.at", Some(Recent)),
        ("SELECT a FROM t WHERE updated_at <> '2026-01-01'", Some(Unclear)),
        ("SELECT a FROM t WHERE 1 <> updated_at", Some(Unclear)),
        ("SELECT a FROM t WHERE date(updated_at) = 1", Some(Unclear)),
        ("SELECT a FROM t WHERE updated_at IS NULL", Some(Unclear)),
        ("SELECT a FROM t WHERE 'updated_at >' = b", Some(All)),
        ("SELECT 1", None),
        ("SELECT 'a", None),
    ];
    for (text, expected) in table {
        assert_eq!(Selects::by("updated_at", text, Databricks), expected, "{text}");
    }
}

#[test]
fn views_of_the_syncs_are_understood() {
    for (text, groups_by, selects) in [(CREATE, true, Selects::All), (UPDATE, true, Selects::Unclear)] {
        let text = shown(text);
        let definition = Definition::read(&text, Databricks).unwrap();
        assert_eq!((definition.joins, definition.groups), (1, groups_by));
        assert!(definition.reads("crm.rds.properties") && !definition.reads("crm.rds.owners"));
        assert_eq!(Selects::by("updated_at", &text, Databricks), Some(selects));
    }
}

#[test]
fn any_text_is_read_without_a_panic() {
    use proptest::prelude::*;
    let word = "SELECT|FROM|JOIN|WHERE|updated_at|[.<>=()'\"`]|DISTINCT|UNION|-- |.{0,3}";
    proptest!(|(words in proptest::collection::vec(word, 0..30))| {
        for dialect in [Databricks, PostgreSql, Sqlite] {
            let text = words.join(" ");
            let read = Definition::read(&text, dialect);
            prop_assert_eq!(read.is_some(), crate::sql::lex(&text, dialect).is_ok());
            let _ = Selects::by("updated_at", &text, dialect);
        }
    });
}
