//! Starts the warehouse before the nightly round, and decides whether to repeat the round.
//!
//! Both are for a warehouse that takes minutes to start.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::finding::{Check, WAREHOUSE};
use syncwatch::incident::{IncidentKey, State};
use syncwatch::runtime::Site;
use syncwatch::warehouse::Limits;

/// A round counts as tonight's if it began within this time.
const NIGHT: SignedDuration = SignedDuration::from_hours(6);

/// Starts the warehouse, so that it is running when the nightly rounds begin. A failure is only logged: the rounds report it.
pub(crate) async fn warm_up(site: &Site, limit: Duration) -> anyhow::Result<Value> {
    let Some(declared) = &site.pipeline.warehouse else { return Ok(json!({ "warehouse": "not declared" })) };
    let why = match site.warehouse(declared, Limits::default(), limit).await? {
        Ok(warehouse) => match warehouse.warm_up().await {
            Ok(state) => {
                tracing::info!(?state, "warehouse start requested");
                return Ok(json!({ "warehouse": state }));
            }
            Err(error) => error.to_string(),
        },
        Err(why) => why,
    };
    tracing::warn!(why, "warehouse start request failed");
    Ok(json!({ "warehouse": "not asked", "why": why }))
}

/// Whether a whole round ran tonight and the warehouse answered every statement.
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

/// The answer to `validate-again` when there is nothing to repeat.
pub(crate) fn done() -> Value {
    json!({ "done": "tonight's round already got an answer to every statement" })
}
