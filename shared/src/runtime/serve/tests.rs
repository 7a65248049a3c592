use serde_json::json;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("the notice was not sent")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("{0}, and no more")]
struct Inner(#[source] Innermost);

#[derive(Debug, thiserror::Error)]
#[error("topic gone")]
struct Innermost;

struct App {
    name: &'static str,
}

impl App {
    async fn run(&self, event: Value, now: Timestamp) -> Result<Value, Outer> {
        if event["task"] == "fail" {
            return Err(Outer(Inner(Innermost)));
        }
        Ok(json!({ "name": self.name, "task": event["task"], "at": now }))
    }
}

fn app() -> Result<(App, String), Failure> {
    Ok((App { name: "probe" }, "properties".to_owned()))
}

#[tokio::test]
async fn handler_gets_the_app_the_event_and_the_time() {
    let before = Timestamp::now();
    let answer = answer(&app(), &App::run, json!({ "task": "verify" })).await.unwrap();
    assert_eq!((&answer["name"], &answer["task"]), (&json!("probe"), &json!("verify")));
    let at: Timestamp = answer["at"].as_str().unwrap().parse().unwrap();
    assert!(before <= at && at <= Timestamp::now());
}

#[tokio::test]
async fn error_lists_each_cause_once() {
    let failure = answer(&app(), &App::run, json!({ "task": "fail" })).await.unwrap_err();
    let diagnostic = Diagnostic::from(failure);
    assert_eq!(diagnostic.error_type, "Syncwatch.Run");
    assert_eq!(diagnostic.error_message, "the notice was not sent: topic gone, and no more");
}

#[tokio::test]
async fn unstarted_function_answers_each_event_with_the_reason() {
    let startup: Result<(App, String), Failure> =
        Err(Failure::new("Syncwatch.Startup", &Outer(Inner(Innermost))));
    for task in ["ping", "verify"] {
        let diagnostic =
            Diagnostic::from(answer(&startup, &App::run, json!({ "task": task })).await.unwrap_err());
        assert_eq!(diagnostic.error_type, "Syncwatch.Startup");
        assert_eq!(diagnostic.error_message, "the notice was not sent: topic gone, and no more");
    }
}

#[tokio::test]
async fn ping_returns_the_pipeline_and_reaches_no_handler() {
    let answer = answer(&app(), &App::run, json!({ "task": "ping" })).await.unwrap();
    assert_eq!(answer, json!({ "pong": "properties" }));
}

#[test]
fn unknown_event_is_refused_with_the_supported_ones() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
    enum Event {
        Verify,
    }
    let known = r#"{"task": "verify"}"#;
    assert!(matches!(read_event(json!({ "task": "verify" }), known), Ok(Event::Verify)));
    let error = read_event::<Event>(json!({ "task": "dance" }), known).unwrap_err();
    assert_eq!(error.to_string(), r#"unknown event: expected {"task": "verify"} or {"task": "ping"}"#);
}

#[tokio::test]
async fn program_outside_lambda_exits_with_a_hint() {
    let nothing = Env::from_map::<&str, &str>([]);
    insta::assert_snapshot!(in_lambda(&nothing).unwrap_err(), @r#"this program is an AWS Lambda function; `make demo` runs it on this machine (not set: AWS_LAMBDA_RUNTIME_API, AWS_LAMBDA_FUNCTION_NAME, AWS_LAMBDA_FUNCTION_VERSION, AWS_LAMBDA_FUNCTION_MEMORY_SIZE)"#);

    let variables = LAMBDA.map(|name| (name, "x"));
    insta::assert_snapshot!(in_lambda(&Env::from_map(variables)).unwrap_err(), @r#"this program is an AWS Lambda function; `make demo` runs it on this machine (AWS_LAMBDA_FUNCTION_MEMORY_SIZE is "x", not a whole number)"#);
    let variables = LAMBDA.map(|name| (name, "128"));
    assert_eq!(in_lambda(&Env::from_map(variables)), Ok(()));
}
