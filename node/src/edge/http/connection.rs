//! One connection of the HTTP port: what it is doing, how long it may take, and what it has written.
//!
//! The state is shared between the socket wrapper that hyper drives and the answers; both run in the connection's own
//! task, so the atomics are never contended.

use super::body::Body;
use crate::edge::counting::Protocol;
use crate::edge::stream::hub::Hub;
use crate::edge::stream::snapshot::Segment;
use crate::edge::stream::stored::Stored;
use bytes::Bytes;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// From the first byte of a request head to its last (design section 9): longer is a slow loris.
pub const HEAD_MS_MAX: u64 = 10_000;
/// A kept-alive connection without a request (design section 9): longer than the reload of any playlist.
pub const IDLE_MS_MAX: u64 = 75_000;
/// A peer that takes no byte of an answer (design section 9).
pub const WRITE_STALL_MS_MAX: u64 = 10_000;
/// Age at which a playlist answer ends the connection, so that new edges get their share (design section 4, "HTTP").
pub const AGE_MS: u64 = 60_000;
/// The same while this edge has more than the autoscaler aims at.
pub const AGE_ABOVE_TARGET_MS: u64 = 10_000;
/// Spread of both ages either way, so that a crowd that came together does not move together.
pub const AGE_SPREAD_PERCENT: u64 = 20;

const NEVER: u64 = u64::MAX;
const IDLE: u8 = 0;
const READING_HEAD: u8 = 1;
const ANSWERING: u8 = 2;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// HTTP/2: many answers at once, so that written bytes belong to none of them.
    pub multiplexed: bool,
    hub: Arc<Hub>,
    opened_ms: u64,
    age_permille: u64,
    phase: AtomicU8,
    deadline_ms: AtomicU64,
    written: AtomicU64,
    answered_at: AtomicU64,
    counts: Mutex<Option<Arc<Segment>>>,
    retired: AtomicBool,
}

impl Connection {
    /// A connection that was accepted just now. `nonce` spreads ages: any number that differs between connections.
    #[must_use]
    pub fn new(hub: Arc<Hub>, peer: SocketAddr, multiplexed: bool, nonce: u64) -> Arc<Self> {
        let now = hub.clock.now_ms();
        Arc::new(Self {
            peer,
            multiplexed,
            hub,
            opened_ms: now,
            age_permille: spread_permille(nonce),
            phase: AtomicU8::new(READING_HEAD),
            deadline_ms: AtomicU64::new(now + HEAD_MS_MAX),
            written: AtomicU64::new(0),
            answered_at: AtomicU64::new(NEVER),
            counts: Mutex::new(None),
            retired: AtomicBool::new(false),
        })
    }

    /// Unix milliseconds at which it has taken too long, [`u64::MAX`] while there is no limit.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms.load(Relaxed)
    }

    /// A request was read.
    pub fn request_begins(&self) {
        self.finish_answer();
        if self.phase.swap(ANSWERING, Relaxed) != ANSWERING {
            self.hub.answering.fetch_add(1, Relaxed);
        }
        if !self.multiplexed {
            self.deadline_ms.store(NEVER, Relaxed);
        }
    }

    /// An answer goes out. Where written bytes show when it is sent, they also count the segment; gives the body as it
    /// is to be sent.
    pub fn answer_begins(&self, body: Body) -> Body {
        if self.multiplexed {
            return body;
        }
        let (bytes, segment, body) = match body {
            Body::Empty => (0, None, Body::Empty),
            Body::Full(bytes) => (bytes.len() as u64, None, Body::Full(bytes)),
            Body::Counted(bytes, segment) => (bytes.len() as u64, Some(segment), Body::Full(bytes)),
            Body::Live(stream) => return Body::Live(stream),
        };
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = segment;
        // The head comes first: with one byte more than the body, no more than a head's length is still to come.
        self.answered_at.store(self.written.load(Relaxed).saturating_add(bytes + 1), Relaxed);
        body
    }

    /// Whether a playlist answer should be the last on this connection.
    #[must_use]
    pub fn is_old(&self) -> bool {
        let age = if self.hub.load.above_target() { AGE_ABOVE_TARGET_MS } else { AGE_MS };
        self.hub.clock.now_ms() - self.opened_ms >= age * self.age_permille / 1_000
    }

    /// Ends an HTTP/2 connection after what is in flight; HTTP/1.1 says it in the answer.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// See [`Connection::retire`].
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// The file of the segment that is being sent, and where in it `part` lies.
    fn stored(&self, part: &[u8]) -> Option<(Arc<Stored>, usize)> {
        let sending = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = sending.as_ref()?.stored.as_ref()?;
        Some((Arc::clone(stored), stored.position_of(part)?))
    }

    fn read(&self) {
        if self.multiplexed {
            self.deadline_ms.store(self.hub.clock.now_ms() + IDLE_MS_MAX, Relaxed);
        } else if self.phase.load(Relaxed) == IDLE {
            self.phase.store(READING_HEAD, Relaxed);
            self.deadline_ms.store(self.hub.clock.now_ms() + HEAD_MS_MAX, Relaxed);
        }
    }

    fn wrote(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.hub.totals.wrote(Protocol::Hls, bytes);
        let written = self.written.load(Relaxed) + bytes;
        self.written.store(written, Relaxed);
        if self.multiplexed {
            self.deadline_ms.store(self.hub.clock.now_ms() + IDLE_MS_MAX, Relaxed);
        } else if written >= self.answered_at.load(Relaxed) {
            self.finish_answer();
            self.leave_answering();
            self.phase.store(IDLE, Relaxed);
            self.deadline_ms.store(self.hub.clock.now_ms() + IDLE_MS_MAX, Relaxed);
        } else {
            self.deadline_ms.store(NEVER, Relaxed);
        }
    }

    fn write_blocked(&self) {
        let stalled = self.hub.clock.now_ms() + WRITE_STALL_MS_MAX;
        if self.deadline_ms.load(Relaxed) > stalled {
            self.deadline_ms.store(stalled, Relaxed);
        }
    }

    fn finish_answer(&self) {
        if self.answered_at.swap(NEVER, Relaxed) == NEVER {
            return;
        }
        if let Some(segment) = self.counts.lock().unwrap_or_else(PoisonError::into_inner).take() {
            segment.fetches.complete();
        }
    }

    fn leave_answering(&self) {
        if self.phase.load(Relaxed) == ANSWERING {
            self.hub.answering.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave_answering();
    }
}

/// 1000 ± [`AGE_SPREAD_PERCENT`], evenly over nonces (the finaliser of SplitMix64 scatters them).
fn spread_permille(nonce: u64) -> u64 {
    let mut x = nonce.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let spread = AGE_SPREAD_PERCENT * 10;
    1_000 - spread + (x ^ (x >> 31)) % (2 * spread + 1)
}

/// The socket as hyper sees it: bytes that were already read, then the rest; everything is noted in the connection.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    already_read: Bytes,
    connection: Arc<Connection>,
}

impl Watched {
    /// `already_read` is read again first.
    #[must_use]
    pub fn new(stream: TcpStream, already_read: Bytes, connection: Arc<Connection>) -> Self {
        Self { stream, already_read, connection }
    }

    /// Sends up to `length` bytes when the socket takes something.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut sent = 0;
            let done = self.stream.try_io(Interest::WRITABLE, || {
                sent = send(&self.stream)?;
                // It is full now: nothing is tried again before the kernel says that there is room.
                if sent < length { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sent) }
            });
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && sent == 0 => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => return Poll::Ready(Ok(sent)),
            }
        }
    }

    /// An answer's head, if there is one, and what follows it, a part of a stored segment.
    fn poll_send_stored(
        &self,
        cx: &mut Context<'_>,
        head: Option<&[u8]>,
        part: &[u8],
        (stored, position): (&Stored, usize),
    ) -> Poll<io::Result<usize>> {
        let mut sent = 0;
        if let Some(head) = head {
            // It waits in the kernel for what follows at once.
            sent = ready!(
                self.poll_send(cx, head.len(), |socket| SockRef::from(socket).send_with_flags(head, libc::MSG_MORE))
            )?;
            if sent < head.len() {
                return Poll::Ready(Ok(sent));
            }
        }
        match self.poll_send(cx, part.len(), |socket| stored.send(socket, position, part.len())) {
            Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(sent + bytes)),
            // An error, or a full socket, is found by the next write.
            _ if sent > 0 => Poll::Ready(Ok(sent)),
            other => other,
        }
    }

    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => self.connection.wrote(*bytes),
            Poll::Pending => self.connection.write_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.already_read.is_empty() {
            let take = self.already_read.len().min(buf.remaining());
            buf.put_slice(&self.already_read.split_to(take));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.connection.read();
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (head, part) = match bufs {
            [part] => (None, part),
            [head, part, ..] if self.connection.stored(head).is_none() => (Some(&**head), part),
            [part, ..] => (None, part),
            [] => return Poll::Ready(Ok(0)),
        };
        let result = match self.connection.stored(part) {
            Some((stored, position)) => self.poll_send_stored(cx, head, part, (&stored, position)),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::spread_permille;

    #[test]
    fn ages_are_spread_over_twenty_per_cent_either_way() {
        let values: Vec<_> = (0..10_000).map(spread_permille).collect();
        assert!(values.iter().all(|v| (800..=1_200).contains(v)));
        assert!(values.iter().filter(|v| **v < 850).count() > 500);
        assert!(values.iter().filter(|v| **v > 1_150).count() > 500);
    }
}
