//! The command line. Every option is also an environment variable `LECTERN_…`; the command line wins.

use clap::{Parser, Subcommand};
use lectern_process::logs::LogOptions;
use std::net::SocketAddr;
use std::path::PathBuf;

mod calibrate;

pub use calibrate::{CalibrateOptions, Form, Protocol, VIEWERS_MAX};

const AFTER_HELP: &str = "\
Signals: SIGTERM or SIGINT stops in order (an ingest closes its epochs and publishers, an edge drains); a second one \
ends at once. An edge without viewers ends some seconds after SIGTERM, when load balancers know, and at once after \
SIGINT.
Exit status: 0 stopped as told; 1 failed while running; 2 command line or configuration cannot work; 130 or 143 ended \
by a second SIGINT or SIGTERM.

Example, an edge and an ingest on one machine:
  printf 0123456789abcdef > seed
  printf relay | openssl dgst -sha256 -hmac \"$(cat seed)\" -r | cut -c 1-64 > token
  mkdir keys && echo a-key-of-my-own > keys/hall-a
  echo '{\"event\": \"default/talk\", \"streams\": [{\"name\": \"hall-a\"}],
   \"seedFile\": \"seed\", \"publishKeysDir\": \"keys\", \"discovery\": {\"type\": \"static\",
   \"peers\": [{\"relay\": \"127.0.0.1:1936\", \"admin\": \"127.0.0.1:9091\"}]}}' > ingest.json
  lectern-node edge --event default/talk --token-file token --viewers-per-edge 1000 \\
    --drain-ms 60000 --listen-rtmp 0.0.0.0:1937 --listen-admin 0.0.0.0:9091 &
  lectern-node ingest --config ingest.json
Then publish to rtmp://127.0.0.1/live/hall-a?key=a-key-of-my-own and open
http://127.0.0.1:8080/live/hall-a/index.m3u8. Usually the operator writes all that:
`lectern local -f EVENT.yaml` runs the same nodes as child processes.";

/// Lectern's media node.
///
/// An ingest takes RTMP from encoders and pushes it on to every edge; an edge serves HLS, HTTP-FLV and RTMP to viewers.
#[derive(Clone, Debug, Parser)]
#[command(name = "lectern-node", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Args {
    /// What to be, or to do.
    #[command(subcommand)]
    pub role: Role,
    /// Logs.
    #[command(flatten)]
    pub logs: LogOptions,
}

/// What a node is, or what else this program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Role {
    /// Take RTMP from encoders, decide where segments begin, push to every edge.
    ///
    /// The configuration file is JSON (docs/configuration.md) and is read again when it changes: streams, keys,
    /// forwards and playback follow at run time; addresses, event and seed do not. Options given here win over the file.
    Ingest(IngestOptions),
    /// Take streams from the ingest and serve them to viewers.
    ///
    /// Everything an edge needs may stand in the file or in options and environment variables; then no file is needed.
    /// Event, token file, viewers per edge and drain have no default.
    Edge(EdgeOptions),
    /// Measure what one edge carries on this machine and print the viewersPerEdge to set.
    ///
    /// Takes about a minute. Needs nothing but this program: no event, no cluster, no encoder.
    #[command(after_help = calibrate::AFTER_HELP)]
    Calibrate(CalibrateOptions),
}

impl Role {
    /// `ingest`, `edge` or `calibrate`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ingest(_) => "ingest",
            Self::Edge(_) => "edge",
            Self::Calibrate(_) => "calibrate",
        }
    }
}

/// Options of `lectern-node ingest`. Those that stand for a field of the file win over it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct IngestOptions {
    /// The configuration, a JSON file.
    #[arg(long, value_name = "FILE", env = "LECTERN_CONFIG")]
    pub config: PathBuf,
    /// Where encoders publish [file: listen.rtmp; default 0.0.0.0:1935].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_RTMP")]
    pub listen_rtmp: Option<SocketAddr>,
    /// Where /healthz, /readyz, /status and /metrics are [file: listen.admin; default 0.0.0.0:9090].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_ADMIN")]
    pub listen_admin: Option<SocketAddr>,
    /// File with the event's seed [file: seedFile].
    #[arg(long, value_name = "FILE", env = "LECTERN_SEED_FILE")]
    pub seed_file: Option<String>,
    /// Folder with publish keys [file: publishKeysDir].
    #[arg(long, value_name = "DIR", env = "LECTERN_PUBLISH_KEYS_DIR")]
    pub publish_keys_dir: Option<String>,
    /// Folder with the URLs of forwards [file: forwardDir].
    #[arg(long, value_name = "DIR", env = "LECTERN_FORWARD_DIR")]
    pub forward_dir: Option<String>,
    /// Publishers above this are refused [file: maxBitrate; default 30000000].
    #[arg(long, value_name = "BITS_PER_SECOND", env = "LECTERN_MAX_BITRATE")]
    pub max_bitrate: Option<u64>,
}

/// Options of `lectern-node edge`. Those that stand for a field of the file win over it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EdgeOptions {
    /// The configuration, a JSON file.
    #[arg(long, value_name = "FILE", env = "LECTERN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Namespace and name of the event [file: event].
    #[arg(long, value_name = "NAMESPACE/NAME", env = "LECTERN_EVENT")]
    pub event: Option<String>,
    /// File with the relay token [file: tokenFile].
    #[arg(long, value_name = "FILE", env = "LECTERN_TOKEN_FILE")]
    pub token_file: Option<String>,
    /// Viewers that this edge carries [file: viewersPerEdge].
    #[arg(long, value_name = "N", env = "LECTERN_VIEWERS_PER_EDGE")]
    pub viewers_per_edge: Option<u32>,
    /// Egress that this edge carries [file: egressBitsPerSecond; default unbounded].
    #[arg(long, value_name = "BITS_PER_SECOND", env = "LECTERN_EGRESS_BITS_PER_SECOND")]
    pub egress_bits_per_second: Option<u64>,
    /// What the autoscaler aims at, in per cent [file: targetUtilizationPercent; default 70].
    #[arg(long, value_name = "PERCENT", env = "LECTERN_TARGET_UTILIZATION_PERCENT")]
    pub target_utilization_percent: Option<u32>,
    /// Milliseconds from SIGTERM or SIGINT to the end [file: drainMs].
    #[arg(long, value_name = "MS", env = "LECTERN_DRAIN_MS")]
    pub drain_ms: Option<u64>,
    /// Milliseconds over which frames for RTMP and HTTP-FLV viewers are merged, 0 to 350 [file: mergeWindowMs;
    /// default 100].
    #[arg(long, value_name = "MS", env = "LECTERN_MERGE_WINDOW_MS")]
    pub merge_window_ms: Option<u64>,
    /// Where HLS and HTTP-FLV are served [file: listen.http; default 0.0.0.0:8080].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_HTTP")]
    pub listen_http: Option<SocketAddr>,
    /// Where RTMP is played [file: listen.rtmp; default 0.0.0.0:1935].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_RTMP")]
    pub listen_rtmp: Option<SocketAddr>,
    /// Where the ingest pushes to; never exposed outside the cluster [file: listen.relay; default 0.0.0.0:1936].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_RELAY")]
    pub listen_relay: Option<SocketAddr>,
    /// Where /healthz, /readyz, /status and /metrics are [file: listen.admin; default 0.0.0.0:9090].
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_ADMIN")]
    pub listen_admin: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_option_is_also_an_environment_variable() {
        Args::command().debug_assert();
        for role in Args::command().get_subcommands() {
            for option in role.get_arguments().filter(|a| a.get_id() != "help") {
                let long = option.get_long().expect("long").to_uppercase().replace('-', "_");
                let env = option.get_env().expect("env").to_string_lossy().into_owned();
                assert_eq!(env, format!("LECTERN_{long}"));
            }
        }
    }
}
