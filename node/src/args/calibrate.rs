//! Options of `lectern-node calibrate`, and how their texts are read.

use clap::ValueEnum;
use lectern_api::duration::Duration;
use lectern_api::node_config::DEFAULT_MAX_BITRATE_BPS;
use lectern_api::quantity::Quantity;
use serde::Serialize;

pub(super) const AFTER_HELP: &str = "\
What it does: an ingest and an edge are started as processes of their own on ports of 127.0.0.1 that the system picks; a \
made-up stream is published; viewers come in two steps and do what players do. Read is the processor time of the edge \
alone, so that the viewers, who run on the same machine, are not in it. It is read per window of one target duration; \
medians count, ranges are shown.

What comes out is the least of what processor, memory, network card and open files carry, less the headroom. At \
viewersPerEdge an edge refuses newcomers; the autoscaler aims at targetUtilizationPercent of it by itself. A loopback is \
no network: without --egress nothing is known of the card, and TLS is not in it.

Exit status: 0 measured; 1 it could not be measured; 2 the options cannot work.

Examples:
  lectern-node calibrate --bitrate 3M --cpu 2 --memory 1Gi --egress 10G
  lectern-node calibrate --bitrate 600k --protocol flv --output json
In a cluster, on a node of the edges' kind: docs/autoscaling/calibrate.yaml.";

/// Fewest viewers: two steps of at least one.
const VIEWERS_MIN: i64 = 2;
/// Most viewers: all come from one address, which has some 28,000 ports (ip_local_port_range), and other programs need
/// some, too.
pub const VIEWERS_MAX: u32 = 20_000;
/// Lowest bit rate in bits per second: below it is no video.
const BITRATE_MIN: u64 = 100_000;
/// Shortest and longest segment in milliseconds, as an ingest takes them.
const SEGMENT_MS: std::ops::RangeInclusive<u64> = 500..=10_000;
/// Longest measurement in milliseconds: an hour tells no more than a minute.
const DURATION_MS_MAX: u64 = 3_600_000;
/// Largest machine in cores.
const CPU_MAX: f64 = 1_024.0;

/// Options of `lectern-node calibrate`.
#[derive(Clone, Debug, clap::Args)]
pub struct CalibrateOptions {
    /// What the encoder sends, video and audio together, in bits per second.
    #[arg(long, value_name = "BITS", env = "LECTERN_BITRATE", default_value = "3M", value_parser = bitrate)]
    pub bitrate: u64,
    /// How viewers watch.
    #[arg(long, value_name = "PROTOCOL", env = "LECTERN_PROTOCOL", default_value = "hls")]
    pub protocol: Protocol,
    /// Length of a segment, as in spec.hls.segment.
    #[arg(long, value_name = "TIME", env = "LECTERN_SEGMENT", default_value = "2s", value_parser = segment)]
    pub segment: u64,
    /// Streams that are live at the same time: each costs an edge a little even without viewers.
    #[arg(long, value_name = "N", env = "LECTERN_STREAMS", default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub streams: u32,
    /// Cores of the edge, such as 2 or 1500m [default: what this process may use].
    #[arg(long, value_name = "CORES", env = "LECTERN_CPU", value_parser = cores)]
    pub cpu: Option<f64>,
    /// Memory of the edge, such as 1Gi [default: the limit of this process, if it has one].
    #[arg(long, value_name = "BYTES", env = "LECTERN_MEMORY", value_parser = whole)]
    pub memory: Option<u64>,
    /// What the network card of the edge carries, in bits per second, such as 10G [default: unbounded].
    #[arg(long, value_name = "BITS", env = "LECTERN_EGRESS", value_parser = whole)]
    pub egress: Option<u64>,
    /// Per cent of processor, memory and network card that a full edge keeps free: for bursts, for the viewers of an
    /// edge that is lost, whom the other edges do not refuse, and for what a real network costs more.
    #[arg(long, value_name = "PERCENT", env = "LECTERN_HEADROOM", default_value = "30",
          value_parser = clap::value_parser!(u32).range(0..=90))]
    pub headroom: u32,
    /// Viewers of the second step; the first has half of them [default: as many as take two fifths of this machine].
    #[arg(long, value_name = "N", env = "LECTERN_VIEWERS",
          value_parser = clap::value_parser!(u32).range(VIEWERS_MIN..=i64::from(VIEWERS_MAX)))]
    pub viewers: Option<u32>,
    /// How long it may take, more or less.
    #[arg(long, value_name = "TIME", env = "LECTERN_DURATION", default_value = "60s", value_parser = duration)]
    pub duration: u64,
    /// How the result is written, on standard output.
    #[arg(long, value_name = "FORM", env = "LECTERN_OUTPUT", default_value = "text")]
    pub output: Form,
}

/// How viewers watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A playlist each target duration, then the segments that are new, on a connection that is kept.
    Hls,
    /// HTTP-FLV: one long answer.
    Flv,
    /// RTMP play.
    Rtmp,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people, with the lines to paste.
    Text,
    /// One JSON object.
    Json,
}

fn whole(text: &str) -> Result<u64, String> {
    let number = Quantity(text.to_owned()).whole().map_err(|error| error.to_string())?;
    if number == 0 { Err("nothing fits into 0".to_owned()) } else { Ok(number) }
}

fn bitrate(text: &str) -> Result<u64, String> {
    let range = BITRATE_MIN..=DEFAULT_MAX_BITRATE_BPS;
    within(whole(text)?, &range, "bits per second")
}

fn segment(text: &str) -> Result<u64, String> {
    within(millis(text)?, &SEGMENT_MS, "milliseconds")
}

fn duration(text: &str) -> Result<u64, String> {
    within(millis(text)?, &(1..=DURATION_MS_MAX), "milliseconds")
}

fn millis(text: &str) -> Result<u64, String> {
    Duration::new(text).millis().map_err(|error| error.to_string())
}

fn within(number: u64, range: &std::ops::RangeInclusive<u64>, unit: &str) -> Result<u64, String> {
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not between {} and {} {unit}", range.start(), range.end()))
    }
}

/// `2`, `0.5`, `1500m`.
fn cores(text: &str) -> Result<f64, String> {
    let (digits, unit) = text.strip_suffix('m').map_or((text, 1.0), |digits| (digits, 1_000.0));
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain).map(|number| number / unit);
    number.filter(|cores| (0.01..=CPU_MAX).contains(cores)).ok_or_else(|| {
        format!("{text:?} is no number of cores between 10m and {CPU_MAX}: write for example 2 or 1500m")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_kubernetes_writes_them() {
        assert_eq!((bitrate("3M"), bitrate("600k"), segment("2s")), (Ok(3_000_000), Ok(600_000), Ok(2_000)));
        assert_eq!((cores("2"), cores("1500m"), cores("0.5")), (Ok(2.0), Ok(1.5), Ok(0.5)));
        assert_eq!((whole("1Gi"), duration("1m")), (Ok(1 << 30), Ok(60_000)));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        for (problem, word) in [
            (bitrate("50k").map(|_| ()), "100000"),
            (bitrate("40M").map(|_| ()), "30000000"),
            (bitrate("fast").map(|_| ()), "800M"),
            (whole("0").map(|_| ()), "nothing"),
            (segment("20s").map(|_| ()), "10000"),
            (duration("2h").map(|_| ()), "3600000"),
            (cores("many").map(|_| ()), "1500m"),
            (cores("inf").map(|_| ()), "1500m"),
            (cores("0").map(|_| ()), "1500m"),
        ] {
            let problem = problem.unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
