//! Viewers of RTMP and HTTP-FLV: connections that read one ring per stream.
//!
//! A frame is serialised once for each wire form, not once per viewer. A viewer is a socket, a position in the ring and
//! the rest of a message that did not fit; it has no task, no timer and no buffer of its own. One task per shard visits
//! its viewers once per merge window and writes what is ready in one vectored write.

mod cursor;
mod play;
mod shard;
mod viewer;

#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Next};
pub use play::Play;
pub use shard::{NewViewer, Pace, Shards};
pub use viewer::{SEND_BUFFER_BYTES, WRITE_STALL_MS_MAX, tune};
