//! `lectern plan`: a plan as text. It is what would run if nothing ran yet.

use crate::args::PlanOptions;
use crate::plan::{Observed, Plan, plan, schedule};
use crate::render::{Identity, Installation, Metrics, PullPolicy, render};
use crate::validate::Event;
use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::Offset;
use std::fmt::Write as _;
use std::io::Write as _;

/// Schedule steps that are listed.
const STEPS_LISTED: usize = 8;

/// Reads the event and prints its plan.
///
/// # Errors
/// When the event cannot be read or cannot work.
pub fn main(options: &PlanOptions) -> Result<()> {
    let (_, event) = crate::input::event(&options.file)?;
    let now = options.at.unwrap_or_else(Timestamp::now);
    let plan = plan(&event, &Observed::default(), now);
    let text = if options.objects { objects(&event, &plan)? } else { text(&event, &plan, now) };
    std::io::stdout().write_all(text.as_bytes()).context("failed to write to standard output")
}

/// The objects of `plan` as YAML, as an installation with the chart's defaults makes them.
///
/// # Errors
/// When they cannot be written.
pub fn objects(event: &Event, plan: &Plan) -> Result<String> {
    let identity = Identity { uid: None, seed: String::new() };
    let installation = Installation {
        node_image: format!("ghcr.io/lectern-dev/lectern:{}", env!("CARGO_PKG_VERSION")),
        pull_policy: PullPolicy::default(),
        pull_secrets: Vec::new(),
        namespace: "lectern-system".into(),
        scrape_namespaces: Vec::new(),
        metrics: Metrics::default(),
        forward_policy: Default::default(),
    };
    let objects = render(event, plan, &identity, &installation).without_secrets("(derived by the operator)");
    objects.to_yaml().context("failed to write the objects as YAML")
}

/// `plan` as text.
#[must_use]
pub fn text(event: &Event, plan: &Plan, now: Timestamp) -> String {
    let mut text = String::new();
    // Writing to a String has no failing case.
    let _ = write_all(&mut text, event, plan, now);
    text
}

fn write_all(text: &mut String, event: &Event, plan: &Plan, now: Timestamp) -> std::fmt::Result {
    writeln!(text, "event    {} at {now}", event.id())?;
    write_ingest(text, plan)?;
    write_edges(text, event, plan)?;
    write_keys(text, plan)?;
    write_steps(text, event, now)
}

fn write_ingest(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let settings = &plan.ingest.settings;
    let hls = settings.hls;
    writeln!(text, "ingest   1, listens on {}", ports(&plan.ingest.ports))?;
    let names: Vec<&str> = settings.streams.iter().map(|stream| stream.name.as_str()).collect();
    writeln!(text, "         streams {}", names.join(", "))?;
    writeln!(
        text,
        "         {} ms segments, playlist of {}, session ends {} s after the encoder disconnects",
        hls.segment_ms,
        hls.window,
        hls.end_after_ms / 1_000
    )?;
    for forward in &settings.forward {
        let streams = if forward.streams.is_empty() { "all streams".into() } else { forward.streams.join(", ") };
        writeln!(text, "         forwards {streams} to {}", forward.name)?;
    }
    writeln!(text, "         configuration {}", settings.version)
}

fn write_edges(text: &mut String, event: &Event, plan: &Plan) -> std::fmt::Result {
    use crate::plan::Because;
    let replicas = plan.edges.replicas;
    let settings = &plan.edges.settings;
    let because = match &plan.floor.because {
        Because::Min => "edges.min".into(),
        Because::Window(name) => format!("window {name}"),
        Because::Burst => "a burst".into(),
        Because::Max => "edges.max, although more edges are asked for".into(),
    };
    writeln!(
        text,
        "edges    {} ({because}), {} to {}, listen on {}, fed by the ingest",
        replicas.wanted,
        replicas.min,
        replicas.max,
        ports(&plan.edges.ports)
    )?;
    let target = u64::from(settings.viewers_per_edge) * u64::from(settings.target_percent) / 100;
    write!(text, "         {} viewers each, one more edge above {target}", settings.viewers_per_edge)?;
    if let Some(egress) = settings.egress_bits_per_second {
        write!(text, ", {egress} bit/s each")?;
    }
    let most = u64::from(event.edges.max) * u64::from(settings.viewers_per_edge);
    writeln!(text, ", {most} in all; {} s to drain", settings.drain_ms / 1_000)?;
    let mut served = vec!["HLS"];
    served.extend(event.playback.http_flv.then_some("HTTP-FLV"));
    served.extend(event.playback.rtmp.then_some("RTMP"));
    writeln!(text, "         serve {} to pages of {}", served.join(", "), event.playback.allowed_origins.join(", "))
}

fn write_keys(text: &mut String, plan: &Plan) -> std::fmt::Result {
    match &plan.keys.publish {
        Some(secret) => writeln!(text, "keys     your own, in Secret {secret}")?,
        None => {
            let names: Vec<String> = plan.keys.generated.iter().map(ToString::to_string).collect();
            writeln!(text, "keys     generated for {}", names.join(", "))?;
        }
    }
    plan.keys.forward.as_ref().map_or(Ok(()), |secret| writeln!(text, "         URLs to forward to in Secret {secret}"))
}

fn write_steps(text: &mut String, event: &Event, now: Timestamp) -> std::fmt::Result {
    if event.schedule.is_empty() {
        return Ok(());
    }
    let mut at = now;
    for index in 0..STEPS_LISTED {
        let Some(step) = schedule::outlook(&event.schedule, &event.edges.bounds(), at).step else {
            return if index == 0 { writeln!(text, "schedule has no further windows") } else { Ok(()) };
        };
        let lead = if index == 0 { "schedule" } else { "        " };
        let window = event.schedule.iter().find(|window| window.name == step.window);
        let when = step.at.display_with_offset(window.map_or(Offset::UTC, |window| window.offset(step.at)));
        let open = schedule::outlook(&event.schedule, &event.edges.bounds(), step.at).open;
        let change = if open.is_some_and(|open| open.window == step.window) { "opens" } else { "ends" };
        writeln!(text, "{lead} {when} at least {} edges (window {} {change})", step.min, step.window)?;
        at = step.at;
    }
    Ok(())
}

fn ports(ports: &[crate::plan::Port]) -> String {
    let one = |port: &crate::plan::Port| {
        let inside = if port.public { "" } else { " inside" };
        format!("{} {}{inside}", port.name, port.number)
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}
