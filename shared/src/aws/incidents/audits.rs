//! Kept audits and recorded drills in the incidents table: the partitions `<pipeline>/audits`, one item for each quarter, and
//! `<pipeline>/drills`. Neither is ever replaced.

use jiff::{SignedDuration, Timestamp};

use super::{Error, IncidentStore, SPEC, item};
use crate::audit::{DrillDone, Kept};
use crate::aws::table::{Outcome, Reader, Update, attribute, json};
use crate::baseline::LONGEST;

/// How long a drill is kept: the last of each check is shown.
const DRILL_KEPT: SignedDuration = SignedDuration::from_hours(3 * 366 * 24);
/// The form of the audits that this version writes and reads. A new optional field needs no new form.
const FORM: u32 = 1;

const FORM_NAME: &str = "form";
const AUDIT: &str = "audit";
const DRILL: &str = "drill";
const KEPT_AT: &str = "kept_at";
const BY: &str = "kept_by";

fn read(item: &Reader<'_>) -> Result<Kept, Error> {
    let form: u32 = item.read(FORM_NAME)?;
    if form != FORM {
        return Err(item.unreadable(FORM_NAME, &format!("form {form}, and this version reads form {FORM}")));
    }
    Ok(Kept { audit: item.json(AUDIT)?, by: item.read(BY)? })
}

impl IncidentStore {
    /// Reads all kept audits, oldest first. A comparison needs each of them, so an unreadable one is an error.
    pub async fn audits(&self, pipeline: &str) -> Result<Vec<Kept>, Error> {
        let (mut audits, unreadable) = self.table.query(&format!("{pipeline}/audits"), None, read).await?;
        unreadable.into_iter().next().map_or(Ok(()), Err)?;
        audits.sort_by(|a, b| a.audit.quarter.cmp(&b.audit.quarter));
        Ok(audits)
    }

    /// Stores an audit, unless one of its quarter is stored, which is returned.
    pub async fn keep_audit(&self, kept: &Kept) -> Result<Outcome<Kept>, Error> {
        let audit = serde_json::to_string(&kept.audit).unwrap_or_default();
        let key = SPEC.key(&[&format!("{}/audits", kept.audit.pipeline), &kept.audit.quarter]);
        if audit.len() > LONGEST {
            let found = format!("{} bytes, and at most {LONGEST} can be stored", audit.len());
            return Err(self.table.reader(&key).unreadable(AUDIT, &found));
        }
        let attributes = [
            (FORM_NAME, attribute(FORM)),
            (AUDIT, attribute(audit)),
            (KEPT_AT, attribute(kept.audit.at)),
            (BY, attribute(&kept.by)),
        ];
        let update = Update::storing(key, attributes).when("attribute_not_exists(#kept_at)");
        self.table.put_if(update).await?.read(|stored| read(&self.table.reader(&stored)))
    }

    /// Reads all recorded drills. One that is not counted would be missed, so an unreadable one is an error.
    pub async fn drills(&self, pipeline: &str) -> Result<Vec<DrillDone>, Error> {
        let read = |item: &Reader<'_>| item.json(DRILL);
        let (drills, unreadable) = self.table.query(&format!("{pipeline}/drills"), None, read).await?;
        unreadable.into_iter().next().map_or(Ok(()), Err)?;
        Ok(drills)
    }

    /// Records a drill. The same one of the same instant is one record.
    pub async fn record_drill(&self, pipeline: &str, drill: &DrillDone) -> Result<(), Error> {
        let expires = drill.at.saturating_add(DRILL_KEPT).unwrap_or(Timestamp::MAX);
        let key =
            SPEC.key(&[&format!("{pipeline}/drills"), &format!("{}#{}#{}", drill.at, drill.drill, drill.by)]);
        let attributes = [(DRILL, json(drill)), (item::EXPIRES_AT, attribute(expires.as_second()))];
        Ok(self.table.update(Update::storing(key, attributes)).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::audit::Audit;
    use crate::aws::wire::{Wire, WireSdk as _, now};
    use syncwatch_testing::condition_failed;

    fn store(wire: &Wire) -> IncidentStore {
        IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents")
    }

    fn kept(quarter: &str) -> Kept {
        let audit = Audit {
            pipeline: "properties".to_owned(),
            quarter: quarter.to_owned(),
            at: now(),
            recorded: "92 of 92 days recorded".to_owned(),
            rows: Vec::new(),
            before: None,
        };
        Kept { audit, by: "Ada".to_owned() }
    }

    /// The item that storing an audit writes.
    async fn item(quarter: &str) -> Value {
        let wire = Wire::answering(200, json!({})).await;
        assert_eq!(store(&wire).keep_audit(&kept(quarter)).await.unwrap(), Outcome::Written);
        let sent = wire.only_request().await.json();
        assert_eq!(sent["ConditionExpression"], "attribute_not_exists(#kept_at)");
        let mut item = sent["Key"].clone();
        for name in [FORM_NAME, AUDIT, KEPT_AT, BY] {
            item[name] = sent["ExpressionAttributeValues"][format!(":{name}")].clone();
        }
        item
    }

    #[tokio::test]
    async fn audits_are_read_back_in_the_order_of_quarters() {
        let (newer, older) = (item("2026-Q4").await, item("2026-Q3").await);
        assert_eq!(newer["pipeline"], json!({"S": "properties/audits"}));
        let mut other = older.clone();
        other[FORM_NAME] = json!({"N": "2"});
        let wire = Wire::answering(200, json!({ "Items": [newer, older] })).await;
        assert_eq!(store(&wire).audits("properties").await.unwrap(), [kept("2026-Q3"), kept("2026-Q4")]);
        let wire = Wire::answering(200, json!({ "Items": [other] })).await;
        let error = store(&wire).audits("properties").await.unwrap_err().to_string();
        assert!(error.contains("form 2, and this version reads form 1"), "{error}");
    }

    #[tokio::test]
    async fn kept_quarter_is_not_replaced() {
        let wire = Wire::answering(400, condition_failed(Some(item("2026-Q4").await))).await;
        let mine = Kept { by: "Bob".to_owned(), ..kept("2026-Q4") };
        assert_eq!(store(&wire).keep_audit(&mine).await.unwrap(), Outcome::Lost(Some(kept("2026-Q4"))));
    }

    #[tokio::test]
    async fn drill_is_read_back_and_expires() {
        let tried = vec!["sync-paused".to_owned()];
        let drill = DrillDone { drill: "quiet-create".to_owned(), by: "Ada".to_owned(), at: now(), tried };
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record_drill("properties", &drill).await.unwrap();
        let sent = wire.only_request().await.json();
        let values = &sent["ExpressionAttributeValues"];
        assert!(values[":expires_at"]["N"].is_string(), "{sent}");
        let wire = Wire::answering(200, json!({ "Items": [{ "drill": values[":drill"] }] })).await;
        assert_eq!(store(&wire).drills("properties").await.unwrap(), [drill]);
        let wire = Wire::answering(200, json!({ "Items": [{ "drill": {"S": "?"} }] })).await;
        assert!(store(&wire).drills("properties").await.is_err());
    }
}
