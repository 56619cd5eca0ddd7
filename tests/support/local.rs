//! `lectern local`: an event on this machine, as a user starts it.

use crate::http;
use crate::process::{Running, binary, free_port, signal_to};
use crate::wait::wait_for;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// The publish key of every stream in these tests.
pub const KEY: &str = "correct-horse-battery";
/// Time for an event to come up.
const UP_S: u64 = 30;

/// A running event.
#[derive(Debug)]
pub struct Local {
    name: String,
    http: u16,
    rtmp: u16,
    api: u16,
    process: Running,
    /// Logs and whatever else a test wants to keep until its end.
    pub folder: TempDir,
}

/// What the API says of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Address of HLS and HTTP-FLV (an edge).
    pub http: String,
    /// Address of RTMP: play at an edge, publish at an ingest.
    pub rtmp: String,
    /// Ready.
    pub ready: bool,
    /// Viewers.
    pub viewers: u64,
    /// Process id.
    pub pid: u32,
}

impl Node {
    /// `http://HOST:PORT` of an edge.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http.trim_start_matches("http://").trim_end_matches('/'))
    }

    /// `rtmp://HOST:PORT` of a node.
    #[must_use]
    pub fn rtmp_url(&self) -> String {
        let address = self.rtmp.trim_start_matches("rtmp://");
        format!("rtmp://{}", address.split('/').next().unwrap_or_default())
    }
}

impl Local {
    /// Starts an event with these streams; `spec` is more YAML of its spec, indented by two.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(streams: &[&str], spec: &str) -> Result<Self> {
        Self::start_with(streams, spec, &[]).await
    }

    /// The same with more arguments for the command.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_with(streams: &[&str], spec: &str, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a folder")?;
        let listed: String = streams.iter().map(|s| format!("    - {{name: {s}}}\n")).collect();
        let yaml = format!(
            "apiVersion: lectern.dev/v1alpha1\nkind: LiveEvent\nmetadata: {{name: test}}\nspec:\n  streams:\n{listed}{spec}"
        );
        let file = folder.path().join("event.yaml");
        std::fs::write(&file, yaml).context("failed to write the event")?;
        let (http, rtmp, api) = (free_port()?, free_port()?, free_port()?);
        let mut command = Command::new(binary("lectern")?);
        command.arg("local").arg("-f").arg(&file).args(["--output", "json"]).args(arguments);
        for (flag, port) in [("--http", http), ("--rtmp", rtmp), ("--api", api)] {
            command.args([flag, &format!("127.0.0.1:{port}")]);
        }
        for stream in streams {
            command.args(["--key", &format!("{stream}={KEY}")]);
        }
        let process = Running::start("lectern-local", folder.path(), &mut command)?.politely();
        let mut local = Self { name: "test".into(), http, rtmp, api, process, folder };
        local.wait_up().await.with_context(|| format!("the event did not come up:\n{}", local.process.log()))?;
        Ok(local)
    }

    async fn wait_up(&mut self) -> Result<()> {
        let wanted = 1;
        wait_for("edges of the event are ready", UP_S, || async {
            let status = self.status().await.ok()?;
            let edges = nodes(&status);
            let ingest = ingest(&status).is_some_and(|i| i.ready);
            (ingest && edges.len() >= wanted && edges.iter().all(|e| e.ready)).then_some(())
        })
        .await
    }

    /// The event as the API shows it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        let Self { api, name, .. } = self;
        http::json(&format!("http://127.0.0.1:{api}/apis/lectern.dev/v1alpha1/namespaces/default/liveevents/{name}"))
            .await
    }

    /// Its edges.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn edges(&self) -> Result<Vec<Node>> {
        Ok(nodes(&self.status().await?))
    }

    /// Its ingest.
    ///
    /// # Errors
    /// When the API does not answer or shows none.
    pub async fn ingest(&self) -> Result<Node> {
        ingest(&self.status().await?).context("the event shows no ingest")
    }

    /// Where encoders publish `stream`.
    #[must_use]
    pub fn publish_url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}?key={KEY}", self.rtmp)
    }

    /// Address of the publish port.
    #[must_use]
    pub fn rtmp(&self) -> String {
        format!("127.0.0.1:{}", self.rtmp)
    }

    /// The page of `stream` through the entry.
    #[must_use]
    pub fn page(&self, stream: &str) -> String {
        format!("{}/live/{stream}/index.m3u8", self.entry())
    }

    /// The entry: `http://HOST:PORT`.
    #[must_use]
    pub fn entry(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Waits until `stream` has at least `segments` segments at every edge.
    ///
    /// # Errors
    /// When it has not within half a minute.
    pub async fn wait_live(&self, stream: &str, segments: usize) -> Result<()> {
        wait_for(&format!("{stream} has {segments} segments at every edge"), UP_S, || async {
            for edge in self.edges().await.ok()? {
                let list = http::get(&format!("{}/live/{stream}/media.m3u8", edge.url())).await.ok()?;
                if list.text().matches("#EXTINF").count() < segments {
                    return None;
                }
            }
            Some(())
        })
        .await
        .with_context(|| format!("lectern local said:\n{}", self.process.log()))
    }

    /// Kills an edge with SIGKILL once at least one other is ready; says which.
    ///
    /// # Errors
    /// When no two edges are ready within half a minute.
    pub async fn kill_an_edge(&self, turn: usize) -> Result<Node> {
        let ready = wait_for("two edges are ready", UP_S, || async {
            let ready: Vec<_> = self.edges().await.ok()?.into_iter().filter(|e| e.ready).collect();
            (ready.len() >= 2).then_some(ready)
        });
        let ready = ready.await?;
        let victim = ready.get(turn % ready.len()).cloned().context("no edge")?;
        signal_to(victim.pid, Signal::SIGKILL)?;
        Ok(victim)
    }

    /// The process of `lectern local`.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }
}

fn nodes(event: &Value) -> Vec<Node> {
    serde_json::from_value(event["status"]["edges"]["nodes"].clone()).unwrap_or_default()
}

fn ingest(event: &Value) -> Option<Node> {
    serde_json::from_value(event["status"]["ingest"].clone()).ok()
}
