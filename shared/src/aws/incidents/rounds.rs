//! Records of each function's last complete round, by which other functions notice that it stopped.
//!
//! One item per function in the partition `<pipeline>/rounds`: one write and one read, regardless of the number of
//! checks.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC, item};
use crate::aws::table::{Item, Reader, Update, attribute, json};
use crate::finding::Judge;
use crate::rounds::{
    ReconciledRound, SnapshotData, SnapshotFailure, SnapshotOutcome, SnapshotRecord, ValidatedRound,
    WebhookRecord,
};
use crate::scoreboard::{LagSample, RunsByHand, Stored};
use crate::text::counted;

const BEGAN_AT: &str = "began_at";
const CHECKS: &str = "checks";
const OBJECTS: &str = "objects";
const WRITTEN_AT: &str = "written_at";
const FAILED_AT: &str = "failed_at";
const FAILURE: &str = "failure";
const OF_WAREHOUSE: &str = "of_warehouse";
const WEBHOOKS: &str = "webhooks";
const ACCEPTED_AT: &str = "accepted_at";
const REFUSED_AT: &str = "refused_at";
const REFUSED: &str = "refused";
const WITHOUT_DATA: &str = "without_data";
const RECORDED_SINCE: &str = "recorded_since";
const BY_HAND: &str = "runs-by-hand";
/// The function that renews the status page, whose rounds are recorded by its name.
pub const STATUS_PAGE: &str = "status-page";
const RUNS: &str = "runs";
const MEASURED_AT: &str = "measured_at";
const LAG: &str = "lag_seconds";

/// How long a measurement of lag is kept.
const LAG_KEPT: SignedDuration = SignedDuration::from_hours(200 * 24);

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/rounds")
}

fn lags(pipeline: &str) -> String {
    format!("{pipeline}/lags")
}

fn key(pipeline: &str, judge: Judge) -> Item {
    SPEC.key(&[&partition(pipeline), judge.function()])
}

impl IncidentStore {
    /// Records a complete round of data checks, replacing the previous record.
    pub async fn record_round(&self, pipeline: &str, round: &ValidatedRound) -> Result<(), Error> {
        let attributes = [(BEGAN_AT, attribute(round.at)), (CHECKS, json(&round.checks))];
        self.record(pipeline, Judge::DailyValidation, attributes).await
    }

    /// Records the comparisons of objects so far, and the beginning of the round if it is complete.
    pub async fn record_reconciled(
        &self,
        pipeline: &str,
        round: &ReconciledRound,
        is_whole: bool,
    ) -> Result<(), Error> {
        let began = (BEGAN_AT, attribute(round.at));
        let attributes = [(OBJECTS, json(&round.objects))].into_iter().chain(is_whole.then_some(began));
        self.record(pipeline, Judge::Reconciliation, attributes).await
    }

    /// Reads the record of the comparisons of objects; `None` if there was none.
    pub async fn last_reconciled(&self, pipeline: &str) -> Result<Option<ReconciledRound>, Error> {
        let read = |item: &Reader<'_>| {
            Ok(ReconciledRound { at: item.read(BEGAN_AT)?, objects: item.json(OBJECTS)? })
        };
        self.table.get(key(pipeline, Judge::Reconciliation), read).await
    }

    /// Records a complete round of a function that stores only its beginning, replacing the previous record.
    pub async fn record_plain_round(
        &self,
        pipeline: &str,
        judge: Judge,
        began_at: Timestamp,
    ) -> Result<(), Error> {
        let since = format!(", #{RECORDED_SINCE} = if_not_exists(#{RECORDED_SINCE}, :{BEGAN_AT})");
        let record = Update::storing(key(pipeline, judge), [(BEGAN_AT, attribute(began_at))]).and(&since);
        Ok(self.table.update(record).await?)
    }

    /// Reads since when all notices, acknowledgements and faults are in the items of their incidents (UTC): since the first
    /// recorded round of `schedule-verification` that wrote them there.
    pub async fn recorded_since(&self, pipeline: &str) -> Result<Option<Timestamp>, Error> {
        let read = |item: &Reader<'_>| item.read(RECORDED_SINCE);
        Ok(self.table.get(key(pipeline, Judge::ScheduleVerification), read).await?.flatten())
    }

    /// Records a complete round of a function that judges nothing, such as [`STATUS_PAGE`], replacing the previous record.
    pub async fn record_done(
        &self,
        pipeline: &str,
        function: &str,
        began_at: Timestamp,
    ) -> Result<(), Error> {
        let key = SPEC.key(&[&partition(pipeline), function]);
        Ok(self.table.update(Update::storing(key, [(BEGAN_AT, attribute(began_at))])).await?)
    }

    /// Reads when the status page was last renewed (UTC); `None` if it never was.
    pub async fn page_renewed_at(&self, pipeline: &str) -> Result<Option<Timestamp>, Error> {
        let read = |item: &Reader<'_>| item.read(BEGAN_AT);
        self.table.get(SPEC.key(&[&partition(pipeline), STATUS_PAGE]), read).await
    }

    /// Records the runs that people started, replacing the previous record.
    pub async fn record_runs_by_hand(&self, pipeline: &str, runs: &RunsByHand) -> Result<(), Error> {
        let key = SPEC.key(&[&partition(pipeline), BY_HAND]);
        Ok(self.table.update(Update::storing(key, [(RUNS, json(runs))])).await?)
    }

    /// Reads the runs that people started; `None` if they were never recorded.
    pub async fn runs_by_hand(&self, pipeline: &str) -> Result<Option<RunsByHand>, Error> {
        let read = |item: &Reader<'_>| item.json(RUNS);
        self.table.get(SPEC.key(&[&partition(pipeline), BY_HAND]), read).await
    }

    /// Records a measurement of lag for 200 days.
    pub async fn record_lag(&self, pipeline: &str, sample: LagSample) -> Result<(), Error> {
        let key = SPEC.key(&[&lags(pipeline), &sample.at.to_string()]);
        let expires_at = sample.at.saturating_add(LAG_KEPT).unwrap_or(sample.at).as_second();
        let attributes = [
            (MEASURED_AT, attribute(sample.at)),
            (LAG, attribute(sample.lag.as_secs())),
            (item::EXPIRES_AT, attribute(expires_at)),
        ];
        Ok(self.table.update(Update::storing(key, attributes)).await?)
    }

    /// Reads the measurements of lag that have not expired, oldest first.
    pub async fn lags(&self, pipeline: &str) -> Result<Vec<LagSample>, Error> {
        let read = |item: &Reader<'_>| {
            let lag = SignedDuration::from_secs(item.read(LAG)?);
            Ok(LagSample { at: item.read(MEASURED_AT)?, lag })
        };
        let (lags, unreadable) = self.table.query(&lags(pipeline), None, read).await?;
        unreadable.into_iter().next().map_or(Ok(lags), Err)
    }

    async fn record(
        &self,
        pipeline: &str,
        judge: Judge,
        attributes: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
    ) -> Result<(), Error> {
        Ok(self.table.update(Update::storing(key(pipeline, judge), attributes)).await?)
    }

    /// Reads when the last complete round of each recorded function began (UTC), by the function's name.
    pub async fn rounds(&self, pipeline: &str) -> Result<BTreeMap<String, Timestamp>, Error> {
        let read = |item: &Reader<'_>| {
            let began_at: Option<Timestamp> = item.read(BEGAN_AT)?;
            let written_at = item.read(WRITTEN_AT)?;
            let function: String = item.read(item::CHECK_SUBJECT)?;
            // A snapshot that never succeeded has neither.
            Ok(began_at.or(written_at).map(|at| (function, at)))
        };
        let (rounds, unreadable) = self.table.query(&partition(pipeline), None, read).await?;
        unreadable.into_iter().next().map_or(Ok(()), Err)?;
        Ok(rounds.into_iter().flatten().collect())
    }

    /// Reads the last complete round of data checks; `None` if there was none.
    pub async fn last_round(&self, pipeline: &str) -> Result<Option<ValidatedRound>, Error> {
        let read =
            |item: &Reader<'_>| Ok(ValidatedRound { at: item.read(BEGAN_AT)?, checks: item.json(CHECKS)? });
        self.table.get(key(pipeline, Judge::DailyValidation), read).await
    }

    /// Reads everything that a scoreboard rests on besides the audit log.
    pub async fn of_scoreboard(&self, pipeline: &str) -> Result<Stored, Error> {
        let (incidents, silences, marks, recorded_since, lags, by_hand, remedies) = futures::try_join!(
            self.all_incidents(pipeline),
            self.silences(pipeline),
            self.marks(pipeline),
            self.recorded_since(pipeline),
            self.lags(pipeline),
            self.runs_by_hand(pipeline),
            self.remedies(pipeline),
        )?;
        let unread = |unread: &[Error], what| {
            (!unread.is_empty()).then(|| format!("{} cannot be read", counted(unread.len(), what)))
        };
        Ok(Stored {
            unread_incidents: unread(&incidents.1, "incident"),
            unread_silences: unread(&silences.1, "silence"),
            unread_marks: unread(&marks.1, "mark"),
            incidents: incidents.0,
            silences: silences.0,
            marks: marks.0,
            recorded_since,
            lags,
            by_hand,
            unread_remedies: unread(&remedies.1, "stored act"),
            remedies: remedies.0,
        })
    }

    /// Updates the record of webhooks; unknown values keep their stored ones.
    pub async fn record_webhooks(&self, pipeline: &str, record: &WebhookRecord) -> Result<(), Error> {
        let WebhookRecord { accepted_at, refused } = record;
        let mut attributes = Vec::new();
        attributes.extend(accepted_at.map(|at| (ACCEPTED_AT, attribute(at))));
        if let Some((at, why)) = refused {
            attributes.extend([(REFUSED_AT, attribute(at)), (REFUSED, attribute(why))]);
        }
        let key = SPEC.key(&[&partition(pipeline), WEBHOOKS]);
        Ok(self.table.update(Update::storing(key, attributes)).await?)
    }

    /// Reads the record of webhooks; `None` if none was ever accepted or refused.
    pub async fn last_webhooks(&self, pipeline: &str) -> Result<Option<WebhookRecord>, Error> {
        let read = |item: &Reader<'_>| {
            let refused: Option<Timestamp> = item.read(REFUSED_AT)?;
            let refused = match refused {
                Some(at) => Some((at, item.read(REFUSED)?)),
                None => None,
            };
            Ok(WebhookRecord { accepted_at: item.read(ACCEPTED_AT)?, refused })
        };
        self.table.get(SPEC.key(&[&partition(pipeline), WEBHOOKS]), read).await
    }

    /// Records the outcome of a snapshot. A success clears an earlier failure; a failure keeps when the last one was
    /// written.
    pub async fn record_snapshot(&self, pipeline: &str, outcome: &SnapshotOutcome) -> Result<(), Error> {
        let attributes = match outcome {
            SnapshotOutcome::Written { at, data } => {
                let mut attributes = vec![(WRITTEN_AT, attribute(at))];
                attributes.extend([FAILED_AT, FAILURE, OF_WAREHOUSE].map(|name| (name, None)));
                match data {
                    SnapshotData::There => attributes.push((WITHOUT_DATA, None)),
                    SnapshotData::Missing(why) => attributes.push((WITHOUT_DATA, attribute(why))),
                    SnapshotData::AsBefore => {}
                }
                attributes
            }
            SnapshotOutcome::Failed(SnapshotFailure { at, what, of_warehouse }) => vec![
                (FAILED_AT, attribute(at)),
                (FAILURE, attribute(what)),
                (OF_WAREHOUSE, json(of_warehouse)),
            ],
        };
        self.record(pipeline, Judge::NightlySnapshot, attributes).await
    }

    /// Reads the record of snapshots; `None` if none was ever attempted.
    pub async fn last_snapshot(&self, pipeline: &str) -> Result<Option<SnapshotRecord>, Error> {
        let read = |item: &Reader<'_>| {
            let failure = match item.read(FAILED_AT)? {
                None => None,
                Some(at) => {
                    let (what, of_warehouse) = (item.read(FAILURE)?, item.json(OF_WAREHOUSE)?);
                    Some(SnapshotFailure { at, what, of_warehouse })
                }
            };
            let (written_at, without_data) = (item.read(WRITTEN_AT)?, item.read(WITHOUT_DATA)?);
            Ok(SnapshotRecord { written_at, failure, without_data })
        };
        self.table.get(key(pipeline, Judge::NightlySnapshot), read).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};

    fn store(wire: &Wire) -> IncidentStore {
        IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents")
    }

    #[tokio::test]
    async fn recorded_round_is_read_back() {
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
    async fn failed_snapshot_keeps_the_last_written_one() {
        let wire = Wire::answering(200, json!({})).await;
        let done = SnapshotOutcome::Written { at: now(), data: SnapshotData::There };
        store(&wire).record_snapshot("properties", &done).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(written["Key"]["check_subject"], json!({"S": "nightly-snapshot"}));
        assert!(written["UpdateExpression"].as_str().unwrap().contains("REMOVE #failed_at"), "{written}");

        let failure =
            SnapshotFailure { at: now(), what: "an object is missing".to_owned(), of_warehouse: false };
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_snapshot("properties", &SnapshotOutcome::Failed(failure.clone())).await.unwrap();
        let failed = wire.only_request().await.json();
        assert!(!failed["UpdateExpression"].as_str().unwrap().contains("written_at"), "{failed}");
        let values = &failed["ExpressionAttributeValues"];
        let item = json!({
            "written_at": written["ExpressionAttributeValues"][":written_at"], "failed_at": values[":failed_at"],
            "failure": values[":failure"], "of_warehouse": values[":of_warehouse"],
        });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        let record = SnapshotRecord { written_at: Some(now()), failure: Some(failure), without_data: None };
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), Some(record));
        let wire = Wire::answering(200, json!({})).await;
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), None);
    }

    #[tokio::test]
    async fn webhook_record_keeps_values_that_an_update_omits() {
        let written = async |record: WebhookRecord| {
            let wire = Wire::answering(200, json!({})).await;
            store(&wire).record_webhooks("properties", &record).await.unwrap();
            wire.only_request().await.json()
        };
        let accepted = written(WebhookRecord { accepted_at: Some(now()), refused: None }).await;
        assert!(!accepted["UpdateExpression"].as_str().unwrap().contains("refused"), "{accepted}");
        let refusal = Some((now(), "wrong-signature".to_owned()));
        let refused = written(WebhookRecord { accepted_at: None, refused: refusal.clone() }).await;
        assert!(!refused["UpdateExpression"].as_str().unwrap().contains("accepted"), "{refused}");
        let (a, r) = (&accepted["ExpressionAttributeValues"], &refused["ExpressionAttributeValues"]);
        let item = json!({
            "accepted_at": a[":accepted_at"], "refused_at": r[":refused_at"], "refused": r[":refused"],
        });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        let both = WebhookRecord { accepted_at: Some(now()), refused: refusal };
        assert_eq!(store(&wire).last_webhooks("properties").await.unwrap(), Some(both));
    }

    #[tokio::test]
    async fn missing_data_state_persists_until_a_snapshot_has_it() {
        let written = async |data: SnapshotData| {
            let wire = Wire::answering(200, json!({})).await;
            let done = SnapshotOutcome::Written { at: now(), data };
            store(&wire).record_snapshot("properties", &done).await.unwrap();
            let request = wire.only_request().await.json();
            let expression = request["UpdateExpression"].as_str().unwrap().to_owned();
            (expression, request["ExpressionAttributeValues"].clone())
        };
        let (expression, values) = written(SnapshotData::Missing("no such view".to_owned())).await;
        assert!(
            expression.ends_with("#without_data = :without_data REMOVE #failed_at, #failure, #of_warehouse"),
            "{expression}"
        );
        let item = json!({ "written_at": values[":written_at"], "without_data": values[":without_data"] });
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
    async fn missing_round_is_none_and_invalid_one_names_its_item() {
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
    async fn beginning_of_the_records_is_written_once_with_the_round() {
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_plain_round("properties", Judge::ScheduleVerification, now()).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(
            written["UpdateExpression"],
            "SET #began_at = :began_at, #recorded_since = if_not_exists(#recorded_since, :began_at)"
        );
        let item = json!({ "recorded_since": written["ExpressionAttributeValues"][":began_at"] });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        assert_eq!(store(&wire).recorded_since("properties").await.unwrap(), Some(now()));
        assert_eq!(
            wire.only_request().await.json()["Key"]["check_subject"],
            json!({"S": "schedule-verification"})
        );
        // An item of an earlier release has no such beginning.
        let wire =
            Wire::answering(200, json!({ "Item": { "began_at": {"S": "2026-11-24T10:00:00Z"} } })).await;
        assert_eq!(store(&wire).recorded_since("properties").await.unwrap(), None);
    }

    #[tokio::test]
    async fn measured_lag_is_read_back_and_expires_after_200_days() {
        let wire = Wire::answering(200, json!({})).await;
        let sample = LagSample { at: now(), lag: SignedDuration::from_mins(7) };
        store(&wire).record_lag("properties", sample).await.unwrap();
        let written = wire.only_request().await.json();
        assert_eq!(written["Key"]["pipeline"], json!({"S": "properties/lags"}));
        let values = &written["ExpressionAttributeValues"];
        let expires_at = (now().as_second() + 200 * 86_400).to_string();
        assert_eq!(values[":expires_at"], json!({"N": expires_at}));
        let item = json!({ "measured_at": values[":measured_at"], "lag_seconds": values[":lag_seconds"] });
        let wire = Wire::answering(200, json!({ "Items": [item] })).await;
        assert_eq!(store(&wire).lags("properties").await.unwrap(), [sample]);
    }

    #[tokio::test]
    async fn runs_by_hand_are_read_back_and_not_listed_as_rounds() {
        let wire = Wire::answering(200, json!({})).await;
        let runs = RunsByHand { since: now(), until: now(), at: vec![now()], unknown_at: None };
        store(&wire).record_runs_by_hand("properties", &runs).await.unwrap();
        let written = wire.only_request().await.json();
        let mut item = json!({ "runs": written["ExpressionAttributeValues"][":runs"] });
        let wire = Wire::answering(200, json!({ "Item": item })).await;
        assert_eq!(store(&wire).runs_by_hand("properties").await.unwrap(), Some(runs));
        item["pipeline"] = json!({"S": "properties/rounds"});
        item["check_subject"] = json!({"S": "runs-by-hand"});
        let wire = Wire::answering(200, json!({ "Items": [item] })).await;
        assert!(store(&wire).rounds("properties").await.unwrap().is_empty());
        let wire = Wire::answering(200, json!({})).await;
        assert_eq!(store(&wire).runs_by_hand("properties").await.unwrap(), None);
    }

    #[tokio::test]
    async fn records_of_the_scoreboard_are_seven_reads() {
        let wire = Wire::answering(200, json!({ "Items": [] })).await;
        let stored = store(&wire).of_scoreboard("properties").await.unwrap();
        assert_eq!((stored.unread_incidents, stored.recorded_since), (None, None));
        assert_eq!(wire.requests().await.len(), 7);
    }

    #[tokio::test]
    async fn rounds_are_listed_by_function_or_name_the_invalid_one() {
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_plain_round("properties", Judge::ScheduleVerification, now()).await.unwrap();
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

    #[tokio::test]
    async fn records_of_an_earlier_release_are_read() {
        let round = json!({
            "pipeline": {"S": "properties/rounds"}, "check_subject": {"S": "daily-validation"},
            "began_at": {"S": "2026-11-24T10:00:00Z"}, "checks": {"S": r#"["a","b"]"#},
        });
        let wire = Wire::answering(200, json!({ "Item": round })).await;
        let read = store(&wire).last_round("properties").await.unwrap();
        assert_eq!(read, Some(ValidatedRound { at: now(), checks: vec!["a".to_owned(), "b".to_owned()] }));

        let snapshot = json!({
            "pipeline": {"S": "properties/rounds"}, "check_subject": {"S": "nightly-snapshot"},
            "written_at": {"S": "2026-11-24T10:00:00Z"}, "failed_at": {"S": "2026-11-24T10:00:00Z"},
            "failure": {"S": "the warehouse did not answer"}, "of_warehouse": {"S": "true"},
            "without_data": {"S": "no such view"},
        });
        let wire = Wire::answering(200, json!({ "Item": snapshot })).await;
        let failure = SnapshotFailure {
            at: now(),
            what: "the warehouse did not answer".to_owned(),
            of_warehouse: true,
        };
        let record = SnapshotRecord {
            written_at: Some(now()),
            failure: Some(failure.clone()),
            without_data: Some("no such view".to_owned()),
        };
        assert_eq!(store(&wire).last_snapshot("properties").await.unwrap(), Some(record));

        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_snapshot("properties", &SnapshotOutcome::Failed(failure)).await.unwrap();
        let values = wire.only_request().await.json()["ExpressionAttributeValues"].clone();
        for name in ["failed_at", "failure", "of_warehouse"] {
            assert_eq!(values[format!(":{name}")], snapshot[name], "{name}");
        }
    }
}
