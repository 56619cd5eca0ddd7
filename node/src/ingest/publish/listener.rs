//! The publish port: accepts connections within limits and gives each a task.

use super::connection::{Connection, Ended};
use crate::ingest::state::Ingest;
use crate::net::log_limit::LogLimit;
use crate::net::socket;
use crate::net::wire::Wire;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Accepts until `shutdown`; connections run on in `tasks`.
pub(in crate::ingest) async fn run(
    ingest: Arc<Ingest>,
    listener: TcpListener,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Some((socket, address)) = socket::accept(&listener, "publish", &shutdown).await {
        let slot = ingest.pending().enter(address.ip());
        let connection = Connection::new(ingest.clone(), address, slot);
        tasks.spawn(serve(connection, socket, address));
    }
}

async fn serve(connection: Connection, socket: Wire, address: std::net::SocketAddr) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(peer = %address, %error, "failed to set TCP_NODELAY");
    }
    static STRANGERS: LogLimit = LogLimit::new();
    let Ended { published, words } = connection.run(socket).await;
    let allowed = if published { Some(0) } else { STRANGERS.allow() };
    if let Some(suppressed) = allowed {
        tracing::info!(peer = %address, suppressed, "connection ended: {words}");
    }
}
