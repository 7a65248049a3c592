//! The token: one that was given, or one that is fetched by OAuth (machine to machine) and kept until shortly before it expires.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::lock::Mutex;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::attempt::{ATTEMPT, Failed, answer};
use crate::http::retry::Watch;
use crate::sql::Error;
use crate::sql::Statement;
use crate::warehouse::settings::DatabricksAuth;
use crate::warehouse::settings::SettingsError;

/// Where tokens are fetched (the vendor's SDK, `oauth.py`).
const TOKEN_PATH: &str = "/oidc/v1/token";
/// A token is renewed so long before it expires; it lives an hour.
const MARGIN: Duration = Duration::from_secs(120);
/// Stands for the lifetime of a token that does not tell it.
const UNTOLD_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// No token lives longer; adding what a broken server made up to an instant must not overflow.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Shows Databricks who we are.
pub(super) enum Auth {
    Token(HeaderValue),
    ServicePrincipal(Box<ServicePrincipal>),
}

/// An application that fetches its tokens.
pub(super) struct ServicePrincipal {
    client_id: String,
    client_secret: SecretString,
    token_url: Url,
    form: String,
    watch: Arc<dyn Watch>,
    cached: Mutex<Option<Cached>>,
}

pub(super) struct Cached {
    authorization: HeaderValue,
    until: Instant,
}

/// Shows nothing of what it holds.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::ServicePrincipal(_) => "ServicePrincipal",
        })
    }
}

impl Auth {
    pub(super) fn new(
        auth: &DatabricksAuth,
        base: &Url,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, SettingsError> {
        let setting = |name: &str, problem| SettingsError { setting: name.to_owned(), problem };
        match auth {
            DatabricksAuth::Token(token) => bearer(token.expose_secret()).map(Self::Token).ok_or_else(|| {
                setting("token", "is empty, or has characters that no HTTP header may have: correct it")
            }),
            DatabricksAuth::ServicePrincipal { client_id, client_secret, scope } => {
                if client_id.is_empty() || client_secret.expose_secret().trim().is_empty() {
                    return Err(setting("client_id or client_secret", "is empty: set both"));
                }
                // Basic authentication divides them by the first colon.
                if client_id.contains(':') {
                    return Err(setting(
                        "client_id",
                        "has a colon: it is the application's id, nothing else",
                    ));
                }
                let query = [("grant_type", "client_credentials"), ("scope", scope)];
                let url = |path: &str| {
                    base.join(path).map_err(|_| setting("base_url", "leads nowhere: correct it"))
                };
                let mut form = url("/")?;
                form.query_pairs_mut().extend_pairs(query);
                Ok(Self::ServicePrincipal(Box::new(ServicePrincipal {
                    client_id: client_id.clone(),
                    client_secret: SecretString::from(client_secret.expose_secret().trim()),
                    token_url: url(TOKEN_PATH)?,
                    form: form.query().unwrap_or_default().to_owned(),
                    watch,
                    cached: Mutex::new(None),
                })))
            }
        }
    }

    /// The header that a call needs.
    pub(super) async fn authorization(
        &self,
        http: &reqwest::Client,
        statement: &Statement,
    ) -> Result<HeaderValue, Failed> {
        match self {
            Self::Token(header) => Ok(header.clone()),
            Self::ServicePrincipal(principal) => principal.authorization(http, statement).await,
        }
    }

    /// What must be in no error: the token of a call, and the secret that it was fetched with.
    pub(super) fn secrets<'s>(&'s self, authorization: &'s HeaderValue) -> Vec<&'s str> {
        let token = authorization.to_str().ok().and_then(|header| header.strip_prefix("Bearer "));
        let secret = match self {
            Self::Token(_) => None,
            Self::ServicePrincipal(principal) => Some(principal.client_secret.expose_secret()),
        };
        token.into_iter().chain(secret).collect()
    }

    /// Drops the cached token, so that the next call fetches another. `false` if there is no other to be had.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Token(_) => false,
            // Without a cached one, it was the secret that was refused.
            Self::ServicePrincipal(principal) => principal.cached.lock().await.take().is_some(),
        }
    }
}

impl ServicePrincipal {
    /// The cached token, or a new one.
    async fn authorization(
        &self,
        http: &reqwest::Client,
        statement: &Statement,
    ) -> Result<HeaderValue, Failed> {
        // Held while the token is fetched: the others want the same one.
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| cached.until > self.watch.now()) {
            return Ok(cached.authorization.clone());
        }
        let begun = self.watch.now();
        let secret = self.client_secret.expose_secret();
        let request = http
            .post(self.token_url.clone())
            .basic_auth(&self.client_id, Some(secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form.clone())
            .timeout(ATTEMPT);
        let body =
            answer(statement, request, &[secret]).await.map_err(|failed| refused(statement, failed))?;
        let token = body.get("access_token").and_then(Json::as_str).and_then(bearer);
        let authorization = token.ok_or_else(|| Error::Shape {
            statement: statement.label().to_owned(),
            place: "access_token of the token endpoint".to_owned(),
            found: "no token".to_owned(),
        })?;
        let lifetime = body.get("expires_in").and_then(Json::as_u64).map(Duration::from_secs);
        let lifetime = lifetime.unwrap_or(UNTOLD_LIFETIME).min(LONGEST_LIFETIME);
        let until = begun + lifetime.saturating_sub(MARGIN);
        *cached = Some(Cached { authorization: authorization.clone(), until });
        Ok(authorization)
    }
}

/// A failure of the token endpoint. Nothing of the statement was sent yet, so it was surely not taken.
fn refused(statement: &Statement, failed: Failed) -> Failed {
    let error = match failed.error {
        // OAuth answers 400 to a client that it does not know, and Databricks 403 or 401.
        Error::Sql { .. } | Error::PermissionDenied { .. } | Error::Refused { .. } => {
            Error::Refused { statement: statement.label().to_owned() }
        }
        other => other,
    };
    Failed { error, not_taken: true, unauthorized: false, asked_for: failed.asked_for }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let token = token.trim();
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
    header.set_sensitive(true);
    Some(header)
}
