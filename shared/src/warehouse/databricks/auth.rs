//! The token: a configured one, or one fetched by OAuth (machine to machine) and cached until shortly before it
//! expires.

use std::sync::Arc;
use std::time::Duration;

use futures::lock::Mutex;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::wire::{LARGEST_ANSWER, read};
use crate::http::retry::Watch;
use crate::http::{self, ATTEMPT, Failed};
use crate::sql::{ErrorKind, Statement};
use crate::warehouse::settings::{DatabricksAuth, SettingsError};

/// The token endpoint (the vendor's SDK, `oauth.py`).
const TOKEN_PATH: &str = "/oidc/v1/token";
const TOKEN_FORM: &str = "grant_type=client_credentials&scope=all-apis";
/// How long before its expiry a token is renewed; tokens last an hour.
const MARGIN: Duration = Duration::from_secs(120);
/// The assumed lifetime of a token without `expires_in`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// No token lasts longer; adding an absurd lifetime of a broken server to an instant must not overflow.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Authenticates to Databricks.
#[derive(Debug)]
pub(super) enum Auth {
    Token(SecretString),
    ServicePrincipal(Box<ServicePrincipal>),
}

/// An application that fetches its tokens.
#[derive(Debug)]
pub(super) struct ServicePrincipal {
    client_id: String,
    client_secret: SecretString,
    token_url: Url,
    watch: Arc<dyn Watch>,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    token: SecretString,
    until: Instant,
}

impl Auth {
    pub(super) fn new(
        auth: &DatabricksAuth,
        base: &Url,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SettingsError> {
        match auth {
            DatabricksAuth::Token(token) => bearer(token.expose_secret()).map(Self::Token).ok_or_else(|| {
                let problem = "is empty, or has characters that are invalid in an HTTP header: correct it";
                SettingsError::of("token", problem)
            }),
            DatabricksAuth::ServicePrincipal { client_id, client_secret } => {
                let client_secret = client_secret.expose_secret().trim();
                if client_id.is_empty() || client_secret.is_empty() {
                    return Err(SettingsError::of("client_id or client_secret", "is empty: set both"));
                }
                // Basic authentication separates the two at the first colon.
                if client_id.contains(':') {
                    let problem = "has a colon: set only the application's id";
                    return Err(SettingsError::of("client_id", problem));
                }
                let token_url = base
                    .join(TOKEN_PATH)
                    .map_err(|_| SettingsError::of("base_url", "is not a valid base URL: correct it"))?;
                Ok(Self::ServicePrincipal(Box::new(ServicePrincipal {
                    client_id: client_id.clone(),
                    client_secret: SecretString::from(client_secret),
                    token_url,
                    watch,
                    cached: Mutex::new(None),
                })))
            }
        }
    }

    /// Returns the token for a call.
    pub(super) async fn token(
        &self,
        http: &reqwest::Client,
        statement: &Statement,
    ) -> Result<SecretString, Failed<ErrorKind>> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::ServicePrincipal(principal) => principal.token(http, statement).await,
        }
    }

    /// Returns the secret with which tokens are fetched.
    pub(super) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Token(_) => None,
            Self::ServicePrincipal(principal) => Some(&principal.client_secret),
        }
    }

    /// Drops the cached token, so that the next call fetches another. `false` if no other is available.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Token(_) => false,
            // Without a cached token, the secret was refused.
            Self::ServicePrincipal(principal) => principal.cached.lock().await.take().is_some(),
        }
    }
}

impl ServicePrincipal {
    /// Returns the cached token, or a new one.
    async fn token(
        &self,
        http: &reqwest::Client,
        statement: &Statement,
    ) -> Result<SecretString, Failed<ErrorKind>> {
        // Held during the fetch, as other calls need the same token.
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| cached.until > self.watch.now()) {
            return Ok(cached.token.clone());
        }
        let begun = self.watch.now();
        let request = http
            .post(self.token_url.clone())
            .basic_auth(&self.client_id, Some(self.client_secret.expose_secret()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(TOKEN_FORM)
            .timeout(ATTEMPT);
        let secrets = [self.client_secret.clone()];
        let outcome = http::attempt(request, LARGEST_ANSWER, &secrets, "[hidden]").await;
        let asked_for = outcome.as_ref().ok().and_then(|answer| answer.asked_for);
        // The statement was not sent yet, so it had no effect.
        let failed = |error| Failed { error, status: None, not_taken: true, asked_for };
        let body = read(statement, outcome).map_err(|error| match error {
            // OAuth answers 400 to an unknown client, Databricks 403 or 401.
            ErrorKind::Sql { .. } | ErrorKind::NoAccess { .. } | ErrorKind::PermissionDenied { .. } => {
                failed(ErrorKind::Refused)
            }
            error => failed(error),
        })?;
        let token = body.get("access_token").and_then(Json::as_str).and_then(bearer);
        let token = token.ok_or_else(|| {
            let place = "access_token of the token endpoint".to_owned();
            failed(ErrorKind::Shape { place, found: "no token".to_owned() })
        })?;
        let lifetime = body.get("expires_in").and_then(Json::as_u64).map(Duration::from_secs);
        let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME);
        let until = begun + lifetime.saturating_sub(MARGIN);
        *cached = Some(Cached { token: token.clone(), until });
        Ok(token)
    }
}

fn bearer(token: &str) -> Option<SecretString> {
    http::token(token).filter(|token| !token.expose_secret().is_empty())
}
