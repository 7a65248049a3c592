//! HTTP servers on loopback only.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Binds a free loopback port; returns its address too, such as `http://127.0.0.1:41234`.
///
/// # Errors
/// No port is free.
pub(crate) async fn bind() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free loopback port")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// Serves until the task is aborted.
pub(crate) fn serve(listener: TcpListener, router: Router, what: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "{what} stopped");
        }
    })
}

/// Forwards a request and returns the answer, or a `502` without one.
pub(crate) async fn pass_on(
    http: &reqwest::Client,
    method: Method,
    url: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let mut request = http.request(method, url).body(body);
    for (name, value) in
        headers.iter().filter(|(name, _)| **name != header::HOST && **name != header::CONTENT_LENGTH)
    {
        request = request.header(name, value);
    }
    match answer_of(request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(error.without_url().to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn answer_of(request: reqwest::RequestBuilder) -> Result<Response, reqwest::Error> {
    let answer = request.send().await?;
    let status = answer.status();
    let mut headers = answer.headers().clone();
    let mut response = Response::new(Body::from(answer.bytes().await?));
    *response.status_mut() = status;
    // The others describe this connection, or a body that the HTTP client has decoded.
    for name in [header::CONTENT_TYPE, header::ETAG, HeaderName::from_static("x-amz-meta-made-at")] {
        if let Some(value) = headers.remove(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
