//! What is mounted where. The ingest keeps its mounts for its whole life; the content of each may change under it.

use super::super::secret as key_material;
use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, SecretVolumeSource, Volume, VolumeMount};
use lectern_api::names::{EventName, SecretName};

/// The ingest's configuration.
pub const NODE_DIR: &str = "/etc/lectern/node";
/// The configuration as a file in that folder, and its data key in the ConfigMap.
pub const NODE_FILE: &str = "node.json";
/// The seed.
pub const SEED_DIR: &str = "/etc/lectern/seed";
/// The user's publish keys.
pub const PUBLISH_KEYS_DIR: &str = "/etc/lectern/publish-keys";
/// The URLs to forward to.
pub const FORWARD_DIR: &str = "/etc/lectern/forward";
/// The relay token.
const RELAY_DIR: &str = "/etc/lectern/relay";

/// Readable for the pod's group alone.
const SECRET_MODE: i32 = 0o440;

/// Volumes and where they are mounted.
#[derive(Default)]
pub struct Mounted {
    pub volumes: Vec<Volume>,
    pub mounts: Vec<VolumeMount>,
}

/// Where an edge finds the relay token.
pub fn token_file() -> String {
    format!("{RELAY_DIR}/{}", key_material::TOKEN)
}

impl Mounted {
    pub fn ingest(event: &EventName, publish: Option<&SecretName>, forward: Option<&SecretName>) -> Self {
        let mut all = Self::default();
        let config = ConfigMapVolumeSource { name: event.node(), ..ConfigMapVolumeSource::default() };
        all.add("node", NODE_DIR, Volume { config_map: Some(config), ..Volume::default() });
        all.add("seed", SEED_DIR, secret(event.seed(), false));
        // The user's Secrets may come later, and go: what was loaded is what the ingest says.
        if let Some(publish) = publish {
            all.add("publish-keys", PUBLISH_KEYS_DIR, secret(publish.to_string(), true));
        }
        if let Some(forward) = forward {
            all.add("forward", FORWARD_DIR, secret(forward.to_string(), true));
        }
        all
    }

    pub fn edge(event: &EventName) -> Self {
        let mut all = Self::default();
        all.add("relay", RELAY_DIR, secret(event.relay(), false));
        all
    }

    /// Whole folders, never single files of them: those would not follow a change.
    fn add(&mut self, name: &str, folder: &str, volume: Volume) {
        self.volumes.push(Volume { name: name.into(), ..volume });
        self.mounts.push(VolumeMount {
            name: name.into(),
            mount_path: folder.into(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
}

fn secret(name: String, optional: bool) -> Volume {
    let source = SecretVolumeSource {
        secret_name: Some(name),
        default_mode: Some(SECRET_MODE),
        optional: optional.then_some(true),
        items: None,
    };
    Volume { secret: Some(source), ..Volume::default() }
}
