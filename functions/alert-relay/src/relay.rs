//! Telling one channel of a batch of notices: decide, claim, send, record.

use anyhow::Context as _;
use futures::future;
use jiff::Timestamp;
use syncwatch::aws::secrets::{SecretError, SecretStore};
use syncwatch::finding::Severity;
use syncwatch::notice::Body;
use syncwatch::pipeline;
use syncwatch::runtime::{Site, env};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::chat;
use crate::chat::client::Webhook;
use crate::fingerprint::Fingerprint;
use crate::key::{self, KeyError, RoutingKey};
use crate::ledger::{Claim, Lease, Ledger, LedgerError};
use crate::pagerduty::{self, client::PagerDuty};
use crate::post::{Patience, PostError};
use crate::route::{Action, Channel, LastDelivery, Route, SendReason, SkipReason, decide};

/// What it takes to tell one channel.
pub struct Relay<'a> {
    pub channel: Channel,
    pub lowest: Severity,
    pub ledger: &'a Ledger,
    pub outlet: Outlet<'a>,
    pub patience: Patience,
    /// No notice is begun after this, so that the function ends by itself.
    pub until: Instant,
    pub now: Timestamp,
}

/// The way to a channel.
#[derive(Debug, Clone, Copy)]
pub enum Outlet<'a> {
    /// PagerDuty, with the name of the secret that holds the routing key.
    PagerDuty { client: &'a PagerDuty, secrets: &'a SecretStore, secret: &'a str },
    /// A chat, with the name of the secret that holds the webhook's address.
    Chat { http: &'a reqwest::Client, secrets: &'a SecretStore, secret: &'a str, patience: Patience },
}

/// The channels that a pipeline may declare, and what they are reached by.
#[derive(Debug)]
pub struct Channels<'a> {
    pub site: &'a Site,
    pub ledger: &'a Ledger,
    pub pagerduty: &'a PagerDuty,
    pub patience: Patience,
}

impl<'a> Channels<'a> {
    /// Sends every notice through every declared channel that has not had it. Answers with the messages to be tried again.
    pub async fn send<'m>(&self, batch: &Batch<'m>, now: Timestamp) -> Vec<&'m str> {
        let begun = Instant::now();
        let declared = self.site.pipeline.channels;
        if declared == pipeline::Channels::default() {
            tracing::info!(
                "no channel declared: pipeline.toml has neither channels.pagerduty nor channels.chat"
            );
        }
        // Channels do not wait for each other: one that fails does not hold back the other.
        let sent = Channel::ALL.into_iter().filter_map(|channel| {
            let relay = Relay {
                channel,
                lowest: channel.lowest(declared)?,
                ledger: self.ledger,
                outlet: self.outlet(channel),
                patience: self.patience,
                until: begun + self.patience.batch,
                now,
            };
            Some(tell_all(relay, &batch.notices))
        });
        future::join_all(sent).await.into_iter().flatten().collect()
    }

    fn outlet(&self, channel: Channel) -> Outlet<'a> {
        let (site, patience) = (self.site, self.patience);
        let secrets = &site.secrets;
        match channel {
            Channel::PagerDuty => {
                let secret = site.setting(env::PAGERDUTY_SECRET);
                Outlet::PagerDuty { client: self.pagerduty, secrets, secret }
            }
            Channel::Chat => {
                let secret = site.setting(env::CHAT_SECRET);
                Outlet::Chat { http: &site.sdk().http, secrets, secret, patience }
            }
        }
    }
}

/// What became of a notice at a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Sent(SendReason),
    Skipped(SkipReason),
}

/// Tells the channel of these notices, in this order, one after the other: a vendor that limits its callers is asked by
/// one at a time. Answers which failed, by what they are named with; each was logged.
pub async fn tell_all<'n>(relay: Relay<'_>, notices: &[(&'n str, Body)]) -> Vec<&'n str> {
    let channel = relay.channel;
    let mut failed = Vec::new();
    // Once the channel itself is known to be in trouble, the rest of the batch is left to the next try.
    let mut closed = false;
    for (message, notice) in notices {
        let outcome = if closed {
            Err(anyhow::anyhow!("the channel failed a moment ago"))
        } else if Instant::now() >= relay.until {
            Err(anyhow::anyhow!("no time is left in this invocation"))
        } else {
            relay.tell(notice).await
        };
        let id = notice.id.as_str();
        match outcome {
            Ok(Outcome::Sent(reason)) => tracing::info!(notice = id, %channel, %reason, "sent"),
            Ok(Outcome::Skipped(reason)) => tracing::info!(notice = id, %channel, %reason, "not sent"),
            Err(why) => {
                closed |= is_of_the_channel(&why);
                let why = format!("{why:#}");
                tracing::error!(notice = id, message = %message, %channel, why, "not sent; the queue tries again");
                failed.push(*message);
            }
        }
    }
    failed
}

/// Whether the next notice would fare no better.
fn is_of_the_channel(why: &anyhow::Error) -> bool {
    why.downcast_ref::<PostError>().is_some_and(PostError::is_of_the_channel)
        || why.is::<SecretError>()
        || matches!(why.downcast_ref(), Some(LedgerError::Aws(_)))
        || matches!(why.downcast_ref(), Some(KeyError::NotAKey { .. }))
}

impl Relay<'_> {
    /// Decides on a notice and, if it is to go, claims, sends and records it: at least once, for a sender that dies
    /// between sending and recording is replaced by one that knows nothing of it.
    async fn tell(&self, notice: &Body) -> anyhow::Result<Outcome> {
        let told = self.ledger.told(self.channel, &notice.dedup_key).await?;
        if let Route::Skip(reason) = self.decide(notice, told.as_ref()) {
            return Ok(Outcome::Skipped(reason));
        }
        let (lease, told) = self.claim(notice).await?;
        // Decided again, on what nobody else can change any more.
        let (action, reason) = match self.decide(notice, told.as_ref()) {
            Route::Send(action, reason) => (action, reason),
            Route::Skip(reason) => {
                self.give_back(lease).await;
                return Ok(Outcome::Skipped(reason));
            }
        };
        let open_through = told.filter(|told| told.open).and_then(|told| told.through);
        match self.outlet.send(notice, action, open_through.as_ref(), self.now).await {
            Ok(through) => {
                let told = LastDelivery::after(notice, action, through);
                self.ledger
                    .record(lease, &told, self.now)
                    .await
                    .context("it was sent, which could not be recorded")?;
                Ok(Outcome::Sent(reason))
            }
            Err(why) => {
                self.give_back(lease).await;
                Err(why)
            }
        }
    }

    fn decide(&self, notice: &Body, told: Option<&LastDelivery>) -> Route {
        decide(notice, self.channel, Some(self.lowest), told)
    }

    /// The lease of the notice's key. One who has it needs it for about a second, so it is worth a short wait.
    async fn claim(&self, notice: &Body) -> anyhow::Result<(Lease, Option<LastDelivery>)> {
        let mut waits = self.patience.backoff.waits();
        loop {
            match self.ledger.claim(self.channel, &notice.dedup_key, self.now).await? {
                Claim::Granted(lease, told) => return Ok((lease, told)),
                Claim::Held => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => anyhow::bail!("another invocation is telling the channel about the same key"),
                },
            }
        }
    }

    async fn give_back(&self, lease: Lease) {
        if let Err(error) = self.ledger.release(lease).await {
            tracing::warn!(%error, "a lease was not given back; it ends by itself within two minutes");
        }
    }
}

impl Outlet<'_> {
    /// Sends a notice; answers through which routing key, if the channel has such. `open_through` is the one through which
    /// something is open.
    async fn send(
        self,
        notice: &Body,
        action: Action,
        open_through: Option<&Fingerprint>,
        now: Timestamp,
    ) -> anyhow::Result<Option<Fingerprint>> {
        match self {
            Self::PagerDuty { client, secrets, secret } => {
                let key = routing_key(secrets, secret, action, open_through, now).await?;
                let sent = client.enqueue(&pagerduty::render(notice, action), &key, secret).await;
                // It may have been replaced since it was read.
                sent.inspect_err(|error| forget_if_refused(secrets, secret, error))?;
                Ok(Some(key.fingerprint().clone()))
            }
            Self::Chat { http, secrets, secret, patience } => {
                let address = secrets.get(secret, now).await?;
                let sent = match Webhook::new(http, &address, secret, patience) {
                    Ok(webhook) => webhook.post(&chat::render(notice)).await,
                    Err(error) => Err(error),
                };
                sent.inspect_err(|error| forget_if_refused(secrets, secret, error))?;
                Ok(None)
            }
        }
    }
}

fn forget_if_refused(secrets: &SecretStore, secret: &str, error: &PostError) {
    if !error.is_transient() {
        secrets.forget(secret);
    }
}

/// The routing key for an event. If none that is cached will do, the secret is read anew: it may just have been rotated.
async fn routing_key(
    secrets: &SecretStore,
    secret: &str,
    action: Action,
    open_through: Option<&Fingerprint>,
    now: Timestamp,
) -> anyhow::Result<RoutingKey> {
    let choose = async || -> anyhow::Result<Result<RoutingKey, KeyError>> {
        let values = secrets.values(secret, now).await?;
        Ok(key::choose(secret, &values, action, open_through))
    };
    let fits = |chosen: &Result<RoutingKey, KeyError>| match (chosen, open_through) {
        (Ok(key), Some(wanted)) => key.fingerprint() == wanted,
        (chosen, _) => chosen.is_ok(),
    };
    let mut chosen = choose().await?;
    if !fits(&chosen) {
        secrets.forget(secret);
        chosen = choose().await?;
    }
    let key = chosen?;
    if let Some(gone) = open_through.filter(|wanted| *wanted != key.fingerprint()) {
        tracing::warn!(
            %secret, fingerprint = %gone,
            "an alert is open through a routing key that is gone; a second one opens, and the first must be resolved in \
             PagerDuty"
        );
    }
    Ok(key)
}
