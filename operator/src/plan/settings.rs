//! The configurations of nodes. Settings are neutral; a backend says where things are (`IngestPlace`, `EdgePlace`) and gets the
//! file that the node reads.

use super::programme;
use crate::validate::Event;
use jiff::Timestamp;
use lectern_api::limits::MERGE_WINDOW_MS;
use lectern_api::node_config::{
    DEFAULT_MAX_BITRATE_BPS, Discovery, EdgeConfig, EdgeListen, ForwardConfig, ForwardPolicy, HlsConfig, IngestConfig,
    IngestListen, PlaybackConfig, ProgrammeConfig, StreamConfig,
};
use lectern_api::text::hex;
use sha2::{Digest, Sha256};

/// Bytes of the hash that names a configuration.
const VERSION_BYTES: usize = 6;

/// The configuration of an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestSettings {
    /// `namespace/name`.
    pub event: String,
    /// Names the content of all the rest: `/status` tells which one is in force.
    pub version: String,
    /// The sessions.
    pub streams: Vec<StreamConfig>,
    /// How HLS is cut.
    pub hls: HlsConfig,
    /// What edges serve besides.
    pub playback: PlaybackConfig,
    /// What pages show, if there are any.
    pub programme: Option<ProgrammeConfig>,
    /// Other servers that get a copy.
    pub forward: Vec<ForwardConfig>,
    /// Only the user's own keys are accepted.
    pub own_keys: bool,
    /// What generated keys are derived with beside the seed.
    pub key_salt: Option<String>,
}

/// Where an ingest finds things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestPlace {
    /// Its edges.
    pub discovery: Discovery,
    /// The seed.
    pub seed_file: String,
    /// The user's publish keys, if they bring their own.
    pub publish_keys_dir: String,
    /// The URLs to forward to.
    pub forward_dir: String,
    /// Where they may lead; None is everywhere.
    pub forward_policy: Option<ForwardPolicy>,
    /// Where it listens.
    pub listen: IngestListen,
}

/// The configuration of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSettings {
    /// `namespace/name`.
    pub event: String,
    /// What it carries, in viewers.
    pub viewers_per_edge: u32,
    /// What it carries, in bits per second.
    pub egress_bits_per_second: Option<u64>,
    /// How full it should be, in per cent.
    pub target_percent: u32,
    /// How long it serves on after SIGTERM, in milliseconds.
    pub drain_ms: u64,
}

/// Where an edge finds things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgePlace {
    /// The relay token.
    pub token_file: String,
    /// Where it listens.
    pub listen: EdgeListen,
}

impl IngestSettings {
    /// The file for an ingest that finds things at `place`.
    #[must_use]
    pub fn config(&self, place: IngestPlace) -> IngestConfig {
        let IngestPlace { discovery, seed_file, publish_keys_dir, forward_dir, forward_policy, listen } = place;
        IngestConfig {
            event: self.event.clone(),
            version: self.version.clone(),
            streams: self.streams.clone(),
            hls: self.hls,
            playback: self.playback.clone(),
            programme: self.programme.clone(),
            forward: self.forward.clone(),
            discovery,
            seed_file,
            key_salt: self.key_salt.clone().filter(|_| !self.own_keys),
            publish_keys_dir: self.own_keys.then_some(publish_keys_dir),
            forward_dir: (!self.forward.is_empty()).then_some(forward_dir),
            forward_policy: forward_policy.filter(|_| !self.forward.is_empty()),
            listen,
            max_bitrate: DEFAULT_MAX_BITRATE_BPS,
        }
    }
}

impl EdgeSettings {
    /// The file for an edge that finds things at `place`.
    #[must_use]
    pub fn config(&self, place: EdgePlace) -> EdgeConfig {
        EdgeConfig {
            event: self.event.clone(),
            token_file: place.token_file,
            viewers_per_edge: self.viewers_per_edge,
            egress_bits_per_second: self.egress_bits_per_second,
            target_utilization_percent: self.target_percent,
            drain_ms: self.drain_ms,
            merge_window_ms: MERGE_WINDOW_MS,
            listen: place.listen,
        }
    }
}

pub(super) fn ingest(event: &Event, now: Timestamp) -> IngestSettings {
    let name = |stream: &crate::validate::Stream| StreamConfig { name: stream.name.to_string() };
    let mut settings = IngestSettings {
        event: event.id(),
        version: String::new(),
        streams: event.streams.iter().map(name).collect(),
        hls: event.hls,
        playback: event.playback.clone(),
        programme: programme::programme(event, now),
        forward: event.forward.clone(),
        own_keys: event.ingest.publish_keys.is_some(),
        key_salt: event.ingest.key_generation.as_ref().map(|generation| generation.salt.clone()),
    };
    settings.version = version(&settings);
    settings
}

pub(super) fn edge(event: &Event) -> EdgeSettings {
    EdgeSettings {
        event: event.id(),
        viewers_per_edge: event.edges.viewers_per_edge,
        egress_bits_per_second: event.edges.egress_bits_per_second,
        target_percent: event.edges.target_percent,
        drain_ms: event.edges.drain_ms,
    }
}

/// A name for the content: the same content has the same version on every machine and after every restart.
fn version(settings: &IngestSettings) -> String {
    let IngestSettings { event, version: _, streams, hls, playback, programme, forward, own_keys, key_salt } = settings;
    let mut content = serde_json::json!([event, streams, hls, playback, programme, forward, own_keys]).to_string();
    // Only where there is one: the versions of all other events stay what they were.
    content.extend(key_salt.iter().map(String::as_str));
    hex(&Sha256::digest(content.as_bytes())[..VERSION_BYTES])
}
