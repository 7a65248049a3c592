//! Decides whether to repeat the nightly round, for a warehouse that takes minutes to start.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use syncwatch::finding::{Check, WAREHOUSE};
use syncwatch::incident::{IncidentKey, State};
use syncwatch::runtime::Site;

/// A round counts as tonight's if it began within this time.
const NIGHT: SignedDuration = SignedDuration::from_hours(6);

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
