//! Where the edges are, as one stream of address sets. On errors the last set stays: a set is never emptied by one.

#[cfg(feature = "kubernetes")]
mod slices;

use anyhow::{Context, bail};
use lectern_api::node_config::{Discovery, Peer};
use lectern_api::ports::{ADMIN, RELAY};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A file is looked at this often: an edge that the local runner starts should not wait for it.
const FILE_EVERY: Duration = Duration::from_millis(200);
/// How often a name is resolved.
const DNS_EVERY: Duration = Duration::from_secs(1);
/// A question that takes longer than this is an error; the resolver's own limit is many seconds.
const DNS_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest file of peers in bytes: some thousand edges.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The edges, as they are known; `None` until they are known for the first time.
pub type Peers = watch::Receiver<Option<BTreeSet<Peer>>>;

/// Starts to look; ends with `shutdown`.
///
/// # Errors
/// None at present: everything that goes wrong may heal, is logged and tried again.
pub fn start(discovery: &Discovery, shutdown: CancellationToken) -> anyhow::Result<Peers> {
    let (sender, peers) = watch::channel(None);
    match discovery.clone() {
        Discovery::Static { peers: fixed } => {
            sender.send_replace(Some(fixed.into_iter().collect()));
            // The channel stays open as long as the node runs: a closed one would mean "no more changes".
            tokio::spawn(async move {
                shutdown.cancelled().await;
                drop(sender);
            });
        }
        Discovery::File { path } => {
            let path = PathBuf::from(path);
            tokio::spawn(poll(sender, shutdown, FILE_EVERY, move || read_file(path.clone())));
        }
        Discovery::Dns { host } => {
            tokio::spawn(poll(sender, shutdown, DNS_EVERY, move || resolve(host.clone())));
        }
        #[cfg(feature = "kubernetes")]
        Discovery::EndpointSlices { service } => {
            tokio::spawn(slices::follow(sender, shutdown, service));
        }
        #[cfg(not(feature = "kubernetes"))]
        Discovery::EndpointSlices { service } => {
            tracing::warn!(service, "this build watches no EndpointSlices: edges are found by the Service's name");
            tokio::spawn(poll(sender, shutdown, DNS_EVERY, move || resolve(service.clone())));
        }
    }
    Ok(peers)
}

/// Asks `look` again and again. An error is logged once, when it begins and when it is another one.
async fn poll<F>(
    sender: watch::Sender<Option<BTreeSet<Peer>>>,
    shutdown: CancellationToken,
    every: Duration,
    look: impl Fn() -> F,
) where
    F: Future<Output = anyhow::Result<BTreeSet<Peer>>>,
{
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last_error = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
        }
        match look().await {
            Ok(found) => {
                if last_error.take().is_some() {
                    tracing::info!("discovery works again");
                }
                publish(&sender, found);
            }
            Err(error) => {
                let text = format!("{error:#}");
                if last_error.as_ref() != Some(&text) {
                    tracing::warn!("{text}; the last known edges stay");
                    last_error = Some(text);
                }
            }
        }
    }
}

/// Tells the set if it is another one.
fn publish(sender: &watch::Sender<Option<BTreeSet<Peer>>>, found: BTreeSet<Peer>) {
    sender.send_if_modified(|known| {
        let other = known.as_ref() != Some(&found);
        if other {
            tracing::info!(edges = found.len(), "the set of edges changed");
            *known = Some(found);
        }
        other
    });
}

async fn read_file(path: PathBuf) -> anyhow::Result<BTreeSet<Peer>> {
    let what = format!("failed to read the file of edges {}", path.display());
    let content = tokio::fs::read(&path).await.with_context(|| what.clone())?;
    if content.len() > FILE_BYTES_MAX {
        bail!("{what}: it has {} bytes, at most {FILE_BYTES_MAX} are accepted", content.len());
    }
    serde_json::from_slice(&content).context(what)
}

async fn resolve(host: String) -> anyhow::Result<BTreeSet<Peer>> {
    let what = format!("failed to resolve {host:?}");
    // The system's resolver blocks; it gets a thread of its own.
    let question = tokio::task::spawn_blocking(move || (host.as_str(), RELAY).to_socket_addrs());
    let addresses = tokio::time::timeout(DNS_TIMEOUT, question)
        .await
        .with_context(|| format!("{what} within {} s", DNS_TIMEOUT.as_secs()))?
        .context("failed to run the resolver")?
        .with_context(|| what.clone())?;
    let peers: BTreeSet<_> = addresses.map(|address| peer(address.ip())).collect();
    if peers.is_empty() {
        bail!("{what}: no address");
    }
    Ok(peers)
}

fn peer(ip: IpAddr) -> Peer {
    Peer { relay: SocketAddr::new(ip, RELAY), admin: SocketAddr::new(ip, ADMIN), serving: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(peers: &mut Peers, wanted: usize) {
        let found = peers.wait_for(|set| set.as_ref().is_some_and(|set| set.len() == wanted));
        tokio::time::timeout(Duration::from_secs(5), found).await.expect("in time").expect("open");
    }

    #[tokio::test]
    async fn a_file_is_followed_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edges.json");
        let replace = |text: &str| {
            std::fs::write(folder.path().join("new"), text).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        let shutdown = CancellationToken::new();
        let discovery = Discovery::File { path: path.display().to_string() };
        let mut peers = start(&discovery, shutdown.clone()).unwrap();
        replace(r#"[{"relay": "127.0.0.1:1", "admin": "127.0.0.1:2"}]"#);
        until(&mut peers, 1).await;
        assert!(peers.borrow().as_ref().unwrap().first().unwrap().serving, "unknown counts as serving");
        replace("[{");
        assert!(read_file(path.clone()).await.is_err());
        replace(r#"[{"relay": "127.0.0.1:1", "admin": "127.0.0.1:2"}, {"relay": "[::1]:1", "admin": "[::1]:2"}]"#);
        until(&mut peers, 2).await;
        std::fs::remove_file(&path).unwrap();
        assert!(read_file(path.clone()).await.is_err());
        assert_eq!(peers.borrow().as_ref().unwrap().len(), 2);
        replace("[]");
        until(&mut peers, 0).await;
        shutdown.cancel();
    }

    #[tokio::test]
    async fn a_name_is_resolved_to_the_ports_of_an_edge() {
        let mut peers = start(&Discovery::Dns { host: "127.0.0.1".into() }, CancellationToken::new()).unwrap();
        until(&mut peers, 1).await;
        assert_eq!(*peers.borrow(), Some([peer([127, 0, 0, 1].into())].into()));
        assert!(resolve("no-such-host.invalid".into()).await.is_err());
    }

    #[cfg(not(feature = "kubernetes"))]
    #[tokio::test]
    async fn without_kubernetes_built_in_the_service_is_found_by_name() {
        let discovery = Discovery::EndpointSlices { service: "127.0.0.1".into() };
        let mut peers = start(&discovery, CancellationToken::new()).unwrap();
        until(&mut peers, 1).await;
    }
}
