//! Lectern's media path, sans-IO: bytes and time come in as arguments, bytes and events go out.
//! No socket, no file, no thread, no clock: `clippy.toml` beside this crate's manifest bans them.
#![forbid(unsafe_code)]

pub mod amf0;
mod bits;
pub mod codec;
pub mod cursor;
pub mod flv;
pub mod hash;
pub mod hls;
pub mod ledger;
pub mod live;
pub mod machine;
pub mod programme;
pub mod relay;
pub mod rendition;
pub mod rtmp;
pub mod segment;
pub mod time;
pub mod track;
