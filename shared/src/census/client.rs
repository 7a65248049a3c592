//! The calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Error;
use super::retry::{ATTEMPTS, RetryBudget, http_date, retry_after, waits};
use super::wire::{self, SyncPage};
use crate::observation::{ObservedSync, RejectedRecord, Run, RunHistory, RunId, SyncId};
use crate::pipeline::{self, ApiVersion};

/// How long one attempt may take: what the vendor's own V1 client allows itself.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may wait between attempts, all its calls together. A round of a function has 60 s.
const RETRY_BUDGET: Duration = Duration::from_secs(15);
/// No answer of Census is nearly as large; one that is would fill the memory of a function.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
const MESSAGE_CHARS: usize = 300;
/// Entries of a page at the most (Census docs, "Pagination"; more is clamped).
const LARGEST_PAGE: u32 = 100;
/// Stands for "no answer carried a date yet".
const UNKNOWN_CLOCK: i64 = i64::MIN;

/// Where Census is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and host, such as `https://app.getcensus.com`.
    pub base_url: String,
    /// The generation of the API.
    pub version: ApiVersion,
    /// The Fivetran group, which V2 asks for.
    pub group_id: Option<String>,
    /// The token: a workspace key (its `secret-token:` is part of it) or, for V2, a personal access token.
    pub token: SecretString,
    /// How long one attempt of a call may take.
    pub timeout: Duration,
    /// How long to wait between attempts, all calls of the client together.
    pub retry_budget: Duration,
}

impl Settings {
    /// The settings that a pipeline declares; `base_url` stands in for the declared one.
    pub fn of(census: &pipeline::Census, base_url: Option<&str>, token: SecretString) -> Self {
        Self {
            base_url: base_url.unwrap_or(&census.base_url).to_owned(),
            version: census.api_version,
            group_id: census.group_id.clone(),
            token,
            timeout: TIMEOUT,
            retry_budget: RETRY_BUDGET,
        }
    }
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewWebhook {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where Census posts to; Census asks for HTTPS.
    pub endpoint: String,
    /// The events it wants; Census reads an absent list as all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A webhook as Census lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The vendor's id.
    pub id: u64,
    /// Its name.
    pub name: Option<String>,
    /// Where Census posts to.
    pub endpoint: Option<String>,
    /// The events it gets.
    pub events: Vec<String>,
}

/// A webhook that was just made.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    /// The vendor's id.
    pub id: u64,
    /// The signing secret. Census shows it this once.
    pub secret: SecretString,
}

/// Whether a call may be made again when nobody knows whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// It reads, or sets what it would set again.
    Safe,
    /// It starts or makes something: again only if it was surely not taken.
    OnlyIfNotTaken,
}

struct Call<'a> {
    operation: &'static str,
    method: Method,
    path: String,
    query: Vec<(&'a str, String)>,
    body: Option<Value>,
    repeat: Repeat,
}

impl Call<'_> {
    fn get(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::GET, path, query: Vec::new(), body: None, repeat: Repeat::Safe }
    }
}

/// How an attempt failed, and what that says of the next one.
struct Failed {
    error: Error,
    /// The call was surely not taken.
    not_taken: bool,
    /// Census asked for this wait.
    asked_for: Option<Duration>,
}

/// Speaks to one workspace of Census.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    api: Url,
    authorization: HeaderValue,
    group_id: Option<String>,
    timeout: Duration,
    budget: Arc<RetryBudget>,
    /// Seconds by which the clock of Census is ahead.
    clock_ahead: Arc<AtomicI64>,
    /// When the client was made, by our clock and by a watch that nobody sets: our clock is read at the edge only.
    made_at: (Timestamp, Instant),
}

impl Client {
    /// A client on an HTTP stack that is shared with others. `now` is our clock's time, for comparing it with Census's.
    ///
    /// # Errors
    /// [`Error::InvalidBaseUrl`] and [`Error::InvalidToken`].
    pub fn new(http: reqwest::Client, settings: Settings, now: Timestamp) -> Result<Self, Error> {
        let version = match settings.version {
            ApiVersion::V1 => "v1",
            ApiVersion::V2 => "v2",
        };
        let api = format!("{}/api/{version}/", settings.base_url.trim_end_matches('/'));
        let api = Url::parse(&api).map_err(|_| Error::InvalidBaseUrl)?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(Error::InvalidBaseUrl);
        }
        let bearer = format!("Bearer {}", settings.token.expose_secret().trim());
        let mut authorization = HeaderValue::from_str(&bearer).map_err(|_| Error::InvalidToken)?;
        authorization.set_sensitive(true);
        Ok(Self {
            http,
            api,
            authorization,
            // V1 has workspaces in the place of groups, and the token already says which.
            group_id: settings.group_id.filter(|_| settings.version == ApiVersion::V2),
            timeout: settings.timeout,
            budget: Arc::new(RetryBudget::new(settings.retry_budget)),
            clock_ahead: Arc::new(AtomicI64::new(UNKNOWN_CLOCK)),
            made_at: (now, Instant::now()),
        })
    }

    /// How far the clock of Census is ahead of ours by the `Date` of its latest answer, to the second; negative when
    /// behind, `None` before the first answer that had one.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        let seconds = self.clock_ahead.load(Ordering::Relaxed);
        (seconds != UNKNOWN_CLOCK).then(|| SignedDuration::from_secs(seconds))
    }

    /// Lists a page of the workspace's syncs; pages count from 1.
    pub async fn list_syncs_page(&self, page: u32, per_page: u32) -> Result<SyncPage, Error> {
        let mut call = Call::get("list syncs", "syncs".to_owned());
        call.query = paging(page, per_page);
        // Which requests of V2 need the group is documented for webhooks only; a query that is not needed is ignored.
        call.query.extend(self.group_id.clone().map(|group| ("group_id", group)));
        wire::parse_syncs_page(&self.send(call).await?, page)
    }

    /// Reads one sync.
    pub async fn get_sync(&self, id: SyncId) -> Result<ObservedSync, Error> {
        let answer = self.send(Call::get("get sync", format!("syncs/{id}"))).await?;
        wire::parse_sync(wire::object(&answer, "get sync")?)
    }

    /// Lists the newest runs of a sync, newest first.
    pub async fn runs_of_sync(&self, id: SyncId, count: u32) -> Result<RunHistory, Error> {
        self.runs_of_sync_page(id, 1, count).await
    }

    /// Lists a page of the runs of a sync, newest first; pages count from 1.
    pub async fn runs_of_sync_page(&self, id: SyncId, page: u32, per_page: u32) -> Result<RunHistory, Error> {
        let mut call = Call::get("list runs", format!("syncs/{id}/sync_runs"));
        call.query = paging(page, per_page);
        call.query.push(("order", "desc".to_owned()));
        wire::parse_runs_page(&self.send(call).await?, page)
    }

    /// Reads one run.
    pub async fn get_run(&self, id: RunId) -> Result<Run, Error> {
        let answer = self.send(Call::get("get run", format!("sync_runs/{id}"))).await?;
        wire::parse_run(wire::object(&answer, "get run")?)
    }

    /// Samples up to `limit` records of a run that the destination rejected or Census left out as invalid. Their
    /// payloads are customers' data and are never kept.
    pub async fn rejected_records(&self, id: RunId, limit: u32) -> Result<Vec<RejectedRecord>, Error> {
        let mut records = Vec::new();
        for status in ["rejected", "invalid"] {
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            if records.len() >= wanted {
                break;
            }
            let mut call = Call::get("list records", format!("sync_runs/{id}/records"));
            call.query = paging(1, limit);
            call.query.push(("status", status.to_owned()));
            records.extend(wire::parse_rejected(&self.send(call).await?)?);
            records.truncate(wanted);
        }
        Ok(records)
    }

    /// Starts a run of a sync, never a full one. While another run is at work Census is documented to give the new one
    /// the status `skipped`.
    pub async fn trigger(&self, id: SyncId) -> Result<RunId, Error> {
        let operation = "trigger sync";
        let call = Call {
            method: Method::POST,
            query: vec![("force_full_sync", "false".to_owned())],
            repeat: Repeat::OnlyIfNotTaken,
            ..Call::get(operation, format!("syncs/{id}/trigger"))
        };
        let answer = self.send(call).await?;
        wire::id_at(wire::object(&answer, operation)?, "sync_run_id", operation).map(RunId)
    }

    /// Pauses or resumes a sync, and answers with the sync as it then is. Only this one key is sent, for Census replaces
    /// nested objects whole.
    pub async fn set_paused(&self, id: SyncId, paused: bool) -> Result<ObservedSync, Error> {
        let operation = if paused { "pause sync" } else { "resume sync" };
        let call = Call {
            method: Method::PATCH,
            body: Some(json!({ "paused": paused })),
            ..Call::get(operation, format!("syncs/{id}"))
        };
        let answer = self.send(call).await?;
        wire::parse_sync(wire::object(&answer, operation)?)
    }

    /// Lists the workspace's webhooks.
    pub async fn list_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        let operation = "list webhooks";
        let mut webhooks = Vec::new();
        let mut next = Some(1);
        while let Some(page) = next {
            let mut call = Call::get(operation, "webhooks".to_owned());
            call.query = paging(page, LARGEST_PAGE);
            call.query.extend(self.group_id.clone().map(|group| ("group_id", group)));
            let answer = self.send(call).await?;
            let (entries, following) = wire::page(&answer, operation, page)?;
            for entry in entries {
                let events =
                    entry.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                webhooks.push(Webhook {
                    id: wire::id_at(entry, "id", operation)?,
                    name: wire::text(entry.get("name")),
                    endpoint: wire::text(entry.get("endpoint")),
                    events: events.iter().filter_map(|event| wire::text(Some(event))).collect(),
                });
            }
            next = following.filter(|_| !entries.is_empty());
        }
        Ok(webhooks)
    }

    /// Makes a webhook. Its secret is shown this once.
    pub async fn create_webhook(&self, webhook: &NewWebhook) -> Result<CreatedWebhook, Error> {
        let operation = "create webhook";
        let mut body = json!(webhook);
        if let (Some(group), Some(body)) = (&self.group_id, body.as_object_mut()) {
            body.insert("group_id".to_owned(), json!(group));
        }
        let call = Call {
            method: Method::POST,
            body: Some(body),
            repeat: Repeat::OnlyIfNotTaken,
            ..Call::get(operation, "webhooks".to_owned())
        };
        let answer = self.send(call).await?;
        let data = wire::object(&answer, operation)?;
        let secret = wire::text(data.get("secret")).ok_or_else(|| Error::Shape {
            operation,
            path: "data.secret".to_owned(),
            found: "nothing, or an empty text".to_owned(),
        })?;
        Ok(CreatedWebhook { id: wire::id_at(data, "id", operation)?, secret: SecretString::from(secret) })
    }

    /// Makes a call, again where that is safe, likely to help and within the budget.
    async fn send(&self, call: Call<'_>) -> Result<Value, Error> {
        let mut waits = waits();
        for attempt in 1.. {
            self.budget.wait_for_gate().await;
            let failed = match self.attempt(&call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let limited = matches!(failed.error, Error::RateLimited { .. });
            let may_repeat = failed.error.is_transient() && (call.repeat == Repeat::Safe || failed.not_taken);
            let wait = waits.next().map(|wait| failed.asked_for.unwrap_or(wait));
            let within = |wait: &Duration| may_repeat && self.budget.take(*wait, limited);
            match wait.filter(within) {
                Some(wait) => {
                    tracing::debug!(
                        operation = call.operation,
                        attempt,
                        wait_ms = wait.as_millis(),
                        "trying again"
                    );
                    tokio::time::sleep(wait).await;
                }
                None => {
                    return Err(match failed.error {
                        Error::RateLimited { operation, retry_after, .. } => {
                            Error::RateLimited { operation, attempts: attempt, retry_after }
                        }
                        error => error,
                    });
                }
            }
        }
        // The loop has no end of its own; the iterator of waits does, after which an attempt returns.
        Err(Error::RateLimited { operation: call.operation, attempts: ATTEMPTS, retry_after: None })
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Value, Failed> {
        let operation = call.operation;
        let failed = |error, not_taken| Failed { error, not_taken, asked_for: None };
        let url = self.api.join(&call.path).map_err(|_| failed(Error::InvalidBaseUrl, true))?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(reqwest::header::ACCEPT, "application/json")
            .timeout(self.timeout);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| {
            let not_taken = error.is_connect();
            failed(self.transport(operation, error), not_taken)
        })?;
        self.note_clock(response.headers());
        let status = response.status();
        let asked_for = (status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| self.wait_asked_for(response.headers()))
            .flatten();
        let content_type = header(response.headers(), &CONTENT_TYPE).unwrap_or("no content type").to_owned();
        let body = self.body(operation, response).await.map_err(|error| failed(error, false))?;
        if !status.is_success() {
            let error = refusal(call, status, &body, asked_for);
            // A 429 is the answer of a gate before the work.
            return Err(Failed { error, not_taken: status == StatusCode::TOO_MANY_REQUESTS, asked_for });
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(failed(Error::EmptyBody { operation, status: status.as_u16() }, false));
        }
        serde_json::from_slice(&body)
            .map_err(|_| failed(Error::NotJson { operation, status: status.as_u16(), content_type }, false))
    }

    fn now(&self) -> Timestamp {
        let (made_at, watch) = self.made_at;
        SignedDuration::try_from(watch.elapsed())
            .map_or(made_at, |since| made_at.saturating_add(since).unwrap_or(made_at))
    }

    fn note_clock(&self, headers: &HeaderMap) {
        if let Some(theirs) = header(headers, &DATE).and_then(http_date) {
            self.clock_ahead.store(theirs.duration_since(self.now()).as_secs(), Ordering::Relaxed);
        }
    }

    fn wait_asked_for(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after(header(headers, &RETRY_AFTER), header(headers, &DATE), self.now())
    }

    fn transport(&self, operation: &'static str, error: reqwest::Error) -> Error {
        if error.is_timeout() {
            return Error::Timeout { operation, seconds: self.timeout.as_secs() };
        }
        // The address is in pipeline.toml; without it no query and no password can slip into a log.
        Error::Transport { operation, detail: crate::aws::chain(&error.without_url()) }
    }

    async fn body(&self, operation: &'static str, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(operation, error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let found = format!("more than {LARGEST_ANSWER} bytes");
                return Err(Error::Shape { operation, path: "the answer as a whole".to_owned(), found });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn paging(page: u32, per_page: u32) -> Vec<(&'static str, String)> {
    vec![("page", page.max(1).to_string()), ("per_page", per_page.clamp(1, LARGEST_PAGE).to_string())]
}

fn header<'a>(headers: &'a HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The error of an answer that is no success. Its body is JSON with a `status` that is a word or a number and a
/// `message` that may be missing, or no JSON at all; only the message is kept.
fn refusal(call: &Call<'_>, status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Error {
    let operation = call.operation;
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { operation },
        StatusCode::FORBIDDEN => Error::Forbidden { operation },
        StatusCode::NOT_FOUND => Error::NotFound { operation, what: call.path.clone() },
        StatusCode::GONE => Error::Gone { operation, what: call.path.clone() },
        StatusCode::TOO_MANY_REQUESTS => Error::RateLimited { operation, attempts: 1, retry_after },
        _ => {
            let answer: Option<Value> = serde_json::from_slice(body).ok();
            let message = answer.and_then(|answer| wire::text(answer.get("message")));
            let message = message.map(|text| {
                text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MESSAGE_CHARS).collect()
            });
            Error::Status { operation, status: status.as_u16(), message }
        }
    }
}
