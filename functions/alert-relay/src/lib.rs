#![doc = include_str!("../README.md")]

pub mod batch;
pub mod chat;
pub mod key;
pub mod ledger;
pub mod pagerduty;
pub mod post;
mod relay;
pub mod route;
pub mod text;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::pipeline::Channels;
use syncwatch::runtime::Site;
use syncwatch::runtime::batch::{failures, read};
use syncwatch::runtime::env::{self, Needs};

use batch::Batch;
use ledger::Ledger;
use pagerduty::client::PagerDuty;
use post::Patience;

/// PagerDuty's own address (PagerDuty developer docs, Events API v2 overview).
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The settings of the function. The secrets are there, and read, only if their channel is declared.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::RELAY_TABLE, env::NOTICES_DEAD_LETTERS],
    optional: &[env::PAGERDUTY_SECRET, env::CHAT_SECRET, env::PAGERDUTY_URL],
    // A notice that is begun as late as may be asks AWS four times; all of it fits into 30 s.
    aws: CallLimits { attempt: Duration::from_secs(1), operation: Duration::from_secs(2) },
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
    /// The function, with so much patience for its channels. Fails if PagerDuty's base URL is not one that a routing key
    /// may be sent to, or a declared channel has no secret.
    pub fn new(site: Site, patience: Patience) -> anyhow::Result<Self> {
        let Channels { pagerduty, chat } = site.pipeline.channels;
        let secrets = [(pagerduty, env::PAGERDUTY_SECRET), (chat, env::CHAT_SECRET)];
        let used = secrets.into_iter().filter_map(|(declared, secret)| declared.map(|_| secret));
        site.require(used)?;
        let url = site.optional(env::PAGERDUTY_URL).unwrap_or(PAGERDUTY);
        Ok(Self {
            ledger: Ledger::new(site.sdk().dynamodb(), site.setting(env::RELAY_TABLE)),
            pagerduty: PagerDuty::new(site.sdk().http.clone(), url, patience)?,
            site,
            patience,
        })
    }

    /// Answers one event. `now` is when it arrived. A notice that did not reach a channel is part of the answer, so that
    /// the queue tries that message again and no other.
    pub async fn run(&self, event: Value, now: Timestamp) -> anyhow::Result<Value> {
        let messages = read(&event)?;
        let batch = Batch::of(&messages);
        let sent = self.send(&batch, now).await;
        let failed: BTreeSet<&str> = batch.unreadable.into_iter().chain(sent).collect();
        tracing::info!(messages = messages.len(), failed = failed.len(), "batch done");
        Ok(failures(failed))
    }
}

#[cfg(test)]
mod tests;
