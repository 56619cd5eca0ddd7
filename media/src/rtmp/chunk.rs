//! Chunks: how RTMP interleaves messages on one connection (RTMP 1.0, section 5.3).

mod reader;
mod writer;

pub use reader::{ChunkError, Reader};
pub use writer::{HEADER_BYTES_MAX, header, put_header, serialise};

pub use super::limits::ChunkLimits as Limits;

/// A timestamp field with this value means that the real timestamp follows in four bytes (5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;

#[cfg(test)]
mod tests;
