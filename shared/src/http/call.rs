//! One call to a vendor: an attempt within its limits, and its repetition where that is safe.
//!
//! A vendor's client adds how a request is authorized, and what an answer means: [`Vendor`].

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

/// How long one attempt may take, unless a call asks for another limit: a round of a function has 60 s in all, and must
/// still report when a vendor is silent.
pub const ATTEMPT: Duration = Duration::from_secs(15);

/// Whether a call may be made again when it is unknown whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It reads, or sets what it would set again.
    Safe,
    /// It starts or makes something: again only if it was surely not taken.
    OnlyIfNotTaken,
    /// It is not worth a wait.
    Never,
}

/// One call of an API. Its body may hold a secret, so it cannot be shown.
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
    /// A call that reads.
    pub fn get(path: impl Into<String>) -> Self {
        let (method, path) = (Method::GET, path.into());
        Self { method, path, query: Vec::new(), body: None, repeat: Repeat::Safe, timeout: ATTEMPT }
    }
}

/// An answer, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    /// How long a 429 or a 503 asks to wait; at most a day.
    pub asked_for: Option<Duration>,
    /// The time by the vendor's clock.
    pub date: Option<Timestamp>,
    pub content_type: Option<String>,
    /// Where a redirect leads. May hold a secret, so it is not shown.
    pub location: Option<String>,
    pub body: Vec<u8>,
    /// The body is longer than the limit, and only its beginning was read.
    pub cut: bool,
    /// The body, with a marker for each secret that it quotes. `None` if it is not JSON.
    pub json: Option<Json>,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It was not made: an earlier 429 asks for a longer wait than the budget has.
    #[error("rate limited")]
    Gate(Duration),
    /// Nothing came back. The detail holds no address, for some are secrets.
    #[error("{detail}")]
    Lost { detail: String, timed_out: bool, not_taken: bool },
}

/// How an attempt failed, and what that says of the next one.
pub struct Failed<E> {
    pub error: E,
    pub status: Option<StatusCode>,
    pub not_taken: bool,
    pub asked_for: Option<Duration>,
}

/// A request that shows the vendor who asks, and the secrets that no error may quote.
pub type Authorized = (RequestBuilder, Vec<SecretString>);

/// What a vendor's client adds to a call.
pub trait Vendor: Sync {
    type Value;
    type Error: Send;
    /// The bytes of an answer that are read.
    const LARGEST_ANSWER: usize;
    /// Replaces each secret that an answer quotes.
    const HIDDEN: &'static str = "[hidden]";

    /// The address that paths are joined to.
    fn address(&self) -> &Url;

    /// Authorizes a request.
    fn authorize(
        &self,
        request: RequestBuilder,
    ) -> impl Future<Output = Result<Authorized, Failed<Self::Error>>> + Send;

    /// Reads what came of a call, after so many attempts.
    fn read(
        &self,
        call: &Call,
        attempts: u32,
        outcome: Result<Answer, NoAnswer>,
    ) -> Result<Self::Value, Self::Error>;

    /// Whether the same call may well succeed a little later.
    fn may_repeat(&self, error: &Self::Error) -> bool;

    /// Whether the credentials were refused, and not what they ask for.
    fn is_refused(&self, failed: &Failed<Self::Error>) -> bool {
        failed.status == Some(StatusCode::UNAUTHORIZED)
    }

    /// Drops credentials that were refused; `true` if there are others to be had.
    fn renew(&self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// The waits between attempts.
    fn backoff(&self) -> Backoff {
        Backoff::default()
    }
}

/// Makes a call, again where that is safe, likely to help and within the budget.
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
        // A token may be revoked, or may have expired while the function was frozen. A refusal is never taken.
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
        // Asking earlier than it was told to would only prolong it.
        let wait = wait.filter(|_| failed.asked_for.is_none_or(|asked_for| asked_for <= backoff.longest));
        let Some(wait) = wait else {
            if let Some(asked_for) = failed.asked_for.filter(|_| limited) {
                budget.close_gate(asked_for);
            }
            return Err(failed.error);
        };
        let unanswered = budget.now().duration_since(begun);
        let unanswered = if failed.asked_for.is_some() { Duration::ZERO } else { unanswered };
        tracing::debug!(path = call.path, attempts, wait_ms = wait.as_millis(), "may try again");
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
        // The answer of a gate before the work.
        Ok(answer) => answer.status == StatusCode::TOO_MANY_REQUESTS,
        Err(NoAnswer::Gate(_)) => true,
        Err(NoAnswer::Lost { not_taken, .. }) => *not_taken,
    };
    vendor.read(call, attempts, outcome).map_err(|error| Failed { error, status, not_taken, asked_for })
}

/// Sends a request once, and reads at most `limit` bytes of its answer. `hidden` replaces each secret that it quotes.
pub async fn attempt(
    request: RequestBuilder,
    limit: usize,
    secrets: &[SecretString],
    hidden: &str,
) -> Result<Answer, NoAnswer> {
    let lost = |error: reqwest::Error| {
        // A connection that is not made in time has a limit of its own, which is not the attempt's.
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
    // By chunks, for the size that an answer declares need not be the one that it has.
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

/// Replaces the secrets in every text, before any of it can reach an error.
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
