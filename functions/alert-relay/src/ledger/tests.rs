use serde_json::{Value, json};
use syncwatch::aws::Sdk;
use syncwatch_testing::{Asked, Receiver, condition_failed};

use super::*;

const KEY: &str = "properties/run-failed/a";

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn told() -> LastDelivery {
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

/// What was asked, in turn, with its target.
async fn asked(server: &Receiver) -> Vec<(String, Value)> {
    let requests = server.requests().await;
    requests.iter().map(|request: &Asked| (request.target().to_owned(), request.json())).collect()
}

/// `DynamoDB` refuses placeholders that are declared and not used, and the other way round.
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
async fn what_was_told_is_read_whole_and_consistently() {
    let (server, ledger) = ledger(&[(200, json!({ "Item": stored() }))]).await;
    assert_eq!(ledger.told(Channel::PagerDuty, KEY).await.unwrap(), Some(told()));
    let (target, body) = asked(&server).await.remove(0);
    assert_eq!(target, "DynamoDB_20120810.GetItem");
    assert_eq!(body["ConsistentRead"], true);
    assert_eq!(body["TableName"], "syncwatch-relay");
    assert_eq!(body["Key"], json!({ "id": {"S": "pagerduty/properties/run-failed/a"} }));
}

#[tokio::test]
async fn a_key_that_was_never_told_or_only_leased_says_nothing() {
    let leased = json!({ "id": {"S": "chat/a"}, "leased_by": {"S": "x"}, "leased_until": {"N": "1"} });
    for answer in [json!({}), json!({ "Item": leased })] {
        let (_server, ledger) = ledger(&[(200, answer)]).await;
        assert_eq!(ledger.told(Channel::Chat, KEY).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_claim_takes_what_nobody_holds_and_learns_what_was_told() {
    let (server, ledger) = ledger(&[(200, json!({ "Attributes": stored() }))]).await;
    let Claim::Granted(lease, found) = ledger.claim(Channel::PagerDuty, KEY, now()).await.unwrap() else {
        panic!("it was free")
    };
    assert_eq!(found, Some(told()));
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
async fn a_claim_that_somebody_holds_is_told_so() {
    let mut theirs = stored();
    theirs["leased_by"] = json!({"S": "theirs"});
    let (_server, ledger) = ledger(&[(400, condition_failed(Some(theirs)))]).await;
    assert!(matches!(ledger.claim(Channel::PagerDuty, KEY, now()).await.unwrap(), Claim::Held));
}

#[tokio::test]
async fn a_post_is_counted_before_it_is_made_by_one_conditional_write() {
    let (server, ledger) = ledger(&[(200, json!({ "Attributes": { "posts": {"N": "2"} } }))]).await;
    let allowance = ledger.count_post(Channel::Chat, "properties/run-failed/a#1.2", now()).await.unwrap();
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
async fn a_post_that_is_not_allowed_waits_or_is_given_up_by_its_count() {
    for (posts, expected) in [("2", Allowance::Later), ("3", Allowance::UsedUp)] {
        let stored = condition_failed(Some(json!({ "posts": {"N": posts} })));
        let (_server, ledger) = ledger(&[(400, stored)]).await;
        assert_eq!(ledger.count_post(Channel::Chat, "a#1.2", now()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_record_stores_what_was_told_and_gives_the_lease_back() {
    let (server, ledger) = ledger(&[(200, json!({}))]).await;
    ledger.record(lease(), &told(), now()).await.unwrap();
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
async fn what_is_open_is_kept_longer_than_what_is_closed() {
    for (open, kept) in [(true, KEPT_OPEN), (false, KEPT_CLOSED)] {
        let (server, ledger) = ledger(&[(200, json!({}))]).await;
        let chat = LastDelivery { open, through: None, ..told() };
        ledger.record(lease(), &chat, now()).await.unwrap();
        let (_, body) = asked(&server).await.remove(0);
        assert_placeholders(&body);
        assert!(body["UpdateExpression"].as_str().unwrap().ends_with(", #key_fingerprint"));
        let expires = (now() + kept).as_second().to_string();
        assert_eq!(body["ExpressionAttributeValues"][":expires_at"], json!({ "N": expires }));
    }
    assert!(KEPT_CLOSED > SignedDuration::from_hours(14 * 24), "a queue keeps a message for 14 days");
}

#[tokio::test]
async fn a_record_by_one_who_lost_the_lease_says_so_unless_it_is_there_already() {
    let (_server, there) = ledger(&[(400, condition_failed(Some(stored())))]).await;
    there.record(lease(), &told(), now()).await.unwrap();
    let other = LastDelivery { notice: "properties/run-failed/a#2.4".to_owned(), ..told() };
    let (_server, lost) = ledger(&[(400, condition_failed(Some(stored())))]).await;
    insta::assert_snapshot!(lost.record(lease(), &other, now()).await.unwrap_err(), @"table syncwatch-relay: the lease on item pagerduty/properties/run-failed/a was lost before the work under it was recorded; it may be done again");
    let (_server, gone) = ledger(&[(400, condition_failed(None))]).await;
    assert!(matches!(gone.record(lease(), &other, now()).await, Err(LedgerError::LeaseLost { .. })));
}

#[tokio::test]
async fn giving_back_what_is_somebody_elses_changes_nothing() {
    for (code, answer) in [(200, json!({})), (400, condition_failed(Some(stored())))] {
        let (server, ledger) = ledger(&[(code, answer)]).await;
        ledger.release(lease()).await.unwrap();
        let (_, body) = asked(&server).await.remove(0);
        assert_placeholders(&body);
        assert_eq!(body["UpdateExpression"], "REMOVE #leased_by, #leased_until");
    }
}

#[tokio::test]
async fn what_goes_wrong_names_the_table_and_the_remedy() {
    let mut texts = Vec::new();
    for code in ["ResourceNotFoundException", "AccessDeniedException"] {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no" });
        let (_server, ledger) = ledger(&[(400, body)]).await;
        texts.push(ledger.claim(Channel::Chat, KEY, now()).await.unwrap_err().to_string());
    }
    let mut item = stored();
    item["generation"] = json!({"N": "-1"});
    let (_server, ledger) = ledger(&[(200, json!({ "Item": item }))]).await;
    texts.push(ledger.told(Channel::PagerDuty, KEY).await.unwrap_err().to_string());
    insta::assert_snapshot!(texts.join("\n"));
}
