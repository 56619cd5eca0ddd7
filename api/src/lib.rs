//! What Lectern's operator and nodes agree on. Plain data: no I/O, no clock, no async.

pub mod condition;
pub mod duration;
pub mod keys;
pub mod labels;
pub mod limits;
#[cfg(feature = "crd")]
pub mod live_event;
pub mod metrics;
pub mod names;
pub mod node_config;
pub mod node_status;
pub mod ports;
pub mod quantity;
pub mod text;
