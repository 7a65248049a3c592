//! The simulated Databricks, with the data that a Census moves.

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use syncwatch::warehouse::Warehouse;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::census::DataFeed;
use crate::databricks::catalog;
use crate::databricks::{DatabricksServer, Present, Upkeep};
use crate::engines;
use crate::properties::Tables;

/// A warehouse that follows Census's data. Its tables are updated before each statement, so that a statement sees the same
/// data as Census shows, and never in between. Like Census's API it moves shown instants back by the jumped time, and
/// bound ones forward.
#[derive(Debug)]
pub struct LivingWarehouse {
    pub databricks: DatabricksServer,
    direct: Warehouse,
    _folder: TempDir,
}

impl LivingWarehouse {
    /// Writes the data that Census moves and the objects of `infra/warehouse`, and serves them; `None` without data.
    ///
    /// # Errors
    /// The SQLite driver is missing; the error names its package.
    pub async fn start(feed: DataFeed) -> Result<Option<Self>> {
        let Some(now) = feed.with_data(|data, _| data.now()) else { return Ok(None) };
        let folder = tempfile::tempdir().context("creating a folder for the warehouse")?;
        let file = folder.path().join("warehouse.sqlite");
        let tables = Tables::empty(engines::sqlite(&file)?, now).await?;
        catalog::make(tables.warehouse()).await?;
        let living = LivingTables { tables, feed, turn: Mutex::new(()) };
        drop(living.keep_up().await?);
        let databricks = DatabricksServer::start_living(engines::sqlite(&file)?, living).await?;
        Ok(Some(Self { databricks, direct: engines::sqlite(&file)?, _folder: folder }))
    }

    /// The base URL of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        self.databricks.url()
    }

    /// Revokes our rights on a relation, such as `rds.properties`, in the catalog.
    ///
    /// # Errors
    /// The engine refuses the statement.
    pub async fn revoke(&self, relation: &str) -> Result<()> {
        catalog::revoke(&self.direct, relation).await
    }

    /// The database itself, in Census time, as of the last statement through the API.
    #[must_use]
    pub fn direct(&self) -> &Warehouse {
        &self.direct
    }
}

#[derive(Debug)]
struct LivingTables {
    tables: Tables,
    feed: DataFeed,
    turn: Mutex<()>,
}

impl LivingTables {
    async fn present(&self) -> Result<Present<'_>> {
        let turn = self.turn.lock().await;
        let changed = self.feed.with_data(|data, ahead| Ok((self.tables.changes(data)?, ahead)));
        let (changes, ahead) = changed.context("the world carries no data").flatten()?;
        if let Err(error) = self.tables.apply(&changes).await {
            self.feed.with_data(|data, _| changes.put_back(data));
            return Err(error);
        }
        Ok(Present { ahead, turn })
    }
}

impl Upkeep for LivingTables {
    fn keep_up(&self) -> BoxFuture<'_, Result<Present<'_>>> {
        self.present().boxed()
    }
}
