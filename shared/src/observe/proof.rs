//! Reads the proof that another run of a sync creates no duplicates, and asks only a running warehouse.

use std::time::Duration;

use jiff::Timestamp;

use crate::baseline::SyncDefinition;
use crate::census::Client;
use crate::observation::Unread;
use crate::pipeline::{Pipeline, Sync};
use crate::reconcile::{Object, Statements};
use crate::remedy::{CopySeen, Observed, Proof, Queue};
use crate::runtime::warehouse::Asker;
use crate::sql::{Answer, BadName, Dialect, FromValue, Statement};
use crate::warehouse::Warehouse;

/// Limit for all statements of a proof.
const STATEMENTS_LIMIT: Duration = Duration::from_secs(5);

/// Reads the proof. The statements are sent only if nothing else keeps the gate closed.
pub(super) async fn read(
    pipeline: &Pipeline,
    census: Result<&Client, &Unread>,
    sync: &Sync,
    observed: &Observed,
    warehouse: &Result<Warehouse, String>,
) -> Proof {
    let definition = match census {
        Ok(census) => census.get_definition(sync.id).await.map_err(|error| error.to_string()),
        Err(why) => Err(why.to_string()),
    };
    let definition = definition.as_ref().map(|(_, definition)| definition).map_err(Clone::clone);
    let object = object_of(pipeline, &sync.key);
    let unread = "not asked while other points are not shown";
    let mut proof = Proof::begin(sync, object.clone(), definition.clone(), observed, unread);
    if proof.needs_warehouse()
        && let (Ok(object), Ok(definition), Ok(run)) = (object, definition, &proof.last_run)
    {
        let asker = asker(warehouse).await;
        let of_copy = copy(object, [run.began, run.ended], pipeline.dialect(), &asker);
        let of_queue = queue(object, definition, pipeline.dialect(), &asker);
        let (copy, queue) = futures::join!(of_copy, of_queue);
        (proof.copy, proof.queue) = (copy, queue);
    }
    proof
}

/// Reads the copy of the object that a sync writes, without what was created in a span of time.
pub async fn copy_of(pipeline: &Pipeline, sync: &str, warehouse: &Result<Warehouse, String>) -> CopySeen {
    match object_of(pipeline, sync) {
        Ok(object) => {
            let nothing = [Timestamp::UNIX_EPOCH; 2];
            copy(object, nothing, pipeline.dialect(), &asker(warehouse).await).await
        }
        Err(why) => CopySeen::unknown(&why),
    }
}

fn object_of<'p>(pipeline: &'p Pipeline, sync: &str) -> Result<&'p Object, String> {
    let is_of = |object: &&Object| object.syncs.iter().any(|key| key == sync);
    let object = pipeline.objects.iter().find(is_of);
    object.ok_or_else(|| format!("no [[objects]] of pipeline.toml has {sync} in its syncs: add it"))
}

/// A running warehouse; any statement would start a stopped one.
async fn asker(warehouse: &Result<Warehouse, String>) -> Result<Asker<'_>, String> {
    let warehouse = warehouse.as_ref().map_err(Clone::clone)?;
    match warehouse.state().await.map_err(|error| error.to_string())? {
        Some(state) if !state.is_running() => {
            Err(format!("the warehouse is {}, and is not started for it", state.power))
        }
        None if warehouse.dialect() == Dialect::Databricks => {
            Err("the driver does not say whether the warehouse runs, and a statement would start it"
                .to_owned())
        }
        _ => Ok(Asker::new(warehouse, STATEMENTS_LIMIT)),
    }
}

async fn ask(
    asker: &Result<Asker<'_>, String>,
    statement: Result<Statement, BadName>,
) -> Result<Answer, String> {
    let statement = statement.map_err(|error| error.to_string())?;
    let asker = asker.as_ref().map_err(Clone::clone)?;
    asker.ask(&statement).await.map_err(|error| error.to_string())
}

async fn copy(
    object: &Object,
    [from, to]: [Timestamp; 2],
    dialect: Dialect,
    asker: &Result<Asker<'_>, String>,
) -> CopySeen {
    if object.destination.connection.is_some() {
        return CopySeen::unknown("its copy is in another database than the warehouse");
    }
    let statement = Statements::new(object, dialect, from).copy_of_creates(from, to);
    let answer = match ask(asker, statement).await {
        Ok(answer) => answer,
        Err(why) => return CopySeen::unknown(&why),
    };
    let missing = |column: &str| format!("add {column} to [objects.destination] of {}", object.name);
    let synced = match &object.destination.synced {
        None => Err(missing("synced")),
        Some(_) => read_only_row(&answer, "synced")
            .and_then(|synced: Option<Timestamp>| synced.ok_or_else(|| "the copy is empty".to_owned())),
    };
    let created = match &object.destination.created {
        None => Err(missing("created")),
        Some(_) => count(&answer, "created"),
    };
    let [duplicates, null_ids] = ["duplicates", "null_keys"].map(|column| count(&answer, column));
    CopySeen { duplicates, null_ids, synced, created }
}

async fn queue(
    object: &Object,
    definition: &SyncDefinition,
    dialect: Dialect,
    asker: &Result<Asker<'_>, String>,
) -> Result<Queue, String> {
    let view = definition.table().ok_or("the source of the sync is not a table or view")?;
    let key = definition.key_column().ok_or("the primary identifier is not a column")?;
    let statement = Statements::new(object, dialect, Timestamp::UNIX_EPOCH).queue_of_creates(view, key);
    let answer = ask(asker, statement).await?;
    Ok(Queue { rows: count(&answer, "n")?, without_own_key: count(&answer, "without_own_key")? })
}

fn read_only_row<T: FromValue>(answer: &Answer, column: &str) -> Result<T, String> {
    answer.only_row().and_then(|row| row.get(column)).map_err(|error| error.to_string())
}

fn count(answer: &Answer, column: &str) -> Result<u64, String> {
    let count: i64 = read_only_row(answer, column)?;
    u64::try_from(count).map_err(|_| format!("{column} is negative"))
}
