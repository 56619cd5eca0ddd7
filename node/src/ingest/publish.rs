//! The publish port: connections of encoders, their keys, pace and measurement.

mod connection;
pub(in crate::ingest) mod guesses;
#[cfg(test)]
mod hostile;
pub(in crate::ingest) mod listener;
mod measure;
mod pace;
mod polled;
pub(crate) mod publisher;
pub(in crate::ingest) mod takeover;
