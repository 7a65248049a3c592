//! One attempt of a call: its answer, or how it failed.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value as Json;

use super::wire;
use crate::http::retry::{http_date, retry_after};
use crate::sql::{Error, Statement};

/// How long one attempt may take, beyond the time that the server was asked to hold its answer back.
pub(super) const ATTEMPT: Duration = Duration::from_secs(15);
/// The server stops at 25 MiB of values in one answer; JSON writes some of them longer.
const LARGEST_ANSWER: usize = 40 << 20;

/// How an attempt failed, and what that says of the next one.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The call was surely not taken.
    pub(super) not_taken: bool,
    pub(super) asked_for: Option<Duration>,
    /// The token was not accepted.
    pub(super) unauthorized: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, not_taken: false, asked_for: None, unauthorized: false }
    }
}

/// Sends a request and reads its JSON. An empty body is an empty object: cancelling answers with nothing.
pub(super) async fn answer(
    statement: &Statement,
    request: reqwest::RequestBuilder,
    secrets: &[&str],
) -> Result<Json, Failed> {
    let response = request.send().await.map_err(|error| {
        let not_taken = error.is_connect();
        Failed { not_taken, ..unreachable(statement, error).into() }
    })?;
    let status = response.status();
    let asked_for = asked_for(&response);
    let body = without(body(statement, response).await?, secrets);
    let json: Option<Json> = if body.is_empty() {
        Some(Json::Object(serde_json::Map::new()))
    } else {
        serde_json::from_slice(&body).ok()
    };
    if status.is_success() {
        return json.ok_or_else(|| {
            let found = "something that is no JSON; does base_url lead to Databricks?".to_owned();
            let place = "the answer as a whole".to_owned();
            Error::Shape { statement: statement.label().to_owned(), place, found }.into()
        });
    }
    let error = wire::refusal(statement, status.as_u16(), json.as_ref(), asked_for);
    Err(Failed {
        error,
        // Both are the answers of a gate before the work.
        not_taken: matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED),
        asked_for,
        unauthorized: status == StatusCode::UNAUTHORIZED,
    })
}

fn asked_for(response: &Response) -> Option<Duration> {
    let header = |name: &HeaderName| response.headers().get(name)?.to_str().ok();
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let asked = header(&RETRY_AFTER)?;
    // A date is compared with the answer's own; without one it would need our clock, which is read at the edge only.
    let dated = header(&DATE).and_then(http_date);
    let now = dated.or_else(|| asked.trim().parse::<u64>().is_ok().then_some(Timestamp::UNIX_EPOCH))?;
    retry_after(Some(asked), header(&DATE), now)
}

/// An answer that quotes what we sent must not carry a credential into an error. Answers with many rows quote nothing.
fn without(body: Vec<u8>, secrets: &[&str]) -> Vec<u8> {
    const LONGEST_QUOTING: usize = 64 << 10;
    if body.len() > LONGEST_QUOTING {
        return body;
    }
    match String::from_utf8(body) {
        Ok(text) => secrets.iter().fold(text, |text, secret| text.replace(secret, "[hidden]")).into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

/// Reads the body by chunks, for the size that an answer declares need not be the one that it has.
async fn body(statement: &Statement, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(statement, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            let (statement, what) = (statement.label().to_owned(), "the answer".to_owned());
            return Err(Error::TooLarge { statement, what, limit: LARGEST_ANSWER });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(statement: &Statement, error: reqwest::Error) -> Error {
    unreachable_at(statement, &crate::http::chain(&error.without_url()))
}

pub(super) fn unreachable_at(statement: &Statement, detail: &str) -> Error {
    Error::Unreachable { statement: statement.label().to_owned(), detail: detail.to_owned() }
}
