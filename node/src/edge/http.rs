//! The HTTP port of an edge: HLS and HTTP-FLV, and the pages that play them.
//!
//! Answers come from a snapshot of the stream that one task replaces when something changes; a request takes no lock
//! and renders nothing. Bodies are the shared bytes of the snapshot and go to the socket in one vectored write; segments are
//! sent by the kernel from where it holds them.

mod answer;
mod body;
mod connection;
mod find;
mod live;
mod page;
mod progress;
mod range;
mod reply;
mod request;
mod route;
mod send;
mod serve;
mod socket;
mod state;
mod waiting;

#[cfg(test)]
mod tests;

pub use connection::{
    AGE_ABOVE_TARGET_MS, AGE_MS, AGE_SPREAD_PERCENT, ANSWER_MS_MAX, HEAD_MS_MAX, IDLE_MS_MAX, WRITE_STALL_MS_MAX,
};
pub use serve::{HEAD_BYTES_MAX, serve};
pub use state::HttpState;
