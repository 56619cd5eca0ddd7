//! The custom resource `LiveEvent`, v1alpha1: what people write. What the operator answers is in [`status`].
//!
//! Doc comments of fields are what `kubectl explain` shows; defaults are in the schema; rules that one field alone
//! cannot state are CEL, each with a sentence that says what to change. `operator/src/validate.rs` states the same
//! rules again for `lectern local` and `lectern plan`; a test holds both against the same table.

mod definition;
mod page;
mod placement;
mod schedule;
mod status;

pub use definition::definition;
pub use page::{LOGO_CHARS_MAX, PageSpec};
pub use placement::{Expose, ExposeType, Resources, Scheduling, Toleration, TrafficPolicy};
pub use schedule::{Repeat, ScheduleWindow};
pub use status::{
    EdgesStatus, EventNode, IngestStatus, LiveEventStatus, NextScale, Phase, StandbyStatus, StreamStatus,
};

use crate::duration::Duration;
use crate::limits::{NAME_BYTES_MAX, STREAMS_MAX, WINDOWS_MAX};
use crate::quantity::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most servers that an event is forwarded to.
pub const FORWARDS_MAX: u32 = 16;
/// Most edges of one event.
pub const EDGES_MAX: u32 = 1_000;

/// The wanted state of an event: its streams, its schedule, its edges, and how they are reached.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "lectern.dev",
    version = "v1alpha1",
    kind = "LiveEvent",
    plural = "liveevents",
    shortname = "le",
    category = "media",
    namespaced,
    status = "LiveEventStatus",
    derive = "PartialEq",
    doc = "A live event: encoders push RTMP to one ingest, viewers watch HLS, HTTP-FLV or RTMP on edges whose number follows the number of viewers.",
    label("app.kubernetes.io/part-of", "lectern"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Live", type_ = "string", json_path = ".status.live"),
    printcolumn(name = "Viewers", type_ = "integer", json_path = ".status.edges.viewers"),
    printcolumn(name = "Edges", type_ = "string", json_path = ".status.edges.summary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Ingest", type_ = "string", json_path = ".status.ingest.url", priority = 1),
    printcolumn(name = "Playback", type_ = "string", json_path = ".status.edges.url", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z][a-z0-9-]{0,39}$')").message(
        "metadata.name prefixes the names of everything the event creates: at most 40 lower-case letters, digits and '-', beginning with a letter"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.forward) || self.forward.size() == 0 || has(self.forwardSecretRef)")
        .message("forward needs forwardSecretRef: the Secret whose data keys, named like the entries, hold the RTMP URLs"),
    validation = Rule::new("!has(self.forward) || self.forward.all(f, !has(f.streams) || f.streams.all(s, self.streams.exists(t, t.name == s)))")
        .message("forward[].streams names a stream that is not in spec.streams"),
    validation = Rule::new("!has(self.forward) || self.streams.size() == 1 || self.forward.all(f, has(f.streams) && f.streams.size() == 1)")
        .message("forward[].streams must name one stream, since a URL takes one stream: make an entry for each"),
    validation = Rule::new("!has(self.schedule) || self.schedule.all(w, w.min <= self.edges.max)")
        .message("schedule[].min must not exceed edges.max: raise edges.max or lower the window's min")
)]
pub struct LiveEventSpec {
    /// What people call the event, e.g. "Open lectures". Shown on its page, never interpreted. Default: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub title: Option<String>,

    /// The streams of the event, 1 to 64; all of them may be live at the same time. A stream that is not live costs
    /// nothing. Adding or removing a stream does not affect the others.
    #[schemars(length(min = 1, max = STREAMS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub streams: Vec<Stream>,

    /// When an audience is expected: the edges are started before viewers arrive. Outside of all windows edges.min applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WINDOWS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedule: Vec<ScheduleWindow>,

    /// Where encoders publish: one ingest for all streams of the event.
    #[serde(default)]
    pub ingest: IngestSpec,

    /// The edges that viewers connect to: between min and max of them, as many as the audience needs.
    #[serde(default)]
    pub edges: EdgesSpec,

    /// How HLS is cut and listed. The defaults suit lectures: viewers are six to eight seconds behind.
    #[serde(default)]
    pub hls: HlsSpec,

    /// Protocols besides HLS, and the web pages that may play.
    #[serde(default)]
    pub playback: PlaybackSpec,

    /// Other RTMP servers (a CDN, a platform) that get a copy of a stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = FORWARDS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub forward: Vec<Forward>,

    /// The Secret with the URLs of `forward`: one data key for each entry, named like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_secret_ref: Option<SecretRef>,
}

/// One session.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// The path segment of every URL of the stream, and what encoders publish to: rtmp://INGEST/live/NAME.
    #[schemars(length(min = 1, max = NAME_BYTES_MAX))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message(
        "a stream's name is part of every URL: lower-case letters, digits and '-', beginning and ending with a letter or digit"
    ))]
    pub name: String,

    /// Display name, e.g. "Hall A". Lectern does not interpret it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub title: Option<String>,
}

/// Where encoders publish: one ingest for all streams of the event.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngestSpec {
    /// Your own publish keys, in a Secret of this namespace. Data key STREAM, or STREAM.anything for several, or
    /// STREAM.backup for the backup encoder: each value is an accepted key of that stream. Keys can be changed at any
    /// time; an encoder that publishes with one that is removed is disconnected. Without it the operator generates a key
    /// for each stream: kubectl get secret EVENT-STREAM-key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_keys_secret_ref: Option<SecretRef>,

    /// Generation of the generated keys. Setting it, or raising it, replaces the generated key of every stream without a
    /// restart, and disconnects encoders that publish with the old ones; the Secrets are then called
    /// EVENT-STREAM-key-GENERATION. With a generation, keys also depend on this very object: a later event of the same name
    /// has other keys. Without it keys go by namespace and name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub key_generation: Option<u32>,

    /// How encoders reach the ingest (RTMP, port 1935). Default: type LoadBalancer.
    #[serde(default = "load_balancer")]
    pub expose: Expose,

    /// When the ingest may be restarted for a new image or new resources. WhenIdle (default): only while no stream is
    /// live and no schedule window is open. Immediate: at once; encoders reconnect and viewers get one discontinuity.
    #[serde(default)]
    pub update_policy: UpdatePolicy,

    /// Which nodes it may run on.
    #[serde(default)]
    pub scheduling: Scheduling,

    /// CPU and memory of the container. Empty: the installation's default.
    #[serde(default)]
    pub resources: Resources,
}

/// When the ingest may be restarted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdatePolicy {
    /// Only while no stream is live and no schedule window is open.
    #[default]
    WhenIdle,
    /// At once.
    Immediate,
}

/// The edges that viewers connect to: between min and max of them, as many as the audience needs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.min <= self.max").message("edges.min must not exceed edges.max: raise max or lower min"),
    validation = Rule::new("duration(self.drain) >= duration('5s') && duration(self.drain) <= duration('1h')")
        .message("edges.drain must be 5s to 1h: it is how long an edge keeps serving after its pod was deleted")
)]
pub struct EdgesSpec {
    /// Smallest number of edges, even without viewers. With two, playback survives the loss of one.
    #[serde(default = "default_min")]
    #[schemars(range(min = 1, max = EDGES_MAX))]
    pub min: u32,

    /// Largest number of edges: a limit on cost. When that many edges are full, new viewers are refused.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = EDGES_MAX))]
    pub max: u32,

    /// How many viewers one edge carries. An edge that has as many refuses new viewers; existing viewers are not
    /// affected.
    #[serde(default = "default_viewers")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub viewers_per_edge: u32,

    /// How much one edge may send, in bits per second, e.g. 4G: a network card fills before a processor does. The
    /// stricter of this and viewersPerEdge counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_bits_per_second_per_edge: Option<Quantity>,

    /// Target utilisation of an edge, in per cent of what it carries. The rest is room for the viewers who arrive in the
    /// minute in which new edges start.
    #[serde(default = "default_target")]
    #[schemars(range(min = 10, max = 95))]
    pub target_utilization_percent: u32,

    /// How long an edge keeps serving after its pod was deleted. HLS players move to other edges within that time; RTMP
    /// and HTTP-FLV viewers are disconnected one by one.
    #[serde(default = "default_drain")]
    pub drain: Duration,

    /// How viewers reach the edges.
    #[serde(default)]
    pub expose: EdgesExpose,

    /// Which nodes they may run on. They are spread over zones and nodes in any case.
    #[serde(default)]
    pub scheduling: Scheduling,

    /// CPU and memory of the container. Empty: the installation's default.
    #[serde(default)]
    pub resources: Resources,
}

/// How viewers reach the edges. No stickiness is needed: every edge answers every URL with the same bytes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EdgesExpose {
    /// HLS and HTTP-FLV (port 80 of the Service, 8080 of the edge). Default: type LoadBalancer.
    #[serde(default = "load_balancer")]
    pub http: Expose,
    /// RTMP play (port 1935). Default: type ClusterIP.
    #[serde(default = "cluster_ip")]
    pub rtmp: Expose,
}

/// How HLS is cut and listed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("duration(self.segment) >= duration('1s') && duration(self.segment) <= duration('10s')")
        .message("hls.segment must be 1s to 10s"),
    validation = Rule::new("self.window >= 4 && self.window <= 60")
        .message("hls.window must be 4 to 60 segments: players start three segments before the end of the list"),
    validation = Rule::new("duration(self.endAfter) >= duration('10s') && duration(self.endAfter) <= duration('1h')")
        .message("hls.endAfter must be 10s to 1h: a shorter time would end the session for all viewers when an encoder reconnects")
)]
pub struct HlsSpec {
    /// Target length of a segment. Segments are cut at key frames: set the key frame interval of the encoder to the same
    /// value. Viewers are about three segments behind live.
    #[serde(default = "default_segment")]
    pub segment: Duration,

    /// How many segments the playlist lists.
    #[serde(default = "default_window")]
    pub window: u32,

    /// How long to wait for a disconnected encoder to return before the session ends (EXT-X-ENDLIST). Until then players
    /// keep polling.
    #[serde(default = "default_end_after")]
    pub end_after: Duration,
}

/// Protocols besides HLS, and the web pages that may play.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.allowedOrigins.all(o, o == '*' || o.matches('^https?://[^/ ]+$'))").message(
    "playback.allowedOrigins are '*' or scheme://host[:port] without a path, e.g. https://lectures.example.org"
))]
pub struct PlaybackSpec {
    /// Protocols besides HLS: HTTPFLV (http://EDGE/live/STREAM.flv) and RTMP (rtmp://EDGE/live/STREAM). Both are one or
    /// two seconds behind live instead of six. Empty: HLS only.
    #[serde(default = "default_protocols")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub protocols: Vec<Protocol>,

    /// Web pages that may play (CORS): '*' is every page, otherwise origins such as https://lectures.example.org.
    #[serde(default = "default_origins")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 300)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_origins: Vec<String>,

    /// The page that every edge serves at /: the programme, the timetable and a player.
    #[serde(default)]
    pub page: PageSpec,
}

/// What is served besides HLS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// FLV over one long HTTP answer.
    #[serde(rename = "HTTPFLV")]
    HttpFlv,
    /// RTMP play.
    #[serde(rename = "RTMP")]
    Rtmp,
}

/// One other RTMP server.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// The data key in forwardSecretRef that holds the URL, e.g. rtmp://HOST/APP/NAME.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The stream that is pushed there: one, since a URL takes one stream. May be left out in an event of one stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1), inner(length(min = 1, max = NAME_BYTES_MAX)))]
    pub streams: Vec<String>,
}

/// A Secret in the event's namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret. It may be created later: until then the condition Accepted reports it as missing.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn load_balancer() -> Expose {
    Expose::of(ExposeType::LoadBalancer)
}
fn cluster_ip() -> Expose {
    Expose::of(ExposeType::ClusterIP)
}
fn default_min() -> u32 {
    2
}
fn default_max() -> u32 {
    40
}
fn default_viewers() -> u32 {
    1_500
}
fn default_target() -> u32 {
    70
}
fn default_drain() -> Duration {
    Duration::new("60s")
}
fn default_segment() -> Duration {
    Duration::new("2s")
}
fn default_window() -> u32 {
    8
}
fn default_end_after() -> Duration {
    Duration::new("60s")
}
fn default_protocols() -> Vec<Protocol> {
    vec![Protocol::HttpFlv, Protocol::Rtmp]
}
fn default_origins() -> Vec<String> {
    vec!["*".into()]
}

impl Default for IngestSpec {
    fn default() -> Self {
        Self {
            publish_keys_secret_ref: None,
            key_generation: None,
            expose: load_balancer(),
            update_policy: UpdatePolicy::default(),
            scheduling: Scheduling::default(),
            resources: Resources::default(),
        }
    }
}

impl Default for EdgesSpec {
    fn default() -> Self {
        Self {
            min: default_min(),
            max: default_max(),
            viewers_per_edge: default_viewers(),
            egress_bits_per_second_per_edge: None,
            target_utilization_percent: default_target(),
            drain: default_drain(),
            expose: EdgesExpose::default(),
            scheduling: Scheduling::default(),
            resources: Resources::default(),
        }
    }
}

impl Default for EdgesExpose {
    fn default() -> Self {
        Self { http: load_balancer(), rtmp: cluster_ip() }
    }
}

impl Default for HlsSpec {
    fn default() -> Self {
        Self { segment: default_segment(), window: default_window(), end_after: default_end_after() }
    }
}

impl Default for PlaybackSpec {
    fn default() -> Self {
        Self { protocols: default_protocols(), allowed_origins: default_origins(), page: PageSpec::default() }
    }
}
