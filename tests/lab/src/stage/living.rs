//! The simulated Databricks over the data that a Census moves.

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use syncwatch::warehouse::Warehouse;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::census::DataFeed;
use crate::databricks::{DatabricksServer, Present, Upkeep};
use crate::engines;
use crate::properties::Tables;

/// A warehouse whose data live with Census. Its tables are written when somebody asks: every statement sees what Census
/// shows at that moment, and nothing is written while nobody asks. As the API of Census does, it shows instants moved
/// back by what was jumped, and takes those that are bound as its own.
#[derive(Debug)]
pub struct LivingWarehouse {
    pub databricks: DatabricksServer,
    direct: Warehouse,
    _folder: TempDir,
}

impl LivingWarehouse {
    /// Writes the data that Census moves, the objects of `infra/warehouse` with them, and serves them; `None` if it moves
    /// none.
    ///
    /// # Errors
    /// The driver of SQLite is missing; says how to install it.
    pub async fn start(feed: DataFeed) -> Result<Option<Self>> {
        let Some(now) = feed.with_data(|data, _| data.now()) else { return Ok(None) };
        let folder = tempfile::tempdir().context("making a folder for the warehouse")?;
        let file = folder.path().join("warehouse.sqlite");
        let tables = Tables::empty(engines::sqlite(&file)?, now).await?;
        let living = LivingTables { tables, feed, turn: Mutex::new(()) };
        drop(living.keep_up().await?);
        let databricks = DatabricksServer::start_living(engines::sqlite(&file)?, living).await?;
        Ok(Some(Self { databricks, direct: engines::sqlite(&file)?, _folder: folder }))
    }

    /// Where the API answers.
    #[must_use]
    pub fn url(&self) -> &str {
        self.databricks.url()
    }

    /// The database itself, in Census's time, as it was when the API was last asked.
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
        let (changes, ahead) = changed.context("the data are gone").flatten()?;
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
