//! The table of handled webhook deliveries, which makes the second copy of a delivery a duplicate.
//!
//! A delivery is recorded after it was handled, so an interrupted one is handled again; its effects are idempotent.
//! DynamoDB may delete expired items days late, so an expired item counts as absent.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::error::AwsError;
use super::table::{Client, Spec, Table, attribute};

/// How long a delivery stays recorded: longer than the 14 days for which SQS may keep a copy of it.
pub const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(15 * 24);

const ID: &str = "id";
const EXPIRES_AT: &str = "expires_at";

static SPEC: Spec = Spec {
    setting: "SYNCWATCH_DELIVERIES_TABLE (infra/functions.json)",
    key: &[ID],
    unreadable: "Delete the item: the delivery is then handled again",
};

/// Stores the ids of handled deliveries.
#[derive(Debug, Clone)]
pub struct DeliveryStore {
    table: Table,
}

impl DeliveryStore {
    /// Creates a store on this table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { table: Table::new(client, table, &SPEC) }
    }

    /// Returns those of the ids that were handled. It omits ids that DynamoDB left unread after retries: handling a
    /// delivery twice is harmless.
    pub async fn handled(
        &self,
        ids: impl IntoIterator<Item = &str>,
        now: Timestamp,
    ) -> Result<HashSet<String>, AwsError> {
        // DynamoDB rejects a call with duplicate keys.
        let ids: HashSet<&str> = ids.into_iter().collect();
        let keys: Vec<_> = ids.into_iter().map(|id| SPEC.key(&[id])).collect();
        let items = self.table.get_all(&keys, "#id, #expires_at").await?;
        let unexpired = |item| {
            let item = self.table.reader(item);
            // An item without a readable expiry never expires.
            let expired = item.read::<i64>(EXPIRES_AT).is_ok_and(|at| at <= now.as_second());
            item.read(ID).ok().filter(|_| !expired)
        };
        Ok(items.iter().filter_map(unexpired).collect())
    }

    /// Records a handled delivery. `figures`, such as the event, are stored beside its id for operators.
    pub async fn record(
        &self,
        id: &str,
        figures: impl IntoIterator<Item = (&'static str, String)>,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let expires_at = now.saturating_add(REMEMBERED_FOR).unwrap_or(now).as_second();
        let figures = figures.into_iter().map(|(name, value)| (name, attribute(value)));
        let fixed = [("handled_at", attribute(now)), (EXPIRES_AT, attribute(expires_at))];
        let mut item = SPEC.key(&[id]);
        item.extend(figures.chain(fixed).filter_map(|(name, value)| Some((name.to_owned(), value?))));
        self.table.put(item).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::table;
    use crate::aws::wire::{Wire, WireSdk as _, now};
    use syncwatch_testing::refused;

    const TABLE_NAME: &str = "syncwatch-deliveries";
    const A: &str = "census/1/sync.failed/-";
    const B: &str = "census/2/sync.failed/-";

    fn store(wire: &Wire) -> DeliveryStore {
        DeliveryStore::new(wire.sdk().dynamodb(), TABLE_NAME)
    }

    fn stored(id: &str, expires_at: i64) -> Value {
        json!({ "id": {"S": id}, "expires_at": {"N": expires_at.to_string()} })
    }

    #[tokio::test]
    async fn ids_are_read_once_in_one_call() {
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
    async fn empty_list_of_ids_makes_no_call() {
        let wire = Wire::answering(500, json!({})).await;
        assert!(store(&wire).handled([], now()).await.unwrap().is_empty());
        assert!(wire.requests().await.is_empty());
    }

    #[tokio::test]
    async fn expired_item_counts_as_absent() {
        for (expires_in, counts) in [(1, true), (0, false), (-100_000, false)] {
            let item = stored(A, now().as_second() + expires_in);
            let wire = Wire::answering(200, json!({ "Responses": { TABLE_NAME: [item] } })).await;
            assert_eq!(store(&wire).handled([A], now()).await.unwrap().contains(A), counts, "{expires_in} s");
        }
    }

    #[tokio::test]
    async fn unprocessed_keys_are_retried_up_to_a_limit() {
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
        assert_eq!(wire.requests().await.len(), table::BATCH_ROUNDS);
    }

    #[tokio::test]
    async fn record_expires_after_sqs_drops_its_copies() {
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
    async fn refusal_names_the_table_and_the_remedy() {
        let denied = refused("AccessDeniedException");
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
