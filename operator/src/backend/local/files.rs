//! The files of a local run: node configuration, secrets, the list of edges, logs. All of it in one private folder that
//! goes with the run.

use super::keys::Material;
use crate::plan::{EdgePlace, EdgeSettings, IngestPlace, IngestSettings};
use crate::validate::Event;
use anyhow::{Context, Result, bail};
use lectern_api::node_config::{Discovery, EdgeListen, IngestListen, Peer};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Bytes at the end of a log that are looked at for its last words.
const TAIL_BYTES: usize = 4_096;

/// The folder of a run.
pub(super) struct Workdir {
    folder: TempDir,
    logs: PathBuf,
}

impl Workdir {
    pub(super) fn new(event: &Event, material: &Material, logs: Option<&Path>) -> Result<Self> {
        let prefix = format!("lectern-{}-", event.name);
        // It holds keys: for its owner alone, whatever the umask is.
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(&prefix).permissions(private).tempdir();
        let folder = folder.context("failed to make a temporary folder")?;
        let logs = logs.map_or_else(|| folder.path().join("logs"), Path::to_owned);
        let made = Self { folder, logs };
        for sub in [made.path("publish-keys"), made.path("forward"), made.logs.clone()] {
            fs::create_dir_all(&sub).with_context(|| format!("failed to make {}", sub.display()))?;
        }
        made.write("seed", &material.seed)?;
        made.write("relay-token", &material.token)?;
        made.write("edges.json", "[]")?;
        for (index, (stream, key)) in material.publish.iter().enumerate() {
            // STREAM.anything: a stream may have several.
            made.write(&format!("publish-keys/{stream}.{index}"), key)?;
        }
        for (name, url) in &material.forward {
            made.write(&format!("forward/{name}"), url)?;
        }
        Ok(made)
    }

    /// The log of a node.
    pub(super) fn log(&self, node: &str) -> PathBuf {
        self.logs.join(format!("{node}.log"))
    }

    /// The last lines of a node's log.
    pub(super) fn last_words(&self, node: &str, lines: usize) -> Vec<String> {
        let bytes = fs::read(self.log(node)).unwrap_or_default();
        let tail = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let text = String::from_utf8_lossy(tail).into_owned();
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        all.iter().skip(all.len().saturating_sub(lines)).map(|line| (*line).to_owned()).collect()
    }

    /// Writes the configuration of the ingest.
    pub(super) fn ingest(&self, settings: &IngestSettings, listen: IngestListen) -> Result<PathBuf> {
        let mut config = settings.config(IngestPlace {
            discovery: Discovery::File { path: self.text("edges.json") },
            seed_file: self.text("seed"),
            publish_keys_dir: self.text("publish-keys"),
            forward_dir: self.text("forward"),
            forward_policy: None,
            listen,
        });
        // Given keys are files; those that are made are written there too, so there is one way.
        config.publish_keys_dir = Some(self.text("publish-keys"));
        self.json("ingest.json", &config)
    }

    /// Writes the configuration of the edge `name`.
    pub(super) fn edge(&self, name: &str, settings: &EdgeSettings, listen: EdgeListen) -> Result<PathBuf> {
        let config = settings.config(EdgePlace { token_file: self.text("relay-token"), listen });
        self.json(&format!("{name}.json"), &config)
    }

    /// Writes where the edges are.
    pub(super) fn peers(&self, peers: &[Peer]) -> Result<()> {
        self.json("edges.json", &peers).map(drop)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn json(&self, name: &str, content: &impl Serialize) -> Result<PathBuf> {
        let text = serde_json::to_string_pretty(content).with_context(|| format!("failed to write {name} as JSON"))?;
        self.write(name, &text)
    }

    /// Written beside and renamed, so that no node reads half a file.
    fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let draft = self.path(&format!("{name}.new"));
        let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, &path));
        written.with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }
}

/// The node binary: as told, beside this program, or on the PATH.
pub(super) fn node_binary(told: Option<&Path>) -> Result<PathBuf> {
    const NAME: &str = "lectern-node";
    if let Some(told) = told {
        if told.is_file() {
            return Ok(told.to_owned());
        }
        bail!("there is no node binary at {}", told.display());
    }
    let here = std::env::current_exe().context("failed to find this program's own path")?;
    let beside = here.parent().map(|folder| folder.join(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = beside.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join(NAME)));
    places.find(|place| place.is_file()).with_context(|| {
        format!("failed to find {NAME} beside {} or on the PATH: build it (cargo build -p lectern-node) or say where it is with --node", here.display())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its folder must fail")]

    use super::*;

    #[test]
    fn the_folder_of_a_run_is_for_its_owner_alone() {
        let raw = serde_json::from_value(serde_json::json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": "gala"},
            "spec": {"streams": [{"name": "a"}]},
        }));
        let event = crate::validate::validate(&raw.unwrap()).unwrap();
        let material = Material {
            seed: "seed".into(),
            token: "token".into(),
            publish: vec![("a".into(), "secret-key".into())],
            forward: Vec::new(),
        };
        let workdir = Workdir::new(&event, &material, None).unwrap();
        assert_eq!(fs::metadata(workdir.folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(workdir.path("publish-keys/a.0").is_file());
    }
}
