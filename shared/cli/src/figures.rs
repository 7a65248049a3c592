//! Collects the figures of a stakeholder notice. An unavailable figure is an error in its place and hides no other.

use super::error::Error;
use super::{Operator, all_readable};
use crate::stakeholders::{Figures, Health};
use syncwatch::data_checks::object_name;
use syncwatch::incident::{Incident, IncidentKey, State};
use syncwatch::observation::Run;
use syncwatch::sql::{self, Row, Statement};
use syncwatch::warehouse::{Limits, Warehouse};

/// A notice shows only the newest run; Census may return more.
const RUNS: u32 = 1;
/// The statement's name in errors.
const LABEL: &str = "the daily health check";

impl Operator {
    /// Queries the warehouse, the store of incidents and Census.
    pub(super) async fn figures(&self, key: Option<&IncidentKey>) -> Figures {
        Figures {
            incident: match key {
                None => None,
                Some(key) => Some((key.clone(), self.incident(key).await)),
            },
            health: self.health().await,
            open: self.open().await,
            last_runs: self.last_runs().await,
        }
    }

    async fn incident(&self, key: &IncidentKey) -> Result<Option<Incident>, Error> {
        Ok(self.incidents()?.get(key).await?)
    }

    async fn health(&self) -> Result<Health, Error> {
        let declared = self.pipeline.snapshot.as_ref().and_then(|snapshot| snapshot.health_view.as_deref());
        let none = || Error::new("pipeline.toml has no health_view in [snapshot]", "add the key");
        let view = declared.ok_or_else(none)?;
        let warehouse = self.warehouse(Limits::default()).await?;
        Ok(health(&warehouse, view).await?)
    }

    /// Lists the open incidents. Fails if one is unreadable, because "no incident is open" would be unproven.
    pub(super) async fn open(&self) -> Result<Vec<Incident>, Error> {
        let live = all_readable(self.incidents()?.live_incidents(&self.pipeline.name).await?)?;
        Ok(live.into_iter().filter(|incident| incident.state == State::Open).collect())
    }

    async fn last_runs(&self) -> Vec<Result<Option<Run>, Error>> {
        let census = self.census().await;
        let mut last_runs = Vec::new();
        for sync in &self.pipeline.syncs {
            last_runs.push(match &census {
                Ok(census) => match census.runs_of_sync(sync.id, RUNS).await {
                    Ok(history) => Ok(history.runs.into_iter().next()),
                    Err(why) => Err(why.into()),
                },
                Err(why) => Err(why.clone()),
            });
        }
        last_runs
    }
}

async fn health(warehouse: &Warehouse, view: &str) -> Result<Health, sql::Error> {
    let name = object_name(warehouse.dialect(), view).map_err(|error| misshapen(view, &error.to_string()))?;
    let answer = warehouse.query(&Statement::new(LABEL, format!("SELECT * FROM {name}"))).await?;
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
    u64::try_from(counted).map_err(|_| misshapen(column, "a count below zero"))
}

fn misshapen(place: &str, found: &str) -> sql::Error {
    sql::ErrorKind::Shape { place: place.to_owned(), found: found.to_owned() }.of(LABEL)
}
