//! The usual runs of each sync, which the nightly snapshot writes and each round reads with one query.
//!
//! One small item per sync in the partition `<pipeline>/usual-runs`.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{Error, IncidentStore, SPEC, item};
use crate::aws::table::{Item, Outcome, Reader, Update, attribute, json};
use crate::days::bounds;
use crate::history::{StoredUsual, UsualRuns};

/// The form of the items that this version writes and reads. A new field of [`UsualRuns`] needs no new form.
const FORM: u32 = 1;
/// How long an item is kept after its day, for syncs that are no longer declared.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

const DAY: &str = "day";
const FORM_NAME: &str = "form";
const USUAL: &str = "usual";
const FAILURE: &str = "failure";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/usual-runs")
}

fn key(pipeline: &str, sync: &str) -> Item {
    SPEC.key(&[&partition(pipeline), sync])
}

fn read(item: &Reader<'_>) -> Result<(String, StoredUsual), Error> {
    let usual = || {
        let form: u32 = item.read(FORM_NAME)?;
        if form != FORM {
            return Err(
                item.unreadable(FORM_NAME, &format!("form {form}, and this version reads form {FORM}"))
            );
        }
        item.json(USUAL)
    };
    let failure = item.read(FAILURE).unwrap_or_default();
    let usual = usual().map_err(|error| error.to_string());
    Ok((item.read(item::CHECK_SUBJECT)?, StoredUsual { usual, failure }))
}

impl IncidentStore {
    /// Stores the usual runs of a sync, unless those of a later day are stored.
    pub async fn put_usual(&self, pipeline: &str, sync: &str, usual: &UsualRuns) -> Result<(), Error> {
        let (_, end) = bounds(usual.day, usual.day, &TimeZone::UTC);
        let expires = end.saturating_add(KEPT).unwrap_or(end);
        let attributes = [
            (DAY, attribute(usual.day)),
            (FORM_NAME, attribute(FORM)),
            (USUAL, json(usual)),
            (FAILURE, None),
            (item::EXPIRES_AT, attribute(expires.as_second())),
        ];
        let update = Update::storing(key(pipeline, sync), attributes)
            .when("attribute_not_exists(#day) OR #day <= :day");
        match self.table.put_if(update).await? {
            Outcome::Written | Outcome::Lost(_) => Ok(()),
        }
    }

    /// Records why the usual runs of a sync could not be learnt again; the stored ones stay.
    pub async fn record_unlearnt(&self, pipeline: &str, sync: &str, why: &str) -> Result<(), Error> {
        let failure = [(FAILURE, attribute(why))];
        let known = Update::storing(key(pipeline, sync), failure).when("attribute_exists(#day)");
        match self.table.put_if(known).await? {
            Outcome::Written | Outcome::Lost(_) => Ok(()),
        }
    }

    /// Reads the usual runs of all syncs, by the key of the sync.
    pub async fn usual_runs(&self, pipeline: &str) -> Result<BTreeMap<String, StoredUsual>, Error> {
        let (items, unreadable) = self.table.query(&partition(pipeline), None, read).await?;
        unreadable.into_iter().next().map_or(Ok(()), Err)?;
        Ok(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};
    use crate::expect::Usual;
    use syncwatch_testing::condition_failed;

    fn store(wire: &Wire) -> IncidentStore {
        IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents")
    }

    fn usual() -> UsualRuns {
        let (first, day) = (date(2026, 10, 1), date(2026, 11, 23));
        UsualRuns { usual: Usual::new(96), first, day, until: now() }
    }

    /// Writes an item against these responses; returns the request.
    async fn written(status: u16, answer: Value) -> Value {
        let wire = Wire::answering(status, answer.to_string()).await;
        store(&wire).put_usual("properties", "properties-create", &usual()).await.unwrap();
        wire.only_request().await.json()
    }

    /// Reads these items.
    async fn read(items: Value) -> BTreeMap<String, StoredUsual> {
        let wire = Wire::answering(200, json!({ "Items": items, "Count": 1 }).to_string()).await;
        store(&wire).usual_runs("properties").await.unwrap()
    }

    fn item(written: &Value) -> Value {
        let values = &written["ExpressionAttributeValues"];
        json!({
            "pipeline": {"S": "properties/usual-runs"}, "check_subject": {"S": "properties-create"},
            "day": values[":day"], "form": values[":form"], "usual": values[":usual"],
        })
    }

    #[tokio::test]
    async fn small_item_is_read_back_by_the_sync() {
        let written = written(200, json!({})).await;
        assert_eq!(
            written["Key"],
            json!({"pipeline": {"S": "properties/usual-runs"}, "check_subject": {"S": "properties-create"}})
        );
        assert_eq!(written["ConditionExpression"], "attribute_not_exists(#day) OR #day <= :day");
        assert_eq!(written["ExpressionAttributeValues"][":expires_at"], json!({"N": "1798070400"}));
        assert!(item(&written).to_string().len() < 1_500, "{written}");
        let stored = StoredUsual { usual: Ok(usual()), failure: None };
        assert_eq!(read(json!([item(&written)])).await, [("properties-create".to_owned(), stored)].into());
    }

    #[tokio::test]
    async fn item_of_a_later_day_stays() {
        written(400, condition_failed(None)).await;
    }

    #[tokio::test]
    async fn unknown_field_is_ignored_and_unknown_form_is_an_error() {
        let mut newer = item(&written(200, json!({})).await);
        let text = newer["usual"]["S"].as_str().unwrap().replacen('{', r#"{"from_a_later_version":1,"#, 1);
        newer["usual"]["S"] = json!(text);
        let mut other = newer.clone();
        other["check_subject"] = json!({"S": "properties-update"});
        other["form"] = json!({"N": "2"});
        let mut garbled = newer.clone();
        garbled["check_subject"] = json!({"S": "other"});
        garbled["usual"] = json!({"S": "[]"});
        let read = read(json!([newer, other, garbled])).await;
        assert_eq!(read["properties-create"].usual, Ok(usual()));
        let why = |sync: &str| read[sync].usual.clone().unwrap_err();
        assert!(why("properties-update").contains("form 2, and this version reads form 1"), "{read:?}");
        assert!(why("other").contains("attribute `usual`: unexpected JSON"), "{read:?}");
    }

    #[tokio::test]
    async fn failure_is_recorded_beside_the_stored_runs() {
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_unlearnt("properties", "properties-create", "no answer").await.unwrap();
        let asked = wire.only_request().await.json();
        assert_eq!(asked["UpdateExpression"], "SET #failure = :failure");
        assert_eq!(asked["ConditionExpression"], "attribute_exists(#day)");
        let mut item = item(&written(200, json!({})).await);
        item["failure"] = json!({"S": "no answer"});
        let read = read(json!([item])).await;
        assert_eq!(read["properties-create"].failure.as_deref(), Some("no answer"));
        assert_eq!(read["properties-create"].usual, Ok(usual()));
    }
}
