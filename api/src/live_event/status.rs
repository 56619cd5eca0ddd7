//! What the operator says about an event. Measured numbers are rounded to two significant digits, and are not rewritten
//! for small changes: live numbers are in the metrics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observed state of the event. Each condition states what is wrong and what to do; `kubectl describe` shows them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LiveEventStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Summary in one word: Pending (not everything is up), Waiting (for an encoder), Live, Draining (being deleted),
    /// Failed (not accepted). Derived from the conditions; scripts should read those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Streams with a publisher of all streams, e.g. 2/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Accepted, IngestReady, EdgesReady, RelaysConverged, AutoscalingActive, Live, UpgradePending, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub streams: Vec<StreamStatus>,
    /// The ingest, to which encoders publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestStatus>,
    /// The edges, from which viewers play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<EdgesStatus>,
    /// The image that ingest and edges run. It is kept while the event is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_image: Option<String>,
    /// When the schedule next changes the fewest edges, and to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_scheduled_scale: Option<NextScale>,
}

/// Summary in one word.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not everything is up yet.
    Pending,
    /// Everything is up; no encoder publishes.
    Waiting,
    /// At least one stream is live.
    Live,
    /// The event is being deleted.
    Draining,
    /// The spec is not accepted: see the condition Accepted.
    Failed,
}

/// One session.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// An encoder publishes.
    pub live: bool,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The encoder's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The name that the encoder gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Video codec, e.g. avc1.64001f.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Audio codec, e.g. mp4a.40.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Size of the picture, e.g. 1920x1080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// Measured frames per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// Measured bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    /// Measured distance of key frames, e.g. 2s or 8.3s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gop: Option<String>,
    /// What should be changed at the encoder, e.g. GopTooLong (8.3s, segment 2s).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The backup encoder is on air, since the main one is gone or silent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_backup: bool,
    /// The second encoder, which publishes beside the one on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<StandbyStatus>,
    /// Where the encoder publishes, without the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_url: Option<String>,
    /// The Secret with the publish key: kubectl get secret NAME -o jsonpath='{.data.key}' | base64 -d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<String>,
    /// The URL that a viewer opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback_url: Option<String>,
}

/// An encoder that could take over.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StandbyStatus {
    /// What it is for, by its key: main or backup.
    pub role: String,
    /// Its address.
    pub address: String,
    /// It goes on air at its next key frame if the other encoder fails.
    pub ready: bool,
    /// Why it is not ready, e.g. NoKeyFrame or Steadying (4.0s of 10.0s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Video codec, e.g. avc1.64001f.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Audio codec, e.g. mp4a.40.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Measured bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
}

/// The ingest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngestStatus {
    /// Host and port that encoders reach it at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The server to enter in OBS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// True while the ingest accepts publishers.
    #[serde(default)]
    pub ready: bool,
    /// Its name (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address of RTMP publish (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<String>,
    /// Process id (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Times it was started again (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
}

/// The edges.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EdgesStatus {
    /// Ready edges of wanted edges, e.g. 2/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The wanted number of edges.
    #[serde(default)]
    pub desired: u32,
    /// How many are Ready.
    #[serde(default)]
    pub ready: u32,
    /// Viewers on all edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u64>,
    /// Bits per second that all edges send together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_bits_per_second: Option<u64>,
    /// How many viewers the Ready edges carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Base URL of playback; append STREAM/index.m3u8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Base URL of RTMP playback; append STREAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtmp_url: Option<String>,
    /// In a cluster at most ten edges that are not healthy; on one machine (lectern local) all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<EventNode>,
}

/// One node of the event.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EventNode {
    /// Its name.
    pub name: String,
    /// It is Ready.
    pub ready: bool,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Address of HLS and HTTP-FLV (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Address of RTMP (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtmp: Option<String>,
    /// Viewers (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u64>,
    /// Process id (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Times it was started again (lectern local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
}

/// The schedule's next step.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NextScale {
    /// When.
    pub at: String,
    /// The fewest edges from then on.
    pub min: u32,
    /// The window that begins or ends then.
    pub window: String,
}
