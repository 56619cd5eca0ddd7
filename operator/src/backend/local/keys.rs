//! Key material of a local run. As in a cluster every value is derived from one root: a file of the user's here, a
//! Secret there. So the publish key of a stream stays the same from run to run.

use crate::args::LocalOptions;
use crate::plan::Plan;
use anyhow::{Context, Result, bail};
use lectern_api::keys;
use lectern_api::text::hex;
use lectern_process::random;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a root before it is written as hexadecimal text.
const ROOT_BYTES: usize = 32;

/// Bytes of a file with a key or a URL that are read: the longest URL that a node takes is shorter.
const FILE_BYTES_MAX: u64 = 8 << 10;

/// What the files of a run are made of.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) seed: String,
    pub(super) token: String,
    /// Stream and key, for every stream.
    pub(super) publish: Vec<(String, String)>,
    /// Name and URL of what is forwarded to.
    pub(super) forward: Vec<(String, String)>,
}

pub(super) fn material(options: &LocalOptions, plan: &Plan) -> Result<Material> {
    let root = root(options.state.as_deref())?;
    let seed = keys::seed(root.as_bytes(), &plan.keys.event);
    let settings = &plan.ingest.settings;
    let streams: Vec<&str> = settings.streams.iter().map(|stream| stream.name.as_str()).collect();
    let backups: Vec<String> = streams.iter().map(|stream| format!("{stream}.{}", keys::BACKUP)).collect();
    let known: Vec<&str> = streams.iter().copied().chain(backups.iter().map(String::as_str)).collect();
    let given = pairs(&options.keys, "--key", "STREAM=KEY or STREAM=@FILE", &known)?;
    for (stream, key) in &given {
        if key.len() < keys::KEY_BYTES_MIN {
            bail!("the key of {stream} has {} bytes; the fewest are {}", key.len(), keys::KEY_BYTES_MIN);
        }
    }
    let mut publish = given;
    for stream in &streams {
        if !publish.iter().any(|(name, _)| name == stream) {
            publish
                .push(((*stream).to_owned(), keys::publish_key(seed.as_bytes(), stream, settings.key_salt.as_deref())));
        }
    }
    let targets: Vec<&str> = settings.forward.iter().map(|forward| forward.name.as_str()).collect();
    let forward = pairs(&options.forward, "--forward", "NAME=URL or NAME=@FILE", &targets)?;
    Ok(Material { token: keys::relay_token(seed.as_bytes()), seed, publish, forward })
}

/// `NAME=VALUE` for each of `given`, where `NAME` must be one of `known`.
fn pairs(given: &[String], option: &str, form: &str, known: &[&str]) -> Result<Vec<(String, String)>> {
    let one = |text: &String| {
        // The value stays out of the message: it is a secret.
        let (name, value) = text.split_once('=').with_context(|| format!("{option} wants {form}"))?;
        if !known.contains(&name) {
            bail!(
                "{option}: the event has no {name:?}; it has {}",
                if known.is_empty() { "none".into() } else { known.join(", ") }
            );
        }
        Ok((name.to_owned(), value_of(value, option)?))
    };
    given.iter().map(one).collect()
}

/// The value itself, or for `@FILE` what the file holds: every user of the machine can read the command line of a
/// process, but not the file.
fn value_of(value: &str, option: &str) -> Result<String> {
    let Some(path) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    let file = File::open(path).with_context(|| format!("{option}: failed to open {path}"))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).with_context(|| format!("{option}: failed to read {path}"))?;
    let text = std::str::from_utf8(keys::trimmed(&bytes)).ok().filter(|text| !text.is_empty());
    Ok(text.with_context(|| format!("{option}: {path} is empty or not text"))?.to_owned())
}

/// The root of this user: read, or made once.
fn root(state: Option<&Path>) -> Result<String> {
    let folder = state.map(Path::to_owned).or_else(default_state);
    let Some(folder) = folder else { return fresh() };
    let path = folder.join("root");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("failed to make {}; choose another with --state", folder.display()))?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let root = fresh()?;
            file.write_all(root.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
            Ok(root)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            let root = String::from_utf8_lossy(keys::trimmed(&text)).into_owned();
            if root.len() < keys::KEY_BYTES_MIN {
                bail!("{} is too short to make keys from: delete it, and a new one is made", path.display());
            }
            Ok(root)
        }
        Err(error) => {
            Err(error).with_context(|| format!("failed to make {}; choose another with --state", path.display()))
        }
    }
}

fn default_state() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("lectern"))
}

fn fresh() -> Result<String> {
    Ok(hex(&random::secret::<ROOT_BYTES>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let made = root(Some(&state)).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(root(Some(&state)).unwrap(), made);
        assert_eq!(fs::metadata(state.join("root")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_for_an_unknown_stream_is_refused_without_showing_it() {
        let error = pairs(&["hall-z=secret-value".into()], "--key", "STREAM=KEY", &["hall-a"]).unwrap_err().to_string();
        assert!(error.contains("hall-z") && error.contains("hall-a") && !error.contains("secret"), "{error}");
        assert!(pairs(&["secret-value".into()], "--key", "STREAM=KEY", &["hall-a"]).is_err());
    }

    #[test]
    fn a_key_can_come_from_a_file_and_then_stands_in_no_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "a-secret-key\n").unwrap();
        let given = |value: String| pairs(&[value], "--key", "STREAM=@FILE", &["hall-a"]);
        let read = given(format!("hall-a=@{}", path.display())).unwrap();
        assert_eq!(read, [("hall-a".to_owned(), "a-secret-key".to_owned())]);
        let missing = given("hall-a=@/nowhere/key".into()).unwrap_err();
        assert!(format!("{missing:#}").contains("/nowhere/key"), "{missing:#}");
        fs::write(&path, "\n").unwrap();
        assert!(given(format!("hall-a=@{}", path.display())).is_err(), "an empty key is none");
    }
}
