//! The muxer against an independent reader, against its own frozen bytes, and against ffmpeg.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod build;
mod demux;
mod flv;
mod profile;
mod properties;
mod real;
