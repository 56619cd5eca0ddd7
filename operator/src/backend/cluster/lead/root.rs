//! The one Secret that all generated keys are derived from: in the operator's own namespace, made once.

use crate::kubernetes::{Refusal, refusal};
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use lectern_api::text::hex;
use lectern_api::{keys, labels};
use lectern_process::random;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Data key of the root.
const ROOT: &str = "root";
/// Length of a new root: as much as the keys that are derived from it can hold.
const ROOT_BYTES: usize = 32;
/// Pause between attempts while the API server does not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Reads the root, and makes it first if it is missing. Goes on until it has it.
pub async fn load(client: &Client, namespace: &str, name: &str) -> Vec<u8> {
    loop {
        match attempt(client, namespace, name).await {
            Ok(root) => return root,
            Err(error) => tracing::warn!(error = format!("{error:#}"), "no keys can be derived yet"),
        }
        sleep(RETRY).await;
    }
}

async fn attempt(client: &Client, namespace: &str, name: &str) -> Result<Vec<u8>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.with_context(|| format!("failed to read Secret {namespace}/{name}"))?;
    let secret = match found {
        Some(secret) => secret,
        None => create(&api, name).await.with_context(|| format!("failed to create Secret {namespace}/{name}"))?,
    };
    let root = secret.data.and_then(|mut data| data.remove(ROOT)).map(|bytes| bytes.0).unwrap_or_default();
    ensure!(
        root.len() >= keys::KEY_BYTES_MIN,
        "Secret {namespace}/{name} holds no usable data key {ROOT}: restore it, or delete it and all generated keys change"
    );
    Ok(root)
}

async fn create(api: &Api<Secret>, name: &str) -> Result<Secret> {
    let root = random::secret::<ROOT_BYTES>()?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([(labels::PART_OF.to_owned(), labels::MANAGED_BY_LECTERN.to_owned())])),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        data: Some(BTreeMap::from([(ROOT.to_owned(), ByteString(hex(&root).into_bytes()))])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(made) => Ok(made),
        // Another replica was faster: its root is the root.
        Err(error) if refusal(&error) == Some(Refusal::AlreadyExists) => Ok(api.get(name).await?),
        Err(error) => Err(error.into()),
    }
}
