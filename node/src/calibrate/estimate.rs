//! From what was read to what an edge carries. Pure.
//!
//! The processor time of an edge is that of receiving and cutting the stream, which it spends without viewers, too, and
//! that of each viewer: `carried = (cores kept for it − idle) / cost of a viewer`. The cost is taken at the larger number
//! of viewers, the nearer to a full edge; the smaller one shows whether it stays the same when the load doubles.

use crate::args::Protocol;
use lectern_api::node_config::HlsConfig;
use serde::Serialize;
use std::time::Duration;

/// What a socket takes in the kernel in bytes, buffers apart: its structures of TCP, file and inode have 3 to 4 KiB.
const SOCKET_BYTES: f64 = 4_096.0;
/// How far away viewers are assumed to be, in seconds: what is in flight to a viewer (bit rate × round trip) waits in the
/// edge's kernel until it is acknowledged. On a loopback nothing does.
pub const ROUND_TRIP_S: f64 = 0.2;
/// Payload in what a network card sends: 1,448 bytes in an Ethernet frame that takes 1,538 (IPv4, TCP with time stamps,
/// preamble and gap).
const PAYLOAD_SHARE: f64 = 1_448.0 / 1_538.0;
/// Descriptors of an edge that are no viewer's: segments, links, listeners, logs; 64 streams have some 2,000.
const DESCRIPTORS_OWN: u64 = 2_048;
/// What the field takes at most (spec.edges.viewersPerEdge).
const VIEWERS_PER_EDGE_MAX: u64 = 1_000_000;
/// Per cent of the stream below which what viewers got tells nothing of what they cost.
const DELIVERED_MIN: f64 = 80.0;
/// Per cent of the stream below which the report mentions it.
const DELIVERED_GOOD: f64 = 97.0;
/// Range of the windows of a step, in per cent of their median, above which the report mentions it.
const RANGE_GOOD: f64 = 40.0;
/// How much dearer, in per cent, a viewer may be at the double load before the report mentions it.
const STEEPER_GOOD: f64 = 15.0;

/// What was read at one moment; all since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The moment.
    pub at: Duration,
    /// Processor time of the edge.
    pub edge: Duration,
    /// Processor time of edge, ingest and viewers.
    pub machine: Duration,
    /// Bytes that viewers received.
    pub bytes: u64,
    /// Segments that they received.
    pub segments: u64,
}

/// A number of viewers, and what was read at the ends of its windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// How many.
    pub viewers: u32,
    /// One more than windows.
    pub readings: Vec<Reading>,
    /// Memory of the edge at the end that no file stands behind, in bytes.
    pub anonymous_bytes: u64,
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What was published.
    pub stream: Stream,
    /// No viewer watches.
    pub idle: Step,
    /// The first half.
    pub half: Step,
    /// All of them.
    pub all: Step,
    /// Memory of the edge without viewers, in bytes.
    pub resident_bytes: u64,
    /// How often the kernel stopped these processes because they had used up their share.
    pub throttled: u64,
    /// Requests and connections of viewers that failed, and how the first did.
    pub failed: (u64, Option<String>),
}

/// What was published and how it was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Bits per second.
    pub bitrate: u64,
    /// How viewers watched.
    pub protocol: Protocol,
    /// Length of a segment as it was cut.
    pub segment_ms: u64,
}

/// The edge that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Processors.
    pub cores: f64,
    /// Memory, if it is bounded.
    pub memory_bytes: Option<u64>,
    /// Network card, if it is known.
    pub egress_bits_per_second: Option<u64>,
    /// Descriptors that its process may have.
    pub descriptors: u64,
    /// Streams that are live.
    pub streams: u32,
    /// Per cent of each that is kept free.
    pub headroom_percent: u32,
}

impl Edge {
    /// What is left of `whole`.
    fn usable(&self, whole: f64) -> f64 {
        whole * (1.0 - f64::from(self.headroom_percent) / 100.0)
    }
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// Too few viewers to be seen.
    #[error(
        "the edge's processor time did not rise measurably with {viewers} viewers: try more (--viewers), longer \
         (--duration), or a quieter machine"
    )]
    NoRise {
        /// How many there were.
        viewers: u32,
    },
    /// The machine was too busy.
    #[error(
        "viewers got {percent:.0} % of the stream only, so what they cost is not known: try fewer (--viewers) or a \
         quieter machine"
    )]
    Starved {
        /// How much they got.
        percent: f64,
    },
    /// The edge is too small.
    #[error("the {} of such an edge carries no viewer at this bit rate: give it more", limit.name())]
    NoRoom {
        /// Of what it has too little.
        limit: Limit,
    },
}

/// What bounds an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Cores.
    Processor,
    /// Bytes.
    Memory,
    /// Bits per second.
    Network,
    /// Descriptors.
    OpenFiles,
}

impl Limit {
    /// Its name in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Memory => "memory",
            Self::Network => "network card",
            Self::OpenFiles => "open files",
        }
    }
}

/// Several windows in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 };
        Self { median, min: at(0), max: at(values.len().saturating_sub(1)) }
    }

    /// Per cent of the median between the least and the most.
    fn range_percent(self) -> f64 {
        if self.median > 0.0 { (self.max - self.min) / self.median * 100.0 } else { 0.0 }
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// How many watched.
    pub viewers: u32,
    /// Cores that the edge took.
    pub edge_cores: Spread,
    /// Cores that one of them took of it, beyond what it takes without viewers.
    pub cores_per_viewer: Option<f64>,
    /// What they received, bits per second.
    pub bits_per_second: f64,
    /// How much of the stream that was.
    pub delivered_percent: Option<f64>,
}

/// What one viewer takes of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Viewer {
    /// Cores.
    pub cores: f64,
    /// Bits per second.
    pub bits_per_second: f64,
    /// Memory of its process in bytes, measured.
    pub edge_bytes: f64,
    /// Memory of its kernel in bytes, reckoned.
    pub kernel_bytes: f64,
}

/// How many viewers a limit carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Which.
    pub by: Limit,
    /// How many.
    pub viewers: u64,
}

/// What an edge carries, and how that is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// What was published.
    pub stream: Stream,
    /// The steps: none, half and all of the viewers.
    pub levels: [Level; 3],
    /// Viewers that one core carries.
    pub viewers_per_core: f64,
    /// Bits per second that one core carries.
    pub bits_per_second_per_core: f64,
    /// How much dearer a viewer is at the larger number of them, in per cent; negative if cheaper.
    pub steeper_percent: f64,
    /// What one viewer takes.
    pub viewer: Viewer,
    /// The edge that is asked about.
    pub edge: Edge,
    /// What each limit carries with the headroom kept free.
    pub bounds: Vec<Bound>,
    /// The limit that decides.
    pub bound_by: Limit,
    /// For spec.edges.viewersPerEdge.
    pub viewers_per_edge: u64,
    /// For spec.edges.egressBitsPerSecondPerEdge, if the network card is known.
    pub egress_bits_per_second_per_edge: Option<u64>,
    /// What makes these figures doubtful.
    pub warnings: Vec<String>,
}

/// What an edge carries, from what was measured.
///
/// # Errors
/// If that does not tell.
pub fn estimate(run: &Run, edge: Edge) -> Result<Estimate, Unusable> {
    let idle = level(&run.idle, run.stream, None);
    let [half, all] = [&run.half, &run.all].map(|step| level(step, run.stream, Some(idle.edge_cores.median)));
    let no_rise = Unusable::NoRise { viewers: all.viewers };
    let cores = all.cores_per_viewer.filter(|cores| *cores > 0.0).ok_or(no_rise)?;
    let percent = all.delivered_percent.unwrap_or(0.0);
    if percent < DELIVERED_MIN {
        return Err(Unusable::Starved { percent });
    }
    let bits_per_second = all.bits_per_second / f64::from(all.viewers);
    let grown = run.all.anonymous_bytes.saturating_sub(run.idle.anonymous_bytes);
    let viewer = Viewer {
        cores,
        bits_per_second,
        edge_bytes: float(grown) / f64::from(all.viewers),
        kernel_bytes: SOCKET_BYTES + bits_per_second / 8.0 * ROUND_TRIP_S,
    };
    let bounds = bounds(run, edge, idle.edge_cores.median, viewer);
    let least = bounds.iter().min_by_key(|bound| bound.viewers).copied();
    let least = least.unwrap_or(Bound { by: Limit::Processor, viewers: 0 });
    if least.viewers == 0 {
        return Err(Unusable::NoRoom { limit: least.by });
    }
    let before = half.cores_per_viewer.filter(|cores| *cores > 0.0).unwrap_or(cores);
    let steeper_percent = (cores / before - 1.0) * 100.0;
    let levels = [idle, half, all];
    Ok(Estimate {
        stream: run.stream,
        viewers_per_core: 1.0 / cores,
        bits_per_second_per_core: bits_per_second / cores,
        steeper_percent,
        viewer,
        edge,
        bound_by: least.by,
        viewers_per_edge: two_digits(least.viewers.min(VIEWERS_PER_EDGE_MAX)),
        egress_bits_per_second_per_edge: edge
            .egress_bits_per_second
            .map(|bits| two_digits(floor(edge.usable(float(bits)) * PAYLOAD_SHARE))),
        warnings: warnings(run, &levels, steeper_percent, blind(edge, least.viewers, bits_per_second)),
        bounds,
        levels,
    })
}

fn level(step: &Step, stream: Stream, idle_cores: Option<f64>) -> Level {
    let windows = || step.readings.windows(2).filter_map(|pair| pair.first().zip(pair.last()));
    let per_second = |amount: f64, from: &Reading, to: &Reading| amount / (to.at - from.at).as_secs_f64().max(1e-9);
    let edge_cores = Spread::of(windows().map(|(a, b)| per_second((b.edge - a.edge).as_secs_f64(), a, b)));
    // Of all windows together: what one has too little of, the next has too much.
    let whole = step.readings.first().zip(step.readings.last());
    let bits_per_second = whole.map_or(0.0, |(a, b)| per_second(float(b.bytes - a.bytes) * 8.0, a, b));
    let delivered = whole.filter(|_| step.viewers > 0).map(|(a, b)| {
        let share = match stream.protocol {
            Protocol::Hls => per_second(float(b.segments - a.segments), a, b) * float(stream.segment_ms) / 1_000.0,
            Protocol::Flv | Protocol::Rtmp => bits_per_second / float(stream.bitrate),
        };
        share / f64::from(step.viewers) * 100.0
    });
    let cores_per_viewer =
        idle_cores.filter(|_| step.viewers > 0).map(|idle| (edge_cores.median - idle) / f64::from(step.viewers));
    Level { viewers: step.viewers, edge_cores, cores_per_viewer, bits_per_second, delivered_percent: delivered }
}

fn bounds(run: &Run, edge: Edge, idle_cores: f64, viewer: Viewer) -> Vec<Bound> {
    let streams = f64::from(edge.streams);
    let carried = |by, room: f64, each: f64| Bound { by, viewers: floor(room / each) };
    let mut bounds = vec![carried(Limit::Processor, edge.usable(edge.cores) - idle_cores * streams, viewer.cores)];
    if let Some(bytes) = edge.memory_bytes {
        let own = float(run.resident_bytes) + streams * media_bytes(run.stream);
        bounds.push(carried(Limit::Memory, edge.usable(float(bytes)) - own, viewer.edge_bytes + viewer.kernel_bytes));
    }
    if let Some(bits) = edge.egress_bits_per_second {
        bounds.push(carried(Limit::Network, edge.usable(float(bits)) * PAYLOAD_SHARE, viewer.bits_per_second));
    }
    bounds.push(Bound { by: Limit::OpenFiles, viewers: edge.descriptors.saturating_sub(DESCRIPTORS_OWN) });
    bounds
}

/// What a stream takes at an edge once its list is full, with the usual window.
fn media_bytes(stream: Stream) -> f64 {
    let segment_s = float(stream.segment_ms) / 1_000.0;
    let list_s = f64::from(HlsConfig::default().window) * segment_s;
    float(stream.bitrate) / 8.0 * (3.0 * list_s + 2.0 * segment_s)
}

/// Without the network card the processor decides, which mostly carries more.
fn blind(edge: Edge, viewers: u64, bits_per_second: f64) -> Option<String> {
    let gigabits = float(viewers) * bits_per_second / 1e9;
    edge.egress_bits_per_second.is_none().then(|| {
        format!(
            "the network card is not known, and {viewers} viewers need {gigabits:.1} Gbit/s of it: say with --egress \
             what it carries"
        )
    })
}

fn warnings(run: &Run, levels: &[Level; 3], steeper_percent: f64, blind: Option<String>) -> Vec<String> {
    let mut found = Vec::from_iter(blind);
    let [_, _, all] = levels;
    let delivered = all.delivered_percent.unwrap_or(0.0);
    if delivered < DELIVERED_GOOD {
        found.push(format!("viewers got {delivered:.0} % of the stream: this machine was too busy for all of it"));
    }
    let range = all.edge_cores.range_percent();
    if range > RANGE_GOOD {
        found.push(format!(
            "with {} viewers windows differ by {range:.0} % of their median: something else uses this machine, or \
             --duration is short",
            all.viewers
        ));
    }
    if steeper_percent > STEEPER_GOOD {
        found.push(format!(
            "a viewer costs {steeper_percent:.0} % more at the double load: a full edge may carry fewer than reckoned; \
             try more --viewers"
        ));
    }
    if run.throttled > 0 {
        found.push(format!(
            "the limit of these processes stopped them {} times (cpu.stat): give the pod more cores or send fewer \
             --viewers",
            run.throttled
        ));
    }
    if let (count @ 1.., first) = &run.failed {
        let first = first.as_deref().unwrap_or("unknown");
        found.push(format!("{count} requests or connections of viewers failed, the first: {first}"));
    }
    found
}

/// Rounded down to two significant digits: the third is noise.
fn two_digits(number: u64) -> u64 {
    let step = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / step * step
}

#[allow(clippy::cast_precision_loss, reason = "byte counts and rates are far below 2⁵³")]
fn float(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative is none, the rest fits")]
fn floor(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[cfg(test)]
pub(super) mod tests;
