//! The entry: connections are spread over the ready edges one after another, without stickiness: what a plain load
//! balancer does in a cluster. It looks at no byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest wait for an edge of this machine to take a connection; then the next edge is asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that are copied to a viewer at a time: a segment in some turns, 32 MiB for a thousand viewers.
const TO_VIEWER_BYTES: usize = 32 * 1024;
/// Bytes that are copied to an edge at a time: viewers send requests and nothing else.
const TO_EDGE_BYTES: usize = 2 * 1024;
/// Pause after a failed accept (descriptors used up): without it the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a viewer gets while no edge is ready.
const NO_EDGE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nCache-Control: no-store\r\n\
Access-Control-Allow-Origin: *\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\nno edge is ready.\n";

/// Takes connections for ever.
pub(super) async fn serve(listener: TcpListener, ready: watch::Receiver<Arc<[SocketAddr]>>) {
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept().await {
            Ok((viewer, _)) => {
                let edges = ready.borrow().clone();
                tokio::spawn(carry(viewer, edges, turn.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection. An end by either side, or an error, ends it: a viewer's next connection goes elsewhere.
async fn carry(mut viewer: TcpStream, edges: Arc<[SocketAddr]>, turn: Arc<AtomicUsize>) {
    let Some(mut edge) = connect(&edges, &turn).await else {
        let _ = viewer.write_all(NO_EDGE).await;
        let _ = viewer.shutdown().await;
        return;
    };
    let _ = viewer.set_nodelay(true);
    let _ = edge.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional_with_sizes(&mut viewer, &mut edge, TO_EDGE_BYTES, TO_VIEWER_BYTES).await;
}

/// The edge whose turn it is; if it refuses, once another.
async fn connect(edges: &[SocketAddr], turn: &AtomicUsize) -> Option<TcpStream> {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    for step in 0..edges.len().min(2) {
        let edge = edges.get((first.wrapping_add(step)) % edges.len())?;
        if let Ok(Ok(stream)) = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(edge)).await {
            return Some(stream);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// An edge that answers with its letter.
    async fn edge(letter: u8) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(&[letter]).await.unwrap();
            }
        });
        address
    }

    /// The address of an edge that was there a moment ago.
    async fn gone() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    async fn entry(edges: &[SocketAddr]) -> (SocketAddr, watch::Sender<Arc<[SocketAddr]>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = watch::channel(Arc::from(edges));
        tokio::spawn(serve(listener, receiver));
        (address, sender)
    }

    async fn ask(entry: SocketAddr) -> String {
        let mut answer = String::new();
        TcpStream::connect(entry).await.unwrap().read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn connections_go_to_the_edges_in_turn() {
        let (entry, _hold) = entry(&[edge(b'a').await, edge(b'b').await]).await;
        let mut answers = String::new();
        for _ in 0..4 {
            answers += &ask(entry).await;
        }
        assert_eq!(answers, "abab");
    }

    #[tokio::test]
    async fn a_refused_connection_goes_to_another_edge() {
        let (entry, _hold) = entry(&[gone().await, edge(b'b').await]).await;
        for _ in 0..4 {
            assert_eq!(ask(entry).await, "b");
        }
    }

    #[tokio::test]
    async fn without_a_ready_edge_viewers_are_told_to_come_back() {
        let (entry, _hold) = entry(&[]).await;
        let answer = ask(entry).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1"), "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(answer.contains(&format!("Content-Length: {}", body.len())), "{answer}");
    }
}
