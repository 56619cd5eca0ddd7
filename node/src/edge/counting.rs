//! Who watches: counted without sessions, so that edges can be added up.
//!
//! HLS viewers are the completed GETs of one segment, and who has gone since does not ask for the playlist; RTMP and HTTP-FLV viewers are connections; egress is bytes
//! written. What protects this edge from too many viewers is counted separately, by requests *begun*: an overloaded
//! edge must not look emptier than it is.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

mod load;
mod refused;
mod reloads;
pub use load::{Load, Sample};
pub use refused::Refused;
pub use reloads::Reloads;

/// How often one segment was asked for.
#[derive(Debug)]
pub struct Fetches {
    /// When this edge came to hold it, milliseconds of the node's clock.
    pub held_since_ms: u64,
    begun: AtomicU64,
    done: AtomicU64,
}

impl Fetches {
    /// A count of zero.
    #[must_use]
    pub fn new(held_since_ms: u64) -> Self {
        Self { held_since_ms, begun: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// A GET that will reach the last byte was accepted; over HTTP/2, where one packet can bring many, it also has begun to
    /// take the bytes.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// It was written to the end.
    pub fn complete(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// Requests begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Requests completed: the count that is published.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.done.load(Relaxed)
    }
}

/// By which protocol bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HLS, and every other answer of the HTTP port.
    Hls,
    /// HTTP-FLV.
    Flv,
    /// RTMP play.
    Rtmp,
}

impl Protocol {
    /// All of them, in the order of [`Totals`].
    pub const ALL: [Self; 3] = [Self::Hls, Self::Flv, Self::Rtmp];

    /// As metrics name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Hls => "hls",
            Self::Flv => "flv",
            Self::Rtmp => "rtmp",
        }
    }
}

/// Classes of answers of the HTTP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A playlist.
    Playlist,
    /// A segment or a part of one.
    Segment,
    /// A page, a script, or what pages are told.
    Page,
    /// 304.
    NotModified,
    /// 4xx.
    NotFound,
    /// 503 of a full edge.
    Refused,
    /// 503 of any other reason.
    Unavailable,
}

impl Answered {
    /// All of them, in the order of [`Totals`].
    pub const ALL: [Self; 7] = [
        Self::Playlist,
        Self::Segment,
        Self::Page,
        Self::NotModified,
        Self::NotFound,
        Self::Refused,
        Self::Unavailable,
    ];

    /// As metrics name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Playlist => "playlist",
            Self::Segment => "segment",
            Self::Page => "page",
            Self::NotModified => "not_modified",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Everything that only grows since the start.
#[derive(Debug, Default)]
pub struct Totals {
    egress_bytes: [AtomicU64; 3],
    answers: [AtomicU64; 7],
    /// Viewers of RTMP and HTTP-FLV that were too slow and skipped to a key frame.
    pub skips: AtomicU64,
    /// Viewers that were closed because they took no byte for too long.
    pub stalls: AtomicU64,
    /// Connections that were ended because they did not say what they wanted in time or said it wrongly.
    pub misbehaved: AtomicU64,
    /// Connections of the HTTP port that were closed because an answer stood still or took too long.
    pub http_stalled: AtomicU64,
    /// Connections of the HTTP port that were closed for a newcomer.
    pub http_displaced: AtomicU64,
    /// Connections of the HTTP port that were closed at once, since viewers of HTTP-FLV hold all places.
    pub http_full: AtomicU64,
    /// Segments whose hash differed from the ingest's ledger: a defect.
    pub mismatches: AtomicU64,
    /// Segments fetched from siblings.
    pub sibling_fetches: AtomicU64,
    /// Fetches from siblings that brought nothing, or the wrong bytes.
    pub sibling_failures: AtomicU64,
}

impl Totals {
    /// `bytes` were written to viewers.
    pub fn wrote(&self, protocol: Protocol, bytes: u64) {
        self.egress_bytes[protocol as usize].fetch_add(bytes, Relaxed);
    }

    /// A request was answered.
    pub fn answered(&self, class: Answered) {
        self.answers[class as usize].fetch_add(1, Relaxed);
    }

    /// Bytes written to viewers by one protocol.
    #[must_use]
    pub fn egress_bytes(&self, protocol: Protocol) -> u64 {
        self.egress_bytes[protocol as usize].load(Relaxed)
    }

    /// Bytes written to viewers by all protocols.
    #[must_use]
    pub fn egress_bytes_total(&self) -> u64 {
        self.egress_bytes.iter().map(|bytes| bytes.load(Relaxed)).sum()
    }

    /// Answers of one class.
    #[must_use]
    pub fn answers(&self, class: Answered) -> u64 {
        self.answers[class as usize].load(Relaxed)
    }
}
