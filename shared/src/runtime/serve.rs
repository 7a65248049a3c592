//! The event loop: waits for an event, reads the clock once, answers.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::env::{Env, Needs};
use super::site::Site;
use super::{clock, log};
use crate::http::chain;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Variables that the Lambda service sets; its runtime library panics without them.
const LAMBDA: [&str; 4] =
    ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", MEMORY];
/// In MB.
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// Runs a function: reads its settings, builds it, and answers events until the Lambda service ends the process.
///
/// `build` creates the function from its site. If that fails, or the site cannot be connected, every event is answered
/// with the reason, so that callers see it; a process that exits would be restarted repeatedly and report less.
/// `handler` gets the function, the event and its arrival time: the clock is read only here. `{"task": "ping"}` is
/// answered here without any check.
pub async fn run<T, E, F, H>(
    needs: Needs,
    build: impl AsyncFnOnce(Site) -> Result<T, E>,
    handler: H,
) -> ExitCode
where
    E: Into<BoxError>,
    F: Into<BoxError>,
    H: AsyncFn(&T, Value, Timestamp) -> Result<Value, F>,
{
    let env = Env::process();
    log::init(&env);
    if let Err(reason) = in_lambda(&env) {
        tracing::error!("{reason}");
        return ExitCode::from(2);
    }
    let app = match Site::connect(&env, needs).await {
        Ok(site) => {
            let pipeline = site.pipeline.name.clone();
            build(site).await.map(|app| (app, pipeline)).map_err(Into::into)
        }
        Err(error) => Err(error.into()),
    };
    let app = app.map_err(|error: BoxError| Failure::new("Syncwatch.Startup", &*error));
    if let Err(failure) = &app {
        tracing::error!(error = ?failure, "function not started");
    }
    let (app, handler) = (&app, &handler);
    let service =
        service_fn(async move |event: LambdaEvent<Value>| answer(app, handler, event.payload).await);
    match lambda_runtime::run(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The Runtime API is gone or sends invalid answers: only a new process can help.
            tracing::error!(error = %chain(&*error), "Lambda Runtime API failed");
            ExitCode::FAILURE
        }
    }
}

async fn answer<T, F, H>(
    app: &Result<(T, String), Failure>,
    handler: &H,
    event: Value,
) -> Result<Value, Failure>
where
    F: Into<BoxError>,
    H: AsyncFn(&T, Value, Timestamp) -> Result<Value, F>,
{
    let (app, pipeline) = app.as_ref().map_err(Failure::clone)?;
    if event.get("task").is_some_and(|task| task == "ping") {
        return Ok(json!({ "pong": pipeline }));
    }
    let now = clock::now();
    handler(app, event, now).await.map_err(|error| Failure::new("Syncwatch.Run", &*error.into()))
}

/// An event that the function does not support.
#[derive(Debug, thiserror::Error)]
#[error("unknown event: expected {known} or {{\"task\": \"ping\"}}")]
pub struct UnknownEvent {
    known: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Parses an event. `known` lists the supported events, for the error.
pub fn read_event<E: DeserializeOwned>(event: Value, known: &'static str) -> Result<E, UnknownEvent> {
    serde_json::from_value(event).map_err(|source| UnknownEvent { known, source })
}

fn in_lambda(env: &Env) -> Result<(), String> {
    let hint = "this program is an AWS Lambda function; `make demo` runs it on this machine";
    let missing: Vec<&str> = LAMBDA.into_iter().filter(|name| env.optional(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(format!("{hint} (not set: {})", missing.join(", ")));
    }
    let memory = env.optional(MEMORY).unwrap_or_default();
    match memory.parse::<i32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{hint} ({MEMORY} is {memory:?}, not a whole number)")),
    }
}

/// An error as Lambda reports it: a stable type, and all causes in one line.
#[derive(Clone)]
struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    fn new(kind: &'static str, error: &(dyn StdError + 'static)) -> Self {
        Self { kind, message: chain(error) }
    }
}

/// The runtime library logs errors by `Debug`, so this is the text that operators read.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}

#[cfg(test)]
mod tests;
