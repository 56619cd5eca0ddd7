//! Images without Docker: a `docker-archive` tar with one layer, the same bytes for the same files.
//!
//! [`lectern`] holds what the Dockerfile's last stage holds (a test compares the two); [`pause`] and [`hello`] are what
//! a cluster needs beside it.

use crate::components::PAUSE_IMAGE;
use crate::tools;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Lectern's image is called in a test cluster.
pub const LECTERN_IMAGE: &str = "localhost/lectern:dev";
/// What the image is called that answers HTTP requests with the name of its pod.
pub const HELLO_IMAGE: &str = "localhost/hello:dev";
/// Whom the image runs as: a number, so that `runAsNonRoot` can be checked, and the customary one.
pub const USER: &str = "65532:65532";
/// What the nodes in the image can do beyond those outside a cluster.
pub const NODE_FEATURES: &str = "lectern-node/kubernetes";
/// The search path of the image.
const PATH: &str = "PATH=/usr/local/bin";
/// Programs: all users may read and run them.
const PROGRAM_MODE: u32 = 0o755;
/// Texts: all users may read them.
const TEXT_MODE: u32 = 0o644;

/// An image to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name, tag included.
    pub name: String,
    /// What is in it.
    pub files: Vec<ImageFile>,
    /// What it runs when it is told nothing.
    pub command: Vec<String>,
}

/// One file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its absolute path in the image.
    pub path: String,
    /// Where its bytes are.
    pub source: PathBuf,
    /// Its permissions.
    pub mode: u32,
}

/// Lectern's image from binaries in `binaries`.
#[must_use]
pub fn lectern(binaries: &Path) -> Image {
    let program = |name: &str| ImageFile {
        path: format!("/usr/local/bin/{name}"),
        source: binaries.join(name),
        mode: PROGRAM_MODE,
    };
    let text = |name: &str, source: &str| ImageFile {
        path: format!("/usr/share/doc/lectern/{name}"),
        source: root().join(source),
        mode: TEXT_MODE,
    };
    Image {
        name: LECTERN_IMAGE.into(),
        files: vec![
            program("lectern"),
            program("lectern-node"),
            text("LICENSE", "LICENSE"),
            text("NOTICE", "web/NOTICE"),
        ],
        command: vec!["lectern".into(), "--help".into()],
    }
}

/// The image that holds a pod's namespaces.
///
/// # Errors
/// When its program cannot be compiled.
pub fn pause() -> Result<Image> {
    small(PAUSE_IMAGE, "/pause")
}

/// An image that answers HTTP on port 8080 with the name of its pod.
///
/// # Errors
/// When its program cannot be compiled.
pub fn hello() -> Result<Image> {
    small(HELLO_IMAGE, "/hello")
}

fn small(name: &str, path: &str) -> Result<Image> {
    let source = tools::static_program(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pod.rs"))?;
    let file = ImageFile { path: path.into(), source, mode: PROGRAM_MODE };
    Ok(Image { name: name.into(), files: vec![file], command: vec![path.into()] })
}

/// Builds Lectern's binaries statically with `profile` and answers the folder they are in. The node watches
/// EndpointSlices, which it does not outside a cluster: hence the feature.
///
/// # Errors
/// When the build fails.
pub fn build_lectern(profile: &str) -> Result<PathBuf> {
    let target = tools::rust_target();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(root()).env("RUSTFLAGS", "-C target-feature=+crt-static").args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        profile,
        "--target",
        &target,
        "-p",
        "lectern",
        "-p",
        "lectern-node",
        "--features",
        NODE_FEATURES,
        "--bins",
    ]);
    let status = build.status().context("failed to start cargo")?;
    ensure!(status.success(), "failed to build Lectern's binaries ({status}): see above");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(folder.join(target).join(if profile == "dev" { "debug" } else { profile }))
}

impl Image {
    /// Writes it as a tar that `ctr images import`, `docker load` and `podman load` read.
    ///
    /// # Errors
    /// When a file cannot be read or the tar not written.
    pub fn write(&self, tar: &Path) -> Result<()> {
        let layer = self.layer()?;
        let config = self.config(&hash(&layer)).to_string();
        let config_name = format!("{}.json", hash(config.as_bytes()));
        let manifest = json!([{"Config": config_name, "RepoTags": [self.name], "Layers": ["layer.tar"]}]).to_string();
        let file = File::create(tar).with_context(|| format!("failed to make {}", tar.display()))?;
        let mut archive = tar::Builder::new(BufWriter::new(file));
        append(&mut archive, "layer.tar", TEXT_MODE, &layer)?;
        append(&mut archive, &config_name, TEXT_MODE, config.as_bytes())?;
        append(&mut archive, "manifest.json", TEXT_MODE, manifest.as_bytes())?;
        let mut file = archive.into_inner().context("failed to finish the image")?;
        file.flush().with_context(|| format!("failed to write {}", tar.display()))
    }

    /// The paths of its files, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<_> = self.files.iter().map(|f| f.path.clone()).collect();
        paths.sort();
        paths
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for file in &self.files {
            let bytes =
                std::fs::read(&file.source).with_context(|| format!("failed to read {}", file.source.display()))?;
            append(&mut archive, file.path.trim_start_matches('/'), file.mode, &bytes)?;
        }
        archive.into_inner().context("failed to finish the layer")
    }

    fn config(&self, layer: &str) -> Value {
        json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Cmd": self.command, "User": USER, "Env": [PATH], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        })
    }
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// As images name what Rust calls otherwise.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Owner, group and time are zero: the same files are the same image.
fn append<W: std::io::Write>(archive: &mut tar::Builder<W>, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, path, bytes).with_context(|| format!("failed to pack {path}"))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
