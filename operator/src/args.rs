//! The command line. Every option is also an environment variable.

use clap::{Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Live events: one ingest, many edges, on this machine or on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "lectern", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the events of a Kubernetes cluster: what the chart starts.
    Operator(Box<crate::backend::cluster::OperatorOptions>),
    /// Count viewers, for autoscalers and for the operator: what the chart starts.
    MetricsApi(crate::metrics_api::MetricsApiOptions),
    /// Run an event on this machine: ingest and edges as child processes.
    ///
    /// Ctrl-C ends it: at once if there are no viewers, otherwise when the last viewer has left, at the latest after
    /// edges.drain; until then it shows how many viewers are left. A second Ctrl-C ends it at once (exit status 130).
    Local(LocalOptions),
    /// Show what would run for an event, and why.
    Plan(PlanOptions),
    /// Print the Kubernetes resource definition of LiveEvents.
    Crd,
    /// Check an installation: definition, operator, metrics API. `helm test` runs this.
    Check(crate::check::CheckOptions),
}

/// Options of `lectern local`.
#[derive(Clone, Debug, clap::Args)]
pub struct LocalOptions {
    /// The event: a LiveEvent as YAML or JSON; - reads standard input.
    #[arg(short = 'f', long = "file", value_name = "EVENT.yaml", env = "LECTERN_FILE")]
    pub file: PathBuf,
    /// Address for viewers (HLS and HTTP-FLV). Connections are spread over all ready edges.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_HTTP", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Address for encoders (RTMP).
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_RTMP", default_value = "127.0.0.1:1935")]
    pub rtmp: SocketAddr,
    /// Address of the read-only API that serves the event and its status, as a Kubernetes API server would.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_API", default_value = "127.0.0.1:8090")]
    pub api: SocketAddr,
    /// A publish key of at least 8 bytes; may be given several times. STREAM.backup=KEY is a key of the stream's backup
    /// encoder, which stands by beside the main one. With @FILE the key is read from that file, so
    /// that it does not appear in the list of processes. Streams without a key get one that stays the same on this
    /// machine.
    #[arg(
        long = "key",
        value_name = "STREAM=KEY|@FILE",
        env = "LECTERN_KEYS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub keys: Vec<String>,
    /// The RTMP URL of an entry of spec.forward, or @FILE to read it from a file; may be given once per entry.
    #[arg(long = "forward", value_name = "NAME=URL|@FILE", env = "LECTERN_FORWARD", hide_env_values = true)]
    pub forward: Vec<String>,
    /// How long the audience must have been smaller before edges are removed. In a cluster it is five minutes.
    #[arg(
        long = "scale-down-after",
        value_name = "DURATION",
        env = "LECTERN_SCALE_DOWN_AFTER",
        default_value = "5m",
        value_parser = seconds
    )]
    pub scale_down_after_s: u32,
    /// Format of the output: text for people, json for scripts (one object per line).
    #[arg(long, value_enum, env = "LECTERN_OUTPUT", default_value = "text")]
    pub output: Output,
    /// The node binary. Default: lectern-node beside this program, else on the PATH.
    #[arg(long, value_name = "FILE", env = "LECTERN_NODE")]
    pub node: Option<PathBuf>,
    /// Folder of the secret that generated keys are derived from. Default: lectern in $XDG_STATE_HOME, else in
    /// ~/.local/state.
    #[arg(long, value_name = "FOLDER", env = "LECTERN_STATE")]
    pub state: Option<PathBuf>,
    /// Folder for the logs of the nodes. Default: a temporary one that is removed at the end.
    #[arg(long, value_name = "FOLDER", env = "LECTERN_LOGS")]
    pub logs: Option<PathBuf>,
}

/// Options of `lectern plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanOptions {
    /// The event: a LiveEvent as YAML or JSON; - reads standard input.
    #[arg(short = 'f', long = "file", value_name = "EVENT.yaml", env = "LECTERN_FILE")]
    pub file: PathBuf,
    /// The moment to plan for, e.g. 2026-12-01T08:55:00+08:00. Default: now.
    #[arg(long, value_name = "TIME", env = "LECTERN_AT")]
    pub at: Option<jiff::Timestamp>,
    /// Print the Kubernetes objects instead, as YAML. Secret values are left out, and so is the owner reference, which
    /// only a cluster knows.
    #[arg(long, env = "LECTERN_OBJECTS")]
    pub objects: bool,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A duration in whole seconds, at least one.
fn seconds(text: &str) -> Result<u32, String> {
    let ms = lectern_api::duration::Duration::new(text).millis().map_err(|error| error.to_string())?;
    u32::try_from((ms / 1_000).max(1)).map_err(|_| format!("{text:?} is too long"))
}
