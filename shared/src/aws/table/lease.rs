//! Leases: the exclusive right to act on an item for a limited time.
//!
//! A lease is a conditional update, so that only one of several claimants gets it:
//!
//! 1. claim: the condition is that there is no lease, or that it has ended ([`ended`]). A retry whose first response
//!    was lost recognizes its own claim by its holder ([`Update::known_by`]).
//! 2. steal: a condition that names a stale claim replaces it; of several functions that saw it, one succeeds.
//! 3. record: an update stores the result and removes the claim, if it still has the same holder.
//!
//! If a holder dies, its lease ends by time. [`Lease`] implements this for items without their own layout for claims.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;

use super::{AwsError, Item, Outcome, Table, Update};

const LEASED_BY: &str = "leased_by";
const LEASED_UNTIL: &str = "leased_until";

/// The outcome of a claim.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Claim {
    /// Granted. Holds the whole item, including the claim.
    Granted(Item),
    /// Another holder has it. Holds the stored item (`None`: it was deleted since).
    Held(Option<Item>),
}

/// The exclusive right to act on one item, stored in it as `leased_by` and `leased_until` (milliseconds since 1970).
#[derive(Debug, Clone)]
pub struct Lease {
    pub key: Item,
    /// See [`crate::aws::writer_id`].
    pub holder: String,
}

/// Builds the condition that `attribute` has no lease, or one that ended before `placeholder`.
pub fn ended(attribute: &str, placeholder: &str) -> String {
    format!("attribute_not_exists(#{attribute}) OR #{attribute} < {placeholder}")
}

impl Table {
    /// Claims a lease: applies the update if its condition is true, and returns the item.
    pub async fn claim(&self, claim: Update) -> Result<Claim, AwsError> {
        self.send(claim, Some(ReturnValue::AllNew)).await
    }

    /// Claims a free lease until an instant, and returns the item. If this holder dies before it records, DynamoDB
    /// deletes the item at `expires_at`.
    pub async fn lease(
        &self,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Claim, AwsError> {
        let take = "SET #leased_by = :holder, #leased_until = :until, #expires_at = if_not_exists(#expires_at, :expires)";
        let claim = Update::new(lease.key.clone(), take)
            .when(ended(LEASED_UNTIL, ":now"))
            .value(":holder", &lease.holder)
            .value(":until", until.as_millisecond())
            .value(":now", now.as_millisecond())
            .value(":expires", expires_at.as_second())
            .known_by(LEASED_BY, &lease.holder);
        self.claim(claim).await
    }

    /// Stores the result of work under a lease, as [`Update::storing`] does, and releases the lease; without attributes
    /// it only releases it. Lost if another holder took it over, or an earlier attempt released it.
    pub async fn record(
        &self,
        lease: &Lease,
        attributes: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
    ) -> Result<Outcome<Item>, AwsError> {
        let ends = [(LEASED_BY, None), (LEASED_UNTIL, None)];
        let record = Update::storing(lease.key.clone(), ends.into_iter().chain(attributes));
        self.put_if(record.when("#leased_by = :holder").value(":holder", &lease.holder)).await
    }
}
