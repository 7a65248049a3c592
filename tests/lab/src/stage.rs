//! Everything together: a Census, AWS with the functions in it, and subscribers who get the notices.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, Schedules, host_zips,
};
use crate::census::{CensusServer, TOKEN, World};
use crate::clock::LabClock;
use crate::receivers::{MailTap, SnsReceiver};

const CONFIRMATION_LIMIT: Duration = Duration::from_secs(15);

/// A whole world on this machine. Dropping it ends all of it.
#[derive(Debug)]
pub struct Stage {
    /// The simulated Census.
    pub census: CensusServer,
    /// What is deployed.
    pub deployment: Deployment,
    /// Who subscribed the topic of notices by HTTP, as a machine would.
    pub subscriber: SnsReceiver,
    /// The mail that SNS would have sent.
    pub mail: MailTap,
    /// AWS. Last but for what it serves.
    pub aws: Ministack,
}

impl Stage {
    /// Sets it up around a world: starts AWS, deploys the zips that `make lab-zips` built, subscribes and confirms.
    ///
    /// # Errors
    /// Says what could not be started, and the remedy.
    pub async fn set(world: World, clock: LabClock, schedules: Schedules) -> Result<Self> {
        let census = CensusServer::start(world, clock).await?;
        let subscriber = SnsReceiver::start().await?;
        let aws = Ministack::start().await?;
        let mail = MailTap::start(aws.endpoint()).await?;
        let table = FunctionsTable::read(&FunctionsTable::default_path())?;
        let options = DeploymentOptions {
            zips: host_zips(),
            overrides: BTreeMap::from([("SYNCWATCH_CENSUS_BASE_URL".to_owned(), census.url().to_owned())]),
            secrets: BTreeMap::from([(ResourceId::secret("census-token"), TOKEN.to_owned())]),
            schedules,
            service_endpoints: BTreeMap::from([("AWS_ENDPOINT_URL_SNS".to_owned(), mail.url().to_owned())]),
        };
        let deployment = Deployment::apply(&aws, &table, &options).await?;
        let notices = ResourceId::topic("notices");
        deployment.subscribe_http(&notices, subscriber.url(), None).await?;
        let token = subscriber.token(CONFIRMATION_LIMIT).await?;
        deployment.confirm(&notices, &token).await.context("confirming the subscription")?;
        Ok(Self { census, deployment, subscriber, mail, aws })
    }
}
