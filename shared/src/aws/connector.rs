//! Adapts the process's HTTP client to the AWS SDK.

use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

/// Lets the AWS SDK send its requests through a [`reqwest::Client`].
#[derive(Debug, Clone)]
pub struct SdkHttp(pub reqwest::Client);

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The client has its own connect timeout; the SDK is configured with the same value.
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

/// Sends a request that is signed already, and reads the whole answer. The error has no URL, whose query may be a secret.
pub(super) async fn execute(
    client: &reqwest::Client,
    request: http::Request<bytes::Bytes>,
    limit: Duration,
) -> Result<http::Response<bytes::Bytes>, reqwest::Error> {
    let mut request = reqwest::Request::try_from(request)?;
    *request.timeout_mut() = Some(limit);
    let response = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    let body = response.bytes().await.map_err(reqwest::Error::without_url)?;
    Ok(head.map(|()| body))
}

/// Converts the SDK's request for reqwest.
fn outgoing(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    // Every operation that we call sends an in-memory body; streaming uploads would need more code.
    let body = body.bytes().map(bytes::Bytes::copy_from_slice);
    let body =
        body.ok_or_else(|| ConnectorError::user("streaming request bodies are not supported".into()))?;
    reqwest::Request::try_from(http::Request::from_parts(parts, body)).map_err(classify)
}

/// Reads the whole response and converts it for the SDK. The responses that we request are bounded (1 MB in DynamoDB).
async fn incoming(response: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    let body = response.bytes().await.map_err(classify)?;
    let response = head.map(|()| SdkBody::from(body));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Maps the failure to the kind by which the SDK decides whether to retry.
fn classify(error: reqwest::Error) -> ConnectorError {
    // The query of a URL could leak a secret.
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
