//! Reads what the remedies of an incident rely on.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::definition::relations;
use super::proof;
use crate::baseline::{Part, SyncDefinition};
use crate::census::Client;
use crate::data_checks::object_name;
use crate::finding::{Check, Outcome};
use crate::incident::IncidentKey;
use crate::judge::{Habits, judge_sync, judging_time};
use crate::observation::{SyncObservation, Unread, WarehouseState};
use crate::pipeline::{DeclaredView, Pipeline, Role, Sync};
use crate::remedy::{Observed, ViewSeen, WebhookSeen, siblings};
use crate::runtime::warehouse::Asker;
use crate::sql::{Answer, Dialect, Statement};
use crate::warehouse::Warehouse;

/// Queries that waited are counted among those of this span.
const QUEUED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Limit for all statements about a view.
const VIEW_LIMIT: Duration = Duration::from_secs(8);

/// Opens or reads what a check needs. Each is awaited only if the check needs it.
#[derive(Debug)]
pub struct Sources<W, D, H> {
    /// Opens the warehouse.
    pub warehouse: W,
    /// Counts the queue of undelivered notices.
    pub dead_letters: D,
    pub webhook: H,
}

/// Reads the sync of an incident and those on the same object, and the warehouse, the queue of undelivered notices, the webhook,
/// the view, or the proof that a run creates no duplicates, if the check needs them. `at` is the time when reading begins (UTC).
pub async fn observe(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    key: &IncidentKey,
    at: Timestamp,
    sources: Sources<
        impl Future<Output = Result<Warehouse, String>>,
        impl Future<Output = Result<u64, String>>,
        impl Future<Output = Result<WebhookSeen, String>>,
    >,
) -> Observed {
    const NOT_READ: &str = "not read for this check";
    let Sources { warehouse, dead_letters, webhook } = sources;
    if key.check == Check::DefinitionChanged {
        return Box::pin(of_view(pipeline, census, key, at, warehouse)).await;
    }
    if key.check == Check::WebhooksArrive {
        return Observed { webhook: webhook.await, ..Observed::nothing(at, NOT_READ) };
    }
    let own = async {
        match pipeline.sync(&key.subject) {
            Some(sync) => read(census, sync).await,
            None => Err(format!("{} is not a sync", key.subject)),
        }
    };
    let others = siblings(pipeline, &key.subject).into_iter();
    let others = join_all(others.map(async |sync| (sync.key.clone(), read(census, sync).await)));
    let needs_state = matches!(key.check, Check::RunFailed | Check::WarehouseReachable);
    let is_run = matches!(key.check, Check::RunFailed | Check::RunDue | Check::MinimumSchedule);
    let creating = pipeline.sync(&key.subject).filter(|sync| is_run && sync.role != Role::Update);
    let warehouse = async {
        if !needs_state && creating.is_none() {
            return (Err(NOT_READ.to_owned()), Err(NOT_READ.to_owned()), None);
        }
        let opened = warehouse.await;
        let state = match &opened {
            Ok(warehouse) if needs_state => state_of(warehouse).await,
            Ok(_) => Err(NOT_READ.to_owned()),
            Err(why) => Err(why.clone()),
        };
        let runs = state.as_ref().is_ok_and(WarehouseState::is_running);
        let queued = match &opened {
            Ok(warehouse) if runs && pipeline.remedies.max_clusters.is_some() => {
                let since = at.saturating_sub(QUEUED_WITHIN).unwrap_or(at);
                warehouse.queued(since).await.ok().flatten()
            }
            _ => None,
        };
        (opened, state, queued)
    };
    let dead_letters =
        async { if key.check == Check::DeadLetters { dead_letters.await } else { Err(NOT_READ.to_owned()) } };
    let (sync, siblings, (opened, warehouse, queued), dead_letters) =
        futures::join!(own, others, warehouse, dead_letters);
    let unread = Observed::nothing(at, NOT_READ);
    let mut observed = Observed { sync, siblings, warehouse, queued, dead_letters, ..unread };
    observed.healthy = is_healthy(pipeline, census, key, &observed);
    if let Some(sync) = creating {
        observed.proof = Some(Box::new(proof::read(pipeline, census, sync, &observed, &opened).await));
    }
    observed
}

async fn state_of(warehouse: &Warehouse) -> Result<WarehouseState, String> {
    let state = warehouse.state().await.map_err(|error| error.to_string())?;
    state.ok_or_else(|| "its driver does not say whether it runs".to_owned())
}

async fn read(census: Result<&Client, &Unread>, sync: &Sync) -> Result<SyncObservation, String> {
    let census = census.map_err(ToString::to_string)?;
    let (observed, runs) = futures::join!(census.get_sync(sync.id), census.newest_runs(sync.id));
    let observed = observed.map_err(|error| error.to_string())?;
    Ok(SyncObservation { sync: observed, runs: runs.map_err(|error| error.to_unread()) })
}

/// Reads a declared view, its file's definition, and the syncs that read it. A stopped warehouse is not asked.
async fn of_view(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    key: &IncidentKey,
    at: Timestamp,
    warehouse: impl Future<Output = Result<Warehouse, String>>,
) -> Observed {
    let (mut siblings, mut columns) = (Vec::new(), BTreeSet::new());
    let view = async {
        let name = key.subject.as_str();
        let declared = pipeline.declared_views.get(name).ok_or("no file declares it")?;
        if pipeline.dialect() == Dialect::PostgreSql {
            return Err("PostgreSQL shows its own rendering of a view, which no file has".to_owned());
        }
        let asked = join_all(pipeline.syncs.iter().map(async |sync| {
            let census = census.map_err(ToString::to_string)?;
            let (_, found) = census.get_definition(sync.id).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((sync, found))
        }));
        let syncs = asked.await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let reads = |found: &SyncDefinition| found.table().is_some_and(|table| is_same(table, name));
        let readers: Vec<_> = syncs.into_iter().filter(|(_, found)| reads(found)).collect();
        siblings =
            join_all(readers.iter().map(async |(sync, _)| (sync.key.clone(), read(census, sync).await)))
                .await;
        for (_, found) in &readers {
            let mappings =
                found.mappings.known().ok_or("the mappings of a sync that reads it are unknown")?;
            columns.extend(mappings.iter().filter(|m| m.is_column()).map(|m| m.from.to_lowercase()));
        }
        let warehouse = warehouse.await?;
        if let Some(state) = warehouse.state().await.map_err(|error| error.to_string())?
            && !state.is_running()
        {
            return Err(format!("the warehouse is {}", state.power));
        }
        let mut seen = view_seen(name, declared, pipeline.dialect(), &warehouse, &columns).await?;
        seen.readers = readers.iter().map(|(sync, _)| sync.key.clone()).collect();
        Ok(seen)
    }
    .await;
    let healthy = view.as_ref().ok().map(|seen: &ViewSeen| seen.as_declared);
    Observed { siblings, view, healthy, ..Observed::nothing(at, "not read for this check") }
}

/// Whether two names are of the same relation: Census writes them with or without catalog, in any case.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |name: &str| name.to_lowercase().rsplit('.').map(str::to_owned).collect::<Vec<_>>();
    parts(one).iter().zip(&parts(other)).all(|(one, other)| one == other)
}

/// Compares a view with its file, and tries the file's definition without changing anything.
async fn view_seen(
    name: &str,
    declared: &DeclaredView,
    dialect: Dialect,
    warehouse: &Warehouse,
    columns: &BTreeSet<String>,
) -> Result<ViewSeen, String> {
    let asker = Asker::new(warehouse, VIEW_LIMIT);
    let mut found = relations(BTreeSet::from([name]), dialect, asker).await;
    let found = match found.remove(name) {
        None => None,
        Some(Part::Unknown(why)) => return Err(why),
        Some(Part::Known(relation)) => {
            Some(relation.text.known().cloned().ok_or("its text is not readable")?)
        }
    };
    let query = &declared.query;
    // Its columns cost no rows; a definition that the engine refuses fails here.
    let empty = format!("SELECT * FROM ({query}) AS declared WHERE 1 = 0");
    let tried = asker.ask(&Statement::new("columns of the declared view", empty)).await;
    let has = |answer: &Answer| -> BTreeSet<String> {
        answer.columns().iter().map(|column| column.name.to_lowercase()).collect()
    };
    let known = tried.as_ref().map(has).unwrap_or_default();
    let lost_columns = match &tried {
        Ok(_) => columns.difference(&known).cloned().collect(),
        Err(_) => Vec::new(),
    };
    let rows = async |label: &str, from: String| -> Result<u64, String> {
        let count = Statement::new(label, format!("SELECT COUNT(*) AS n FROM {from}"));
        let answer = asker.ask(&count).await.map_err(|error| error.to_string())?;
        let counted: i64 =
            answer.only_row().and_then(|row| row.get("n")).map_err(|error| error.to_string())?;
        Ok(counted.unsigned_abs())
    };
    let declared_rows = match tried {
        Err(error) => Err(error.to_string()),
        Ok(_) => rows("rows of the declared view", format!("({query}) AS declared")).await,
    };
    let quoted = object_name(dialect, name).map_err(|error| error.to_string())?;
    let present = if found.is_some() { rows("rows of the view", quoted).await.ok() } else { None };
    let as_declared = found.as_ref() == Some(query);
    Ok(ViewSeen { as_declared, found, lost_columns, rows: present, declared_rows, readers: Vec::new() })
}

/// Judges the incident's own check by this observation; `None` if it cannot be.
fn is_healthy(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    key: &IncidentKey,
    observed: &Observed,
) -> Option<bool> {
    match key.check {
        Check::WarehouseReachable => observed.warehouse.as_ref().ok().map(WarehouseState::is_running),
        Check::DeadLetters => observed.dead_letters.as_ref().ok().map(|count| *count == 0),
        check => {
            let sync = pipeline.sync(&key.subject)?;
            let now = judging_time(observed.at, census.ok()?.clock_ahead());
            let seen = observed.sync.as_ref().ok()?;
            let findings = judge_sync(seen, sync, &pipeline.objectives, &Habits::default(), now);
            match findings.iter().find(|finding| finding.check == check)?.outcome {
                Outcome::Healthy { .. } => Some(true),
                Outcome::Unhealthy { .. } => Some(false),
                Outcome::NotEvaluated { .. } => None,
            }
        }
    }
}
