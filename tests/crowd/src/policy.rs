//! How these viewers behave: the written policy of the player that all figures of a report refer to.
//!
//! **HLS.** A viewer opens the URL it was given and follows its first variant. It starts at the first segment that
//! begins at least [`START_TARGETS`] target durations before the end of the list (RFC 8216, 6.3.3), fetches every
//! segment in order over one kept connection, and plays as soon as it has one. It reloads the list one target duration
//! after the last reload began if that changed it, half a target duration otherwise (6.3.4). A segment marked
//! EXT-X-GAP is not fetched. After EXT-X-ENDLIST it stops (with `--rejoin` it opens the page again every
//! [`REJOIN_MS`]).
//!
//! **Reads.** A request has [`REQUEST_MS`] in all, connecting included. One that fails (refused, reset, cut short, too
//! slow, a 5xx or an unexpected 4xx) is tried once more after [`RETRY_MS`] on a new connection, at the next address if
//! there are several. If that fails too, it is a *failed read*, and the viewer goes on after [`FAILED_MS`]. A refusal
//! to join (503 with Retry-After on the page's URL) and a stream that is not live (404 there) are no failed reads:
//! the viewer comes back when it was told to.
//!
//! **HTTP-FLV and RTMP.** A viewer plays from the first key frame on, once [`CUSHION_MS`] are buffered. A connection
//! that ends is dialled again at once; the second failure in a row is an error, and then it waits [`FAILED_MS`].
//!
//! **Stalls.** A virtual buffer: media that has arrived adds to it, the clock takes from it. Empty for longer than
//! [`STALL_MS`] is one stall.

/// Target durations between the start position and the end of the list.
pub const START_TARGETS: u32 = 3;
/// What one try of a request may take, in milliseconds (hls.js gives 10 s to the first byte).
pub const REQUEST_MS: u64 = 10_000;
/// Pause before the one retry, in milliseconds.
pub const RETRY_MS: u64 = 100;
/// Pause after a failed read, in milliseconds.
pub const FAILED_MS: u64 = 1_000;
/// Pause between looks at a page whose session has ended, in milliseconds.
pub const REJOIN_MS: u64 = 5_000;
/// Longest pause that a `Retry-After` can impose, in seconds.
pub const RETRY_AFTER_S_MAX: u64 = 30;
/// What an HTTP-FLV or RTMP player buffers before it plays, in milliseconds (VLC: 1,000).
pub const CUSHION_MS: u64 = 1_000;
/// An empty buffer up to this long is not seen by people, in milliseconds.
pub const STALL_MS: u64 = 100;
/// A jump of the video time of an HTTP-FLV or RTMP stream beyond this is a gap, in milliseconds.
pub const JUMP_MS: u32 = 1_000;
