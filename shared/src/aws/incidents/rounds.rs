//! The records of the last whole rounds of functions, so that others can tell when they stop.
//!
//! One item for each function beside the pipeline's partition, in `<pipeline>/rounds`: one write and one read, however
//! many checks there are.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item::{self, Item};
use super::{Error, GET, IncidentStore, QUERY, TABLE, UPDATE};
use crate::rounds::ValidatedRound;
use crate::rounds::{SnapshotData, SnapshotFailure, SnapshotOutcome, SnapshotRecord};

const DATA_CHECKS: &str = "daily-validation";
const BEGAN_AT: &str = "began_at";
const CHECKS: &str = "checks";
const SNAPSHOT: &str = "nightly-snapshot";
const WRITTEN_AT: &str = "written_at";
const FAILED_AT: &str = "failed_at";
const FAILURE: &str = "failure";
const OF_WAREHOUSE: &str = "of_warehouse";
const WITHOUT_DATA: &str = "without_data";

fn partition(pipeline: &str) -> AttributeValue {
    AttributeValue::S(format!("{pipeline}/rounds"))
}

impl IncidentStore {
    /// Records a whole round of data checks, over the one before.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn record_round(&self, pipeline: &str, round: &ValidatedRound) -> Result<(), Error> {
        // Names have no way to fail.
        let checks = serde_json::to_string(&round.checks).unwrap_or_default();
        self.client
            .update_item()
            .table_name(&self.table)
            .key(item::PIPELINE, partition(pipeline))
            .key(item::CHECK_SUBJECT, AttributeValue::S(DATA_CHECKS.to_owned()))
            .update_expression("SET #began_at = :began_at, #checks = :checks")
            .expression_attribute_names("#began_at", BEGAN_AT)
            .expression_attribute_names("#checks", CHECKS)
            .expression_attribute_values(":began_at", AttributeValue::S(round.at.to_string()))
            .expression_attribute_values(":checks", AttributeValue::S(checks))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, UPDATE, &error))?;
        Ok(())
    }

    /// Records a whole round of a function that has nothing more to say of it, over the one before.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn record_plain_round(
        &self,
        pipeline: &str,
        function: &str,
        began_at: Timestamp,
    ) -> Result<(), Error> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(item::PIPELINE, partition(pipeline))
            .key(item::CHECK_SUBJECT, AttributeValue::S(function.to_owned()))
            .update_expression("SET #began_at = :began_at")
            .expression_attribute_names("#began_at", BEGAN_AT)
            .expression_attribute_values(":began_at", AttributeValue::S(began_at.to_string()))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, UPDATE, &error))?;
        Ok(())
    }

    /// When the last whole round of each function that records its rounds began (UTC), by the function's name.
    ///
    /// # Errors
    /// AWS refused or did not answer, or what is stored is no such record.
    pub async fn rounds(&self, pipeline: &str) -> Result<BTreeMap<String, Timestamp>, Error> {
        let mut rounds = BTreeMap::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#pipeline = :pipeline")
            .expression_attribute_names("#pipeline", item::PIPELINE)
            .expression_attribute_values(":pipeline", partition(pipeline))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| TABLE.failed(&self.table, QUERY, &error))?;
            for stored in page.items.unwrap_or_default() {
                let item = Item(&stored);
                let read = || {
                    let name = item.text(item::CHECK_SUBJECT)?.to_owned();
                    // A snapshot that was only ever tried and failed has neither.
                    for attribute in [BEGAN_AT, WRITTEN_AT] {
                        if item.optional_text(attribute)?.is_some() {
                            return Ok(Some((name, item.parsed(attribute, "an instant")?)));
                        }
                    }
                    Ok(None)
                };
                rounds.extend(read().map_err(|unreadable| self.unreadable(unreadable))?);
            }
        }
        Ok(rounds)
    }

    /// The last whole round of data checks; `None` if there never was one.
    ///
    /// # Errors
    /// AWS refused or did not answer, or what is stored is no such record.
    pub async fn last_round(&self, pipeline: &str) -> Result<Option<ValidatedRound>, Error> {
        let Some(stored) = self.record_of(pipeline, DATA_CHECKS).await? else { return Ok(None) };
        let item = Item(&stored);
        let read = || {
            let at: Timestamp = item.parsed(BEGAN_AT, "an instant")?;
            let checks = item.json(CHECKS, "a list of names")?.ok_or_else(|| item.missing(CHECKS))?;
            Ok(ValidatedRound { at, checks })
        };
        read().map(Some).map_err(|unreadable| self.unreadable(unreadable))
    }

    /// What is recorded of a function's rounds.
    async fn record_of(
        &self,
        pipeline: &str,
        function: &str,
    ) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(item::PIPELINE, partition(pipeline))
            .key(item::CHECK_SUBJECT, AttributeValue::S(function.to_owned()))
            .send()
            .await
            .map_err(|error| TABLE.failed(&self.table, GET, &error))?;
        Ok(answer.item.filter(|stored| !stored.is_empty()))
    }

    /// Records a whole snapshot: that it was written at this instant, over what failed before; or that it failed, beside
    /// when the last one was written.
    ///
    /// # Errors
    /// AWS refused or did not answer.
    pub async fn record_snapshot(&self, pipeline: &str, outcome: &SnapshotOutcome) -> Result<(), Error> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::PIPELINE, partition(pipeline))
            .key(item::CHECK_SUBJECT, text(SNAPSHOT))
            .expression_attribute_names("#failed_at", FAILED_AT)
            .expression_attribute_names("#failure", FAILURE)
            .expression_attribute_names("#of_warehouse", OF_WAREHOUSE);
        let update = match outcome {
            SnapshotOutcome::Written { at, data } => {
                let update = update
                    .expression_attribute_names("#written_at", WRITTEN_AT)
                    .expression_attribute_values(":at", text(&at.to_string()));
                let named = |update: UpdateItemFluentBuilder| {
                    update.expression_attribute_names("#without_data", WITHOUT_DATA)
                };
                match data {
                    SnapshotData::There => named(update).update_expression(
                        "SET #written_at = :at REMOVE #failed_at, #failure, #of_warehouse, #without_data",
                    ),
                    SnapshotData::Missing(why) => named(update)
                        .update_expression(
                            "SET #written_at = :at, #without_data = :why REMOVE #failed_at, #failure, #of_warehouse",
                        )
                        .expression_attribute_values(":why", text(why)),
                    SnapshotData::AsBefore => update
                        .update_expression("SET #written_at = :at REMOVE #failed_at, #failure, #of_warehouse"),
                }
            }
            SnapshotOutcome::Failed(failure) => update
                .update_expression("SET #failed_at = :at, #failure = :failure, #of_warehouse = :of_warehouse")
                .expression_attribute_values(":at", text(&failure.at.to_string()))
                .expression_attribute_values(":failure", text(&failure.what))
                .expression_attribute_values(":of_warehouse", text(&failure.of_warehouse.to_string())),
        };
        update.send().await.map_err(|error| TABLE.failed(&self.table, UPDATE, &error))?;
        Ok(())
    }

    /// What is recorded of snapshots; `None` if none was ever tried.
    ///
    /// # Errors
    /// AWS refused or did not answer, or what is stored is no such record.
    pub async fn last_snapshot(&self, pipeline: &str) -> Result<Option<SnapshotRecord>, Error> {
        let Some(stored) = self.record_of(pipeline, SNAPSHOT).await? else { return Ok(None) };
        let item = Item(&stored);
        let read = || {
            let written_at = match item.optional_text(WRITTEN_AT)? {
                Some(_) => Some(item.parsed(WRITTEN_AT, "an instant")?),
                None => None,
            };
            let failure = match item.optional_text(FAILED_AT)? {
                Some(_) => Some(SnapshotFailure {
                    at: item.parsed(FAILED_AT, "an instant")?,
                    what: item.text(FAILURE)?.to_owned(),
                    of_warehouse: item.parsed(OF_WAREHOUSE, "true or false")?,
                }),
                None => None,
            };
            let without_data = item.optional_text(WITHOUT_DATA)?.map(str::to_owned);
            Ok(SnapshotRecord { written_at, failure, without_data })
        };
        read().map(Some).map_err(|unreadable| self.unreadable(unreadable))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::wire::{Wire, now};

    fn store(wire: &Wire) -> IncidentStore {
        IncidentStore::new(wire.clients().dynamodb, "syncwatch-incidents")
    }

    #[tokio::test]
    async fn a_round_is_read_as_it_was_recorded() {
        let wire = Wire::answering(200, json!({})).await;
        let round = ValidatedRound { at: now(), checks: vec!["a".to_owned(), "b".to_owned()] };
        store(&wire).record_round("properties", &round).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(written["Key"]["pipeline"], json!({"S": "properties/rounds"}));
        let values = &written["ExpressionAttributeValues"];
        let item = json!({ "began_at": values[":began_at"], "checks": values[":checks"] });

        let wire = Wire::answering(200, json!({ "Item": item })).await;
        assert_eq!(store(&wire).last_round("properties").await.unwrap(), Some(round));
    }

    #[tokio::test]
    async fn a_snapshot_that_failed_is_recorded_beside_the_last_one_that_was_written() {
        let wire = Wire::answering(200, json!({})).await;
        let done = SnapshotOutcome::Written { at: now(), data: SnapshotData::There };
        store(&wire).record_snapshot("properties", &done).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(written["Key"]["check_subject"], json!({"S": "nightly-snapshot"}));
        assert!(written["UpdateExpression"].as_str().unwrap().contains("REMOVE #failed_at"), "{written}");

        let failure =
            SnapshotFailure { at: now(), what: "something is missing".to_owned(), of_warehouse: false };
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_snapshot("properties", &SnapshotOutcome::Failed(failure.clone())).await.unwrap();
        let failed = wire.only_request().await.json();
        assert!(!failed["UpdateExpression"].as_str().unwrap().contains("written_at"), "{failed}");
        let values = &failed["ExpressionAttributeValues"];
        let item = json!({
            "written_at": written["ExpressionAttributeValues"][":at"], "failed_at": values[":at"],
            "failure": values[":failure"], "of_warehouse": values[":of_warehouse"],
        });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        let record = SnapshotRecord { written_at: Some(now()), failure: Some(failure), without_data: None };
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), Some(record));
        let wire = Wire::answering(200, json!({})).await;
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), None);
    }

    #[tokio::test]
    async fn that_a_snapshot_lacks_the_state_of_the_data_stands_until_one_has_it() {
        let written = async |data: SnapshotData| {
            let wire = Wire::answering(200, json!({})).await;
            let done = SnapshotOutcome::Written { at: now(), data };
            store(&wire).record_snapshot("properties", &done).await.unwrap();
            let request = wire.only_request().await.json();
            let expression = request["UpdateExpression"].as_str().unwrap().to_owned();
            (expression, request["ExpressionAttributeValues"].clone())
        };
        let (expression, values) = written(SnapshotData::Missing("no such view".to_owned())).await;
        assert!(expression.contains("SET #written_at = :at, #without_data = :why REMOVE"), "{expression}");
        let item = json!({ "written_at": values[":at"], "without_data": values[":why"] });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        let record = SnapshotRecord {
            written_at: Some(now()),
            failure: None,
            without_data: Some("no such view".to_owned()),
        };
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), Some(record));
        let (expression, _) = written(SnapshotData::AsBefore).await;
        assert!(!expression.contains("without_data"), "{expression}");
        let (expression, _) = written(SnapshotData::There).await;
        assert!(expression.ends_with("#without_data"), "{expression}");
    }

    #[tokio::test]
    async fn no_round_is_none_and_nonsense_is_an_error_that_names_the_item() {
        let wire = Wire::answering(200, json!({})).await;
        assert_eq!(store(&wire).last_round("properties").await.unwrap(), None);
        let item = json!({
            "pipeline": {"S": "properties/rounds"}, "check_subject": {"S": "daily-validation"},
            "began_at": {"S": "soon"}, "checks": {"S": "[]"},
        });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        let error = store(&wire).last_round("properties").await.unwrap_err().to_string();
        assert!(error.contains("began_at") && error.contains("syncwatch-incidents"), "{error}");
    }

    #[tokio::test]
    async fn rounds_are_listed_by_function_and_one_that_cannot_be_read_is_named() {
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_plain_round("properties", "schedule-verification", now()).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(written["Key"]["check_subject"], json!({"S": "schedule-verification"}));
        let at = &written["ExpressionAttributeValues"][":began_at"];

        let item = |at: &serde_json::Value| {
            json!({
                "pipeline": {"S": "properties/rounds"}, "check_subject": {"S": "schedule-verification"},
                "began_at": at,
            })
        };
        let wire = Wire::answering(200, json!({ "Items": [item(at)] })).await;
        let rounds = store(&wire).rounds("properties").await.unwrap();
        assert_eq!(rounds, BTreeMap::from([("schedule-verification".to_owned(), now())]));
        let asked = wire.only_request().await.json();
        assert_eq!(asked["ExpressionAttributeValues"][":pipeline"], json!({"S": "properties/rounds"}));

        let wire = Wire::answering(200, json!({ "Items": [item(&json!({"S": "soon"}))] })).await;
        let error = store(&wire).rounds("properties").await.unwrap_err().to_string();
        assert!(error.contains("began_at"), "{error}");
    }
}
