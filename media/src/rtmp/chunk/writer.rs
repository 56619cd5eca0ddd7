//! Writing chunks without any state: every message begins with a full header (type 0), every further chunk is type 3.
//!
//! So one serialised message serves every peer with the same chunk size, at any moment, whatever it was sent before.

use super::EXTENDED;
use crate::rtmp::limits::CHUNK_SIZE_MAX;
use crate::rtmp::message::csid;
use bytes::{BufMut, Bytes, BytesMut};

/// Longest first header: basic 1, message 11, extended timestamp 4.
pub const HEADER_BYTES_MAX: usize = 16;

/// The header of a message that fits into one chunk of the peer's size: to be written before the body's own bytes.
///
/// `csid` is a chunk stream id from 2 to 63; `length` is below 2²⁴.
#[must_use]
pub fn header(csid: u8, kind: u8, stream_id: u32, timestamp: u32, length: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES_MAX);
    put_header(&mut out, csid, kind, stream_id, timestamp, length);
    out.freeze()
}

/// A whole message in chunks of `chunk_size` payload bytes, the extended timestamp repeated in every chunk as the
/// specification has it (5.3.1.3).
///
/// A body of 2²⁴ bytes or more cannot be written: nothing comes out.
#[must_use]
pub fn serialise(csid: u8, kind: u8, stream_id: u32, timestamp: u32, body: &[u8], chunk_size: u32) -> Bytes {
    if body.len() > CHUNK_SIZE_MAX as usize {
        return Bytes::new();
    }
    let size = (chunk_size.max(1)) as usize;
    let continuations = body.len().saturating_sub(1) / size;
    let mut out = BytesMut::with_capacity(HEADER_BYTES_MAX + body.len() + continuations * 5);
    put_header(&mut out, csid, kind, stream_id, timestamp, body.len());
    for (index, piece) in body.chunks(size).enumerate() {
        if index > 0 {
            out.put_u8(0xc0 | csid);
            if timestamp >= EXTENDED {
                out.put_u32(timestamp);
            }
        }
        out.put_slice(piece);
    }
    out.freeze()
}

/// As [`header`], appended to `out`.
pub fn put_header(out: &mut BytesMut, csid: u8, kind: u8, stream_id: u32, timestamp: u32, length: usize) {
    debug_assert!((csid::CONTROL..64).contains(&csid) && length <= CHUNK_SIZE_MAX as usize);
    out.put_u8(csid);
    out.put_uint(u64::from(timestamp.min(EXTENDED)), 3);
    out.put_uint(length as u64, 3);
    out.put_u8(kind);
    // The one little-endian field of the protocol (5.3.1.2.1).
    out.put_u32_le(stream_id);
    if timestamp >= EXTENDED {
        out.put_u32(timestamp);
    }
}
