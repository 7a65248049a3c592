use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::aws::wire::{Asked, Wire, WireSdk as _, now};
use syncwatch_testing::condition_failed;

static SPEC: Spec = Spec { setting: "SYNCWATCH_TABLE", key: &["id"], unreadable: "Delete the item" };

fn table(wire: &Wire) -> Table {
    Table::new(wire.sdk().dynamodb(), "syncwatch-table", &SPEC)
}

fn ours() -> Lease {
    Lease { key: SPEC.key(&["a"]), holder: "ours".to_owned() }
}

fn later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn leased(by: &str) -> Value {
    let until = later(2).as_millisecond().to_string();
    json!({ "id": {"S": "a"}, "leased_by": {"S": by}, "leased_until": {"N": until} })
}

fn refused(item: Option<Value>) -> String {
    condition_failed(item).to_string()
}

/// Claims the lease of an item against these responses.
async fn take(answers: &[(u16, &str)]) -> (Claim, Vec<Value>) {
    let wire = Wire::answering_in_turn(answers).await;
    let claim = table(&wire).lease(&ours(), now(), later(2), later(60)).await.unwrap();
    (claim, wire.requests().await.iter().map(Asked::json).collect())
}

#[tokio::test]
async fn free_or_ended_lease_is_granted_with_the_item() {
    let (claim, requests) = take(&[(200, &json!({ "Attributes": leased("ours") }).to_string())]).await;
    let Claim::Granted(item) = claim else { panic!("{claim:?}") };
    assert_eq!(item["leased_by"], AttributeValue::S("ours".to_owned()));
    let asked = &requests[0];
    assert_eq!(asked["ConditionExpression"], "attribute_not_exists(#leased_until) OR #leased_until < :now");
    assert_eq!(asked["ReturnValues"], "ALL_NEW");
    assert_eq!(asked["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    assert_eq!(
        asked["ExpressionAttributeValues"],
        json!({
            ":holder": {"S": "ours"},
            ":now": {"N": now().as_millisecond().to_string()},
            ":until": {"N": later(2).as_millisecond().to_string()},
            ":expires": {"N": later(60).as_second().to_string()},
        })
    );
}

#[tokio::test]
async fn unexpired_lease_of_another_holder_is_refused() {
    let (claim, _) = take(&[(400, &refused(Some(leased("theirs"))))]).await;
    let Claim::Held(Some(item)) = claim else { panic!("{claim:?}") };
    assert_eq!(item["leased_by"], AttributeValue::S("theirs".to_owned()));
    assert_eq!(take(&[(400, &refused(None))]).await.0, Claim::Held(None));
}

#[tokio::test]
async fn retried_claim_that_finds_its_own_lease_is_granted() {
    let (claim, requests) = take(&[(500, "{}"), (400, &refused(Some(leased("ours"))))]).await;
    assert!(matches!(claim, Claim::Granted(_)), "{claim:?}");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn record_releases_the_lease_unless_it_was_taken_over() {
    let done = [("done_at", attribute(now())), ("why", None)];
    let wire = Wire::answering(200, json!({})).await;
    assert_eq!(table(&wire).record(&ours(), done.clone()).await.unwrap(), Outcome::Written);
    let asked = wire.only_request().await.json();
    assert_eq!(asked["UpdateExpression"], "SET #done_at = :done_at REMOVE #leased_by, #leased_until, #why");
    assert_eq!(asked["ConditionExpression"], "#leased_by = :holder");
    assert_eq!(
        asked["ExpressionAttributeValues"],
        json!({ ":done_at": {"S": "2026-11-24T10:00:00Z"}, ":holder": {"S": "ours"} })
    );
    let names = ["done_at", "leased_by", "leased_until", "why"].map(|name| (format!("#{name}"), json!(name)));
    assert_eq!(asked["ExpressionAttributeNames"], Value::Object(names.into_iter().collect()));

    let wire = Wire::answering(400, refused(Some(leased("theirs")))).await;
    let outcome = table(&wire).record(&ours(), done).await.unwrap();
    assert!(matches!(outcome, Outcome::Lost(Some(_))), "{outcome:?}");
    assert_eq!(
        table(&wire).lease_lost(&ours()).to_string(),
        "table syncwatch-table: the lease on item a was lost before the work under it was recorded; it may be done again"
    );
}

#[tokio::test]
async fn unconditional_update_sends_no_condition_or_empty_values() {
    let wire = Wire::answering(200, json!({})).await;
    table(&wire).update(Update::storing(SPEC.key(&["a"]), [("gone", None)])).await.unwrap();
    assert_eq!(
        wire.only_request().await.json(),
        json!({
            "TableName": "syncwatch-table", "Key": {"id": {"S": "a"}}, "UpdateExpression": "REMOVE #gone",
            "ExpressionAttributeNames": {"#gone": "gone"},
        })
    );
}

#[test]
fn attribute_is_read_as_it_was_stored() {
    let stored: Item = [
        ("text", attribute("a")),
        ("number", attribute(u64::MAX)),
        ("flag", attribute(true)),
        ("list", attribute(["a", "b"])),
        ("instant", attribute(now())),
        ("json", json([1, 2])),
        ("null", Some(AttributeValue::Null(true))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.unwrap()))
    .collect();
    assert_eq!(attribute(None::<&str>), None);
    assert_eq!(json(None::<&str>), None);
    let item = Reader::new(&stored, "t", &SPEC);
    assert_eq!(item.read::<String>("text").unwrap(), "a");
    assert_eq!(item.read::<u64>("number").unwrap(), u64::MAX);
    assert!(item.read::<bool>("flag").unwrap());
    assert_eq!(item.read::<Vec<String>>("list").unwrap(), ["a", "b"]);
    assert_eq!(item.read::<Timestamp>("instant").unwrap(), now());
    assert_eq!(item.json::<Vec<u8>>("json").unwrap(), [1, 2]);
    for absent in ["null", "absent"] {
        assert_eq!(item.read::<Option<u64>>(absent).unwrap(), None);
        assert_eq!(item.json::<Option<u64>>(absent).unwrap(), None);
    }
}

#[test]
fn invalid_attribute_is_named_with_its_item() {
    let mut stored = SPEC.key(&["a"]);
    stored.insert("list".to_owned(), AttributeValue::L(Vec::new()));
    stored.insert("digits".to_owned(), AttributeValue::N("-1".to_owned()));
    let item = Reader::new(&stored, "t", &SPEC);
    let errors = [
        item.read::<Option<String>>("list").unwrap_err(),
        item.read::<u64>("digits").unwrap_err(),
        item.read::<String>("absent").unwrap_err(),
        item.json::<u64>("absent").unwrap_err(),
        item.json::<u64>("id").unwrap_err(),
    ];
    insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"), @r"
    table t: item a, attribute `list`: unexpected DynamoDB type. Delete the item
    table t: item a, attribute `digits`: invalid value: integer `-1`, expected u64. Delete the item
    table t: item a, attribute `absent`: missing. Delete the item
    table t: item a, attribute `absent`: missing. Delete the item
    table t: item a, attribute `id`: unexpected JSON (expected value at line 1 column 1). Delete the item
    ");
}
