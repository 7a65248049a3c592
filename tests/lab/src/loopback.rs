//! Servers on this machine only.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A free loopback port, bound, and its address: `http://127.0.0.1:41234`.
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
            tracing::error!(%error, "{what} ended");
        }
    })
}
