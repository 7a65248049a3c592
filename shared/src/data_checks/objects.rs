//! Names of tables and views: written as in Databricks, and quoted for each dialect.

use crate::sql::{BadName, Dialect};

/// Quotes the name of a table or view for SQL. `path` is as in `pipeline.toml`: `[catalog.][schema.]table`.
///
/// * Databricks => as it is
/// * PostgreSQL => without the catalog, as a connection has one database: `schema.table`
/// * SQLite     => schema and table become one name with a point in it, as it has no schemas
pub fn object_name(dialect: Dialect, path: &str) -> Result<String, BadName> {
    let parts: Vec<&str> = path.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(BadName::Empty);
    }
    if parts.len() > 3 {
        return Err(BadName::TooManyParts { found: parts.len(), most: 3 });
    }
    let within_catalog = match parts.as_slice() {
        [_, schema, table] => vec![*schema, *table],
        others => others.to_vec(),
    };
    match dialect {
        Dialect::Databricks => dialect.quote_parts(&parts),
        Dialect::PostgreSql => dialect.quote_parts(&within_catalog),
        Dialect::Sqlite => dialect.quote(&within_catalog.join(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_quoted_for_each_dialect() {
        let names = |path| {
            [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite]
                .map(|dialect| object_name(dialect, path).unwrap())
        };
        assert_eq!(
            names("crm.rds.properties"),
            ["`crm`.`rds`.`properties`", "\"rds\".\"properties\"", "`rds.properties`"]
        );
        assert_eq!(
            names("rds.properties"),
            ["`rds`.`properties`", "\"rds\".\"properties\"", "`rds.properties`"]
        );
        assert_eq!(names("properties"), ["`properties`", "\"properties\"", "`properties`"]);
        assert_eq!(names("a`b.c d.e--"), ["`a``b`.`c d`.`e--`", "\"c d\".\"e--\"", "`c d.e--`"]);
        let marks = [Dialect::Databricks, Dialect::PostgreSql]
            .map(|dialect| object_name(dialect, "c\"d.e;").unwrap());
        assert_eq!(marks, ["`c\"d`.`e;`", "\"c\"\"d\".\"e;\""]);
        assert_eq!(object_name(Dialect::Sqlite, "c\"d.e;"), Err(BadName::Misread('"')));
    }

    #[test]
    fn invalid_name_is_refused() {
        for dialect in [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite] {
            for path in ["", ".", "a.", "a..b"] {
                assert_eq!(object_name(dialect, path), Err(BadName::Empty), "{path:?}");
            }
            assert_eq!(object_name(dialect, "a.b.c.d"), Err(BadName::TooManyParts { found: 4, most: 3 }));
            assert_eq!(object_name(dialect, "a.b\n;"), Err(BadName::ControlCharacters));
        }
    }
}
