//! The codecs that Lectern carries: each reads its own configuration.

pub mod aac;
pub mod avc;
