//! Brings the API server's objects to what was decided: server-side apply under one name, Secrets by creation alone,
//! nothing adopted, nothing written twice.

use crate::backend::cluster::reconcile::render::{Document, superfluous};
use crate::backend::cluster::watch::cache::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::{self, Owner};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use tokio::time::{Duration, Instant};

/// The field manager of everything that is applied.
pub const MANAGER: &str = "lectern";
/// The field manager of what the autoscaling of an event writes beside the autoscaler.
pub const SCALING_MANAGER: &str = "lectern-scaling";
/// Requests of one event that are under way at the same time.
const SIDE_BY_SIDE: usize = 6;

/// How often a raise is tried before it is left to the next look: a Deployment whose pods start moves a few times a second.
const RAISE_TRIES_MAX: usize = 5;

/// A request that failed, and for what it was made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {}", said(source))]
pub struct Error {
    doing: String,
    #[source]
    source: Box<kube::Error>,
}

/// What the API server said, without its whole answer.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
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

/// What was applied before, so that it is not applied again.
#[derive(Debug, Default)]
pub struct LastApplied {
    documents: HashMap<(Kind, String), Mark>,
    secrets: Vec<String>,
    secrets_at: Option<Instant>,
}

/// One object as it was left.
#[derive(Debug)]
struct Mark {
    hash: String,
    /// What the API server called that state.
    version: String,
    /// The fingerprint of that state; if the answer did not tell, once a watch has shown it.
    print: Option<u64>,
}

/// An object that has a name of ours and is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameConflict {
    /// It belongs to an event of the same name that was deleted, and will be gone in a moment.
    Leftover {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Whoever made it, we did not.
    Foreign {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
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

    /// Objects that have the names of `documents` and are not ours. What no watch shows is asked for: it may be there
    /// without our label.
    ///
    /// # Errors
    /// When a question is not answered.
    pub async fn name_conflicts(
        &self,
        documents: &[Document],
        children: &Children,
        applied: &LastApplied,
    ) -> Result<Vec<NameConflict>, Error> {
        // Collected first: a stream that still holds the closure could not be sent to another thread.
        let asked: Vec<_> =
            documents.iter().map(|document| self.name_conflict_of(document, children, applied)).collect();
        let found: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn name_conflict_of(
        &self,
        document: &Document,
        children: &Children,
        applied: &LastApplied,
    ) -> Result<Option<NameConflict>, Error> {
        let key = (document.kind, document.name.clone());
        if let Some(known) = children.objects.get(&key) {
            return Ok(self.name_conflict(document, known.owner.as_ref()));
        }
        if applied.documents.contains_key(&key) {
            return Ok(None);
        }
        let found = self.api(document.kind).get_metadata_opt(&document.name).await;
        let Some(found) = found.map_err(|error| Error::new(format!("look for {}", named(document)), error))? else {
            return Ok(None);
        };
        let owners = found.metadata.owner_references.iter().flatten();
        let owner = owners.filter(|owner| owner.controller == Some(true)).map(Owner::from).next();
        Ok(self.name_conflict(document, owner.as_ref()))
    }

    fn name_conflict(&self, document: &Document, owner: Option<&Owner>) -> Option<NameConflict> {
        let (kind, name) = (document.kind, document.name.clone());
        match owner {
            Some(owner) if owner.uid == self.uid => None,
            Some(owner) if owner.kind == "LiveEvent" && owner.name == self.event => {
                Some(NameConflict::Leftover { kind, name })
            }
            Some(_) | None => Some(NameConflict::Foreign { kind, name }),
        }
    }

    /// Applies what is not as it should be and deletes what should not be. Answers how many requests were made.
    ///
    /// # Errors
    /// The first request that failed; what was done before stays done.
    pub async fn apply(
        &self,
        documents: &[Document],
        held: &[Document],
        children: &Children,
        applied: &mut LastApplied,
    ) -> Result<usize, Error> {
        let mut requests = 0;
        for step in 0..=Kind::Autoscaler.step() {
            let due: Vec<&Document> = documents
                .iter()
                .filter(|document| document.kind.step() == step && applied.is_due(document, children))
                .collect();
            requests += due.len();
            let due: Vec<_> = due.into_iter().map(|document| self.apply_one(document, children)).collect();
            // All of them are finished even if one fails: half a step is done again otherwise, and may fail again.
            let done: Vec<_> = stream::iter(due).buffer_unordered(SIDE_BY_SIDE).collect().await;
            let mut failed = None;
            for result in done {
                match result {
                    Ok((key, mark)) => drop(applied.documents.insert(key, mark)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        let wanted: Vec<Document> = documents.iter().chain(held).cloned().collect();
        for (kind, name, uid) in superfluous(&wanted, children, self.uid) {
            requests += 1;
            self.delete(kind, &name, &uid).await?;
            applied.documents.remove(&(kind, name));
        }
        Ok(requests)
    }

    async fn apply_one(&self, document: &Document, children: &Children) -> Result<((Kind, String), Mark), Error> {
        let key = (document.kind, document.name.clone());
        let mut value = document.value.clone();
        // An apply that carries a uid can only ever change that very object.
        if let Some(known) = children.objects.get(&key) {
            value["metadata"]["uid"] = json!(known.uid);
        }
        let params = PatchParams::apply(MANAGER).force();
        let done = self.api(document.kind).patch(&document.name, &params, &Patch::Apply(value)).await;
        let done = done.map_err(|error| Error::new(format!("apply {}", named(document)), error))?;
        let version = done.resource_version().unwrap_or_default();
        let print = seen::answer(document.kind, &done).map(|seen| seen.print);
        Ok((key, Mark { hash: document.hash.clone(), version, print }))
    }

    async fn delete(&self, kind: Kind, name: &str, uid: &str) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(kind).delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(error) => Err(Error::new(format!("delete {} {name}", kind.resource().kind), error)),
        }
    }

    /// Creates the Secrets that may not be there, if that was not done within `again`: they cannot be looked at, and
    /// somebody may have deleted one. One that is there already answers 409 without its content.
    ///
    /// # Errors
    /// The first that could neither be created nor was there.
    pub async fn create_secrets(
        &self,
        secrets: &[Secret],
        again: Duration,
        applied: &mut LastApplied,
    ) -> Result<(), Error> {
        let names: Vec<String> = secrets.iter().map(Secret::name_any).collect();
        let recent = applied.secrets_at.is_some_and(|at| at.elapsed() < again);
        let due = secrets.iter().filter(|secret| !recent || !applied.secrets.contains(&secret.name_any()));
        let created: Vec<_> = due.map(|secret| self.create_secret(secret)).collect();
        stream::iter(created).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        applied.secrets = names;
        if !recent {
            applied.secrets_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn create_secret(&self, secret: &Secret) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        match api.create(&params, secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
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
    /// When the API server refuses. A pod that is gone is well gone.
    pub async fn delete_pod(&self, pod: &str, uid: &str) -> Result<(), Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(pod, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
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
                Err(kube::Error::Api(status)) if status.is_conflict() && tries < RAISE_TRIES_MAX => tries += 1,
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

/// A merge patch. What is gone needs none.
async fn merge<K>(api: &Api<K>, name: &str, body: &Value, manager: &str) -> Result<(), kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
    match api.patch_metadata(name, &params, &Patch::Merge(body)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

impl LastApplied {
    /// Whether `document` is to be applied: it is another than last time, or somebody changed the object since.
    fn is_due(&mut self, document: &Document, children: &Children) -> bool {
        let key = (document.kind, document.name.clone());
        let (Some(mark), seen) = (self.documents.get_mut(&key), children.objects.get(&key)) else { return true };
        if mark.hash != document.hash {
            return true;
        }
        match seen {
            None => true,
            Some(seen) if seen.ending => false,
            Some(seen) if seen.version == mark.version => {
                mark.print = Some(seen.print);
                false
            }
            Some(seen) => mark.print != Some(seen.print),
        }
    }
}

fn named(document: &Document) -> String {
    format!("{} {}", document.kind.resource().kind, document.name)
}

impl From<&k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> for Owner {
    fn from(owner: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference) -> Self {
        Self { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() }
    }
}

#[cfg(test)]
mod tests;
