//! What sessions report to their shell in addition to the bytes to send.

use super::chunk::ChunkError;
use crate::amf0;

/// Why a session is over. Nothing comes out of it afterwards; the shell writes what is still to be sent and closes the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The peer closed the connection, or ended what it came for.
    #[error("closed by the peer")]
    ByPeer,
    /// The shell ended the session.
    #[error("closed by this side")]
    ByUs,
    /// The shell rejected a request, and the answer is on its way.
    #[error("rejected: {code}, {description}")]
    Rejected {
        /// The code that was sent, such as `NetStream.Publish.BadName`.
        code: String,
        /// The sentence that was sent.
        description: String,
    },
    /// The handshake failed.
    #[error("handshake failed: {reason}")]
    Handshake {
        /// The error of `rml_rtmp`.
        reason: String,
    },
    /// The bytes are no RTMP, or too much of it.
    #[error("malformed RTMP after {received} bytes: {source}")]
    Chunk {
        /// Bytes that were received up to then.
        received: u64,
        /// What is wrong.
        source: ChunkError,
    },
    /// A command that cannot be read.
    #[error("malformed command after {received} bytes: {source}")]
    Command {
        /// Bytes that were received up to then.
        received: u64,
        /// What is wrong.
        source: amf0::Error,
    },
    /// A request that this state of the session has no answer to.
    #[error("unexpected {what}")]
    Unexpected {
        /// The command, or what is wrong with it.
        what: String,
    },
    /// More control messages in a second than any encoder sends.
    #[error("more than {limit} control messages in a second")]
    TooManyControlMessages {
        /// The limit.
        limit: u32,
    },
    /// A deadline passed.
    #[error("nothing came for too long: {what}")]
    TimedOut {
        /// What was waited for.
        what: Waiting,
    },
    /// The engine refused what the guard let through. It should not happen; the connection ends, nothing else.
    #[error("RTMP engine failed: {reason}")]
    Engine {
        /// The error of `rml_rtmp`.
        reason: String,
    },
}

/// What a deadline was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The end of the handshake.
    Handshake,
    /// An accepted publish or play.
    Accept,
    /// Any byte from an accepted peer.
    Bytes,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Handshake => "the end of the handshake",
            Self::Accept => "a publish or play",
            Self::Bytes => "media",
        })
    }
}

/// A call that came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The session is over: its `Closed` event came or is about to come.
    #[error("session is closed")]
    Closed,
    /// There is nothing to accept or reject, or no viewer to send media to.
    #[error("session has nothing to {0}")]
    WrongState(&'static str),
}
