//! How a call is made: its headers, its limits, and its repetition where that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::Instant;

use super::error::{Error, refusal};
use super::settings::Settings;
use super::wire;
use crate::http::keeps_secrets;
use crate::http::retry::{RetryBudget, Watch, http_date, retry_after, waits};
use crate::pipeline::ApiVersion;

/// No answer of Census is nearly as large; one that is would fill the memory of a function.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
const CONTENT_TYPE_CHARS: usize = 80;
/// Stands for "no answer carried a date yet".
const UNKNOWN_CLOCK: i64 = i64::MIN;

/// Whether a call may be made again when nobody knows whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads, or sets what it would set again.
    Safe,
    /// It starts or makes something: again only if it was surely not taken.
    OnlyIfNotTaken,
    /// It is not worth a wait.
    Never,
}

/// One call of the API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Below the version, without a leading slash.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) repeat: Repeat,
}

impl Call {
    pub(super) fn get(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::GET, path, query: Vec::new(), body: None, repeat: Repeat::Safe }
    }
}

/// How an attempt failed, and what that says of the next one.
struct Failed {
    error: Error,
    /// The call was surely not taken.
    not_taken: bool,
    asked_for: Option<Duration>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, not_taken: false, asked_for: None }
    }
}

/// The way to one workspace of Census. Clones share the budget of waiting and what is known of the vendor's clock.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    api: Url,
    authorization: HeaderValue,
    timeout: Duration,
    budget: Arc<RetryBudget>,
    /// Seconds by which the clock of Census is ahead.
    clock_ahead: Arc<AtomicI64>,
    /// When this was made, by our clock and by a watch that nobody sets: our clock is read at the edge only.
    made_at: (Timestamp, Instant),
}

impl Transport {
    pub(super) fn new(
        http: reqwest::Client,
        settings: &Settings,
        now: Timestamp,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, Error> {
        let version = match settings.version {
            ApiVersion::V1 => "v1",
            ApiVersion::V2 => "v2",
        };
        let base = Url::parse(&settings.base_url).map_err(|_| Error::InvalidBaseUrl)?;
        // A query would swallow the path.
        if !keeps_secrets(&base) || base.query().is_some() || base.fragment().is_some() {
            return Err(Error::InvalidBaseUrl);
        }
        let api = format!("{}/api/{version}/", base.as_str().trim_end_matches('/'));
        let api = Url::parse(&api).map_err(|_| Error::InvalidBaseUrl)?;
        let bearer = format!("Bearer {}", settings.token.expose_secret().trim());
        let mut authorization = HeaderValue::from_str(&bearer).map_err(|_| Error::InvalidToken)?;
        authorization.set_sensitive(true);
        let begun = watch.now();
        Ok(Self {
            http,
            api,
            authorization,
            timeout: settings.timeout,
            budget: Arc::new(RetryBudget::new(settings.retry_budget, watch)),
            clock_ahead: Arc::new(AtomicI64::new(UNKNOWN_CLOCK)),
            made_at: (now, begun),
        })
    }

    /// Where the calls go: scheme, host, `/api/` and the version, with a slash at the end.
    pub(super) fn api(&self) -> &str {
        self.api.as_str()
    }

    pub(super) fn clock_ahead(&self) -> Option<SignedDuration> {
        let seconds = self.clock_ahead.load(Ordering::Relaxed);
        (seconds != UNKNOWN_CLOCK).then(|| SignedDuration::from_secs(seconds))
    }

    /// Makes a call, again where that is safe, likely to help and within the budget.
    pub(super) async fn send(&self, call: Call) -> Result<Value, Error> {
        let operation = call.operation;
        let mut waits = waits();
        let mut attempts = 0;
        loop {
            if let Err(closed) = self.budget.pass_gate().await {
                return Err(Error::RateLimited { operation, attempts, retry_after: Some(closed) });
            }
            attempts += 1;
            let begun = self.budget.now();
            let failed = match self.attempt(&call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let may_repeat = failed.error.is_transient()
                && match call.repeat {
                    Repeat::Safe => true,
                    Repeat::OnlyIfNotTaken => failed.not_taken,
                    Repeat::Never => false,
                };
            let limited = matches!(failed.error, Error::RateLimited { .. });
            let silent = matches!(failed.error, Error::Timeout { .. } | Error::Transport { .. });
            let unanswered = if silent { self.budget.now().duration_since(begun) } else { Duration::ZERO };
            let wait = waits.next().filter(|_| may_repeat).map(|wait| failed.asked_for.unwrap_or(wait));
            let waited = match wait {
                Some(wait) => {
                    tracing::debug!(operation, attempts, wait_ms = wait.as_millis(), "may try again");
                    self.budget.wait(wait, unanswered, limited).await
                }
                None => {
                    if let Some(asked_for) = failed.asked_for.filter(|_| limited) {
                        self.budget.close_gate(asked_for);
                    }
                    false
                }
            };
            if !waited {
                return Err(failed.error.after(attempts));
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Value, Failed> {
        let operation = call.operation;
        let response = self.request(call)?.send().await.map_err(|error| {
            let not_taken = error.is_connect();
            Failed { not_taken, ..self.unreachable(operation, error).into() }
        })?;
        self.note_clock(response.headers());
        let status = response.status();
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        let asked_for = if limited || status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers();
            retry_after(header(headers, &RETRY_AFTER), header(headers, &DATE), self.now())
        } else {
            None
        };
        let content_type = header(response.headers(), &CONTENT_TYPE).unwrap_or("no content type");
        let content_type: String = content_type.chars().take(CONTENT_TYPE_CHARS).collect();
        let body = self.body(operation, response).await?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        if !status.is_success() {
            let message = self.message(answer.as_ref());
            let error = refusal(operation, &call.path, status, message.as_deref(), asked_for);
            // A 429 is the answer of a gate before the work.
            return Err(Failed { error, not_taken: limited, asked_for });
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::EmptyBody { operation, status: status.as_u16() }.into());
        }
        let answer = answer.ok_or(Error::NotJson { operation, status: status.as_u16(), content_type })?;
        match inner_status(&answer, status) {
            Some(inner) => {
                let message = self.message(Some(&answer));
                Err(refusal(operation, &call.path, inner, message.as_deref(), None).into())
            }
            None => Ok(answer),
        }
    }

    fn request(&self, call: &Call) -> Result<reqwest::RequestBuilder, Error> {
        let url = self.api.join(&call.path).map_err(|_| Error::InvalidBaseUrl)?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .timeout(self.timeout);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        Ok(request)
    }

    /// The vendor's sentence. One that quotes our headers must not carry the token into a log.
    fn message(&self, answer: Option<&Value>) -> Option<String> {
        let message = wire::text(answer?.get("message"))?;
        let bearer = self.authorization.to_str().unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").filter(|token| !token.is_empty());
        Some(match token {
            Some(token) => message.replace(token, "[token]"),
            None => message,
        })
    }

    fn now(&self) -> Timestamp {
        let (made_at, begun) = self.made_at;
        let since = SignedDuration::try_from(self.budget.now().duration_since(begun));
        since.map_or(made_at, |since| made_at.saturating_add(since).unwrap_or(made_at))
    }

    fn note_clock(&self, headers: &HeaderMap) {
        if let Some(theirs) = header(headers, &DATE).and_then(http_date) {
            self.clock_ahead.store(theirs.duration_since(self.now()).as_secs(), Ordering::Relaxed);
        }
    }

    fn unreachable(&self, operation: &'static str, error: reqwest::Error) -> Error {
        // A connection that does not come about in time has a limit of its own, so it is not told as our timeout.
        if error.is_timeout() && !error.is_connect() {
            return Error::Timeout { operation, seconds: self.timeout.as_secs() };
        }
        // The address is in pipeline.toml; without it no query and no password can slip into a log.
        Error::Transport { operation, detail: crate::http::chain(&error.without_url()) }
    }

    /// Reads the body by chunks, for the size that an answer declares need not be the one that it has.
    async fn body(&self, operation: &'static str, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(operation, error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let found = format!("more than {LARGEST_ANSWER} bytes");
                return Err(Error::Shape { operation, path: "the answer as a whole".to_owned(), found });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The status of an error that came dressed as a success: the documented error of a trigger is
/// `{"status":"error","message":...}`, and no source says with which HTTP status; other errors have a number there.
fn inner_status(answer: &Value, status: StatusCode) -> Option<StatusCode> {
    match answer.get("status")? {
        Value::String(word) if word.eq_ignore_ascii_case("error") => Some(status),
        Value::Number(number) => {
            let number = number.as_u64().and_then(|number| u16::try_from(number).ok());
            number.filter(|number| *number >= 400).and_then(|number| StatusCode::from_u16(number).ok())
        }
        _ => None,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
