//! The ConfigMap with the ingest's configuration: streams, HLS, playback, forwards. The only object that changes when those
//! do.

use super::scene::Scene;
use super::{meta, pod, secret};
use crate::plan::{IngestPlace, Role};
use k8s_openapi::api::core::v1::ConfigMap;
use lectern_api::node_config::{Discovery, IngestListen};
use std::collections::BTreeMap;

pub fn node(scene: &Scene<'_>) -> ConfigMap {
    let place = IngestPlace {
        discovery: Discovery::EndpointSlices { service: scene.event.name.relay() },
        seed_file: format!("{}/{}", pod::SEED_DIR, secret::SEED),
        publish_keys_dir: pod::PUBLISH_KEYS_DIR.into(),
        forward_dir: pod::FORWARD_DIR.into(),
        forward_policy: Some(scene.installation.forward_policy.clone()),
        listen: IngestListen::default(),
    };
    // A struct of texts and numbers: writing it has no failing case.
    let text = serde_json::to_string_pretty(&scene.plan.ingest.settings.config(place)).unwrap_or_default();
    ConfigMap {
        metadata: meta::object(scene, Role::Ingest, scene.event.name.node()),
        data: Some(BTreeMap::from([(pod::NODE_FILE.to_owned(), text)])),
        ..ConfigMap::default()
    }
}
