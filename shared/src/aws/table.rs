//! One DynamoDB table, as all stores use it: typed reads, conditional writes, transactions and leases.
//!
//! Reads are consistent. A conditional write is either `Written` or `Lost` to the stored item, so that of two writers
//! that saw the same state one wins. Updates use DynamoDB's expressions; `#name` in them always means the attribute
//! `name` (several names are reserved words), so stores declare no names.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::error::{AwsError, Kind};

mod lease;
mod reader;
mod update;

pub use aws_sdk_dynamodb::Client;
pub use lease::{Claim, Lease, ended};
pub use reader::{Reader, attribute, binary, json};
pub use update::Update;

/// An item, or its key, as DynamoDB represents it.
pub type Item = HashMap<String, AttributeValue>;

/// The waits between retries of a write that met another function's transaction; a transaction takes some milliseconds.
const TRANSACTION_WAITS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(160)];
/// The limit of keys in one `BatchGetItem` (AWS DynamoDB API reference).
const KEYS_AT_ONCE: usize = 100;
/// Attempts to read keys that DynamoDB left unprocessed, on top of the SDK's own retries.
pub(super) const BATCH_ROUNDS: usize = 5;

/// The constants of a table.
#[derive(Debug)]
pub struct Spec {
    /// The setting that names the table, and its file.
    pub setting: &'static str,
    /// The attributes of its key; their values name an item in errors.
    pub key: &'static [&'static str],
    /// The remedy for an unreadable item.
    pub unreadable: &'static str,
}

impl Spec {
    /// Builds an item's key, or its first part.
    pub fn key(&self, values: &[&str]) -> Item {
        let parts = self.key.iter().zip(values);
        parts.map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned()))).collect()
    }
}

/// Selects items of a partition.
#[derive(Debug)]
pub struct Filter {
    pub expression: &'static str,
    /// The placeholders in it, with their values.
    pub values: &'static [(&'static str, &'static str)],
}

/// Selects items of a partition by an index, which has the table's partition key and projects keys only.
#[derive(Debug)]
pub struct Range {
    pub index: &'static str,
    /// A condition on the index's sort key; may be empty.
    pub condition: &'static str,
    /// The placeholders in it, with their values.
    pub values: &'static [(&'static str, &'static str)],
}

/// One table.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
    spec: &'static Spec,
}

/// A failed operation on a table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("table {table}: item {item}, attribute `{attribute}`: {found}. {advice}")]
    Unreadable { table: String, item: String, attribute: &'static str, found: String, advice: &'static str },
    /// Another version wrote the item; this one leaves it unchanged.
    #[error("table {table}: item {item} has a check that this version does not know; it is left unchanged")]
    UnknownCheck { table: String, item: String },
    #[error(
        "table {table}: the lease on item {item} was lost before the work under it was recorded; it may be done again"
    )]
    LeaseLost { table: String, item: String },
}

/// The outcome of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T> {
    Written,
    /// The condition failed. Holds the stored item (`None`: there is none).
    Lost(Option<T>),
}

/// The outcome of a transaction of two writes.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Transacted {
    /// Decided by the first write's condition.
    Settled(Outcome<Item>),
    /// Only the second write's condition failed; nothing was written.
    SecondRefused,
}

/// The reason for which DynamoDB refused a write.
enum Refusal {
    Condition(Option<Item>),
    /// The condition of the second write of a transaction.
    Second,
    /// Another transaction is using one of the items.
    Busy,
}

impl Table {
    /// Creates a client for the table of this name.
    pub fn new(client: Client, name: impl Into<String>, spec: &'static Spec) -> Self {
        Self { client, name: name.into(), spec }
    }

    /// Reads one item with `read`.
    pub async fn get<T>(
        &self,
        key: Item,
        read: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true).set_key(Some(key));
        let answer = request.send().await.map_err(|error| self.failed("dynamodb:GetItem", &error))?;
        let stored = answer.item.filter(|stored| !stored.is_empty());
        stored.map(|stored| read(&self.reader(&stored))).transpose()
    }

    /// Reads every item of a partition, through all pages. An unreadable item must not hide the others, so its error is
    /// returned beside them.
    pub async fn query<T>(
        &self,
        partition: &str,
        filter: Option<&Filter>,
        read: impl Fn(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<(Vec<T>, Vec<Error>), AwsError> {
        let (expression, values) = filter.map_or(("", &[][..]), |filter| (filter.expression, filter.values));
        let query = self
            .partition(partition, "", expression, values)
            .consistent_read(true)
            .set_filter_expression(filter.map(|filter| filter.expression.to_owned()));
        let mut pages = query.into_paginator().stop_on_duplicate_token(false).items().send();
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        while let Some(stored) = pages.next().await {
            match read(&self.reader(&stored.map_err(|error| self.failed("dynamodb:Query", &error))?)) {
                Ok(item) => found.push(item),
                Err(error) => unreadable.push(error),
            }
        }
        Ok((found, unreadable))
    }

    /// Reads the keys in a range of an index, through all pages. An index follows its table within about a second, so
    /// the keys may be slightly out of date.
    pub async fn keys(&self, partition: &str, range: &Range) -> Result<Vec<Item>, AwsError> {
        let Range { index, condition, values } = range;
        let query = self.partition(partition, condition, "", values).index_name(*index);
        let mut pages = query.into_paginator().stop_on_duplicate_token(false).items().send();
        let mut keys = Vec::new();
        while let Some(stored) = pages.next().await {
            let mut item = stored.map_err(|error| self.failed("dynamodb:Query", &error))?;
            item.retain(|name, _| self.spec.key.contains(&name.as_str()));
            keys.push(item);
        }
        Ok(keys)
    }

    /// Builds a query of a partition, with more key conditions (`and`) and the values of those and of a filter.
    fn partition(
        &self,
        partition: &str,
        and: &str,
        filter: &str,
        values: &[(&'static str, &'static str)],
    ) -> QueryFluentBuilder {
        let by = self.spec.key.first().copied().unwrap_or_default();
        let condition = format!("#{by} = :{by}{and}");
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .set_expression_attribute_names(Some(update::names(&[&condition, filter])))
            .expression_attribute_values(format!(":{by}"), AttributeValue::S(partition.to_owned()))
            .key_condition_expression(condition);
        values.iter().fold(query, |query, (placeholder, value)| {
            query.expression_attribute_values(*placeholder, AttributeValue::S((*value).to_owned()))
        })
    }

    /// Reads these attributes of the items with these distinct keys. Omits items that DynamoDB left unread after
    /// retries.
    pub async fn get_all(&self, keys: &[Item], attributes: &str) -> Result<Vec<Item>, AwsError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(KEYS_AT_ONCE) {
            let mut unread = chunk.to_vec();
            for _ in 0..BATCH_ROUNDS {
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut unread)))
                    .projection_expression(attributes)
                    .set_expression_attribute_names(Some(update::names(&[attributes])))
                    .consistent_read(true)
                    .build();
                // The builder fails only without keys.
                let Ok(wanted) = wanted else { break };
                let request = self.client.batch_get_item().request_items(&self.name, wanted);
                let answer =
                    request.send().await.map_err(|error| self.failed("dynamodb:BatchGetItem", &error))?;
                found.extend(answer.responses.unwrap_or_default().into_values().flatten());
                let left = answer.unprocessed_keys.unwrap_or_default().into_values();
                unread = left.flat_map(|keys| keys.keys).collect();
                if unread.is_empty() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Stores a whole item, replacing one with the same key.
    pub async fn put(&self, item: Item) -> Result<(), AwsError> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item));
        request.send().await.map_err(|error| self.failed("dynamodb:PutItem", &error))?;
        Ok(())
    }

    /// Applies an unconditional update.
    pub async fn update(&self, update: Update) -> Result<(), AwsError> {
        self.send(update, None).await.map(drop)
    }

    /// Applies an update if its condition is true.
    pub async fn put_if(&self, update: Update) -> Result<Outcome<Item>, AwsError> {
        Ok(self.send(update, None).await?.into())
    }

    /// Applies both updates if the conditions of both are true, otherwise neither.
    pub async fn transact(&self, first: Update, second: Update) -> Result<Transacted, AwsError> {
        let known_by = first.known_by.clone();
        let updates = [first, second].map(|update| update.in_transaction(&self.name));
        let updates: Result<Vec<_>, _> = updates.into_iter().collect();
        // The builder fails only without a table, key or expression.
        let Ok(updates) = updates else { return Ok(Transacted::Settled(Outcome::Lost(None))) };
        let items = updates.into_iter().map(|update| TransactWriteItem::builder().update(update).build());
        let request = self.client.transact_write_items().set_transact_items(Some(items.collect()));
        let attempt = async || request.clone().send().await.map(|_| Item::new());
        let claim = self.settle(attempt, refused_transaction, known_by).await?;
        Ok(claim.map_or(Transacted::SecondRefused, |claim| Transacted::Settled(claim.into())))
    }

    /// Returns a reader of the item's attributes.
    pub fn reader<'a>(&'a self, item: &'a Item) -> Reader<'a> {
        Reader::new(item, &self.name, self.spec)
    }

    /// Builds the error of a lease that another holder took over.
    pub fn lease_lost(&self, lease: &Lease) -> Error {
        Error::LeaseLost { table: self.name.clone(), item: self.reader(&lease.key).key() }
    }

    async fn send(&self, update: Update, answer: Option<ReturnValue>) -> Result<Claim, AwsError> {
        let names = update.names();
        let on_failure = update.condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(update.key))
            .update_expression(update.expression)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(update.values).filter(|values| !values.is_empty()))
            .set_return_values(answer)
            .set_return_values_on_condition_check_failure(on_failure);
        let attempt = async || {
            let answer = request.clone().send().await?;
            Ok(answer.attributes.unwrap_or_default())
        };
        let claim = self.settle(attempt, refused_update, update.known_by).await?;
        // A single write has no second condition to fail.
        Ok(claim.unwrap_or(Claim::Held(None)))
    }

    /// Retries a write while another function's transaction blocks it: DynamoDB refuses such writes, and the SDK does
    /// not retry them.
    ///
    /// A retry may meet its own earlier write whose response was lost, recognized by its mark. It counts as written;
    /// otherwise no writer would act on it. `None` if only the second write's condition failed.
    async fn settle<E>(
        &self,
        attempt: impl AsyncFn() -> Result<Item, SdkError<E, HttpResponse>>,
        refusal: impl Fn(&E) -> Option<Refusal>,
        known_by: Option<(&'static str, String)>,
    ) -> Result<Option<Claim>, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut waits = TRANSACTION_WAITS.into_iter();
        loop {
            let error = match attempt().await {
                Ok(item) => return Ok(Some(Claim::Granted(item))),
                Err(error) => error,
            };
            let wait = match error.as_service_error().and_then(&refusal) {
                Some(Refusal::Condition(stored)) => {
                    let stored = stored.filter(|stored| !stored.is_empty());
                    let marked = known_by.as_ref().is_some_and(|(name, mark)| {
                        let found = stored.as_ref().and_then(|stored| stored.get(*name)?.as_s().ok());
                        found == Some(mark)
                    });
                    return Ok(Some(match stored {
                        Some(ours) if marked => Claim::Granted(ours),
                        theirs => Claim::Held(theirs),
                    }));
                }
                Some(Refusal::Second) => return Ok(None),
                Some(Refusal::Busy) => waits.next(),
                None => None,
            };
            let Some(wait) = wait else { return Err(self.failed("dynamodb:UpdateItem", &error)) };
            tokio::time::sleep(wait).await;
        }
    }

    fn failed<E>(&self, permission: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Kind { name: "table", correct: self.spec.setting }.failed(&self.name, permission, error)
    }
}

impl<T> Outcome<T> {
    /// Converts the stored item, if any, with `read`.
    pub fn read<U>(self, read: impl FnOnce(T) -> Result<U, Error>) -> Result<Outcome<U>, Error> {
        Ok(match self {
            Self::Written => Outcome::Written,
            Self::Lost(stored) => Outcome::Lost(stored.map(read).transpose()?),
        })
    }
}

impl From<Claim> for Outcome<Item> {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::Granted(_) => Self::Written,
            Claim::Held(stored) => Self::Lost(stored),
        }
    }
}

fn refused_update(error: &UpdateItemError) -> Option<Refusal> {
    match error {
        UpdateItemError::ConditionalCheckFailedException(failed) => {
            Some(Refusal::Condition(failed.item().cloned()))
        }
        UpdateItemError::TransactionConflictException(_) => Some(Refusal::Busy),
        _ => None,
    }
}

/// Classifies a cancelled transaction; it is busy only if conflicts are the only reasons.
fn refused_transaction(error: &TransactWriteItemsError) -> Option<Refusal> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return None };
    let reasons = cancelled.cancellation_reasons();
    if let Some(first) = reasons.first().filter(|first| first.code() == Some("ConditionalCheckFailed")) {
        return Some(Refusal::Condition(first.item().cloned()));
    }
    let codes: Vec<&str> =
        reasons.iter().filter_map(|reason| reason.code()).filter(|code| *code != "None").collect();
    if codes == ["ConditionalCheckFailed"] {
        return Some(Refusal::Second);
    }
    (!codes.is_empty() && codes.iter().all(|code| *code == "TransactionConflict")).then_some(Refusal::Busy)
}

#[cfg(test)]
mod tests;
