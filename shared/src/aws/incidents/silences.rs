//! Silences in the table of incidents: those that people ask for at run time, and what each held back.
//!
//! They lie in a partition of their own beside the pipeline's, `<pipeline>/silences`; the name of a pipeline has no slash.
//! A notice that is held back is counted in the same transaction as the incident is written, so that none is counted twice
//! or not at all.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update as TransactUpdate,
};
use jiff::{SignedDuration, Timestamp};

use super::item::{self, Item, Unreadable};
use super::{Error, Expected, IncidentStore, QUERY, TABLE, UPDATE, WriteOutcome};
use crate::incident::{Incident, SENDING_LEASE};
use crate::silence::{Scope, Silence, Tally};

/// How long a silence is kept after its end for people to look back at.
const KEPT_AFTER_END: SignedDuration = SignedDuration::from_hours(90 * 24);

const OWNER: &str = "owner";
const REASON: &str = "reason";
const SCOPE: &str = "scope";
const FROM: &str = "from";
const UNTIL: &str = "until";
const HELD_BACK: &str = "held_back";
const INCIDENTS: &str = "incidents";
const TELLING_SINCE: &str = "telling_since";
const DECLARED: &str = "declared";
const TOLD: &str = "told";
const TOLD_AT: &str = "told_at";
const TELLINGS: &str = "tellings";
const EXPIRES_AT: &str = "expires_at";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/silences")
}

fn key(pipeline: &str, id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (item::PIPELINE.to_owned(), text(&partition(pipeline))),
        (item::CHECK_SUBJECT.to_owned(), text(id)),
    ])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// What defines a silence, as attributes.
fn definition(silence: &Silence) -> [(&'static str, AttributeValue); 6] {
    let expires = silence.until.saturating_add(KEPT_AFTER_END).unwrap_or(silence.until);
    // Lists of words have no way to fail.
    let scope = serde_json::to_string(&silence.scope).unwrap_or_default();
    [
        (OWNER, text(&silence.owner)),
        (REASON, text(&silence.reason)),
        (SCOPE, text(&scope)),
        (FROM, text(&silence.from.to_string())),
        (UNTIL, text(&silence.until.to_string())),
        (EXPIRES_AT, AttributeValue::N(expires.as_second().to_string())),
    ]
}

fn read(stored: &HashMap<String, AttributeValue>) -> Result<Tally, Unreadable> {
    let item = Item(stored);
    let scope = item.json::<Scope>(SCOPE, "what a silence covers")?.ok_or_else(|| item.missing(SCOPE))?;
    let silence = Silence {
        id: item.text(item::CHECK_SUBJECT)?.to_owned(),
        owner: item.text(OWNER)?.to_owned(),
        reason: item.text(REASON)?.to_owned(),
        scope,
        from: item.parsed(FROM, "an instant")?,
        until: item.parsed(UNTIL, "an instant")?,
        declared: stored.get(DECLARED) == Some(&AttributeValue::Bool(true)),
    };
    let count = |name| if stored.contains_key(name) { item.number(name) } else { Ok(0) };
    let mut incidents = match stored.get(INCIDENTS) {
        Some(AttributeValue::Ss(incidents)) => incidents.clone(),
        _ => Vec::new(),
    };
    incidents.sort();
    Ok(Tally {
        silence,
        held_back: count(HELD_BACK)?,
        incidents,
        told: count(TOLD)?,
        tellings: count(TELLINGS)?.try_into().unwrap_or(u32::MAX),
    })
}

impl IncidentStore {
    /// Every silence that was asked for at run time or has held something back, with what it held back.
    ///
    /// One item that cannot be read silences nothing and must not hide the others, so it is answered beside them.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn silences(&self, pipeline: &str) -> Result<(Vec<Tally>, Vec<Error>), Error> {
        let (mut tallies, mut unreadable) = (Vec::new(), Vec::new());
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#pipeline = :pipeline")
            .expression_attribute_names("#pipeline", item::PIPELINE)
            .expression_attribute_values(":pipeline", AttributeValue::S(partition(pipeline)))
            .into_paginator()
            .items()
            .send();
        while let Some(stored) = pages.next().await {
            let stored = stored.map_err(|error| TABLE.failed(&self.table, QUERY, &error))?;
            match read(&stored) {
                Ok(tally) => tallies.push(tally),
                Err(item) => unreadable.push(self.unreadable(item)),
            }
        }
        Ok((tallies, unreadable))
    }

    /// Stores a silence that somebody asks for, over one of the same id; what that one held back stays counted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_silence(&self, pipeline: &str, silence: &Silence) -> Result<(), Error> {
        let (mut names, mut values, mut set) = (HashMap::new(), HashMap::new(), Vec::new());
        for (name, value) in definition(silence) {
            names.insert(format!("#{name}"), name.to_owned());
            values.insert(format!(":{name}"), value);
            set.push(format!("#{name} = :{name}"));
        }
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(pipeline, &silence.id)))
            .update_expression(format!("SET {}", set.join(", ")))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, UPDATE, &error))?;
        Ok(())
    }

    /// Stores an incident as [`IncidentStore::write`] does, and counts the notice that the silence holds back, both or
    /// neither.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write_held_back(
        &self,
        new: &Incident,
        expected: Expected,
        silence: &Silence,
    ) -> Result<WriteOutcome, Error> {
        let write_id = crate::aws::writer_id();
        let incident = super::ConditionalUpdate::of(new, expected, &write_id);
        let incident = TransactUpdate::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(&new.key)))
            .update_expression(incident.expression)
            .condition_expression(incident.condition)
            .set_expression_attribute_names(Some(incident.names))
            .set_expression_attribute_values(Some(incident.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let tally = self.count_one(new, silence).build();
        // The builders refuse only a missing table, key or expression, which are there.
        let (Ok(incident), Ok(tally)) = (incident, tally) else { return Ok(WriteOutcome::Lost(None)) };
        let request = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(incident).build())
            .transact_items(TransactWriteItem::builder().update(tally).build());
        // Of two notices that one silence holds back at the same moment, both count at the same tally.
        let answer = super::past_transactions(async || request.clone().send().await, is_in_the_way).await;
        let error = match answer {
            Ok(_) => return Ok(WriteOutcome::Written),
            Err(error) => error,
        };
        match lost_to(&error) {
            None => Err(TABLE.failed(&self.table, UPDATE, &error).into()),
            Some(Some(stored)) if item::was_written_by(stored, &write_id) => Ok(WriteOutcome::Written),
            Some(stored) => {
                let stored = stored.map(|stored| self.read(stored)).transpose()?;
                Ok(WriteOutcome::Lost(stored))
            }
        }
    }

    fn count_one(
        &self,
        incident: &Incident,
        silence: &Silence,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let (mut names, mut values, mut set) = (HashMap::new(), HashMap::new(), Vec::new());
        for (name, value) in definition(silence) {
            names.insert(format!("#{name}"), name.to_owned());
            values.insert(format!(":{name}"), value);
            // What the file says is stored as it says it today. A silence that was asked for, and that somebody has ended
            // early, must not be prolonged by a function that read it before.
            set.push(if silence.declared {
                format!("#{name} = :{name}")
            } else {
                format!("#{name} = if_not_exists(#{name}, :{name})")
            });
        }
        set.push(format!("#{DECLARED} = :{DECLARED}"));
        values.insert(format!(":{DECLARED}"), AttributeValue::Bool(silence.declared));
        for name in [DECLARED, HELD_BACK, INCIDENTS] {
            names.insert(format!("#{name}"), name.to_owned());
        }
        values.insert(":one".to_owned(), AttributeValue::N("1".to_owned()));
        values.insert(":incident".to_owned(), AttributeValue::Ss(vec![incident.key.check_subject()]));
        TransactUpdate::builder()
            .table_name(&self.table)
            .set_key(Some(key(&incident.key.pipeline, &silence.id)))
            .update_expression(format!(
                "SET {} ADD #{HELD_BACK} :one, #{INCIDENTS} :incident",
                set.join(", ")
            ))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
    }

    /// Takes on to tell what a silence held back beyond what was told; `false` if another function is at it or has told it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn begin_telling(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<bool, Error> {
        let lease_ended = now.saturating_sub(SENDING_LEASE).unwrap_or(now);
        let untold =
            if tally.told == 0 { "(attribute_not_exists(#told) OR #told = :told)" } else { "#told = :told" };
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(pipeline, &tally.silence.id)))
            .update_expression("SET #telling_since = :now")
            .condition_expression(format!(
                "{untold} AND (attribute_not_exists(#telling_since) OR #telling_since < :lease_ended)"
            ))
            .expression_attribute_names("#told", TOLD)
            .expression_attribute_names("#telling_since", TELLING_SINCE)
            .expression_attribute_values(":told", AttributeValue::N(tally.told.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(sortable(now)))
            .expression_attribute_values(":lease_ended", AttributeValue::S(sortable(lease_ended)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if super::lost_to(&error).is_some() => Ok(false),
            Err(error) => Err(TABLE.failed(&self.table, UPDATE, &error).into()),
        }
    }

    /// Records that people were told all that this tally counts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn record_told(&self, pipeline: &str, tally: &Tally, now: Timestamp) -> Result<(), Error> {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(pipeline, &tally.silence.id)))
            .update_expression("SET #told = :told, #told_at = :now REMOVE #telling_since ADD #tellings :one")
            .expression_attribute_names("#told", TOLD)
            .expression_attribute_names("#told_at", TOLD_AT)
            .expression_attribute_names("#tellings", TELLINGS)
            .expression_attribute_names("#telling_since", TELLING_SINCE)
            .expression_attribute_values(":told", AttributeValue::N(tally.held_back.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, UPDATE, &error))?;
        Ok(())
    }
}

/// An instant whose texts are in the order of time: always with the same number of digits.
fn sortable(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// If the condition on the incident did not hold: the item for which it did not.
fn lost_to<R>(
    error: &SdkError<TransactWriteItemsError, R>,
) -> Option<Option<&HashMap<String, AttributeValue>>> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let first = cancelled.cancellation_reasons().first()?;
            (first.code() == Some("ConditionalCheckFailed"))
                .then(|| first.item().filter(|item| !item.is_empty()))
        }
        _ => None,
    }
}

/// If the only reason is that another transaction has one of the items at the moment.
fn is_in_the_way<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return false;
    };
    let mut codes = cancelled
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code())
        .filter(|code| *code != "None");
    let conflict = |code: &str| code == "TransactionConflict";
    codes.clone().any(conflict) && codes.all(conflict)
}

#[cfg(test)]
mod tests;
