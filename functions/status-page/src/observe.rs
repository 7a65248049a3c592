//! Reads what the page shows. The figures of the audit log change once a night, so they are read after each snapshot, and kept
//! beside the page: a query every five minutes would keep the SQL warehouse running, and paid for.

use std::time::Duration;

use jiff::Timestamp;
use syncwatch::aws::AwsError;
use syncwatch::aws::bucket::{Bucket, Object};
use syncwatch::observe::{history, page};
use syncwatch::page::{Inputs, Recorded};
use syncwatch::runtime::Site;
use syncwatch::runtime::warehouse::Asker;
use tokio::time::timeout;

/// Limit for all reads of Census and of the stored state.
pub const CENSUS_LIMIT: Duration = Duration::from_secs(25);
/// Limit for all statements together, including the start of the warehouse.
pub const WAREHOUSE_LIMIT: Duration = Duration::from_secs(45);

/// Reads everything. Fails while AWS does not answer, or Census is too slow for the time that the function has.
pub(crate) async fn inputs(site: &Site, now: Timestamp) -> anyhow::Result<Inputs> {
    let recorded = figures(site, now).await?;
    let census = site.census(now).await?;
    let census = census.as_ref().map_err(ToString::to_string);
    let (store, pipeline) = (site.incidents(), &site.pipeline);
    let read = page::inputs(pipeline, &store, census, recorded);
    Ok(timeout(CENSUS_LIMIT, read).await?)
}

/// Returns the kept figures, or new ones if a snapshot or comparison was written since. If these cannot be read, the kept ones say
/// why.
async fn figures(site: &Site, now: Timestamp) -> Result<Result<Recorded, String>, AwsError> {
    let (name, store, bucket) = (&site.pipeline.name, site.incidents(), site.pages());
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let snapshot = store.last_snapshot(name).await;
    let reconciled = store.last_reconciled(name).await;
    let written = match (&snapshot, &reconciled) {
        (Ok(snapshot), Ok(reconciled)) => {
            let snapshot = snapshot.as_ref().and_then(|record| record.written_at);
            let Some(snapshot) = snapshot else { return Ok(Err("no snapshot was written yet".to_owned())) };
            [Some(snapshot), reconciled.as_ref().and_then(|round| round.at)]
        }
        (Err(error), _) | (_, Err(error)) => return Ok(Err(text(error))),
    };
    let key = format!("{name}/history.json");
    let kept = bucket.get(&key, now).await?;
    let kept = kept.and_then(|kept| serde_json::from_slice::<Recorded>(&kept).ok());
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_current(written.into_iter().flatten())) {
        return Ok(Ok(kept.clone()));
    }
    match read(site, now).await? {
        Ok(recorded) => keep(&bucket, &key, recorded, now).await.map(Ok),
        Err(why) => Ok(kept.map(|kept| Recorded { unrenewed: Some(why.clone()), ..kept }).ok_or(why)),
    }
}

async fn read(site: &Site, now: Timestamp) -> Result<Result<Recorded, String>, AwsError> {
    let Some(declared) = &site.pipeline.warehouse else {
        return Ok(Err("pipeline.toml has no [warehouse]".to_owned()));
    };
    let warehouse = match site.warehouse(declared, history::limits(), WAREHOUSE_LIMIT).await? {
        Ok(warehouse) => warehouse,
        Err(why) => return Ok(Err(why)),
    };
    let asker = Asker::new(&warehouse, WAREHOUSE_LIMIT);
    Ok(page::recorded(&site.pipeline, warehouse.dialect(), asker, now).await)
}

async fn keep(bucket: &Bucket, key: &str, recorded: Recorded, now: Timestamp) -> Result<Recorded, AwsError> {
    // Figures and days cannot fail to serialize.
    let text = serde_json::to_string(&recorded).unwrap_or_default();
    let object = Object { key, content_type: "application/json", cache_control: "no-store", text: &text };
    bucket.put(object, now).await?;
    Ok(recorded)
}
