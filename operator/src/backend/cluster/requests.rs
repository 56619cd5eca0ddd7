//! The requests that the operator makes about one event's objects. Every write goes out under a field manager of ours, and
//! a deletion names the uid that it is meant for.

use super::watch::kind::Kind;
use super::watch::seen::Owner;
use crate::kubernetes::{Refusal, describe, refusal};
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The field manager of everything that is applied.
pub const MANAGER: &str = "lectern";
/// The field manager of what the autoscaling of an event writes beside the autoscaler.
pub const SCALING_MANAGER: &str = "lectern-scaling";

/// How often a raise is tried before it is left to the next pass: a Deployment whose pods start changes a few times a second.
const RAISE_TRIES_MAX: usize = 5;

/// A request that failed, and for what it was made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {}", describe(source))]
pub struct Error {
    doing: String,
    #[source]
    source: Box<kube::Error>,
}

impl Error {
    /// `source` happened while `doing`.
    pub fn new(doing: impl Into<String>, source: kube::Error) -> Self {
        Self { doing: doing.into(), source: Box::new(source) }
    }

    /// The namespace is being deleted, and everything in it.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        let kube::Error::Api(status) = &*self.source else { return false };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
    }
}

/// The event whose objects these are.
#[derive(Clone)]
pub struct Target<'a> {
    /// The API server.
    pub client: &'a Client,
    /// The event's namespace.
    pub namespace: &'a str,
    /// Its name.
    pub event: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

impl Target<'_> {
    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &kind.resource())
    }

    /// The controlling owner of an object: `None` if there is no such object, `Some(None)` if it has no owner.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn owner_of(&self, kind: Kind, name: &str) -> Result<Option<Option<Owner>>, Error> {
        let found = self.api(kind).get_metadata_opt(name).await;
        let found = found.map_err(|error| Error::new(format!("look for {} {name}", kind.resource().kind), error))?;
        Ok(found.map(|found| {
            let mut owners = found.metadata.owner_references.iter().flatten();
            owners.find(|owner| owner.controller == Some(true)).map(Owner::from)
        }))
    }

    /// Applies one object, by server-side apply.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self, kind: Kind, name: &str, value: Value) -> Result<DynamicObject, Error> {
        let params = PatchParams::apply(MANAGER).force();
        let done = self.api(kind).patch(name, &params, &Patch::Apply(value)).await;
        done.map_err(|error| Error::new(format!("apply {} {name}", kind.resource().kind), error))
    }

    /// Deletes an object if it is still that very object.
    ///
    /// # Errors
    /// When the API server refuses. An object that is gone, or is another one now, is not an error.
    pub async fn delete(&self, kind: Kind, name: &str, uid: &str) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(kind).delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(refusal(&error), Some(Refusal::NotFound | Refusal::Conflict)) => Ok(()),
            Err(error) => Err(Error::new(format!("delete {} {name}", kind.resource().kind), error)),
        }
    }

    /// Creates a Secret. One that is there already answers 409 without its content, and stays.
    ///
    /// # Errors
    /// When the API server refuses for another reason.
    pub async fn create_secret(&self, secret: &Secret) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        match api.create(&params, secret).await {
            Ok(_) => Ok(()),
            Err(error) if refusal(&error) == Some(Refusal::AlreadyExists) => Ok(()),
            Err(error) => Err(Error::new(format!("create Secret {}", secret.name_any()), error)),
        }
    }

    /// Sets annotations of a pod; None takes one away.
    ///
    /// # Errors
    /// When the API server refuses. A pod that is gone needs none.
    pub async fn annotate_pod(&self, pod: &str, wanted: &BTreeMap<String, Option<String>>) -> Result<(), Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let body = json!({"metadata": {"annotations": wanted}});
        merge(&api, pod, &body, MANAGER).await.map_err(|error| Error::new(format!("annotate Pod {pod}"), error))
    }

    /// Deletes a pod if it is still that very pod.
    ///
    /// # Errors
    /// When the API server refuses. A pod that is gone is not an error.
    pub async fn delete_pod(&self, pod: &str, uid: &str) -> Result<(), Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(pod, &params).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(refusal(&error), Some(Refusal::NotFound | Refusal::Conflict)) => Ok(()),
            Err(error) => Err(Error::new(format!("delete Pod {pod}"), error)),
        }
    }

    /// Sets how many pods a Deployment has, by its `/scale`: nothing that an apply could take back.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn scale(&self, deployment: &str, replicas: u32) -> Result<(), Error> {
        let api = self.api(Kind::Deployment);
        let params = PatchParams { field_manager: Some(SCALING_MANAGER.into()), ..PatchParams::default() };
        let body = json!({"spec": {"replicas": replicas}});
        let done = api.patch_scale(deployment, &params, &Patch::Merge(body)).await;
        done.map(drop).map_err(|error| Error::new(format!("scale Deployment {deployment} to {replicas}"), error))
    }

    /// Raises how many pods a Deployment has to at least `replicas`. An autoscaler may have asked for more a moment ago,
    /// and what it asked for is never taken back: it is looked at first, and nothing is written over a change since.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn raise(&self, deployment: &str, replicas: u32) -> Result<(), Error> {
        let api = self.api(Kind::Deployment);
        let params = PatchParams { field_manager: Some(SCALING_MANAGER.into()), ..PatchParams::default() };
        let failed = |error| Error::new(format!("raise Deployment {deployment} to {replicas}"), error);
        let mut tries = 1;
        loop {
            let scale = api.get_scale(deployment).await.map_err(failed)?;
            let asked = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
            if u32::try_from(asked).is_ok_and(|asked| asked >= replicas) {
                return Ok(());
            }
            let version = scale.metadata.resource_version;
            let body = json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}});
            match api.patch_scale(deployment, &params, &Patch::Merge(body)).await {
                Ok(_) => return Ok(()),
                Err(error) if refusal(&error) == Some(Refusal::Conflict) && tries < RAISE_TRIES_MAX => tries += 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Sets an annotation of an object under the second name, so that no apply takes it away.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn annotate(&self, kind: Kind, name: &str, key: &str, text: Option<&str>) -> Result<(), Error> {
        let body = json!({"metadata": {"annotations": {key: text}}});
        let done = merge(&self.api(kind), name, &body, SCALING_MANAGER).await;
        done.map_err(|error| Error::new(format!("annotate {} {name}", kind.resource().kind), error))
    }
}

/// A merge patch. An object that is gone is not an error.
async fn merge<K>(api: &Api<K>, name: &str, body: &Value, manager: &str) -> Result<(), kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
    match api.patch_metadata(name, &params, &Patch::Merge(body)).await {
        Ok(_) => Ok(()),
        Err(error) if refusal(&error) == Some(Refusal::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

impl From<&OwnerReference> for Owner {
    fn from(owner: &OwnerReference) -> Self {
        Self { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() }
    }
}

#[cfg(test)]
mod tests;
