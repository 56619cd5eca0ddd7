//! Which node is in which zone. Where nodes may not be read, zones are not known, and nothing else is missing.

use crate::kubernetes::{Refusal, watch_refusal};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The label that cloud providers set.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Zones by node.
#[derive(Clone, Default)]
pub struct Zones(Arc<Mutex<Arc<HashMap<String, String>>>>);

impl Zones {
    /// As they are.
    #[must_use]
    pub fn snapshot(&self) -> Arc<HashMap<String, String>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the nodes for ever, or until they may not be read.
    pub async fn follow(self, client: Client) {
        let api: Api<PartialObjectMeta<Node>> = Api::all(client);
        let stream = watcher(api, watcher::Config::default()).default_backoff();
        let mut stream = std::pin::pin!(stream);
        let mut listed = HashMap::new();
        while let Some(news) = stream.next().await {
            match news {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(node)) => {
                    listed.extend(zone(&node).map(|zone| (node.name_any(), zone)));
                }
                Ok(watcher::Event::InitDone) => self.change(|zones| *zones = std::mem::take(&mut listed)),
                Ok(watcher::Event::Apply(node)) => self.change(|zones| {
                    zones.remove(&node.name_any());
                    zones.extend(zone(&node).map(|zone| (node.name_any(), zone)));
                }),
                Ok(watcher::Event::Delete(node)) => self.change(|zones| drop(zones.remove(&node.name_any()))),
                Err(error) if watch_refusal(&error) == Some(Refusal::Forbidden) => {
                    return tracing::info!("nodes may not be read: edges are taken to be in one zone");
                }
                Err(error) => tracing::debug!(%error, "the watch of nodes broke off and starts again"),
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, String>)) {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**zones).clone();
        change(&mut next);
        if next != **zones {
            *zones = Arc::new(next);
        }
    }
}

fn zone(node: &PartialObjectMeta<Node>) -> Option<String> {
    node.labels().get(ZONE).cloned()
}
