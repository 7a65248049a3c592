//! Telling one channel of a batch of notices: decide, claim, send, record.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures::future;
use jiff::Timestamp;
use syncwatch::aws::AwsError;
use syncwatch::aws::secrets::{SecretError, SecretStore};
use syncwatch::finding::Severity;
use syncwatch::notice::Body;
use syncwatch::pipeline::Channels;
use syncwatch::runtime::env;
use tokio::time::Instant;

use crate::batch::{Batch, Queued};
use crate::key::{self, Fingerprint, KeyError, RoutingKey};
use crate::ledger::{Allowance, Claim, Lease, LedgerError, MOST_POSTS};
use crate::post::PostError;
use crate::route::{Action, Channel, LastDelivery, Route, decide};
use crate::{App, chat, pagerduty};

/// What it takes to tell one channel.
struct Relay<'a> {
    app: &'a App,
    channel: Channel,
    lowest: Severity,
    /// No notice is begun after this, so that the function ends by itself.
    until: Instant,
    now: Timestamp,
}

impl App {
    /// Sends every notice through every declared channel that has not had it. Answers with the messages to be tried again.
    /// One that no channel is to be sent again, and that not every channel took, goes to the dead letters at once.
    pub(crate) async fn send<'m>(&self, batch: &Batch<'m>, now: Timestamp) -> BTreeSet<&'m str> {
        let declared = self.site.pipeline.channels;
        if declared == Channels::default() {
            tracing::info!(
                "no channel declared: pipeline.toml has neither channels.pagerduty nor channels.chat"
            );
        }
        let until = Instant::now() + self.patience.batch;
        // Channels do not wait for each other: one that fails does not hold back the other.
        let sent = Channel::ALL.into_iter().filter_map(|channel| {
            let relay = Relay { app: self, channel, lowest: channel.lowest(declared)?, until, now };
            Some(Box::pin(relay.tell_all(&batch.notices)))
        });
        let mut again = BTreeSet::new();
        let mut given_up = BTreeSet::new();
        for (message, left) in future::join_all(sent).await.into_iter().flatten() {
            match left {
                Left::ToTheQueue => again.insert(message),
                Left::GivenUp => given_up.insert(message),
            };
        }
        // While another channel is still tried, the message stays where it is.
        given_up.retain(|message| !again.contains(message));
        for queued in batch.notices.iter().filter(|queued| given_up.contains(queued.message)) {
            // Boxed: the future of so many calls is large.
            if let Err(error) = Box::pin(self.park(queued, now)).await {
                tracing::error!(message = %queued.message, %error, "not parked; the queue tries again");
                again.insert(queued.message);
            }
        }
        again
    }

    /// Puts a message among the dead letters, whose alarm a person sees.
    async fn park(&self, queued: &Queued<'_>, now: Timestamp) -> Result<(), AwsError> {
        self.site.queue(env::NOTICES_DEAD_LETTERS).send(&queued.parked(now)).await?;
        tracing::error!(notice = queued.notice.id, message = %queued.message, "parked among the dead letters");
        Ok(())
    }
}

/// What is left of a notice that a channel did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It is tried again.
    ToTheQueue,
    /// It is never posted there again.
    GivenUp,
}

/// How many notices in a row may fail of the channel before the rest of the batch is left to the next try: one may fail by
/// itself, and must not hold up the others.
const FAILURES: usize = 2;

/// A notice that is not to be posted again.
#[derive(Debug, thiserror::Error)]
#[error("it is not posted again{}", last.as_ref().map_or(String::new(), |last| format!(": {last:#}")))]
struct GivenUp {
    /// Why its last post was not taken, if that was just now.
    last: Option<anyhow::Error>,
}

/// Whether the next notice would likely fare no better.
fn is_of_the_channel(why: &anyhow::Error) -> bool {
    let why = why.downcast_ref::<GivenUp>().and_then(|given_up| given_up.last.as_ref()).unwrap_or(why);
    why.downcast_ref::<PostError>().is_some_and(PostError::is_of_the_channel)
        || why.is::<SecretError>()
        || matches!(why.downcast_ref(), Some(LedgerError::Aws(_)))
        || matches!(why.downcast_ref(), Some(KeyError::NotAKey { .. }))
}

impl Relay<'_> {
    /// Tells the channel of these notices, in this order, one after the other: a vendor that limits its callers is asked by
    /// one at a time. Answers which it did not take, by their messages; each was logged.
    async fn tell_all<'n>(self, notices: &[Queued<'n>]) -> Vec<(&'n str, Left)> {
        let channel = self.channel;
        let mut left = Vec::new();
        let mut failures = 0;
        for queued in notices {
            let outcome = if failures >= FAILURES {
                Err(anyhow::anyhow!("the channel failed a moment ago"))
            } else if Instant::now() >= self.until {
                Err(anyhow::anyhow!("no time is left in this invocation"))
            } else {
                self.tell(queued).await
            };
            let (id, message) = (queued.notice.id.as_str(), queued.message);
            match outcome {
                Ok(Route::Send(_, reason)) => {
                    failures = 0;
                    tracing::info!(notice = id, %channel, %reason, "sent");
                }
                Ok(Route::Skip(reason)) => tracing::info!(notice = id, %channel, %reason, "not sent"),
                Err(why) => {
                    failures += usize::from(is_of_the_channel(&why));
                    let given_up = why.is::<GivenUp>();
                    let why = format!("{why:#}");
                    tracing::error!(notice = id, %message, %channel, why, given_up, "not sent");
                    left.push((message, if given_up { Left::GivenUp } else { Left::ToTheQueue }));
                }
            }
        }
        left
    }

    /// Decides on a notice and, if it is to go, claims, sends and records it: at least once, for a sender that dies
    /// between sending and recording is replaced by one that knows nothing of it.
    async fn tell(&self, queued: &Queued<'_>) -> anyhow::Result<Route> {
        let notice = &queued.notice;
        let ledger = &self.app.ledger;
        let decide = |told: Option<&LastDelivery>| decide(notice, self.channel, self.lowest, told);
        let told = ledger.told(self.channel, &notice.dedup_key).await?;
        if let skip @ Route::Skip(_) = decide(told.as_ref()) {
            return Ok(skip);
        }
        let (lease, told) = self.claim(notice).await?;
        // Decided again, on what no other invocation can change any more.
        let route = decide(told.as_ref());
        let Route::Send(action, _) = route else {
            self.give_back(lease).await;
            return Ok(route);
        };
        let open_through = told.filter(|told| told.open).and_then(|told| told.through);
        match Box::pin(self.post(queued, action, open_through.as_ref())).await {
            Ok(through) => {
                let told = LastDelivery::after(notice, action, through);
                let recorded = ledger.record(lease, &told, self.now).await;
                recorded.context("it was sent, which could not be recorded")?;
                Ok(route)
            }
            Err(why) => {
                self.give_back(lease).await;
                Err(why)
            }
        }
    }

    /// Sends a notice if it was not posted too often, and counts that.
    async fn post(
        &self,
        queued: &Queued<'_>,
        action: Action,
        open_through: Option<&Fingerprint>,
    ) -> anyhow::Result<Option<Fingerprint>> {
        let (ledger, channel, post) = (&self.app.ledger, self.channel, queued.post());
        let posts = match ledger.count_post(channel, &post, self.now).await? {
            Allowance::Granted(posts) => posts,
            Allowance::Later => anyhow::bail!("its last post waits for the channel to recover"),
            Allowance::UsedUp => return Err(GivenUp { last: None }.into()),
        };
        let why = match self.send(&queued.notice, action, open_through).await {
            Ok(through) => return Ok(through),
            Err(why) => why,
        };
        let (counted, never_again) = match why.downcast_ref::<PostError>() {
            Some(error) => (!error.is_surely_not_taken(), error.is_of_the_notice()),
            // A secret or a key was missing, so nothing was posted.
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

    /// Sends a notice; answers through which routing key, if the channel has such. `open_through` is the one through which
    /// something is open.
    async fn send(
        &self,
        notice: &Body,
        action: Action,
        open_through: Option<&Fingerprint>,
    ) -> anyhow::Result<Option<Fingerprint>> {
        let App { site, patience, .. } = self.app;
        let (secrets, now) = (&site.secrets, self.now);
        let (secret, sent, through) = match self.channel {
            Channel::PagerDuty => {
                let secret = site.setting(env::PAGERDUTY_SECRET);
                let key = routing_key(secrets, secret, action, open_through, now).await?;
                let event = pagerduty::render(notice, action);
                (secret, self.app.pagerduty.enqueue(&event, &key, secret).await, Some(key.fingerprint))
            }
            Channel::Chat => {
                let secret = site.setting(env::CHAT_SECRET);
                let (http, address) = (&site.sdk().http, secrets.get(secret, now).await?);
                let message = chat::render(notice);
                (secret, chat::client::post(http, &address, secret, *patience, &message).await, None)
            }
        };
        if sent.as_ref().is_err_and(|error| !error.kind.is_transient()) {
            // It may have been replaced since it was read.
            secrets.forget(secret);
        }
        sent?;
        Ok(through)
    }

    /// The lease of the notice's key. One who has it needs it for about a second, so it is worth a short wait.
    async fn claim(&self, notice: &Body) -> anyhow::Result<(Lease, Option<LastDelivery>)> {
        let mut waits = self.app.patience.backoff.waits();
        loop {
            match self.app.ledger.claim(self.channel, &notice.dedup_key, self.now).await? {
                Claim::Granted(lease, told) => return Ok((lease, told)),
                Claim::Held => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => anyhow::bail!("another invocation is telling the channel about the same key"),
                },
            }
        }
    }

    async fn give_back(&self, lease: Lease) {
        if let Err(error) = self.app.ledger.release(lease).await {
            tracing::warn!(%error, "a lease was not given back; it ends by itself within two minutes");
        }
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
            %secret, fingerprint = %gone,
            "an alert is open through a routing key that is gone; a second one opens, and the first must be resolved in \
             PagerDuty"
        );
    }
    Ok(key)
}
