//! The store of incidents: one DynamoDB item for each incident key, written by condition only.
//!
//! Of two writers that saw the same state one wins, and the other is told what is stored now. Readers are consistent.
//!
//! Resolved incidents are kept for 90 days, so live ones are found by two indexes, on attributes that every version of
//! Syncwatch writes: no version has to know of them, and no write maintains them.

use std::collections::BTreeSet;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::error::Fault;
use super::table::{Client, Filter, Item, Outcome, Range, Reader, Spec, Table};
use super::writer_id;
use crate::incident::{Incident, IncidentKey};

mod causes;
mod item;
mod rounds;
mod silences;

pub use super::table::Error;
pub use causes::Speaker;
pub use item::KEPT_AFTER_RESOLVED;

static SPEC: Spec = Spec {
    setting: "SYNCWATCH_INCIDENTS_TABLE (infra/functions.json)",
    key: &[item::PIPELINE, item::CHECK_SUBJECT],
    unreadable: "Correct the item, or delete it: an incident that still exists opens anew",
};

/// Incidents that are not resolved, or have a notice yet to be sent.
const LIVE: Filter = Filter {
    expression: "#state <> :resolved OR attribute_exists(#pending_kind)",
    values: &[(":resolved", "resolved")],
};

/// The same by the indexes of `infra/functions.json`. A resolved incident has a notice pending for milliseconds, or until the
/// round behind a crash.
const LIVE_RANGES: [Range; 3] = [
    Range { index: "by-state", condition: " AND #state < :resolved", values: &[(":resolved", "resolved")] },
    Range { index: "by-state", condition: " AND #state > :resolved", values: &[(":resolved", "resolved")] },
    Range { index: "by-pending", condition: "", values: &[] },
];
/// Live incidents that are read one by one; of more the partition is read, which is then mostly they.
const READ_BY_KEY: usize = 100;
/// Items that are read at the same time.
const READ_AT_ONCE: usize = 10;

/// What a writer saw, and so what must still be there when it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No incident is stored under this key, or it has expired.
    Absent,
    Version(u64),
}

/// What became of a write; the loser learns the incident that is stored now.
pub type WriteOutcome = Outcome<Incident>;

/// Reads and writes incidents.
#[derive(Debug, Clone)]
pub struct IncidentStore {
    table: Table,
}

impl IncidentStore {
    /// The store in this table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { table: Table::new(client, table, &SPEC) }
    }

    /// Every incident of a pipeline that is not resolved, or has a notice yet to be sent. One that another function wrote within
    /// the last second or so may be missing: a decision without it loses its write and is made again.
    ///
    /// One item that cannot be read must not hide the others, so it is answered beside them.
    pub async fn live_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        match self.live_keys(pipeline).await? {
            Some(keys) => self.live_among(keys).await,
            None => Ok(self.table.query(pipeline, Some(&LIVE), item::read).await?),
        }
    }

    /// The keys of incidents that may be live; `None` if the indexes cannot tell, as in the minutes of a deployment in which they
    /// are made or are not allowed yet, or if there are many.
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
                        tracing::warn!(%error, "index of live incidents not read, the partition is");
                        return Ok(None);
                    }
                    // The partition would not answer either.
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

    /// Every incident of a pipeline, those that are resolved and not deleted yet included.
    pub async fn all_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        Ok(self.table.query(pipeline, None, item::read).await?)
    }

    /// The incident of a key, open or resolved.
    pub async fn get(&self, key: &IncidentKey) -> Result<Option<Incident>, Error> {
        self.table.get(item::key(key), item::read).await
    }

    /// Stores `new` whole, `new.version` included, if what is stored is still as expected.
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
