//! The table that remembers what each channel was told under each key, and how often each notice was posted: a DynamoDB
//! item for either.
//!
//! Who wants to send takes a lease by conditional write first, so that two invocations never speak to one channel about
//! one key at the same time, and gives it back with the record of what was sent. Readers are consistent.
//!
//! DynamoDB deletes an item some time after its `expires_at`. One that outlives it is no harm: what it says stays true.

use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::table::{self, Item, Outcome, Reader, Spec, Table, Update, attribute};
use syncwatch::aws::writer_id;

use crate::key::Fingerprint;
use crate::pagerduty::bounded_key;
use crate::route::{Channel, LastDelivery, Place};

pub use table::{Error as LedgerError, Lease};

/// How long a lease lasts: longer than the function may run (see `infra/functions.json`), so that only one that died is
/// replaced, and shorter than the queue hides a message, so that the next try finds it over.
pub const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// How long it is remembered what closed: far longer than the queues keep a message (14 days).
pub const KEPT_CLOSED: SignedDuration = SignedDuration::from_hours(100 * 24);
/// How long it is remembered what is open, for only the routing key that triggered can resolve.
pub const KEPT_OPEN: SignedDuration = SignedDuration::from_hours(400 * 24);
/// A notice is posted to a channel this often and never again, whatever came of it.
pub const MOST_POSTS: u32 = 3;
/// How long after the second post the last one is made at the earliest. The first two are as quick as the queue: three
/// minutes apart. So a channel may be in trouble for as long before a person has to act.
pub const LAST_POST_AFTER: SignedDuration = SignedDuration::from_mins(15);

static SPEC: Spec = Spec {
    setting: "SYNCWATCH_RELAY_TABLE (infra/functions.json)",
    key: &["id"],
    unreadable: "Delete the item: what it said is then decided by severity alone",
};

const OPENED_AT: &str = "opened_at";
const GENERATION: &str = "generation";
const SEQUENCE: &str = "sequence";
const NOTICE: &str = "notice";
const OPEN: &str = "open";
const THROUGH: &str = "key_fingerprint";
const EXPIRES_AT: &str = "expires_at";
const POSTS: &str = "posts";

/// What became of a wish to send.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// No other invocation may send until the lease is given back. With it comes what was told last.
    Granted(Lease, Option<LastDelivery>),
    Held,
}

/// What became of a wish to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Allowance {
    /// It is counted, as the first, second or third.
    Granted(u32),
    /// Only the last one is left, and its time has not come.
    Later,
    UsedUp,
}

/// Reads and writes what channels were told.
#[derive(Debug, Clone)]
pub struct Ledger {
    table: Table,
}

impl Ledger {
    /// The ledger in this table.
    pub fn new(client: table::Client, table: impl Into<String>) -> Self {
        Self { table: Table::new(client, table, &SPEC) }
    }

    /// What a channel was told last under a key.
    pub async fn told(&self, channel: Channel, dedup_key: &str) -> Result<Option<LastDelivery>, LedgerError> {
        Ok(self.table.get(SPEC.key(&[&id(channel, dedup_key)]), read).await?.flatten())
    }

    /// Takes the lease of a channel and a key, if it is free.
    pub async fn claim(
        &self,
        channel: Channel,
        dedup_key: &str,
        now: Timestamp,
    ) -> Result<Claim, LedgerError> {
        let lease = Lease { key: SPEC.key(&[&id(channel, dedup_key)]), holder: writer_id() };
        let taken = self.table.lease(&lease, now, later(now, LEASE), later(now, KEPT_CLOSED)).await?;
        let table::Claim::Granted(stored) = taken else { return Ok(Claim::Held) };
        match read(&self.table.reader(&stored)) {
            Ok(told) => Ok(Claim::Granted(lease, told)),
            Err(unreadable) => {
                self.release(lease).await?;
                Err(unreadable)
            }
        }
    }

    /// Counts a post of a notice before it is made, so that a sender that dies has made it.
    ///
    /// `post` names the notice; after a person has sent it again from the dead letters, it has another name. The condition
    /// and the count are one write, so that of two who want the last post one has it. A retry of the write whose first
    /// answer was lost counts twice, which only makes for fewer posts.
    pub async fn count_post(
        &self,
        channel: Channel,
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

    /// Sets the count of posts: one less for one that was surely not taken, all for a notice that is never to be posted
    /// again.
    pub async fn set_posts(&self, channel: Channel, post: &str, posts: u32) -> Result<(), LedgerError> {
        let update = Update::new(post_key(channel, post), "SET #posts = :posts").value(":posts", posts);
        Ok(self.table.update(update).await?)
    }

    /// Records what was sent, and gives the lease back.
    pub async fn record(&self, lease: Lease, told: &LastDelivery, now: Timestamp) -> Result<(), LedgerError> {
        let kept = if told.open { KEPT_OPEN } else { KEPT_CLOSED };
        let Place { opened_at, generation, sequence } = told.place;
        let attributes = [
            (OPENED_AT, attribute(opened_at)),
            (GENERATION, attribute(generation)),
            (SEQUENCE, attribute(sequence)),
            (NOTICE, attribute(&told.notice)),
            (OPEN, attribute(told.open)),
            (EXPIRES_AT, attribute(later(now, kept).as_second())),
            (THROUGH, attribute(told.through.as_ref().map(|key| &key.0))),
        ];
        let recorded = self.table.record(&lease, attributes).await?;
        match recorded.read(|stored| read(&self.table.reader(&stored)))? {
            Outcome::Written => Ok(()),
            // A retry whose first attempt had been taken finds its own record.
            Outcome::Lost(Some(Some(recorded))) if recorded == *told => Ok(()),
            Outcome::Lost(_) => Err(self.table.lease_lost(&lease)),
        }
    }

    /// Gives the lease back with nothing sent. One that cannot be given back ends by itself.
    pub async fn release(&self, lease: Lease) -> Result<(), LedgerError> {
        // If it is lost, there is nothing to give back any more.
        let (Outcome::Written | Outcome::Lost(_)) = self.table.record(&lease, []).await?;
        Ok(())
    }
}

/// What an item says; `None` if it was only ever leased.
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

fn id(channel: Channel, dedup_key: &str) -> String {
    format!("{}/{}", channel.id(), bounded_key(dedup_key))
}

fn post_key(channel: Channel, post: &str) -> Item {
    SPEC.key(&[&format!("post/{}", id(channel, post))])
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(now)
}

#[cfg(test)]
mod tests;
