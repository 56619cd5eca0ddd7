//! The ingest and the edge: this program again, as processes of their own, so that the edge's processor time is its own.
//!
//! They listen on ports of 127.0.0.1 that the system picks, and say in their logs which. What they read (token, seed,
//! configuration) lies in memory files that they inherit: the image has no place to write to.

use anyhow::{Context, bail};
use lectern_api::keys::{relay_token, stream_key};
use lectern_api::node_config::{
    DEFAULT_MAX_BITRATE_BPS, Discovery, HlsConfig, IngestConfig, IngestListen, Peer, PlaybackConfig, StreamConfig,
};
use lectern_process::child::die_with_parent;
use lectern_process::random;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// The stream that is published.
pub const STREAM: &str = "calibrate";
const EVENT: &str = "default/calibrate";
/// From the start of a process to the line that says where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Lines of a node that are told when it ends on its own.
const LINES_KEPT: usize = 5;
/// A full edge would refuse viewers, which is not what is measured here.
const VIEWERS_PER_EDGE: &str = "1000000";
/// Publishers above are refused in bits per second: twice what may be asked for, as this one catches up when the machine
/// was late.
const MAX_BITRATE: u64 = 2 * DEFAULT_MAX_BITRATE_BPS;

/// Both nodes. They end with this, however it ends.
#[derive(Debug)]
pub struct Nodes {
    /// The one that is measured.
    pub edge: Node,
    /// The one before it.
    pub ingest: Node,
    /// Where viewers of HLS and HTTP-FLV go.
    pub http: SocketAddr,
    /// Where viewers of RTMP go.
    pub rtmp: SocketAddr,
    /// Where the stream is published to.
    pub publish: SocketAddr,
    /// Name and key of the stream.
    pub stream_with_key: String,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    name: &'static str,
    child: Child,
    /// Its process.
    pub pid: i32,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Nodes {
    /// Starts an edge and an ingest that pushes to it. Belongs on the main thread: the kernel ends both with the thread
    /// that started them.
    ///
    /// # Errors
    /// When one of them does not come to listen.
    pub async fn start(segment_ms: u64) -> anyhow::Result<Self> {
        // A user who may read the memory of these processes may read it; no other sees them.
        let seed = format!("{:016x}{:016x}", random::number(), random::number());
        let token = memory_file(c"lectern-token", relay_token(seed.as_bytes()).as_bytes())?;
        let mut edge = command("edge")?;
        edge.env("LECTERN_EVENT", EVENT)
            .env("LECTERN_TOKEN_FILE", inherited(&token))
            .env("LECTERN_VIEWERS_PER_EDGE", VIEWERS_PER_EDGE)
            .env("LECTERN_DRAIN_MS", "0");
        for port in ["HTTP", "RTMP", "RELAY", "ADMIN"] {
            edge.env(format!("LECTERN_LISTEN_{port}"), any_port().to_string());
        }
        let (edge, listens) = Node::start("edge", edge, "listening").await?;
        let at = |field: &str| address(&listens, field).with_context(|| format!("the edge did not say its {field}"));
        let seed_file = memory_file(c"lectern-seed", seed.as_bytes())?;
        let peer = Peer { relay: at("relay")?, admin: at("admin")?, serving: true };
        let config = serde_json::to_vec(&ingest_config(inherited(&seed_file), peer, segment_ms))
            .context("failed to write the ingest's configuration")?;
        let config = memory_file(c"lectern-config", &config)?;
        let mut ingest = command("ingest")?;
        ingest.env("LECTERN_CONFIG", inherited(&config));
        let (ingest, starts) = Node::start("ingest", ingest, "ingest starts").await?;
        Ok(Self {
            edge,
            ingest,
            http: at("http")?,
            rtmp: at("rtmp")?,
            publish: address(&starts, "rtmp").context("the ingest did not say where it listens")?,
            stream_with_key: format!("{STREAM}?key={}", stream_key(seed.as_bytes(), STREAM)),
        })
    }

    /// Waits until one of them ends, which none should, and says which.
    pub async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.edge.ended() => error,
            error = self.ingest.ended() => error,
        }
    }

    /// Ends both and waits until they are gone.
    pub async fn stop(mut self) {
        for node in [&mut self.edge, &mut self.ingest] {
            // The only failure is that it is gone already.
            let _ = node.child.kill().await;
        }
    }
}

impl Node {
    /// Starts it and waits for the line of its log whose message is `wanted`.
    async fn start(name: &'static str, mut command: Command, wanted: &str) -> anyhow::Result<(Self, Value)> {
        let mut child = command.spawn().with_context(|| format!("failed to start the {name}"))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).context("a process ended before it began")?;
        let log = child.stderr.take().context("a process has no standard error")?;
        let mut node = Self { name, child, pid, said: Arc::default() };
        let mut lines = BufReader::new(log).lines();
        let found = tokio::time::timeout(START_TIMEOUT, node.find(&mut lines, wanted)).await;
        let line = match found {
            Ok(Some(line)) => line,
            Ok(None) => {
                let error = node.ended().await;
                bail!("{error:#}{}", node.last_words());
            }
            Err(_) => bail!("the {name} did not start within {} s{}", START_TIMEOUT.as_secs(), node.last_words()),
        };
        let said = Arc::clone(&node.said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                keep(&said, &line);
            }
        });
        Ok((node, line))
    }

    async fn find(&self, lines: &mut Lines<BufReader<ChildStderr>>, wanted: &str) -> Option<Value> {
        while let Ok(Some(text)) = lines.next_line().await {
            keep(&self.said, &text);
            let line = serde_json::from_str::<Value>(&text).unwrap_or_default();
            if line.get("message").and_then(Value::as_str) == Some(wanted) {
                return Some(line);
            }
        }
        None
    }

    async fn ended(&mut self) -> anyhow::Error {
        let how = self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        anyhow::anyhow!("the {} ended on its own ({how})", self.name)
    }

    /// What it complained of last, to put behind a sentence.
    pub fn last_words(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = said.iter().map(String::as_str).collect();
        if lines.is_empty() { String::new() } else { format!("; the {} said: {}", self.name, lines.join("; ")) }
    }
}

/// Keeps a line of a log that complains.
fn keep(said: &Mutex<VecDeque<String>>, text: &str) {
    let line = serde_json::from_str::<Value>(text).ok();
    let field = |name| line.as_ref().and_then(|line| line.get(name)).and_then(Value::as_str);
    let words = match (field("level"), field("message")) {
        (Some("WARN" | "ERROR"), Some(message)) => message,
        (Some(_), _) => return,
        // What is no log line is a panic's, or the command line's.
        _ => text,
    };
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() == LINES_KEPT {
        said.pop_front();
    }
    said.push_back(words.to_owned());
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn address(line: &Value, field: &str) -> Option<SocketAddr> {
    line.get(field)?.as_str()?.parse().ok()
}

fn ingest_config(seed_file: String, peer: Peer, segment_ms: u64) -> IngestConfig {
    IngestConfig {
        event: EVENT.to_owned(),
        version: String::new(),
        streams: vec![StreamConfig { name: STREAM.to_owned() }],
        hls: HlsConfig { segment_ms, ..HlsConfig::default() },
        playback: PlaybackConfig::default(),
        programme: None,
        forward: Vec::new(),
        discovery: Discovery::Static { peers: vec![peer] },
        seed_file,
        key_salt: None,
        publish_keys_dir: None,
        forward_dir: None,
        forward_policy: None,
        listen: IngestListen { rtmp: any_port(), admin: any_port() },
        max_bitrate: MAX_BITRATE,
    }
}

/// A file in memory that child processes have, too.
fn memory_file(name: &std::ffi::CStr, content: &[u8]) -> anyhow::Result<OwnedFd> {
    let failed = "failed to make a file in memory";
    let mut file = File::from(memfd_create(name, MFdFlags::empty()).context(failed)?);
    file.write_all(content).context(failed)?;
    Ok(file.into())
}

/// Its path in a child.
fn inherited(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// This program as `role`, told by environment variables and nothing else.
fn command(role: &str) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let mut command = Command::new(program);
    command.arg(role).env_clear().env("LECTERN_LOG", "info").env("LECTERN_LOG_FORMAT", "json");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C reaches this program alone, which then ends them.
    command.process_group(0).kill_on_drop(true);
    die_with_parent(&mut command);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_node_says_its_complaints_are_kept() {
        let said = Mutex::default();
        for line in [
            r#"{"level":"INFO","message":"listening"}"#,
            r#"{"level":"WARN","message":"slow"}"#,
            "thread 'main' panicked",
        ] {
            keep(&said, line);
        }
        assert_eq!(*said.lock().unwrap(), ["slow", "thread 'main' panicked"]);
        (0..20).for_each(|_| keep(&said, "again"));
        assert_eq!(said.lock().unwrap().len(), LINES_KEPT);
    }
}
