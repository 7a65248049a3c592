use serde_json::{Value, json};

use super::*;
use crate::aws::wire::{Wire, WireSdk as _, now};
use crate::finding::{Check, Severity};
use crate::incident::{Hold, State};
use crate::silence::Scope;
use syncwatch_testing::condition_failed;

fn silence() -> Silence {
    Silence {
        id: "release".to_owned(),
        owner: "Ada".to_owned(),
        reason: "release weekend".to_owned(),
        scope: Scope { checks: vec![Check::RunFailed], subjects: Vec::new() },
        from: now(),
        until: now() + SignedDuration::from_hours(2),
        declared: false,
    }
}

fn incident() -> Incident {
    let key = "properties/run-failed/properties-create";
    let hold = Some(Hold::Silence { id: "release".to_owned() });
    Incident { hold, ..Incident::found(key, State::Held, Severity::Error, now(), "run 7 failed") }
}

fn stored() -> Value {
    json!({
        "pipeline": {"S": "properties/silences"},
        "check_subject": {"S": "release"},
        "owner": {"S": "Ada"},
        "reason": {"S": "release weekend"},
        "scope": {"S": r#"{"checks":["run-failed"],"subjects":[]}"#},
        "from": {"S": "2026-11-24T10:00:00Z"},
        "until": {"S": "2026-11-24T12:00:00Z"},
        "held_back": {"N": "3"},
        "incidents": {"SS": ["run-failed/b", "run-failed/a"]},
        "expires_at": {"N": "1803556800"},
    })
}

async fn store(status: u16, body: Value) -> (Wire, IncidentStore) {
    let wire = Wire::answering(status, body).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
    (wire, store)
}

fn cancelled(codes: [&str; 2], item: Option<Value>) -> Value {
    let mut reasons = codes.map(|code| json!({"Code": code})).to_vec();
    if let (Some(item), Some(first)) = (item, reasons.first_mut()) {
        first["Item"] = item;
    }
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": reasons,
    })
}

#[tokio::test]
async fn silences_are_read_from_their_partition_with_their_counts() {
    let (wire, store) = store(200, json!({"Items": [stored()]})).await;
    let tally = Tally {
        silence: silence(),
        held_back: 3,
        incidents: vec!["run-failed/a".to_owned(), "run-failed/b".to_owned()],
        of_others: 0,
        reported: 0,
        tellings: 0,
        reported_at: None,
    };
    let (found, unreadable) = store.silences("properties").await.unwrap();
    assert_eq!((found, unreadable.len()), (vec![tally], 0));
    let body = wire.only_request().await.json();
    assert_eq!(body["ExpressionAttributeValues"][":pipeline"], json!({"S": "properties/silences"}));
    assert_eq!(body["ConsistentRead"], true);
}

#[tokio::test]
async fn unreadable_silence_hides_no_other() {
    let mut unknown = stored();
    unknown["scope"]["S"] = json!(r#"{"checks":["of-a-later-version"],"subjects":[]}"#);
    let (_wire, store) = store(200, json!({"Items": [unknown, stored()]})).await;
    let (found, unreadable) = store.silences("properties").await.unwrap();
    assert_eq!(found.len(), 1);
    let text = unreadable[0].to_string();
    assert!(text.contains("properties/silences/release") && text.contains("`scope`"), "{text}");
}

#[tokio::test]
async fn declared_silence_replaces_its_stored_definition() {
    let (wire, store) = store(200, json!({})).await;
    let _ = store
        .write_held_back(&incident(), Expected::Absent, &Silence { declared: true, ..silence() })
        .await
        .unwrap();
    let tally = wire.only_request().await.json()["TransactItems"][1]["Update"].clone();
    let expression = tally["UpdateExpression"].as_str().unwrap();
    assert!(
        expression.contains("#until = :until") && expression.contains("#declared = :declared"),
        "{expression}"
    );
    assert_eq!(tally["ExpressionAttributeValues"][":declared"], json!({"BOOL": true}));
}

#[tokio::test]
async fn suppressed_notice_is_counted_in_its_incidents_transaction() {
    let (wire, store) = store(200, json!({})).await;
    let outcome = store.write_held_back(&incident(), Expected::Absent, &silence()).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Written);
    let request = wire.only_request().await;
    assert_eq!(request.target(), "DynamoDB_20120810.TransactWriteItems");
    let items = request.json()["TransactItems"].clone();
    assert_eq!(items[0]["Update"]["ConditionExpression"], "attribute_not_exists(#pipeline)");
    assert_eq!(items[0]["Update"]["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    let tally = &items[1]["Update"];
    let expression = tally["UpdateExpression"].as_str().unwrap();
    assert!(expression.ends_with(" ADD #held_back :one, #incidents :incident"), "{expression}");
    assert!(expression.contains("#until = if_not_exists(#until, :until)"), "{expression}");
    let values = &tally["ExpressionAttributeValues"];
    assert_eq!(values[":incident"], json!({"SS": ["run-failed/properties-create"]}));
    assert_eq!(
        (&values[":most"], &values[":name"]),
        (&json!({"N": "100"}), &json!({"S": "run-failed/properties-create"}))
    );
    let condition =
        "attribute_not_exists(#incidents) OR size(#incidents) < :most OR contains(#incidents, :name)";
    assert_eq!(tally["ConditionExpression"], condition);
}

#[tokio::test]
async fn full_tally_counts_further_incidents_without_names() {
    let full = cancelled(["None", "ConditionalCheckFailed"], None).to_string();
    let wire = Wire::answering_in_turn(&[(400, full.as_str()), (200, "{}")]).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
    let outcome = store.write_held_back(&incident(), Expected::Absent, &silence()).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Written);
    let requests = wire.requests().await;
    let items = requests[1].json()["TransactItems"].clone();
    assert_eq!(items[0]["Update"]["ConditionExpression"], "attribute_not_exists(#pipeline)");
    let tally = &items[1]["Update"];
    assert_eq!(tally["ConditionExpression"], Value::Null);
    let expression = tally["UpdateExpression"].as_str().unwrap();
    assert!(expression.ends_with(" ADD #held_back :one, #of_others :one"), "{expression}");
    // If both conditions fail, the incident's decides.
    let both = cancelled(["ConditionalCheckFailed", "ConditionalCheckFailed"], None);
    let (wire, losing) = self::store(400, both).await;
    let outcome = losing.write_held_back(&incident(), Expected::Absent, &silence()).await.unwrap();
    assert_eq!((outcome, wire.requests().await.len()), (WriteOutcome::Lost(None), 1));
}

#[tokio::test]
async fn lost_write_counts_nothing_and_other_cancellations_fail() {
    let (_wire, losing) = store(400, cancelled(["ConditionalCheckFailed", "None"], None)).await;
    let outcome = losing.write_held_back(&incident(), Expected::Version(1), &silence()).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Lost(None));
    for codes in [["ValidationError", "None"], ["TransactionConflict", "ThrottlingError"]] {
        let (wire, failing) = store(400, cancelled(codes, None)).await;
        let error = failing.write_held_back(&incident(), Expected::Version(1), &silence()).await.unwrap_err();
        assert!(error.to_string().contains("table syncwatch-incidents"), "{error}");
        assert_eq!(wire.requests().await.len(), 1);
    }
}

#[tokio::test]
async fn transaction_conflict_is_retried_up_to_a_limit() {
    // A conflict on the incident, or on the silence's tally.
    for codes in [["TransactionConflict", "None"], ["None", "TransactionConflict"]] {
        let busy = cancelled(codes, None).to_string();
        let wire = Wire::answering_in_turn(&[(400, busy.as_str()), (400, &busy), (200, "{}")]).await;
        let store = IncidentStore::new(wire.sdk().dynamodb(), "syncwatch-incidents");
        let outcome = store.write_held_back(&incident(), Expected::Version(1), &silence()).await.unwrap();
        assert_eq!((outcome, wire.requests().await.len()), (WriteOutcome::Written, 3));

        let (wire, store) = self::store(400, cancelled(codes, None)).await;
        let error = store.write_held_back(&incident(), Expected::Version(1), &silence()).await.unwrap_err();
        assert!(error.to_string().contains("table syncwatch-incidents"), "{error}");
        assert_eq!(wire.requests().await.len(), 4);
    }
}

#[tokio::test]
async fn one_function_claims_the_report_of_a_silence() {
    let incidents = Vec::new;
    let tally = |reported| Tally {
        silence: silence(),
        held_back: 3,
        incidents: incidents(),
        of_others: 0,
        reported,
        tellings: 0,
        reported_at: None,
    };
    let (wire, winning) = store(200, json!({})).await;
    assert!(winning.begin_report("properties", &tally(0), now()).await.unwrap());
    let body = wire.only_request().await.json();
    // Instants are compared as text, so they need the same number of digits.
    let values = &body["ExpressionAttributeValues"];
    assert_eq!(values[":told"], json!({"N": "0"}));
    assert_eq!(values[":now"], json!({"S": "2026-11-24T10:00:00.000000000Z"}));
    assert_eq!(values[":lease_ended"], json!({"S": "2026-11-24T09:58:00.000000000Z"}));
    let (_wire, losing) = store(400, condition_failed(None)).await;
    assert!(!losing.begin_report("properties", &tally(2), now()).await.unwrap());
}

#[tokio::test]
async fn operators_silence_is_stored_whole_and_kept_for_90_days() {
    let (wire, store) = store(200, json!({})).await;
    store.put_silence("properties", &silence()).await.unwrap();
    let body = wire.only_request().await.json();
    let stored = stored();
    for name in ["owner", "reason", "scope", "from", "until"] {
        assert_eq!(body["ExpressionAttributeValues"][format!(":{name}")], stored[name], "{name}");
    }
    let ends = "2027-02-22T12:00:00Z".parse::<Timestamp>().unwrap().as_second().to_string();
    assert_eq!(body["ExpressionAttributeValues"][":expires_at"], json!({"N": ends}));
}

#[tokio::test]
async fn reported_silence_is_read_with_all_its_counts() {
    let mut reported = stored();
    for (name, value) in [
        ("declared", json!({"BOOL": true})),
        ("told", json!({"N": "2"})),
        ("of_others", json!({"N": "1"})),
        ("tellings", json!({"N": "1"})),
        ("told_at", json!({"S": "2026-11-24T11:00:00Z"})),
        ("telling_since", json!({"S": "2026-11-24T10:00:00.000000000Z"})),
    ] {
        reported[name] = value;
    }
    let (_wire, store) = store(200, json!({"Items": [reported]})).await;
    let (found, _) = store.silences("properties").await.unwrap();
    let tally = &found[0];
    assert_eq!((tally.held_back, tally.reported, tally.tellings), (3, 2, 1));
    assert_eq!(tally.reported_at, Some(now() + SignedDuration::from_hours(1)));
    assert_eq!(tally.incident_count(), "more than 2 incidents");
    assert_eq!(tally.silence, Silence { declared: true, ..silence() });
}
