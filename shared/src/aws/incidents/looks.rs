//! The looks of objects: the rows that a comparison found wrong, as digests, so that the next one can find what persists.
//!
//! Partition `<pipeline>/looks`, one item per object, or per bucket of its keys. Looks that are too large for an item are in parts beside it, under the
//! writer's id: they are written first, so that the item never refers to parts that are missing, and a lost race leaves only
//! parts that expire.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{Error, Expected, IncidentStore, SPEC, item};
use crate::aws::table::{Item, Outcome, Reader, Update, attribute, binary, json};
use crate::aws::writer_id;
use crate::reconcile::{Coverage, Known, Look, Looks};

/// A look of an earlier week shows nothing about today; that of a bucket is kept until a week after its next night.
const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);
/// The most bytes of looks in one item. DynamoDB allows 400 KB for all attributes together.
const PART_BYTES: usize = 350_000;

const VERSION: &str = "version";
const WRITER: &str = "written_by";
const KNOWN: &str = "known";
const BASE_AT: &str = "base_at";
const NEWEST_AT: &str = "newest_at";
const UNCONFIRMED: &str = "unconfirmed";
/// The bytes of the base, which are before those of the newest look.
const BASE_BYTES: &str = "base_bytes";
const PARTS: &str = "parts";
const DIGESTS: &str = "digests";

fn partition(pipeline: &str) -> String {
    format!("{pipeline}/looks")
}

fn key(pipeline: &str, name: &str) -> Item {
    SPEC.key(&[&partition(pipeline), name])
}

fn part(object: &str, writer: &str, number: usize) -> String {
    format!("{object}#{writer}#{number}")
}

/// The item of an object.
struct Head {
    version: u64,
    expires_at: i64,
    writer: String,
    parts: usize,
    base_bytes: usize,
    digests: Vec<u8>,
    base_at: Option<Timestamp>,
    newest_at: Timestamp,
    unconfirmed: u64,
    known: Option<Known>,
}

fn read(item: &Reader<'_>) -> Result<Head, Error> {
    Ok(Head {
        version: item.read(VERSION)?,
        expires_at: item.read(item::EXPIRES_AT)?,
        writer: item.read(WRITER)?,
        parts: item.read(PARTS)?,
        base_bytes: item.read(BASE_BYTES)?,
        digests: item.bytes(DIGESTS)?,
        base_at: item.read(BASE_AT)?,
        newest_at: item.read(NEWEST_AT)?,
        unconfirmed: item.read(UNCONFIRMED)?,
        known: item.json(KNOWN)?,
    })
}

impl Head {
    /// Returns the looks; `None` if a part is missing.
    fn looks(&self) -> Option<Looks> {
        let (base, newest) = self.digests.split_at_checked(self.base_bytes)?;
        let base = match self.base_at {
            Some(at) => Some((at, Look::from_bytes(base)?)),
            None => None,
        };
        let newest = Some((self.newest_at, Look::from_bytes(newest)?));
        Some(Looks { base, newest, unconfirmed: self.unconfirmed, known: self.known })
    }
}

impl IncidentStore {
    /// Reads the looks of an object's covered keys, and what [`IncidentStore::put_looks`] must expect. Without looks, or if they expired, the next
    /// comparison is the first one.
    pub async fn looks(
        &self,
        pipeline: &str,
        object: &str,
        coverage: Coverage,
        now: Timestamp,
    ) -> Result<(Looks, Expected), Error> {
        let object = &coverage.part_of(object);
        let Some(mut head) = self.table.get(key(pipeline, object), read).await? else {
            return Ok((Looks::default(), Expected::Absent));
        };
        let expected = Expected::Version(head.version);
        if head.expires_at <= now.as_second() {
            return Ok((Looks::default(), expected));
        }
        for number in 0..head.parts {
            let key = key(pipeline, &part(object, &head.writer, number));
            let bytes = self.table.get(key, |item| item.bytes(DIGESTS)).await?;
            head.digests.extend(bytes.unwrap_or_default());
        }
        let looks = head.looks();
        if looks.is_none() {
            tracing::warn!(object, "stored looks incomplete, the next one counts as the first");
        }
        Ok((looks.unwrap_or_default(), expected))
    }

    /// Stores the looks of an object's covered keys if the stored ones are still as expected; `false` if another round stored some meanwhile.
    pub async fn put_looks(
        &self,
        pipeline: &str,
        object: &str,
        coverage: Coverage,
        looks: &Looks,
        expected: Expected,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let bytes_of = |look: &Option<(Timestamp, Look)>| {
            look.as_ref().map_or_else(Vec::new, |(_, look)| look.to_bytes())
        };
        let at = |look: &Option<(Timestamp, Look)>| attribute(look.as_ref().map(|(at, _)| *at));
        let mut digests = bytes_of(&looks.base);
        let base_bytes = digests.len();
        digests.extend(bytes_of(&looks.newest));
        let writer = writer_id();
        let object = &coverage.part_of(object);
        let kept = KEPT + SignedDuration::from_hours(24 * i64::from(coverage.nights() - 1));
        let expires_at = now.saturating_add(kept).unwrap_or(now).as_second();
        let expires = (item::EXPIRES_AT, attribute(expires_at));
        let parts: Vec<&[u8]> =
            if digests.len() > PART_BYTES { digests.chunks(PART_BYTES).collect() } else { Vec::new() };
        for (number, bytes) in parts.iter().enumerate() {
            let key = key(pipeline, &part(object, &writer, number));
            self.table.update(Update::storing(key, [(DIGESTS, binary(bytes)), expires.clone()])).await?;
        }
        let whole: Option<AttributeValue> = if parts.is_empty() { binary(&digests) } else { None };
        let (version, condition) = match expected {
            Expected::Absent => (1, "attribute_not_exists(#version)"),
            Expected::Version(version) => (version + 1, "#version = :expected"),
        };
        let attributes = [
            (VERSION, attribute(version)),
            (WRITER, attribute(&writer)),
            (PARTS, attribute(parts.len())),
            (BASE_BYTES, attribute(base_bytes)),
            (DIGESTS, whole),
            (BASE_AT, at(&looks.base)),
            (NEWEST_AT, at(&looks.newest)),
            (UNCONFIRMED, attribute(looks.unconfirmed)),
            (KNOWN, json(looks.known)),
            expires,
        ];
        let update = Update::storing(key(pipeline, object), attributes).when(condition);
        let update = match expected {
            Expected::Absent => update,
            Expected::Version(version) => update.value(":expected", version),
        };
        Ok(matches!(self.table.put_if(update.known_by(WRITER, &writer)).await?, Outcome::Written))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use syncwatch_testing::condition_failed;

    use super::*;
    use crate::aws::wire::{Wire, WireSdk as _, now};

    fn store(wire: &Wire) -> IncidentStore {
        IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents")
    }

    fn looks(rows: u64) -> Looks {
        let look = |from: u64| {
            let digests = (from..from + rows).flat_map(u64::to_be_bytes);
            Look::from_bytes(&digests.collect::<Vec<u8>>()).unwrap()
        };
        let base = Some((now() - SignedDuration::from_hours(1), look(1)));
        let known = Some(Known { missing: 1, ..Known::default() });
        Looks { base, newest: Some((now(), look(2))), unconfirmed: 1, known }
    }

    /// The item that a written update makes.
    fn item(update: &Value) -> Value {
        let values = update["ExpressionAttributeValues"].as_object().unwrap();
        let named =
            values.iter().map(|(name, value)| (name.trim_start_matches(':').to_owned(), value.clone()));
        json!({ "Item": named.collect::<serde_json::Map<_, _>>() })
    }

    async fn written(looks: &Looks) -> Vec<Value> {
        let wire = Wire::answering(200, json!({})).await;
        assert!(
            store(&wire)
                .put_looks("p", "homes", Coverage::All, looks, Expected::Absent, now())
                .await
                .unwrap()
        );
        wire.requests().await.iter().map(syncwatch_testing::Asked::json).collect()
    }

    #[tokio::test]
    async fn few_looks_are_one_item_and_many_are_parts_written_first() {
        // 50,000 rows are the most that a look keeps.
        for (rows, items) in [(0, 1), (3, 1), (50_000, 4)] {
            let looks = looks(rows);
            let updates = written(&looks).await;
            assert_eq!(updates.len(), items, "{rows}");
            let (head, parts) = updates.split_last().unwrap();
            assert_eq!(head["Key"]["check_subject"], json!({"S": "homes"}));
            assert_eq!(head["ConditionExpression"], "attribute_not_exists(#version)");
            assert!(
                updates.iter().all(|update| update.to_string().len() < 480_000),
                "{rows}: base64 of 350 kB"
            );
            let answers: Vec<(u16, String)> =
                [head].into_iter().chain(parts).map(|update| (200, item(update).to_string())).collect();
            let wire = Wire::answering_in_turn(&answers).await;
            let read = store(&wire).looks("p", "homes", Coverage::All, now()).await.unwrap();
            assert_eq!(read, (looks, Expected::Version(1)), "{rows}");
        }
    }

    #[tokio::test]
    async fn looks_that_expired_or_lost_a_part_count_as_none() {
        let updates = written(&looks(50_000)).await;
        let (head, parts) = updates.split_last().unwrap();
        let first_only =
            [(200, item(head).to_string()), (200, item(&parts[0]).to_string()), (200, "{}".to_owned())];
        let wire = Wire::answering_in_turn(&first_only).await;
        let read = store(&wire).looks("p", "homes", Coverage::All, now()).await.unwrap();
        assert_eq!(read, (Looks::default(), Expected::Version(1)));
        let wire = Wire::answering(200, item(head)).await;
        let read = store(&wire)
            .looks("p", "homes", Coverage::All, now() + SignedDuration::from_hours(8 * 24))
            .await
            .unwrap();
        assert_eq!(read, (Looks::default(), Expected::Version(1)));
    }

    #[tokio::test]
    async fn looks_of_another_round_are_not_replaced() {
        let wire = Wire::answering(400, condition_failed(None)).await;
        let expected = Expected::Version(7);
        assert!(
            !store(&wire).put_looks("p", "homes", Coverage::All, &looks(1), expected, now()).await.unwrap()
        );
        let sent = wire.only_request().await.json();
        assert_eq!(sent["ConditionExpression"], "#version = :expected");
        assert_eq!(sent["ExpressionAttributeValues"][":version"], json!({"N": "8"}));
    }
}
