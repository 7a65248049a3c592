//! How a call is made: its headers, its limits, and its repetition where that is safe.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value as Json;

use super::attempt::{ATTEMPT, Failed, answer, unreachable_at};
use super::auth::Auth;
use super::{LAST_WORDS, STATEMENTS};
use crate::http::retry::{RetryBudget, Watch, waits};
use crate::sql::Error;
use crate::sql::Statement;
use crate::warehouse::settings::DatabricksSettings;
use crate::warehouse::settings::SettingsError;

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
