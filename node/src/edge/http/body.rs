//! The bodies of answers: nothing, bytes that are there, or an HTTP-FLV stream.

use super::progress::Sending;
use crate::edge::stream::snapshot::Segment;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body as the HTTP port sends it. Bytes go to the socket as they are, never copied.
pub enum Body {
    /// Nothing (more).
    Empty,
    /// All of it at once.
    Full(Bytes),
    /// The same, of a segment that counts once it is sent.
    Counted(Bytes, Arc<Segment>),
    /// All of it at once, watched on its way into the socket (HTTP/2).
    Watched(Piece),
    /// Without end.
    Live(Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>),
}

/// Bytes on their way into the socket.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    sending: Option<Box<Sending>>,
}

impl Piece {
    /// All of a body whose progress `sending` notes.
    #[must_use]
    pub fn watched(bytes: Bytes, sending: Box<Sending>) -> Self {
        Self { bytes, sending: Some(sending) }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, sending: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(sending) = &mut self.sending {
            sending.took(count);
        }
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Self::Live(stream) = &mut *self {
            return stream.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes.into()))));
        }
        match std::mem::replace(&mut *self, Self::Empty) {
            Self::Full(bytes) | Self::Counted(bytes, _) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            Self::Watched(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Self::Empty | Self::Live(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) | Self::Counted(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Self::Watched(piece) => SizeHint::with_exact(piece.remaining() as u64),
            Self::Live(_) => SizeHint::default(),
        }
    }
}
