//! Reads facts of the view behind a sync from the catalog of the warehouse. The text of a view is neither kept nor printed.

use syncwatch::advise::{Definition, Selects, View};
use syncwatch::data_checks::{DataCheck, Rule, object_name};
use syncwatch::sql::{Dialect, Statement};
use syncwatch::warehouse::Warehouse;

/// The most bytes of a definition.
pub(crate) const MOST_BYTES: usize = 256 << 10;

/// Returns what the catalog shows of a table or view, or the reason why it shows nothing. The columns with the time of a change are
/// those of the declared freshness checks.
pub async fn view(warehouse: &Warehouse, path: &str, checks: &[DataCheck]) -> Result<View, String> {
    let dialect = warehouse.dialect();
    let name = object_name(dialect, path).map_err(|error| error.to_string())?;
    let statement = statement(path, dialect).ok_or_else(|| format!("Census shows no schema of {path}"))?;
    let answer = warehouse.query(&statement).await.map_err(|error| error.to_string())?;
    let row = answer.rows().next();
    let row = row.ok_or_else(|| format!("the catalog of the warehouse does not list {path}"))?;
    let text = |column| row.get::<Option<String>>(column).map_err(|error| error.to_string());
    let (kind, definition) = (text("kind")?, text("definition")?);
    Ok(described(dialect, name, kind.as_deref(), definition.as_deref(), checks))
}

/// Builds the statement that reads the kind and the definition of a table or view; `None` if the path has too few parts.
fn statement(path: &str, dialect: Dialect) -> Option<Statement> {
    let parts: Vec<&str> = path.split('.').collect();
    let (catalog, schema, name) = match parts.as_slice() {
        [catalog, schema, name] => (Some(*catalog), *schema, *name),
        [schema, name] => (None, *schema, *name),
        _ => return None,
    };
    let sql = match dialect {
        Dialect::Sqlite => {
            let sql = "SELECT type AS kind, CASE WHEN type = 'view' THEN sql END AS definition FROM sqlite_master \
                       WHERE type IN ('table', 'view') AND name = :name";
            return Some(Statement::new(LABEL, sql).bind("name", format!("{schema}.{name}")));
        }
        Dialect::PostgreSql => "SELECT CAST(c.relkind AS TEXT) AS kind, \
             CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relname = :name"
            .to_owned(),
        // Documented pages of the information schema: TABLES (TABLE_TYPE) and VIEWS (VIEW_DEFINITION, only for the owner).
        Dialect::Databricks => {
            let catalog = catalog.and_then(|catalog| dialect.quote(catalog).ok());
            let schemas = catalog.map_or("information_schema".to_owned(), |catalog| format!("{catalog}.information_schema"));
            format!(
                "SELECT t.table_type AS kind, v.view_definition AS definition FROM {schemas}.tables t \
                 LEFT JOIN {schemas}.views v ON v.table_schema = t.table_schema AND v.table_name = t.table_name \
                 WHERE LOWER(t.table_schema) = LOWER(:schema) AND LOWER(t.table_name) = LOWER(:name)"
            )
        }
    };
    Some(Statement::new(LABEL, sql).bind("schema", schema).bind("name", name))
}

const LABEL: &str = "the definition of a view";

fn described(
    dialect: Dialect,
    name: String,
    kind: Option<&str>,
    definition: Option<&str>,
    checks: &[DataCheck],
) -> View {
    let stored = match kind {
        Some("view" | "v" | "VIEW") => Some(false),
        Some(
            "table" | "r" | "p" | "m" | "MANAGED" | "EXTERNAL" | "STREAMING_TABLE" | "MATERIALIZED_VIEW",
        ) => Some(true),
        // A foreign table is in another system.
        _ => None,
    };
    let read = definition.and_then(|text| Definition::read(text, dialect));
    let changed_at = checks.iter().find_map(|check| match &check.rule {
        Rule::Freshness { column, .. } if read.as_ref()?.reads(&check.table) => Some(column.clone()),
        _ => None,
    });
    let selects = changed_at.as_ref().and_then(|column| Selects::by(column, definition?, dialect));
    View { dialect: Some(dialect), name, definition: read, changed_at, selects, stored, ..View::default() }
}

#[cfg(test)]
mod tests {
    use syncwatch::pipeline::Pipeline;

    use super::*;

    #[test]
    fn facts_come_from_the_kind_and_the_text() {
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let of = |kind: Option<&str>, definition: Option<&str>| {
            described(Dialect::Databricks, "`v`".to_owned(), kind, definition, &pipeline.checks)
        };
        let all = "SELECT p.updated_at FROM crm.rds.properties p JOIN crm.s.u ON u.id = p.id";
        let view = of(Some("VIEW"), Some(all));
        assert_eq!((view.stored, view.selects), (Some(false), Some(Selects::All)));
        assert_eq!((view.changed_at.as_deref(), view.definition.unwrap().joins), (Some("updated_at"), 1));
        let recent = format!("{all} WHERE p.updated_at > now() - INTERVAL 7 DAYS");
        assert_eq!(of(Some("VIEW"), Some(&recent)).selects, Some(Selects::Recent));
        // No freshness check is declared for the table.
        let other = of(Some("VIEW"), Some("SELECT updated_at FROM crm.rds.owners"));
        assert_eq!((other.changed_at, other.selects), (None, None));
        // Only the owner of a view sees its text.
        let hidden = of(Some("VIEW"), None);
        assert_eq!((hidden.stored, hidden.definition, hidden.changed_at), (Some(false), None, None));
        for (kind, stored) in [("MATERIALIZED_VIEW", Some(true)), ("FOREIGN", None), ("METRIC_VIEW", None)] {
            assert_eq!(of(Some(kind), None).stored, stored, "{kind}");
        }
        assert_eq!(of(None, None).stored, None);
    }

    #[test]
    fn statement_binds_the_names_and_needs_a_schema() {
        for dialect in [Dialect::Databricks, Dialect::PostgreSql, Dialect::Sqlite] {
            assert_eq!(statement("v", dialect), None);
            let statement = statement("c`c.s's.v", dialect).unwrap();
            assert!(!statement.sql().contains("s's"), "{}", statement.sql());
            let quoted = statement.sql().contains("FROM `c``c`.information_schema.tables t");
            assert_eq!(quoted, dialect == Dialect::Databricks, "{}", statement.sql());
        }
    }
}
