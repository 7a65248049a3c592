use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch_testing::{Asked, Receiver, condition_failed};

use super::*;
use crate::tests::samples::{chat, pagerduty};

const KEY: &str = "properties/run-failed/a";

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn delivery() -> LastDelivery {
    LastDelivery {
        place: Place { opened_at: "2026-11-24T09:00:00Z".parse().unwrap(), generation: 2, sequence: 3 },
        notice: "properties/run-failed/a#2.3".to_owned(),
        open: true,
        through: Some(Fingerprint("f02ae380606c48d6".to_owned())),
    }
}

/// The record as DynamoDB sends it.
fn stored() -> Value {
    json!({
        "id": {"S": "pagerduty/properties/run-failed/a"},
        "opened_at": {"S": "2026-11-24T09:00:00Z"},
        "generation": {"N": "2"},
        "sequence": {"N": "3"},
        "notice": {"S": "properties/run-failed/a#2.3"},
        "open": {"BOOL": true},
        "key_fingerprint": {"S": "f02ae380606c48d6"},
        "expires_at": {"N": "1800000000"},
    })
}

async fn ledger(answers: &[(u16, Value)]) -> (Receiver, Ledger) {
    let server = Receiver::answering_in_turn(answers).await;
    let ledger = Ledger::new(Sdk::for_endpoint(&server.uri()).unwrap().dynamodb(), "syncwatch-relay");
    (server, ledger)
}

fn lease() -> Lease {
    Lease { key: SPEC.key(&["pagerduty/properties/run-failed/a"]), holder: "ours".to_owned() }
}

/// The target and body of each request, in order.
async fn asked(server: &Receiver) -> Vec<(String, Value)> {
    let requests = server.requests().await;
    requests.iter().map(|request: &Asked| (request.target().to_owned(), request.json())).collect()
}

/// `DynamoDB` refuses placeholders that are declared and not used, and those that are used and not declared.
fn assert_placeholders(body: &Value) {
    let text = format!("{} {}", body["UpdateExpression"], body["ConditionExpression"]);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_#:".contains(c)));
    let mut used: Vec<_> = words.filter(|word| word.starts_with(['#', ':'])).map(str::to_owned).collect();
    used.sort_unstable();
    used.dedup();
    let members = |name: &str| body[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut declared = [members("ExpressionAttributeNames"), members("ExpressionAttributeValues")].concat();
    declared.sort_unstable();
    assert_eq!(used, declared);
}

#[tokio::test]
async fn last_delivery_is_read_whole_and_consistently() {
    let (server, ledger) = ledger(&[(200, json!({ "Item": stored() }))]).await;
    assert_eq!(ledger.last(&pagerduty(), KEY).await.unwrap(), Some(delivery()));
    let (target, body) = asked(&server).await.remove(0);
    assert_eq!(target, "DynamoDB_20120810.GetItem");
    assert_eq!(body["ConsistentRead"], true);
    assert_eq!(body["TableName"], "syncwatch-relay");
    assert_eq!(body["Key"], json!({ "id": {"S": "pagerduty/properties/run-failed/a"} }));
}

#[tokio::test]
async fn key_without_a_delivery_or_with_only_a_lease_has_none() {
    let leased = json!({ "id": {"S": "chat/a"}, "leased_by": {"S": "x"}, "leased_until": {"N": "1"} });
    for answer in [json!({}), json!({ "Item": leased })] {
        let (_server, ledger) = ledger(&[(200, answer)]).await;
        assert_eq!(ledger.last(&chat(), KEY).await.unwrap(), None);
    }
}

#[tokio::test]
async fn claim_of_a_free_lease_returns_the_last_delivery() {
    let (server, ledger) = ledger(&[(200, json!({ "Attributes": stored() }))]).await;
    let Claim::Granted(lease, found) = ledger.claim(&pagerduty(), KEY, now()).await.unwrap() else {
        panic!("the lease was held")
    };
    assert_eq!(found, Some(delivery()));
    let (target, body) = asked(&server).await.remove(0);
    assert_eq!(target, "DynamoDB_20120810.UpdateItem");
    assert_placeholders(&body);
    assert_eq!(body["ConditionExpression"], "attribute_not_exists(#leased_until) OR #leased_until < :now");
    assert_eq!(body["ReturnValues"], "ALL_NEW");
    let values = &body["ExpressionAttributeValues"];
    assert_eq!(values[":holder"], json!({ "S": lease.holder }));
    assert_eq!(values[":now"], json!({ "N": now().as_millisecond().to_string() }));
    assert_eq!(values[":until"], json!({ "N": (now() + LEASE).as_millisecond().to_string() }));
}

#[tokio::test]
async fn claim_of_a_held_lease_is_refused() {
    let mut theirs = stored();
    theirs["leased_by"] = json!({"S": "theirs"});
    let (_server, ledger) = ledger(&[(400, condition_failed(Some(theirs)))]).await;
    assert!(matches!(ledger.claim(&pagerduty(), KEY, now()).await.unwrap(), Claim::Held));
}

#[tokio::test]
async fn post_is_counted_by_one_conditional_write() {
    let (server, ledger) = ledger(&[(200, json!({ "Attributes": { "posts": {"N": "2"} } }))]).await;
    let allowance = ledger.count_post(&chat(), "properties/run-failed/a#1.2", now()).await.unwrap();
    assert_eq!(allowance, Allowance::Granted(2));
    let (target, body) = asked(&server).await.remove(0);
    assert_eq!(target, "DynamoDB_20120810.UpdateItem");
    assert_placeholders(&body);
    assert_eq!(body["Key"], json!({ "id": {"S": "post/chat/properties/run-failed/a#1.2"} }));
    let values = &body["ExpressionAttributeValues"];
    assert_eq!((&values[":last"], &values[":most"]), (&json!({"N": "2"}), &json!({"N": "3"})));
    assert_eq!(values[":before"], json!({ "N": (now() - LAST_POST_AFTER).as_second().to_string() }));
}

#[tokio::test]
async fn post_beyond_its_count_waits_or_is_given_up() {
    for (posts, expected) in [("2", Allowance::Later), ("3", Allowance::UsedUp)] {
        let stored = condition_failed(Some(json!({ "posts": {"N": posts} })));
        let (_server, ledger) = ledger(&[(400, stored)]).await;
        assert_eq!(ledger.count_post(&chat(), "a#1.2", now()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn record_stores_the_delivery_and_gives_the_lease_back() {
    let (server, ledger) = ledger(&[(200, json!({}))]).await;
    ledger.record(lease(), &delivery(), now()).await.unwrap();
    let (_, body) = asked(&server).await.remove(0);
    assert_placeholders(&body);
    assert_eq!(body["ConditionExpression"], "#leased_by = :holder");
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.ends_with(" REMOVE #leased_by, #leased_until"), "{expression}");
    for (name, value) in stored().as_object().unwrap() {
        if name != "id" && name != "expires_at" {
            assert_eq!(&body["ExpressionAttributeValues"][format!(":{name}")], value, "{name}");
        }
    }
}

#[tokio::test]
async fn open_alert_is_kept_longer_than_a_closed_one() {
    for (open, kept) in [(true, KEPT_OPEN), (false, KEPT_CLOSED)] {
        let (server, ledger) = ledger(&[(200, json!({}))]).await;
        let last = LastDelivery { open, through: None, ..delivery() };
        ledger.record(lease(), &last, now()).await.unwrap();
        let (_, body) = asked(&server).await.remove(0);
        assert_placeholders(&body);
        assert!(body["UpdateExpression"].as_str().unwrap().ends_with(", #key_fingerprint"));
        let expires = (now() + kept).as_second().to_string();
        assert_eq!(body["ExpressionAttributeValues"][":expires_at"], json!({ "N": expires }));
    }
    assert!(KEPT_CLOSED > SignedDuration::from_hours(14 * 24), "a queue keeps a message for 14 days");
}

#[tokio::test]
async fn record_without_the_lease_fails_unless_it_is_stored() {
    let (_server, there) = ledger(&[(400, condition_failed(Some(stored())))]).await;
    there.record(lease(), &delivery(), now()).await.unwrap();
    let other = LastDelivery { notice: "properties/run-failed/a#2.4".to_owned(), ..delivery() };
    let (_server, lost) = ledger(&[(400, condition_failed(Some(stored())))]).await;
    insta::assert_snapshot!(lost.record(lease(), &other, now()).await.unwrap_err(), @"table syncwatch-relay: the lease on item pagerduty/properties/run-failed/a was lost before the work under it was recorded; it may be done again");
    let (_server, gone) = ledger(&[(400, condition_failed(None))]).await;
    assert!(matches!(gone.record(lease(), &other, now()).await, Err(LedgerError::LeaseLost { .. })));
}

#[tokio::test]
async fn release_of_a_lost_lease_changes_nothing() {
    for (code, answer) in [(200, json!({})), (400, condition_failed(Some(stored())))] {
        let (server, ledger) = ledger(&[(code, answer)]).await;
        ledger.release(lease()).await.unwrap();
        let (_, body) = asked(&server).await.remove(0);
        assert_placeholders(&body);
        assert_eq!(body["UpdateExpression"], "REMOVE #leased_by, #leased_until");
    }
}

#[tokio::test]
async fn error_names_the_table_and_the_remedy() {
    let mut texts = Vec::new();
    for code in ["ResourceNotFoundException", "AccessDeniedException"] {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no" });
        let (_server, ledger) = ledger(&[(400, body)]).await;
        texts.push(ledger.claim(&chat(), KEY, now()).await.unwrap_err().to_string());
    }
    let mut item = stored();
    item["generation"] = json!({"N": "-1"});
    let (_server, ledger) = ledger(&[(200, json!({ "Item": item }))]).await;
    texts.push(ledger.last(&pagerduty(), KEY).await.unwrap_err().to_string());
    insta::assert_snapshot!(texts.join("\n"));
}
