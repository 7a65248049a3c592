//! Leases: who may act on an item alone, for a time.
//!
//! A lease is a conditional update, so that of two who want it one has it:
//!
//! 1. claim: the condition says that nobody has it, or that its time is over ([`ended`]). A retry whose first answer was
//!    lost knows its own claim by its holder ([`Update::known_by`]).
//! 2. steal: a claim that turns out to be stale is replaced by a condition that names it; of two that saw the same stale
//!    claim, one replaces it.
//! 3. record: an update that stores what was done and removes the claim, if it is still one's own.
//!
//! A holder that dies does none of the rest; the time ends its lease. [`Lease`] is all of it for an item that has no layout
//! of its own for a claim.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;

use super::{AwsError, Item, Outcome, Table, Update};

const LEASED_BY: &str = "leased_by";
const LEASED_UNTIL: &str = "leased_until";

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Claim {
    /// It is ours; this is the whole item, claim included.
    Granted(Item),
    /// Another holder has it; this is what is stored (`None`: it was deleted meanwhile).
    Held(Option<Item>),
}

/// The right to act on one item alone. It lies in the item as `leased_by` and `leased_until` (milliseconds since 1970).
#[derive(Debug, Clone)]
pub struct Lease {
    pub key: Item,
    /// See [`crate::aws::writer_id`].
    pub holder: String,
}

/// The condition that no lease lies in `attribute`, or one whose time is before `placeholder`.
pub fn ended(attribute: &str, placeholder: &str) -> String {
    format!("attribute_not_exists(#{attribute}) OR #{attribute} < {placeholder}")
}

impl Table {
    /// Claims a lease: makes the update if its condition holds, and answers the item.
    pub async fn claim(&self, claim: Update) -> Result<Claim, AwsError> {
        self.send(claim, Some(ReturnValue::AllNew)).await
    }

    /// Takes a lease until an instant, if nobody has it, and answers the item. One that is never recorded under is deleted
    /// when its `expires_at` comes, so that it does not stay for ever if this holder dies.
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

    /// Stores what was done under a lease, as [`Update::storing`] does, and gives the lease back; with no attributes it is
    /// only given back. It is lost if another holder has taken it over, or an earlier attempt has given it back.
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
