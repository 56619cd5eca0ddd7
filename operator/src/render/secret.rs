//! Secrets: the seed for the ingest, the relay token for the edges, a publish key per stream for people to read. All
//! derived, so that every replica of the operator makes the same ones.

use super::meta;
use super::scene::Scene;
use crate::plan::Role;
use k8s_openapi::api::core::v1::Secret;
use lectern_api::names::StreamName;
use lectern_api::{keys, labels};
use std::collections::BTreeMap;

/// Data key of the seed.
pub const SEED: &str = "seed";
/// Data key of the relay token.
pub const TOKEN: &str = "token";
/// Data key of a publish key.
pub const KEY: &str = "key";

pub fn all(scene: &Scene<'_>) -> Vec<Secret> {
    let name = &scene.event.name;
    let seed = &scene.identity.seed;
    let token = keys::relay_token(seed.as_bytes());
    let mut all = vec![
        secret(scene, Role::Ingest, name.seed(), SEED, seed.clone()),
        secret(scene, Role::Edge, name.relay(), TOKEN, token),
    ];
    all.extend(scene.plan.keys.generated.iter().map(|stream| stream_key(scene, stream)));
    all
}

fn stream_key(scene: &Scene<'_>, stream: &StreamName) -> Secret {
    let generation = scene.plan.keys.generation.as_ref();
    let salt = generation.map(|generation| generation.salt.as_str());
    let value = keys::publish_key(scene.identity.seed.as_bytes(), stream.as_str(), salt);
    let name = scene.event.name.publish_key(stream, generation.map(|generation| generation.number));
    let mut secret = secret(scene, Role::Ingest, name, KEY, value);
    secret.metadata.labels.get_or_insert_default().insert(labels::STREAM.into(), stream.to_string());
    secret
}

/// Immutable, because editing it would change nothing: nodes derive the value themselves.
fn secret(scene: &Scene<'_>, role: Role, name: String, key: &str, value: String) -> Secret {
    Secret {
        metadata: meta::object(scene, role, name),
        immutable: Some(true),
        string_data: Some(BTreeMap::from([(key.to_owned(), value)])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}
