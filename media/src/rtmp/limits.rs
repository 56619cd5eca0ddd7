//! Every limit of an RTMP connection, with its reason.
//!
//! What known encoders need was measured with ffmpeg, OBS's librtmp and GStreamer.

/// How much a chunk reader holds for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Longest message, bytes.
    pub message_bytes: usize,
    /// All unfinished messages together, by the length that their headers announce, and the input not read yet.
    pub pending_bytes: usize,
    /// Chunk streams that may be in use.
    pub chunk_streams: usize,
}

/// Every host may connect: a `connect` command has about 400 bytes, with some encoders 4 KiB.
pub const BEFORE_ACCEPT: ChunkLimits =
    ChunkLimits { message_bytes: 64 * KIB, pending_bytes: 128 * KIB, chunk_streams: CHUNK_STREAMS_MAX };
/// Publishers and relays: a key frame of a 30 Mbit/s stream has 1 to 3 MB.
pub const AFTER_PUBLISH: ChunkLimits =
    ChunkLimits { message_bytes: 8 * MIB, pending_bytes: 16 * MIB, chunk_streams: CHUNK_STREAMS_MAX };
/// Viewers send next to nothing.
pub const AFTER_PLAY: ChunkLimits =
    ChunkLimits { message_bytes: 64 * KIB, pending_bytes: 64 * KIB, chunk_streams: CHUNK_STREAMS_MAX };

/// Encoders use two to five. Each has its own buffer: this bounds their number.
pub const CHUNK_STREAMS_MAX: usize = 16;

/// The payload bytes of a peer's chunks until it sets another size (RTMP 1.0, 5.4.1).
pub const CHUNK_SIZE_DEFAULT: u32 = 128;
/// A smaller Set Chunk Size is refused: the specification's "should", and one byte of payload per header is an attack.
pub const CHUNK_SIZE_MIN: u32 = 128;
/// Larger ones mean this: no message is longer (24 bits).
pub const CHUNK_SIZE_MAX: u32 = 0x00ff_ffff;
/// What viewers are sent: nearly every message in one chunk, so that body bytes are written as they are. The same that
/// ffmpeg publishes with, so every client in use reads it.
pub const PLAY_CHUNK_SIZE: u32 = 60_000;

/// From the first byte to the end of the handshake.
pub const HANDSHAKE_MS: u64 = 5_000;
/// From the connection, or the end of the last publish, to the next accepted publish or play.
pub const ACCEPT_MS: u64 = 10_000;
/// A publisher that sends nothing for this long is closed, although its connection is alive: a slide may stand for as
/// long as a lecture lasts. The caller finds out by TCP where a peer is gone.
pub const PUBLISHER_IDLE_MS: u64 = 3 * 3_600_000;

/// Commands, chunk sizes, aborts and unknown messages in a second; data messages too before publish. Encoders send
/// about ten in all. Acknowledgements, pings and window sizes do not count: they come with the traffic.
pub const CONTROL_MESSAGES_PER_S_MAX: u32 = 64;
/// `createStream` on one connection: the engine keeps a table of them.
pub const STREAMS_MAX: u32 = 4;
/// Application and stream names and queries, bytes.
pub const NAME_BYTES_MAX: usize = 1_024;

/// The acknowledgement window that publishers and viewers are asked to use, bytes.
pub const WINDOW_BYTES: u32 = 2_500_000;
/// On relays: a warm join writes 100 MB/s, and a sender that waits for acknowledgements must not wait for a small one.
pub const RELAY_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
