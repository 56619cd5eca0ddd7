//! Readers that stall: what they hold of the edge and of its kernel, and for how long.

use super::*;
use crate::edge::counting::Protocol;
use crate::edge::http::connection::WRITE_STALL_MS_MAX;
use std::io::ErrorKind;

/// A segment that fits no socket.
const LARGE_BYTES: usize = 32 << 20;

/// The view of [`live`] with one large segment.
fn with_a_large_segment() -> View {
    let bytes = Bytes::from(vec![7; LARGE_BYTES]);
    let mut view = live(1..=8);
    let entry = Entry { hash: Hash::of(&bytes), length: bytes.len() as u64, ..entry(8) };
    view.ledger.entries[7] = entry.clone();
    view.segments.insert(entry.name(), HeldSegment { entry, bytes });
    view
}

/// Asks for the large segment through a small window, and waits until the edge can write no more.
async fn stalled(rig: &Rig) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut socket = socket.connect(rig.address).await.unwrap();
    socket.write_all(format!("GET {} HTTP/1.1\r\nhost: edge\r\n\r\n", name(8)).as_bytes()).await.unwrap();
    let written = || rig.state.hub.totals.egress_bytes(Protocol::Hls);
    let mut before = 0;
    // Bytes go out in bursts: it has stalled when many turns of the runtime add nothing.
    let mut quiet = 0;
    until("the socket is full", || {
        quiet = if written() > before || written() == 0 { 0 } else { quiet + 1 };
        before = written();
        quiet > 20_000
    })
    .await;
    socket
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_holds_little_of_the_kernel_and_nothing_once_it_is_given_up() {
    let rig = Rig::new().await;
    rig.show(with_a_large_segment());
    let mut reader = stalled(&rig).await;
    let queued = rig.state.hub.totals.egress_bytes(Protocol::Hls);
    assert!(queued < 1 << 20, "the kernel took {queued} bytes for a reader that takes none");
    tokio::time::advance(Duration::from_millis(WRITE_STALL_MS_MAX + 1_000)).await;
    until("the connection is given up", || rig.state.hub.http_connections.load(Relaxed) == 0).await;
    // A reset, not the rest of what was queued and then an orderly end.
    let mut rest = Vec::new();
    let error = reader.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {} bytes", rest.len());
}
