//! The socket as hyper sees it: it sends stored segments with sendfile(2) and notes what is read and written.

use super::connection::Connection;
use crate::edge::stream::stored::Stored;
use crate::net::wire::Wire;
use bytes::Bytes;
use socket2::SockRef;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The socket as hyper sees it: bytes that were already read, then the rest; everything is noted in the connection.
#[derive(Debug)]
pub struct Watched {
    stream: Wire,
    already_read: Bytes,
    connection: Arc<Connection>,
}

impl Watched {
    /// `already_read` is read again first.
    #[must_use]
    pub fn new(stream: Wire, already_read: Bytes, connection: Arc<Connection>) -> Self {
        Self { stream, already_read, connection }
    }

    /// Sends up to `length` bytes when the socket takes something.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut send: impl FnMut(&Wire) -> io::Result<usize>,
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
        let result = Pin::new(&mut *self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.connection.read();
        }
        result
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.connection.is_given_up() {
            self.stream.forget_unsent();
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.stream).poll_write(cx, buf);
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
            None => Pin::new(&mut *self.stream).poll_write_vectored(cx, bufs),
        };
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
