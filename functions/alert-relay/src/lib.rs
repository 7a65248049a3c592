#![doc = include_str!("../README.md")]

pub mod batch;
pub mod chat;
pub mod key;
pub mod ledger;
pub mod pagerduty;
pub mod post;
pub mod relay;
pub mod route;
pub mod text;

use std::collections::BTreeSet;

use futures::future;
use jiff::Timestamp;
use serde_json::Value;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channels;
use syncwatch::runtime::Site;
use syncwatch::runtime::env::{self, Needs};

use batch::{Answer, Record, put_in_order, read_event, read_notice};
use ledger::Ledger;
use pagerduty::client::PagerDuty;
use post::Patience;
use relay::{Outlet, Relay, tell_all};
use route::Channel;

/// PagerDuty's own address (PagerDuty developer docs, Events API v2 overview).
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The settings of the function. The secrets are read only if their channel is declared.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::RELAY_TABLE, env::PAGERDUTY_SECRET, env::CHAT_SECRET],
    optional: &[env::PAGERDUTY_URL],
};

/// The function.
#[derive(Debug)]
pub struct App {
    site: Site,
    ledger: Ledger,
    pagerduty: PagerDuty,
    patience: Patience,
}

impl App {
    /// The function, with so much patience for its channels.
    ///
    /// # Errors
    /// PagerDuty's base URL is not one that a routing key may be sent to.
    pub fn new(site: Site, patience: Patience) -> anyhow::Result<Self> {
        let url = site.optional(env::PAGERDUTY_URL).unwrap_or(PAGERDUTY);
        Ok(Self {
            ledger: Ledger::new(site.sdk().dynamodb(), site.setting(env::RELAY_TABLE)),
            pagerduty: PagerDuty::new(site.sdk().http.clone(), url, patience)?,
            site,
            patience,
        })
    }

    /// Answers one event. `now` is when it arrived.
    ///
    /// # Errors
    /// The event is none of ours. That a notice did not reach a channel is no error here but a part of the answer, so
    /// that the queue tries that message again and no other.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.relay(&read_event(event)?, now).await)?)
    }

    /// Tells every declared channel of every notice that it has not been told of.
    async fn relay(&self, records: &[Record], now: Timestamp) -> Answer {
        let channels = self.site.pipeline.channels;
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
        let (secrets, patience) = (&self.site.secrets, self.patience);
        match channel {
            Channel::PagerDuty => {
                let secret = self.site.setting(env::PAGERDUTY_SECRET);
                Outlet::PagerDuty { client: &self.pagerduty, secrets, secret }
            }
            Channel::Chat => {
                let secret = self.site.setting(env::CHAT_SECRET);
                Outlet::Chat { http: &self.site.sdk().http, secrets, secret, patience }
            }
        }
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
