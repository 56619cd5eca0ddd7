//! What carries a plan out.

pub mod local;
