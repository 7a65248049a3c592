//! Records the last delivery to each channel under each key, and how often each notice was posted: each a DynamoDB item.
//!
//! A sender first takes a lease by conditional write, so that two invocations never send to one channel under one key at the
//! same time, and gives it back with the record of the delivery. Reads are consistent.
//!
//! DynamoDB deletes an item some time after its `expires_at`. An expired item that is still there remains true.

use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::table::{self, Item, Outcome, Reader, Spec, Table, Update, attribute};
use syncwatch::aws::writer_id;
use syncwatch::pipeline::Channel;

use crate::key::Fingerprint;
use crate::pagerduty::bounded_key;
use crate::route::{LastDelivery, Place};

pub use table::{Error as LedgerError, Lease};

/// How long a lease lasts: longer than the function's timeout (see `infra/functions.json`), so that it expires only if its
/// holder died, and shorter than the queue hides a message, so that it has expired at the next delivery.
pub const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// How long a closed alert is recorded: far longer than the queues keep a message (14 days).
pub const KEPT_CLOSED: SignedDuration = SignedDuration::from_hours(100 * 24);
/// How long an open alert is recorded: only the routing key that triggered it can resolve it.
pub const KEPT_OPEN: SignedDuration = SignedDuration::from_hours(400 * 24);
/// The most posts of a notice to a channel, with any outcome.
pub const MOST_POSTS: u32 = 3;
/// The shortest time between the second post and the last. The queue alone sets the time between the first two: three minutes.
/// So a channel may fail for this long before a person has to act.
pub const LAST_POST_AFTER: SignedDuration = SignedDuration::from_mins(15);

static SPEC: Spec = Spec {
    setting: "SYNCWATCH_RELAY_TABLE (infra/functions.json)",
    key: &["id"],
    unreadable: "Delete the item; its channel then gets the next notice by severity alone",
};

const OPENED_AT: &str = "opened_at";
const GENERATION: &str = "generation";
const SEQUENCE: &str = "sequence";
const NOTICE: &str = "notice";
const OPEN: &str = "open";
const THROUGH: &str = "key_fingerprint";
const EXPIRES_AT: &str = "expires_at";
const POSTS: &str = "posts";

/// The answer to a request to send.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// No other invocation may send until the lease is given back. With it comes the last delivery.
    Granted(Lease, Option<LastDelivery>),
    Held,
}

/// The answer to a request to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Allowance {
    /// The number of this post, from 1.
    Granted(u32),
    /// Only the last post is left, and it is too early for it.
    Later,
    UsedUp,
}

/// Reads and writes the last deliveries.
#[derive(Debug, Clone)]
pub struct Ledger {
    table: Table,
}

impl Ledger {
    /// Creates a ledger in this table.
    pub fn new(client: table::Client, table: impl Into<String>) -> Self {
        Self { table: Table::new(client, table, &SPEC) }
    }

    /// Reads the last delivery to a channel under a key.
    pub async fn last(
        &self,
        channel: &Channel,
        dedup_key: &str,
    ) -> Result<Option<LastDelivery>, LedgerError> {
        Ok(self.table.get(SPEC.key(&[&id(channel, dedup_key)]), read).await?.flatten())
    }

    /// Takes the lease of a channel and a key, if it is free.
    pub async fn claim(
        &self,
        channel: &Channel,
        dedup_key: &str,
        now: Timestamp,
    ) -> Result<Claim, LedgerError> {
        let lease = Lease { key: SPEC.key(&[&id(channel, dedup_key)]), holder: writer_id() };
        let taken = self.table.lease(&lease, now, later(now, LEASE), later(now, KEPT_CLOSED)).await?;
        let table::Claim::Granted(stored) = taken else { return Ok(Claim::Held) };
        match read(&self.table.reader(&stored)) {
            Ok(last) => Ok(Claim::Granted(lease, last)),
            Err(unreadable) => {
                self.release(lease).await?;
                Err(unreadable)
            }
        }
    }

    /// Counts a post of a notice before it is made, so that the post of a sender that dies counts.
    ///
    /// `post` names the notice; a redrive from the dead letters has another name. The condition and the count are one write, so
    /// only one of two concurrent senders gets the last post. A retry of a write whose answer was lost counts twice, which only
    /// leaves fewer posts.
    pub async fn count_post(
        &self,
        channel: &Channel,
        post: &str,
        now: Timestamp,
    ) -> Result<Allowance, LedgerError> {
        let count =
            "SET #posts = if_not_exists(#posts, :none) + :one, #posted_at = :now, #expires_at = :expires";
        let allowed =
            "attribute_not_exists(#posts) OR #posts < :last OR (#posts < :most AND #posted_at <= :before)";
        let update = Update::new(post_key(channel, post), count)
            .when(allowed)
            .value(":none", 0)
            .value(":one", 1)
            .value(":last", MOST_POSTS - 1)
            .value(":most", MOST_POSTS)
            .value(":now", now.as_second())
            .value(":before", now.saturating_sub(LAST_POST_AFTER).unwrap_or(now).as_second())
            .value(":expires", later(now, KEPT_CLOSED).as_second());
        let (granted, item) = match self.table.claim(update).await? {
            table::Claim::Granted(item) => (true, item),
            table::Claim::Held(item) => (false, item.unwrap_or_default()),
        };
        let posts = self.table.reader(&item).read(POSTS)?;
        Ok(match posts {
            posts if granted => Allowance::Granted(posts),
            posts if posts < MOST_POSTS => Allowance::Later,
            _ => Allowance::UsedUp,
        })
    }

    /// Sets the count of posts: one less after a post that was surely not accepted, the most for a notice that is never to be
    /// posted again.
    pub async fn set_posts(&self, channel: &Channel, post: &str, posts: u32) -> Result<(), LedgerError> {
        let update = Update::new(post_key(channel, post), "SET #posts = :posts").value(":posts", posts);
        Ok(self.table.update(update).await?)
    }

    /// Records a delivery, and gives the lease back.
    pub async fn record(&self, lease: Lease, last: &LastDelivery, now: Timestamp) -> Result<(), LedgerError> {
        let kept = if last.open { KEPT_OPEN } else { KEPT_CLOSED };
        let Place { opened_at, generation, sequence } = last.place;
        let attributes = [
            (OPENED_AT, attribute(opened_at)),
            (GENERATION, attribute(generation)),
            (SEQUENCE, attribute(sequence)),
            (NOTICE, attribute(&last.notice)),
            (OPEN, attribute(last.open)),
            (EXPIRES_AT, attribute(later(now, kept).as_second())),
            (THROUGH, attribute(last.through.as_ref().map(|key| &key.0))),
        ];
        let recorded = self.table.record(&lease, attributes).await?;
        match recorded.read(|stored| read(&self.table.reader(&stored)))? {
            Outcome::Written => Ok(()),
            // A retry of a write that had succeeded finds its own record.
            Outcome::Lost(Some(Some(recorded))) if recorded == *last => Ok(()),
            Outcome::Lost(_) => Err(self.table.lease_lost(&lease)),
        }
    }

    /// Gives the lease back after no delivery. A lease that is not given back expires.
    pub async fn release(&self, lease: Lease) -> Result<(), LedgerError> {
        // A lost lease needs no release.
        let (Outcome::Written | Outcome::Lost(_)) = self.table.record(&lease, []).await?;
        Ok(())
    }
}

/// Reads an item; `None` if it has only a lease.
fn read(item: &Reader<'_>) -> Result<Option<LastDelivery>, LedgerError> {
    let Some(notice) = item.read(NOTICE)? else { return Ok(None) };
    let place = Place {
        opened_at: item.read(OPENED_AT)?,
        generation: item.read(GENERATION)?,
        sequence: item.read(SEQUENCE)?,
    };
    let through = item.read::<Option<String>>(THROUGH)?.map(Fingerprint);
    Ok(Some(LastDelivery { place, notice, open: item.read(OPEN)?, through }))
}

fn id(channel: &Channel, dedup_key: &str) -> String {
    format!("{}/{}", channel.name, bounded_key(dedup_key))
}

fn post_key(channel: &Channel, post: &str) -> Item {
    SPEC.key(&[&format!("post/{}", id(channel, post))])
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(now)
}

#[cfg(test)]
mod tests;
