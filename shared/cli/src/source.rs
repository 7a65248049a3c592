//! Reads facts of the view behind a sync from the catalog of the warehouse. The text of a view is neither kept nor printed.

use syncwatch::advise::{Definition, Selects, View};
use syncwatch::baseline::Part;
use syncwatch::data_checks::{DataCheck, Rule, object_name};
use syncwatch::observe::definition::relations;
use syncwatch::runtime::warehouse::Asker;
use syncwatch::sql::Dialect;
use syncwatch::warehouse::Warehouse;

use crate::WAREHOUSE_START_LIMIT;

/// Returns what the catalog shows of a table or view, or the reason why it shows nothing. The columns with the time of a change are
/// those of the declared freshness checks.
pub async fn view(warehouse: &Warehouse, path: &str, checks: &[DataCheck]) -> Result<View, String> {
    let dialect = warehouse.dialect();
    let name = object_name(dialect, path).map_err(|error| error.to_string())?;
    let asker = Asker::new(warehouse, WAREHOUSE_START_LIMIT);
    match relations([path].into(), dialect, asker).await.remove(path) {
        Some(Part::Known(found)) => {
            let (kind, text) = (found.kind.known().map(String::as_str), found.text.known());
            let text = text.filter(|text| !text.is_empty()).map(String::as_str);
            Ok(described(dialect, name, kind, text, checks))
        }
        Some(Part::Unknown(why)) => Err(why),
        None => Err(format!("the catalog of the warehouse does not list {path}")),
    }
}

fn described(
    dialect: Dialect,
    name: String,
    kind: Option<&str>,
    definition: Option<&str>,
    checks: &[DataCheck],
) -> View {
    let stored = match kind {
        Some("view" | "VIEW") => Some(false),
        Some(
            "table" | "TABLE" | "MATERIALIZED VIEW" | "MANAGED" | "EXTERNAL" | "STREAMING_TABLE"
            | "MATERIALIZED_VIEW",
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
}
