//! What Lectern's operator and nodes agree on. Plain data: no I/O, no clock, no async.

pub mod keys;
pub mod node_config;
pub mod node_status;
pub mod ports;
