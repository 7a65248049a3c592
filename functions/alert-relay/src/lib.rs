#![doc = include_str!("../README.md")]

pub mod batch;
pub mod key;
pub mod ledger;
pub mod mail;
pub mod pagerduty;
mod parts;
pub mod post;
mod relay;
pub mod route;
pub mod slack;
pub mod teams;
pub mod text;
pub mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use syncwatch::aws::CallLimits;
use syncwatch::pipeline::Class;
use syncwatch::runtime::Site;
use syncwatch::runtime::batch::{failures, read};
use syncwatch::runtime::env::{self, Needs};

use batch::Batch;
use ledger::Ledger;
use mail::ses::Ses;
use pagerduty::client::PagerDuty;
use post::Patience;

/// PagerDuty's own address (PagerDuty developer docs, Events API v2 overview).
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The settings of the function. Each secret is required, and read, only if a channel that uses it is declared.
pub const NEEDS: Needs = Needs {
    required: &[env::PIPELINE, env::RELAY_TABLE, env::NOTICES_DEAD_LETTERS],
    optional: &[env::PAGERDUTY_SECRET, env::CHAT_SECRET, env::PAGERDUTY_URL],
    // The last delivery of a batch calls AWS six times (tests/it/deployed.rs); all of it fits into 30 s.
    aws: CallLimits { attempt: Duration::from_secs(1), operation: Duration::from_secs(2) },
};

/// The function.
#[derive(Debug)]
pub struct App {
    site: Site,
    ledger: Ledger,
    pagerduty: PagerDuty,
    /// Only if a mail channel is declared: a cold start without one builds no client.
    ses: Option<Ses>,
    patience: Patience,
}

impl App {
    /// Creates the function. Fails if a routing key must not be sent to PagerDuty's base URL, or a declared channel has no
    /// secret.
    pub fn new(site: Site, patience: Patience) -> anyhow::Result<Self> {
        // Mail channels have no secret.
        let secrets = [(Class::Pager, env::PAGERDUTY_SECRET), (Class::Chat, env::CHAT_SECRET)];
        let channels = &site.pipeline.channels;
        let used = secrets
            .into_iter()
            .filter(|(class, _)| channels.lowest(*class).is_some())
            .map(|(_, secret)| secret);
        site.require(used)?;
        let url = site.optional(env::PAGERDUTY_URL).unwrap_or(PAGERDUTY);
        Ok(Self {
            ledger: Ledger::new(site.sdk().dynamodb(), site.setting(env::RELAY_TABLE)),
            ses: channels.lowest(Class::Mail).map(|_| Ses::new(site.sdk(), patience)),
            pagerduty: PagerDuty::new(site.sdk().http.clone(), url, patience)?,
            site,
            patience,
        })
    }

    /// Processes one event, which arrived at `now`. The answer lists the messages of the notices that did not reach a channel,
    /// so that SQS retries these and no others.
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
