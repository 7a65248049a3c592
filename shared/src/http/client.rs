//! The only HTTP client of a process: a [`reqwest::Client`] that all vendor clients and the AWS SDK share.
//!
//! One client means one connection pool, one TLS configuration and one copy of the code. Trusted roots are compiled in
//! (Mozilla's list, by `webpki-roots`): parsing the system's certificate store would cost every cold start several
//! milliseconds, and a Lambda function sees only public certificates.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;

/// The time limit for opening a connection, including TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may send nothing. Callers set tighter limits; this one is a fallback.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Shorter than the idle timeouts of AWS and of common load balancers, so that our side drops idle connections:
/// otherwise a thawed Lambda sandbox would waste its first attempt on a dead one.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// The HTTP client could not be built. Depends on no outside state.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the TLS configuration was refused")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client could not be built")]
    Client(#[from] reqwest::Error),
}

/// Builds the client. Call it once: clones share its connection pool.
///
/// It does not follow redirects: no API that we call redirects, and following one could send a token to an unintended
/// host. Plain HTTP is allowed, for local emulators.
pub fn client() -> Result<reqwest::Client, HttpError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("syncwatch/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .build()?;
    Ok(client)
}

fn tls() -> Result<ClientConfig, HttpError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Parses an address that a secret may be sent to, or that is one: HTTPS, or HTTP to loopback. It must not contain
/// credentials, as errors may show it.
pub fn private_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        let bare = url.username().is_empty() && url.password().is_none();
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        bare && (url.scheme() == "https" || url.scheme() == "http" && loopback)
    })
}

/// Parses a [`private_url`] that paths can be joined to: it must have no query or fragment.
pub fn base_url(text: &str) -> Option<Url> {
    private_url(text).filter(|url| url.query().is_none() && url.fragment().is_none())
}

/// Trims a token and checks that it is valid in an HTTP header.
pub fn token(text: &str) -> Option<SecretString> {
    let token = text.trim();
    HeaderValue::from_str(token).is_ok().then(|| SecretString::from(token))
}

/// Formats an error and its causes in one line, without duplicates: some errors repeat their cause in their own text.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
