//! The transport to Census: authorizes calls and interprets answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::ACCEPT;
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::error::{Error, ErrorKind};
use super::settings::Settings;
use super::wire;
use crate::classify::scrub;
use crate::http::retry::{RetryBudget, Watch};
use crate::http::{self, Answer, Authorized, Call, Failed, NoAnswer, Vendor};
use crate::pipeline::ApiVersion;

const CONTENT_TYPE_CHARS: usize = 80;

/// The transport to one Census workspace. Clones share the retry budget and the offset of Census's clock.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    api: Url,
    token: SecretString,
    group_id: Option<String>,
    timeout: Duration,
    budget: Arc<RetryBudget>,
    /// Seconds by which the clock of Census is ahead; [`i64::MIN`] before the first answer with a date.
    clock_ahead: Arc<AtomicI64>,
    /// When this was created, by our clock and by a monotonic one: our clock is read only at the edge.
    made_at: (Timestamp, Instant),
}

impl Transport {
    pub(super) fn new(
        http: reqwest::Client,
        settings: &Settings,
        now: Timestamp,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, Error> {
        let invalid = |kind: ErrorKind| kind.of("connect to Census");
        let version = match settings.version {
            ApiVersion::V1 => "v1",
            ApiVersion::V2 => "v2",
        };
        let base = http::base_url(&settings.base_url).ok_or_else(|| invalid(ErrorKind::InvalidBaseUrl))?;
        let api = format!("{}/api/{version}/", base.as_str().trim_end_matches('/'));
        let begun = watch.now();
        Ok(Self {
            http,
            api: Url::parse(&api).map_err(|_| invalid(ErrorKind::InvalidBaseUrl))?,
            token: http::token(settings.token.expose_secret())
                .ok_or_else(|| invalid(ErrorKind::InvalidToken))?,
            // V1 has workspaces instead of groups, and the token selects one.
            group_id: settings.group_id.clone().filter(|_| settings.version == ApiVersion::V2),
            timeout: settings.timeout,
            budget: Arc::new(RetryBudget::with_watch(settings.retry_budget, watch)),
            clock_ahead: Arc::new(AtomicI64::new(i64::MIN)),
            made_at: (now, begun),
        })
    }

    /// Returns the base address of all calls: scheme, host, `/api/` and the version, with a trailing slash.
    pub(super) fn api(&self) -> &str {
        self.api.as_str()
    }

    /// Returns the parameter that names the Fivetran group in V2.
    pub(super) fn group(&self) -> Option<(&'static str, String)> {
        self.group_id.clone().map(|group| ("group_id", group))
    }

    pub(super) fn clock_ahead(&self) -> Option<SignedDuration> {
        let seconds = self.clock_ahead.load(Ordering::Relaxed);
        (seconds != i64::MIN).then(|| SignedDuration::from_secs(seconds))
    }

    /// Sends a call and retries it if that is safe, likely to help and within the budget.
    pub(super) async fn send(&self, operation: &'static str, call: Call) -> Result<Value, Error> {
        let call = Call { timeout: self.timeout, ..call };
        http::send(&self.http, &self.budget, self, &call).await.map_err(|kind| kind.of(operation))
    }

    fn note_clock(&self, theirs: Timestamp) {
        let (made_at, begun) = self.made_at;
        let since = SignedDuration::try_from(self.budget.now().duration_since(begun));
        let now = since.map_or(made_at, |since| made_at.saturating_add(since).unwrap_or(made_at));
        self.clock_ahead.store(theirs.duration_since(now).as_secs(), Ordering::Relaxed);
    }
}

impl Vendor for Transport {
    type Value = Value;
    type Error = ErrorKind;
    /// Far larger than any answer of Census, and small enough for the memory of a function.
    const LARGEST_ANSWER: usize = 8 << 20;
    const HIDDEN: &'static str = "[token]";

    fn address(&self) -> &Url {
        &self.api
    }

    async fn authorize(&self, request: RequestBuilder) -> Result<Authorized, Failed<ErrorKind>> {
        let request = request.bearer_auth(self.token.expose_secret()).header(ACCEPT, "application/json");
        Ok((request, vec![self.token.clone()]))
    }

    fn may_repeat(&self, error: &ErrorKind) -> bool {
        error.is_transient()
    }

    fn read(
        &self,
        call: &Call,
        attempts: u32,
        outcome: Result<Answer, NoAnswer>,
    ) -> Result<Value, ErrorKind> {
        let answer = outcome.map_err(|why| match why {
            NoAnswer::Gate(closed) => ErrorKind::RateLimited { attempts, retry_after: Some(closed) },
            NoAnswer::Lost { timed_out: true, .. } => ErrorKind::Timeout { seconds: call.timeout.as_secs() },
            NoAnswer::Lost { detail, .. } => ErrorKind::Transport { detail },
        })?;
        if let Some(theirs) = answer.date {
            self.note_clock(theirs);
        }
        if answer.cut {
            let found = format!("more than {} bytes", Self::LARGEST_ANSWER);
            return Err(ErrorKind::Shape { path: "the top level".to_owned(), found });
        }
        let Answer { status, asked_for, json, .. } = answer;
        let refused = match &json {
            _ if !status.is_success() => Some(status),
            Some(json) => inner_status(json, status),
            None => None,
        };
        if let Some(status) = refused {
            let what = call.path.clone();
            return Err(match status {
                StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
                StatusCode::FORBIDDEN => ErrorKind::Forbidden,
                StatusCode::NOT_FOUND => ErrorKind::NotFound { what },
                StatusCode::GONE => ErrorKind::Gone { what },
                StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited { attempts, retry_after: asked_for },
                status => {
                    let message = json.as_ref().and_then(|json| wire::text(json.get("message")));
                    let message = message.as_deref().map(scrub);
                    ErrorKind::Status { status: status.as_u16(), message }
                }
            });
        }
        let status = status.as_u16();
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Err(ErrorKind::EmptyBody { status });
        }
        json.ok_or_else(|| {
            let content_type = answer.content_type.as_deref().unwrap_or("no content type");
            let content_type = content_type.chars().take(CONTENT_TYPE_CHARS).collect();
            ErrorKind::NotJson { status, content_type }
        })
    }
}

/// Reads the status of an error inside a success: the documented error of a trigger is
/// `{"status":"error","message":...}` without a stated HTTP status; other errors have a number there.
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
