//! The whole stage: a Census, the data that it moves, AWS with the functions, and the subscribers of the notices.

mod living;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use syncwatch::pipeline::Pipeline;
use syncwatch::runtime::Site;

use crate::aws::{
    Deployment, DeploymentOptions, FunctionsTable, Ministack, ResourceId, Schedules, host_zips,
    workspace_root,
};
use crate::census::{CensusServer, TOKEN, World};
use crate::clock::LabClock;
use crate::databricks;
use crate::receivers::{Chat, MailTap, PagerDuty, ROUTING_KEY, SnsReceiver};

pub use living::LivingWarehouse;

/// The key of the secret with which Census signs webhooks.
const WEBHOOK_SECRET: &str = "census-webhook";
const CONFIRMATION_LIMIT: Duration = Duration::from_secs(15);

/// The whole world on this machine. Dropping it stops all of it.
#[derive(Debug)]
pub struct Stage {
    pub census: CensusServer,
    /// The warehouse with the data that Census moves, if any.
    pub warehouse: Option<LivingWarehouse>,
    pub deployment: Deployment,
    /// The HTTP subscriber of the notices topic, as a machine would be.
    pub subscriber: SnsReceiver,
    /// The mail that SNS and SES would send.
    pub mail: MailTap,
    /// The pager, which functions call with [`ROUTING_KEY`].
    pub pagerduty: PagerDuty,
    /// The chat, to which functions post.
    pub chat: Chat,
    /// AWS. Declared last, so dropped last.
    pub aws: Ministack,
}

/// The senders of the channels of kind `email` in the zips' pipeline.
fn senders() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(workspace_root().join("infra/pipeline.toml"))?;
    let channels = Pipeline::parse(&text)?.channels.0;
    Ok(channels.into_iter().filter_map(|channel| Some(channel.mail?.from)).collect())
}

/// No function may ever start a full sync: a test in which one was requested fails with all its other checks passed.
impl Drop for Stage {
    fn drop(&mut self) {
        let requested = self.census.full_syncs_requested();
        assert!(std::thread::panicking() || requested == 0, "{requested} full syncs were requested");
    }
}

impl Stage {
    /// Sets up the stage around a world: starts AWS, and a simulated Databricks if the world carries data; deploys the zips
    /// that `make lab-zips` built; subscribes and confirms; and registers Census's webhook for each function with a URL.
    ///
    /// # Errors
    /// A part cannot be started; the error names it and the remedy.
    pub async fn set(world: World, clock: LabClock, schedules: Schedules) -> Result<Self> {
        Self::set_for(world, clock, schedules, None).await
    }

    /// The same, with another pipeline file than that of the zips.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn set_for(
        world: World,
        clock: LabClock,
        schedules: Schedules,
        pipeline: Option<PathBuf>,
    ) -> Result<Self> {
        let census = CensusServer::start(world, clock).await?;
        let subscriber = SnsReceiver::start().await?;
        // Some 40,000 rows are written while AWS starts.
        let (warehouse, aws) = tokio::try_join!(LivingWarehouse::start(census.feed()), Ministack::start())?;
        let mail = MailTap::start(aws.endpoint()).await?;
        let pagerduty = PagerDuty::start().await?;
        let chat = Chat::start().await?;
        let table = FunctionsTable::read(&FunctionsTable::default_path())?;
        let secrets = [
            ("census-token", TOKEN.to_owned()),
            // Census creates the secret with the webhook, which needs the URL of a later step.
            (WEBHOOK_SECRET, json!({ "current": "to be replaced" }).to_string()),
            ("pagerduty", ROUTING_KEY.to_owned()),
            ("chat", chat.url().to_owned()),
            // Without data it opens nothing: a test with its own warehouse replaces it.
            ("warehouse", json!({ "token": databricks::TOKEN }).to_string()),
        ];
        let databricks = warehouse.as_ref().map(|warehouse| ("SYNCWATCH_DATABRICKS_URL", warehouse.url()));
        let overrides =
            [("SYNCWATCH_CENSUS_BASE_URL", census.url()), ("SYNCWATCH_PAGERDUTY_URL", pagerduty.url())]
                .into_iter()
                .chain(databricks);
        let options = DeploymentOptions {
            zips: host_zips(),
            overrides: overrides
                .filter(|(name, _)| table.takes(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            secrets: secrets.map(|(key, value)| (ResourceId::secret(key), value)).into(),
            schedules,
            sns: Some(mail.url().to_owned()),
            senders: senders()?,
            pipeline,
        };
        let deployment = Deployment::apply(&aws, &table, &options).await?;
        let notices = ResourceId::topic("notices");
        deployment.subscribe_http(&notices, subscriber.url(), None).await?;
        let token = subscriber.token(CONFIRMATION_LIMIT).await?;
        deployment.confirm(&notices, &token).await.context("confirming the subscription")?;
        let stage = Self { census, warehouse, deployment, subscriber, mail, pagerduty, chat, aws };
        for name in
            table.functions.iter().filter(|(_, function)| function.url.is_some()).map(|(name, _)| name)
        {
            stage.register_webhook(name).await.with_context(|| format!("registering {name} with Census"))?;
        }
        Ok(stage)
    }

    /// The site of a function in this process; see [`Deployment::site`].
    ///
    /// # Errors
    /// The function is not in the table.
    pub fn site(&self, function: &str, pipeline: Pipeline) -> Result<Site> {
        self.deployment.site(function, pipeline, self.aws.endpoint(), &[])
    }

    async fn register_webhook(&self, function: &str) -> Result<()> {
        let url = self.deployment.url_of(function)?;
        let secret = self.census.with_world(|world| {
            let webhook = world.add_webhook("Syncwatch", &url, Vec::new());
            json!({ "current": webhook.secret, "webhook_id": webhook.id, "endpoint": url }).to_string()
        });
        self.deployment.put_secret(&ResourceId::secret(WEBHOOK_SECRET), &secret).await
    }
}
