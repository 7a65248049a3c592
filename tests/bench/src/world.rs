//! The environment of a whole check: Census, and the resources of the table of functions in a ministack.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::Result;
use syncwatch_lab::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceKind, Schedules, host_zips,
};
use tokio::runtime::Runtime;

use crate::census::Census;
use crate::programs::FUNCTION;

pub(crate) struct World {
    pub(crate) census: Census,
    pub(crate) deployment: Deployment,
    table: FunctionsTable,
    overrides: BTreeMap<String, String>,
    _ministack: Ministack,
    // Dropped last, because the servers and clients of the other fields run on it.
    runtime: Runtime,
}

impl World {
    /// Starts everything. The function is deployed too, but the bench starts it itself, to measure the start.
    pub(crate) fn start(census: impl Future<Output = Result<Census>>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (census, ministack) =
            runtime.block_on(async { anyhow::Ok((census.await?, Ministack::start().await?)) })?;
        let mut table = FunctionsTable::read(&FunctionsTable::default_path())?;
        table.functions.retain(|name, _| name == FUNCTION);
        let overrides = BTreeMap::from([("SYNCWATCH_CENSUS_BASE_URL".to_owned(), census.url.clone())]);
        let options = DeploymentOptions {
            zips: host_zips(),
            overrides: overrides.clone(),
            secrets: table
                .resources
                .keys()
                .filter(|id| id.kind == ResourceKind::Secret)
                .map(|id| (id.clone(), "secret-token:bench".to_owned()))
                .collect(),
            schedules: Schedules::None,
            ..DeploymentOptions::default()
        };
        let deployment = runtime.block_on(Deployment::apply(&ministack, &table, &options))?;
        Ok(Self { census, deployment, table, overrides, _ministack: ministack, runtime })
    }

    /// Returns the environment of the function in this world.
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>> {
        self.deployment.environment(self.table.function(FUNCTION)?, &self.overrides)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
