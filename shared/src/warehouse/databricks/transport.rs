//! The transport to a workspace: authorizes calls and interprets answers.

use std::sync::Arc;

use reqwest::{RequestBuilder, Url};
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

use super::auth::Auth;
use super::wire;
use crate::http::retry::{RetryBudget, Watch};
use crate::http::{self, Answer, Authorized, Call, Failed, NoAnswer, Vendor};
use crate::sql::{ErrorKind, Statement};
use crate::warehouse::settings::{DatabricksSettings, SettingsError};

/// The transport to one workspace. Clones share the token.
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
        let base = http::base_url(&settings.base_url).filter(|url| url.path() == "/");
        let base = base.ok_or_else(|| {
            let problem = "is not a plain https URL such as https://dbc-1.cloud.databricks.com: correct it";
            SettingsError::of("base_url", problem)
        })?;
        if settings.warehouse_id.is_empty() {
            let problem = "is empty: copy it from the warehouse's connection details";
            return Err(SettingsError::of("warehouse_id", problem));
        }
        let auth = Auth::new(&settings.auth, &base, watch)?;
        Ok(Self { http, base, auth: Arc::new(auth) })
    }

    /// Sends a call and retries it if that is safe, likely to help and within the budget.
    pub(super) async fn send(
        &self,
        statement: &Statement,
        call: &Call,
        budget: &RetryBudget,
    ) -> Result<Json, ErrorKind> {
        http::send(&self.http, budget, &Asking { transport: self, statement }, call).await
    }
}

/// The transport of one statement.
struct Asking<'a> {
    transport: &'a Transport,
    statement: &'a Statement,
}

impl Vendor for Asking<'_> {
    type Value = Json;
    type Error = ErrorKind;
    const LARGEST_ANSWER: usize = wire::LARGEST_ANSWER;

    fn address(&self) -> &Url {
        &self.transport.base
    }

    async fn authorize(&self, request: RequestBuilder) -> Result<Authorized, Failed<ErrorKind>> {
        let Transport { http, auth, .. } = self.transport;
        let token = auth.token(http, self.statement).await?;
        let request = request.bearer_auth(token.expose_secret());
        Ok((request, auth.secret().cloned().into_iter().chain([token]).collect()))
    }

    fn read(&self, _: &Call, _: u32, outcome: Result<Answer, NoAnswer>) -> Result<Json, ErrorKind> {
        wire::read(self.statement, outcome)
    }

    fn may_repeat(&self, error: &ErrorKind) -> bool {
        error.is_transient()
    }

    /// By the error, not the status: Databricks answers 403 to an invalid or expired token.
    fn is_refused(&self, failed: &Failed<ErrorKind>) -> bool {
        failed.status.is_some() && failed.error == ErrorKind::Refused
    }

    async fn renew(&self) -> bool {
        self.transport.auth.forget().await
    }
}
