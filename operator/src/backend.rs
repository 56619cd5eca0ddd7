//! What carries a plan out.

pub mod cluster;
pub mod local;
