//! Single `lectern-node` processes, for tests that decide themselves when a node comes and goes.

use crate::http;
use crate::process::{Running, binary, free_port};
use crate::wait::wait_for;
use anyhow::{Context, Result};
use lectern_api::keys;
use lectern_api::node_config::{
    Discovery, EdgeConfig, EdgeListen, HlsConfig, IngestConfig, IngestListen, Peer, PlaybackConfig, StreamConfig,
};
use lectern_api::node_status::NodeStatus;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Time for a node to be ready.
const READY_S: u64 = 20;
const SEED: &str = "6c656374657265206c656374657265206c656374657265206c65637465726521";

/// The files and addresses of an event whose nodes a test starts one by one.
#[derive(Debug)]
pub struct Fleet {
    /// Logs, configurations and whatever a test wants to keep until its end.
    pub folder: TempDir,
    ingest: IngestListen,
    streams: Vec<String>,
    peers: PathBuf,
    edges: Vec<EdgeListen>,
    /// Changes what is written into an ingest's configuration.
    pub hls: HlsConfig,
    /// What an edge carries.
    pub viewers_per_edge: u32,
    /// Milliseconds from SIGTERM to the end of an edge.
    pub drain_ms: u64,
    /// Streams that have a key for a backup encoder.
    backup_keys: Vec<String>,
}

impl Fleet {
    /// An event with these streams and room for `edges` edges; nothing runs yet.
    ///
    /// # Errors
    /// When there are no ports or files for it.
    pub fn new(streams: &[&str], edges: usize) -> Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a folder")?;
        let address = || free_port().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let ingest = IngestListen { rtmp: address()?, admin: address()? };
        let edges = (0..edges)
            .map(|_| Ok(EdgeListen { http: address()?, rtmp: address()?, relay: address()?, admin: address()? }))
            .collect::<Result<Vec<_>>>()?;
        let fleet = Self {
            ingest,
            streams: streams.iter().map(|s| (*s).to_owned()).collect(),
            peers: folder.path().join("peers.json"),
            edges,
            hls: HlsConfig::default(),
            viewers_per_edge: 1_000,
            drain_ms: 5_000,
            backup_keys: Vec::new(),
            folder,
        };
        std::fs::write(fleet.folder.path().join("seed"), SEED).context("failed to write the seed")?;
        std::fs::write(fleet.folder.path().join("token"), keys::relay_token(SEED.as_bytes()))
            .context("failed to write the token")?;
        fleet.write_peers()?;
        Ok(fleet)
    }

    /// Starts the ingest and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start_ingest(&self) -> Result<Running> {
        let config = IngestConfig {
            event: "default/test".into(),
            version: "1".into(),
            streams: self.streams.iter().map(|name| StreamConfig { name: name.clone() }).collect(),
            hls: self.hls,
            playback: PlaybackConfig::default(),
            programme: None,
            forward: Vec::new(),
            discovery: Discovery::File { path: self.peers.to_string_lossy().into_owned() },
            seed_file: self.path("seed"),
            key_salt: None,
            publish_keys_dir: (!self.backup_keys.is_empty()).then(|| self.path("publish-keys")),
            forward_dir: None,
            forward_policy: None,
            listen: self.ingest,
            max_bitrate: lectern_api::node_config::DEFAULT_MAX_BITRATE_BPS,
        };
        let running = self.start("ingest", "ingest", &serde_json::to_string(&config)?)?;
        self.wait_healthy(&running, self.ingest.admin).await?;
        Ok(running)
    }

    /// Starts edge number `n` and waits until it answers (not until it is ready).
    ///
    /// # Errors
    /// When it does not.
    pub async fn start_edge(&self, n: usize) -> Result<Running> {
        let config = EdgeConfig {
            event: "default/test".into(),
            token_file: self.path("token"),
            viewers_per_edge: self.viewers_per_edge,
            egress_bits_per_second: None,
            target_utilization_percent: 70,
            drain_ms: self.drain_ms,
            merge_window_ms: 100,
            listen: self.edge(n)?,
        };
        let running = self.start(&format!("edge-{n}"), "edge", &serde_json::to_string(&config)?)?;
        self.wait_healthy(&running, self.edge(n)?.admin).await?;
        Ok(running)
    }

    /// Waits until edge number `n` says that it is ready.
    ///
    /// # Errors
    /// When it does not within 20 s.
    pub async fn wait_ready(&self, n: usize) -> Result<()> {
        let url = format!("http://{}/readyz", self.edge(n)?.admin);
        wait_for(&format!("edge {n} is ready"), READY_S, || async {
            http::get(&url).await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await
    }

    /// `/status` of the ingest.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ingest_status(&self) -> Result<NodeStatus> {
        Ok(serde_json::from_value(http::json(&format!("http://{}/status", self.ingest.admin)).await?)?)
    }

    /// `/status` of an edge.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn edge_status(&self, n: usize) -> Result<NodeStatus> {
        Ok(serde_json::from_value(http::json(&format!("http://{}/status", self.edge(n)?.admin)).await?)?)
    }

    /// Addresses of edge number `n`.
    ///
    /// # Errors
    /// When there was no room made for it.
    pub fn edge(&self, n: usize) -> Result<EdgeListen> {
        self.edges.get(n).copied().with_context(|| format!("there is no edge {n}"))
    }

    /// What viewers of all protocols open, at every edge: HLS, HTTP-FLV and RTMP of each.
    #[must_use]
    pub fn viewer_urls(&self, stream: &str) -> Vec<String> {
        let of = |edge: &EdgeListen| {
            let http = format!("http://{}/live/{stream}", edge.http);
            [format!("{http}/index.m3u8"), format!("{http}.flv"), format!("rtmp://{}/live/{stream}", edge.rtmp)]
        };
        self.edges.iter().flat_map(of).collect()
    }

    /// Addresses of the ingest.
    #[must_use]
    pub fn ingest(&self) -> IngestListen {
        self.ingest
    }

    /// Where encoders publish `stream`.
    #[must_use]
    pub fn publish_url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}?key={}", self.ingest.rtmp, keys::stream_key(SEED.as_bytes(), stream))
    }

    /// Gives `stream` a key for a backup encoder beside its own: call it before the ingest starts. The other streams of the
    /// event then have no key.
    ///
    /// # Errors
    /// When the keys cannot be written.
    pub fn with_backup(&mut self, stream: &str) -> Result<()> {
        let folder = self.folder.path().join("publish-keys");
        std::fs::create_dir_all(&folder).context("failed to make a folder for keys")?;
        let main = keys::stream_key(SEED.as_bytes(), stream);
        std::fs::write(folder.join(stream), main).context("failed to write the key")?;
        std::fs::write(folder.join(format!("{stream}.backup")), backup_key(stream))
            .context("failed to write the key")?;
        self.backup_keys.push(stream.to_owned());
        Ok(())
    }

    /// Where the backup encoder publishes `stream`.
    #[must_use]
    pub fn backup_url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}?key={}", self.ingest.rtmp, backup_key(stream))
    }

    /// The token that edges demand on the relay.
    #[must_use]
    pub fn token(&self) -> String {
        keys::relay_token(SEED.as_bytes())
    }

    /// Waits until `stream` is live at edge `n` with at least `segments` segments.
    ///
    /// # Errors
    /// When it is not within 30 s.
    pub async fn wait_live(&self, n: usize, stream: &str, segments: usize) -> Result<()> {
        let url = format!("http://{}/live/{stream}/media.m3u8", self.edge(n)?.http);
        wait_for(&format!("{stream} has {segments} segments at edge {n}"), 30, || async {
            let list = http::get(&url).await.ok()?;
            (list.text().matches("#EXTINF").count() >= segments).then_some(())
        })
        .await
    }

    /// The ingest is told of all edges from the start: those that do not run yet are dialled until they do.
    fn write_peers(&self) -> Result<()> {
        let peers: Vec<_> = self.edges.iter().map(|e| Peer { relay: e.relay, admin: e.admin, serving: true }).collect();
        let draft = self.folder.path().join("peers.part");
        std::fs::write(&draft, serde_json::to_string(&peers)?).context("failed to write the peers")?;
        std::fs::rename(&draft, &self.peers).context("failed to publish the peers")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn start(&self, name: &str, role: &str, config: &str) -> Result<Running> {
        let file = self.folder.path().join(format!("{name}.json"));
        std::fs::write(&file, config).context("failed to write the configuration")?;
        let mut command = Command::new(binary("lectern-node")?);
        command.arg(role).arg("--config").arg(&file);
        Running::start(name, Path::new(self.folder.path()), &mut command)
    }

    async fn wait_healthy(&self, running: &Running, admin: SocketAddr) -> Result<()> {
        let url = format!("http://{admin}/healthz");
        wait_for("the node answers", READY_S, || async {
            http::get(&url).await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await
        .with_context(|| format!("it said:\n{}", running.log()))
    }
}

fn backup_key(stream: &str) -> String {
    format!("backup-of-{stream}")
}
