//! What travels between ingest and edges besides media: RTMP AMF0 data messages of one private name, each with one
//! JSON document. Readers ignore fields they do not know; a node works with the previous release in both directions.
//!
//! A link is one RTMP connection per edge and stream: the ingest dials, `connect`s to app `relay` with the token,
//! publishes the stream's name, waits for the edge's [`Greeting`], answers with an [`Announcement`] and then sends
//! epochs, marks and media in order. Heartbeats go both ways.

use crate::ledger::{EpochId, Ledger, Life, ListProfile, Msn, Profile};
use crate::programme::Programme;
use serde::{Deserialize, Serialize};

mod bounds;
mod message;
mod tracks;
pub use message::{DecodeError, RELAY_APP, RELAY_HANDLER, decode, encode};

/// Whether all numbers of a ledger are such as [`decode`] accepts: siblings send theirs outside of a relay message.
#[must_use]
pub fn is_within_bounds(ledger: &crate::ledger::Ledger) -> bool {
    bounds::of_ledger(ledger).is_none()
}

/// Identity of one ingest process: differs between two starts.
pub type IngestId = u64;

/// A heartbeat is sent this often.
pub const HEARTBEAT_MS: u64 = 500;
/// A link without a message for this long is dead.
pub const LINK_DEAD_MS: u64 = 2_000;

/// Everything but media on a relay link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum RelayMessage {
    /// Edge → ingest, once, first.
    Greeting(Greeting),
    /// Ingest → edge: the truth about the stream. First on a link, and again when it changed other than by marks.
    Announcement(Announcement),
    /// Ingest → edge: what the event is; on each link first and on every change.
    Event(EventInfo),
    /// Ingest → edge: an epoch begins (or, in a replay, began).
    Epoch(Epoch),
    /// Ingest → edge: a segment begins here.
    Mark(Mark),
    /// Ingest → edge: the publisher changed its metadata within an epoch. A release that does not know it skips it.
    Metadata(Metadata),
    /// Ingest → edge: the open epoch is over.
    End(End),
    /// Ingest → edge: the presentation moved on in its life.
    Life(LifeMark),
    /// Both ways, every [`HEARTBEAT_MS`].
    Heartbeat(Heartbeat),
    /// Edge → ingest, and back once everything that the ingest said before it came is written: what the edge knows
    /// then is what was true when it asked.
    Probe(Probe),
    /// Edge → ingest: another link has a higher epoch.
    Outranked(Outranked),
    /// Edge → ingest: listed entries that neither the ring nor a sibling could provide.
    Missing(Missing),
}

/// What an edge knows of a stream when a link opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Greeting {
    /// Its ledger.
    pub ledger: Ledger,
    /// Entries it holds the bytes of, or has complete messages for.
    pub held: Vec<Msn>,
    /// Profiles it speaks.
    pub profiles: Vec<Profile>,
    /// The best text of playlists that it writes; it writes all before it, too.
    #[serde(skip_serializing_if = "ListProfile::is_one")]
    pub list_profile: ListProfile,
    /// The ingest it has a live link to for this stream, with that ingest's open epoch.
    pub live_link: Option<LiveLink>,
}

/// See [`Greeting::live_link`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveLink {
    /// The other ingest.
    pub ingest: IngestId,
    /// Its open epoch, 0 if it has none.
    pub epoch: EpochId,
}

/// The ledger as the ingest decided it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Announcement {
    /// Who speaks.
    pub ingest: IngestId,
    /// The truth at the position where the messages after this one continue. During a replay the marks repeat
    /// entries of it.
    pub ledger: Ledger,
    /// The ingest's open epoch, if it has a publisher.
    pub open_epoch: Option<EpochId>,
    /// Grows with every announcement of this ingest: a replayed older one is ignored.
    pub version: u64,
    /// The msn of the mark that follows; segments before it have to come from siblings. `None`: nothing follows yet.
    pub replay_from: Option<Msn>,
    /// Presentation settings that blocking requests need before the first segment: the wanted segment duration.
    pub segment_ms: u64,
}

/// What an edge has to know about the event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventInfo {
    /// Names of all streams.
    pub streams: Vec<String>,
    /// HTTP-FLV is served.
    pub http_flv: bool,
    /// RTMP play is served.
    pub rtmp: bool,
    /// CORS.
    pub allowed_origins: Vec<String>,
    /// Admin addresses of all edges, this one included.
    pub siblings: Vec<std::net::SocketAddr>,
    /// What pages show. `None` if the event has no pages, or its ingest knows of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programme: Option<Programme>,
}

/// The beginning of an epoch. Configurations are carried as hexadecimal text of the FLV tag bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Epoch {
    /// Unix milliseconds; the identity of the epoch.
    pub epoch: EpochId,
    /// First epoch of the presentation it belongs to: the zero of RTMP and HTTP-FLV viewers' time.
    pub presentation: EpochId,
    /// The profile its segments are muxed with.
    pub profile: Profile,
    /// Video sequence header, AMF0 metadata and audio sequence header in force.
    pub video: Option<String>,
    /// See `video`.
    pub audio: Option<String>,
    /// See `video`.
    pub metadata: Option<String>,
}

/// Metadata of an epoch from here on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The open epoch.
    pub epoch: EpochId,
    /// See [`Epoch::metadata`].
    pub metadata: String,
}

/// A segment begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mark {
    /// The epoch.
    pub epoch: EpochId,
    /// The msn of the segment that begins.
    pub msn: Msn,
    /// Its start, milliseconds since the epoch, unwrapped: receivers unwrap message times from here.
    pub t_ms: u64,
    /// What its muxer starts with: for MPEG-TS the continuity counters.
    pub counters: crate::segment::Carry,
    /// The entry of the segment that it closes, with the ledger's `first` and `presentation` from then on.
    pub closed: Option<Closed>,
}

/// A closed segment and what its closing did to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Its entry.
    pub entry: crate::ledger::Entry,
    /// The first listed msn from now on.
    pub first: Msn,
    /// The presentation it belongs to.
    pub presentation: crate::ledger::Presentation,
}

/// The end of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct End {
    /// The epoch that ends.
    pub epoch: EpochId,
    /// Its end, milliseconds since the epoch.
    pub t_ms: u64,
    /// The last segment, unless it was too short and is dropped.
    pub closed: Option<Closed>,
}

/// The presentation moved on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LifeMark {
    /// First epoch of the presentation meant: ignored for another one.
    pub presentation: EpochId,
    /// What it is from now on.
    pub life: Life,
}

/// Sign of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    /// Unix milliseconds of the sender; for measuring only, decides nothing.
    pub now_ms: u64,
}

/// A question whose answer is itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// When the edge asked, milliseconds of its own clock: it means nothing to the ingest.
    pub asked_ms: u64,
}

/// The sender takes its stream from another ingest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outranked {
    /// The ledger it follows.
    pub ledger: Ledger,
    /// The ingest it follows.
    pub live_link: Option<LiveLink>,
}

/// Entries whose bytes could not be had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Missing {
    /// Their numbers.
    pub msns: Vec<Msn>,
}
