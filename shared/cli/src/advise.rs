//! Advises on the speed of the syncs, from their last runs in Census and the catalog of the warehouse. Reads only.

use syncwatch::advise::AdviceList;
use syncwatch::observe::definition::limits;
use syncwatch::observe::speed::advice;

use super::error::Error;
use super::{Operator, WAREHOUSE_START_LIMIT, runs};

impl Operator {
    /// Advises on one sync or all.
    pub(super) async fn advise(&self, sync: Option<&str>) -> Result<AdviceList, Error> {
        let pipeline = &self.pipeline;
        let wanted = sync.map(|sync| runs::declared(pipeline, sync)).transpose()?;
        let census = self.census().await?;
        let open = async || self.warehouse(limits()).await.map_err(|error| error.to_string());
        // Boxed, because the compiler gives up on futures of this depth.
        Ok(Box::pin(advice(pipeline, &census, open, WAREHOUSE_START_LIMIT, wanted, self.now)).await?)
    }
}
