//! `lectern operator`: LiveEvents of a Kubernetes cluster, brought to what they should be.
//!
//! Two replicas, one of which leads. The leader watches events and everything that belongs to them, asks ingests and
//! the metrics server what they know, and makes a pass over an event whenever something about it changed: `observe → plan →
//! render → apply → report`. What one pass does is in `reconcile`; everything that is decided is decided in pure code. Nothing of the data path depends on this process.

mod admin;
mod key;
mod lead;
mod metrics;
mod news;
mod nodes;
mod options;
mod reconcile;
mod requests;
mod requeue;
mod rollout;
mod watch;

pub use options::OperatorOptions;

use crate::start::{self, Threads};
use anyhow::{Context as _, Result};
use kube::Client;
use lead::{lead, lease};
use lectern_process::signals::Stop;
use metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long passes that are under way may take after SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When an option cannot work, the admin port is taken, or no API server is configured. An API server that does not
/// answer is waited for.
pub fn main(options: &OperatorOptions) -> Result<()> {
    lectern_process::logs::init(&options.service.logs);
    start::runtime(Threads::Many)?.block_on(run(options))
}

async fn run(options: &OperatorOptions) -> Result<()> {
    let policy = options.policy()?;
    let client =
        Client::try_default().await.context("failed to find an API server (KUBECONFIG, or run it in a pod)")?;
    let metrics = Arc::new(Metrics::default());
    let stop = Stop::listen()?.token();
    admin::serve(options.service.listen_admin, Arc::clone(&metrics), stop.clone()).await?;
    let identity = options.service.pod_name.clone().unwrap_or_else(|| format!("{}-{}", hostname(), std::process::id()));
    let mut leadership = lease::Leadership::new(client.clone(), &options.service.namespace, &options.lease, &identity);
    tracing::info!(identity, lease = options.lease, "waiting to lead");
    while leadership.acquire(&stop).await {
        tracing::info!(identity, "leading");
        metrics.leader.set(1);
        let ended = CancellationToken::new();
        let work = lead(options, &policy, client.clone(), &identity, Arc::clone(&metrics), ended.clone());
        tokio::pin!(work);
        let stopped = tokio::select! {
            // Dropping the work is what stops writing at once.
            () = leadership.hold() => false,
            () = &mut work => false,
            () = stop.cancelled() => true,
        };
        if stopped {
            ended.cancel();
            let _ = tokio::time::timeout(STOP, &mut work).await;
            leadership.release().await;
        }
        metrics.leader.set(0);
        metrics.forget_all();
        if stopped {
            break;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn hostname() -> String {
    nix::sys::utsname::uname().ok().and_then(|name| name.nodename().to_str().map(str::to_owned)).unwrap_or_default()
}
