//! The table that remembers what each channel was told under each key: one DynamoDB item for both.
//!
//! Who wants to send takes a lease by conditional write first, so that two invocations never speak to one channel about
//! one key at the same time, and gives it back with the record of what was sent. Readers are consistent.
//!
//! DynamoDB deletes an item some time after its `expires_at`. One that outlives it is no harm: what it says stays true.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use syncwatch::aws::{AwsError, Kind, writer_id};

use crate::key::Fingerprint;
use crate::pagerduty::bounded_key;
use crate::route::{Channel, Place, Told};

/// How long a lease lasts: longer than the function may run (see `infra/functions.json`), so that only one that died is
/// replaced, and shorter than the queue hides a message, so that the next try finds it over.
pub const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// How long it is remembered what closed: far longer than the queues keep a message (14 days).
pub const KEPT_CLOSED: SignedDuration = SignedDuration::from_hours(100 * 24);
/// How long it is remembered what is open, for only the routing key that triggered can resolve.
pub const KEPT_OPEN: SignedDuration = SignedDuration::from_hours(400 * 24);

const TABLE: Kind = Kind { name: "table", correct: "SYNCWATCH_RELAY_TABLE (infra/functions.json)" };
const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";

const ID: &str = "id";
const OPENED_AT: &str = "opened_at";
const GENERATION: &str = "generation";
const SEQUENCE: &str = "sequence";
const NOTICE: &str = "notice";
const OPEN: &str = "open";
const THROUGH: &str = "key_fingerprint";
const LEASED_BY: &str = "leased_by";
const LEASED_UNTIL: &str = "leased_until";
const EXPIRES_AT: &str = "expires_at";

type Item = HashMap<String, AttributeValue>;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A stored item makes no sense.
    #[error(
        "table {table}: item {id}, attribute `{attribute}` is missing or of another kind. Delete the item: what it said \
         is then decided by severity alone"
    )]
    Unreadable { table: String, id: String, attribute: &'static str },
    /// The lease ended before the record was made.
    #[error(
        "table {table}: item {id} was taken over before it was recorded; the notice may go out once more"
    )]
    LeaseLost { table: String, id: String },
}

/// What became of a wish to send.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// Nobody else may send until the lease is given back. With it comes what was told last.
    Granted(Lease, Option<Told>),
    Held,
}

/// The right to speak to one channel about one key.
#[derive(Debug)]
pub struct Lease {
    id: String,
    holder: String,
}

/// Reads and writes what channels were told.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Ledger {
    /// The ledger in this table.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// What a channel was told last under a key.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn told(&self, channel: Channel, dedup_key: &str) -> Result<Option<Told>, LedgerError> {
        let id = id(channel, dedup_key);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(ID, text(&id))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, GET, &error))?;
        self.read(&id, &answer.item.unwrap_or_default())
    }

    /// Takes the lease of a channel and a key, if nobody has it.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn claim(
        &self,
        channel: Channel,
        dedup_key: &str,
        now: Timestamp,
    ) -> Result<Claim, LedgerError> {
        self.claim_as(writer_id(), channel, dedup_key, now).await
    }

    /// A retry whose first attempt had been taken, its answer lost, meets its own lease, known by its holder.
    async fn claim_as(
        &self,
        holder: String,
        channel: Channel,
        dedup_key: &str,
        now: Timestamp,
    ) -> Result<Claim, LedgerError> {
        let id = id(channel, dedup_key);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(&id))
            // What was never told must not stay for ever if this sender dies.
            .update_expression(
                "SET #leased_by = :holder, #leased_until = :until, #expires_at = if_not_exists(#expires_at, :expires)",
            )
            .condition_expression("attribute_not_exists(#leased_until) OR #leased_until < :now")
            .expression_attribute_names("#leased_by", LEASED_BY)
            .expression_attribute_names("#leased_until", LEASED_UNTIL)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":holder", text(&holder))
            .expression_attribute_values(":until", millisecond(later(now, LEASE)))
            .expression_attribute_values(":now", millisecond(now))
            .expression_attribute_values(":expires", second(later(now, KEPT_CLOSED)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let stored = match &answer {
            Ok(answer) => answer.attributes.clone().unwrap_or_default(),
            Err(error) => match refused_for(error) {
                None => return Err(TABLE.failed(&self.table, UPDATE, error).into()),
                Some(stored) if is_text(stored, LEASED_BY, &holder) => stored.clone(),
                Some(_) => return Ok(Claim::Held),
            },
        };
        let told = self.read(&id, &stored);
        let lease = Lease { id, holder };
        match told {
            Ok(told) => Ok(Claim::Granted(lease, told)),
            Err(unreadable) => {
                self.release(lease).await?;
                Err(unreadable)
            }
        }
    }

    /// Records what was sent, and gives the lease back.
    ///
    /// # Errors
    /// See [`LedgerError`]. The notice went out all the same.
    pub async fn record(&self, lease: Lease, told: &Told, now: Timestamp) -> Result<(), LedgerError> {
        let Lease { id, holder } = lease;
        let kept = if told.open { KEPT_OPEN } else { KEPT_CLOSED };
        let Place { opened_at, generation, sequence } = told.place;
        let mut set = vec![
            (OPENED_AT, text(&opened_at.to_string())),
            (GENERATION, AttributeValue::N(generation.to_string())),
            (SEQUENCE, AttributeValue::N(sequence.to_string())),
            (NOTICE, text(&told.notice)),
            (OPEN, AttributeValue::Bool(told.open)),
            (EXPIRES_AT, second(later(now, kept))),
        ];
        let mut remove = vec![LEASED_BY, LEASED_UNTIL];
        match &told.through {
            Some(fingerprint) => set.push((THROUGH, text(fingerprint.as_str()))),
            None => remove.push(THROUGH),
        }
        let names = set.iter().map(|(name, _)| *name).chain(remove.iter().copied());
        let names = names.map(|name| (format!("#{name}"), name.to_owned())).collect();
        let sets: Vec<_> = set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let removes: Vec<_> = remove.iter().map(|name| format!("#{name}")).collect();
        let mut values: Item = set.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        values.insert(":holder".to_owned(), text(&holder));
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(&id))
            .update_expression(format!("SET {} REMOVE {}", sets.join(", "), removes.join(", ")))
            .condition_expression("#leased_by = :holder")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        let Some(stored) = refused_for(&error) else {
            return Err(TABLE.failed(&self.table, UPDATE, &error).into());
        };
        // A retry whose first attempt had been taken finds its own record.
        match self.read(&id, stored)? {
            Some(recorded) if recorded == *told => Ok(()),
            _ => Err(LedgerError::LeaseLost { table: self.table.clone(), id }),
        }
    }

    /// Gives the lease back with nothing sent.
    ///
    /// # Errors
    /// See [`LedgerError`]. The lease then ends by itself.
    pub async fn release(&self, lease: Lease) -> Result<(), LedgerError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(&lease.id))
            .update_expression("REMOVE #leased_by, #leased_until")
            .condition_expression("#leased_by = :holder")
            .expression_attribute_names("#leased_by", LEASED_BY)
            .expression_attribute_names("#leased_until", LEASED_UNTIL)
            .expression_attribute_values(":holder", text(&lease.holder))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            // It is somebody else's by now, or was given back by the attempt before this one.
            Err(error) if refused_for(&error).is_none() => {
                Err(TABLE.failed(&self.table, UPDATE, &error).into())
            }
            _ => Ok(()),
        }
    }

    /// What an item says; `None` if there is none, or if it was only ever leased.
    fn read(&self, id: &str, item: &Item) -> Result<Option<Told>, LedgerError> {
        if !item.contains_key(NOTICE) {
            return Ok(None);
        }
        let told = (|| {
            let place = Place {
                opened_at: read_text(item, OPENED_AT)?.parse().map_err(|_| OPENED_AT)?,
                generation: read_number(item, GENERATION)?,
                sequence: read_number(item, SEQUENCE)?,
            };
            let open = match item.get(OPEN) {
                Some(AttributeValue::Bool(open)) => *open,
                _ => return Err(OPEN),
            };
            let through = match item.get(THROUGH) {
                None => None,
                Some(_) => Some(Fingerprint::stored(read_text(item, THROUGH)?)),
            };
            Ok(Told { place, notice: read_text(item, NOTICE)?.to_owned(), open, through })
        })();
        told.map(Some).map_err(|attribute| LedgerError::Unreadable {
            table: self.table.clone(),
            id: id.to_owned(),
            attribute,
        })
    }
}

fn id(channel: Channel, dedup_key: &str) -> String {
    format!("{}/{}", channel.id(), bounded_key(dedup_key))
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(now)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn second(instant: Timestamp) -> AttributeValue {
    AttributeValue::N(instant.as_second().to_string())
}

fn millisecond(instant: Timestamp) -> AttributeValue {
    AttributeValue::N(instant.as_millisecond().to_string())
}

fn is_text(item: &Item, name: &str, value: &str) -> bool {
    matches!(item.get(name), Some(AttributeValue::S(text)) if text == value)
}

fn read_text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, &'static str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(name),
    }
}

fn read_number<N: std::str::FromStr>(item: &Item, name: &'static str) -> Result<N, &'static str> {
    match item.get(name) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| name),
        _ => Err(name),
    }
}

/// If the condition did not hold: the item for which it did not.
fn refused_for<R>(error: &SdkError<UpdateItemError, R>) -> Option<&Item> {
    static NONE: std::sync::LazyLock<Item> = std::sync::LazyLock::new(HashMap::new);
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed.item().unwrap_or(&NONE)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
