//! Looks up the figures of a notice to stakeholders. What cannot be had is a reason in its place, and hides nothing else.

use super::Operator;
use super::error::Error;
use crate::stakeholders::{Figures, Health};
use syncwatch::census;
use syncwatch::data_checks::object_name;
use syncwatch::incident::{Incident, IncidentKey, State};
use syncwatch::observation::Run;
use syncwatch::pipeline::Sync;
use syncwatch::sql::{self, Row, Statement};
use syncwatch::warehouse::Warehouse;

/// The newest run is all that is told; Census may answer with more.
const RUNS: u32 = 1;

impl Operator {
    /// Asks the warehouse, the store of incidents and Census.
    pub(super) async fn figures(&self, key: Option<&IncidentKey>) -> Figures {
        let incident = match key {
            None => None,
            Some(key) => Some((key.clone(), self.incident(key).await)),
        };
        let (health, open, last_runs) = (self.health().await, self.open().await, self.last_runs().await);
        Figures { health, open, last_runs, incident }
    }

    async fn incident(&self, key: &IncidentKey) -> Result<Option<Incident>, Error> {
        Ok(self.incidents()?.get(key).await?)
    }

    async fn health(&self) -> Result<Health, Error> {
        let declared = self.pipeline.snapshot.as_ref().and_then(|snapshot| snapshot.health_view.as_deref());
        let none = || Error::new("pipeline.toml declares no health_view in [snapshot]", "add one");
        let view = declared.ok_or_else(none)?;
        let warehouse = self.warehouse().await?;
        Ok(health(&warehouse, view).await?)
    }

    /// The open incidents. Some that cannot be read are an error: "nothing is open" could not be said.
    pub(super) async fn open(&self) -> Result<Vec<Incident>, Error> {
        let (live, unreadable) = self.incidents()?.live_incidents(&self.pipeline.name).await?;
        match unreadable.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(live.into_iter().filter(|incident| incident.state == State::Open).collect()),
        }
    }

    async fn last_runs(&self) -> Vec<Result<Option<Run>, Error>> {
        let census = self.census().await;
        let mut last_runs = Vec::new();
        for sync in &self.pipeline.syncs {
            last_runs.push(match &census {
                Ok(census) => last_run(census, sync).await.map_err(Error::from),
                Err(why) => Err(why.clone()),
            });
        }
        last_runs
    }
}

async fn last_run(census: &census::Client, sync: &Sync) -> Result<Option<Run>, census::Error> {
    Ok(census.runs_of_sync(sync.id, RUNS).await?.runs.into_iter().next())
}

async fn health(warehouse: &Warehouse, view: &str) -> Result<Health, sql::Error> {
    let label = "the daily health check";
    let name = object_name(warehouse.dialect(), view).map_err(|error| {
        sql::ErrorKind::Shape { place: view.to_owned(), found: error.to_string() }.of(label)
    })?;
    let answer = warehouse.query(&Statement::new(label, format!("SELECT * FROM {name}"))).await?;
    let row = answer.only_row()?;
    let count = |column| count(&row, column);
    Ok(Health {
        total: count("total_properties")?,
        synced: count("synced_properties")?,
        coverage_percent: row.get("coverage_percentage")?,
        coverage_status: row.get("coverage_status")?,
        to_create: count("create_queue_count")?,
        to_update: count("update_queue_count")?,
        null_companies: count("null_company_count")?,
        duplicates: count("duplicate_count")?,
    })
}

fn count(row: &Row<'_>, column: &str) -> Result<u64, sql::Error> {
    let counted: i64 = row.get(column)?;
    u64::try_from(counted).map_err(|_| {
        let (place, found) = (column.to_owned(), "a count below zero".to_owned());
        sql::ErrorKind::Shape { place, found }.of("the daily health check")
    })
}
