//! What readers of a stream read: the snapshot that HTTP answers from and the ring of RTMP and HTTP-FLV viewers.

pub mod hub;
pub mod origins;
pub mod pages;
pub mod ring;
pub mod snapshot;
pub mod source;
pub mod stored;
pub mod wire;
