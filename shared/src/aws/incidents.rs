//! The store of incidents: one DynamoDB item for each incident key, written by condition only.
//!
//! Of two writers that saw the same state one wins, and the other is told what is stored now. Readers are consistent.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::error::{AwsError, Kind};
use super::writer_id;
use crate::incident::{Incident, IncidentKey};

mod causes;
mod item;
mod rounds;
mod silences;

pub use causes::Speaker;
pub use item::{KEPT_AFTER_RESOLVED, Unreadable};

const TABLE: Kind = Kind { name: "table", correct: "SYNCWATCH_INCIDENTS_TABLE (infra/functions.json)" };
const QUERY: &str = "dynamodb:Query";
const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";

/// When a write that met another function's transaction is tried again, one wait after the other; a transaction takes some
/// milliseconds.
const TRANSACTION_WAITS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(160)];

/// What a writer saw, and so what must still be there when it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No incident was ever stored under this key (or it has expired since).
    Absent,
    Version(u64),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "it is matched where it is made, never kept in numbers")]
pub enum WriteOutcome {
    Written,
    /// Another writer was quicker; this is what is stored now (`None`: nothing).
    Lost(Option<Incident>),
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A stored item is not an incident.
    #[error(
        "table {table}: {unreadable}. Correct the item, or delete it: an incident that still exists opens anew"
    )]
    Unreadable { table: String, unreadable: Unreadable },
}

/// Which incidents of a pipeline are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that are not resolved, or have a notice yet to be sent.
    Live,
    All,
}

/// Reads and writes incidents.
#[derive(Debug, Clone)]
pub struct IncidentStore {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl IncidentStore {
    /// The store in this table.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Every incident of a pipeline that is not resolved, or has a notice yet to be sent.
    ///
    /// One item that cannot be read must not hide the others, so it is answered beside them.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn live_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        self.incidents_of(pipeline, Which::Live).await
    }

    /// Every incident of a pipeline, those that are resolved and not deleted yet included.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn all_incidents(&self, pipeline: &str) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        self.incidents_of(pipeline, Which::All).await
    }

    async fn incidents_of(&self, pipeline: &str, which: Which) -> Result<(Vec<Incident>, Vec<Error>), Error> {
        let (mut incidents, mut unreadable) = (Vec::new(), Vec::new());
        let mut start = None;
        loop {
            let mut query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#pipeline = :pipeline")
                .expression_attribute_names("#pipeline", item::PIPELINE)
                .expression_attribute_values(":pipeline", AttributeValue::S(pipeline.to_owned()));
            if which == Which::Live {
                query = query
                    .filter_expression("#state <> :resolved OR attribute_exists(#pending_kind)")
                    .expression_attribute_names("#state", item::STATE)
                    .expression_attribute_names("#pending_kind", item::PENDING_KIND)
                    .expression_attribute_values(":resolved", AttributeValue::S(item::RESOLVED.to_owned()));
            }
            let page = query
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| TABLE.failed(&self.table, QUERY, &error))?;
            for stored in page.items.unwrap_or_default() {
                match self.read(&stored) {
                    Ok(incident) => incidents.push(incident),
                    Err(error) => unreadable.push(error),
                }
            }
            // DynamoDB says an empty key as well as none at the end.
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() => start = Some(key),
                _ => return Ok((incidents, unreadable)),
            }
        }
    }

    /// The incident of a key, open or resolved.
    pub async fn get(&self, key: &IncidentKey) -> Result<Option<Incident>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(item::key(key)))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, GET, &error))?;
        answer.item.map(|stored| self.read(&stored)).transpose()
    }

    /// Stores `new` whole, `new.version` included, if what is stored is still as expected.
    pub async fn write(&self, new: &Incident, expected: Expected) -> Result<WriteOutcome, Error> {
        self.write_as(&writer_id(), new, expected).await
    }

    /// A retry whose first attempt had been taken, its answer lost, meets its own write, known by its id: that
    /// counts as written. Otherwise nobody would send the notice.
    async fn write_as(
        &self,
        write_id: &str,
        new: &Incident,
        expected: Expected,
    ) -> Result<WriteOutcome, Error> {
        let ConditionalUpdate { expression, condition, names, values } =
            ConditionalUpdate::of(new, expected, write_id);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(&new.key)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let in_the_way = |error: &SdkError<UpdateItemError, _>| {
            error.as_service_error().is_some_and(UpdateItemError::is_transaction_conflict_exception)
        };
        let answer = past_transactions(async || request.clone().send().await, in_the_way).await;
        let error = match answer {
            Ok(_) => return Ok(WriteOutcome::Written),
            Err(error) => error,
        };
        match lost_to(&error) {
            None => Err(TABLE.failed(&self.table, UPDATE, &error).into()),
            Some(Some(stored)) if item::was_written_by(stored, write_id) => Ok(WriteOutcome::Written),
            Some(stored) => {
                let stored = stored.map(|stored| self.read(stored)).transpose()?;
                Ok(WriteOutcome::Lost(stored))
            }
        }
    }

    fn read(&self, stored: &HashMap<String, AttributeValue>) -> Result<Incident, Error> {
        item::read(stored).map_err(|unreadable| self.unreadable(unreadable))
    }

    fn unreadable(&self, unreadable: Unreadable) -> Error {
        Error::Unreadable { table: self.table.clone(), unreadable }
    }
}

/// Tries again while a transaction of another function is in the way: DynamoDB refuses what comes meanwhile, and the SDK
/// does not try that again by itself.
async fn past_transactions<T, E>(
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    in_the_way: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for wait in TRANSACTION_WAITS {
        match attempt().await {
            Err(error) if in_the_way(&error) => tokio::time::sleep(wait).await,
            answer => return answer,
        }
    }
    attempt().await
}

/// The parts of an update that stores an incident whole, if what is stored is still as expected.
struct ConditionalUpdate {
    expression: String,
    condition: &'static str,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl ConditionalUpdate {
    fn of(new: &Incident, expected: Expected, write_id: &str) -> Self {
        let item::Update { expression, mut names, mut values } = item::update(new, write_id);
        let condition = match expected {
            Expected::Absent => {
                names.insert("#pipeline".to_owned(), item::PIPELINE.to_owned());
                "attribute_not_exists(#pipeline)"
            }
            Expected::Version(version) => {
                values.insert(":expected".to_owned(), AttributeValue::N(version.to_string()));
                "#version = :expected"
            }
        };
        Self { expression, condition, names, values }
    }
}

/// If the condition did not hold: the item for which it did not.
fn lost_to<R>(error: &SdkError<UpdateItemError, R>) -> Option<Option<&HashMap<String, AttributeValue>>> {
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(failed) => {
            Some(failed.item().filter(|item| !item.is_empty()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
