//! The store of incidents: one DynamoDB item for each incident key, written by condition only.
//!
//! Of two writers that saw the same state one wins, and the other is told what is stored now. Readers are consistent.

use super::table::{Client, Filter, Item, Outcome, Spec, Table};
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

    /// Every incident of a pipeline that is not resolved, or has a notice yet to be sent.
    ///
    /// One item that cannot be read must not hide the others, so it is answered beside them.
    pub async fn live_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        Ok(self.table.query(pipeline, Some(&LIVE), item::read).await?)
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
