//! Reading the configuration: a JSON file, options laid over it, checked whole. Every problem names file and field.

use crate::args::{EdgeOptions, IngestOptions};
use lectern_api::node_config::{EdgeConfig, IngestConfig};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

mod check;

/// A configuration file above this is none: 64 streams make some 10 KB, a ConfigMap holds at most 1 MiB.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read configuration {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("failed to read configuration {file}: it has {bytes} bytes, at most {CONFIG_BYTES_MAX} are accepted")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// It is no JSON.
    #[error("failed to read configuration {file}: not JSON: {source}")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A field is missing or has a value of another kind.
    #[error("failed to read configuration {origin}: field `{field}`: {source}")]
    Field {
        /// The file, or words for "options alone".
        origin: String,
        /// Path of the field, e.g. `streams[1].name`.
        field: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Everything could be read, but it cannot work.
    #[error("configuration {origin} cannot work: {}", problems.join("; "))]
    Invalid {
        /// The file, or words for "options alone".
        origin: String,
        /// All problems, each with its field.
        problems: Vec<String>,
    },
}

/// Where an ingest's configuration comes from; read again when the file changes.
#[derive(Clone, Debug)]
pub struct Source {
    options: IngestOptions,
}

impl Source {
    /// The file and the options over it.
    #[must_use]
    pub fn ingest(options: IngestOptions) -> Self {
        Self { options }
    }

    /// The file that is read.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.options.config
    }

    /// Reads, lays the options over and checks.
    ///
    /// # Errors
    /// [`ConfigError`] with file and field.
    pub fn load(&self) -> Result<IngestConfig, ConfigError> {
        let o = &self.options;
        let origin = o.config.display().to_string();
        let mut value = read(&o.config)?;
        set(&mut value, "listen.rtmp", o.listen_rtmp);
        set(&mut value, "listen.admin", o.listen_admin);
        set(&mut value, "seedFile", o.seed_file.as_deref());
        set(&mut value, "publishKeysDir", o.publish_keys_dir.as_deref());
        set(&mut value, "forwardDir", o.forward_dir.as_deref());
        set(&mut value, "maxBitrate", o.max_bitrate);
        let config: IngestConfig = fields(value, &origin)?;
        checked(check::ingest(&config), &origin)?;
        Ok(config)
    }
}

/// Reads an edge's configuration: file, if there is one, and options over it.
///
/// # Errors
/// [`ConfigError`] with file and field.
pub fn edge(o: &EdgeOptions) -> Result<EdgeConfig, ConfigError> {
    let origin = o.config.as_ref().map_or("from options".to_owned(), |file| file.display().to_string());
    let mut value = o.config.as_deref().map_or(Ok(Value::Object(Map::new())), read)?;
    set(&mut value, "event", o.event.as_deref());
    set(&mut value, "tokenFile", o.token_file.as_deref());
    set(&mut value, "viewersPerEdge", o.viewers_per_edge);
    set(&mut value, "egressBitsPerSecond", o.egress_bits_per_second);
    set(&mut value, "targetUtilizationPercent", o.target_utilization_percent);
    set(&mut value, "drainMs", o.drain_ms);
    set(&mut value, "mergeWindowMs", o.merge_window_ms);
    set(&mut value, "listen.http", o.listen_http);
    set(&mut value, "listen.rtmp", o.listen_rtmp);
    set(&mut value, "listen.relay", o.listen_relay);
    set(&mut value, "listen.admin", o.listen_admin);
    let config: EdgeConfig = fields(value, &origin)?;
    checked(check::edge(&config), &origin)?;
    Ok(config)
}

fn read(file: &Path) -> Result<Value, ConfigError> {
    let failed = |source| ConfigError::Read { file: file.to_owned(), source };
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { file: file.to_owned(), bytes });
    }
    let text = std::fs::read(file).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|source| ConfigError::Syntax { file: file.to_owned(), source })
}

/// Puts `value` at `path` (one dot at most), if there is one. Listening addresses have defaults of their own, so a
/// missing object is made from them.
fn set(root: &mut Value, path: &str, value: Option<impl serde::Serialize>) {
    let Some(value) = value.and_then(|v| serde_json::to_value(v).ok()) else { return };
    let Some(root) = root.as_object_mut() else { return };
    match path.split_once('.') {
        None => {
            root.insert(path.to_owned(), value);
        }
        Some((outer, inner)) => {
            let object = root.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Some(object) = object.as_object_mut() {
                object.insert(inner.to_owned(), value);
            }
        }
    }
}

fn fields<T: DeserializeOwned>(value: Value, origin: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| ConfigError::Field {
        origin: origin.to_owned(),
        field: error.path().to_string(),
        source: error.into_inner(),
    })
}

fn checked(problems: Vec<String>, origin: &str) -> Result<(), ConfigError> {
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { origin: origin.to_owned(), problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const WHOLE: &str = r#"{"event": "default/gala", "streams": [{"name": "hall-a"}], "seedFile": "/seed",
        "discovery": {"type": "static", "peers": []}, "listen": {"admin": "127.0.0.1:1"}, "tomorrow": true}"#;

    fn source(text: &str) -> (tempfile::NamedTempFile, Source) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let options = IngestOptions { config: file.path().to_owned(), ..IngestOptions::default() };
        (file, Source::ingest(options))
    }

    #[test]
    fn options_win_over_the_file_and_unknown_fields_are_ignored() {
        let (_file, mut source) = source(WHOLE);
        source.options.listen_rtmp = Some(([127, 0, 0, 1], 2).into());
        source.options.max_bitrate = Some(5_000_000);
        let config = source.load().unwrap();
        assert_eq!(config.listen.rtmp.to_string(), "127.0.0.1:2");
        assert_eq!(config.listen.admin.to_string(), "127.0.0.1:1");
        assert_eq!(config.max_bitrate, 5_000_000);
    }

    #[test]
    fn an_error_names_file_and_field() {
        for (text, wanted) in [
            ("{", "not JSON: EOF"),
            (r#"{"event": 1}"#, "field `event`: invalid type"),
            (&WHOLE.replace(r#""hall-a""#, "7"), "field `streams[0].name`: invalid type"),
            (&WHOLE.replace("hall-a", "Hall A"), "`streams[0].name`: \"Hall A\""),
            (&WHOLE.replace("127.0.0.1:1", "nowhere"), "field `listen.admin`"),
        ] {
            let (file, source) = source(text);
            let message = source.load().unwrap_err().to_string();
            assert!(message.contains(wanted), "{message}");
            assert!(message.contains(&file.path().display().to_string()), "{message}");
        }
    }

    #[test]
    fn an_edge_needs_no_file_when_options_say_everything() {
        let options = EdgeOptions {
            event: Some("default/gala".into()),
            token_file: Some("/token".into()),
            viewers_per_edge: Some(10),
            drain_ms: Some(1_000),
            ..EdgeOptions::default()
        };
        let config = edge(&options).unwrap();
        assert_eq!(config.listen.http.port(), 8080);
        let message = edge(&EdgeOptions { event: None, ..options }).unwrap_err().to_string();
        assert!(message.contains("from options") && message.contains("`event`"), "{message}");
    }
}
