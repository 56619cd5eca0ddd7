//! The ingest: publishers in, relays and forwards out.
//!
//! `run` wires the parts. They meet in `state`: streams by name, keys, what edges are told of the event.

pub mod forward;
pub mod keys;
mod publish;
mod reload;
mod run;
mod standby;
pub(crate) mod state;
mod status;
pub(crate) mod stream;

pub use run::{Running, run};
