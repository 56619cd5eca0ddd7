//! `LiveEvent → Event`: what people wrote becomes a value that can work, or every problem at once.
//!
//! The API server has checked the same rules already (schema and CEL); here they hold for `lectern local` and
//! `lectern plan`, for rules that CEL cannot state (does the time zone exist?), and for objects that were stored before
//! a rule was made. After this no code looks at the raw spec again.

mod page;
mod schedule;

pub use schedule::{Recurrence, When, Window};

use lectern_api::limits::{STREAMS_MAX, WINDOWS_MAX};
use lectern_api::live_event::{
    EDGES_MAX, EdgesExpose, EdgesSpec, Expose, ExposeType, FORWARDS_MAX, LiveEvent, PageSpec, Protocol, Resources,
    Scheduling, SecretRef, UpdatePolicy,
};
use lectern_api::names::{EventName, SecretName, StreamName};
use lectern_api::node_config::{ForwardConfig, HlsConfig, PlaybackConfig};
use lectern_api::{keys, labels};
use std::collections::BTreeSet;
use std::fmt;

/// One thing that cannot work, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, e.g. `spec.edges.min`.
    pub field: String,
    /// What is wrong and what to change.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// An event that can work.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its namespace.
    pub namespace: String,
    /// Its name: the prefix of everything it has.
    pub name: EventName,
    /// Generation of the spec that this was made from.
    pub generation: Option<i64>,
    /// The sessions.
    pub streams: Vec<Stream>,
    /// When an audience is expected.
    pub schedule: Vec<Window>,
    /// Where encoders publish.
    pub ingest: Ingest,
    /// Where people watch.
    pub edges: Edges,
    /// How HLS is cut.
    pub hls: HlsConfig,
    /// What is served besides.
    pub playback: PlaybackConfig,
    /// What people call the event.
    pub title: Option<String>,
    /// Its page.
    pub page: PageSpec,
    /// Other servers that get a copy.
    pub forward: Vec<ForwardConfig>,
    /// Where their URLs are.
    pub forward_secret: Option<SecretName>,
    /// The pause annotation is set: nothing is to be changed.
    pub paused: bool,
}

impl Event {
    /// `namespace/name`, as nodes and key derivation know it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// What people call it.
    pub title: Option<String>,
}

/// A generation of generated publish keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGeneration {
    /// Its number.
    pub number: u32,
    /// What its keys are derived with ([`lectern_api::keys::salt`]).
    pub salt: String,
}

/// The ingest as wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// The user's own keys.
    pub publish_keys: Option<SecretName>,
    /// Which generation of generated keys is in force. None: keys go by the event's name alone.
    pub key_generation: Option<KeyGeneration>,
    /// How it is reached.
    pub expose: Expose,
    /// When it may be restarted.
    pub update: UpdatePolicy,
    /// Where it may run.
    pub scheduling: Scheduling,
    /// What it gets.
    pub resources: Resources,
}

/// The edges as wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// What one carries, in viewers.
    pub viewers_per_edge: u32,
    /// What one carries, in bits per second.
    pub egress_bits_per_second: Option<u64>,
    /// How full they should be, in per cent.
    pub target_percent: u32,
    /// How long one serves on after it was told to end, in milliseconds.
    pub drain_ms: u64,
    /// How they are reached.
    pub expose: EdgesExpose,
    /// Where they may run.
    pub scheduling: Scheduling,
    /// What each gets.
    pub resources: Resources,
}

/// Between what the number of edges moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `edges.min`.
    pub min: u32,
    /// `edges.max`, at least `min`.
    pub max: u32,
}

impl Edges {
    /// Between what their number moves.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds { min: self.min, max: self.max }
    }
}

/// The event that `raw` describes.
///
/// # Errors
/// Every problem there is, in the order of the fields.
pub fn validate(raw: &LiveEvent) -> Result<Event, Vec<Problem>> {
    let mut problems = Problems::default();
    let spec = &raw.spec;
    let name = problems.take("metadata.name", EventName::new(raw.metadata.name.as_deref().unwrap_or_default()));
    let streams = streams(raw, &mut problems);
    let schedule = windows(raw, &mut problems);
    let ingest = Ingest {
        publish_keys: secret(
            spec.ingest.publish_keys_secret_ref.as_ref(),
            "spec.ingest.publishKeysSecretRef",
            &mut problems,
        ),
        key_generation: spec.ingest.key_generation.map(|number| KeyGeneration {
            number,
            // An event that no API server has (lectern local) has no uid.
            salt: keys::salt(raw.metadata.uid.as_deref().unwrap_or_default(), number),
        }),
        expose: spec.ingest.expose.clone(),
        update: spec.ingest.update_policy,
        scheduling: spec.ingest.scheduling.clone(),
        resources: spec.ingest.resources.clone(),
    };
    expose(&spec.ingest.expose, "spec.ingest.expose", &mut problems);
    let edges = edges(&spec.edges, &mut problems);
    let hls = hls(raw, &mut problems);
    let playback = playback(raw, &mut problems);
    let page = page::read(&spec.playback.page, &mut problems);
    let forward = forward(raw, &mut problems);
    let forward_secret = secret(spec.forward_secret_ref.as_ref(), "spec.forwardSecretRef", &mut problems);
    match name {
        Some(name) if problems.0.is_empty() => Ok(Event {
            namespace: raw.metadata.namespace.clone().unwrap_or_else(|| "default".into()),
            name,
            generation: raw.metadata.generation,
            streams,
            schedule,
            ingest,
            edges,
            hls,
            playback,
            title: spec.title.clone(),
            page,
            forward,
            forward_secret,
            paused: paused(raw),
        }),
        Some(_) | None => Err(problems.0),
    }
}

/// Whether the pause annotation is set.
#[must_use]
pub fn paused(raw: &LiveEvent) -> bool {
    raw.metadata.annotations.as_ref().and_then(|all| all.get(labels::PAUSED)).is_some_and(|value| value == "true")
}

/// What was found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    fn unless(&mut self, holds: bool, field: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.add(field, message);
        }
    }

    fn take<T, E: fmt::Display>(&mut self, field: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error.to_string())).ok()
    }
}

fn streams(raw: &LiveEvent, problems: &mut Problems) -> Vec<Stream> {
    let all = &raw.spec.streams;
    let count = all.len();
    problems.unless(
        (1..=STREAMS_MAX as usize).contains(&count),
        "spec.streams",
        format!("an event has 1 to {STREAMS_MAX} streams, not {count}"),
    );
    unique(all.iter().map(|stream| stream.name.as_str()), "spec.streams", problems);
    let named = all.iter().enumerate().filter_map(|(index, stream)| {
        let name = problems.take(format!("spec.streams[{index}].name"), StreamName::new(&stream.name))?;
        Some(Stream { name, title: stream.title.clone() })
    });
    named.collect()
}

fn windows(raw: &LiveEvent, problems: &mut Problems) -> Vec<Window> {
    let all = &raw.spec.schedule;
    problems.unless(
        all.len() <= WINDOWS_MAX as usize,
        "spec.schedule",
        format!("at most {WINDOWS_MAX} windows: use repeat instead of a window a day"),
    );
    unique(all.iter().map(|window| window.name.as_str()), "spec.schedule", problems);
    let max = raw.spec.edges.max;
    let read = all.iter().enumerate().filter_map(|(index, window)| {
        let field = format!("spec.schedule[{index}]");
        problems.unless(
            window.min <= max,
            format!("{field}.min"),
            format!("{} must not exceed edges.max ({max}): raise edges.max or lower the window's min", window.min),
        );
        schedule::read(window, &field, problems)
    });
    read.collect()
}

fn edges(spec: &EdgesSpec, problems: &mut Problems) -> Edges {
    let EdgesSpec { min, max, viewers_per_edge, target_utilization_percent: target, .. } = *spec;
    let in_range = |number: u32| (1..=EDGES_MAX).contains(&number);
    problems.unless(in_range(min), "spec.edges.min", format!("{min} must be 1 to {EDGES_MAX}"));
    problems.unless(in_range(max), "spec.edges.max", format!("{max} must be 1 to {EDGES_MAX}"));
    problems.unless(
        min <= max,
        "spec.edges",
        format!("min ({min}) must not exceed max ({max}): raise max or lower min"),
    );
    let viewers = (1..=1_000_000).contains(&viewers_per_edge);
    problems.unless(viewers, "spec.edges.viewersPerEdge", format!("{viewers_per_edge} must be 1 to 1000000"));
    let percent = (10..=95).contains(&target);
    problems.unless(percent, "spec.edges.targetUtilizationPercent", format!("{target} must be 10 to 95"));
    let egress = spec.egress_bits_per_second_per_edge.as_ref().and_then(|quantity| {
        let field = "spec.edges.egressBitsPerSecondPerEdge";
        let bits = problems.take(field, quantity.whole())?;
        problems.unless(bits > 0, field, "must be more than 0: leave it out for no limit");
        Some(bits)
    });
    let drain_ms = duration(&spec.drain, "spec.edges.drain", (5_000, 3_600_000), "5s to 1h", problems);
    expose(&spec.expose.http, "spec.edges.expose.http", problems);
    expose(&spec.expose.rtmp, "spec.edges.expose.rtmp", problems);
    Edges {
        min,
        max,
        viewers_per_edge,
        egress_bits_per_second: egress,
        target_percent: target,
        drain_ms,
        expose: spec.expose.clone(),
        scheduling: spec.scheduling.clone(),
        resources: spec.resources.clone(),
    }
}

fn expose(expose: &Expose, field: &str, problems: &mut Problems) {
    let balanced = expose.kind == ExposeType::LoadBalancer;
    let inside = expose.kind == ExposeType::ClusterIP;
    problems.unless(
        balanced || (expose.load_balancer_class.is_none() && expose.load_balancer_source_ranges.is_empty()),
        field,
        "loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer",
    );
    problems.unless(
        !inside || (expose.external_traffic_policy.is_none() && expose.node_port.is_none()),
        field,
        "externalTrafficPolicy and nodePort need type NodePort or LoadBalancer",
    );
}

fn hls(raw: &LiveEvent, problems: &mut Problems) -> HlsConfig {
    let spec = &raw.spec.hls;
    problems.unless(
        (4..=60).contains(&spec.window),
        "spec.hls.window",
        format!("{} must be 4 to 60 segments: players start three segments before the end of the list", spec.window),
    );
    HlsConfig {
        segment_ms: duration(&spec.segment, "spec.hls.segment", (1_000, 10_000), "1s to 10s", problems),
        window: spec.window,
        end_after_ms: duration(&spec.end_after, "spec.hls.endAfter", (10_000, 3_600_000), "10s to 1h", problems),
    }
}

fn playback(raw: &LiveEvent, problems: &mut Problems) -> PlaybackConfig {
    let spec = &raw.spec.playback;
    for (index, origin) in spec.allowed_origins.iter().enumerate() {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
        problems.unless(
            origin == "*" || (!host.is_empty() && !host.contains(['/', ' '])),
            format!("spec.playback.allowedOrigins[{index}]"),
            format!("{origin:?} must be '*' or scheme://host[:port] without a path, e.g. https://lectures.example.org"),
        );
    }
    PlaybackConfig {
        http_flv: spec.protocols.contains(&Protocol::HttpFlv),
        rtmp: spec.protocols.contains(&Protocol::Rtmp),
        allowed_origins: spec.allowed_origins.clone(),
    }
}

fn forward(raw: &LiveEvent, problems: &mut Problems) -> Vec<ForwardConfig> {
    let spec = &raw.spec;
    problems.unless(
        spec.forward.len() <= FORWARDS_MAX as usize,
        "spec.forward",
        format!("at most {FORWARDS_MAX} entries, not {}", spec.forward.len()),
    );
    problems.unless(
        spec.forward.is_empty() || spec.forward_secret_ref.is_some(),
        "spec.forward",
        "needs forwardSecretRef: the Secret whose data keys, named like the entries, hold the RTMP URLs",
    );
    unique(spec.forward.iter().map(|forward| forward.name.as_str()), "spec.forward", problems);
    for (index, forward) in spec.forward.iter().enumerate() {
        if let Err(error) = SecretName::new(&forward.name) {
            problems.add(format!("spec.forward[{index}].name"), error.to_string());
        }
        problems.unless(
            forward.streams.len() == 1 || (forward.streams.is_empty() && spec.streams.len() == 1),
            format!("spec.forward[{index}].streams"),
            "must name one stream, since a URL takes one stream: make an entry for each",
        );
        for name in &forward.streams {
            problems.unless(
                spec.streams.iter().any(|stream| stream.name == *name),
                format!("spec.forward[{index}].streams"),
                format!("{name:?} is not in spec.streams"),
            );
        }
    }
    let config = |forward: &lectern_api::live_event::Forward| ForwardConfig {
        name: forward.name.clone(),
        streams: forward.streams.clone(),
    };
    spec.forward.iter().map(config).collect()
}

fn secret(reference: Option<&SecretRef>, field: &str, problems: &mut Problems) -> Option<SecretName> {
    problems.take(format!("{field}.name"), SecretName::new(&reference?.name))
}

/// Milliseconds of a duration that must lie within `range`.
fn duration(
    written: &lectern_api::duration::Duration,
    field: &str,
    range: (u64, u64),
    words: &str,
    problems: &mut Problems,
) -> u64 {
    let Some(ms) = problems.take(field, written.millis()) else { return range.0 };
    problems.unless((range.0..=range.1).contains(&ms), field, format!("{written} must be {words}"));
    ms
}

fn unique<'a>(names: impl Iterator<Item = &'a str>, field: &str, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for name in names {
        problems.unless(seen.insert(name), field, format!("{name:?} is there twice"));
    }
}

#[cfg(test)]
mod tests;
