//! What a connection that we open is for.

use super::chunk::Limits;
use super::limits;

/// Which way media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From us.
    Publish,
    /// To us.
    Play,
}

/// Where to connect and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Application: the path between host and stream.
    pub app: String,
    /// The URL up to the application, with a query if the server wants one.
    pub tc_url: String,
    /// Which way.
    pub mode: Mode,
    /// Stream name, with its query if the server wants one.
    pub stream: String,
    /// Payload bytes of the chunks we write.
    pub chunk_size: u32,
    /// The acknowledgement window that the server is asked to use, bytes.
    pub window_bytes: u32,
    /// What the server may send.
    pub limits: Limits,
}

impl ClientConfig {
    /// A relay, forward or viewer with the usual chunk size, window and limits.
    #[must_use]
    pub fn new(mode: Mode, tc_url: &str, app: &str, stream: &str) -> Self {
        Self {
            app: app.to_owned(),
            tc_url: tc_url.to_owned(),
            mode,
            stream: stream.to_owned(),
            chunk_size: limits::PLAY_CHUNK_SIZE,
            window_bytes: limits::RELAY_WINDOW_BYTES,
            limits: limits::AFTER_PUBLISH,
        }
    }
}
