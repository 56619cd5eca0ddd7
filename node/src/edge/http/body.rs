//! The bodies of answers: nothing, bytes that are there, or an HTTP-FLV stream.

use crate::edge::stream::snapshot::Segment;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body as the HTTP port sends it. Bytes go to the socket as they are, never copied.
pub enum Body {
    /// Nothing (more).
    Empty,
    /// All of it at once.
    Full(Bytes),
    /// The same where only the taking of the bytes shows that they are sent (HTTP/2): counts the segment then.
    Counted(Bytes, Arc<Segment>),
    /// Without end.
    Live(Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Self::Live(stream) = &mut *self {
            return stream.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))));
        }
        match std::mem::replace(&mut *self, Self::Empty) {
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Self::Counted(bytes, segment) => {
                segment.fetches.complete();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
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
            Self::Live(_) => SizeHint::default(),
        }
    }
}
