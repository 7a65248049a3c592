//! The one HTTP client of a process: a [`reqwest::Client`] that every vendor's client and the AWS SDK share.
//!
//! One client means one connection pool, one TLS configuration and one copy of the code. Trusted roots are compiled in
//! (Mozilla's list, by `webpki-roots`): reading and parsing the system's certificate store would cost every cold start
//! several milliseconds, and a Lambda function meets public certificates only.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;

/// How long it may take to open a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may stay silent. Callers set tighter limits of their own; this one is for calls that forgot.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Shorter than the idle timeouts of AWS and of usual load balancers, so that it is us who drop an idle connection:
/// a frozen Lambda sandbox that wakes on a dead one would otherwise waste its first attempt.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// Why the HTTP client could not be built. None of these depends on the outside world.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the TLS configuration was refused")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client could not be built")]
    Client(#[from] reqwest::Error),
}

/// Builds the client. Do it once: clones share its connection pool.
///
/// Redirects are answers here, not journeys: no API that we call redirects, and following one would carry a token to
/// where nobody meant to send it. Plain HTTP stays possible for emulators on this machine.
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

/// Reads an address that a secret may be sent to, or that is one: HTTPS, or HTTP to a lab on this machine. It holds no
/// credentials, for it is shown where things go wrong.
pub fn private_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        let bare = url.username().is_empty() && url.password().is_none();
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        bare && (url.scheme() == "https" || url.scheme() == "http" && loopback)
    })
}

/// The same, for an address that paths are put below: a query would swallow them.
pub fn base_url(text: &str) -> Option<Url> {
    private_url(text).filter(|url| url.query().is_none() && url.fragment().is_none())
}

/// Reads a token that fits into a header, without the white space around it.
pub fn token(text: &str) -> Option<SecretString> {
    let token = text.trim();
    HeaderValue::from_str(token).is_ok().then(|| SecretString::from(token))
}

/// The error and its causes in one line, each said once: some errors repeat their cause in their own text.
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
