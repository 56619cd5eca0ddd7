//! The routes, over a real socket.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Default)]
struct Node {
    ready: AtomicBool,
}

impl StatusSource for Node {
    fn status(&self) -> NodeStatus {
        let ready = self.ready.load(Ordering::SeqCst);
        NodeStatus { ready, not_ready_reason: (!ready).then(|| "still asleep".into()), ..NodeStatus::default() }
    }

    fn metrics(&self, _out: &mut Exposition) {}
}

async fn fetch(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

fn version(answer: &str) -> u64 {
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str::<NodeStatus>(body).unwrap().version
}

#[tokio::test]
async fn a_long_poll_is_answered_by_a_change_and_by_the_end() {
    let (node, shutdown) = (Arc::new(Node::default()), CancellationToken::new());
    let listener = crate::net::socket::bind(([127, 0, 0, 1], 0).into(), "tests").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, router(node.clone(), shutdown.clone()), shutdown.clone()));

    assert!(fetch(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let answer = fetch(address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("still asleep\n"), "{answer}");
    let first = version(&fetch(address, "/status?after=0&wait=30s").await);

    let path = format!("/status?after={first}&wait=30s");
    let waiting = tokio::spawn(async move { fetch(address, &path).await });
    node.ready.store(true, Ordering::SeqCst);
    let second = version(&tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap());
    assert_eq!(second, first + 1);

    let path = format!("/status?after={second}&wait=30s");
    let waiting = tokio::spawn(async move { fetch(address, &path).await });
    // The connection must be accepted before the end: one that is answered proves that the loop runs.
    assert!(fetch(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    drop(waiting);
}

#[test]
fn a_wait_is_a_duration() {
    assert_eq!(parse_wait("30s").unwrap(), Duration::from_secs(30));
    assert_eq!(parse_wait("500ms").unwrap(), Duration::from_millis(500));
    assert_eq!(parse_wait("2").unwrap(), Duration::from_secs(2));
    assert!(parse_wait("soon").is_err());
}
