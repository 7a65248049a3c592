use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use serde_json::{Value, json};

use super::*;
use crate::aws::wire::{Wire, WireSdk as _, now};
use crate::finding::Severity;
use crate::incident::{Course, NoticeKind, Pending, State};
use syncwatch_testing::condition_failed;

const TABLE_NAME: &str = "syncwatch-incidents";

fn incident() -> Incident {
    let key = "properties/sync-paused/properties-create";
    let incident = Incident::found(key, State::Open, Severity::Error, now(), "the sync is paused");
    Incident {
        evidence: incident.evidence.with("paused since", now().to_string()),
        cause: "the sync was paused".to_owned(),
        pending: Some(Pending { kind: NoticeKind::Opened, since: now() }),
        course: Course { sequence: 1, noticed_at: Some(now()), ..Course::default() },
        ..incident
    }
}

/// The incident as DynamoDB sends it.
fn stored() -> Value {
    json!({
        "pipeline": {"S": "properties"},
        "check_subject": {"S": "sync-paused/properties-create"},
        "subject": {"S": "properties-create"},
        "state": {"S": "open"},
        "severity": {"S": "error"},
        "opened_at": {"S": "2026-11-24T10:00:00Z"},
        "generation": {"N": "1"},
        "version": {"N": "1"},
        "summary": {"S": "the sync is paused"},
        "figures": {"S": r#"[{"name":"paused since","value":"2026-11-24T10:00:00Z"}]"#},
        "cause": {"S": "the sync was paused"},
        "course": {"S": concat!(
            r#"{"seen":{"bits":0,"count":0},"evaluated_at":null,"healthy_since":null,"sequence":1,"reminders":0,"#,
            r#""noticed_at":"2026-11-24T10:00:00Z","openings":[],"flapping":false,"stopped_at":null,"held_back":0,"#,
            r#""held_severity":null}"#,
        )},
        "pending_kind": {"S": "opened"},
        "pending_since": {"S": "2026-11-24T10:00:00Z"},
    })
}

async fn store(status: u16, body: Value) -> (Wire, IncidentStore) {
    let wire = Wire::answering(status, body).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    (wire, store)
}

/// DynamoDB's response to a query of a missing index.
fn no_index() -> String {
    let code = "com.amazonaws.dynamodb.v20120810#ValidationException";
    json!({"__type": code, "message": "The table does not have the specified index: by-state"}).to_string()
}

/// A store on a table without indexes, whose partition has these items.
async fn store_of_items(items: &[Value]) -> (Wire, IncidentStore) {
    let (no_index, page) = (no_index(), json!({ "Items": items }).to_string());
    let wire =
        Wire::answering_in_turn(&[(400, &*no_index), (400, &*no_index), (400, &*no_index), (200, &*page)])
            .await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    (wire, store)
}

fn keys(items: &[Value]) -> String {
    let key = |item: &Value| json!({"pipeline": item["pipeline"], "check_subject": item["check_subject"], "state": item["state"]});
    json!({ "Items": items.iter().map(key).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn live_incidents_are_found_by_indexes_and_read_by_key() {
    let mut resolved = stored();
    resolved["check_subject"]["S"] = json!("run-failed/properties-update");
    resolved["state"]["S"] = json!("resolved");
    resolved["resolved_at"] = json!({"S": "2026-11-24T10:00:00Z"});
    resolved.as_object_mut().unwrap().retain(|name, _| !name.starts_with("pending"));
    // The index still has its earlier state.
    let found = keys(&[stored(), resolved.clone()]);
    let none = json!({"Items": []}).to_string();
    let [gone, open] = [resolved, stored()].map(|item| json!({ "Item": item }).to_string());
    // Ordered by key: `run-failed` before `sync-paused`. The reads are concurrent.
    let answers = [(200, &*found), (200, &*found), (200, &*none), (200, &*gone), (200, &*open)];
    let wire = Wire::answering_in_turn(&answers).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    let (live, unreadable) = store.live_incidents("properties").await.unwrap();
    assert_eq!((live, unreadable.len()), (vec![incident()], 0));

    let requests = wire.requests().await;
    assert_eq!(requests.len(), 5);
    let mut asked: Vec<String> = requests[..3]
        .iter()
        .map(|request| {
            let body = request.json();
            assert_eq!(request.target(), "DynamoDB_20120810.Query");
            assert_eq!((&body["FilterExpression"], &body["ConsistentRead"]), (&Value::Null, &Value::Null));
            format!(
                "{} {}",
                body["IndexName"].as_str().unwrap(),
                body["KeyConditionExpression"].as_str().unwrap()
            )
        })
        .collect();
    asked.sort();
    let expected = [
        "by-pending #pipeline = :pipeline",
        "by-state #pipeline = :pipeline AND #state < :resolved",
        "by-state #pipeline = :pipeline AND #state > :resolved",
    ];
    assert_eq!(asked, expected);
    for request in &requests[3..] {
        assert_eq!(
            (request.target(), &request.json()["ConsistentRead"]),
            ("DynamoDB_20120810.GetItem", &json!(true))
        );
    }
}

#[tokio::test]
async fn many_live_incidents_are_read_from_the_partition() {
    let items: Vec<Value> = (0..=READ_BY_KEY)
        .map(|number| {
            let mut item = stored();
            item["check_subject"]["S"] = json!(format!("sync-paused/{number}"));
            item
        })
        .collect();
    let (found, all) = (keys(&items), json!({ "Items": items }).to_string());
    let wire = Wire::answering_in_turn(&[(200, &*found), (200, &*found), (200, &*found), (200, &*all)]).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    assert_eq!(store.live_incidents("properties").await.unwrap().0.len(), READ_BY_KEY + 1);
    assert_eq!(wire.requests().await.len(), 4);
}

#[tokio::test]
async fn failing_table_gets_no_partition_query() {
    let body = json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "no"});
    let (wire, store) = store(400, body).await;
    assert!(store.live_incidents("properties").await.is_err());
    assert!(wire.requests().await.iter().all(|request| request.json()["IndexName"].is_string()));
}

#[tokio::test]
async fn table_without_indexes_is_queried_through_all_pages() {
    let mut second = stored();
    second["check_subject"]["S"] = json!("run-failed/properties-update");
    let next = json!({"pipeline": {"S": "properties"}, "check_subject": {"S": "run-failed/a"}});
    let first_page = json!({"Items": [stored()], "LastEvaluatedKey": next}).to_string();
    // A page that the filter left empty is not the last one.
    let empty_page = json!({"Items": [], "LastEvaluatedKey": next}).to_string();
    let last_page = json!({"Items": [second]}).to_string();
    let no_index = no_index();
    let missing = (400, no_index.as_str());
    let pages = [(200, first_page.as_str()), (200, empty_page.as_str()), (200, last_page.as_str())];
    let pages = [[missing; 3], pages].concat();
    let wire = Wire::answering_in_turn(&pages).await;

    let (found, unreadable) =
        IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME).live_incidents("properties").await.unwrap();
    assert!(unreadable.is_empty());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], incident());
    assert_eq!(found[1].key.to_string(), "properties/run-failed/properties-update");

    let requests = wire.requests().await.split_off(3);
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].target(), "DynamoDB_20120810.Query");
    let body = requests[0].json();
    assert_eq!(body["TableName"], TABLE_NAME);
    assert_eq!(body["ConsistentRead"], true);
    assert_eq!(body["KeyConditionExpression"], "#pipeline = :pipeline");
    assert_eq!(body["FilterExpression"], "#state <> :resolved OR attribute_exists(#pending_kind)");
    assert_eq!(body["ExpressionAttributeNames"]["#state"], "state");
    assert_eq!(body["ExpressionAttributeValues"][":resolved"], json!({"S": "resolved"}));
    assert_eq!(body.get("ExclusiveStartKey"), None);
    assert_eq!(requests[2].json()["ExclusiveStartKey"], next);
}

#[tokio::test]
async fn unknown_key_has_no_incident() {
    let (wire, store) = store(200, json!({})).await;
    assert_eq!(store.get(&incident().key).await.unwrap(), None);
    let request = wire.only_request().await;
    assert_eq!(request.target(), "DynamoDB_20120810.GetItem");
    assert_eq!(request.json()["ConsistentRead"], true);
    assert_eq!(
        request.json()["Key"],
        json!({"pipeline": {"S": "properties"}, "check_subject": {"S": "sync-paused/properties-create"}})
    );
}

#[tokio::test]
async fn write_is_conditional_on_the_expected_state() {
    let expectations = [
        (Expected::Absent, "attribute_not_exists(#pipeline)"),
        (Expected::Version(7), "#version = :expected"),
    ];
    for (expected, condition) in expectations {
        let (wire, store) = store(200, json!({})).await;
        assert_eq!(store.write(&incident(), expected).await.unwrap(), WriteOutcome::Written);
        let request = wire.only_request().await;
        assert_eq!(request.target(), "DynamoDB_20120810.UpdateItem");
        let body = request.json();
        assert_eq!(body["ConditionExpression"], condition);
        assert_eq!(body["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
        // DynamoDB refuses placeholders that are declared and unused, or used and undeclared.
        let text = format!("{} {condition}", body["UpdateExpression"].as_str().unwrap());
        let mut used: Vec<_> = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || "_#:".contains(c)))
            .filter(|word| word.starts_with(['#', ':']))
            .collect();
        used.sort_unstable();
        used.dedup();
        let members = |name: &str| body[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let mut declared =
            [members("ExpressionAttributeNames"), members("ExpressionAttributeValues")].concat();
        declared.sort_unstable();
        assert_eq!(used, declared);
    }
}

#[tokio::test]
async fn write_sets_present_attributes_and_removes_absent_ones() {
    let (wire, store) = store(200, json!({})).await;
    let _ = store.write(&incident(), Expected::Absent).await.unwrap();
    let body = wire.only_request().await.json();
    let stored = stored();
    for (name, value) in stored.as_object().unwrap() {
        if name != "pipeline" && name != "check_subject" {
            assert_eq!(&body["ExpressionAttributeValues"][format!(":{name}")], value, "{name}");
        }
    }
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(
        expression.ends_with(" REMOVE #resolved_at, #class, #group, #hold, #acknowledged, #expires_at"),
        "{expression}"
    );
}

#[tokio::test]
async fn lost_write_returns_the_stored_incident() {
    let theirs = {
        let mut item = stored();
        item["version"]["N"] = json!("2");
        item
    };
    let (_wire, store) = store(400, condition_failed(Some(theirs))).await;
    let outcome = store.write(&incident(), Expected::Absent).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Lost(Some(Incident { version: 2, ..incident() })));
}

#[tokio::test]
async fn write_lost_to_a_deletion_returns_nothing() {
    let (_wire, store) = store(400, condition_failed(None)).await;
    let outcome = store.write(&incident(), Expected::Version(1)).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Lost(None));
}

#[tokio::test]
async fn retry_that_finds_its_own_write_succeeds() {
    let mut ours = stored();
    ours["write_id"] = json!({"S": "ours"});
    let lost = condition_failed(Some(ours)).to_string();
    let wire = Wire::answering_in_turn(&[(500, "{}"), (400, &lost)]).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    let update = item::update(&incident(), Expected::Absent, "ours");
    assert_eq!(store.table.put_if(update).await.unwrap(), Outcome::Written);
    let requests = wire.requests().await;
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].json()["ExpressionAttributeValues"][":write_id"], json!({"S": "ours"}));
}

#[tokio::test]
async fn write_that_meets_a_transaction_is_retried() {
    let busy = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    });
    let wire = Wire::answering_in_turn(&[(400, busy), (200, json!({}))]).await;
    let store = IncidentStore::new(wire.sdk().dynamodb(), TABLE_NAME);
    assert_eq!(store.write(&incident(), Expected::Version(1)).await.unwrap(), WriteOutcome::Written);
    assert_eq!(wire.requests().await.len(), 2);
}

#[tokio::test]
async fn same_incident_by_another_writer_is_not_our_write() {
    let mut theirs = stored();
    theirs["write_id"] = json!({"S": "theirs"});
    let (wire, store) = store(400, condition_failed(Some(theirs))).await;
    for _ in 0..2 {
        let outcome = store.write(&incident(), Expected::Absent).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Lost(Some(incident())));
    }
    let ids = wire.requests().await;
    let ids: Vec<_> =
        ids.iter().map(|asked| asked.json()["ExpressionAttributeValues"][":write_id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn unreadable_item_names_its_place_and_hides_no_other() {
    let mut item = stored();
    item["severity"]["S"] = json!("catastrophic");
    let (_wire, store) = store_of_items(&[item, stored()]).await;
    let (found, unreadable) = store.live_incidents("properties").await.unwrap();
    assert_eq!((found, unreadable.len()), (vec![incident()], 1));
    insta::assert_snapshot!(unreadable[0], @r#"table syncwatch-incidents: item properties/sync-paused/properties-create, attribute `severity`: unknown variant `catastrophic`, expected one of `info`, `warning`, `error`, `critical`. Correct the item, or delete it: a fault that persists opens a new incident"#);
}

#[tokio::test]
async fn incident_of_an_unknown_check_is_reported_separately() {
    let mut item = stored();
    item["check_subject"]["S"] = json!("check-of-tomorrow/properties-create");
    let (_wire, store) = store_of_items(&[item, stored()]).await;
    let (found, unknown) = store.live_incidents("properties").await.unwrap();
    assert_eq!(found, [incident()]);
    assert!(matches!(unknown[..], [Error::UnknownCheck { .. }]), "{unknown:?}");
    insta::assert_snapshot!(unknown[0], @"table syncwatch-incidents: item properties/check-of-tomorrow/properties-create has a check that this version does not know; it is left unchanged");
}

#[tokio::test]
async fn refusal_names_the_table_and_the_remedy() {
    let mut texts = Vec::new();
    for code in
        ["ResourceNotFoundException", "AccessDeniedException", "ThrottlingException", "ValidationException"]
    {
        let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no"});
        let (_wire, store) = store(400, body).await;
        texts.push(store.get(&incident().key).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
        table syncwatch-incidents: it does not exist in this account and region. Run `terraform apply`, or correct SYNCWATCH_INCIDENTS_TABLE (infra/functions.json)
        table syncwatch-incidents: AWS denied access. Allow dynamodb:GetItem on it in infra/functions.json and run `terraform apply`
        table syncwatch-incidents: AWS throttled the request and its retries. The next round retries; if it persists, find what else uses it
        table syncwatch-incidents: AWS answered ValidationException: no. If it persists, see this error in the AWS documentation of dynamodb:GetItem
        "#);
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("environment variable not set")))
    }
}

#[tokio::test]
async fn missing_credentials_are_reported_and_nothing_is_sent() {
    let wire = Wire::answering(200, json!({})).await;
    let clients = wire.sdk();
    let config = clients.dynamodb().config().to_builder().credentials_provider(NoCredentials).build();
    let store = IncidentStore::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE_NAME);
    insta::assert_snapshot!(store.get(&incident().key).await.unwrap_err(), @r#"table syncwatch-incidents: no AWS credentials. Lambda sets the credentials of the function's role; elsewhere set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"#);
    assert!(wire.requests().await.is_empty());
}

#[tokio::test]
async fn unreachable_endpoint_names_the_setting_to_check() {
    // Nothing listens on port 1.
    let clients = crate::aws::Sdk::for_endpoint("http://127.0.0.1:1").unwrap();
    let error = IncidentStore::new(clients.dynamodb(), TABLE_NAME).get(&incident().key).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("table syncwatch-incidents: AWS did not answer"), "{text}");
    assert!(text.contains("AWS_ENDPOINT_URL"), "{text}");
}

#[tokio::test]
async fn only_live_incidents_are_queried_with_a_filter() {
    let (wire, everything) = store(200, json!({ "Items": [] })).await;
    everything.all_incidents("properties").await.unwrap();
    let asked = wire.only_request().await.json();
    assert_eq!(asked.get("FilterExpression"), None, "{asked}");
    assert_eq!(asked["ExpressionAttributeNames"], json!({ "#pipeline": "pipeline" }));
    let (wire, live) = store_of_items(&[]).await;
    live.live_incidents("properties").await.unwrap();
    assert!(wire.requests().await[3].json()["FilterExpression"].is_string());
}

/// An incident with every attribute that the first releases wrote, as DynamoDB sends it.
fn stored_with_everything() -> Value {
    let mut item = stored();
    item["state"]["S"] = json!("held");
    for (name, value) in [
        ("write_id", "00000000deadbeef"),
        ("resolved_at", "2026-11-24T09:30:00.5Z"),
        ("class", "required-field"),
        ("group", "auth"),
        ("hold", r#"{"by":"cause","key":{"pipeline":"p","check":"run-failed","subject":"s"}}"#),
        ("acknowledged", r#"{"by":"Ada","at":"2026-11-24T10:00:00Z","until":"2026-11-24T22:00:00Z"}"#),
    ] {
        item[name] = json!({ "S": value });
    }
    item
}

#[tokio::test]
async fn incident_of_an_earlier_release_is_written_back_unchanged() {
    for old in [stored(), stored_with_everything()] {
        let (_wire, before) = store(200, json!({ "Item": old })).await;
        let incident = before.get(&incident().key).await.unwrap().unwrap();
        let (wire, after) = store(200, json!({})).await;
        let _ = after.write(&incident, Expected::Version(1)).await.unwrap();
        let body = wire.only_request().await.json();
        let mut written = body["Key"].clone();
        let set = body["UpdateExpression"].as_str().unwrap().split(" REMOVE ").next().unwrap().to_owned();
        for assignment in set.trim_start_matches("SET ").split(", ") {
            let (name, value) = assignment.split_once(" = ").unwrap();
            let name = body["ExpressionAttributeNames"][name].as_str().unwrap();
            written[name] = body["ExpressionAttributeValues"][value].clone();
        }
        // The only attribute that differs with each write.
        written["write_id"] = old["write_id"].clone();
        let mut old = old.clone();
        old["write_id"] = written["write_id"].clone();
        assert_eq!(written, old);
    }
}
