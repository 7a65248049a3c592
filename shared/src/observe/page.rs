//! Reads everything that the status page is built from. What cannot be read is left out with its reason.

use std::fmt::Display;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::AT_ONCE;
use super::history::{history, object_days};
use crate::aws::incidents::IncidentStore;
use crate::census::Client;
use crate::days::{day_of, days_before};
use crate::history::ObjectDay;
use crate::page::{HISTORY_DAYS, Inputs, Live, Recorded};
use crate::pipeline::{Pipeline, Sync};
use crate::runtime::warehouse::Asker;
use crate::sql::{Dialect, Statement};

/// Reads the figures of the audit log.
///
/// # Errors
/// The pipeline has no audit log, or a statement failed.
pub async fn recorded(
    pipeline: &Pipeline,
    dialect: Dialect,
    asker: Asker<'_>,
    now: Timestamp,
) -> Result<Recorded, String> {
    let Some(snapshot) = &pipeline.snapshot else { return Err("pipeline.toml has no [snapshot]".to_owned()) };
    let to = day_of(now, &pipeline.time_zone);
    let span = (days_before(to, HISTORY_DAYS), to);
    let ask = async |statement: &Statement| asker.ask(statement).await;
    let history = history(ask, &pipeline.name, snapshot, dialect, span).await.map_err(text)?;
    let objects = object_days(ask, &pipeline.name, snapshot, dialect, span).await.map_err(text)?;
    Ok(Recorded { read_at: now, history, objects: ObjectDay::newest(objects), unrenewed: None })
}

/// Reads the stored state and the syncs at Census, and adds the figures of the audit log.
pub async fn inputs(
    pipeline: &Pipeline,
    store: &IncidentStore,
    census: Result<&Client, String>,
    recorded: Result<Recorded, String>,
) -> Inputs {
    let name = &pipeline.name;
    let live = async {
        let read = pipeline.syncs.iter().map(async |sync| {
            let live = match &census {
                Ok(census) => live(census, sync).await,
                Err(why) => Err(why.clone()),
            };
            (sync.key.clone(), live)
        });
        stream::iter(read).buffered(AT_ONCE).collect().await
    };
    let (stored, rounds, reconciled, syncs) =
        futures::join!(store.of_scoreboard(name), store.rounds(name), store.last_reconciled(name), live);
    Inputs {
        stored: stored.map_err(text),
        rounds: rounds.map_err(text),
        reconciled: reconciled.map_err(text),
        recorded,
        syncs,
    }
}

async fn live(census: &Client, sync: &Sync) -> Result<Live, String> {
    let found = census.get_sync(sync.id).await.map_err(text)?;
    let runs = census.runs_of_sync(sync.id, 1).await.map_err(text)?;
    Ok(Live { label: found.label, paused: found.paused, last_run: runs.runs.into_iter().next() })
}

fn text(error: impl Display) -> String {
    error.to_string()
}
