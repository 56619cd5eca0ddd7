//! What waits to be written to one connection: whole messages in order, bodies by reference, written vectored.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lectern_media::relay::{self, RelayMessage};
use lectern_media::rtmp::chunk;
use lectern_media::rtmp::message::{csid, kind, kind_of};
use lectern_media::time::wrap_ms;
use lectern_media::track::Track;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::net::TcpStream;

/// Pieces given to one system call. The kernel takes 1,024; beyond some dozens nothing is gained.
const PIECES_MAX: usize = 64;

/// Queue of the bytes that one connection has still to send.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that are RTMP already.
    pub(crate) fn put(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push_back(bytes);
        }
    }

    /// A message in one chunk: the peer was told a chunk size that no message exceeds, so the body goes as it is.
    pub(crate) fn put_whole(&mut self, kind: u8, stream_id: u32, timestamp: u32, body: Bytes) {
        self.put(chunk::header(csid::of(kind), kind, stream_id, timestamp, body.len()));
        self.put(body);
    }

    /// A message in chunks of `chunk_size`.
    pub(crate) fn put_chunked(&mut self, kind: u8, stream_id: u32, timestamp: u32, body: &Bytes, chunk_size: u32) {
        if body.len() <= chunk_size as usize {
            self.put_whole(kind, stream_id, timestamp, body.clone());
        } else {
            self.put(chunk::serialise(csid::of(kind), kind, stream_id, timestamp, body, chunk_size));
        }
    }

    /// A relay message, in one chunk.
    pub(crate) fn put_relay(&mut self, stream_id: u32, message: &RelayMessage) {
        self.put_whole(kind::DATA, stream_id, 0, relay::encode(message));
    }

    /// Audio or video, in one chunk. RTMP time wraps at 2³² ms.
    pub(crate) fn put_media(&mut self, stream_id: u32, track: Track, t_ms: u64, body: Bytes) {
        self.put_whole(kind_of(track), stream_id, wrap_ms(t_ms), body);
    }

    /// Writes as much as the socket takes now.
    ///
    /// # Errors
    /// What the system says. A full socket is none.
    pub(crate) fn try_flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            match socket.try_write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while written > 0 {
            let Some(first) = self.pieces.front_mut() else { return };
            let step = written.min(first.len());
            first.advance(step);
            written -= step;
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

/// Whole messages in one piece, for many connections that write the same. Peers were told a chunk size that no message
/// exceeds.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: BytesMut,
}

impl Batch {
    /// Memory of more than this is given back: after a burst a batch is small again.
    const KEPT_BYTES_MAX: usize = 256 << 10;

    /// As [`Outbox::put_relay`].
    pub(crate) fn put_relay(&mut self, stream_id: u32, message: &RelayMessage) {
        self.put(kind::DATA, stream_id, 0, &relay::encode(message));
    }

    /// As [`Outbox::put_media`].
    pub(crate) fn put_media(&mut self, stream_id: u32, track: Track, t_ms: u64, body: &Bytes) {
        self.put(kind_of(track), stream_id, wrap_ms(t_ms), body);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it for the next messages.
    pub(crate) fn clear(&mut self) {
        if self.bytes.capacity() > Self::KEPT_BYTES_MAX {
            self.bytes = BytesMut::new();
        }
        self.bytes.clear();
    }

    fn put(&mut self, kind: u8, stream_id: u32, timestamp: u32, body: &[u8]) {
        chunk::put_header(&mut self.bytes, csid::of(kind), kind, stream_id, timestamp, body.len());
        self.bytes.put_slice(body);
    }
}

#[cfg(test)]
impl Outbox {
    /// Everything that waits.
    pub(crate) fn gathered(&self) -> Vec<u8> {
        self.pieces.iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_a_full_socket_does_not_take_follows_in_order() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let writer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut reader, _) = listener.accept().await.unwrap();
        let mut outbox = Outbox::default();
        let mut wanted = Vec::new();
        for i in 0..2_000_u32 {
            let piece = vec![u8::try_from(i % 251).unwrap(); 10_000];
            wanted.extend_from_slice(&piece);
            outbox.put(piece.into());
        }
        let total = wanted.len();
        let read = tokio::spawn(async move {
            let mut got = vec![0; total];
            reader.read_exact(&mut got).await.unwrap();
            got
        });
        outbox.try_flush(&writer).unwrap();
        while !outbox.is_empty() {
            writer.writable().await.unwrap();
            outbox.try_flush(&writer).unwrap();
        }
        assert_eq!(outbox.bytes(), 0);
        assert!(read.await.unwrap() == wanted);
    }
}
