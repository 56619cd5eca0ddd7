//! The publish port: accepts connections within limits and gives each a task.

use super::connection::{Connection, Ended};
use crate::ingest::Ingest;
use crate::net::lobby::{Admission, Waiting, WaitingId};
use crate::net::log_limit::LogLimit;
use crate::net::socket;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// All connections that have not published yet.
#[derive(Default)]
pub(in crate::ingest) struct Lobby {
    inner: Mutex<LobbyState>,
}

#[derive(Default)]
struct LobbyState {
    waiting: Waiting,
    evict: BTreeMap<WaitingId, CancellationToken>,
}

/// A place in the lobby; dropping it frees the place.
pub(in crate::ingest) struct WaitingGuard {
    lobby: Arc<Lobby>,
    id: WaitingId,
    evicted: CancellationToken,
}

impl WaitingGuard {
    /// Cancelled when the connection has to make room.
    pub(in crate::ingest) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        let mut lobby = self.lobby.inner.lock().unwrap_or_else(PoisonError::into_inner);
        lobby.waiting.leave(self.id);
        lobby.evict.remove(&self.id);
    }
}

impl Lobby {
    fn arrive(self: &Arc<Self>, address: std::net::IpAddr) -> Option<WaitingGuard> {
        let mut lobby = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match lobby.waiting.arrive(address) {
            Admission::Refused => None,
            Admission::Admitted { id, evicted } => {
                if let Some(token) = evicted.and_then(|id| lobby.evict.remove(&id)) {
                    token.cancel();
                }
                let evicted = CancellationToken::new();
                lobby.evict.insert(id, evicted.clone());
                Some(WaitingGuard { lobby: self.clone(), id, evicted })
            }
        }
    }

    /// How many wait.
    pub(in crate::ingest) fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }
}

/// Accepts until `shutdown`; connections run on in `tasks`.
pub(in crate::ingest) async fn run(
    ingest: Arc<Ingest>,
    listener: TcpListener,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Some((socket, address)) = socket::accept(&listener, "publish", &shutdown).await {
        let Some(waiting) = ingest.lobby().arrive(address.ip()) else {
            ingest.count_refused("TooManyConnections");
            tracing::debug!(peer = %address, "connection refused: too many from this address");
            continue;
        };
        let connection = Connection::new(ingest.clone(), address, waiting);
        tasks.spawn(serve(connection, socket, address));
    }
}

async fn serve(connection: Connection, socket: TcpStream, address: std::net::SocketAddr) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(peer = %address, %error, "failed to set TCP_NODELAY");
    }
    static STRANGERS: LogLimit = LogLimit::new();
    let Ended { published, words } = connection.run(socket).await;
    let allowed = if published { Some(0) } else { STRANGERS.allow() };
    if let Some(unsaid) = allowed {
        tracing::info!(peer = %address, unsaid, "connection ended: {words}");
    }
}
