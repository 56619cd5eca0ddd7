//! The two state machines of a live stream: [`Ingest`], the clock, and [`Edge`], a pure function of its messages.
//!
//! Both take time and messages as arguments and are drained after each call: `while let Some(output) = m.poll()`; then
//! the caller asks `next_wake` until when it may sleep. The machines of a connection have another shape, since they turn
//! bytes into events: see [`crate::machine`].
//! Times named `now_ms` are unix milliseconds that never go back (the shell adds elapsed monotonic time to the wall
//! clock it read once).

pub mod edge;
mod epoch;
pub mod ingest;
mod opening;
pub mod ring;
pub mod standby;
mod timeline;
pub mod view;

pub use edge::Edge;
pub use ingest::Ingest;
pub use view::{Verdict, View};

/// Name of one relay connection, given by the shell; never used twice in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);
