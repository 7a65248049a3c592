//! One call to a vendor: attempts within limits, with retries where they are safe.
//!
//! A vendor's client authorizes requests and interprets answers by [`Vendor`].

use std::future::Future;
use std::mem;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;

use super::client::chain;
use super::retry::{Backoff, RetryBudget, http_date, retry_after};

/// The default time limit of one attempt: a function's round has 60 s in all, and must still report a vendor that does
/// not answer.
pub const ATTEMPT: Duration = Duration::from_secs(15);

/// Whether a call may be retried when its effect is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It reads, or is idempotent.
    Safe,
    /// It starts or creates something: retried only if it certainly had no effect.
    OnlyIfNotTaken,
    /// It is not worth waiting for.
    Never,
}

/// A call of an API. Its body may contain a secret, so it has no `Debug`.
pub struct Call {
    pub method: Method,
    /// Joined to the vendor's address.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Json>,
    pub repeat: Repeat,
    /// For one attempt.
    pub timeout: Duration,
}

impl Call {
    /// Creates a call that reads.
    pub fn get(path: impl Into<String>) -> Self {
        let (method, path) = (Method::GET, path.into());
        Self { method, path, query: Vec::new(), body: None, repeat: Repeat::Safe, timeout: ATTEMPT }
    }
}

/// An answer with any status.
pub struct Answer {
    pub status: StatusCode,
    /// The wait that a 429 or a 503 requests; at most a day.
    pub asked_for: Option<Duration>,
    /// The time by the vendor's clock.
    pub date: Option<Timestamp>,
    pub content_type: Option<String>,
    /// The target of a redirect. It may contain a secret, so it is not shown.
    pub location: Option<String>,
    pub body: Vec<u8>,
    /// Whether the body exceeds the limit, so that only its beginning was read.
    pub cut: bool,
    /// The body, with quoted secrets replaced by a marker. `None` if it is not JSON.
    pub json: Option<Json>,
}

/// The reason for which a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It was not sent: an earlier 429 requested a longer wait than the budget has.
    #[error("rate limited")]
    Gate(Duration),
    /// No answer arrived. The detail contains no address, as some addresses are secrets.
    #[error("{detail}")]
    Lost { detail: String, timed_out: bool, not_taken: bool },
}

/// A failed attempt, with the facts that decide about a retry.
pub struct Failed<E> {
    pub error: E,
    pub status: Option<StatusCode>,
    pub not_taken: bool,
    pub asked_for: Option<Duration>,
}

/// An authorized request, and the secrets that no error may quote.
pub type Authorized = (RequestBuilder, Vec<SecretString>);

/// The part of a call that depends on the vendor.
pub trait Vendor: Sync {
    type Value;
    type Error: Send;
    /// The bytes of an answer that are read at most.
    const LARGEST_ANSWER: usize;
    /// The marker that replaces each quoted secret.
    const HIDDEN: &'static str = "[hidden]";

    /// Returns the address that paths are joined to.
    fn address(&self) -> &Url;

    /// Authorizes a request.
    fn authorize(
        &self,
        request: RequestBuilder,
    ) -> impl Future<Output = Result<Authorized, Failed<Self::Error>>> + Send;

    /// Interprets the outcome of a call, after so many attempts.
    fn read(
        &self,
        call: &Call,
        attempts: u32,
        outcome: Result<Answer, NoAnswer>,
    ) -> Result<Self::Value, Self::Error>;

    /// Returns whether the same call may succeed later.
    fn may_repeat(&self, error: &Self::Error) -> bool;

    /// Returns whether the vendor refused the credentials rather than the request.
    fn is_refused(&self, failed: &Failed<Self::Error>) -> bool {
        failed.status == Some(StatusCode::UNAUTHORIZED)
    }

    /// Drops refused credentials; `true` if others are available.
    fn renew(&self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Returns the waits between attempts.
    fn backoff(&self) -> Backoff {
        Backoff::default()
    }
}

/// Sends a call and retries it if that is safe, likely to help and within the budget.
pub async fn send<V: Vendor>(
    http: &Client,
    budget: &RetryBudget,
    vendor: &V,
    call: &Call,
) -> Result<V::Value, V::Error> {
    let backoff = vendor.backoff();
    let mut waits = backoff.waits();
    let (mut attempts, mut may_renew) = (0, true);
    loop {
        if let Err(closed) = budget.pass_gate().await {
            return vendor.read(call, attempts, Err(NoAnswer::Gate(closed)));
        }
        attempts += 1;
        let begun = budget.now();
        let failed = match once(http, vendor, call, attempts).await {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        // A token may be revoked, or may have expired while the function was frozen. A refused call had no effect.
        if vendor.is_refused(&failed) && mem::take(&mut may_renew) && vendor.renew().await {
            continue;
        }
        let may_repeat = vendor.may_repeat(&failed.error)
            && match call.repeat {
                Repeat::Safe => true,
                Repeat::OnlyIfNotTaken => failed.not_taken,
                Repeat::Never => false,
            };
        let limited = failed.status == Some(StatusCode::TOO_MANY_REQUESTS);
        let wait = waits.next().filter(|_| may_repeat).map(|wait| failed.asked_for.unwrap_or(wait));
        // A retry before the requested wait would only prolong the limit.
        let wait = wait.filter(|_| failed.asked_for.is_none_or(|asked_for| asked_for <= backoff.longest));
        let Some(wait) = wait else {
            if let Some(asked_for) = failed.asked_for.filter(|_| limited) {
                budget.close_gate(asked_for);
            }
            return Err(failed.error);
        };
        let unanswered = budget.now().duration_since(begun);
        let unanswered = if failed.asked_for.is_some() { Duration::ZERO } else { unanswered };
        tracing::debug!(path = call.path, attempts, wait_ms = wait.as_millis(), "attempt failed");
        if !budget.wait(wait, unanswered, limited).await {
            return Err(failed.error);
        }
    }
}

async fn once<V: Vendor>(
    http: &Client,
    vendor: &V,
    call: &Call,
    attempts: u32,
) -> Result<V::Value, Failed<V::Error>> {
    let outcome = match vendor.address().join(&call.path) {
        Ok(url) => {
            let mut request = http.request(call.method.clone(), url).timeout(call.timeout);
            if !call.query.is_empty() {
                request = request.query(&call.query);
            }
            if let Some(body) = &call.body {
                request = request.json(body);
            }
            let (request, secrets) = vendor.authorize(request).await?;
            attempt(request, V::LARGEST_ANSWER, &secrets, V::HIDDEN).await
        }
        Err(_) => {
            Err(NoAnswer::Lost { detail: "invalid path".to_owned(), timed_out: false, not_taken: true })
        }
    };
    let (status, asked_for) =
        outcome.as_ref().map_or((None, None), |answer| (Some(answer.status), answer.asked_for));
    let not_taken = match &outcome {
        // A 429 comes from a gate before the work.
        Ok(answer) => answer.status == StatusCode::TOO_MANY_REQUESTS,
        Err(NoAnswer::Gate(_)) => true,
        Err(NoAnswer::Lost { not_taken, .. }) => *not_taken,
    };
    vendor.read(call, attempts, outcome).map_err(|error| Failed { error, status, not_taken, asked_for })
}

/// Sends a request once, and reads at most `limit` bytes of its answer. `hidden` replaces each quoted secret.
pub async fn attempt(
    request: RequestBuilder,
    limit: usize,
    secrets: &[SecretString],
    hidden: &str,
) -> Result<Answer, NoAnswer> {
    let lost = |error: reqwest::Error| {
        // Connecting has its own time limit, which is not the attempt's.
        let (timed_out, not_taken) = (error.is_timeout() && !error.is_connect(), error.is_connect());
        NoAnswer::Lost { detail: chain(&error.without_url()), timed_out, not_taken }
    };
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let date = header(&response, &DATE).and_then(http_date);
    let asked_for = retry_after(header(&response, &RETRY_AFTER).filter(|_| busy), date);
    let content_type = header(&response, &CONTENT_TYPE).map(str::to_owned);
    let location = header(&response, &LOCATION).map(str::to_owned);
    let (mut body, mut cut) = (Vec::new(), false);
    // In chunks, as an answer may be longer than it declares.
    while !cut && let Some(chunk) = response.chunk().await.map_err(lost)? {
        let room = limit.saturating_sub(body.len());
        cut = chunk.len() > room;
        body.extend(chunk.into_iter().take(room));
    }
    let mut json: Option<Json> = if cut { None } else { serde_json::from_slice(&body).ok() };
    if let Some(json) = &mut json {
        hide(json, secrets, hidden);
    }
    Ok(Answer { status, asked_for, date, content_type, location, body, cut, json })
}

fn header<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Replaces the secrets in every string, before any can reach an error.
fn hide(json: &mut Json, secrets: &[SecretString], hidden: &str) {
    match json {
        Json::String(text) => {
            for secret in secrets.iter().map(ExposeSecret::expose_secret) {
                if !secret.is_empty() && text.contains(secret) {
                    *text = text.replace(secret, hidden);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets, hidden)),
        Json::Object(fields) => fields.values_mut().for_each(|field| hide(field, secrets, hidden)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
