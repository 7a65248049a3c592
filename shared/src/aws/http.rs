//! The one HTTP stack: a [`reqwest::Client`], and the adapter through which the AWS SDK uses the same one.
//!
//! One stack means one connection pool, one TLS configuration and one copy of the code. Trusted roots are compiled in
//! (Mozilla's list, by `webpki-roots`): reading and parsing the system's certificate store would cost every cold start
//! several milliseconds, and a Lambda function meets public certificates only.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use rustls::{ClientConfig, RootCertStore};

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
    /// The TLS library refused its own defaults.
    #[error("the TLS configuration was refused")]
    Tls(#[from] rustls::Error),
    /// The HTTP client refused its configuration.
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

/// Whether what is sent to this address stays between us and its host: by HTTPS, or to a lab on this machine. The address
/// itself must hold no credentials, for it is shown where things go wrong.
pub fn keeps_secrets(url: &reqwest::Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    bare && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}

/// Lets the AWS SDK send its requests through a [`reqwest::Client`].
#[derive(Debug, Clone)]
pub struct SdkHttp(reqwest::Client);

impl SdkHttp {
    /// Wraps the client.
    pub fn new(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The connect timeout is the client's own; the SDK is configured with the same one.
        SharedHttpConnector::new(Connector { client: self.0.clone(), read_timeout: settings.read_timeout() })
    }
}

#[derive(Debug)]
struct Connector {
    client: reqwest::Client,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.client.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let mut request = outgoing(request)?;
            *request.timeout_mut() = read_timeout;
            let response = client.execute(request).await.map_err(classify)?;
            incoming(response).await
        })
    }
}

/// The SDK's request, as reqwest takes it.
fn outgoing(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    // Every operation that we call sends a body which is wholly in memory; streaming uploads would need more.
    let body = body.bytes().map(bytes::Bytes::copy_from_slice);
    let body =
        body.ok_or_else(|| ConnectorError::user("streaming request bodies are not supported".into()))?;
    reqwest::Request::try_from(http::Request::from_parts(parts, body)).map_err(classify)
}

/// The answer, read to its end, as the SDK takes it. The answers that we ask for are bounded (1 MB in DynamoDB).
async fn incoming(response: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    let body = response.bytes().await.map_err(classify)?;
    let response = head.map(|()| SdkBody::from(body));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Tells the SDK what kind of failure it was, for that decides whether it tries again.
fn classify(error: reqwest::Error) -> ConnectorError {
    // An address cannot leak a secret, but a query could.
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_connect() {
        ConnectorError::io(error.into()).never_connected()
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

#[cfg(test)]
mod tests;
