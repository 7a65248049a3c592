#![doc = include_str!("../README.md")]

pub mod batch;
pub mod chat;
mod config;
pub mod fingerprint;
pub mod key;
pub mod ledger;
pub mod pagerduty;
pub mod post;
pub mod relay;
pub mod route;
pub mod text;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use futures::future;
use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::Clients;
use syncwatch::aws::secrets::SecretStore;
use syncwatch::notice::Body;
use syncwatch::pipeline::{Channels, Pipeline};
use syncwatch::runtime::{Env, pipeline_file};

use batch::{Answer, Event, Record, put_in_order, read_event, read_notice};
pub use config::Config;
use ledger::Ledger;
use pagerduty::client::PagerDuty;
use post::Patience;
use relay::{Outlet, Relay, tell_all};
use route::Channel;

/// Everything that outlives an event.
#[derive(Debug)]
pub struct App {
    config: Config,
    pipeline: Pipeline,
    http: reqwest::Client,
    secrets: SecretStore,
    ledger: Ledger,
    pagerduty: PagerDuty,
    patience: Patience,
}

impl App {
    /// Reads the settings and the pipeline, and builds the clients. Does no I/O beyond reading the pipeline's file.
    ///
    /// # Errors
    /// Names the setting, or the line of `pipeline.toml`, and the remedy.
    pub async fn new(env: &Env) -> anyhow::Result<Self> {
        let config = Config::from_env(env)?;
        let pipeline = pipeline_file::load(env, &config.pipeline)?;
        let clients = Clients::connect().await?;
        Self::with(config, pipeline, clients, Patience::default())
    }

    /// Puts the function together from its parts.
    ///
    /// # Errors
    /// PagerDuty's base URL is not one that a routing key may be sent to.
    pub fn with(
        config: Config,
        pipeline: Pipeline,
        clients: Clients,
        patience: Patience,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            secrets: SecretStore::new(clients.secrets),
            ledger: Ledger::new(clients.dynamodb, config.relay_table.clone()),
            pagerduty: PagerDuty::new(clients.http.clone(), &config.pagerduty_url, patience)?,
            http: clients.http,
            pipeline,
            config,
            patience,
        })
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is none of ours. That a notice did not reach a channel is no error here but a part of the answer, so
    /// that the queue tries that message again and no other.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        match read_event(event)? {
            Event::Ping => Ok(serde_json::json!({ "pong": self.pipeline.name })),
            Event::Batch(records) => Ok(serde_json::to_value(self.relay(&records, now).await)?),
        }
    }

    /// Tells every declared channel of every notice that it has not been told of.
    async fn relay(&self, records: &[Record], now: Timestamp) -> Answer {
        let channels = self.pipeline.channels;
        if channels == Channels::default() {
            tracing::info!(
                messages = records.len(),
                "no channel declared: pipeline.toml has neither channels.pagerduty nor channels.chat"
            );
            return Answer::default();
        }
        let mut failed = BTreeSet::new();
        let mut notices: Vec<(&str, Body)> = Vec::new();
        for Record { message_id, body } in records {
            match read_notice(body) {
                Ok(notice) => notices.push((message_id, notice)),
                Err(why) => {
                    tracing::error!(message = %message_id, "no notice, so it will end as a dead letter: {why}");
                    failed.insert(message_id.as_str());
                }
            }
        }
        put_in_order(&mut notices);
        let begun = tokio::time::Instant::now();
        // Channels do not wait for each other: what is wrong with one keeps nobody from being told by the other.
        let told = future::join_all(Channel::ALL.into_iter().filter_map(|channel| {
            let lowest = channel.lowest(channels)?;
            let relay = Relay {
                channel,
                lowest,
                ledger: &self.ledger,
                outlet: self.outlet(channel),
                patience: self.patience,
                until: begun + self.patience.batch,
                now,
            };
            Some(tell_all(relay, &notices))
        }));
        failed.extend(told.await.into_iter().flatten());
        let answer = Answer::naming(failed);
        let failed = answer.batch_item_failures.len();
        tracing::info!(messages = records.len(), failed, "batch done");
        answer
    }

    fn outlet(&self, channel: Channel) -> Outlet<'_> {
        let (secrets, patience) = (&self.secrets, self.patience);
        match channel {
            Channel::PagerDuty => {
                Outlet::PagerDuty { client: &self.pagerduty, secrets, secret: &self.config.pagerduty_secret }
            }
            Channel::Chat => {
                Outlet::Chat { http: &self.http, secrets, secret: &self.config.chat_secret, patience }
            }
        }
    }
}
