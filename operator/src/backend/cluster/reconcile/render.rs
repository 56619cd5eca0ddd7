//! `Objects → documents`: what is applied, with the hash by which a change of ours is known. Pure.

use crate::backend::cluster::watch::cache::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::TEMPLATE_HASH;
use crate::render::Objects;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

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
}

/// What is said of objects that are there and should not be: made for the event, and no longer wanted.
#[must_use]
pub fn superfluous(wanted: &[Document], children: &Children, uid: &str) -> Vec<(Kind, String, String)> {
    let ours = children
        .objects
        .iter()
        .filter(|(_, object)| !object.ending && object.owner.as_ref().is_some_and(|owner| owner.uid == uid));
    let unwanted = ours.filter(|((kind, name), _)| !wanted.iter().any(|one| one.kind == *kind && one.name == *name));
    unwanted.map(|((kind, name), object)| (*kind, name.clone(), object.uid.clone())).collect()
}

fn hash(value: &Value) -> String {
    Sha256::digest(value.to_string().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
