//! How a call is made: its headers, its limits, and its repetition where that is safe.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderName, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value as Json;

use super::auth::Auth;
use super::wire;
use super::{LAST_WORDS, STATEMENTS};
use crate::census::retry::{RetryBudget, Watch, http_date, retry_after, waits};
use crate::warehouse::error::{Error, SettingsError};
use crate::warehouse::settings::DatabricksSettings;
use crate::warehouse::statement::Statement;

/// How long one attempt may take, beyond the time that the server was asked to hold its answer back.
pub(super) const ATTEMPT: Duration = Duration::from_secs(15);
/// The server stops at 25 MiB of values in one answer; JSON writes some of them longer.
const LARGEST_ANSWER: usize = 40 << 20;

/// Whether a call may be made again when nobody knows whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads, or stops what it would stop again.
    Safe,
    /// It writes: again only if it was surely not taken.
    OnlyIfNotTaken,
}

/// One call of the API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Json>,
    pub(super) repeat: Repeat,
    pub(super) timeout: Duration,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, repeat: Repeat::Safe, timeout: ATTEMPT }
    }

    pub(super) fn cancel(id: &str) -> Self {
        Self { method: Method::POST, timeout: LAST_WORDS, ..Self::get(format!("{STATEMENTS}/{id}/cancel")) }
    }
}

/// How an attempt failed, and what that says of the next one.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The call was surely not taken.
    pub(super) not_taken: bool,
    /// The server asked for this wait.
    pub(super) asked_for: Option<Duration>,
    /// The token was not accepted.
    pub(super) unauthorized: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, not_taken: false, asked_for: None, unauthorized: false }
    }
}

/// The way to one workspace. Clones share the token.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    auth: Arc<Auth>,
}

impl Transport {
    pub(super) fn new(
        http: reqwest::Client,
        settings: &DatabricksSettings,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SettingsError> {
        let bad = SettingsError {
            setting: "base_url".to_owned(),
            problem: "is not a plain https URL such as https://dbc-1.cloud.databricks.com: correct it",
        };
        let base = Url::parse(&settings.base_url).map_err(|_| bad.clone())?;
        // Credentials in an address would be shown wherever the address is.
        let bare = base.username().is_empty()
            && base.password().is_none()
            && base.path() == "/"
            && base.query().is_none()
            && base.fragment().is_none();
        // The token travels in the clear on HTTP, so that is for a lab on this machine only.
        let loopback = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if !bare || !(base.scheme() == "https" || base.scheme() == "http" && loopback) {
            return Err(bad);
        }
        if settings.warehouse_id.is_empty() {
            let problem = "is empty: copy it from the warehouse's connection details";
            return Err(SettingsError { setting: "warehouse_id".to_owned(), problem });
        }
        let auth = Auth::new(&settings.auth, &base, watch)?;
        Ok(Self { http, base, auth: Arc::new(auth) })
    }

    /// Makes a call, again where that is safe, likely to help and within the budget.
    pub(super) async fn send(
        &self,
        statement: &Statement,
        call: &Call,
        budget: &RetryBudget,
    ) -> Result<Json, Error> {
        let mut waits = waits();
        let mut may_renew = true;
        loop {
            let begun = budget.now();
            let failed = match self.attempt(statement, call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            // A token may be revoked, or may have expired while the function was frozen. A refusal is never taken.
            if failed.unauthorized && std::mem::take(&mut may_renew) && self.auth.forget().await {
                continue;
            }
            let may_repeat = failed.error.is_transient() && (call.repeat == Repeat::Safe || failed.not_taken);
            let silent = failed.asked_for.is_none();
            let unanswered = if silent { budget.now().duration_since(begun) } else { Duration::ZERO };
            let wait = waits.next().filter(|_| may_repeat).map(|wait| failed.asked_for.unwrap_or(wait));
            let waited = match wait {
                Some(wait) => budget.wait(wait, unanswered, false).await,
                None => false,
            };
            if !waited {
                return Err(failed.error);
            }
        }
    }

    async fn attempt(&self, statement: &Statement, call: &Call) -> Result<Json, Failed> {
        let authorization = self.auth.authorization(&self.http, statement).await?;
        let url = self.base.join(&call.path).map_err(|_| unreachable_at(statement, "a path that is none"))?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .header(reqwest::header::AUTHORIZATION, authorization.clone())
            .timeout(call.timeout);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        answer(statement, request, &self.auth.secrets(&authorization)).await
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
    unreachable_at(statement, &crate::aws::chain(&error.without_url()))
}

fn unreachable_at(statement: &Statement, detail: &str) -> Error {
    Error::Unreachable { statement: statement.label().to_owned(), detail: detail.to_owned() }
}
