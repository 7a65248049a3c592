//! Reads what the speed of syncs depends on: their last runs in Census, and the views behind them from the catalog of the
//! warehouse. The text of a view is neither kept nor printed.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::AT_ONCE;
use super::definition::relations;
use crate::advise::{AdviceList, Definition, Read, Selects, Source, Target, View, advise, input};
use crate::baseline::Part;
use crate::census::{self, Client};
use crate::data_checks::{DataCheck, Rule, object_name};
use crate::pipeline::{Pipeline, Sync};
use crate::runtime::warehouse::Asker;
use crate::sql::Dialect;
use crate::warehouse::Warehouse;

/// The runs that are read of each sync: the most that Census returns on a page.
const RUNS: u32 = 100;
/// Census does not send it, and its queries in the history of the warehouse (`system.query.history`) have no documented mark.
const QUERY_TIME: &str = "the time of the source query: no documented mark of Census's queries is known";

/// Reads the last runs of each sync, as the fastest one shows what the destination can do, and advises on all syncs, or on `wanted`.
/// The warehouse is opened by `open` only for a sync that misses its target, as a query starts it.
///
/// # Errors
/// The runs of a sync could not be read. Any other failure makes facts unknown.
pub async fn advice(
    pipeline: &Pipeline,
    census: &Client,
    open: impl AsyncFn() -> Result<Warehouse, String>,
    limit: Duration,
    wanted: Option<&Sync>,
    now: Timestamp,
) -> Result<AdviceList, census::Error> {
    let read = pipeline.syncs.iter().map(async |sync| {
        let runs = census.runs_of_sync(sync.id, RUNS).await?.runs;
        Ok(Read { sync, runs, source: Source::default() })
    });
    let mut syncs: Vec<Read<'_>> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    let destination = &pipeline.terms.destination;
    let mut warehouse = None;
    for read in syncs.iter_mut().filter(|read| wanted.is_none_or(|wanted| wanted.key == read.sync.key)) {
        let report = advise(&input(read, destination, now));
        if report.is_ok_and(|report| matches!(report.target, Target::Missed { .. })) {
            if warehouse.is_none() {
                warehouse = Some(open().await);
            }
            let opened = warehouse
                .as_ref()
                .map_or(Err("the warehouse is not open"), |opened| opened.as_ref().map_err(String::as_str));
            read.source = source(census, read.sync, opened, limit, &pipeline.checks).await;
        }
    }
    let mut list = AdviceList::of(&pipeline.name, destination, &syncs, now);
    list.syncs.retain(|advice| wanted.is_none_or(|wanted| wanted.key == advice.sync));
    Ok(list)
}

async fn source(
    census: &Client,
    sync: &Sync,
    warehouse: Result<&Warehouse, &str>,
    limit: Duration,
    checks: &[DataCheck],
) -> Source {
    let mut unknown = vec![QUERY_TIME.to_owned()];
    let source = match census.get_definition(sync.id).await {
        Ok((_, definition)) => definition,
        Err(error) => {
            unknown.push(format!("the source: {error}"));
            return Source { unknown, ..Source::default() };
        }
    };
    let read = async {
        let path = source.table().ok_or("Census shows no table of the sync")?;
        view(warehouse?, path, limit, checks).await
    };
    let view = match read.await {
        Ok(view) => Some(View { key: source.key_column().map(str::to_owned), ..view }),
        Err(why) => {
            unknown.push(format!("the view: {why}"));
            None
        }
    };
    Source { mirror: source.mirrors(), view, unknown }
}

/// Returns what the catalog shows of a table or view, or the reason why it shows nothing. The columns with the time of a change are
/// those of the declared freshness checks.
pub async fn view(
    warehouse: &Warehouse,
    path: &str,
    limit: Duration,
    checks: &[DataCheck],
) -> Result<View, String> {
    let dialect = warehouse.dialect();
    let name = object_name(dialect, path).map_err(|error| error.to_string())?;
    let asker = Asker::new(warehouse, limit);
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
    use crate::pipeline::Pipeline;

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
