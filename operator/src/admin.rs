//! The admin port of the long-running commands: `/healthz` is the same for all, the rest is theirs.

use anyhow::{Context as _, Result};
use axum::{Router, routing::get};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves `router` and `/healthz` until `stop`. It listens when this returns.
///
/// # Errors
/// When the address is taken.
pub async fn serve(address: SocketAddr, router: Router, stop: CancellationToken) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("failed to listen on {address}; choose another with --listen-admin"))?;
    let router = router.route("/healthz", get(async || "ok\n"));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "failed to serve the admin port");
        }
    });
    Ok(())
}
