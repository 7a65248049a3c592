//! The incident store: one DynamoDB item per incident key, written only conditionally.
//!
//! Of two writers that saw the same state, one wins and the other gets the stored item. Reads are consistent.
//!
//! Resolved incidents are kept for 90 days, so two indexes find the live ones. They use attributes that every version
//! of Syncwatch writes, so older versions need no change and writes need not maintain them.

use std::collections::BTreeSet;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::error::Fault;
use super::table::{Client, Filter, Item, Outcome, Range, Reader, Spec, Table};
use super::writer_id;
use crate::incident::{Incident, IncidentKey};

mod audits;
mod baseline;
mod causes;
mod item;
mod looks;
mod marks;
mod remedies;
mod reports;
mod rounds;
mod silences;
mod usual;

pub use super::table::Error;
pub use causes::CauseLeader;
pub use item::KEPT_AFTER_RESOLVED;
pub use reports::Sending;
pub use rounds::STATUS_PAGE;

static SPEC: Spec = Spec {
    setting: "SYNCWATCH_INCIDENTS_TABLE (infra/functions.json)",
    key: &[item::PIPELINE, item::CHECK_SUBJECT],
    unreadable: "Correct the item, or delete it: a fault that persists opens a new incident",
};

/// Matches incidents that are not resolved, or have an unsent notice.
const LIVE: Filter = Filter {
    expression: "#state <> :resolved OR attribute_exists(#pending_kind)",
    values: &[(":resolved", "resolved")],
};

/// The same as [`LIVE`], by the indexes in `infra/functions.json`. A resolved incident has a pending notice for
/// milliseconds, or until the round after a crash.
const LIVE_RANGES: [Range; 3] = [
    Range { index: "by-state", condition: " AND #state < :resolved", values: &[(":resolved", "resolved")] },
    Range { index: "by-state", condition: " AND #state > :resolved", values: &[(":resolved", "resolved")] },
    Range { index: "by-pending", condition: "", values: &[] },
];
/// Up to this many live incidents are read by key; beyond, the whole partition is read.
const READ_BY_KEY: usize = 100;
/// Concurrent reads by key.
const READ_AT_ONCE: usize = 10;

/// The state that a writer saw, and that must still be stored when it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No incident is stored under this key, or it has expired.
    Absent,
    Version(u64),
}

/// The outcome of a write; the loser gets the stored incident.
pub type WriteOutcome = Outcome<Incident>;

/// Reads and writes incidents.
#[derive(Debug, Clone)]
pub struct IncidentStore {
    table: Table,
}

impl IncidentStore {
    /// Creates a store on this table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { table: Table::new(client, table, &SPEC) }
    }

    /// Reads every incident of a pipeline that is not resolved, or has an unsent notice. One that another function
    /// wrote within about the last second may be missing: a decision without it loses its write and is retried.
    ///
    /// An unreadable item must not hide the others, so its error is returned beside them.
    pub async fn live_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        match self.live_keys(pipeline).await? {
            Some(keys) => self.live_among(keys).await,
            None => Ok(self.table.query(pipeline, Some(&LIVE), item::read).await?),
        }
    }

    /// Reads the keys of incidents that may be live; `None` if there are many, or if the indexes cannot be read, as
    /// during the deployment that creates or allows them.
    async fn live_keys(&self, pipeline: &str) -> Result<Option<Vec<Item>>, Error> {
        let mut keys = BTreeSet::new();
        for range in join_all(LIVE_RANGES.iter().map(|range| self.table.keys(pipeline, range))).await {
            match range {
                Ok(found) => {
                    let of_item = |key: &Item| key.get(item::CHECK_SUBJECT)?.as_s().ok().cloned();
                    keys.extend(found.iter().filter_map(of_item));
                }
                Err(error) => match error.fault() {
                    Fault::Missing | Fault::Denied | Fault::Other { .. } => {
                        tracing::warn!(%error, "index of live incidents unavailable, partition read");
                        return Ok(None);
                    }
                    // The partition query would fail too.
                    _ => return Err(error.into()),
                },
            }
        }
        let few = keys.len() <= READ_BY_KEY;
        Ok(few.then(|| keys.iter().map(|key| SPEC.key(&[pipeline, key])).collect()))
    }

    async fn live_among(&self, keys: Vec<Item>) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        let read = |stored: &Reader<'_>| Ok(item::is_live(stored).then(|| item::read(stored)));
        let read = keys.into_iter().map(|key| self.table.get(key, read));
        let read: Vec<_> = stream::iter(read).buffered(READ_AT_ONCE).try_collect().await?;
        let (mut live, mut unreadable) = (Vec::new(), Vec::new());
        for incident in read.into_iter().flatten().flatten() {
            match incident {
                Ok(incident) => live.push(incident),
                Err(error) => unreadable.push(error),
            }
        }
        Ok((live, unreadable))
    }

    /// Reads every incident of a pipeline, including resolved ones that have not expired.
    pub async fn all_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        Ok(self.table.query(pipeline, None, item::read).await?)
    }

    /// Reads the incident of a key, open or resolved.
    pub async fn get(&self, key: &IncidentKey) -> Result<Option<Incident>, Error> {
        self.table.get(item::key(key), item::read).await
    }

    /// Replaces the stored incident with `new`, including `new.version`, if it is still as expected.
    pub async fn write(&self, new: &Incident, expected: Expected) -> Result<WriteOutcome, Error> {
        let update = item::update(new, expected, &writer_id());
        self.table.put_if(update).await?.read(|stored| self.read(&stored))
    }

    fn read(&self, stored: &Item) -> Result<Incident, Error> {
        item::read(&self.table.reader(stored))
    }
}

#[cfg(test)]
mod tests;
