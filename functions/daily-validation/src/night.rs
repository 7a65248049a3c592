//! What goes before and after the nightly round, for a warehouse that takes minutes to start.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::finding::{Check, WAREHOUSE};
use syncwatch::incident::{IncidentKey, State};
use syncwatch::runtime::Site;
use syncwatch::warehouse::Limits;

/// A round that began within this time is that of this night.
const NIGHT: SignedDuration = SignedDuration::from_hours(6);

/// Has the warehouse start, so that the nightly rounds find one that runs. What keeps it from that is for these to find: here
/// it is only logged.
pub(crate) async fn warm_up(site: &Site, limit: Duration) -> anyhow::Result<Value> {
    let Some(declared) = &site.pipeline.warehouse else { return Ok(json!({ "warehouse": "not declared" })) };
    let why = match site.warehouse(declared, Limits::default(), limit).await? {
        Ok(warehouse) => match warehouse.warm_up().await {
            Ok(state) => {
                tracing::info!(?state, "warehouse asked to start");
                return Ok(json!({ "warehouse": state }));
            }
            Err(error) => error.to_string(),
        },
        Err(why) => why,
    };
    tracing::warn!(why, "warehouse could not be asked to start");
    Ok(json!({ "warehouse": "not asked", "why": why }))
}

/// Whether a whole round of this night got an answer to all that it asked.
pub(crate) async fn is_done(site: &Site, now: Timestamp) -> anyhow::Result<bool> {
    let (store, pipeline) = (site.incidents(), &site.pipeline.name);
    let last = store.last_round(pipeline).await?;
    if last.is_none_or(|last| now.duration_since(last.at) > NIGHT) {
        return Ok(false);
    }
    let (check, subject) = (Check::WarehouseReachable, WAREHOUSE.to_owned());
    let warehouse = IncidentKey { pipeline: pipeline.clone(), check, subject };
    let incident = store.get(&warehouse).await?;
    Ok(incident.is_none_or(|incident| incident.state == State::Resolved))
}

/// The answer when nothing was left to do.
pub(crate) fn done() -> Value {
    json!({ "done": "the round of this night got all its answers" })
}
