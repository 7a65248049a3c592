//! Marks in the incidents table: people's verdicts on incidents. Partition `<pipeline>/marks`, so no incident query reads them.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{IncidentStore, SPEC, item};
use crate::aws::table::{Error, Item, Reader, Update, attribute};
use crate::finding::Check;
use crate::incident::IncidentKey;
use crate::marks::Mark;

/// How long a mark is kept: longer than the days that expectations rest on.
const KEPT: SignedDuration = SignedDuration::from_hours(200 * 24);

const SUFFIX: &str = "/marks";
const TOLD_AT: &str = "told_at";
const VERDICT: &str = "verdict";
const SINCE: &str = "since";
const UNTIL: &str = "until";
const MARKED_AT: &str = "marked_at";
const BY: &str = "marked_by";
const WHY: &str = "why";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}{SUFFIX}")
}

/// One item for each period of an incident, so a second mark of it replaces the first.
fn key(mark: &Mark) -> Item {
    let period = format!("{}#{}", mark.incident.check_subject(), mark.told_at);
    SPEC.key(&[&partition(&mark.incident.pipeline), &period])
}

fn read(item: &Reader<'_>) -> Result<Mark, Error> {
    let name: String = item.read(item::CHECK_SUBJECT)?;
    let parts = name.rsplit_once('#').and_then(|(key, _)| key.split_once('/'));
    let (check, subject) =
        parts.ok_or_else(|| item.unreadable(item::CHECK_SUBJECT, &format!("{name:?} names no incident")))?;
    let check = Check::from_id(check).ok_or_else(|| item.unknown_check())?;
    let pipeline: String = item.read(item::PIPELINE)?;
    let pipeline = pipeline.strip_suffix(SUFFIX).unwrap_or(&pipeline).to_owned();
    Ok(Mark {
        incident: IncidentKey { pipeline, check, subject: subject.to_owned() },
        told_at: item.read(TOLD_AT)?,
        verdict: item.read(VERDICT)?,
        since: item.read(SINCE)?,
        until: item.read(UNTIL)?,
        at: item.read(MARKED_AT)?,
        by: item.read(BY)?,
        why: item.read(WHY)?,
    })
}

impl IncidentStore {
    /// Reads all marks of a pipeline. An unreadable one excludes no day and must not hide the others, so its error is returned
    /// beside them.
    pub async fn marks(&self, pipeline: &str) -> Result<(Vec<Mark>, Vec<Error>), Error> {
        Ok(self.table.query(&partition(pipeline), None, read).await?)
    }

    /// Stores a mark, replacing an earlier one of the same period of the incident.
    pub async fn put_mark(&self, mark: &Mark) -> Result<(), Error> {
        let expires = mark.at.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
        let attributes = [
            (TOLD_AT, attribute(mark.told_at)),
            (VERDICT, attribute(mark.verdict)),
            (SINCE, attribute(mark.since)),
            (UNTIL, attribute(mark.until)),
            (MARKED_AT, attribute(mark.at)),
            (BY, attribute(&mark.by)),
            (WHY, attribute(&mark.why)),
            (item::EXPIRES_AT, attribute(expires.as_second())),
        ];
        Ok(self.table.update(Update::storing(key(mark), attributes)).await?)
    }

    /// Records the last day of a fault that was marked as real, unless it was marked again since.
    pub async fn end_mark(&self, mark: &Mark, until: Date) -> Result<(), Error> {
        let end = Update::new(key(mark), "SET #until = :until")
            .when("#marked_at = :marked_at")
            .value(":until", until)
            .value(":marked_at", mark.at);
        // A lost write means that it was marked again, or has expired.
        let _ = self.table.put_if(end).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};
    use crate::marks::MarkVerdict;

    fn mark() -> Mark {
        Mark {
            incident: IncidentKey::parse("properties/unusual-volume/properties-create").unwrap(),
            told_at: now(),
            verdict: MarkVerdict::Real,
            since: date(2026, 11, 20),
            until: None,
            at: now(),
            by: "Ada".to_owned(),
            why: "the export job was off".to_owned(),
        }
    }

    fn stored() -> Value {
        json!({
            "pipeline": {"S": "properties/marks"},
            "check_subject": {"S": "unusual-volume/properties-create#2026-11-24T10:00:00Z"},
            "told_at": {"S": "2026-11-24T10:00:00Z"},
            "verdict": {"S": "real"},
            "since": {"S": "2026-11-20"},
            "marked_at": {"S": "2026-11-24T10:00:00Z"},
            "marked_by": {"S": "Ada"},
            "why": {"S": "the export job was off"},
            "from_a_later_version": {"S": "?"},
        })
    }

    #[tokio::test]
    async fn marks_are_read_and_an_unreadable_one_is_beside_them() {
        let mut bad = stored();
        bad["verdict"] = json!({"S": "perhaps"});
        let mut ended = stored();
        ended["until"] = json!({"S": "2026-11-22"});
        let wire = Wire::answering(200, json!({"Items": [stored(), bad, ended]})).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let (marks, unreadable) = store.marks("properties").await.unwrap();
        assert_eq!(marks, [mark(), Mark { until: Some(date(2026, 11, 22)), ..mark() }]);
        assert_eq!(unreadable.len(), 1);
        let body = wire.only_request().await.json();
        assert_eq!(body["ExpressionAttributeValues"][":pipeline"], json!({"S": "properties/marks"}));
    }

    #[tokio::test]
    async fn mark_is_stored_under_its_period_and_expires() {
        let wire = Wire::answering(200, json!({})).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        store.put_mark(&mark()).await.unwrap();
        let body = wire.only_request().await.json();
        assert_eq!(body["Key"]["check_subject"], stored()["check_subject"]);
        assert_eq!(body["ExpressionAttributeValues"][":verdict"], json!({"S": "real"}));
        assert!(body["UpdateExpression"].as_str().unwrap().contains("#expires_at"));
    }

    #[tokio::test]
    async fn end_of_a_fault_does_not_replace_a_newer_mark() {
        let wire = Wire::answering(200, json!({})).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        store.end_mark(&mark(), date(2026, 11, 23)).await.unwrap();
        let body = wire.only_request().await.json();
        assert_eq!(body["ConditionExpression"], "#marked_at = :marked_at");
        assert_eq!(body["ExpressionAttributeValues"][":until"], json!({"S": "2026-11-23"}));
    }
}
