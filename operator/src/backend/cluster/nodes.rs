//! What the nodes of an event report: each ingest by a long poll of its own, the edges by way of `metrics-api`.

pub mod ask;
pub mod poll;
