//! `lectern-node calibrate`: what one edge carries on this machine.
//!
//! `nodes` starts an ingest and an edge of its own, `publish` sends them what `source` makes up, `viewers` watch; `machine`
//! reads what the edge spends. `plan` says when and with how many, `estimate` what follows from it, `report` prints it:
//! those three are pure.

use crate::args::{CalibrateOptions, Form, Protocol};
use crate::config::ConfigError;
use anyhow::{Context, bail, ensure};
use estimate::{Edge, Reading, Run, Step, Stream, estimate};
use machine::{Machine, Memory};
use nodes::{Nodes, STREAM};
use plan::{PROBE_VIEWERS, SETTLE_PERIODS, Steps, Timing};
use source::Source;
use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use viewers::http::Line;
use viewers::{Tally, Target, Viewers};

mod estimate;
mod machine;
mod nodes;
mod plan;
mod publish;
mod report;
mod source;
mod viewers;

/// Descriptors of this process that are no viewer's.
const DESCRIPTORS_SPARE: u64 = 64;
/// From the publish to the first listed segment; a busy machine takes its time.
const LISTED_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at the playlist.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Measures, and prints what was found.
///
/// # Errors
/// When it cannot be measured, or `shutdown` came before the end.
pub async fn run(options: CalibrateOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    let machine = Machine::read()?;
    let fitting = allow_viewers(&options, machine.descriptors)?;
    let timing = Timing::new(options.duration, options.segment, options.viewers.is_none())
        .map_err(|error| ConfigError::Invalid { origin: "from options".into(), problems: vec![error.to_string()] })?;
    let mut nodes = tokio::select! {
        nodes = Nodes::start(options.segment) => nodes?,
        () = shutdown.cancelled() => bail!("stopped before anything was measured"),
    };
    let stage = Stage::new(&options, &nodes, machine, timing);
    let (address, stream) = (nodes.publish, nodes.stream_with_key.clone());
    let published = publish::publish(address, &stream, Source::new(options.bitrate, options.segment));
    let measured = tokio::select! {
        // In this order: a measurement that fails because a node is gone is not the cause.
        biased;
        () = shutdown.cancelled() => Err(anyhow::anyhow!("stopped before everything was measured")),
        ended = nodes.ended() => Err(ended),
        ended = published => Err(ended.err().unwrap_or_else(|| anyhow::anyhow!("the made-up stream ended"))),
        measured = stage.measure(options.viewers, fitting) => measured,
    };
    let complaints = nodes.edge.last_words() + &nodes.ingest.last_words();
    nodes.stop().await;
    let run = measured.map_err(|error| anyhow::anyhow!("{error:#}{complaints}"))?;
    let edge = Edge {
        cores: options.cpu.unwrap_or(machine.cores),
        memory_bytes: options.memory.or(machine.memory_bytes),
        egress_bits_per_second: options.egress,
        descriptors: machine.descriptors,
        streams: options.streams,
        headroom_percent: options.headroom,
    };
    let found = estimate(&run, edge)?;
    let text = match options.output {
        Form::Text => report::text(&found),
        Form::Json => serde_json::to_string_pretty(&found).context("failed to write the result as JSON")? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes()).context("failed to print the result")
}

/// How many viewers the descriptors of a process are enough for. Both this process and the edge need one for each.
fn allow_viewers(options: &CalibrateOptions, descriptors: u64) -> anyhow::Result<u32> {
    let fitting = u32::try_from(descriptors.saturating_sub(DESCRIPTORS_SPARE)).unwrap_or(u32::MAX);
    let needed = options.viewers.unwrap_or(2 * PROBE_VIEWERS);
    ensure!(
        fitting >= needed,
        "{needed} viewers need {} open files, and a process here may have {descriptors}: raise the hard limit (`ulimit \
         -Hn`, LimitNOFILE=, or the container runtime's), or send fewer with --viewers",
        u64::from(needed) + DESCRIPTORS_SPARE
    );
    Ok(fitting)
}

/// Everything that is measured with.
struct Stage {
    edge: i32,
    ingest: i32,
    machine: Machine,
    timing: Timing,
    stream: Stream,
    target: Target,
    since: Instant,
}

impl Stage {
    fn new(options: &CalibrateOptions, nodes: &Nodes, machine: Machine, timing: Timing) -> Self {
        let segment_ms = Source::new(options.bitrate, options.segment).segment_ms();
        Self {
            edge: nodes.edge.pid,
            ingest: nodes.ingest.pid,
            machine,
            timing,
            stream: Stream { bitrate: options.bitrate, protocol: options.protocol, segment_ms },
            target: Target {
                http: nodes.http,
                rtmp: nodes.rtmp,
                protocol: options.protocol,
                stream: STREAM,
                period: Duration::from_millis(timing.period_ms),
            },
            since: Instant::now(),
        }
    }

    /// No viewer, then half of the viewers, then all.
    async fn measure(&self, wanted: Option<u32>, fitting: u32) -> anyhow::Result<Run> {
        let Stream { bitrate, protocol, .. } = self.stream;
        let protocol = match protocol {
            Protocol::Hls => "HLS",
            Protocol::Flv => "HTTP-FLV",
            Protocol::Rtmp => "RTMP",
        };
        let seconds = self.timing.period_ms * self.timing.windows / 1_000;
        tracing::info!(bitrate, protocol, "an edge and an ingest run on 127.0.0.1, waiting for the first segment");
        self.until_listed().await?;
        let throttled = machine::throttled();
        let mut viewers = Viewers::new(self.target.clone());
        tracing::info!("measuring without viewers: {seconds} s");
        let idle = self.step(&viewers, 0).await?;
        let Memory { resident_bytes, .. } = machine::memory_of(self.edge)?;
        let steps = match wanted {
            Some(all) => Steps::of(all),
            None => self.probe(&mut viewers, &idle, fitting).await?,
        };
        let mut watched = Vec::new();
        for count in [steps.half, steps.all] {
            tracing::info!("{count} viewers come, and watch for {seconds} s");
            viewers.grow_to(count);
            self.settle().await;
            watched.push(self.step(&viewers, count).await?);
        }
        let (Some(all), Some(half)) = (watched.pop(), watched.pop()) else { bail!("no step was measured") };
        let tally = &viewers.tally;
        let failed = (tally.failures.load(Relaxed), tally.first_failure().map(str::to_owned));
        let throttled = machine::throttled().saturating_sub(throttled);
        Ok(Run { stream: self.stream, idle, half, all, resident_bytes, throttled, failed })
    }

    /// A first look: how many viewers does this machine take, beside the edge?
    async fn probe(&self, viewers: &mut Viewers, idle: &Step, fitting: u32) -> anyhow::Result<Steps> {
        viewers.grow_to(PROBE_VIEWERS);
        self.settle().await;
        let from = self.reading(&viewers.tally)?;
        sleep(self.target.period).await;
        let to = self.reading(&viewers.tally)?;
        let cores = |a: &Reading, b: &Reading| (b.machine - a.machine).as_secs_f64() / (b.at - a.at).as_secs_f64();
        let with_nobody = idle.readings.first().zip(idle.readings.last()).map_or(0.0, |(a, b)| cores(a, b));
        let steps = Steps::from_probe(cores(&from, &to) - with_nobody, self.machine.cores, fitting);
        tracing::info!("a first look at {PROBE_VIEWERS} viewers: this machine takes {}", steps.all);
        Ok(steps)
    }

    async fn settle(&self) {
        for _ in 0..SETTLE_PERIODS {
            sleep(self.target.period).await;
        }
    }

    /// Reads at the ends of all windows.
    async fn step(&self, viewers: &Viewers, count: u32) -> anyhow::Result<Step> {
        let began = Instant::now();
        let mut readings = vec![self.reading(&viewers.tally)?];
        for window in 1..=self.timing.windows {
            sleep_until(began + Duration::from_millis(self.timing.period_ms * window)).await;
            readings.push(self.reading(&viewers.tally)?);
        }
        let Memory { anonymous_bytes, .. } = machine::memory_of(self.edge)?;
        Ok(Step { viewers: count, readings, anonymous_bytes })
    }

    fn reading(&self, tally: &Tally) -> anyhow::Result<Reading> {
        let edge = machine::cpu_time(self.edge)?;
        let others = machine::cpu_time(self.ingest)? + machine::own_cpu_time()?;
        Ok(Reading {
            at: self.since.elapsed(),
            edge,
            machine: edge + others,
            bytes: tally.bytes.load(Relaxed),
            segments: tally.segments.load(Relaxed),
        })
    }

    /// Waits until the edge lists a segment: from then on viewers can watch by any protocol.
    async fn until_listed(&self) -> anyhow::Result<()> {
        let path = format!("/live/{STREAM}/media.m3u8");
        let (began, tally) = (Instant::now(), Tally::default());
        let mut last;
        loop {
            // The playlist waits for its first segment; before the edge knows the stream it is not there.
            let asked = async { Line::open(self.target.http).await?.begin(&path, &tally).await };
            last = match asked.await {
                Ok(head) if head.status == 200 => return Ok(()),
                Ok(head) => format!("status {}", head.status),
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                began.elapsed() < LISTED_TIMEOUT,
                "the edge listed no segment within {} s: {last}",
                LISTED_TIMEOUT.as_secs()
            );
            sleep(LOOK_EVERY).await;
        }
    }
}
