use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::{World, done, in_state, ok, statement};
use crate::sql::{Decimal, Value};

#[tokio::test]
async fn values_are_read_by_the_type_of_their_column() {
    let columns = [
        ("i", "INT"),
        ("l", "BIGINT"),
        ("x", "DOUBLE"),
        ("d", "DECIMAL(10,2)"),
        ("b", "BOOLEAN"),
        ("day", "DATE"),
        ("at", "TIMESTAMP"),
        ("ntz", "TIMESTAMP_NTZ"),
        ("s", "STRING"),
        ("list", "ARRAY<INT>"),
    ];
    let row = json!([
        "-1",
        "9007199254740993",
        "0.5",
        "12.50",
        "true",
        "2026-03-08",
        "2026-03-08T10:00:00.250Z",
        "2026-03-08T10:00:00.000",
        "Grüße 😀",
        "[1,2]"
    ]);
    let nulls = json!([null, null, null, null, null, null, null, null, null, null]);
    // The SDK's names of two types differ from SQL's.
    let mut body = done(&columns, json!([row, nulls]));
    body["manifest"]["schema"]["columns"][1]["type_name"] = json!("LONG");
    body["manifest"]["schema"]["columns"][7]["type_name"] = Json::Null;
    let world = World::new(vec![ok(body)]).await;
    let answer = world.client.query(&statement()).await.unwrap();
    let rows: Vec<_> = answer.rows().collect();
    let row = rows[0];
    assert_eq!(row.get::<i64>("i").unwrap(), -1);
    assert_eq!(row.get::<i64>("l").unwrap(), 9_007_199_254_740_993);
    assert_eq!(row.get::<f64>("x").unwrap().to_string(), "0.5");
    assert_eq!(row.get::<Decimal>("d").unwrap().as_str(), "12.50");
    assert!(row.get::<bool>("b").unwrap());
    assert_eq!(row.get::<Date>("day").unwrap().to_string(), "2026-03-08");
    assert_eq!(row.get::<Timestamp>("at").unwrap().to_string(), "2026-03-08T10:00:00.25Z");
    assert_eq!(row.get::<Timestamp>("ntz").unwrap().to_string(), "2026-03-08T10:00:00Z");
    assert_eq!(row.get::<String>("s").unwrap(), "Grüße 😀");
    assert_eq!(row.get::<String>("list").unwrap(), "[1,2]");
    assert!(columns.iter().all(|(name, _)| rows[1].get::<Option<i64>>(name).unwrap().is_none()));
}

#[tokio::test]
async fn timestamp_uses_the_zone_of_the_warehouse_and_ntz_does_not() {
    let body = done(
        &[("at", "TIMESTAMP"), ("ntz", "TIMESTAMP_NTZ")],
        json!([["2026-11-25 00:00:00", "2026-11-25 00:00:00"]]),
    );
    let world = World::with(vec![ok(body)], |settings| {
        settings.time_zone = TimeZone::get("America/Los_Angeles").unwrap();
    })
    .await;
    let answer = world.client.query(&statement()).await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<Timestamp>("at").unwrap().to_string(), "2026-11-25T08:00:00Z");
    assert_eq!(row.get::<Timestamp>("ntz").unwrap().to_string(), "2026-11-25T00:00:00Z");
}

#[tokio::test]
async fn empty_answer_has_its_columns() {
    let mut body = done(&[("n", "BIGINT")], json!([]));
    body["result"] = json!({});
    let world = World::new(vec![ok(body)]).await;
    let answer = world.client.query(&statement()).await.unwrap();
    assert!(answer.is_empty() && answer.columns()[0].name == "n");
}

/// A first chunk of one row that names the next chunk.
fn first_of(chunks: u64, next: u64) -> Json {
    let mut body = done(&[("n", "BIGINT")], json!([["1"]]));
    body["manifest"]["total_chunk_count"] = json!(chunks);
    body["manifest"]["total_row_count"] = json!(chunks);
    body["result"]["next_chunk_index"] = json!(next);
    body
}

fn chunk(value: &str, next: Option<u64>) -> Json {
    json!({ "data_array": [[value]], "next_chunk_index": next })
}

#[tokio::test]
async fn answer_in_chunks_is_read_to_its_end() {
    // Some answers name the next chunk only by its link.
    let link = "/api/2.0/sql/statements/01ef-1/result/chunks/2?row_offset=2";
    let second = json!({ "data_array": [["2"]], "next_chunk_internal_link": link });
    let world = World::new(vec![ok(first_of(3, 1)), ok(second), ok(chunk("3", None))]).await;
    let answer = world.client.query(&statement()).await.unwrap();
    let numbers: Vec<i64> = answer.rows().map(|row| row.get("n").unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(
        world.server.lines().await[1..],
        [
            "GET /api/2.0/sql/statements/01ef-1/result/chunks/1",
            "GET /api/2.0/sql/statements/01ef-1/result/chunks/2"
        ]
    );
}

#[tokio::test]
async fn stream_hands_on_each_chunk_until_its_sink_breaks() {
    use std::ops::ControlFlow;
    use std::sync::{Arc, Mutex};
    let answers = || vec![ok(first_of(3, 1)), ok(chunk("2", Some(2))), ok(chunk("3", None))];
    for (most, numbers, requests) in [(9, "1 2 3", 3), (2, "1 2", 2)] {
        let world = World::new(answers()).await;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let taken = taken.clone();
            Box::new(move |block: &crate::sql::Block<'_>| {
                let mut taken = taken.lock().unwrap();
                for row in block.rows() {
                    let Value::Integer(number) = block.value(0, row[0]) else { panic!("not a number") };
                    taken.push(number.to_string());
                }
                if taken.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        };
        world.client.stream(&statement(), sink).await.unwrap();
        assert_eq!(taken.lock().unwrap().join(" "), numbers);
        assert_eq!(world.server.lines().await.len(), requests);
    }
    let ends = vec![ok(first_of(3, 1)), ok(chunk("2", None))];
    let error =
        World::new(ends).await.client.stream(&statement(), Box::new(|_| ControlFlow::Continue(()))).await;
    assert!(error.unwrap_err().to_string().contains("there are more chunks"));
}

#[tokio::test]
async fn incomplete_answer_is_an_error() {
    let mut truncated = done(&[("n", "BIGINT")], json!([["1"]]));
    truncated["manifest"]["truncated"] = json!(true);
    let long = "x".repeat(600);
    let mut fewer = done(&[("n", "BIGINT")], json!([["1"]]));
    fewer["manifest"]["total_row_count"] = json!(2);
    let mut errors = Vec::new();
    for answers in [
        vec![ok(done(&[("n", "BIGINT")], json!([["1"], ["2"], ["3"], ["4"]])))],
        vec![ok(truncated)],
        vec![ok(done(&[("s", "STRING")], json!([[long], [long]])))],
        vec![ok(fewer)],
        vec![ok(first_of(2, 1)), ok(chunk("2", Some(1)))],
        vec![ok(first_of(3, 1)), ok(chunk("2", None))],
        vec![in_state("CLOSED")],
        vec![in_state("SUCCEEDED")],
    ] {
        errors.push(World::new(answers).await.client.query(&statement()).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(errors.join("\n"), @r"
    coverage of properties: returned more than 3 rows; narrow the query, or count in the warehouse
    coverage of properties: the answer has more than 1000 bytes; select less
    coverage of properties: the answer has more than 1000 bytes; select less
    coverage of properties: unexpected answer at manifest.total_row_count: not the number of rows that were sent
    coverage of properties: unexpected answer at next_chunk_index: an earlier chunk
    coverage of properties: unexpected answer at next_chunk_index: nothing, although there are more chunks
    coverage of properties: unexpected answer at status.state: CLOSED, its result is no longer kept
    coverage of properties: unexpected answer at manifest.schema.columns: nothing
    ");
}

#[tokio::test]
async fn unreadable_value_affects_only_itself_and_is_not_shown() {
    let mut errors = Vec::new();
    let asked = async |columns: &[(&str, &str)], row: Json| {
        let world = World::new(vec![ok(done(columns, json!([row])))]).await;
        world.client.query(&statement()).await
    };
    errors.push(asked(&[("company", "STRING")], json!([{ "a": "s3cret" }])).await.unwrap_err().to_string());
    errors.push(asked(&[("a", "INT"), ("b", "INT")], json!(["1"])).await.unwrap_err().to_string());
    // A value of the wrong type does not affect the others.
    let columns =
        [("n", "BIGINT"), ("at", "TIMESTAMP"), ("rate", "DECIMAL"), ("day", "DATE"), ("found", "BIGINT")];
    let row = json!(["s3cret", "9999-12-31T23:59:59.000Z", "NaN", "s3cret", "7"]);
    let answer = asked(&columns, row).await.unwrap();
    let row = answer.only_row().unwrap();
    assert_eq!(row.get::<i64>("found").unwrap(), 7);
    errors.push(row.get::<i64>("n").unwrap_err().to_string());
    errors.push(row.get::<Option<Timestamp>>("at").unwrap_err().to_string());
    errors.push(row.get::<Decimal>("rate").unwrap_err().to_string());
    errors.push(row.get::<Date>("day").unwrap_err().to_string());
    assert!(!errors.concat().contains("s3cret"));
    insta::assert_snapshot!(errors.join("\n"), @r"
    coverage of properties: unexpected answer at result.data_array[0].company: an object
    coverage of properties: unexpected answer at result.data_array[0]: 1 values for 2 columns
    coverage of properties: column n holds an unreadable value, expected integer; correct the view or the check
    coverage of properties: column at holds an unreadable value, expected timestamp; correct the view or the check
    coverage of properties: column rate holds an unreadable value, expected decimal; correct the view or the check
    coverage of properties: column day holds an unreadable value, expected date; correct the view or the check
    ");
}

#[tokio::test]
async fn failure_inside_a_success_names_its_remedy() {
    let failed = |code: &str, state: Option<&str>, message: &str| {
        let error = json!({ "error_code": code, "message": message });
        ok(
            json!({ "statement_id": "1", "status": { "state": "FAILED", "error": error, "sql_state": state } }),
        )
    };
    let mut errors = Vec::new();
    for (answer, passing) in [
        (
            failed(
                "BAD_REQUEST",
                Some("42P01"),
                "[TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`gone` cannot be found.",
            ),
            false,
        ),
        (
            failed(
                "BAD_REQUEST",
                None,
                "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `nme` cannot be resolved",
            ),
            false,
        ),
        (
            failed(
                "BAD_REQUEST",
                Some("42501"),
                "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have SELECT on table `crm`.`x`",
            ),
            false,
        ),
        (
            failed(
                "BAD_REQUEST",
                Some("42601"),
                "[PARSE_SYNTAX_ERROR] Syntax error at or near 'SELCT'. == SQL == SELCT 's3cret'",
            ),
            false,
        ),
        (
            failed(
                "BAD_REQUEST",
                Some("22018"),
                "[CAST_INVALID_INPUT] The value 's3cret' of the type \"STRING\" cannot be cast",
            ),
            false,
        ),
        (failed("TEMPORARILY_UNAVAILABLE", Some("XXKCM"), "try later"), true),
        (failed("UNAUTHENTICATED", None, "no"), false),
        (ok(json!({ "statement_id": "1", "status": { "state": "FAILED" } })), false),
        (in_state("CANCELED"), true),
    ] {
        let error = World::new(vec![answer]).await.client.query(&statement()).await.unwrap_err();
        assert_eq!(error.kind.is_transient(), passing, "{error}");
        errors.push(error.to_string());
    }
    assert!(!errors.concat().contains("s3cret"));
    insta::assert_snapshot!(errors.join("\n"), @r#"
    coverage of properties: an object is missing ([TABLE_OR_VIEW_NOT_FOUND] The table or view `crm`.`gone` cannot be found); create it, or correct its name
    coverage of properties: an object is missing ([UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `nme` cannot be resolved); create it, or correct its name
    coverage of properties: not permitted ([INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have SELECT on table `crm`.`x`); grant the right to Syncwatch's account
    coverage of properties: the warehouse reports 42601: [PARSE_SYNTAX_ERROR] Syntax error at or near '[hidden]'
    coverage of properties: types do not match ([CAST_INVALID_INPUT] The value '[hidden]' of the type "STRING" cannot be cast); correct the view, or the column that the check names
    coverage of properties: the warehouse reports TEMPORARILY_UNAVAILABLE: try later
    coverage of properties: the warehouse does not accept the credentials; renew the warehouse secret
    coverage of properties: the warehouse reports FAILED: no reason given
    coverage of properties: cancelled from outside; if this persists, ask the warehouse administrator
    "#);
}

#[tokio::test]
async fn unknown_state_counts_as_still_running() {
    let world = World::new(vec![in_state("REBALANCING"), super::one()]).await;
    assert!(world.client.query(&statement()).await.is_ok());
}
