//! The socket of a publisher, looked at by the clock.
//!
//! A publisher sends some seventy messages a second. A socket that is registered with epoll wakes the node for nearly each
//! of them, to be told to wait for the next tick ([`super::pace`]); one that is just read at that tick wakes no task.

use crate::net::wire::Wire;
use anyhow::Context;
use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

/// Read at once. A frame of a usual stream fits; larger ones take a few reads.
pub(super) const READ_BYTES: usize = 64 << 10;
/// A peer that takes none of the few bytes we send for this long is gone.
pub(super) const WRITE_STALL: Duration = Duration::from_secs(10);
/// A silent peer is asked by TCP whether it is there, after this long and then this often; it is gone after so many
/// questions without an answer, 30 s in all. One that is there may be silent: a slide stands still.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 4);
/// A full socket is tried again after this.
const WRITE_RETRY: Duration = Duration::from_millis(50);

thread_local! {
    /// Where all sockets of a thread are read into, one after the other: it stays in the processor's cache.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Socket of a publisher that is read at ticks of the clock instead of on readiness.
#[derive(Debug)]
pub(super) struct Polled {
    socket: std::net::TcpStream,
}

impl Polled {
    /// From now on no task is woken for it.
    pub(super) fn new(socket: Wire) -> anyhow::Result<Self> {
        let (after, every, times) = KEEPALIVE;
        let keepalive = TcpKeepalive::new().with_time(after).with_interval(every).with_retries(times);
        SockRef::from(&socket).set_tcp_keepalive(&keepalive).context("failed to set keepalive of the publisher")?;
        // It stays non-blocking.
        Ok(Self {
            socket: socket.into_socket().into_std().context("failed to take the publisher's socket from epoll")?,
        })
    }

    /// What has come, at most [`READ_BYTES`]: `None` if there is nothing, empty at the end of the connection.
    pub(super) fn read(&mut self) -> anyhow::Result<Option<Bytes>> {
        SCRATCH.with_borrow_mut(|scratch| match self.socket.read(scratch) {
            Ok(count) => Ok(Some(Bytes::copy_from_slice(&scratch[..count]))),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error).context("failed to read from the publisher"),
        })
    }

    /// Writes all of it, as soon as the peer takes it.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        let write = async {
            while !bytes.is_empty() {
                match self.socket.write(bytes) {
                    Ok(count) => bytes = &bytes[count..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(WRITE_RETRY).await,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error).context("failed to write to the publisher"),
                }
            }
            Ok(())
        };
        tokio::time::timeout(WRITE_STALL, write).await.context("the publisher takes no answer")?
    }

    /// Closes so that what was written arrives.
    pub(super) async fn close(self) {
        // Without epoll there is nothing better than to drop it.
        if let Ok(socket) = tokio::net::TcpStream::from_std(self.socket) {
            crate::net::socket::close(&mut Wire::plain(socket)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn pair() -> (Polled, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Polled::new(Wire::plain(listener.accept().await.unwrap().0)).unwrap(), peer)
    }

    /// Reads until there is something.
    async fn read(polled: &mut Polled) -> Bytes {
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                match polled.read().unwrap() {
                    Some(bytes) => return bytes,
                    None => tokio::task::yield_now().await,
                }
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn it_reads_what_came_and_then_the_end() {
        let (mut polled, mut peer) = pair().await;
        assert!(polled.read().unwrap().is_none());
        peer.write_all(b"something").await.unwrap();
        assert_eq!(read(&mut polled).await, "something");
        drop(peer);
        assert_eq!(read(&mut polled).await, "");
    }

    #[tokio::test]
    async fn a_full_socket_is_written_to_as_it_empties() {
        let (mut polled, mut peer) = pair().await;
        let sent = vec![7; 16 << 20];
        let total = sent.len();
        let reading = tokio::spawn(async move {
            let mut got = vec![0; total];
            peer.read_exact(&mut got).await.unwrap();
            got
        });
        polled.write_all(&sent).await.unwrap();
        assert!(reading.await.unwrap() == sent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut polled, _peer) = pair().await;
        let error = polled.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.to_string(), "the publisher takes no answer");
    }

    #[tokio::test]
    async fn tcp_asks_a_silent_publisher_whether_it_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let polled = Polled::new(Wire::plain(listener.accept().await.unwrap().0)).unwrap();
        let socket = SockRef::from(&polled.socket);
        let asked = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!((asked.0, asked.1, socket.tcp_keepalive_retries().unwrap()), KEEPALIVE);
    }
}
