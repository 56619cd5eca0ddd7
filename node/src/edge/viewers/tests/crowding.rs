//! The places of the RTMP port before a viewer has asked for a stream, from the attacker's side.

use super::*;
use crate::net::lobby::{Limits, PendingConnections};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

const LIMITS: Limits = Limits { per_address: 4, total: 8 };

async fn connect(from: &str, to: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_address_cannot_push_newcomers_of_others_out_of_the_places_of_an_edge() {
    let rig = Rig::new(WINDOW).await;
    let address = rig.listener.local_addr().unwrap();
    let pending = PendingConnections::new(LIMITS);
    let (hub, shards) = (Arc::clone(&rig.hub), Arc::clone(&rig.shards));
    let play = Arc::new(Play { hub, shards, pending: Arc::clone(&pending) });
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    let serving = tokio::spawn(play.serve(rig.listener, stop));
    // It comes first and is slow: of all connections it has been silent for longest.
    let mut honest = connect("127.0.0.2:0", address).await;
    let mut attackers = Vec::new();
    for _ in 0..10 * LIMITS.total {
        attackers.push(connect("127.0.0.1:0", address).await);
    }
    let closed = attackers.len() - LIMITS.per_address;
    for attacker in &mut attackers[..closed] {
        let end = tokio::time::timeout(PATIENCE, attacker.read(&mut [0])).await.expect("its own oldest are closed");
        assert!(matches!(end, Ok(0) | Err(_)));
    }
    assert_eq!(pending.len(), LIMITS.per_address + 1);
    // C0 and C1 of a handshake (RTMP 5.2): S0 is the answer.
    let mut hello = vec![0; 1_537];
    hello[0] = 3;
    honest.write_all(&hello).await.unwrap();
    let mut version = [0];
    tokio::time::timeout(PATIENCE, honest.read_exact(&mut version)).await.expect("an answer").unwrap();
    assert_eq!(version, [3]);
    serving.abort();
}
