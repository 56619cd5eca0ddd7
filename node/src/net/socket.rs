//! TCP as all ports need it: accepted until told to stop, dialled with limits, closed without losing the last words.

use super::log_limit::LogLimit;
use super::wire::Wire;
use anyhow::Context;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// An address that does not answer within this is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection ends when its peer acknowledges nothing for this long: the peer, or its machine, is lost.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
/// A peer gets this long to read the last words and close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// What a peer still sends meanwhile is thrown away, up to so many bytes.
const CLOSE_BYTES_MAX: usize = 4 << 20;
/// Pause after a failed accept: usually there are no more file descriptors, and a connection has to end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a listener of a node.
///
/// # Errors
/// With the address and what it was for.
pub(crate) async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address} for {what}"))
}

/// The next connection on a port, which `port` names in the log; `None` once `stop` says so.
pub(crate) async fn accept(listener: &TcpListener, port: &str, stop: &CancellationToken) -> Option<(Wire, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return None,
        };
        match accepted {
            Ok((socket, peer)) => return Some((Wire::plain(socket), peer)),
            Err(error) => {
                static FAILED: LogLimit = LogLimit::new();
                if let Some(suppressed) = FAILED.allow() {
                    tracing::warn!(%error, suppressed, "failed to accept on the {port} port");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Connects for sending media.
pub(crate) async fn dial(peer: SocketAddr) -> anyhow::Result<Wire> {
    let socket = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(peer))
        .await
        .with_context(|| format!("failed to connect within {} s", CONNECT_TIMEOUT.as_secs()))?
        .context("failed to connect")?;
    socket.set_nodelay(true).context("failed to set TCP_NODELAY")?;
    socket2::SockRef::from(&socket)
        .set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))
        .context("failed to set TCP_USER_TIMEOUT")?;
    Ok(Wire::plain(socket))
}

/// Closes so that what was written arrives: a socket dropped with unread input sends a reset, which may overtake it.
pub(crate) async fn close(wire: &mut Wire) {
    let goodbye = async {
        wire.shutdown().await?;
        let (mut buffer, mut seen) = (vec![0; 16 << 10], 0);
        while seen < CLOSE_BYTES_MAX {
            match wire.read(&mut buffer).await? {
                0 => break,
                count => seen += count,
            }
        }
        std::io::Result::Ok(())
    };
    // Whatever fails here, the connection is over.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
}
