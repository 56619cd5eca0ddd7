//! The two state machines of a live stream: [`Ingest`], the clock, and [`Edge`], a pure function of what it is told.
//!
//! Both take time and messages as arguments and are drained after each call: `while let Some(output) = m.poll()`.
//! Times named `now_ms` are unix milliseconds that never go back (the shell adds elapsed monotonic time to the wall
//! clock it read once).

pub mod edge;
mod epoch;
pub mod ingest;
mod opening;
pub mod ring;
mod timeline;
pub mod view;

pub use edge::Edge;
pub use ingest::Ingest;
pub use view::View;

/// Name of one relay connection, given by the shell; never used twice in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);
