//! Keeps the serving certificate: in a Secret that it makes and renews, or in a folder that another program keeps.
//!
//! Two replicas keep the same Secret. The replica that comes second, when making it or when renewing it, learns so from the API server
//! and reads what the first one wrote.

use super::certificate::{Due, Material};
use crate::kubernetes::{Refusal, refusal};
use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use lectern_api::labels;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at the Secret: so long one replica may serve the old certificate after another renewed it.
const SECRET_PERIOD: Duration = Duration::from_secs(30);
/// Between two looks at the folder.
const FOLDER_PERIOD: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// The type that other keepers of certificates use, too; it cannot be changed.
const SECRET_TYPE: &str = "kubernetes.io/tls";
/// Data keys of the Secret, file names of the folder.
const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Where the certificate is kept.
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Place {
    /// In a Secret.
    Secret {
        /// The namespace's Secrets.
        api: Box<Api<Secret>>,
        /// Its name.
        name: String,
        /// What the server is called.
        host: String,
    },
    /// In a folder.
    Folder(PathBuf),
}

impl Place {
    /// The Secret `name` in `namespace`, for a server called `host`.
    #[must_use]
    pub fn secret(client: Client, namespace: &str, name: &str, host: String) -> Self {
        Self::Secret { api: Box::new(Api::namespaced(client, namespace)), name: name.to_owned(), host }
    }

    /// Keeps the certificate for ever, and tells what it is.
    pub async fn keep(self, told: watch::Sender<Option<Material>>) {
        let mut failing = None;
        loop {
            let known = told.borrow().clone();
            let looked = match &self {
                Self::Secret { api, name, host } => look(api, name, host, known.as_ref()).await,
                Self::Folder(folder) => read_folder(folder).await,
            };
            let pause = match looked {
                Ok(now) => {
                    failing = None;
                    let changed = told.send_if_modified(|known| {
                        let changed = known.as_ref() != Some(&now);
                        *known = Some(now);
                        changed
                    });
                    if changed {
                        tracing::info!("serving with another certificate from now on");
                    }
                    self.period()
                }
                Err(error) => {
                    let words = format!("{error:#}");
                    if failing.as_ref() != Some(&words) {
                        tracing::warn!(error = words, "failed to look at the serving certificate");
                        failing = Some(words);
                    }
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn period(&self) -> Duration {
        match self {
            Self::Secret { .. } => SECRET_PERIOD,
            Self::Folder(_) => FOLDER_PERIOD,
        }
    }
}

/// The certificate in the Secret, which is made or renewed if that is due.
async fn look(api: &Api<Secret>, name: &str, host: &str, known: Option<&Material>) -> Result<Material> {
    let now = Timestamp::now();
    let Some(found) = api.get_opt(name).await.with_context(|| format!("failed to read Secret {name}"))? else {
        // If it was deleted what is in use goes back: no client has to trust another authority.
        let in_use = known.filter(|known| known.due(host, now).is_ok_and(|due| due == Due::Nothing)).cloned();
        let made = in_use.map_or_else(|| Material::new(host, now, None), Ok)?;
        return match api.create(&PostParams::default(), &secret(name, &made, None)).await {
            Ok(_) => {
                tracing::info!(secret = name, "made the serving certificate");
                Ok(made)
            }
            Err(error) if matches!(refusal(&error), Some(Refusal::AlreadyExists | Refusal::Conflict)) => {
                Err(anyhow!("another replica made Secret {name} at the same moment; reading it"))
            }
            Err(error) => Err(error).with_context(|| format!("failed to make Secret {name}")),
        };
    };
    let old = material(&found);
    let next = match old.as_ref().map(|old| old.due(host, now)) {
        Ok(Ok(Due::Nothing)) => return old,
        Ok(Ok(Due::Certificate)) => old.as_ref().ok().map(|old| old.renewed(host, now)).transpose().unwrap_or(None),
        Ok(Ok(Due::Authority)) => None,
        Ok(Err(problem)) => {
            tracing::warn!(secret = name, %problem, "the serving certificate is of no use");
            None
        }
        Err(problem) => {
            tracing::warn!(secret = name, problem = format!("{problem:#}"), "the serving certificate is of no use");
            None
        }
    };
    let next = match next {
        // A key that is another authority's makes a certificate that no client trusts.
        Some(next) if next.due(host, now).is_ok() => next,
        Some(_) | None => Material::new(host, now, old.as_ref().ok())?,
    };
    match api.replace(name, &PostParams::default(), &secret(name, &next, Some(found.metadata))).await {
        Ok(_) => {
            tracing::info!(secret = name, "renewed the serving certificate");
            Ok(next)
        }
        Err(error) if matches!(refusal(&error), Some(Refusal::Conflict | Refusal::NotFound)) => {
            Err(anyhow!("another replica renewed Secret {name} at the same moment; reading it"))
        }
        Err(error) => Err(error).with_context(|| format!("failed to renew Secret {name}")),
    }
}

fn material(secret: &Secret) -> Result<Material> {
    let data = secret.data.as_ref();
    let part = |key: &str| -> Option<Result<String>> {
        let bytes = data?.get(key).map(|bytes| bytes.0.clone())?;
        Some(String::from_utf8(bytes).with_context(|| format!("{key} is no text")))
    };
    let needed = |key: &str| part(key).unwrap_or_else(|| Err(anyhow!("it has no {key}")));
    Ok(Material {
        authorities: needed(AUTHORITIES)?,
        authority_key: part(AUTHORITY_KEY).transpose()?,
        certificate: needed(CERTIFICATE)?,
        key: needed(KEY)?,
    })
}

fn secret(name: &str, material: &Material, found: Option<ObjectMeta>) -> Secret {
    let Material { authorities, authority_key, certificate, key } = material;
    let part = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
    let mut data = BTreeMap::from([part(AUTHORITIES, authorities), part(CERTIFICATE, certificate), part(KEY, key)]);
    data.extend(authority_key.as_ref().map(|key| part(AUTHORITY_KEY, key)));
    let metadata = found.unwrap_or_else(|| {
        let label = |key: &str| (key.to_owned(), labels::MANAGED_BY_LECTERN.to_owned());
        ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([label(labels::MANAGED_BY), label(labels::PART_OF)])),
            ..ObjectMeta::default()
        }
    });
    Secret { data: Some(data), type_: Some(SECRET_TYPE.to_owned()), metadata, ..Secret::default() }
}

/// What another program keeps is taken as it is, if certificate and key belong together: in the middle of a change they
/// do not.
async fn read_folder(folder: &Path) -> Result<Material> {
    let read = async |name: &str| {
        let path = folder.join(name);
        tokio::fs::read_to_string(&path).await.with_context(|| format!("failed to read {}", path.display()))
    };
    let material = Material {
        authorities: read(AUTHORITIES).await.unwrap_or_default(),
        authority_key: None,
        certificate: read(CERTIFICATE).await?,
        key: read(KEY).await?,
    };
    material.certified_key().with_context(|| format!("{} holds no certificate that works", folder.display()))?;
    Ok(material)
}

#[cfg(test)]
mod tests;
