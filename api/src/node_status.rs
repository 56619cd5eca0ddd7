//! What a node says of itself at `/status`. Readers ignore what they do not know; every field has a default.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer of `GET /status`. With `?after=VERSION&wait=30s` the node answers when `version` is another one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// `ingest` or `edge`.
    pub role: String,
    /// Grows when anything but measured numbers changes.
    pub version: u64,
    /// A number that differs between two starts of the same node.
    pub boot: String,
    /// Version of the software.
    pub software: String,
    /// Namespace and name of the event.
    pub event: String,
    /// The node's own readiness.
    pub ready: bool,
    /// Why it is not ready, for people.
    pub not_ready_reason: Option<String>,
    /// It got SIGTERM and is draining.
    pub draining: bool,
    /// An ingest's part.
    pub ingest: Option<IngestStatus>,
    /// An edge's part.
    pub edge: Option<EdgeStatus>,
}

/// What an ingest knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngestStatus {
    /// `version` of the configuration that is in force.
    pub config_version: String,
    /// Salted fingerprint of the seed ([`crate::keys::fingerprint`]).
    pub seed_fingerprint: String,
    /// Accepted keys per stream; 0 means that no encoder can publish.
    pub keys: BTreeMap<String, u32>,
    /// Keys that were ignored, with the reason (never the value).
    pub key_problems: Vec<String>,
    /// By stream.
    pub streams: BTreeMap<String, IngestStream>,
    /// By relay address of the edge.
    pub relays: Vec<RelayStatus>,
    /// Other RTMP servers.
    pub forwards: Vec<ForwardStatus>,
    /// Publishers that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// One stream at the ingest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngestStream {
    /// An encoder is publishing.
    pub live: bool,
    /// Unix milliseconds since when.
    pub since_ms: Option<u64>,
    /// Unix milliseconds at which the last publisher went.
    pub idle_since_ms: Option<u64>,
    /// Address of the encoder.
    pub publisher: Option<String>,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
    /// Video codec, e.g. `avc1.64001f`.
    pub video_codec: Option<String>,
    /// Audio codec, e.g. `mp4a.40.2`.
    pub audio_codec: Option<String>,
    /// Picture width in pixels.
    pub width: Option<u32>,
    /// Picture height in pixels.
    pub height: Option<u32>,
    /// Measured frames per second.
    pub frame_rate: Option<f64>,
    /// Measured bits per second.
    pub bit_rate: Option<u64>,
    /// Measured distance of key frames in milliseconds.
    pub gop_ms: Option<u64>,
    /// What is wrong with what the encoder sends, e.g. `GopTooLong (8.3s, segment 2s)`.
    pub warnings: Vec<String>,
    /// The current epoch.
    pub epoch: Option<u64>,
    /// The last msn that was closed.
    pub last_msn: Option<u64>,
    /// The encoder on air is the backup.
    pub on_backup: bool,
    /// The encoder beside the one on air.
    pub standby: Option<Standby>,
}

/// The encoder beside the one on air: it is read and measured, and not relayed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standby {
    /// What it is for, by its key: `main` or `backup`.
    pub role: String,
    /// Its address.
    pub address: String,
    /// Video codec, e.g. `avc1.64001f`.
    pub video_codec: Option<String>,
    /// Audio codec, e.g. `mp4a.40.2`.
    pub audio_codec: Option<String>,
    /// Measured bits per second.
    pub bit_rate: Option<u64>,
    /// It could take over at its next key frame.
    pub ready: bool,
    /// Why it could not, a name first: `NoKeyFrame`, `Steadying (4.0s of 10.0s)`.
    pub reason: Option<String>,
}

/// One relay link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RelayStatus {
    /// Address of the edge's relay port.
    pub peer: String,
    /// By stream: whether the link is up and greeted.
    pub streams: BTreeMap<String, bool>,
    /// Milliseconds of media the slowest link is behind.
    pub lag_ms: u64,
    /// The last error.
    pub error: Option<String>,
}

/// One forward.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardStatus {
    /// Its name in the spec.
    pub name: String,
    /// The stream.
    pub stream: String,
    /// The URL was found.
    pub loaded: bool,
    /// It is being pushed to.
    pub connected: bool,
    /// The last error, without the URL.
    pub error: Option<String>,
}

/// What an edge knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EdgeStatus {
    /// Salted fingerprint of the relay token.
    pub token_fingerprint: String,
    /// By stream.
    pub streams: BTreeMap<String, EdgeStream>,
    /// RTMP and HTTP-FLV connections.
    pub connections: u64,
    /// Viewers as this edge alone would count them: what refusal of newcomers goes by.
    pub viewers: u64,
    /// Distinct newcomers that were refused in the last 15 s.
    pub refused_15s: u64,
    /// Refusals in the last 15 s, every try of every newcomer.
    pub refusals_15s: u64,
    /// Newcomers that were let in since the start.
    pub admitted: u64,
    /// Bytes written to viewers since the start.
    pub egress_bytes: u64,
    /// What it carries.
    pub capacity: u64,
}

/// One stream at an edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EdgeStream {
    /// Its relay link is alive.
    pub linked: bool,
    /// The ledger is known and its listed segments are held.
    pub level: bool,
    /// The last listed msn.
    pub last_msn: Option<u64>,
    /// Target duration in seconds, if a presentation is open.
    pub target_s: Option<u32>,
    /// Whether it is live, ended or gone: `idle`, `live`, `ended`.
    pub state: String,
    /// Completed GETs of the last four msn, as (msn, count, milliseconds since it was listed).
    pub fetches: Vec<(u64, u64, u64)>,
    /// Requests for the media playlist within the last target duration. None from an edge of a release that does not
    /// count them.
    pub reloads: Option<u64>,
    /// RTMP viewers.
    pub rtmp: u64,
    /// HTTP-FLV viewers.
    pub flv: u64,
}

/// The name that a warning or a reason begins with; what follows it are measured values.
#[must_use]
pub fn kind(text: &str) -> &str {
    text.split_once(' ').map_or(text, |(kind, _)| kind)
}
