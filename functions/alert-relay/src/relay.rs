//! Sends a batch of notices to one channel: decide, claim, send, record.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures::future;
use jiff::Timestamp;
use serde_json::json;
use syncwatch::aws::AwsError;
use syncwatch::aws::secrets::{SecretError, SecretStore, SecretValues};
use syncwatch::notice::Body;
use syncwatch::pipeline::{Channel, ChannelKind, Channels};
use syncwatch::runtime::env;
use tokio::time::Instant;

use crate::batch::{Batch, Queued};
use crate::key::{self, Fingerprint, KeyError, RoutingKey};
use crate::ledger::{Allowance, Claim, Lease, LedgerError, MOST_POSTS};
use crate::post::PostError;
use crate::route::{Action, LastDelivery, Route, decide, is_for_all};
use crate::{App, mail, pagerduty, slack, teams, webhook};

/// The delivery of a batch to one channel.
struct Relay<'a> {
    app: &'a App,
    channel: &'a Channel,
    /// No post begins after this, so that the function ends before its timeout.
    until: Instant,
    now: Timestamp,
}

impl App {
    /// Sends every notice to the channels of its owner, except where it was sent before. Returns the messages to be retried. A
    /// message that one channel gave up, and that no other is still trying, goes to the dead letters at once.
    pub(crate) async fn send<'m>(&self, batch: &Batch<'m>, now: Timestamp) -> BTreeSet<&'m str> {
        let pipeline = &self.site.pipeline;
        if pipeline.channels == Channels::default() {
            tracing::info!("no channel declared: pipeline.toml lacks [channels]");
        }
        let until = Instant::now() + self.patience.batch;
        // Concurrently, so that a failing channel does not delay the others.
        let sent = pipeline.channels.0.iter().map(|channel| {
            let relay = Relay { app: self, channel, until, now };
            Box::pin(relay.send_all(&batch.notices))
        });
        let mut again = BTreeSet::new();
        let mut given_up = BTreeSet::new();
        for (message, left) in future::join_all(sent).await.into_iter().flatten() {
            match left {
                Left::ToTheQueue => again.insert(message),
                Left::GivenUp => given_up.insert(message),
            };
        }
        // While another channel is still tried, the message stays in the queue.
        given_up.retain(|message| !again.contains(message));
        for queued in batch.notices.iter().filter(|queued| given_up.contains(queued.message)) {
            // Boxed: the future of so many calls is large.
            if let Err(error) = Box::pin(self.park(queued, now)).await {
                tracing::error!(message = %queued.message, %error, "message not parked; SQS will retry");
                again.insert(queued.message);
            }
        }
        again
    }

    /// Puts a message among the dead letters, whose alarm pages.
    async fn park(&self, queued: &Queued<'_>, now: Timestamp) -> Result<(), AwsError> {
        self.site.queue(env::NOTICES_DEAD_LETTERS).send(&queued.parked(now)).await?;
        tracing::error!(notice = queued.notice.id, message = %queued.message, "message parked among the dead letters");
        Ok(())
    }
}

/// The outcome of a notice that a channel did not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// SQS retries it.
    ToTheQueue,
    /// It is never posted to the channel again.
    GivenUp,
}

/// How many notices in a row may fail for reasons of the channel before the rest of the batch is left to the next delivery.
/// One may fail for a reason of its own, and must not block the others.
const FAILURES: usize = 2;

const NO_TIME: &str = "no time left in this invocation";

/// A notice that is not to be posted again.
#[derive(Debug, thiserror::Error)]
#[error("not posted again{}", last.as_ref().map_or(String::new(), |last| format!(": {last:#}")))]
struct GivenUp {
    /// The error of its last post, if that was just now.
    last: Option<anyhow::Error>,
}

/// Whether the next notice would probably fail too.
fn is_of_the_channel(why: &anyhow::Error) -> bool {
    let why = why.downcast_ref::<GivenUp>().and_then(|given_up| given_up.last.as_ref()).unwrap_or(why);
    why.downcast_ref::<PostError>().is_some_and(PostError::is_of_the_channel)
        || why.is::<SecretError>()
        || why.is::<NoValue>()
        || matches!(why.downcast_ref(), Some(LedgerError::Aws(_)))
        || matches!(why.downcast_ref(), Some(KeyError::NotAKey { .. }))
}

impl Relay<'_> {
    /// Sends these notices one after the other, in this order: a vendor with a rate limit gets one request at a time. Logs and
    /// returns those that the channel did not accept, by their messages.
    async fn send_all<'n>(self, notices: &[Queued<'n>]) -> Vec<(&'n str, Left)> {
        let channel = self.channel;
        let mut left = Vec::new();
        let mut failures = 0;
        for queued in notices {
            if !self.is_routed(&queued.notice) && !is_for_all(queued.notice.kind) {
                continue;
            }
            let outcome = if failures >= FAILURES {
                Err(anyhow::anyhow!("the channel failed for the notices before this one"))
            } else if Instant::now() >= self.until {
                Err(anyhow::anyhow!(NO_TIME))
            } else {
                self.deliver(queued).await
            };
            let (id, message) = (queued.notice.id.as_str(), queued.message);
            match outcome {
                Ok(Route::Send(_, reason)) => {
                    failures = 0;
                    tracing::info!(notice = id, %channel, %reason, "notice sent");
                }
                Ok(Route::Record(reason) | Route::Skip(reason)) => {
                    tracing::info!(notice = id, %channel, %reason, "notice skipped");
                }
                Err(why) => {
                    failures += usize::from(is_of_the_channel(&why));
                    let given_up = why.is::<GivenUp>();
                    let why = format!("{why:#}");
                    tracing::error!(notice = id, %message, %channel, why, given_up, "notice not sent");
                    left.push((message, if given_up { Left::GivenUp } else { Left::ToTheQueue }));
                }
            }
        }
        left
    }

    /// Decides on a notice; if it is to be sent, claims, sends and records it. Delivery is at least once: a sender that dies
    /// between sending and recording leaves no record.
    async fn deliver(&self, queued: &Queued<'_>) -> anyhow::Result<Route> {
        let notice = &queued.notice;
        let ledger = &self.app.ledger;
        let routed = self.is_routed(notice);
        let decide = |last: Option<&LastDelivery>| decide(notice, self.channel, routed, last);
        let last = ledger.last(self.channel, &notice.dedup_key).await?;
        if let skip @ Route::Skip(_) = decide(last.as_ref()) {
            return Ok(skip);
        }
        let (lease, last) = self.claim(notice).await?;
        // Decided again, on a record that no other invocation can change now.
        let route = decide(last.as_ref());
        let action = match route {
            Route::Send(action, _) => action,
            Route::Record(_) => {
                let last = LastDelivery::after(notice, Action::Resolve, None);
                ledger.record(lease, &last, self.now).await?;
                return Ok(route);
            }
            Route::Skip(_) => {
                self.give_back(lease).await;
                return Ok(route);
            }
        };
        // The lease may have been waited for.
        if Instant::now() >= self.until {
            self.give_back(lease).await;
            anyhow::bail!(NO_TIME);
        }
        let open_through = last.filter(|last| last.open).and_then(|last| last.through);
        match Box::pin(self.post(queued, action, open_through.as_ref())).await {
            Ok(through) => {
                let last = LastDelivery::after(notice, action, through);
                let recorded = ledger.record(lease, &last, self.now).await;
                recorded.context("sent but not recorded")?;
                Ok(route)
            }
            Err(why) => {
                self.give_back(lease).await;
                Err(why)
            }
        }
    }

    /// Sends a notice unless it was posted too often, and counts the post.
    async fn post(
        &self,
        queued: &Queued<'_>,
        action: Action,
        open_through: Option<&Fingerprint>,
    ) -> anyhow::Result<Option<Fingerprint>> {
        let (ledger, channel, post) = (&self.app.ledger, self.channel, queued.post());
        let posts = match ledger.count_post(channel, &post, self.now).await? {
            Allowance::Granted(posts) => posts,
            Allowance::Later => anyhow::bail!("the last post waits for the channel to recover"),
            Allowance::UsedUp => return Err(GivenUp { last: None }.into()),
        };
        let why = match self.send(&queued.notice, action, open_through).await {
            Ok(through) => return Ok(through),
            Err(why) => why,
        };
        let (counted, never_again) = match why.downcast_ref::<PostError>() {
            Some(error) => (!error.is_surely_not_taken(), error.is_of_the_notice()),
            // A secret or a key was missing, so there was no post.
            None => (false, false),
        };
        match (never_again, counted) {
            (true, _) => ledger.set_posts(channel, &post, MOST_POSTS).await?,
            (false, false) => ledger.set_posts(channel, &post, posts.saturating_sub(1)).await?,
            (false, true) => (),
        }
        if never_again || (counted && posts >= MOST_POSTS) {
            return Err(GivenUp { last: Some(why) }.into());
        }
        Err(why)
    }

    /// Sends a notice and returns the routing key that it went through, if the channel has such. `open_through` is the key of
    /// the alert that is open.
    async fn send(
        &self,
        notice: &Body,
        action: Action,
        open_through: Option<&Fingerprint>,
    ) -> anyhow::Result<Option<Fingerprint>> {
        let App { site, patience, .. } = self.app;
        let (channel, secrets, now) = (self.channel, &site.secrets, self.now);
        let body = match channel.kind {
            ChannelKind::PagerDuty => None,
            ChannelKind::Slack => {
                let owner = notice.owner.as_deref().and_then(|owner| site.pipeline.contact(owner));
                Some(json!(slack::render(notice, owner.and_then(|owner| owner.slack.as_deref()))))
            }
            ChannelKind::Teams => Some(teams::render(notice)),
            ChannelKind::Webhook => Some(json!(notice)),
            ChannelKind::Email => return self.mail(notice).await.map(|()| None),
        };
        let (secret, sent, through) = match body {
            None => {
                let secret = site.setting(env::PAGERDUTY_SECRET);
                let key = routing_key(secrets, secret, channel, action, open_through, now).await?;
                let event = pagerduty::render(notice, action);
                let place = place(secret, channel);
                let sent = self.app.pagerduty.enqueue(channel, &event, &key, &place).await;
                (secret, sent, Some(key.fingerprint))
            }
            Some(body) => {
                let secret = site.setting(env::CHAT_SECRET);
                let address = values(secrets, secret, channel, now).await?.current;
                let (http, place) = (&site.sdk().http, place(secret, channel));
                (secret, webhook::post(http, &address, &place, *patience, channel, body).await, None)
            }
        };
        if sent.as_ref().is_err_and(|error| !error.kind.is_transient()) {
            // It may have been replaced since it was cached.
            secrets.forget(secret);
        }
        sent?;
        Ok(through)
    }

    /// Sends a notice by SES.
    async fn mail(&self, notice: &Body) -> anyhow::Result<()> {
        let (ses, addresses) = (self.app.ses.as_ref(), self.channel.mail.as_ref());
        let (ses, addresses) = ses.zip(addresses).context("the channel has no addresses")?;
        let mail = mail::render(notice, &self.app.site.pipeline);
        Ok(ses.send(self.channel, addresses, &mail).await?)
    }

    /// Whether the channel is one of the notice's owner.
    fn is_routed(&self, notice: &Body) -> bool {
        let routes = self.app.site.pipeline.routes(notice.owner.as_deref());
        routes.iter().any(|channel| channel.name == self.channel.name)
    }

    /// Takes the lease of the notice's key. Another invocation holds it for about a second, so a short wait is worthwhile.
    async fn claim(&self, notice: &Body) -> anyhow::Result<(Lease, Option<LastDelivery>)> {
        let mut waits = self.app.patience.backoff.waits();
        loop {
            match self.app.ledger.claim(self.channel, &notice.dedup_key, self.now).await? {
                Claim::Granted(lease, last) => return Ok((lease, last)),
                Claim::Held => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => anyhow::bail!("another invocation is sending to the channel under the same key"),
                },
            }
        }
    }

    async fn give_back(&self, lease: Lease) {
        if let Err(error) = self.app.ledger.release(lease).await {
            tracing::warn!(%error, "lease not given back; it expires within two minutes");
        }
    }
}

/// Reads the live values of a channel. A value that the cached secret lacks may have been added since, so the secret is then
/// read again.
async fn values(
    secrets: &SecretStore,
    secret: &str,
    channel: &Channel,
    now: Timestamp,
) -> anyhow::Result<SecretValues> {
    let read = async || -> Result<Option<SecretValues>, SecretError> {
        let mut values = secrets.values(secret, now).await?;
        Ok(if channel.is_default() { Some(values) } else { values.channels.remove(&channel.name) })
    };
    if let Some(values) = read().await? {
        return Ok(values);
    }
    secrets.forget(secret);
    let missing = || NoValue { secret: secret.to_owned(), channel: channel.name.clone() };
    Ok(read().await?.ok_or_else(missing)?)
}

/// Names the value of a channel in errors: the secret, and the channel if the value is one of its `channels`.
fn place(secret: &str, channel: &Channel) -> String {
    if channel.is_default() { secret.to_owned() } else { format!("{secret}, channel {}", channel.name) }
}

/// A channel whose value is missing from its secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "secret {secret}: no value for channel {channel}. Store {{\"current\": \"...\", \"channels\": {{\"{channel}\": \
     \"...\"}}}}"
)]
struct NoValue {
    secret: String,
    channel: String,
}

/// The routing key for an event. If no cached key fits, the secret is read again: it may just have been rotated.
async fn routing_key(
    secrets: &SecretStore,
    secret: &str,
    channel: &Channel,
    action: Action,
    open_through: Option<&Fingerprint>,
    now: Timestamp,
) -> anyhow::Result<RoutingKey> {
    let place = place(secret, channel);
    let choose = async || -> anyhow::Result<Result<RoutingKey, KeyError>> {
        let values = values(secrets, secret, channel, now).await?;
        Ok(key::choose(&place, &values, action, open_through))
    };
    let fits = |chosen: &Result<RoutingKey, KeyError>| match (chosen, open_through) {
        (Ok(key), Some(wanted)) => key.fingerprint == *wanted,
        (chosen, _) => chosen.is_ok(),
    };
    let mut chosen = choose().await?;
    if !fits(&chosen) {
        secrets.forget(secret);
        chosen = choose().await?;
    }
    let key = chosen?;
    if let Some(gone) = open_through.filter(|wanted| **wanted != key.fingerprint) {
        tracing::warn!(
            secret = %place, fingerprint = %gone,
            "routing key of an open alert is gone, so a second alert opens; resolve the first in PagerDuty"
        );
    }
    Ok(key)
}
