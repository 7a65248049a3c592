//! The table of webhook deliveries that were handled: what makes the second copy of one a duplicate.
//!
//! A delivery is recorded after it was acted on, so one whose handling was cut short is handled again; its effects are
//! idempotent. The table forgets a delivery by DynamoDB's own expiry, which may come days late: an item past its expiry
//! counts as absent.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use jiff::{SignedDuration, Timestamp};

use super::error::{AwsError, Kind};

/// How long a delivery is remembered: longer than the 14 days for which SQS may keep a copy of it.
pub const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(15 * 24);

/// `BatchGetItem` takes this many keys (AWS DynamoDB API reference).
const KEYS_AT_ONCE: usize = 100;
/// How often keys that DynamoDB left unread are asked for again, on top of the SDK's own retries.
const ROUNDS: usize = 5;

const ID: &str = "id";
const EXPIRES_AT: &str = "expires_at";

const TABLE: Kind = Kind { name: "table", correct: "SYNCWATCH_DELIVERIES_TABLE (infra/functions.json)" };
const READ: &str = "dynamodb:BatchGetItem";
const PUT: &str = "dynamodb:PutItem";

/// Remembers which deliveries were handled.
#[derive(Debug, Clone)]
pub struct DeliveryStore {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DeliveryStore {
    /// The store in this table.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Which of these ids were handled. An id that DynamoDB would not read, also after asking again, is not among them:
    /// to handle it twice is harmless.
    ///
    /// # Errors
    /// DynamoDB refused or did not answer; names the table and the remedy.
    pub async fn handled(
        &self,
        ids: impl IntoIterator<Item = &str>,
        now: Timestamp,
    ) -> Result<HashSet<String>, AwsError> {
        let mut handled = HashSet::new();
        // The same key twice in one call is an error to DynamoDB.
        let ids: HashSet<&str> = ids.into_iter().collect();
        let keys: Vec<_> = ids.into_iter().map(key).collect();
        for chunk in keys.chunks(KEYS_AT_ONCE) {
            let mut unread = chunk.to_vec();
            for _ in 0..ROUNDS {
                if unread.is_empty() {
                    break;
                }
                let (items, left) = self.read(unread).await?;
                handled.extend(items.iter().filter_map(|item| unexpired(item, now)));
                unread = left;
            }
        }
        Ok(handled)
    }

    /// Records that a delivery was handled. `figures` are kept beside its id for people to look at, such as the event.
    ///
    /// # Errors
    /// DynamoDB refused or did not answer; names the table and the remedy.
    pub async fn record(
        &self,
        id: &str,
        figures: impl IntoIterator<Item = (&'static str, String)>,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let expires_at = now.saturating_add(REMEMBERED_FOR).unwrap_or(now).as_second();
        let mut item = key(id);
        item.extend(figures.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))));
        item.insert("handled_at".to_owned(), AttributeValue::S(now.to_string()));
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        request.send().await.map_err(|error| TABLE.failed(&self.table, PUT, &error))?;
        Ok(())
    }

    /// Reads some keys: the items that are there, and the keys that DynamoDB did not get to.
    async fn read(&self, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), AwsError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .projection_expression("#id, #expires_at")
            .expression_attribute_names("#id", ID)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            // A duplicate may come within the second.
            .consistent_read(true)
            .build();
        // The builder refuses only missing keys, which are there.
        let Ok(wanted) = wanted else { return Ok((Vec::new(), Vec::new())) };
        let request = self.client.batch_get_item().request_items(&self.table, wanted);
        let answer = request.send().await.map_err(|error| TABLE.failed(&self.table, READ, &error))?;
        let of_table = |(_, items): (String, Vec<Item>)| items;
        let items = answer.responses.unwrap_or_default().into_iter().flat_map(of_table).collect();
        let left = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys);
        Ok((items, left.collect()))
    }
}

type Item = HashMap<String, AttributeValue>;

fn key(id: &str) -> Item {
    HashMap::from([(ID.to_owned(), AttributeValue::S(id.to_owned()))])
}

/// The id of a stored item that has not expired. One without an expiry that can be read never does.
fn unexpired(item: &Item, now: Timestamp) -> Option<String> {
    let id = item.get(ID)?.as_s().ok()?;
    let expires_at = item.get(EXPIRES_AT).and_then(|value| value.as_n().ok()).and_then(|n| n.parse().ok());
    expires_at.is_none_or(|at: i64| at > now.as_second()).then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::wire::{Wire, now};

    const TABLE_NAME: &str = "syncwatch-deliveries";
    const A: &str = "census/1/sync.failed/-";
    const B: &str = "census/2/sync.failed/-";

    fn store(wire: &Wire) -> DeliveryStore {
        DeliveryStore::new(wire.clients().dynamodb, TABLE_NAME)
    }

    fn stored(id: &str, expires_at: i64) -> Value {
        json!({ "id": {"S": id}, "expires_at": {"N": expires_at.to_string()} })
    }

    #[tokio::test]
    async fn one_call_reads_every_id_once() {
        let later = now().as_second() + 1;
        let wire = Wire::answering(200, json!({ "Responses": { TABLE_NAME: [stored(A, later)] } })).await;
        let handled = store(&wire).handled([A, B, A], now()).await.unwrap();
        assert_eq!(handled, HashSet::from([A.to_owned()]));
        let request = wire.only_request().await;
        assert_eq!(request.target(), "DynamoDB_20120810.BatchGetItem");
        let asked = &request.json()["RequestItems"][TABLE_NAME];
        assert_eq!(asked["ConsistentRead"], true);
        let mut keys: Vec<_> = asked["Keys"].as_array().unwrap().iter().map(|key| &key["id"]["S"]).collect();
        keys.sort_by_key(ToString::to_string);
        assert_eq!(keys, [A, B]);
    }

    #[tokio::test]
    async fn no_ids_are_no_call() {
        let wire = Wire::answering(500, json!({})).await;
        assert!(store(&wire).handled([], now()).await.unwrap().is_empty());
        assert!(wire.requests().await.is_empty());
    }

    #[tokio::test]
    async fn an_item_that_outlived_its_expiry_is_as_good_as_deleted() {
        for (expires_in, counts) in [(1, true), (0, false), (-100_000, false)] {
            let item = stored(A, now().as_second() + expires_in);
            let wire = Wire::answering(200, json!({ "Responses": { TABLE_NAME: [item] } })).await;
            assert_eq!(store(&wire).handled([A], now()).await.unwrap().contains(A), counts, "{expires_in} s");
        }
    }

    #[tokio::test]
    async fn keys_that_were_left_unread_are_asked_for_again_and_not_for_ever() {
        let later = now().as_second() + 1;
        let left = json!({ TABLE_NAME: { "Keys": [{ "id": {"S": B} }] } });
        let first = json!({ "Responses": { TABLE_NAME: [stored(A, later)] }, "UnprocessedKeys": left });
        let second = json!({ "Responses": { TABLE_NAME: [stored(B, later)] }, "UnprocessedKeys": {} });
        let wire = Wire::answering_in_turn(&[(200, &first.to_string()), (200, &second.to_string())]).await;
        assert_eq!(store(&wire).handled([A, B], now()).await.unwrap().len(), 2);
        let keys = wire.requests().await[1].json()["RequestItems"][TABLE_NAME]["Keys"].clone();
        assert_eq!(keys, json!([{ "id": {"S": B} }]));

        let wire = Wire::answering(200, json!({ "UnprocessedKeys": left })).await;
        assert!(store(&wire).handled([B], now()).await.unwrap().is_empty());
        assert_eq!(wire.requests().await.len(), ROUNDS);
    }

    #[tokio::test]
    async fn a_handled_delivery_is_remembered_longer_than_sqs_keeps_its_copies() {
        let wire = Wire::answering(200, json!({})).await;
        store(&wire).record(A, [("event", "sync.failed".to_owned())], now()).await.unwrap();
        let request = wire.only_request().await;
        assert_eq!(request.target(), "DynamoDB_20120810.PutItem");
        let expires_at = now().as_second() + 15 * 24 * 60 * 60;
        assert_eq!(
            request.json()["Item"],
            json!({
                "id": {"S": A},
                "event": {"S": "sync.failed"},
                "handled_at": {"S": "2026-11-24T10:00:00Z"},
                "expires_at": {"N": expires_at.to_string()},
            })
        );
    }

    #[tokio::test]
    async fn a_refusal_names_the_table_and_the_remedy() {
        let denied = json!({ "__type": "AccessDeniedException", "message": "no" });
        let wire = Wire::answering(400, denied).await;
        let texts = [
            store(&wire).handled([A], now()).await.unwrap_err().to_string(),
            store(&wire).record(A, [], now()).await.unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        table syncwatch-deliveries: AWS denied access. Allow dynamodb:BatchGetItem on it in infra/functions.json and run `terraform apply`
        table syncwatch-deliveries: AWS denied access. Allow dynamodb:PutItem on it in infra/functions.json and run `terraform apply`
        ");
    }
}
