//! Segments: how media becomes the bytes that players download.

pub mod ts;
