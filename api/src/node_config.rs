//! The configuration of a node: a file (JSON or YAML is the caller's business; JSON in the cluster) that the operator writes
//! and the node reads, and reads again when it changes.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Configuration of an ingest. In a cluster it is the ConfigMap `EVENT-node`, key `node.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IngestConfig {
    /// Namespace and name of the event, as `namespace/name`.
    pub event: String,
    /// Grows with every change the operator makes; `/status` reports what was loaded.
    #[serde(default)]
    pub version: String,
    /// The sessions that may be live.
    pub streams: Vec<StreamConfig>,
    /// How segments are cut and listed.
    #[serde(default)]
    pub hls: HlsConfig,
    /// What edges serve besides HLS, and to which pages.
    #[serde(default)]
    pub playback: PlaybackConfig,
    /// What pages show of the event. `None`: edges serve no pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programme: Option<ProgrammeConfig>,
    /// Other RTMP servers that get a copy. The URLs are files in `forward_dir`, named as here.
    #[serde(default)]
    pub forward: Vec<ForwardConfig>,
    /// Where the edges are.
    pub discovery: Discovery,
    /// File with the event's seed (32 bytes as hexadecimal text): relay token and generated stream keys come from it.
    pub seed_file: String,
    /// What generated publish keys are derived with beside the seed: the event's uid and its key generation. Without it
    /// they go by the seed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_salt: Option<String>,
    /// Folder with publish keys of the user's Secret (`STREAM`, `STREAM.anything`, or `STREAM.backup` for the backup
    /// encoder). When set, generated keys are not accepted; the folder may be missing or empty for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_keys_dir: Option<String>,
    /// Folder with the forward URLs of the user's Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_dir: Option<String>,
    /// Where streams may be forwarded to. If unset, any destination is allowed, as suits a single machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_policy: Option<ForwardPolicy>,
    /// Where to listen.
    #[serde(default)]
    pub listen: IngestListen,
    /// Publishers above this are refused, in bits per second of audio and video. All their messages together, and the segments that
    /// the media become, may exceed it by a quarter.
    #[serde(default = "default_max_bitrate")]
    pub max_bitrate: u64,
}

/// The bit rate above which a publisher is refused unless configured otherwise: it bounds the memory of every node.
pub const DEFAULT_MAX_BITRATE_BPS: u64 = 30_000_000;

fn default_max_bitrate() -> u64 {
    DEFAULT_MAX_BITRATE_BPS
}

/// Where streams may be forwarded to. Never to loopback and link-local addresses. Checked on the resolved address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardPolicy {
    /// Names (`*.example.org` is every name below it) and networks (`203.0.113.0/24`). Empty: every address that is not
    /// refused.
    pub hosts: Vec<String>,
    /// Networks that are refused unless `hosts` lists a network that holds the address: those of Pods and Services.
    pub refused_networks: Vec<String>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StreamConfig {
    /// DNS label, the path segment of every URL.
    pub name: String,
}

/// How segments are cut and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct HlsConfig {
    /// Wanted segment duration in milliseconds.
    pub segment_ms: u64,
    /// How many segments of the wanted duration the list covers.
    pub window: u32,
    /// Milliseconds without a publisher after which EXT-X-ENDLIST is written.
    pub end_after_ms: u64,
}

impl Default for HlsConfig {
    fn default() -> Self {
        Self { segment_ms: 2_000, window: 8, end_after_ms: 60_000 }
    }
}

/// What edges serve besides HLS. Edges learn it over the relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PlaybackConfig {
    /// HTTP-FLV is served.
    pub http_flv: bool,
    /// RTMP play is served.
    pub rtmp: bool,
    /// Origins of pages that may play (CORS); `*` is every page.
    pub allowed_origins: Vec<String>,
}

impl Default for PlaybackConfig {
    fn default() -> Self {
        Self { http_flv: true, rtmp: true, allowed_origins: vec!["*".into()] }
    }
}

/// What pages show of the event. Edges learn it over the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ProgrammeConfig {
    /// What people call the event.
    pub title: String,
    /// The streams in the order in which they are shown.
    pub streams: Vec<TitledStream>,
    /// The timetable: each occurrence by itself, in the order of time.
    pub sessions: Vec<SessionConfig>,
    /// URL of a picture beside the title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// Colour of links and marks, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
}

/// A stream and what people call it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct TitledStream {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
}

/// One occurrence of the timetable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionConfig {
    /// What people call it.
    pub title: String,
    /// Its first moment (RFC 3339).
    pub start: String,
    /// Its end (RFC 3339).
    pub end: String,
    /// The streams that belong to it; none: all.
    pub streams: Vec<String>,
}

/// One other RTMP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForwardConfig {
    /// Name of the file in `forward_dir` that holds the URL.
    pub name: String,
    /// The streams that are pushed there; empty means all.
    #[serde(default)]
    pub streams: Vec<String>,
}

/// Where the ingest finds its edges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Discovery {
    /// A fixed list.
    Static {
        /// The edges.
        peers: Vec<Peer>,
    },
    /// A JSON file with a list of [`Peer`]s, watched for changes (the local runner rewrites it by rename).
    File {
        /// Its path.
        path: String,
    },
    /// A name that resolves to the addresses of the edges, asked every second.
    Dns {
        /// Host name.
        host: String,
    },
    /// The EndpointSlices of a headless Service in the pod's own namespace; DNS of the same Service as fallback.
    EndpointSlices {
        /// Name of the Service.
        service: String,
    },
}

/// The addresses of one edge inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// RTMP relay.
    pub relay: SocketAddr,
    /// Admin port: siblings fetch segments there.
    pub admin: SocketAddr,
    /// Whether it serves (known to be gone or not yet started: false). Unknown counts as serving.
    #[serde(default = "yes")]
    pub serving: bool,
}

fn yes() -> bool {
    true
}

/// Listening addresses of an ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct IngestListen {
    /// RTMP publish.
    pub rtmp: SocketAddr,
    /// `/healthz`, `/readyz`, `/status`, `/metrics`.
    pub admin: SocketAddr,
}

impl Default for IngestListen {
    fn default() -> Self {
        Self { rtmp: crate::ports::any(crate::ports::RTMP), admin: crate::ports::any(crate::ports::ADMIN) }
    }
}

/// Configuration of an edge. It names no stream: edges learn those over the relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EdgeConfig {
    /// Namespace and name of the event, as `namespace/name`.
    pub event: String,
    /// File with the relay token (text).
    pub token_file: String,
    /// Viewers that this edge carries; newcomers are refused from here on.
    pub viewers_per_edge: u32,
    /// Egress in bits per second that this edge carries, if bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_bits_per_second: Option<u64>,
    /// What the autoscaler aims at, in per cent of capacity: above it connections are let go sooner.
    #[serde(default = "default_target_utilization")]
    pub target_utilization_percent: u32,
    /// Milliseconds from SIGTERM or SIGINT to the end.
    pub drain_ms: u64,
    /// Milliseconds over which frames for RTMP and HTTP-FLV viewers are merged into one write.
    #[serde(default = "default_merge_window_ms")]
    pub merge_window_ms: u64,
    /// Where to listen.
    #[serde(default)]
    pub listen: EdgeListen,
}

fn default_target_utilization() -> u32 {
    70
}

fn default_merge_window_ms() -> u64 {
    crate::limits::MERGE_WINDOW_MS
}

/// Listening addresses of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct EdgeListen {
    /// HLS and HTTP-FLV.
    pub http: SocketAddr,
    /// RTMP play.
    pub rtmp: SocketAddr,
    /// RTMP relay from the ingest.
    pub relay: SocketAddr,
    /// `/healthz`, `/readyz`, `/status`, `/metrics`, and segments for siblings.
    pub admin: SocketAddr,
}

impl Default for EdgeListen {
    fn default() -> Self {
        use crate::ports::{ADMIN, HTTP, RELAY, RTMP, any};
        Self { http: any(HTTP), rtmp: any(RTMP), relay: any(RELAY), admin: any(ADMIN) }
    }
}
