//! Events that are due for a pass. A set and one wake-up instead of a channel: however often an event is requeued before
//! it is taken, it is held once, so that the number of events bounds what is held.

use super::key::EventKey;
use futures::{Stream, StreamExt as _, stream};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Where every part says which events are due, for the controllers of all namespaces that are watched.
#[derive(Clone, Debug)]
pub struct Requeue(Arc<[Due]>);

/// The events of one scope that are due.
#[derive(Debug)]
struct Due {
    /// The namespace; None for all.
    scope: Option<String>,
    keys: Mutex<BTreeSet<EventKey>>,
    added: Notify,
}

impl Due {
    /// Waits until something is due and takes all of it.
    async fn take(&self) -> BTreeSet<EventKey> {
        loop {
            let keys = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
            if !keys.is_empty() {
                return keys;
            }
            // A key that was added since is not missed: its wake-up is kept for the next wait.
            self.added.notified().await;
        }
    }
}

impl Requeue {
    /// Nothing is due yet in any of `scopes` (None: all namespaces).
    #[must_use]
    pub fn new(scopes: impl IntoIterator<Item = Option<String>>) -> Self {
        let due = |scope| Due { scope, keys: Mutex::default(), added: Notify::new() };
        Self(scopes.into_iter().map(due).collect())
    }

    /// `key` is due. A key of a namespace that is not watched is dropped.
    pub fn add(&self, key: EventKey) {
        let is_mine = |due: &&Due| due.scope.as_ref().is_none_or(|namespace| *namespace == key.namespace);
        if let Some(due) = self.0.iter().find(is_mine) {
            due.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            due.added.notify_one();
        }
    }

    /// What is due in `scope`, for ever; each key is taken out as it is given. One stream for each scope.
    pub fn due(&self, scope: Option<&str>) -> impl Stream<Item = EventKey> + Send + use<> {
        let index = self.0.iter().position(|due| due.scope.as_deref() == scope);
        let batch = move |all: Arc<[Due]>| async move {
            let keys = all.get(index?)?.take().await;
            Some((stream::iter(keys), all))
        };
        stream::unfold(Arc::clone(&self.0), batch).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn key(namespace: &str, name: &str) -> EventKey {
        EventKey { namespace: namespace.into(), name: name.into() }
    }

    #[tokio::test]
    async fn an_event_that_is_requeued_a_thousand_times_is_due_once_in_its_own_namespace() {
        let requeue = Requeue::new([Some("a".to_owned()), Some("b".to_owned())]);
        let (mut a, mut b) = (Box::pin(requeue.due(Some("a"))), Box::pin(requeue.due(Some("b"))));
        for _ in 0..1_000 {
            requeue.add(key("a", "gala"));
            requeue.add(key("elsewhere", "gala"));
        }
        requeue.add(key("a", "other"));
        assert_eq!((a.next().await, a.next().await), (Some(key("a", "gala")), Some(key("a", "other"))));
        assert_eq!((a.next().now_or_never(), b.next().now_or_never()), (None, None), "nothing else is due");
        requeue.add(key("a", "gala"));
        assert_eq!(a.next().await, Some(key("a", "gala")), "it can be due again");
    }

    #[tokio::test]
    async fn a_stream_that_waits_is_woken_by_the_next_key() {
        let requeue = Requeue::new([None]);
        let mut due = Box::pin(requeue.due(None));
        let waiting = tokio::spawn(async move { due.next().await });
        tokio::task::yield_now().await;
        requeue.add(key("a", "gala"));
        assert_eq!(waiting.await.ok().flatten(), Some(key("a", "gala")));
    }
}
