//! An object as JSON, with the hash by which a change of ours is known. Pure.

use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::TEMPLATE_HASH;
use crate::render::Objects;
use lectern_api::text::hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes of a hash that are kept: two contents of one object never share them by chance.
const HASH_BYTES: usize = 8;

/// One object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// All of it.
    pub value: Value,
    /// Changes when `value` does.
    pub hash: String,
}

/// Every object that is applied, in order; Secrets are not among them.
///
/// # Errors
/// When an object cannot be written as JSON; none of them holds anything that could not.
pub fn documents(objects: &Objects) -> Result<Vec<Document>, serde_json::Error> {
    let all = objects.documents()?.into_iter().filter_map(|mut value| {
        let kind = Kind::named(value["kind"].as_str()?)?;
        let name = value["metadata"]["name"].as_str()?.to_owned();
        if kind == Kind::Deployment {
            let template = hash(&value["spec"]["template"]);
            value["metadata"]["annotations"][TEMPLATE_HASH] = json!(template);
        }
        let hash = hash(&value);
        Some(Document { kind, name, value, hash })
    });
    Ok(all.collect())
}

impl Document {
    /// Hash of the pod template, of a Deployment.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        self.value["metadata"]["annotations"][TEMPLATE_HASH].as_str()
    }

    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> (Kind, String) {
        (self.kind, self.name.clone())
    }
}

fn hash(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string().as_bytes())[..HASH_BYTES])
}
