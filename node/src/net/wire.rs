//! A connection as `accept` and `dial` give it: ready to carry plain bytes.
//!
//! This is the place for TLS. It has to be the kernel's (`TLS_TX` and `TLS_RX` after a handshake in the process): a node
//! sends segments by sendfile(2) and reads publishers from sockets that are not in epoll, and neither is possible through
//! a stream that is encrypted in the process. After such a handshake the descriptor takes and gives plain bytes, so that
//! what stands above goes on as with TCP; a wire is therefore used as the socket that it holds.

use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};
use tokio::net::TcpStream;

/// One TCP connection, as every protocol of the node reads and writes it.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// A connection without encryption.
    #[must_use]
    pub const fn plain(socket: TcpStream) -> Self {
        Self(socket)
    }

    /// When the wire is dropped, the peer gets a reset and the kernel gives up what it has not sent. Otherwise it keeps
    /// that for as long as a peer that reads nothing acknowledges its probes, and the memory of all sockets is one pot
    /// (tcp(7), `tcp_mem`).
    pub fn forget_unsent(&self) {
        // It fails for a socket that is gone already, which keeps nothing.
        let _ = socket2::SockRef::from(&self.0).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Lets the kernel queue at most `bytes` that it has not sent yet, whatever its buffer holds in flight.
    ///
    /// # Errors
    /// When the system does not take the option.
    pub fn bound_unsent(&self, bytes: u32) -> std::io::Result<()> {
        socket2::SockRef::from(&self.0).set_tcp_notsent_lowat(bytes)
    }

    /// Gives up the wire for its descriptor.
    #[must_use]
    pub fn into_socket(self) -> TcpStream {
        self.0
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Deref for Wire {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl DerefMut for Wire {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}
